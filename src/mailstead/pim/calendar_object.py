"""Calendar object resources: one VCALENDAR with one component and its changed instances.

What real clients leave out is tolerated where it harms nobody; what would make an object ambiguous is refused.

Spec: RFC 4791 §4.1, §5.3.2.1; RFC 5545 §3.4, §3.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from mailstead.model.dav import CALENDAR_COMPONENTS
from mailstead.model.errors import BadObject
from mailstead.pim.component import Component, Property, parse, write
from mailstead.pim.zones import Zones

UID_CHARACTERS_MAX: Final = 512
_KNOWN: Final = frozenset({*CALENDAR_COMPONENTS, "VFREEBUSY"})
_RESOURCE: Final = "valid-calendar-object-resource"


@dataclass(slots=True)
class CalendarObject:
    """One VCALENDAR, looked at as what it stands for."""

    calendar: Component
    component: str
    """``VEVENT``, ``VTODO``, …"""
    uid: str
    master: Component | None
    """The one without RECURRENCE-ID; None: there are changed instances only."""
    overrides: list[Component]
    zones: Zones
    method: str = ""
    """Of a scheduling message. Spec: RFC 5546 §1.4."""

    @property
    def parts(self) -> list[Component]:
        """Master and changed instances."""
        return [self.master, *self.overrides] if self.master is not None else self.overrides


def calendar_object(octets: bytes, *, allows_method: bool = False) -> CalendarObject:
    """Read an object that may be kept in a calendar.

    Errors: BadObject with the condition of RFC 4791 §5.3.2.1.
    """
    found = parse(octets)
    if len(found) != 1:
        raise BadObject("An object is one VCALENDAR", condition=_RESOURCE)
    return of_calendar(found[0], allows_method=allows_method)


def of_calendar(calendar: Component, *, allows_method: bool = False) -> CalendarObject:
    """Look at a VCALENDAR as one object. Errors: BadObject, as `calendar_object`."""
    if calendar.name != "VCALENDAR":
        raise BadObject("That is no VCALENDAR", condition="valid-calendar-data")
    version = calendar.value("VERSION").strip()
    if version and not version.endswith("2.0"):  # missing ones are of scripts; a range ends with the highest
        raise BadObject("Only iCalendar 2.0 is kept", condition="supported-calendar-data")
    method = calendar.value("METHOD").strip().upper()
    if method and not allows_method:
        raise BadObject("An object in a calendar has no METHOD", condition=_RESOURCE)
    parts = [each for each in calendar.components if each.name != "VTIMEZONE" and not each.name.startswith("X-")]
    if not parts:
        raise BadObject("There is no event, task or journal in it", condition=_RESOURCE)
    kinds = {each.name for each in parts}
    if unknown := kinds - _KNOWN:
        raise BadObject(f"{min(unknown)[:40]} is not kept in calendars", condition="supported-calendar-component")
    if len(kinds) > 1:
        raise BadObject("An object has one kind of component only", condition=_RESOURCE)
    uid = _uid(parts)
    masters = [each for each in parts if each.first("RECURRENCE-ID") is None]
    if len(masters) > 1:
        raise BadObject("Several components of one UID have no RECURRENCE-ID", condition=_RESOURCE)
    overrides = [each for each in parts if each.first("RECURRENCE-ID") is not None]
    return CalendarObject(
        calendar, parts[0].name, uid, masters[0] if masters else None, overrides, Zones(calendar), method
    )


def _uid(parts: list[Component]) -> str:
    """Give the one UID. Errors: BadObject."""
    uids = {each.value("UID").strip() for each in parts}
    if len(uids) > 1:
        raise BadObject("An object has one UID only", condition=_RESOURCE)
    uid = uids.pop()
    if not uid:
        raise BadObject("The UID is missing", condition=_RESOURCE)
    if len(uid) > UID_CHARACTERS_MAX:
        raise BadObject(f"A UID has at most {UID_CHARACTERS_MAX} characters", condition=_RESOURCE)
    if "\t" in uid:  # other control characters are in no object
        raise BadObject("A UID has no control characters", condition=_RESOURCE)
    return uid


def split(octets: bytes) -> list[Component]:
    """Give a VCALENDAR for each UID of a file of many, with the VTIMEZONEs that it uses, in the order of the file.

    A component without UID gets one made from its content, so that the same file brings the same objects.
    Errors: BadObject, when nothing can be read.
    """
    groups: dict[str, Component] = {}
    for calendar in parse(octets):
        if calendar.name != "VCALENDAR":
            raise BadObject("That is no VCALENDAR", condition="valid-calendar-data")
        zones = {each.value("TZID"): each for each in calendar.children("VTIMEZONE")}
        # What clients say of the whole file (its name, its colour, a method) is not of each object.
        common = [each for each in calendar.properties if each.name in {"VERSION", "PRODID", "CALSCALE"}]
        for part in calendar.components:
            if part.name not in _KNOWN:
                continue
            uid = part.value("UID").strip()
            if not uid:
                uid = sha256(write(part)).hexdigest()[:32]
                part.properties[:] = [each for each in part.properties if each.name != "UID"]
                part.properties.insert(0, Property("UID", uid))
            group = groups.setdefault(uid, Component("VCALENDAR", list(common)))
            known = {each.value("TZID") for each in group.children("VTIMEZONE")}
            used = [each for each in _tzids(part) if each in zones and each not in known]
            group.components[:0] = [zones[each] for each in dict.fromkeys(used)]
            group.components.append(part)
    return list(groups.values())


def _tzids(part: Component) -> list[str]:
    found = [tzid for each in part.properties if (tzid := each.parameter("TZID"))]
    for child in part.components:
        found += _tzids(child)
    return found
