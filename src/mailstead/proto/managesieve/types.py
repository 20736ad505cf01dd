"""The commands of ManageSieve as events, and what counts as a refusal.

Spec: RFC 5804 §2 (commands), §1.3 (response codes).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class State(Enum):
    """Spec: RFC 5804 §2."""

    NON_AUTHENTICATED = "non-authenticated"
    AUTHENTICATED = "authenticated"


class Code(Enum):
    """Response codes, in parentheses behind OK, NO and BYE. Spec: RFC 5804 §1.3."""

    NONE = b""
    AUTH_TOO_WEAK = b"AUTH-TOO-WEAK"
    ENCRYPT_NEEDED = b"ENCRYPT-NEEDED"
    QUOTA = b"QUOTA"
    QUOTA_MAXSIZE = b"QUOTA/MAXSIZE"
    TRYLATER = b"TRYLATER"
    ACTIVE = b"ACTIVE"
    NONEXISTENT = b"NONEXISTENT"
    ALREADYEXISTS = b"ALREADYEXISTS"


@dataclass(frozen=True, slots=True)
class Capability:
    """Spec: RFC 5804 §2.4. Answered by the connection itself."""


@dataclass(frozen=True, slots=True)
class StartTls:
    """Spec: RFC 5804 §2.2."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Begin SASL. Spec: RFC 5804 §2.1."""

    mechanism: str
    initial_response: bytes | None = field(repr=False)
    """The base64 text as sent; None when there was none."""


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """A string of a SASL exchange, still base64 (or ``*``). Spec: RFC 5804 §2.1."""

    line: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unauthenticate:
    """Spec: RFC 5804 §2.14.1."""


@dataclass(frozen=True, slots=True)
class Logout:
    """Spec: RFC 5804 §2.3. Answered by the connection itself."""


@dataclass(frozen=True, slots=True)
class Noop:
    """Spec: RFC 5804 §2.13. Answered by the connection itself."""

    tag: bytes | None


@dataclass(frozen=True, slots=True)
class HaveSpace:
    """Spec: RFC 5804 §2.5."""

    name: str
    size_octets: int


@dataclass(frozen=True, slots=True)
class PutScript:
    """Spec: RFC 5804 §2.6."""

    name: str
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ListScripts:
    """Spec: RFC 5804 §2.7."""


@dataclass(frozen=True, slots=True)
class SetActive:
    """Spec: RFC 5804 §2.8. The empty name: no script is active."""

    name: str


@dataclass(frozen=True, slots=True)
class GetScript:
    """Spec: RFC 5804 §2.9."""

    name: str


@dataclass(frozen=True, slots=True)
class DeleteScript:
    """Spec: RFC 5804 §2.10."""

    name: str


@dataclass(frozen=True, slots=True)
class RenameScript:
    """Spec: RFC 5804 §2.11.1."""

    name: str
    new_name: str


@dataclass(frozen=True, slots=True)
class CheckScript:
    """Spec: RFC 5804 §2.12."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """Something the connection has answered by itself; for the metric. `reason` is a fixed word."""

    reason: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The connection has answered many commands by itself; the driver may let others have their turn."""


Asking = (
    StartTls
    | Authenticate
    | Unauthenticate
    | HaveSpace
    | PutScript
    | ListScripts
    | SetActive
    | GetScript
    | DeleteScript
    | RenameScript
    | CheckScript
)
"""Commands that need the session."""

Command = Asking | Capability | Logout | Noop
"""What a client says."""

Event = Asking | AuthResponse | Refused | Answered
"""What a session sees."""
