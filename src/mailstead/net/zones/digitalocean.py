"""Zones at DigitalOcean, which calls them domains.

Names are written relative to the domain, its own as ``@``; targets with final dot, and read without one. A TXT goes as
it is, without quotes.

Spec: DigitalOcean API v2 (domains, domain records).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mailstead.model.secret import Secret
from mailstead.net.zones.held import PAGES_MAX, TEXT_LENGTH_MAX, Held, JsonAnswer, JsonApi, Zone
from mailstead.policy.zone_values import unquoted
from mailstead.ports.web import WebClient
from mailstead.ports.zones import ZoneRefused

URL: Final = "https://api.digitalocean.com/v2"
PER_PAGE: Final = 200


class DigitalOceanApi:
    """Implements `held.RecordApi`."""

    title: str = "DigitalOcean"
    kinds: frozenset[str] = frozenset({"A", "AAAA", "CAA", "CNAME", "MX", "SRV", "TXT"})
    ttl_min_s: int = 30

    def __init__(self, web: WebClient, token: Secret, url: str = URL) -> None:
        self._api = JsonApi(web, url, token.reveal(), self.title)

    async def zone(self, name: str) -> Zone | None:
        """See `RecordApi`."""
        # A name with an underscore may be refused as none; what is truly wrong is told for the next candidate.
        is_none = {400, 404, 422} if "_" in name else {404}
        answer = await self._asked("GET", f"/domains/{name}", passes=is_none)
        return None if answer.status in is_none else Zone(name, name)

    async def records(self, zone: Zone, name: str, kind: str) -> list[Held]:
        """See `RecordApi`."""
        held: list[Held] = []
        relative = _relative(name, zone)
        for page in range(1, PAGES_MAX):
            query = {"name": name, "type": kind, "per_page": PER_PAGE, "page": page}
            answer = await self._asked("GET", f"/domains/{zone.name}/records", query)
            found = answer.document.get("domain_records")
            # Names are compared here, too: what is found may be removed.
            held += (
                Held(str(each["id"]), _value(each, zone))
                for each in (found if isinstance(found, list) else ())
                if each.get("type") == kind and str(each.get("name", "")).lower() == relative
            )
            if not _has_next(answer):
                break
        return held

    async def create(self, zone: Zone, name: str, kind: str, value: str, ttl_s: int) -> None:
        """See `RecordApi`."""
        await self._asked("POST", f"/domains/{zone.name}/records", body=_body(zone, name, kind, value, ttl_s))

    async def change(self, zone: Zone, record_id: str, name: str, kind: str, value: str, ttl_s: int) -> None:
        """See `RecordApi`."""
        body = _body(zone, name, kind, value, ttl_s)
        await self._asked("PUT", f"/domains/{zone.name}/records/{record_id}", body=body)

    async def delete(self, zone: Zone, record_id: str) -> None:
        """See `RecordApi`."""
        await self._asked("DELETE", f"/domains/{zone.name}/records/{record_id}", passes={404})

    async def _asked(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        body: object = None,
        passes: frozenset[int] | set[int] = frozenset(),
    ) -> JsonAnswer:
        """Errors: ZoneRefused, but for the states that `passes` has."""
        answer = await self._api.ask(method, path, query, body)
        if answer.status < 300 or answer.status in passes:
            return answer
        said = str(answer.document.get("message", ""))[:TEXT_LENGTH_MAX] or f"status {answer.status}"
        if answer.status in {401, 403}:
            raise ZoneRefused(
                f"DigitalOcean refuses: {said}. The token in dns_provider.api_token needs the scopes domain:read, "
                "create, update and delete"
            )
        raise ZoneRefused(f"DigitalOcean refuses: {said}")


def _has_next(answer: JsonAnswer) -> bool:
    links = answer.document.get("links")
    pages = links.get("pages") if isinstance(links, dict) else None
    return isinstance(pages, dict) and "next" in pages


def _relative(name: str, zone: Zone) -> str:
    return "@" if name == zone.name else name.removesuffix(f".{zone.name}")


def _body(zone: Zone, name: str, kind: str, value: str, ttl_s: int) -> dict[str, object]:
    body: dict[str, object] = {"name": _relative(name, zone), "type": kind, "ttl": ttl_s, "data": value}
    if kind == "MX":
        preference, host = value.split()
        return body | {"priority": int(preference), "data": host}
    if kind == "SRV":
        priority, weight, port, host = value.split()
        return body | {"priority": int(priority), "weight": int(weight), "port": int(port), "data": host}
    if kind == "CAA":
        flags, tag, text = value.split(None, 2)
        authority = unquoted(text)
        # The API takes the name of an authority with a final dot only, and publishes it without.
        dot = "." if tag in {"issue", "issuewild"} and not authority.endswith(".") else ""
        return body | {"flags": int(flags), "tag": tag, "data": f"{authority}{dot}"}
    return body


def _value(record: Mapping[str, Any], zone: Zone) -> str:
    kind, data = record["type"], str(record.get("data", ""))
    if kind == "TXT":
        return unquoted(data)
    if kind == "CAA":
        return f"{record.get('flags', 0)} {record.get('tag', '')} {data.removesuffix('.')}"
    data = zone.name if data == "@" else data
    if kind == "MX":
        return f"{record.get('priority', 0)} {data}"
    if kind == "SRV":
        return f"{record.get('priority', 0)} {record.get('weight', 0)} {record.get('port', 0)} {data}"
    return data
