"""From the syntax tree back to text: `parse(write(tree)) == tree`, whatever its strings hold.

An editor that shows rules keeps the tree and writes with this, never by pasting strings together (attack row 60).

Spec: RFC 5228 §8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from mailstead.sieve.tree import Argument, Command, Number, Tag, Test, Text, TextList, Tree

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
_UNWRITABLE: Final = re.compile("[\0\ud800-\udfff]|\r(?!\n)")
_INDENT: Final = "    "


class Unwritable(ValueError):
    """A tree holds what no script can hold: a NUL, a bare carriage return, a line end in a comment, a wrong name."""


def write(tree: Tree) -> str:
    """Write a script; lines end in CRLF.

    Errors: Unwritable.
    """
    return "".join(f"{line}\r\n" for command in tree.commands for line in _command(command, ""))


def _command(command: Command, indent: str) -> Iterator[str]:
    for line in command.comment:
        if _UNWRITABLE.search(line) or "\n" in line:
            raise Unwritable("A line of a comment holds a line end or a character that no script can hold")
        yield f"{indent}# {line}" if line else f"{indent}#"
    words = [_name(command.name), *_arguments(command.arguments), *_tests(command.tests, is_list=command.is_list)]
    if command.block is None:
        yield f"{indent}{_joined(words)};"
        return
    yield f"{indent}{_joined(words)} {{"
    for inner in command.block:
        yield from _command(inner, indent + _INDENT)
    yield indent + "}"


def _joined(words: Iterable[str]) -> str:
    """Put words on a line; behind a multi-line text a new one starts by itself."""
    text = ""
    for word in words:
        text += word if not text or text.endswith("\n") else f" {word}"
    return text


def _arguments(arguments: tuple[Argument, ...]) -> Iterator[str]:
    for argument in arguments:
        if isinstance(argument, Number):
            yield _number(argument.value)
        elif isinstance(argument, Tag):
            yield f":{_name(argument.name)}"
        elif isinstance(argument, Text):
            yield _text(argument.value)
        else:
            yield _list(argument)


def _tests(tests: tuple[Test, ...], *, is_list: bool) -> Iterator[str]:
    written = [
        _joined([_name(test.name), *_arguments(test.arguments), *_tests(test.tests, is_list=test.is_list)])
        for test in tests
    ]
    if is_list != bool(written) and (is_list or len(written) > 1):
        raise Unwritable("A list of tests has at least one test, and several tests are a list")
    if is_list:
        yield f"({', '.join(written)})"
    else:
        yield from written


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Unwritable("A name has small letters, digits and _ only")
    return name


def _number(value: int) -> str:
    if value < 0:
        raise Unwritable("A number is not below 0")
    for factor, letter in ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")):
        if value and value % factor == 0:
            return f"{value // factor}{letter}"
    return str(value)


def _list(texts: TextList) -> str:
    if not texts.texts:
        raise Unwritable("A list of strings is not empty")
    return f"[{', '.join(_quoted(text.value) for text in texts.texts)}]"


def _text(value: str) -> str:
    """Write a string: long ones of whole lines as a multi-line text, as people like to read them."""
    if value.endswith("\r\n") and value.count("\n") > 1 and value.count("\n") == value.count("\r\n"):
        if _UNWRITABLE.search(value):
            raise Unwritable("A string holds a character that no script can hold")
        lines = value.split("\r\n")[:-1]
        return (
            "text:\r\n" + "".join(f".{line}\r\n" if line.startswith(".") else f"{line}\r\n" for line in lines) + ".\r\n"
        )
    return _quoted(value)


def _quoted(value: str) -> str:
    if _UNWRITABLE.search(value):
        raise Unwritable("A string holds a character that no script can hold")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
