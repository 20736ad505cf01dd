"""Flags and keywords of the message.

Spec: RFC 5232.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mailstead.sieve.call import Call
from mailstead.sieve.forms import MATCH_TAGS, Check, CommandForm, Step, Takes, TestForm
from mailstead.sieve.matching import matcher
from mailstead.sieve.run import Run
from mailstead.sieve.values import flags_of
from mailstead.sieve.words import VARIABLE_CHARACTERS_MAX, all_filled

Merge = Callable[[Run, list[str], list[str]], list[str]]


def _set(_run: Run, _had: list[str], given: list[str]) -> list[str]:
    return given


def _add(run: Run, had: list[str], given: list[str]) -> list[str]:
    return flags_of(run, [*had, *given])


def _remove(_run: Run, had: list[str], given: list[str]) -> list[str]:
    gone = {flag.lower() for flag in given}
    return [flag for flag in had if flag.lower() not in gone]


def _change(merge: Merge) -> Callable[[Call], Step]:
    """Make the builder of a command that changes the internal variable or a named one. Spec: RFC 5232 §3."""

    def build(call: Call) -> Step:
        name = ""
        if call.has(0):
            call.needs(0, "the variable in front", "variables")
            name = call.variable(0)
        words = call.texts(1)

        def change(run: Run) -> None:
            given = flags_of(run, all_filled(words, run))
            if name:
                had = flags_of(run, [run.variable(name)])
                run.set_variable(name, " ".join(merge(run, had, given))[:VARIABLE_CHARACTERS_MAX])
            else:
                run.flags = merge(run, run.flags, given)

        return change

    return build


def _hasflag(call: Call) -> Check:
    """Spec: RFC 5232 §4."""
    names = call.texts(0) if call.has(0) else None
    if names is not None:
        call.needs(0, "the variables in front", "variables")
    match = matcher(call, 1)

    def has_flag(run: Run) -> bool:
        if names is None:
            return match(run, run.flags)
        return match(run, flags_of(run, (run.variable(name.lower()) for name in all_filled(names, run))))

    return has_flag


_NEEDS: Final = ("imap4flags",)
COMMANDS: Final = tuple(
    CommandForm(name, (Takes.TEXT, Takes.TEXTS), needs=_NEEDS, optional_count=1, build=_change(merge))
    for name, merge in (("setflag", _set), ("addflag", _add), ("removeflag", _remove))
)
TESTS: Final = (TestForm("hasflag", (Takes.TEXTS, Takes.TEXTS), MATCH_TAGS, _NEEDS, optional_count=1, build=_hasflag),)
EXTENSIONS: Final = _NEEDS
