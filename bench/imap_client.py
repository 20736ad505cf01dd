"""A small blocking IMAP client that measures, the same for every system."""

from __future__ import annotations

import re
import socket
import time

from bench.peers import PASSWORD, System, client_context

LITERAL = re.compile(rb"\{(\d+)\}\r\n$")


class ImapClient:
    def __init__(self, system: System, account: str, *, tls: bool = True, log_in: bool = True):
        raw = socket.create_connection(("127.0.0.1", system.ports.imaps if tls else system.ports.imap), 60)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = client_context().wrap_socket(raw) if tls else raw
        self.file = self.socket.makefile("rb", 1 << 18)
        self.count = 0
        self.file.readline()
        if log_in:
            self.command(f"LOGIN {account} {PASSWORD}".encode())

    def send(self, text: bytes) -> bytes:
        self.count += 1
        tag = b"a%d" % self.count
        self.socket.sendall(tag + b" " + text + b"\r\n")
        return tag

    def until_tagged(self, tag: bytes) -> int:
        """Read up to the tagged reply; gives the octets read. Literals are read whole, so a body cannot be taken for it."""
        octets = 0
        start = tag + b" "
        while True:
            line = self.file.readline()
            if not line:
                raise EOFError("the server has closed the connection")
            octets += len(line)
            if line.startswith(start):
                if line[len(start) : len(start) + 2] != b"OK":
                    raise RuntimeError(line.decode(errors="replace"))
                return octets
            while line.endswith(b"}\r\n") and (literal := LITERAL.search(line)):
                left = int(literal.group(1))
                octets += left
                while left:
                    left -= len(self.file.read(min(left, 1 << 20)))
                line = self.file.readline()
                octets += len(line)

    def command(self, text: bytes) -> int:
        return self.until_tagged(self.send(text))

    def text(self, text: bytes) -> bytes:
        """Give all that is answered, of what has no tag within."""
        tag = self.send(text)
        lines: list[bytes] = []
        while not lines or not lines[-1].startswith(tag + b" "):
            lines.append(self.file.readline())
            if not lines[-1]:
                raise EOFError("the server has closed the connection")
        return b"".join(lines)

    def timed(self, text: bytes) -> tuple[float, float, int]:
        """Seconds to the first line, seconds to the tagged reply, octets."""
        begin = time.perf_counter()
        tag = self.send(text)
        self.file.peek(1)
        first = time.perf_counter() - begin
        octets = self.until_tagged(tag)
        return first, time.perf_counter() - begin, octets

    def append(self, mailbox: bytes, messages: list[bytes]) -> None:
        """Append by MULTIAPPEND in groups of 100, as filling is not what is measured."""
        for at in range(0, len(messages), 100):
            self.count += 1
            tag = b"a%d" % self.count
            literals = b" ".join(b"{%d+}\r\n" % len(octets) + octets for octets in messages[at : at + 100])
            self.socket.sendall(tag + b" APPEND " + mailbox + b" " + literals + b"\r\n")
            self.until_tagged(tag)

    def close(self) -> None:
        self.socket.close()
