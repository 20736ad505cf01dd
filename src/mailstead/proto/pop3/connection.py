"""One POP3 conversation: its grammar and state.

Theory of operation: `next_event` cuts a line, parses it, holds it against the table in `states` and answers by itself
whatever needs no store (CAPA, NOOP, USER, UTF8, every mistake). Anything else becomes an event, and the connection
pauses until the session has completed the reply: `ok` or `err` for one line, `begin_lines`, pieces and `end_lines` for
many, `auth_challenge` inside a SASL exchange. So pipelined commands (RFC 2449 §6.6) wait, unparsed.

Spec: RFC 1939; RFC 2449 (CAPA); RFC 2595 §4 (STLS); RFC 5034 (AUTH); RFC 6856 (UTF8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mailstead.model.secret import Secret
from mailstead.proto.connection import NEED_DATA, PAUSED, LocalProtocolError, Pause
from mailstead.proto.pop3 import parse, states, types, write
from mailstead.proto.pop3.framing import COMMAND_OCTETS_MAX, SASL_OCTETS_MAX, LineReader, TooLong
from mailstead.proto.pop3.types import Code, Event, State

ANSWERED_AT_ONCE: Final = 64
"""Commands answered without the session (NOOP, CAPA) before the driver is asked who is next (attack row 44)."""

_QUIRK_TLS_PROBE: Final = b"\x16\x03"
"""A client set to implicit TLS on the clear-text port: its handshake is told apart from a command, and closed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one conversation."""

    login_limit_s: float = 60.0
    idle_limit_s: float = 600.0
    errors_max: int = 20
    """Refusals in a row (before log-in: in all) before the conversation is ended (attack row 9)."""


class ServerConnection:
    """The server's side of a conversation; implements `proto.connection.Connection`."""

    def __init__(
        self,
        *,
        hostname: str = "localhost",
        is_encrypted: bool = False,
        may_start_tls: bool = True,
        limits: Limits | None = None,
        mechanisms: tuple[str, ...] = ("SCRAM-SHA-256", "PLAIN", "LOGIN"),
    ) -> None:
        self._hostname = hostname
        self._is_encrypted = is_encrypted
        self._may_start_tls = may_start_tls
        self._limits = limits or Limits()
        self._mechanisms = mechanisms
        self._reader = LineReader()
        self._output: list[bytes] = []
        self._state = State.AUTHORIZATION
        self._username: str | None = None
        self._is_pending = False
        self._in_sasl = False
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
        """The peer sends nothing more; half a line is no command."""
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
                line = self._reader.next_line(self._line_octets_max)
            except TooLong:
                self._in_sasl = False
                return self._refused("too-long", "The line is too long")
            if line is None:
                if self._has_eof:
                    self._wants_close = True
                return NEED_DATA
            event = self._sasl_line(line) if self._in_sasl else self._command_line(line)
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
        """Spec: RFC 1939 §3 (autologout of at least 10 minutes); less before log-in, where nobody is known yet."""
        if self._is_pending:
            return None
        return self._limits.login_limit_s if self._state is State.AUTHORIZATION else self._limits.idle_limit_s

    def time_limit_passed(self) -> None:
        """Say goodbye; nothing is removed, as there was no QUIT. Spec: RFC 1939 §3."""
        self._close(write.err("Autologout: too long without a command"))

    @property
    def wants_close(self) -> bool:
        """Whether to close once the output is flushed."""
        return self._wants_close

    def drop_input(self) -> int:
        """Forget what was received and not parsed. Spec: RFC 2595 §4; attack row 3."""
        return self._reader.drop()

    # --- for the session

    @property
    def is_pending(self) -> bool:
        """Whether a command waits for its reply."""
        return self._is_pending

    def greet(self) -> None:
        """Spec: RFC 1939 §4. Without a timestamp, as APOP (broken by MD5) is not offered."""
        self._output.append(write.ok(f"{self._hostname} Mailstead ready"))

    def ok(self, text: str = "") -> None:
        """Complete a command that went well."""
        self._complete(write.ok(text))
        self._went_well()

    def err(self, text: str, code: Code = Code.NONE) -> None:
        """Complete a command that did not. Spec: RFC 2449 §8."""
        self._complete(write.err(text, code))
        self._count_error()

    def begin_lines(self, text: str = "") -> None:
        """Begin a multi-line reply. Spec: RFC 1939 §3."""
        self._must_be_pending()
        self._output.append(write.ok(text))
        self._went_well()

    def send_piece(self, octets: bytes) -> None:
        """Send a piece of it, already in wire form (`write.lines`, `write.DotStuffer`)."""
        self._must_be_pending()
        self._output.append(octets)

    def end_lines(self, end: bytes = write.END) -> None:
        """End it."""
        self._complete(end)

    def auth_challenge(self, line: bytes) -> None:
        """Send a challenge, base64 already, and expect the client's line. Spec: RFC 5034 §4."""
        self._complete(b"+ " + line + b"\r\n")
        self._in_sasl = True

    def logged_in(self, text: str) -> None:
        """Complete the log-in: the TRANSACTION state begins. Spec: RFC 1939 §5."""
        self._state = State.TRANSACTION
        self._username = None
        self._complete(write.ok(text))
        self._went_well()

    def accept_stls(self) -> None:
        """Complete STLS: behind this reply is TLS, and all that was said before is forgotten.

        Spec: RFC 2595 §4; attack row 3.
        """
        self._complete(write.ok("Begin TLS negotiation"))
        self._is_encrypted = True
        self._username = None
        self._reader.drop()

    def quit(self, text: str, *, is_error: bool = False) -> None:
        """Complete QUIT after log-in. Spec: RFC 1939 §6."""
        self._must_be_pending()
        self._is_pending = False
        self._state = State.UPDATE
        self._close(write.err(text, Code.SYS_TEMP) if is_error else write.ok(text))

    def stop(self) -> None:
        """The server stops: say so once no reply is under way."""
        self._end_with(write.err("The server is stopping; please come again", Code.SYS_TEMP))

    def revoke(self) -> None:
        """The password is no longer one: end once no reply is under way. Spec: attack row 64."""
        self._end_with(write.err("Your log-in is no longer valid", Code.AUTH))

    # --- inside

    @property
    def _line_octets_max(self) -> int:
        """Until a line is there we do not know whether it is AUTH with its first response, which may be long."""
        return SASL_OCTETS_MAX if self._in_sasl or self._may_authenticate else COMMAND_OCTETS_MAX

    @property
    def _may_authenticate(self) -> bool:
        return self._state is State.AUTHORIZATION and self._is_encrypted

    def _sasl_line(self, line: bytes) -> Event:
        """A line of a SASL exchange. Spec: RFC 5034 §4."""
        self._in_sasl = False
        self._is_pending = True
        return types.AuthResponse(line)

    def _command_line(self, line: bytes) -> Event | None:
        """Parse a line and hold it against the table; None when it is answered without the session."""
        if parse.looks_like_http(line) or line.startswith(_QUIRK_TLS_PROBE):
            # Spec: attack row 26. What follows is another protocol's: not one line more is looked at.
            self._close(write.err("This is POP3"))
            return types.Refused("other-protocol")
        if len(line) + 2 > COMMAND_OCTETS_MAX and parse.keyword_of(line) != b"AUTH":
            return self._refused("too-long", "The line is too long")
        try:
            command = parse.parse(line)
        except parse.BadCommand as error:
            return self._refused("syntax", str(error))
        kind = type(command)
        if self._state not in states.ALLOWED[kind]:
            return self._refused("state", f"Not in the {self._state.value} state")
        if kind in states.NEEDS_TLS and not self._is_encrypted:
            return self._refused("clear-text", "Only under TLS: use STLS first")
        match command:
            case types.Capa():
                self._output.append(self._capabilities())
            case types.Noop():
                self._output.append(write.ok())
            case types.Utf8():
                # Nothing changes by it: names, passwords and messages are UTF-8 here in either mode.
                self._output.append(write.ok("UTF-8 it is"))
            case types.User(username):
                # Spec: RFC 1939 §7: +OK whether or not the name is known (attack row 20).
                self._username = username
                self._output.append(write.ok("And the password?"))
            case types.Pass(secret):
                return self._pass(secret)
            case types.Quit() if self._state is State.AUTHORIZATION:
                # Spec: RFC 1939 §4 (QUIT before log-in).
                self._close(write.ok("Goodbye"))
            case types.Stls():
                return self._stls(command)
            case _:
                self._is_pending = True
                return command
        return None

    def _pass(self, secret: Secret) -> Event:
        """PASS directly behind USER. Spec: RFC 1939 §7."""
        if self._username is None:
            return self._refused("state", "USER first")
        username, self._username = self._username, None
        self._is_pending = True
        return types.LogIn(username, secret)

    def _stls(self, command: types.Stls) -> Event:
        """STLS. Spec: RFC 2595 §4."""
        if self._is_encrypted or not self._may_start_tls:
            return self._refused("state", "TLS is there already" if self._is_encrypted else "There is no TLS here")
        if self._reader.has_more:
            # Spec: attack row 3. Whoever pipelines behind STLS has somebody in between, or is that somebody.
            self._reader.drop()
            self._close(write.err("Nothing may follow STLS before the handshake"))
            return types.Refused("stls-injection")
        self._is_pending = True
        return command

    def _capabilities(self) -> bytes:
        """CAPA: what works now, and nothing else. Spec: RFC 2449 §5, §6."""
        before = self._state is State.AUTHORIZATION
        items = [
            "TOP",
            "UIDL",
            "RESP-CODES",  # Spec: RFC 2449 §6.4
            "AUTH-RESP-CODE",  # Spec: RFC 3206 §6
            "PIPELINING",  # Spec: RFC 2449 §6.6
            "EXPIRE NEVER",  # Spec: RFC 2449 §6.7
            "LOGIN-DELAY 0",  # Spec: RFC 2449 §6.5
            "UTF8 USER",  # Spec: RFC 6856 §2.1, §2.2
        ]
        if before and self._is_encrypted:
            items += ["USER", "SASL " + " ".join(self._mechanisms)]  # Spec: RFC 2449 §6.2, RFC 5034 §3
        if before and not self._is_encrypted and self._may_start_tls:
            items.append("STLS")  # Spec: RFC 2595 §4
        items.append("IMPLEMENTATION Mailstead")  # Spec: RFC 2449 §6.9
        return write.ok("This is what I can do") + write.lines(items) + write.END

    def _refused(self, reason: str, text: str) -> Event:
        """Answer a mistake by itself, and tell the session so that it can count."""
        self._output.append(write.err(text))
        self._username = None
        self._count_error()
        return types.Refused(reason)

    def _went_well(self) -> None:
        """Forgive mistakes after log-in: who works may meet many messages that another client has removed."""
        if self._state is State.TRANSACTION:
            self._error_count = 0

    def _count_error(self) -> None:
        self._error_count += 1
        if self._error_count >= self._limits.errors_max and not self._wants_close:
            self._close(write.err("Too many errors"))

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
