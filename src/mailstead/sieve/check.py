"""The checker: compares a syntax tree with the forms of the vocabulary and makes it runnable.

Spec: RFC 5228 §2.10.5 (unknown extensions), §3 (controls), §2.6 (arguments); RFC 5463 (ihave).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import Final, NoReturn, TypeVar

from mailstead.sieve.arguments import Arguments
from mailstead.sieve.call import Call, NotHere, Refused
from mailstead.sieve.errors import PROBLEMS_MAX, Problem, RunProblem, SieveError
from mailstead.sieve.forms import (
    ALWAYS,
    NEVER,
    NOTHING,
    Check,
    CommandForm,
    Form,
    Step,
    Takes,
    Tests,
    Vocabulary,
)
from mailstead.sieve.run import Run
from mailstead.sieve.tree import Command, Place, Test, Tree
from mailstead.sieve.words import VARIABLES_MAX

T = TypeVar("T")

REGEX_ROOM: Final = 50_000
"""Instructions of all regular expressions of a script together (`regex.Regex.weight`); each counts as 500 at least."""

_REQUIRE: Final = CommandForm("require", (Takes.TEXTS,))
_BRANCHES: Final = {
    "if": CommandForm("if", tests=Tests.ONE, takes_block=True),
    "elsif": CommandForm("elsif", tests=Tests.ONE, takes_block=True),
    "else": CommandForm("else", takes_block=True),
}
_ALWAYS_THERE: Final = frozenset({"comparator-i;octet", "comparator-i;ascii-casemap"})
"""Spec: RFC 5228 §2.7.3."""
_IMPLIED: Final = {
    "vacation-seconds": ("vacation",),
    "spamtestplus": ("spamtest",),
}
"""Spec: RFC 6131 §2; RFC 5235 §2.2."""


class Checker:
    """One pass over one script."""

    def __init__(self, vocabulary: Vocabulary, extensions: Collection[str]) -> None:
        self.vocabulary = vocabulary
        self.offered = frozenset(extensions) & frozenset(vocabulary.extensions)
        self.required: set[str] = set(_ALWAYS_THERE)
        self.problems: list[Problem] = []
        self.variables: set[str] = set()
        """Names of variables that get a value."""
        self.regex_room = REGEX_ROOM
        self.loops: list[str] = []
        """Names of the ``foreverypart`` around here, empty for nameless ones."""

    def run(self, tree: Tree) -> Step:
        """Check a script and make it runnable.

        Errors: SieveError, with all problems.
        """
        step = self.steps(tree.commands, is_top=True)
        if self.problems:
            raise SieveError(self.problems)
        return step

    def has(self, extension: str) -> bool:
        """Whether the script has named an extension in ``require``, or asked for it with ``ihave``, by now."""
        return extension in self.required

    def enable(self, extension: str) -> None:
        """Take an extension as required from here on."""
        self.required.add(extension)
        self.required.update(_IMPLIED.get(extension, ()))

    def tell(self, place: Place, what: str) -> None:
        """Note a problem; when there are enough of them, that is all."""
        self.problems.append(Problem(*place, what))
        if len(self.problems) >= PROBLEMS_MAX:
            raise SieveError(self.problems)

    def ask_for(self, what: str, extension: str) -> str:
        """Say that an extension is missing."""
        if extension not in self.offered:
            return f'{what} needs the extension "{extension}", which is not available here'
        return f'For {what} write "{extension}" in the list of require'

    def note_variable(self, name: str, place: Place) -> None:
        """Count the variables of a script."""
        self.variables.add(name)
        if len(self.variables) == VARIABLES_MAX + 1:
            self.tell(place, f"A script may have {VARIABLES_MAX} variables")

    # RFC 5228 §3.2: require stands before all else. §3.1: elsif and else follow if or elsif.
    def steps(self, commands: Sequence[Command], *, is_top: bool = False) -> Step:
        """Check commands and make them one step."""
        steps: list[Step] = []
        branches: list[tuple[Check, Step]] = []
        can_require = is_top
        follows_if = False
        for command in commands:
            name = command.name
            if name == "require":
                if not can_require:
                    self.tell(command.place, '"require" stands before all other commands; move it to the top')
                self._require(command)
                continue
            can_require = False
            if name in _BRANCHES:
                if name == "if" or not follows_if:
                    branches = []
                    steps.append(_choice(branches))
                    if name != "if":
                        self.tell(command.place, f'"{name}" follows "if" or "elsif" directly; there is none before it')
                branches.append(self._branch(command))
                follows_if = name != "else"
            else:
                follows_if = False
                steps.append(self._command(command))
        return _sequence(steps)

    def _require(self, command: Command) -> None:
        try:
            names = self._call(_REQUIRE, command).raw_texts(0)
        except (Refused, NotHere):
            return
        for text in names:
            if text.value in self.offered:
                self.enable(text.value)
            elif text.value not in _ALWAYS_THERE:
                near = get_close_matches(text.value[:60], self.offered, 1)
                hint = f'; did you mean "{near[0]}"?' if near else "; remove it and what uses it"
                self.tell(text.place, f'The extension "{text.value[:60]}" is not available here{hint}')

    def _branch(self, command: Command) -> tuple[Check, Step]:
        check, block = NEVER, NOTHING
        try:
            call = self._call(_BRANCHES[command.name], command)
        except Refused:
            self.steps(command.block or ())
        except NotHere as problem:
            check = self._unknown(problem.place, problem.text)
        else:
            check, block = (call.checks[0] if call.checks else ALWAYS), call.block()
        return check, block

    def _command(self, command: Command) -> Step:
        forms = self.vocabulary.commands
        form = forms.get(command.name)
        if form is None:
            if command.name in self.vocabulary.tests:
                return self._unknown(command.place, f'"{command.name}" is a test, not a command; put it behind "if"')
            return self._unknown(command.place, self._no_such("command", command.name, (*forms, *_BRANCHES)))
        return self._built(form, command, form.build)

    def test(self, test: Test) -> Check:
        """Check a test and make it runnable."""
        forms = self.vocabulary.tests
        form = forms.get(test.name)
        if form is None:
            if test.name in self.vocabulary.commands or test.name in _BRANCHES:
                return self._unknown(test.place, f'"{test.name}" is a command, not a test')
            return self._unknown(test.place, self._no_such("test", test.name, forms))
        return self._built(form, test, form.build)

    def _built(self, form: Form, node: Command | Test, build: Callable[[Call], T]) -> T | Callable[[Run], NoReturn]:
        if form.needs and not any(map(self.has, form.needs)):
            return self._unknown(node.place, self.ask_for(f'"{form.name}"', form.needs[0]))
        try:
            return build(self._call(form, node))
        except Refused:
            # Never run: the script is refused.
            return _failing("")
        except NotHere as problem:
            return self._unknown(problem.place, problem.text)

    def _no_such(self, what: str, name: str, known: Iterable[str]) -> str:
        # Looking for near ones takes time; with ``ihave`` it is no mistake perhaps.
        near = [] if self.has("ihave") else get_close_matches(name[:60], list(known), 1)
        return f'There is no {what} "{name[:60]}"' + (f'; did you mean "{near[0]}"?' if near else "; remove it")

    def _unknown(self, place: Place, what: str) -> Callable[[Run], NoReturn]:
        """Tell that something is not available; with ``ihave`` that is told only to who runs it. Spec: RFC 5463 §4."""
        if not self.has("ihave"):
            self.tell(place, what)
        return _failing(f"Line {place.line}: {what}")

    def _call(self, form: Form, node: Command | Test) -> Call:
        """Compare arguments, tests and block with a form.

        Errors: Refused, NotHere.
        """
        problem_count = len(self.problems)
        call = Call(self, node, Arguments(self, form, node).read())
        if isinstance(node, Command):
            if form.takes_block and node.block is None:
                self.tell(node.place, f'"{node.name}" needs a block: {{ … }}')
            elif not form.takes_block and node.block is not None:
                self.tell(node.place, f'"{node.name}" has no block; end it with ;')
        self._count_tests(form, node)
        if form.tests is not Tests.NONE:
            call.checks = [self.test(test) for test in node.tests]
        if len(self.problems) > problem_count:
            raise Refused
        return call

    def _count_tests(self, form: Form, node: Command | Test) -> None:
        if form.tests is Tests.NONE:
            if node.tests:
                self.tell(node.tests[0].place, f'"{node.name}" has no test behind it; is a ; missing before this?')
        elif not node.tests:
            self.tell(node.place, f'"{node.name}" needs {form.tests.value} behind it')
        elif node.is_list != (form.tests is Tests.LIST):
            hint = "; join several with anyof (…) or allof (…)" if node.is_list else ""
            self.tell(node.tests[0].place, f'"{node.name}" takes {form.tests.value}{hint}')


def _failing(what: str) -> Callable[[Run], NoReturn]:
    def fail(_: Run) -> NoReturn:
        raise RunProblem(what)

    return fail


def _sequence(steps: list[Step]) -> Step:
    if len(steps) == 1:
        return steps[0]
    count = len(steps)

    def run_all(run: Run) -> None:
        run.budget.spend(count)
        for step in steps:
            step(run)

    return run_all


def _choice(branches: list[tuple[Check, Step]]) -> Step:
    def run_first(run: Run) -> None:
        for check, step in branches:
            run.budget.spend(1)
            if check(run):
                step(run)
                return

    return run_first
