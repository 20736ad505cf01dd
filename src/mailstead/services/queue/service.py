"""The queue as a thing that can be started: it listens nowhere, it works."""

from __future__ import annotations

import asyncio
from typing import Final

from mailstead.usecases.housekeeping import Housekeeping
from mailstead.usecases.relays import Relays


class QueueService:
    """Relays and keeps house until it is told to stop."""

    def __init__(self, relays: Relays, housekeeping: Housekeeping) -> None:
        self._relays: Final = relays
        self._housekeeping: Final = housekeeping

    async def run(self, stop: asyncio.Event) -> None:
        """Work; a failure of either part ends both, and the process with them."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._relays.run(stop))
            group.create_task(self._housekeeping.run(stop))
