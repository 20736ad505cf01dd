"""GET, PUT, DELETE, COPY, MOVE: objects, and whole collections where that means something.

Spec: RFC 4918 §9.4 to §9.9; RFC 4791 §5.3.2 to §5.3.4; RFC 6352 §6.3.2; RFC 6638 §3.2.10, §8; RFC 5995;
RFC 8144 §3.
"""

from __future__ import annotations

import secrets
from typing import Final

from starlette.responses import PlainTextResponse, Response

from mailstead.model.dav import Access, CollectionKind, CollectionTraits, Precondition, Resource
from mailstead.model.errors import NoSuchCollection, NoSuchResource, NotAllowed, PreconditionFailed
from mailstead.model.ids import AccountId
from mailstead.pim.zone_references import with_zones, without_zones
from mailstead.proto.dav import headers
from mailstead.proto.dav.names import caldav, carddav
from mailstead.proto.dav.xml import BadRequest
from mailstead.services.dav import push
from mailstead.services.dav.attachments import given
from mailstead.services.dav.call import Call
from mailstead.services.dav.paths import Place, PlaceKind, place_of
from mailstead.services.dav.properties.webdav import content_type, http_date
from mailstead.usecases.collections import Opened
from mailstead.usecases.resources import Resources, Written

CALENDAR_TYPES: Final = frozenset({"text/calendar", "application/ics"})
CARD_TYPES: Final = frozenset({"text/vcard", "text/x-vcard", "text/directory"})
NOWHERE: Final = "There is no such calendar or address book"


async def get(call: Call) -> Response:
    """Give an object as it was put, an attachment, or a whole calendar or address book as one file."""
    place = call.place
    if place.kind is PlaceKind.ATTACHMENT:
        return given(await call.house.attachments.get(call.actor, _account_id(place.user), place.resource))
    if place.kind is PlaceKind.COLLECTION:
        return await _whole(call)
    if place.kind is not PlaceKind.RESOURCE:
        return PlainTextResponse(
            "Calendars and contacts are here. Give this address, your mail address and your password to your calendar "
            "program.\n"
        )
    opened = await call.opened()
    resource = await call.house.contacts.get(opened, place.resource)
    fields = _fields(resource)
    precondition = headers.precondition(call.headers, place.path)
    if precondition.etags is not None and resource.etag not in precondition.etags:
        raise PreconditionFailed
    if resource.etag in precondition.absent_etags or precondition.must_be_absent:
        return Response(status_code=304, headers={"etag": fields["etag"]})
    octets = resource.octets
    if call.wants_zones is not None and resource.facts.component != "VCARD":
        octets = with_zones(octets) if call.wants_zones else without_zones(octets)
    return Response(octets, headers=fields)


async def put(call: Call) -> Response:
    """Put an object; on a calendar itself, a whole file of them, as Thunderbird publishes (reference 8.3)."""
    place, house = call.place, call.house
    if place.kind not in {PlaceKind.RESOURCE, PlaceKind.COLLECTION}:
        raise BadRequest("Objects are put into calendars and address books", 405)
    _check_type(call)
    if place.collection_kind is CollectionKind.INBOX:
        raise NotAllowed("Only the server puts messages into the inbox")
    octets = await call.body(house.resource_octets_max)
    if place.kind is PlaceKind.COLLECTION:
        return await _import(call, octets)
    try:
        opened = await call.opened()
    except NoSuchCollection:
        raise BadRequest(NOWHERE, 409) from None  # RFC 4918 §9.7.1
    precondition = headers.precondition(call.headers, place.path)
    try:
        written = await _resources(call).put(opened, place.resource, octets, precondition)
    except PreconditionFailed as error:
        return await _as_it_is(call, opened, error)
    await push.spare(call, opened)
    return await _written(call, opened, written, place)


async def delete(call: Call) -> Response:
    """Remove an object, or a collection with all that is in it."""
    place = call.place
    if place.kind is PlaceKind.COLLECTION:
        await call.house.collections.delete(call.actor, await call.opened())
        return Response(status_code=204)
    if place.kind is not PlaceKind.RESOURCE:
        raise NotAllowed
    opened = await call.opened()
    precondition = headers.precondition(call.headers, place.path)
    if place.collection_kind is CollectionKind.CALENDAR:
        wants_reply = call.headers.get("schedule-reply", "T").strip().upper() != "F"
        await call.house.calendar_objects.delete(opened, place.resource, precondition, wants_reply=wants_reply)
    else:
        await call.house.contacts.delete(opened, place.resource, precondition)
    await push.spare(call, opened)
    return Response(status_code=204)


async def copy_or_move(call: Call) -> Response:
    """Copy or move an object, also to where somebody else lets the actor write."""
    place = call.place
    target = place_of(headers.destination(call.headers.get("destination"), call.headers.get("host", "")))
    overwrites = headers.overwrites(call.headers.get("overwrite"))
    if place.kind is not PlaceKind.RESOURCE:
        raise BadRequest("Calendars and address books keep their place", 403)
    if target is None or target.kind is not PlaceKind.RESOURCE:
        raise BadRequest("The destination is no object in a calendar or address book", 403)
    if target.path == place.path:
        raise BadRequest("Source and destination are the same", 403)
    source = await call.opened()
    collections = call.house.collections
    owner = await collections.account(call.actor, target.user)
    try:
        there = await collections.open(call.actor, owner, target.collection_kind, target.collection)
    except NoSuchCollection:
        raise BadRequest(NOWHERE, 409) from None
    written = await _resources(call).copy(
        source,
        place.resource,
        there,
        target.resource,
        moves=call.request.method == "MOVE",
        overwrites=overwrites,
        precondition=headers.precondition(call.headers, place.path),
    )
    return Response(status_code=201 if written.is_new else 204, headers={"location": call.house.base_url + target.path})


async def add_member(call: Call) -> Response:
    """Put an object under a name that the server chooses. Spec: RFC 5995 §3.1."""
    _check_type(call)
    octets = await call.body(call.house.resource_octets_max)
    is_book = call.place.collection_kind is CollectionKind.ADDRESSBOOK
    name = secrets.token_hex(16) + (".vcf" if is_book else ".ics")
    opened = await call.opened()
    written = await _resources(call).put(opened, name, octets, Precondition(must_be_absent=True))
    return await _written(call, opened, written, call.place.object(name))


def _resources(call: Call) -> Resources:
    is_book = call.place.collection_kind is CollectionKind.ADDRESSBOOK
    return call.house.contacts if is_book else call.house.calendar_objects


def _check_type(call: Call) -> None:
    """Errors: BadRequest (415, with the precondition of RFC 4791 §5.3.2.1 or RFC 6352 §6.3.2.1)."""
    is_book = call.place.collection_kind is CollectionKind.ADDRESSBOOK
    kind, charset = headers.media_type(call.headers.get("content-type"))
    if kind and kind not in (CARD_TYPES if is_book else CALENDAR_TYPES) and kind != "application/octet-stream":
        condition = carddav("supported-address-data") if is_book else caldav("supported-calendar-data")
        raise BadRequest(f"Here objects are {'text/vcard' if is_book else 'text/calendar'}", 415, condition)
    if charset and charset.replace("_", "-") not in {"utf-8", "utf8", "us-ascii"}:
        raise BadRequest("Objects are in UTF-8", 415)


async def _import(call: Call, octets: bytes) -> Response:
    """Put all objects of a file; the collection is made where it is missing."""
    place, is_new = call.place, False
    owner = await call.owner()
    try:
        opened = await call.opened(access=Access.WRITE)
    except NoSuchCollection:
        traits = CollectionTraits(display_name=place.collection)
        opened = await call.house.collections.create(call.actor, owner, place.collection_kind, place.collection, traits)
        is_new = True
    if place.collection_kind is CollectionKind.ADDRESSBOOK:
        report = await call.house.contacts.import_all(opened, octets)
    else:
        report = await call.house.calendar_objects.import_all(opened, octets)
    lines = [
        f"{report.new_count} new, {report.replaced_count} replaced, {len(report.refused)} refused",
        *report.refused,
    ]
    return PlainTextResponse("\n".join(lines) + "\n", 201 if is_new else 200)


async def _whole(call: Call) -> Response:
    """Give a whole collection as one file."""
    opened = await call.opened()
    octets, _ = await call.house.calendar_files.file(opened)
    kind = "text/vcard" if opened.collection.kind is CollectionKind.ADDRESSBOOK else "text/calendar"
    return Response(octets, headers={"content-type": f"{kind}; charset=utf-8", "cache-control": "private, no-cache"})


def _fields(resource: Resource) -> dict[str, str]:
    fields = {
        "content-type": content_type(resource),
        "etag": f'"{resource.etag}"',
        "last-modified": http_date(resource.modified_at),
        "cache-control": "private, no-cache",
    }
    if resource.schedule_tag:
        fields["schedule-tag"] = f'"{resource.schedule_tag}"'
    return fields


async def _written(call: Call, opened: Opened, written: Written, place: Place) -> Response:
    """Tell what became of a put; an etag only where the octets are those that were sent. Spec: RFC 4791 §5.3.4."""
    fields = {"location": call.house.base_url + place.path} if written.is_new else {}
    if call.prefer.is_representation:
        resource = await call.house.contacts.get(opened, place.resource)
        return _represented(resource, 201 if written.is_new else 200, fields)
    if written.is_as_sent:
        fields["etag"] = f'"{written.resource.etag}"'
    if written.resource.schedule_tag:
        fields["schedule-tag"] = f'"{written.resource.schedule_tag}"'
    return Response(status_code=201 if written.is_new else 204, headers=fields)


async def _as_it_is(call: Call, opened: Opened, error: PreconditionFailed) -> Response:
    """Refuse a put, with what is there for who wants to see it. Spec: RFC 8144 §3.2."""
    if not call.prefer.is_representation:
        raise error
    try:
        resource = await call.house.contacts.get(opened, call.place.resource)
    except NoSuchResource:
        raise error from None
    return _represented(resource, 412, {})


def _represented(resource: Resource, status: int, fields: dict[str, str]) -> Response:
    fields = {**_fields(resource), **fields, "preference-applied": "return=representation"}
    return Response(resource.octets, status, fields)


def _account_id(text: str) -> AccountId:
    if not (len(text) == 16 and text.isascii() and text.isalnum()):
        raise NoSuchResource
    return AccountId(text)
