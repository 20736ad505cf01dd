"""iTIP: which messages a change of a meeting causes. What a message changes is told by `pim.itip_changes`.

Nothing is sent here, and nothing kept. What is private stays at home: alarms, what servers note about sending, what
programs note for themselves.

Spec: RFC 5546 §3.2; RFC 6638 §3.2 (scheduling by the server), §7 (parameters).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailstead.pim.calendar_object import CalendarObject
from mailstead.pim.component import Component, Property
from mailstead.pim.values import written_utc

PRODID: Final = "-//Mailstead//EN"
ATTENDEES_MAX: Final = 1_000
SENT: Final = "1.1"
DELIVERED: Final = "1.2"
"""Spec: RFC 6638 §3.2.9 (SCHEDULE-STATUS)."""

NEEDS_ACTION: Final = "NEEDS-ACTION"
ANSWERS: Final = frozenset({NEEDS_ACTION, "ACCEPTED", "DECLINED", "TENTATIVE", "DELEGATED", "COMPLETED", "IN-PROCESS"})
"""Spec: RFC 5545 §3.2.12 (PARTSTAT)."""

OWN: Final = frozenset({"TRANSP", "CATEGORIES", "CLASS", "COLOR"})
"""What each attendee decides for itself. Spec: RFC 6638 §3.2.2.1."""
_NOT_SAID: Final = OWN | {"DTSTAMP", "LAST-MODIFIED", "CREATED", "SEQUENCE"}
"""What may change without anybody being told."""
_PRIVATE_PARAMETERS: Final = frozenset({"SCHEDULE-STATUS", "SCHEDULE-AGENT", "SCHEDULE-FORCE-SEND"})
_PRIVATE_PREFIXES: Final = ("X-MOZ-", "X-APPLE-TRAVEL-", "X-EVOLUTION-", "X-LIC-")
_REPLY: Final = ("UID", "RECURRENCE-ID", "SEQUENCE", "ORGANIZER", "SUMMARY", "DTSTART", "DTEND", "DURATION", "COMMENT")
_TIMES: Final = frozenset({"DTSTART", "DTEND", "DUE", "DURATION", "RRULE", "RDATE"})
_VERSIONED: Final = _TIMES | {"EXDATE", "STATUS"}
"""What makes another version of a meeting. Spec: RFC 5546 §2.1.4."""


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


def has_one_organizer(found: CalendarObject) -> bool:
    """Whether all instances have the same organizer, or none says one. Spec: RFC 6638 §3.2.4.2."""
    return len({person(value) for part in found.parts if (value := part.value("ORGANIZER"))}) <= 1


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


def answer_of(prop: Property) -> str:
    """Give what an attendee has answered."""
    return (prop.parameter("PARTSTAT") or NEEDS_ACTION).upper()


def instance_of(part: Component) -> str:
    """Give what tells an instance from the others; empty: the whole."""
    return part.value("RECURRENCE-ID")


def said(parts: Iterable[Component]) -> list[str]:
    """Give what matters to others in components, in a form that can be compared: not who has answered what."""
    found: list[str] = []
    for part in parts:
        lines: list[str] = []
        for each in part.properties:
            if each.name in _NOT_SAID or each.name.startswith("X-"):
                continue
            is_person = each.name in {"ATTENDEE", "ORGANIZER"}
            lines.append(
                repr((each.name, person(each.value)) if is_person else (each.name, each.value, each.parameters))
            )
        found.append(repr((instance_of(part), sorted(lines))))
    return sorted(found)


# what a change causes


def by_organizer(old: CalendarObject | None, new: CalendarObject | None, now: datetime) -> list[Message]:
    """Give what attendees are told when their organizer makes, changes or (new None) removes a meeting.

    Spec: RFC 6638 §3.2.1; RFC 5546 §3.2.2, §3.2.5.
    """
    before = attendees(old.parts) if old is not None else {}
    after = attendees(new.parts) if new is not None else {}
    hosts = {organizer(each) for each in (old, new) if each is not None}
    messages: list[Message] = []
    for address, prop in (before | after).items():
        if address in hosts or not is_scheduled_here(prop):
            continue
        views = [] if old is None else _view(old, address), [] if new is None else _view(new, address)
        is_forced = (prop.parameter("SCHEDULE-FORCE-SEND") or "").upper() == "REQUEST"
        if said(views[0]) == said(views[1]) and not (is_forced and views[1]):
            continue
        gone = _gone(*views)
        if gone and old is not None:
            messages.append(Message(address, "CANCEL", _cancel(old.calendar, gone, address, now)))
        if views[1] and new is not None:
            messages.append(Message(address, "REQUEST", _message("REQUEST", new.calendar, views[1], now)))
    return messages


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
    told = _left(old, own, now) if new is None else _answered(old, new, own, now)
    return [Message(person(host.value), "REPLY", _calendar("REPLY", known.calendar, told))] if told else []


def answered(stored: CalendarObject, attendee: str, answer: str, now: datetime) -> Component | None:
    """Give the reply of somebody who answers without a calendar, to all that this attendee is invited to.

    None: it is not invited, or there is nothing to answer any more.
    """
    told: list[Component] = []
    for part in stored.parts:
        prop = next((each for each in part.all("ATTENDEE") if person(each.value) == attendee), None)
        if prop is not None and not _is_cancelled(part):
            told.append(_reply_part(part, prop, answer, now))
    return _calendar("REPLY", stored.calendar, told) if told else None


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


def keep_answers(old: CalendarObject, new: CalendarObject) -> bool:
    """Put the answers that came in meanwhile into what an organizer writes; whether there were any.

    A program that has not seen them would take them back. Where the meeting's time has changed, they count no more.
    Spec: RFC 6638 §3.2.10.
    """
    known = {instance_of(part): part for part in old.parts}
    is_changed = False
    for part in new.parts:
        before = known.get(instance_of(part))
        if before is None or _times(before) != _times(part):
            continue
        answers = {person(each.value): each for each in before.all("ATTENDEE") if answer_of(each) != NEEDS_ACTION}
        for at, each in enumerate(part.properties):
            answer = answers.get(person(each.value)) if each.name == "ATTENDEE" else None
            if answer is not None and answer_of(each) == NEEDS_ACTION and is_scheduled_here(each):
                part.properties[at] = each.with_parameter("PARTSTAT", answer_of(answer)).with_parameter("RSVP", None)
                is_changed = True
    return is_changed


def count_versions(old: CalendarObject, new: CalendarObject) -> bool:
    """See to it that what an organizer writes is a newer version, where it must be one; whether it was not yet.

    Not all programs count; and what a guest has is compared by its number before its time, which that guest's clock may
    have set. Spec: RFC 5546 §2.1.4; RFC 6638 §3.2.8.
    """
    hosts = {organizer(old), organizer(new)}
    guests = attendees([*old.parts, *new.parts]).items()
    if not any(address not in hosts and is_scheduled_here(prop) for address, prop in guests):
        return False
    known = {instance_of(part): part for part in old.parts}
    is_changed = False
    for part in new.parts:
        before = known.get(instance_of(part))
        if before is None:
            continue
        least = sequence_of(before) + (_version(before) != _version(part))
        if sequence_of(part) < least:
            part.properties[:] = [each for each in part.properties if each.name != "SEQUENCE"]
            part.properties.append(Property("SEQUENCE", str(least)))
            is_changed = True
    return is_changed


# within


def _view(found: CalendarObject, address: str) -> list[Component]:
    """Give a meeting as one attendee sees it: instances without that attendee are left out."""
    parts = [part for part in found.parts if any(person(each.value) == address for each in part.all("ATTENDEE"))]
    master = found.master
    if master is None or not any(part is master for part in parts):
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


def _gone(before: list[Component], after: list[Component]) -> list[Component]:
    """Give what is to be cancelled for an attendee. Who has the whole series is told of all by the next request."""
    ids = {instance_of(each) for each in after}
    if "" in ids:
        return []
    whole = [each for each in before if not instance_of(each)]
    return whole or [each for each in before if instance_of(each) not in ids]


def _left(old: CalendarObject | None, own: frozenset[str], now: datetime) -> list[Component]:
    """Give the refusals of an attendee who removes a meeting."""
    told: list[Component] = []
    for part in old.parts if old is not None else ():
        prop = _own_attendee(part, own)
        if prop is not None and answer_of(prop) != "DECLINED" and not _is_cancelled(part):
            told.append(_reply_part(part, prop, "DECLINED", now))
    return told


def _answered(old: CalendarObject | None, new: CalendarObject, own: frozenset[str], now: datetime) -> list[Component]:
    """Give the answers that are new."""
    before = _answers(old, own)
    host = next(each for part in new.parts for each in part.all("ORGANIZER"))
    is_forced = (host.parameter("SCHEDULE-FORCE-SEND") or "").upper() == "REPLY"
    told: list[Component] = []
    for part in new.parts:
        prop = _own_attendee(part, own)
        if prop is None:
            continue
        answer, was = answer_of(prop), before.get(instance_of(part), before.get("", NEEDS_ACTION))
        if is_forced or (answer != was and not (old is None and answer == NEEDS_ACTION)):
            told.append(_reply_part(part, prop, answer, now))
    if old is None or old.master is None or new.master is None:
        return told
    prop = _own_attendee(new.master, own)
    for value, excluded in _excluded(new.master).items():
        if prop is None or value in _excluded(old.master) or before.get(value) == "DECLINED":
            continue
        told.append(_reply_part(_only(new.master, excluded), prop, "DECLINED", now))
    return told


def _excluded(part: Component) -> dict[str, Property]:
    """Give the instances that are left out, each as a property of its own."""
    return {
        value.strip(): Property("EXDATE", value.strip(), each.parameters)
        for each in part.all("EXDATE")
        for value in each.value.split(",")
        if value.strip()
    }


def _only(master: Component, excluded: Property) -> Component:
    """Give one instance of a series, by its time."""
    kept = [each for each in master.properties if each.name not in {"DTSTART", "DTEND", "DURATION"}]
    times = [Property(name, excluded.value, excluded.parameters) for name in ("RECURRENCE-ID", "DTSTART")]
    return Component(master.name, [*kept, *times])


def _is_cancelled(part: Component) -> bool:
    return part.value("STATUS").strip().upper() == "CANCELLED"


def _times(part: Component) -> list[tuple[str, str]]:
    return sorted((each.name, each.value) for each in part.properties if each.name in _TIMES)


def _version(part: Component) -> list[tuple[str, str, str]]:
    """Give what makes a version, in a form that can be compared."""
    return sorted(
        (each.name, value.strip(), each.parameter("TZID") or "")
        for each in part.properties
        if each.name in _VERSIONED
        for value in ([each.value] if each.name == "RRULE" else each.value.split(","))
    )


def _own_attendee(part: Component, own: frozenset[str]) -> Property | None:
    return next((each for each in part.all("ATTENDEE") if person(each.value) in own), None)


def _answers(found: CalendarObject | None, own: frozenset[str]) -> dict[str, str]:
    result: dict[str, str] = {}
    for part in found.parts if found is not None else ():
        prop = _own_attendee(part, own)
        if prop is not None:
            result[instance_of(part)] = answer_of(prop)
    return result


def _shown(prop: Property) -> Property:
    parameters = tuple(each for each in prop.parameters if each[0] not in _PRIVATE_PARAMETERS)
    return Property(prop.name, prop.value, parameters)


def _public(part: Component, now: datetime) -> Component:
    """Give a component as others may have it."""
    shown = [
        _shown(each)
        for each in part.properties
        if each.name != "DTSTAMP" and not each.name.startswith(_PRIVATE_PREFIXES)
    ]
    return Component(part.name, [*shown, Property("DTSTAMP", written_utc(now))])


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
        number = sequence_of(shown) + 1
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
    shown = [_shown(each) for each in part.properties if each.name in _REPLY]
    parameters = tuple(each for each in prop.parameters if each[0] in {"CN", "CUTYPE"})
    shown += [
        Property("ATTENDEE", prop.value, (("PARTSTAT", (answer,)), *parameters)),
        Property("DTSTAMP", written_utc(now)),
    ]
    return Component(part.name, shown)


def sequence_of(part: Component) -> int:
    """Give the number of a version; what is no number counts as the first. Spec: RFC 5545 §3.8.7.4."""
    value = part.value("SEQUENCE").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0
