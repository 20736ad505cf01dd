"""Events and tasks as programs see them over the API: found over all calendars, by id, as iCalendar.

Who is invited is invited, and who watches is told, exactly as when a DAV client writes: it is the same verbs.

Spec: reference forwardemail 4.3 (calendar events), 4.10 (CalendarEvent).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailstead.model.dav import (
    Access,
    CollectionKind,
    DeletedResource,
    Precondition,
    Resource,
    ResourceOutline,
    ResourceQuery,
)
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadObject, NoSuchResource, PreconditionFailed, UidConflict
from mailstead.model.ids import ModSeq
from mailstead.model.people import Listing, ObjectId, Page
from mailstead.model.place import DavPlace
from mailstead.pim import event_view
from mailstead.pim.calendar_object import calendar_object
from mailstead.pim.event_view import EventView
from mailstead.pim.filters import CompFilter, TimeRange
from mailstead.ports.clock import Clock
from mailstead.usecases.calendar_objects import SUFFIX, CalendarObjects, Wanted
from mailstead.usecases.collections import Opened
from mailstead.usecases.dav_objects import (
    PAGE_OCTETS_MAX,
    DavObjects,
    Placed,
    collection_object_id,
    must_have_room,
    name_of,
)
from mailstead.usecases.resources import OCTETS_PAGE, off_loop

KIND: Final = CollectionKind.CALENDAR
COMPONENTS: Final = ("VEVENT", "VTODO", "VJOURNAL")
DELETED_MAX: Final = 1000
"""Deleted objects of a calendar that are looked through."""


_Key = tuple[float, int, str, int]
"""First beginning, number of the calendar, name, size in octets."""


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """An object of a calendar, or what is known of one that was deleted."""

    object_id: ObjectId
    calendar_object_id: ObjectId
    view: EventView
    resource: Resource | None = None
    """None: it is not there any more."""
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which objects are wanted."""

    calendar: str = ""
    """Id or name; empty: all calendars."""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    """Those that have an instance in [starts_at, ends_at); None: without limit on that side."""
    is_deleted_wanted: bool = False
    """Also those that were deleted, as far as they are remembered; they have lost their place in time."""


class Events:
    """Errors of all verbs: NotAllowed, without an account of one's own."""

    def __init__(self, objects: DavObjects, calendar_objects: CalendarObjects, clock: Clock) -> None:
        self._objects = objects
        self._calendar_objects = calendar_objects
        self._clock = clock

    async def find(self, actor: Actor, query: EventQuery, listing: Listing) -> Page[ShownEvent]:
        """A part of the objects by their first beginning, those without one first, deleted ones last.

        Errors: NoSuchCollection; BadObject, for a span that ends before it begins; TooManyMatches, for too much work
        and for objects that are too large together.
        """
        if query.starts_at is not None and query.ends_at is not None and query.ends_at <= query.starts_at:
            raise BadObject("end_date is after start_date", condition="valid-filter")
        if query.calendar:
            calendars = [await self._objects.collection(actor, KIND, query.calendar)]
        else:
            calendars = await self._objects.collections(actor, KIND)
        keys: list[_Key] = []
        for number, opened in enumerate(calendars):
            for each in await self._matching(opened, query):
                first = float("-inf") if each.first_s is None else each.first_s
                keys.append((first, number, each.name, each.size_octets))
        keys.sort()
        deleted: list[tuple[Opened, DeletedResource]] = []
        if query.is_deleted_wanted:
            deleted = await self._deleted(calendars)
        start, stop = listing.skipped_count, listing.skipped_count + listing.limit
        shown = await self._read(calendars, keys[start:stop])
        gone = deleted[max(0, start - len(keys)) : max(0, stop - len(keys))]
        shown += [_of_deleted(opened, each) for opened, each in gone]
        return Page(tuple(shown), len(keys) + len(deleted))

    async def show(self, actor: Actor, object_id: str) -> ShownEvent:
        """One object. Errors: NoSuchResource."""
        return self.shown(await self._objects.object(actor, KIND, object_id))

    async def create(self, actor: Actor, calendar: str, octets: bytes, event_id: str = "") -> ShownEvent:
        """Put an object into a calendar, under `event_id` or its UID.

        Errors: NoSuchCollection, NotAllowed (only for reading), BadObject, UidConflict (also for a name that is taken),
        ObjectTooLarge, OverQuota, LimitReached.
        """
        if calendar:
            opened = await self._objects.collection(actor, KIND, calendar, Access.WRITE)
        else:
            opened = await self._objects.first(actor, KIND)
        if not event_id:
            event_id = (await off_loop(len(octets), calendar_object, octets)).uid
        name = name_of(event_id, SUFFIX)
        try:
            await self._calendar_objects.put(opened, name, octets, Precondition(must_be_absent=True))
        except PreconditionFailed:
            raise UidConflict("There is such an event already", name=name) from None
        return await self._again(opened, name)

    async def change(
        self, actor: Actor, object_id: str, *, octets: bytes | None = None, calendar: str = "", etag: str = ""
    ) -> ShownEvent:
        """Replace an object, move it to another calendar, or both.

        Errors: NoSuchResource, NoSuchCollection, PreconditionFailed, NotAllowed, BadObject, UidConflict (another UID).
        """
        placed = await self._objects.object(actor, KIND, object_id)
        opened, name = placed.opened, placed.resource.name
        if etag and etag != placed.resource.etag:
            raise PreconditionFailed
        if octets is not None:
            precondition = Precondition(etags=frozenset({etag})) if etag else Precondition(must_exist=True)
            await self._calendar_objects.put(opened, name, octets, precondition)
        if calendar:
            target = await self._objects.collection(actor, KIND, calendar, Access.WRITE)
            if collection_object_id(target) != collection_object_id(opened):
                try:
                    await self._calendar_objects.copy(opened, name, target, name, moves=True, overwrites=False)
                except PreconditionFailed:
                    raise UidConflict("There is such an event in that calendar already", name=name) from None
                opened = target
        return await self._again(opened, name)

    async def delete(self, actor: Actor, object_id: str, etag: str = "") -> ShownEvent:
        """Remove an object; the others of a meeting are told. Gives it as it was.

        Errors: NoSuchResource, NotAllowed, PreconditionFailed.
        """
        placed = await self._objects.object(actor, KIND, object_id)
        precondition = Precondition(etags=frozenset({etag})) if etag else Precondition()
        shown = self.shown(placed)
        await self._calendar_objects.delete(placed.opened, placed.resource.name, precondition)
        return ShownEvent(shown.object_id, shown.calendar_object_id, shown.view, placed.resource, self._clock.now())

    # within

    async def _matching(self, opened: Opened, query: EventQuery) -> list[ResourceOutline]:
        """Give what a calendar has of it."""
        if query.starts_at is None and query.ends_at is None:
            return await opened.store.outlines(opened.collection.collection_id, ResourceQuery())
        span = TimeRange(query.starts_at, query.ends_at)
        wanted = Wanted(floating_zone=self._calendar_objects.floating_zone(opened))
        matching: list[ResourceOutline] = []
        for component in COMPONENTS:
            condition = CompFilter("VCALENDAR", comps=(CompFilter(component, time_range=span),))
            async for found in self._calendar_objects.query(opened, condition, wanted):
                resources = (each.resource for each in found)
                matching += [ResourceOutline(each.name, each.facts.first_s, each.size_octets) for each in resources]
        return matching

    async def _deleted(self, calendars: list[Opened]) -> list[tuple[Opened, DeletedResource]]:
        """Give what was deleted, the last one first; what was moved before that only once."""
        found: dict[tuple[str, int], tuple[Opened, DeletedResource]] = {}
        for opened in calendars:
            gone = await opened.store.deleted_since(opened.collection.collection_id, ModSeq(0))
            for each in gone[-DELETED_MAX:]:
                key = (opened.owner.account_id, each.resource_id)
                if key not in found or found[key][1].modseq < each.modseq:
                    found[key] = (opened, each)
        return sorted(found.values(), key=lambda pair: (pair[1].deleted_at, pair[1].modseq), reverse=True)

    async def _read(self, calendars: list[Opened], keys: list[_Key]) -> list[ShownEvent]:
        """Give the objects of these calendars and names; what has gone meanwhile is left out."""
        must_have_room(PAGE_OCTETS_MAX - sum(size_octets for *_, size_octets in keys))
        shown: dict[tuple[int, str], ShownEvent] = {}
        for number, opened in enumerate(calendars):
            names = [name for _, of, name, _ in keys if of == number]
            for start in range(0, len(names), OCTETS_PAGE):
                part = names[start : start + OCTETS_PAGE]
                there = await opened.store.resources(opened.collection.collection_id, part, with_octets=True)
                made = await off_loop(sum(len(each.octets) for each in there), self._shown_all, opened, there)
                shown |= {(number, one.resource.name): one for one in made if one.resource is not None}
        return [shown[number, name] for _, number, name, _ in keys if (number, name) in shown]

    async def _again(self, opened: Opened, name: str) -> ShownEvent:
        try:
            return self.shown(Placed(opened, await self._calendar_objects.get(opened, name)))
        except NoSuchResource:
            raise NoSuchResource("Somebody else has removed that event meanwhile") from None

    def _shown_all(self, opened: Opened, resources: list[Resource]) -> list[ShownEvent]:
        return [self.shown(Placed(opened, each)) for each in resources]

    def shown(self, placed: Placed) -> ShownEvent:
        """Give an object as it is shown; it was read with its octets."""
        zone = self._calendar_objects.floating_zone(placed.opened)
        view = event_view.view(placed.resource.octets, zone)
        return ShownEvent(placed.object_id, placed.collection_object_id, view, placed.resource)


def _of_deleted(opened: Opened, gone: DeletedResource) -> ShownEvent:
    place = DavPlace(opened.owner.account_id, resource_id=gone.resource_id)
    view = EventView(gone.uid, gone.component, gone.summary, "", "", None, None, "", "")
    return ShownEvent(place.object_id, collection_object_id(opened), view, None, gone.deleted_at)
