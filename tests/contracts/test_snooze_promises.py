"""Messages that wait: they leave, they come back once, and whatever clients do with them meanwhile is no error."""

import asyncio
from datetime import timedelta

import pytest
from tests.contracts.conftest import ACCOUNT

from mailstead.model.flags import SEEN
from mailstead.model.ids import AccountId, Uid
from mailstead.model.message import Wanted
from mailstead.model.search import Everything
from mailstead.model.snoozing import SNOOZED
from mailstead.model.uidset import UidSet

HOUR = timedelta(hours=1)
ALL = UidSet([(1, 2**32 - 1)])
ONE = UidSet([(1, 1)])


@pytest.fixture
async def inbox(account, make):
    """Three messages that were read."""
    await account.append("INBOX", [make(number, flags=(SEEN,)) for number in range(3)])
    return (await account.mailbox("INBOX")).mailbox_id


async def uids(account, name):
    return list((await account.snapshot(name)).uids)


async def test_what_waits_is_in_a_mailbox_of_its_own_for_every_client(house, account, inbox):
    until = house.clock.now() + HOUR
    moved = await account.snoozes.snooze(inbox, UidSet([(1, 2)]), until)
    assert (moved.source_uids, moved.target_uids) == ([1, 2], [1, 2])
    assert await uids(account, "INBOX") == [3]
    assert await uids(account, SNOOZED) == [1, 2]
    assert SNOOZED in await account.subscriptions()
    assert [(each.uid, each.until, each.origin) for each in await account.snoozes.waiting()] == [
        (1, until, "INBOX"),
        (2, until, "INBOX"),
    ]


async def test_it_comes_back_unread_and_newest_and_only_once(house, account, inbox):
    await account.snoozes.snooze(inbox, ONE, house.clock.now() + HOUR)
    assert await account.snoozes.wake(house.clock.now()) == ([], house.clock.now() + HOUR)
    house.clock.move(3600)
    first, second = await asyncio.gather(*(account.snoozes.wake(house.clock.now()) for _ in range(2)))
    assert sorted([first.uids, second.uids]) == [[], [4]]
    assert second.next_at is None
    newest = await account.newest([inbox], Everything(), 0, 10, Wanted.NARROW)
    back = newest.messages[0][1]
    assert (back.uid, back.flags, back.internaldate_s) == (4, frozenset(), int(house.clock.now().timestamp()))
    mailbox = await account.mailbox("INBOX")
    assert (mailbox.message_count, mailbox.unseen_count) == (3, 1)
    assert (await account.mailbox(SNOOZED)).message_count == 0


async def test_another_process_and_a_restart_know_it(house, storage, account, inbox):
    await account.snoozes.snooze(inbox, ONE, house.clock.now() + HOUR)
    await storage.close()
    house.opened.remove(storage)
    again = (await house.open()).accounts.of(ACCOUNT)
    assert len(await again.snoozes.waiting()) == 1
    house.clock.move(3600)
    assert (await again.snoozes.wake(house.clock.now())).uids == [4]


async def test_what_was_moved_or_deleted_meanwhile_does_not_wait_any_more(house, account, inbox):
    await account.snoozes.snooze(inbox, UidSet([(1, 3)]), house.clock.now() + HOUR)
    there = (await account.mailbox(SNOOZED)).mailbox_id
    await account.move(there, ONE, "Archive")
    await account.expunge(there, UidSet([(2, 2)]), only_deleted=False)
    assert [each.uid for each in await account.snoozes.waiting()] == [3]
    house.clock.move(3600)
    assert len((await account.snoozes.wake(house.clock.now())).uids) == 1
    assert await uids(account, "Archive") == [1]
    assert await account.snoozes.waiting() == []


async def test_a_mailbox_that_was_renamed_or_deleted_is_no_error(house, account, inbox):
    await account.snoozes.snooze(inbox, ONE, house.clock.now() + HOUR)
    await account.rename_mailbox(SNOOZED, "Later")
    await account.snoozes.snooze(inbox, UidSet([(2, 2)]), house.clock.now() + HOUR)
    await account.delete_mailbox(SNOOZED)
    house.clock.move(3600)
    assert len((await account.snoozes.wake(house.clock.now())).uids) == 1
    assert await uids(account, "Later") == []


async def test_one_that_waits_can_wait_longer_or_be_taken_back_as_it_was(house, account, inbox):
    (before,) = await account.fetch(inbox, ONE, Wanted.NARROW)
    await account.snoozes.snooze(inbox, ONE, house.clock.now() + HOUR)
    there = (await account.mailbox(SNOOZED)).mailbox_id
    assert (await account.snoozes.snooze(there, ONE, house.clock.now() + 2 * HOUR)).target_uids == [1]
    house.clock.move(3600)
    assert await account.snoozes.wake(house.clock.now()) == ([], house.clock.now() + HOUR)
    back = await account.snoozes.unsnooze(there, ALL)
    assert back.target_uids == [4]
    (after,) = await account.fetch(inbox, UidSet([(4, 4)]), Wanted.NARROW)
    assert (after.flags, after.internaldate_s) == (before.flags, before.internaldate_s)
    assert await account.snoozes.waiting() == []
    assert (await account.snoozes.unsnooze(there, ALL)).target_uids == []


async def test_it_is_taken_back_to_where_it_was_and_to_the_inbox_if_that_is_gone(house, account, inbox):
    await account.create_mailbox("Lists")
    await account.create_mailbox("Gone")
    await account.move(inbox, ONE, "Lists")
    await account.move(inbox, UidSet([(2, 2)]), "Gone")
    for name in ("Lists", "Gone"):
        await account.snoozes.snooze((await account.mailbox(name)).mailbox_id, ALL, house.clock.now() + HOUR)
    await account.delete_mailbox("Gone")
    there = (await account.mailbox(SNOOZED)).mailbox_id
    assert len((await account.snoozes.unsnooze(there, ALL)).target_uids) == 2
    assert await uids(account, "Lists") == [Uid(2)]
    assert await uids(account, "INBOX") == [3, 4]


async def test_the_index_gives_what_is_due_and_forgets_only_what_was_seen(house, storage):
    wakeups, now = storage.wakeups, house.clock.now()
    alice, bob = AccountId("a" * 16), AccountId("b" * 16)
    assert await wakeups.next_due_at() is None
    await wakeups.note(alice, "x", now + HOUR)
    await wakeups.note(bob, "x", now)
    await wakeups.note(bob, "y", now + HOUR)
    assert await wakeups.next_due_at() == now
    (due,) = await wakeups.due(now, 10)
    assert (due.account_id, due.key, due.due_at) == (bob, "x", now)
    await wakeups.note(bob, "x", now + HOUR)
    assert not await wakeups.settle(due)
    assert len(await wakeups.due(now + HOUR, 10)) == 3
    assert len(await wakeups.due(now + HOUR, 2)) == 2
    (first, *_) = await wakeups.due(now + HOUR, 10)
    taken = await asyncio.gather(*(wakeups.settle(first, now + 2 * HOUR) for _ in range(2)))
    assert sorted(taken) == [False, True]
    assert len(await wakeups.due(now + HOUR, 10)) == 2
    await wakeups.forget(bob)
    await wakeups.settle(first._replace(due_at=now + 2 * HOUR))
    left = [each.account_id for each in await wakeups.due(now + 9 * HOUR, 10)]
    assert left == ([alice] if first.account_id == bob else [])
    await storage.close()
    house.opened.remove(storage)
    again = await house.open()
    await again.wakeups.note(alice, "z", now)
    assert await again.wakeups.next_due_at() == now
