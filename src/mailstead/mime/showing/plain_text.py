"""Plain text as HTML: links found, flowed lines joined, quotes by level.

Spec: RFC 3676 (format=flowed, DelSp, quoting, signature); RFC 2046 §4.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final, NamedTuple

from mailstead.mime.showing.web_addresses import link_target

CHARACTERS_MAX: Final = 2_000_000
LEVELS_MAX: Final = 20
"""Deeper quotes are shown at this level."""
LINKS_MAX: Final = 5000

_QUOTES: Final = re.compile(r"(?:> ?){1,200}")
_LINK: Final = re.compile(
    r"\b(?:https?://[^\s<>\"\u00a0]{1,2000}|www\.[\w-]{1,63}\.[^\s<>\"\u00a0]{1,2000})"
    r"|(?:\bmailto:)?(?<![\w.+-])[\w+-][\w.+-]{0,63}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}\b",
    re.IGNORECASE,
)
_TRAILING: Final = ".,:;!?'*_"
_INVISIBLE: Final = dict.fromkeys([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F, *range(0xD800, 0xE000)])


class Paragraph(NamedTuple):
    """A line as it is shown."""

    level: int
    """Of quoting; 0: the writer's own words."""
    text: str
    is_signature: bool = False
    """Whether it, or what stands before it at this level, is the signature's separator. Spec: RFC 3676 §4.3."""


def paragraphs(text: str, *, is_flowed: bool = False, deletes_space: bool = False) -> Iterator[Paragraph]:
    """Yield the lines of a text, joined where they are flowed.

    Spec: RFC 3676 §4.1 (interpreting), §4.2 (generating: soft breaks), §4.4 (space-stuffing), §4.5 (quoting).
    """
    pending: list[str] = []
    level = 0
    in_signature: int | None = None
    for line in text.splitlines():
        now, content = _quoted(line, is_flowed=is_flowed)
        if is_flowed and content.startswith(" "):
            content = content[1:]
        is_separator = content == "-- "
        if pending and (now != level or is_separator):
            yield Paragraph(level, "".join(pending), in_signature == level)
            pending = []
        if now != level:
            level = now
            in_signature = None
        if is_separator:
            in_signature = level
            yield Paragraph(level, content, is_signature=True)
            continue
        if is_flowed and content.endswith(" "):
            pending.append(content[:-1] if deletes_space else content)
            continue
        yield Paragraph(level, "".join([*pending, content]), in_signature == level)
        pending = []
    if pending:
        yield Paragraph(level, "".join(pending), in_signature == level)


def _quoted(line: str, *, is_flowed: bool) -> tuple[int, str]:
    if not line.startswith(">"):
        return 0, line
    if is_flowed:
        content = line.lstrip(">")
        return len(line) - len(content), content
    found = _QUOTES.match(line)
    assert found is not None
    return found[0].count(">"), line[found.end() :]


def html_of_text(text: str, *, is_flowed: bool = False, deletes_space: bool = False) -> str:
    """Give a plain text as HTML: one ``div`` with quotes in ``blockquote`` and links that may be followed.

    Shapes: needs no sanitising, as all that stands in it is escaped or ours. `is_flowed` and `deletes_space` are the
    parameters format=flowed and delsp=yes.
    Spec: RFC 3676 §4.5.
    """
    text = text[:CHARACTERS_MAX].translate(_INVISIBLE)
    pieces = ['<div class="m-text" dir="auto">']
    level = 0
    in_signature = False
    link_count = 0
    for each in paragraphs(text, is_flowed=is_flowed, deletes_space=deletes_space):
        wanted = min(each.level, LEVELS_MAX)
        if in_signature and (wanted != level or not each.is_signature):
            pieces.append("</div>")
            in_signature = False
        if wanted > level:
            pieces.append("<blockquote>" * (wanted - level))
        elif wanted < level:
            pieces.append("</blockquote>" * (level - wanted))
        level = wanted
        if each.is_signature and not in_signature:
            pieces.append('<div class="m-signature">')
            in_signature = True
        if link_count < LINKS_MAX:
            written, count = linked(each.text)
            link_count += count
        else:
            written = escape(each.text)
        pieces.append(f"{written}\n")
    pieces.append("</div>" * in_signature + "</blockquote>" * level + "</div>")
    return "".join(pieces)


def linked(text: str) -> tuple[str, int]:
    """Give a text escaped, with its web and mail addresses as links, and how many there are."""
    pieces: list[str] = []
    position = count = 0
    for found in _LINK.finditer(text):
        shown = _without_trailing(found[0])
        address = shown
        if address.lower().startswith("www."):
            address = "https://" + address
        elif "://" not in address[:8] and not address.lower().startswith("mailto:"):
            address = "mailto:" + address
        target = link_target(address)
        if not target:
            continue
        pieces += (escape(text[position : found.start()]), _link(target, shown))
        position = found.start() + len(shown)
        count += 1
    pieces.append(escape(text[position:]))
    return "".join(pieces), count


def _link(target: str, shown: str) -> str:
    return f'<a href="{escape(target)}" rel="noopener noreferrer" target="_blank">{escape(shown)}</a>'


def _without_trailing(address: str) -> str:
    """Leave out what belongs to the sentence: full stops, and brackets that were opened before the address."""
    while address:
        last = address[-1]
        opening = {")": "(", "]": "[", "}": "{"}.get(last)
        if last in _TRAILING or (opening is not None and address.count(last) > address.count(opening)):
            address = address[:-1]
        else:
            break
    return address


def text_terms(params: Sequence[tuple[str, str]]) -> tuple[bool, bool]:
    """Give `is_flowed` and `deletes_space` from the parameters of a text/plain part. Spec: RFC 3676 §4."""
    named = dict(params)
    is_flowed = named.get("format", "").lower() == "flowed"
    return is_flowed, is_flowed and named.get("delsp", "").lower() == "yes"
