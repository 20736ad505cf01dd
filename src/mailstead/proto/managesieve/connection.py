"""One ManageSieve conversation: its grammar and state.

Theory of operation: `next_event` cuts a command, parses it, holds it against the table in `states` and answers by
itself whatever needs no store (CAPABILITY, NOOP, LOGOUT, every mistake). Anything else becomes an event, and the
connection pauses until the session has completed the reply: `ok` or `no`, with `send` before it for data, or
`auth_challenge` inside a SASL exchange. So pipelined commands wait, unparsed.

Spec: RFC 5804.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mailstead.proto.connection import NEED_DATA, PAUSED, LocalProtocolError, Pause
from mailstead.proto.managesieve import parse, states, types, write
from mailstead.proto.managesieve.framing import CommandReader, TooLarge, Unreadable
from mailstead.proto.managesieve.types import Code, Event, State

MECHANISMS: Final = ("SCRAM-SHA-256", "PLAIN")
ANSWERED_AT_ONCE: Final = 64
"""Commands answered without the session (NOOP, CAPABILITY) before the driver is asked who is next (attack row 44)."""
LOGIN_OCTETS_MAX: Final = 14_000
"""Of the literals of a command before log-in: room for a SASL response (attack row 41)."""

_QUIRK_TLS_PROBE: Final = b"\x16\x03"
"""A client set to implicit TLS on the clear-text port: its handshake is told apart from a command, and closed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one conversation."""

    login_limit_s: float = 60.0
    idle_limit_s: float = 1800.0
    """Spec: RFC 5804 §1.2."""
    script_octets_max: int = 65_536
    errors_max: int = 20
    """Refusals in a row (before log-in: in all) before the conversation is ended (attack row 9)."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the server says of itself in its capabilities. Spec: RFC 5804 §1.7."""

    extensions: Sequence[str] = ()
    notify_methods: Sequence[str] = ()
    redirects_max: int = 0


class ServerConnection:
    """The server's side of a conversation; implements `proto.connection.Connection`."""

    def __init__(
        self,
        *,
        hostname: str = "localhost",
        offer: Offer | None = None,
        is_encrypted: bool = False,
        may_start_tls: bool = True,
        limits: Limits | None = None,
        mechanisms: tuple[str, ...] = MECHANISMS,
    ) -> None:
        self._hostname = hostname
        self._offer = offer or Offer()
        self._is_encrypted = is_encrypted
        self._may_start_tls = may_start_tls
        self._limits = limits or Limits()
        self._mechanisms = mechanisms
        self._reader = CommandReader()
        self._output: list[bytes] = []
        self._state = State.NON_AUTHENTICATED
        self._owner = ""
        self._is_pending = False
        self._in_sasl = False
        self._tls_begins = False
        self._error_count = 0
        self._wants_close = False
        self._has_eof = False
        self._last_words: bytes | None = None
        """Said once no reply is under way: the server stops, or the log-in is no longer valid."""

    # --- for the driver

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer, in any cut."""
        self._reader.receive(data)

    def receive_eof(self) -> None:
        """The peer sends nothing more; half a command is none."""
        self._has_eof = True

    def next_event(self) -> Event | Pause:
        """Give the next command that needs the session."""
        answered_count = 0
        while not self._wants_close:
            if answered_count >= ANSWERED_AT_ONCE:
                return types.Answered()
            if self._is_pending:
                return PAUSED
            try:
                pieces = self._reader.next_command(self._octets_max)
            except TooLarge:
                self._in_sasl = False
                return self._refused("too-large", "That is too large", Code.QUOTA_MAXSIZE)
            except Unreadable as error:
                self._close(write.bye(str(error)))
                return types.Refused("unreadable")
            if pieces is None:
                if self._has_eof:
                    self._wants_close = True
                return NEED_DATA
            event = self._sasl_response(pieces) if self._in_sasl else self._command(pieces)
            if event is not None:
                return event
            answered_count += 1
        return NEED_DATA

    def data_to_send(self) -> bytes:
        """Take all output gathered so far."""
        output, self._output = b"".join(self._output), []
        return output

    @property
    def time_limit_s(self) -> float | None:
        """At least 30 minutes after log-in; less before it, where nobody is known yet. Spec: RFC 5804 §1.2."""
        if self._is_pending:
            return None
        limits = self._limits
        return limits.idle_limit_s if self._state is State.AUTHENTICATED else limits.login_limit_s

    def time_limit_passed(self) -> None:
        """Say goodbye. Spec: RFC 5804 §1.2."""
        self._close(write.bye("Too long without a command", Code.TRYLATER))

    @property
    def wants_close(self) -> bool:
        """Whether to close once the output is flushed."""
        return self._wants_close

    def drop_input(self) -> int:
        """Forget what was received and not parsed. Spec: RFC 5804 §2.2; attack row 3.

        The driver calls this when the reply to STARTTLS has left and TLS begins: what is said next goes through TLS,
        and it is the capabilities, unasked (RFC 5804 §2.2).
        """
        dropped_octets = self._reader.drop()
        if self._tls_begins:
            self._tls_begins = False
            self.greet()
        return dropped_octets

    # --- for the session

    @property
    def is_pending(self) -> bool:
        """Whether a command waits for its reply."""
        return self._is_pending

    def greet(self) -> None:
        """Spec: RFC 5804 §1.7 (the greeting is the answer to CAPABILITY)."""
        self._output += [self._capabilities(), write.ok(f"{self._hostname} Mailstead ready")]

    def send(self, octets: bytes) -> None:
        """Send data that stands before the OK of a command (`write.script`, `write.script_list`)."""
        self._must_be_pending()
        self._output.append(octets)

    def ok(self, text: str = "") -> None:
        """Complete a command that went well."""
        self._complete(write.ok(text))
        self._went_well()

    def no(self, text: str, code: Code = Code.NONE) -> None:
        """Complete a command that did not. Spec: RFC 5804 §1.3."""
        self._complete(write.no(text, code))
        self._count_error()

    def auth_challenge(self, line: bytes) -> None:
        """Send a challenge, base64 already, and expect the client's string. Spec: RFC 5804 §2.1."""
        self._complete(write.string(line) + b"\r\n")
        self._in_sasl = True

    def logged_in(self, owner: str) -> None:
        """Complete the log-in. Spec: RFC 5804 §2.1."""
        self._state = State.AUTHENTICATED
        self._owner = owner
        self._complete(write.ok("Logged in"))
        self._went_well()

    def unauthenticated(self) -> None:
        """Complete UNAUTHENTICATE: as if nobody had logged in yet, but for TLS. Spec: RFC 5804 §2.14.1."""
        self._state = State.NON_AUTHENTICATED
        self._owner = ""
        self._complete(write.ok())

    def accept_starttls(self) -> None:
        """Complete STARTTLS: behind this reply is TLS, and all that was said before is forgotten.

        Spec: RFC 5804 §2.2; attack row 3.
        """
        self._complete(write.ok("Begin TLS negotiation"))
        self._is_encrypted = True
        self._tls_begins = True

    def stop(self) -> None:
        """The server stops: say so once no reply is under way."""
        self._end_with(write.bye("The server is stopping; please come again", Code.TRYLATER))

    def revoke(self) -> None:
        """The password is no longer one: end once no reply is under way. Spec: attack row 64."""
        self._end_with(write.bye("Your log-in is no longer valid"))

    # --- inside

    @property
    def _octets_max(self) -> int:
        """Literals of a command: before log-in nobody needs to say much."""
        if self._state is State.NON_AUTHENTICATED:
            return LOGIN_OCTETS_MAX
        return self._limits.script_octets_max + 2 * write.QUOTED_OCTETS_MAX

    def _sasl_response(self, pieces: list[bytes]) -> Event:
        """A string of a SASL exchange. Spec: RFC 5804 §2.1."""
        self._in_sasl = False
        try:
            line = parse.response(pieces)
        except parse.BadCommand as error:
            return self._refused("syntax", str(error))
        self._is_pending = True
        return types.AuthResponse(line)

    def _command(self, pieces: list[bytes]) -> Event | None:
        """Parse a command and hold it against the table; None when it is answered without the session."""
        if parse.looks_like_http(pieces[0]) or pieces[0].startswith(_QUIRK_TLS_PROBE):
            # Spec: attack row 26. What follows is another protocol's: not one line more is looked at.
            self._close(write.bye("This is ManageSieve"))
            return types.Refused("other-protocol")
        try:
            command = parse.parse(pieces)
        except parse.BadCommand as error:
            return self._refused("syntax", str(error))
        kind = type(command)
        if self._state not in states.ALLOWED[kind]:
            return self._refused("state", f"Not in the {self._state.value} state")
        if kind in states.NEEDS_TLS and not self._is_encrypted:
            return self._refused("clear-text", "Only under TLS: use STARTTLS first", Code.ENCRYPT_NEEDED)
        match command:
            case types.Capability():
                self._output += [self._capabilities(), write.ok()]
            case types.Noop(tag):
                # Spec: RFC 5804 §2.13: the tag comes back, so that clients can tell answers apart.
                code = b"" if tag is None else b"TAG " + write.string(tag)
                self._output.append(write.ok("Done", code))
            case types.Logout():
                # Spec: RFC 5804 §2.3.
                self._close(write.ok("Goodbye"))
            case types.StartTls():
                return self._starttls(command)
            case _:
                self._is_pending = True
                return command
        return None

    def _starttls(self, command: types.StartTls) -> Event:
        """STARTTLS. Spec: RFC 5804 §2.2."""
        if self._is_encrypted or not self._may_start_tls:
            return self._refused("state", "TLS is there already" if self._is_encrypted else "There is no TLS here")
        if self._reader.has_more:
            # Spec: attack row 3. Whoever pipelines behind STARTTLS has somebody in between, or is that somebody.
            self._reader.drop()
            self._close(write.bye("Nothing may follow STARTTLS before the handshake"))
            return types.Refused("starttls-injection")
        self._is_pending = True
        return command

    def _capabilities(self) -> bytes:
        """What works now, and nothing else. Spec: RFC 5804 §1.7."""
        offer = self._offer
        items: list[tuple[str, str | None]] = [
            ("IMPLEMENTATION", "Mailstead"),
            ("SASL", " ".join(self._mechanisms) if self._is_encrypted else ""),
            ("SIEVE", " ".join(offer.extensions)),
        ]
        if offer.notify_methods:
            items.append(("NOTIFY", " ".join(offer.notify_methods)))
        if not self._is_encrypted and self._may_start_tls:
            items.append(("STARTTLS", None))
        items.append(("MAXREDIRECTS", str(offer.redirects_max)))
        if self._owner:
            items.append(("OWNER", self._owner))
        items += [("UNAUTHENTICATE", None), ("VERSION", "1.0")]
        return write.capabilities(items)

    def _refused(self, reason: str, text: str, code: Code = Code.NONE) -> types.Refused:
        self._output.append(write.no(text, code))
        self._count_error()
        return types.Refused(reason)

    def _went_well(self) -> None:
        """Forgive mistakes after log-in: who writes scripts makes many."""
        if self._state is State.AUTHENTICATED:
            self._error_count = 0

    def _count_error(self) -> None:
        self._error_count += 1
        if self._error_count >= self._limits.errors_max and not self._wants_close:
            self._close(write.bye("Too many errors", Code.TRYLATER))

    def _complete(self, output: bytes) -> None:
        self._must_be_pending()
        self._output.append(output)
        self._is_pending = False
        if self._last_words is not None and not self._wants_close:
            self._close(self._last_words)

    def _must_be_pending(self) -> None:
        if not self._is_pending:
            raise LocalProtocolError("no command waits for a reply")

    def _end_with(self, last_words: bytes) -> None:
        self._last_words = last_words
        if not self._is_pending and not self._wants_close:
            self._close(last_words)

    def _close(self, goodbye: bytes) -> None:
        self._output.append(goodbye)
        self._wants_close = True
