"""Which snapshots stay: all of the last day, then the last of so many days, weeks and months that have any."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

ALL_FOR: Final = timedelta(days=1)
"""Up to the newest one."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How many of each."""

    daily_count: int = 7
    weekly_count: int = 4
    monthly_count: int = 6


def kept(moments: Iterable[datetime], retention: Retention) -> set[datetime]:
    """Give the moments whose snapshots stay."""
    newest_first = sorted(moments, reverse=True)
    rules: tuple[tuple[int, Callable[[datetime], object]], ...] = (
        (retention.daily_count, lambda moment: moment.date()),
        (retention.weekly_count, lambda moment: moment.isocalendar()[:2]),
        (retention.monthly_count, lambda moment: (moment.year, moment.month)),
    )
    stay = {moment for moment in newest_first if newest_first[0] - moment < ALL_FOR}
    for count, span_of in rules:
        seen: set[object] = set()
        for moment in newest_first:
            span = span_of(moment)
            if span not in seen and len(seen) < count:
                seen.add(span)
                stay.add(moment)
    return stay
