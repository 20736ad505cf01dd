"""Rules in plain English, for lists, dry runs and the command line. Pages with other languages say it their own way."""

from __future__ import annotations

from typing import Final

from mailstead.model.flags import FLAGGED, SEEN
from mailstead.sieve.rules.rule import Action, Condition, Field, Kind, Match, Part, Rule

_FIELDS: Final = {
    Field.FROM: "From",
    Field.TO: "To",
    Field.CC: "Cc",
    Field.RECIPIENT: "To or Cc",
    Field.SUBJECT: "Subject",
    Field.LIST_ID: "List-Id",
    Field.BODY: "the text",
}
_PARTS: Final = {
    Part.TEXT: "",
    Part.ADDRESS: "the address in ",
    Part.LOCAL_PART: "what stands before the @ in ",
    Part.DOMAIN: "the domain in ",
}
_VERBS: Final = {
    Match.IS: ("is", "is not"),
    Match.CONTAINS: ("contains", "does not contain"),
    Match.BEGINS: ("begins with", "does not begin with"),
    Match.ENDS: ("ends with", "does not end with"),
    Match.PATTERN: ("fits", "does not fit"),
}
_FLAGS: Final = {SEEN: "marks it as read", FLAGGED: "marks it as flagged"}
_SHOWN_MAX: Final = 5
"""Values of a condition that are said."""


def condition_in_words(condition: Condition) -> str:
    """Say what a condition asks for: ``Subject contains “invoice” or “bill”``."""
    is_not = condition.is_not
    if condition.field is Field.ATTACHMENT:
        return "it has no attachment" if is_not else "it has an attachment"
    if condition.field is Field.SIZE:
        relation = "larger" if condition.match is Match.OVER else "smaller"
        return f"it is {'not ' if is_not else ''}{relation} than {_size(condition.size_octets)}"
    names = _FIELDS.get(condition.field) or " or ".join(condition.names)
    if condition.match is Match.EXISTS:
        return f"there is {'no' if is_not else 'a'} {names}"
    values = [f"“{value}”" for value in condition.values[:_SHOWN_MAX]]
    if len(condition.values) > _SHOWN_MAX:
        values.append(f"{len(condition.values) - _SHOWN_MAX} more")
    return f"{_PARTS[condition.part]}{names} {_VERBS[condition.match][is_not]} {' or '.join(values)}"


def action_in_words(action: Action) -> str:
    """Say what an action does: ``files it into Archive``."""
    match action.kind:
        case Kind.FILE:
            made = ", which is made if need be" if action.creates else ""
            return f"{'copies' if action.is_copy else 'files'} it into {action.text}{made}"
        case Kind.FLAG:
            return " and ".join(_FLAGS.get(flag, f"gives it the label {flag}") for flag in action.flags)
        case Kind.REDIRECT:
            return f"sends {'a copy' if action.is_copy else 'it'} on to {action.text}"
        case Kind.REJECT:
            return "rejects it, with words to the sender"
        case Kind.DISCARD:
            return "throws it away"
        case Kind.KEEP:
            return "keeps it in INBOX"


def rule_in_words(rule: Rule) -> str:
    """Say a whole rule in one sentence, without its name."""
    conditions = [condition_in_words(condition) for condition in rule.conditions]
    does = [action_in_words(action) for action in rule.actions] + (["goes no further"] if rule.stops else [])
    when = f"If {(' or ' if rule.is_any else ' and ').join(conditions)}" if conditions else "For every message"
    return f"{when}: {', '.join(does)}"


def _size(octets: int) -> str:
    for factor, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if octets and octets % factor == 0:
            return f"{octets // factor} {unit}"
    return f"{octets} octets"
