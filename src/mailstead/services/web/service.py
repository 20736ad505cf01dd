"""The web server inside our own process and loop: uvicorn on sockets that we have bound, with the house's certificate.

Two things are not left to uvicorn. TLS takes the house's context anew at each handshake, so a new certificate serves
the next connection. And a connection has a limited life, whatever happens on it: uvicorn waits for ever for the first
request, while our answers are small and quick.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from mailstead.net.endpoint import Endpoint
from mailstead.net.listener import bound_sockets
from mailstead.net.tls import bare_server_context
from mailstead.services.web import mxdeliv
from mailstead.services.web.app import make_app
from mailstead.telemetry import log, metrics
from mailstead.usecases.invitations import Invitations
from mailstead.usecases.log_in_links import LogInLinks
from mailstead.usecases.publications import Publications
from mailstead.usecases.receptions import Receptions

_log = log.get("web")

CONNECTION_S: Final = 30.0
MAIL_CONNECTION_S: Final = 300.0
"""Of one that is bringing a message: it may be large, and its delivery may wait. It has a pace to keep, too."""
CONNECTIONS_MAX: Final = 500
HEAD_OCTETS_MAX: Final = 16 * 1024
STOP_LIMIT_S: Final = 2


class WebService:
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
        log_in_links: LogInLinks | None = None,
        custom_folder: str = "",
        is_port_shared: bool = False,
    ) -> None:
        """`context` gives what serves the next handshake; `challenge_answer` is for `make_app`. Errors: BadSettings."""
        self._app = make_app(
            publications,
            invitations,
            receptions,
            challenge_answer=challenge_answer,
            log_in_links=log_in_links,
            custom_folder=custom_folder,
        )
        self._tls_server: _Server | None = None
        self._endpoints = {
            False: [Endpoint.parse(at) for at in listen],
            True: [Endpoint.parse(at) for at in listen_tls],
        }
        self._context = context
        self._is_port_shared = is_port_shared
        self._sockets: dict[bool, list[socket.socket]] = {False: [], True: []}

    @property
    def bound(self) -> list[Endpoint]:
        """Where this really listens, clear text first."""
        return [Endpoint(*each.getsockname()[:2]) for is_tls in (False, True) for each in self._sockets[is_tls]]

    def bind(self) -> None:
        """Take the ports. Errors: BadSettings, saying what to do; then none is taken."""
        try:
            for is_tls, endpoints in self._endpoints.items():
                for endpoint in endpoints:
                    self._sockets[is_tls] += bound_sockets("web", endpoint, is_port_shared=self._is_port_shared)
        except Exception:  # whatever it is: no port stays taken, and it goes on upwards
            self.close()
            raise

    def close(self) -> None:
        """Give the ports back."""
        for sockets in self._sockets.values():
            for each in sockets:
                each.close()
            sockets.clear()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until told to stop."""
        servers = {is_tls: _Server(self._config(is_tls=is_tls)) for is_tls in self._sockets}
        self._tls_server = servers[True]  # also without a port of its own: it adopts
        async with asyncio.TaskGroup() as group:
            for is_tls, server in servers.items():
                group.create_task(server.serve(self._sockets[is_tls]))
            await stop.wait()
            for server in servers.values():
                server.should_exit = True

    async def adopt(self, accepted: socket.socket) -> None:
        """Serve a connection that another port has accepted, with TLS from here on. Before `run` it is closed."""
        if self._tls_server is None or self._tls_server.should_exit:
            accepted.close()
            return
        await self._tls_server.adopt(accepted, self._handing_context())

    def _config(self, *, is_tls: bool) -> uvicorn.Config:
        return uvicorn.Config(
            self._app,
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=STOP_LIMIT_S,
            h11_max_incomplete_event_size=HEAD_OCTETS_MAX,
            ssl_context_factory=(lambda _config, _default: self._handing_context()) if is_tls else None,
        )

    def _handing_context(self) -> ssl.SSLContext:
        """Give a context that hands each handshake to the one of the moment.

        OpenSSL takes the certificate from the context that is set when it has read the client's hello. That is also
        called where the client names no host.
        """
        handing = bare_server_context()
        handing.set_alpn_protocols(["http/1.1"])

        def hand_over(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
            connection.context = self._context()

        handing.sni_callback = hand_over
        return handing


class _Server(uvicorn.Server):
    """Leaves the signals to the house."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def adopt(self, accepted: socket.socket, context: ssl.SSLContext) -> None:
        """Serve a connection as if one of our ports had accepted it."""
        make = functools.partial(_Connection, self.config, self.server_state, self.lifespan.state)
        await asyncio.get_running_loop().connect_accepted_socket(make, accepted, ssl=context)


class _Connection(H11Protocol):
    """One that ends after a time, and does not begin where there are too many."""

    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """See asyncio.Protocol."""
        metrics.CONNECTIONS.labels("web").inc()
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            metrics.refused("web", "closed", "too-many")
            transport.abort()
            return
        self._end = self.loop.call_later(CONNECTION_S, self._too_long, transport)

    def _too_long(self, transport: Any) -> None:
        cycle = self.cycle
        is_busy = cycle is not None and not cycle.response_complete
        if is_busy and cycle.scope["path"] == mxdeliv.PATH:
            self._end = self.loop.call_later(MAIL_CONNECTION_S - CONNECTION_S, transport.abort)
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)
