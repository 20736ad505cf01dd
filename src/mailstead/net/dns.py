"""The resolver of the house: asks the configured name servers, and remembers what they said.

Theory of operation. A question goes through the memory first, then joins the same question if somebody is just asking
it, and only then goes to the servers, one after the other. All tries together have one time limit. Whatever is no
answer (SERVFAIL, REFUSED, silence, garbage) is DnsUnavailable, remembered for a second only.

The word of a server that an answer is authentic counts if it is on loopback or the settings say so, and only if that
holds for all servers: otherwise who can make the trusted one fail could have us ask the other.

Spec: RFC 1034 §5.3.1; RFC 2308 (negative answers); RFC 6840 §5.7 (AD); attack row 34.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from mailstead.config.settings import Dns
from mailstead.model.errors import DnsUnavailable
from mailstead.net.dns_exchange import exchange, name_servers
from mailstead.net.dns_wire import NXDOMAIN, BadAnswer, Kind, name_of, read
from mailstead.ports.clock import Clock
from mailstead.ports.resolver import Answer, Caa, Mx, Srv, Tlsa
from mailstead.telemetry import log

_log = log.get("dns")

TTL_MAX_S: Final = 86400
NEGATIVE_TTL_MAX_S: Final = 900
"""Names come into being just when mail is to use them, so absence is believed more briefly than RFC 2308 §5 has it."""
FAILURE_TTL_S: Final = 1.0
CACHED_OCTETS_EACH: Final = 512
"""What an answer may take on average; so a cache full of 64 KB answers holds few of them."""
ROUNDS: Final = 2
"""How often each server is asked, if it is silent."""
TRY_MIN_S: Final = 1.0
IN_FLIGHT_MAX: Final = 500
"""Questions that are out at a time, each with a socket."""

_Key = tuple[bytes, Kind]
"""What was asked: a name as on the wire, and the type of records."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What was said about a question, or why nothing was."""

    answer: Answer[Any] | None
    failure: str
    ttl_s: float
    octets_count: int


class DnsResolver:
    """Implements `ports.resolver.Resolver`."""

    def __init__(self, settings: Dns, clock: Clock) -> None:
        """Errors: BadSettings, for a server that is no address."""
        self._servers = name_servers(settings.servers)
        self._limit_s = settings.query_limit_s
        self._clock = clock
        self._cache = _Cache(settings.cached_max, clock)
        self._asking: dict[_Key, asyncio.Task[_Known]] = {}
        self._in_flight = asyncio.Semaphore(IN_FLIGHT_MAX)
        on_loopback = [server.is_loopback for server in self._servers]
        self._believes_ad = settings.trusts_ad or all(on_loopback)
        if any(on_loopback) and not self._believes_ad:
            _log.warning("DNSSEC is not used, as not all name servers are on loopback", servers=self._servers)

    async def a(self, name: str) -> Answer[str]:
        """See `Resolver.a`."""
        return await self._look_up(name, Kind.A)

    async def aaaa(self, name: str) -> Answer[str]:
        """See `Resolver.aaaa`."""
        return await self._look_up(name, Kind.AAAA)

    async def mx(self, name: str) -> Answer[Mx]:
        """See `Resolver.mx`."""
        return await self._look_up(name, Kind.MX)

    async def txt(self, name: str) -> Answer[bytes]:
        """See `Resolver.txt`."""
        return await self._look_up(name, Kind.TXT)

    async def ptr(self, address: str) -> Answer[str]:
        """See `Resolver.ptr`."""
        try:
            name = ip_address(address).reverse_pointer
        except ValueError:
            return Answer((), exists=False)
        return await self._look_up(name, Kind.PTR)

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        """See `Resolver.tlsa`."""
        return await self._look_up(name, Kind.TLSA)

    async def srv(self, name: str) -> Answer[Srv]:
        """See `Resolver.srv`."""
        return await self._look_up(name, Kind.SRV)

    async def caa(self, name: str) -> Answer[Caa]:
        """See `Resolver.caa`."""
        return await self._look_up(name, Kind.CAA)

    async def _look_up(self, text: str, kind: Kind) -> Answer[Any]:
        name = name_of(text)
        if name is None:
            return Answer((), exists=False)
        key = (name, kind)
        known = self._cache.get(key)
        if known is None:
            task = self._asking.get(key)
            if task is None:
                task = asyncio.create_task(self._ask(key))
                self._asking[key] = task
                task.add_done_callback(lambda _: self._asking.pop(key, None))
            # Who gives up waiting must not take the answer from the others.
            known = await asyncio.shield(task)
        if known.answer is None:
            raise DnsUnavailable(name=text, kind=kind.name, failure=known.failure)
        return known.answer

    async def _ask(self, key: _Key) -> _Known:
        """Ask the servers, within the time limit; remember what comes of it."""
        name, kind = key
        known = _Known(None, "no time left", FAILURE_TTL_S, 0)
        try:
            async with asyncio.timeout(self._limit_s), self._in_flight:
                known = await self._ask_in_turn(name, kind)
        except TimeoutError:
            _log.debug("no answer in time", name=name, kind=kind.name)
        self._cache.put(key, known)
        return known

    async def _ask_in_turn(self, name: bytes, kind: Kind) -> _Known:
        servers = list(self._servers)
        try_s = max(TRY_MIN_S, self._limit_s / (len(servers) * ROUNDS))
        failure = ""
        for _ in range(ROUNDS):
            for server in tuple(servers):
                try:
                    async with asyncio.timeout(try_s):
                        octets = await exchange(server, name, kind, wants_dnssec=self._believes_ad)
                    return self._known(octets, name, kind)
                except TimeoutError:
                    failure = f"{server.address} is silent"
                except (OSError, EOFError, BadAnswer) as error:
                    # It has said no; asking it again would bring the same.
                    servers.remove(server)
                    failure = f"{server.address}: {error}"
        _log.debug("no answer", name=name, kind=kind.name, failure=failure)
        return _Known(None, failure, FAILURE_TTL_S, 0)

    def _known(self, octets: bytes, name: bytes, kind: Kind) -> _Known:
        """Make an answer of a message. Errors: BadAnswer."""
        response = read(octets, name, kind)
        if response.code not in {0, NXDOMAIN}:
            raise BadAnswer(f"has failed (RCODE {response.code})")
        records = tuple(sorted(response.records)) if kind is Kind.MX else response.records
        answer = Answer(
            records,
            exists=response.code != NXDOMAIN,
            is_authentic=self._believes_ad and response.is_authentic,
            canonical_name=response.canonical_name,
        )
        if response.ttl_s is None:
            # RFC 2308 §5: absence without a SOA is not to be remembered; not longer than a failure, that is.
            return _Known(answer, "", FAILURE_TTL_S, len(octets))
        ttl_s = min(response.ttl_s, TTL_MAX_S if records else NEGATIVE_TTL_MAX_S)
        return _Known(answer, "", ttl_s, len(octets))


class _Cache:
    """Answers until they run out; beyond the bound those unused for longest go."""

    def __init__(self, cached_max: int, clock: Clock) -> None:
        self._cached_max = cached_max
        self._octets_max = cached_max * CACHED_OCTETS_EACH
        self._octets_count = 0
        self._clock = clock
        self._known: OrderedDict[_Key, tuple[_Known, float]] = OrderedDict()

    def get(self, key: _Key) -> _Known | None:
        found = self._known.get(key)
        if found is None:
            return None
        known, until_s = found
        if self._clock.monotonic_s() >= until_s:
            self._remove(key)
            return None
        self._known.move_to_end(key)
        return known

    def put(self, key: _Key, known: _Known) -> None:
        if key in self._known:
            self._remove(key)
        if known.ttl_s <= 0:
            return
        self._known[key] = known, self._clock.monotonic_s() + known.ttl_s
        self._octets_count += known.octets_count
        while len(self._known) > self._cached_max or self._octets_count > self._octets_max:
            self._remove(next(iter(self._known)))

    def _remove(self, key: _Key) -> None:
        known, _ = self._known.pop(key)
        self._octets_count -= known.octets_count
