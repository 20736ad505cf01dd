"""How often something may happen: a sliding window for each key, in memory, bounded. Pure: time is an argument.

The window slides over fixed halves: exact at their edges, a good guess between, and two numbers per key. Counters are
per process; N workers allow up to N times as much.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

KEYS_MAX: Final = 100_000


class Rates:
    """Counts by key over a window of `window_s`. Beyond `KEYS_MAX` the key longest untouched is forgotten."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._counts: OrderedDict[str, tuple[int, int, int]] = OrderedDict()
        """Key → number of the present window, its count, the count of the one before."""

    def count(self, key: str, now_s: float) -> float:
        """Count one more; gives how many there were within the window that ends now, this one included."""
        window, position = divmod(now_s, self._window_s)
        number = int(window)
        last_number, count, before = self._counts.get(key, (number, 0, 0))
        if last_number != number:
            count, before = 0, count if last_number == number - 1 else 0
        count += 1
        self._counts[key] = (number, count, before)
        self._counts.move_to_end(key)
        if len(self._counts) > KEYS_MAX:
            self._counts.popitem(last=False)
        return count + before * (1 - position / self._window_s)
