"""Small facts that outlive a process and run out by themselves: greylists, cached policies, counts per day.

Not for what must never be lost: writes are synced, but a fact may be forgotten early when there are too many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol


class Memory(Protocol):
    """Facts by kind and key. Errors of all verbs: StorageUnavailable, StorageFull (writing)."""

    async def recall(self, kind: str, keys: Sequence[str], now: datetime) -> dict[str, bytes]:
        """The values of those keys that are there and have not run out."""

    async def recall_all(self, kind: str, now: datetime) -> dict[str, bytes]:
        """All values of a kind."""

    async def remember(self, kind: str, values: Mapping[str, bytes], until: datetime) -> None:
        """Set values; what was there is replaced."""

    async def remember_first(self, kind: str, key: str, value: bytes, now: datetime, until: datetime) -> bytes | None:
        """Set a value unless there is one; gives the one that was there, else None. Atomic."""

    async def count(self, kind: str, amounts: Mapping[str, int], now: datetime, until: datetime) -> dict[str, int]:
        """Add to counters (begun at 0, running out at `until` of their first addition); gives the sums. Atomic."""

    async def counts(self, kind: str, now: datetime) -> dict[str, int]:
        """All counters of a kind."""

    async def forget(self, kind: str, keys: Sequence[str] | None = None) -> None:
        """Remove some, or all of a kind."""

    async def expire(self, now: datetime) -> int:
        """Remove what has run out; gives how many."""
