"""When to try again: waits that double, with jitter, so that those who failed together do not come back together.

Spec: RFC 5321 §4.5.4.1 (at least 30 minutes between tries in the long run, give up after 4 to 5 days).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

JITTER: Final = 0.25
"""A wait is longer or shorter by up to this part."""

DESTINATION_FIRST_S: Final = 60.0
"""Rest of a destination after its first connection failure: short, as many failures pass at once."""


@dataclass(frozen=True, slots=True)
class RetryTerms:
    """The waits of one message."""

    first_s: float = 300.0
    max_s: float = 4 * 3600.0


def wait(attempt_count: int, terms: RetryTerms, chance: float) -> timedelta:
    """Give the wait behind the n-th attempt (from 1 on); `chance` lies in [0, 1)."""
    return _jittered(min(terms.max_s, terms.first_s * 2.0 ** min(attempt_count - 1, 30)), chance)


def rest(failure_count: int, terms: RetryTerms, chance: float) -> timedelta:
    """Give the rest of a destination whose servers could not be reached n times in a row (from 1 on)."""
    return _jittered(min(terms.max_s, DESTINATION_FIRST_S * 2.0 ** min(failure_count - 1, 30)), chance)


def _jittered(seconds: float, chance: float) -> timedelta:
    return timedelta(seconds=seconds * (1 - JITTER + 2 * JITTER * chance))
