"""Formatted text that somebody here writes: made safe before it goes out, and as plain text for who wants that.

What an editor gives is no more to be trusted than a stranger's mail: it may have been pasted, or quoted. So it goes
through the two passes of `showing.safe_html`, and through a shorter list than that on which mail is shown: no styles,
no names, links to the web and to addresses alone, and of images those that go along in the same message. What goes out
looks plain everywhere.

Spec: RFC 2854; RFC 2392 (``cid:``); RFC 3676 §4.5 (quotes as text); attack rows 86 and 88 (nothing of a quote acts, or
leaks).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from html import escape
from html.parser import HTMLParser
from typing import Final
from urllib.parse import unquote

from mailstead.mime.showing.plain_text import paragraphs
from mailstead.mime.showing.safe_html import Caution, safe_html
from mailstead.model.errors import BadMessage

CHARACTERS_MAX: Final = 1_000_000
_INLINE: Final = frozenset(["a", "b", "br", "code", "em", "i", "s", "strong", "sub", "sup", "u"])
_CELLS: Final = frozenset(["hr", "tbody", "td", "th", "thead"])
_ATTRIBUTES: Final = {"*": {"dir", "lang"}, "a": {"href"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}}
_IMAGE_ATTRIBUTES: Final = {"alt", "src"}
# Tags as nh3 writes them: values in quotes, and no quotes or angles in those.
_TAG: Final = re.compile(r"""<[a-z/](?:[^">]|"[^"]*")*>""")
_SCHEMES: Final = {"http", "https", "mailto"}
_BLOCKS: Final = frozenset(["blockquote", "div", "h1", "h2", "h3", "li", "ol", "p", "pre", "table", "tr", "ul"])
_TAGS: Final = _INLINE | _CELLS | _BLOCKS
_PARAGRAPHS: Final = frozenset(["blockquote", "h1", "h2", "h3", "ol", "p", "pre", "table", "ul"])
"""Those with an empty line around them."""
_SPACE: Final = re.compile(r"[ \t\r\n\f]+")
_LISTS: Final = frozenset({"ul", "ol"})
_DEPTH_MAX: Final = 20
"""Of quotes and lists that the text tells apart."""


def safe_formatted(html: str, *, is_whole: bool = False, images: Collection[str] = ()) -> str:
    """Give what of formatted text may go out, for the body of a document; empty, where nothing is left to read or see.

    Shapes: `images` are the content ids of the message's own images; every other image is left out.
    Errors: BadMessage with `is_whole`, where it is longer than what is looked through: nothing is cut off unsaid.
    """
    import nh3

    # The passes know no `cid:`; images go through them with addresses that nobody else's image can get.
    places = {each: f"/{number}" for number, each in enumerate(images)}
    addresses = {place: f"cid:{each}" for each, place in places.items()}

    def embedded(address: str) -> str | None:
        scheme, _, rest = address.partition(":")
        return places.get(unquote(rest)) if scheme.lower() == "cid" else None

    def written(element: str, attribute: str, value: str) -> str | None:
        return addresses.get(value) if (element, attribute) == ("img", "src") else value

    shown = safe_html(html[:CHARACTERS_MAX], remote=None, embedded=embedded if places else None)
    if is_whole and (len(html) > CHARACTERS_MAX or Caution.CUT in shown.cautions):
        raise BadMessage("The text is too long to be formatted: send it as plain text, or as a file")
    found = nh3.clean(
        shown.html,
        tags=_TAGS | {"img"} if places else set(_TAGS),
        attributes={name: set(names) for name, names in _ATTRIBUTES.items()} | {"img": set(_IMAGE_ATTRIBUTES)},
        attribute_filter=written,
        strip_comments=True,
        link_rel=None,
        url_schemes=set(_SCHEMES),
    )
    found = _TAG.sub(_own_image, found)
    found = found.removeprefix("<div>").removesuffix("</div>").strip()
    return found if "<img " in found or text_of_formatted(found).strip() else ""


def _own_image(tag: re.Match[str]) -> str:
    """Leave out an image that nothing was found for; one without words is told as a decoration (WCAG H67)."""
    text = tag[0]
    if not text.startswith("<img"):
        return text
    if ' src="' not in text:
        return ""
    return text if ' alt="' in text else f'{text.removesuffix(">")} alt="">'


def document_of(html: str) -> str:
    """Give a whole document around what `safe_formatted` gave. Spec: HTML Living Standard §13.1."""
    return f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>\n{html}\n</body></html>\n'


def formatted_of_text(text: str) -> str:
    """Give plain text as formatted text: lines, and quotes by their level."""
    pieces: list[str] = []
    level = 0
    for each in paragraphs(text):
        now = min(each.level, _DEPTH_MAX)
        pieces.append("</blockquote>" * (level - now) + "<blockquote>" * (now - level))
        level = now
        pieces.append(f"<div>{escape(each.text) or '<br>'}</div>")
    return "".join(pieces) + "</blockquote>" * level


def text_of_formatted(html: str) -> str:
    """Give formatted text as plain text: quotes with ``>``, lists with their signs, links with where they lead.

    An image of the message itself is its alternative text, in brackets.
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    """Collects lines. What it reads is balanced, as `safe_formatted` writes it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._line = ""
        self._quotes = 0
        self._lists: list[int] = []
        """Of each list that is open: the next number; 0 for one without."""
        self._sign = ""
        """Of the item that begins."""
        self._pre = 0
        self._links: list[tuple[str, int]] = []
        self._silent = 0

    def text(self) -> str:
        self._end_line()
        return "\n".join(self._lines).strip("\n")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "style", "title"}:
            self._silent += 1
        elif tag == "br":
            self._end_line(is_forced=True)
        elif tag == "hr":
            self._end_line()
            self._line = "-" * 20
            self._end_line()
        elif tag in _BLOCKS:
            self._end_line()
            if tag in _PARAGRAPHS and not (tag in _LISTS and self._lists):
                self._empty_line()
        if tag == "blockquote":
            self._quotes += 1
        elif tag in _LISTS:
            self._lists.append(1 if tag == "ol" else 0)
        elif tag == "li":
            self._sign = "- "
            if self._lists and self._lists[-1]:
                self._sign = f"{self._lists[-1]}. "
                self._lists[-1] += 1
        elif tag == "pre":
            self._pre += 1
        elif tag in {"td", "th"} and self._line:
            self._line += "  "
        elif tag == "img":
            self._image(dict(attrs))
        elif tag == "a":
            self._links.append((dict(attrs).get("href") or "", len(self._line)))

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style", "title"}:
            self._silent = max(self._silent - 1, 0)
        if tag in _BLOCKS:
            self._end_line()
        if tag == "blockquote":
            self._quotes = max(self._quotes - 1, 0)
        elif tag in _LISTS and self._lists:
            self._lists.pop()
        elif tag == "pre":
            self._pre = max(self._pre - 1, 0)
        elif tag == "a" and self._links:
            self._end_link()
        if tag in _PARAGRAPHS and not (tag in _LISTS and self._lists):
            self._empty_line()

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._pre:
            first, *others = data.split("\n")
            self._line += first
            for each in others:
                self._end_line(is_forced=True)
                self._line = each
            return
        words = _SPACE.sub(" ", data.replace("\u00a0", " "))
        self._line += words.lstrip(" ") if not self._line or self._line.endswith(" ") else words

    def _image(self, attributes: dict[str, str | None]) -> None:
        words = _SPACE.sub(" ", attributes.get("alt") or "").strip()
        if words and (attributes.get("src") or "").startswith("cid:"):
            self._line += f"[{words}]"

    def _end_link(self) -> None:
        target, start = self._links.pop()
        words = self._line[min(start, len(self._line)) :].strip()
        bare = target.removeprefix("mailto:")
        if target and words.rstrip("/") not in {target.rstrip("/"), bare.rstrip("/")}:
            self._line += f" <{bare}>"

    def _end_line(self, *, is_forced: bool = False) -> None:
        line = self._line.rstrip()
        self._line = ""
        if line or is_forced:
            indent = "  " * (min(len(self._lists), _DEPTH_MAX) - 1) if self._lists else ""
            sign, self._sign = self._sign, ""
            hanging = sign or (" " * 2 if self._lists else "")
            quotes = ">" * min(self._quotes, _DEPTH_MAX)
            self._lines.append(f"{quotes} {indent}{hanging}{line}".rstrip() if quotes else f"{indent}{hanging}{line}")

    def _empty_line(self) -> None:
        quotes = ">" * min(self._quotes, _DEPTH_MAX)
        if self._lines and self._lines[-1].strip("> "):
            self._lines.append(quotes)
        elif self._lines:  # the shallower of two is the one that is between
            self._lines[-1] = min(self._lines[-1], quotes, key=len)
