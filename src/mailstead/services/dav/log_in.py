"""Who asks: HTTP Basic, with each request.

Spec: RFC 7617; RFC 6764 §6. Passwords go over TLS only, but on loopback, and where a proxy is said to end TLS.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

from mailstead.model.envelope import Actor
from mailstead.net.http_requests import WRITING, basic_credentials, must_be_private, peer_of
from mailstead.net.http_requests import must_be_asked_here as must_not_come_from_elsewhere
from mailstead.usecases.accounts import Accounts

SERVICE: Final = "dav"
"""What app passwords may be limited to."""
WHAT: Final = "Calendars and contacts are"
"""Served over TLS."""


async def log_in(request: Request, accounts: Accounts, *, allows_clear_text: bool) -> Actor:
    """Give the actor whose name and password a request carries.

    Errors: AuthenticationFailed, also where there are none; TlsRequired; of `Accounts.log_in`.
    """
    peer = peer_of(request)
    must_be_private(peer, WHAT, allows_clear_text=allows_clear_text)
    username, secret = basic_credentials(request.headers.get("authorization", ""))
    return await accounts.log_in(username, secret, peer, SERVICE)


def must_be_asked_here(request: Request, *, changes_by_get: bool = False) -> None:
    """Refuse what a browser sends for a page of somewhere else (attack row 89).

    Of GET that is so where it changes something. Methods of WebDAV it does not send for others at all, unless we said
    so (CORS), which we do not. Errors: NotAllowed.
    """
    if request.method in WRITING or (request.method == "GET" and changes_by_get):
        must_not_come_from_elsewhere(request)
