"""One client's conversation: grammar, state, and who speaks next. (Signatures first; the engine follows.)"""

from __future__ import annotations

from dataclasses import dataclass

from mailstead.proto.connection import Pause
from mailstead.proto.imap.types.events import Event, Result


@dataclass(frozen=True, slots=True)
class ImapLimits:
    """What a client may ask of the connection."""

    command_octets_max: int = 65536
    command_octets_before_login_max: int = 8192
    append_octets_max: int = 52_428_800
    errors_max: int = 20
    login_limit_s: float = 60.0
    idle_limit_s: float = 1800.0


class ImapConnection:
    """The server's side of one IMAP conversation. Keeps `mailstead.proto.connection.Connection`.

    Attributes for the session: `state` (states.State), `is_encrypted`, `enabled` (frozenset of upper-case names:
    CONDSTORE, QRESYNC, IMAP4REV2, UTF8=ACCEPT), `is_utf8` (names and strings go out as UTF-8).
    """

    def __init__(
        self,
        limits: ImapLimits,
        *,
        is_encrypted: bool,
        mechanisms: tuple[str, ...] = ("PLAIN", "SCRAM-SHA-256", "LOGIN"),
        without: frozenset[str] = frozenset(),
    ) -> None:
        """Begin before the greeting; `without` names capabilities not to be offered."""
        raise NotImplementedError

    # Connection
    def receive_data(self, data: bytes) -> None: ...
    def receive_eof(self) -> None: ...
    def next_event(self) -> Event | Pause: ...
    def data_to_send(self) -> bytes: ...

    # what the session says
    def greet(self, text: str) -> None:
        """``* OK [CAPABILITY …] text``. Spec: RFC 9051 §7.1.5."""

    def refuse(self, text: str, code: bytes = b"UNAVAILABLE") -> None:
        """``* BYE [code] text`` and close: instead of a greeting, or at any later moment (shutdown, autologout)."""

    def send(self, data: bytes) -> None:
        """Queue whole untagged responses (or pieces of one), made by `write`."""

    def finish(self, result: Result, text: str, code: bytes = b"") -> None:
        """End the command under way by its tagged response (``tag OK [code] text``); the next command may come."""

    def challenge(self, data: bytes) -> None:
        """``+ base64``; `SaslResponse` or `SaslCancelled` follows. Spec: RFC 9051 §6.2.2."""

    def accept_literal(self) -> None:
        """After AppendBegin or AppendNext: let the message come (``+`` if the client waits for it)."""

    def refuse_literal(self, result: Result, text: str, code: bytes = b"") -> None:
        """After AppendBegin or AppendNext: end the command so; what the client sends anyway is swallowed. No finish."""

    def begin_idle(self) -> None:
        """``+ idling``: from now on `send` at will, until `IdleDone`."""

    def log_in(self) -> None:
        """Become authenticated. Call before `finish(OK)`; `finish` then adds the CAPABILITY code if no other is given."""

    def log_out(self) -> None:
        """Become not authenticated, nothing enabled. Spec: RFC 8437 §2 (UNAUTHENTICATE)."""

    def select(self) -> None:
        """Become selected."""

    def unselect(self) -> None:
        """Become authenticated, none selected."""

    def enable(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Enable what is known of `names`; gives those newly enabled, for ``* ENABLED``. QRESYNC brings CONDSTORE."""

    def tls_started(self) -> None:
        """TLS is on: input dropped already by the driver. Spec: RFC 9051 §6.2.1."""

    def compression_started(self) -> None:
        """COMPRESS is on: it is neither offered nor allowed again."""
