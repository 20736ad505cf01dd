"""Zones whose provider keeps each record by itself, under an id, and speaks JSON: what such providers share.

Nothing is remembered between two rounds (see `ZoneEditor.settle`) but which zone a name belongs to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlencode

from mailstead.model.errors import WebFailed, WebRefused
from mailstead.policy.zone_values import normal
from mailstead.ports.web import WebClient
from mailstead.ports.zones import NoZone, ZoneRefused

OCTETS_MAX: Final = 4 * 1024 * 1024
"""Of one answer: a page of records."""
PAGES_MAX: Final = 1000
TEXT_LENGTH_MAX: Final = 300
"""Of what a provider says in its own words."""


class Zone(NamedTuple):
    """A zone at a provider."""

    name: str
    zone_id: str


class Held(NamedTuple):
    """A record at a provider."""

    record_id: str
    value: str


class RecordApi(Protocol):
    """What is different between such providers. Errors of all verbs: ZoneRefused."""

    title: str
    kinds: frozenset[str]
    """Types of records that there can be."""
    ttl_min_s: int

    async def zone(self, name: str) -> Zone | None:
        """Give the zone of exactly this name."""

    async def records(self, zone: Zone, name: str, kind: str) -> list[Held]:
        """Give all records of a name and type, from all pages."""

    async def create(self, zone: Zone, name: str, kind: str, value: str, ttl_s: int) -> None:
        """Make a record; one that is there already is no error."""

    async def change(self, zone: Zone, record_id: str, name: str, kind: str, value: str, ttl_s: int) -> None:
        """Give a record another value."""

    async def delete(self, zone: Zone, record_id: str) -> None:
        """Remove a record; one that is gone is no error."""


class HeldZones:
    """Implements `ports.zones.ZoneEditor` on a `RecordApi`."""

    def __init__(self, api: RecordApi) -> None:
        self._api = api
        self._zones: dict[str, Zone] = {}

    async def values(self, name: str, kind: str) -> Sequence[str]:
        """See `ZoneEditor`."""
        if kind not in self._api.kinds:
            return ()
        return [held.value for held in await self._records(await self._zone(name), name, kind)]

    async def add(self, name: str, kind: str, value: str, ttl_s: int) -> None:
        """See `ZoneEditor`."""
        self._must_know(kind)
        zone, value = await self._zone(name), normal(kind, value)
        if any(held.value == value for held in await self._records(zone, name, kind)):
            return
        await self._api.create(zone, name, kind, value, max(ttl_s, self._api.ttl_min_s))

    async def remove(self, name: str, kind: str, value: str) -> None:
        """See `ZoneEditor`."""
        self._must_know(kind)
        zone, value = await self._zone(name), normal(kind, value)
        for held in await self._records(zone, name, kind):
            if held.value == value:
                await self._api.delete(zone, held.record_id)

    async def replace(self, name: str, kind: str, old: Sequence[str], value: str, ttl_s: int) -> None:
        """See `ZoneEditor`: the first of the old ones changes, the others go."""
        self._must_know(kind)
        zone, value = await self._zone(name), normal(kind, value)
        replaced = {normal(kind, each) for each in old} - {value}
        found = await self._records(zone, name, kind)
        in_place = any(held.value == value for held in found)
        for held in found:
            if held.value not in replaced:
                continue
            if in_place:
                await self._api.delete(zone, held.record_id)
            else:
                ttl_s = max(ttl_s, self._api.ttl_min_s)
                await self._api.change(zone, held.record_id, name, kind, value, ttl_s)
                in_place = True
        if not in_place:
            await self._api.create(zone, name, kind, value, max(ttl_s, self._api.ttl_min_s))

    async def settle(self) -> None:
        """See `ZoneEditor`: such providers do not tell how far they are."""
        self._zones.clear()

    async def _zone(self, name: str) -> Zone:
        """Errors: NoZone, ZoneRefused."""
        if name not in self._zones:
            for candidate in candidates(name):
                zone = await self._api.zone(candidate)
                if zone is not None:
                    self._zones[name] = zone
                    break
            else:
                raise NoZone(
                    f"{self._api.title} shows no zone for {name} to this token: is the domain in that account, and may "
                    "the token see it?"
                )
        return self._zones[name]

    async def _records(self, zone: Zone, name: str, kind: str) -> list[Held]:
        try:
            found = await self._api.records(zone, name, kind)
        except ZoneRefused:
            self._zones.clear()  # the zone may be another one by now
            raise
        return [Held(held.record_id, normal(kind, held.value)) for held in found]

    def _must_know(self, kind: str) -> None:
        if kind not in self._api.kinds:
            raise ZoneRefused(f"{self._api.title} has no records of type {kind}; leave this one out")


def candidates(name: str) -> Iterator[str]:
    """Give the names that the zone of a name may have, the longest first; a top-level domain is nobody's."""
    labels = name.split(".")
    for start in range(max(len(labels) - 1, 1)):
        yield ".".join(labels[start:])


class JsonAnswer(NamedTuple):
    """An answer that was read."""

    status: int
    document: Mapping[str, Any]


class JsonApi:
    """Asks an API that speaks JSON and knows us by a token."""

    def __init__(self, web: WebClient, url: str, token: str, title: str) -> None:
        self._web = web
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._title = title

    async def ask(
        self, method: str, path: str, query: Mapping[str, object] | None = None, body: object = None
    ) -> JsonAnswer:
        """Give the answer, whatever its status, faults of the server aside. Errors: ZoneRefused."""
        url = f"{self._url}{path}" + (f"?{urlencode(query)}" if query else "")
        octets = None if body is None else json.dumps(body).encode()
        try:
            response = await self._web.send(method, url, octets, self._headers, octets_max=OCTETS_MAX)
        except (WebFailed, WebRefused) as error:
            raise ZoneRefused(f"{self._title} cannot be asked: {error.public_text}") from None
        if response.status == 429:
            raise ZoneRefused(f"{self._title} wants fewer requests: try again in some minutes")
        if response.status >= 500:
            raise ZoneRefused(f"{self._title} has a fault of its own (status {response.status}): try again later")
        if not response.octets:
            return JsonAnswer(response.status, {})
        try:
            document = json.loads(response.octets)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise ZoneRefused(f"{self._title} answers something else than JSON; is dns_provider.endpoint right?")
        return JsonAnswer(response.status, document)
