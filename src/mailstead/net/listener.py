"""Listening sockets: where the setting says, bound before anything starts, with errors that say what to do."""

from __future__ import annotations

import asyncio
import errno
import socket

from mailstead.model.errors import BadSettings
from mailstead.net.driver import Driver
from mailstead.net.endpoint import Endpoint
from mailstead.net.pulse import Pulse
from mailstead.net.terms import Terms
from mailstead.telemetry import log

_log = log.get("net")

BACKLOG = 1024


class Listener:
    """One endpoint with the terms of its conversations. `bind`, then `start`, then `stop`."""

    def __init__(self, endpoint: Endpoint | str, terms: Terms, *, is_port_shared: bool = False) -> None:
        try:
            self.endpoint = Endpoint.parse(endpoint) if isinstance(endpoint, str) else endpoint
        except BadSettings as error:
            raise BadSettings(f"{terms.service}: {error.public_text}") from None
        self.terms = terms
        self._is_port_shared = is_port_shared
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._open_drivers: set[Driver] = set()

    @property
    def bound(self) -> list[Endpoint]:
        """Where this really listens: with the port that was given for port 0."""
        return [Endpoint(*listening.getsockname()[:2]) for listening in self._sockets]

    @property
    def open_count(self) -> int:
        """How many conversations are open."""
        return len(self._open_drivers)

    def bind(self) -> None:
        """Take the ports, so that a failure comes before anything has started.

        Errors: BadSettings, saying what to do.
        """
        self._sockets += bound_sockets(self.terms.service, self.endpoint, is_port_shared=self._is_port_shared)

    async def start(self, pulse: Pulse) -> None:
        """Accept from now on."""
        loop = asyncio.get_running_loop()
        for listening in self._sockets:
            server = await loop.create_server(
                lambda: Driver(self.terms, pulse, self._open_drivers), sock=listening, backlog=BACKLOG
            )
            self._servers.append(server)

    def stop_accepting(self) -> None:
        """Close the listening sockets; conversations go on."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        self.close()

    def close(self) -> None:
        """Give the ports back."""
        for listening in self._sockets:
            listening.close()
        self._sockets.clear()

    def say_goodbye(self) -> None:
        """Tell every session that the server stops."""
        for driver in tuple(self._open_drivers):
            driver.stop()

    def abort_all(self) -> int:
        """Close what is still open, now; give how many there were."""
        drivers = tuple(self._open_drivers)
        for driver in drivers:
            driver.abort()
        return len(drivers)


def bound_sockets(service: str, endpoint: Endpoint, *, is_port_shared: bool) -> list[socket.socket]:
    """Take the ports behind an endpoint, all or none. Errors: BadSettings, saying what to do."""
    sockets: list[socket.socket] = []
    for family, address in _socket_addresses(service, endpoint):
        listening = socket.socket(family, socket.SOCK_STREAM)
        sockets.append(listening)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if is_port_shared:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(address)
            # Listening at once lets early clients wait in the queue, and finds a second server on the same port.
            listening.listen(BACKLOG)
            listening.setblocking(False)
        except OSError as error:
            for each in sockets:
                each.close()
            raise BadSettings(_bind_advice(service, endpoint, error)) from None
    return sockets


def _socket_addresses(service: str, endpoint: Endpoint) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    host, port = endpoint.host, endpoint.port
    if not host:
        addresses = [(socket.AF_INET, ("0.0.0.0", port))]  # noqa: S104  # ":25" asks for just that
        if socket.has_dualstack_ipv6():
            addresses.append((socket.AF_INET6, ("::", port)))
        return addresses
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise BadSettings(f"{service}: cannot listen on '{host}': {error.strerror}") from None
    return list(dict.fromkeys((family, (str(address[0]), port)) for family, _, _, _, address in found))


def _bind_advice(service: str, endpoint: Endpoint, error: OSError) -> str:
    """Say in one sentence what went wrong and in another what to do."""
    where = f"{service} cannot listen on {endpoint}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"{where}: another program has that port. "
            f"See which with 'ss -ltnp sport = :{endpoint.port}', stop it, or choose another port in the settings"
        )
    if error.errno == errno.EACCES:
        return (
            f"{where}: ports below 1024 need a right. Choose a port from 1024 up, "
            "or give the service CAP_NET_BIND_SERVICE"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{where}: this machine does not have that address. See its addresses with 'ip address'"
    return f"{where}: {error.strerror}"
