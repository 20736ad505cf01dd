"""Properties of scheduling.

Spec: RFC 6638 §2.1, §2.2, §2.4.
"""

from __future__ import annotations

from typing import Final

from mailstead.model.dav import CollectionKind, Resource
from mailstead.proto.dav import write
from mailstead.proto.dav.names import caldav
from mailstead.services.dav.call import Call
from mailstead.services.dav.properties.kinds import PlaceProperty, ResourceGetter, Subject
from mailstead.usecases.collections import INBOX, Opened


async def _inbox(call: Call, subject: Subject) -> str | None:
    if not subject.is_principal or not call.house.has_calendars:
        return None
    return write.hrefs(caldav("schedule-inbox-URL"), [subject.place.in_home(CollectionKind.INBOX, INBOX).path])


async def _outbox(call: Call, subject: Subject) -> str | None:
    if not subject.is_principal or not call.house.has_calendars:
        return None
    return write.hrefs(caldav("schedule-outbox-URL"), [subject.place.outbox().path])


async def _addresses(_call: Call, subject: Subject) -> str | None:
    if not subject.is_principal or subject.owner is None:
        return None
    return write.hrefs(caldav("calendar-user-address-set"), [f"mailto:{subject.owner.address}", subject.place.path])


async def _user_type(_call: Call, subject: Subject) -> str | None:
    return write.text(caldav("calendar-user-type"), "INDIVIDUAL") if subject.is_principal else None


def _schedule_tag(_call: Call, _opened: Opened, resource: Resource) -> str | None:
    return write.text(caldav("schedule-tag"), f'"{resource.schedule_tag}"') if resource.schedule_tag else None


PROPERTIES: Final[dict[str, PlaceProperty]] = {
    caldav("schedule-inbox-URL"): PlaceProperty(_inbox),
    caldav("schedule-outbox-URL"): PlaceProperty(_outbox),
    caldav("calendar-user-address-set"): PlaceProperty(_addresses),
    caldav("calendar-user-type"): PlaceProperty(_user_type),
}

RESOURCE_PROPERTIES: Final[dict[str, ResourceGetter]] = {caldav("schedule-tag"): _schedule_tag}
