"""PROPPATCH, MKCOL, MKCALENDAR: properties are set, all or none.

Spec: RFC 4918 §9.2, §9.3; RFC 5689 §3; RFC 4791 §5.3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from mailstead.model.dav import CollectionKind, CollectionTraits
from mailstead.model.errors import CollectionExists, NotAllowed
from mailstead.proto.dav import headers, parse, write
from mailstead.proto.dav.names import CALDAV, DAV, caldav, carddav, dav, split
from mailstead.proto.dav.types import PropertyChange
from mailstead.proto.dav.xml import BadRequest, written
from mailstead.services.dav.call import Call
from mailstead.services.dav.errors import answer
from mailstead.services.dav.methods.propfind import subject_of
from mailstead.services.dav.paths import PlaceKind
from mailstead.services.dav.properties import PLACE_PROPERTIES, RESOURCE_PROPERTIES
from mailstead.services.dav.properties.caldav import set_components
from mailstead.services.dav.properties.kinds import PropertyRefused, Subject

DEAD_OCTETS_MAX: Final = 100_000
"""All properties of one collection that only clients understand."""

Refusals = dict[str, PropertyRefused]


async def proppatch(call: Call) -> Response:
    """Set and remove properties of a place."""
    changes = parse.propertyupdate(await call.body()).changes
    if call.place.kind is PlaceKind.RESOURCE:
        opened = await call.opened()
        await call.house.contacts.get(opened, call.place.resource, with_octets=False)
        return _told(call, changes, {each.name: _protected() for each in changes})
    subject = await subject_of(call, call.place)
    refusals: Refusals = {}
    if subject.opened is not None:
        traits = changed(subject.opened.traits, changes, refusals, is_new=False)
        await _change_places(call, subject, changes, refusals)
        if not refusals and traits != subject.opened.traits:
            try:
                await call.house.collections.set_traits(call.actor, subject.opened, traits)
            except NotAllowed:
                refusals = {each.name: PropertyRefused(403, dav("need-privileges")) for each in changes}
    else:
        for each in changes:
            known = PLACE_PROPERTIES.get(each.name)
            if known is None or known.change_place is None:
                refusals[each.name] = _protected()
        await _change_places(call, subject, changes, refusals)
    return _told(call, changes, refusals)


async def make_collection(call: Call) -> Response:
    """MKCALENDAR, and MKCOL: of a calendar, or of an address book, by the body or by the home that it is in."""
    place = call.place
    if place.kind is not PlaceKind.COLLECTION:
        raise BadRequest(
            "Calendars and address books are made in their homes", 403, caldav("calendar-collection-location-ok")
        )
    octets = await call.body()
    try:
        asked = parse.make_collection(octets)
    except BadRequest:
        media_type, _ = headers.media_type(call.headers.get("content-type"))
        if media_type and not media_type.endswith("xml"):
            raise BadRequest("What is to be made is said in XML", 415) from None  # RFC 4918 §9.3.1
        raise
    kind = place.collection_kind
    wants_book = carddav("addressbook") in asked.resource_types
    wants_calendar = caldav("calendar") in asked.resource_types or call.request.method == "MKCALENDAR"
    is_book_home = kind is CollectionKind.ADDRESSBOOK
    if (wants_book and not is_book_home) or (wants_calendar and is_book_home):
        raise BadRequest("That is no home for such a collection", 403, dav("valid-resourcetype"))
    refusals: Refusals = {}
    traits = changed(CollectionTraits(), asked.changes, refusals, is_new=True)
    if refusals:
        parts = _parts(asked.changes, refusals)
        pieces = "".join(_propstat(status, names, condition) for status, names, condition in parts)
        root = caldav("mkcalendar-response") if call.request.method == "MKCALENDAR" else dav("mkcol-response")
        return Response(write.document(root, pieces), 424, media_type=write.CONTENT_TYPE)
    owner = await call.owner()
    try:
        opened = await call.house.collections.create(call.actor, owner, kind, place.collection, traits)
    except CollectionExists as error:
        return answer(error)
    fields = {"location": call.house.base_url + place.in_home(kind, opened.name).path, "cache-control": "no-cache"}
    return Response(status_code=201, headers=fields)


def changed(
    traits: CollectionTraits, changes: Sequence[PropertyChange], refusals: Refusals, *, is_new: bool
) -> CollectionTraits:
    """Give traits after changes, in their order; what is refused is noted."""
    dead = dict(traits.dead)
    for each in changes:
        known = PLACE_PROPERTIES.get(each.name)
        try:
            if is_new and each.name == caldav("supported-calendar-component-set"):
                traits = set_components(traits, each.element, each.language)
            elif known is not None and known.change is not None:
                traits = known.change(traits, each.element, each.language)
            elif known is not None and known.change_place is not None:
                continue
            elif known is not None or each.name in RESOURCE_PROPERTIES or split(each.name)[0] in {DAV, CALDAV}:
                raise _protected()
            elif each.element is None:
                dead.pop(each.name, None)
            else:
                dead[each.name] = written(each.element, each.language)
                if sum(len(value) for value in dead.values()) > DEAD_OCTETS_MAX:
                    raise PropertyRefused(507)
        except PropertyRefused as refused:
            refusals[each.name] = refused
    return replace(traits, dead=dead)


async def _change_places(call: Call, subject: Subject, changes: Sequence[PropertyChange], refusals: Refusals) -> None:
    """Change what is no trait, unless something was refused."""
    for each in changes:
        known = PLACE_PROPERTIES.get(each.name)
        if refusals or known is None or known.change_place is None:
            continue
        try:
            await known.change_place(call, subject, each.element)
        except PropertyRefused as refused:
            refusals[each.name] = refused


def _protected() -> PropertyRefused:
    return PropertyRefused(403, dav("cannot-modify-protected-property"))


def _parts(changes: Sequence[PropertyChange], refusals: Refusals) -> list[tuple[int, list[str], str]]:
    """Give statuses with the names that they are for. Spec: RFC 4918 §9.2.1 (424 for those that would have been)."""
    names = list(dict.fromkeys(each.name for each in changes))
    if not refusals:
        return [(200, names, "")]
    parts = [(refused.status, [name], refused.condition) for name, refused in refusals.items()]
    others = [name for name in names if name not in refusals]
    return [*parts, *([(424, others, "")] if others else [])]


def _told(call: Call, changes: Sequence[PropertyChange], refusals: Refusals) -> Response:
    if not refusals and call.prefer.is_minimal:
        return Response(status_code=200, headers={"preference-applied": "return=minimal"})
    body = write.start() + write.propstat_response(call.place.path, _parts(changes, refusals)) + write.end()
    return Response(body, 207, media_type=write.CONTENT_TYPE)


def _propstat(status: int, names: Sequence[str], condition: str) -> str:
    inner = "".join(write.element(name) for name in names)
    told = write.element(dav("error"), write.element(condition)) if condition else ""
    return write.element(dav("propstat"), write.element(dav("prop"), inner) + write.status_line(status) + told)
