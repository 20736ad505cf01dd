"""Zones at Cloudflare.

A TXT is written in quoted strings, as a zone file has it; what is read may be quoted or not, depending on who has
written it. SRV, CAA and TLSA go as parts, in ``data``.

Spec: Cloudflare API v4 (zones, DNS records for a zone).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mailstead.model.secret import Secret
from mailstead.net.zones.held import PAGES_MAX, TEXT_LENGTH_MAX, Held, JsonAnswer, JsonApi, Zone
from mailstead.policy.dns_records import quoted
from mailstead.policy.zone_values import unquoted
from mailstead.ports.web import WebClient
from mailstead.ports.zones import ZoneRefused

URL: Final = "https://api.cloudflare.com/client/v4"
PER_PAGE: Final = 100

PROXIED: Final = "(hidden behind Cloudflare's proxy)"
"""After an address that is not what the DNS shows: mail does not come through the proxy."""

_THERE_ALREADY: Final = {81057, 81058}
_GONE: Final = {81044}
_BAD_TOKEN: Final = {6003, 6111, 9103, 9106, 9109, 10000, 10001}
_TAKEN: Final = {81053, 81054, 81056}
"""A CNAME beside other records of its name, or the other way round."""

_PARTS: Final = {
    "SRV": ("priority", "weight", "port", "target"),
    "TLSA": ("usage", "selector", "matching_type", "certificate"),
    "CAA": ("flags", "tag", "value"),
}
_NUMBERS: Final = {"priority", "weight", "port", "usage", "selector", "matching_type", "flags"}


class CloudflareApi:
    """Implements `held.RecordApi`."""

    title: str = "Cloudflare"
    kinds: frozenset[str] = frozenset({"A", "AAAA", "CAA", "CNAME", "MX", "SRV", "TLSA", "TXT"})
    ttl_min_s: int = 60

    def __init__(self, web: WebClient, token: Secret, url: str = URL) -> None:
        self._api = JsonApi(web, url, token.reveal(), self.title)

    async def zone(self, name: str) -> Zone | None:
        """See `RecordApi`. Of several zones of one name, as after a move, the active one counts."""
        # A name with an underscore may be refused as none; what is truly wrong is told for the next candidate.
        answer = await self._asked(
            "GET", "/zones", {"name": name, "per_page": 50}, passes_status=400 if "_" in name else 0
        )
        found = [each for each in _results(answer) if each.get("name") == name]
        found.sort(key=lambda each: each.get("status") != "active")
        return Zone(name, str(found[0]["id"])) if found else None

    async def records(self, zone: Zone, name: str, kind: str) -> list[Held]:
        """See `RecordApi`."""
        held: list[Held] = []
        for page in range(1, PAGES_MAX):
            query = {"name": name, "type": kind, "per_page": PER_PAGE, "page": page}
            answer = await self._asked("GET", f"/zones/{zone.zone_id}/dns_records", query)
            results = _results(answer)
            # Asked for exactly this name and type; who reads more into it must not make us remove the wrong record.
            held += (
                Held(str(each["id"]), _value(each))
                for each in results
                if str(each.get("name", "")).lower() == name and each.get("type") == kind
            )
            info = answer.document.get("result_info")
            page_count = info.get("total_pages", 1) if isinstance(info, dict) else 1
            if not results or page >= page_count:
                break
        return held

    async def create(self, zone: Zone, name: str, kind: str, value: str, ttl_s: int) -> None:
        """See `RecordApi`."""
        body = _body(name, kind, value, ttl_s)
        await self._asked("POST", f"/zones/{zone.zone_id}/dns_records", body=body, passes=_THERE_ALREADY)

    async def change(self, zone: Zone, record_id: str, name: str, kind: str, value: str, ttl_s: int) -> None:
        """See `RecordApi`."""
        body = _body(name, kind, value, ttl_s)
        await self._asked("PUT", f"/zones/{zone.zone_id}/dns_records/{record_id}", body=body)

    async def delete(self, zone: Zone, record_id: str) -> None:
        """See `RecordApi`."""
        await self._asked("DELETE", f"/zones/{zone.zone_id}/dns_records/{record_id}", passes=_GONE)

    async def _asked(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        body: object = None,
        passes: frozenset[int] | set[int] = frozenset(),
        passes_status: int = 0,
    ) -> JsonAnswer:
        """Errors: ZoneRefused, but for the codes that `passes` has, and the status."""
        answer = await self._api.ask(method, path, query, body)
        if answer.document.get("success") is True or answer.status == passes_status:
            return answer
        codes, texts = _errors(answer.document)
        if codes & passes:
            return answer
        said = f"Cloudflare refuses: {'; '.join(texts)[:TEXT_LENGTH_MAX] or f'status {answer.status}'}"
        if answer.status in {401, 403} or codes & _BAD_TOKEN:
            raise ZoneRefused(
                f"{said}. The token in dns_provider.api_token needs the permissions Zone.Zone read and Zone.DNS edit "
                "for the zone"
            )
        if codes & _TAKEN:
            raise ZoneRefused(f"{said}. A CNAME stands alone: remove the other records of the name first")
        raise ZoneRefused(said)


def _results(answer: JsonAnswer) -> list[dict[str, Any]]:
    found = answer.document.get("result")
    return [each for each in found if isinstance(each, dict) and "id" in each] if isinstance(found, list) else []


def _errors(document: Mapping[str, Any]) -> tuple[set[int], list[str]]:
    """Give codes and texts; the true reason may be one level down, in ``error_chain``."""
    codes: set[int] = set()
    texts: list[str] = []
    errors = document.get("errors")
    for each in errors if isinstance(errors, list) else ():
        if not isinstance(each, dict):
            continue
        chain = each.get("error_chain")
        for one in (each, *(chain if isinstance(chain, list) else ())):
            if isinstance(one, dict):
                codes |= {one["code"]} if isinstance(one.get("code"), int) else set()
                texts.append(f"{one.get('message', '')} ({one.get('code', '')})")
    return codes, texts


def _body(name: str, kind: str, value: str, ttl_s: int) -> dict[str, object]:
    """Write a record. Mail does not go through the provider's proxy."""
    body: dict[str, object] = {"name": name, "type": kind, "ttl": ttl_s}
    if kind == "TXT":
        return body | {"content": quoted(value)}
    if kind == "MX":
        preference, host = value.split()
        return body | {"priority": int(preference), "content": host.removesuffix(".") or "."}
    if kind in _PARTS:
        parts = value.split(None, len(_PARTS[kind]) - 1)
        data: dict[str, object] = {
            part: int(text) if part in _NUMBERS else text for part, text in zip(_PARTS[kind], parts, strict=True)
        }
        if kind == "CAA":
            data["value"] = unquoted(parts[-1])
        if kind == "SRV":
            data["target"] = parts[-1].removesuffix(".") or "."
        return body | {"data": data}
    if kind == "CNAME":
        return body | {"content": value.removesuffix("."), "proxied": False}
    return body | {"content": value, "proxied": False}


def _value(record: Mapping[str, Any]) -> str:
    kind, content, data = record["type"], str(record.get("content", "")), record.get("data")
    if kind == "TXT":
        return unquoted(content)
    if kind == "MX":
        return f"{record.get('priority', 0)} {content}"
    if kind in _PARTS and isinstance(data, dict):
        return " ".join(str(data.get(part, "")) for part in _PARTS[kind])
    if kind in {"A", "AAAA"} and record.get("proxied"):
        return f"{content} {PROXIED}"
    return content
