"""Events and tasks over the API: ids that last, spans with recurrence, preconditions, deletions that are told."""

from datetime import UTC, datetime

import pytest

from mailstead.model.dav import CollectionKind
from mailstead.model.errors import (
    BadObject,
    NoSuchCollection,
    NoSuchResource,
    PreconditionFailed,
    TooManyMatches,
    UidConflict,
)
from mailstead.model.people import Listing
from mailstead.usecases import events
from mailstead.usecases.calendars import CalendarWish
from mailstead.usecases.collections import DEFAULT
from mailstead.usecases.dav_objects import DavObjects, collection_object_id
from mailstead.usecases.events import EventQuery
from usecases.api_home import api_home, event

CALENDAR = CollectionKind.CALENDAR


@pytest.fixture
def home(storage, clock):
    return api_home(storage, clock)


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


async def found(home, actor, listing=None, **query):
    page = await home.events.find(actor, EventQuery(**query), listing or Listing(limit=100))
    return [each.view.uid for each in page.items], page.item_count


def day(number, hour=0):
    return datetime(2026, 1, number, hour, tzinfo=UTC)


async def test_an_event_is_as_dav_clients_see_it(home, actor, alice):
    octets = event("one", summary="Tea")
    made = await home.events.create(actor, "", octets)
    assert (made.view.summary, made.view.start_at) == ("Tea", day(10, 9))
    opened = await home.collections.open(actor, alice, CALENDAR, DEFAULT)
    assert (await home.calendar_objects.get(opened, "one.ics")).octets == octets
    await home.calendar_objects.put(opened, "one.ics", event("one", summary="Coffee"))
    again = await home.events.show(actor, made.object_id)
    assert (again.view.summary, again.object_id) == ("Coffee", made.object_id)
    assert (await home.events.show(actor, "one")).object_id == made.object_id
    assert again.calendar_object_id == collection_object_id(opened)


async def test_events_are_found_by_span_with_their_recurrence(home, actor):
    await home.events.create(actor, "", event("weekly", "20260105T090000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY"))
    await home.events.create(actor, "", event("once", "20260106T090000Z", "DURATION:PT1H"))
    await home.events.create(actor, "", event("task", "", component="VTODO"))
    assert await found(home, actor) == (["task", "weekly", "once"], 3)
    assert await found(home, actor, starts_at=day(6), ends_at=day(7)) == (["task", "once"], 2)
    assert await found(home, actor, starts_at=day(19), ends_at=day(20)) == (["task", "weekly"], 2)
    assert await found(home, actor, starts_at=day(20), ends_at=day(21)) == (["task"], 1)
    assert await found(home, actor, ends_at=day(6)) == (["task", "weekly"], 2)
    assert await found(home, actor, Listing(2, 2)) == (["once"], 3)
    with pytest.raises(BadObject):
        await found(home, actor, starts_at=day(7), ends_at=day(7))


async def test_events_of_one_calendar(home, actor):
    work = await home.calendars.create(actor, CalendarWish("Work"), "work")
    await home.events.create(actor, collection_object_id(work), event("work"))
    await home.events.create(actor, "", event("home"))
    for name in ("work", "Work", collection_object_id(work)):
        assert await found(home, actor, calendar=name) == (["work"], 1)
    assert (await found(home, actor))[1] == 2
    with pytest.raises(NoSuchCollection):
        await found(home, actor, calendar="none")


async def test_an_event_is_replaced_and_moved_and_keeps_its_id(home, actor):
    work = await home.calendars.create(actor, CalendarWish("Work"), "work")
    made = await home.events.create(actor, "", event("one"), "my-own.ics")
    changed = await home.events.change(actor, made.object_id, octets=event("one", summary="New"), calendar="work")
    assert (changed.object_id, changed.view.summary) == (made.object_id, "New")
    assert changed.calendar_object_id == collection_object_id(work)
    assert (await home.events.change(actor, made.object_id, calendar="work")).resource == changed.resource
    with pytest.raises(UidConflict):
        await home.events.change(actor, made.object_id, octets=event("another"))
    await home.events.create(actor, "", event("one"), "my-own")
    with pytest.raises(UidConflict):
        await home.events.change(actor, "my-own", calendar="work")


async def test_an_etag_guards_a_change(home, actor):
    made = await home.events.create(actor, "", event("one"))
    etag = made.resource.etag
    changed = await home.events.change(actor, made.object_id, octets=event("one", summary="New"), etag=etag)
    for doing in (
        home.events.change(actor, made.object_id, octets=event("one", summary="Lost"), etag=etag),
        home.events.change(actor, made.object_id, calendar="default", etag=etag),
        home.events.delete(actor, made.object_id, etag),
    ):
        with pytest.raises(PreconditionFailed):
            await doing
    assert (await home.events.show(actor, made.object_id)).view.summary == "New"
    await home.events.delete(actor, made.object_id, changed.resource.etag)


async def test_a_deletion_is_told_to_dav_clients_and_remembered(home, actor, alice, clock):
    opened = await home.collections.open(actor, alice, CALENDAR, DEFAULT)
    made = await home.events.create(actor, "", event("one", summary="Tea"))
    before = (await opened.store.collection_by_id(opened.collection.collection_id)).modseq
    gone = await home.events.delete(actor, made.object_id)
    assert (gone.object_id, gone.view.summary, gone.deleted_at) == (made.object_id, "Tea", clock.now())
    changes = await opened.store.changes_since(opened.collection.collection_id, before)
    assert changes.deleted == ("one.ics",)
    with pytest.raises(NoSuchResource):
        await home.events.show(actor, made.object_id)
    await home.events.create(actor, "", event("two"))
    assert await found(home, actor) == (["two"], 1)
    assert await found(home, actor, is_deleted_wanted=True) == (["two", "one"], 2)
    assert await found(home, actor, Listing(2, 1), is_deleted_wanted=True) == (["one"], 2)
    page = await home.events.find(actor, EventQuery(is_deleted_wanted=True), Listing(2, 1))
    assert (page.items[0].object_id, page.items[0].view.summary) == (made.object_id, "Tea")


async def test_what_was_moved_and_then_deleted_is_told_once(home, actor):
    await home.calendars.create(actor, CalendarWish("Work"), "work")
    made = await home.events.create(actor, "", event("one"))
    await home.events.change(actor, made.object_id, calendar="work")
    assert await found(home, actor, is_deleted_wanted=True) == (["one"], 1)
    await home.events.delete(actor, made.object_id)
    assert await found(home, actor, is_deleted_wanted=True) == (["one"], 1)


async def test_what_is_there_twice_is_refused(home, actor):
    await home.events.create(actor, "", event("one"), "name")
    with pytest.raises(UidConflict):
        await home.events.create(actor, "", event("one"), "other")
    with pytest.raises(UidConflict):
        await home.events.create(actor, "", event("two"), "name")
    for octets in (b"", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", b"\xff"):
        with pytest.raises(BadObject):
            await home.events.create(actor, "", octets)
    made = await home.events.create(actor, "", event("../../etc"), "../../etc/passwd")
    assert "/" not in made.resource.name


async def test_attack_092_nobody_reaches_the_events_of_others(home, actor, bob, actor_of, storage):
    theirs = await home.events.create(actor_of(bob), "", event("secret"))
    book = await home.objects.first(actor, CollectionKind.ADDRESSBOOK)
    for object_id in (theirs.object_id, theirs.object_id[:16] + "0" * 8, "f" * 24, "0" * 24, "", "secret"):
        with pytest.raises(NoSuchResource):
            await home.events.show(actor, object_id)
        with pytest.raises(NoSuchResource):
            await home.events.delete(actor, object_id)
    with pytest.raises(NoSuchCollection):
        await home.events.create(actor, theirs.calendar_object_id, event("mine"))
    with pytest.raises(NoSuchCollection):  # an address book is no calendar
        await home.events.create(actor, collection_object_id(book), event("mine"))
    assert isinstance(home.objects, DavObjects)
    assert (await home.events.show(actor_of(bob), theirs.object_id)).view.uid == "secret"


async def test_attack_098_a_page_is_not_larger_than_memory_allows(home, actor, monkeypatch):
    for uid in ("one", "two"):
        await home.events.create(actor, "", event(uid))
    monkeypatch.setattr(events, "PAGE_OCTETS_MAX", 300)
    assert await found(home, actor, Listing(1, 1)) == (["one"], 2)
    with pytest.raises(TooManyMatches):
        await found(home, actor, Listing(1, 2))
