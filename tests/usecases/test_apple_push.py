"""Apple's push for calendars and contacts: keys, who may ask, what devices are told, and how that ends."""

from datetime import timedelta

import pytest

from mailstead.model.address import Address
from mailstead.model.dav import Access, CollectionKind, CollectionTraits, NewResource, ResourceFacts
from mailstead.model.errors import LimitReached, NoSuchCollection, PolicyRefused
from mailstead.ports.apple_push import PushOutcome
from mailstead.storage.embedded import sharing
from mailstead.usecases.apple_push import LIFE, REFRESH, AppleDevices
from mailstead.usecases.dav_push import DavPush
from mailstead.usecases.sharings import Sharings
from mailstead.usecases.web_push import Vapid

CALENDAR, BOOK = CollectionKind.CALENDAR, CollectionKind.ADDRESSBOOK
TOKEN = "0f" * 32


class Apple:
    """Takes notices."""

    is_production = True

    def __init__(self):
        self.topics = {CALENDAR: "calendars", BOOK: "contacts"}
        self.told = []
        self.outcomes = []

    async def tell(self, kind, notice):
        self.told.append((self.topics[kind], notice.token, notice.key))
        self.last = notice
        return self.outcomes.pop(0) if self.outcomes else PushOutcome.TAKEN


@pytest.fixture
def apple():
    return Apple()


@pytest.fixture
def devices(storage, clock, apple):
    return AppleDevices(storage, clock, apple)


@pytest.fixture
def push(storage, bus, clock, devices):
    vapid = Vapid(b"s" * 32, "https://mail.example.test")
    return DavPush(storage, bus, clock, None, vapid, b"k" * 32, token_of=lambda *_: "", apple=devices, merged_s=0.0)


@pytest.fixture
def me(alice, actor_of):
    return actor_of(alice)


@pytest.fixture
def him(bob, actor_of):
    return actor_of(bob)


@pytest.fixture
def sharings(storage, collections, clock):
    return Sharings(storage, collections, clock)


@pytest.fixture
async def opened(collections, me, alice):
    return await collections.open(me, alice, CALENDAR, "default")


@pytest.fixture
async def book(collections, me, alice):
    return await collections.open(me, alice, BOOK, "default")


async def put(opened, name):
    await opened.store.put(
        opened.collection.collection_id, [NewResource(name, name.encode(), ResourceFacts(name, "VEVENT"))]
    )


async def tell(push, *owners):
    push._changed.update(each.account_id for each in owners)
    return await push.tell_changes()


async def test_keys_are_those_of_homes_and_shared_collections_have_their_own(
    devices, collections, sharings, me, him, alice, bob, opened, book
):
    home, contacts = [await devices.home_key(me, alice.account_id, kind) for kind in (CALENDAR, BOOK)]
    assert (devices.key(opened), devices.key(book)) == (home, contacts)
    assert home != contacts
    inbox = await collections.open(me, alice, CollectionKind.INBOX, "inbox")
    assert devices.key(inbox) == home
    await sharings.share(me, opened, Address.parse("bob@example.test"), Access.READ)
    his = await collections.open(him, bob, CALENDAR, "default-alice")
    assert devices.key(his) not in {home, await devices.home_key(him, bob.account_id, CALENDAR)}
    assert await devices.home_key(him, alice.account_id, CALENDAR) == ""


async def test_a_home_is_told_of_whatever_changes_in_it(push, apple, devices, clock, me, alice, opened, book):
    key = await devices.home_key(me, alice.account_id, CALENDAR)
    await devices.subscribe(me, key, TOKEN.upper())
    assert await tell(push, alice) == 0
    await put(opened, "a")
    assert await tell(push, alice) == 1
    assert apple.told == [("calendars", TOKEN, key)]
    assert (apple.last.changed_at, apple.last.submitted_at) == (clock.now(), clock.now())
    assert await tell(push, alice) == 0
    await put(book, "b")
    assert await tell(push, alice) == 0
    made = await opened.store.create_collection(CALENDAR, "work", CollectionTraits())
    assert await tell(push, alice) == 1
    await opened.store.set_traits(made.collection_id, CollectionTraits(display_name="Work"))
    assert await tell(push, alice) == 1
    await opened.store.delete_collection(made.collection_id)
    assert await tell(push, alice) == 1
    assert await tell(push, alice) == 0


async def test_contacts_have_their_own_topic(push, apple, devices, me, alice, opened, book):
    await devices.subscribe(me, devices.key(book), TOKEN)
    await put(opened, "a")
    assert await tell(push, alice) == 0
    await put(book, "b")
    assert await tell(push, alice) == 1
    assert apple.told == [("contacts", TOKEN, devices.key(book))]


async def test_many_changes_make_one_notice_for_each_device(push, apple, devices, me, alice, opened):
    for number in range(3):
        await devices.subscribe(me, devices.key(opened), f"{number:064x}")
    for number in range(5):
        await put(opened, f"{number}")
    assert await tell(push, alice) == 3
    assert len({token for _, token, _ in apple.told}) == 3


async def test_attack_084_a_key_of_another_account_is_refused(devices, storage, me, him, alice, opened, book):
    await opened.store.put(opened.collection.collection_id, [NewResource("x", b"x", ResourceFacts("x", "VEVENT"))])
    own = opened.collection.collection_id
    for key in (devices.key(opened), devices.key(book), f"{alice.account_id}-{own}", f"{alice.account_id}-999"):
        with pytest.raises(NoSuchCollection) as refused:
            await devices.subscribe(him, key, TOKEN)
        assert str(refused.value) == NoSuchCollection.default_text  # the same, whether it is there or not
    assert await storage.sharing.pushes() == []


async def test_attack_084_a_sharee_is_told_of_the_share_alone_and_while_it_lasts(
    push, apple, devices, storage, collections, sharings, me, him, alice, bob, opened
):
    await sharings.share(me, opened, Address.parse("bob@example.test"), Access.READ)
    his = await collections.open(him, bob, CALENDAR, "default-alice")
    await devices.subscribe(him, devices.key(his), TOKEN)
    with pytest.raises(NoSuchCollection):
        await devices.subscribe(him, devices.key(opened), TOKEN)
    await opened.store.create_collection(CALENDAR, "private", CollectionTraits())
    assert await tell(push, alice) == 0
    await put(opened, "a")
    assert await tell(push, alice) == 1
    assert apple.told == [("calendars", TOKEN, devices.key(his))]
    await sharings.unshare(me, opened, Address.parse("bob@example.test"))
    await put(opened, "b")
    assert await tell(push, alice) == 0
    assert await storage.sharing.pushes() == []
    with pytest.raises(NoSuchCollection):
        await devices.subscribe(him, devices.key(his), TOKEN)


async def test_a_delegate_is_told_of_the_home(push, apple, devices, storage, him, alice, bob, opened):
    await storage.sharing.set_delegate(alice.account_id, bob.account_id, Access.READ)
    key = await devices.home_key(him, alice.account_id, CALENDAR)
    assert key == devices.key(opened)
    await devices.subscribe(him, key, TOKEN)
    await put(opened, "a")
    assert await tell(push, alice) == 1
    await storage.sharing.set_delegate(alice.account_id, bob.account_id, None)
    await put(opened, "b")
    assert await tell(push, alice) == 0
    assert await storage.sharing.pushes() == []


@pytest.mark.parametrize(
    "token", ["", "0f", "0f" * 15, "0f" * 101, "0f" * 32 + "0", "zz" * 32, "../" * 20, "0f" * 32 + "\n", "\u0661" * 64]
)
async def test_what_is_no_token(devices, storage, me, opened, token):
    with pytest.raises(PolicyRefused):
        await devices.subscribe(me, devices.key(opened), token)
    assert await storage.sharing.pushes() == []


@pytest.mark.parametrize(
    "key",
    ["", "x", "{0}", "{0}-", "{0}-0", "{0}--1", "{0}-mail", "{0}-1/", "{0}-" + "9" * 19, "{0}-\u0661", "x" * 9999],
)
async def test_what_is_no_key(devices, storage, me, alice, key):
    with pytest.raises(PolicyRefused):
        await devices.subscribe(me, key.format(alice.account_id), TOKEN)


async def test_nothing_is_offered_without_a_certificate(devices, apple, me, alice, opened, book):
    key = devices.key(book)
    del apple.topics[BOOK]
    assert (devices.topic(CALENDAR), devices.topic(CollectionKind.INBOX), devices.topic(BOOK)) == (
        "calendars",
        "calendars",
        "",
    )
    assert (devices.key(book), await devices.home_key(me, alice.account_id, BOOK)) == ("", "")
    with pytest.raises(NoSuchCollection):
        await devices.subscribe(me, key, TOKEN)
    await devices.subscribe(me, devices.key(opened), TOKEN)


async def test_a_certificate_taken_away_tells_nothing_and_forgets_nobody(
    push, apple, devices, storage, bus, clock, me, alice, opened
):
    await devices.subscribe(me, devices.key(opened), TOKEN)
    apple.topics = {}
    await put(opened, "a")
    assert await tell(push, alice) == 0
    without = DavPush(storage, bus, clock, None, Vapid(b"s" * 32, "https://x"), b"k", token_of=lambda *_: "")
    await put(opened, "b")
    assert await tell(without, alice) == 0
    assert apple.told == []
    assert len(await storage.sharing.pushes()) == 1


async def test_asking_again_renews_and_who_does_not_is_forgotten(push, devices, storage, clock, me, alice, opened):
    await devices.subscribe(me, devices.key(opened), TOKEN)
    (first,) = await storage.sharing.pushes()
    assert first.expires_at == clock.now() + LIFE
    assert LIFE > 3 * REFRESH
    await put(opened, "a")
    clock.passed_s += REFRESH.total_seconds()
    await devices.subscribe(me, devices.key(opened), TOKEN.upper())
    (again,) = await storage.sharing.pushes()
    assert (again.push_id, again.expires_at) == (first.push_id, first.expires_at + REFRESH)
    assert await tell(push, alice) == 1  # what came before is not lost by renewing
    clock.passed_s += LIFE.total_seconds()
    await put(opened, "b")
    assert await tell(push, alice) == 0
    assert await push.forget_old(clock.now()) == 1


async def test_an_account_has_a_bounded_number_of_devices(devices, monkeypatch, me, opened):
    monkeypatch.setattr(sharing, "PUSHES_MAX", 3)
    for number in range(3):
        await devices.subscribe(me, devices.key(opened), f"{number:064x}")
    with pytest.raises(LimitReached):
        await devices.subscribe(me, devices.key(opened), TOKEN)
    await devices.subscribe(me, devices.key(opened), f"{1:064x}")


async def test_a_device_that_is_gone_is_forgotten(push, apple, devices, storage, me, alice, opened):
    await devices.subscribe(me, devices.key(opened), TOKEN)
    await devices.subscribe(me, devices.key(opened), "1f" * 32)
    await put(opened, "a")
    apple.outcomes = [PushOutcome.GONE, PushOutcome.TAKEN]
    assert await tell(push, alice) == 1
    assert len(await storage.sharing.pushes()) == 1


async def test_what_is_put_off_is_tried_a_few_times(push, apple, devices, clock, me, alice, opened):
    await devices.subscribe(me, devices.key(opened), TOKEN)
    await put(opened, "a")
    apple.outcomes = [PushOutcome.LATER] * 9
    await tell(push, alice)
    await push.tell_changes()
    assert len(apple.told) == 1
    for _ in range(10):
        clock.passed_s += timedelta(hours=1).total_seconds()
        await push.tell_changes()
    assert len(apple.told) == 4
    apple.outcomes = []
    await put(opened, "b")
    assert await tell(push, alice) == 1


async def test_a_refusal_is_not_repeated(push, apple, devices, clock, storage, me, alice, opened):
    await devices.subscribe(me, devices.key(opened), TOKEN)
    await put(opened, "a")
    apple.outcomes = [PushOutcome.REFUSED]
    await tell(push, alice)
    clock.passed_s += 3600
    await tell(push, alice)
    assert len(apple.told) == 1
    assert len(await storage.sharing.pushes()) == 1


async def test_a_token_shows_in_no_text(devices, storage, me, opened):
    await devices.subscribe(me, devices.key(opened), TOKEN)
    (push,) = await storage.sharing.pushes()
    assert push.apple_token == TOKEN
    assert TOKEN not in repr(push)
