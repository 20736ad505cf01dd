"""What waits too long is told of or given up, without asking any destination: most of them rest, and cost nothing.

While the clock is in doubt nothing is (`clockwatch`); and what a wrong clock has put off becomes due again.

Spec: RFC 5321 §4.5.4.1.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from mailstead.model.errors import MailsteadError
from mailstead.model.queue import Delivery, Outcome, QueueItemId, RecipientState
from mailstead.ports.clock import Clock
from mailstead.ports.queue import Queue
from mailstead.telemetry import log, metrics
from mailstead.usecases.clockwatch import ClockWatch
from mailstead.usecases.notices import Told
from mailstead.usecases.outcomes import Outcomes, overdue, told_of
from mailstead.usecases.settling import Settling
from mailstead.usecases.underway import UnderWay

_log = log.get("queue")

SWEEP_S: Final = 60.0
SWEEP_MAX: Final = 200
PATIENCE_S: Final = 3600.0
"""So long after the start nothing is given up untried: mail that has expired while we were down is tried once more."""
AHEAD_EVERY: Final = 10
"""Each so manieth sweep looks for what a wrong clock has put off."""


class Sweep:
    """A chore of the queue; one object per process."""

    def __init__(
        self,
        queue: Queue,
        clock: Clock,
        clock_watch: ClockWatch,
        outcomes: Outcomes,
        settling: Settling,
        under_way: UnderWay,
        *,
        lease_s: float,
        delay_told_s: float,
        retry_max_s: float,
        hold_max_s: float,
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._clock_watch = clock_watch
        self._outcomes = outcomes
        self._settling = settling
        self._under_way = under_way
        self._lease = timedelta(seconds=lease_s)
        self._delay_told = timedelta(seconds=delay_told_s)
        self._put_off_max = timedelta(hours=1, seconds=2 * max(retry_max_s, lease_s))
        self._hold_max = timedelta(seconds=hold_max_s)

    async def run(self) -> None:
        """Sweep until cancelled."""
        started_s = self._clock.monotonic_s()
        count = 0
        while True:
            await asyncio.sleep(SWEEP_S)  # a sweep is for what nothing wakes: it goes by the clock
            try:
                if count % AHEAD_EVERY == 0:
                    await self.bring_forward()
                count += 1
                is_patient = self._clock.monotonic_s() - started_s < PATIENCE_S
                while not is_patient and await self.once() >= SWEEP_MAX:
                    pass
            except MailsteadError as error:
                _log.warning("the queue cannot be swept", error=error.public_text)

    async def bring_forward(self) -> None:
        """Make due what a clock that ran ahead has put off."""
        now = self._clock.now()
        retried_by = now + self._put_off_max
        count = await self._queue.bring_forward(now, retried_by, retried_by + self._hold_max)
        if count:
            _log.warning("the clock had run ahead; what was put off until then is due now", count=count)

    async def once(self) -> int:
        """Give up what has expired and tell delays, without asking any destination; gives how many were looked at."""
        if not self._clock_watch.is_believed():
            return 0
        now = self._clock.now()
        leased = await self._queue.lease_overdue(now, now - self._delay_told, now + self._lease, SWEEP_MAX)
        by_item: dict[QueueItemId, list[Delivery]] = defaultdict(list)
        for delivery in leased:
            if self._under_way.take_up(delivery):
                by_item[delivery.item.item_id].append(delivery)
        for deliveries in by_item.values():
            try:
                await self._sweep_item(deliveries, now)
            except Exception as error:  # noqa: BLE001  # trouble with one item must not stop the others
                metrics.BUGS.labels("queue").inc()
                _log.exception("an item could not be swept", queue_id=deliveries[0].item.queue_id, exc_info=error)
            finally:
                for delivery in deliveries:
                    self._under_way.let_go(delivery)
        return len(leased)

    async def _sweep_item(self, deliveries: Sequence[Delivery], now: datetime) -> None:
        """Give up or tell of a delay what waits of one item at some destinations; the author gets one notice."""
        settled: list[tuple[Delivery, list[Outcome]]] = []
        told: list[Told] = []
        for delivery in deliveries:
            outcomes = [overdue(delivery.item, each, now) for each in delivery.item.recipients]
            settled.append((delivery, outcomes))
            for recipient, outcome in zip(delivery.item.recipients, outcomes, strict=True):
                if outcome.state is RecipientState.FAILED or self._outcomes.is_delay_due(delivery.item, recipient, now):
                    told += told_of(recipient, outcome, offers_dsn=False)
        await self._settling.record(settled, told, None)
