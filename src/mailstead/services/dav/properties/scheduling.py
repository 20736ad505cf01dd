"""Properties of scheduling.

Spec: RFC 6638 §2.1, §2.2, §2.4.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from mailstead.model.dav import CollectionKind, CollectionTraits, Resource
from mailstead.model.errors import BadObject
from mailstead.pim.component import parse
from mailstead.proto.dav import write
from mailstead.proto.dav.names import caldav, calendarserver, dav
from mailstead.proto.dav.xml import BadRequest, Element
from mailstead.services.dav.call import Call
from mailstead.services.dav.paths import PlaceKind, place_of
from mailstead.services.dav.properties.kinds import PlaceProperty, PropertyRefused, ResourceGetter, Subject
from mailstead.usecases.collections import INBOX, Opened

AVAILABILITY_MAX: Final = 64 * 1024


async def _inbox(call: Call, subject: Subject) -> str | None:
    if not subject.is_principal or not call.house.has_calendars:
        return None
    return write.hrefs(caldav("schedule-inbox-URL"), [subject.place.in_home(CollectionKind.INBOX, INBOX).path])


async def _outbox(call: Call, subject: Subject) -> str | None:
    if not subject.is_principal or not call.house.has_calendars:
        return None
    return write.hrefs(caldav("schedule-outbox-URL"), [subject.place.outbox().path])


async def _addresses(call: Call, subject: Subject) -> str | None:
    """All under which one is invited: main address and aliases, then the principal itself."""
    if not subject.is_principal or subject.owner is None:
        return None
    main = f"mailto:{subject.owner.address}"
    others = sorted(each for each in await call.house.meetings.own(subject.owner) if each != main.lower())
    return write.hrefs(caldav("calendar-user-address-set"), [main, *others, subject.place.path])


async def _email_addresses(call: Call, subject: Subject) -> str | None:
    if not subject.is_principal or subject.owner is None:
        return None
    own = sorted(await call.house.meetings.own(subject.owner))
    name = calendarserver("email-address")
    inner = "".join(write.text(name, each.removeprefix("mailto:")) for each in own)
    return write.element(calendarserver("email-address-set"), inner)


async def _default_calendar(call: Call, subject: Subject) -> str | None:
    """Spec: RFC 6638 §9.2."""
    if subject.opened is None or subject.opened.collection.kind is not CollectionKind.INBOX:
        return None
    opened = await call.house.meetings.default_calendar(subject.opened.owner)
    if opened is None:
        return None
    path = subject.place.in_home(CollectionKind.CALENDAR, opened.name).path
    return write.hrefs(caldav("schedule-default-calendar-URL"), [path])


def _set_default_calendar(traits: CollectionTraits, element: Element | None, _language: str) -> CollectionTraits:
    """Take the name; where no such calendar is there, or not any more, the first one counts.

    Spec: RFC 6638 §9.2.
    """
    if element is None:
        return replace(traits, default_calendar="")
    href = element.child(dav("href"))
    try:
        place = place_of(urlsplit(href.text.strip()).path) if href is not None else None
    except (BadRequest, ValueError):
        place = None
    if place is None or (place.kind, place.collection_kind) != (PlaceKind.COLLECTION, CollectionKind.CALENDAR):
        raise PropertyRefused(403, caldav("valid-schedule-default-calendar-URL"))
    return replace(traits, default_calendar=place.collection)


async def _transparency(_call: Call, subject: Subject) -> str | None:
    """Spec: RFC 6638 §9.1."""
    if not subject.is_calendar or subject.opened is None:
        return None
    word = "transparent" if subject.opened.traits.is_transparent else "opaque"
    return write.element(caldav("schedule-calendar-transp"), write.element(caldav(word)))


def _set_transparency(traits: CollectionTraits, element: Element | None, _language: str) -> CollectionTraits:
    is_transparent = element is not None and element.child(caldav("transparent")) is not None
    return replace(traits, is_transparent=is_transparent)


async def _availability(_call: Call, subject: Subject) -> str | None:
    """Spec: RFC 7953 §7.2.4."""
    opened = subject.opened
    if opened is None or opened.collection.kind is not CollectionKind.INBOX or not opened.traits.availability:
        return None
    return write.text(caldav("calendar-availability"), opened.traits.availability)


def _set_availability(traits: CollectionTraits, element: Element | None, _language: str) -> CollectionTraits:
    text = element.text.strip() if element is not None else ""
    if len(text) > AVAILABILITY_MAX:
        raise PropertyRefused(507)
    if text:
        try:
            parts = [one for each in parse(text.encode()) for one in each.children("VAVAILABILITY")]
        except BadObject:
            parts = []
        if not parts:
            raise PropertyRefused(403, caldav("valid-calendar-data"))
    return replace(traits, availability=text)


async def _user_type(_call: Call, subject: Subject) -> str | None:
    return write.text(caldav("calendar-user-type"), "INDIVIDUAL") if subject.is_principal else None


def _schedule_tag(_call: Call, _opened: Opened, resource: Resource) -> str | None:
    return write.text(caldav("schedule-tag"), f'"{resource.schedule_tag}"') if resource.schedule_tag else None


PROPERTIES: Final[dict[str, PlaceProperty]] = {
    caldav("schedule-inbox-URL"): PlaceProperty(_inbox),
    caldav("schedule-outbox-URL"): PlaceProperty(_outbox),
    caldav("calendar-user-address-set"): PlaceProperty(_addresses),
    caldav("calendar-user-type"): PlaceProperty(_user_type),
    calendarserver("email-address-set"): PlaceProperty(_email_addresses),
    caldav("schedule-default-calendar-URL"): PlaceProperty(_default_calendar, _set_default_calendar),
    caldav("schedule-calendar-transp"): PlaceProperty(_transparency, _set_transparency),
    caldav("calendar-availability"): PlaceProperty(_availability, _set_availability),
}

RESOURCE_PROPERTIES: Final[dict[str, ResourceGetter]] = {caldav("schedule-tag"): _schedule_tag}
