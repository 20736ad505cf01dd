"""The preview: the first words of a message, for lists.

Spec: RFC 8970 §3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from mailstead.mime.text import part_text
from mailstead.model.message import Octets, PartFacts

PREVIEW_CHARACTERS_MAX: Final = 200
_PLAIN_OCTETS: Final = 3 << 10
"""Enough for 200 characters of four octets, each octet written as ``=XX``, with some quoting before."""
_HTML_OCTETS: Final = 32 << 10
"""HTML begins with style sheets."""
_PARTS_TRIED_MAX: Final = 4


def preview_of(octets: Octets, parts: Sequence[PartFacts]) -> str:
    """Give the beginning of the readable text, white space collapsed, quoted lines left out; may be empty.

    Spec: RFC 8970 §3.2 (at most 200 characters, no markup; empty when there is nothing to show).
    """
    for part in _candidates(parts):
        is_plain = part.media_type == "text/plain"
        text = part_text(octets, part, _PLAIN_OCTETS if is_plain else _HTML_OCTETS, is_guessing=False)
        words = _without_quotes(text) if is_plain and ">" in text else text
        preview = " ".join(words.split())
        if preview:
            return preview[:PREVIEW_CHARACTERS_MAX].rstrip()
    return ""


def _candidates(parts: Sequence[PartFacts]) -> Iterator[PartFacts]:
    """Yield text parts that are shown in line: plain ones first, then HTML."""
    shown = [part for part in parts[:100] if part.disposition != "attachment"]
    tried = 0
    for media_type in ("text/plain", "text/html"):
        for part in shown:
            if part.media_type == media_type and tried < _PARTS_TRIED_MAX:
                tried += 1
                yield part


def _without_quotes(text: str) -> str:
    """Leave out quoted lines, unless nothing else is there."""
    own = "\n".join(line for line in text.splitlines() if not line.startswith(">"))
    return own if own.strip() else text
