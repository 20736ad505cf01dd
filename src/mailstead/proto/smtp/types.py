"""Words of the SMTP wire: what the server engine reports, what it is told, and what the client engine gets back.

Spec: RFC 5321 (commands and replies), RFC 3463 (enhanced status codes), RFC 9422 (LIMITS).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from mailstead.model.envelope import Envelope, Recipient

COMMAND_OCTETS_MAX: Final = 4096
"""RFC 5321 §4.5.3.1.4 asks for 512 with CRLF; each extension adds to it, and 4 KiB is enough for all (attack row 7)."""

AUTH_LINE_OCTETS_MAX: Final = 12288
"""Spec: RFC 4954 §4. Longest line of an AUTH exchange."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one conversation may cost. Every one of them ends in a reply, never in silence."""

    message_octets_max: int = 52_428_800
    recipients_max: int = 100
    errors_max: int = 20
    """Refused commands (5yz) before 421."""
    transactions_max: int = 1000
    idle_commands_max: int = 100
    """Commands in a row that move no mail (NOOP, RSET, EHLO, VRFY …) before 421; attack row 9."""
    overlong_lines_max: int = 3
    command_limit_s: float = 300.0
    """Spec: RFC 5321 §4.5.3.2.7."""
    data_limit_s: float = 180.0
    """Spec: RFC 5321 §4.5.3.2.5."""


class Reply(NamedTuple):
    """One reply: the code, its enhanced code (empty: none), and its lines of text.

    Spec: RFC 5321 §4.2, RFC 2034 §4.
    """

    code: int
    enhanced: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """All lines as one text."""
        return "\n".join(self.lines)

    @property
    def is_positive(self) -> bool:
        """Whether it is a 2yz or 3yz. Spec: RFC 5321 §4.2.1."""
        return self.code < 400


def reply(code: int, enhanced: str, *lines: str) -> Reply:
    """Make a reply; one line of text is the usual case."""
    return Reply(code, enhanced, lines)


# Events of the server engine. After those marked (paused) the engine waits for a reply.


@dataclass(frozen=True, slots=True)
class Hello:
    """EHLO or HELO was said and is answered already; any transaction is over.

    Spec: RFC 5321 §4.1.1.1.
    """

    name: str
    is_extended: bool


@dataclass(frozen=True, slots=True)
class StartTls:
    """(paused) STARTTLS: answer with `accept_starttls`. Spec: RFC 3207 §4."""


@dataclass(frozen=True, slots=True)
class Auth:
    """(paused) AUTH with its initial response, decoded; None: there was none.

    Spec: RFC 4954 §4. Answer with `auth_challenge`, `auth_succeeded` or `reply`.
    """

    mechanism: str
    initial_response: bytes | None


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """(paused) The client's answer to a challenge, decoded. Spec: RFC 4954 §4."""

    octets: bytes

    def __repr__(self) -> str:
        return "AuthResponse(***)"


@dataclass(frozen=True, slots=True)
class MailFrom:
    """(paused) MAIL: an envelope without recipients yet. Spec: RFC 5321 §4.1.1.2."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class RcptTo:
    """(paused) RCPT. Spec: RFC 5321 §4.1.1.3."""

    recipient: Recipient


@dataclass(frozen=True, slots=True)
class DataStart:
    """(paused) DATA or the first BDAT: answer with `start_data`, or `reply` with a refusal.

    Spec: RFC 5321 §4.1.1.4, RFC 3030 §2.
    """


@dataclass(frozen=True, slots=True)
class DataChunk:
    """Octets of the message, dots already unstuffed; the engine does not wait. Spec: RFC 5321 §4.5.2."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class EndOfData:
    """(paused) The message is complete: the reply decides whose it is. Spec: RFC 5321 §4.2.5, §6.1."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The transaction is over without a message: RSET, a broken message, the end. Spec: RFC 5321 §4.1.1.5."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The engine has refused something by itself; `reason` is a short fixed word for the metric."""

    code: int
    reason: str


ServerEvent = (
    Hello | StartTls | Auth | AuthResponse | MailFrom | RcptTo | DataStart | DataChunk | EndOfData | Reset | Refused
)

DATA_START: Final = DataStart()
END_OF_DATA: Final = EndOfData()
RESET: Final = Reset()
START_TLS: Final = StartTls()


# Events of the client engine.


@dataclass(frozen=True, slots=True)
class ReplyReceived:
    """A whole reply; `to` is the verb it answers (``GREETING`` for the first). Spec: RFC 5321 §4.2.1."""

    to: str
    reply: Reply
