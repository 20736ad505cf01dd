"""Matching of mailbox names against LIST patterns.

Spec: RFC 9051 §6.3.9 (``*`` matches anything, ``%`` anything but the delimiter)
"""

from __future__ import annotations

import re
from typing import Final

from mailstead.model.mailbox import DELIMITER, INBOX

WILDCARDS_MAX: Final = 32
"""In one pattern, runs counted once (attack row 46)."""

_RUN: Final = re.compile(r"[*%]{2,}")
# ASCII only: a dotless i is not an I
_INBOX: Final = re.compile(rf"(?ai:{INBOX})(?={re.escape(DELIMITER)}|[*%]|\Z)")


class BadPattern(ValueError):
    """More wildcards than anybody needs."""


class ListPattern:
    """One pattern, ready to be matched; the reference is joined in front of it.

    The matching is dynamic programming over sets of places in the pattern, kept as the bits of one integer: at most
    len(name) steps of a few integer operations, whatever the pattern (no backtracking, attack row 46).
    """

    __slots__ = ("_at", "_end", "_percents", "_stars", "text")

    def __init__(self, reference: str, pattern: str) -> None:
        text = _RUN.sub(lambda run: "*" if "*" in run.group() else "%", reference + pattern)
        if text.count("*") + text.count("%") > WILDCARDS_MAX:
            raise BadPattern(f"A pattern has at most {WILDCARDS_MAX} wildcards")
        # INBOX is the one name without case (RFC 9051 §5.1)
        self.text: Final = _INBOX.sub(INBOX, text, count=1) if _INBOX.match(text) else text
        self._end: Final = 1 << len(self.text)
        self._at: dict[str, int] = {}
        """For each plain character, the places where it stands, as bits."""
        self._stars = self._percents = 0
        for place, character in enumerate(self.text):
            bit = 1 << place
            if character == "*":
                self._stars |= bit
            elif character == "%":
                self._percents |= bit
            else:
                self._at[character] = self._at.get(character, 0) | bit

    @property
    def has_wildcards(self) -> bool:
        """Whether it can match more than one name."""
        return bool(self._stars or self._percents)

    def matches(self, name: str) -> bool:
        """Say whether the whole name matches."""
        if not self.has_wildcards:
            return name == self.text
        wildcards = self._stars | self._percents
        places = self._past_wildcards(1, wildcards)
        for character in name:
            stay = places & (self._stars if character == DELIMITER else wildcards)
            places = self._past_wildcards(stay | (places & self._at.get(character, 0)) << 1, wildcards)
            if not places:
                return False
        return bool(places & self._end)

    @staticmethod
    def _past_wildcards(places: int, wildcards: int) -> int:
        """A wildcard may match nothing; runs of wildcards are gone, so one step is enough."""
        return places | (places & wildcards) << 1
