"""How dear the hash of a password should be on this machine.

As dear as log-ins can bear: whoever steals the store pays it for each guess. Memory first, as it is what chips for
guessing lack; iterations when there is no more of it to give. Two hashes are made at once (`passwords.THREAD_COUNT`).

Spec: RFC 9106 §4 (parameter choice).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mailstead.usecases.passwords import COST_MIN_KIB, MAIN_COST, HashCost

MEMORY_MAX_KIB: Final = 256 * 1024
"""Of one hash, when nobody says otherwise: two of them at once should not be felt."""
ITERATIONS_MAX: Final = 10
TRIES: Final = 3
"""The quickest of them counts: what disturbs a measurement makes it longer."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A cost, and what it takes here."""

    cost: HashCost
    seconds: float


def propose(
    target_s: float, measure: Callable[[HashCost], float], memory_max_kib: int = MEMORY_MAX_KIB
) -> tuple[Measured, tuple[Measured, ...]]:
    """Give the dearest cost that takes no longer than `target_s`, and all that was measured on the way.

    Never less than `MAIN_COST`, however slow the machine. `measure` makes one hash and gives the seconds.
    """
    tried: list[Measured] = []

    def at(cost: HashCost) -> Measured:
        tried.append(Measured(cost, min(measure(cost) for _ in range(TRIES))))
        return tried[-1]

    best = at(MAIN_COST)
    memory_kib = 1 << (MAIN_COST.memory_kib.bit_length())
    while memory_kib <= memory_max_kib and best.seconds < target_s:
        found = at(HashCost(MAIN_COST.iterations, memory_kib))
        if found.seconds > target_s:
            return best, tuple(tried)
        best, memory_kib = found, memory_kib * 2
    while best.seconds < target_s and best.cost.iterations < ITERATIONS_MAX:
        found = at(HashCost(best.cost.iterations + 1, best.cost.memory_kib))
        if found.seconds > target_s:
            break
        best = found
    return best, tuple(tried)


def is_too_cheap(cost: HashCost) -> bool:
    """Whether it is below what anybody should use (OWASP's five settings for argon2id all cost as much)."""
    return cost.iterations * cost.memory_kib < COST_MIN_KIB
