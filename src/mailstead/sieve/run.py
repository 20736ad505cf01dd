"""One run of a script: the facts, what was set and matched so far, what is to be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mailstead.sieve.actions import SeenKey
from mailstead.sieve.budget import Budget
from mailstead.sieve.facts import Facts
from mailstead.sieve.gather import Gathering
from mailstead.sieve.message import Message

INCLUDED_MAX: Final = 100
"""Scripts that one run may include in all."""


class Stopped(Exception):
    """``stop``: all scripts end here. Spec: RFC 5228 §3.3."""


class Returned(Exception):
    """``return``: this script ends here, the one that includes it goes on. Spec: RFC 6609 §3.3."""


class Broken(Exception):
    """``break``: the loop of that name ends here; empty: the innermost one. Spec: RFC 5703 §3.2."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


class Run:
    """State of one run. Steps and checks change it; nobody else sees it."""

    __slots__ = (
        "budget",
        "facts",
        "flags",
        "gathering",
        "global_names",
        "global_variables",
        "included",
        "includes_left",
        "including",
        "matched",
        "message",
        "part",
        "read_script",
        "seen",
        "variables",
    )

    def __init__(self, facts: Facts, budget: Budget, read_script: Callable[[bytes], Callable[[Run], None]]) -> None:
        self.facts = facts
        self.budget = budget
        self.message = Message(facts, budget)
        self.gathering = Gathering(budget, facts.own_addresses)
        self.variables: dict[str, str] = {}
        """Of the script that runs now."""
        self.global_variables: dict[str, str] = {}
        self.global_names: set[str] = set()
        """Names by which the script that runs now means global variables. Spec: RFC 6609 §3.4.3."""
        self.matched: list[str] = []
        """What ``${0}``, ``${1}`` … stand for. Spec: RFC 5229 §3.2."""
        self.flags: list[str] = []
        """The internal variable of RFC 5232 §2."""
        self.part = -1
        """Index of the MIME part a loop stands at; -1 outside of loops. Spec: RFC 5703 §3.1."""
        self.seen: dict[str, SeenKey] = {}
        self.including: list[tuple[str, str]] = []
        """Scripts that are being run, by where they are and their names, the innermost last."""
        self.included: set[tuple[str, str]] = set()
        self.includes_left = INCLUDED_MAX
        self.read_script = read_script

    def variable(self, name: str) -> str:
        """Give the value of a variable of the script that runs now; empty when it was never set."""
        return (self.global_variables if name in self.global_names else self.variables).get(name, "")

    def set_variable(self, name: str, value: str) -> None:
        """Set a variable; ``global.name`` means a global one in any case."""
        if name.startswith("global."):
            self.global_variables[name.removeprefix("global.")] = value
        else:
            (self.global_variables if name in self.global_names else self.variables)[name] = value
