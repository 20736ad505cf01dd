"""HTML taken apart: start tags, end tags, text. Linear in time, no tree.

What is made of these tokens is written anew and escaped, and a second parser reads it (`safe_html`). So a difference
from what a browser would read here changes how a broken message looks, and nothing about what it can do.

Spec: HTML Living Standard §13.2.5 (tokenization), without the states that only name errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Final, NamedTuple

from mailstead.mime.showing.allowed import RAW_TEXT

ATTRIBUTES_MAX: Final = 60
"""Read of one tag; the rest is passed over."""

_MARKUP: Final = re.compile(r"<(?=[A-Za-z/!?])")
_NAME: Final = re.compile(r"[A-Za-z][^\t\n\f\r />]*")
_GAP: Final = re.compile(r"[\t\n\f\r /]*")
_SPACE: Final = re.compile(r"[\t\n\f\r ]*")
_ATTRIBUTE_NAME: Final = re.compile(r"=?[^\t\n\f\r />=]*")
_UNQUOTED: Final = re.compile(r"[^\t\n\f\r >]*")
_COMMENT_END: Final = re.compile(r"--!?>")
_REFERENCE: Final = re.compile(
    r"&(?:#[0-9]{1,8};?|#[xX][0-9a-fA-F]{1,7};?|[A-Za-z][A-Za-z0-9]{0,40}(?:;|(?![A-Za-z0-9=])))"
)


class StartTag(NamedTuple):
    """A start tag; names in lower case, references in values resolved, of equal names the first."""

    name: str
    attributes: dict[str, str]
    is_self_closing: bool = False


class EndTag(NamedTuple):
    """An end tag."""

    name: str


class Text(NamedTuple):
    """Text with its references resolved."""

    text: str


class RawText(NamedTuple):
    """The content of a raw text element, which is no text of the message (`RAW_TEXT`)."""

    element: str
    text: str


Token = StartTag | EndTag | Text | RawText


def tokens(html: str) -> Iterator[Token]:
    """Yield the tokens of a document or of a piece of one; comments, doctypes and instructions are left out.

    Spec: HTML §13.2.5. A tag or comment that does not end takes all that follows with it.
    """
    position, size = 0, len(html)
    while position < size:
        found = _MARKUP.search(html, position)
        if found is None:
            yield Text(unescape(html[position:]))
            return
        at = found.start()
        if at > position:
            yield Text(unescape(html[position:at]))
        second = html[at + 1 : at + 2]
        third = html[at + 2 : at + 3]
        if second.isalpha():
            tag, position = _start_tag(html, at + 1)
            if tag is None:
                return
            yield tag
            if tag.name == "plaintext":
                return
            if tag.name in RAW_TEXT:
                end = _raw_end(html, tag.name, position)
                yield RawText(tag.name, html[position:end])
                position = end
        elif second == "/" and third.isascii() and third.isalpha():
            tag, position = _start_tag(html, at + 2)
            if tag is None:
                return
            yield EndTag(tag.name)
        else:
            position = _markup_end(html, at)


def _start_tag(html: str, position: int) -> tuple[StartTag | None, int]:
    """Read a tag from its name on; None when it does not end."""
    found = _NAME.match(html, position)
    assert found is not None
    name, position = found[0].lower(), found.end()
    attributes: dict[str, str] = {}
    size = len(html)
    while True:
        gap = _GAP.match(html, position)
        assert gap is not None
        position = gap.end()
        if position >= size:
            return None, size
        if html[position] == ">":
            return StartTag(name, attributes, gap[0].endswith("/")), position + 1
        named = _ATTRIBUTE_NAME.match(html, position)
        assert named is not None
        value, position = _value(html, named.end())
        if position > size:
            return None, size
        if len(attributes) < ATTRIBUTES_MAX:
            attributes.setdefault(named[0].lower(), value)


def _value(html: str, position: int) -> tuple[str, int]:
    """Read what follows an attribute's name; a position behind the end says that a quotation does not end."""
    space = _SPACE.match(html, position)
    assert space is not None
    if html[space.end() : space.end() + 1] != "=":
        return "", position
    space = _SPACE.match(html, space.end() + 1)
    assert space is not None
    position = space.end()
    quote = html[position : position + 1]
    if quote in {'"', "'"}:
        end = html.find(quote, position + 1)
        if end < 0:
            return "", len(html) + 1
        return _resolved(html[position + 1 : end]), end + 1
    unquoted = _UNQUOTED.match(html, position)
    assert unquoted is not None
    return _resolved(unquoted[0]), unquoted.end()


def _resolved(value: str) -> str:
    """Resolve references as in attributes: ``&copy=1`` is none. Spec: HTML §13.2.5.73."""
    return _REFERENCE.sub(lambda found: unescape(found[0]), value) if "&" in value else value


def _raw_end(html: str, name: str, position: int) -> int:
    """Give where the end tag of a raw text element begins, or the end of everything."""
    end_tag = re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE | re.ASCII)
    found = end_tag.search(html, position)
    return len(html) if found is None else found.start()


def _markup_end(html: str, at: int) -> int:
    """Give where a comment, doctype or instruction is over."""
    if html.startswith("<!--", at):
        for short in ("<!-->", "<!--->"):
            if html.startswith(short, at):
                return at + len(short)
        found = _COMMENT_END.search(html, at + 4)
        return len(html) if found is None else found.end()
    end = html.find(">", at)
    return len(html) if end < 0 else end + 1
