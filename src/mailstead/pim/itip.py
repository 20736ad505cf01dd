"""iTIP: which messages a change of a meeting causes, and what a message changes.

Nothing is sent here, and nothing kept. What is private stays at home: alarms, and what servers note about sending.

Spec: RFC 5546 §3.2; RFC 6638 §3.2 (scheduling by the server), §7 (parameters).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mailstead.model.errors import BadObject
from mailstead.pim.calendar_object import CalendarObject
from mailstead.pim.component import Component, Property
from mailstead.pim.own_instances import own_instance
from mailstead.pim.values import moment, written_date, written_utc

PRODID: Final = "-//Mailstead//EN"
ATTENDEES_MAX: Final = 1_000
SENT: Final = "1.1"
DELIVERED: Final = "1.2"
"""Spec: RFC 6638 §3.2.9 (SCHEDULE-STATUS)."""

_NOT_SAID: Final = frozenset({"DTSTAMP", "LAST-MODIFIED", "CREATED", "SEQUENCE", "TRANSP", "CATEGORIES", "CLASS"})
"""What may change without anybody being told."""
_PRIVATE_PARAMETERS: Final = frozenset({"SCHEDULE-STATUS", "SCHEDULE-AGENT", "SCHEDULE-FORCE-SEND"})
_REPLY: Final = ("UID", "RECURRENCE-ID", "SEQUENCE", "ORGANIZER", "SUMMARY", "DTSTART", "DTEND", "DURATION", "COMMENT")


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody is told."""

    to: str
    """``mailto:`` address, lower-case."""
    method: str
    calendar: Component


def person(value: str) -> str:
    """Give a calendar user's address in the form in which it is compared. Spec: RFC 5546 §1.2.2."""
    return value.strip().lower()


def organizer(found: CalendarObject) -> str:
    """Give the organizer's address; empty: nobody organizes it."""
    return next((person(value) for part in found.parts if (value := part.value("ORGANIZER"))), "")


def attendees(parts: Iterable[Component]) -> dict[str, Property]:
    """Give the attendees by address, the first mention of each."""
    found: dict[str, Property] = {}
    for part in parts:
        for each in part.all("ATTENDEE"):
            found.setdefault(person(each.value), each)
    return found


def is_scheduled_here(prop: Property) -> bool:
    """Whether the server does the scheduling with this person. Spec: RFC 6638 §7.1."""
    return (prop.parameter("SCHEDULE-AGENT") or "SERVER").upper() == "SERVER"


# what a change causes


def by_organizer(old: CalendarObject | None, new: CalendarObject | None, now: datetime) -> list[Message]:
    """Give what attendees are told when their organizer makes, changes or (new None) removes a meeting.

    Spec: RFC 6638 §3.2.1; RFC 5546 §3.2.2, §3.2.5.
    """
    before = attendees(old.parts) if old is not None else {}
    after = attendees(new.parts) if new is not None else {}
    host = organizer(new or old) if (new or old) is not None else ""  # type: ignore[arg-type] # one of them is there
    messages: list[Message] = []
    for address, prop in after.items():
        if address == host or not is_scheduled_here(prop):
            continue
        assert new is not None
        view = _view(new, address)
        forced = (prop.parameter("SCHEDULE-FORCE-SEND") or "").upper() == "REQUEST"
        seen_before = _view(old, address) if old is not None and address in before else []
        if forced or _said(view) != _said(seen_before):
            gone = [each for each in seen_before if _id(each) not in {_id(one) for one in view} and _id(each)]
            if view:
                messages.append(Message(address, "REQUEST", _message("REQUEST", new.calendar, view, now)))
            if gone:
                messages.append(Message(address, "CANCEL", _cancel(new.calendar, gone, address, now)))
    for address, prop in before.items():
        if address in after or address == host or not is_scheduled_here(prop):
            continue
        assert old is not None
        messages.append(Message(address, "CANCEL", _cancel(old.calendar, _view(old, address), address, now)))
    return messages[:ATTENDEES_MAX]


def by_attendee(
    old: CalendarObject | None, new: CalendarObject | None, own: frozenset[str], now: datetime
) -> list[Message]:
    """Give what the organizer is told when an attendee (`own` addresses) answers, or (new None) removes a meeting.

    Spec: RFC 6638 §3.2.2; RFC 5546 §3.2.3.
    """
    known = new or old
    assert known is not None
    host = next((each for part in known.parts for each in part.all("ORGANIZER")), None)
    if host is None or not is_scheduled_here(host):
        return []
    before = _answers(old, own)
    told: list[Component] = []
    if new is None:
        assert old is not None
        for part in old.parts:
            prop = _own_attendee(part, own)
            if prop is not None and _answer(prop) != "DECLINED" and part.value("STATUS").upper() != "CANCELLED":
                told.append(_reply_part(part, prop, "DECLINED", now))
    else:
        for part in new.parts:
            prop = _own_attendee(part, own)
            if prop is None:
                continue
            was = before.get(_id(part), before.get("", "NEEDS-ACTION"))
            forced = (host.parameter("SCHEDULE-FORCE-SEND") or "").upper() == "REPLY"
            if forced or (_answer(prop) != was and not (old is None and _answer(prop) == "NEEDS-ACTION")):
                told.append(_reply_part(part, prop, _answer(prop), now))
    if not told:
        return []
    return [Message(person(host.value), "REPLY", _calendar("REPLY", known.calendar, told))]


def with_statuses(found: CalendarObject, statuses: dict[str, str]) -> Component:
    """Give a meeting with what became of the messages to its people. Spec: RFC 6638 §3.2.9."""
    calendar = found.calendar.copy()
    for part in calendar.components:
        for at, each in enumerate(part.properties):
            status = statuses.get(person(each.value)) if each.name in {"ATTENDEE", "ORGANIZER"} else None
            if status is not None:
                changed = each.with_parameter("SCHEDULE-FORCE-SEND", None)
                part.properties[at] = changed.with_parameter("SCHEDULE-STATUS", status)
    return calendar


# what a message changes


def applied_request(stored: CalendarObject | None, message: CalendarObject) -> Component | None:
    """Give an attendee's meeting after an invitation or its update; None: it is an old one, or changes nothing.

    The attendee's own alarms stay. Spec: RFC 5546 §2.1.4 (SEQUENCE, DTSTAMP), §3.2.2.
    """
    incoming = _without_method(message)
    if stored is None:
        return incoming
    known = {_id(part): part for part in stored.parts}
    news = {_id(part): part for part in incoming.components if part.name == message.component}
    if all(_is_stale(part, known[key]) for key, part in news.items() if key in known) and set(news) <= set(known):
        return None
    for key, part in news.items():
        if key in known:
            part.components += [each.copy() for each in known[key].components if each.name == "VALARM"]
            part.properties += [
                each for each in known[key].properties if each.name == "TRANSP" and part.first("TRANSP") is None
            ]
    if message.master is None:
        # Only some instances are spoken of: the others stay as they were.
        merged = stored.calendar.copy()
        merged.components = [
            each for each in merged.components if each.name != message.component or _id(each) not in news
        ]
        zones = {each.value("TZID") for each in merged.children("VTIMEZONE")}
        merged.components += [
            each for each in incoming.components if each.name != "VTIMEZONE" or each.value("TZID") not in zones
        ]
        return merged
    return incoming


def applied_cancel(stored: CalendarObject, message: CalendarObject) -> Component | None:
    """Give an attendee's meeting after it, or some of its instances, was cancelled; None: nothing changes.

    Spec: RFC 5546 §3.2.5.
    """
    changed = CalendarObject(copy := stored.calendar.copy(), stored.component, stored.uid, None, [], stored.zones)
    _fill(changed, copy)
    whole = message.master is not None
    parts = changed.parts if whole else []
    if not whole:
        for part in message.overrides:
            found = own_instance(changed, _rid(part, message))
            if found is not None:
                parts.append(found)
    touched = False
    for part in parts:
        if part.value("STATUS").upper() != "CANCELLED":
            part.properties[:] = [each for each in part.properties if each.name != "STATUS"]
            part.properties.append(Property("STATUS", "CANCELLED"))
            touched = True
    return copy if touched else None


def applied_reply(stored: CalendarObject, message: CalendarObject, attendee: str) -> Component | None:
    """Give an organizer's meeting after one attendee's answer; None: it is not invited, or says nothing new.

    Only that attendee's own answer is taken, whatever else a message says (attack row 83).
    Spec: RFC 5546 §3.2.3; RFC 6638 §3.2.2.
    """
    copy = stored.calendar.copy()
    changed = CalendarObject(copy, stored.component, stored.uid, None, [], stored.zones)
    _fill(changed, copy)
    touched = False
    for part in message.parts:
        answer = next((each for each in part.all("ATTENDEE") if person(each.value) == attendee), None)
        if answer is None:
            continue
        target = changed.master if part.first("RECURRENCE-ID") is None else own_instance(changed, _rid(part, message))
        if target is None:
            continue
        for at, each in enumerate(target.properties):
            if each.name == "ATTENDEE" and person(each.value) == attendee and _answer(each) != _answer(answer):
                said = each.with_parameter("PARTSTAT", _answer(answer)).with_parameter("RSVP", None)
                target.properties[at] = said.with_parameter("SCHEDULE-STATUS", "2.0")
                touched = True
    return copy if touched else None


# within


def _view(found: CalendarObject | None, address: str) -> list[Component]:
    """Give a meeting as one attendee sees it: instances without that attendee are left out."""
    if found is None:
        return []
    parts = [part for part in found.parts if any(person(each.value) == address for each in part.all("ATTENDEE"))]
    master = found.master
    if master is None or master not in parts:
        return parts
    hidden = [part for part in found.overrides if not any(part is each for each in parts)]
    if hidden:
        shown = master.copy()
        for part in hidden:
            prop = part.first("RECURRENCE-ID")
            if prop is not None:
                parameters = tuple(each for each in prop.parameters if each[0] != "RANGE")
                shown.properties.append(Property("EXDATE", prop.value, parameters))
        parts[0] = shown
    return parts


def _said(parts: list[Component]) -> list[tuple[object, ...]]:
    """Give what matters to others in components, in a form that can be compared."""
    found: list[tuple[object, ...]] = []
    for part in parts:
        lines: list[tuple[object, ...]] = []
        for each in part.properties:
            if each.name in _NOT_SAID or each.name.startswith("X-"):
                continue
            if each.name in {"ATTENDEE", "ORGANIZER"}:
                lines.append((each.name, person(each.value)))
            else:
                lines.append((each.name, each.value, each.parameters))
        found.append((_id(part), *sorted(map(repr, lines))))
    return sorted(found, key=repr)


def _id(part: Component) -> str:
    """Give what tells an instance from the others; empty: the whole."""
    return part.value("RECURRENCE-ID")


def _answer(prop: Property) -> str:
    return (prop.parameter("PARTSTAT") or "NEEDS-ACTION").upper()


def _own_attendee(part: Component, own: frozenset[str]) -> Property | None:
    return next((each for each in part.all("ATTENDEE") if person(each.value) in own), None)


def _answers(found: CalendarObject | None, own: frozenset[str]) -> dict[str, str]:
    result: dict[str, str] = {}
    for part in found.parts if found is not None else ():
        prop = _own_attendee(part, own)
        if prop is not None:
            result[_id(part)] = _answer(prop)
    return result


def _public(part: Component, now: datetime) -> Component:
    """Give a component as others may have it."""
    shown = Component(part.name)
    for each in part.properties:
        if each.name == "DTSTAMP":
            continue
        parameters = tuple(one for one in each.parameters if one[0] not in _PRIVATE_PARAMETERS)
        shown.properties.append(Property(each.name, each.value, parameters))
    shown.properties.append(Property("DTSTAMP", written_utc(now)))
    return shown


def _message(method: str, source: Component, parts: list[Component], now: datetime) -> Component:
    return _calendar(method, source, [_public(each, now) for each in parts])


def _calendar(method: str, source: Component, parts: list[Component]) -> Component:
    head = [Property("VERSION", "2.0"), Property("PRODID", PRODID), Property("METHOD", method)]
    zones = [each.copy() for each in source.children("VTIMEZONE")]
    return Component("VCALENDAR", head, [*zones, *parts])


def _cancel(source: Component, parts: list[Component], address: str, now: datetime) -> Component:
    cancelled = []
    for each in parts:
        shown = _public(each, now)
        sequence = shown.value("SEQUENCE").strip()
        number = int(sequence) + 1 if sequence.isascii() and sequence.isdigit() and len(sequence) < 10 else 1
        shown.properties = [
            one
            for one in shown.properties
            if one.name not in {"STATUS", "SEQUENCE", "RRULE", "RDATE", "EXDATE"}
            and (one.name != "ATTENDEE" or person(one.value) == address)
        ]
        shown.properties += [Property("STATUS", "CANCELLED"), Property("SEQUENCE", str(number))]
        cancelled.append(shown)
    return _calendar("CANCEL", source, cancelled)


def _reply_part(part: Component, prop: Property, answer: str, now: datetime) -> Component:
    shown = Component(part.name, [each for each in part.properties if each.name in _REPLY])
    shown.properties = [
        Property(each.name, each.value, tuple(one for one in each.parameters if one[0] not in _PRIVATE_PARAMETERS))
        for each in shown.properties
    ]
    parameters = tuple(each for each in prop.parameters if each[0] in {"CN", "CUTYPE"})
    shown.properties += [
        Property("ATTENDEE", prop.value, (("PARTSTAT", (answer,)), *parameters)),
        Property("DTSTAMP", written_utc(now)),
    ]
    return shown


def _without_method(message: CalendarObject) -> Component:
    calendar = message.calendar.copy()
    calendar.properties[:] = [each for each in calendar.properties if each.name != "METHOD"]
    return calendar


def _is_stale(incoming: Component, known: Component) -> bool:
    """Whether a message is older than what is there, or the same. Spec: RFC 5546 §2.1.5."""
    sequences = [_number(each.value("SEQUENCE")) for each in (incoming, known)]
    if sequences[0] != sequences[1]:
        return sequences[0] < sequences[1]
    return incoming.value("DTSTAMP") <= known.value("DTSTAMP")


def _number(value: str) -> int:
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0


def _fill(changed: CalendarObject, calendar: Component) -> None:
    """Let an object speak of the components of another calendar."""
    for part in calendar.components:
        if part.name == changed.component:
            if part.first("RECURRENCE-ID") is None:
                changed.master = part
            else:
                changed.overrides.append(part)


def _rid(part: Component, message: CalendarObject) -> str:
    """Give a RECURRENCE-ID as `own_instance` wants it: a day, or a moment in UTC."""
    prop = part.first("RECURRENCE-ID")
    assert prop is not None
    try:
        at = moment(prop, message.zones)
    except BadObject:
        return ""
    return written_date(at.local) if at.is_date else written_utc(at.utc(UTC))
