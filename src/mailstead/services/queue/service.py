"""The queue as a thing that can be started: it listens nowhere, it works."""

from __future__ import annotations

import asyncio
from typing import Final

from mailstead.telemetry import log
from mailstead.usecases.dav_push import DavPush
from mailstead.usecases.housekeeping import Housekeeping
from mailstead.usecases.relays import Relays
from mailstead.usecases.reporting import Counting
from mailstead.usecases.subscriptions import Subscriptions

_log = log.get("queue")


class QueueService:
    """Relays, keeps house, fetches calendars and tells devices until it is told to stop.

    What it sees of others' TLS is counted.
    """

    def __init__(
        self,
        relays: Relays,
        housekeeping: Housekeeping,
        counting: Counting,
        subscriptions: Subscriptions,
        dav_push: DavPush,
    ) -> None:
        self._relays: Final = relays
        self._counting: Final = counting
        self._housekeeping: Final = housekeeping
        self._subscriptions: Final = subscriptions
        self._dav_push: Final = dav_push

    async def run(self, stop: asyncio.Event) -> None:
        """Work; a failure of one part ends all, and the process with them."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._relays.run(stop))
                group.create_task(self._housekeeping.run(stop))
                group.create_task(self._counting.run(stop))
                group.create_task(self._subscriptions.run(stop))
                group.create_task(self._dav_push.run(stop))
        except Exception as error:
            _log.exception("the queue has failed, and this process ends with it", exc_info=error)
            raise
