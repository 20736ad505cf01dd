"""From a rule to its piece of the script: through the syntax tree, never by pasting strings together (attack row 60).

A name stands in a comment before the rule and a rule that is off behind ``if false #``, both as Roundcube's editor has
them, so that people can go from one editor to the other.

Spec: RFC 5228 §4, §5; RFC 5173 §4 (body); RFC 5232 (addflag); RFC 5429; RFC 5703 §4 (mime).
"""

from __future__ import annotations

from typing import Final

from mailstead.sieve.rules.rule import NAMES, Action, BadRule, Condition, Field, Kind, Match, Part, Rule, begins, ends
from mailstead.sieve.tree import Argument, Command, Number, Tag, Test, Text, TextList, Tree
from mailstead.sieve.write import Unwritable, write

_TAGS: Final = {
    Match.IS: "is",
    Match.CONTAINS: "contains",
    Match.BEGINS: "matches",
    Match.ENDS: "matches",
    Match.PATTERN: "matches",
    Match.OVER: "over",
    Match.UNDER: "under",
}
_PART_TAGS: Final = {Part.ADDRESS: (), Part.LOCAL_PART: (Tag("localpart"),), Part.DOMAIN: (Tag("domain"),)}


def text_of(rule: Rule) -> str:
    """Write a checked rule; lines end in CRLF.

    Errors: BadRule.
    """
    actions = [_command(action) for action in rule.actions]
    if rule.stops:
        actions.append(Command("stop"))
    comment = (*rule.comments, *([f"rule:[{rule.name}]"] if rule.name else []))
    condition = test_of(rule)
    command = Command("if", tests=(condition,), block=tuple(actions), comment=comment)
    try:
        if rule.is_on:
            return write(Tree((command,)))
        lines = write(Tree((command,))).split("\r\n")
        opening = lines[len(comment)]
        # The test is one line: its strings have no line ends.
        lines[len(comment)] = f"if false # {opening.removeprefix('if ').removesuffix(' {')}\r\n{{"
        return "\r\n".join(lines)
    except Unwritable as error:
        raise BadRule(str(error)) from None


def test_of(rule: Rule) -> Test:
    """Give the test of a rule."""
    tests = tuple(map(test_of_condition, rule.conditions))
    if not tests:
        return Test("true")
    if rule.is_any or len(tests) > 1:
        return Test("anyof" if rule.is_any else "allof", (), tests, is_list=True)
    return tests[0]


def test_of_condition(condition: Condition) -> Test:
    """Give the test of one condition."""
    test = _test(condition)
    return Test("not", (), (test,)) if condition.is_not else test


def _test(condition: Condition) -> Test:
    field, match = condition.field, condition.match
    if field is Field.SIZE:
        return Test("size", (Tag(_TAGS[match]), Number(condition.size_octets)))
    if field is Field.ATTACHMENT:
        tags = (Tag("mime"), Tag("anychild"), Tag("type"), Tag("is"))
        return Test("header", (*tags, Text("content-disposition"), Text("attachment")))
    if match is Match.EXISTS:
        return Test("exists", (_texts(condition.names),))
    values = condition.values
    if match is Match.BEGINS:
        values = tuple(map(begins, values))
    elif match is Match.ENDS:
        values = tuple(map(ends, values))
    tag = Tag(_TAGS[match])
    if field is Field.BODY:
        return Test("body", (Tag("text"), tag, _texts(values)))
    names = _texts(condition.names or NAMES[field])
    if condition.part is Part.TEXT:
        return Test("header", (tag, names, _texts(values)))
    return Test("address", (*_PART_TAGS[condition.part], tag, names, _texts(values)))


def _texts(values: tuple[str, ...]) -> Argument:
    return Text(values[0]) if len(values) == 1 else TextList(tuple(map(Text, values)))


def _command(action: Action) -> Command:
    copy = (Tag("copy"),) if action.is_copy else ()
    match action.kind:
        case Kind.FILE:
            create = (Tag("create"),) if action.creates else ()
            return Command("fileinto", (*copy, *create, Text(action.text)))
        case Kind.REDIRECT:
            return Command("redirect", (*copy, Text(action.text)))
        case Kind.FLAG:
            return Command("addflag", (_texts(action.flags),))
        case Kind.REJECT:
            return Command("ereject" if action.is_ereject else "reject", (Text(action.text),))
        case Kind.DISCARD | Kind.KEEP:
            return Command(action.kind.value)


def extensions_of(rule: Rule) -> frozenset[str]:
    """Give what a rule needs in ``require``."""
    needed: set[str] = set()
    for condition in rule.conditions:
        if condition.field is Field.BODY:
            needed.add("body")
        elif condition.field is Field.ATTACHMENT:
            needed.add("mime")
    for action in rule.actions:
        if action.is_copy:
            needed.add("copy")
        if action.creates:
            needed.add("mailbox")
        if action.kind is Kind.FILE:
            needed.add("fileinto")
        elif action.kind is Kind.FLAG:
            needed.add("imap4flags")
        elif action.kind is Kind.REJECT:
            needed.add("ereject" if action.is_ereject else "reject")
    return frozenset(needed)


def strings_of(rule: Rule) -> list[str]:
    """Give all strings that stand in a rule as the script has them."""
    found = [text for condition in rule.conditions for text in (*condition.values, *condition.names)]
    return found + [text for action in rule.actions for text in (action.text, *action.flags)]
