"""Group commit: shared transactions, fair turns, failures told to all, growth refused when the disk is full."""

import asyncio
import os
import threading

import apsw
import pytest

from mailstead.model.errors import StorageFull, StorageUnavailable
from mailstead.model.ids import AccountId
from mailstead.model.uidset import UidSet
from mailstead.storage.embedded import writer as writer_module
from mailstead.telemetry import metrics

ALL = UidSet([(1, 2**32 - 1)])


def commits() -> tuple[float, float]:
    return metrics.COMMITS._value.get(), metrics.COMMIT_UNITS._value.get()


async def test_units_that_wait_share_a_commit(account, make):
    before = commits()
    results = await asyncio.gather(*(account.append("INBOX", [make()]) for _ in range(100)))
    after = commits()
    assert sorted(appended.uid for (appended,) in results) == list(range(1, 101))
    assert after[1] - before[1] == 100
    assert after[0] - before[0] < 60


async def test_an_account_with_much_to_do_does_not_starve_another(files, make):
    opened = files.open(writer_thread_count=1)
    busy, calm = AccountId("a" * 16), AccountId("b" * 16)
    for account_id in (busy, calm):
        await opened.accounts.create(account_id, [("INBOX", None)])
    order, gate = [], threading.Event()

    async def append(account_id):
        await opened.accounts.of(account_id).append("INBOX", [make()])
        order.append(account_id)

    # The thread is held until all are in its queue, the calm one last.
    held = asyncio.create_task(opened._writer.run(busy, lambda transaction: gate.wait(), wakes=False))
    await asyncio.sleep(0)
    tasks = [asyncio.create_task(append(account_id)) for account_id in [busy] * 600 + [calm]]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(held, *tasks)
    # At most the batch that was being gathered and one more of the busy account come before it.
    assert order.index(calm) <= 2 * writer_module.UNITS_PER_BATCH_MAX


async def test_a_failing_commit_fails_all_units_and_nothing_is_stored(files, account_id, account, make, monkeypatch):
    await account.append("INBOX", [make()])
    store = files.opened[0]

    class Broken(writer_module.Transaction):
        def flush(self):
            raise apsw.IOError

    monkeypatch.setattr(writer_module, "Transaction", Broken)
    results = await asyncio.gather(*(account.append("INBOX", [make()]) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [StorageUnavailable] * 5
    monkeypatch.undo()
    (appended,) = await account.append("INBOX", [make()])
    assert appended.uid == 2
    assert [finding async for finding in store.check()] == []


async def test_a_bug_in_a_unit_reaches_its_caller_alone(account, make):
    def bug(transaction):
        raise ZeroDivisionError

    results = await asyncio.gather(
        account.append("INBOX", [make()]),
        account._write(bug),
        account.append("INBOX", [make()]),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [list, ZeroDivisionError, list]


async def test_attack_076_a_full_file_system_is_said_and_passes(files, account, account_id, make):
    """SQLite's own limit stands for the disk: nothing is half written, removing works, then there is room again."""
    await account.append("INBOX", [make("x" * 100)])
    with files.opened[0].open_accounts.writer(account_id) as db:
        db.pragma("max_page_count", db.pragma("page_count") + 10)
    with pytest.raises(StorageFull):
        await account.append("INBOX", [make(os.urandom(300_000).hex())])
    inbox = (await account.snapshot("INBOX")).mailbox
    assert (inbox.message_count, inbox.uidnext) == (1, 2)
    assert await account.expunge(inbox.mailbox_id, None, only_deleted=False) == UidSet([(1, 1)])
    with files.opened[0].open_accounts.writer(account_id) as db:
        db.pragma("max_page_count", 2**32 - 2)
    (appended,) = await account.append("INBOX", [make(os.urandom(300_000).hex())])
    assert appended.uid == 2
    assert [finding async for finding in files.opened[0].check()] == []


async def test_attack_076_below_the_reserve_growth_is_refused_and_removing_works(files, account_id, make, monkeypatch):
    opened = files.open(disk_reserve_octets=1)
    await opened.accounts.create(account_id, [("INBOX", None)])
    account = opened.accounts.of(account_id)
    await account.append("INBOX", [make()])
    monkeypatch.setattr(writer_module, "DISK_LOOK_S", 0.0)
    monkeypatch.setattr(opened._writer._disk, "_reserve_octets", 2**62)
    with pytest.raises(StorageFull):
        await account.append("INBOX", [make()])
    inbox = (await account.snapshot("INBOX")).mailbox
    assert len(await account.expunge(inbox.mailbox_id, None, only_deleted=False)) == 1
    monkeypatch.setattr(opened._writer._disk, "_reserve_octets", 1)
    await account.append("INBOX", [make()])


async def test_a_caller_that_gives_up_does_no_harm(account, make):
    task = asyncio.create_task(account.append("INBOX", [make()]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (appended,) = await account.append("INBOX", [make()])
    assert appended.uid in {1, 2}


async def test_what_waits_is_finished_at_close(files, account, account_id, make):
    tasks = [asyncio.create_task(account.append("INBOX", [make()])) for _ in range(20)]
    await asyncio.sleep(0)
    await files.close()
    assert len(await asyncio.gather(*tasks)) == 20
