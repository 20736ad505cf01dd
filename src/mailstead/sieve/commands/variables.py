"""Variables: set, and compared as strings.

Spec: RFC 5229 §4, §5; draft-ietf-sieve-regex §5 (quoteregex); RFC 5435 §6 (encodeurl).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from mailstead.sieve.call import Call
from mailstead.sieve.forms import MATCH_TAGS, Check, CommandForm, Step, TagForm, Takes, TestForm
from mailstead.sieve.matching import matcher
from mailstead.sieve.run import Run
from mailstead.sieve.words import VARIABLE_CHARACTERS_MAX, all_filled, filled

_WILD: Final = re.compile(r"([*?\\])")
_SPECIAL: Final = re.compile(r"([^A-Za-z0-9_\s\x80-\U0010ffff])")


def _upper(text: str) -> str:
    """ASCII or not, as RFC 5229 §4.1.1 leaves it open; a letter that would become two stays."""
    if text.isascii():
        return text.upper()
    return "".join(upper if len(upper := character.upper()) == 1 else character for character in text)


def _lower(text: str) -> str:
    if text.isascii():
        return text.lower()
    return "".join(lower if len(lower := character.lower()) == 1 else character for character in text)


MODIFIERS: Final[dict[str, tuple[int, str, Callable[[str], str]]]] = {
    "lower": (40, "", _lower),
    "upper": (40, "", _upper),
    "lowerfirst": (30, "", lambda text: _lower(text[:1]) + text[1:]),
    "upperfirst": (30, "", lambda text: _upper(text[:1]) + text[1:]),
    "quotewildcard": (20, "", lambda text: _WILD.sub(r"\\\1", text)),
    "quoteregex": (20, "regex", lambda text: _SPECIAL.sub(r"\\\1", text)),
    "encodeurl": (15, "enotify", lambda text: quote(text, safe="-._~")),
    "length": (10, "", lambda text: str(len(text))),
}
"""Name → precedence, extension that brings it, what it does. Spec: RFC 5229 §4.1: the higher the earlier."""
MODIFIER_TAGS: Final = tuple(TagForm(name, str(rank), needs=needs) for name, (rank, needs, _) in MODIFIERS.items())


def modified(call: Call) -> Callable[[Run, str], str]:
    """Make what the modifiers of a command do to a text, one after the other, and cut it to size."""
    functions = [modify for name, (_, _, modify) in MODIFIERS.items() if call.has(name)]

    def modify_all(run: Run, text: str) -> str:
        for function in functions:
            run.budget.spend(1 + (len(text) >> 2))
            text = function(text)
        return text[:VARIABLE_CHARACTERS_MAX]

    return modify_all


def _set(call: Call) -> Step:
    """Spec: RFC 5229 §4."""
    name = call.variable(0)
    words = call.text(1)
    modify = modified(call)

    def set_variable(run: Run) -> None:
        text = filled(words, run)
        run.budget.spend(1 + (len(text) >> 8))
        run.set_variable(name, modify(run, text))

    return set_variable


def _string(call: Call) -> Check:
    """Spec: RFC 5229 §5 (``:count`` counts the strings that are not empty)."""
    words = call.texts(0)
    match = matcher(call, 1)
    is_count = call.has("count")

    def holds(run: Run) -> bool:
        texts = all_filled(words, run)
        return match(run, [text for text in texts if text] if is_count else texts)

    return holds


COMMANDS: Final = (CommandForm("set", (Takes.TEXT, Takes.TEXT), MODIFIER_TAGS, ("variables",), build=_set),)
TESTS: Final = (TestForm("string", (Takes.TEXTS, Takes.TEXTS), MATCH_TAGS, ("variables",), build=_string),)
EXTENSIONS: Final = ("variables", "encoded-character")
