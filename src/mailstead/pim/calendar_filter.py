"""Whether an object is what a calendar-query asks for.

Spec: RFC 4791 §7.8, §9.7, §9.9; RFC 4790 (collations).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from mailstead.model.dav import CALENDAR_COMPONENTS, ResourceQuery
from mailstead.model.errors import BadObject, TooManyMatches
from mailstead.pim.calendar_object import CalendarObject
from mailstead.pim.component import Component, Property, unescaped
from mailstead.pim.filters import CompFilter, ParamFilter, PropFilter, TextMatch, TimeRange
from mailstead.pim.recurrence import EARLIEST, LATEST, Instance, instances, limits, overlaps, shifted, span_of
from mailstead.pim.rule import Budget
from mailstead.pim.values import Moment, Period, duration, moment, moments

_INDEXED: Final = frozenset({"SUMMARY", "LOCATION", "DESCRIPTION"})
"""Whose texts are in the index as they are."""
_ALARM_REPEATS_MAX: Final = 100


def matches(calendar_object: CalendarObject, condition: CompFilter, floating_zone: tzinfo, budget: Budget) -> bool:
    """Whether an object matches a filter on VCALENDAR.

    An object whose rules cost too much matches a time range: better shown than missed (reference 8.3).
    """
    return _Matching(calendar_object, floating_zone, budget).calendar(condition)


def query_of(condition: CompFilter) -> ResourceQuery:
    """Give what the index can say about a filter: a superset of what matches."""
    if condition.is_not_defined or condition.is_any or len(condition.comps) != 1:
        return ResourceQuery()
    (comp,) = condition.comps
    if comp.is_not_defined or comp.name not in {*CALENDAR_COMPONENTS, "VFREEBUSY"}:
        return ResourceQuery()
    starts = ends = uid = None
    text = ""
    if not comp.is_any:
        if comp.time_range is not None:
            starts, ends = _seconds(comp.time_range)
        for prop in comp.props:
            found = _plain_text(prop)
            if found is None:
                continue
            if prop.name == "UID" and found.match_type == "equals" and found.collation == "i;octet":
                uid = found.text
            elif prop.name in _INDEXED and found.text.isascii() and found.collation != "i;octet":
                text = max(text, found.text.casefold(), key=len)
    return ResourceQuery(frozenset({comp.name}), starts, ends, uid, text)


def is_exact(condition: CompFilter) -> bool:
    """Whether the index alone decides, for resources whose place in time is exact."""
    if condition.is_not_defined or condition.props or condition.time_range is not None or len(condition.comps) > 1:
        return False
    if not condition.comps:
        return condition.name == "VCALENDAR"
    (comp,) = condition.comps
    return (
        comp.name in CALENDAR_COMPONENTS
        and not comp.is_not_defined
        and not comp.props
        and not comp.comps
        and (comp.time_range is None or comp.name == "VEVENT")
    )


def text_matches(value: str, match: TextMatch) -> bool:
    """Whether a text matches, negation included. Spec: RFC 4791 §9.7.5; RFC 6352 §10.5.4; RFC 4790 §9."""
    wanted = match.text
    if match.collation == "i;ascii-casemap":
        value, wanted = _ascii_lower(value), _ascii_lower(wanted)
    elif match.collation == "i;unicode-casemap":
        value, wanted = value.casefold(), wanted.casefold()
    found = {
        "contains": wanted in value,
        "equals": wanted == value,
        "starts-with": value.startswith(wanted),
        "ends-with": value.endswith(wanted),
    }[match.match_type]
    return found != match.negates


class _Matching:
    """One object before one filter."""

    def __init__(self, calendar_object: CalendarObject, floating_zone: tzinfo, budget: Budget) -> None:
        self._object = calendar_object
        self._floating_zone = floating_zone
        self._budget = budget

    def calendar(self, condition: CompFilter) -> bool:
        """Whether VCALENDAR matches."""
        calendar = self._object.calendar
        if condition.name != calendar.name:
            return condition.is_not_defined
        if condition.is_not_defined:
            return False
        found = [self._prop(calendar, each) for each in condition.props]
        found += [self._comp(each) for each in condition.comps]
        return _joined(found, is_any=condition.is_any)

    def _comp(self, condition: CompFilter) -> bool:
        parts = [each for each in self._object.calendar.components if each.name == condition.name]
        if condition.is_not_defined or not parts:
            return condition.is_not_defined and not parts
        try:
            if condition.time_range is None:
                return any(self._component(each, condition, None) for each in parts)
            return self._in_range(parts, condition, condition.time_range)
        except TooManyMatches:
            return True

    def _in_range(self, parts: list[Component], condition: CompFilter, span: TimeRange) -> bool:
        """Whether an instance in the span has all else that is asked for."""
        if condition.name in {"VTODO", "VFREEBUSY", "VJOURNAL", "VAVAILABILITY"}:
            undecided = [each for each in parts if self._by_itself(each, span)]
            if any(self._component(each, condition, None) for each in undecided):
                return True
            if condition.name in {"VFREEBUSY", "VAVAILABILITY"}:
                return False
        begin, end = limits(span.start, span.end)
        seen: set[int] = set()
        margin = timedelta(seconds=1) if condition.name == "VTODO" else timedelta()
        wide_start = shifted(begin, -margin) if span.start is not None else None
        wide_end = shifted(end, margin) if span.end is not None else None
        for each in instances(self._object, wide_start, wide_end, self._floating_zone, self._budget):
            if id(each.component) in seen or not self._meets(each, begin, end):
                continue
            if not condition.comps:
                seen.add(id(each.component))
            if self._component(each.component, condition, each):
                return True
        return False

    def _meets(self, each: Instance, begin: datetime, end: datetime) -> bool:
        if each.component.name == "VTODO":
            return _task_meets(each, begin, end)
        if each.component.name == "VJOURNAL" and not each.is_all_day:
            return begin <= each.start < end
        return overlaps(each.start, each.end, begin, end)

    def _by_itself(self, part: Component, span: TimeRange) -> bool:
        """Whether a component without instances meets a span: tasks without date, free-busy, availability."""
        begin, end = limits(span.start, span.end)
        if part.name == "VTODO":
            if any(part.first(name) is not None for name in ("DTSTART", "DUE", "RECURRENCE-ID")):
                return False
            completed, created = self._utc(part, "COMPLETED"), self._utc(part, "CREATED")
            if completed is not None and created is not None:
                return (begin <= created or begin <= completed) and (end >= created or end >= completed)
            if completed is not None:
                return begin <= completed <= end
            return created is None or end > created
        if part.name == "VFREEBUSY":
            first, last = self._utc(part, "DTSTART"), self._utc(part, "DTEND")
            if first is not None and last is not None:
                return begin <= last and end > first
            return any(
                isinstance(each, Period)
                and overlaps(each.start.utc(self._floating_zone), each.end.utc(self._floating_zone), begin, end)
                for prop in part.all("FREEBUSY")
                for each in self._moments(prop)
            )
        if part.name == "VAVAILABILITY":
            last = self._utc(part, "DTEND")
            if last is None and part.first("DURATION") is not None:
                try:
                    spanned = span_of(part, self._object)
                except BadObject:
                    spanned = None
                last = spanned.start.plus(spanned.length).utc(self._floating_zone) if spanned is not None else None
            return (self._utc(part, "DTSTART") or EARLIEST) < end and (last or LATEST) > begin
        return False

    def _component(self, part: Component, condition: CompFilter, instance: Instance | None) -> bool:
        found = [self._prop(part, each) for each in condition.props]
        found += [self._inner(part, each, instance) for each in condition.comps]
        if condition.is_any and condition.time_range is not None:
            return True  # the range, which is one of the conditions, has matched
        return _joined(found, is_any=condition.is_any)

    def _inner(self, part: Component, condition: CompFilter, instance: Instance | None) -> bool:
        """Whether something in a component matches: an alarm, an available time."""
        inner = list(part.children(condition.name))
        if condition.is_not_defined or not inner:
            return condition.is_not_defined and not inner
        for each in inner:
            if not _joined([self._prop(each, one) for one in condition.props], is_any=condition.is_any):
                continue
            if condition.time_range is None or self._rings(part, each, condition.time_range, instance):
                return True
        return False

    def _rings(self, part: Component, alarm: Component, span: TimeRange, instance: Instance | None) -> bool:
        """Whether an alarm goes off within a span. Spec: RFC 4791 §9.9 (VALARM)."""
        begin, end = limits(span.start, span.end)
        trigger = alarm.first("TRIGGER")
        if trigger is None:
            return False
        try:
            repeats = _repeats(alarm)
            if not trigger.value.strip().upper().startswith(("P", "-P", "+P")):
                at = moment(trigger, self._object.zones).utc(self._floating_zone)
                return any(begin <= shifted(at, each) < end for each in repeats)
            offset = duration(trigger.value).exact
        except BadObject:
            return False
        by_end = (trigger.parameter("RELATED") or "").upper() == "END"
        if instance is not None:
            candidates: Iterator[Instance] = iter((instance,))
        else:
            reach = abs(offset) + repeats[-1] + timedelta(days=1)
            candidates = instances(
                self._object, shifted(begin, -reach), shifted(end, reach), self._floating_zone, self._budget
            )
        for each in candidates:
            if each.component is part:
                at = shifted(each.end if by_end else each.start, offset)
                if any(begin <= shifted(at, one) < end for one in repeats):
                    return True
        return False

    def _prop(self, part: Component, condition: PropFilter) -> bool:
        props = list(part.all(condition.name))
        if condition.is_not_defined or not props:
            return condition.is_not_defined and not props
        return any(self._property(each, condition) for each in props)

    def _property(self, prop: Property, condition: PropFilter) -> bool:
        found: list[bool] = []
        if condition.time_range is not None:
            found.append(self._is_within(prop, condition.time_range))
        value = unescaped(prop.value)
        found += [text_matches(value, each) for each in condition.text_matches]
        found += [_param(prop, each) for each in condition.params]
        return _joined(found, is_any=condition.is_any)

    def _is_within(self, prop: Property, span: TimeRange) -> bool:
        begin, end = limits(span.start, span.end)
        for each in self._moments(prop):
            if isinstance(each, Period):
                if overlaps(each.start.utc(self._floating_zone), each.end.utc(self._floating_zone), begin, end):
                    return True
                continue
            start = each.utc(self._floating_zone)
            if overlaps(start, shifted(start, timedelta(days=1)) if each.is_date else start, begin, end):
                return True
        return False

    def _moments(self, prop: Property) -> list[Moment | Period]:
        try:
            return moments(prop, self._object.zones)
        except BadObject:
            return []

    def _utc(self, part: Component, name: str) -> datetime | None:
        prop = part.first(name)
        if prop is None:
            return None
        found = self._moments(prop)
        return found[0].utc(self._floating_zone) if found and isinstance(found[0], Moment) else None


def _joined(found: list[bool], *, is_any: bool) -> bool:
    return not found or (any(found) if is_any else all(found))


def _param(prop: Property, condition: ParamFilter) -> bool:
    values = prop.parameter_values(condition.name)
    if condition.is_not_defined or not values:
        return condition.is_not_defined and not values
    match = condition.text_match
    return match is None or any(text_matches(each, match) for each in values)


def _task_meets(each: Instance, begin: datetime, end: datetime) -> bool:
    """Spec: RFC 4791 §9.9, the rows of VTODO with DTSTART or DUE."""
    task = each.component
    start, due = each.start, each.end
    if task.first("DTSTART") is None:
        return begin < start and end >= start
    if task.first("DUE") is not None:
        return (begin < due or begin <= start) and (end > start or end >= due)
    if task.first("DURATION") is not None:
        return begin <= due and (end > start or end >= due)
    return begin <= start < end


def _repeats(alarm: Component) -> list[timedelta]:
    """Give how long after its trigger an alarm goes off."""
    count, pause = alarm.value("REPEAT"), alarm.value("DURATION")
    if not (count.isascii() and count.isdigit()) or not pause:
        return [timedelta()]
    step = max(duration(pause).exact, timedelta())
    return [step * each for each in range(min(int(count[:6]), _ALARM_REPEATS_MAX) + 1)]


def _plain_text(prop: PropFilter) -> TextMatch | None:
    """Give the one text that a property must match; None: the filter says something else."""
    if prop.is_not_defined or prop.is_any or prop.params or prop.time_range is not None or len(prop.text_matches) != 1:
        return None
    (match,) = prop.text_matches
    return None if match.negates or not match.text or "\n" in match.text else match


def _seconds(span: TimeRange) -> tuple[int | None, int | None]:
    starts = None if span.start is None else int(span.start.astimezone(UTC).timestamp())
    ends = None if span.end is None else int(span.end.astimezone(UTC).timestamp())
    return starts, ends


_UPPER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _ascii_lower(text: str) -> str:
    return text.translate(_UPPER)
