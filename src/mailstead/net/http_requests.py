"""What every HTTP service of ours asks of a request: who has sent it, by which proxy, and whether it may be answered.

Web proxies before us that end TLS name who has come. Only those that the settings name are believed; from anybody else
the fields mean nothing. Without this, all who come through a proxy would share its address, and one of them who guesses
passwords would lock out the others.

Spec: X-Forwarded-For and X-Forwarded-Proto have no RFC; as proxies write them, each adds the address it has seen at the
end of the list.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.requests import HTTPConnection
from starlette.types import Scope

from mailstead.model.envelope import Peer
from mailstead.model.errors import AuthenticationFailed, BadSettings, NotAllowed, TlsRequired
from mailstead.model.secret import Secret

TLS: Final = "TLS"
"""For a version that only the proxy knows."""
WRITING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Methods that change something, of those that browsers send for a page of somewhere else."""


class Proxies:
    """Those that are believed."""

    def __init__(self, networks: Sequence[str] = (), setting: str = "dav.proxy_from") -> None:
        """Errors: BadSettings, naming the setting."""
        self._networks: tuple[IPv4Network | IPv6Network, ...]
        try:
            self._networks = tuple(ip_network(text, strict=False) for text in networks)
        except ValueError as error:
            raise BadSettings(f"{setting}: {error}; write addresses or networks like 10.0.0.0/8") from None

    def seen_through(self, scope: Scope) -> Scope:
        """Give the request as it came to the proxy; as it is, where no proxy of ours brings it."""
        if not self._networks or not scope.get("client") or not self._has(_address(scope["client"][0])):
            return scope
        fields: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            fields.setdefault(name, []).append(value.decode("latin-1"))
        named = ",".join(fields.get(b"x-forwarded-for", [])).split(",")
        address = next((found for each in reversed(named) if not self._has(found := _address(each))), None)
        if address is None:
            return scope
        is_encrypted = fields.get(b"x-forwarded-proto") == ["https"]
        state = {**scope.get("state", {}), "tls_version": TLS if is_encrypted else None}
        scheme = ("ws" if scope["type"] == "websocket" else "http") + ("s" if is_encrypted else "")
        return {**scope, "client": (str(address), 0), "scheme": scheme, "state": state}

    def _has(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def peer_of(request: HTTPConnection) -> Peer:
    """Give who is at the other end."""
    client = request.client
    version = request.scope.get("state", {}).get("tls_version")
    return Peer(client.host if client else "", client.port if client else 0, tls_version=version)


def must_be_private(peer: Peer, what: str, *, allows_clear_text: bool) -> None:
    """Refuse what could be read on the way; `what` begins the sentence that says so. Errors: TlsRequired."""
    if not (peer.is_encrypted or allows_clear_text or is_loopback(peer.address)):
        raise TlsRequired(f"{what} served over TLS only; use an address with https://")


def must_be_asked_here(request: HTTPConnection, origins: Collection[str] = (), own: str = "") -> None:
    """Refuse what a browser sends for a page of somewhere else, with the log-in that it remembers (attack row 89).

    `origins`: those that may, as ``https://mail.example.org``; `own`: ours, where a proxy asks us by another name.
    Programs that are no browsers send neither field. Spec: W3C, Fetch Metadata Request Headers §2; RFC 6454 §7.
    Errors: NotAllowed.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if origin is not None and (origin in origins or (own and origin == own)):
        return
    if site is not None:
        is_here = site in {"same-origin", "none"}
    else:
        is_here = origin is None or origin.lower().rpartition("://")[2] == request.headers.get("host", "").lower()
    if not is_here:
        raise NotAllowed("Pages of other servers may not post here")


def basic_credentials(value: str) -> tuple[str, Secret]:
    """Read name and password of an Authorization field. Spec: RFC 7617 §2. Errors: AuthenticationFailed."""
    scheme, _, token = value.partition(" ")
    if scheme.lower() != "basic":
        raise AuthenticationFailed
    try:
        text = base64.b64decode(token.strip(), validate=True)
        username, colon, password = text.decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise AuthenticationFailed from None
    if not colon:
        raise AuthenticationFailed
    return username, Secret(password)


def is_loopback(address: str) -> bool:
    """Whether an address is of this machine only."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address, or one with brackets; with a port it is None, as is whatever else."""
    try:
        found = ip_address(text.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
