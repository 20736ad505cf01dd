"""What is computed once, when an object is put: its place in time, its texts for searching.

Spec: RFC 4791 §9.9 (what a time range has to find); model.dav.ResourceFacts.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Final

from mailstead.model.dav import TEXT_MAX, ResourceFacts
from mailstead.model.errors import BadObject, TooManyMatches
from mailstead.pim.calendar_object import CalendarObject
from mailstead.pim.component import Component, unescaped
from mailstead.pim.recurrence import Span, shifted, span_of
from mailstead.pim.rule import Budget, Rule, occurrences, rule_for
from mailstead.pim.values import Moment, Period, moments

SUMMARY_MAX: Final = 200
COUNT_MAX: Final = 3_000
"""Instances that are reckoned to find the end of a counted rule; longer ones are taken as endless."""

_SEARCHED: Final = ("SUMMARY", "LOCATION", "DESCRIPTION", "CATEGORIES", "COMMENT", "CONTACT")
_PEOPLE: Final = ("ATTENDEE", "ORGANIZER")
_EARLY: Final = timedelta(hours=14)
_LATE: Final = timedelta(hours=12)
_SECOND: Final = timedelta(seconds=1)


def facts(calendar_object: CalendarObject) -> ResourceFacts:
    """Give the facts of an object."""
    first_s, last_s, is_dated, is_exact = _place(calendar_object)
    shown = calendar_object.master or calendar_object.overrides[0]
    master = calendar_object.master
    return ResourceFacts(
        calendar_object.uid,
        calendar_object.component,
        first_s,
        last_s,
        is_dated,
        master is None or any(each.name in {"RRULE", "RDATE"} for each in master.properties),
        is_exact,
        False,
        unescaped(shown.value("SUMMARY"))[:SUMMARY_MAX],
        _text(calendar_object),
        organizer_of(calendar_object),
    )


def organizer_of(calendar_object: CalendarObject) -> str:
    """Give the organizer's address of an object that has attendees; empty: it is nobody's meeting."""
    for part in calendar_object.parts:
        organizer = part.value("ORGANIZER").strip().lower()
        if organizer and part.first("ATTENDEE") is not None:
            return organizer
    return ""


def _place(calendar_object: CalendarObject) -> tuple[int | None, int | None, bool, bool]:
    """Give first_s, last_s, is_dated, is_exact."""
    bounds: list[tuple[datetime, datetime | None]] = []
    is_exact = len(calendar_object.parts) == 1
    for part in calendar_object.parts:
        try:
            span = span_of(part, calendar_object)
        except BadObject:
            span = None
        names = ("DTSTART", "DTEND") if part.name == "VFREEBUSY" else ("DTSTART",)
        is_timeless = span is None or any(part.first(name) is None for name in names)
        if is_timeless and part.name in {"VFREEBUSY", "VAVAILABILITY"}:
            return None, None, True, False  # it may say something of any time
        if span is None and part.name == "VTODO" and part is calendar_object.master:
            return None, None, False, False
        if span is None:
            continue
        is_rule = part is calendar_object.master and any(each.name in {"RRULE", "RDATE"} for each in part.properties)
        is_range = any(each.parameter("RANGE") for each in part.all("RECURRENCE-ID"))
        is_exact = is_exact and span.start.zone is not None and not is_rule and part.name == "VEVENT"
        start, end = _bounds(span)
        if part.name in {"VTODO", "VAVAILABILITY"}:
            start = shifted(start, -_SECOND)  # the ends of a task count themselves: RFC 4791 §9.9
            end = shifted(end, _SECOND)
        if (part.name == "VAVAILABILITY" and not span.has_end) or is_range:
            bounds.append((start, None))
        else:
            bounds.append((min(start, _first_date(calendar_object, part) or start), end))
            if is_rule:
                bounds.append((start, _last_end(calendar_object, part, span)))
    if not bounds:
        return None, None, False, False
    ends = [end for _, end in bounds]
    last = None if any(each is None for each in ends) else max(each for each in ends if each is not None)
    first_s = int(min(start for start, _ in bounds).timestamp())
    return first_s, None if last is None else -int(-last.timestamp() // 1), True, is_exact


def _bounds(span: Span) -> tuple[datetime, datetime]:
    """Give the earliest start and the latest end, whatever zone floating times are taken in."""
    early, late = (_EARLY, _LATE) if span.start.zone is None else (timedelta(), timedelta())
    start, end = span.start.utc(UTC), span.start.plus(span.length).utc(UTC)
    return shifted(start, -early), shifted(end, late)


def _first_date(calendar_object: CalendarObject, part: Component) -> datetime | None:
    """Give the earliest RDATE, which may lie before DTSTART."""
    found: list[datetime] = []
    for prop in part.all("RDATE"):
        try:
            values = moments(prop, calendar_object.zones)
        except BadObject:
            continue
        found += [(each.start if isinstance(each, Period) else each).utc(UTC) for each in values]
    return shifted(min(found), -_EARLY) if found else None


def _last_end(calendar_object: CalendarObject, part: Component, span: Span) -> datetime | None:
    """Give a moment at which the last instance has ended; None: there is no last one, or it is too far to reckon."""
    reach = span.length.exact + _LATE + timedelta(days=1)
    ends = [shifted(span.start.utc(UTC), reach)]
    budget = Budget(10 * COUNT_MAX)
    for prop in part.properties:
        try:
            if prop.name == "RDATE":
                ends += [shifted(each, reach) for each in _ends_of_dates(moments(prop, calendar_object.zones))]
            elif prop.name == "RRULE":
                last = _last_of_rule(rule_for(prop.value, span.start), span, budget)
                if last is None:
                    return None
                ends.append(shifted(last, reach))
        except BadObject:
            continue
        except TooManyMatches:
            return None
    return max(ends)


def _last_of_rule(rule: Rule, span: Span, budget: Budget) -> datetime | None:
    """Give about when a rule's last occurrence is; None: it has none, or it is too far. Errors: TooManyMatches."""
    start = span.start
    if rule.until is not None:
        return rule.until.utc(UTC)
    if rule.count is None or rule.count > COUNT_MAX:
        return None
    last = deque(occurrences(rule, start.local, budget), maxlen=1)
    return Moment(last[0], start.is_date, start.zone).utc(UTC) if last else start.utc(UTC)


def _ends_of_dates(dates: list[Moment | Period]) -> list[datetime]:
    return [
        max(each.start.utc(UTC), each.end.utc(UTC)) if isinstance(each, Period) else each.utc(UTC) for each in dates
    ]


def _text(calendar_object: CalendarObject) -> str:
    lines: dict[str, None] = {}
    for part in calendar_object.parts:
        for prop in part.properties:
            if prop.name in _SEARCHED:
                lines[unescaped(prop.value)] = None
            elif prop.name in _PEOPLE:
                lines[prop.value] = None
                lines[prop.parameter("CN") or ""] = None
    joined = "\n".join(each for each in lines if each)
    return joined[:TEXT_MAX].casefold()[:TEXT_MAX]
