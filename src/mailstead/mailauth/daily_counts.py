"""Counters by UTC day that all processes share, for reports that are made when the day is over.

Theory of operation. `add` only counts in this process; `flush` adds that to the shared counters. When a day is over,
each domain's report falls due at a moment of its own within four hours, so that not all servers of the world speak at
once. Who makes a report claims it first: it may get lost in a crash, but is not sent twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Final

from mailstead.ports.clock import Clock
from mailstead.ports.memory import Memory
from mailstead.telemetry import log

_log = log.get("reports")

PENDING_MAX: Final = 10_000
"""Kinds of outcomes that wait to be flushed; what is new beyond that is not counted."""
DAYS_TOLD: Final = 2
"""Of how many past days reports are made, if they could not be made earlier."""
SPREAD_S: Final = 4 * 3600


class DailyCounts:
    """Counters, each with a text as key, and facts beside them."""

    def __init__(self, memory: Memory, clock: Clock, stem: str) -> None:
        """`stem` begins the kinds under which all this lies in memory."""
        self._memory = memory
        self._clock = clock
        self._stem = stem
        self._pending: dict[date, Counter[str]] = {}
        self._facts: dict[date, dict[str, bytes]] = {}
        self._is_full = False

    def add(self, key: str, fact: tuple[str, bytes] | None = None) -> None:
        """Count one, today; a fact (key and value) replaces an older one. Never waits."""
        day = self._clock.now().date()
        pending = self._pending.setdefault(day, Counter())
        if key not in pending and len(pending) >= PENDING_MAX:
            if not self._is_full:
                _log.warning("too many kinds of outcomes; some are not reported", kind=self._stem)
            self._is_full = True
            return
        pending[key] += 1
        if fact is not None:
            self._facts.setdefault(day, {})[fact[0]] = fact[1]

    async def flush(self) -> None:
        """Write what was counted. Errors: StorageUnavailable, StorageFull; then it is kept for the next time."""
        self._is_full = False
        for day in sorted(self._pending):
            pending, facts = self._pending.pop(day), self._facts.pop(day, {})
            until = _forgotten_at(day)
            try:
                await self._memory.remember(self._kind("facts", day), facts, until)
                await self._memory.count(self._kind("counts", day), pending, self._clock.now(), until)
            except BaseException:
                self._pending.setdefault(day, Counter()).update(pending)
                self._facts[day] = {**facts, **self._facts.get(day, {})}
                raise

    def days_over(self) -> list[date]:
        """Give the days of which reports may still be made, the oldest first."""
        today = self._clock.now().date()
        return [today - timedelta(days=days_ago) for days_ago in range(DAYS_TOLD, 0, -1)]

    async def counts(self, day: date) -> dict[str, int]:
        """Give the counters of a day."""
        return await self._memory.counts(self._kind("counts", day), self._clock.now())

    async def facts(self, day: date) -> dict[str, bytes]:
        """Give the facts of a day."""
        return await self._memory.recall_all(self._kind("facts", day), self._clock.now())

    async def due(self, day: date, domains: Collection[str]) -> list[str]:
        """Give those whose report falls due by now and has not been claimed."""
        now = self._clock.now()
        ready = [domain for domain in domains if now >= day_end(day) + timedelta(seconds=_spread_s(domain))]
        claimed = await self._memory.recall(self._kind("claimed", day), ready, now)
        return sorted(set(ready) - claimed.keys())

    async def claim(self, day: date, domain: str) -> bool:
        """Take a report upon oneself; False: somebody else has. Atomic."""
        kind = self._kind("claimed", day)
        return await self._memory.remember_first(kind, domain, b"", self._clock.now(), _forgotten_at(day)) is None

    def _kind(self, what: str, day: date) -> str:
        return f"{self._stem} {what} {day.isoformat()}"


def day_end(day: date) -> datetime:
    """Give the first moment behind a day."""
    return datetime.combine(day, time(), UTC) + timedelta(days=1)


def _forgotten_at(day: date) -> datetime:
    return day_end(day) + timedelta(days=DAYS_TOLD + 1)


def _spread_s(domain: str) -> int:
    return int.from_bytes(sha256(domain.encode()).digest()[:4]) % SPREAD_S
