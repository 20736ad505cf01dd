"""Patterns of ``:regex``, by a linear engine.

RE2 reads an expression in time linear in the text; what it cannot do that way (back references, look-around) is not
to be had. Attack row 59.

Spec: draft-ietf-sieve-regex.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import re2

PATTERN_CHARACTERS_MAX: Final = 1000
PROGRAM_MAX: Final = 4000
"""Instructions of a compiled expression: repetitions inside repetitions grow it."""
SUBJECT_CHARACTERS_MAX: Final = 1 << 20
"""What lies behind is not looked at."""
_MEMORY_OCTETS_MAX: Final = 1 << 18

_BACK_REFERENCE: Final = re.compile(r"(?<!\\)(?:\\\\)*(?:\\[1-9]|\(\?P=|\\k)")
_LOOK_AROUND: Final = re.compile(r"(?<!\\)(?:\\\\)*\(\?<?[=!]")


class BadRegex(ValueError):
    """A pattern cannot be used; the text says why."""


class Regex:
    """One expression, ready to be tried."""

    __slots__ = ("expression", "weight")

    def __init__(self, pattern: str, *, folds_case: bool) -> None:
        if len(pattern) > PATTERN_CHARACTERS_MAX:
            raise BadRegex(f"A regular expression may have {PATTERN_CHARACTERS_MAX} characters")
        if _BACK_REFERENCE.search(pattern):
            raise BadRegex("Back references (\\1) are not possible in a regular expression here; write it without")
        if _LOOK_AROUND.search(pattern):
            raise BadRegex("Look-around ((?=, (?!, (?<) is not possible in a regular expression here; write it without")
        options = re2.Options()
        options.max_mem = _MEMORY_OCTETS_MAX
        options.log_errors = False
        options.dot_nl = True
        options.case_sensitive = not folds_case
        try:
            self.expression = re2.compile(pattern, options)
        except (re2.error, UnicodeEncodeError) as error:
            raise BadRegex(f"The regular expression cannot be read: {_told(error)}") from None
        self.weight = self.expression.programsize
        if self.weight > PROGRAM_MAX:
            raise BadRegex("The regular expression is too large; use smaller repetition counts")

    def cost(self, text: str) -> int:
        """Steps of one try: at worst all instructions at each character."""
        return 1 + (min(len(text), SUBJECT_CHARACTERS_MAX) * self.weight >> 6)

    def match(self, text: str) -> list[str] | None:
        """Give the part that matches and its groups, or None. Spec: draft-ietf-sieve-regex §4."""
        found = self.expression.search(text[:SUBJECT_CHARACTERS_MAX])
        if found is None:
            return None
        return [found.group() or "", *(group or "" for group in found.groups())]


def _told(error: Exception) -> str:
    words = error.args[0] if error.args else ""
    return words.decode("utf-8", "replace")[:100] if isinstance(words, bytes) else str(words)[:100]


@lru_cache(maxsize=64)
def regex(pattern: str, *, folds_case: bool) -> Regex:
    """Make an expression, or take it from the few kept for those made while scripts run.

    Errors: BadRegex.
    """
    return Regex(pattern, folds_case=folds_case)
