"""iTIP: what a message changes in a meeting that is kept. Who sent it has been made sure of before.

Spec: RFC 5546 §2.1.4, §2.1.5 (which of two is newer), §3.2.
"""

from __future__ import annotations

from datetime import UTC
from typing import Final

from mailstead.model.errors import BadObject
from mailstead.pim import itip
from mailstead.pim.calendar_object import CalendarObject
from mailstead.pim.component import Component, Property
from mailstead.pim.itip import instance_of, person
from mailstead.pim.own_instances import own_instance
from mailstead.pim.values import moment, written_date, written_utc

INSTANCES_MAX: Final = 100
"""Single instances of which one message may speak: each may become a component of its own."""


def applied_request(stored: CalendarObject | None, message: CalendarObject) -> Component | None:
    """Give an attendee's meeting after an invitation or its update; None: it is an old one, or changes nothing.

    What is the attendee's own stays: alarms, categories, whether it makes busy. Spec: RFC 5546 §3.2.2.
    """
    incoming = message.calendar.copy()
    incoming.properties[:] = [each for each in incoming.properties if each.name != "METHOD"]
    if stored is None:
        return incoming
    known = {instance_of(part): part for part in stored.parts}
    news = {instance_of(part): part for part in incoming.components if part.name == message.component}
    both = news.keys() & known.keys()
    if any(_is_older(news[key], known[key]) for key in both):
        return None
    # A whole that has lost an instance says something, too.
    is_all = both == news.keys() and (message.master is None or both == known.keys())
    if is_all and all(_is_same(news[key], known[key]) for key in both):
        return None
    for key in both:
        _keep_own(news[key], known[key])
    return incoming if message.master is not None else _merged(stored, incoming, message.component, news)


def applied_add(stored: CalendarObject, message: CalendarObject) -> Component | None:
    """Give an attendee's series with one more instance; None: there is no series, or it has it already.

    Spec: RFC 5546 §3.2.4.
    """
    added, series = message.master, stored.master
    start = added.first("DTSTART") if added is not None else None
    if added is None or start is None or series is None or added.first("RRULE") or added.first("RDATE"):
        return None
    if itip.sequence_of(added) < itip.sequence_of(series) or instance_at(stored, start, message) is not None:
        return None
    copy = stored.calendar.copy()
    whole = next(each for each in copy.components if each.name == stored.component and not instance_of(each))
    whole.properties.append(Property("RDATE", start.value, start.parameters))
    one = added.copy()
    one.properties.append(Property("RECURRENCE-ID", start.value, start.parameters))
    zones = {each.value("TZID") for each in copy.children("VTIMEZONE")}
    copy.components += [each for each in message.calendar.children("VTIMEZONE") if each.value("TZID") not in zones]
    copy.components.append(one)
    return copy


def applied_cancel(stored: CalendarObject, message: CalendarObject) -> Component | None:
    """Give an attendee's meeting after it, or some of its instances, was cancelled; None: nothing changes.

    Spec: RFC 5546 §3.2.5.
    """
    changed = _copy(stored)
    is_touched = False
    for part in message.parts[:INSTANCES_MAX]:
        for target in changed.parts if part is message.master else _instance(changed, part, message):
            if itip.sequence_of(part) < itip.sequence_of(target) or target.value("STATUS").upper() == "CANCELLED":
                continue
            target.properties[:] = [each for each in target.properties if each.name != "STATUS"]
            target.properties.append(Property("STATUS", "CANCELLED"))
            is_touched = True
    return changed.calendar if is_touched else None


def applied_reply(stored: CalendarObject, message: CalendarObject, attendee: str) -> Component | None:
    """Give an organizer's meeting after one attendee's answer; None: it is not invited, or says nothing new.

    Only that attendee's own answer is taken, whatever else a message says (attack row 83); an answer to what the
    meeting was before its last change is none. Spec: RFC 5546 §3.2.3; RFC 6638 §3.2.2.
    """
    changed = _copy(stored)
    is_touched = False
    for part in message.parts[:INSTANCES_MAX]:
        said = next((each for each in part.all("ATTENDEE") if person(each.value) == attendee), None)
        answer = itip.answer_of(said) if said is not None else ""
        if answer not in itip.ANSWERS:
            continue
        whole = [changed.master] if changed.master is not None else []
        for target in whole if part is message.master else _instance(changed, part, message, attendee):
            if part.first("SEQUENCE") is not None and itip.sequence_of(part) < itip.sequence_of(target):
                continue
            is_touched = _take_answer(target, attendee, answer) or is_touched
    return changed.calendar if is_touched else None


def instance_at(stored: CalendarObject, start: Property, message: CalendarObject) -> Component | None:
    """Give the instance of a series that begins where a property says; None: there is none. Nothing is changed."""
    return own_instance(_copy(stored), _rid(start, message))


# within


def _is_older(incoming: Component, known: Component) -> bool:
    """Whether a message is older than what is there. Spec: RFC 5546 §2.1.5."""
    numbers = itip.sequence_of(incoming), itip.sequence_of(known)
    if numbers[0] != numbers[1]:
        return numbers[0] < numbers[1]
    return incoming.value("DTSTAMP") < known.value("DTSTAMP")


def _is_same(incoming: Component, known: Component) -> bool:
    """Whether a message says what is known, of the same moment."""
    names = "SEQUENCE", "DTSTAMP"
    return all(incoming.value(each) == known.value(each) for each in names) and itip.said([incoming]) == itip.said(
        [known]
    )


def _keep_own(incoming: Component, known: Component) -> None:
    own = [each for each in known.properties if each.name in itip.OWN]
    names = {each.name for each in own}
    incoming.properties[:] = [each for each in incoming.properties if each.name not in names] + own
    incoming.components[:] = [each for each in incoming.components if each.name != "VALARM"]
    incoming.components += [each.copy() for each in known.components if each.name == "VALARM"]


def _merged(stored: CalendarObject, incoming: Component, component: str, news: dict[str, Component]) -> Component:
    """Give a meeting in which only the instances that are spoken of are others."""
    merged = stored.calendar.copy()
    merged.components[:] = [
        each for each in merged.components if each.name != component or instance_of(each) not in news
    ]
    zones = {each.value("TZID") for each in merged.children("VTIMEZONE")}
    merged.components += [
        each for each in incoming.components if each.name != "VTIMEZONE" or each.value("TZID") not in zones
    ]
    return merged


def _take_answer(target: Component, attendee: str, answer: str) -> bool:
    for at, each in enumerate(target.properties):
        if each.name == "ATTENDEE" and person(each.value) == attendee and itip.answer_of(each) != answer:
            said = each.with_parameter("PARTSTAT", answer).with_parameter("RSVP", None)
            target.properties[at] = said.with_parameter("SCHEDULE-STATUS", "2.0")
            return True
    return False


def _copy(stored: CalendarObject) -> CalendarObject:
    calendar = stored.calendar.copy()
    parts = [each for each in calendar.components if each.name == stored.component]
    masters = [each for each in parts if each.first("RECURRENCE-ID") is None]
    overrides = [each for each in parts if each.first("RECURRENCE-ID") is not None]
    return CalendarObject(
        calendar, stored.component, stored.uid, masters[0] if masters else None, overrides, stored.zones
    )


def _instance(changed: CalendarObject, part: Component, message: CalendarObject, attendee: str = "") -> list[Component]:
    """Give the component of the instance that a part speaks of, made where it has none yet; none: there is no such.

    With `attendee` none is made for who is not invited.
    """
    prop = part.first("RECURRENCE-ID")
    if prop is None:
        return []
    if attendee and attendee not in itip.attendees(changed.parts):
        return []
    found = own_instance(changed, _rid(prop, message))
    return [found] if found is not None else []


def _rid(prop: Property, message: CalendarObject) -> str:
    """Give a moment as `own_instance` wants it: a day, or in UTC."""
    try:
        at = moment(prop, message.zones)
    except BadObject:
        return ""
    return written_date(at.local) if at.is_date else written_utc(at.utc(UTC))
