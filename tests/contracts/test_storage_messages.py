"""Messages in a store: append, fetch, flags, expunge, copy, move, replace, octets, threads."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mailstead.model.errors import LimitReached, NoSuchMailbox, NoSuchMessage, OverQuota
from mailstead.model.flags import FlagOperation
from mailstead.model.ids import AccountId, BlobId, MailboxId
from mailstead.model.message import OctetRange, Wanted
from mailstead.model.uidset import UidSet

ACCOUNT = AccountId("0123456789abcdef")
ALL = UidSet([(1, 2**32 - 1)])
EVERYTHING = Wanted.SUMMARY | Wanted.STRUCTURE | Wanted.PARTS | Wanted.LISTED_HEADER | Wanted.PREVIEW | Wanted.ORDER


def one(uid: int) -> UidSet:
    return UidSet([(uid, uid)])


async def test_fetch_gives_back_what_was_appended(account, make, house):
    at = datetime(2026, 11, 3, 10, 30, 5, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))
    message = make(1, "Grüße\r\n", flags=("\\Seen", "$Label"), at=at)
    (appended,) = await account.append("INBOX", [message])
    inbox = (await account.snapshot("INBOX")).mailbox
    (record,) = await account.fetch(inbox.mailbox_id, ALL, EVERYTHING)
    facts = message.facts
    assert record.uid == appended.uid == 1
    assert record.modseq == appended.modseq == inbox.highestmodseq
    assert record.email_id == appended.email_id
    assert record.flags == {"\\Seen", "$Label"}
    assert (record.internaldate_s, record.zone_minutes) == (int(at.timestamp()), -210)
    assert record.savedate_s == int(house.clock.now().timestamp())
    assert (record.size_octets, record.header_octets) == (facts.size_octets, facts.header_octets)
    assert record.header_summary == facts.header_summary
    assert record.body_structure == facts.body_structure
    assert record.parts == facts.parts
    assert record.listed_header == facts.listed_header
    assert record.preview == facts.preview
    assert record.order.base_subject == facts.base_subject
    assert record.order.message_id == facts.message_id
    assert await account.read_octets([OctetRange(record.blob_id, 0, 10**9)]) == [message.octets]


async def test_columns_that_are_not_wanted_are_none(account, fill):
    inbox = await fill(1)
    (record,) = await account.fetch(inbox.mailbox_id, ALL, Wanted.PREVIEW)
    assert record[11:] == (None, None, None, None, "Hello", None)
    (record,) = await account.fetch(inbox.mailbox_id, ALL, Wanted.NARROW)
    assert record[11:] == (None,) * 6


async def test_fetch_crosses_the_steps_of_the_store_in_order(account, fill):
    """More messages than a store reads in one step, wide columns and gaps among them."""
    inbox = await fill(2300)
    await account.expunge(inbox.mailbox_id, UidSet([(5, 5), (999, 1003), (2000, 2000)]), only_deleted=False)
    records = await account.fetch(inbox.mailbox_id, ALL, Wanted.ORDER | Wanted.SUMMARY)
    expected = [uid for uid in range(1, 2301) if uid not in {5, 999, 1000, 1001, 1002, 1003, 2000}]
    assert [record.uid for record in records] == expected
    assert all(record.order.base_subject == f"message {record.uid}" for record in records)
    assert [r.uid for r in await account.fetch(inbox.mailbox_id, UidSet([(1, 3), (998, 1005)]), Wanted.NARROW)] == [
        1, 2, 3, 998, 1004, 1005,
    ]  # fmt: skip


async def test_fetch_of_what_changed_since(account, fill):
    inbox = await fill(5)
    stored = await account.store_flags(inbox.mailbox_id, UidSet([(2, 3)]), FlagOperation.ADD, ["\\Seen"])
    found = await account.fetch(inbox.mailbox_id, ALL, Wanted.NARROW, changed_since=inbox.highestmodseq)
    assert [(record.uid, record.flags) for record in found] == [(c.uid, c.flags) for c in stored.changed]


async def test_append_is_all_or_none(storage, account, make):
    await storage.accounts.set_quota(ACCOUNT, 400)
    with pytest.raises(OverQuota):
        await account.append("INBOX", [make(1), make(2), make(3)])
    assert (await account.snapshot("INBOX")).uids == UidSet()
    assert (await account.usage()).size_octets == 0
    with pytest.raises(NoSuchMailbox):
        await account.append("Nowhere", [make(1)])


async def test_a_failing_unit_leaves_the_others_of_its_batch_alone(storage, account, make):
    results = await asyncio.gather(
        account.append("INBOX", [make(1)]),
        account.append("Nowhere", [make(2)]),
        account.append("INBOX", [make(3, flags=tuple(f"k{n}" for n in range(101)))]),
        account.append("INBOX", [make(4)]),
        account.create_mailbox("INBOX"),
        account.append("INBOX", [make(5)]),
        return_exceptions=True,
    )
    assert [type(result).__name__ for result in results] == [
        "list", "NoSuchMailbox", "LimitReached", "list", "MailboxExists", "list",
    ]  # fmt: skip
    assert [results[index][0].uid for index in (0, 3, 5)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("operation", "flags", "after"),
    [
        (FlagOperation.ADD, ["\\flagged", "New"], {"\\Seen", "Old", "\\Flagged", "New"}),
        (FlagOperation.ADD, ["OLD"], {"\\Seen", "Old"}),
        (FlagOperation.REMOVE, ["\\Seen", "old", "Never"], set()),
        (FlagOperation.REPLACE, ["\\Answered"], {"\\Answered"}),
        (FlagOperation.REPLACE, [], set()),
    ],
)
async def test_store_flags(account, make, operation, flags, after):
    await account.append("INBOX", [make(1, flags=("\\Seen", "Old"))])
    inbox = (await account.snapshot("INBOX")).mailbox
    stored = await account.store_flags(inbox.mailbox_id, ALL, operation, flags)
    assert stored.changed[0].flags == after
    (record,) = await account.fetch(inbox.mailbox_id, ALL, Wanted.NARROW)
    assert record.flags == after
    assert record.modseq == stored.changed[0].modseq


async def test_flags_that_do_not_change_keep_the_modseq(account, fill):
    inbox = await fill(2, flags=("\\Seen",))
    stored = await account.store_flags(inbox.mailbox_id, ALL, FlagOperation.ADD, ["\\Seen"])
    assert {change.modseq for change in stored.changed} == {inbox.highestmodseq}
    assert (await account.mailbox("INBOX")).highestmodseq == inbox.highestmodseq


async def test_store_unchanged_since_refuses_newer_ones(account, fill):
    inbox = await fill(3)
    await account.store_flags(inbox.mailbox_id, one(2), FlagOperation.ADD, ["\\Flagged"])
    stored = await account.store_flags(
        inbox.mailbox_id, ALL, FlagOperation.ADD, ["\\Seen"], unchanged_since=inbox.highestmodseq
    )
    assert [change.uid for change in stored.changed] == [1, 3]
    assert stored.refused == one(2)


async def test_first_unseen_and_counters_follow(account, fill):
    inbox = await fill(4)
    steps = [
        (UidSet([(1, 2)]), FlagOperation.ADD, 3, 2),
        (one(4), FlagOperation.ADD, 3, 1),
        (one(3), FlagOperation.ADD, None, 0),
        (one(2), FlagOperation.REMOVE, 2, 1),
    ]
    for uids, operation, first_unseen, unseen_count in steps:
        await account.store_flags(inbox.mailbox_id, uids, operation, ["\\Seen"])
        snapshot = await account.snapshot("INBOX")
        assert (snapshot.first_unseen_uid, snapshot.mailbox.unseen_count) == (first_unseen, unseen_count)
    await account.expunge(inbox.mailbox_id, one(2), only_deleted=False)
    assert (await account.snapshot("INBOX")).first_unseen_uid is None


async def test_attack_052_a_mailbox_has_a_hundred_keywords(account, fill):
    inbox = await fill(1)
    await account.store_flags(inbox.mailbox_id, ALL, FlagOperation.ADD, [f"k{n}" for n in range(100)])
    with pytest.raises(LimitReached):
        await account.store_flags(inbox.mailbox_id, ALL, FlagOperation.ADD, ["one-more"])
    await account.store_flags(inbox.mailbox_id, ALL, FlagOperation.ADD, ["K7"])
    assert len((await account.snapshot("INBOX")).keywords) == 100


async def test_expunge_takes_only_deleted_ones_unless_told(account, fill):
    inbox = await fill(6)
    await account.store_flags(inbox.mailbox_id, UidSet([(2, 4)]), FlagOperation.ADD, ["\\Deleted"])
    assert await account.expunge(inbox.mailbox_id, UidSet([(1, 2), (4, 4)])) == UidSet([(2, 2), (4, 4)])
    assert await account.expunge(inbox.mailbox_id, None) == one(3)
    assert await account.expunge(inbox.mailbox_id, one(6), only_deleted=False) == one(6)
    assert await account.expunge(inbox.mailbox_id, None) == UidSet()
    snapshot = await account.snapshot("INBOX")
    assert snapshot.uids == UidSet([(1, 1), (5, 5)])
    assert snapshot.mailbox.uidnext == 7


async def test_vanished_names_all_that_went_and_nothing_that_is_there(account, fill):
    inbox = await fill(10)
    modseqs = [inbox.highestmodseq]
    gone: list[set[int]] = [set()]
    for uids in (UidSet([(3, 4)]), UidSet([(7, 7)]), UidSet([(5, 6)]), UidSet([(1, 1), (10, 10)])):
        await account.expunge(inbox.mailbox_id, uids, only_deleted=False)
        modseqs.append((await account.mailbox("INBOX")).highestmodseq)
        gone.append(gone[-1] | set(uids))
    for step, modseq in enumerate(modseqs):
        vanished = set(await account.vanished_since(inbox.mailbox_id, modseq))
        assert gone[-1] - gone[step] <= vanished <= gone[-1]
    assert await account.vanished_since(inbox.mailbox_id, modseqs[-1]) == UidSet()


async def test_copies_share_octets_and_email_id(account, fill, house):
    inbox = await fill(3)
    house.clock.move(60)
    copied = await account.copy(inbox.mailbox_id, UidSet([(2, 3)]), "Archive")
    assert (copied.source_uids, copied.target_uids) == ([2, 3], [1, 2])
    archive = (await account.snapshot("Archive")).mailbox
    assert copied.uidvalidity == archive.uidvalidity
    source = await account.fetch(inbox.mailbox_id, UidSet([(2, 3)]), Wanted.NARROW)
    target = await account.fetch(archive.mailbox_id, ALL, Wanted.NARROW)
    for before, after in zip(source, target, strict=True):
        assert (before.email_id, before.thread_id, before.internaldate_s) == (
            after.email_id,
            after.thread_id,
            after.internaldate_s,
        )
        assert after.savedate_s == before.savedate_s + 60
    await account.expunge(inbox.mailbox_id, None, only_deleted=False)
    (octets,) = await account.read_octets([OctetRange(target[0].blob_id, 0, 5)])
    assert octets == b"From:"
    await account.expunge(archive.mailbox_id, None, only_deleted=False)
    with pytest.raises(NoSuchMessage):
        await account.read_octets([OctetRange(target[0].blob_id, 0, 5)])
    assert (await account.usage()).size_octets == 0


async def test_move_is_one_change_in_both_mailboxes(account, fill, make):
    inbox = await fill(3)
    await account.append("INBOX", [make(4, flags=("\\Flagged", "Key"))])
    moved = await account.move(inbox.mailbox_id, UidSet([(3, 4), (9, 9)]), "Trash")
    assert (moved.source_uids, moved.target_uids) == ([3, 4], [1, 2])
    trash = (await account.snapshot("Trash")).mailbox
    records = await account.fetch(trash.mailbox_id, ALL, Wanted.NARROW)
    assert [record.flags for record in records] == [frozenset(), {"\\Flagged", "Key"}]
    assert (await account.snapshot("INBOX")).uids == UidSet([(1, 2)])
    assert (await account.usage()).message_count == 4
    with pytest.raises(NoSuchMailbox):
        await account.move(inbox.mailbox_id, ALL, "Nowhere")


async def test_move_and_copy_into_the_same_mailbox(account, fill):
    inbox = await fill(2)
    assert (await account.copy(inbox.mailbox_id, ALL, "INBOX")).target_uids == [3, 4]
    assert (await account.move(inbox.mailbox_id, one(1), "INBOX")).target_uids == [5]
    assert (await account.snapshot("INBOX")).uids == UidSet([(2, 5)])


async def test_move_needs_no_quota(storage, account, fill):
    inbox = await fill(2)
    await storage.accounts.set_quota(ACCOUNT, 1)
    assert len((await account.move(inbox.mailbox_id, ALL, "Trash")).source_uids) == 2
    with pytest.raises(OverQuota):
        await account.copy((await account.mailbox("Trash")).mailbox_id, ALL, "INBOX")


async def test_replace_is_one_unit(storage, account, fill, make):
    inbox = await fill(2)
    appended = await account.replace(inbox.mailbox_id, 1, "Drafts", make(9))
    assert (await account.snapshot("INBOX")).uids == one(2)
    assert (await account.snapshot("Drafts")).uids == one(appended.uid)
    with pytest.raises(NoSuchMessage):
        await account.replace(inbox.mailbox_id, 1, "Drafts", make(9))
    await storage.accounts.set_quota(ACCOUNT, 10)
    with pytest.raises(OverQuota):
        await account.replace(inbox.mailbox_id, 2, "INBOX", make(9))
    assert (await account.snapshot("INBOX")).uids == one(2)


async def test_octets_are_read_by_range(account, make):
    body = "".join(f"{number:09d}\r\n" for number in range(60_000))
    message = make(1, body)
    await account.append("INBOX", [message])
    inbox = (await account.snapshot("INBOX")).mailbox
    (record,) = await account.fetch(inbox.mailbox_id, ALL, Wanted.NARROW)
    whole = message.octets
    ranges = [
        (0, 1),
        (5, 5),
        (131_070, 131_074),
        (65_534, 65_538),
        (262_144, 262_145),
        (100, 400_000),
        (len(whole) - 3, 10**9),
        (0, 0),
    ]
    got = await account.read_octets([OctetRange(record.blob_id, start, stop) for start, stop in ranges])
    assert got == [whole[start:stop] for start, stop in ranges]
    assert await account.read_octets([OctetRange(record.blob_id, 10**8, 10**9)]) == [b""]
    with pytest.raises(NoSuchMessage):
        await account.read_octets([OctetRange(BlobId(99), 0, 1)])


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_octets_may_come_as_any_buffer(account, make, kind):
    message = make(1, "x" * 200_000)
    await account.append("INBOX", [type(message)(kind(message.octets), message.facts, message.internaldate)])
    inbox = (await account.snapshot("INBOX")).mailbox
    (record,) = await account.fetch(inbox.mailbox_id, ALL, Wanted.NARROW)
    assert await account.read_octets([OctetRange(record.blob_id, 0, 10**9)]) == [message.octets]


async def test_threads_are_joined_by_references(account, make):
    await account.append("INBOX", [make(1)])
    await account.append("Sent", [make(2, header="In-Reply-To: <1@example.test>\r\n")])
    await account.append("INBOX", [make(3, header="References: <1@example.test> <2@example.test>\r\n"), make(4)])
    threads = []
    for name in ("INBOX", "Sent"):
        mailbox = (await account.snapshot(name)).mailbox
        threads += [record.thread_id for record in await account.fetch(mailbox.mailbox_id, ALL, Wanted.NARROW)]
    first, third, fourth, second = threads
    assert first == second == third != fourth


async def test_a_reply_that_comes_first_is_in_the_same_thread(account, make):
    await account.append("INBOX", [make(2, header="References: <0@x> <1@example.test>\r\n"), make(1)])
    inbox = (await account.snapshot("INBOX")).mailbox
    assert len({record.thread_id for record in await account.fetch(inbox.mailbox_id, ALL, Wanted.NARROW)}) == 1


async def test_attack_072_parallel_appends_do_not_overshoot_the_quota(house, storage, account, make):
    message = make(1, "x" * 900)
    await storage.accounts.set_quota(ACCOUNT, len(message.octets) * 10 // 9)
    neighbour = (await house.open()).accounts.of(ACCOUNT)
    results = await asyncio.gather(
        *(store.append("INBOX", [message]) for store in (account, neighbour) for _ in range(50)), return_exceptions=True
    )
    assert sum(isinstance(result, list) for result in results) == 1
    assert sum(isinstance(result, OverQuota) for result in results) == 99
    assert (await account.usage()).size_octets == len(message.octets)


async def test_attack_047_huge_sets_cost_no_more_than_the_mailbox(account, fill):
    inbox = await fill(5)
    odd = UidSet.of(range(1, 200_001, 2))
    async with asyncio.timeout(10):
        assert [record.uid for record in await account.fetch(inbox.mailbox_id, odd, Wanted.NARROW)] == [1, 3, 5]
        stored = await account.store_flags(inbox.mailbox_id, ALL, FlagOperation.ADD, ["\\Deleted"])
        assert len(stored.changed) == 5
        assert await account.expunge(inbox.mailbox_id, odd) == UidSet([(1, 1), (3, 3), (5, 5)])


async def test_a_mailbox_that_is_gone_is_said_so(account, fill):
    inbox = await fill(1, "Junk")
    await account.delete_mailbox("Junk")
    assert (await account.changes_since(inbox.mailbox_id, 0)).is_gone
    for call in (
        account.fetch(inbox.mailbox_id, ALL, Wanted.NARROW),
        account.vanished_since(inbox.mailbox_id, 0),
        account.store_flags(inbox.mailbox_id, ALL, FlagOperation.ADD, ["\\Seen"]),
        account.expunge(inbox.mailbox_id, None),
        account.copy(MailboxId(999), ALL, "INBOX"),
    ):
        with pytest.raises(NoSuchMailbox):
            await call


async def test_the_savedate_and_zone_survive_utc(account, make):
    await account.append("INBOX", [make(1, at=datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC))])
    inbox = (await account.snapshot("INBOX")).mailbox
    (record,) = await account.fetch(inbox.mailbox_id, ALL, Wanted.NARROW)
    assert (record.internaldate_s, record.zone_minutes) == (-1, 0)


async def test_what_is_appended_has_a_higher_key_and_copies_keep_theirs(account, make):
    assert await account.last_blob_id() == 0
    await account.append("INBOX", [make(1), make(2)])
    last = await account.last_blob_id()
    inbox, sent = (await account.snapshot("INBOX")).mailbox, (await account.snapshot("Sent")).mailbox
    assert [each.blob_id for each in await account.fetch(inbox.mailbox_id, ALL, Wanted.NARROW)] == [last - 1, last]
    await account.copy(inbox.mailbox_id, one(1), "Sent")
    await account.move(inbox.mailbox_id, one(2), "Sent")
    assert [each.blob_id for each in await account.fetch(sent.mailbox_id, ALL, Wanted.NARROW)] == [last - 1, last]
    assert await account.last_blob_id() == last
