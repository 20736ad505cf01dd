"""Header fields added and removed.

Spec: RFC 5293.
"""

from __future__ import annotations

from typing import Final

from mailstead.sieve.call import Call
from mailstead.sieve.commands.headers import index_of
from mailstead.sieve.forms import INDEX_TAGS, MATCH_TAGS, CommandForm, Step, TagForm, Takes
from mailstead.sieve.matching import matcher
from mailstead.sieve.run import Run
from mailstead.sieve.values import field_name
from mailstead.sieve.words import filled

_PROTECTED: Final = frozenset(
    [
        "authentication-results",
        "auto-submitted",
        "delivered-to",
        "dkim-signature",
        "from",
        "received",
        "received-spf",
        "resent-from",
        "resent-sender",
        "return-path",
        "sender",
        "x-original-to",
    ]
)
"""Authors too: a redirected message would go out in another's name (attack row 15)."""
_PROTECTED_START: Final = "arc-"


def is_protected(name: str) -> bool:
    """Whether scripts leave a field alone: traces, signatures, results of checks.

    A request to change one is passed over without an error. Spec: RFC 5293 §6.
    """
    return name.lower() in _PROTECTED or name.lower().startswith(_PROTECTED_START)


def _addheader(call: Call) -> Step:
    """Spec: RFC 5293 §4."""
    name = call.read(0, field_name)
    value = call.text(1)
    is_last = call.has("last")

    def add(run: Run) -> None:
        field = name(run)
        if not is_protected(field):
            run.message.add_field(field, filled(value, run), is_last=is_last)

    return add


def _deleteheader(call: Call) -> Step:
    """Spec: RFC 5293 §5: without value patterns all fields of the name, else those whose value fits one."""
    name = call.read(0, field_name)
    has_patterns = call.has(1)
    match = matcher(call, 1, sets_variables=False) if has_patterns else None
    if not has_patterns and call.first_of("is", "contains", "matches", "count", "value", "regex", "comparator"):
        call.wrong(0, "A match type needs a list of values behind the name of the field")
    pick = index_of(call)

    def delete(run: Run) -> None:
        field = name(run)
        if is_protected(field):
            return
        found = pick(run.message.named(field))
        run.budget.spend(1 + len(found))
        run.message.remove_fields([each for each in found if match is None or match(run, [each.text])])

    return delete


_NEEDS: Final = ("editheader",)
COMMANDS: Final = (
    CommandForm("addheader", (Takes.TEXT, Takes.TEXT), (TagForm("last"),), _NEEDS, build=_addheader),
    CommandForm(
        "deleteheader",
        (Takes.TEXT, Takes.TEXTS),
        # ":index" is part of this command, with or without the extension of that name.
        (*MATCH_TAGS, *(TagForm(tag.name, tag.group, tag.takes, after=tag.after) for tag in INDEX_TAGS)),
        _NEEDS,
        trailing_count=1,
        build=_deleteheader,
    ),
)
EXTENSIONS: Final = _NEEDS
