"""Tasks as a form has them: read from a VTODO, made and changed; what a form does not know stays.

Spec: RFC 5545 §3.6.2, §3.8.1.9 (PRIORITY), §3.8.1.11 (STATUS), §3.8.2.1 (COMPLETED), §3.8.2.3 (DUE).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from mailstead.model.errors import BadObject
from mailstead.pim.calendar_object import CalendarObject
from mailstead.pim.component import Component, Property, escaped, unescaped
from mailstead.pim.event_edit import PRODID
from mailstead.pim.recurrence import Budget, instances, span_of
from mailstead.pim.values import Moment, moment, written_date, written_local, written_utc
from mailstead.pim.zones import iana_zone, vtimezone

HIGH, NORMAL, LOW = 1, 5, 9
"""What a form writes; 1 to 4 is high, 6 to 9 low. Spec: RFC 5545 §3.8.1.9."""
_DONE: Final = frozenset({"STATUS", "COMPLETED", "PERCENT-COMPLETE"})
_SCAN: Final = timedelta(days=366 * 20)


@dataclass(frozen=True, slots=True)
class TaskForm:
    """One task."""

    summary: str
    description: str = ""
    due: datetime | None = None
    """By the clock in `zone`, without zone; midnight of a day."""
    is_due_on_day: bool = True
    """It is due on a day, at no hour."""
    zone: str = ""
    """Of an hour: name of the IANA database; empty: floating."""
    priority: int = 0
    """0 (not said), 1 (highest) to 9."""


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What a list shows."""

    form: TaskForm
    due: Moment | None
    is_done: bool
    is_cancelled: bool
    is_recurring: bool
    percent: int


def level_of(priority: int) -> int:
    """Give `HIGH`, `NORMAL`, `LOW` or 0 for a number."""
    return 0 if not priority else HIGH if priority < NORMAL else NORMAL if priority == NORMAL else LOW


def facts_of(found: CalendarObject) -> TaskFacts:
    """Read a task: its master, or of changed instances alone the first."""
    part = found.master or found.overrides[0]
    due = _due(part, found)
    status = part.value("STATUS").strip().upper()
    zone = ""
    if due is not None and not due.is_date and due.zone is not None:
        zone = "UTC" if due.zone is UTC else str(getattr(due.zone, "key", ""))
        if not zone:  # one that the object describes itself
            due, zone = Moment(due.utc(UTC).replace(tzinfo=None), zone=UTC), "UTC"
    form = TaskForm(
        unescaped(part.value("SUMMARY")),
        unescaped(part.value("DESCRIPTION")),
        None if due is None else due.local,
        due is None or due.is_date,
        zone,
        _number(part.value("PRIORITY"), 9),
    )
    return TaskFacts(
        form,
        due,
        status == "COMPLETED" or (not status and part.first("COMPLETED") is not None),
        status == "CANCELLED",
        any(each.name in {"RRULE", "RDATE"} for each in part.properties),
        _number(part.value("PERCENT-COMPLETE"), 100),
    )


def made(form: TaskForm, uid: str, now: datetime) -> Component:
    """Give a new task. Errors: BadObject, for a zone that is none."""
    part = Component("VTODO", [Property("UID", uid), Property("CREATED", written_utc(now))])
    calendar = Component("VCALENDAR", [Property("VERSION", "2.0"), Property("PRODID", PRODID)], [part])
    _put(calendar, part, TaskForm(""), form)
    _stamp(part, now)
    return calendar


def changed(found: CalendarObject, form: TaskForm, now: datetime) -> Component:
    """Give a task as a form has it. Errors: BadObject, for a zone that is none."""
    part = found.master or found.overrides[0]
    _put(found.calendar, part, facts_of(found).form, form)
    _stamp(part, now)
    return found.calendar


def done(found: CalendarObject, now: datetime, *, is_done: bool) -> Component:
    """Give a task that is done, or open again; one that comes again is moved to its next time, where it has one."""
    part = found.master or found.overrides[0]
    if is_done and found.master is not None and _moved_on(found):
        _stamp(part, now)
        return found.calendar
    part.properties[:] = [each for each in part.properties if each.name not in _DONE]
    if is_done:
        part.properties += [
            Property("STATUS", "COMPLETED"),
            Property("COMPLETED", written_utc(now)),
            Property("PERCENT-COMPLETE", "100"),
        ]
    else:
        part.properties.append(Property("STATUS", "NEEDS-ACTION"))
    _stamp(part, now)
    return found.calendar


# within


def _due(part: Component, found: CalendarObject) -> Moment | None:
    due = part.first("DUE")
    try:
        if due is not None:
            return moment(due, found.zones)
        span = span_of(part, found) if part.first("DURATION") is not None else None
    except BadObject:
        return None
    return None if span is None else span.start.plus(span.length)


def _put(calendar: Component, part: Component, before: TaskForm, form: TaskForm) -> None:
    for name, was, text in (
        ("SUMMARY", before.summary, form.summary),
        ("DESCRIPTION", before.description, form.description),
    ):
        if was != text:
            _put_one(part, name, Property(name, escaped(text)) if text else None)
    if before.priority != form.priority:
        _put_one(part, "PRIORITY", Property("PRIORITY", str(form.priority)) if form.priority else None)
    times = [(each.due, each.is_due_on_day, "" if each.is_due_on_day else each.zone) for each in (before, form)]
    if times[0] == times[1]:
        return
    _put_one(part, "DURATION", None)
    _put_one(part, "DUE", None if form.due is None else _written(calendar, form.due, form))
    start = part.first("DTSTART")
    if start is not None and part.first("RRULE") is None and form.due is not None:
        # A start and an end are of one kind, and in order (RFC 5545 §3.8.2.3).
        is_day = len(start.value.strip()) == 8
        if is_day != form.is_due_on_day or start.value[:8] > written_date(form.due):
            _put_one(part, "DTSTART", None)


def _written(calendar: Component, due: datetime, form: TaskForm) -> Property:
    if form.is_due_on_day:
        return Property("DUE", written_date(due), (("VALUE", ("DATE",)),))
    zone = iana_zone(form.zone) if form.zone else None
    if zone is None:
        if form.zone:
            raise BadObject("There is no such time zone; one is written Europe/Berlin", condition="valid-timezone")
        return Property("DUE", written_local(due))
    if zone is UTC:
        return Property("DUE", written_utc(due.replace(tzinfo=UTC)))
    described = vtimezone(form.zone)
    if described is not None and not any(each.value("TZID") == form.zone for each in calendar.children("VTIMEZONE")):
        calendar.components.insert(0, described.copy())
    return Property("DUE", written_local(due), (("TZID", (form.zone,)),))


def _put_one(part: Component, name: str, prop: Property | None) -> None:
    places = [at for at, each in enumerate(part.properties) if each.name == name]
    for at in reversed(places[1:] if prop is not None else places):
        del part.properties[at]
    if prop is not None and places:
        part.properties[places[0]] = prop
    elif prop is not None:
        part.properties.append(prop)


def _stamp(part: Component, now: datetime) -> None:
    for name in ("DTSTAMP", "LAST-MODIFIED"):
        _put_one(part, name, Property(name, written_utc(now)))


def _moved_on(found: CalendarObject) -> bool:
    """Move a task that comes again to its next time; whether there is one."""
    master = found.master
    assert master is not None
    rule = master.first("RRULE")
    try:
        span = span_of(master, found)
    except BadObject:
        return False
    if rule is None or span is None:
        return False
    start = span.start.utc(UTC)
    later = instances(found, start + timedelta(seconds=1), start + _SCAN, UTC, Budget())
    following = next((each for each in later if each.component is master and each.start > start), None)
    if following is None:
        return False
    shift = following.at.local - span.start.local
    for each in master.properties:
        if each.name in {"DTSTART", "DUE"}:
            there = moment(each, found.zones)
            local = there.local + shift
            each.value = (
                written_date(local)
                if there.is_date
                else written_utc(local.replace(tzinfo=UTC))
                if there.zone is UTC
                else written_local(local)
            )
    parts = [each.partition("=") for each in rule.value.split(";") if each]
    gone = 1
    rule.value = ";".join(
        f"{name}={max(1, _number(value, 10**9) - gone) if name.strip().upper() == 'COUNT' else value}"
        for name, _, value in parts
    )
    return True


def _number(text: str, most: int) -> int:
    """Give a number; 0 for what is none or too large."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most else 0
