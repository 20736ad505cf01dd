"""What SEARCH looks at: decoded header and body text, and the one folding under which texts are compared.

Spec: RFC 9051 §6.4.4, RFC 5051.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final, NamedTuple

from mailstead.mime import charset
from mailstead.mime.address import search_text_of
from mailstead.mime.binary import decoded_part
from mailstead.mime.header import raw_fields, text_of
from mailstead.mime.html import text_of_html
from mailstead.mime.octets import piece
from mailstead.model.message import Octets, PartFacts

BODY_CHARACTERS_MAX: Final = 1 << 20
"""Of body text per message; what lies behind is not found by SEARCH."""
_RAW_OCTETS_MAX: Final = 3 << 20
"""Encoded octets looked at for that much text."""
_FILE_NAMES: Final = frozenset({"name", "filename"})


class SearchText(NamedTuple):
    """Decoded texts of one message, not folded."""

    from_: str
    to: str
    cc: str
    bcc: str
    subject: str
    header: str
    """All fields, ``Name: value`` a line."""
    body: str
    """Text parts (HTML as text), headers of enclosed messages, names of attached files."""


def fold(text: str) -> str:
    """Give the form in which texts are compared: case and compatibility forms do not matter.

    The one normalisation for the index and for comparisons. NFKC and case folding equate what i;unicode-casemap
    equates, and full case folding a little more (``ß`` and ``ss``).

    Spec: RFC 5051 §2.
    """
    if text.isascii():
        return text.lower()
    # Case folding may undo the normal form, hence twice. (Unicode, definition D146.)
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded).casefold() if not folded.isascii() else folded


def search_text(octets: Octets, parts: Sequence[PartFacts]) -> SearchText:
    """Give all that SEARCH may find in a message.

    Spec: RFC 9051 §6.4.4 (charset and transfer encoding are undone before comparing).
    Shapes: the body is at most `BODY_CHARACTERS_MAX` characters.
    """
    header = raw_fields(piece(octets, parts[0].header_start, parts[0].body_start))
    firsts: dict[bytes, list[bytes]] = {}
    lines: list[str] = []
    for name, value in header:
        firsts.setdefault(name.rstrip().lower(), []).append(value)
        lines.append(f"{name.decode('ascii').rstrip()}: {text_of(value)}")
    return SearchText(
        _addresses(firsts.get(b"from")),
        _addresses(firsts.get(b"to")),
        _addresses(firsts.get(b"cc")),
        _addresses(firsts.get(b"bcc")),
        "\n".join(map(text_of, firsts.get(b"subject", ()))),
        "\n".join(lines),
        body_text(octets, parts),
    )


def _addresses(values: list[bytes] | None) -> str:
    return ", ".join(map(search_text_of, values)) if values else ""


def body_text(octets: Octets, parts: Sequence[PartFacts]) -> str:
    """Give the searchable text of all parts, each on lines of its own."""
    texts: list[str] = []
    room = BODY_CHARACTERS_MAX
    for index, part in enumerate(parts):
        if room <= 0:
            break
        names = [text for name, text in (*part.disposition_params, *part.params) if name in _FILE_NAMES]
        text = "\n".join(dict.fromkeys(names))
        if part.is_message:
            nested = parts[index + 1]
            fields = raw_fields(piece(octets, nested.header_start, nested.body_start))
            text += "\n" + "\n".join(f"{name.decode('ascii')}: {text_of(value)}" for name, value in fields)
        elif part.media_type.startswith("text/"):
            text += "\n" + part_text(octets, part, min(_RAW_OCTETS_MAX, room * 3))
        text = text.strip()[:room]
        if text:
            texts.append(text)
            room -= len(text) + 1
    return "\n".join(texts)


def part_text(octets: Octets, part: PartFacts, octets_max: int, *, is_guessing: bool = True) -> str:
    """Give the text of a text part, from at most `octets_max` encoded octets; empty for an unknown encoding."""
    raw = piece(octets, part.body_start, min(part.body_end, part.body_start + octets_max))
    content = decoded_part(raw, part.encoding)
    if content is None:
        return ""
    label = next((text for name, text in part.params if name == "charset"), None)
    text = charset.decoded(content, label, is_guessing=is_guessing and label is None)
    return text_of_html(text) if part.media_type == "text/html" else text
