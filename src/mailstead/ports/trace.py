"""Where each message went, kept for some days; and the reports that others send about our domains."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from mailstead.model.reports import Report, ReportQuery
from mailstead.model.trace import TraceEvent, TraceQuery


class Trace(Protocol):
    """Recording never waits and never fails mail: events gather in memory and are written soon, in batches.

    A crash may lose the last second. Above a bound of waiting events the oldest are dropped, and counted.
    """

    def record(self, event: TraceEvent) -> None:
        """Note a step. Called on the event loop."""

    async def search(self, query: TraceQuery) -> list[TraceEvent]:
        """Newest first, what still waits to be written included. Errors: StorageUnavailable."""

    async def expire(self, before: datetime) -> int:
        """Remove older steps; gives how many."""


class Reports(Protocol):
    """Aggregate reports received. Errors: StorageUnavailable, StorageFull."""

    async def add(self, report: Report) -> bool:
        """Keep a report; False if one of the same sender and id is there already."""

    async def reports(self, query: ReportQuery) -> Sequence[Report]:
        """Newest first."""

    async def expire(self, before: datetime) -> int:
        """Remove older ones; gives how many."""
