"""Recurrence sets: which instances an object has in a span of time, one after the other.

DTSTART is always the first; RRULEs and RDATEs add, EXRULEs and EXDATEs take away; a component with RECURRENCE-ID stands
in place of its instance, one with RANGE=THISANDFUTURE also for those behind it.

Spec: RFC 5545 §3.8.4.4, §3.8.5; RFC 4791 §9.9.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from mailstead.model.errors import BadObject
from mailstead.pim.calendar_object import CalendarObject
from mailstead.pim.component import Component
from mailstead.pim.rule import Budget, Rule, occurrences, rule_for, until_local
from mailstead.pim.values import Duration, Moment, Period, duration, moment, moments

__all__ = ["Budget", "Instance", "Span", "instances", "span_of"]

EARLIEST: Final = datetime(1, 1, 2, tzinfo=UTC)
LATEST: Final = datetime(9999, 12, 30, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_SLACK: Final = timedelta(hours=3)
"""More than a clock is ever put forward or back."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One of the times at which something is. Moments are in UTC."""

    start: datetime
    end: datetime
    recurrence_id: Moment | None
    """Which one of a recurring object it is: its start by the rule."""
    component: Component
    """What describes it: the master, or what stands in its place."""
    is_all_day: bool
    at: Moment
    """Its start as it is written: a day, a local time with its zone."""
    length: Duration
    """From start to end."""


@dataclass(frozen=True, slots=True)
class Span:
    """Start and length of one component, as written."""

    start: Moment
    length: Duration
    has_end: bool
    """Whether it says how long it lasts."""


@dataclass(slots=True)
class _Override:
    component: Component
    key: datetime
    span: Span | None
    recurrence_id: Moment
    is_range: bool


@dataclass(slots=True)
class _Set:
    """What a master says about its recurrence."""

    span: Span
    rules: list[Rule] = field(default_factory=list)
    excluding: list[Rule] = field(default_factory=list)
    dates: list[Moment | Period] = field(default_factory=list)
    excluded: set[datetime] = field(default_factory=set)
    excluded_days: set[datetime] = field(default_factory=set)


def span_of(component: Component, calendar_object: CalendarObject) -> Span | None:
    """Give when a component is, by itself; None: it has no place in time.

    A task without DTSTART is at its DUE; a changed instance that says no time is where it was. Errors: BadObject.
    """
    zones = calendar_object.zones
    start_property = component.first("DTSTART")
    end_property = component.first("DUE" if component.name == "VTODO" else "DTEND")
    if start_property is None:
        if component.name == "VTODO" and end_property is not None:
            return Span(moment(end_property, zones), Duration(), has_end=True)
        start_property = component.first("RECURRENCE-ID")
        if start_property is None:
            return None
    start = moment(start_property, zones)
    if end_property is not None:
        end = moment(end_property, zones)
        length = _lasting(_between(start, end))
        if start.is_date and length == Duration() and component.name == "VEVENT":
            length = Duration(days=1)  # some clients write the day itself as the end
        return Span(start, length, has_end=True)
    length_property = component.first("DURATION")
    if length_property is not None:
        return Span(start, _lasting(duration(length_property.value)), has_end=True)
    return Span(start, Duration(days=1) if start.is_date else Duration(), has_end=False)


def instances(
    calendar_object: CalendarObject,
    start: datetime | None,
    end: datetime | None,
    floating_zone: tzinfo,
    budget: Budget,
) -> Iterator[Instance]:
    """Yield the instances that overlap [start, end), by their start; None: without limit on that side.

    What has no place in time has no instances. What cannot be read (a rule, a date) is left out, so that one bad object
    spoils no answer.
    Errors: TooManyMatches, when the budget is spent.
    """
    begin, finish = limits(start, end)
    reading = _Reading(calendar_object, floating_zone)
    moved = reading.overrides()
    own = sorted((one for each in moved if (one := reading.of_override(each)) is not None), key=lambda each: each.start)
    generated = reading.generated(moved, begin, finish, budget)
    if any(each.is_range for each in moved) and end is not None:
        generated = iter(sorted(generated, key=lambda each: each.start))
    for found in heapq.merge(own, generated, key=lambda each: each.start):
        if overlaps(found.start, found.end, begin, finish):
            budget.instance()
            yield found


def shifted(at: datetime, by: timedelta) -> datetime:
    """Give the moment so much later (or earlier), but none that cannot be reckoned with: years end at 9999."""
    try:
        return min(max(at + by, EARLIEST), LATEST)
    except OverflowError:
        return LATEST if by > timedelta() else EARLIEST


def limits(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    """Give the two ends of a span, also of one without limit, as moments that can be reckoned with."""
    begin = EARLIEST if start is None else min(max(start, EARLIEST), LATEST)
    finish = LATEST if end is None else min(max(end, EARLIEST), LATEST)
    return begin, finish


def overlaps(start: datetime, end: datetime, range_start: datetime, range_end: datetime) -> bool:
    """Whether an instance meets a span. Spec: RFC 4791 §9.9 (VEVENT)."""
    if end > start:
        return start < range_end and end > range_start
    return range_start <= start < range_end


class _Reading:
    """One object, read for its instances."""

    def __init__(self, calendar_object: CalendarObject, floating_zone: tzinfo) -> None:
        self._object = calendar_object
        self._floating_zone = floating_zone
        master = calendar_object.master
        start = master.first("DTSTART") if master is not None else None
        self._is_of_days = start is not None and len(start.value.strip()) == 8

    def overrides(self) -> list[_Override]:
        """Give the components that stand in place of instances; the last one of a time counts."""
        found: dict[datetime, _Override] = {}
        for component in self._object.overrides:
            prop = component.first("RECURRENCE-ID")
            assert prop is not None
            try:
                recurrence_id = moment(prop, self._object.zones)
                span = span_of(component, self._object)
            except BadObject:
                continue
            is_range = (prop.parameter("RANGE") or "").upper() == "THISANDFUTURE"
            key = self._key(recurrence_id)
            found[key] = _Override(component, key, span, recurrence_id, is_range)
        return list(found.values())

    def of_override(self, override: _Override) -> Instance | None:
        """Give the instance that an override describes; None: it says no time."""
        if override.span is None:
            return None
        return self._instance(override.span.start, override.span.length, override.recurrence_id, override.component)

    def generated(
        self, moved: list[_Override], begin: datetime, finish: datetime, budget: Budget
    ) -> Iterator[Instance]:
        """Yield what the master gives, but for what overrides stand for."""
        master = self._object.master
        if master is None:
            return
        try:
            span = span_of(master, self._object)
        except BadObject:
            return
        if span is None:
            return
        what = self._set(master, span)
        is_recurring = bool(what.rules or what.dates)
        replaced = {each.key for each in moved}
        ranges = sorted((each for each in moved if each.is_range and each.span is not None), key=lambda each: each.key)
        reach = span.length.exact + _SLACK
        shift = timedelta()
        for each in ranges:
            assert each.span is not None
            reach = max(reach, each.span.length.exact + _SLACK)
            shift = max(shift, abs(self._utc(each.span.start) - self._utc(each.recurrence_id)) + _SLACK)
        after = shifted(shifted(begin, -reach), -shift)
        stop = shifted(finish, shift)
        for utc, at, length in self._starts(what, after, budget):
            if utc >= stop:
                return
            if shifted(utc, length.exact) < after or self._key_at(utc, at) in replaced:
                continue
            if ranges:
                yield self._described(at, length, ranges, master, is_recurring=is_recurring)
            else:
                yield self._placed(utc, at, length, at if is_recurring else None, master)

    def _described(
        self, at: Moment, length: Duration, ranges: list[_Override], master: Component, *, is_recurring: bool
    ) -> Instance:
        """Give an instance as the master, or the last range before it, has it."""
        component, start, key = master, at, self._key(at)
        for each in ranges:
            if each.key > key:
                break
            assert each.span is not None
            component, length = each.component, each.span.length
            zone = None if each.span.start.is_date else each.span.start.zone
            moved = each.span.start.local - _local_in(zone, each.recurrence_id)
            # By the clock on the wall, so without the zone.
            local = Moment(_local_in(zone, at)).plus(Duration(seconds=int(moved.total_seconds()))).local
            start = Moment(local, each.span.start.is_date, zone)
        return self._instance(start, length, at if is_recurring else None, component)

    def _starts(self, what: _Set, after: datetime, budget: Budget) -> Iterator[tuple[datetime, Moment, Duration]]:
        """Yield starts in order, each once, without what is excluded; what is long before `after` may be missing."""
        start = what.span.start
        length = what.span.length
        after_local = self._local(after, start)
        streams: list[Iterable[tuple[datetime, Moment, Duration]]] = [[(self._utc(start), start, length)]]
        streams += [self._stream(rule, start, length, after_local, budget) for rule in what.rules]
        dated = [self._dated(each, length) for each in what.dates]
        budget.step(len(dated))
        streams.append(sorted(dated, key=lambda each: each[0]))
        excluding = heapq.merge(
            *(self._stream(rule, start, length, after_local, budget) for rule in what.excluding),
            key=lambda each: each[0],
        )
        without = next(excluding, None)
        last: datetime | None = None
        for utc, at, how_long in heapq.merge(*streams, key=lambda each: each[0]):
            if utc == last:
                continue
            last = utc
            while without is not None and without[0] < utc:
                without = next(excluding, None)
            if without is not None and without[0] == utc:
                continue
            if what.excluded and self._key_at(utc, at) in what.excluded:
                continue
            if what.excluded_days and at.local.replace(hour=0, minute=0, second=0) in what.excluded_days:
                continue
            yield utc, at, how_long

    def _stream(
        self, rule: Rule, start: Moment, length: Duration, after: datetime, budget: Budget
    ) -> Iterator[tuple[datetime, Moment, Duration]]:
        for local in occurrences(rule, start.local, budget, until=until_local(rule, start), after=after):
            at = Moment(
                local.replace(hour=0, minute=0, second=0) if start.is_date else local, start.is_date, start.zone
            )
            yield self._utc(at), at, length

    def _dated(self, value: Moment | Period, length: Duration) -> tuple[datetime, Moment, Duration]:
        if isinstance(value, Period):
            return self._utc(value.start), value.start, _lasting(_between(value.start, value.end))
        return self._utc(value), value, length

    def _set(self, master: Component, span: Span) -> _Set:
        found, zones = _Set(span), self._object.zones
        for prop in master.properties:
            try:
                if prop.name == "RRULE":
                    found.rules.append(rule_for(prop.value, span.start))
                elif prop.name == "EXRULE":
                    found.excluding.append(rule_for(prop.value, span.start))
                elif prop.name == "RDATE":
                    found.dates += moments(prop, zones)
                elif prop.name == "EXDATE":
                    for each in moments(prop, zones):
                        at = each.start if isinstance(each, Period) else each
                        if at.is_date and not span.start.is_date:
                            found.excluded_days.add(at.local)  # a day, where times were expected
                        else:
                            found.excluded.add(self._key(at, as_day=span.start.is_date))
            except BadObject:
                continue
        return found

    def _key(self, at: Moment, *, as_day: bool = False) -> datetime:
        """Give what tells an instance from others: its moment, of whole days the day."""
        if as_day or at.is_date or (self._is_of_days and at.zone is not None):
            return at.local.replace(hour=0, minute=0, second=0, tzinfo=UTC)
        return self._utc(at)

    def _key_at(self, utc: datetime, at: Moment) -> datetime:
        """Give the same, where the moment in UTC is known already."""
        return self._key(at) if at.is_date or self._is_of_days else utc

    def _instance(self, at: Moment, length: Duration, recurrence_id: Moment | None, component: Component) -> Instance:
        return self._placed(self._utc(at), at, length, recurrence_id, component)

    def _placed(
        self, start: datetime, at: Moment, length: Duration, recurrence_id: Moment | None, component: Component
    ) -> Instance:
        if length == _NOTHING:
            end = start
        elif length.days:
            end = self._utc(at.plus(length))
        else:
            end = shifted(start, timedelta(seconds=length.seconds))
        return Instance(start, max(start, end), recurrence_id, component, at.is_date, at, length)

    def _utc(self, at: Moment) -> datetime:
        return at.utc(self._floating_zone)

    def _local(self, at: datetime, like: Moment) -> datetime:
        zone = like.zone or self._floating_zone
        return at.astimezone(zone).replace(tzinfo=None) if at > EARLIEST + _SLACK else at.replace(tzinfo=None)


_NOTHING: Final = Duration()


def _lasting(length: Duration) -> Duration:
    """Give a length; none at all for one that ends before it begins, which says nothing."""
    return _NOTHING if length.days < 0 or length.seconds < 0 else length


def _local_in(zone: tzinfo | None, at: Moment) -> datetime:
    """Give the local time of a moment as a clock of another zone shows it."""
    if zone is None or at.zone is None or zone is at.zone:
        return at.local
    return at.utc(UTC).astimezone(zone).replace(tzinfo=None)


def _between(start: Moment, end: Moment) -> Duration:
    """Give the length from one moment to another: days of whole days, else seconds."""
    if start.is_date and end.is_date:
        return Duration(days=(end.local - start.local).days)
    if start.zone == end.zone:
        local = end.local - start.local
        if start.zone is None or start.zone is UTC:
            return Duration(seconds=int(local.total_seconds()))
    exact = end.utc(UTC) - start.utc(UTC)
    return Duration(seconds=int(exact.total_seconds()))
