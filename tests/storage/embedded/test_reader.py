"""Reading calls: turns per account, time limits, callers that go away."""

import asyncio
import threading

import pytest

from mailstead.model.errors import TryAgainLater
from mailstead.model.ids import AccountId
from mailstead.storage.embedded import reader as reader_module

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


def endless(db):
    return db.execute(ENDLESS).fetchall()


async def test_attack_045_one_account_cannot_take_all_readers(files, make):
    """As many endless searches of one account as there are threads, and more: another account is still answered."""
    opened = files.open(reader_thread_count=3)
    ids = [AccountId("a" * 16), AccountId("b" * 16)]
    for account_id in ids:
        await opened.accounts.create(account_id, [("INBOX", None)])
    hostile = [asyncio.create_task(opened._reader.run(ids[0], endless)) for _ in range(10)]
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        assert (await opened.accounts.of(ids[1]).snapshot("INBOX")).mailbox.name == "INBOX"
        for task in hostile:
            task.cancel()
        await asyncio.gather(*hostile, return_exceptions=True)
        assert (await opened.accounts.of(ids[0]).snapshot("INBOX")).mailbox.name == "INBOX"


async def test_a_call_whose_caller_has_gone_is_interrupted(files, account):
    started, ended = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def work(db):
        started.set()
        try:
            endless(db)
        finally:
            loop.call_soon_threadsafe(ended.set)

    task = asyncio.create_task(files.opened[0]._reader.run(account.account_id, work))
    async with asyncio.timeout(20):
        await asyncio.to_thread(started.wait)
        task.cancel()
        await ended.wait()


async def test_a_call_that_takes_too_long_is_ended(files, account, monkeypatch):
    monkeypatch.setattr(reader_module, "CALL_LIMIT_S", 0.01)
    async with asyncio.timeout(20):
        with pytest.raises(TryAgainLater):
            await files.opened[0]._reader.run(account.account_id, endless)
    assert len(await account.mailboxes()) == 2
