"""The records of a domain, written at whoever publishes its zone: compared first, and nothing replaced unseen.

What stands in the zone was put there by somebody for a reason that we do not know: an SPF record may name others who
send for the domain. So records that differ are shown, and replaced only if the caller hands them in to be written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from mailstead.model.address import normal_domain
from mailstead.model.envelope import Actor
from mailstead.policy.dns_records import TTL_S, Record
from mailstead.policy.zone_values import normal
from mailstead.ports.zones import NoZone, ZoneEditor, ZoneRefused
from mailstead.usecases.dnsplan import DnsPlan

_MARKS: Final = {
    "spf": "v=spf1",
    "helo": "v=spf1",
    "dmarc": "v=DMARC1",
    "mta-sts": "v=STSv1",
    "tls-rpt": "v=TLSRPTv1",
    "srv-path": "path=",
}
"""What a TXT record of a purpose begins with; other ones of its name are none of our business."""
_BESIDE: Final = {"tlsa", "caa"}
"""Purposes whose records stand beside each other: another key that may come, another authority."""


class RecordState(StrEnum):
    """What is known of a record of the plan."""

    THERE = "there"
    MISSING = "missing"
    DIFFERS = "differs"
    """Something else stands in its place."""
    TEMPLATE = "template"
    """Somebody must fill something in, and publish it by hand."""
    ADDED = "added"
    REPLACED = "replaced"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Compared:
    """A record of the plan, and what the zone has in its place."""

    record: Record
    state: RecordState
    found: tuple[str, ...] = ()
    """Values that are in the way; after a replacement those that were."""
    reason: str = ""
    """Why it was refused, or cannot be replaced from here."""

    @property
    def is_replaceable(self) -> bool:
        """Whether `DnsWriting.write` would put the record in the place of what was found."""
        return self.state is RecordState.DIFFERS and not self.reason


class DnsWriting:
    """Administrators of a domain look, those of the server write: the zone is reached in the server's name."""

    def __init__(self, plan: DnsPlan, zones: ZoneEditor) -> None:
        self._plan = plan
        self._zones = zones

    async def look(self, actor: Actor, domain: str, *, has_optional: bool = False) -> list[Compared]:
        """Compare the records of the mail host and a domain with those of the zone; of optional ones only if wanted.

        Errors: BadAddress, NoSuchDomain, NotAllowed; ZoneRefused, where the provider cannot be asked at all.
        """
        actor.must_administer(normal_domain(domain))
        records = [*await self._plan.of_host(actor), *await self._plan.of_domain(actor, domain)]
        # Where host and domain are one name, SPF of the domain is that of the host, too.
        needed = {_slot(record) for record in records if not record.is_optional}
        records = [
            record
            for record in records
            if not record.is_optional or (has_optional and (record.purpose in _BESIDE or _slot(record) not in needed))
        ]
        zone = _Zone(self._zones)
        return [await _compared(record, records, zone) for record in records]

    async def write(self, actor: Actor, compared: Iterable[Compared]) -> list[Compared]:
        """Add what is missing and replace what differs, and nothing that `look` has not shown; give what has become.

        What the provider refuses is told with its reason, and the others are written all the same. Errors: NotAllowed.
        """
        actor.must_be_admin()
        return [await self._write(each) for each in compared]

    async def _write(self, each: Compared) -> Compared:
        record = each.record
        try:
            if each.state is RecordState.MISSING:
                await self._zones.add(record.name, record.kind, record.value, TTL_S)
                return replace(each, state=RecordState.ADDED)
            if each.is_replaceable:
                await self._zones.replace(record.name, record.kind, each.found, record.value, TTL_S)
                return replace(each, state=RecordState.REPLACED)
        except ZoneRefused as error:
            return replace(each, state=RecordState.REFUSED, reason=error.public_text)
        return each


class _Zone:
    """Values as they are at the provider, each asked for once."""

    def __init__(self, zones: ZoneEditor) -> None:
        self._zones = zones
        self._known: dict[tuple[str, str], Sequence[str]] = {}

    async def values(self, name: str, kind: str) -> Sequence[str]:
        """Errors: ZoneRefused, NoZone."""
        key = (name, kind)
        if key not in self._known:
            self._known[key] = await self._zones.values(name, kind)
        return self._known[key]


async def _compared(record: Record, plan: Sequence[Record], zone: _Zone) -> Compared:
    """Errors: ZoneRefused."""
    if record.is_template:
        return Compared(record, RecordState.TEMPLATE)
    try:
        found = [value for value in await zone.values(record.name, record.kind) if _is_for(record, value)]
        if record.kind == "CNAME" and not found:
            return await _alias(record, plan, zone)
    except NoZone as error:
        return Compared(record, RecordState.REFUSED, reason=error.public_text)
    planned = {normal(each.kind, each.value) for each in plan if _slot(each) == _slot(record)}
    foreign = tuple(value for value in found if value not in planned)
    if normal(record.kind, record.value) in found:
        # Two of these are an error, as if there were none. Spec: RFC 7208 §4.5, RFC 9989 §4.10, RFC 8461 §3.1.
        is_spoiled = foreign and record.purpose in _MARKS
        return Compared(record, RecordState.DIFFERS, foreign) if is_spoiled else Compared(record, RecordState.THERE)
    if not foreign or record.purpose in _BESIDE:
        return Compared(record, RecordState.MISSING)
    return Compared(record, RecordState.DIFFERS, foreign)


async def _alias(record: Record, plan: Sequence[Record], zone: _Zone) -> Compared:
    """Compare an alias of our host with the addresses that may stand in its place. Errors: ZoneRefused."""
    found = [value for kind in ("A", "AAAA") for value in await zone.values(record.name, kind)]
    if not found:
        return Compared(record, RecordState.MISSING)
    if set(found) <= {normal(each.kind, each.value) for each in plan if each.purpose == "host"}:
        return Compared(record, RecordState.THERE)
    reason = "Addresses stand in the place of the alias: remove them at the provider if the name is to lead here."
    return Compared(record, RecordState.DIFFERS, tuple(found), reason)


def _slot(record: Record) -> tuple[str, str, str]:
    """Give what records that speak of the same thing have in common."""
    return record.name, record.kind, _MARKS.get(record.purpose, "")


def _is_for(record: Record, value: str) -> bool:
    """Whether a value of the name and type speaks of what the record speaks of."""
    mark = _MARKS.get(record.purpose, "").lower()
    return not mark or value.lower().replace(";", " ").split(" ")[0] == mark
