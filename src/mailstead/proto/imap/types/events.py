"""What the connection tells its session."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailstead.proto.imap.types.commands import Append, AppendMessage, Command, Replace


class Result(Enum):
    """The word of a status response. Spec: RFC 9051 §7.1."""

    OK = b"OK"
    NO = b"NO"
    BAD = b"BAD"


@dataclass(frozen=True, slots=True)
class Request:
    """A whole command, allowed in this state. The connection is paused until `finish`. Spec: RFC 9051 §2.2.1."""

    tag: bytes
    command: Command


@dataclass(frozen=True, slots=True)
class AppendBegin:
    """APPEND or REPLACE came to its first message literal. Paused until `accept_literal` or `refuse_literal`.

    Spec: RFC 9051 §6.3.12; RFC 8508 §3
    """

    tag: bytes
    command: Append | Replace
    message: AppendMessage


@dataclass(frozen=True, slots=True)
class AppendNext:
    """A further message of the same APPEND. Paused until `accept_literal` or `refuse_literal`. Spec: RFC 3502."""

    tag: bytes
    message: AppendMessage


@dataclass(frozen=True, slots=True)
class LiteralChunk:
    """Octets of the message whose literal was accepted; not paused. Spec: RFC 9051 §4.3; RFC 7888 §3."""

    data: bytes | bytearray


@dataclass(frozen=True, slots=True)
class AppendEnd:
    """All messages are here and the command is well formed. Paused until `finish`. Spec: RFC 9051 §6.3.12."""

    tag: bytes


@dataclass(frozen=True, slots=True)
class AppendAborted:
    """The command went wrong after its first literal (BAD is queued already): drop what was staged; no `finish`.

    Spec: RFC 9051 §6.3.12 (nothing is appended); RFC 3502 §6.3.11 (all or nothing)
    """

    tag: bytes


@dataclass(frozen=True, slots=True)
class SaslResponse:
    """The client's answer to `challenge`. Paused until the next `challenge` or `finish`. Spec: RFC 9051 §6.2.2."""

    tag: bytes
    data: bytes

    def __repr__(self) -> str:
        return "SaslResponse(***)"


@dataclass(frozen=True, slots=True)
class SaslCancelled:
    """``*``, or no base64: drop the exchange; BAD is queued already, no `finish`. Spec: RFC 9051 §6.2.2."""

    tag: bytes


@dataclass(frozen=True, slots=True)
class IdleDone:
    """DONE. Paused until `finish`. Spec: RFC 9051 §6.3.13."""

    tag: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The peer sends nothing more, or the connection has said BYE; comes once. Spec: RFC 9051 §3.4."""


Event = (
    Request
    | AppendBegin
    | AppendNext
    | LiteralChunk
    | AppendEnd
    | AppendAborted
    | SaslResponse
    | SaslCancelled
    | IdleDone
    | Closed
)
