"""Properties of WebDAV itself, of quota and sync.

Spec: RFC 4918 §15; RFC 3744 §4, §5.1; RFC 5397 §3; RFC 4331 §3; RFC 6578 §4; RFC 3253 §3.1.5; RFC 5995 §3.2.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Final

from mailstead.model.dav import CollectionKind, CollectionTraits, Resource
from mailstead.proto.dav import write
from mailstead.proto.dav.names import caldav, calendarserver, carddav, dav
from mailstead.proto.dav.xml import Element
from mailstead.services.dav.call import Call
from mailstead.services.dav.paths import PlaceKind, principal
from mailstead.services.dav.properties.kinds import PlaceProperty, PropertyRefused, ResourceGetter, Subject
from mailstead.usecases.collections import Opened

TEXT_MAX: Final = 10_000
CALENDAR_TYPE: Final = "text/calendar; charset=utf-8; component={}"
CARD_TYPE: Final = "text/vcard; charset=utf-8"
ALLPROP: Final = tuple(
    dav(name)
    for name in (
        "resourcetype",
        "getetag",
        "getcontenttype",
        "getcontentlength",
        "getlastmodified",
        "creationdate",
        "displayname",
    )
)


def content_type(resource: Resource) -> str:
    """Give the media type of an object."""
    facts = resource.facts
    return CARD_TYPE if facts.component == "VCARD" else CALENDAR_TYPE.format(facts.component.lower())


# of objects


def _etag(_call: Call, _opened: Opened, resource: Resource) -> str:
    return f'<D:getetag>"{resource.etag}"</D:getetag>'


def _content_type(_call: Call, _opened: Opened, resource: Resource) -> str:
    return write.text(dav("getcontenttype"), content_type(resource))


def _length(_call: Call, _opened: Opened, resource: Resource) -> str:
    return f"<D:getcontentlength>{resource.size_octets}</D:getcontentlength>"


def _modified(_call: Call, _opened: Opened, resource: Resource) -> str:
    return f"<D:getlastmodified>{http_date(resource.modified_at)}</D:getlastmodified>"


def _created(_call: Call, _opened: Opened, resource: Resource) -> str:
    return f"<D:creationdate>{resource.created_at:%Y-%m-%dT%H:%M:%SZ}</D:creationdate>"


def _no_type(_call: Call, _opened: Opened, _resource: Resource) -> str:
    return "<D:resourcetype/>"


def _summary(_call: Call, _opened: Opened, resource: Resource) -> str | None:
    return write.text(dav("displayname"), resource.facts.summary) if resource.facts.summary else None


def _resource_owner(_call: Call, opened: Opened, _resource: Resource) -> str:
    return _owner_of(opened)


def _resource_principal(call: Call, _opened: Opened, _resource: Resource) -> str:
    return write.hrefs(dav("current-user-principal"), [call.own_principal])


def _resource_id(_call: Call, opened: Opened, resource: Resource) -> str:
    return write.hrefs(dav("resource-id"), [f"urn:mailstead:{opened.owner.account_id}-{resource.resource_id}"])


RESOURCE_PROPERTIES: Final[dict[str, ResourceGetter]] = {
    dav("getetag"): _etag,
    dav("getcontenttype"): _content_type,
    dav("getcontentlength"): _length,
    dav("getlastmodified"): _modified,
    dav("creationdate"): _created,
    dav("resourcetype"): _no_type,
    dav("displayname"): _summary,
    dav("owner"): _resource_owner,
    dav("current-user-principal"): _resource_principal,
    dav("resource-id"): _resource_id,
}


# of places


async def _resource_type(call: Call, subject: Subject) -> str:
    kinds = [dav("collection")]
    place, opened = subject.place, subject.opened
    if subject.is_principal:
        kinds.append(dav("principal"))
    elif place.kind is PlaceKind.PROXY:
        kinds += [dav("principal"), calendarserver(place.resource)]
    elif place.kind is PlaceKind.OUTBOX:
        kinds.append(caldav("schedule-outbox"))
    elif opened is not None:
        kind = opened.collection.kind
        kinds.append(
            {
                CollectionKind.CALENDAR: caldav("calendar"),
                CollectionKind.ADDRESSBOOK: carddav("addressbook"),
                CollectionKind.INBOX: caldav("schedule-inbox"),
            }[kind]
        )
        if opened.is_people:
            kinds.append(carddav("directory"))
        if opened.share is not None:
            kinds.append(calendarserver("shared"))
        elif opened.is_own and await call.house.sharings.is_shared(opened):
            kinds.append(calendarserver("shared-owner"))
    return write.element(dav("resourcetype"), "".join(map(write.element, kinds)))


async def _display_name(_call: Call, subject: Subject) -> str | None:
    if subject.opened is not None:
        traits = subject.opened.traits
        if not traits.display_name:
            return None
        return write.text(dav("displayname"), traits.display_name, traits.display_name_language)
    if subject.owner is not None:
        return write.text(dav("displayname"), str(subject.owner.address))
    return None


def _set_display_name(traits: CollectionTraits, element: Element | None, language: str) -> CollectionTraits:
    text = text_of(element)
    if element is not None and not text:
        return traits  # an empty name says nothing (reference 8.2)
    return replace(traits, display_name=text, display_name_language=language if text else "")


async def _principal(call: Call, _subject: Subject) -> str:
    return write.hrefs(dav("current-user-principal"), [call.own_principal])


async def _principal_url(_call: Call, subject: Subject) -> str | None:
    if subject.owner is None or not subject.is_principal:
        return None
    return write.hrefs(dav("principal-URL"), [principal(str(subject.owner.address)).path])


async def _alternate_uris(_call: Call, subject: Subject) -> str | None:
    return write.element(dav("alternate-URI-set")) if subject.is_principal else None


async def _owner(_call: Call, subject: Subject) -> str | None:
    if subject.opened is not None:
        return _owner_of(subject.opened)
    if subject.owner is not None:
        return write.hrefs(dav("owner"), [principal(str(subject.owner.address)).path])
    return None


async def _reports(_call: Call, subject: Subject) -> str:
    names = [
        dav("expand-property"),
        dav("principal-property-search"),
        dav("principal-search-property-set"),
        dav("principal-match"),
    ]
    if subject.opened is not None:
        names = [dav("sync-collection"), dav("expand-property")]
        if subject.is_book:
            names += [carddav("addressbook-query"), carddav("addressbook-multiget")]
        else:
            names += [caldav("calendar-query"), caldav("calendar-multiget"), caldav("free-busy-query")]
    inner = "".join(
        write.element(dav("supported-report"), write.element(dav("report"), write.element(name))) for name in names
    )
    return write.element(dav("supported-report-set"), inner)


async def _sync_token(call: Call, subject: Subject) -> str | None:
    token = sync_token(call, subject)
    return write.text(dav("sync-token"), token) if token else None


async def _ctag(call: Call, subject: Subject) -> str | None:
    """The same as the sync token. Spec: caldav-ctag (Apple)."""
    token = sync_token(call, subject)
    return write.text(calendarserver("getctag"), f'"{token}"') if token else None


async def _quota_used(call: Call, subject: Subject) -> str | None:
    if subject.owner is None:
        return None
    usage = await call.house.collections.usage(call.actor, subject.owner)
    return write.text(dav("quota-used-bytes"), str(usage.size_octets))


async def _quota_available(call: Call, subject: Subject) -> str | None:
    if subject.owner is None:
        return None
    usage = await call.house.collections.usage(call.actor, subject.owner)
    if usage.quota_octets is None:
        return None
    return write.text(dav("quota-available-bytes"), str(max(0, usage.quota_octets - usage.size_octets)))


async def _collection_id(_call: Call, subject: Subject) -> str | None:
    opened = subject.opened
    if opened is None:
        return None
    name = f"urn:mailstead:{opened.owner.account_id}-c{opened.collection.collection_id}"
    return write.hrefs(dav("resource-id"), [name])


async def _add_member(_call: Call, subject: Subject) -> str | None:
    if subject.opened is None or subject.opened.collection.kind is CollectionKind.INBOX:
        return None
    return write.hrefs(dav("add-member"), [f"{subject.place.path}?add-member"])


PROPERTIES: Final[dict[str, PlaceProperty]] = {
    dav("resourcetype"): PlaceProperty(_resource_type, is_in_allprop=True),
    dav("displayname"): PlaceProperty(_display_name, _set_display_name, is_in_allprop=True),
    dav("current-user-principal"): PlaceProperty(_principal),
    dav("principal-URL"): PlaceProperty(_principal_url),
    dav("alternate-URI-set"): PlaceProperty(_alternate_uris),
    dav("owner"): PlaceProperty(_owner),
    dav("supported-report-set"): PlaceProperty(_reports),
    dav("sync-token"): PlaceProperty(_sync_token),
    calendarserver("getctag"): PlaceProperty(_ctag),
    dav("quota-used-bytes"): PlaceProperty(_quota_used),
    dav("quota-available-bytes"): PlaceProperty(_quota_available),
    dav("resource-id"): PlaceProperty(_collection_id),
    dav("add-member"): PlaceProperty(_add_member),
}


# what others need as well


def sync_token(call: Call, subject: Subject) -> str:
    """Give the sync token of a collection; empty: it has none."""
    opened = subject.opened
    return call.house.contacts.tokens.of(opened) if opened is not None else ""


@lru_cache(maxsize=1024)
def http_date(at: datetime) -> str:
    """Spec: RFC 9110 §5.6.7."""
    return format_datetime(at, usegmt=True)


def text_of(element: Element | None) -> str:
    """Give the text that is to be set. Errors: PropertyRefused."""
    if element is None:
        return ""
    text = element.text.strip()
    if len(text) > TEXT_MAX:
        raise PropertyRefused(507)
    return text


def _owner_of(opened: Opened) -> str:
    return write.hrefs(dav("owner"), [principal(str(opened.owner.address)).path])
