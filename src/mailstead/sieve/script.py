"""A script that is ready to run.

Spec: RFC 5228.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from mailstead.sieve.actions import Keep, Outcome
from mailstead.sieve.budget import Budget
from mailstead.sieve.errors import Problem, SieveError
from mailstead.sieve.facts import Facts

ALL: Final[frozenset[str]] = frozenset()
"""Names of all extensions that can be had, as ``require`` and ManageSieve's SIEVE capability call them."""
NOTIFY_METHODS: Final = ("mailto",)
"""For ManageSieve's NOTIFY capability. Spec: RFC 5804 §1.7."""


class Script:
    """A checked script. Runs any number of times; holds no state of a run."""

    def run(self, facts: Facts, budget: Budget) -> Outcome:
        """Run on the facts of one delivery; never fails: an outcome with problems keeps the mail."""
        return Outcome((Keep(),), problems=(Problem(0, 0, "Nothing runs yet"),))


def compile_script(octets: bytes, extensions: Collection[str] = ALL) -> Script:
    """Read and check a script.

    Errors: SieveError, with all problems found.
    """
    raise SieveError([Problem(1, 1, "Nothing compiles yet")])
