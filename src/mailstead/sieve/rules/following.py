"""A script's run, followed from block to block: which rules hold and why, where it ends, what other pieces do.

The run itself is that of `sieve.script`; what it gives is what a delivery would give. Which of its conditions make a
rule hold is asked afterwards, on a budget of its own.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from mailstead.sieve.actions import Action, Outcome
from mailstead.sieve.budget import Budget
from mailstead.sieve.check import Checker
from mailstead.sieve.errors import RunProblem, SieveError
from mailstead.sieve.facts import Facts
from mailstead.sieve.forms import ALWAYS, Check, Step
from mailstead.sieve.rules import writing
from mailstead.sieve.rules.document import Block, Document
from mailstead.sieve.run import Returned, Run, Stopped
from mailstead.sieve.script import ALL, Script, compile_script
from mailstead.sieve.vocabulary import VOCABULARY


@dataclass(slots=True)
class Reached:
    """A block that a run came to. Rules that are off are passed over."""

    number: int
    """Of the block, from 0."""
    holds: bool | None = None
    """Whether the rule holds; None: it is no simple rule, or nobody knows, as the run failed there."""
    held: tuple[int, ...] = ()
    """Of a rule that holds, the conditions that do, by number from 0."""
    does: tuple[Action, ...] = ()
    """Actions that this block asked for."""
    flags: tuple[str, ...] = ()
    """Flags that were set when it was left, if it has changed them."""
    ends: bool = False
    """Nothing after it was looked at."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A block made runnable."""

    block: Block
    check: Check
    step: Step
    conditions: tuple[Check, ...] = ()


class Following:
    """A checked script; runs any number of times and holds no state of a run."""

    def __init__(self, document: Document) -> None:
        """Errors: SieveError."""
        checker = Checker(VOCABULARY, frozenset(ALL))
        self._head: Final = checker.steps(document.requires, is_top=True)
        self._parts: Final = tuple(_part(checker, block) for block in document.blocks)
        if checker.problems:
            raise SieveError(checker.problems)

    def run(self, facts: Facts, budget: Budget) -> tuple[Outcome, list[Reached]]:
        """Run on the facts of one message; never fails, as `Script.run`. The steps of asking why count, too."""
        reached: list[Reached] = []
        script = Script(lambda run: self._go(run, reached), frozenset(ALL))
        outcome = script.run(facts, budget)
        explaining = Budget(budget.steps_max, budget.redirects_left)
        self._explain(facts, reached, explaining)
        return replace(outcome, steps_used=outcome.steps_used + explaining.steps_used), reached

    def _go(self, run: Run, reached: list[Reached]) -> None:
        self._head(run)
        for number, part in enumerate(self._parts):
            rule = part.block.rule
            if rule is not None and not rule.is_on:
                continue
            run.budget.spend(1)
            here = Reached(number)
            reached.append(here)
            known = list(run.gathering.actions)
            flags = list(run.flags)
            try:
                holds = part.check(run)
                if rule is not None:
                    here.holds = holds
                if holds:
                    part.step(run)
            except (Stopped, Returned):
                here.ends = True
                raise
            finally:
                here.does = tuple(action for action in run.gathering.actions if action not in known)
                here.flags = tuple(run.flags) if run.flags != flags else ()

    def _explain(self, facts: Facts, reached: list[Reached], budget: Budget) -> None:
        run = Run(facts, budget, lambda octets: compile_script(octets).step)
        with suppress(RunProblem):
            for each in reached:
                if each.holds:
                    conditions = self._parts[each.number].conditions
                    each.held = tuple(index for index, check in enumerate(conditions) if check(run))


def _part(checker: Checker, block: Block) -> _Part:
    if block.rule is None or not block.rule.is_on:
        return _Part(block, ALWAYS, checker.steps(block.commands))
    (command,) = block.commands
    conditions = tuple(checker.test(writing.test_of_condition(each)) for each in block.rule.conditions)
    return _Part(block, checker.test(command.tests[0]), checker.steps(command.block or ()), conditions)
