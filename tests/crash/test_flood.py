"""A full queue for hosts that do not answer, and mail for a host that does: the one costs the other nothing.

What is asserted is structure, not time: everything for the live host arrives while the dead ones are hardly asked, nothing
that waits is touched or lost, and memory does not grow with the queue.
"""

import asyncio
import os
import random
import resource
import socket
import threading
from datetime import UTC, datetime, timedelta

import pytest

from crash.sink import Sink
from mailstead.config.load import load
from mailstead.model.address import Address
from mailstead.model.envelope import Recipient
from mailstead.model.queue import Destination, DestinationKind, ItemKind, NewItem, NewRecipient, QueueQuery
from mailstead.wiring.house import open_house
from mailstead.wiring.queue import make_queue_service

pytestmark = pytest.mark.crash

FLOOD_COUNT = int(os.environ.get("FLOOD_COUNT", "100000"))
LIVE_COUNT = 500
BATCH = 1000
PER_DESTINATION = 3
MEMORY_KB_MAX = 64 * 1024
"""A kilobyte for each of 100,000 items would be more."""
LIMIT_S = 600.0


class Silent:
    """Takes connections and never says a word."""

    def __init__(self, address):
        self._listening = socket.create_server((address, 0), backlog=256)
        self.port = self._listening.getsockname()[1]
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                self.connections.append(self._listening.accept()[0])
        except OSError:
            return

    def close(self):
        self._listening.close()
        for connection in self.connections:
            connection.close()


def refused_port(address):
    with socket.create_server((address, 0)) as listening:
        return listening.getsockname()[1]


def items(destination, numbers):
    now = datetime.now(UTC)
    author = Address("alice", "example.test")
    octets = b"From: alice@example.test\r\nMessage-ID: <%d@flood.test>\r\n\r\n" + b"x" * 1000 + b"\r\n"
    return [
        NewItem(
            queue_id=f"flood{number}",
            kind=ItemKind.SUBMISSION,
            mail_from=author,
            recipients=(NewRecipient(Recipient(Address(f"user{number}", "there.test")), destination),),
            octets=octets % number,
            accepted_at=now,
            expires_at=now + timedelta(days=5),
            notify_to=author,
            message_id=f"{number}@flood.test",
        )
        for number in numbers
    ]


async def put_all(queue, destination, numbers):
    for start in range(0, len(numbers), BATCH):
        await queue.put(items(destination, numbers[start : start + BATCH]))


async def states(queue):
    return {state.destination.name: state for state in await queue.destinations()}


async def attempted(queue, name):
    """How many items for a destination have been attempted, and how many there are."""
    tried = total = 0
    query = QueueQuery(destination=name, limit=BATCH)
    while page := await queue.items(query):
        total += len(page)
        tried += sum(each.recipients[0].attempt_count > 0 for each in page)
        query = QueueQuery(destination=name, limit=BATCH, after=page[-1].item_id)
    return tried, total


async def happens(condition):
    """Wait for what a thread does: it has no event that a loop could wait for."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0.02)  # see above


async def test_attack_024_a_flood_for_dead_hosts_does_not_touch_the_others(tmp_path):
    silent, live = Silent("127.0.0.2"), Sink(random.Random(1))
    dead = {
        "127.0.0.2": Destination(DestinationKind.HOST, "127.0.0.2", silent.port),
        "127.0.0.3": Destination(DestinationKind.HOST, "127.0.0.3", refused_port("127.0.0.3")),
    }
    settings = load(
        None,
        {
            "MAILSTEAD_SERVER_DATA_DIR": str(tmp_path / "data"),
            "MAILSTEAD_SERVER_STOP_LIMIT_S": "0.1",
            "MAILSTEAD_QUEUE_CONNECTIONS_PER_DESTINATION_MAX": str(PER_DESTINATION),
            "MAILSTEAD_RELAY_ALLOWS_PRIVATE_ADDRESSES": "true",
            "MAILSTEAD_DNS_SERVERS": "127.0.0.1:1",
        },
    ).settings
    (tmp_path / "data").mkdir()
    half = FLOOD_COUNT // 2
    async with open_house(settings) as house:
        queue = house.storage.queue
        await put_all(queue, dead["127.0.0.2"], range(half))
        await put_all(queue, dead["127.0.0.3"], range(half, 2 * half))
        await put_all(
            queue, Destination(DestinationKind.HOST, "127.0.0.1", live.port), range(2 * half, 2 * half + LIVE_COUNT)
        )
        memory_before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        stop = asyncio.Event()
        service = asyncio.create_task(make_queue_service(house).run(stop))
        try:
            await happens(lambda: len(live.taken) == LIVE_COUNT or service.done())
            assert len(live.taken) == LIVE_COUNT
            during = await states(queue)
        finally:
            stop.set()
            await service
        assert during["127.0.0.2"].leased_count <= PER_DESTINATION
        assert len(silent.connections) <= PER_DESTINATION
        assert during["127.0.0.3"].not_before is not None, "it rests"
        for name in dead:
            tried, total = await attempted(queue, name)
            assert tried <= PER_DESTINATION
            assert total == half
        memory_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_before_kb
        print(f"flood: {2 * half} waiting, {LIVE_COUNT} delivered, memory grew by {memory_kb} KB")
        assert memory_kb < MEMORY_KB_MAX
    assert all(len(times) == 1 for times in live.taken.values())
    silent.close()
    live.close()
