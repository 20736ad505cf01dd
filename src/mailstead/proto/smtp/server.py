"""The server's side of an SMTP conversation: grammar, order of commands, limits; no policy.

Theory of operation: `next_event` takes one command, checks it against grammar and the table in `states`, and either
answers it at once (EHLO, NOOP, every refusal; reported as `Hello`, `Reset` or `Refused`) or pauses until the session
has answered it with `reply`, `start_data`, `accept_starttls`, `auth_challenge` or `auth_succeeded`. The success of a
reply moves the state. Message data flows as `DataChunk` events without a pause; a session that cannot take more says
`fail_data`, and the rest is read and forgotten, as SMTP has no way to stop a client.

Spec: RFC 5321; RFC 2920 (PIPELINING); RFC 1870 (SIZE); RFC 6152 (8BITMIME); RFC 6531 (SMTPUTF8); RFC 3030 (CHUNKING,
BINARYMIME); RFC 3461 (DSN); RFC 2034 and RFC 3463 (ENHANCEDSTATUSCODES); RFC 3207 (STARTTLS); RFC 4954 (AUTH);
RFC 9422 (LIMITS).
"""

from __future__ import annotations

from collections import deque
from typing import Final

from mailstead.proto.connection import NEED_DATA, PAUSED, LocalProtocolError, Pause
from mailstead.proto.sasl import SaslCancelled, SaslError, decode_initial_response, decode_response, encode_challenge
from mailstead.proto.smtp import parse
from mailstead.proto.smtp.framing import Fault, Framing
from mailstead.proto.smtp.parse import CommandRefusedError
from mailstead.proto.smtp.states import ALLOWED, MOVES_NO_MAIL, State, out_of_turn
from mailstead.proto.smtp.types import (
    AUTH_LINE_OCTETS_MAX,
    COMMAND_OCTETS_MAX,
    DATA_START,
    END_OF_DATA,
    RESET,
    START_TLS,
    Auth,
    AuthResponse,
    DataChunk,
    Hello,
    Limits,
    MailFrom,
    RcptTo,
    Refused,
    Reply,
    ServerEvent,
    reply,
)
from mailstead.proto.smtp.write import reply_octets

_OK: Final = reply(250, "2.0.0", "OK")
_START_INPUT: Final = b"354 End data with <CR><LF>.<CR><LF>\r\n"
_HTTP_VERBS: Final = frozenset(
    {"GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE", "CONNECT", "PRI", "PROPFIND", "HTTP/1.1"}
)
_BARE: Final = reply(521, "5.5.2", "Bare CR or LF in a message is not accepted here; see RFC 5321 section 2.3.8")
_NUL: Final = reply(554, "5.6.0", "The message has a NUL octet; see RFC 5321 section 4.5.2")


class ServerConnection:
    """One conversation with an SMTP client; implements `proto.connection.Connection` with `ServerEvent`s."""

    def __init__(
        self,
        hostname: str,
        limits: Limits | None = None,
        *,
        is_encrypted: bool = False,
        offers_starttls: bool = True,
        mechanisms: tuple[str, ...] = (),
        requires_auth: bool = False,
        hold_max_s: int = 0,
        hold_until_max: str = "",
    ) -> None:
        self._hostname = hostname
        self._limits = limits or Limits()
        self._is_encrypted = is_encrypted
        self._offers_starttls = offers_starttls
        self._mechanisms = mechanisms
        self._requires_auth = requires_auth
        self._hold_max_s = hold_max_s
        self._hold_until_max = hold_until_max
        self._is_authenticated = False
        self._framing = Framing()
        self._output: list[bytes] = []
        self._events: deque[ServerEvent] = deque()
        self._state = State.CONNECTED
        self._pending: str | None = None
        self._is_extended = False
        self._is_eof = False
        self._is_stopping = False
        self._stop_reply = reply(421, "4.3.2")
        self._talked_early = False
        # of the transaction
        self._is_smtputf8 = False
        self._is_binarymime = False
        self._recipient_count = 0
        self._recipients_max = self._limits.recipients_max
        self._data_octets = 0
        self._data_reply: Reply | None = None
        self._is_in_chunk = False
        self._chunk_left = 0
        self._chunk_octets = 0
        self._chunk_is_last = False
        # of the conversation
        self._transaction_count = 0
        self._error_count = 0
        self._overlong_count = 0
        self._idle_count = 0
        self._excess_count = 0

    # what the driver calls

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer, in any cut."""
        if self._state is State.CONNECTED:
            # RFC 5321 §4.3.1: the client waits for the greeting; who does not, is told so by `greet` (attack row 11).
            self._talked_early = True
            data = data[: COMMAND_OCTETS_MAX - len(self._framing)]
        if self._state is not State.CLOSED:
            self._framing.feed(data)

    def receive_eof(self) -> None:
        """The peer will send nothing more; what it has sent is still answered."""
        self._is_eof = True

    def next_event(self) -> ServerEvent | Pause:
        """Give the next event, or why there is none. Never raises, whatever was received."""
        events = self._events
        while not events:
            if self._pending is not None:
                return PAUSED
            state = self._state
            if state is State.CLOSED or state is State.CONNECTED:
                return NEED_DATA
            if state is State.DATA:
                is_moving = self._advance_data()
            elif self._is_in_chunk:
                is_moving = self._advance_chunk()
            else:
                is_moving = self._advance_line()
            if not is_moving and not events and self._pending is None:
                if self._is_eof:
                    self._state = State.CLOSED
                return NEED_DATA
        return events.popleft()

    def data_to_send(self) -> bytes:
        """Take all output gathered so far."""
        output = self._output
        if not output:
            return b""
        octets = output[0] if len(output) == 1 else b"".join(output)
        output.clear()
        return octets

    @property
    def time_limit_s(self) -> float | None:
        """How long the peer may be silent now. Spec: RFC 5321 §4.5.3.2."""
        if self._pending is not None or self._state is State.CONNECTED:
            return None
        is_data = self._state is State.DATA or self._is_in_chunk
        return self._limits.data_limit_s if is_data else self._limits.command_limit_s

    def time_limit_passed(self) -> None:
        """Say 421 and be closed. Spec: RFC 5321 §3.8; RFC 3463 §3.5 (X.4.2 bad connection)."""
        self._refuse_and_close(reply(421, "4.4.2", f"{self._hostname} You were silent for too long"), "time-limit")

    @property
    def wants_close(self) -> bool:
        """Whether the conversation is over."""
        return self._state is State.CLOSED

    def drop_input(self) -> int:
        """Forget received, unparsed bytes. Spec: RFC 3207 §4.2, attack row 3."""
        return self._framing.drop()

    # what the session asks

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS is in place (or the session has just agreed to it)."""
        return self._is_encrypted

    @property
    def is_pending(self) -> bool:
        """Whether a command waits for the session's answer."""
        return self._pending is not None

    # what the session says

    def greet(self, *, refuses_early_talkers: bool = False) -> None:
        """Open the conversation, or close it with 554 if the client has not waited.

        Spec: RFC 5321 §3.1, §4.3.1; RFC 2920 §3.1; attack row 11.
        """
        if self._state is not State.CONNECTED:
            raise LocalProtocolError("The greeting was said already")
        is_flood = len(self._framing) >= COMMAND_OCTETS_MAX
        if self._talked_early and (refuses_early_talkers or is_flood):
            self._refuse_and_close(reply(554, "5.5.1", f"{self._hostname} You talked before your turn"), "early-talker")
            return
        self._state = State.GREETED
        self._output.append(f"220 {self._hostname} ESMTP ready\r\n".encode())

    def refuse_conversation(self, refusal: Reply) -> None:
        """Greet with a refusal (421, 554) and close. Spec: RFC 5321 §3.1."""
        self._refuse_and_close(refusal, "conversation")

    def reply(self, answer: Reply) -> None:
        """Answer the command that is pending; 421 and 521 also close the conversation.

        Spec: RFC 5321 §4.2, §4.3.2; RFC 7504 (521).
        """
        pending, self._pending = self._pending, None
        if pending is None:
            raise LocalProtocolError("No command is pending")
        if pending == "BDAT" and not answer.is_positive:
            # RFC 3030 §2: the octets of the chunk follow whatever we think of them; the answer comes behind them.
            self._data_reply = answer
            return
        if pending == "DATA":
            self._framing.release_line_end()
        self._write(answer)
        if answer.is_positive:
            self._move(pending)
        elif pending in {"DATA", "END"}:
            self._end_transaction()
        if self._is_stopping:
            self._say_stop()

    def start_data(self) -> None:
        """Agree to DATA or the first BDAT. Spec: RFC 5321 §4.1.1.4 (354), RFC 3030 §2 (BDAT has no such reply)."""
        pending, self._pending = self._pending, None
        self._data_octets = 0
        self._data_reply = None
        if pending == "DATA":
            self._framing.start_data()
            self._output.append(_START_INPUT)
            self._state = State.DATA
        elif pending == "BDAT":
            self._state = State.BDAT
        else:
            raise LocalProtocolError("Neither DATA nor BDAT is pending")

    def fail_data(self, answer: Reply) -> None:
        """Give up a message under way: no more chunks are reported, and the end is answered with this.

        Spec: RFC 5321 §4.2.5, RFC 1870 §6.3.
        """
        if self._state not in {State.DATA, State.BDAT}:
            raise LocalProtocolError("No message is under way")
        if self._pending == "END":
            self.reply(answer)
        elif self._data_reply is None:
            self._data_reply = answer

    def accept_starttls(self) -> None:
        """Agree to STARTTLS: what was said before counts no more. Spec: RFC 3207 §4, §4.2."""
        if self._pending != "STARTTLS":
            raise LocalProtocolError("STARTTLS is not pending")
        self._pending = None
        self._write(reply(220, "2.0.0", "Ready to start TLS"))
        self._is_encrypted = True
        self._is_extended = False
        self._state = State.GREETED

    def auth_challenge(self, octets: bytes) -> None:
        """Send a challenge and wait for the response. Spec: RFC 4954 §4."""
        self._expect_auth()
        self._output.append(b"334 " + encode_challenge(octets) + b"\r\n")
        self._state = State.AUTH

    def auth_succeeded(self) -> None:
        """The client is logged in. Spec: RFC 4954 §6 (235 2.7.0)."""
        self._expect_auth()
        self._write(reply(235, "2.7.0", "Authentication succeeded"))
        self._is_authenticated = True
        self._state = State.READY
        if self._is_stopping:
            self._say_stop()

    def allow_recipients(self, count: int) -> None:
        """Take at least so many recipients of each message from now on."""
        self._recipients_max = max(self._recipients_max, count)

    def stop(self, enhanced: str = "4.3.2", text: str = "The server stops; come back later") -> None:
        """Say 421 as soon as no reply is under way, and close. Spec: RFC 5321 §3.8."""
        self._is_stopping = True
        self._stop_reply = reply(421, enhanced, f"{self._hostname} {text}")
        if self._pending is None:
            self._say_stop()

    # commands

    def _advance_line(self) -> bool:
        """Take one line; False: there is none yet."""
        is_auth = self._state is State.AUTH or self._framing.starts_with(b"AUTH ")
        line = self._framing.take_line(AUTH_LINE_OCTETS_MAX if is_auth else COMMAND_OCTETS_MAX)
        if line is None:
            return False
        try:
            if isinstance(line, Fault):
                self._refuse_line(line)
            elif self._state is State.AUTH:
                self._auth_response(line)
            else:
                self._command(line)
        except CommandRefusedError as refused:
            self._refuse(refused.reply, refused.reason)
        return True

    def _refuse_line(self, fault: Fault) -> None:
        """Refuse what is not a line. Spec: RFC 5321 §4.2.4 (500, 501), §4.5.3.1.4; attack rows 5 and 7."""
        if self._state is State.AUTH:
            self._state = State.READY
        if fault is Fault.OVERLONG:
            self._overlong_count += 1
            if self._overlong_count > self._limits.overlong_lines_max:
                self._refuse_and_close(reply(421, "4.7.0", f"{self._hostname} Too many overlong lines"), "overlong")
            else:
                self._refuse(reply(500, "5.5.2", "The line is too long"), "overlong")
        elif fault is Fault.BARE:
            self._refuse(reply(501, "5.5.2", "A line ends in CRLF"), "bare-lf")
        else:
            self._refuse(reply(501, "5.5.2", "The line has a NUL or a bare CR"), "control")

    def _command(self, line: bytes) -> None:
        """Dispatch one command line. Spec: RFC 5321 §4.1, §4.2.4."""
        verb, argument = parse.command(line)
        allowed = ALLOWED.get(verb)
        if allowed is None:
            if verb in _HTTP_VERBS:
                # ALPACA (attack row 26): a browser is made to talk to us; nothing it says further is looked at.
                self._refuse_and_close(reply(554, "5.5.1", "This is not a web server"), "http")
            else:
                self._refuse(reply(500, "5.5.2", "Unknown command"), "unknown-command")
            return
        if verb in MOVES_NO_MAIL:
            self._idle_count += 1
            if self._idle_count > self._limits.idle_commands_max:
                text = f"{self._hostname} Too many commands without a message"
                self._refuse_and_close(reply(421, "4.7.0", text), "idle-commands")
                return
        if verb == "BDAT":
            self._command_bdat(argument)
            return
        if self._state not in allowed:
            self._refuse(out_of_turn(verb, self._state), "out-of-turn")
            return
        if verb == "MAIL":
            self._command_mail(argument)
        elif verb == "RCPT":
            self._command_rcpt(argument)
        elif verb == "DATA":
            self._command_data(argument)
        elif verb in {"EHLO", "HELO"}:
            self._command_hello(verb, argument)
        elif verb == "STARTTLS":
            self._command_starttls(argument)
        elif verb == "AUTH":
            self._command_auth(argument)
        else:
            self._command_other(verb, argument)

    def _command_hello(self, verb: str, argument: str) -> None:
        """EHLO and HELO, which also end a transaction. Spec: RFC 5321 §4.1.1.1, §4.1.4."""
        name = parse.hello_name(argument)
        self._is_extended = verb == "EHLO"
        self._end_transaction()
        self._state = State.READY
        if self._is_extended:
            self._write(Reply(250, "", (f"{self._hostname} greets {name}", *self._extensions())))
        else:
            self._write(Reply(250, "", (f"{self._hostname} greets {name}",)))
        self._events.append(Hello(name, self._is_extended))

    def _extensions(self) -> list[str]:
        """List what is offered now.

        Spec: RFC 2920, RFC 1870 §3, RFC 6152 §2, RFC 6531 §3.1, RFC 3030 §2 and §3, RFC 3461 §3, RFC 2034 §3,
        RFC 9422 §3, RFC 3207 §4.2 (not again under TLS), RFC 4954 §3, RFC 8314 §3.3 (AUTH only under TLS; row 21),
        RFC 8689 §2 (REQUIRETLS only under TLS), RFC 4865 §3 (FUTURERELEASE, with the longest time and the last moment).
        """
        limits = self._limits
        offered = ["PIPELINING", f"SIZE {limits.message_octets_max}", "8BITMIME", "SMTPUTF8", "BINARYMIME", "CHUNKING"]
        offered += ["DSN", "ENHANCEDSTATUSCODES"]
        offered.append(f"LIMITS MAILMAX={limits.transactions_max} RCPTMAX={self._recipients_max}")
        if self._offers_starttls and not self._is_encrypted:
            offered.append("STARTTLS")
        if self._is_encrypted:
            offered.append("REQUIRETLS")
        if self._hold_max_s:
            offered.append(f"FUTURERELEASE {self._hold_max_s} {self._hold_until_max}")
        if self._mechanisms and self._is_encrypted and not self._is_authenticated:
            offered.append("AUTH " + " ".join(self._mechanisms))
        return offered

    def _command_starttls(self, argument: str) -> None:
        """STARTTLS. Spec: RFC 3207 §4 (501 with an argument), §4.2; attack row 3."""
        parse.no_argument("STARTTLS", argument)
        if self._is_encrypted:
            self._refuse(reply(503, "5.5.1", "TLS is active already"), "out-of-turn")
        elif not self._offers_starttls:
            self._refuse(reply(502, "5.5.1", "STARTTLS is not offered"), "not-offered")
        elif len(self._framing):
            # Whoever pipelines behind STARTTLS is broken or injects; RFC 3207 §4 wants it to be the last command.
            self._refuse_and_close(reply(554, "5.5.1", "Nothing may follow STARTTLS before TLS"), "starttls-injection")
        else:
            self._pending = "STARTTLS"
            self._events.append(START_TLS)

    def _command_auth(self, argument: str) -> None:
        """AUTH. Spec: RFC 4954 §4, §6; RFC 8314 §3.3; attack row 21."""
        if not self._mechanisms:
            self._refuse(reply(502, "5.5.1", "AUTH is not offered here"), "not-offered")
            return
        if not self._is_encrypted:
            self._refuse(reply(538, "5.7.11", "Encryption is required: say STARTTLS first"), "auth-in-clear")
            return
        if self._is_authenticated:
            self._refuse(reply(503, "5.5.1", "You are logged in already"), "out-of-turn")
            return
        mechanism, space, initial = argument.rstrip(" ").partition(" ")
        mechanism = mechanism.upper()
        if mechanism not in self._mechanisms:
            self._refuse(reply(504, "5.5.4", "That mechanism is not offered"), "mechanism")
            return
        try:
            response = decode_initial_response(initial.encode()) if space else None
        except SaslError as error:
            self._refuse(reply(501, "5.5.2", str(error)), "syntax")
            return
        self._pending = "AUTH"
        self._events.append(Auth(mechanism, response))

    def _auth_response(self, line: bytes) -> None:
        """Take the line behind a 334. Spec: RFC 4954 §4 (``*`` cancels with 501)."""
        self._state = State.READY
        try:
            self._events.append(AuthResponse(decode_response(line)))
        except SaslCancelled:
            self._refuse(reply(501, "5.7.0", "Authentication cancelled"), "auth-cancelled")
        except SaslError as error:
            self._refuse(reply(501, "5.5.2", str(error)), "syntax")
        else:
            self._pending = "AUTH"

    def _command_mail(self, argument: str) -> None:
        """MAIL. Spec: RFC 5321 §4.1.1.2; RFC 6409 §4.3 and RFC 4954 §6 (530); RFC 9422 §4 (MAILMAX)."""
        if self._requires_auth and not self._is_authenticated:
            text = "Log in first" if self._is_encrypted else "Say STARTTLS, then log in"
            self._refuse(reply(530, "5.7.0", text), "auth-required")
            return
        if self._transaction_count >= self._limits.transactions_max:
            self._refuse_and_close(reply(421, "4.7.0", f"{self._hostname} Enough messages"), "transactions")
            return
        envelope = parse.mail(
            argument,
            is_extended=self._is_extended,
            message_octets_max=self._limits.message_octets_max,
            takes_auth=bool(self._mechanisms),
            takes_require_tls=self._is_encrypted,
            hold_max_s=self._hold_max_s,
        )
        self._is_smtputf8 = envelope.smtputf8
        self._is_binarymime = envelope.body == "BINARYMIME"
        self._pending = "MAIL"
        self._events.append(MailFrom(envelope))

    def _command_rcpt(self, argument: str) -> None:
        """RCPT. Spec: RFC 5321 §4.1.1.3, §4.5.3.1.10 (452 above the limit); RFC 9422 §4 (RCPTMAX); attack row 9."""
        if self._recipient_count >= self._recipients_max:
            # Not an error of the client, which sends the rest in another transaction; but no reason to go on for ever.
            self._excess_count += 1
            if self._excess_count > 10 * self._recipients_max:
                self._refuse_and_close(reply(421, "4.5.3", f"{self._hostname} Too many recipients"), "recipients")
                return
            self._write(reply(452, "4.5.3", "Too many recipients; send the rest in another transaction"))
            self._events.append(Refused(452, "recipients"))
            return
        recipient = parse.rcpt(
            argument, is_extended=self._is_extended, is_smtputf8=self._is_smtputf8, hostname=self._hostname
        )
        self._pending = "RCPT"
        self._events.append(RcptTo(recipient))

    def _command_data(self, argument: str) -> None:
        """DATA. Spec: RFC 5321 §4.1.1.4; RFC 3030 §3 (BINARYMIME needs BDAT)."""
        parse.no_argument("DATA", argument)
        if self._is_binarymime:
            self._refuse(reply(503, "5.5.1", "BODY=BINARYMIME needs BDAT"), "out-of-turn")
            return
        self._framing.hold_line_end()
        self._pending = "DATA"
        self._events.append(DATA_START)

    def _command_other(self, verb: str, argument: str) -> None:
        """RSET, NOOP, HELP, VRFY, EXPN, QUIT.

        Spec: RFC 5321 §4.1.1.5 to §4.1.1.10, §3.5.3 and §7.3 (252 says nothing about who exists; attack row 20).
        """
        if verb == "RSET":
            parse.no_argument(verb, argument)
            self._end_transaction()
            self._write(_OK)
            self._events.append(RESET)
        elif verb == "NOOP":
            self._write(_OK)
        elif verb == "HELP":
            self._write(reply(214, "2.0.0", "See RFC 5321"))
        elif verb == "VRFY":
            self._write(reply(252, "2.0.0", "Cannot verify, but will take a message and try"))
        elif verb == "EXPN":
            self._refuse(reply(502, "5.5.1", "EXPN is not offered"), "not-offered")
        else:
            parse.no_argument(verb, argument)
            self._write(reply(221, "2.0.0", f"{self._hostname} Goodbye"))
            self._state = State.CLOSED

    # message data

    def _advance_data(self) -> bool:
        """Take what there is of the message behind DATA. Spec: RFC 5321 §4.1.1.4; attack row 1."""
        framing = self._framing
        octets = None if framing.is_data_complete else framing.take_data()
        if isinstance(octets, Fault):
            # To go on behind it would be to guess where the message ends: that guess is the hole.
            self._refuse_and_close(_BARE, "bare-lf-in-data")
            self._events.append(RESET)
            return True
        if octets is not None:
            self._take_octets(octets)
            return True
        if not framing.is_data_complete:
            return False
        if framing.has_nul and self._data_reply is None:
            self._data_reply = _NUL
            self._events.append(Refused(_NUL.code, "nul"))
        self._end_of_data()
        return True

    def _command_bdat(self, argument: str) -> None:
        """BDAT: out of turn or not, its octets follow and must be read. Spec: RFC 3030 §2."""
        try:
            octet_count, is_last = parse.bdat(argument)
        except CommandRefusedError as refused:
            # Where the chunk would end is unknown, so its content would be read as commands (attack row 2).
            self._refuse_and_close(refused.reply._replace(code=521), refused.reason)
            return
        self._chunk_left = self._chunk_octets = octet_count
        self._chunk_is_last = is_last
        self._is_in_chunk = True
        if self._state is State.BDAT:
            return
        if self._state in ALLOWED["BDAT"]:
            self._pending = "BDAT"
            self._events.append(DATA_START)
        else:
            self._data_octets = 0
            self._data_reply = out_of_turn("BDAT", self._state)
            self._events.append(Refused(self._data_reply.code, "out-of-turn"))

    def _advance_chunk(self) -> bool:
        """Take octets of a chunk, and answer behind its end. Spec: RFC 3030 §2."""
        if self._chunk_left:
            octets = self._framing.take_counted(self._chunk_left)
            if octets is None:
                return False
            self._chunk_left -= len(octets)
            self._take_octets(octets)
            return True
        self._is_in_chunk = False
        if self._chunk_is_last or self._data_reply is not None:
            self._end_of_data()
        else:
            self._write(reply(250, "2.0.0", f"{self._chunk_octets} octets received"))
        return True

    def _take_octets(self, octets: bytes) -> None:
        """Report octets, or forget them after a refusal; not without end. Spec: RFC 1870 §6.3; attack row 23."""
        self._data_octets += len(octets)
        if self._data_reply is None:
            self._events.append(DataChunk(octets))
        elif self._data_octets > 2 * self._limits.message_octets_max:
            self._refuse_and_close(self._data_reply, "flood")

    def _end_of_data(self) -> None:
        """Ask for the verdict on the message, or say the one that stands already. Spec: RFC 5321 §4.2.5."""
        if self._data_reply is None:
            self._pending = "END"
            self._events.append(END_OF_DATA)
            return
        answer, self._data_reply = self._data_reply, None
        if self._state in {State.DATA, State.BDAT, State.RCPT}:
            self._end_transaction()
            self._events.append(RESET)
        self._write(answer)
        if self._is_stopping:
            self._say_stop()

    # states and replies

    def _move(self, pending: str) -> None:
        """Go where the success of a command leads."""
        if pending == "RCPT":
            self._state = State.RCPT
            self._recipient_count += 1
        elif pending == "MAIL":
            self._state = State.MAIL
            self._transaction_count += 1
        elif pending == "END":
            self._idle_count = 0
            self._end_transaction()

    def _end_transaction(self) -> None:
        """Be ready for the next MAIL."""
        if self._state not in {State.GREETED, State.CLOSED}:
            self._state = State.READY
        self._recipient_count = 0
        self._is_smtputf8 = self._is_binarymime = False

    def _expect_auth(self) -> None:
        if self._pending != "AUTH":
            raise LocalProtocolError("AUTH is not pending")
        self._pending = None

    def _write(self, answer: Reply) -> None:
        """Queue a reply; count it if it says that the client is at fault; end the conversation where it says so.

        Spec: RFC 5321 §3.8 (421), RFC 7504 §3 (521).
        """
        if self._state is State.CLOSED:
            return
        self._output.append(reply_octets(answer))
        code = answer.code
        if code < 400:
            return
        if code in {421, 521}:
            self._state = State.CLOSED
        elif code >= 500:
            self._error_count += 1
            if self._error_count > self._limits.errors_max:
                self._refuse_and_close(reply(421, "4.7.0", f"{self._hostname} Too many errors"), "errors")

    def _refuse(self, answer: Reply, reason: str) -> None:
        """Refuse a command by ourselves, and let the session count it."""
        self._write(answer)
        self._events.append(Refused(answer.code, reason))

    def _refuse_and_close(self, answer: Reply, reason: str) -> None:
        """Refuse, and hear nothing more."""
        if self._state is State.CLOSED:
            return
        self._output.append(reply_octets(answer))
        self._events.append(Refused(answer.code, reason))
        self._state = State.CLOSED
        self._pending = None
        self._framing.drop()

    def _say_stop(self) -> None:
        self._is_stopping = False
        self._refuse_and_close(self._stop_reply, "stopping")
