"""Waits until all name servers of a zone show a record that the first one has taken.

An authority asks any of them, and soon: a secondary that has not yet fetched the zone would spoil the order, each time
anew. Servers that do not answer us are not waited for: they may be out of our reach alone.

Spec: RFC 8555 §8.4; RFC 1996 (secondaries are told, and fetch by themselves).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from mailstead.model.errors import DnsUnavailable
from mailstead.net.dns_exchange import NameServer, exchange
from mailstead.net.dns_wire import BadAnswer, Kind, read
from mailstead.ports.resolver import Resolver
from mailstead.telemetry import log

_log = log.get("net")

LOOK_LIMIT_S: Final = 3.0
PAUSE_S: Final = 2.0
LOOKS_MAX: Final = 45
"""With the pauses a minute and a half; a secondary that is slower has not heard of the change."""
SERVERS_MAX: Final = 26
"""Of one zone."""


class Shown(NamedTuple):
    """A TXT record; its name as on the wire."""

    owner: bytes
    text: bytes


Seen = Callable[[Sequence[Shown]], Awaitable[None]]
"""Waits until records that were put into zones are shown by all servers of these zones."""


class Secondaries:
    """Asks them directly, as resolvers may remember what was before."""

    def __init__(
        self,
        resolver: Resolver,
        server: NameServer,
        *,
        port: int = 53,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`server` tells a zone's name servers, and `resolver` their addresses; `pause` waits so many seconds.

        `server` may be the first of the zone's own or a resolver. Another port than 53 is for tests.
        """
        self._resolver = resolver
        self._server = server
        self._port = port
        self._pause = pause

    async def wait(self, records: Sequence[Shown]) -> None:
        """See `Seen`. Where it takes too long, the authority may see for itself."""
        servers = {owner: await self._servers(owner) for owner in dict.fromkeys(record.owner for record in records)}
        missing = [(at, record) for record in records for at in servers[record.owner]]
        for look in range(LOOKS_MAX):
            if look:
                await self._pause(PAUSE_S)
            are_missing = await asyncio.gather(*(_is_missing(at, record) for at, record in missing))
            missing = [each for each, is_missing in zip(missing, are_missing, strict=True) if is_missing]
            if not missing:
                return
        slow = sorted({at.address for at, _ in missing})
        _log.warning("name servers do not show the proof for a certificate", servers=slow)

    async def _servers(self, owner: bytes) -> list[NameServer]:
        """Give the addresses of all servers of the zone that holds a name, as far as they can be had."""
        hosts: tuple[str, ...] = ()
        zone = owner
        try:
            while zone[1 + zone[0]] and not hosts:  # a top-level domain is nobody's
                async with asyncio.timeout(LOOK_LIMIT_S):
                    answer = read(await exchange(self._server, zone, Kind.NS, wants_dnssec=False), zone, Kind.NS)
                hosts = answer.records
                zone = zone[1 + zone[0] :]
        except (OSError, EOFError, TimeoutError, BadAnswer):
            return []
        addresses: dict[str, None] = {}
        for host in hosts[:SERVERS_MAX]:
            for look_up in (self._resolver.a, self._resolver.aaaa):
                try:
                    addresses |= dict.fromkeys((await look_up(host)).records)
                except DnsUnavailable:
                    continue
        return [NameServer(address, self._port) for address in list(addresses)[:SERVERS_MAX]]


async def _is_missing(at: NameServer, record: Shown) -> bool:
    """Whether a server says that the record is not there."""
    try:
        async with asyncio.timeout(LOOK_LIMIT_S):
            octets = await exchange(at, record.owner, Kind.TXT, wants_dnssec=False)
        answer = read(octets, record.owner, Kind.TXT)
    except (OSError, EOFError, TimeoutError, BadAnswer):
        return False
    return answer.code in {0, 3} and record.text not in answer.records
