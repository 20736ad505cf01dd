"""The text index catches up by itself once an account is quiet."""

import asyncio

from mailstead.model.errors import StorageUnavailable
from mailstead.model.ids import AccountId
from mailstead.storage.embedded.indexer import Indexer


class SteppedClock:
    def __init__(self):
        self.seconds = 0.0

    def now(self):
        raise NotImplementedError

    def monotonic_s(self):
        return self.seconds


async def test_the_backlog_is_worked_off_after_the_append(files, account_id, make):
    opened = files.open(index_pause_s=0.0)
    await opened.accounts.create(account_id, [("INBOX", None)])
    account = opened.accounts.of(account_id)
    await account.append("INBOX", [make() for _ in range(50)])
    async with asyncio.timeout(20):
        while await account.index_backlog():
            pass


async def test_an_account_that_fails_does_not_stop_the_others():
    done = asyncio.Event()

    async def index_some(account_id, limit):
        if account_id == "bad":
            raise StorageUnavailable
        if account_id == "worse":
            raise ZeroDivisionError
        done.set()
        return 0

    indexer = Indexer(SteppedClock(), 0.0)
    indexer.start(index_some)
    for account_id in ("bad", "worse", "good"):
        indexer.note(AccountId(account_id))
    async with asyncio.timeout(10):
        await done.wait()
    await indexer.close()


async def test_a_later_append_puts_an_account_off():
    clock = SteppedClock()
    indexer = Indexer(clock, 5.0)
    indexer.note(AccountId("a"))
    indexer.note(AccountId("b"))
    clock.seconds = 3.0
    indexer.note(AccountId("a"))
    assert list(indexer._due_at_s.items()) == [("b", 5.0), ("a", 8.0)]
