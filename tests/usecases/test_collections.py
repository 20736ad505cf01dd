"""Calendars and address books: the first ones, whose they are, what others may do."""

import asyncio

import pytest

from mailstead.model.dav import Access, CollectionKind, CollectionTraits, NewResource, ResourceFacts, Share
from mailstead.model.errors import (
    BadCollectionName,
    CollectionExists,
    NoSuchAccount,
    NoSuchCollection,
    NotAllowed,
)
from mailstead.usecases.collections import RESERVED
from mailstead.usecases.first_calendars import asks_for_the_first

CALENDAR, ADDRESSBOOK, INBOX = CollectionKind.CALENDAR, CollectionKind.ADDRESSBOOK, CollectionKind.INBOX
APPLES = "0A1B2C3D-0000-4000-8000-00000000000F"


@pytest.fixture
def me(alice, actor_of):
    return actor_of(alice)


@pytest.fixture
def him(bob, actor_of):
    return actor_of(bob)


def names(opened):
    return [each.name for each in opened]


async def shared(storage, collections, me, alice, bob, access=Access.READ, **more):
    work = await collections.create(
        me, alice, CALENDAR, "work", CollectionTraits(display_name="Work", color="#111111", dead={"{x:}y": "<y/>"})
    )
    share = Share(
        alice.account_id,
        work.collection.collection_id,
        CALENDAR,
        bob.account_id,
        access,
        "from-alice",
        CollectionTraits(),
        **more,
    )
    await storage.sharing.put_share(share)
    return work


# the first ones


async def test_the_first_collections_are_made_once_and_never_again(collections, me, alice):
    (calendar,) = await collections.home(me, alice, CALENDAR)
    assert (calendar.name, calendar.traits.display_name, calendar.traits.color) == ("default", "Calendar", "#0000FF")
    assert calendar.traits.components == ("VEVENT", "VTODO")
    (book,) = await collections.home(me, alice, ADDRESSBOOK)
    assert (book.name, book.traits.display_name) == ("default", "Contacts")
    assert names(await collections.home(me, alice, INBOX)) == ["inbox"]
    await collections.delete(me, calendar)
    await collections.delete(me, book)
    assert await collections.home(me, alice, CALENDAR) == [] == await collections.home(me, alice, ADDRESSBOOK)


async def test_many_devices_that_look_at_once_get_one_calendar(collections, me, alice):
    homes = await asyncio.gather(*(collections.home(me, alice, CALENDAR) for _ in range(20)))
    assert {each.collection.collection_id for home in homes for each in home} == {homes[0][0].collection.collection_id}


async def test_the_first_calendar_is_there_for_who_opens_it_directly(collections, me, alice):
    assert (await collections.open(me, alice, CALENDAR, "default", Access.WRITE)).access is Access.WRITE


@pytest.mark.parametrize(
    "display_name", ["Reminders", "Erinnerungen", "リマインダー", "TÂCHES", "DEFAULT_CALENDAR_NAME"]
)
async def test_apple_that_asks_for_a_first_calendar_again_gets_the_one_there_is(collections, me, alice, display_name):
    (calendar,) = await collections.home(me, alice, CALENDAR)
    for components in ((), ("VTODO",), ("VEVENT", "VTODO")):
        traits = CollectionTraits(display_name=display_name, components=components)
        made = await collections.create(me, alice, CALENDAR, APPLES, traits)
        assert made.collection.collection_id == calendar.collection.collection_id
    assert len(await collections.home(me, alice, CALENDAR)) == 1


async def test_a_first_calendar_that_does_not_suit_is_made(collections, me, alice):
    made = await collections.create(
        me, alice, CALENDAR, APPLES, CollectionTraits(display_name="Reminders", components=("VJOURNAL",))
    )
    assert made.name == APPLES
    (default, _) = await collections.home(me, alice, CALENDAR)
    await collections.delete(me, default)
    again = await collections.create(
        me, alice, CALENDAR, "1" + APPLES[1:], CollectionTraits(display_name="DEFAULT_TASK_CALENDAR_NAME")
    )
    assert again.name == "1" + APPLES[1:]


async def test_whoever_calls_a_list_tasks_in_another_client_gets_one(collections, me, alice):
    for name in ("tasks", APPLES.lower()):
        made = await collections.create(me, alice, CALENDAR, name, CollectionTraits(display_name="Tasks"))
        assert made.name == name
    assert asks_for_the_first("x", "DEFAULT_TASK_CALENDAR_NAME")
    assert not asks_for_the_first(APPLES, "Family")


# life


async def test_create_change_and_delete(collections, me, alice):
    made = await collections.create(me, alice, CALENDAR, "work", CollectionTraits(display_name="Work"))
    assert (made.traits.components, made.is_own, made.access) == (("VEVENT", "VTODO"), True, Access.WRITE)
    with pytest.raises(CollectionExists):
        await collections.create(me, alice, CALENDAR, "work", CollectionTraits())
    await collections.create(me, alice, ADDRESSBOOK, "work", CollectionTraits())
    changed = await collections.set_traits(me, made, CollectionTraits(display_name="Job"))
    assert (changed.traits.display_name, changed.traits.components) == ("Job", ("VEVENT", "VTODO"))
    assert (await collections.open(me, alice, CALENDAR, "work")).traits == changed.traits
    await collections.delete(me, changed)
    with pytest.raises(NoSuchCollection):
        await collections.open(me, alice, CALENDAR, "work")
    assert names(await collections.home(me, alice, CALENDAR)) == ["default"]
    assert names(await collections.home(me, alice, ADDRESSBOOK)) == ["default", "work"]


@pytest.mark.parametrize("name", [*sorted(RESERVED), "Outbox", "", "a/b"])
async def test_names_with_a_meaning_are_refused(collections, me, alice, name):
    with pytest.raises(BadCollectionName):
        await collections.create(me, alice, CALENDAR, name, CollectionTraits())


async def test_the_inbox_stays(collections, me, alice):
    inbox = await collections.open(me, alice, INBOX, "inbox")
    with pytest.raises(NotAllowed):
        await collections.delete(me, inbox)


async def test_nobody_writes_what_is_fetched_from_elsewhere(collections, me, alice):
    made = await collections.create(
        me, alice, CALENDAR, "far", CollectionTraits(), source_url="https://far.example.test/a.ics"
    )
    assert made.access is Access.READ
    with pytest.raises(NotAllowed):
        await collections.open(me, alice, CALENDAR, "far", Access.WRITE)
    await collections.delete(me, made)


async def test_a_new_calendar_takes_no_name_of_one_that_is_shared(storage, collections, me, him, alice, bob):
    await shared(storage, collections, me, alice, bob)
    with pytest.raises(CollectionExists):
        await collections.create(him, bob, CALENDAR, "from-alice", CollectionTraits())


# who


async def test_accounts_by_the_names_in_paths(collections, me, alice, bob):
    assert await collections.account(me, str(alice.address)) == alice
    assert await collections.account(me, alice.address.local_part) == alice
    for name in (str(bob.address), "nobody", "", "a b@", "nobody@example.test"):
        with pytest.raises(NoSuchAccount):
            await collections.account(me, name)


async def test_others_see_nothing(collections, him, alice):
    with pytest.raises(NoSuchAccount):
        await collections.home(him, alice, CALENDAR)
    with pytest.raises(NoSuchCollection):
        await collections.open(him, alice, CALENDAR, "default")
    with pytest.raises(NoSuchAccount):
        await collections.create(him, alice, CALENDAR, "x", CollectionTraits())
    with pytest.raises(NoSuchAccount):
        await collections.usage(him, alice)


async def test_delegates(storage, collections, me, him, alice, bob):
    await storage.sharing.set_delegate(alice.account_id, bob.account_id, Access.READ)
    assert await collections.account(him, str(alice.address)) == alice
    assert await collections.account(me, str(bob.address)) == bob, "who acts for me is known to me"
    assert await collections.delegators(him) == [(alice, Access.READ)]
    (calendar,) = await collections.home(him, alice, CALENDAR)
    assert (calendar.access, calendar.is_own) == (Access.READ, False)
    with pytest.raises(NotAllowed):
        await collections.open(him, alice, CALENDAR, "default", Access.WRITE)
    with pytest.raises(NotAllowed):
        await collections.set_traits(him, calendar, CollectionTraits())
    await storage.sharing.set_delegate(alice.account_id, bob.account_id, Access.WRITE)
    calendar = await collections.open(him, alice, CALENDAR, "default", Access.WRITE)
    await collections.set_traits(him, calendar, CollectionTraits(display_name="Hers"))
    with pytest.raises(NotAllowed):
        await collections.delete(him, calendar)
    with pytest.raises(NotAllowed):
        await collections.create(him, alice, CALENDAR, "new", CollectionTraits())
    await storage.sharing.set_delegate(alice.account_id, bob.account_id, None)
    with pytest.raises(NoSuchCollection):
        await collections.open(him, alice, CALENDAR, "default")


async def test_a_delegate_does_not_see_what_others_share_with_the_owner(storage, collections, me, him, alice, bob):
    await shared(storage, collections, me, alice, bob)
    await storage.sharing.set_delegate(bob.account_id, alice.account_id, Access.WRITE)
    assert names(await collections.home(me, bob, CALENDAR)) == ["default"]
    with pytest.raises(NoSuchCollection):
        await collections.open(me, bob, CALENDAR, "from-alice")


async def test_a_shared_calendar_is_in_the_home_of_whom_it_is_shared_with(storage, collections, me, him, alice, bob):
    work = await shared(storage, collections, me, alice, bob)
    _, seen = await collections.home(him, bob, CALENDAR)
    assert (seen.name, seen.owner, seen.access, seen.is_own) == ("from-alice", alice, Access.READ, False)
    assert (seen.traits.display_name, seen.collection) == ("Work", work.collection)
    with pytest.raises(NotAllowed):
        await collections.open(him, bob, CALENDAR, "from-alice", Access.WRITE)
    with pytest.raises(NoSuchCollection):
        await collections.open(him, alice, CALENDAR, "work")
    mine = await collections.set_traits(him, seen, CollectionTraits(display_name="Alice", color="#222222"))
    assert (mine.traits.display_name, mine.traits.color) == ("Alice", "#222222")
    assert (await collections.open(him, bob, CALENDAR, "from-alice")).traits == mine.traits
    assert (await collections.open(me, alice, CALENDAR, "work")).traits.display_name == "Work"
    await collections.delete(him, mine)
    assert names(await collections.home(him, bob, CALENDAR)) == ["default"]
    assert names(await collections.home(me, alice, CALENDAR)) == ["default", "work"]


async def test_a_shared_calendar_may_be_written_where_its_owner_says_so(storage, collections, me, him, alice, bob):
    await shared(storage, collections, me, alice, bob, Access.WRITE)
    seen = await collections.open(him, bob, CALENDAR, "from-alice", Access.WRITE)
    await seen.store.put(seen.collection.collection_id, [NewResource("a", b"x", ResourceFacts("a", "VEVENT"))])
    work = await collections.open(me, alice, CALENDAR, "work")
    assert work.collection.resource_count == 1


async def test_what_is_not_accepted_is_not_there(storage, collections, me, him, alice, bob):
    await shared(storage, collections, me, alice, bob, is_accepted=False)
    assert names(await collections.home(him, bob, CALENDAR)) == ["default"]
    with pytest.raises(NoSuchCollection):
        await collections.open(him, bob, CALENDAR, "from-alice")


async def test_shares_end_with_their_collection(storage, collections, me, him, alice, bob):
    work = await shared(storage, collections, me, alice, bob)
    await collections.delete(me, work)
    assert await storage.sharing.shares_with(bob.account_id) == []


async def test_shares_end_with_the_account(storage, accounts, collections, admin, me, him, alice, bob):
    await shared(storage, collections, me, alice, bob)
    await storage.sharing.set_delegate(alice.account_id, bob.account_id, Access.READ)
    await accounts.remove(admin, alice.address)
    assert names(await collections.home(him, bob, CALENDAR)) == ["default"]
    assert await storage.sharing.shares_with(bob.account_id) == [] == await collections.delegators(him)


async def test_an_administrator_acts_for_everybody(collections, admin, alice):
    assert await collections.account(admin, str(alice.address)) == alice
    assert names(await collections.home(admin, alice, CALENDAR)) == ["default"]
    await collections.create(admin, alice, CALENDAR, "made", CollectionTraits())


async def test_calendars_count_into_what_an_account_holds(collections, me, alice):
    (calendar,) = await collections.home(me, alice, CALENDAR)
    before = await collections.usage(me, alice)
    await calendar.store.put(
        calendar.collection.collection_id, [NewResource("a", b"x" * 100, ResourceFacts("a", "VEVENT"))]
    )
    assert (await collections.usage(me, alice)).size_octets == before.size_octets + 100
