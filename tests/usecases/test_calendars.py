"""Calendars over the API: by id or name, made once under a name, removed alone."""

import pytest

from mailstead.model.dav import Access, CollectionKind, CollectionTraits, Share
from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    BadCollectionName,
    BadObject,
    CollectionExists,
    NoSuchCollection,
    NotAllowed,
    PolicyRefused,
)
from mailstead.model.people import Listing
from mailstead.usecases.calendars import CalendarWish, is_read_only
from mailstead.usecases.dav_objects import collection_object_id
from usecases.api_home import api_home, event


@pytest.fixture
def home(storage, clock):
    return api_home(storage, clock)


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


async def names(home, actor, listing=None):
    page = await home.calendars.find(actor, listing or Listing(limit=100))
    return [each.traits.display_name for each in page.items]


async def test_calendars_are_listed_in_their_owners_order(home, actor):
    assert await names(home, actor) == ["Calendar"]
    await home.calendars.create(actor, CalendarWish("Work", "About", "#112233", "Europe/Berlin", 1), "work")
    await home.calendars.create(actor, CalendarWish("First", order=0))
    assert await names(home, actor) == ["First", "Work", "Calendar"]
    assert await names(home, actor, Listing(2, 2)) == ["Calendar"]
    work = await home.calendars.show(actor, "work")
    assert (work.traits.description, work.traits.color, work.traits.timezone_id) == (
        "About",
        "#112233",
        "Europe/Berlin",
    )
    for name in (collection_object_id(work), collection_object_id(work).upper(), "Work"):
        assert (await home.calendars.show(actor, name)).collection == work.collection


async def test_a_calendar_is_changed_and_keeps_its_id(home, actor):
    made = await home.calendars.create(actor, CalendarWish("Work", "About", "#112233"))
    object_id = collection_object_id(made)
    changed = await home.calendars.change(actor, object_id, CalendarWish("Office", order=3))
    assert (changed.traits.display_name, changed.traits.description, changed.traits.order) == ("Office", "About", 3)
    assert collection_object_id(changed) == object_id
    same = await home.calendars.change(actor, object_id, CalendarWish())
    assert same.collection.traits_modseq == changed.collection.traits_modseq
    cleared = await home.calendars.change(actor, object_id, CalendarWish(color="", timezone=""))
    assert (cleared.traits.color, cleared.traits.timezone_id) == ("", "")


async def test_a_calendar_goes_with_its_own_events_only(home, actor):
    work = await home.calendars.create(actor, CalendarWish("Work"), "work")
    await home.events.create(actor, "work", event("one"))
    kept = await home.events.create(actor, "", event("two"))
    await home.calendars.delete(actor, collection_object_id(work))
    assert await names(home, actor) == ["Calendar"]
    assert (await home.events.show(actor, kept.object_id)).view.uid == "two"
    with pytest.raises(NoSuchCollection):
        await home.calendars.show(actor, collection_object_id(work))


@pytest.mark.parametrize(
    ("wish", "calendar_id", "error"),
    [
        (CalendarWish("Calendar"), "", CollectionExists),
        (CalendarWish("New"), "default", CollectionExists),
        (CalendarWish("New"), "inbox", BadCollectionName),
        (CalendarWish("New"), "a/b", BadCollectionName),
        (CalendarWish(), "", PolicyRefused),
        (CalendarWish("  "), "", PolicyRefused),
        (CalendarWish("x" * 201), "", PolicyRefused),
        (CalendarWish("a\0b"), "", PolicyRefused),
        (CalendarWish("New", color="red"), "", PolicyRefused),
        (CalendarWish("New", timezone="Mars/Base"), "", BadObject),
        (CalendarWish("New", timezone="BEGIN:NONSENSE"), "", BadObject),
        (CalendarWish("New", order=2**40), "", PolicyRefused),
    ],
)
async def test_what_is_no_new_calendar(home, actor, wish, calendar_id, error):
    with pytest.raises(error):
        await home.calendars.create(actor, wish, calendar_id)
    assert await names(home, actor) == ["Calendar"]


async def test_a_shared_calendar_is_there_for_reading(home, storage, actor, bob, alice, actor_of):
    theirs = await home.calendars.create(actor_of(bob), CalendarWish("Team"), "team")
    share = Share(
        bob.account_id,
        theirs.collection.collection_id,
        CollectionKind.CALENDAR,
        alice.account_id,
        Access.READ,
        "bobs",
        CollectionTraits(),
    )
    await storage.sharing.put_share(share)
    shown = await home.calendars.show(actor, collection_object_id(theirs))
    assert (shown.traits.display_name, is_read_only(shown)) == ("Team", True)
    with pytest.raises(NotAllowed):
        await home.events.create(actor, "bobs", event())
    await home.calendars.delete(actor, "bobs")
    assert await names(home, actor) == ["Calendar"]
    assert "Team" in await names(home, actor_of(bob))


async def test_attack_092_nobody_reaches_the_calendars_of_others(home, actor, bob, actor_of):
    theirs = await home.calendars.create(actor_of(bob), CalendarWish("Secret"), "secret")
    for verb in (home.calendars.show, home.calendars.delete):
        with pytest.raises(NoSuchCollection):
            await verb(actor, collection_object_id(theirs))
    with pytest.raises(NoSuchCollection):
        await home.calendars.change(actor, collection_object_id(theirs), CalendarWish("Mine"))
    for nobody in (Actor(None, None), Actor(None, None, is_admin=True)):
        with pytest.raises(NotAllowed):
            await home.calendars.find(nobody, Listing())
