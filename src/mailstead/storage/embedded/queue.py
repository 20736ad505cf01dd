"""The queue in one encrypted file. Implements `ports.queue.Queue`; start reading at `queue_schema`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

import apsw

from mailstead.model.address import Address
from mailstead.model.queue import (
    Delivery,
    Destination,
    DestinationState,
    NewItem,
    Outcome,
    QueueItem,
    QueueItemId,
    QueueQuery,
    RecipientState,
    RemoteReply,
    Suppression,
)
from mailstead.ports.queue import QUEUE
from mailstead.storage.embedded import (
    queue_ahead,
    queue_check,
    queue_lanes,
    queue_leases,
    queue_overdue,
    queue_reads,
    queue_schema,
    queue_suppressions,
    queue_writes,
)
from mailstead.storage.embedded.moments import moment_or_none, us_of
from mailstead.storage.embedded.queue_leases import Leasing, Prefetched
from mailstead.storage.embedded.side_file import FileKind, SideFiles, SideTransaction

ITEMS_PER_UNIT: Final = 500
"""How many items a command of an administrator changes in one unit, so that a large one does not hold up deliveries."""


class EmbeddedQueue:
    """Each verb is one unit of work of the file's writer thread, or one hop to a reader thread."""

    def __init__(self, files: SideFiles) -> None:
        self._file = files.open(FileKind(QUEUE, queue_schema.MIGRATIONS))
        self._bus = files.bus
        self._clock = files.clock
        self._prefetched = Prefetched()

    async def findings(self) -> list[str]:
        """What does not fit together in the file; for `Storage.check`."""
        return await self._file.read(lambda db: list(queue_check.check(db)))

    async def put(self, items: Sequence[NewItem]) -> list[QueueItemId]:
        """See `Queue.put`."""
        return await self._file.write(lambda unit: queue_writes.put(unit.db, items), grows=True, wakes=True)

    async def lease(self, now: datetime, until: datetime, limit: int, per_destination: int) -> list[Delivery]:
        """See `Queue.lease`."""
        leasing = Leasing(us_of(now), us_of(until), limit)
        deliveries = await self._file.write(lambda unit: leasing.fair(unit.db, per_destination))
        self._prefetched.add(leasing.prefetched)
        return deliveries

    async def lease_more(self, destination: Destination, now: datetime, until: datetime, limit: int) -> list[Delivery]:
        """See `Queue.lease_more`."""
        leasing = Leasing(us_of(now), us_of(until), limit)
        deliveries = await self._file.write(lambda unit: leasing.of(unit.db, destination.key))
        self._prefetched.add(leasing.prefetched)
        return deliveries

    async def lease_overdue(self, now: datetime, told_before: datetime, until: datetime, limit: int) -> list[Delivery]:
        """See `Queue.lease_overdue`. Looks first, so that deliveries are not held up by the search."""
        found = await self._file.read(lambda db: queue_overdue.item_ids(db, us_of(now), us_of(told_before), limit))
        if not found:
            return []
        leasing = Leasing(us_of(now), us_of(until), limit)
        deliveries = await self._file.write(lambda unit: leasing.overdue(unit.db, found, us_of(told_before)))
        self._prefetched.add(leasing.prefetched)
        return deliveries

    async def bring_forward(self, now: datetime, retried_by: datetime, released_by: datetime) -> int:
        """See `Queue.bring_forward`. Looks first, as mostly there is nothing to do."""
        bounds = us_of(retried_by), us_of(released_by)
        if not await self._file.read(lambda db: queue_ahead.exists(db, *bounds)):
            return 0
        return await self._file.write(lambda unit: queue_ahead.bring_forward(unit.db, us_of(now), *bounds), wakes=True)

    async def octets(self, item_id: QueueItemId) -> bytes:
        """See `Queue.octets`."""
        octets = self._prefetched.take(item_id)
        return octets if octets is not None else await self._file.read(lambda db: queue_reads.message(db, item_id))

    async def settle(self, delivery: Delivery, outcomes: Sequence[Outcome], notices: Sequence[NewItem] = ()) -> None:
        """See `Queue.settle`. Others are woken if more is due at the destination: there is room for a lease again."""
        self._prefetched.take(delivery.item.item_id)
        is_due = await self._file.write(
            lambda unit: queue_writes.settle(unit.db, delivery, outcomes, notices, us_of(unit.now)),
            wakes=bool(notices),
        )
        if is_due:
            self._bus.publish(QUEUE)

    async def give_back(self, delivery: Delivery) -> None:
        """See `Queue.give_back`."""
        self._prefetched.take(delivery.item.item_id)
        await self._file.write(lambda unit: queue_leases.give_back(unit.db, delivery, us_of(unit.now)), wakes=True)

    async def extend(self, deliveries: Sequence[Delivery], until: datetime) -> None:
        """See `Queue.extend`."""
        await self._file.write(lambda unit: queue_leases.extend(unit.db, deliveries, us_of(until)))

    async def destination_failed(self, destination: Destination, not_before: datetime, reply: RemoteReply) -> None:
        """See `Queue.destination_failed`."""
        await self._file.write(
            lambda unit: queue_writes.destination_failed(
                unit.db, destination.key, us_of(not_before), reply, us_of(unit.now)
            )
        )

    async def destination_reached(self, destination: Destination) -> None:
        """See `Queue.destination_reached`. Looks first: mostly there is nothing to forget, and writing costs a sync."""
        if await self._file.read(lambda db: queue_reads.has_failed(db, destination.key)):
            await self._file.write(lambda unit: queue_writes.destination_reached(unit.db, destination.key), wakes=True)

    async def failure_count(self, destination: Destination) -> int:
        """See `Queue.failure_count`."""
        return await self._file.read(lambda db: queue_reads.failure_count(db, destination.key))

    async def next_due_at(self) -> datetime | None:
        """See `Queue.next_due_at`."""
        return moment_or_none(await self._file.read(queue_lanes.next_ready_at))

    # for administrators

    async def items(self, query: QueueQuery) -> list[QueueItem]:
        """See `Queue.items`."""
        return await self._file.read(lambda db: queue_reads.items(db, query))

    async def count(self) -> dict[RecipientState, int]:
        """See `Queue.count`."""
        return await self._file.read(queue_reads.count)

    async def destinations(self) -> list[DestinationState]:
        """See `Queue.destinations`."""
        now = us_of(self._clock.now())
        return await self._file.read(lambda db: queue_reads.destinations(db, now))

    async def hold(self, item_ids: Sequence[QueueItemId]) -> int:
        """See `Queue.hold`."""
        return await self._change(item_ids, queue_writes.hold)

    async def release(self, item_ids: Sequence[QueueItemId]) -> int:
        """See `Queue.release`."""
        now = us_of(self._clock.now())
        return await self._change(item_ids, lambda db, some: queue_writes.release(db, some, now), wakes=True)

    async def cancel(self, item_ids: Sequence[QueueItemId], now: datetime) -> int:
        """See `Queue.cancel`."""
        for item_id in item_ids:
            self._prefetched.take(item_id)
        return await self._change(item_ids, lambda db, some: queue_writes.cancel(db, some, us_of(now)))

    async def take_back(self, item_ids: Sequence[QueueItemId], now: datetime) -> bool:
        """See `Queue.take_back`."""
        is_back = await self._file.write(lambda unit: queue_writes.take_back(unit.db, item_ids, us_of(now)))
        if is_back:
            for item_id in item_ids:
                self._prefetched.take(item_id)
        return is_back

    async def retry_now(self, item_ids: Sequence[QueueItemId], now: datetime) -> int:
        """See `Queue.retry_now`."""
        return await self._change(item_ids, lambda db, some: queue_writes.retry_now(db, some, us_of(now)), wakes=True)

    async def _change(
        self,
        item_ids: Sequence[QueueItemId],
        change: Callable[[apsw.Connection, Sequence[int]], int],
        *,
        wakes: bool = False,
    ) -> int:
        count = 0
        for start in range(0, len(item_ids), ITEMS_PER_UNIT):
            count += await self._file.write(
                partial(_changed, change, item_ids[start : start + ITEMS_PER_UNIT]), wakes=wakes
            )
        return count

    async def forget_finished(self, before: datetime) -> int:
        """See `Queue.forget_finished`."""
        count = 0
        while True:
            some = await self._file.write(
                lambda unit: queue_writes.forget_finished(unit.db, us_of(before), ITEMS_PER_UNIT)
            )
            count += some
            if some < ITEMS_PER_UNIT:
                return count

    # addresses that mail is not sent to

    async def suppress(self, suppression: Suppression) -> None:
        """See `Queue.suppress`."""
        await self._file.write(lambda unit: queue_suppressions.suppress(unit.db, suppression), grows=True)

    async def suppressed(self, addresses: Sequence[Address]) -> dict[str, Suppression]:
        """See `Queue.suppressed`."""
        return await self._file.read(lambda db: queue_suppressions.suppressed(db, addresses))

    async def suppressions(self) -> list[Suppression]:
        """See `Queue.suppressions`."""
        return await self._file.read(queue_suppressions.suppressions)

    async def unsuppress(self, address: Address) -> bool:
        """See `Queue.unsuppress`."""
        return await self._file.write(lambda unit: queue_suppressions.unsuppress(unit.db, address))


def _changed(
    change: Callable[[apsw.Connection, Sequence[int]], int], item_ids: Sequence[int], unit: SideTransaction
) -> int:
    return change(unit.db, item_ids)
