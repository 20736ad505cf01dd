"""Whether the clock may be believed where belief is costly: mail is given up, and what is old removed, by its word.

A clock that is set a year ahead makes all mail expired at once, and every author would get a notice (attack row 77).
The monotonic clock does not follow, so the difference shows. It shows likewise when the machine was suspended: then the
mail has waited without being tried, and a day to try it is right as well.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from mailstead.ports.clock import Clock
from mailstead.telemetry import log

JUMP_S: Final = 600.0
"""Smaller steps are what time servers do."""
DOUBTED_S: Final = 86400.0
"""So long after a jump nothing is given up: enough for somebody to see the warning, and for mail to be tried."""

_log = log.get("clock")


class ClockWatch:
    """Compares the wall clock with the monotonic one at each look."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_at = self._beginning()
        self._set_at_s: float | None = None

    def _beginning(self) -> datetime:
        return self._clock.now() - timedelta(seconds=self._clock.monotonic_s())

    def is_believed(self) -> bool:
        """Whether the clock has gone evenly for a day, as far as we have seen it."""
        began_at = self._beginning()
        by_s = (began_at - self._began_at).total_seconds()
        now_s = self._clock.monotonic_s()
        self._began_at = began_at
        if abs(by_s) > JUMP_S:
            self._set_at_s = now_s
            _log.warning(
                "the clock was set, or the machine was suspended: for a day no mail is given up for its age",
                by_s=round(by_s),
            )
        return self._set_at_s is None or now_s - self._set_at_s >= DOUBTED_S
