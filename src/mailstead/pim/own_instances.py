"""Instances of a recurring object that get a component of their own, because something is changed in just one of them.

Spec: RFC 5545 §3.8.4.4; RFC 8607 §3.3.2.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from mailstead.model.errors import BadObject
from mailstead.pim.calendar_object import CalendarObject
from mailstead.pim.component import Component, Property
from mailstead.pim.recurrence import Budget, Instance, instances
from mailstead.pim.values import Moment, moment, parse_moment, written_date, written_local, written_utc

_OF_THE_SERIES: Final = frozenset({"RRULE", "RDATE", "EXDATE", "EXRULE"})


def own_instance(calendar_object: CalendarObject, rid: str) -> Component | None:
    """Give the component of one instance, and make it where it has none yet; None: there is no such instance.

    `rid` is a day, or a moment in UTC; floating times stand as they are.
    """
    try:
        wanted = parse_moment(rid, Property("RECURRENCE-ID", rid)).utc(UTC)
    except BadObject:
        return None
    for each in calendar_object.overrides:
        if _is_at(calendar_object, each, wanted):
            return each
    master = calendar_object.master
    if master is None or not any(each.name in {"RRULE", "RDATE"} for each in master.properties):
        return None
    for instance in instances(calendar_object, wanted, wanted + timedelta(seconds=1), UTC, Budget()):
        if instance.component is master and instance.start == wanted:
            try:
                made = _made(calendar_object, master, instance)
            except BadObject:
                return None  # an end that is no time
            calendar_object.calendar.components.append(made)
            calendar_object.overrides.append(made)
            return made
    return None


def _is_at(calendar_object: CalendarObject, override: Component, wanted: datetime) -> bool:
    """Whether a changed instance is that one; what cannot be read is none."""
    named = override.first("RECURRENCE-ID")
    try:
        return named is not None and moment(named, calendar_object.zones).utc(UTC) == wanted
    except BadObject:
        return False


def _made(calendar_object: CalendarObject, master: Component, instance: Instance) -> Component:
    made = master.copy()
    made.properties[:] = [each for each in made.properties if each.name not in _OF_THE_SERIES]
    start = made.first("DTSTART")
    if start is None:
        return made
    shift = instance.at.local - moment(start, calendar_object.zones).local
    for each in made.properties:
        if each.name in {"DTSTART", "DTEND", "DUE"}:
            there = moment(each, calendar_object.zones)
            each.value = _written(Moment(there.local + shift, is_date=there.is_date, zone=there.zone))
    made.properties.append(Property("RECURRENCE-ID", start.value, start.parameters))
    return made


def _written(at: Moment) -> str:
    if at.is_date:
        return written_date(at.local)
    return written_utc(at.local.replace(tzinfo=UTC)) if at.zone is UTC else written_local(at.local)
