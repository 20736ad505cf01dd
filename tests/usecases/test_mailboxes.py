"""`Mailboxes`: whose store it is, appending, searching, sorting, threading, limits; and octets in batches."""

import asyncio
from datetime import UTC, datetime

import pytest

from mailstead.config.settings import Store
from mailstead.mime.ordering import SortCriterion, SortKey
from mailstead.model import search as keys
from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchMailbox, NotAllowed, TooManyConnections, TryAgainLater
from mailstead.model.ids import AccountId
from mailstead.model.mailbox import DEFAULT_MAILBOXES
from mailstead.model.message import OctetRange
from mailstead.model.secret import Secret
from mailstead.model.uidset import UidSet
from mailstead.ports.clock import SystemClock
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.storage import EmbeddedStorage
from mailstead.usecases import mailboxes as module
from mailstead.usecases.mailboxes import Draft, Mailboxes, asks_for_text
from mailstead.usecases.octets import octet_batches
from mailstead.usecases.staging import Staging

ALICE = Actor(AccountId("a" * 16), Address("alice", "example.test"))
BOB = Actor(AccountId("b" * 16), Address("bob", "example.test"))
ADMIN = Actor(None, None, is_admin=True)
LIMIT_S = 20


@pytest.fixture
async def storage(tmp_path):
    settings = Store(disk_reserve_octets=0, master_key=Secret("00" * 32), index_pause_s=1000)
    opened = await EmbeddedStorage.open(settings, tmp_path / "data", LocalBus(), SystemClock())
    for actor in (ALICE, BOB):
        await opened.accounts.create(actor.account_id, DEFAULT_MAILBOXES)
    yield opened
    await opened.close()


@pytest.fixture
def mailboxes(storage):
    return Mailboxes(storage, storage._files._writer._bus, SystemClock(), Staging(10_000_000))


def draft(subject="x", body=b"hi\r\n", sent="Thu, 01 Jan 2026 12:00:00 +0000", more=b""):
    return Draft(f"Date: {sent}\r\nSubject: {subject}\r\n".encode() + more + b"\r\n" + body)


async def inbox_id(mailboxes, actor=ALICE):
    return (await mailboxes.of(actor).mailbox("INBOX")).mailbox_id


async def test_each_actor_reaches_only_its_own_account(mailboxes):
    await mailboxes.append(ALICE, "INBOX", [draft()])
    assert (await mailboxes.of(ALICE).mailbox("INBOX")).message_count == 1
    assert (await mailboxes.of(BOB).mailbox("INBOX")).message_count == 0


def test_attack_053_an_actor_without_account_reaches_none(mailboxes):
    for reach in (mailboxes.of, mailboxes.admit, mailboxes.turn):
        with pytest.raises(NotAllowed):
            reach(ADMIN)
    with pytest.raises(NotAllowed):
        mailboxes.watch(ADMIN, lambda: None)


async def test_append_is_all_or_nothing_and_wakes(mailboxes):
    woken = asyncio.Event()
    with mailboxes.watch(ALICE, woken.set):
        appended = await mailboxes.append(ALICE, "INBOX", [draft("a"), draft("b")])
        await asyncio.wait_for(woken.wait(), LIMIT_S)
    assert [one.uid for one in appended] == [1, 2]
    with pytest.raises(NoSuchMailbox):
        await mailboxes.append(ALICE, "Nowhere", [draft()])


async def test_large_messages_are_looked_at_in_a_thread(mailboxes, monkeypatch):
    import threading

    seen = []
    facts = module.message_facts
    monkeypatch.setattr(
        module, "message_facts", lambda octets: (seen.append(threading.current_thread()), facts(octets))[1]
    )
    await mailboxes.append(ALICE, "INBOX", [draft(), draft(body=b"x" * 100_000)])
    assert seen[0] is threading.main_thread()
    assert seen[1] is not threading.main_thread()


async def test_internaldate_is_now_unless_given(mailboxes):
    given = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
    await mailboxes.append(ALICE, "INBOX", [Draft(b"\r\n", internaldate=given), Draft(b"\r\n")])
    store = mailboxes.of(ALICE)
    first, second = await store.fetch(await inbox_id(mailboxes), UidSet(((1, 2),)), 0)
    assert first.internaldate_s == int(given.timestamp())
    assert abs(second.internaldate_s - datetime.now(UTC).timestamp()) < 60


async def test_replace(mailboxes):
    await mailboxes.append(ALICE, "INBOX", [draft("old")])
    appended = await mailboxes.replace(ALICE, await inbox_id(mailboxes), 1, "INBOX", draft("new"))
    assert appended.uid == 2
    assert (await mailboxes.of(ALICE).snapshot("INBOX")).uids == UidSet(((2, 2),))


async def test_search_catches_the_index_up_and_tells_progress(mailboxes, monkeypatch):
    monkeypatch.setattr(module, "INDEX_STEP", 10)
    await mailboxes.append(ALICE, "INBOX", [draft(body=b"needle %d\r\n" % number) for number in range(45)])
    told = []
    key = keys.Contains(keys.TextField.BODY, "needle")
    found = await mailboxes.search(ALICE, await inbox_id(mailboxes), key, lambda done, goal: told.append((done, goal)))
    assert found == UidSet(((1, 45),))
    assert all(done <= goal for done, goal in told)


async def test_search_finds_all_while_another_indexes_too(mailboxes, monkeypatch):
    """Whoever indexes beside the search takes a smaller batch first; nothing may fall between the two."""
    store = mailboxes.of(ALICE)
    await mailboxes.append(ALICE, "INBOX", [draft(body=b"needle\r\n") for _ in range(30)])
    run, others = store._writer.run, []

    async def with_another_first(*arguments, **options):
        if not others:
            others.append(True)
            await store.index_some(7)
        return await run(*arguments, **options)

    monkeypatch.setattr(store._writer, "run", with_another_first)
    found = await mailboxes.search(ALICE, await inbox_id(mailboxes), keys.Contains(keys.TextField.BODY, "needle"))
    assert others
    assert len(found) == 30


def test_which_keys_ask_for_text():
    text = keys.Contains(keys.TextField.TEXT, "x")
    assert asks_for_text(keys.Not(keys.Or((keys.Everything(), text))))
    assert asks_for_text(keys.And((keys.HasFlag("x"), keys.HeaderContains("a", "b"))))
    assert not asks_for_text(keys.And((keys.HasFlag("x"), keys.Uids(UidSet(((1, 2),))))))


async def test_sort_and_thread(mailboxes, monkeypatch):
    await mailboxes.append(
        ALICE,
        "INBOX",
        [
            draft("b", sent="Fri, 02 Jan 2026 12:00:00 +0000", more=b"Message-ID: <1@x>\r\n"),
            draft("a", sent="Sat, 03 Jan 2026 12:00:00 +0000"),
            draft("Re: b", sent="Sun, 04 Jan 2026 12:00:00 +0000", more=b"References: <1@x>\r\n"),
        ],
    )
    mailbox_id, uids = await inbox_id(mailboxes), UidSet(((1, 3),))
    for inline_max in (1000, 0):
        monkeypatch.setattr(module, "ORDERED_INLINE_MAX", inline_max)
        assert await mailboxes.sort(ALICE, mailbox_id, uids, [SortCriterion(SortKey.SUBJECT)]) == [2, 1, 3]
        assert await mailboxes.sort(ALICE, mailbox_id, uids, [SortCriterion(SortKey.DATE, True)]) == [3, 2, 1]
        assert await mailboxes.sort(ALICE, mailbox_id, uids, [SortCriterion(SortKey.SIZE)]) != []
        assert await mailboxes.thread(ALICE, mailbox_id, uids, by_references=True) == [[1, 3], [2]]
        assert await mailboxes.thread(ALICE, mailbox_id, uids, by_references=False) == [[1, 3], [2]]


def test_attack_048_sessions_are_counted_in_and_out(storage):
    mailboxes = Mailboxes(storage, LocalBus(), SystemClock(), Staging(1), sessions_per_account_max=2)
    leave, _ = mailboxes.admit(ALICE), mailboxes.admit(ALICE)
    with pytest.raises(TooManyConnections):
        mailboxes.admit(ALICE)
    mailboxes.admit(BOB)
    leave()
    mailboxes.admit(ALICE)


def test_attack_050_staging_is_a_budget():
    staging = Staging(100)
    staging.take(60)
    with pytest.raises(TryAgainLater):
        staging.take(41)
    staging.take(40)
    staging.give_back(100)
    assert staging.octets == 0
    staging.give_back(1)
    assert staging.octets == 0


@pytest.mark.parametrize("batch_octets", [1, 7, 100, 1_000_000])
async def test_octets_come_whole_and_in_order(mailboxes, batch_octets):
    await mailboxes.append(ALICE, "INBOX", [draft(body=b"%d" % number * 20) for number in range(5)])
    store = mailboxes.of(ALICE)
    records = await store.fetch(await inbox_id(mailboxes), UidSet(((1, 5),)), 0)
    ranges = [OctetRange(record.blob_id, record.header_octets, record.size_octets) for record in records]
    got = [b""] * len(ranges)
    ended = []
    async for batch in octet_batches(store, ranges, batch_octets):
        assert sum(len(piece.octets) for piece in batch) <= batch_octets + 40
        for piece in batch:
            assert piece.is_first == (not got[piece.number])
            got[piece.number] += piece.octets
            if piece.is_last:
                ended.append(piece.number)
    assert got == [b"%d" % number * 20 for number in range(5)]
    assert ended == list(range(5))


async def test_octets_of_expunged_messages_come_as_none(mailboxes):
    await mailboxes.append(ALICE, "INBOX", [draft(body=b"first\r\n"), draft(body=b"second\r\n")])
    store, mailbox_id = mailboxes.of(ALICE), await inbox_id(mailboxes)
    records = await store.fetch(mailbox_id, UidSet(((1, 2),)), 0)
    await store.expunge(mailbox_id, UidSet(((1, 1),)), only_deleted=False)
    ranges = [OctetRange(record.blob_id, 0, record.size_octets) for record in records]
    pieces = [piece async for batch in octet_batches(store, ranges) for piece in batch]
    assert pieces[0].octets is None
    assert pieces[1].octets.endswith(b"second\r\n")


async def test_octets_left_early_leave_no_task(mailboxes):
    await mailboxes.append(ALICE, "INBOX", [draft(body=b"x" * 1000) for _ in range(10)])
    store = mailboxes.of(ALICE)
    records = await store.fetch(await inbox_id(mailboxes), UidSet(((1, 10),)), 0)
    batches = octet_batches(store, [OctetRange(record.blob_id, 0, record.size_octets) for record in records], 500)
    await anext(batches)
    await batches.aclose()
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) <= 2  # this test, and the indexer
