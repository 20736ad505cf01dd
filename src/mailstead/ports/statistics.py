"""Figures by hour and by day, added up over all processes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from mailstead.model.statistics import Amounts, Span


class Statistics(Protocol):
    """Counts may lose the last commits in a power cut, nothing more. Errors of all verbs: StorageUnavailable."""

    async def record(self, at: datetime, amounts: Amounts) -> None:
        """Add to the hour and the day of a moment. Atomic: all of it or nothing. Errors: StorageFull."""

    async def read(self, span: Span, since: datetime) -> dict[datetime, Mapping[str, int]]:
        """Give, by the beginning of the span, what was recorded for those that begin at `since` or later."""

    async def expire(self, span: Span, before: datetime) -> int:
        """Remove what began before; gives how many values."""

    async def store_octets(self) -> int:
        """How much room all stores take on the disk, without backups and files of others."""
