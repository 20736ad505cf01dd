"""What this process is working on: deliveries that it has leased, and the memory that their messages take.

A lease may end while the message is still being sent: the clock was set, or the store did not take the extension. Then
the queue leases the same recipients once more, and only who sends them knows that; so he is asked here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from mailstead.model.queue import Delivery, RecipientId

OCTETS_MAX: Final = 256 * 1024 * 1024
"""Of all messages that are read for sending at the same time. Sending copies a message up to two more times."""


@dataclass(slots=True)
class _Held:
    delivery: Delivery
    octets: int = 0


class UnderWay:
    """One object per process."""

    def __init__(self, octets_max: int = OCTETS_MAX) -> None:
        self._octets_max = octets_max
        self._octets = 0
        self._held: dict[str, _Held] = {}
        self._recipients: dict[RecipientId, str] = {}
        self._freed = asyncio.Event()
        self._turn = asyncio.Lock()
        """Who waits for room waits in a queue, so that small messages do not keep a large one waiting for ever."""

    def __len__(self) -> int:
        return len(self._held)

    @property
    def deliveries(self) -> list[Delivery]:
        """All of them."""
        return [held.delivery for held in self._held.values()]

    def take_up(self, delivery: Delivery) -> bool:
        """Note a delivery that was leased; False, and nothing is noted, if one of its recipients is being sent to."""
        recipient_ids = [each.recipient_id for each in delivery.item.recipients]
        if any(recipient_id in self._recipients for recipient_id in recipient_ids):
            return False
        self._held[delivery.lease_id] = _Held(delivery)
        self._recipients.update(dict.fromkeys(recipient_ids, delivery.lease_id))
        return True

    async def make_room(self, delivery: Delivery) -> None:
        """Wait until the message fits into the memory that is set aside; a larger one goes alone."""
        async with self._turn:
            while not self._fits(delivery):
                self._freed.clear()
                await self._freed.wait()
            self._count(delivery)

    def has_room(self, delivery: Delivery) -> bool:
        """Take the room at once if it is there and nobody waits for it."""
        if self._turn.locked() or not self._fits(delivery):
            return False
        self._count(delivery)
        return True

    def let_go(self, delivery: Delivery) -> None:
        """The delivery has come to an end; may be called again."""
        held = self._held.pop(delivery.lease_id, None)
        if held is None:
            return
        for each in delivery.item.recipients:
            self._recipients.pop(each.recipient_id, None)
        self._octets -= held.octets
        self._freed.set()

    def _fits(self, delivery: Delivery) -> bool:
        return not self._octets or self._octets + delivery.item.size_octets <= self._octets_max

    def _count(self, delivery: Delivery) -> None:
        held = self._held.get(delivery.lease_id)
        if held is not None:
            held.octets = delivery.item.size_octets
            self._octets += held.octets
