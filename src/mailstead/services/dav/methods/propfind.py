"""PROPFIND: properties of a place, and of what lies in it.

Spec: RFC 4918 §9.1; RFC 8144 §2.1.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.responses import Response

from mailstead.model.dav import CollectionKind
from mailstead.model.errors import NoSuchAccount, NoSuchResource
from mailstead.proto.dav import headers, parse, write
from mailstead.proto.dav.names import dav
from mailstead.proto.dav.types import Depth, PropFind, PropFindKind
from mailstead.proto.dav.xml import BadRequest
from mailstead.services.dav.call import Call
from mailstead.services.dav.paths import Place, PlaceKind, principal
from mailstead.services.dav.properties import PLACE_PROPERTIES
from mailstead.services.dav.properties.kinds import Subject
from mailstead.services.dav.reports.answers import multistatus
from mailstead.usecases.collections import Opened


async def propfind(call: Call) -> Response:
    """Answer in pieces; without a Depth field it is taken as 0, since infinity is never given (attack row 81)."""
    depth = headers.depth(call.headers.get("depth"), Depth.ZERO)
    if depth is Depth.INFINITY:
        raise BadRequest("Ask for one level at a time", 403, dav("propfind-finite-depth"))
    wanted = parse.propfind(await call.body())
    place = call.place
    if place.kind is PlaceKind.RESOURCE:
        opened = await call.opened()
        resource = await call.house.contacts.get(opened, place.resource, with_octets=False)
        values, missing = call.resource_values(opened, resource, wanted)

        async def one() -> AsyncIterator[str]:
            yield write.response(place.path, values, {404: missing})
            yield write.end()

        return await multistatus(one())
    subject = await subject_of(call, place)
    is_deep = depth is Depth.ONE

    async def pieces() -> AsyncIterator[str]:
        if not (is_deep and call.prefer.is_noroot):
            yield await place_response(call, subject, wanted)
        if is_deep:
            async for each in _inside(call, subject, wanted):
                yield each
        yield write.end()

    return await multistatus(pieces())


async def subject_of(call: Call, place: Place) -> Subject:
    """Give what is asked about. Errors: NoSuchAccount, NoSuchCollection, NoSuchResource."""
    if place.kind in {PlaceKind.ROOT, PlaceKind.PRINCIPALS}:
        return Subject(place)
    if place.kind in {PlaceKind.ATTACHMENT, PlaceKind.PUSH, PlaceKind.APPLE_PUSH}:
        raise NoSuchResource
    owner = await call.house.collections.account(call.actor, place.user)
    if place.kind is PlaceKind.COLLECTION:
        opened = await call.house.collections.open(call.actor, owner, place.collection_kind, place.collection)
        return Subject(place, owner, opened)
    if place.kind is PlaceKind.OUTBOX and owner.account_id != call.actor.account_id:
        raise NoSuchAccount
    return Subject(place, owner)


async def place_response(call: Call, subject: Subject, wanted: PropFind) -> str:
    """Give the properties of one place."""
    values, missing = await place_values(call, subject, wanted)
    return write.response(subject.place.path, values, {404: missing})


async def place_values(call: Call, subject: Subject, wanted: PropFind) -> tuple[dict[str, str], list[str]]:
    """Give the properties of one place, and the names of those that it has not."""
    dead = subject.opened.traits.dead if subject.opened is not None else {}
    if wanted.kind is PropFindKind.PROPNAME:
        names = [name for name, each in PLACE_PROPERTIES.items() if await each.get(call, subject) is not None]
        return {name: write.element(name) for name in (*names, *dead)}, []
    asked = wanted.props
    if wanted.kind is PropFindKind.ALLPROP:
        live = [name for name, each in PLACE_PROPERTIES.items() if each.is_in_allprop]
        asked = (*live, *dead, *wanted.props)
    values: dict[str, str] = {}
    missing: list[str] = []
    for name in asked:
        known = PLACE_PROPERTIES.get(name)
        value = await known.get(call, subject) if known is not None else dead.get(name)
        if value is not None:
            values[name] = value
        elif wanted.kind is PropFindKind.PROP or name in wanted.props:
            missing.append(name)
    return values, [] if call.prefer.is_minimal else missing


async def _inside(call: Call, subject: Subject, wanted: PropFind) -> AsyncIterator[str]:
    """Yield what lies one level below."""
    place = subject.place
    if place.kind is PlaceKind.ROOT:
        yield await place_response(call, Subject(Place(PlaceKind.PRINCIPALS)), wanted)
    elif place.kind is PlaceKind.PRINCIPALS:
        own = principal(call.own_name)
        yield await place_response(call, await subject_of(call, own), wanted)
    elif place.kind is PlaceKind.CALENDAR_HOME:
        for kind in (CollectionKind.CALENDAR, CollectionKind.INBOX):
            async for each in _collections(call, subject, kind, wanted):
                yield each
        if subject.owner is not None and subject.owner.account_id == call.actor.account_id:
            yield await place_response(call, Subject(place.outbox(), subject.owner), wanted)
    elif place.kind is PlaceKind.BOOK_HOME:
        async for each in _collections(call, subject, CollectionKind.ADDRESSBOOK, wanted):
            yield each
    elif subject.opened is not None:
        async for each in _resources(call, subject.place, subject.opened, wanted):
            yield each


async def _collections(call: Call, subject: Subject, kind: CollectionKind, wanted: PropFind) -> AsyncIterator[str]:
    assert subject.owner is not None
    for opened in await call.house.collections.home(call.actor, subject.owner, kind):
        place = subject.place.in_home(kind, opened.name)
        yield await place_response(call, Subject(place, subject.owner, opened), wanted)


async def _resources(call: Call, place: Place, opened: Opened, wanted: PropFind) -> AsyncIterator[str]:
    async for page in call.house.contacts.listed(opened):
        for resource in page:
            values, missing = call.resource_values(opened, resource, wanted)
            yield write.response(place.object(resource.name).path, values, {404: missing})
