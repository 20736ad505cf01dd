"""Sessions with others through which nothing goes at this moment: kept a little, as more for there often comes soon.

Under a steady flow each message is relayed as it comes, so a session would seldom find a second one that waits; and to
open a session costs more than to send a small message. Two seconds are far below the silence that servers suffer
(RFC 5321 §4.5.3.2.7: five minutes).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from mailstead.model.queue import Destination
from mailstead.ports.clock import Clock
from mailstead.ports.relay import RelaySession, RelayTerms

KEPT_S: Final = 2.0


@dataclass(slots=True, eq=False)
class UsedSession:
    """An open session, and how many messages went through it."""

    session: RelaySession
    destination: Destination
    terms: RelayTerms
    sent_count: int = 0
    idle_since_s: float = 0.0


class IdleSessions:
    """One object per process. Who takes a session gives it back by `keep`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._idle: dict[UsedSession, asyncio.TimerHandle] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def take(self, destination: Destination, terms: RelayTerms) -> UsedSession | None:
        """Give the one used last that still is open."""
        oldest_s = self._clock.monotonic_s() - KEPT_S
        for used in reversed(self._idle):
            is_fit = used.destination == destination and used.terms == terms
            if is_fit and used.session.is_open and used.idle_since_s >= oldest_s:
                self._idle.pop(used).cancel()
                return used
        return None

    def keep(self, used: UsedSession) -> None:
        """Keep a session for whoever comes next; it is closed if nobody does."""
        used.idle_since_s = self._clock.monotonic_s()
        self._idle[used] = asyncio.get_running_loop().call_later(KEPT_S, self._end, used)

    def shrink(self, count_max: int) -> None:
        """Close those that are idle for longest, so that only so many are left."""
        for used in list(self._idle)[: max(0, len(self._idle) - max(0, count_max))]:
            self._end(used)

    async def close(self) -> None:
        """Close all."""
        self.shrink(0)
        await asyncio.gather(*self._closing)

    def _end(self, used: UsedSession) -> None:
        self._idle.pop(used).cancel()
        task = asyncio.create_task(used.session.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
