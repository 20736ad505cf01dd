"""What ends scripts, calls others, and joins tests.

Spec: RFC 5228 §3.3, §5; RFC 6609 (include); RFC 5463 (ihave).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mailstead.sieve.call import Call
from mailstead.sieve.errors import RunProblem, SieveError
from mailstead.sieve.forms import ALWAYS, NEVER, NOTHING, Check, CommandForm, Step, TagForm, Takes, TestForm, Tests
from mailstead.sieve.run import INCLUDED_MAX, Returned, Run, Stopped
from mailstead.sieve.words import filled

INCLUDES_DEEP_MAX: Final = 6
"""Each level may be as deep inside as `parse.DEPTH_MAX`: together they must stay below the interpreter's own limit."""
_STEPS_PER_OCTET: Final = 4
"""Reading a script anew costs about that; when it is ready already too, lest the outcome depend on what is kept."""


def _stop(_: Call) -> Step:
    """Spec: RFC 5228 §3.3."""

    def stop(_: Run) -> None:
        raise Stopped

    return stop


def _return(_: Call) -> Step:
    """Spec: RFC 6609 §3.3."""

    def leave(_: Run) -> None:
        raise Returned

    return leave


def _error(call: Call) -> Step:
    """Spec: RFC 5463 §5."""
    words = call.text(0)

    def fail(run: Run) -> None:
        raise RunProblem(f"The script says: {filled(words, run)[:500]}")

    return fail


def _include(call: Call) -> Step:
    """Run another script here. Spec: RFC 6609 §3.1."""
    where = "global" if call.has("global") else "personal"
    name = call.constant(0)
    is_once, is_optional = call.has("once"), call.has("optional")
    key = (where, name)

    def include(run: Run) -> None:
        scripts: Mapping[str, bytes] = run.facts.global_scripts if where == "global" else run.facts.scripts
        octets = scripts.get(name)
        if octets is None:
            if is_optional:
                return
            raise RunProblem(f'There is no script "{name[:60]}" to include')
        if is_once and key in run.included:
            return
        if key in run.including:
            raise RunProblem(f'The script "{name[:60]}" includes itself')
        if len(run.including) >= INCLUDES_DEEP_MAX:
            raise RunProblem(f"Scripts include each other more than {INCLUDES_DEEP_MAX} deep")
        run.includes_left -= 1
        if run.includes_left < 0:
            raise RunProblem(f"More than {INCLUDED_MAX} scripts are included")
        run.budget.spend(len(octets) * _STEPS_PER_OCTET)
        run.included.add(key)
        _run_included(run, key, octets)

    return include


def _run_included(run: Run, key: tuple[str, str], octets: bytes) -> None:
    """Run a script with variables of its own; flags, actions and global variables are shared."""
    try:
        step = run.read_script(octets)
    except SieveError as error:
        raise RunProblem(f'The included script "{key[1][:60]}" has errors: {error.problems[0]}') from None
    variables, matched, names = run.variables, run.matched, run.global_names
    run.variables, run.matched, run.global_names = {}, [], set()
    run.including.append(key)
    try:
        step(run)
    except Returned:
        pass
    finally:
        run.including.pop()
        run.variables, run.matched, run.global_names = variables, matched, names


def _global(call: Call) -> Step:
    """Say which names mean global variables. Spec: RFC 6609 §3.4.3."""
    call.needs(0, '"global"', "variables")
    names: set[str] = set()
    for text in call.raw_texts(0):
        name = text.value.lower()
        if not name.isidentifier() or not name.isascii():
            call.checker.tell(text.place, "The name of a variable has letters, digits and _ only, no digit first")
            return NOTHING
        call.checker.note_variable(name, text.place)
        names.add(name)

    def declare(run: Run) -> None:
        run.global_names |= names

    return declare


def _allof(call: Call) -> Check:
    """Spec: RFC 5228 §5.2."""
    checks = call.checks

    def all_hold(run: Run) -> bool:
        run.budget.spend(len(checks))
        return all(check(run) for check in checks)

    return all_hold


def _anyof(call: Call) -> Check:
    """Spec: RFC 5228 §5.3."""
    checks = call.checks

    def any_holds(run: Run) -> bool:
        run.budget.spend(len(checks))
        return any(check(run) for check in checks)

    return any_holds


def _not(call: Call) -> Check:
    """Spec: RFC 5228 §5.8."""
    check = call.checks[0]
    return lambda run: not check(run)


def _true(_: Call) -> Check:
    """Spec: RFC 5228 §5.10."""
    return ALWAYS


def _false(_: Call) -> Check:
    """Spec: RFC 5228 §5.6."""
    return NEVER


def _ihave(call: Call) -> Check:
    """Ask for extensions; from here on the script may use them. Spec: RFC 5463 §4."""
    for text in call.raw_texts(0):
        if text.value not in call.checker.offered:
            return NEVER
    for text in call.raw_texts(0):
        call.checker.enable(text.value)
    return ALWAYS


COMMANDS: Final = (
    CommandForm("stop", build=_stop),
    CommandForm("return", needs=("include",), build=_return),
    CommandForm("error", (Takes.TEXT,), needs=("ihave",), build=_error),
    CommandForm("global", (Takes.TEXTS,), needs=("include",), build=_global),
    CommandForm(
        "include",
        (Takes.TEXT,),
        (TagForm("personal", "where"), TagForm("global", "where"), TagForm("once"), TagForm("optional")),
        ("include",),
        build=_include,
    ),
)
TESTS: Final = (
    TestForm("allof", tests=Tests.LIST, build=_allof),
    TestForm("anyof", tests=Tests.LIST, build=_anyof),
    TestForm("not", tests=Tests.ONE, build=_not),
    TestForm("true", build=_true),
    TestForm("false", build=_false),
    TestForm("ihave", (Takes.TEXTS,), needs=("ihave",), build=_ihave),
)
EXTENSIONS: Final = ("include", "ihave")
