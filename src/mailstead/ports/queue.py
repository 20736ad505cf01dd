"""The queue part of the storage port: durable, leased, fair.

Promises: what `put` has returned for survives a power cut (promise 4). A delivery is leased to one worker; an expired
lease returns it (promise 7). `settle` records results and puts the notices that follow from them in one unit. A
destination with 100,000 waiting items costs the others nothing: leasing goes by destination. A wake-up on the topic
`QUEUE` follows each `put` and each command that makes something due.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from mailstead.model.address import Address
from mailstead.model.ids import AccountId
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

QUEUE: Final = AccountId("queue")
"""The topic of the change bus on which workers are woken."""


class Queue(Protocol):
    """Errors of all verbs: StorageUnavailable, StorageFull (`put`)."""

    async def put(self, items: Sequence[NewItem]) -> list[QueueItemId]:
        """Take all items or none; recipients are due at once, or at `not_before`."""

    async def lease(self, now: datetime, until: datetime, limit: int, per_destination: int) -> list[Delivery]:
        """Lease up to `limit` due deliveries, of different destinations where possible.

        A destination has at most `per_destination` live leases in all processes (counting one per delivery), and none
        while its back-off runs. Higher priority first, then longest due.
        """

    async def lease_more(self, destination: Destination, now: datetime, until: datetime, limit: int) -> list[Delivery]:
        """Lease further due deliveries of one destination, for a connection that is open; no limit per destination."""

    async def lease_overdue(self, now: datetime, told_before: datetime, until: datetime, limit: int) -> list[Delivery]:
        """Lease deliveries that nobody has leased and that wait too long, whether due or at a destination that rests.

        Those are: items expired at `now`; and items accepted before `told_before`, with somebody to notify, whose
        author has not been told of a delay. Oldest first.
        """

    async def bring_forward(self, now: datetime, retried_by: datetime, released_by: datetime) -> int:
        """Make due what was put off by a clock that ran ahead and was set back; gives how many recipients.

        If the clock is right, no second attempt, lease or rest of a destination lies beyond `retried_by`, and nothing
        is put off by its author beyond `released_by`.
        """

    async def octets(self, item_id: QueueItemId) -> bytes:
        """The message. Errors: NoSuchQueueItem."""

    async def settle(self, delivery: Delivery, outcomes: Sequence[Outcome], notices: Sequence[NewItem] = ()) -> None:
        """Record what an attempt gave and queue the notices, in one unit; the lease ends.

        An item none of whose recipients waits any more is finished: its octets are removed, the rest is kept for
        `items` until `forget_finished`. A lease that has expired meanwhile is settled all the same: what happened
        happened.
        """

    async def give_back(self, delivery: Delivery) -> None:
        """End a lease without an attempt; the delivery is due as before."""

    async def extend(self, deliveries: Sequence[Delivery], until: datetime) -> None:
        """Keep leases for longer."""

    async def destination_failed(self, destination: Destination, not_before: datetime, reply: RemoteReply) -> None:
        """Let a destination rest, as none of its servers answers; counts its failures in a row.

        One that rests already goes on to rest as it does: those who have failed there at the same time are one failure.
        """

    async def destination_reached(self, destination: Destination) -> None:
        """A server of it has answered: its failures are forgotten."""

    async def failure_count(self, destination: Destination) -> int:
        """Connection failures in a row."""

    async def next_due_at(self) -> datetime | None:
        """The earliest moment at which something may be leased; None: nothing waits."""

    # for administrators

    async def items(self, query: QueueQuery) -> list[QueueItem]:
        """Items with all their recipients."""

    async def count(self) -> dict[RecipientState, int]:
        """Recipients by state."""

    async def destinations(self) -> list[DestinationState]:
        """All destinations for which something waits, most waiting first."""

    async def hold(self, item_ids: Sequence[QueueItemId]) -> int:
        """WAITING → HELD; gives how many recipients."""

    async def release(self, item_ids: Sequence[QueueItemId]) -> int:
        """HELD → WAITING, due at once."""

    async def cancel(self, item_ids: Sequence[QueueItemId], now: datetime) -> int:
        """WAITING and HELD → CANCELLED; no notice goes out."""

    async def take_back(self, item_ids: Sequence[QueueItemId], now: datetime) -> bool:
        """Cancel items none of whose recipients was tried or is due: all of them, or (False) nothing at all.

        One unit with leasing, so what was taken back never goes out, and what a worker has begun is not taken back.
        """

    async def retry_now(self, item_ids: Sequence[QueueItemId], now: datetime) -> int:
        """Make WAITING recipients due, and end the back-off of their destinations."""

    async def forget_finished(self, before: datetime) -> int:
        """Remove items finished before that moment; gives how many."""

    # addresses that mail is not sent to

    async def suppress(self, suppression: Suppression) -> None:
        """Add or renew."""

    async def suppressed(self, addresses: Sequence[Address]) -> dict[str, Suppression]:
        """Which of these are suppressed, by `Address.key`."""

    async def suppressions(self) -> list[Suppression]:
        """All of them, newest first."""

    async def unsuppress(self, address: Address) -> bool:
        """Remove; whether it was there."""
