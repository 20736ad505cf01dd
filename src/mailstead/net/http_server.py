"""HTTP inside our own process and loop: uvicorn on sockets that we have bound, with the house's certificate.

Two things are not left to uvicorn. TLS takes the house's context anew at each handshake, so a new certificate serves
the next connection. And whatever happens on a connection, it has an end: uvicorn waits for ever for the first request.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from mailstead.net.endpoint import Endpoint
from mailstead.net.listener import bound_sockets
from mailstead.net.tls import bare_server_context
from mailstead.telemetry import metrics

# Uvicorn would tell addresses with their queries, and websockets whole frames, which may be log-ins.
logging.getLogger("uvicorn.error").setLevel(logging.WARNING)

HEAD_OCTETS_MAX: Final = 16 * 1024
STOP_LIMIT_S: Final = 2
SOCKET_OCTETS_MAX: Final = 16 * 1024
"""Of a frame that a client sends."""
GATHERED_OCTETS_MAX: Final = 64 * 1024
"""Of an answer that waits for the end of a turn of the loop."""
PING_S: Final = 30.0
"""Between pings of a WebSocket, and how long an answer may take."""


@dataclass(frozen=True, slots=True)
class HttpTerms:
    """What a service allows a connection."""

    service: str
    """Its name in metrics and messages."""
    connection_s: float = 30.0
    """After so long a connection ends, unless it is about something that may last."""
    request_s: Callable[[str], float] = lambda _path: 0.0
    """How long a request for a path may last; more than `connection_s`, or 0."""
    connections_max: int = 500
    keep_alive_s: int = 5
    """How long a connection is kept open for the next request."""
    long_keep_alive_s: int = 60
    """… behind one that might have lasted longer than `connection_s`."""
    has_sockets: bool = False
    """Whether connections may become WebSockets; those live for as long as both ends answer pings."""


class HttpServer:
    """`bind`, then `run`."""

    def __init__(
        self,
        app: ASGIApp,
        terms: HttpTerms,
        listen: Sequence[str],
        listen_tls: Sequence[str],
        context: Callable[[], ssl.SSLContext],
        *,
        is_port_shared: bool = False,
    ) -> None:
        """`context` gives what serves the next handshake.

        A request's state has ``tls_version``; ``stopping``, an event that answers without end of their own wait for,
        so that they do not delay the stop; ``abort``, which gets rid of a client who does not read.
        Errors: BadSettings.
        """
        self._app = app
        self.terms = terms
        """Looked at by each connection."""
        self._tls_server: _Server | None = None
        self._servers: list[_Server] = []
        self._endpoints = {
            False: [Endpoint.parse(at) for at in listen],
            True: [Endpoint.parse(at) for at in listen_tls],
        }
        self._context = context
        self._is_port_shared = is_port_shared
        self._stopping = asyncio.Event()
        self._sockets: dict[bool, list[socket.socket]] = {False: [], True: []}

    @property
    def open_count(self) -> int:
        """How many connections are open now, WebSockets included."""
        return sum(len(each.server_state.connections) for each in self._servers)

    @property
    def bound(self) -> list[Endpoint]:
        """Where this really listens, clear text first."""
        return [Endpoint(*each.getsockname()[:2]) for is_tls in (False, True) for each in self._sockets[is_tls]]

    def bind(self) -> None:
        """Take the ports. Errors: BadSettings, saying what to do; then none is taken."""
        try:
            for is_tls, endpoints in self._endpoints.items():
                for endpoint in endpoints:
                    self._sockets[is_tls] += bound_sockets(
                        self.terms.service, endpoint, is_port_shared=self._is_port_shared
                    )
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
        self._servers = list(servers.values())
        self._tls_server = servers[True]  # also without a port of its own: it adopts
        async with asyncio.TaskGroup() as group:
            for is_tls, server in servers.items():
                group.create_task(server.serve(self._sockets[is_tls]))
            await stop.wait()
            self._stopping.set()
            for server in servers.values():
                server.should_exit = True

    async def adopt(self, accepted: socket.socket) -> None:
        """Serve a connection that another port has accepted, with TLS from here on. Before `run` it is closed."""
        if self._tls_server is None or self._tls_server.should_exit:
            accepted.close()
            return
        await self._tls_server.adopt(accepted, self._handing_context())

    @property
    def stopping(self) -> asyncio.Event:
        """Set when the server begins to stop."""
        return self._stopping

    def _config(self, *, is_tls: bool) -> uvicorn.Config:
        protocol = type("_BoundConnection", (_Connection,), {"server_of": self})
        return uvicorn.Config(
            self._app,
            http=protocol,
            ws="websockets-sansio" if self.terms.has_sockets else "none",
            ws_max_size=SOCKET_OCTETS_MAX,
            ws_ping_interval=PING_S,
            ws_ping_timeout=PING_S,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=self.terms.connections_max,
            timeout_keep_alive=self.terms.keep_alive_s,
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
        protocol: Any = self.config.http_protocol_class
        make = functools.partial(protocol, self.config, self.server_state, self.lifespan.state)
        await asyncio.get_running_loop().connect_accepted_socket(make, accepted, ssl=context)


class _Gathering(asyncio.Transport):
    """A transport that sends what is written in one turn of the loop at once; all else is that of the one it is given.

    Uvicorn writes a head and its body apart, each of which is a TLS record, a system call and a client woken up.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []
        self._octets = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See asyncio.WriteTransport."""
        if not data:
            return
        if not self._pieces:
            self._loop.call_soon(self._send)
        self._pieces.append(bytes(data))
        self._octets += len(data)
        if self._octets > GATHERED_OCTETS_MAX:
            self._send()

    def close(self) -> None:
        """See asyncio.BaseTransport."""
        self._send()
        self._transport.close()

    def abort(self) -> None:
        """See asyncio.WriteTransport."""
        self._pieces.clear()
        self._transport.abort()

    def _send(self) -> None:
        octets = b"".join(self._pieces)
        self._pieces.clear()
        self._octets = 0
        if octets and not self._transport.is_closing():  # it may have been lost meanwhile
            self._transport.write(octets)

    def is_closing(self) -> bool:
        """See asyncio.BaseTransport."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See asyncio.BaseTransport."""
        return self._transport.get_extra_info(name, default)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """See asyncio.BaseTransport."""
        return self._transport.get_protocol()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """See asyncio.BaseTransport."""
        self._transport.set_protocol(protocol)

    def is_reading(self) -> bool:
        """See asyncio.ReadTransport."""
        return self._transport.is_reading()

    def pause_reading(self) -> None:
        """See asyncio.ReadTransport."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """See asyncio.ReadTransport."""
        self._transport.resume_reading()

    def get_write_buffer_size(self) -> int:
        """See asyncio.WriteTransport."""
        return self._octets + self._transport.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See asyncio.WriteTransport."""
        self._transport.set_write_buffer_limits(high, low)


class _Connection(H11Protocol):
    """One that ends after a time, and does not begin where there are too many."""

    server_of: HttpServer
    _end: asyncio.TimerHandle | None = None
    _seen: object = None
    _seen_at_s: float = 0.0

    def connection_made(self, transport: Any) -> None:
        """See asyncio.Protocol."""
        terms = self.server_of.terms
        metrics.CONNECTIONS.labels(terms.service).inc()
        super().connection_made(_Gathering(transport, self.loop))
        if len(self.connections) > terms.connections_max:
            metrics.refused(terms.service, "closed", "too-many")
            transport.abort()
            return
        encrypted = transport.get_extra_info("ssl_object")
        self.app_state = {
            **self.app_state,
            "tls_version": encrypted.version() if encrypted is not None else None,
            "stopping": self.server_of.stopping,
            "abort": transport.abort,
        }
        self._end = self.loop.call_later(terms.connection_s, self._look, transport)

    def on_response_complete(self) -> None:
        """See H11Protocol: the connection waits for the next request."""
        terms = self.server_of.terms
        self.timeout_keep_alive = terms.long_keep_alive_s if self._may_last_s() else terms.keep_alive_s
        super().on_response_complete()

    def _may_last_s(self) -> float:
        """Give how long the present request may last; 0: no longer than any connection."""
        terms = self.server_of.terms
        seconds = terms.request_s(self.cycle.scope["path"]) if self.cycle is not None else 0.0
        return seconds if seconds > terms.connection_s else 0.0

    def _look(self, transport: Any) -> None:
        """End what lasts too long; what may last is looked at again."""
        left_s = self._left_s()
        if left_s <= 0:
            transport.abort()
            return
        self._end = self.loop.call_later(min(left_s, self.server_of.terms.connection_s), self._look, transport)

    def _left_s(self) -> float:
        cycle, terms, now_s, may_last_s = self.cycle, self.server_of.terms, self.loop.time(), self._may_last_s()
        is_new = cycle is not self._seen
        if is_new:
            self._seen, self._seen_at_s = cycle, now_s
        if cycle is None or not may_last_s:
            return 0.0
        if cycle.response_complete and self.timeout_keep_alive_task is not None:
            return terms.connection_s  # at rest, which uvicorn ends
        if cycle.response_complete and not is_new:
            return 0.0  # another head has begun, and had the same time to come to its end
        return may_last_s - terms.connection_s - (now_s - self._seen_at_s)

    def handle_websocket_upgrade(self, event: Any) -> None:
        """See H11Protocol: another protocol takes the connection, with an end of its own."""
        if self._end is not None:
            self._end.cancel()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)
