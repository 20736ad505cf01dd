"""From a command of a script to a rule, if that is all the command says.

What is not understood wholly is not understood: no rule is better than one that means something else.

Spec: RFC 5228 §4, §5; RFC 5173 §4 (body); RFC 5232 (addflag); RFC 5429; RFC 5703 §4 (mime).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from mailstead.sieve.errors import SieveError
from mailstead.sieve.parse import parse
from mailstead.sieve.rules.rule import Action, BadRule, Condition, Field, Kind, Match, Part, Rule, checked
from mailstead.sieve.tree import Argument, Command, Number, Tag, Test, Text, TextList

T = TypeVar("T")

_MATCHES: Final = {"is": Match.IS, "contains": Match.CONTAINS, "matches": Match.PATTERN}
_PARTS: Final = {"all": Part.ADDRESS, "localpart": Part.LOCAL_PART, "domain": Part.DOMAIN}
_SIZES: Final = {"over": Match.OVER, "under": Match.UNDER}
_COMPARATOR: Final = "i;ascii-casemap"
"""The one that counts when none is named. Spec: RFC 5228 §2.7.3."""
_ATTACHMENT: Final = ({"mime", "anychild", "type", "is"}, {"mime", "anychild", "type"})


class _Other(Exception):
    """It says something that rules cannot say."""


def rule_of(command: Command, name: str, comments: tuple[str, ...], switched_off: str | None = None) -> Rule | None:
    """Read a command that no ``elsif`` or ``else`` follows; None: it is no simple rule.

    Shapes: `switched_off` is what stands as a comment in place of the test, of a rule that is off.
    """
    try:
        return checked(_rule(command, name, comments, switched_off))
    except (_Other, BadRule):
        return None


def _rule(command: Command, name: str, comments: tuple[str, ...], switched_off: str | None) -> Rule:
    if command.name != "if" or command.arguments or command.is_list or not command.block or len(command.tests) != 1:
        raise _Other
    (test,) = command.tests
    if switched_off is not None:
        if test != Test("false"):
            raise _Other
        test = _commented(switched_off)
    tests, is_any = _joined(test)
    actions = list(command.block)
    stops = actions[-1] == Command("stop", comment=actions[-1].comment)
    if stops:
        actions.pop()
    return Rule(
        name,
        tuple(map(_condition, tests)),
        tuple(map(_action, actions)),
        is_any=is_any,
        is_on=switched_off is None,
        stops=stops,
        comments=comments,
    )


def _commented(text: str) -> Test:
    """Read the test of a rule that is off."""
    try:
        commands = parse(f"if {text}\r\n{{}}").commands
    except SieveError:
        raise _Other from None
    if len(commands) != 1 or commands[0].name != "if" or commands[0].block != () or len(commands[0].tests) != 1:
        raise _Other
    return commands[0].tests[0]


def _joined(test: Test) -> tuple[Sequence[Test], bool]:
    if test.name in {"allof", "anyof"} and not test.arguments and test.is_list:
        return test.tests, test.name == "anyof"
    return ((), False) if test == Test("true") else ((test,), False)


def _condition(test: Test) -> Condition:
    is_not = test.name == "not" and not test.arguments and not test.is_list and len(test.tests) == 1
    if is_not:
        (test,) = test.tests
    if test.tests or test.is_list:
        raise _Other
    tags, rest = _sorted(test.arguments)
    condition = _positive(test.name, tags, rest)
    if tags:
        raise _Other
    return replace(condition, is_not=is_not)


def _positive(name: str, tags: set[str], rest: list[Argument]) -> Condition:
    """Read a test; its tags are taken from the set as they are understood."""
    match name:
        case "header":
            return _header(tags, rest)
        case "address":
            names, values = _texts_of(rest, 2)
            part = _taken(tags, _PARTS, Part.ADDRESS)
            return Condition(Field.HEADER, _taken(tags, _MATCHES, Match.IS), values, part=part, names=names)
        case "exists":
            (names,) = _texts_of(rest, 1)
            return Condition(Field.HEADER, Match.EXISTS, names=names)
        case "size" if tags and len(rest) == 1 and isinstance(rest[0], Number):
            return Condition(Field.SIZE, _taken(tags, _SIZES, Match.OVER), size_octets=rest[0].value)
        case "body":
            tags.discard("text")
            (values,) = _texts_of(rest, 1)
            return Condition(Field.BODY, _taken(tags, _MATCHES, Match.IS), values)
    raise _Other


def _header(tags: set[str], rest: list[Argument]) -> Condition:
    names, values = _texts_of(rest, 2)
    if tags in _ATTACHMENT:
        if [[each.lower() for each in texts] for texts in (names, values)] != [["content-disposition"], ["attachment"]]:
            raise _Other
        tags.clear()
        return Condition(Field.ATTACHMENT)
    return Condition(Field.HEADER, _taken(tags, _MATCHES, Match.IS), values, names=names)


def _sorted(arguments: Sequence[Argument]) -> tuple[set[str], list[Argument]]:
    """Give tags, and what else there is; the comparator that is meant anyhow is left out."""
    tags: set[str] = set()
    rest: list[Argument] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if not isinstance(argument, Tag):
            rest.append(argument)
        elif argument.name in tags or rest:
            raise _Other
        elif argument.name == "comparator":
            if not waiting or waiting.pop(0) != Text(_COMPARATOR):
                raise _Other
        else:
            tags.add(argument.name)
    return tags, rest


def _taken(tags: set[str], meanings: Mapping[str, T], default: T) -> T:
    found = tags & meanings.keys()
    tags -= found
    if len(found) > 1:
        raise _Other
    return meanings[found.pop()] if found else default


def _texts_of(arguments: Sequence[Argument], count: int) -> list[tuple[str, ...]]:
    """Give strings and lists of strings, all as lists."""
    if len(arguments) != count:
        raise _Other
    return [tuple(text.value for text in _listed(argument)) for argument in arguments]


def _listed(argument: Argument) -> tuple[Text, ...]:
    if isinstance(argument, Text):
        return (argument,)
    if isinstance(argument, TextList):
        return argument.texts
    raise _Other


def _action(command: Command) -> Action:
    if command.tests or command.is_list or command.block is not None:
        raise _Other
    tags, rest = _sorted(command.arguments)
    action = _done(command.name, tags, rest)
    if tags:
        raise _Other
    return action


def _done(name: str, tags: set[str], rest: list[Argument]) -> Action:
    """Read an action; its tags are taken from the set as they are understood."""
    if name in {"discard", "keep"} and not rest:
        return Action(Kind(name))
    (texts,) = _texts_of(rest, 1)
    if name == "addflag":
        return Action(Kind.FLAG, flags=tuple(flag for text in texts for flag in text.split()))
    if not isinstance(rest[0], Text):
        raise _Other
    (text,) = texts
    if name in {"reject", "ereject"}:
        return Action(Kind.REJECT, text, is_ereject=name == "ereject")
    is_copy = _taken(tags, {"copy": True}, default=False)
    if name == "fileinto":
        return Action(Kind.FILE, text, is_copy=is_copy, creates=_taken(tags, {"create": True}, default=False))
    if name == "redirect":
        return Action(Kind.REDIRECT, text, is_copy=is_copy)
    raise _Other
