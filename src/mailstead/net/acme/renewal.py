"""When a certificate is due, and how long to wait after failures: no clock and no chance of its own.

No RFC says when; two thirds of the life is what authorities recommend, for lives of 90 and of 6 days alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

BACK_OFF_FIRST: Final = timedelta(hours=1)
BACK_OFF_MAX: Final = timedelta(hours=24)

_JITTER_PART: Final = 24
"""Renewals of many servers are spread over this part of a certificate's life."""


class Held(NamedTuple):
    """The certificate in place, as far as renewal asks."""

    names: frozenset[str]
    not_before: datetime
    not_after: datetime
    is_self_signed: bool


def renew_at(not_before: datetime, not_after: datetime, chance: float) -> datetime:
    """Give the moment from which a certificate is due: two thirds of its life, and up to a 24th more.

    Shapes: `chance` from 0 to below 1, one for the life of a process.
    """
    life = not_after - not_before
    return not_before + life * 2 / 3 + life / _JITTER_PART * chance


def due_at(held: Held | None, wanted: Iterable[str], now: datetime, chance: float) -> datetime:
    """Give the moment from which to order; not after `now` where there is none, or names are missing."""
    if held is None or held.is_self_signed or not covers(held.names, wanted):
        return now
    return renew_at(held.not_before, held.not_after, chance)


def covers(names: frozenset[str], wanted: Iterable[str]) -> bool:
    """Whether a certificate is good for all names that are wanted. Spec: RFC 9525 §6.3 (a wildcard: one label)."""
    return all(name in names or "*." + name.partition(".")[2] in names for name in wanted)


def back_off(failure_count: int) -> timedelta:
    """Give how long to wait after so many failures in a row: an hour, then twice as long each time, a day at most."""
    return min(BACK_OFF_FIRST * (1 << min(max(failure_count - 1, 0), 10)), BACK_OFF_MAX)
