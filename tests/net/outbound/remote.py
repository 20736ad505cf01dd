"""A small real SMTP server whose failures can be set per step, and a certificate authority made for the test."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DROP, STALL = object(), object()
"""Instead of a reply: close the connection; say nothing more."""


async def until(condition, limit_s=10):
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.001)  # looks again at what the kernel does between two sockets


@dataclass
class Heard:
    """What one conversation has brought."""

    peer: str
    lines: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    is_encrypted: bool = False
    lines_in_clear: list[str] = field(default_factory=list)
    was_resumed: bool = False

    @property
    def verbs(self):
        return [line.split(" ")[0].split(":")[0].upper() for line in self.lines]


class Remote:
    """A server on one loopback address.

    `replies`: verb → what is answered (octets, DROP, STALL, a coroutine function of reader and writer), or a list of
    them, for one command each; what is not listed is answered well. Verbs beside commands: GREETING, MESSAGE,
    TLS-EHLO.
    """

    def __init__(
        self, address="127.0.0.1", *, extensions=("PIPELINING", "8BITMIME"), tls=None, implicit=False, **replies
    ):
        self.address = address
        self.extensions = extensions
        self.tls = tls
        self.implicit = implicit
        self.replies = {verb.replace("_", "-"): value for verb, value in replies.items()}
        self.heard: list[Heard] = []
        self.port = 0
        self._tasks = set()

    async def start(self, port=0):
        tls = self.tls if self.implicit else None
        self._server = await asyncio.start_server(self._converse, self.address, port, ssl=tls, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self):
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def is_busy(self):
        """Whether a conversation is still going on."""
        return bool(self._tasks)

    @property
    def messages(self):
        return [message for heard in self.heard for message in heard.messages]

    async def _converse(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        heard = Heard(writer.get_extra_info("peername")[0])
        heard.is_encrypted = self.implicit
        self.heard.append(heard)
        try:
            await self._say(writer, reader, "GREETING", b"220 remote.test ESMTP\r\n")
            while line := await reader.readline():
                await self._command(reader, writer, heard, line.rstrip(b"\r\n").decode())
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()
            self._tasks.discard(asyncio.current_task())

    async def _command(self, reader, writer, heard, line):
        heard.lines.append(line)
        if not heard.is_encrypted:
            heard.lines_in_clear.append(line)
        verb = heard.verbs[-1]
        if verb == "EHLO":
            offers = [*self.extensions, *(["STARTTLS"] if self.tls and not heard.is_encrypted else [])]
            offered = ["remote.test", *offers]
            lines = [f"250{' ' if i == len(offered) - 1 else '-'}{word}\r\n" for i, word in enumerate(offered)]
            name = "TLS-EHLO" if heard.is_encrypted and "TLS-EHLO" in self.replies else "EHLO"
            await self._say(writer, reader, name, "".join(lines).encode())
        elif verb == "STARTTLS":
            said = await self._say(writer, reader, "STARTTLS", b"220 go\r\n")
            if said.startswith(b"220"):
                await writer.start_tls(self.tls)
                heard.is_encrypted = True
                heard.was_resumed = writer.get_extra_info("ssl_object").session_reused
        elif verb == "DATA":
            said = await self._say(writer, reader, "DATA", b"354 go\r\n")
            if said.startswith(b"354"):
                message = await reader.readline()
                while message != b".\r\n" and not message.endswith(b"\r\n.\r\n"):
                    more = await reader.read(1 << 20)
                    if not more:
                        raise ConnectionResetError
                    message += more
                heard.messages.append(message)
                await self._say(writer, reader, "MESSAGE", b"250 2.0.0 taken\r\n")
        elif verb == "BDAT":
            heard.messages.append(await reader.readexactly(int(line.split()[1])))
            await self._say(writer, reader, "MESSAGE", b"250 2.0.0 taken\r\n")
        elif verb == "QUIT":
            await self._say(writer, reader, "QUIT", b"221 bye\r\n")
            raise ConnectionResetError
        elif verb == "AUTH":
            await self._say(writer, reader, "AUTH", b"235 2.7.0 welcome\r\n")
        else:
            await self._say(writer, reader, verb, b"250 2.1.0 fine\r\n")

    async def _say(self, writer, reader, verb, usual):
        reply = self.replies.get(verb, usual)
        if isinstance(reply, list):
            reply = reply.pop(0) if reply else usual
        if reply is DROP:
            raise ConnectionResetError
        if reply is STALL:
            await asyncio.Event().wait()
        if callable(reply):
            return await reply(reader, writer) or b""
        writer.write(reply)
        await writer.drain()
        return reply


class Authority:
    """A certificate authority."""

    def __init__(self, folder):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.certificate = self._signed(self.name, self.key.public_key(), [], 3650, is_authority=True)
        self.file = folder / "ca.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _signed(self, subject, public_key, names, days, *, is_authority=False):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if names:
            alternatives = [x509.IPAddress(ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def server(self, *names, days=30):
        """Give a server's context and the SHA-256 of its public key (TLSA 3 1 1)."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = self._signed(subject, key.public_key(), names, days)
        file = self.folder / f"{certificate.serial_number:x}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
            + self.certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        spki = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return context, sha256(spki).digest()

    def client(self, topic):
        """Give certificate and key files of a sender to Apple's push service; the topic is the UID in its subject."""
        key = ec.generate_private_key(ec.SECP256R1())
        common = x509.NameAttribute(NameOID.COMMON_NAME, f"APSP:{topic}")
        subject = x509.Name([x509.NameAttribute(NameOID.USER_ID, topic), common] if topic else [common])
        certificate = self._signed(subject, key.public_key(), (), 30)
        files = [self.folder / f"{certificate.serial_number:x}-{what}.pem" for what in ("certificate", "key")]
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return tuple(files)
