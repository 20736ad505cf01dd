"""What the doctor asks of this machine and its network: plain blocking sockets on threads, as it is asked rarely.

Implements `ports.probes.Probes`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import smtplib
import socket
import ssl
import stat
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from mailstead.config.settings import Settings
from mailstead.model.errors import BadSettings
from mailstead.net.addresses import is_public
from mailstead.net.endpoint import Endpoint
from mailstead.ports.probes import CertificateFacts, DiskFacts, Greeted, KeyFacts, ProbeFailed

LIMIT_S: Final = 10.0
LINE_OCTETS_MAX: Final = 2048
RECIPIENTS_PER_CONVERSATION: Final = 8
"""Errors end a conversation (smtp.errors_max); a tester comes again."""

_ROUTES: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses of the documentation, out in the Internet as far as the routing table knows."""

T = TypeVar("T")


class HostProbes:
    """`master_key_file` is empty where the key is given by a setting; `key_place` says for people where it is."""

    def __init__(
        self, settings: Settings, certificate_file: Path, master_key_file: Path | None, key_place: str
    ) -> None:
        self._settings = settings
        self._certificate_file = certificate_file
        self._master_key_file = master_key_file
        self._key_place = key_place

    async def own_addresses(self) -> tuple[str, ...]:
        """See `Probes.own_addresses`."""
        return leaving_addresses()

    async def certificate(self) -> CertificateFacts:
        """See `Probes.certificate`."""
        return await asyncio.to_thread(self._certificate)

    def _certificate(self) -> CertificateFacts:
        try:
            leaf = x509.load_pem_x509_certificates(self._certificate_file.read_bytes())[0]
        except OSError as error:
            raise ProbeFailed(f"{self._certificate_file} cannot be read: {error.strerror}") from None
        except ValueError:
            raise ProbeFailed(f"{self._certificate_file} is no certificate") from None
        return facts_of(leaf)

    async def greeting(self, where: str, *, speaks: str, is_tls: bool) -> Greeted:
        """See `Probes.greeting`."""
        endpoint = _reachable(where)
        return await _on_thread(lambda: _greeting(endpoint, speaks, is_tls=is_tls))

    async def port_25(self, host: str, port: int) -> str:
        """See `Probes.port_25`."""
        return await _on_thread(lambda: _greeting(Endpoint(host, port), "smtp", is_tls=False).line)

    async def accepted_recipients(self, where: str, recipients: Sequence[str]) -> list[str]:
        """See `Probes.accepted_recipients`."""
        endpoint = _reachable(where)
        taken: list[str] = []
        for start in range(0, len(recipients), RECIPIENTS_PER_CONVERSATION):
            some = recipients[start : start + RECIPIENTS_PER_CONVERSATION]
            taken += await _on_thread(lambda some=some: _taken(endpoint, some))  # type: ignore[misc]  # bound at once
        return taken

    async def disk(self) -> DiskFacts:
        """See `Probes.disk`."""
        folder = self._settings.server.data_dir
        try:
            usage = await asyncio.to_thread(shutil.disk_usage, folder)
        except OSError as error:
            raise ProbeFailed(f"{folder}: {error.strerror}") from None
        return DiskFacts(str(folder), usage.free, usage.total)

    async def master_key(self) -> KeyFacts:
        """See `Probes.master_key`."""
        file = self._master_key_file
        if file is None:
            return KeyFacts(self._key_place, is_with_data=False, is_open=False)
        try:
            mode = await asyncio.to_thread(lambda: file.stat().st_mode)
        except OSError as error:
            raise ProbeFailed(f"{file}: {error.strerror}") from None
        is_with_data = file.resolve().is_relative_to(self._settings.server.data_dir.resolve())
        return KeyFacts(self._key_place, is_with_data, bool(stat.S_IMODE(mode) & 0o077))


def facts_of(certificate: x509.Certificate) -> CertificateFacts:
    """Read what matters. Errors: ProbeFailed."""
    try:
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        try:
            alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            names = tuple(name.lower() for name in alternative.get_values_for_type(x509.DNSName))
        except x509.ExtensionNotFound:
            names = ()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ProbeFailed(f"the certificate cannot be read: {error}") from None
    issuer = [
        attribute.value
        for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
        for attribute in certificate.issuer.get_attributes_for_oid(kind)
    ]
    return CertificateFacts(
        names,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        str(issuer[0]) if issuer else "",
        certificate.issuer == certificate.subject,
        sha256(key).hexdigest(),
    )


def leaving_addresses() -> tuple[str, ...]:
    """Give the public addresses from which packets to the Internet leave; nothing is sent to find out."""
    return tuple(dict.fromkeys(address for route in _ROUTES if (address := _leaving_from(*route))))


def _leaving_from(family: socket.AddressFamily, route: str) -> str:
    """Give the address that the routing table chooses; connecting a UDP socket sends nothing. Private ones are none."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((route, 9))
            address = str(probe.getsockname()[0])
    except OSError:
        return ""
    return address if is_public(address) else ""


def _reachable(where: str) -> Endpoint:
    """Give an address to connect to for one to listen on. Errors: ProbeFailed."""
    try:
        endpoint = Endpoint.parse(where)
    except BadSettings as error:
        raise ProbeFailed(error.public_text) from None
    every = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared, not listened on
    return Endpoint(every.get(endpoint.host, endpoint.host), endpoint.port)


async def _on_thread(ask: Callable[[], T]) -> T:
    """Errors: ProbeFailed, for all that can go wrong on the way."""
    try:
        return await asyncio.to_thread(ask)
    except TimeoutError:
        raise ProbeFailed(f"no answer in {LIMIT_S:g} s") from None
    except (smtplib.SMTPException, EOFError) as error:
        raise ProbeFailed(f"the conversation broke: {error}") from None
    except ssl.SSLError as error:
        raise ProbeFailed(f"TLS fails: {error.reason}") from None
    except OSError as error:
        raise ProbeFailed(os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)) from None


def _greeting(endpoint: Endpoint, speaks: str, *, is_tls: bool) -> Greeted:
    with socket.create_connection((endpoint.host, endpoint.port), LIMIT_S) as plain:
        if not is_tls:
            return Greeted(_first_line(plain, speaks))
        # Our own service, whose certificate is judged elsewhere: here it is only read.
        context = ssl._create_unverified_context()  # noqa: S323, SLF001
        with context.wrap_socket(plain, server_hostname=None) as secure:
            der = secure.getpeercert(binary_form=True) or b""
            digest = facts_of(x509.load_der_x509_certificate(der)).key_digest
            return Greeted(_first_line(secure, speaks), digest)


def _first_line(connected: socket.socket, speaks: str) -> str:
    if speaks == "http":
        connected.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    octets = b""
    while b"\n" not in octets and len(octets) < LINE_OCTETS_MAX:
        piece = connected.recv(LINE_OCTETS_MAX)
        if not piece:
            raise EOFError("it was closed before it began")
        octets += piece
    return octets.partition(b"\n")[0].decode("utf-8", "backslashreplace").strip()


def _taken(endpoint: Endpoint, recipients: Sequence[str]) -> list[str]:
    """Say MAIL and RCPT for each recipient, and take it back. Nothing is ever sent."""
    with smtplib.SMTP(endpoint.host, endpoint.port, local_hostname="relay-test.invalid", timeout=LIMIT_S) as talk:
        talk.ehlo_or_helo_if_needed()
        taken = []
        for recipient in recipients:
            code, reply = talk.docmd("MAIL", "FROM:<relay-test@elsewhere.test>")
            if code != 250:
                raise smtplib.SMTPResponseException(code, reply)
            code, _ = talk.docmd("RCPT", f"TO:{recipient}")
            if 200 <= code < 300:
                taken.append(recipient)
            talk.docmd("RSET")
        return taken
