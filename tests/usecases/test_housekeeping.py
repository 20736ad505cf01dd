"""Work that comes round: one process at a time, and no chore keeps another."""

import asyncio
from datetime import timedelta

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Recipient
from mailstead.model.errors import StorageUnavailable
from mailstead.model.people import AuditEntry, Listing
from mailstead.model.queue import (
    Destination,
    DestinationKind,
    ItemKind,
    NewItem,
    NewRecipient,
    Outcome,
    QueueQuery,
    RecipientState,
    RemoteReply,
)
from mailstead.model.trace import TraceEvent, TraceQuery
from mailstead.usecases.housekeeping import EVERY_S, Housekeeping

USUAL = ["finished items", "trace", "reports", "audit log", "memory", "sessions of browsers"]


@pytest.fixture
def house(storage, clock):
    def make(**further):
        return Housekeeping(
            storage, clock, finished_kept=timedelta(days=2), trace_kept=timedelta(days=7),
            reports_kept=timedelta(days=90), audit_kept=timedelta(days=6), further=further,
        )  # fmt: skip

    return make


async def test_what_has_run_out_is_removed(storage, clock, house):
    now = clock.now()
    to = NewRecipient(Recipient(Address("x", "elsewhere.test")), Destination(DestinationKind.DOMAIN, "elsewhere.test"))
    item = NewItem("q1", ItemKind.SUBMISSION, None, (to,), b"x", now, now + timedelta(days=5))
    await storage.queue.put([item])
    [delivery] = await storage.queue.lease(now, now + timedelta(minutes=1), 10, 10)
    done = Outcome(delivery.item.recipients[0].recipient_id, RecipientState.DELIVERED, RemoteReply(250))
    await storage.queue.settle(delivery, [done])
    storage.trace.record(TraceEvent(now, "q1", "out", "attempt"))
    await storage.memory.remember("kind", {"key": b"value"}, now + timedelta(days=1))
    await storage.people.note([AuditEntry(0, now, "command line", "", "domain.add", "example.test")])

    async def left():
        return (
            len(await storage.queue.items(QueueQuery(queue_id="q1"))),
            len(await storage.trace.search(TraceQuery(queue_id="q1"))),
            len(await storage.memory.recall("kind", ["key"], now)),
            (await storage.people.audit(Listing())).item_count,
        )

    for days, wanted in (
        (0, (1, 1, 1, 1)),
        (1.5, (1, 1, 0, 1)),
        (1, (0, 1, 0, 1)),
        (4, (0, 1, 0, 0)),
        (1, (0, 0, 0, 0)),
    ):
        clock.passed_s += days * 86400
        assert await house().once() == USUAL
        assert await left() == wanted
        clock.passed_s += EVERY_S


async def test_one_process_does_it_at_a_time(clock, house):
    first, second = house(), house()
    assert await first.once() == USUAL
    assert await second.once() == await first.once() == []
    clock.passed_s += EVERY_S
    assert await second.once() == USUAL
    assert await first.once() == []


async def test_a_chore_that_fails_keeps_no_other_and_comes_round_again(clock, house):
    fails = iter([StorageUnavailable(), KeyError("a bug")])
    done = []

    async def odd(now):
        for error in fails:
            raise error
        done.append(now)

    async def good(now):
        done.append(now)

    keeper = house(odd=odd, good=good)
    for wanted in ([*USUAL, "good"], [*USUAL, "good"], [*USUAL, "odd", "good"]):
        assert await keeper.once() == wanted
        clock.passed_s += EVERY_S
    assert len(done) == 4


async def test_a_stop_is_heard_at_once(house):
    stop = asyncio.Event()
    first = asyncio.Event()

    async def noted(now):
        first.set()

    running = asyncio.create_task(house(noted=noted).run(stop))
    async with asyncio.timeout(20):
        await first.wait()
        stop.set()
        await running
