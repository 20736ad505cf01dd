"""One port for mail and web, 443 as a rule: a client that offers `imap` or `smtp` (ALPN) gets that, all others the web.

The client's hello is looked at and left where it is (MSG_PEEK); then the socket goes to whoever it is for, who does TLS
as on a port of its own. So nothing is passed on octet by octet. Clients that say nothing, or not a whole hello, are
dropped after a while, and there are never many of them. A PROXY header is not understood here. An authority that looks
for the proof of a name (`acme-tls/1`) gets a handshake, and then the end.

Spec: RFC 7301; RFC 8737 §3, §4; reference chatmail, section 7.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from mailstead.net.client_hello import HELLO_OCTETS_MAX, NoHello, protocols_asked
from mailstead.net.driver import Driver
from mailstead.net.listener import Listener
from mailstead.net.pulse import Pulse
from mailstead.net.terms import Terms
from mailstead.telemetry import log, metrics

HELLO_LIMIT_S: Final = 10.0
WAITING_MAX: Final = 1000
"""Connections whose hello we wait for."""
ACCEPT_AGAIN_S: Final = 0.5
"""After an accept that failed, for want of files as a rule: connections that end give some back."""

ACME_TLS: Final = b"acme-tls/1"
"""Spec: RFC 8737 §6.2."""

_log = log.get("net")

Adopt = Callable[[socket.socket], Awaitable[None]]
"""Takes over an accepted connection on which TLS is to begin."""


class SharedPort(Listener):
    """A listener that chooses the service by what the client offers; where nothing fits and no web is, it ends."""

    def __init__(
        self,
        endpoint: str,
        mail: Mapping[bytes, Terms],
        web: Adopt | None,
        *,
        challenge: Callable[[], ssl.SSLContext] | None = None,
        is_port_shared: bool = False,
    ) -> None:
        """`mail`: protocol name → terms whose TLS begins at once. `challenge` gives what proves names to an authority.

        Errors: BadSettings.
        """
        first = next(iter(mail.values()))
        super().__init__(endpoint, first, is_port_shared=is_port_shared)
        self._mail = mail
        self._web = web
        self._challenge = challenge
        self._accepting: list[asyncio.Task[None]] = []
        self._waiting: set[asyncio.Task[None]] = set()

    async def start(self, pulse: Pulse) -> None:
        """Accept from now on."""
        for listening in self._sockets:
            self._accepting.append(asyncio.create_task(self._accept(listening, pulse)))

    def stop_accepting(self) -> None:
        """Close the listening sockets; conversations go on."""
        for task in (*self._accepting, *self._waiting):
            task.cancel()
        self._accepting.clear()
        self.close()

    async def _accept(self, listening: socket.socket, pulse: Pulse) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError as error:
                _log.warning("a connection could not be accepted", error=str(error))
                await asyncio.sleep(ACCEPT_AGAIN_S)  # nobody tells when a file is free again
                continue
            if len(self._waiting) >= WAITING_MAX:
                metrics.refused("shared", "closed", "too-many")
                accepted.close()
                continue
            task = asyncio.create_task(self._hand_over(accepted, pulse))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def _hand_over(self, accepted: socket.socket, pulse: Pulse) -> None:
        """Look at the hello and give the connection to whom it is for; whatever fails, it is closed."""
        loop = asyncio.get_running_loop()
        accepted.setblocking(False)
        try:
            async with asyncio.timeout(HELLO_LIMIT_S):
                offered = await _peeked(accepted)
            terms = next((self._mail[name] for name in offered if name in self._mail), None)
            if self._challenge is not None and offered == (ACME_TLS,):
                await _shake_hands(accepted, self._challenge())
            elif terms is not None:
                await loop.connect_accepted_socket(lambda: Driver(terms, pulse, self._open_drivers), accepted)
            elif self._web is not None:
                await self._web(accepted)
            else:
                metrics.refused("shared", "closed", "no-service")
                accepted.close()
        except (NoHello, OSError, TimeoutError) as error:
            metrics.refused("shared", "closed", type(error).__name__)
            accepted.close()
        except BaseException:
            accepted.close()
            raise


async def _shake_hands(accepted: socket.socket, context: ssl.SSLContext) -> None:
    """Do the handshake, which is all that proves a name, and close. Errors: OSError. Spec: RFC 8737 §3."""
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
        asyncio.Protocol, accepted, ssl=context, ssl_handshake_timeout=HELLO_LIMIT_S
    )
    transport.close()


async def _peeked(accepted: socket.socket) -> tuple[bytes, ...]:
    """Give the protocols that the client offers, and leave its hello unread. Errors: NoHello, OSError."""
    while True:
        await _readable(accepted)
        octets = accepted.recv(HELLO_OCTETS_MAX, socket.MSG_PEEK)
        if not octets:
            raise NoHello("closed")
        offered = protocols_asked(octets)
        if offered is not None:
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
            return offered
        if len(octets) >= HELLO_OCTETS_MAX:
            raise NoHello("too long")
        # Octets that are there already must not wake us again: more than these must have come.
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(octets) + 1)


async def _readable(accepted: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(accepted, wake)
    try:
        await ready
    finally:
        with contextlib.suppress(ValueError, OSError):
            loop.remove_reader(accepted)
