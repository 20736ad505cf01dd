"""Relaying: what is due in the queue goes to where it is due, and whatever comes of it is recorded.

Theory of operation. One loop leases deliveries, of different destinations where possible, and gives each to a task
(`sending`). How each ends is settled in one place (`settling`), by rules that have a place of their own (`outcomes`).
What waits too long is told of or given up by a chore that asks no destination (`sweeping`). All of them share one
memory of what this process has leased (`underway`), so that nothing is sent twice at the same time; leases are kept as
long as it is there.

Spec: RFC 5321 §4.5.4 (retry), §6.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from mailstead.model.errors import MailsteadError
from mailstead.policy.retry import RetryTerms
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.queue import QUEUE
from mailstead.ports.relay import Relay
from mailstead.ports.storage import Storage
from mailstead.telemetry import log
from mailstead.usecases.bounces import Bounces
from mailstead.usecases.clockwatch import ClockWatch
from mailstead.usecases.homecoming import Homecoming
from mailstead.usecases.notices import Notices
from mailstead.usecases.outcomes import Outcomes
from mailstead.usecases.routes import Routes
from mailstead.usecases.sending import Sending
from mailstead.usecases.settling import Settling
from mailstead.usecases.sweeping import Sweep
from mailstead.usecases.tracing import Tracing
from mailstead.usecases.underway import UnderWay
from mailstead.usecases.webhooks import Webhooks

_log = log.get("queue")

POLL_S: Final = 30.0
"""How often the loop looks by itself, in case a wake-up was lost."""
GATHER_S: Final = 0.005
"""So long the loop lets wake-ups gather: under load many come at once, and each look costs a transaction."""
CROWDED_S: Final = 1.0
"""How long the loop sleeps at most while what is due must wait for others at its destination: their end wakes it."""


@dataclass(frozen=True, slots=True)
class RelaysTerms:
    """How many, how often, how long."""

    connections_max: int = 50
    per_destination_max: int = 5
    messages_per_connection_max: int = 100
    lease_s: float = 180.0
    delay_told_s: float = 4 * 3600.0
    retry: RetryTerms = field(default_factory=RetryTerms)
    hold_max_s: float = 30 * 86400.0
    """How long an author may put a message off."""
    stop_limit_s: float = 10.0
    """How long deliveries that are under way may take to end when we stop; the rest is cut off and given back."""


class Relays:
    """Works the queue off; one object per process, any number of processes."""

    def __init__(
        self,
        storage: Storage,
        bus: ChangeBus,
        clock: Clock,
        relay: Relay,
        webhooks: Webhooks,
        homecoming: Homecoming,
        routes: Routes,
        notices: Notices,
        shown: Bounces,
        tracing: Tracing,
        terms: RelaysTerms,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._queue = queue = storage.queue
        self._bus = bus
        self._clock = clock
        self._terms = terms
        self._under_way = UnderWay()
        clock_watch = ClockWatch(clock)
        outcomes = Outcomes(clock_watch, terms.retry, delay_told_s=terms.delay_told_s, chance=chance)
        settling = Settling(queue, clock, outcomes, notices, shown, tracing, self._under_way)
        self._sending = Sending(
            queue,
            clock,
            relay,
            webhooks,
            homecoming,
            routes,
            settling,
            self._under_way,
            connections_max=terms.connections_max,
            messages_per_connection_max=terms.messages_per_connection_max,
            lease_s=terms.lease_s,
        )
        self.sweep: Final = Sweep(
            queue,
            clock,
            clock_watch,
            outcomes,
            settling,
            self._under_way,
            lease_s=terms.lease_s,
            delay_told_s=terms.delay_told_s,
            retry_max_s=terms.retry.max_s,
            hold_max_s=terms.hold_max_s,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; what is under way then is finished, or cut off at the limit and given back.

        Errors: whatever the loop or one of its chores dies of.
        """
        self._sending.stop, wake = stop, asyncio.Event()
        chores = (asyncio.create_task(self._keep_leases()), asyncio.create_task(self.sweep.run()))
        stopping = asyncio.create_task(stop.wait())
        try:
            with self._bus.watch(QUEUE, wake.set):
                while not stop.is_set():
                    wake.clear()
                    try:
                        pause_s = await self.begin_what_is_due()
                    except MailsteadError as error:
                        _log.warning("the queue cannot be read", error=error.public_text)
                        pause_s = 5.0
                    if pause_s > 0:
                        await self._pause(wake, {stopping, *chores}, pause_s)
                    for chore in chores:
                        if chore.done():
                            chore.result()
            await self._sending.finish(self._terms.stop_limit_s)
        finally:
            for task in (*chores, stopping):
                task.cancel()
            await self._sending.cut_off()
            await asyncio.gather(*chores, stopping, return_exceptions=True)

    async def begin_what_is_due(self) -> float:
        """Lease and start what is due; give how long there is nothing more to do, without a wake-up.

        Errors: those of the queue.
        """
        if self._sending.free_count <= 0:
            return POLL_S
        now = self._clock.now()
        leased = await self._queue.lease(
            now, self._until(now), self._sending.free_count, self._terms.per_destination_max
        )
        for delivery in leased:
            if self._under_way.take_up(delivery):
                self._sending.begin(delivery)
        if leased:
            return 0.0
        due_at = await self._queue.next_due_at()
        if due_at is None:
            return POLL_S
        in_s = (due_at - now).total_seconds()
        return CROWDED_S if in_s <= 0 else min(POLL_S, max(0.05, in_s))

    async def _pause(self, wake: asyncio.Event, ends: Collection[asyncio.Task[Any]], pause_s: float) -> None:
        """Wait for a wake-up, the end of some task, the time, or the stop."""
        waking = asyncio.create_task(wake.wait())
        try:
            await asyncio.wait(
                {waking, *ends, *self._sending.tasks}, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED
            )
            await asyncio.sleep(GATHER_S)
        finally:
            waking.cancel()

    async def _keep_leases(self) -> None:
        """Keep the leases of what is under way."""
        while True:
            await asyncio.sleep(self._terms.lease_s / 3)
            if self._under_way:
                with contextlib.suppress(MailsteadError):  # it comes round; and nobody here sends twice meanwhile
                    await self._queue.extend(self._under_way.deliveries, self._until(self._clock.now()))

    def _until(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._terms.lease_s)
