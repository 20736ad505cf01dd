"""What only this adapter can be asked: damaged octets, octets kept between lease and attempt, what is searched how."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from mailstead.config.settings import Store
from mailstead.model.address import Address
from mailstead.model.envelope import Recipient
from mailstead.model.errors import StoreDamaged
from mailstead.model.queue import Destination, DestinationKind, ItemKind, NewItem, NewRecipient, QueueQuery
from mailstead.ports.clock import SystemClock
from mailstead.storage.embedded import queue_leases, queue_overdue, queue_reads
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.queue import EmbeddedQueue
from mailstead.storage.embedded.side_file import SideFiles

NOW = datetime(2026, 11, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def queue(tmp_path):
    files = SideFiles(Store(disk_reserve_octets=0), tmp_path, b"m" * 32, LocalBus(), SystemClock())
    yield EmbeddedQueue(files)
    async with asyncio.timeout(20):
        await files.close()


def item(octets, domain="example.net"):
    bob = NewRecipient(Recipient(Address("bob", domain)), Destination(DestinationKind.DOMAIN, domain))
    return NewItem("q", ItemKind.SUBMISSION, None, (bob,), octets, NOW, NOW + 120 * HOUR)


async def execute(queue, sql, *values):
    return await queue._file.write(lambda unit: unit.db.execute(sql, values).fetchall())


@pytest.mark.parametrize(
    "damage",
    ["DELETE FROM chunk", "UPDATE chunk SET octets = x'00', is_compressed = 1", "UPDATE chunk SET octets = x'00'"],
)
async def test_a_damaged_message_holds_up_no_other(queue, damage):
    await queue.put([item(b"x" * 2000, "bad.test")])
    await execute(queue, damage)
    await queue.put([item(b"good", "good.test")])
    leased = await queue.lease(NOW, NOW + HOUR, 10, 10)
    by_name = {each.destination.name: each.item.item_id for each in leased}
    assert await queue.octets(by_name["good.test"]) == b"good"
    with pytest.raises(StoreDamaged):
        await queue.octets(by_name["bad.test"])


async def test_octets_of_small_messages_come_with_the_lease(queue):
    octets = [b"x" * queue_leases.PREFETCH_OCTETS_MAX, b"y" * (queue_leases.PREFETCH_OCTETS_MAX + 1), b""]
    ids = await queue.put([item(each) for each in octets])
    await queue.lease(NOW, NOW + HOUR, 10, 10)
    assert set(queue._prefetched._octets) == {ids[0], ids[2]}
    assert [await queue.octets(each) for each in ids] == octets
    assert queue._prefetched._octets == {}
    assert [await queue.octets(each) for each in ids] == octets  # read once more, as an attempt may be made again


async def test_of_too_many_octets_the_oldest_are_read_again(queue, monkeypatch):
    monkeypatch.setattr(queue_leases, "PREFETCHED_OCTETS_MAX", 2500)
    ids = await queue.put([item(b"%d" % number * 1000) for number in range(5)])
    await queue.lease(NOW, NOW + HOUR, 10, 10)
    assert queue._prefetched._size_octets == 2000
    assert set(queue._prefetched._octets) == set(ids[3:])
    assert await queue.octets(ids[0]) == b"0" * 1000
    for each in ids:
        await queue.octets(each)
    assert queue._prefetched._size_octets == 0


async def test_what_waits_too_long_is_found_by_its_index(queue):
    def plan(sql):
        def work(db):
            return " ".join(row[-1] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values))

        return work

    values = {"now": 0, "told_before": 0, "limit": 1}
    assert "item_expiry" in await queue._file.read(plan(queue_overdue._EXPIRED))
    assert "item_untold" in await queue._file.read(plan(queue_overdue._UNTOLD))


async def test_pages_and_queue_ids_are_found_without_a_scan(queue):
    async def plan(query):
        sql, values = queue_reads.selection(query)
        return await queue._file.read(
            lambda db: " ".join(row[-1] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values))
        )

    assert "item_by_queue_id" in await plan(QueueQuery(queue_id="q"))
    assert await plan(QueueQuery()) == "SEARCH item USING INTEGER PRIMARY KEY (rowid>?)"
    assert "recipient_state" in await plan(QueueQuery(state="failed"))
