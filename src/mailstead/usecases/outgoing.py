"""The queue as administrators see it: look, hold, release, cancel, try again; and the list of suppressed addresses."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchAddress, NoSuchQueueItem, NotAllowed
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
from mailstead.usecases.audit import Notes, Unnoted

OPEN: Final = (RecipientState.WAITING, RecipientState.HELD)
"""The states of what has not come to an end."""
PAGE_ITEMS: Final = 1000
"""Items are read in pages of so many, so that a large queue needs little memory."""


class Outgoing:
    """For administrators: of the server all, of domains what goes out on their behalf.

    What is others' is not there. Messages themselves, counts and suppressions are for those of the server.
    Errors of all verbs: NotAllowed, for who administers nothing.
    """

    def __init__(self, storage: Storage, clock: Clock, audit: Notes | None = None) -> None:
        self._queue = storage.queue
        self._clock = clock
        self._audit: Final = audit or Unnoted()

    # looking

    async def pages(
        self, actor: Actor, query: QueueQuery, states: Sequence[RecipientState] = OPEN
    ) -> AsyncIterator[list[QueueItem]]:
        """Yield items with some recipient in one of these states (no states: in any), oldest first, page by page."""
        _must_administer_some(actor)
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
            own = [item for item in page if _is_of(item, actor)]
            if own:
                yield own
            left -= len(own)
            queries = [replace(each, after=page[-1].item_id) for each in queries]

    async def show(self, actor: Actor, queue_id: str) -> list[QueueItem]:
        """All items that came from one message, finished ones too. Errors: NoSuchQueueItem."""
        _must_administer_some(actor)
        found = [item for item in await self._queue.items(QueueQuery(queue_id=queue_id)) if _is_of(item, actor)]
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

    async def fitting(self, actor: Actor, queries: Sequence[QueueQuery], states: Sequence[RecipientState]) -> int:
        """Count recipients in these states of the items that a change would be about. Errors: NoSuchQueueItem."""
        found: dict[QueueItemId, int] = {}
        for query in queries:
            if query.queue_id:
                await self.show(actor, query.queue_id)
            async for page in self.pages(actor, replace(query, limit=sys.maxsize), states):
                for item in page:
                    found[item.item_id] = sum(each.state in states for each in item.recipients)
        return sum(found.values())

    # changing; each gives how many recipients it has changed

    async def hold(self, actor: Actor, queries: Sequence[QueueQuery]) -> int:
        """Keep what waits from going out, until it is released."""
        count = await self._queue.hold(await self._ids(actor, queries, RecipientState.WAITING))
        return self._noted(actor, "queue.hold", queries, count)

    async def release(self, actor: Actor, queries: Sequence[QueueQuery]) -> int:
        """Let what is held go out at once."""
        count = await self._queue.release(await self._ids(actor, queries, RecipientState.HELD))
        return self._noted(actor, "queue.release", queries, count)

    async def cancel(self, actor: Actor, queries: Sequence[QueueQuery]) -> int:
        """Let what waits or is held never go out; nobody is told."""
        count = await self._queue.cancel(await self._ids(actor, queries, *OPEN), self._clock.now())
        return self._noted(actor, "queue.cancel", queries, count)

    async def retry(self, actor: Actor, queries: Sequence[QueueQuery]) -> int:
        """Try what waits again now, though its destination rests."""
        ids = await self._ids(actor, queries, RecipientState.WAITING)
        return self._noted(actor, "queue.retry", queries, await self._queue.retry_now(ids, self._clock.now()))

    async def forget_finished(self, actor: Actor, before: datetime) -> int:
        """Remove what came to an end before a moment; gives how many items."""
        actor.must_be_admin()
        return await self._queue.forget_finished(before)

    async def _ids(self, actor: Actor, queries: Sequence[QueueQuery], *states: RecipientState) -> list[QueueItemId]:
        """All items that fit one of the queries. Errors: NoSuchQueueItem, for a queue id that is not there."""
        _must_administer_some(actor)
        found: set[QueueItemId] = set()
        for query in queries:
            if query.queue_id:
                await self.show(actor, query.queue_id)
            async for page in self.pages(actor, replace(query, limit=sys.maxsize), states):
                found |= {item.item_id for item in page}
        return sorted(found)

    def _noted(self, actor: Actor, verb: str, queries: Sequence[QueueQuery], count: int) -> int:
        for query in queries:
            wanted = query.queue_id or query.address or query.destination or "all"
            self._audit.note(actor, verb, wanted, count=str(count))
        return count

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
        self._audit.note(actor, "suppression.add", address.key)
        return suppression

    async def unsuppress(self, actor: Actor, address: Address) -> None:
        """Send mail to an address again. Errors: NoSuchAddress, when it was not suppressed."""
        actor.must_be_admin()
        if not await self._queue.unsuppress(address):
            raise NoSuchAddress(f"{address} is not suppressed")
        self._audit.note(actor, "suppression.remove", address.key)


def _is_of(item: QueueItem, actor: Actor) -> bool:
    return actor.is_admin or actor.administers(item.domain)


def _must_administer_some(actor: Actor) -> None:
    if not actor.is_admin and not actor.administered:
        raise NotAllowed
