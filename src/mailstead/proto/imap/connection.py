"""One client's conversation: grammar, state, and who speaks next.

Theory of operation: `next_event` runs a small machine. What is read next is a `_Reading`: a command's lines, a literal
inside it, the octets of a message, what must be swallowed after a refusal, a SASL answer, or DONE. A whole command is
checked against `states.RULES`, parsed, and given out as `Request`; from then on the connection is paused until
`finish`. Syntax errors, commands out of place and oversized ones are answered here and never seen outside; so are
CAPABILITY and LOGOUT.

Spec: RFC 9051 §2.2, §3, §5.5 (one command at a time); RFC 7888; RFC 2177; RFC 4959; attack rows 3, 26, 41
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from dataclasses import dataclass
from enum import Enum
from typing import Final

from mailstead.proto.connection import NEED_DATA, PAUSED, LocalProtocolError, Pause
from mailstead.proto.imap import capabilities
from mailstead.proto.imap.framing import Framing, Line, LineTooLong, LiteralHead
from mailstead.proto.imap.parse import ARGUMENTS, BARE, Cursor, Incomplete, Refusal, parse
from mailstead.proto.imap.parse.account import decode_base64
from mailstead.proto.imap.parse.append import IS_APPEND, append_head, append_next
from mailstead.proto.imap.states import RULES, Needs, State
from mailstead.proto.imap.types.commands import AppendMessage, Capability, Logout, Replace, Search
from mailstead.proto.imap.types.events import (
    AppendAborted,
    AppendBegin,
    AppendEnd,
    AppendNext,
    Closed,
    Event,
    IdleDone,
    LiteralChunk,
    Request,
    Result,
    SaslCancelled,
    SaslResponse,
)
from mailstead.proto.imap.write import code as codes
from mailstead.proto.imap.write import responses

LITERALS_MAX: Final = 1000
"""Literals in one command (attack row 41)."""
LITERAL_MINUS_OCTETS_MAX: Final = 4096
"""Spec: RFC 7888 §5 (LITERAL-)."""

# tag = 1*<any ASTRING-CHAR except "+">
_TAG: Final = re.compile(rb'([^\x00-\x20\x7f-\xff(){%*"\\+]{1,255}) ')
_VERB: Final = re.compile(rb"(?:UID )?[A-Z]+(?= |\Z)", re.IGNORECASE)
_METADATA: Final = re.compile(_TAG.pattern + rb"[GS]ETMETADATA ", re.IGNORECASE)
# The first line of a cross-protocol request (attack row 26)
_HTTP: Final = re.compile(
    rb"(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI) +(?:/|\*|https?:|[^ ]+ HTTP/)", re.IGNORECASE
)

MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "LOGIN")


@dataclass(frozen=True, slots=True)
class ImapLimits:
    """What a client may ask of the connection."""

    command_octets_max: int = 65536
    command_octets_before_login_max: int = 8192
    append_octets_max: int = 52_428_800
    errors_max: int = 20
    """BADs in a row before BYE."""
    login_limit_s: float = 60.0
    idle_limit_s: float = 1800.0
    literal_limit_s: float = 300.0
    """Silence within a literal."""


class _Reading(Enum):
    COMMAND = "the lines of a command"
    LITERAL = "a literal inside a command"
    DECISION = "nothing: the session decides about a message literal"
    MESSAGE = "the octets of a message"
    AFTER_MESSAGE = "the line behind a message"
    SWALLOW_LITERAL = "a literal that was refused"
    SWALLOW_LINE = "the line behind a refused literal"
    SASL = "a SASL answer"
    IDLE = "DONE"


class ImapConnection:
    """The server's side of one IMAP conversation. Keeps `mailstead.proto.connection.Connection`."""

    __slots__ = (
        "_errors_in_a_row",
        "_further",
        "_further_inside",
        "_has_logged_in",
        "_input",
        "_is_at_eof",
        "_is_closed_told",
        "_is_compressed",
        "_is_idle_broken",
        "_is_paused",
        "_is_replace",
        "_limits",
        "_literal_count",
        "_literal_left",
        "_may_start_tls",
        "_mechanisms",
        "_message",
        "_output",
        "_pieces",
        "_pieces_octets",
        "_reading",
        "_swallow_left",
        "_tag",
        "_takes_bare_lf",
        "_without",
        "enabled",
        "is_encrypted",
        "refused_count",
        "state",
    )

    def __init__(
        self,
        limits: ImapLimits,
        *,
        is_encrypted: bool,
        may_start_tls: bool = True,
        mechanisms: tuple[str, ...] = MECHANISMS,
        without: frozenset[str] = frozenset(),
    ) -> None:
        """Begin before the greeting; `without` names capabilities not to be offered."""
        self.state = State.NOT_AUTHENTICATED
        self.is_encrypted = is_encrypted
        self.enabled: frozenset[str] = frozenset()
        """Of CONDSTORE, QRESYNC, IMAP4REV2, UTF8=ACCEPT."""
        self.refused_count = 0
        """How many commands were refused here, without the session hearing of them; for its metrics."""
        self._limits: Final = limits
        self._may_start_tls = may_start_tls
        self._mechanisms: Final = mechanisms
        self._without: Final = without
        self._further: tuple[str, ...] = ()
        self._further_inside: tuple[str, ...] = ()
        self._takes_bare_lf = False
        self._is_compressed = False
        self._input = Framing()
        self._output: list[bytes] = []
        self._reading = _Reading.COMMAND
        self._is_paused = False
        self._is_at_eof = False
        self._is_closed_told = False
        self._tag = b"*"
        self._pieces: list[bytes] = []
        self._pieces_octets = 0
        self._literal_count = 0
        self._literal_left = 0
        self._message: AppendMessage | None = None
        self._is_replace = False
        self._swallow_left = 0
        self._errors_in_a_row = 0
        self._has_logged_in = False
        self._is_idle_broken = False

    # what the driver says

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer, in any cut."""
        if self.state is not State.LOGOUT:
            self._input.feed(data)

    def receive_eof(self) -> None:
        """The peer will send nothing more."""
        self._is_at_eof = True

    def data_to_send(self) -> bytes:
        """Take all output gathered so far."""
        if not self._output:
            return b""
        data = self._output[0] if len(self._output) == 1 else b"".join(self._output)
        self._output.clear()
        return data

    @property
    def time_limit_s(self) -> float | None:
        """How long the peer may be silent. Spec: RFC 9051 §5.4 (at least 30 minutes once authenticated)."""
        if self._is_paused:
            return None
        if self.state is State.NOT_AUTHENTICATED:
            return self._limits.login_limit_s
        if self._reading in {_Reading.MESSAGE, _Reading.LITERAL, _Reading.SWALLOW_LITERAL}:
            return self._limits.literal_limit_s
        return self._limits.idle_limit_s

    def time_limit_passed(self) -> None:
        """Say goodbye. Spec: RFC 9051 §5.4 (autologout)."""
        self.refuse("Nothing was heard for too long", b"")

    @property
    def wants_close(self) -> bool:
        """Whether the driver shall close once the output is flushed."""
        return self.state is State.LOGOUT

    @property
    def buffered_octets(self) -> int:
        """How much received input waits for its turn; a driver may stop reading above some mark."""
        return len(self._input)

    def drop_input(self) -> int:
        """Forget received, unparsed bytes (attack row 3) and say how many there were."""
        return self._input.clear()

    def next_event(self) -> Event | Pause:
        """Give the next event, or why there is none."""
        while True:
            if self.state is State.LOGOUT:
                return self._closed()
            if self._is_paused:
                return PAUSED
            try:
                event = self._step()
            except LineTooLong:
                self.refuse("That line has no end", b"TOOBIG")
                continue
            if event is NEED_DATA and self._is_at_eof:
                return self._closed()
            if event is not None:
                return event

    # what the session says

    @property
    def is_utf8(self) -> bool:
        """Whether names and strings go out as UTF-8. Spec: RFC 6855 §3, RFC 9051 §5.1."""
        return bool(self.enabled & {"UTF8=ACCEPT", "IMAP4REV2"})

    @property
    def is_answering(self) -> bool:
        """Whether a command is being answered; if not, EXPUNGE may be sent in IDLE only. Spec: RFC 9051 §7.5.1."""
        return self._is_paused

    @property
    def is_idling(self) -> bool:
        """Whether IDLE is on."""
        return self._reading is _Reading.IDLE

    def capabilities(self) -> list[bytes]:
        """Give what is offered now. Spec: RFC 9051 §6.1.1."""
        return capabilities.capabilities(
            self.state,
            may_log_in=self.is_encrypted,
            may_start_tls=self._may_start_tls and not self.is_encrypted,
            may_compress=not self._is_compressed,
            mechanisms=self._mechanisms,
            append_octets_max=self._limits.append_octets_max,
            without=self._without,
            further=self._further if self.state is State.NOT_AUTHENTICATED else self._further_inside,
        )

    def offer(self, further: tuple[str, ...]) -> None:
        """Offer these, too, before log-in. Call before `greet`."""
        self._further = further

    def greet(self, text: str) -> None:
        """``* OK [CAPABILITY …] text``. Spec: RFC 9051 §7.1.1, §2.2.2."""
        self.send(responses.ok(text, codes.capability(self.capabilities())))

    def refuse(self, text: str, code: bytes = b"UNAVAILABLE") -> None:
        """``* BYE [code] text`` and close: instead of a greeting or at any later moment. Spec: RFC 9051 §7.1.5."""
        if self.state is not State.LOGOUT:
            self.send(responses.bye(text, code))
            self._close()

    def send(self, data: bytes) -> None:
        """Queue untagged responses, or pieces of one, made by `write`."""
        if data and self.state is not State.LOGOUT:
            self._output.append(data)

    def finish(self, result: Result, text: str, code: bytes = b"") -> None:
        """End the command under way by its tagged response; the next command may come. Spec: RFC 9051 §7.1."""
        if self.state is State.LOGOUT:
            return  # BYE came in between: nothing more may be said
        if not self._is_paused or self._reading is _Reading.DECISION:
            raise LocalProtocolError("No command is waiting for its end")
        if self._has_logged_in and not code:
            # RFC 9051 §6.2.2, §6.2.3: saves the client a CAPABILITY
            code = codes.capability(self.capabilities())
        if self._is_idle_broken:
            result, text, code = Result.BAD, "IDLE ends with DONE", b""
        self._has_logged_in = self._is_idle_broken = False
        self._complete(result, text, code)
        self._is_paused = False
        self._reading = _Reading.COMMAND

    def challenge(self, data: bytes) -> None:
        """``+ base64``; `SaslResponse` or `SaslCancelled` follows. Spec: RFC 9051 §6.2.2."""
        self._must_be_paused()
        self.send(b"+ " + b2a_base64(data, newline=False) + b"\r\n")
        self._reading = _Reading.SASL
        self._is_paused = False

    def accept_literal(self) -> None:
        """After AppendBegin or AppendNext: let the message come. Spec: RFC 9051 §4.3, RFC 7888 §4."""
        message = self._must_decide()
        if message.is_synchronising:
            self.send(b"+ Ready for the message\r\n")
        self._literal_left = message.size_octets
        self._reading = _Reading.MESSAGE
        self._is_paused = False

    def refuse_literal(self, result: Result, text: str, code: bytes = b"") -> None:
        """After AppendBegin or AppendNext: end the command so; what is sent anyway is swallowed. Spec: RFC 7888 §4."""
        message = self._must_decide()
        self._is_paused = False
        self._complete(result, text, code)
        self._reading = _Reading.COMMAND
        self._swallow(LiteralHead(message.size_octets, message.is_synchronising))

    def begin_idle(self) -> None:
        """``+ idling``: from now on `send` at will, until `IdleDone`. Spec: RFC 9051 §6.3.13."""
        self._must_be_paused()
        self.send(b"+ idling\r\n")
        self._reading = _Reading.IDLE
        self._is_paused = False

    def log_in(self, further: tuple[str, ...] = (), *, takes_bare_lf: bool = False) -> None:
        """Become authenticated. Call before `finish`, which then adds the CAPABILITY code if no other is given.

        `further`: what this account is offered beside the rest; `takes_bare_lf`: see `_may_end_bare`.
        """
        self._further_inside = further
        self._takes_bare_lf = takes_bare_lf
        self.state = State.AUTHENTICATED
        self._has_logged_in = True

    def log_out(self) -> None:
        """Become not authenticated, nothing enabled, nothing selected. Spec: RFC 8437 §2 (UNAUTHENTICATE)."""
        self.state = State.NOT_AUTHENTICATED
        self.enabled = frozenset()
        self._further_inside = ()
        self._takes_bare_lf = False

    def select(self) -> None:
        """Become selected. Spec: RFC 9051 §6.3.2."""
        self.state = State.SELECTED

    def unselect(self) -> None:
        """Have nothing selected any more (CLOSE, UNSELECT, a SELECT that failed). Spec: RFC 9051 §6.3.2, §6.4.1."""
        self.state = State.AUTHENTICATED

    def enable(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Enable what is known of `names`; gives what is new, for ``* ENABLED``.

        Spec: RFC 9051 §6.3.1, RFC 7162 §3.2.3
        """
        before = self.enabled
        for name in names:
            if name not in self._without:
                self.enabled |= capabilities.ENABLED_BY.get(name, frozenset())
        # in the spelling of the registry
        return tuple(sorted(name.replace("IMAP4REV2", "IMAP4rev2") for name in self.enabled - before))

    def tls_started(self) -> None:
        """TLS is on; the driver has dropped the input. Spec: RFC 9051 §6.2.1, attack row 3."""
        self.is_encrypted = True
        self._reset_command()

    def compression_started(self) -> None:
        """COMPRESS is on: it is neither offered nor allowed again. Spec: RFC 4978 §3."""
        self._is_compressed = True

    # the machine

    def _step(self) -> Event | Pause | None:
        """Take one step; None when something was done but nothing need be told."""
        match self._reading:
            case _Reading.COMMAND:
                return self._read_command()
            case _Reading.MESSAGE:
                return self._read_message()
            case _Reading.LITERAL:
                return self._read_literal()
            case _Reading.AFTER_MESSAGE:
                return self._read_after_message()
            case _Reading.SWALLOW_LITERAL | _Reading.SWALLOW_LINE:
                return self._read_refused()
            case _Reading.SASL:
                return self._read_sasl()
            case _Reading.IDLE:
                return self._read_done()
            case _Reading.DECISION:  # pragma: no cover  (always paused)
                return PAUSED

    @property
    def _command_octets_max(self) -> int:
        if self.state is State.NOT_AUTHENTICATED:
            return self._limits.command_octets_before_login_max
        return self._limits.command_octets_max

    def _line(self) -> Line | None:
        limit = self._command_octets_max
        return self._input.line(max(limit - self._pieces_octets, 0), skip_limit=16 * limit)

    def _read_command(self) -> Event | Pause | None:
        line = self._line()
        if line is None:
            return NEED_DATA
        if not self._pieces:
            if _HTTP.match(line.text):
                # no word of thanks: whoever reads this is a browser, not a client (attack row 26)
                self.refused_count += 1
                self.refuse("This is IMAP", b"")
                return None
            tag = _TAG.match(line.text)
            self._tag = tag.group(1) if tag else b"*"
        if line.is_too_long:
            self._refuse_command(Refusal("That command is too long", code=b"TOOBIG"), line.literal)
            return None
        if line.is_bare and not self._may_end_bare(line.text):
            self._refuse_command(Refusal("Lines end with CRLF"), None)
            return None
        if line.literal is not None:
            return self._read_literal_head(line.text, line.literal)
        if self._pieces:
            raw = b"".join((*self._pieces, line.text))
            self._reset_command()
        else:
            raw = line.text
        return self._take_command(raw)

    def _may_end_bare(self, text: bytes) -> bool:
        """Whether a command may end in LF alone: GETMETADATA and SETMETADATA on one line, in chatmail domains only.

        Programs that test chatmail relays send them so. It opens no way to smuggle: a line has always ended at its LF
        here, the command before it being refused, so what counts as a command stays the same; and such a line still
        announces no literal, whose octets somebody between us and the client could read as commands.
        """
        return self._takes_bare_lf and not self._pieces and _METADATA.match(text) is not None

    def _read_literal_head(self, text: bytes, head: LiteralHead) -> Event | None:
        """A line ends with a literal: of a message, or of the command itself."""
        raw = b"".join((*self._pieces, text, b"\r\n"))
        try:
            if IS_APPEND.match(raw):
                event = self._begin_append(raw)
                if event is not None:
                    return event
            self._check_literal(head, len(raw))
        except Refusal as refusal:
            self._refuse_command(refusal, head)
            return None
        self._pieces = [raw]
        self._pieces_octets = len(raw) + head.size_octets
        self._literal_count += 1
        self._literal_left = head.size_octets
        self._reading = _Reading.LITERAL
        if head.is_synchronising:
            self.send(b"+ Ready for the literal\r\n")
        return None

    def _check_literal(self, head: LiteralHead, octets_before: int) -> None:
        if octets_before + head.size_octets > self._command_octets_max or self._literal_count >= LITERALS_MAX:
            raise Refusal("That command is too long", code=b"TOOBIG")
        if (
            self.state is State.NOT_AUTHENTICATED
            and not head.is_synchronising
            and head.size_octets > LITERAL_MINUS_OCTETS_MAX
        ):
            raise Refusal(f"Such a literal has at most {LITERAL_MINUS_OCTETS_MAX} octets", code=b"TOOBIG")

    def _read_literal(self) -> Pause | None:
        octets = self._input.octets(self._literal_left)
        if octets is None:
            return NEED_DATA
        self._pieces.append(octets)
        self._reading = _Reading.COMMAND
        return None

    def _take_command(self, raw: bytes) -> Event | None:
        try:
            tag = _TAG.match(raw)
            if tag is None:
                raise Refusal("A command is: tag, space, name")
            position = tag.end()
            verb = self._verb(raw, position)
            rule = RULES.get(verb)
            if rule is None or (verb not in BARE and verb not in ARGUMENTS):
                # APPEND and REPLACE end in a message literal, so without one they are no commands
                raise Refusal("A message literal is missing" if rule else "Unknown command")
            self._check_rule(verb)
            command = parse(verb, Cursor(raw, position=position + len(verb), is_utf8=self.is_utf8))
            if isinstance(command, Search) and command.has_charset and "UTF8=ACCEPT" in self.enabled:
                # RFC 6855 §3: there is one charset then, and naming another contradicts it
                raise Refusal("There is no CHARSET after ENABLE UTF8=ACCEPT")
        except Refusal as refusal:
            self._refuse_command(refusal, None)
            return None
        if isinstance(command, Capability):
            self.send(responses.capability(self.capabilities()))
            self._complete(Result.OK, "That is what I can do")
            return None
        if isinstance(command, Logout):
            # RFC 9051 §6.1.3: BYE before the tagged OK
            self.send(responses.bye("Until next time"))
            self._complete(Result.OK, "Logged out")
            self._close()
            return None
        self._is_paused = True
        return Request(self._tag, command)

    @staticmethod
    def _verb(raw: bytes, position: int) -> bytes:
        match = _VERB.match(raw, position)
        if match is None:
            raise Refusal("Unknown command")
        return match.group().upper()

    def _check_rule(self, verb: bytes) -> None:
        rule = RULES[verb]
        if self.state not in rule.states:
            raise Refusal(f"{verb.decode('ascii')} is not allowed in this state")
        match rule.needs:
            case Needs.ENCRYPTION if not self.is_encrypted:
                # RFC 5530 §3
                raise Refusal("Begin TLS first", Result.NO, b"PRIVACYREQUIRED")
            case Needs.CLEAR_TEXT if self.is_encrypted or not self._may_start_tls:
                raise Refusal("TLS is on already" if self.is_encrypted else "There is no TLS here")
            case Needs.NO_COMPRESSION if self._is_compressed:
                # RFC 4978 §3
                raise Refusal("Compression is on already", Result.NO, b"COMPRESSIONACTIVE")
            case _:
                pass

    # APPEND and REPLACE

    def _begin_append(self, raw: bytes) -> Event | None:
        """Take the head of an APPEND; None when its literal is the mailbox name's."""
        tag = _TAG.match(raw)
        if tag is None:
            raise Refusal("A command is: tag, space, name")
        verb = self._verb(raw, tag.end())
        self._check_rule(verb)
        cursor = Cursor(raw, position=tag.end() + len(verb), is_utf8=self.is_utf8)
        cursor.space()
        try:
            command, message = append_head(cursor, verb)
        except Incomplete:
            return None
        self._check_message(message)
        self._reset_command()
        self._is_replace = isinstance(command, Replace)
        self._ask(message)
        return AppendBegin(self._tag, command, message)

    def _check_message(self, message: AppendMessage) -> None:
        if message.size_octets > self._limits.append_octets_max:
            # RFC 7889 §4, RFC 4469 §4.2
            raise Refusal("The message is too large", Result.NO, b"TOOBIG")
        if not message.size_octets:
            # RFC 3502 §6.3.11: how a client takes an APPEND back
            raise Refusal("The message is empty", Result.NO)

    def _ask(self, message: AppendMessage) -> None:
        self._message = message
        self._reading = _Reading.DECISION
        self._is_paused = True

    def _read_message(self) -> Event | Pause:
        if not self._input:
            return NEED_DATA
        data = self._input.some(self._literal_left)
        self._literal_left -= len(data)
        if self._literal_left == 0:
            self._reading = _Reading.AFTER_MESSAGE
        assert self._message is not None
        if not self._message.is_binary and data.find(0) >= 0:
            # literal = … *CHAR8, and CHAR8 has no NUL (RFC 9051 §9, attack row 6)
            # the rest is on its way already, whatever kind of literal it is
            rest = LiteralHead(self._literal_left, is_synchronising=False)
            return self._abort_append(Refusal("A message has no NUL octets; literal8 is for those"), rest)
        return LiteralChunk(data)

    def _read_after_message(self) -> Event | Pause:
        line = self._line()
        if line is None:
            return NEED_DATA
        assert self._message is not None
        try:
            if line.is_too_long or line.is_bare:
                raise Refusal("That is no end of a command")
            cursor = Cursor(line.text + (b"\r\n" if line.literal else b""), is_utf8=self.is_utf8)
            following = append_next(cursor, self._message, is_multiple=not self._is_replace)
            if following is not None:
                self._check_message(following)
        except Refusal as refusal:
            return self._abort_append(refusal, line.literal)
        if following is None:
            self._message = None
            self._is_paused = True
            return AppendEnd(self._tag)
        self._ask(following)
        return AppendNext(self._tag, following)

    def _abort_append(self, refusal: Refusal, head: LiteralHead | None) -> Event:
        self._reading = _Reading.COMMAND
        self._message = None
        self.refused_count += 1
        self._complete(refusal.result, refusal.text, refusal.code)
        if head is not None:
            self._swallow(head)
        return AppendAborted(self._tag)

    # refusals

    def _refuse_command(self, refusal: Refusal, head: LiteralHead | None) -> None:
        """Answer a command here; if its line ends with a literal, see to what the client does with that."""
        self.refused_count += 1
        self._reset_command()
        self._complete(refusal.result, refusal.text, refusal.code)
        if head is not None:
            self._swallow(head)

    def _swallow(self, head: LiteralHead) -> None:
        """Go over a refused literal; a client that waits for "+" will not send it. Spec: RFC 7888 §4."""
        if self.state is State.LOGOUT or head.is_synchronising:
            return
        is_logged_in = self.state is not State.NOT_AUTHENTICATED
        swallow_max = 2 * self._limits.append_octets_max if is_logged_in else 16 * self._command_octets_max
        if head.size_octets > swallow_max:
            # RFC 7888 §4: or close the connection
            self.refuse("That literal is too large", b"TOOBIG")
            return
        self._swallow_left = head.size_octets
        self._reading = _Reading.SWALLOW_LITERAL

    def _read_refused(self) -> Pause | None:
        if self._reading is _Reading.SWALLOW_LITERAL:
            self._swallow_left -= self._input.skip(self._swallow_left)
            if self._swallow_left:
                return NEED_DATA
            self._reading = _Reading.SWALLOW_LINE
        line = self._line()
        if line is None:
            return NEED_DATA
        self._reading = _Reading.COMMAND
        if line.literal is not None:
            self._swallow(line.literal)
        return None

    def _complete(self, result: Result, text: str, code: bytes = b"") -> None:
        self.send(responses.status(self._tag, result.value, text, code))
        if result is not Result.BAD:
            self._errors_in_a_row = 0
            return
        self._errors_in_a_row += 1
        if self._errors_in_a_row >= self._limits.errors_max:
            self.refuse("Too many bad commands", b"")

    # SASL and IDLE

    def _read_sasl(self) -> Event | Pause | None:
        line = self._line()
        if line is None:
            return NEED_DATA
        self._reading = _Reading.COMMAND
        try:
            if line.is_too_long or line.is_bare:
                raise Refusal("That is not base64")
            if line.text == b"*":
                # RFC 9051 §6.2.2
                raise Refusal("The exchange is cancelled")
            response = decode_base64(line.text)
        except Refusal as refusal:
            self._complete(refusal.result, refusal.text, refusal.code)
            return SaslCancelled(self._tag)
        self._is_paused = True
        return SaslResponse(self._tag, response)

    def _read_done(self) -> Event | Pause | None:
        line = self._line()
        if line is None:
            return NEED_DATA
        # any other line ends IDLE too, but badly: `finish` says so, whatever the session says
        self._is_idle_broken = line.text.upper() != b"DONE" or line.is_bare
        self._reading = _Reading.COMMAND
        self._is_paused = True
        return IdleDone(self._tag)

    # ends

    def _closed(self) -> Event | Pause:
        if self._is_closed_told:
            return NEED_DATA
        self._is_closed_told = True
        self.state = State.LOGOUT
        return Closed()

    def _close(self) -> None:
        self.state = State.LOGOUT
        self._is_paused = False
        self._input.clear()
        self._reset_command()

    def _reset_command(self) -> None:
        self._pieces.clear()
        self._pieces_octets = self._literal_count = self._literal_left = 0

    def _must_be_paused(self) -> None:
        if not self._is_paused or self._reading is _Reading.DECISION:
            raise LocalProtocolError("No command is being answered")

    def _must_decide(self) -> AppendMessage:
        if self._reading is not _Reading.DECISION or self._message is None:
            raise LocalProtocolError("No message literal waits")
        return self._message
