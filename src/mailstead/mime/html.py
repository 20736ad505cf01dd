"""The text of an HTML body, for search and preview only: nothing here is ever shown as HTML.

One pass, linear, no tree: what stands between tags, without scripts, styles and comments.
"""

from __future__ import annotations

from html import unescape
from typing import Final

_INLINE_TAGS: Final = """
    a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd mark o:p q s samp small span strike strong
    sub sup time tt u var wbr
"""
_INLINE: Final = frozenset(_INLINE_TAGS.split())
"""Tags that do not end a word."""
_SILENT: Final = frozenset({"script", "style", "title", "template", "noscript"})
"""Elements whose content is not text of the message."""


def text_of_html(html: str) -> str:
    """Give the readable text of an HTML document or of a piece of one.

    Spec: RFC 2854 (text/html).
    """
    first, *pieces = html.split("<")
    texts = [first]
    until = ""
    for piece in pieces:
        if until:
            at = _end_of_silence(piece, until)
            if at < 0:
                continue
            until = ""
            texts.append(piece[at:])
            continue
        if piece.startswith("!--"):
            until = "-->"
            at = _end_of_silence(piece[1:], until)
            if at >= 0:
                until = ""
                texts.append(piece[at + 1 :])
            continue
        if not (piece[:1].isalpha() or piece[:1] in {"/", "!", "?"}):
            texts += ("<", piece)
            continue
        tag, _, text = piece.partition(">")
        words = tag.split(None, 1)
        name = words[0].rstrip("/").lower() if words else ""
        if name in _SILENT:
            until = f"/{name}"
            continue
        if name.lstrip("/") not in _INLINE:
            texts.append("\n")
        texts.append(text)
    return unescape("".join(texts)).replace("\0", "\ufffd")


def _end_of_silence(piece: str, until: str) -> int:
    """Give where text starts again in a piece, or -1."""
    if until == "-->":
        at = piece.find("-->")
        return at + 3 if at >= 0 else -1
    if piece[: len(until)].lower() != until:
        return -1
    at = piece.find(">")
    return at + 1 if at >= 0 else len(piece)
