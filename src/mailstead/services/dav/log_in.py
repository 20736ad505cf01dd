"""Who asks: HTTP Basic, with each request.

Spec: RFC 7617; RFC 6764 §6. Passwords go over TLS only, but on loopback, and where a proxy is said to end TLS.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress

from starlette.requests import Request

from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import AuthenticationFailed, NotAllowed, TlsRequired
from mailstead.model.secret import Secret
from mailstead.usecases.accounts import Accounts

SERVICE = "dav"
"""What app passwords may be limited to."""


def peer_of(request: Request) -> Peer:
    """Give who is at the other end."""
    client = request.client
    version = request.scope.get("state", {}).get("tls_version")
    return Peer(client.host if client else "", client.port if client else 0, tls_version=version)


async def log_in(request: Request, accounts: Accounts, *, allows_clear_text: bool) -> Actor:
    """Give the actor whose name and password a request carries.

    Errors: AuthenticationFailed, also where there are none; TlsRequired; of `Accounts.log_in`.
    """
    peer = peer_of(request)
    must_be_private(peer, allows_clear_text=allows_clear_text)
    username, secret = _credentials(request.headers.get("authorization", ""))
    return await accounts.log_in(username, secret, peer, SERVICE)


def must_be_private(peer: Peer, *, allows_clear_text: bool) -> None:
    """Errors: TlsRequired, where what is sent could be read on the way."""
    if not (peer.is_encrypted or allows_clear_text or _is_loopback(peer.address)):
        raise TlsRequired("Calendars and contacts are served over TLS only; use an address with https://")


def must_be_asked_here(request: Request, *, changes_by_get: bool = False) -> None:
    """Refuse what a browser sends for a page of somewhere else, with the log-in that it remembers (attack row 89).

    Of GET that is so where it changes something. Other methods that change something it does not send for others at
    all, unless we said so (CORS), which we do not. Programs that are no browsers send neither field.
    Spec: W3C, Fetch Metadata Request Headers §2. Errors: NotAllowed.
    """
    if request.method != "POST" and not (request.method == "GET" and changes_by_get):
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        is_here = site in {"same-origin", "none"}
    else:
        is_here = origin is None or origin.lower().rpartition("://")[2] == request.headers.get("host", "").lower()
    if not is_here:
        raise NotAllowed("Pages of other servers may not post here")


def _credentials(value: str) -> tuple[str, Secret]:
    """Read name and password. Spec: RFC 7617 §2. Errors: AuthenticationFailed."""
    scheme, _, token = value.partition(" ")
    if scheme.lower() != "basic":
        raise AuthenticationFailed
    try:
        text = base64.b64decode(token.strip(), validate=True)
        username, colon, password = text.decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise AuthenticationFailed from None
    if not colon:
        raise AuthenticationFailed
    return username, Secret(password)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
