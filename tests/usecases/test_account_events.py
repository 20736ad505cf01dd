"""What happens in an account is told, from the change log: each command of a client as the event it is."""

import asyncio
from dataclasses import replace

import pytest

from mailstead.model.dav import CollectionKind, CollectionTraits
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchAlias, PolicyRefused, StorageUnavailable
from mailstead.model.flags import FlagOperation
from mailstead.model.people import Group, Listing, ObjectId, User, UserId
from mailstead.model.place import Place
from mailstead.model.uidset import UidSet
from mailstead.pim.card_form import CardForm
from mailstead.usecases import account_events, dav_changes
from mailstead.usecases.account_events import AccountEvents
from mailstead.usecases.calendars import CalendarWish
from mailstead.usecases.cards import ContactWish
from mailstead.usecases.mailboxes import Draft, Mailboxes
from mailstead.usecases.staging import Staging
from usecases.api_home import api_home, event

MESSAGE = b"From: Bob <bob@example.test>\r\nSubject: Hello\r\n\r\nHello, Alice\r\n"


@pytest.fixture
async def events(storage, bus):
    made = AccountEvents(storage, bus)
    yield made
    await made.close()


@pytest.fixture
def home(storage, clock):
    return api_home(storage, clock)


@pytest.fixture
def mailboxes(storage, bus, clock):
    return Mailboxes(storage, bus, clock, Staging(2**30))


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


@pytest.fixture
def store(storage, alice):
    return storage.accounts.of(alice.account_id)


class Listening:
    """Collects what is told."""

    def __init__(self):
        self.told = []
        self.woken = asyncio.Event()

    def deliver(self, happenings):
        self.told += happenings
        self.woken.set()

    async def next(self, count=1):
        """Wait until so much was told, and give it."""
        async with asyncio.timeout(20):
            while len(self.told) < count:
                self.woken.clear()
                await self.woken.wait()
        found, self.told = self.told[:count], self.told[count:]
        return found[0] if count == 1 else found


async def mailbox_id(store, name):
    mailbox = await store.mailbox(name)
    return Place(mailbox.mailbox_id, mailbox.uidvalidity).object_id


async def test_mail_that_comes_moves_and_goes(events, mailboxes, actor, store):
    listening = Listening()
    (early,) = await mailboxes.append(actor, "INBOX", [Draft(MESSAGE)])
    async with events.watch(await events.listened(actor), listening.deliver):
        (appended,) = await mailboxes.append(actor, "INBOX", [Draft(MESSAGE)])
        told = await listening.next()
        assert (told.name, told.details["mailbox"], told.message.record.uid) == ("newMessage", "INBOX", appended.uid)
        assert told.message.record.preview == "Hello, Alice"
        inbox = (await store.mailbox("INBOX")).mailbox_id
        await store.store_flags(inbox, UidSet.of([early.uid, appended.uid]), FlagOperation.ADD, ["\\Seen", "Todo"])
        told = await listening.next()
        assert (told.name, told.details["action"], told.details["path"]) == ("flagsUpdated", "set", "INBOX")
        assert (told.details["flags"], told.details["labels"]) == (["\\Seen"], ["Todo"])
        assert told.details["uids"] == [early.uid, appended.uid]
        await store.copy(inbox, UidSet.of([early.uid]), "Archive")
        told = await listening.next()
        assert (told.name, told.details["destinationPath"], told.details["destinationUid"]) == (
            "messagesCopied", "Archive", [1],
        )  # fmt: skip
        await store.move(inbox, UidSet.of([early.uid, appended.uid]), "Trash")
        told = await listening.next()
        assert told.name == "messagesMoved"
        assert (told.details["sourcePath"], told.details["sourceUid"]) == ("INBOX", [early.uid, appended.uid])
        assert (told.details["destinationPath"], told.details["destinationUid"]) == ("Trash", [1, 2])
        assert told.details["sourceMailbox"] == await mailbox_id(store, "INBOX")
        trash = (await store.mailbox("Trash")).mailbox_id
        await store.expunge(trash, None, only_deleted=False)
        told = await listening.next()
        assert (told.name, told.details["uids"], told.details["mailbox"]) == (
            "messagesExpunged", [1, 2], await mailbox_id(store, "Trash"),
        )  # fmt: skip
    assert listening.told == []


async def test_a_move_beside_an_old_gap_is_a_move(events, mailboxes, actor, store):
    """The log merges neighbouring gaps under the higher modseq, and so names what was gone before."""
    await mailboxes.append(actor, "INBOX", [Draft(MESSAGE) for _ in range(4)])
    inbox = (await store.mailbox("INBOX")).mailbox_id
    await store.expunge(inbox, UidSet.of([2]), only_deleted=False)
    listening = Listening()
    async with events.watch(await events.listened(actor), listening.deliver):
        await store.move(inbox, UidSet.of([3]), "Archive")
        told = await listening.next()
        assert (told.name, told.details["sourceUid"]) == ("messagesMoved", [3])
        await store.expunge(inbox, UidSet.of([4]), only_deleted=False)
        told = await listening.next()
        assert (told.name, told.details["uids"]) == ("messagesExpunged", [4])


async def test_mailboxes_are_made_renamed_and_removed(events, actor, store):
    listening = Listening()
    async with events.watch(await events.listened(actor), listening.deliver):
        await store.create_mailbox("Work")
        told = await listening.next()
        made = await mailbox_id(store, "Work")
        assert (told.name, dict(told.details)) == ("mailboxCreated", {"mailbox": made, "path": "Work"})
        await store.rename_mailbox("Work", "Office")
        told = await listening.next()
        assert (told.name, told.details["oldPath"], told.details["newPath"]) == ("mailboxRenamed", "Work", "Office")
        await store.delete_mailbox("Office")
        told = await listening.next()
        assert (told.name, told.details["path"], told.details["mailbox"]) == ("mailboxDeleted", "Office", made)


async def test_calendars_and_events(events, home, actor):
    listening = Listening()
    await home.calendars.find(actor, Listing())
    early = await home.events.create(actor, "", event("early"))
    async with events.watch(await events.listened(actor), listening.deliver):
        work = await home.calendars.create(actor, CalendarWish("Work"), "work")
        told = await listening.next()
        assert (told.name, told.collection.traits.display_name) == ("calendarCreated", "Work")
        made = await home.events.create(actor, "work", event("one"))
        told = await listening.next()
        assert (told.name, told.placed.object_id) == ("calendarEventCreated", made.object_id)
        assert told.placed.resource.octets == event("one")
        for octets, object_id in (
            (event("one", summary="New"), made.object_id),
            (event("early", "20260111T000000Z"), early.object_id),
        ):
            await home.events.change(actor, object_id, octets=octets)
            told = await listening.next()
            assert (told.name, told.placed.object_id) == ("calendarEventUpdated", object_id)
        await home.events.change(actor, made.object_id, calendar="default")
        told = await listening.next()
        assert (told.name, told.placed.object_id) == ("calendarEventUpdated", made.object_id)
        assert told.collection.name == "default"
        await home.events.delete(actor, made.object_id)
        told = await listening.next()
        assert (told.name, told.deleted.resource_id) == ("calendarEventDeleted", made.resource.resource_id)
        await home.calendars.change(actor, "work", CalendarWish(color="#123456"))
        told = await listening.next()
        assert (told.name, told.collection.traits.color) == ("calendarUpdated", "#123456")
        await home.calendars.delete(actor, "work")
        told = await listening.next()
        assert (told.name, told.collection.collection.collection_id) == (
            "calendarDeleted", work.collection.collection_id,
        )  # fmt: skip


async def test_address_books_and_contacts(events, home, actor, alice):
    listening = Listening()
    await home.calendars.find(actor, Listing())
    async with events.watch(await events.listened(actor), listening.deliver):
        made = await home.cards.create(actor, ContactWish(form=CardForm("Ada")))
        assert (await listening.next()).name == "contactCreated"
        await home.cards.change(actor, made.placed.object_id, ContactWish(form=CardForm("Bea")))
        assert (await listening.next()).name == "contactUpdated"
        await home.cards.delete(actor, made.placed.object_id)
        told = await listening.next()
        assert (told.name, told.deleted.uid) == ("contactDeleted", made.view.uid)
        await home.collections.create(actor, alice, CollectionKind.ADDRESSBOOK, "more", CollectionTraits("More"))
        assert (await listening.next()).name == "addressBookCreated"
        opened = await home.collections.open(actor, alice, CollectionKind.ADDRESSBOOK, "more")
        opened = await home.collections.set_traits(actor, opened, CollectionTraits("Other"))
        assert (await listening.next()).name == "addressBookUpdated"
        await home.collections.delete(actor, opened)
        assert (await listening.next()).name == "addressBookDeleted"


async def test_very_many_changes_are_told_as_one_of_the_calendar(events, home, actor, alice, monkeypatch):
    monkeypatch.setattr(dav_changes, "OBJECTS_MAX", 3)
    await home.calendars.find(actor, Listing())
    listening = Listening()
    many = b"".join(event(f"e{number}") for number in range(9))
    async with events.watch(await events.listened(actor), listening.deliver):
        opened = await home.collections.open(actor, alice, CollectionKind.CALENDAR, "default")
        await home.calendar_objects.import_all(opened, many)
        while (await listening.next()).name != "calendarUpdated":
            pass


async def test_all_who_listen_are_told_the_same(events, mailboxes, actor):
    first, second = Listening(), Listening()
    async with (
        events.watch(await events.listened(actor), first.deliver),
        events.watch(await events.listened(actor), second.deliver),
    ):
        await mailboxes.append(actor, "INBOX", [Draft(MESSAGE)])
        told = [await each.next() for each in (first, second)]
        assert told[0] is told[1]
    assert events._feeds == {}


async def test_two_processes_give_an_event_the_same_id(events, storage, bus, mailboxes, actor):
    other, first, second = AccountEvents(storage, bus), Listening(), Listening()
    async with (
        events.watch(await events.listened(actor), first.deliver),
        other.watch(await other.listened(actor), second.deliver),
    ):
        await mailboxes.append(actor, "INBOX", [Draft(MESSAGE)])
        assert (await first.next()).notification_id == (await second.next()).notification_id


async def test_a_look_that_fails_is_made_up_for(events, mailboxes, actor, store, monkeypatch):
    monkeypatch.setattr(account_events, "RETRY_S", 0.0)
    listening, failures = Listening(), [StorageUnavailable(), ValueError("a bug"), StorageUnavailable()]
    fetch = type(store).fetch

    async def failing(self, *args):
        if failures:
            raise failures.pop()
        return await fetch(self, *args)

    async with events.watch(await events.listened(actor), listening.deliver):
        monkeypatch.setattr(type(store), "fetch", failing)
        await mailboxes.append(actor, "INBOX", [Draft(MESSAGE)])
        assert (await listening.next()).name == "newMessage"
    assert failures == []


async def test_attack_092_nobody_listens_to_others(events, home, mailboxes, actor, bob, actor_of):
    listening = Listening()
    async with events.watch(await events.listened(actor), listening.deliver):
        await mailboxes.append(actor_of(bob), "INBOX", [Draft(MESSAGE)])
        await home.events.create(actor_of(bob), "", event("secret"))
        await mailboxes.append(actor, "INBOX", [Draft(MESSAGE)])
        assert (await listening.next()).message.record.uid == 1
    assert {each.name for each in listening.told} <= {"calendarCreated", "addressBookCreated"}
    for nobody in (Actor(None, None), Actor(None, None, is_admin=True)):
        with pytest.raises(NoSuchAlias):
            await events.listened(nobody)
    theirs = await events.listened(actor_of(bob))
    with pytest.raises(NoSuchAlias):
        await events.listened(actor, theirs.object_id)


async def test_attack_092_a_token_listens_to_what_its_user_looks_after_and_hears_no_content(
    events, storage, actor, bob
):
    own = await events.listened(actor)
    assert own.hears_content
    entry = await storage.people.address_entry_of_account(bob.account_id)
    await storage.people.add_user(User(UserId("1" * 24), "u@people.test"), None)
    await storage.people.set_member("example.test", UserId("1" * 24), Group.USER)
    await storage.people.set_address_profile("example.test", "bob", replace(entry.profile, user_id=UserId("1" * 24)))
    theirs = entry.profile.object_id

    def token(group=None, user="1", *, is_admin=False):
        groups = {} if group is None else {"example.test": group}
        return Actor(
            None, None, is_admin=is_admin, user_id=UserId(user * 24), groups=groups, token_id=ObjectId("a" * 24)
        )

    for good in (token(Group.USER), token(Group.ADMIN, "2"), token(user="3", is_admin=True)):
        heard = await events.listened(good, theirs)
        assert (heard.account.account_id, heard.hears_content) == (bob.account_id, False)
    refused = [
        (token(Group.USER), own.object_id),
        (token(Group.USER, "2"), theirs),
        (token(), theirs),
        (token(Group.ADMIN), "bob"),
        (token(Group.ADMIN), "0" * 24),
    ]
    with pytest.raises(PolicyRefused):
        await events.listened(token(Group.ADMIN))
    for bad, object_id in refused:
        with pytest.raises(NoSuchAlias):
            await events.listened(bad, object_id)
