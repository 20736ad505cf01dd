"""Zones at Amazon Route 53.

A name and type have one record set with all their values. So a value is put beside others by writing the whole set
anew: the old set is deleted and the new one created in one batch, which Route 53 does only if the old one is still as
we have read it. Who was quicker is seen by that, and we read again; an UPSERT would overwrite him.

Spec: Amazon Route 53 API 2013-04-01 (ListHostedZones, ListResourceRecordSets, ChangeResourceRecordSets, GetChange).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

from mailstead.model.errors import WebFailed, WebRefused
from mailstead.model.secret import Secret
from mailstead.net.zones.held import OCTETS_MAX, PAGES_MAX, TEXT_LENGTH_MAX, candidates
from mailstead.net.zones.sigv4 import SigningKey, query_text, signed_headers
from mailstead.policy.dns_records import quoted
from mailstead.policy.zone_values import normal, unquoted
from mailstead.ports.clock import Clock
from mailstead.ports.web import WebClient
from mailstead.ports.zones import NoZone, ZoneRefused
from mailstead.telemetry import log

_log = log.get("net")

URL: Final = "https://route53.amazonaws.com"
REGION: Final = "us-east-1"
"""Route 53 is one service for the whole world, and signed for as if it were there."""
TRIES_MAX: Final = 6
PAUSE_S: Final = 2.0
"""Between two tries, and two looks whether all servers have a change."""
LOOKS_MAX: Final = 60
"""With the pauses two minutes; Route 53 says that it takes one."""

_API: Final = "/2013-04-01"
_NAMESPACE: Final = "https://route53.amazonaws.com/doc/2013-04-01/"
_AGAIN: Final = {"Throttling", "ThrottlingException", "PriorRequestNotComplete", "ServiceUnavailable"}
_CONFLICT: Final = {"InvalidChangeBatch"}
_ADVICE: Final = {
    "AccessDenied": "the key needs ListHostedZones, ListResourceRecordSets, ChangeResourceRecordSets and GetChange of "
    "route53",
    "InvalidClientTokenId": "see dns_provider.aws_access_key_id",
    "SignatureDoesNotMatch": "see dns_provider.aws_secret_access_key, and the clock of this server",
}


class _Refused(Exception):
    """What Route 53 says, before it is known whether it matters."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(code)
        self.status, self.code, self.text = status, code, text


class _RecordSet(NamedTuple):
    """All values of a name and type, as Route 53 writes them."""

    ttl_s: int
    values: tuple[str, ...]


_Merge = Callable[[list[str]], list[str]]
"""Gives the values that there shall be from those that there are; both in normal form."""


class Route53Zones:
    """Implements `ports.zones.ZoneEditor`."""

    def __init__(
        self,
        web: WebClient,
        clock: Clock,
        access_key_id: str,
        secret: Secret,
        url: str = URL,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`pause` waits so many seconds."""
        self._web = web
        self._clock = clock
        self._key = SigningKey(access_key_id, secret.reveal(), REGION, "route53")
        self._url = url.rstrip("/")
        self._pause = pause
        self._zones: dict[str, str] | None = None
        self._pending: set[str] = set()

    async def values(self, name: str, kind: str) -> Sequence[str]:
        """See `ZoneEditor`."""
        found = await self._record_set(await self._zone(name), name, kind)
        return [_read(kind, value) for value in found.values] if found else ()

    async def add(self, name: str, kind: str, value: str, ttl_s: int) -> None:
        """See `ZoneEditor`."""
        value = normal(kind, value)
        await self._merge(name, kind, ttl_s, lambda found: found if value in found else [*found, value])

    async def remove(self, name: str, kind: str, value: str) -> None:
        """See `ZoneEditor`."""
        value = normal(kind, value)
        await self._merge(name, kind, 0, lambda found: [each for each in found if each != value])

    async def replace(self, name: str, kind: str, old: Sequence[str], value: str, ttl_s: int) -> None:
        """See `ZoneEditor`."""
        value = normal(kind, value)
        gone = {normal(kind, each) for each in old} | {value}
        await self._merge(name, kind, ttl_s, lambda found: [*(each for each in found if each not in gone), value])

    async def settle(self) -> None:
        """See `ZoneEditor`."""
        self._zones = None
        pending, self._pending = self._pending, set()
        for look in range(LOOKS_MAX):
            if look:
                await self._pause(PAUSE_S)
            for change in list(pending):
                answer = await self._tried("GET", f"{_API}/change/{change}")
                if answer.findtext(".//{*}Status") == "INSYNC":
                    pending.discard(change)
            if not pending:
                return
        _log.warning("Route 53 takes long to have changes on all its servers", changes=len(pending))

    async def _merge(self, name: str, kind: str, ttl_s: int, merge: _Merge) -> None:
        """Change a record set as `merge` says; again where another was quicker. Errors: ZoneRefused."""
        zone = await self._zone(name)
        for _ in range(TRIES_MAX):
            old = await self._record_set(zone, name, kind)
            before = [_read(kind, value) for value in old.values] if old else []
            wanted = merge(before)
            if wanted == before:
                return
            written = {_read(kind, value): value for value in old.values} if old else {}
            new = _RecordSet(old.ttl_s if old else ttl_s, tuple(written.get(e) or _write(kind, e) for e in wanted))
            body = _batch(name, kind, old, new if wanted else None)
            try:
                answer = await self._asked("POST", f"{_API}/hostedzone/{zone}/rrset", body)
            except _Refused as refused:
                if refused.code not in _CONFLICT | _AGAIN or (
                    refused.code in _CONFLICT and old == await self._record_set(zone, name, kind)
                ):
                    raise _told(refused) from None  # not because of another, who has changed nothing
                if refused.code in _AGAIN:
                    await self._pause(PAUSE_S)
                continue
            change = answer.findtext(".//{*}ChangeInfo/{*}Id", "")
            self._pending.add(change.rpartition("/")[2])
            return
        raise ZoneRefused(f"Others change {name} at Route 53 all the time: try again later")

    async def _zone(self, name: str) -> str:
        """Give the id of the public zone that holds a name. Errors: NoZone, ZoneRefused."""
        if self._zones is None:
            self._zones = await self._public_zones()
        for candidate in candidates(name):
            if candidate in self._zones:
                return self._zones[candidate]
        raise NoZone(f"Route 53 has no public hosted zone for {name} in this account")

    async def _public_zones(self) -> dict[str, str]:
        zones: dict[str, str] = {}
        marker = ""
        for _ in range(PAGES_MAX):
            query = [("maxitems", "100"), *([("marker", marker)] if marker else [])]
            answer = await self._tried("GET", f"{_API}/hostedzone", query)
            for each in answer.iterfind(".//{*}HostedZone"):
                if each.findtext("{*}Config/{*}PrivateZone", "false").lower() != "true":
                    name = _unescaped(each.findtext("{*}Name", ""))
                    zones.setdefault(name, each.findtext("{*}Id", "").rpartition("/")[2])
            marker = answer.findtext("{*}NextMarker", "")
            if answer.findtext("{*}IsTruncated") != "true" or not marker:
                break
        return zones

    async def _record_set(self, zone: str, name: str, kind: str) -> _RecordSet | None:
        """Errors: ZoneRefused, also for sets that hold no plain values."""
        query = [("name", f"{name}."), ("type", kind), ("maxitems", "1")]
        answer = await self._tried("GET", f"{_API}/hostedzone/{zone}/rrset", query)
        # The first set from there on is given, which may be another one.
        for each in answer.iterfind(".//{*}ResourceRecordSet"):
            if _unescaped(each.findtext("{*}Name", "")) != name or each.findtext("{*}Type") != kind:
                continue
            if each.find("{*}AliasTarget") is not None or each.find("{*}SetIdentifier") is not None:
                raise ZoneRefused(
                    f"{name} {kind} at Route 53 is an alias or has a routing policy, which is not changed from here: "
                    "make it a simple record, or leave it"
                )
            values = tuple(record.findtext("{*}Value", "") for record in each.iterfind(".//{*}ResourceRecord"))
            return _RecordSet(int(each.findtext("{*}TTL", "0")), values)
        return None

    async def _tried(self, method: str, path: str, query: Sequence[tuple[str, str]] = ()) -> ET.Element:
        """Ask, and again where it is too often. Errors: ZoneRefused."""
        for left in reversed(range(TRIES_MAX)):
            try:
                return await self._asked(method, path, query=query)
            except _Refused as refused:
                if refused.code not in _AGAIN or not left:
                    raise _told(refused) from None
                await self._pause(PAUSE_S)
        raise AssertionError

    async def _asked(
        self, method: str, path: str, octets: bytes | None = None, query: Sequence[tuple[str, str]] = ()
    ) -> ET.Element:
        """Errors: _Refused, ZoneRefused."""
        url = f"{self._url}{path}" + (f"?{query_text(query)}" if query else "")
        headers = signed_headers(method, url, octets or b"", self._key, self._clock.now())
        if octets is not None:
            headers["Content-Type"] = "text/xml"
        try:
            response = await self._web.send(method, url, octets, headers, octets_max=OCTETS_MAX)
        except (WebFailed, WebRefused) as error:
            raise ZoneRefused(f"Route 53 cannot be asked: {error.public_text}") from None
        answer = _parsed(response.octets)
        if response.status < 300 and answer is not None:
            return answer
        if answer is None:
            raise _Refused(response.status, "", "")
        is_batch = answer.tag.endswith("InvalidChangeBatch")
        code = "InvalidChangeBatch" if is_batch else answer.findtext(".//{*}Code", "")
        raise _Refused(response.status, code, " ".join(_texts(answer)))


def _told(refused: _Refused) -> ZoneRefused:
    advice = next((advice for code, advice in _ADVICE.items() if refused.code.startswith(code)), "")
    if not refused.code:
        return ZoneRefused(
            f"Route 53 answers with status {refused.status} and nothing to read; is dns_provider.endpoint right?"
        )
    said = f"Route 53 refuses ({refused.code}): {refused.text[:TEXT_LENGTH_MAX]}".rstrip(": ")
    return ZoneRefused(f"{said}. What to do: {advice}" if advice else said)


def _texts(answer: ET.Element) -> list[str]:
    return [(each.text or "").strip() for each in answer.iterfind(".//{*}Message") if not len(each)]


def _parsed(octets: bytes) -> ET.Element | None:
    """Give the document; None for what is none, or declares entities, which no answer has."""
    if b"<!DOCTYPE" in octets:
        return None
    try:
        return ET.fromstring(octets)  # noqa: S314  # without DOCTYPE there are no entities to unfold
    except (ET.ParseError, ValueError):
        return None


def _batch(name: str, kind: str, old: _RecordSet | None, new: _RecordSet | None) -> bytes:
    root = ET.Element("ChangeResourceRecordSetsRequest", {"xmlns": _NAMESPACE})
    changes = ET.SubElement(ET.SubElement(root, "ChangeBatch"), "Changes")
    for action, each in (("DELETE", old), ("CREATE", new)):
        if each is None:
            continue
        change = ET.SubElement(changes, "Change")
        ET.SubElement(change, "Action").text = action
        record_set = ET.SubElement(change, "ResourceRecordSet")
        ET.SubElement(record_set, "Name").text = f"{name}."
        ET.SubElement(record_set, "Type").text = kind
        ET.SubElement(record_set, "TTL").text = str(each.ttl_s)
        records = ET.SubElement(record_set, "ResourceRecords")
        for value in each.values:
            ET.SubElement(ET.SubElement(records, "ResourceRecord"), "Value").text = value
    octets: bytes = ET.tostring(root, "utf-8", xml_declaration=True)
    return octets


def _read(kind: str, value: str) -> str:
    return normal(kind, unquoted(value) if kind == "TXT" else value)


def _write(kind: str, value: str) -> str:
    return quoted(value) if kind == "TXT" else value


def _unescaped(name: str) -> str:
    r"""Give a name as ours; Route 53 writes ``*`` as ``\052``."""
    return name.replace("\\052", "*").lower().removesuffix(".")
