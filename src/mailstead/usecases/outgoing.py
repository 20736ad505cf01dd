"""The queue as administrators see it: look, hold, release, cancel, try again; and the list of suppressed addresses."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchAddress, NoSuchQueueItem
from mailstead.model.queue import (
    DestinationState,
    QueueItem,
    QueueItemId,
    QueueQuery,
    RecipientState,
    Suppression,
)
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage

OPEN: Final = (RecipientState.WAITING, RecipientState.HELD)
"""The states of what has not come to an end."""
PAGE_ITEMS: Final = 1000
"""Items are read in pages of so many, so that a large queue needs little memory."""


class Outgoing:
    """All verbs are for administrators only (NotAllowed)."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._queue = storage.queue
        self._clock = clock

    # looking

    async def pages(
        self, actor: Actor, query: QueueQuery, states: Sequence[RecipientState] = OPEN
    ) -> AsyncIterator[list[QueueItem]]:
        """Yield items with some recipient in one of these states (no states: in any), oldest first, page by page."""
        actor.must_be_admin()
        left = query.limit
        queries = [replace(query, state=state) for state in states] or [query]
        while left > 0:
            size = min(left, PAGE_ITEMS)
            found = {
                item.item_id: item for each in queries for item in await self._queue.items(replace(each, limit=size))
            }
            page = [found[item_id] for item_id in sorted(found)][:size]
            if not page:
                return
            yield page
            left -= len(page)
            queries = [replace(each, after=page[-1].item_id) for each in queries]

    async def show(self, actor: Actor, queue_id: str) -> list[QueueItem]:
        """All items that came from one message, finished ones too. Errors: NoSuchQueueItem."""
        actor.must_be_admin()
        found = await self._queue.items(QueueQuery(queue_id=queue_id))
        if not found:
            raise NoSuchQueueItem(f"There is nothing with the queue id {queue_id}")
        return found

    async def octets(self, actor: Actor, item_id: QueueItemId) -> bytes:
        """A message that waits, as it goes out. Errors: NoSuchQueueItem, when it is finished."""
        actor.must_be_admin()
        return await self._queue.octets(item_id)

    async def count(self, actor: Actor) -> dict[RecipientState, int]:
        """Recipients by state."""
        actor.must_be_admin()
        return await self._queue.count()

    async def destinations(self, actor: Actor) -> list[DestinationState]:
        """Where mail waits to go, most waiting first."""
        actor.must_be_admin()
        return await self._queue.destinations()

    # changing; each gives how many recipients it has changed

    async def hold(self, actor: Actor, queries: Sequence[QueueQuery]) -> int:
        """Keep what waits from going out, until it is released."""
        return await self._queue.hold(await self._ids(actor, queries, RecipientState.WAITING))

    async def release(self, actor: Actor, queries: Sequence[QueueQuery]) -> int:
        """Let what is held go out at once."""
        return await self._queue.release(await self._ids(actor, queries, RecipientState.HELD))

    async def cancel(self, actor: Actor, queries: Sequence[QueueQuery]) -> int:
        """Let what waits or is held never go out; nobody is told."""
        return await self._queue.cancel(await self._ids(actor, queries, *OPEN), self._clock.now())

    async def retry(self, actor: Actor, queries: Sequence[QueueQuery]) -> int:
        """Try what waits again now, though its destination rests."""
        return await self._queue.retry_now(await self._ids(actor, queries, RecipientState.WAITING), self._clock.now())

    async def forget_finished(self, actor: Actor, before: datetime) -> int:
        """Remove what came to an end before a moment; gives how many items."""
        actor.must_be_admin()
        return await self._queue.forget_finished(before)

    async def _ids(self, actor: Actor, queries: Sequence[QueueQuery], *states: RecipientState) -> list[QueueItemId]:
        """All items that fit one of the queries. Errors: NoSuchQueueItem, for a queue id that is not there."""
        actor.must_be_admin()
        found: set[QueueItemId] = set()
        for query in queries:
            if query.queue_id:
                await self.show(actor, query.queue_id)
            async for page in self.pages(actor, replace(query, limit=sys.maxsize), states):
                found |= {item.item_id for item in page}
        return sorted(found)

    # addresses that mail is not sent to

    async def suppressions(self, actor: Actor) -> list[Suppression]:
        """All suppressed addresses, newest first."""
        actor.must_be_admin()
        return await self._queue.suppressions()

    async def suppress(self, actor: Actor, address: Address, reason: str) -> Suppression:
        """Send nothing to an address any more."""
        actor.must_be_admin()
        suppression = Suppression(address, reason, self._clock.now())
        await self._queue.suppress(suppression)
        return suppression

    async def unsuppress(self, actor: Actor, address: Address) -> None:
        """Send mail to an address again. Errors: NoSuchAddress, when it was not suppressed."""
        actor.must_be_admin()
        if not await self._queue.unsuppress(address):
            raise NoSuchAddress(f"{address} is not suppressed")
