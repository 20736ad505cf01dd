"""What can be wrong with a script, and where. Spec: RFC 5228 §2.10.6."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mailstead.model.errors import BadScript

PROBLEMS_MAX: Final = 20
"""Told of one script; who has more of them will want to see these first."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One error, where it is, and what to do."""

    line: int
    """From 1; 0 where a place in the script says nothing."""
    column: int
    """From 1, in characters."""
    text: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.text}" if self.line else self.text


class SieveError(BadScript):
    """A script cannot be taken; the text lists all its problems, a line each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))[:PROBLEMS_MAX]
        super().__init__("\n".join(map(str, self.problems)))

    @property
    def line(self) -> int:
        """Of the first problem."""
        return self.problems[0].line

    @property
    def column(self) -> int:
        """Of the first problem."""
        return self.problems[0].column

    @property
    def text(self) -> str:
        """Of the first problem."""
        return self.problems[0].text


class RunProblem(Exception):
    """A script cannot go on with this message; `Script.run` turns it into an outcome that keeps the mail."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)


class BudgetSpent(RunProblem):
    """A script, or all scripts of a delivery together, took too many steps."""
