"""The checker: compares a syntax tree with the forms of the vocabulary and makes it runnable.

Spec: RFC 5228 §2.10.5 (unknown extensions), §3 (controls), §2.6 (arguments); RFC 5463 (ihave).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Final, NoReturn, TypeVar

from mailstead.sieve.errors import PROBLEMS_MAX, Problem, RunProblem, SieveError
from mailstead.sieve.forms import (
    ALWAYS,
    NEVER,
    NOTHING,
    Check,
    CommandForm,
    Form,
    Step,
    TagForm,
    Takes,
    Tests,
    Vocabulary,
)
from mailstead.sieve.run import Run
from mailstead.sieve.tree import Argument, Command, Number, Place, Tag, Test, Text, TextList, Tree
from mailstead.sieve.words import VARIABLES_MAX, BadWords, Words, all_filled, constants, decoded, template

T = TypeVar("T")

REGEX_ROOM: Final = 50_000
"""Instructions of all regular expressions of a script together (`regex.Regex.weight`); each counts as 500 at least."""

_REQUIRE: Final = CommandForm("require", (Takes.TEXTS,))
_BRANCHES: Final = {
    "if": CommandForm("if", tests=Tests.ONE, takes_block=True),
    "elsif": CommandForm("elsif", tests=Tests.ONE, takes_block=True),
    "else": CommandForm("else", takes_block=True),
}
_KINDS: Final = {Number: "a number", Text: "a string", TextList: "a list of strings", Tag: "a tag"}
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
_ALWAYS_THERE: Final = frozenset({"comparator-i;octet", "comparator-i;ascii-casemap"})
"""Spec: RFC 5228 §2.7.3."""
_IMPLIED: Final = {
    "vacation-seconds": ("vacation",),
    "spamtestplus": ("spamtest",),
}
"""Spec: RFC 6131 §2; RFC 5235 §2.2."""


class _Given(Exception):
    """Arguments do not fit; it has been told."""


class _NotHere(Exception):
    """A tag or comparator is not available; with ``ihave`` that is an error only when it is run."""

    def __init__(self, place: Place, text: str) -> None:
        self.place = place
        self.text = text
        super().__init__(text)


class Call:
    """One command or test whose arguments fit its form. An argument is named by its position or by its tag."""

    def __init__(self, checker: Checker, node: Command | Test, arguments: Mapping[int | str, Argument | None]) -> None:
        self.checker = checker
        self.node = node
        self.place = node.place
        self.checks: list[Check] = []
        """The tests inside."""
        self._arguments = arguments

    def has(self, key: int | str) -> bool:
        """Whether an optional argument or a tag is there."""
        return key in self._arguments

    def first_of(self, *tags: str) -> str | None:
        """Say which one of some tags is there."""
        return next((tag for tag in tags if tag in self._arguments), None)

    def requires(self, extension: str) -> bool:
        """Whether the script has required an extension."""
        return self.checker.has(extension)

    def place_of(self, key: int | str) -> Place:
        """Say where an argument stands."""
        argument = self._arguments.get(key)
        return argument.place if argument is not None else self.place

    def wrong(self, key: int | str, what: str) -> None:
        """Tell a problem with an argument."""
        self.checker.tell(self.place_of(key), what)

    def not_here(self, key: int | str, what: str) -> NoReturn:
        """Tell that an argument asks for something that is not available."""
        raise _NotHere(self.place_of(key), what)

    def needs(self, key: int | str, what: str, extension: str) -> None:
        """Demand that the script requires an extension, for what an argument says."""
        if not self.requires(extension):
            self.not_here(key, self.checker.ask_for(what, extension))

    def number(self, key: int | str) -> int:
        """Give a number."""
        argument = self._arguments[key]
        assert isinstance(argument, Number)
        return argument.value

    def raw_texts(self, key: int | str) -> tuple[Text, ...]:
        """Give strings as they are written."""
        argument = self._arguments[key]
        assert isinstance(argument, Text | TextList)
        return (argument,) if isinstance(argument, Text) else argument.texts

    def texts(self, key: int | str) -> list[Words]:
        """Give strings; encoded characters are undone, variables found."""
        return [self._words(text) for text in self.raw_texts(key)]

    def text(self, key: int | str) -> Words:
        """Give a single string."""
        return self._words(self.raw_texts(key)[0])

    def constant(self, key: int | str) -> str:
        """Give a string that must not have variables in it."""
        words = self.text(key)
        if isinstance(words, str):
            return words
        self.wrong(key, "Variables cannot stand here; write the text itself")
        raise _Given

    def read(self, key: int | str, reader: Callable[[str], T]) -> Callable[[Run], T]:
        """Let a string be read: now, if it has no variables in it, else when the script runs.

        What the reader refuses with BadWords is told now, or is a RunProblem then.
        """
        words = self.text(key)
        if isinstance(words, str):
            value = self._read_now(self.raw_texts(key)[0], words, reader)
            return lambda _: value
        return lambda run: _read_then(run, words.filled(run), reader)

    def read_all(self, key: int | str, reader: Callable[[str], T]) -> Callable[[Run], list[T]]:
        """Let a list of strings be read, each like `read`."""
        many = self.texts(key)
        if constants(many) is not None:
            texts = zip(self.raw_texts(key), many, strict=True)
            values = [self._read_now(text, words, reader) for text, words in texts if isinstance(words, str)]
            return lambda _: values
        return lambda run: [_read_then(run, text, reader) for text in all_filled(many, run)]

    def _read_now(self, text: Text, words: str, reader: Callable[[str], T]) -> T:
        try:
            return reader(words)
        except BadWords as error:
            self.checker.tell(text.place, str(error))
            raise _Given from None

    def block(self) -> Step:
        """Check the block and make it runnable."""
        assert isinstance(self.node, Command)
        return self.checker.steps(self.node.block or ())

    def variable(self, key: int | str) -> str:
        """Give the name of a variable that is to get a value; with ``global.`` before that of a global one.

        Spec: RFC 5229 §3, RFC 6609 §3.4.4.
        """
        name = self.constant(key).lower()
        namespace, dot, rest = name.rpartition(".")
        if not _NAME.fullmatch(rest) or (dot and namespace != "global"):
            self.wrong(key, "The name of a variable has letters, digits and _ only, and starts with no digit")
            raise _Given
        if dot:
            self.needs(key, "global variables", "include")
        self.checker.note_variable(name, self.place_of(key))
        return name

    def _words(self, text: Text) -> Words:
        value = text.value
        if "${" not in value:
            return value
        try:
            if self.requires("encoded-character"):
                value = decoded(value)
            if self.requires("variables"):
                return template(value, has_globals=self.requires("include"))
        except BadWords as error:
            self.checker.tell(text.place, str(error))
            raise _Given from None
        return value


def _read_then(run: Run, text: str, reader: Callable[[str], T]) -> T:
    run.budget.spend(8 + (len(text) >> 2))
    try:
        return reader(text)
    except BadWords as error:
        raise RunProblem(str(error)) from None


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
        except (_Given, _NotHere):
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
        except _Given:
            self.steps(command.block or ())
        except _NotHere as problem:
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

    def _test(self, test: Test) -> Check:
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
        except _Given:
            # Never run: the script is refused.
            return _failing("")
        except _NotHere as problem:
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

        Errors: _Given, _NotHere.
        """
        problem_count = len(self.problems)
        call = Call(self, node, _Arguments(self, form, node).read())
        if isinstance(node, Command):
            if form.takes_block and node.block is None:
                self.tell(node.place, f'"{node.name}" needs a block: {{ … }}')
            elif not form.takes_block and node.block is not None:
                self.tell(node.place, f'"{node.name}" has no block; end it with ;')
        self._count_tests(form, node)
        if form.tests is not Tests.NONE:
            call.checks = [self._test(test) for test in node.tests]
        if len(self.problems) > problem_count:
            raise _Given
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


class _Arguments:
    """Tags first, then positional arguments. Spec: RFC 5228 §2.6."""

    def __init__(self, checker: Checker, form: Form, node: Command | Test) -> None:
        self.checker = checker
        self.form = form
        self.node = node
        self.found: dict[int | str, Argument | None] = {}
        self.groups: dict[str, str] = {}
        self.is_wrong = False

    def read(self) -> dict[int | str, Argument | None]:
        rest = list(self.node.arguments)
        while rest and isinstance(rest[0], Tag):
            tag = rest.pop(0)
            assert isinstance(tag, Tag)
            form = self._form(tag)
            if form is None:
                # Whatever belongs to it is unknown too.
                while rest and not isinstance(rest[0], Tag):
                    rest.pop(0)
                raise _Given
            self.found[tag.name] = tag
            if form.takes is not None:
                if rest and not isinstance(rest[0], Tag):
                    argument = rest.pop(0)
                    self._fits(argument, form.takes, f'":{tag.name}"')
                    self.found[tag.name] = argument
                else:
                    self._tell(tag.place, f'":{tag.name}" needs {form.takes.value} behind it')
        self._positional(rest)
        for name in list(self.found):
            self._after(name)
        if self.is_wrong:
            raise _Given
        return self.found

    def _form(self, tag: Tag) -> TagForm | None:
        name = self.node.name
        form = next((form for form in self.form.tags if form.name == tag.name), None)
        if form is None:
            if self.checker.has("ihave"):
                raise _NotHere(tag.place, f'"{name}" has no tag ":{tag.name[:60]}"')
            known = [f":{form.name}" for form in self.form.tags]
            near = get_close_matches(f":{tag.name[:60]}", known, 1)
            hint = f'; did you mean "{near[0]}"?' if near else "; remove it"
            self._tell(tag.place, f'"{name}" has no tag ":{tag.name[:60]}"{hint}')
            return None
        if form.needs and not self.checker.has(form.needs):
            what = self.checker.ask_for(f'":{tag.name}"', form.needs)
            if self.checker.has("ihave"):
                raise _NotHere(tag.place, what)
            self._tell(tag.place, what)
        group = form.group or form.name
        if group in self.groups:
            other = self.groups[group]
            twice = f'":{tag.name}" stands twice; remove one'
            self._tell(tag.place, twice if other == tag.name else f'":{other}" and ":{tag.name}" exclude each other')
        self.groups[group] = tag.name
        return form

    def _after(self, name: int | str) -> None:
        form = next((form for form in self.form.tags if form.name == name), None)
        if form is not None and form.after and form.after not in self.found:
            tag = self.found[name]
            assert tag is not None
            self._tell(tag.place, f'":{form.name}" stands with ":{form.after}" only')

    def _positional(self, given: list[Argument]) -> None:
        takes = self.form.takes
        if any(isinstance(argument, Tag) for argument in given):
            late = next(argument for argument in given if isinstance(argument, Tag))
            self._tell(late.place, f'Tags stand before the other arguments; move ":{late.name}" forward')
            return
        name, count = self.node.name, len(given)
        if count > len(takes):
            expected = f"{len(takes)} argument{'s' if len(takes) > 1 else ''}" if takes else "no argument"
            self._tell(given[len(takes)].place, f'"{name}" takes {expected} beside its tags; this one is too many')
            return
        skipped = self.form.optional_count if count == len(takes) - self.form.optional_count else 0
        missing = takes[skipped + count : len(takes) - self.form.trailing_count]
        if missing:
            self._tell(self.node.place, f'"{name}" needs {missing[0].value} more')
            return
        for index, argument in enumerate(given, skipped):
            self._fits(argument, takes[index], f'"{name}"')
            self.found[index] = argument

    def _fits(self, argument: Argument, takes: Takes, what: str) -> None:
        fits = {
            Takes.NUMBER: isinstance(argument, Number),
            Takes.TEXT: isinstance(argument, Text),
            Takes.TEXTS: isinstance(argument, Text | TextList),
        }
        if not fits[takes]:
            self._tell(argument.place, f"{what} takes {takes.value} here, not {_KINDS[type(argument)]}")

    def _tell(self, place: Place, what: str) -> None:
        self.checker.tell(place, what)
        self.is_wrong = True


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
