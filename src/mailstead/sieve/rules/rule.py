"""A rule as people see it: a name, what a message must be like, what is done with it.

All fields are plain values, so that a form or a JSON object can show each of them. `checked` says what is wrong with a
rule; whatever passes it can be written (`writing`) and is read back equal (`document`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from mailstead.model.errors import BadScript
from mailstead.model.flags import canonical
from mailstead.sieve.lexer import NUMBER_MAX
from mailstead.sieve.values import address, field_name, flag, mailbox_name
from mailstead.sieve.words import BadWords

NAME_CHARACTERS_MAX: Final = 200
CONDITIONS_MAX: Final = 50
VALUES_MAX: Final = 200
VALUE_CHARACTERS_MAX: Final = 1000
ACTIONS_MAX: Final = 20
TEXT_CHARACTERS_MAX: Final = 4000
"""Of what is said to a sender whose mail is rejected."""
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_WILD: Final = re.compile(r"([*?\\])")
_GLOB: Final = re.compile(r"\\(.)|([*?])|([^\\*?]+|\\)", re.DOTALL)


class Field(Enum):
    """What of a message a condition looks at."""

    FROM = "from"
    TO = "to"
    CC = "cc"
    RECIPIENT = "recipient"
    """To or Cc."""
    SUBJECT = "subject"
    LIST_ID = "list-id"
    HEADER = "header"
    """The fields named in `Condition.names`."""
    BODY = "body"
    """Its text parts, decoded."""
    SIZE = "size"
    ATTACHMENT = "attachment"
    """Whether there is one; takes no match and no values."""


class Match(Enum):
    """How it is compared; without regard to case (ASCII)."""

    IS = "is"
    CONTAINS = "contains"
    BEGINS = "begins"
    ENDS = "ends"
    PATTERN = "pattern"
    """``*`` is any number of characters, ``?`` one, a backslash takes the meaning from the next."""
    EXISTS = "exists"
    """The one field of `Field.HEADER` is there; takes no values."""
    OVER = "over"
    UNDER = "under"


class Part(Enum):
    """What of an address field is compared."""

    TEXT = "text"
    """The whole field, with display names."""
    ADDRESS = "address"
    LOCAL_PART = "localpart"
    DOMAIN = "domain"


NAMES: Final = {
    Field.FROM: ("from",),
    Field.TO: ("to",),
    Field.CC: ("cc",),
    Field.RECIPIENT: ("to", "cc"),
    Field.SUBJECT: ("subject",),
    Field.LIST_ID: ("list-id",),
}
"""Header fields behind the words."""
WITH_ADDRESSES: Final = frozenset({Field.FROM, Field.TO, Field.CC, Field.RECIPIENT, Field.HEADER})
COMPARING: Final = frozenset({Match.IS, Match.CONTAINS, Match.BEGINS, Match.ENDS, Match.PATTERN})


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that a message must be (or, with `is_not`, must not be); any of the values will do."""

    field: Field
    match: Match = Match.IS
    values: tuple[str, ...] = ()
    is_not: bool = False
    part: Part = Part.TEXT
    names: tuple[str, ...] = ()
    """Of `Field.HEADER`: the header fields, any of them."""
    size_octets: int = 0
    """Of `Field.SIZE`."""


class Kind(Enum):
    """What an action does."""

    FILE = "file"
    """Into the mailbox named in `Action.text`."""
    FLAG = "flag"
    """Add `Action.flags`: it counts for what is filed after it."""
    REDIRECT = "redirect"
    """To the address in `Action.text`."""
    REJECT = "reject"
    """With `Action.text` for the sender."""
    DISCARD = "discard"
    KEEP = "keep"
    """In INBOX."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that is done with a message."""

    kind: Kind
    text: str = ""
    """Mailbox, address or words, as `kind` says."""
    flags: tuple[str, ...] = ()
    is_copy: bool = False
    """FILE, REDIRECT: beside what else is done. Spec: RFC 3894."""
    creates: bool = False
    """FILE: make the mailbox if it is not there. Spec: RFC 5490 §3.2."""
    is_ereject: bool = False
    """REJECT: never by a message of our own. Spec: RFC 5429 §2.1."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule; without conditions it holds for every message."""

    name: str = ""
    """Empty: it has none."""
    conditions: tuple[Condition, ...] = ()
    actions: tuple[Action, ...] = ()
    is_any: bool = False
    """Any condition will do, not all are needed."""
    is_on: bool = True
    stops: bool = False
    """Where it holds, nothing after it is looked at."""
    comments: tuple[str, ...] = ()
    """Lines of other comments that stood in it, for those who read the script."""


class BadRule(BadScript):
    """A rule says something that cannot be; the text says what."""


def begins(text: str) -> str:
    """Give the pattern for what begins with a text."""
    return _WILD.sub(r"\\\1", text) + "*"


def ends(text: str) -> str:
    """Give the pattern for what ends with a text."""
    return "*" + _WILD.sub(r"\\\1", text)


def simpler(match: Match, values: tuple[str, ...]) -> tuple[Match, tuple[str, ...]]:
    """Give BEGINS or ENDS for patterns that mean just that, all of them."""
    if match is not Match.PATTERN:
        return match, values
    pieces = [[(escaped or literal, wild) for escaped, wild, literal in _GLOB.findall(value)] for value in values]
    for found, star in ((Match.BEGINS, -1), (Match.ENDS, 0)):
        texts: list[str] = []
        for each in pieces:
            rest = list(each)
            if len(rest) < 2 or rest.pop(star) != ("", "*") or any(wild for _, wild in rest):
                break
            texts.append("".join(text for text, _ in rest))
        else:
            return found, tuple(texts)
    return match, values


def part_meant(field: Field, match: Match) -> Part:
    """Give what is compared where nobody says: of address fields the address, unless a text is looked for in them."""
    if field in {Field.FROM, Field.TO, Field.CC, Field.RECIPIENT} and match in {Match.IS, Match.BEGINS, Match.ENDS}:
        return Part.ADDRESS
    return Part.TEXT


def flags_first(rule: Rule) -> Rule:
    """Put flags before what files: that is what people mean, whatever order they choose. Spec: RFC 5232 §5."""
    return replace(rule, actions=tuple(sorted(rule.actions, key=lambda action: action.kind is not Kind.FLAG)))


def checked(rule: Rule) -> Rule:
    """Give a rule in the one form in which it is read back.

    Errors: BadRule.
    """
    try:
        if len(rule.conditions) > CONDITIONS_MAX or len(rule.actions) > ACTIONS_MAX:
            raise BadWords(f"A rule has at most {CONDITIONS_MAX} conditions and {ACTIONS_MAX} actions")
        if not rule.actions and not rule.stops:
            raise BadWords("A rule does something: give it an action")
        conditions = tuple(map(_condition, rule.conditions))
        actions = tuple(map(_action, rule.actions))
        _go_together(actions)
        name = _line(rule.name, "A name", NAME_CHARACTERS_MAX).strip()
        is_any = rule.is_any and bool(conditions)
        return replace(rule, name=name, conditions=conditions, actions=actions, is_any=is_any)
    except BadWords as error:
        raise BadRule(str(error)) from None


def _condition(condition: Condition) -> Condition:
    """Leave out what does not count. Errors: BadWords."""
    field, match, is_not = condition.field, condition.match, condition.is_not
    if field is Field.SIZE:
        if match not in {Match.OVER, Match.UNDER} or not 0 <= condition.size_octets <= NUMBER_MAX:
            raise BadWords("A size is over or under a number of octets")
        return Condition(field, match, is_not=is_not, size_octets=condition.size_octets)
    if field is Field.ATTACHMENT:
        return Condition(field, is_not=is_not)
    names = _names(condition)
    if match is Match.EXISTS:
        if len(names) != 1:
            raise BadWords("That a field is there can be asked of one header field at a time")
        return Condition(field, match, is_not=is_not, names=names)
    if match not in COMPARING:
        raise BadWords(f'"{match.value}" compares sizes')
    if field is Field.BODY and match not in {Match.IS, Match.CONTAINS, Match.PATTERN}:
        raise BadWords("Of the text of a message one can ask what it contains or is")
    if condition.part is not Part.TEXT and field not in WITH_ADDRESSES:
        raise BadWords(f'"{field.value}" holds no addresses')
    match, values = simpler(match, _values(condition)) if field is not Field.BODY else (match, _values(condition))
    field, names = _known(field, names, condition.part)
    return Condition(field, match, values, is_not, condition.part, names)


def _known(field: Field, names: tuple[str, ...], part: Part) -> tuple[Field, tuple[str, ...]]:
    """Give the word for header fields that have one."""
    for known, its in NAMES.items():
        if names and sorted(names) == sorted(its) and (part is Part.TEXT or known in WITH_ADDRESSES):
            return known, ()
    return field, names


def _names(condition: Condition) -> tuple[str, ...]:
    if condition.field is not Field.HEADER:
        if condition.match is Match.EXISTS:
            raise BadWords("That a field is there is asked of a header field by its name")
        return ()
    if not 0 < len(condition.names) <= VALUES_MAX:
        raise BadWords("Name the header field")
    return tuple(field_name(name).lower() for name in condition.names)


def _values(condition: Condition) -> tuple[str, ...]:
    if not 0 < len(condition.values) <= VALUES_MAX:
        raise BadWords(f"A condition has 1 to {VALUES_MAX} texts to compare with")
    for value in condition.values:
        _line(value, "A text to compare with", VALUE_CHARACTERS_MAX)
        if not value and condition.match not in {Match.IS, Match.PATTERN}:
            raise BadWords("Every text contains an empty one: say what to look for")
    return condition.values


def _action(action: Action) -> Action:
    """Leave out what does not count. Errors: BadWords."""
    kind = action.kind
    if kind is Kind.FILE:
        return Action(kind, mailbox_name(action.text), is_copy=action.is_copy, creates=action.creates)
    if kind is Kind.REDIRECT:
        return Action(kind, address(_line(action.text, "An address", VALUE_CHARACTERS_MAX)), is_copy=action.is_copy)
    if kind is Kind.FLAG:
        if not 0 < len(action.flags) <= VALUES_MAX:
            raise BadWords("Name the flag or label to add")
        return Action(kind, flags=tuple(canonical(flag(each)) for each in action.flags))
    if kind is Kind.REJECT:
        lines = re.split("\r?\n", action.text)
        for line in lines:
            _line(line.replace("\t", " "), "The answer", TEXT_CHARACTERS_MAX)
        text = "\r\n".join(lines)
        if not text.strip() or len(text) > TEXT_CHARACTERS_MAX:
            raise BadWords(f"Who is rejected is told why, in 1 to {TEXT_CHARACTERS_MAX} characters")
        return Action(kind, text, is_ereject=action.is_ereject)
    return Action(kind)


def _go_together(actions: Iterable[Action]) -> None:
    """Spec: RFC 5429 §2.4."""
    kinds = [action.kind for action in actions]
    if kinds.count(Kind.REJECT) > 1 or (Kind.REJECT in kinds and set(kinds) - {Kind.REJECT, Kind.FLAG}):
        raise BadWords("A message that is rejected cannot be filed, kept, discarded or redirected too")


def _line(text: str, what: str, characters_max: int) -> str:
    if len(text) > characters_max or any(unicodedata.category(character) in _UNPRINTABLE for character in text):
        raise BadWords(f"{what} has at most {characters_max} characters, no line ends or control characters among them")
    return text
