"""A script that is ready to run.

Spec: RFC 5228.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from functools import lru_cache
from typing import Final

from mailstead.sieve.actions import Keep, Outcome
from mailstead.sieve.budget import Budget
from mailstead.sieve.check import Checker
from mailstead.sieve.errors import Problem, RunProblem
from mailstead.sieve.facts import Facts
from mailstead.sieve.forms import Step
from mailstead.sieve.lexer import text_of
from mailstead.sieve.parse import parse
from mailstead.sieve.run import Returned, Run, Stopped
from mailstead.sieve.vocabulary import VOCABULARY

ALL: Final[tuple[str, ...]] = VOCABULARY.extensions
"""Names of all extensions that can be had, as ``require`` and ManageSieve's SIEVE capability call them."""
NOTIFY_METHODS: Final = ("mailto",)
"""For ManageSieve's NOTIFY capability. Spec: RFC 5804 §1.7."""
_KEPT_MAX: Final = 64
"""Scripts kept ready; what is included is read at each run, and most accounts run the same one again."""


class Script:
    """A checked script. Runs any number of times; holds no state of a run."""

    __slots__ = ("extensions", "step")

    def __init__(self, step: Step, extensions: frozenset[str]) -> None:
        self.step = step
        self.extensions = extensions

    def run(self, facts: Facts, budget: Budget) -> Outcome:
        """Run on the facts of one delivery.

        Never fails: an outcome with problems does nothing but keep the mail as it came. Spec: RFC 5228 §2.10.6.
        """
        steps_before = budget.steps_left
        try:
            run = Run(facts, budget, self._read)
            with suppress(Stopped, Returned):
                self.step(run)
            actions = run.gathering.result(frozenset(run.flags), run.message.header())
        except RunProblem as problem:
            used = steps_before - budget.steps_left
            return Outcome((Keep(),), steps_used=used, problems=(Problem(0, 0, problem.text),))
        return Outcome(actions, tuple(run.seen.values()), steps_before - budget.steps_left)

    def _read(self, octets: bytes) -> Step:
        """Make an included script runnable, with the extensions this one may use."""
        return _compiled(octets, self.extensions).step


def compile_script(octets: bytes, extensions: Collection[str] = ALL) -> Script:
    """Read and check a script; ready ones are kept, so that asking again costs little.

    Shapes: `extensions` are those that may be required.
    Errors: SieveError, with all problems found.
    """
    return _compiled(octets, frozenset(extensions))


@lru_cache(maxsize=_KEPT_MAX)
def _compiled(octets: bytes, extensions: frozenset[str]) -> Script:
    return Script(Checker(VOCABULARY, extensions).run(parse(text_of(octets))), extensions)
