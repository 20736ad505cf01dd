"""Properties of calendars, with those of Apple's clients.

Spec: RFC 4791 §5.2, §6.2.1, §7.5.1; RFC 7809 §5; RFC 8607 §6; caldav-ctag and calendar-color of Apple have no RFC.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mailstead.model.dav import CALENDAR_COMPONENTS, CollectionKind, CollectionTraits
from mailstead.model.errors import BadObject
from mailstead.pim.component import parse
from mailstead.pim.zones import iana_zone, zone_of
from mailstead.proto.dav import write
from mailstead.proto.dav.names import apple, caldav
from mailstead.proto.dav.xml import Element
from mailstead.services.dav.call import Call
from mailstead.services.dav.properties.kinds import PlaceProperty, PropertyRefused, Subject
from mailstead.services.dav.properties.webdav import text_of

EMPTY_COLOR: Final = "#0066ff"
"""What an empty colour becomes. Spec: reference 8.2."""
ATTENDEES_MAX: Final = 1_000
INSTANCES_MAX: Final = 10_000
COLLATIONS: Final = ("i;ascii-casemap", "i;octet", "i;unicode-casemap")


async def _home_set(call: Call, subject: Subject) -> str | None:
    if not subject.is_principal or not call.house.has_calendars:
        return None
    return write.hrefs(caldav("calendar-home-set"), [subject.place.home(CollectionKind.CALENDAR).path])


async def _description(_call: Call, subject: Subject) -> str | None:
    if not subject.is_calendar or subject.opened is None or not subject.opened.traits.description:
        return None
    return write.text(caldav("calendar-description"), subject.opened.traits.description)


def _set_description(traits: CollectionTraits, element: Element | None, _language: str) -> CollectionTraits:
    return replace(traits, description=text_of(element))


async def _timezone(_call: Call, subject: Subject) -> str | None:
    if not subject.is_calendar or subject.opened is None or not subject.opened.traits.timezone:
        return None
    return write.text(caldav("calendar-timezone"), subject.opened.traits.timezone)


def _set_timezone(traits: CollectionTraits, element: Element | None, _language: str) -> CollectionTraits:
    text = text_of(element)
    if element is not None and not text:
        return traits  # an empty one says nothing (reference 8.2)
    if text:
        try:
            zones = [zone.value("TZID") for each in parse(text.encode()) for zone in each.children("VTIMEZONE")]
        except BadObject:
            zones = []
        if len(zones) != 1 or zone_of(text) is None:
            raise PropertyRefused(403, caldav("valid-calendar-data"))
    return replace(traits, timezone=text, timezone_id="")


async def _timezone_id(_call: Call, subject: Subject) -> str | None:
    if not subject.is_calendar or subject.opened is None or not subject.opened.traits.timezone_id:
        return None
    return write.text(caldav("calendar-timezone-id"), subject.opened.traits.timezone_id)


def _set_timezone_id(traits: CollectionTraits, element: Element | None, _language: str) -> CollectionTraits:
    name = text_of(element)
    if name and iana_zone(name) is None:
        raise PropertyRefused(403, caldav("valid-timezone"))
    return replace(traits, timezone_id=name, timezone="" if name else traits.timezone)


async def _components(_call: Call, subject: Subject) -> str | None:
    opened = subject.opened
    if opened is None or subject.is_book:
        return None
    names = opened.collection.traits.components or CALENDAR_COMPONENTS
    inner = "".join(write.element(caldav("comp"), attributes=f' name="{name}"') for name in names)
    return write.element(caldav("supported-calendar-component-set"), inner)


def set_components(traits: CollectionTraits, element: Element | None, _language: str) -> CollectionTraits:
    """Set which components a new calendar takes. Spec: RFC 4791 §5.2.3. Errors: PropertyRefused."""
    names = tuple(
        dict.fromkeys(
            each.attributes.get("name", "").upper() for each in (element.children if element is not None else ())
        )
    )
    if not names or not set(names) <= set(CALENDAR_COMPONENTS):
        raise PropertyRefused(403, caldav("supported-calendar-component"))
    return replace(traits, components=names)


async def _component_sets(_call: Call, subject: Subject) -> str | None:
    """Any set may be asked for, which an empty element says. Spec: caldav-component-sets (Apple)."""
    return write.element(caldav("supported-calendar-component-sets")) if subject.is_home else None


async def _data(_call: Call, subject: Subject) -> str | None:
    if subject.opened is None or subject.is_book:
        return None
    return write.element(
        caldav("supported-calendar-data"),
        write.element(caldav("calendar-data"), attributes=' content-type="text/calendar" version="2.0"'),
    )


async def _max_size(call: Call, subject: Subject) -> str | None:
    if subject.opened is None or subject.is_book:
        return None
    return write.text(caldav("max-resource-size"), str(call.house.resource_octets_max))


async def _min_moment(_call: Call, subject: Subject) -> str | None:
    return write.text(caldav("min-date-time"), "00010102T000000Z") if subject.is_calendar else None


async def _max_moment(_call: Call, subject: Subject) -> str | None:
    return write.text(caldav("max-date-time"), "99981231T000000Z") if subject.is_calendar else None


async def _max_instances(_call: Call, subject: Subject) -> str | None:
    return write.text(caldav("max-instances"), str(INSTANCES_MAX)) if subject.is_calendar else None


async def _max_attendees(_call: Call, subject: Subject) -> str | None:
    return write.text(caldav("max-attendees-per-instance"), str(ATTENDEES_MAX)) if subject.is_calendar else None


async def _collations(_call: Call, subject: Subject) -> str | None:
    if subject.opened is None or subject.is_book:
        return None
    inner = "".join(write.text(caldav("supported-collation"), each) for each in COLLATIONS)
    return write.element(caldav("supported-collation-set"), inner)


async def _color(_call: Call, subject: Subject) -> str | None:
    if not subject.is_calendar or subject.opened is None or not subject.opened.traits.color:
        return None
    return write.text(apple("calendar-color"), subject.opened.traits.color)


def _set_color(traits: CollectionTraits, element: Element | None, _language: str) -> CollectionTraits:
    color = text_of(element)[:50]
    return replace(traits, color=color or (EMPTY_COLOR if element is not None else ""))


async def _order(_call: Call, subject: Subject) -> str | None:
    if not subject.is_calendar or subject.opened is None or subject.opened.traits.order is None:
        return None
    return write.text(apple("calendar-order"), str(subject.opened.traits.order))


def _set_order(traits: CollectionTraits, element: Element | None, _language: str) -> CollectionTraits:
    text = text_of(element)
    if element is None:
        return replace(traits, order=None)
    if text and not (text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() and len(text) < 12):
        raise PropertyRefused(409)
    return replace(traits, order=int(text or 0))


async def _attachment_size(call: Call, subject: Subject) -> str | None:
    if not subject.is_calendar:
        return None
    return write.text(caldav("max-attachment-size"), str(call.house.calendar_objects.terms.attachment_octets_max))


async def _attachment_count(call: Call, subject: Subject) -> str | None:
    if not subject.is_calendar:
        return None
    return write.text(caldav("max-attachments-per-resource"), str(call.house.calendar_objects.terms.attachments_max))


async def _attachment_url(call: Call, subject: Subject) -> str | None:
    if not (subject.is_calendar or subject.is_home):
        return None
    return write.hrefs(caldav("managed-attachments-server-URL"), [f"{call.house.base_url}/"])


async def _none(_call: Call, _subject: Subject) -> None:
    return None


def _refused(_traits: CollectionTraits, _element: Element | None, _language: str) -> CollectionTraits:
    raise PropertyRefused(403)


PROPERTIES: Final[dict[str, PlaceProperty]] = {
    caldav("calendar-home-set"): PlaceProperty(_home_set),
    caldav("calendar-description"): PlaceProperty(_description, _set_description),
    caldav("calendar-timezone"): PlaceProperty(_timezone, _set_timezone),
    caldav("calendar-timezone-id"): PlaceProperty(_timezone_id, _set_timezone_id),
    caldav("supported-calendar-component-set"): PlaceProperty(_components),
    caldav("supported-calendar-component-sets"): PlaceProperty(_component_sets),
    caldav("supported-calendar-data"): PlaceProperty(_data),
    caldav("max-resource-size"): PlaceProperty(_max_size),
    caldav("min-date-time"): PlaceProperty(_min_moment),
    caldav("max-date-time"): PlaceProperty(_max_moment),
    caldav("max-instances"): PlaceProperty(_max_instances),
    caldav("max-attendees-per-instance"): PlaceProperty(_max_attendees),
    caldav("supported-collation-set"): PlaceProperty(_collations),
    caldav("max-attachment-size"): PlaceProperty(_attachment_size),
    caldav("max-attachments-per-resource"): PlaceProperty(_attachment_count),
    caldav("managed-attachments-server-URL"): PlaceProperty(_attachment_url),
    apple("calendar-color"): PlaceProperty(_color, _set_color),
    apple("calendar-order"): PlaceProperty(_order, _set_order),
    # Apple's clients ask for them and go on without (reference 8.2).
    caldav("default-alarm-vevent-date"): PlaceProperty(_none, _refused),
    caldav("default-alarm-vevent-datetime"): PlaceProperty(_none, _refused),
}
