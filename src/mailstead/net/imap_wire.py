"""One conversation with somebody else's IMAP server, in a thread: `imaplib`, with bounds.

The server is whatever somebody has typed in, so it is not trusted: what it may send is bounded for each command, a
literal that is larger than wanted is thrown away as it comes, and nothing that came before TLS counts behind it.

Spec: RFC 3501; RFC 8314 §3 (TLS), RFC 9051 §6.2.1 (STARTTLS); attack rows 4, 37.
"""

from __future__ import annotations

import imaplib
import socket
import ssl
from typing import Any, Final

from mailstead.model.secret import Secret

LINE_OCTETS_MAX: Final = 1024 * 1024
ANSWER_OCTETS_MAX: Final = 4 * 1024 * 1024
"""Of a command that asks for no messages."""
READ_OCTETS: Final = 64 * 1024
THROWN_AWAY_MAX: Final = 1024 * 1024 * 1024
"""A larger literal is not waited for."""
TOO_LARGE: Final = b"\0"
"""Stands for a literal that was thrown away; none can be so. Spec: RFC 3501 §9 (CHAR8)."""


class Wire(imaplib.IMAP4):
    """A conversation on a socket that is connected already. All verbs block; errors are those of `imaplib`."""

    def __init__(self, connected: socket.socket, hostname: str) -> None:
        """Read the greeting. Errors: imaplib.IMAP4.error, OSError."""
        self._hostname = hostname
        self._buffer = bytearray()
        self._spent_octets = 0
        self.answer_octets_max = ANSWER_OCTETS_MAX
        self.literal_octets_max = ANSWER_OCTETS_MAX
        self.sock: Any = connected
        super().__init__(hostname)

    # what `imaplib` calls

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        """Nothing is opened: the caller has chosen the address, and connected to it."""
        del port, timeout
        self.host = host

    def read(self, size: int) -> bytes:
        """Read a literal; one that is larger than wanted is thrown away as it comes, and given as `TOO_LARGE`."""
        if size > self.literal_octets_max:
            if size > THROWN_AWAY_MAX:
                raise self.abort("a literal has no end")
            left = size
            while left:
                if not self._buffer:
                    self._receive()
                taken = min(left, len(self._buffer))
                del self._buffer[:taken]
                self._spent_octets -= taken  # the bound is for what lies in memory
                left -= taken
            return TOO_LARGE
        while len(self._buffer) < size:
            self._receive()
        return self._taken(size)

    def readline(self) -> bytes:
        """Read a line."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > LINE_OCTETS_MAX:
                raise self.abort("a line has no end")
            self._receive()
        return self._taken(end + 1)

    def send(self, data: Any) -> None:
        """Send octets."""
        self.sock.sendall(data)

    def shutdown(self) -> None:
        """Close the connection."""
        self.sock.close()

    def socket(self) -> Any:
        """Give the socket."""
        return self.sock

    def _receive(self) -> None:
        octets = self.sock.recv(READ_OCTETS)
        if not octets:
            raise self.abort("the connection was closed")
        self._spent_octets += len(octets)
        if self._spent_octets > self.answer_octets_max:
            raise self.abort("the answer has no end")
        self._buffer += octets

    def _taken(self, count: int) -> bytes:
        octets = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return octets

    # what the source calls

    def allow(self, answer_octets: int = ANSWER_OCTETS_MAX, literal_octets: int = ANSWER_OCTETS_MAX) -> None:
        """Say how much the answers to the next command may be."""
        self._spent_octets = 0
        self.answer_octets_max = answer_octets
        self.literal_octets_max = literal_octets

    def offers(self, capability: str) -> bool:
        """Whether the server has said a capability."""
        return capability in self.capabilities

    def ask_capabilities(self) -> None:
        """Ask anew what the server can do, which is another thing behind TLS and behind the log-in."""
        self.allow()
        kind, found = self.capability()
        if kind != "OK" or not found or not isinstance(found[-1], bytes):
            raise self.abort("no capabilities")
        self.capabilities = tuple(found[-1].decode("ascii", "replace").upper().split())

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Encrypt. Errors: ssl.SSLError; imaplib.IMAP4.error, also when somebody speaks before the handshake."""
        self.allow()
        kind, _ = self.xatom("STARTTLS")
        if kind != "OK":
            raise self.error("STARTTLS is refused")
        if self._buffer:
            # It would be taken for an answer that came encrypted (attack row 4).
            raise self.abort("answers before the handshake")
        self.untagged_responses = {}
        self.sock = context.wrap_socket(self.sock, server_hostname=self._hostname)
        self.ask_capabilities()

    def say_password(self, username: str, password: Secret) -> None:
        """Log in. Errors: imaplib.IMAP4.error with the server's words."""
        self.allow()
        if self.offers("AUTH=PLAIN"):
            said = f"\0{username}\0{password.reveal()}".encode()
            self.authenticate("PLAIN", lambda _: said)
        else:
            kind, words = self.xatom("LOGIN", quoted(username), quoted(password.reveal()))
            if kind != "OK":
                raise self.error(words[-1] if words else b"")
            self.state = "AUTH"
        self.ask_capabilities()


def quoted(text: str) -> str:
    """Write a string for a command. Errors: UnicodeEncodeError; ValueError, where a string of that form cannot be."""
    text.encode("ascii")
    if any(letter in text for letter in "\r\n\0"):
        raise ValueError("a string has control characters")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
