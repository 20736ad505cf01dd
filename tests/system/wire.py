"""A blocking client of raw octets over a socket, with TLS, for system tests."""

import base64
import socket
import ssl

from system.server import PASSWORD, tls_context

LIMIT_S = 30.0


class Wire:
    """One conversation with a started server."""

    def __init__(self, server, name, *, limit_s=LIMIT_S):
        self.socket = socket.create_connection(("127.0.0.1", server.port[name]), limit_s)
        self.socket.settimeout(limit_s)
        if name in {"imaps", "pop3s", "submissions", "https"}:
            self._wrap()
        self.buffer = b""
        self.count = 0

    def _wrap(self):
        self.socket = tls_context().wrap_socket(self.socket, server_hostname="localhost")

    def start_tls(self):
        assert not self.buffer, "octets behind the answer to STARTTLS"
        self._wrap()

    @property
    def certificate(self):
        """The server's certificate, DER."""
        assert isinstance(self.socket, ssl.SSLSocket)
        return self.socket.getpeercert(binary_form=True)

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        while b"\r\n" not in self.buffer:
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError(self.buffer)
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def octets(self, count):
        while len(self.buffer) < count:
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError(self.buffer)
            self.buffer += data
        octets, self.buffer = self.buffer[:count], self.buffer[count:]
        return octets

    def reply(self):
        """The last line of an SMTP reply."""
        line = self.line()
        while line[3:4] == b"-":
            line = self.line()
        return line

    def smtp(self, *commands):
        replies = []
        for command in commands:
            self.send(command.encode() + b"\r\n")
            replies.append(self.reply().decode())
        return replies

    def imap(self, command):
        """All lines up to the tagged one; literals are inside their line, as octets."""
        self.count += 1
        tag = b"t%d" % self.count
        self.send(tag + b" " + command.encode() + b"\r\n")
        return self.imap_until(tag)

    def imap_until(self, tag):
        lines = [self.imap_line()]
        while not lines[-1].startswith(tag + b" "):
            lines.append(self.imap_line())
        return lines

    def imap_line(self):
        """One response with its literals."""
        line = self.line()
        while line.endswith(b"}"):
            size = int(line[line.rindex(b"{") + 1 : -1])
            line += b"\r\n" + self.octets(size) + self.line()
        return line

    def append(self, octets, mailbox="INBOX"):
        self.count += 1
        self.send(b"t%d APPEND %s {%d+}\r\n%s\r\n" % (self.count, mailbox.encode(), len(octets), octets))
        return self.imap_until(b"t%d" % self.count)[-1]

    def close(self):
        self.socket.close()


def mx(server):
    """A conversation behind EHLO, STARTTLS, EHLO."""
    wire = Wire(server, "mx")
    assert wire.reply().startswith(b"220 ")
    assert wire.smtp("EHLO client.test", "STARTTLS")[1].startswith("220 ")
    wire.start_tls()
    wire.smtp("EHLO client.test")
    return wire


def deliver(wire, to, octets, sender="x@elsewhere.test"):
    """The reply to the first step that is refused, or to the message."""
    for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}>", "DATA"):
        [reply] = wire.smtp(command)
        if reply[0] not in "23":
            wire.smtp("RSET")
            return reply
    wire.send(octets + b"\r\n.\r\n")
    return wire.reply().decode()


def imap(server, who, *, select=True):
    wire = Wire(server, "imaps")
    assert wire.line().startswith(b"* OK")
    assert b" OK " in wire.imap(f'LOGIN {who} "{PASSWORD}"')[-1]
    if select:
        assert b" OK " in wire.imap("SELECT INBOX")[-1]
    return wire


def plain(who):
    return "AUTH PLAIN " + base64.b64encode(f"\0{who}\0{PASSWORD}".encode()).decode()
