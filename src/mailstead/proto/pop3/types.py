"""The commands of POP3 as events, and what counts as a refusal.

Spec: RFC 1939 §3 to §7; RFC 2449 §5; RFC 2595 §4; RFC 5034 §4; RFC 6856 §2.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailstead.model.secret import Secret


class State(Enum):
    """Spec: RFC 1939 §3."""

    AUTHORIZATION = "AUTHORIZATION"
    TRANSACTION = "TRANSACTION"
    UPDATE = "UPDATE"


class Code(Enum):
    """Extended response codes, in brackets behind -ERR. Spec: RFC 2449 §8; RFC 3206 §4; RFC 6856 §5."""

    NONE = b""
    AUTH = b"[AUTH] "
    IN_USE = b"[IN-USE] "
    LOGIN_DELAY = b"[LOGIN-DELAY] "
    SYS_TEMP = b"[SYS/TEMP] "
    SYS_PERM = b"[SYS/PERM] "


@dataclass(frozen=True, slots=True)
class Stls:
    """Spec: RFC 2595 §4."""


@dataclass(frozen=True, slots=True)
class Auth:
    """Begin SASL. Spec: RFC 5034 §4."""

    mechanism: str
    initial_response: bytes | None
    """The base64 text as sent; None when there was none."""


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """A line of a SASL exchange, still base64 (or ``*``). Spec: RFC 5034 §4."""

    line: bytes


@dataclass(frozen=True, slots=True)
class LogIn:
    """USER and PASS together: the connection keeps the name until the password comes. Spec: RFC 1939 §7."""

    username: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class Stat:
    """Spec: RFC 1939 §5."""


@dataclass(frozen=True, slots=True)
class List:
    """Spec: RFC 1939 §5. None: all messages."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Uidl:
    """Spec: RFC 1939 §7. None: all messages."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Retr:
    """Spec: RFC 1939 §5."""

    number: int


@dataclass(frozen=True, slots=True)
class Top:
    """Spec: RFC 1939 §7."""

    number: int
    line_count: int


@dataclass(frozen=True, slots=True)
class Dele:
    """Spec: RFC 1939 §5."""

    number: int


@dataclass(frozen=True, slots=True)
class Rset:
    """Spec: RFC 1939 §5."""


@dataclass(frozen=True, slots=True)
class Quit:
    """QUIT after log-in: the one moment at which messages are removed. Spec: RFC 1939 §6."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Something the connection has answered by itself; for the metric. `reason` is a fixed word."""

    reason: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The connection has answered many commands by itself; the driver may let others have their turn."""


@dataclass(frozen=True, slots=True)
class Capa:
    """Spec: RFC 2449 §5. Answered by the connection itself."""


@dataclass(frozen=True, slots=True)
class Noop:
    """Spec: RFC 1939 §5. Answered by the connection itself."""


@dataclass(frozen=True, slots=True)
class Utf8:
    """Spec: RFC 6856 §2.1. Answered by the connection itself."""


@dataclass(frozen=True, slots=True)
class User:
    """Spec: RFC 1939 §7. Answered by the connection itself."""

    username: str


@dataclass(frozen=True, slots=True)
class Pass:
    """Spec: RFC 1939 §7. Becomes `LogIn` together with the user."""

    secret: Secret


Event = Stls | Auth | AuthResponse | LogIn | Stat | List | Uidl | Retr | Top | Dele | Rset | Quit | Refused | Answered
"""What a session sees."""

Command = Stls | Auth | Stat | List | Uidl | Retr | Top | Dele | Rset | Quit | Capa | Noop | Utf8 | User | Pass
"""What a client says."""
