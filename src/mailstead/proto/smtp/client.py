"""The client's side of an SMTP conversation: commands out, replies in, pipelined where the server allows it.

Theory of operation: each `send_…` queues a command and notes which verb it is; `next_event` pairs the replies with the
verbs in their order. A server that answers what was not asked, or whose replies have no end, gives a
RemoteProtocolError: such a conversation cannot go on (attack rows 4 and 25).

Spec: RFC 5321; RFC 2920 (PIPELINING); RFC 3030 (CHUNKING); RFC 3207 (STARTTLS); RFC 4954 (AUTH).
"""

from __future__ import annotations

import binascii
import re
from collections import deque
from collections.abc import Iterator
from typing import Final

from mailstead.model.envelope import Envelope, Recipient
from mailstead.proto.connection import NEED_DATA, LocalProtocolError, Pause, RemoteProtocolError
from mailstead.proto.smtp import write
from mailstead.proto.smtp.types import Reply, ReplyReceived

REPLY_LINE_OCTETS_MAX: Final = 4096
"""RFC 5321 §4.5.3.1.5 says 512; servers with long texts and base64 challenges are real."""
REPLY_OCTETS_MAX: Final = 65536
REPLY_LINES_MAX: Final = 500

# RFC 5321 §4.2: Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
_REPLY_LINE: Final = re.compile(rb"([2-5][0-9][0-9])(?:([ -])([^\r\n\x00]*))?")
# RFC 3463 §2: status-code = class "." subject "." detail
_ENHANCED: Final = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)")


class ClientConnection:
    """One conversation with an SMTP server; implements `proto.connection.Connection` with `ReplyReceived` events."""

    def __init__(self, *, reply_limit_s: float = 300.0) -> None:
        self._reply_limit_s = reply_limit_s
        self._buffer = b""
        self._output: list[bytes] = []
        self._expected: deque[str] = deque(["GREETING"])
        self._lines: list[str] = []
        self._code = 0
        self._reply_octets = 0
        self._is_closed = False
        self._is_eof = False
        self.extensions: dict[str, str] = {}
        """Keywords of the last EHLO reply, in upper case, with their parameters. Spec: RFC 5321 §4.1.1.1."""

    # what the driver calls

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the server, in any cut."""
        if not self._is_closed:
            self._buffer += data

    def receive_eof(self) -> None:
        """The server will send nothing more."""
        self._is_eof = True

    def next_event(self) -> ReplyReceived | Pause:
        """Give the next reply.

        Errors: RemoteProtocolError for what is no reply, has no end, or answers nothing; the connection is closed then.
        """
        while not self._is_closed:
            line = self._take_line()
            if line is None:
                break
            received = self._take_reply_line(line)
            if received is not None:
                return received
        if self._is_eof and not self._is_closed:
            self._is_closed = True
            if self._expected or self._lines:
                raise RemoteProtocolError("The server has closed the connection without an answer")
        return NEED_DATA

    def data_to_send(self) -> bytes:
        """Take all output gathered so far."""
        octets = b"".join(self._output)
        self._output.clear()
        return octets

    @property
    def time_limit_s(self) -> float | None:
        """How long to wait for a reply; None: nothing is expected. Spec: RFC 5321 §4.5.3.2."""
        return self._reply_limit_s if self._expected else None

    def time_limit_passed(self) -> None:
        """Give the server up."""
        self._is_closed = True

    @property
    def wants_close(self) -> bool:
        """Whether the conversation is over."""
        return self._is_closed

    def drop_input(self) -> int:
        """Forget received, unparsed bytes. Spec: RFC 3207 §4.2."""
        count = len(self._buffer)
        self._buffer = b""
        return count

    # commands

    @property
    def expected_count(self) -> int:
        """How many replies are still to come."""
        return len(self._expected)

    def send_ehlo(self, name: str) -> None:
        """Spec: RFC 5321 §4.1.1.1."""
        self._send("EHLO", write.command_octets("EHLO", name))

    def send_helo(self, name: str) -> None:
        """Spec: RFC 5321 §4.1.1.1."""
        self._send("HELO", write.command_octets("HELO", name))

    def send_starttls(self) -> None:
        """Spec: RFC 3207 §4. On 220 the driver puts TLS in place, then EHLO is said anew."""
        if self._expected:
            raise LocalProtocolError("STARTTLS is the only command of its group (RFC 3207 §4)")
        self._send("STARTTLS", b"STARTTLS\r\n")

    def send_auth(self, mechanism: str, initial_response: bytes | None = None) -> None:
        """Spec: RFC 4954 §4."""
        words = ["AUTH", mechanism]
        if initial_response is not None:
            words.append(_base64(initial_response) or "=")
        self._send("AUTH", write.command_octets(*words))

    def send_auth_response(self, octets: bytes | None) -> None:
        """Answer a challenge; None cancels. Spec: RFC 4954 §4."""
        self._send("AUTH", write.command_octets("*" if octets is None else _base64(octets)))

    def send_mail(self, envelope: Envelope) -> None:
        """MAIL with those parameters that the server knows. Spec: RFC 5321 §4.1.1.2."""
        self._send("MAIL", write.mail_from(envelope, self.extensions))

    def send_rcpt(self, recipient: Recipient) -> None:
        """Spec: RFC 5321 §4.1.1.3."""
        self._send("RCPT", write.rcpt_to(recipient, self.extensions))

    def send_data(self) -> None:
        """DATA; the message follows with `send_message` after a 354. Spec: RFC 5321 §4.1.1.4."""
        self._send("DATA", b"DATA\r\n")

    def send_message(self, octets: bytes) -> None:
        """Send the whole message behind a 354: only CRLF, dots stuffed. Spec: RFC 5321 §2.3.8, §4.5.2."""
        self._expected.append("MESSAGE")
        self._output.append(write.data_octets(octets))

    def message_slices(self, octets: bytes, slice_octets: int) -> Iterator[bytes]:
        """As `send_message`, but give the octets in pieces, for the driver to send at the server's pace."""
        self._expected.append("MESSAGE")
        return write.data_slices(octets, slice_octets)

    def send_bdat(self, octets: bytes, *, is_last: bool) -> None:
        """Send one chunk as it is. Spec: RFC 3030 §2."""
        self.send_bdat_line(len(octets), is_last=is_last)
        self._output.append(octets)

    def send_bdat_line(self, size_octets: int, *, is_last: bool) -> None:
        """Announce a chunk, whose octets the driver sends right behind it. Spec: RFC 3030 §2."""
        self._send("BDAT", b"BDAT %d%s\r\n" % (size_octets, b" LAST" if is_last else b""))

    def send_rset(self) -> None:
        """Spec: RFC 5321 §4.1.1.5."""
        self._send("RSET", b"RSET\r\n")

    def send_noop(self) -> None:
        """Spec: RFC 5321 §4.1.1.9."""
        self._send("NOOP", b"NOOP\r\n")

    def send_quit(self) -> None:
        """Spec: RFC 5321 §4.1.1.10."""
        self._send("QUIT", b"QUIT\r\n")

    def _send(self, verb: str, octets: bytes) -> None:
        """Queue a command.

        Errors: LocalProtocolError if replies are due and the server knows no PIPELINING. Spec: RFC 2920 §3.1.
        """
        if self._is_closed:
            raise LocalProtocolError("The conversation is over")
        if self._expected and "PIPELINING" not in self.extensions:
            raise LocalProtocolError("The server knows no PIPELINING: wait for its reply")
        self._expected.append(verb)
        self._output.append(octets)

    # replies

    def _take_line(self) -> bytes | None:
        """Take one line. Errors: RemoteProtocolError for a line that is too long or ends in a bare LF."""
        end = self._buffer.find(b"\n")
        if (end if end >= 0 else len(self._buffer)) >= REPLY_LINE_OCTETS_MAX:
            raise self._broken("A reply line is too long")
        if end < 0:
            return None
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        if not line.endswith(b"\r"):
            raise self._broken("A reply line ends in a bare LF")
        return line[:-1]

    def _take_reply_line(self, line: bytes) -> ReplyReceived | None:
        """Add a line to the reply under way; give the reply when that was its last line. Spec: RFC 5321 §4.2.1."""
        match = _REPLY_LINE.fullmatch(line)
        if not match:
            raise self._broken("That is not a reply")
        code = int(match.group(1))
        if self._lines and code != self._code:
            raise self._broken("The lines of a reply have different codes")
        self._code = code
        self._lines.append((match.group(3) or b"").decode("utf-8", "replace"))
        self._reply_octets += len(line)
        if len(self._lines) > REPLY_LINES_MAX or self._reply_octets > REPLY_OCTETS_MAX:
            raise self._broken("A reply has no end")
        if match.group(2) == b"-":
            return None
        lines, self._lines, self._reply_octets = self._lines, [], 0
        if code == 421:
            # RFC 5321 §3.8: may come at any time; nothing behind it will be answered.
            verb = self._expected.popleft() if self._expected else "421"
            self._expected.clear()
            self._is_closed = True
            return ReplyReceived(verb, _reply(code, lines))
        if not self._expected:
            raise self._broken("A reply to nothing")
        verb = self._expected.popleft()
        if verb in {"EHLO", "HELO"}:
            self._note_extensions(verb, code, lines)
            return ReplyReceived(verb, Reply(code, "", tuple(lines)) if code < 400 else _reply(code, lines))
        if verb == "STARTTLS" and code == 220:
            if self._buffer:
                # Replies injected in clear text would be taken for replies under TLS.
                raise self._broken("Octets behind the reply to STARTTLS")
            self.extensions = {}
        elif verb == "QUIT":
            self._is_closed = True
        return ReplyReceived(verb, _reply(code, lines))

    def _note_extensions(self, verb: str, code: int, lines: list[str]) -> None:
        """Remember what the server offers. Spec: RFC 5321 §4.1.1.1 (ehlo-line)."""
        self.extensions = {}
        if verb == "EHLO" and code < 400:
            for line in lines[1:]:
                keyword, _, parameters = line.partition(" ")
                self.extensions[keyword.upper()] = parameters

    def _broken(self, text: str) -> RemoteProtocolError:
        self._is_closed = True
        self._buffer = b""
        return RemoteProtocolError(text)


def _base64(octets: bytes) -> str:
    return binascii.b2a_base64(octets, newline=False).decode("ascii")


def _reply(code: int, lines: list[str]) -> Reply:
    """Split the enhanced code off each line. Spec: RFC 2034 §4: its class is that of the reply code."""
    match = _ENHANCED.match(lines[0])
    if not match or match.group(1)[0] != str(code)[0]:
        return Reply(code, "", tuple(lines))
    enhanced = match.group(1)
    return Reply(code, enhanced, tuple(line.removeprefix(enhanced).lstrip(" ") for line in lines))
