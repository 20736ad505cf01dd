"""The web service: pages and files on the house's HTTP server, and what other services put beside them."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from typing import Final

from starlette.routing import Route
from starlette.types import ASGIApp

from mailstead.net.http_requests import Proxies
from mailstead.net.http_server import HttpServer, HttpTerms
from mailstead.services.web import mxdeliv
from mailstead.services.web.app import make_app
from mailstead.services.web.relay import Home
from mailstead.services.web.site import exports, live
from mailstead.usecases.invitations import Invitations
from mailstead.usecases.publications import Publications
from mailstead.usecases.receptions import Receptions

CONNECTION_S: Final = 30.0
MAIL_CONNECTION_S: Final = 300.0
"""Of one that is bringing a message: it may be large, and its delivery may wait. It has a pace to keep, too."""
UPLOAD_S: Final = 600.0
"""Of one that brings files for a message that is being written; who they are was asked before."""
EXPORT_S: Final = 3600.0
"""Of one that fetches all that an account has, which is asked of its session before."""
CONNECTIONS_MAX: Final = 500
_LASTING_S: Final = {
    exports.ARCHIVE: EXPORT_S,
    mxdeliv.PATH: MAIL_CONNECTION_S,
    live.PATH: live.CONNECTION_S,
    "/mail/write": UPLOAD_S,
}
"""Of paths that may take longer than `CONNECTION_S`."""


class WebService(HttpServer):
    """`bind`, then `run`."""

    def __init__(
        self,
        publications: Publications,
        listen: Sequence[str],
        listen_tls: Sequence[str],
        context: Callable[[], ssl.SSLContext],
        *,
        invitations: Invitations | None = None,
        receptions: Receptions | None = None,
        challenge_answer: Callable[[str], str | None] | None = None,
        custom_folder: str = "",
        further: Sequence[Route] = (),
        proxies: Proxies | None = None,
        home: Home | None = None,
        beside: Callable[[ASGIApp], ASGIApp] | None = None,
        beside_s: Callable[[str], float] | None = None,
        has_sockets: bool = False,
        is_port_shared: bool = False,
    ) -> None:
        """`context` gives what serves the next handshake; `challenge_answer` and `proxies` are for `make_app`.

        `further` pages come before the others, `home` answers for `/`. `beside` puts another application before the
        pages, which keeps what is its own and passes on the rest; `beside_s` gives how long its requests may last,
        `has_sockets` says that it has WebSockets.
        Errors: BadSettings.
        """
        app = make_app(
            publications,
            invitations,
            receptions,
            challenge_answer=challenge_answer,
            custom_folder=custom_folder,
            further=further,
            proxies=proxies,
            home=home,
        )

        def request_s(path: str) -> float:
            return _LASTING_S.get(path) or (beside_s(path) if beside_s is not None else 0.0)

        terms = HttpTerms("web", CONNECTION_S, request_s, CONNECTIONS_MAX, has_sockets=has_sockets)
        super().__init__(
            beside(app) if beside is not None else app,
            terms,
            listen,
            listen_tls,
            context,
            is_port_shared=is_port_shared,
        )
