"""A command or a test whose arguments fit its form, as the vocabulary gets it to make it runnable.

Spec: RFC 5228 §2.6.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from mailstead.sieve.errors import RunProblem
from mailstead.sieve.forms import Check, Step
from mailstead.sieve.run import Run
from mailstead.sieve.tree import Argument, Command, Number, Place, Test, Text, TextList
from mailstead.sieve.words import BadWords, Words, all_filled, constants, decoded, template

if TYPE_CHECKING:
    from mailstead.sieve.check import Checker

T = TypeVar("T")

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")


class Refused(Exception):
    """Arguments do not fit; it has been told."""


class NotHere(Exception):
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
        raise NotHere(self.place_of(key), what)

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
        raise Refused

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
            raise Refused from None

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
            raise Refused
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
            raise Refused from None
        return value


def _read_then(run: Run, text: str, reader: Callable[[str], T]) -> T:
    run.budget.spend(8 + (len(text) >> 2))
    try:
        return reader(text)
    except BadWords as error:
        raise RunProblem(str(error)) from None
