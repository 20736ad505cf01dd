"""What all scripts of one delivery may spend together. Spec: attack row 58."""

from __future__ import annotations

from typing import Final

from mailstead.sieve.errors import BudgetSpent

STEPS_MAX: Final = 1_000_000
"""About a second of one processor."""
REDIRECTS_MAX: Final = 4


class Budget:
    """Steps and redirects that are left. Make one for a delivery and hand it to every script that runs for it."""

    __slots__ = ("redirects_left", "steps_left", "steps_max")

    def __init__(self, steps_max: int = STEPS_MAX, redirects_max: int = REDIRECTS_MAX) -> None:
        self.steps_max = steps_max
        self.steps_left = steps_max
        self.redirects_left = redirects_max

    @property
    def steps_used(self) -> int:
        """Steps spent so far."""
        return self.steps_max - self.steps_left

    def spend(self, steps: int) -> None:
        """Take some steps.

        Errors: BudgetSpent, when there are not so many left; then nothing is left.
        """
        self.steps_left -= steps
        if self.steps_left < 0:
            self.steps_left = 0
            raise BudgetSpent("The scripts take too many steps for one message")

    def spend_redirect(self) -> None:
        """Take one redirect.

        Errors: BudgetSpent.
        """
        if self.redirects_left <= 0:
            raise BudgetSpent("The scripts redirect the message to too many addresses")
        self.redirects_left -= 1
