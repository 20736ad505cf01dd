"""What every store must keep of calendars and address books. Spec: `ports.dav`."""

import asyncio
import random
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

from mailstead.model.address import Address
from mailstead.model.dav import (
    TEXT_MAX,
    Access,
    Attachment,
    CollectionKind,
    CollectionTraits,
    Delegate,
    NewResource,
    Precondition,
    PublicLink,
    PushRegistration,
    ResourceFacts,
    ResourceQuery,
    Share,
    Subscription,
)
from mailstead.model.directory import Account, Domain, Verifier
from mailstead.model.errors import (
    BadCollectionName,
    BadSyncToken,
    CollectionExists,
    LimitReached,
    NoSuchAccount,
    NoSuchCollection,
    NoSuchResource,
    NoSuchShare,
    OverQuota,
    PreconditionFailed,
    UidConflict,
)
from mailstead.model.ids import AccountId, ModSeq
from mailstead.model.mailbox import DEFAULT_MAILBOXES
from mailstead.ports.changebus import dav_topic
from mailstead.storage.embedded import dav_writes

CALENDAR, ADDRESSBOOK, INBOX = CollectionKind.CALENDAR, CollectionKind.ADDRESSBOOK, CollectionKind.INBOX
ACCOUNT = AccountId("0123456789abcdef")


def event(name: str, octets: bytes | None = None, uid: str = "", **more) -> NewResource:
    facts = more.pop("facts", ResourceFacts(uid or name, "VEVENT"))
    return NewResource(name, f"octets of {name}\r\n".encode() if octets is None else octets, facts, **more)


def dated(name: str, first_s: int, last_s: int | None, **more) -> NewResource:
    return event(name, facts=ResourceFacts(name, "VEVENT", first_s, last_s, is_dated=True, **more))


@pytest.fixture
def dav(account):
    return account.dav


@pytest.fixture
async def calendar(dav):
    return await dav.create_collection(CALENDAR, "work", CollectionTraits(display_name="Work", components=("VEVENT",)))


# collections


async def test_a_collection_comes_back_as_it_was_made(dav):
    traits = CollectionTraits(
        "Wörk",
        "de",
        "About",
        "#12345678",
        3,
        "BEGIN:VCALENDAR",
        "Europe/Berlin",
        ("VTODO",),
        True,
        "",
        dead={"{a}b": "<b/>"},
    )
    made = await dav.create_collection(CALENDAR, "wörk", traits, source_url="https://far.test/x.ics")
    assert (made.traits, made.name, made.source_url, made.resource_count) == (
        traits,
        "wörk",
        "https://far.test/x.ics",
        0,
    )
    assert await dav.collection(CALENDAR, "wörk") == made == await dav.collection_by_id(made.collection_id)
    assert await dav.collections() == [made]
    with pytest.raises(CollectionExists):
        await dav.create_collection(CALENDAR, "wörk", traits)
    assert (await dav.create_collection(ADDRESSBOOK, "wörk", traits)).collection_id != made.collection_id
    with pytest.raises(NoSuchCollection):
        await dav.collection(INBOX, "wörk")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", "a\nb", "x" * 256, "ä" * 128])
async def test_a_name_that_is_none_is_refused(dav, calendar, name):
    with pytest.raises(BadCollectionName):
        await dav.create_collection(CALENDAR, name, CollectionTraits())
    with pytest.raises(BadCollectionName):
        await dav.put(calendar.collection_id, [event(name)])


async def test_traits_change_and_components_stay(dav, calendar):
    changed = await dav.set_traits(calendar.collection_id, CollectionTraits(display_name="New", components=("VTODO",)))
    assert (changed.traits.display_name, changed.traits.components) == ("New", ("VEVENT",))
    assert changed.traits_modseq > calendar.traits_modseq
    assert changed.modseq == calendar.modseq  # no object has changed
    assert await dav.set_traits(calendar.collection_id, changed.traits) == changed


async def test_deleting_one_collection_never_touches_another(dav, calendar):
    """Reference 8.8, #380."""
    other = await dav.create_collection(CALENDAR, "home", CollectionTraits())
    for each in (calendar, other):
        (put,) = await dav.put(each.collection_id, [event("same.ics")])
        await dav.put_attachment(Attachment(f"of {each.name}", put.resource.resource_id, "a", "text/plain", b"abc"))
    await dav.delete_collection(calendar.collection_id)
    with pytest.raises(NoSuchCollection):
        await dav.resources(calendar.collection_id)
    assert [each.name for each in await dav.resources(other.collection_id)] == ["same.ics"]
    assert (await dav.attachment("of home")).octets == b"abc"
    with pytest.raises(NoSuchResource):
        await dav.attachment("of work")
    again = await dav.create_collection(CALENDAR, "work", CollectionTraits())
    assert again.collection_id > other.collection_id
    assert await dav.resources(again.collection_id) == []


async def test_defaults_are_made_once_whatever_happens(dav):
    defaults = [(INBOX, "inbox", CollectionTraits()), (CALENDAR, "default", CollectionTraits(display_name="Calendar"))]
    assert not await dav.had_defaults()
    assert sorted(await asyncio.gather(*(dav.create_defaults(defaults) for _ in range(5)))) == [False] * 4 + [True]
    assert [each.name for each in await dav.collections()] == ["inbox", "default"]
    for each in await dav.collections():
        await dav.delete_collection(each.collection_id)
    assert not await dav.create_defaults(defaults)
    assert await dav.had_defaults()
    assert await dav.collections() == []


async def test_collections_are_limited(dav):
    for number in range(250):
        await dav.create_collection(CALENDAR, f"c{number}", CollectionTraits())
    with pytest.raises(LimitReached):
        await dav.create_collection(CALENDAR, "more", CollectionTraits())


# resources


@pytest.mark.parametrize(
    "octets",
    [
        b'\xef\xbb\xbfBEGIN\r\n \tx\r\n\\n"\xf0\x9f\x8c\x8d\x7f',
        b"a" * 70_000 + b"\r\n",
        bytes(range(9, 12)) * 3000,
        b"",
        b"FN:M\xfcller\r\n",
        b"FN:x\0y\r\n",
        b"\xed\xa0\x80",
        random.Random(1).randbytes(9000),
    ],
)
async def test_octets_come_back_as_they_were_put(dav, calendar, octets):
    (put,) = await dav.put(calendar.collection_id, [event("a.ics", octets)])
    assert put.is_new
    (read,) = await dav.resources(calendar.collection_id, ["a.ics", "b.ics"], with_octets=True)
    assert read.octets == octets
    assert replace(read, octets=b"") == put.resource == await dav.resource_by_id(put.resource.resource_id)
    assert read.size_octets == len(octets)


async def test_the_same_octets_again_change_nothing(dav, calendar):
    (first,) = await dav.put(calendar.collection_id, [event("a.ics")])
    (again,) = await dav.put(calendar.collection_id, [event("a.ics")])
    assert not again.is_new
    assert again.resource == first.resource
    (changed,) = await dav.put(calendar.collection_id, [event("a.ics", b"other")])
    assert changed.resource.resource_id == first.resource.resource_id
    assert changed.resource.etag != first.resource.etag
    assert changed.resource.modseq > first.resource.modseq
    await dav.put(calendar.collection_id, [event("b.ics", b"other", uid="b")])
    first_b, changed_a = await dav.resources(calendar.collection_id, ["b.ics", "a.ics"])
    assert first_b.etag == changed_a.etag


async def test_pages_by_name(dav, calendar):
    await dav.put(calendar.collection_id, [event(f"{number:03}.ics") for number in range(25)])
    names, after = [], ""
    while page := await dav.resources(calendar.collection_id, after=after, limit=10):
        names += [each.name for each in page]
        after = page[-1].name
    assert names == [f"{number:03}.ics" for number in range(25)]


async def test_preconditions_are_judged_at_the_change(dav, calendar):
    there = calendar.collection_id
    for precondition in (
        Precondition(must_exist=True),
        Precondition(etags=frozenset({"x"})),
        Precondition(schedule_tag="x"),
    ):
        with pytest.raises(PreconditionFailed):
            await dav.put(there, [event("a.ics", precondition=precondition)])
    assert await dav.resources(there) == []
    (put,) = await dav.put(there, [event("a.ics", precondition=Precondition(must_be_absent=True), schedule_tag="s1")])
    etag = put.resource.etag
    for precondition in (
        Precondition(must_be_absent=True),
        Precondition(etags=frozenset({"x"})),
        Precondition(absent_etags=frozenset({etag})),
        Precondition(schedule_tag="s2"),
    ):
        with pytest.raises(PreconditionFailed):
            await dav.put(there, [event("a.ics", b"new", precondition=precondition)])
        with pytest.raises(PreconditionFailed):
            await dav.delete(there, "a.ics", precondition)
    await dav.put(
        there, [event("a.ics", b"new", precondition=Precondition(etags=frozenset({etag, "y"}), schedule_tag="s1"))]
    )
    with pytest.raises(PreconditionFailed):
        await dav.delete(there, "a.ics", Precondition(etags=frozenset({etag})))
    assert (await dav.resources(there))[0].schedule_tag == "s1"


async def test_of_two_who_change_the_same_one_wins(dav, calendar):
    (put,) = await dav.put(calendar.collection_id, [event("a.ics")])
    same = Precondition(etags=frozenset({put.resource.etag}))
    tries = (
        dav.put(calendar.collection_id, [event("a.ics", f"by {who}".encode(), precondition=same)]) for who in range(8)
    )
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(each, PreconditionFailed) for each in results) == 7


async def test_a_put_of_many_is_whole_or_not_at_all(dav, calendar):
    await dav.put(calendar.collection_id, [event("old.ics", uid="taken")])
    with pytest.raises(UidConflict) as told:
        await dav.put(calendar.collection_id, [event("a.ics"), event("b.ics"), event("c.ics", uid="taken")])
    assert told.value.log_fields["name"] == "old.ics"
    assert [each.name for each in await dav.resources(calendar.collection_id)] == ["old.ics"]


async def test_a_uid_is_once_in_a_collection_but_for_the_inbox(dav, calendar):
    other = await dav.create_collection(CALENDAR, "other", CollectionTraits())
    inbox = await dav.create_collection(INBOX, "inbox", CollectionTraits())
    await dav.put(calendar.collection_id, [event("a.ics", uid="u")])
    await dav.put(calendar.collection_id, [event("a.ics", b"changed", uid="u")])
    await dav.put(other.collection_id, [event("a.ics", uid="u")])
    await dav.put(inbox.collection_id, [event("1.ics", uid="u"), event("2.ics", uid="u")])
    assert [each.collection_id for each in await dav.find_uid(CALENDAR, "u")] == [
        calendar.collection_id,
        other.collection_id,
    ]
    assert (await dav.find_uid(CALENDAR, "u"))[0].octets == b"changed"
    assert len(await dav.find_uid(INBOX, "u")) == 2
    assert await dav.find_uid(ADDRESSBOOK, "u") == []


async def test_the_index_gives_all_that_may_match(dav, calendar):
    await dav.put(
        calendar.collection_id,
        [
            dated("past", 100, 200),
            dated("inside", 1000, 1100),
            dated("endless", 500, None, is_recurring=True),
            dated("later", 5000, 6000),
            event("undated"),
            NewResource(
                "task",
                b"t",
                ResourceFacts("task", "VTODO", 1000, 1001, is_dated=True, text="buy milk\nsoon", summary="Buy"),
            ),
        ],
    )

    async def names(**more):
        return [each.name for each in await dav.find(calendar.collection_id, ResourceQuery(**more))]

    assert await names() == ["endless", "inside", "later", "past", "task", "undated"]
    assert await names(starts_s=900, ends_s=2000) == ["endless", "inside", "task", "undated"]
    assert await names(starts_s=900) == ["endless", "inside", "later", "task", "undated"]
    assert await names(ends_s=400) == ["past", "undated"]
    assert await names(components=frozenset({"VTODO"})) == ["task"]
    assert await names(uid="past") == ["past"]
    assert await names(text="milk") == ["task"]
    assert await names(text="Milk") == []
    (endless,) = await dav.find(calendar.collection_id, ResourceQuery(uid="endless"), with_octets=False)
    assert (endless.facts.first_s, endless.facts.last_s, endless.facts.is_recurring, endless.octets) == (
        500,
        None,
        True,
        b"",
    )


async def test_a_text_that_was_cut_may_match_anything(dav, calendar):
    facts = ResourceFacts("long", "VEVENT", 0, 1, is_dated=True, text="x" * TEXT_MAX)
    await dav.put(calendar.collection_id, [NewResource("long", b"l", facts), event("short")])
    assert [each.name for each in await dav.find(calendar.collection_id, ResourceQuery(text="milk"))] == ["long"]


# changes


async def test_changes_are_told_with_what_was_deleted(dav, calendar):
    there = calendar.collection_id
    await dav.put(there, [event("a"), event("b"), event("c")])
    begin = (await dav.collection_by_id(there)).modseq
    await dav.delete(there, "a")
    await dav.put(there, [event("b", b"new")])
    await dav.put(there, [event("d")])
    await dav.delete(there, "d")
    changes = await dav.changes_since(there, begin)
    assert ([each.name for each in changes.changed], changes.deleted, changes.is_complete) == (["b"], ("a", "d"), True)
    assert changes.modseq == (await dav.collection_by_id(there)).modseq
    await dav.put(there, [event("a", b"again")])
    changes = await dav.changes_since(there, begin)
    assert ([each.name for each in changes.changed], changes.deleted) == (["b", "a"], ("d",))
    whole = await dav.changes_since(there, ModSeq(0), with_octets=True)
    assert ({each.name: each.octets for each in whole.changed}, whole.deleted) == (
        {"a": b"again", "b": b"new", "c": b"octets of c\r\n"},
        (),
    )
    assert (await dav.changes_since(there, changes.modseq)).changed == ()
    with pytest.raises(BadSyncToken):
        await dav.changes_since(there, ModSeq(10**12))


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_changes_in_pages_miss_nothing(dav, calendar, limit):
    there = calendar.collection_id
    await dav.put(there, [event(f"{number}") for number in range(9)])
    begin = (await dav.collection_by_id(there)).modseq
    for number in range(9):
        await (dav.delete(there, f"{number}") if number % 3 == 0 else dav.put(there, [event(f"{number}", b"new")]))
    await dav.copy(there, "1", there, "moved", moves=True, overwrites=True)
    changed, deleted, modseq, is_complete = [], [], begin, False
    while not is_complete:
        page = await dav.changes_since(there, modseq, limit)
        assert len(page.changed) + len(page.deleted) <= max(limit, 2)
        changed += [each.name for each in page.changed]
        deleted += page.deleted
        assert page.modseq > modseq
        modseq, is_complete = page.modseq, page.is_complete
    assert (sorted(changed), sorted(deleted)) == (["2", "4", "5", "7", "8", "moved"], ["0", "1", "3", "6"])


async def test_tombstones_are_limited_and_older_tokens_end(dav, calendar, monkeypatch):
    monkeypatch.setattr(dav_writes, "TOMBSTONES_MAX", 3)
    monkeypatch.setattr(dav_writes, "FORGET_EVERY", 5)
    for number in range(20):
        await dav.put(calendar.collection_id, [event(f"{number}.ics")])
        await dav.delete(calendar.collection_id, f"{number}.ics")
    with pytest.raises(BadSyncToken):
        await dav.changes_since(calendar.collection_id, ModSeq(2))
    now = (await dav.collection_by_id(calendar.collection_id)).modseq
    assert (await dav.changes_since(calendar.collection_id, now)).deleted == ()
    assert (await dav.changes_since(calendar.collection_id, ModSeq(now - 1))).deleted == ("19.ics",)
    assert (await dav.changes_since(calendar.collection_id, ModSeq(0))).deleted == ()


async def test_promise_3_a_reader_never_meets_an_older_change_later(dav, calendar):
    there, seen, modseq = calendar.collection_id, set(), ModSeq(0)

    async def write(worker):
        for number in range(15):
            await dav.put(there, [event(f"{worker}-{number}")])

    writers = asyncio.gather(*(write(worker) for worker in range(6)))
    while not writers.done():
        page = await dav.changes_since(there, modseq)
        seen |= {each.name for each in page.changed}
        modseq = page.modseq
    await writers
    seen |= {each.name for each in (await dav.changes_since(there, modseq)).changed}
    assert len(seen) == 90


async def test_watchers_of_calendars_wake_and_those_of_mail_sleep_on(dav, calendar, house, wake):
    woken = asyncio.Event()
    wake.clear()
    with house.bus.watch(dav_topic(ACCOUNT), woken.set):
        await dav.put(calendar.collection_id, [event("a")])
        await asyncio.wait_for(woken.wait(), 5)
    assert not wake.is_set()


# copy and move


async def test_copy_and_move(dav, calendar):
    other = await dav.create_collection(CALENDAR, "other", CollectionTraits())
    (put,) = await dav.put(calendar.collection_id, [event("a", uid="u", schedule_tag="s")])
    await dav.put_attachment(Attachment("m", put.resource.resource_id, "a.txt", "text/plain", b"abc"))
    with pytest.raises(UidConflict):
        await dav.copy(calendar.collection_id, "a", calendar.collection_id, "b", moves=False, overwrites=True)
    copied = await dav.copy(calendar.collection_id, "a", other.collection_id, "b", moves=False, overwrites=False)
    assert copied.is_new
    assert copied.resource.facts == put.resource.facts
    with pytest.raises(PreconditionFailed):
        await dav.copy(calendar.collection_id, "a", other.collection_id, "b", moves=False, overwrites=False)
    with pytest.raises(PreconditionFailed):
        await dav.copy(
            calendar.collection_id,
            "a",
            other.collection_id,
            "b",
            moves=True,
            overwrites=True,
            precondition=Precondition(etags=frozenset({"x"})),
        )
    moved = await dav.copy(calendar.collection_id, "a", other.collection_id, "b", moves=True, overwrites=True)
    assert (moved.is_new, moved.resource.resource_id) == (False, put.resource.resource_id)
    assert (await dav.attachment("m")).resource_id == moved.resource.resource_id
    assert (await dav.changes_since(calendar.collection_id, put.resource.modseq)).deleted == ("a",)
    with pytest.raises(NoSuchResource):
        await dav.copy(calendar.collection_id, "a", other.collection_id, "c", moves=True, overwrites=True)


# quota, attachments, errands


async def test_calendars_and_mail_share_the_quota(account, dav, calendar, storage, make):
    await storage.accounts.set_quota(ACCOUNT, 1000)
    await dav.put(calendar.collection_id, [event("a", b"x" * 600)])
    with pytest.raises(OverQuota):
        await dav.put(calendar.collection_id, [event("b", b"y" * 500)])
    with pytest.raises(OverQuota):
        await account.append("INBOX", [make(1, body="z" * 500)])
    assert (await account.usage()).size_octets == 600
    await dav.put(calendar.collection_id, [event("a", b"x" * 100)])
    await account.append("INBOX", [make(1, body="z" * 500)])
    await dav.delete(calendar.collection_id, "a")
    await storage.accounts.set_quota(ACCOUNT, 10)
    await dav.delete_collection(calendar.collection_id)  # removing works in a full account


async def test_attachments_belong_to_their_resource(dav, calendar):
    (put,) = await dav.put(calendar.collection_id, [event("a")])
    resource_id = put.resource.resource_id
    for number in range(10):
        await dav.put_attachment(Attachment(f"m{number}", resource_id, f"{number}.txt", "text/plain", b"\0\xff" * 10))
    with pytest.raises(LimitReached):
        await dav.put_attachment(Attachment("m10", resource_id, "x", "text/plain", b""))
    await dav.put_attachment(Attachment("m1", resource_id, "new.txt", "text/html", b"new"))
    assert await dav.attachment("m1") == Attachment("m1", resource_id, "new.txt", "text/html", b"new")
    assert [each.managed_id for each in await dav.attachments(resource_id)] == [f"m{number}" for number in range(10)]
    await dav.delete_attachment("m2")
    await dav.delete_attachment("m2")
    await dav.delete(calendar.collection_id, "a")
    with pytest.raises(NoSuchResource):
        await dav.attachment("m1")
    with pytest.raises(NoSuchResource):
        await dav.put_attachment(Attachment("m", resource_id, "x", "text/plain", b""))


async def test_errands_stay_until_they_are_done_also_over_a_restart(dav, calendar, house):
    (put,) = await dav.put(calendar.collection_id, [event("a", errand=b"invite")])
    (same,) = await dav.put(calendar.collection_id, [event("a", errand=b"again")])
    deleted = await dav.delete(calendar.collection_id, "a", errand=b"cancel")
    with pytest.raises(NoSuchResource):
        await dav.delete(calendar.collection_id, "a", errand=b"never")
    await house.close()
    dav = (await house.open()).accounts.of(ACCOUNT).dav
    assert [each.octets for each in await dav.errands()] == [b"invite", b"again", b"cancel"]
    for errand_id in (put.errand_id, deleted, deleted):
        await dav.finish_errand(errand_id)
    assert [each.errand_id for each in await dav.errands()] == [same.errand_id]


async def test_what_was_put_survives_the_loss_of_unsynced_writes(house, lossy_vfs, tmp_path_factory):
    """Promise 4 for objects: all files are copied as they would be after a power cut."""
    lossy_vfs.register()
    storage = await house.open(vfs=lossy_vfs.NAME)
    await storage.accounts.create(ACCOUNT, DEFAULT_MAILBOXES)
    dav = storage.accounts.of(ACCOUNT).dav
    calendar = await dav.create_collection(CALENDAR, "work", CollectionTraits())
    await dav.put(calendar.collection_id, [event("a"), event("b", errand=b"tell")])
    await dav.delete(calendar.collection_id, "a")
    copied = tmp_path_factory.mktemp("after")
    shutil.copytree(house.folder, copied, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*-shm"))
    dav = (await house.open(folder=copied)).accounts.of(ACCOUNT).dav
    assert [each.name for each in await dav.resources(calendar.collection_id)] == ["b"]
    assert (await dav.changes_since(calendar.collection_id, ModSeq(1))).deleted == ("a",)
    assert [each.octets for each in await dav.errands()] == [b"tell"]


# sharing


@pytest.fixture
async def people(storage):
    await storage.directory.add_domain(Domain("example.test"))
    verifier = Verifier("$argon2id$x", b"s", b"k")
    accounts = [AccountId(f"{number:016x}") for number in range(3)]
    for number, account_id in enumerate(accounts):
        await storage.directory.add_account(
            Account(account_id, Address(f"p{number}", "example.test")), b"salt", 4096, verifier
        )
    return accounts


async def test_shares(storage, people):
    sharing = storage.sharing
    owner, friend, other = people
    share = Share(owner, 7, CALENDAR, friend, Access.READ, "family", CollectionTraits(color="#ff0000"))
    await sharing.put_share(share)
    assert await sharing.shares_of(owner) == [share] == await sharing.shares_with(friend)
    assert await sharing.shares_with(other) == []
    changed = replace(share, access=Access.WRITE, is_accepted=False)
    await sharing.put_share(changed)
    assert await sharing.shares_with(friend) == [changed]
    with pytest.raises(CollectionExists):
        await sharing.put_share(replace(share, collection_id=8))
    await sharing.put_share(replace(share, collection_id=8, name="more"))
    with pytest.raises(NoSuchAccount):
        await sharing.put_share(replace(share, sharee_id=AccountId("f" * 16), name="x"))
    await sharing.remove_share(owner, 8, friend)
    with pytest.raises(NoSuchShare):
        await sharing.remove_share(owner, 8, friend)
    await sharing.forget_collection(owner, 7)
    assert await sharing.shares_with(friend) == []


async def test_delegates(storage, people):
    owner, helper, _ = people
    await storage.sharing.set_delegate(owner, helper, Access.READ)
    await storage.sharing.set_delegate(owner, helper, Access.WRITE)
    assert await storage.sharing.delegates_of(owner) == [Delegate(owner, helper, Access.WRITE)]
    assert await storage.sharing.delegated_to(helper) == [Delegate(owner, helper, Access.WRITE)]
    await storage.sharing.set_delegate(owner, helper, None)
    assert await storage.sharing.delegated_to(helper) == []
    with pytest.raises(NoSuchAccount):
        await storage.sharing.set_delegate(owner, AccountId("f" * 16), Access.READ)


async def test_links_and_subscriptions(storage, people, house):
    owner, other, _ = people
    now = house.clock.now()
    link = PublicLink(b"h" * 32, owner, 3, now, now + timedelta(days=1), hides_details=True)
    await storage.sharing.put_link(link)
    assert await storage.sharing.link(b"h" * 32) == link
    assert await storage.sharing.link(b"x" * 32) is None
    assert await storage.sharing.links_of(owner) == [link]
    await storage.sharing.remove_link(b"h" * 32)
    with pytest.raises(NoSuchShare):
        await storage.sharing.remove_link(b"h" * 32)
    due = Subscription(owner, 4, "https://far.test/a.ics", 3600, now)
    later = Subscription(other, 4, "https://far.test/b.ics", 3600, now + timedelta(hours=1), "it failed")
    for each in (due, later):
        await storage.sharing.put_subscription(each)
    assert await storage.sharing.subscriptions_of(other) == [later]
    until = now + timedelta(minutes=5)
    taken = await asyncio.gather(*(storage.sharing.due_subscriptions(now, until, 10) for _ in range(3)))
    assert sorted(len(each) for each in taken) == [0, 0, 1]
    assert [each.url for each in await storage.sharing.due_subscriptions(until, until + timedelta(minutes=5), 10)] == [
        due.url
    ]


async def test_all_goes_with_the_account(storage, people, house):
    owner, friend, _ = people
    await storage.sharing.put_share(Share(owner, 7, CALENDAR, friend, Access.READ, "family", CollectionTraits()))
    await storage.sharing.set_delegate(owner, friend, Access.READ)
    await storage.sharing.put_link(PublicLink(b"h" * 32, owner, 3, house.clock.now()))
    await storage.sharing.put_subscription(Subscription(owner, 4, "https://far.test/a.ics", 3600, house.clock.now()))
    await storage.directory.remove_account(owner)
    assert await storage.sharing.shares_with(friend) == []
    assert await storage.sharing.delegated_to(friend) == []
    assert await storage.sharing.link(b"h" * 32) is None
    assert await storage.sharing.due_subscriptions(house.clock.now(), house.clock.now(), 10) == []


async def test_links_run_out(storage, people, house):
    owner, _, _ = people
    now = house.clock.now()
    ends = [now, now + timedelta(hours=1), None]
    for number, end in enumerate(ends):
        await storage.sharing.put_link(PublicLink(bytes([number]) * 32, owner, 3, now, end))
    assert await storage.sharing.expire_links(now) == 1
    assert await storage.sharing.expire_links(now) == 0
    assert [each.expires_at for each in await storage.sharing.links_of(owner)] == ends[1:]


async def test_registrations_for_push(storage, people, house):
    watcher, owner, _ = people
    now = house.clock.now()

    def push(push_id, collection_id=3, url="https://push.test/1", life=timedelta(days=1)):
        return PushRegistration(push_id, watcher, owner, collection_id, url, b"\x04key", b"secret", now + life)

    await storage.sharing.put_push(push("a"))
    assert await storage.sharing.push("a") == push("a")
    assert await storage.sharing.push("b") is None
    await storage.sharing.put_push(push("a", life=timedelta(days=2)))
    await storage.sharing.put_push(push("b"))  # the same device and collection again: in its place
    assert await storage.sharing.pushes() == [push("b")]
    await storage.sharing.put_push(push("c", collection_id=4, life=timedelta(0)))
    assert await storage.sharing.expire_pushes(now) == 1
    await storage.sharing.put_push(push("d", collection_id=4))
    await storage.sharing.forget_collection(owner, 3)
    assert [each.push_id for each in await storage.sharing.pushes()] == ["d"]
    await storage.sharing.remove_push("d")
    await storage.sharing.remove_push("d")
    with pytest.raises(NoSuchAccount):
        await storage.sharing.put_push(replace(push("e"), watcher_id=AccountId("f" * 16)))
    await storage.sharing.put_push(push("f"))
    await storage.directory.remove_account(owner)
    assert await storage.sharing.pushes() == []


# what is gone, for programs that name objects by a key


async def test_what_was_deleted_is_known_by_its_key_and_what_moved_is_not_deleted(dav, calendar):
    other = await dav.create_collection(CALENDAR, "other", CollectionTraits())
    assert await dav.last_resource_id() == 0
    kept, gone, moved = [
        (await dav.put(calendar.collection_id, [event(name)]))[0].resource for name in ("kept", "gone", "moved")
    ]
    assert await dav.last_resource_id() == moved.resource_id > gone.resource_id > kept.resource_id
    await dav.delete(calendar.collection_id, "gone")
    await dav.copy(calendar.collection_id, "moved", other.collection_id, "moved", moves=True, overwrites=False)
    (deleted,) = await dav.deleted_since(calendar.collection_id, 0)
    assert (deleted.resource_id, deleted.name, deleted.uid, deleted.component) == (
        gone.resource_id, "gone", "gone", "VEVENT",
    )  # fmt: skip
    assert await dav.deleted_since(calendar.collection_id, deleted.modseq) == []
    await dav.delete(other.collection_id, "moved")
    assert [each.name for each in await dav.deleted_since(other.collection_id, 0)] == ["moved"]
    await dav.put(calendar.collection_id, [event("gone")])  # the name is there again, under another key
    assert "gone" not in {each.name for each in await dav.deleted_since(calendar.collection_id, 0)}
    assert await dav.last_resource_id() > moved.resource_id
    with pytest.raises(NoSuchCollection):
        await dav.deleted_since(999, 0)


async def test_outlines_are_of_what_is_found(dav, calendar):
    query = ResourceQuery(starts_s=100, ends_s=200)
    await dav.put(
        calendar.collection_id, [dated("b", 150, 160), dated("a", 90, None), event("c"), dated("d", 300, 310)]
    )
    for asked in (ResourceQuery(), query):
        found = await dav.find(calendar.collection_id, asked)
        assert [(each.name, each.facts.first_s, each.size_octets) for each in found] == [
            tuple(each) for each in await dav.outlines(calendar.collection_id, asked)
        ]
    assert [each.name for each in await dav.outlines(calendar.collection_id, query)] == ["a", "b", "c"]
    with pytest.raises(NoSuchCollection):
        await dav.outlines(999, query)
