"""When somebody is busy: periods from events and from what is written as free-busy time, and VFREEBUSY itself.

Spec: RFC 4791 §7.10; RFC 5545 §3.6.4; RFC 6638 §3.1; RFC 7953 (by `pim.availability`).
"""

from __future__ import annotations

import itertools
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
    attendee: str = "",
) -> list[BusyPeriod]:
    """Give the periods within [start, end) in which an object makes its owner busy.

    `attendee` is the owner's ``mailto:`` address: who has declined is not busy, who has not answered perhaps.
    Errors: TooManyMatches.
    """
    if calendar_object.component == "VFREEBUSY":
        return _written(calendar_object, start, end, floating_zone)
    if calendar_object.component != "VEVENT":
        return []
    found: list[BusyPeriod] = []
    for each in instances(calendar_object, start, end, floating_zone, budget):
        kind = _kind(each.component, attendee)
        if kind != FREE and each.end > each.start:
            found.append(BusyPeriod(max(each.start, start), min(each.end, end), kind))
    return found


def merged(periods: Iterable[BusyPeriod]) -> list[BusyPeriod]:
    """Give periods in order without overlap; where two meet, the busier one counts."""
    ordered = sorted((each for each in periods if each.end > each.start), key=lambda each: each.start)
    edges = sorted({each.start for each in ordered} | {each.end for each in ordered})
    found: list[BusyPeriod] = []
    open_periods: list[BusyPeriod] = []
    position = 0
    for begin, end in itertools.pairwise(edges):
        open_periods = [each for each in open_periods if each.end > begin]
        while position < len(ordered) and ordered[position].start <= begin:
            open_periods.append(ordered[position])
            position += 1
        if not open_periods:
            continue
        kind = max((each.kind for each in open_periods), key=lambda each: _ORDER.get(each, 3))
        if found and found[-1].end == begin and found[-1].kind == kind:
            found[-1] = BusyPeriod(found[-1].start, end, kind)
        else:
            found.append(BusyPeriod(begin, end, kind))
    return [each for each in found if each.kind != FREE]


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


def _kind(part: Component, attendee: str) -> str:
    """Give how busy an event makes. Spec: RFC 4791 §7.10."""
    if part.value("TRANSP").strip().upper() == "TRANSPARENT":
        return FREE
    status = part.value("STATUS").strip().upper()
    if status == "CANCELLED":
        return FREE
    if attendee:
        for prop in part.all("ATTENDEE"):
            if prop.value.strip().lower() == attendee:
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
