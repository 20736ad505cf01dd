"""The syntax tree of a script: what it says, before anybody asks whether that makes sense.

Two trees are equal when they say the same; where something stood does not count.

Spec: RFC 5228 §8.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple


class Place(NamedTuple):
    """Where something stands: both from 1, the column in characters."""

    line: int
    column: int


NOWHERE: Final = Place(0, 0)
"""Of what was not read from a text."""


@dataclass(frozen=True, slots=True)
class Number:
    """``100`` or ``1M``."""

    value: int
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Text:
    """A string, quoted or multi-line, without its quoting; encoded characters and variables as they are written."""

    value: str
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class TextList:
    """``["a", "b"]``; never empty."""

    texts: tuple[Text, ...]
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Tag:
    """``:contains``; the name without its colon, in lower case."""

    name: str
    place: Place = field(default=NOWHERE, compare=False)


Argument = Number | Text | TextList | Tag


@dataclass(frozen=True, slots=True)
class Test:
    """``header :contains "Subject" "x"`` or ``anyof (…, …)``; the name in lower case."""

    name: str
    arguments: tuple[Argument, ...] = ()
    tests: tuple[Test, ...] = ()
    is_list: bool = False
    """Whether the tests stand in parentheses."""
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Command:
    """An action or a control; the name in lower case."""

    name: str
    arguments: tuple[Argument, ...] = ()
    tests: tuple[Test, ...] = ()
    is_list: bool = False
    block: tuple[Command, ...] | None = None
    """None: it ends in a semicolon."""
    comment: tuple[str, ...] = ()
    """Lines of the comments right before it; editors keep the names of rules there. Other comments are dropped."""
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole script."""

    commands: tuple[Command, ...] = ()
