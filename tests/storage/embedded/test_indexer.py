"""The text index catches up by itself once an account is quiet."""

import asyncio

from mailstead.model.errors import StorageUnavailable
from mailstead.model.ids import AccountId
from mailstead.storage.embedded.indexer import BATCH, BUSY_BATCH, BUSY_REST, Indexer


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


async def test_a_later_append_puts_an_account_off_but_not_for_ever():
    clock = SteppedClock()
    indexer = Indexer(clock, 5.0)
    indexer.note(AccountId("a"))
    indexer.note(AccountId("b"))
    clock.seconds = 3.0
    indexer.note(AccountId("a"))
    assert indexer._due_at_s == {"a": 8.0, "b": 5.0}
    for clock.seconds in range(4, 100):
        indexer.note(AccountId("a"))
    assert indexer._due_at_s["a"] == 25.0
    assert indexer._busy == {"a"}  # its first piece is a small one already


async def run_until(indexer, index_some, done):
    indexer.start(index_some)
    async with asyncio.timeout(10):
        await done.wait()
    await indexer.close()


async def test_accounts_that_are_due_get_pieces_in_turn():
    indexer, done, pieces = Indexer(SteppedClock(), 0.0), asyncio.Event(), []
    waiting = {"a": 3, "b": 2}

    async def index_some(account_id, limit):
        pieces.append((account_id, limit))
        waiting[account_id] -= 1
        if not any(waiting.values()):
            done.set()
        return waiting[account_id]

    for account_id in waiting:
        indexer.note(AccountId(account_id))
    await run_until(indexer, index_some, done)
    assert pieces == [("a", BATCH), ("b", BATCH), ("a", BATCH), ("b", BATCH), ("a", BATCH)]


async def test_an_account_that_gets_mail_meanwhile_gets_smaller_pieces_with_rests():
    clock = SteppedClock()
    indexer, done, pieces = Indexer(clock, 1.0), asyncio.Event(), []

    async def index_some(account_id, limit):
        pieces.append((account_id, limit))
        if account_id == "quiet":
            done.set()
            return 0
        clock.seconds += 0.25
        indexer.note(account_id)
        return 10

    indexer.note(AccountId("busy"))
    clock.seconds = 1.0
    indexer.note(AccountId("quiet"))
    clock.seconds = 2.0  # both are due
    await run_until(indexer, index_some, done)
    assert pieces == [("busy", BATCH), ("quiet", BATCH)]
    assert indexer._due_at_s == {"busy": 2.25 + BUSY_REST * 0.25}
    done.clear()
    clock.seconds = 4.0
    indexer.note(AccountId("quiet"))
    clock.seconds = 9.0
    await run_until(indexer, index_some, done)
    assert pieces[2:] == [("busy", BUSY_BATCH), ("quiet", BATCH)]
