r"""Patterns of ``:matches``: ``*`` any number of characters, ``?`` one, ``\`` takes the meaning from the next.

Each piece between two stars is searched for once, from left to right: no pattern makes that go back and forth, and
each star takes as little as can be, as match variables want it. One character is one of Unicode, not an octet as
RFC 5228 has it for its comparators: nobody means half a letter.

Spec: RFC 5228 §2.7.1, RFC 5229 §3.2.
"""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(r"\\(.)|([*?])|([^\\*?]+|\\)", re.DOTALL)


class _Piece:
    """What stands between stars: literal text, with ``?`` at some offsets."""

    __slots__ = ("expression", "size", "text", "wild")

    def __init__(self, items: list[str | None]) -> None:
        self.text = "".join(item or "?" for item in items)
        self.size = len(self.text)
        wild: list[int] = []
        offset = 0
        for item in items:
            if item is None:
                wild.append(offset)
            offset += len(item) if item is not None else 1
        self.wild = tuple(wild)
        self.expression = (
            re.compile("".join("." if item is None else re.escape(item) for item in items), re.DOTALL) if wild else None
        )

    def find(self, text: str, start: int) -> int:
        if self.expression is None:
            return text.find(self.text, start)
        found = self.expression.search(text, start)
        return found.start() if found else -1

    def is_at(self, text: str, start: int) -> bool:
        if self.expression is None:
            return text.startswith(self.text, start)
        return self.expression.match(text, start) is not None


class Glob:
    """One pattern, ready to be tried."""

    __slots__ = ("pieces", "weight")

    def __init__(self, pattern: str) -> None:
        piece: list[str | None] = []
        pieces = [piece]
        for escaped, wild, literal in _TOKEN.findall(pattern):
            if wild == "*":
                piece = []
                pieces.append(piece)
            else:
                piece.append(None if wild else escaped or literal)
        self.pieces = [_Piece(items) for items in pieces]
        self.weight = max((piece.size for piece in self.pieces if piece.wild), default=1)
        """How much more than looking once at each character a try may cost."""

    def match(self, text: str) -> list[int] | None:
        """Say where each piece starts, or None when the text does not match as a whole."""
        first, last = self.pieces[0], self.pieces[-1]
        if len(self.pieces) == 1:
            return [0] if len(text) == first.size and first.is_at(text, 0) else None
        stop = len(text) - last.size
        if stop < first.size or not first.is_at(text, 0) or not last.is_at(text, stop):
            return None
        starts = [0]
        position = first.size
        for piece in self.pieces[1:-1]:
            position = piece.find(text, position)
            if position < 0 or position + piece.size > stop:
                return None
            starts.append(position)
            position += piece.size
        starts.append(stop)
        return starts

    def matched(self, text: str, starts: list[int]) -> list[str]:
        """Give what the wildcards stand for, the whole text first. Spec: RFC 5229 §3.2."""
        values = [text]
        end = 0
        for index, (piece, start) in enumerate(zip(self.pieces, starts, strict=True)):
            if index:
                values.append(text[end:start])
            values += [text[start + offset] for offset in piece.wild]
            end = start + piece.size
        return values
