"""The one outgoing HTTP client; it cannot be led to places that only we can reach.

Theory of operation. The URL is taken apart once, and strictly. Its host is looked up once, the addresses that are not
public fall away, and the connection goes to one of those that are left: there is no second look-up that could say
something else. A connection serves one request. Redirects are given back as what they are.

Spec: RFC 9110, RFC 9112; RFC 3986; RFC 9525 (verification of names); attack row 37.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from mailstead.model.address import normal_domain
from mailstead.model.errors import BadAddress, DnsUnavailable, WebFailed, WebRefused
from mailstead.net.addresses import is_disguised, is_public
from mailstead.net.outbound.tls import encrypting_context, verifying_context
from mailstead.ports.resolver import Answer, Resolver
from mailstead.ports.web import WebResponse

if TYPE_CHECKING:
    import httpcore2

URL_LENGTH_MAX: Final = 4096
ADDRESSES_MAX: Final = 4
CONNECT_LIMIT_S: Final = 10.0
"""For each address; an address that swallows everything must leave time for the next."""
PORT_OF_SERVICES_MAX: Final = 1023
"""Below lie the ports of other protocols, which could be fed by what looks like HTTP."""


class _Place(NamedTuple):
    """A URL taken apart."""

    scheme: str
    host: str
    """A-labels, or an IP address without brackets."""
    port: int
    target: str

    @property
    def authority(self) -> str:
        """For the Host field. Spec: RFC 9110 §7.2."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"


class SafeWebClient:
    """Implements `ports.web.WebClient`. What it talks HTTP with is imported at its first use."""

    def __init__(
        self, resolver: Resolver, *, allows_private: bool, ca_file: str, hostname: str, https_port: int = 443
    ) -> None:
        """`https_port` is for URLs without port; another one than 443 is for tests."""
        self._resolver = resolver
        self._allows_private = allows_private
        self._ca_file = ca_file
        self._user_agent = f"Mailstead ({hostname})"
        self._https_port = https_port
        self._context: ssl.SSLContext | None = None

    async def get(self, url: str, *, octets_max: int = 65536, limit_s: float = 30.0) -> WebResponse:
        """See `WebClient.get`."""
        return await self.send("GET", url, None, {}, octets_max=octets_max, limit_s=limit_s)

    async def send(
        self,
        method: str,
        url: str,
        octets: bytes | None,
        headers: Mapping[str, str],
        *,
        octets_max: int = 65536,
        limit_s: float = 30.0,
    ) -> WebResponse:
        """See `WebClient.send`."""
        async with self._asked(method, url, list(headers.items()), octets, limit_s) as response:
            read = await _read(response, octets_max + 1)
            if len(read) > octets_max:
                raise WebFailed("The web server answers with more than we take")
            return _answer(response, read)

    async def post(
        self,
        url: str,
        octets: bytes,
        headers: Mapping[str, str] | Sequence[tuple[str, str]],
        *,
        octets_max: int = 65536,
        limit_s: float = 30.0,
        verifies: bool = True,
    ) -> WebResponse:
        """See `WebClient.post`."""
        pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        async with self._asked("POST", url, pairs, octets, limit_s, verifies=verifies) as response:
            return _answer(response, await _read(response, octets_max))

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[str, str]],
        octets: bytes | None,
        limit_s: float,
        *,
        verifies: bool = True,
    ) -> AsyncIterator[httpcore2.Response]:
        """Give the answer with its body unread; what goes wrong until that is read, too, is named for the fact.

        Errors: WebRefused, WebFailed.
        """
        import httpcore2

        place = self._place(url)
        try:
            async with asyncio.timeout(limit_s):
                addresses = await self._addresses(place.host)
                async with (
                    httpcore2.AsyncHTTPConnection(
                        httpcore2.Origin(place.scheme.encode(), place.host.encode(), place.port),
                        ssl_context=self._verifying_context() if verifies else encrypting_context(),
                        network_backend=backend_to(addresses),
                    ) as connection,
                    connection.stream(
                        method,
                        httpcore2.URL(
                            scheme=place.scheme.encode(),
                            host=place.host.encode(),
                            port=place.port,
                            target=place.target.encode(),
                        ),
                        headers=self._fields(place, headers, octets),
                        content=octets,
                    ) as response,
                ):
                    yield response
        except TimeoutError:
            raise WebFailed(f"The web server {place.host} does not answer in time") from None
        except (
            httpcore2.TimeoutException,
            httpcore2.NetworkError,
            httpcore2.ProtocolError,
            ssl.SSLError,
            OSError,
        ) as error:
            raise _failed(place.host, error) from None

    def _fields(
        self, place: _Place, headers: Sequence[tuple[str, str]], octets: bytes | None
    ) -> list[tuple[bytes, bytes]]:
        """Encoded content is not asked for: it could unfold to any size."""
        fields = {
            "Host": place.authority,
            "User-Agent": self._user_agent,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        if octets is not None:
            fields["Content-Length"] = str(len(octets))
        given = {name.lower() for name, _ in headers}
        fields = {name: value for name, value in fields.items() if name.lower() not in given}
        try:
            return [(name.encode("ascii"), value.encode("ascii")) for name, value in (*fields.items(), *headers)]
        except UnicodeEncodeError:
            raise WebRefused("A header field has characters that are not allowed") from None

    def _place(self, url: str) -> _Place:
        """Take a URL apart. Errors: WebRefused."""
        # Characters that programs disagree about, and that no URL has.
        if len(url) > URL_LENGTH_MAX or any(letter <= " " or letter in "\\\x7f" for letter in url):
            raise WebRefused("That is no web address")
        try:
            parts = urlsplit(url)
            port = parts.port
            host = parts.hostname or ""
            if parts.scheme not in {"http", "https"} or not host:
                raise WebRefused("A web address begins with https:// or http:// and a host")
            if "@" in parts.netloc:
                raise WebRefused("A web address must not hold a user name")
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            target.encode("ascii")
            host = host if ":" in host else normal_domain(host.removesuffix("."))
        except (ValueError, BadAddress):
            raise WebRefused("That is no web address") from None
        if is_disguised(host) or host.startswith("["):
            raise WebRefused("That host is not a name, and not an address as it should be written")
        if port is None:
            port = self._https_port if parts.scheme == "https" else 80
        if not port or (port <= PORT_OF_SERVICES_MAX and port not in {80, 443}):
            raise WebRefused("That port is not one for web addresses")
        return _Place(parts.scheme, host, port, target)

    async def _addresses(self, host: str) -> tuple[str, ...]:
        """Give where the host may be reached. Errors: WebRefused, WebFailed."""
        found = await addresses_of(self._resolver, host)
        usable = tuple(address for address in found if self._allows_private or is_public(address))
        if not usable:
            raise WebRefused(f"{host} is not on the public Internet", addresses=found)
        return usable[:ADDRESSES_MAX]

    def _verifying_context(self) -> ssl.SSLContext:
        if self._context is None:
            # Made when first needed: reading all authorities takes tens of milliseconds.
            self._context = verifying_context(self._ca_file)
        return self._context


async def addresses_of(resolver: Resolver, host: str) -> list[str]:
    """Give the addresses of a host, IPv6 and IPv4 in turn; of an address itself. Errors: WebFailed."""
    if ":" in host or host.replace(".", "").isdigit():
        return [host]
    answers = await asyncio.gather(resolver.aaaa(host), resolver.a(host), return_exceptions=True)
    found: list[Answer[str]] = []
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, DnsUnavailable):
            raise answer
        if isinstance(answer, Answer):
            found.append(answer)
    in_turn = zip_longest(*(answer.records for answer in found))
    addresses = [address for address in chain.from_iterable(in_turn) if address is not None]
    if not addresses:
        raise WebFailed(f"{host} has no address" if len(found) == len(answers) else f"{host} cannot be looked up now")
    return addresses


def backend_to(
    addresses: Sequence[str] | Callable[[], Awaitable[Sequence[str]]],
) -> httpcore2.AsyncNetworkBackend:
    """Give a way to the network that leads to these addresses and nowhere else."""
    import httpcore2

    class _Pinned(httpcore2.AsyncNetworkBackend):
        async def connect_tcp(
            self,
            host: str,  # noqa: ARG002  # has been looked up
            port: int,
            timeout: float | None = None,  # noqa: ARG002, ASYNC109  # the whole request has a limit
            local_address: str | None = None,
            socket_options: object = None,  # noqa: ARG002
        ) -> httpcore2.AsyncNetworkStream:
            backend = httpcore2.AnyIOBackend()
            failure: Exception = httpcore2.ConnectError("no address")
            for address in (await addresses() if callable(addresses) else addresses)[:ADDRESSES_MAX]:
                try:
                    return await backend.connect_tcp(address, port, CONNECT_LIMIT_S, local_address)
                except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                    failure = error
            raise failure

    return _Pinned()


async def _read(response: httpcore2.Response, octets_max: int) -> bytes:
    """Read the body, or as much of it as is wanted."""
    octets = bytearray()
    async for piece in response.aiter_stream():
        octets += piece
        if len(octets) >= octets_max:
            break
    return bytes(octets[:octets_max])


def _answer(response: httpcore2.Response, octets: bytes) -> WebResponse:
    headers = {name.decode("ascii", "replace").lower(): value.decode("latin-1") for name, value in response.headers}
    return WebResponse(response.status, headers, octets)


def _failed(host: str, error: Exception) -> WebFailed:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__
    if cause is not None:
        return WebFailed(
            f"The certificate of {host} is not valid: {cause.verify_message}", certificate=cause.verify_message
        )
    return WebFailed(f"The web server {host} does not answer as it should", error=repr(error))
