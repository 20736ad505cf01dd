"""Time zones by reference: objects with or without the definitions of zones that everybody knows.

Spec: RFC 7809 §3.1.
"""

from __future__ import annotations

from mailstead.pim.component import Component, parse, write
from mailstead.pim.zones import iana_zone, vtimezone


def without_zones(octets: bytes) -> bytes:
    """Give an object without the VTIMEZONEs of IANA's zones; the same octets where there are none.

    Zones of other names stay: nobody else could know them.
    """
    if b"BEGIN:VTIMEZONE" not in octets:
        return octets
    calendar = parse(octets)[0]
    kept = [each for each in calendar.components if not _is_known(each)]
    if len(kept) == len(calendar.components):
        return octets
    calendar.components[:] = kept
    return write(calendar)


def with_zones(octets: bytes) -> bytes:
    """Give an object with a VTIMEZONE for each known zone that it names; the same octets where none is missing."""
    if b"TZID=" not in octets:
        return octets
    calendar = parse(octets)[0]
    there = {each.value("TZID") for each in calendar.children("VTIMEZONE")}
    missing = [name for name in _named(calendar) if name not in there]
    added = [zone for name in missing if (zone := vtimezone(name)) is not None]
    if not added:
        return octets
    calendar.components[:0] = added
    return write(calendar)


def _is_known(component: Component) -> bool:
    return component.name == "VTIMEZONE" and iana_zone(component.value("TZID")) is not None


def _named(component: Component) -> dict[str, None]:
    """Give the TZIDs in an object, each once, in order."""
    names = {name: None for each in component.properties if (name := each.parameter("TZID"))}
    for child in component.components:
        names |= _named(child)
    return names
