"""Availability: when somebody can be met at all.

Within the time of a VAVAILABILITY its owner is unavailable but for its AVAILABLE parts; where several overlap, the one
of the highest priority (1 before 9 before 0) says.

Spec: RFC 7953 §3, §4.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Final

from mailstead.model.errors import BadObject
from mailstead.pim.calendar_object import CalendarObject
from mailstead.pim.component import Component, parse
from mailstead.pim.free_busy import BUSY, FREE, TENTATIVE, UNAVAILABLE, BusyPeriod, topmost
from mailstead.pim.recurrence import EARLIEST, LATEST, instances
from mailstead.pim.rule import Budget
from mailstead.pim.values import duration, moment
from mailstead.pim.zones import Zones

_KINDS: Final = frozenset({BUSY, TENTATIVE, UNAVAILABLE})


def unavailable(text: str, start: datetime, end: datetime, floating_zone: tzinfo, budget: Budget) -> list[BusyPeriod]:
    """Give the periods within [start, end) in which availability says no.

    `text` is a VCALENDAR with VAVAILABILITY components; one that cannot be read says nothing.
    Errors: TooManyMatches.
    """
    try:
        calendars = parse(text.encode()) if text else []
    except BadObject:
        return []
    parts = [(calendar, part) for calendar in calendars for part in calendar.children("VAVAILABILITY")]
    layers: list[tuple[BusyPeriod, int]] = []
    for height, (calendar, part) in enumerate(sorted(parts, key=lambda each: _priority(each[1]), reverse=True)):
        span = _span(calendar, part, floating_zone)
        if span is None:
            continue
        first, last = max(span[0], start), min(span[1], end)
        if last <= first:
            continue
        kind = part.value("BUSYTYPE").strip().upper() or UNAVAILABLE
        layers.append((BusyPeriod(first, last, kind if kind in _KINDS else BUSY), 2 * height))
        available = _available(calendar, part, first, last, floating_zone, budget)
        layers += [(each, 2 * height + 1) for each in available]
    return topmost(layers)


def _priority(part: Component) -> int:
    value = part.value("PRIORITY").strip()
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 3 else 0
    return number or 10


def _span(calendar: Component, part: Component, floating_zone: tzinfo) -> tuple[datetime, datetime] | None:
    zones = Zones(calendar)
    try:
        first = part.first("DTSTART")
        begin = moment(first, zones) if first is not None else None
        last = part.first("DTEND")
        if last is not None:
            finish = moment(last, zones).utc(floating_zone)
        elif part.value("DURATION") and begin is not None:
            finish = begin.plus(duration(part.value("DURATION"))).utc(floating_zone)
        else:
            finish = LATEST
    except BadObject:
        return None
    return (begin.utc(floating_zone) if begin is not None else EARLIEST), finish


def _available(
    calendar: Component, part: Component, start: datetime, end: datetime, floating_zone: tzinfo, budget: Budget
) -> list[BusyPeriod]:
    """Give the times of the AVAILABLE parts, which recur like events. Spec: RFC 7953 §3.1."""
    groups: dict[str, list[Component]] = {}
    for each in part.children("AVAILABLE"):
        groups.setdefault(each.value("UID"), []).append(each)
    found: list[BusyPeriod] = []
    for uid, several in groups.items():
        masters: list[Component | None] = [each for each in several if each.first("RECURRENCE-ID") is None]
        overrides = [each for each in several if each.first("RECURRENCE-ID") is not None]
        for master in masters or [None]:
            one = CalendarObject(calendar, "VEVENT", uid, master, overrides, Zones(calendar))
            found += [
                BusyPeriod(max(each.start, start), min(each.end, end), FREE)
                for each in instances(one, start, end, floating_zone, budget)
            ]
    return found
