"""Apple's push service over HTTP/2, with the certificate of each topic.

Theory of operation. For each topic one connection is kept, made when first needed; requests share it as streams. When
it turns out to be lost (the other side closes it now and then), the request goes once more over a new one. What is sent
over a new one in vain is given back as LATER: whoever sends has a better idea of when to try again.

The host is the administrator's word, so, as with a smarthost, its addresses need not be public ones. Neither device
tokens, which are in the path, nor payloads are logged.

Spec: RFC 9113 §5.1.1, §6.8; RFC 9525; Apple, "Sending notification requests to APNs".
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

from mailstead.model.dav import CollectionKind
from mailstead.model.errors import BadSettings, DnsUnavailable, WebFailed
from mailstead.net.outbound.tls import verifying_context
from mailstead.net.web import addresses_of, backend_to
from mailstead.ports.apple_push import AppleNotice, PushOutcome
from mailstead.ports.resolver import Resolver
from mailstead.telemetry import log

if TYPE_CHECKING:
    import httpcore2

LIMIT_S: Final = 30.0
ATTEMPTS_MAX: Final = 3
"""Over connections that turn out to be lost or full; each is replaced."""
ANSWER_OCTETS_MAX: Final = 4096
KEPT: Final = 86_400
"""Seconds that a notice is kept for a device that is off."""

_GONE: Final = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered", "ExpiredToken"})
"""Reasons, whatever the status; 410 says the same."""
_REASON: Final = re.compile(r"[A-Z][A-Za-z]{1,30}")
"""As all of Apple's are written; a token is none."""
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")

_log = log.get("net")


class Credentials(NamedTuple):
    """What lets us send for a topic."""

    certificate_file: Path
    key_file: Path
    """May be the same file."""


class ApnsClient:
    """Implements `ports.apple_push.ApplePush`. What it talks HTTP/2 with is imported at its first use."""

    def __init__(
        self,
        resolver: Resolver,
        credentials: Mapping[CollectionKind, Credentials],
        *,
        host: str,
        port: int,
        ca_file: str,
        limit_s: float = LIMIT_S,
    ) -> None:
        """Read certificates and keys. Errors: BadSettings."""
        self._lines: Final = {
            kind: _Line(resolver, each, host, port, ca_file, limit_s) for kind, each in credentials.items()
        }
        self.topics: Final[Mapping[CollectionKind, str]] = MappingProxyType(
            {kind: line.topic for kind, line in self._lines.items()}
        )
        self.is_production: Final = "sandbox" not in host and "development" not in host

    async def tell(self, kind: CollectionKind, notice: AppleNotice) -> PushOutcome:
        """See `ApplePush.tell`."""
        payload = {
            "key": notice.key,
            "dataChangedTimestamp": int(notice.changed_at.timestamp()),
            "pushRequestSubmittedTimestamp": int(notice.submitted_at.timestamp()),
        }
        kept_until = int(notice.submitted_at.timestamp()) + KEPT
        return await self._lines[kind].send(notice.token, json.dumps(payload, separators=(",", ":")), kept_until)

    async def close(self) -> None:
        """See `ApplePush.close`."""
        for line in self._lines.values():
            await line.close()


class _Line:
    """The connection of one topic."""

    def __init__(
        self, resolver: Resolver, credentials: Credentials, host: str, port: int, ca_file: str, limit_s: float
    ) -> None:
        self._resolver = resolver
        self._host = host
        self._port = port
        self._limit_s = limit_s
        self.topic: Final = _topic_of(credentials.certificate_file)
        self._context = _context(credentials, ca_file)
        self._connection: httpcore2.AsyncHTTPConnection | None = None
        self._has_served = False

    async def send(self, token: str, payload: str, kept_until_s: int) -> PushOutcome:
        """Send, and once more where the connection was a lost one."""
        octets = payload.encode()
        authority = self._host if self._port == 443 else f"{self._host}:{self._port}"
        fields = {
            "host": authority,
            "content-type": "application/json",
            "content-length": str(len(octets)),
            "apns-topic": self.topic,
            # Nothing to be shown: a program fetches what has changed. Such are sent with priority 5 only.
            "apns-push-type": "background",
            "apns-priority": "5",
            "apns-expiration": str(kept_until_s),
        }
        try:
            async with asyncio.timeout(self._limit_s):
                status, answer = await self._asked(f"/3/device/{token}", fields, octets)
        except (TimeoutError, WebFailed, DnsUnavailable) as error:
            told = getattr(error, "log_fields", {})
            _log.info("Apple's push service cannot be reached now", error=str(error) or type(error).__name__, **told)
            return PushOutcome.LATER
        return _outcome(status, answer)

    async def close(self) -> None:
        """Let the connection go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await _closed(connection)

    async def _asked(self, target: str, fields: Mapping[str, str], octets: bytes) -> tuple[int, bytes]:
        """Give status and body. Errors: WebFailed, DnsUnavailable."""
        import h2.exceptions
        import httpcore2

        for _ in range(ATTEMPTS_MAX):
            connection, has_served = self._open()
            try:
                found = await _exchange(connection, self._url(target), fields, octets)
            except httpcore2.ConnectionNotAvailable:
                self._leave(connection)  # it ends by itself, after what others have begun
            except (
                httpcore2.TimeoutException,
                httpcore2.NetworkError,
                httpcore2.ProtocolError,
                h2.exceptions.ProtocolError,
                ssl.SSLError,
                OSError,
            ) as error:
                self._leave(connection)
                await _closed(connection)
                if not has_served:
                    raise WebFailed(f"{self._host} does not answer as it should", cause=repr(error)) from None
            except BaseException:
                # Nobody waits for the answer any more, and maybe there is nobody at the other end.
                self._leave(connection)
                await _closed(connection)
                raise
            else:
                if connection is self._connection:
                    self._has_served = True
                return found
        raise WebFailed(f"{self._host} ends each connection at once")

    def _open(self) -> tuple[httpcore2.AsyncHTTPConnection, bool]:
        """Give the connection, made when it is used, and whether it has served before."""
        import httpcore2

        if self._connection is None or not self._connection.is_available():
            self._has_served = False
            self._connection = httpcore2.AsyncHTTPConnection(
                httpcore2.Origin(b"https", self._host.encode(), self._port),
                ssl_context=self._context,
                http1=False,
                http2=True,
                network_backend=backend_to(lambda: addresses_of(self._resolver, self._host)),
            )
        return self._connection, self._has_served

    def _leave(self, connection: httpcore2.AsyncHTTPConnection) -> None:
        if self._connection is connection:
            self._connection = None

    def _url(self, target: str) -> httpcore2.URL:
        import httpcore2

        return httpcore2.URL(scheme=b"https", host=self._host.encode(), port=self._port, target=target.encode())


async def _exchange(
    connection: httpcore2.AsyncHTTPConnection, url: httpcore2.URL, fields: Mapping[str, str], octets: bytes
) -> tuple[int, bytes]:
    headers = [(name.encode(), value.encode()) for name, value in fields.items()]
    answer = bytearray()
    async with connection.stream("POST", url, headers=headers, content=octets) as response:
        async for piece in response.aiter_stream():
            answer += piece
            if len(answer) >= ANSWER_OCTETS_MAX:
                break
        return response.status, bytes(answer[:ANSWER_OCTETS_MAX])


async def _closed(connection: httpcore2.AsyncHTTPConnection) -> None:
    """Close it, whatever state it is in."""
    try:
        async with asyncio.timeout(1.0):
            await connection.aclose()
    except Exception as error:  # noqa: BLE001  # it was broken anyhow
        _log.debug("a connection to Apple's push service does not close", error=type(error).__name__)


def _outcome(status: int, answer: bytes) -> PushOutcome:
    """Spec: Apple, "Handling notification responses from APNs"."""
    if status == 200:
        return PushOutcome.TAKEN
    reason = _reason(answer)
    if status == 410 or (status == 400 and reason in _GONE):
        return PushOutcome.GONE
    if status == 429 or status >= 500:
        _log.info("Apple's push service puts a notice off", status=status, reason=reason)
        return PushOutcome.LATER
    _log.warning("Apple's push service refuses a notice", status=status, reason=reason)
    return PushOutcome.REFUSED


def _reason(answer: bytes) -> str:
    """Give the one word that says why; empty: none is told."""
    try:
        found = json.loads(answer)["reason"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return found if isinstance(found, str) and _REASON.fullmatch(found) else ""


def _topic_of(certificate_file: Path) -> str:
    """Give the topic that a certificate is for. Errors: BadSettings."""
    try:
        subject = x509.load_pem_x509_certificate(certificate_file.read_bytes()).subject
    except (OSError, ValueError) as error:
        raise BadSettings(f"Apple's push: {certificate_file} is no certificate that can be read: {error}") from None
    for attribute in subject.get_attributes_for_oid(NameOID.USER_ID):
        if isinstance(attribute.value, str) and _TOPIC.fullmatch(attribute.value):
            return attribute.value
    raise BadSettings(f"Apple's push: {certificate_file} has no topic (UID) in its subject: it is not one of Apple's")


def _context(credentials: Credentials, ca_file: str) -> ssl.SSLContext:
    """Give what proves who we are and believes the system's authorities. Errors: BadSettings."""
    try:
        context = verifying_context(ca_file)
        # With a password given, a key that needs one is refused, rather than asked for on the terminal.
        context.load_cert_chain(credentials.certificate_file, credentials.key_file, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise BadSettings(
            f"Apple's push: certificate {credentials.certificate_file} and key {credentials.key_file} (without a "
            f"password) cannot be used: {error}"
        ) from None
    return context
