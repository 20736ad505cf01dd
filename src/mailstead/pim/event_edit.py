"""Makes and changes events by a form: the whole, one instance, or one and all that follow.

Only what a form says differently is touched. Spec: RFC 5545 §3.6.1, §3.8.4.4, §3.8.5; RFC 5546 §2.1.4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from mailstead.model.errors import BadObject, NoSuchResource
from mailstead.pim import itip
from mailstead.pim.calendar_object import CalendarObject, of_calendar
from mailstead.pim.component import Component, Property, escaped
from mailstead.pim.event_form import NEVER, EventForm, Repetition, form_of
from mailstead.pim.own_instances import own_instance
from mailstead.pim.recurrence import Budget, instances, span_of
from mailstead.pim.rule import WEEKDAYS
from mailstead.pim.values import Moment, moment, parse_moment, written_date, written_local, written_utc
from mailstead.pim.zones import Zones, iana_zone, vtimezone

PRODID: Final = "-//Mailstead//Web//EN"
_TEXTS: Final = {"SUMMARY": "summary", "LOCATION": "location", "DESCRIPTION": "description"}
_SERIES: Final = frozenset({"RRULE", "RDATE", "EXDATE", "EXRULE"})
_ANOTHER_ZONE: Final = "There is no such time zone; one is written Europe/Berlin"


def made(form: EventForm, uid: str, organizer: str, now: datetime) -> Component:
    """Give a new event; `organizer` (an address) invites, where there are guests. Errors: BadObject."""
    part = Component("VEVENT", [Property("UID", uid), Property("CREATED", written_utc(now))])
    calendar = Component("VCALENDAR", [Property("VERSION", "2.0"), Property("PRODID", PRODID)], [part])
    _put_times(calendar, part, form)
    nothing = replace(form, summary="", location="", description="", repetition=NEVER, reminder_min=None, guests=())
    _put_rest(part, replace(nothing, is_free=False), form)
    _put_repetition(part, form)
    _put_guests([part], (), form.guests, organizer)
    _stamp(part, now)
    return calendar


def changed(found: CalendarObject, form: EventForm, organizer: str, now: datetime) -> Component:
    """Give the whole event as a form has it. Errors: BadObject; NoSuchResource, where there is no whole."""
    calendar = found.calendar
    master = found.master
    if master is None:
        raise NoSuchResource("Of this event only single times are known; change those")
    before = form_of(master, found)
    form = _following_its_start(before, form)
    for part in found.overrides:
        _put_texts_of(part, before, form, found)
    is_moved = _times(before) != _times(form)
    if is_moved:
        was = span_of(master, found)
        assert was is not None
        _put_times(calendar, master, form)
        _move_series(found, was.start, form)
    if form.repetition is not None and (form.repetition != before.repetition or (is_moved and form.repetition.until)):
        _put_repetition(master, form)
    _put_rest(master, before, form)
    _put_guests(found.parts, before.guests, form.guests, organizer)
    _stamp(master, now)
    if form.repetition != before.repetition or is_moved:
        _drop_strays(found)
    return calendar


def changed_one(found: CalendarObject, rid: str, form: EventForm, now: datetime) -> Component:
    """Give the event with one instance as a form has it; its repetition and its guests say nothing.

    Errors: BadObject; NoSuchResource, where there is no such instance.
    """
    part = own_instance(found, rid)
    if part is None:
        raise NoSuchResource("There is no such time of this event")
    before = form_of(part, found)
    if _times(before) != _times(form):
        _put_times(found.calendar, part, form)
    _put_rest(part, before, form)
    _stamp(part, now)
    return found.calendar


def without_one(found: CalendarObject, rid: str, now: datetime) -> Component | None:
    """Give the event without one instance; None: nothing is left of it. Errors: NoSuchResource."""
    part = own_instance(found, rid)
    if part is None:
        raise NoSuchResource("There is no such time of this event")
    at = part.first("RECURRENCE-ID")
    assert at is not None
    found.calendar.components[:] = [each for each in found.calendar.components if each is not part]
    if found.master is not None:
        parameters = tuple(each for each in at.parameters if each[0] != "RANGE")
        found.master.properties.append(Property("EXDATE", at.value, parameters))
        _stamp(found.master, now)
    elif len(found.overrides) == 1:
        return None
    return found.calendar


def split(found: CalendarObject, rid: str, uid: str, now: datetime) -> tuple[Component | None, Component]:
    """Part a series at an instance: give what is before it (None: nothing), and the rest as an event of its own, `uid`.

    Errors: NoSuchResource, where there is no such instance of a rule.
    """
    master = found.master
    rule = master.first("RRULE") if master is not None else None
    span = span_of(master, found) if master is not None else None
    if master is None or rule is None or span is None:
        raise NoSuchResource("This event does not come again")
    at = _instance_at(found, rid)
    if at is None:
        raise NoSuchResource("There is no such time of this event")
    rest = _rest(found, at, uid, now)
    if at.local <= span.start.local:
        return None, rest
    parts = dict(each.split("=", 1) for each in rule.value.strip().rstrip(";").split(";") if "=" in each)
    kept = [f"{name}={value}" for name, value in parts.items() if name.upper() not in {"COUNT", "UNTIL"}]
    rule.value = ";".join([*kept, f"UNTIL={_until_before(at)}"])
    found.calendar.components[:] = [
        each for each in found.calendar.components if each not in found.overrides or _is_before(each, found, at)
    ]
    _keep_dates(master, found, at, is_rest=False)
    _stamp(master, now)
    return found.calendar, rest


def ask_anew_if_moved(series: CalendarObject, form: EventForm) -> None:
    """Take back what the guests of a series have answered where a form puts it at other times: they answered to those.

    Spec: RFC 5546 §3.2.2.1.
    """
    assert series.master is not None
    before = form_of(series.master, series)
    if _times(before) == _times(form) and before.repetition == form.repetition:
        return
    for part in series.parts:
        host = itip.person(part.value("ORGANIZER"))
        for place, each in enumerate(part.properties):
            if each.name == "ATTENDEE" and itip.person(each.value) != host:
                part.properties[place] = each.with_parameter("PARTSTAT", itip.NEEDS_ACTION)


def rid_of(at: Moment) -> str:
    """Give how an instance is named, as `own_instance` takes it."""
    if at.is_date:
        return written_date(at.local)
    return written_local(at.local) if at.zone is None else written_utc(at.utc(UTC))


# parts of a form


def _times(form: EventForm) -> tuple[datetime, datetime, bool, str]:
    return form.start, form.end, form.is_all_day, "" if form.is_all_day else form.zone


def _put_rest(part: Component, before: EventForm, form: EventForm) -> None:
    """Write texts, reminder, and whether it makes busy."""
    for name, attribute in _TEXTS.items():
        if getattr(before, attribute) != getattr(form, attribute):
            _put_text(part, name, getattr(form, attribute))
    if before.is_free != form.is_free:
        _put(part, Property("TRANSP", "TRANSPARENT" if form.is_free else "OPAQUE"))
    if not form.keeps_reminders and (before.keeps_reminders or before.reminder_min != form.reminder_min):
        part.components[:] = [each for each in part.components if each.name != "VALARM"]
        if form.reminder_min is not None:
            text = escaped(form.summary) or "Reminder"
            lines = [("ACTION", "DISPLAY"), ("DESCRIPTION", text), ("TRIGGER", f"-PT{form.reminder_min}M")]
            part.components.append(Component("VALARM", [Property(name, value) for name, value in lines]))


def _put_texts_of(part: Component, before: EventForm, form: EventForm, found: CalendarObject) -> None:
    """Write texts into a changed instance that has them as the series had."""
    try:
        own = form_of(part, found)
    except BadObject:
        return
    for name, attribute in _TEXTS.items():
        was = getattr(before, attribute)
        if was != getattr(form, attribute) and getattr(own, attribute) == was:
            _put_text(part, name, getattr(form, attribute))


def _put_text(part: Component, name: str, text: str) -> None:
    if name == "DESCRIPTION":  # the same in HTML, as some programs add, would say what was before
        part.properties[:] = [each for each in part.properties if each.name != "X-ALT-DESC"]
    if not text:
        part.properties[:] = [each for each in part.properties if each.name != name]
        return
    was = part.first(name)
    parameters = tuple(each for each in was.parameters if each[0] == "LANGUAGE") if was is not None else ()
    _put(part, Property(name, escaped(text), parameters))


def _put(part: Component, prop: Property) -> None:
    """Put a property in the place of the first of its name; others of it go."""
    places = [at for at, each in enumerate(part.properties) if each.name == prop.name]
    if not places:
        part.properties.append(prop)
        return
    part.properties[places[0]] = prop
    for at in reversed(places[1:]):
        del part.properties[at]


def _put_times(calendar: Component, part: Component, form: EventForm) -> None:
    """Errors: BadObject, for a zone that is none."""
    end = form.end + timedelta(days=1) if form.is_all_day else form.end
    _put(part, _written(calendar, "DTSTART", form.start, form))
    part.properties[:] = [each for each in part.properties if each.name != "DURATION"]
    _put(part, _written(calendar, "DTEND", end, form))


def _written(calendar: Component, name: str, local: datetime, form: EventForm) -> Property:
    """Give a time in a form's zone, which the object gets a description of. Errors: BadObject."""
    if form.is_all_day:
        return Property(name, written_date(local), (("VALUE", ("DATE",)),))
    zone = iana_zone(form.zone) if form.zone else None
    if zone is None:
        if form.zone:
            raise BadObject(_ANOTHER_ZONE, condition="valid-timezone")
        return Property(name, written_local(local))
    if zone is UTC:
        return Property(name, written_utc(local.replace(tzinfo=UTC)))
    if not any(each.value("TZID") == form.zone for each in calendar.children("VTIMEZONE")):
        described = vtimezone(form.zone)
        if described is not None:
            calendar.components.insert(0, described.copy())
    return Property(name, written_local(local), (("TZID", (form.zone,)),))


def _following_its_start(before: EventForm, form: EventForm) -> EventForm:
    """Let a weekly event that was on one weekday be on that of its new start."""
    repetition = form.repetition
    if repetition is None or repetition.frequency != "WEEKLY":
        return form
    own, was = form.start.weekday(), before.start.weekday()
    days = repetition.weekdays
    if days == (was,) and before.repetition is not None and before.repetition.weekdays in {(), (was,)}:
        days = (own,) if before.repetition.weekdays else ()
    elif days == (own,) and before.repetition is not None and before.repetition.weekdays == ():
        days = ()
    return replace(form, repetition=replace(repetition, weekdays=days))


def _put_repetition(part: Component, form: EventForm) -> None:
    repetition = form.repetition
    if repetition is None:
        return
    if not repetition.frequency:
        part.properties[:] = [each for each in part.properties if each.name not in _SERIES]
        return
    part.properties[:] = [each for each in part.properties if each.name not in {"EXRULE", "RDATE"}]
    _put(part, Property("RRULE", _rule(repetition, form)))


def _rule(repetition: Repetition, form: EventForm) -> str:
    words = [f"FREQ={repetition.frequency}"]
    if repetition.interval > 1:
        words.append(f"INTERVAL={repetition.interval}")
    if repetition.frequency == "WEEKLY" and repetition.weekdays:
        days = sorted({*repetition.weekdays, form.start.weekday()})
        words.append(f"BYDAY={','.join(WEEKDAYS[each] for each in days)}")
    if repetition.count is not None:
        words.append(f"COUNT={repetition.count}")
    elif repetition.until is not None:
        words.append(f"UNTIL={_until(repetition.until, form)}")
    return ";".join(words)


def _until(day: date, form: EventForm) -> str:
    """Give the end of a rule: of the same kind as its start. Spec: RFC 5545 §3.3.10."""
    last = datetime(day.year, day.month, day.day, 23, 59, 59)  # noqa: DTZ001 - by the clock there
    if form.is_all_day:
        return written_date(last)
    zone = iana_zone(form.zone) if form.zone else None
    return written_local(last) if zone is None else written_utc(Moment(last, zone=zone).utc(UTC))


def _put_guests(parts: Iterable[Component], before: tuple[str, ...], guests: tuple[str, ...], organizer: str) -> None:
    """Invite who is new, and uninvite who is not wanted any more; without guests it is no meeting."""
    if set(before) == set(guests):
        return
    gone = {f"mailto:{each}" for each in before if each not in guests}
    new = [each for each in dict.fromkeys(guests) if each not in before and each != organizer]
    for part in parts:
        part.properties[:] = [
            each for each in part.properties if each.name != "ATTENDEE" or itip.person(each.value) not in gone
        ]
        if not guests:
            part.properties[:] = [each for each in part.properties if each.name not in {"ATTENDEE", "ORGANIZER"}]
            continue
        if part.first("ORGANIZER") is None:
            part.properties.append(Property("ORGANIZER", f"mailto:{organizer}"))
            accepted = (("PARTSTAT", ("ACCEPTED",)), ("ROLE", ("CHAIR",)))
            part.properties.append(Property("ATTENDEE", f"mailto:{organizer}", accepted))
        asked = (("PARTSTAT", (itip.NEEDS_ACTION,)), ("ROLE", ("REQ-PARTICIPANT",)), ("RSVP", ("TRUE",)))
        part.properties += [Property("ATTENDEE", f"mailto:{each}", asked) for each in new]


def _stamp(part: Component, now: datetime) -> None:
    _put(part, Property("DTSTAMP", written_utc(now)))
    _put(part, Property("LAST-MODIFIED", written_utc(now)))


# series


def _move_series(found: CalendarObject, was: Moment, form: EventForm) -> None:
    """Let changed and left-out instances be those of the moved series."""
    shift = form.start - was.local
    for part in found.parts:
        for at, each in enumerate(part.properties):
            if each.name not in {"RECURRENCE-ID", "EXDATE", "RDATE"} or "/" in each.value:
                continue
            values = []
            for value in each.value.split(","):
                try:
                    there = moment(Property(each.name, value, each.parameters), found.zones)
                except BadObject:
                    continue
                local = _in_zone(there, was) + shift
                if form.is_all_day:
                    local = local.replace(hour=0, minute=0, second=0)
                values.append(_written(found.calendar, each.name, local, form))
            if values:
                kept = tuple(one for one in each.parameters if one[0] == "RANGE")
                text = ",".join(one.value for one in values)
                part.properties[at] = Property(each.name, text, (*values[0].parameters, *kept))


def _in_zone(at: Moment, like: Moment) -> datetime:
    """Give a moment by the clock of another one's zone."""
    if at.zone is None or like.zone is None or at.zone == like.zone:
        return at.local
    return at.utc(UTC).astimezone(like.zone).replace(tzinfo=None)


def _drop_strays(found: CalendarObject) -> None:
    """Remove changed instances of times that the series has no more."""
    master = found.master
    assert master is not None
    alone = Component("VCALENDAR", found.calendar.properties, [])
    alone.components = [each for each in found.calendar.components if each not in found.overrides]
    series, budget = of_calendar(alone), Budget()
    is_series = any(each.name in {"RRULE", "RDATE"} for each in master.properties)
    strays = [each for each in found.overrides if not is_series or not _has(series, each, found, budget)]
    found.calendar.components[:] = [each for each in found.calendar.components if each not in strays]
    found.overrides[:] = [each for each in found.overrides if each not in strays]


def _has(series: CalendarObject, override: Component, found: CalendarObject, budget: Budget) -> bool:
    prop = override.first("RECURRENCE-ID")
    assert prop is not None
    try:
        at = moment(prop, found.zones).utc(UTC)
    except BadObject:
        return False
    return any(each.start == at for each in instances(series, at, at + timedelta(seconds=1), UTC, budget))


def _instance_at(found: CalendarObject, rid: str) -> Moment | None:
    """Give when an instance is by the rule, as the series writes it."""
    try:
        wanted = parse_moment(rid, Property("RECURRENCE-ID", rid)).utc(UTC)
    except BadObject:
        return None
    alone = replace(found, overrides=[])
    for each in instances(alone, wanted, wanted + timedelta(seconds=1), UTC, Budget()):
        if each.start == wanted:
            return each.at
    return None


def _until_before(at: Moment) -> str:
    if at.is_date:
        return written_date(at.local - timedelta(days=1))
    last = Moment(at.local - timedelta(seconds=1), zone=at.zone)
    return written_local(last.local) if at.zone is None else written_utc(last.utc(UTC))


def _is_before(override: Component, found: CalendarObject, at: Moment) -> bool:
    prop = override.first("RECURRENCE-ID")
    assert prop is not None
    try:
        return moment(prop, found.zones).utc(UTC) < at.utc(UTC)
    except BadObject:
        return True


def _keep_dates(part: Component, found: CalendarObject, at: Moment, *, is_rest: bool) -> None:
    """Keep of added and left-out times those on one side of an instance."""
    kept = []
    for each in part.properties:
        if each.name not in {"EXDATE", "RDATE"}:
            kept.append(each)
            continue
        values = []
        for value in each.value.split(","):
            try:
                there = moment(Property(each.name, value.partition("/")[0], each.parameters), found.zones)
            except BadObject:
                continue
            if (there.utc(UTC) >= at.utc(UTC)) is is_rest:
                values.append(value)
        if values:
            kept.append(Property(each.name, ",".join(values), each.parameters))
    part.properties[:] = kept


def _rest(found: CalendarObject, at: Moment, uid: str, now: datetime) -> Component:
    """Give what follows an instance as an event of its own."""
    master = found.master
    assert master is not None
    span = span_of(master, found)
    assert span is not None
    new = master.copy()
    shift = at.local - span.start.local
    for each in new.properties:
        if each.name in {"DTSTART", "DTEND"}:
            there = moment(each, found.zones)
            moved = Moment(there.local + shift, is_date=there.is_date, zone=there.zone)
            each.value = _value(moved)
        if each.name == "RRULE" and "COUNT=" in each.value.upper():
            each.value = _counted_on(each.value, found, at)
    _keep_dates(new, found, at, is_rest=True)
    _put(new, Property("UID", uid))
    _put(new, Property("CREATED", written_utc(now)))
    new.properties[:] = [each for each in new.properties if each.name != "SEQUENCE"]
    parts = [new]
    for override in found.overrides:
        if not _is_before(override, found, at):
            moved_part = override.copy()
            _put(moved_part, Property("UID", uid))
            parts.append(moved_part)
    zones = [each.copy() for each in found.calendar.children("VTIMEZONE")]
    return Component("VCALENDAR", list(found.calendar.properties), [*zones, *parts])


def _counted_on(rule: str, found: CalendarObject, at: Moment) -> str:
    """Give a rule with a COUNT of what is left from an instance on."""
    gone = sum(1 for _ in instances(_bare(found), None, at.utc(UTC), UTC, Budget()))
    parts = [each.partition("=") for each in rule.split(";") if each]
    return ";".join(
        f"{name}={max(1, int(value) - gone)}" if name.strip().upper() == "COUNT" and value.strip().isdecimal()
        else f"{name}={value}"
        for name, _, value in parts
    )  # fmt: skip


def _bare(found: CalendarObject) -> CalendarObject:
    """Give a series by its rule alone: COUNT counts also what is left out."""
    assert found.master is not None
    master = found.master.copy()
    master.properties[:] = [each for each in master.properties if each.name not in {"EXDATE", "RDATE", "EXRULE"}]
    calendar = Component("VCALENDAR", found.calendar.properties, [*found.calendar.children("VTIMEZONE"), master])
    return CalendarObject(calendar, found.component, found.uid, master, [], Zones(calendar))


def _value(at: Moment) -> str:
    if at.is_date:
        return written_date(at.local)
    return written_utc(at.local.replace(tzinfo=UTC)) if at.zone is UTC else written_local(at.local)
