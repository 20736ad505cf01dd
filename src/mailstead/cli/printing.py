"""How answers are printed for people; nothing heavy is loaded."""

from __future__ import annotations

import json
from collections.abc import Sequence


def printable(text: str) -> str:
    """Give a text that does nothing to a terminal: much of what we show was written by strangers (attack row 100)."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else json.dumps(letter)[1:-1] for letter in text)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Give aligned columns; ``(none)`` where there are no rows."""
    if not rows:
        return "(none)"
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
