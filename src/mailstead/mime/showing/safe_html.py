"""HTML of a message made safe to show, in two passes of two different parsers.

The first one (`tokens`) takes the message apart and writes what is on the allow-lists anew: balanced, escaped, with
addresses as the caller wants them. The second one (nh3, the parser of a browser) builds the tree that a browser would
build, and leaves in it only elements and attributes on the same lists, with exactly the addresses and styles that the
first pass has written. What one of them overlooks, the other has to overlook as well.

Spec: HTML Living Standard §13.2; attack rows 86 and 87.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from html import escape
from typing import Final

from mailstead.mime.showing import allowed
from mailstead.mime.showing.css import BODY_CLASS, CHARACTERS_MAX, ID_PREFIX, SafeCss
from mailstead.mime.showing.image_addresses import ImageAddresses, Rewrite
from mailstead.mime.showing.second_pass import second_pass
from mailstead.mime.showing.tokens import EndTag, RawText, StartTag, Text, tokens
from mailstead.mime.showing.web_addresses import (
    LINK_TEXT_CHARACTERS_MAX,
    MisleadingLink,
    cleaned,
    link_target,
    misleading,
    remote_address,
)

HTML_CHARACTERS_MAX: Final = 2_000_000
ELEMENTS_MAX: Final = 40_000
DEPTH_MAX: Final = 200
FORMATTING_DEPTH_MAX: Final = 24
FORMATTING_COST_MAX: Final = 400_000
"""Formatting elements open at each start tag, added up: as many may the second parser have to open anew."""
REFERENCES_MAX: Final = 1000
"""Characters in one text that are written as references; the second parser's time grows with their square."""
MISLEADING_MAX: Final = 50


class Caution(Enum):
    """What the reader should be told about how a message is shown."""

    CUT = "cut"
    """It is longer, or has more elements or styles, than is shown."""
    FLATTENED = "flattened"
    """It is nested deeper than is shown."""
    MISLEADING_LINK = "misleading link"


@dataclass(slots=True)
class Blocked:
    """What was left out, by kind."""

    image_count: int = 0
    """Remote images, each address once."""
    tracker_count: int = 0
    """Those among them that nobody could see."""
    sheet_count: int = 0
    font_count: int = 0
    media_count: int = 0
    active_count: int = 0
    """Scripts, event attributes, forms, frames, SVG …"""

    @property
    def remote_count(self) -> int:
        """All that would have been fetched."""
        return self.image_count + self.sheet_count + self.font_count + self.media_count


@dataclass(frozen=True, slots=True)
class SafeHtml:
    """HTML that may be shown in a frame without scripts."""

    html: str
    """One ``div`` with what the message's body holds."""
    css: str
    """For a style element; has no ``<``."""
    blocked: Blocked = field(default_factory=Blocked)
    misleading_links: Sequence[MisleadingLink] = ()
    cautions: frozenset[Caution] = frozenset()
    loaded_count: int = 0
    """Remote images with an address of the caller's, each once."""


def safe_html(html: str, *, remote: Rewrite | None = None, embedded: Rewrite | None = None) -> SafeHtml:
    """Make HTML of a stranger harmless.

    Shapes: `remote` is asked for each remote image (http, https) and gives the address of a proxy; None blocks them
    all. `embedded` is asked for ``cid:`` addresses and for those without scheme, with the address as it stands there,
    and before `remote` for http and https (Content-Location, RFC 2557 §5). Their answers may be paths, https addresses
    or ``data:``. The same input and the same answers give the same output.
    """
    writer = _Writer(remote, embedded)
    if len(html) > HTML_CHARACTERS_MAX:
        html = html[:HTML_CHARACTERS_MAX]
        writer.cautions.add(Caution.CUT)
    writer.read(html)
    return writer.result()


# Spec: HTML §13.1.2.4 (optional tags): what a start tag ends, and what it does not look beyond.
_CELLS: Final = frozenset({"td", "th"})
_GROUPS: Final = frozenset({"tbody", "thead", "tfoot"})
_TABLE_PARTS: Final = _CELLS | _GROUPS | {"table", "tr", "caption", "colgroup", "col"}
_ENDS: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    "li": (frozenset({"li"}), frozenset({"ul", "ol", "menu", "table", "td", "th"})),
    "dt": (frozenset({"dt", "dd"}), frozenset({"dl", "table", "td", "th"})),
    "dd": (frozenset({"dt", "dd"}), frozenset({"dl", "table", "td", "th"})),
    "tr": (_CELLS | {"tr", "caption", "colgroup"}, frozenset({"table"})),
    "td": (_CELLS | {"caption", "colgroup"}, frozenset({"table", "tr"})),
    "th": (_CELLS | {"caption", "colgroup"}, frozenset({"table", "tr"})),
    "a": (frozenset({"a"}), _CELLS | {"table", "caption"}),
    **{name: (_CELLS | _GROUPS | {"tr", "caption", "colgroup"}, frozenset({"table"})) for name in _GROUPS},
}
_PARAGRAPH_ENDS: Final = (frozenset({"p"}), _CELLS | {"table", "caption"})
_BARRIERS: Final = _CELLS | {"table", "caption"}
_CONTENT_IS_SHOWN: Final = frozenset({"html", "body"})


class _Writer:
    """The first pass."""

    def __init__(self, remote: Rewrite | None, embedded: Rewrite | None) -> None:
        self._addresses = ImageAddresses(remote, embedded)
        self._css = SafeCss(self._addresses.image)
        self._pieces: list[str] = []
        self._open: list[str] = []
        self._open_counts: Counter[str] = Counter()
        self._reference_count = 0
        self._formatting_depth = 0
        self._formatting_cost = 0
        self._element_count = 0
        self._skipped = ""
        self._skipped_depth = 0
        self._link: list[str] | None = None
        self._link_target = ""
        self._sheets: list[str] = []
        self._sheet_characters = 0
        self._body: dict[str, str] = {}
        self._written: dict[str, set[str]] = {"href": set(), "src": set(), "style": set(), "usemap": set()}
        self._blocked = Blocked()
        self._misleading: list[MisleadingLink] = []
        self.cautions: set[Caution] = set()

    def read(self, html: str) -> None:
        """Read all of a message."""
        for token in tokens(html):
            if isinstance(token, Text):
                self._text(token.text)
            elif isinstance(token, StartTag):
                if self._element_count >= ELEMENTS_MAX:
                    self.cautions.add(Caution.CUT)
                    break
                self._start(token)
            elif isinstance(token, EndTag):
                self._end(token.name)
            else:
                self._raw_text(token)
        self._close(0)

    def result(self) -> SafeHtml:
        """Let the second parser have its say, and give what is left."""
        wrapper = f'<div class="{BODY_CLASS}"{self._attributes(self._body)}>'
        html = second_pass(f"{wrapper}{''.join(self._pieces)}</div>", self._written)
        css = "\n".join(self._sheets)
        if "<" in css:  # cannot be: no token of `css` is written with one
            css = ""
        if self._css.is_cut or self._addresses.is_cut:
            self.cautions.add(Caution.CUT)
        blocked = self._blocked
        blocked.image_count = len(self._addresses.blocked)
        blocked.tracker_count = len(self._addresses.trackers & self._addresses.blocked)
        blocked.font_count += self._css.blocked_font_count
        blocked.sheet_count += self._css.blocked_sheet_count
        return SafeHtml(
            html, css, blocked, tuple(self._misleading), frozenset(self.cautions), len(self._addresses.loaded)
        )

    # tokens

    def _text(self, text: str) -> None:
        if self._skipped:
            return
        if self._link is not None and len(self._link) < LINK_TEXT_CHARACTERS_MAX:
            self._link.append(text[:LINK_TEXT_CHARACTERS_MAX])
        step = len(text) if text.count("&") + text.count("\u00a0") <= REFERENCES_MAX else REFERENCES_MAX
        for start in range(0, len(text), step or 1):
            piece = text[start : start + step]
            self._reference_count += piece.count("&") + piece.count("\u00a0")
            if self._reference_count > REFERENCES_MAX:
                self._pieces.append("<!---->")  # ends a text, and is not written by the second parser
                self._reference_count = 0
            self._pieces.append(_escaped(piece))

    def _raw_text(self, token: RawText) -> None:
        """Style sheets are read; other raw text is no part of what is shown."""
        if token.element != "style" or self._skipped != "style" or self._skipped_depth != 1:
            return
        room = CHARACTERS_MAX - self._sheet_characters
        if len(token.text) > room:
            self.cautions.add(Caution.CUT)
        self._sheet_characters += len(token.text)
        sheet = self._css.sheet(token.text[: max(room, 0)])
        if sheet:
            self._sheets.append(sheet)

    def _start(self, tag: StartTag) -> None:
        name = tag.name
        if self._skipped:
            self._skipped_depth += name == self._skipped and not tag.is_self_closing
            return
        self._element_count += 1
        self._count(tag)
        if name in allowed.DROPPED_WHOLE:
            # Only foreign elements end by a slash. Spec: HTML §13.2.6.5.
            if not (tag.is_self_closing and name in {"svg", "math"}):
                self._skipped, self._skipped_depth = name, 1
            return
        if name in _CONTENT_IS_SHOWN:
            self._take_body(tag)
            return
        name = {"image": "img", "nobr": "span", "tt": "code"}.get(name, name)
        if name in allowed.ELEMENTS:
            self._open_element(name, tag.attributes)

    def _open_element(self, name: str, attributes: dict[str, str]) -> None:
        if name in _ENDS:
            self._end_implied(*_ENDS[name])
        elif name in allowed.BLOCKS:
            self._end_implied(*_PARAGRAPH_ENDS)
        is_void = name in allowed.VOID
        self._formatting_cost += self._formatting_depth
        if name in allowed.FORMATTING and (
            self._formatting_depth >= FORMATTING_DEPTH_MAX or self._formatting_cost > FORMATTING_COST_MAX
        ):
            self.cautions.add(Caution.FLATTENED)
            return
        if not is_void and len(self._open) >= DEPTH_MAX:
            self.cautions.add(Caution.FLATTENED)
            return
        self._pieces.append(f"<{name}{self._attributes_of(name, attributes)}>")
        if not is_void:
            self._open.append(name)
            self._open_counts[name] += 1
            self._formatting_depth += name in allowed.FORMATTING

    def _end_implied(self, names: frozenset[str], barriers: frozenset[str]) -> None:
        """Close the outermost of the elements that a start tag ends, and all in it."""
        if not any(self._open_counts[name] for name in names):
            return
        for at in range(len(self._open) - 1, -1, -1):
            if self._open[at] in names:
                below = at
                while below and self._open[below - 1] in names and self._open[below - 1] not in barriers:
                    below -= 1
                self._close(below)
                return
            if self._open[at] in barriers:
                return

    def _end(self, name: str) -> None:
        if self._skipped:
            if name == self._skipped:
                self._skipped_depth -= 1
                if self._skipped_depth == 0:
                    self._skipped = ""
            return
        name = {"nobr": "span", "tt": "code"}.get(name, name)
        if name == "br":  # Spec: HTML §13.2.6.4.7
            self._pieces.append("<br>")
            return
        if not self._open_counts[name]:  # also keeps many such tags from costing much
            return
        for at in range(len(self._open) - 1, -1, -1):
            if self._open[at] == name:
                self._close(at)
                return
            if self._open[at] in _BARRIERS and (name not in _TABLE_PARTS or self._open[at] == "table"):
                return

    def _close(self, depth: int) -> None:
        while len(self._open) > depth:
            name = self._open.pop()
            self._open_counts[name] -= 1
            self._formatting_depth -= name in allowed.FORMATTING
            if name == "a":
                self._end_link()
            self._pieces.append(f"</{name}>")

    def _end_link(self) -> None:
        if self._link is None:
            return
        found = misleading("".join(self._link), self._link_target)
        self._link = None
        if found is not None:
            self.cautions.add(Caution.MISLEADING_LINK)
            if len(self._misleading) < MISLEADING_MAX:
                self._misleading.append(found)

    # attributes

    def _count(self, tag: StartTag) -> None:
        """Count what goes with a tag that is not shown, or with attributes that are not taken."""
        name, attributes = tag.name, tag.attributes
        blocked = self._blocked
        if name == "link":
            relations = attributes.get("rel", "").lower().split()
            if "stylesheet" in relations:
                blocked.sheet_count += 1
            elif attributes.get("href"):
                blocked.media_count += 1
        elif name in allowed.MEDIA and (attributes.get("src") or attributes.get("data")):
            blocked.media_count += 1
        blocked.active_count += name in allowed.ACTIVE
        for attribute, value in attributes.items():
            if attribute.startswith("on") or (name not in allowed.ELEMENTS and attribute in {"srcdoc", "formaction"}):
                blocked.active_count += 1
            elif attribute in {"poster", "lowsrc", "dynsrc", "longdesc"} or (attribute == "src" and name == "input"):
                self._addresses.image(value)
            elif attribute in {"srcset", "imagesrcset"}:
                for candidate in value[:20_000].split(",")[:50]:
                    self._addresses.image((candidate.split() or [""])[0])
            elif attribute == "background" and name not in {"body", "table", "td", "th"}:
                self._addresses.image(value)

    def _take_body(self, tag: StartTag) -> None:
        """Take what is said of the whole page for the element that stands for it."""
        styles = [self._body.get("style", "").removesuffix(";")]
        attributes = tag.attributes
        for attribute, written in (("bgcolor", "background-color"), ("text", "color")):
            value = attributes.get(attribute, "").strip()
            if value and allowed.VALUES["bgcolor"].fullmatch(value):
                styles.append(f"{written}:{value}")
        style = ";".join(filter(None, [*styles, attributes.get("style", ""), _background(attributes)]))
        for attribute in ("lang", "dir"):
            if attribute in attributes and allowed.VALUES[attribute].fullmatch(attributes[attribute].strip()):
                self._body.setdefault(attribute, attributes[attribute].strip())
        written_style = self._css.declarations(style)
        if written_style:
            self._body["style"] = written_style
            self._written["style"].add(written_style)

    def _attributes_of(self, name: str, attributes: dict[str, str]) -> str:
        """Give the attributes of an element as they are written."""
        found: dict[str, str] = {}
        names = allowed.ATTRIBUTES[name]
        for attribute, value in attributes.items():
            if attribute not in names:
                continue
            form = allowed.VALUES.get(attribute)
            if form is None:
                continue
            written = value if attribute in {"alt", "title"} else value.strip()
            if not form.fullmatch(written):
                continue
            if attribute in allowed.FLAGS:
                written = ""
            elif attribute in {"id", "name"}:
                written = ID_PREFIX + written
            found[attribute] = written
        style = attributes.get("style", "")
        if name in {"table", "td", "th"} and attributes.get("background"):
            style = f"{style};{_background(attributes)}" if style else _background(attributes)
        if style:
            written = self._css.declarations(style)
            if written:
                found["style"] = written
                self._written["style"].add(written)
        if name == "img":
            self._image(attributes, found)
        elif name in {"a", "area"}:
            self._link_attributes(name, attributes, found)
        return self._attributes(found)

    def _image(self, attributes: dict[str, str], found: dict[str, str]) -> None:
        address = attributes.get("src", "")
        given = self._addresses.image(address)
        if given:
            found["src"] = given
            self._written["src"].add(given)
        elif address:
            remote = remote_address(address)
            if remote and _is_unseen(attributes):
                self._addresses.trackers.add(remote)
        fragment = cleaned(attributes.get("usemap", ""))
        if fragment.startswith("#") and allowed.VALUES["name"].fullmatch(fragment[1:]):
            found["usemap"] = f"#{ID_PREFIX}{fragment[1:]}"
            self._written["usemap"].add(found["usemap"])

    def _link_attributes(self, name: str, attributes: dict[str, str], found: dict[str, str]) -> None:
        address = cleaned(attributes.get("href", ""))
        if address.startswith("#"):
            if allowed.VALUES["id"].fullmatch(address[1:]):
                found["href"] = f"#{ID_PREFIX}{address[1:]}"
                self._written["href"].add(found["href"])
            return
        target = link_target(address)
        if not target:
            return
        found.pop("title", None)
        found |= {"href": target, "rel": "noopener noreferrer", "target": "_blank", "title": target[:300]}
        self._written["href"].add(target)
        if name == "a":
            self._link, self._link_target = [], target

    def _attributes(self, attributes: dict[str, str]) -> str:
        return "".join(f' {name}="{_escaped(value)}"' for name, value in attributes.items())


_INVISIBLE: Final = dict.fromkeys([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F, *range(0xD800, 0xE000)])


def _escaped(text: str) -> str:
    return escape(text if text.isprintable() else text.translate(_INVISIBLE), quote=True)


def _background(attributes: dict[str, str]) -> str:
    """Give a background attribute as a declaration."""
    address = attributes.get("background", "").strip()
    if not address:
        return ""
    escaped = "".join(f"\\{ord(letter):x} " if letter in '"\\\n\r\f' else letter for letter in address)
    return f'background-image:url("{escaped}")'


def _is_unseen(attributes: dict[str, str]) -> bool:
    """Whether an image has no size to be seen in."""
    style = attributes.get("style", "").replace(" ", "").lower()
    sizes = [attributes.get("width", "").strip(), attributes.get("height", "").strip()]
    return (
        any(size.removesuffix("px") in {"0", "1"} for size in sizes)
        or "display:none" in style
        or "visibility:hidden" in style
        or any(f"{side}:{size}px" in style for side in (";width", ";height") for size in "01")
    )
