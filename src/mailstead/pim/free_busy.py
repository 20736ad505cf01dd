"""When somebody is busy: periods from events and from what is written as free-busy time, and VFREEBUSY itself.

Spec: RFC 4791 §7.10; RFC 5545 §3.6.4; RFC 6638 §3.1; RFC 7953 (by `pim.availability`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final

from mailstead.model.errors import BadObject
from mailstead.pim.calendar_object import CalendarObject
from mailstead.pim.component import Component, Property
from mailstead.pim.recurrence import instances, overlaps
from mailstead.pim.rule import Budget
from mailstead.pim.values import Period, moments, written_utc

BUSY: Final = "BUSY"
TENTATIVE: Final = "BUSY-TENTATIVE"
UNAVAILABLE: Final = "BUSY-UNAVAILABLE"
FREE: Final = "FREE"
_ORDER: Final = {FREE: 0, TENTATIVE: 1, UNAVAILABLE: 2, BUSY: 3}


@dataclass(frozen=True, slots=True)
class BusyPeriod:
    """[start, end) in UTC, and how busy."""

    start: datetime
    end: datetime
    kind: str = BUSY


def busy(
    calendar_object: CalendarObject,
    start: datetime,
    end: datetime,
    floating_zone: tzinfo,
    budget: Budget,
    *,
    attendees: frozenset[str] = frozenset(),
) -> list[BusyPeriod]:
    """Give the periods within [start, end) in which an object makes its owner busy.

    `attendees` are the owner's ``mailto:`` addresses: who has declined is not busy, who has not answered perhaps.
    Errors: TooManyMatches.
    """
    if calendar_object.component == "VFREEBUSY":
        return _written(calendar_object, start, end, floating_zone)
    if calendar_object.component != "VEVENT":
        return []
    found: list[BusyPeriod] = []
    for each in instances(calendar_object, start, end, floating_zone, budget):
        kind = _kind(each.component, attendees)
        if kind != FREE and each.end > each.start:
            found.append(BusyPeriod(max(each.start, start), min(each.end, end), kind))
    return found


def merged(periods: Iterable[BusyPeriod]) -> list[BusyPeriod]:
    """Give periods in order without overlap; where two meet, the busier one counts."""
    return topmost((each, _ORDER.get(each.kind, _ORDER[BUSY])) for each in periods)


def topmost(layers: Iterable[tuple[BusyPeriod, int]]) -> list[BusyPeriod]:
    """Give periods in order without overlap; where several meet, the one of the highest layer says how busy.

    What is FREE hides what lies below it, and is left out.
    """
    waiting = [
        (each.start, -layer, number, each) for number, (each, layer) in enumerate(layers) if each.end > each.start
    ]
    edges = sorted({each.start for *_, each in waiting} | {each.end for *_, each in waiting})
    waiting.sort(reverse=True)
    begun: list[tuple[int, int, BusyPeriod]] = []
    found: list[BusyPeriod] = []
    kind, since = FREE, None
    for at in edges:
        while waiting and waiting[-1][0] == at:
            heapq.heappush(begun, waiting.pop()[1:])
        while begun and begun[0][2].end <= at:
            heapq.heappop(begun)
        now = begun[0][2].kind if begun else FREE
        if now != kind:
            if since is not None and kind != FREE:
                found.append(BusyPeriod(since, at, kind))
            kind, since = now, at
    return found


def coarse(periods: Iterable[BusyPeriod], minutes: int = 15) -> list[BusyPeriod]:
    """Give periods rounded outward, so that they tell little of what they are (attack row 84)."""
    step = timedelta(minutes=minutes)
    rounded = []
    for each in periods:
        midnight = each.start.replace(hour=0, minute=0, second=0, microsecond=0)
        begin = midnight + (each.start - midnight) // step * step
        finish = midnight + -(-(each.end - midnight) // step) * step
        rounded.append(BusyPeriod(begin, finish, each.kind))
    return merged(rounded)


def vfreebusy(
    periods: Iterable[BusyPeriod],
    start: datetime,
    end: datetime,
    now: datetime,
    *,
    uid: str = "",
    properties: Iterable[Property] = (),
) -> Component:
    """Write free-busy time; `properties` are put in besides (ORGANIZER, ATTENDEE). Spec: RFC 5545 §3.6.4."""
    part = Component("VFREEBUSY")
    if uid:
        part.properties.append(Property("UID", uid))
    part.properties += [
        Property("DTSTAMP", written_utc(now)),
        Property("DTSTART", written_utc(start)),
        Property("DTEND", written_utc(end)),
        *properties,
    ]
    for each in merged(periods):
        parameters = () if each.kind == BUSY else (("FBTYPE", (each.kind,)),)
        part.properties.append(Property("FREEBUSY", f"{written_utc(each.start)}/{written_utc(each.end)}", parameters))
    return part


def _kind(part: Component, attendees: frozenset[str]) -> str:
    """Give how busy an event makes. Spec: RFC 4791 §7.10."""
    if part.value("TRANSP").strip().upper() == "TRANSPARENT":
        return FREE
    status = part.value("STATUS").strip().upper()
    if status == "CANCELLED":
        return FREE
    for prop in part.all("ATTENDEE") if attendees else ():
        if prop.value.strip().lower() in attendees:
            answer = (prop.parameter("PARTSTAT") or "NEEDS-ACTION").upper()
            if answer in {"DECLINED", "DELEGATED"}:
                return FREE
            if answer in {"TENTATIVE", "NEEDS-ACTION"}:
                return TENTATIVE
    return TENTATIVE if status == "TENTATIVE" else BUSY


def _written(
    calendar_object: CalendarObject, start: datetime, end: datetime, floating_zone: tzinfo
) -> list[BusyPeriod]:
    found: list[BusyPeriod] = []
    for part in calendar_object.parts:
        for prop in part.all("FREEBUSY"):
            kind = (prop.parameter("FBTYPE") or BUSY).upper()
            if kind == FREE:
                continue
            kind = kind if kind in _ORDER else BUSY  # what one does not know is busy: RFC 5545 §3.2.9
            try:
                values = moments(prop, calendar_object.zones)
            except BadObject:
                continue
            for each in values:
                if isinstance(each, Period):
                    begin, finish = each.start.utc(floating_zone), each.end.utc(floating_zone)
                    if overlaps(begin, finish, start, end):
                        found.append(BusyPeriod(max(begin, start), min(finish, end), kind))
    return found
