"""What a form says of an event or an instance of one: read from an object, and made into a new one.

What a form knows is little; `pim.event_edit` writes only what differs, so the rest of an object stays as it is.

Spec: RFC 5545 §3.6.1, §3.8; attack row 85 (values never begin lines: `pim.component.write`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from mailstead.model.errors import BadObject
from mailstead.pim import itip
from mailstead.pim.calendar_object import CalendarObject
from mailstead.pim.component import Component, unescaped
from mailstead.pim.recurrence import span_of
from mailstead.pim.rule import DAILY, FREQUENCIES, MONTHLY, WEEKLY, YEARLY, parse_rule, until_local
from mailstead.pim.values import Moment, duration
from mailstead.pim.zones import iana_zone

INTERVAL_MAX: Final = 999
COUNT_MAX: Final = 9_999
REMINDER_MIN_MAX: Final = 60 * 24 * 366
_RULE_PARTS: Final = frozenset({"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "WKST"})
_OF_FORMS: Final = {DAILY, WEEKLY, MONTHLY, YEARLY}


@dataclass(frozen=True, slots=True)
class Repetition:
    """How an event comes again."""

    frequency: str = ""
    """``DAILY``, ``WEEKLY``, ``MONTHLY``, ``YEARLY``; empty: it does not."""
    interval: int = 1
    weekdays: tuple[int, ...] = ()
    """Of a weekly one, Monday is 0; empty: the day of its start."""
    count: int | None = None
    until: date | None = None
    """The last day, inclusive, in the zone of the start."""


NEVER: Final = Repetition()


@dataclass(frozen=True, slots=True)
class EventForm:
    """One event."""

    start: datetime
    """By the clock there, without zone; midnight of whole days."""
    end: datetime
    """The same; of whole days midnight of the last day, inclusive."""
    is_all_day: bool = False
    zone: str = ""
    """Name of the IANA database, ``UTC`` for a zone that only the object describes; empty: floating."""
    summary: str = ""
    location: str = ""
    description: str = ""
    repetition: Repetition | None = NEVER
    """None: by a rule that a form does not know; it is kept."""
    reminder_min: int | None = None
    """Minutes before the start."""
    keeps_reminders: bool = False
    """There are reminders that a form does not know; they are kept."""
    guests: tuple[str, ...] = ()
    """Addresses in lower case, without the organizer."""
    is_free: bool = False
    """It makes nobody busy. Spec: RFC 5545 §3.8.2.7."""


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody who is invited."""

    address: str
    name: str
    answer: str
    """Upper case: ``ACCEPTED``, ``NEEDS-ACTION`` … Spec: RFC 5545 §3.2.12."""
    is_organizer: bool = False


@dataclass(frozen=True, slots=True)
class EventFacts:
    """What a page shows of an event beside its form."""

    form: EventForm
    organizer: str = ""
    """Address; empty: nobody's meeting."""
    guests: tuple[Guest, ...] = ()
    status: str = ""
    categories: tuple[str, ...] = field(default=())


def form_of(part: Component, found: CalendarObject) -> EventForm:
    """Read a component. Errors: BadObject, for one without a time."""
    span = span_of(part, found)
    if span is None:
        raise BadObject("This event has no time", condition="valid-calendar-data")
    zone, start = _zone_name(part, span.start), span.start
    end = start.plus(span.length).local
    begin = start.local
    if start.zone is not None and not zone and not start.is_date:  # one that the object describes itself
        zone = "UTC"
        begin, end = (at.utc(UTC).replace(tzinfo=None) for at in (start, start.plus(span.length)))
    if span.start.is_date:
        end = max(span.start.local, end - timedelta(days=1))
    rule = part.first("RRULE")
    others = [each for each in part.properties if each.name in {"RDATE", "EXRULE"}]
    repetition = NEVER if rule is None and not others else None
    if rule is not None and not others and len(list(part.all("RRULE"))) == 1:
        repetition = repetition_of(rule.value, span.start)
    reminder_min, is_other = _reminder(part)
    organizer = itip.person(part.value("ORGANIZER"))
    guests = [each for each in itip.attendees([part]) if each != organizer]
    return EventForm(
        begin,
        end,
        span.start.is_date,
        zone,
        unescaped(part.value("SUMMARY")),
        unescaped(part.value("LOCATION")),
        unescaped(part.value("DESCRIPTION")),
        repetition,
        reminder_min,
        is_other,
        tuple(each.removeprefix("mailto:") for each in guests),
        part.value("TRANSP").strip().upper() == "TRANSPARENT",
    )


def facts_of(part: Component, found: CalendarObject) -> EventFacts:
    """Give what a page shows. Errors: BadObject, for one without a time."""
    organizer = itip.person(part.value("ORGANIZER"))
    guests = tuple(
        Guest(
            address.removeprefix("mailto:"),
            (prop.parameter("CN") or "").strip()[:200],
            itip.answer_of(prop),
            address == organizer,
        )
        for address, prop in itip.attendees([part]).items()
    )
    names = [unescaped(each).strip() for prop in part.all("CATEGORIES") for each in prop.value.split(",")]
    return EventFacts(
        form_of(part, found),
        organizer.removeprefix("mailto:"),
        guests,
        part.value("STATUS").strip().upper(),
        tuple(each[:60] for each in names if each)[:20],
    )


def repetition_of(value: str, start: Moment) -> Repetition | None:
    """Read a rule; None: it says more than a form does."""
    try:
        rule = parse_rule(value)
    except BadObject:
        return None
    names = {each.partition("=")[0].strip().upper() for each in value.split(";") if each.strip()}
    if rule.frequency not in _OF_FORMS or names - _RULE_PARTS or any(which for which, _ in rule.by_day):
        return None
    if (rule.by_day and rule.frequency != WEEKLY) or rule.interval > INTERVAL_MAX or (rule.count or 0) > COUNT_MAX:
        return None
    if rule.week_start and rule.interval > 1 and len(rule.by_day) > 1:
        return None  # where the week begins decides here
    until = until_local(rule, start)
    return Repetition(
        FREQUENCIES[rule.frequency],
        rule.interval,
        tuple(sorted(day for _, day in rule.by_day)),
        rule.count,
        until.date() if until is not None else None,
    )


def _zone_name(part: Component, start: Moment) -> str:
    """Give the zone's name, where the database has it."""
    if start.zone is None or start.is_date:
        return ""
    if start.zone is UTC:
        return "UTC"
    prop = part.first("DTSTART") or part.first("RECURRENCE-ID")
    tzid = (prop.parameter("TZID") or "") if prop is not None else ""
    key = getattr(start.zone, "key", "")
    return tzid if iana_zone(tzid) is not None else str(key)


def _reminder(part: Component) -> tuple[int | None, bool]:
    """Give the one reminder that a form knows, in minutes before the start; or that there are others."""
    alarms = list(part.children("VALARM"))
    if not alarms:
        return None, False
    if len(alarms) == 1:
        trigger = alarms[0].first("TRIGGER")
        action = alarms[0].value("ACTION").strip().upper()
        is_plain = trigger is not None and (trigger.parameter("RELATED") or "START").upper() == "START"
        if trigger is not None and is_plain and action in {"DISPLAY", "AUDIO"}:
            try:
                length = duration(trigger.value)
            except BadObject:
                return None, True
            seconds = -int(length.exact.total_seconds())
            if 0 <= seconds <= REMINDER_MIN_MAX * 60 and seconds % 60 == 0:
                return seconds // 60, False
    return None, True
