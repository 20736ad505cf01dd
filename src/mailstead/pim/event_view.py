"""What a calendar object tells at a glance: of an event or a task its title, its place, when it is.

Spec: RFC 5545 §3.8; reference forwardemail 4.10 (CalendarEvent).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

from mailstead.model.errors import BadObject
from mailstead.pim.calendar_object import calendar_object
from mailstead.pim.component import Component, unescaped
from mailstead.pim.recurrence import span_of


@dataclass(frozen=True, slots=True)
class EventView:
    """The master's, or of instances alone the first one's."""

    uid: str
    component: str
    """``VEVENT``, ``VTODO`` …"""
    summary: str
    description: str
    location: str
    start_at: datetime | None
    """UTC; of floating times and whole days in the zone that was asked for. None: it has no place in time."""
    end_at: datetime | None
    status: str
    """Upper case; empty: not said. Spec: RFC 5545 §3.8.1.11."""
    organizer: str
    """An address, without ``mailto:``."""


def view(octets: bytes, floating_zone: tzinfo) -> EventView:
    """Give what an object tells. Errors: BadObject."""
    found = calendar_object(octets)
    shown = found.master or found.overrides[0]
    start_at = end_at = None
    try:
        span = span_of(shown, found)
    except BadObject:
        span = None  # kept from a client that wrote it so; the rest can be read
    if span is not None:
        start_at = span.start.utc(floating_zone)
        end_at = span.start.plus(span.length).utc(floating_zone)
    return EventView(
        found.uid,
        found.component,
        _text(shown, "SUMMARY"),
        _text(shown, "DESCRIPTION"),
        _text(shown, "LOCATION"),
        start_at,
        end_at,
        shown.value("STATUS").strip().upper(),
        _address(shown.value("ORGANIZER")),
    )


def _text(component: Component, name: str) -> str:
    return unescaped(component.value(name))


def _address(value: str) -> str:
    value = value.strip()
    return value[7:] if value[:7].lower() == "mailto:" else value
