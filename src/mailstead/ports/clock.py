"""Time as an argument."""

from datetime import UTC, datetime
from time import monotonic
from typing import Protocol


class Clock(Protocol):
    """Where use cases get the time from; tests hand in their own."""

    def now(self) -> datetime:
        """The present moment, zone-aware, in UTC."""

    def monotonic_s(self) -> float:
        """Seconds that only ascend, for time limits (attack row 77)."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Give the present moment in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Give seconds that only ascend."""
        return monotonic()
