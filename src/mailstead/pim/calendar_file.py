"""One iCalendar file of many objects; and what of an object the world may see.

Spec: RFC 5545 §3.4; RFC 7986 §5.1 (NAME).
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from mailstead.pim.component import Component, Property, escaped, write

PRODID: Final = "-//Mailstead//Calendar//EN"
BUSY_SUMMARY: Final = "Busy"

_END: Final = b"END:VCALENDAR\r\n"

_TIMES: Final = frozenset(
    {"DTSTAMP", "DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID", "SEQUENCE", "TRANSP"}
)
"""What tells when, and nothing else."""
_OF_PEOPLE: Final = frozenset({"ATTENDEE", "ORGANIZER", "CONTACT", "COMMENT", "REQUEST-STATUS", "ATTACH"})
"""Addresses, words between those who meet, and files behind a log-in."""


class CalendarFile:
    """Gathers objects; `octets` gives them as one VCALENDAR."""

    def __init__(self, name: str = "", color: str = "") -> None:
        self._name = name
        self._color = color
        self._zones: dict[str, bytes] = {}
        self._parts: list[bytes] = []
        self.count = 0

    def add(self, calendar: Component) -> None:
        """Add the components of a VCALENDAR, which is changed by that."""
        renamed: dict[str, str] = {}
        for zone in calendar.children("VTIMEZONE"):
            tzid = zone.value("TZID")
            found = self._zone(tzid, zone)
            if found != tzid:
                renamed[tzid] = found
        for part in calendar.components:
            if part.name == "VTIMEZONE":
                continue
            if renamed:
                _rename_zones(part, renamed)
            self._parts.append(write(part))
        self.count += 1

    def octets(self) -> bytes:
        """Give the file."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Yield the file, with its name for clients that show one."""
        head = [Property("VERSION", "2.0"), Property("PRODID", PRODID), Property("CALSCALE", "GREGORIAN")]
        if self._name:
            head += [Property("NAME", escaped(self._name)), Property("X-WR-CALNAME", escaped(self._name))]
        if self._color:
            head.append(Property("X-APPLE-CALENDAR-COLOR", self._color))
        yield write(Component("VCALENDAR", head)).removesuffix(_END)
        yield from self._zones.values()
        yield from self._parts
        yield _END

    def _zone(self, tzid: str, zone: Component) -> str:
        """Keep a zone; gives the name under which it is in the file. Several programs call theirs alike."""
        text = _without_changes(zone)
        name, number = tzid, 1
        while name in self._zones:
            if self._zones[name] == _named(text, name):
                return name
            number += 1
            name = f"{tzid}-{number}"
        self._zones[name] = _named(text, name)
        return name


def for_the_world(calendar: Component, *, hides_details: bool) -> Component | None:
    """Give of an object what may be public; None: nothing.

    Neither alarms nor who takes part; of private and confidential events, or with `hides_details` of all, only when,
    and then nothing of what leaves the owner free.
    Spec: RFC 5545 §3.8.1.3 (CLASS), §3.8.2.7 (TRANSP).
    """
    zones = list(calendar.children("VTIMEZONE"))
    parts = [part for each in _parts(calendar) if (part := _public(each, hides_details=hides_details)) is not None]
    if not parts or (hides_details and all(_is_free(each) for each in parts)):
        return None
    return Component("VCALENDAR", [], [*zones, *parts])


def _parts(calendar: Component) -> Iterator[Component]:
    return (each for each in calendar.components if each.name in {"VEVENT", "VTODO", "VJOURNAL"})


def _public(part: Component, *, hides_details: bool) -> Component | None:
    if hides_details or part.value("CLASS").strip().upper() not in {"", "PUBLIC"}:
        return _busy(part) if part.name == "VEVENT" else None
    kept = [each for each in part.properties if each.name not in _OF_PEOPLE and not each.name.startswith("X-")]
    return Component(part.name, kept)


def _busy(event: Component) -> Component:
    # The UID stays one and the same for clients that come again, but tells no more what it was made of.
    uid = sha256(b"public " + event.value("UID").encode()).hexdigest()[:32]
    kept = [
        Property(each.name, each.value, tuple(one for one in each.parameters if one[0] in {"TZID", "VALUE", "RANGE"}))
        for each in event.properties
        if each.name in _TIMES
    ]
    if event.value("STATUS").strip().upper() == "CANCELLED":
        kept.append(Property("STATUS", "CANCELLED"))
    return Component("VEVENT", [Property("UID", uid), Property("SUMMARY", BUSY_SUMMARY), *kept])


def _is_free(event: Component) -> bool:
    """Whether an event takes no time of its owner's; one instance that does makes all of it be shown."""
    return event.value("TRANSP").strip().upper() == "TRANSPARENT" or event.value("STATUS") == "CANCELLED"


def _rename_zones(part: Component, renamed: dict[str, str]) -> None:
    for index, each in enumerate(part.properties):
        tzid = each.parameter("TZID")
        if tzid in renamed:
            part.properties[index] = each.with_parameter("TZID", renamed[tzid])
    for child in part.components:
        _rename_zones(child, renamed)


def _without_changes(zone: Component) -> Component:
    """Give a zone without what says nothing of its rules."""
    kept = [each for each in zone.properties if each.name not in {"LAST-MODIFIED", "TZID"}]
    return Component("VTIMEZONE", kept, zone.components)


def _named(zone: Component, name: str) -> bytes:
    return write(Component("VTIMEZONE", [Property("TZID", name), *zone.properties], zone.components))
