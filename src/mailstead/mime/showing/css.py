"""CSS made harmless: properties, functions, selectors and at-rules by allow-list, written anew from tokens.

What is written has no escapes, no comments, no ``<``, and addresses only as the caller's function gave them. Nothing
can leave its place in the page (`position`), bring text of its own (`content`), or ask for anything by condition:
within ``@media`` and where a rule waits for the reader (``:hover``), there are no addresses.

Spec: CSS Syntax Level 3, Selectors Level 3, Media Queries Level 3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailstead.mime.showing.css_tokens import CssToken, Kind, css_tokens

Addressed = Callable[[str], str]
"""Takes the address of an image as it stands in the message; gives what may stand there instead, or an empty text."""

CHARACTERS_MAX: Final = 300_000
"""Of all style sheets of a message; the rest is left out."""
ATTRIBUTE_CHARACTERS_MAX: Final = 20_000
DECLARATIONS_MAX: Final = 20_000
NESTING_MAX: Final = 12
SELECTORS_MAX: Final = 100
"""Of one rule."""
ID_PREFIX: Final = "m-"
BODY_CLASS: Final = "m-body"
"""Stands for what html and body are in the message."""

_BOXES: Final = "border margin padding"
_SIDES: Final = "top right bottom left"


def _properties() -> frozenset[str]:
    plain = """
    align-content align-items align-self background-color background-position background-repeat background-size
    background-clip background-origin border-collapse border-color border-radius border-spacing border-style
    border-width border-top-left-radius border-top-right-radius border-bottom-left-radius border-bottom-right-radius
    box-shadow box-sizing break-after break-before break-inside caption-side clear color column-count column-gap
    column-rule column-width columns direction display empty-cells flex flex-basis flex-direction flex-flow flex-grow
    flex-shrink
    flex-wrap float font font-family font-feature-settings font-kerning font-size font-stretch font-style font-variant
    font-variant-numeric font-weight gap
    height
    hyphens justify-content justify-items justify-self letter-spacing line-break line-height list-style-position
    list-style-type max-height max-width min-height min-width object-fit object-position opacity order orphans
    outline outline-color outline-offset outline-style outline-width overflow overflow-wrap overflow-x overflow-y
    page-break-after page-break-before page-break-inside quotes row-gap table-layout tab-size text-align text-align-last
    text-decoration text-decoration-color text-decoration-line text-decoration-style text-decoration-thickness
    text-indent text-overflow text-rendering text-shadow text-transform text-underline-offset unicode-bidi
    vertical-align visibility white-space widows width word-break word-spacing word-wrap writing-mode aspect-ratio
    -webkit-text-size-adjust -ms-text-size-adjust -webkit-border-radius -moz-border-radius
    """
    names = set(plain.split())
    for box in _BOXES.split():
        names.add(box)
        names |= {f"{box}-{side}" for side in _SIDES.split()}
    names |= {f"border-{side}-{what}" for side in _SIDES.split() for what in ("color", "style", "width")}
    return frozenset(names)


_WITH_IMAGE: Final = frozenset({"background", "background-image", "list-style", "list-style-image"})
PROPERTIES: Final = _properties() | _WITH_IMAGE
_WITH_STRING: Final = frozenset({"font", "font-family", "quotes", "font-feature-settings"})
_FUNCTION_WORDS: Final = """
    calc clamp conic-gradient fit-content hsl hsla hwb lab lch linear-gradient max min oklab oklch radial-gradient
    repeating-linear-gradient repeating-radial-gradient rgb rgba
"""
_FUNCTIONS: Final = frozenset(_FUNCTION_WORDS.split())
_OPENING: Final = CssToken(Kind.OTHER, "(")
_CLOSING: Final = CssToken(Kind.OTHER, ")")
_DELIMITERS: Final = frozenset(",/+-*")
_WAITING: Final = frozenset({"visited", "hover", "active", "focus"})
_PSEUDO: Final = _WAITING | {"link", "first-child", "last-child", "only-child", "empty", "root"}
_CONDITIONS: Final = """
    all and color dark device-width height landscape light max-device-width max-height max-resolution max-width
    min-device-width min-height min-resolution min-width not only or orientation portrait prefers-color-scheme print
    screen width -webkit-min-device-pixel-ratio
"""
_MEDIA_WORDS: Final = frozenset(_CONDITIONS.split())

_SAFE_IDENT: Final = re.compile(r"-?[A-Za-z_][A-Za-z0-9_-]{0,100}")
_SAFE_NAME: Final = re.compile(r"-{0,2}\w[\w-]{0,150}")
_SAFE_STRING: Final = re.compile(r"[\w ,.+&\u00ab\u00bb\u2018-\u201f-]{0,200}")
_SAFE_NUMBER: Final = re.compile(
    r"[+-]?(?:[0-9]{1,9}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})(?:e[+-]?[0-9]{1,2})?(?:%|[a-z]{1,8})?"
)
_SAFE_HASH: Final = re.compile(r"[0-9a-fA-F]{3,8}")
SAFE_ADDRESS: Final = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&*+,;=%-]{1,6000000}")
"""What an address may look like when it comes back from the caller: nothing that ends a string or an attribute."""


@dataclass(slots=True)
class SafeCss:
    """Reads style sheets and style attributes of one message."""

    addressed: Addressed
    """Also counts what it blocks."""
    blocked_font_count: int = 0
    blocked_sheet_count: int = 0
    is_cut: bool = False
    _declaration_count: int = field(default=0, repr=False)
    _known: dict[str, str] = field(default_factory=dict, repr=False)
    """Style attributes that were read: newsletters have few different ones, a thousand times."""

    def declarations(self, style: str) -> str:
        """Give a style attribute as it may stand; may be empty. Spec: CSS Style Attributes §3."""
        if len(style) > ATTRIBUTE_CHARACTERS_MAX:
            self.is_cut = True
            return ""
        written = self._known.get(style)
        if written is None:
            written = self._block(list(css_tokens(style)), has_addresses=True)
            if "url(" not in written:  # addresses are counted each time
                self._known[style] = written
        return written

    def sheet(self, css: str) -> str:
        """Give a style sheet as it may stand; may be empty. Spec: CSS Syntax §5.3.3."""
        if len(css) > CHARACTERS_MAX:
            self.is_cut, css = True, css[:CHARACTERS_MAX]
        return "\n".join(self._rules(list(css_tokens(css)), nesting=0, has_addresses=True))

    def image(self, address: str) -> str:
        """Give ``url("…")`` for an image, or an empty text."""
        given = self.addressed(address)
        return f'url("{given}")' if given and SAFE_ADDRESS.fullmatch(given) else ""

    def _rules(self, tokens: Sequence[CssToken], *, nesting: int, has_addresses: bool) -> Iterator[str]:
        """Yield rules. Each is told apart by its block or its semicolon."""
        position = 0
        while position < len(tokens):
            prelude_end = _end_of_prelude(tokens, position)
            prelude = tokens[position:prelude_end]
            has_block = prelude_end < len(tokens) and tokens[prelude_end].text == "{"
            block: Sequence[CssToken] = ()
            position = prelude_end + 1
            if has_block:
                end = _end_of_block(tokens, position)
                block, position = tokens[position:end], end + 1
            at = next((token for token in prelude if token.kind is not Kind.SPACE), None)
            if at is not None and at.kind is Kind.AT:
                yield from self._at_rule(at.text, prelude, block if has_block else None, nesting)
            elif has_block:
                yield from self._rule(prelude, block, has_addresses=has_addresses)

    def _at_rule(
        self, name: str, prelude: Sequence[CssToken], block: Sequence[CssToken] | None, nesting: int
    ) -> Iterator[str]:
        if name == "import":
            self.blocked_sheet_count += 1
        elif name == "font-face" and block is not None:
            self.blocked_font_count += sum(_is_address(token) for token in block) and 1
        elif name == "media" and block is not None and nesting < NESTING_MAX:
            condition = _media_condition(prelude)
            rules = "\n".join(self._rules(block, nesting=nesting + 1, has_addresses=False)) if condition else ""
            if rules:
                yield f"@media {condition}{{{rules}}}"

    def _rule(self, prelude: Sequence[CssToken], block: Sequence[CssToken], *, has_addresses: bool) -> Iterator[str]:
        is_waiting = any(token.kind is Kind.IDENT and token.text.lower() in _WAITING for token in prelude)
        selectors = _selectors(prelude)
        if not selectors:
            return
        declarations = self._block(block, has_addresses=has_addresses and not is_waiting)
        if declarations:
            yield f"{selectors}{{{declarations}}}"

    def _block(self, tokens: Sequence[CssToken], *, has_addresses: bool) -> str:
        """Give the declarations of a block."""
        found: list[str] = []
        for declaration in _split(tokens, ";"):
            self._declaration_count += 1
            if self._declaration_count > DECLARATIONS_MAX:
                self.is_cut = True
                break
            written = self._declaration(_stripped(declaration), has_addresses=has_addresses)
            if written:
                found.append(written)
        return ";".join(found)

    def _declaration(self, tokens: Sequence[CssToken], *, has_addresses: bool) -> str:
        if len(tokens) < 3 or tokens[0].kind is not Kind.IDENT:
            return ""
        name = tokens[0].text.lower()
        colon = 2 if tokens[1].kind is Kind.SPACE else 1
        if tokens[colon].text != ":" or name not in PROPERTIES:
            self._blocked(tokens)
            return ""
        value = self._value(name, _stripped(tokens[colon + 1 :]), has_addresses=has_addresses)
        return f"{name}:{value}" if value else ""

    def _blocked(self, tokens: Sequence[CssToken]) -> None:
        """Count images that go with what they stand in."""
        for address in _addresses(tokens):
            self.addressed(address)

    def _value(self, name: str, tokens: Sequence[CssToken], *, has_addresses: bool) -> str:
        """Give a value as it may stand; empty when something in it is not allowed."""
        words: list[str] = []
        open_count = 0
        position = 0
        takes_images = name in _WITH_IMAGE and has_addresses
        while position < len(tokens):
            token = tokens[position]
            position += 1
            if _is_address(token):
                address, position = _address(tokens, position - 1)
                image = self.image(address) if takes_images else self._refused(address)
                if image or name not in _WITH_IMAGE:
                    if not image:
                        self._blocked(tokens[position:])
                        return ""
                    words.append(image)
                continue
            if (token.kind is Kind.FUNCTION and token.text in _FUNCTIONS) or (
                token.text == "(" and token.kind is Kind.OTHER
            ):
                open_count += 1
            elif token == _CLOSING:
                open_count -= 1
            word = _word(name, token)
            if word is None or open_count < 0 or open_count > NESTING_MAX:
                self._blocked(tokens[position - 1 :])
                return ""
            words.append(word)
        return "".join(words).strip() if open_count == 0 else ""

    def _refused(self, address: str) -> str:
        self.addressed(address)  # counted there
        return ""


def _word(name: str, token: CssToken) -> str | None:
    """Give a token of a value as it may stand."""
    kind, text = token
    if kind is Kind.SPACE:
        return " "
    if kind is Kind.NUMBER:
        return text if _SAFE_NUMBER.fullmatch(text) else None
    if kind is Kind.IDENT:
        return text if _SAFE_IDENT.fullmatch(text) else None
    if kind is Kind.HASH:
        return f"#{text}" if _SAFE_HASH.fullmatch(text) else None
    if kind is Kind.FUNCTION:
        return f"{text}(" if text in _FUNCTIONS else None
    if kind is Kind.STRING:
        return f'"{text}"' if name in _WITH_STRING and _SAFE_STRING.fullmatch(text) else None
    if kind is Kind.OTHER:
        return text if text in _DELIMITERS or text in {"(", ")", "!"} else None
    return None


_IMAGES: Final = "url src image image-set -webkit-image-set cross-fade -webkit-cross-fade element -moz-element paint"
_IMAGE_FUNCTIONS: Final = frozenset(_IMAGES.split())


def _is_address(token: CssToken) -> bool:
    return token.kind is Kind.URL or (token.kind is Kind.FUNCTION and token.text in {"url", "src"})


def _address(tokens: Sequence[CssToken], position: int) -> tuple[str, int]:
    """Give the address that begins at a token, and where it is over."""
    if tokens[position].kind is Kind.URL:
        return tokens[position].text, position + 1
    address = ""
    position += 1
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if token == _CLOSING:
            break
        if token.kind is Kind.STRING:
            address = token.text
    return address, position


def _addresses(tokens: Sequence[CssToken]) -> Iterator[str]:
    """Yield all that might be fetched for a declaration which is left out."""
    has_function = any(token.kind is Kind.FUNCTION and token.text in _IMAGE_FUNCTIONS for token in tokens)
    for token in tokens:
        if token.kind is Kind.URL or (token.kind is Kind.STRING and has_function):
            yield token.text


def _selectors(prelude: Sequence[CssToken]) -> str:
    """Give those selectors of a rule that may stand."""
    parts = list(_split(prelude, ","))
    return ",".join(filter(None, map(_selector, parts))) if len(parts) <= SELECTORS_MAX else ""


def _selector(tokens: Sequence[CssToken]) -> str:
    tokens = _stripped(tokens)
    words: list[str] = []
    position = 0
    while position < len(tokens):
        kind, text = tokens[position]
        position += 1
        if kind is Kind.SPACE:
            words.append(" ")
        elif kind is Kind.HASH and _SAFE_NAME.fullmatch(text):
            words.append(f"#{ID_PREFIX}{text}")
        elif kind is Kind.IDENT and re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,20}", text):
            words.append(f".{BODY_CLASS}" if text.lower() in {"html", "body"} else text.lower())
        elif kind is Kind.OTHER and text in {"*", ">", "+", "~"}:
            words.append(text)
        elif kind is Kind.OTHER and text in {".", ":"} and position < len(tokens):
            named = tokens[position]
            position += 1
            if named.kind is not Kind.IDENT or not _SAFE_NAME.fullmatch(named.text):
                return ""
            if text == ":" and named.text.lower() not in _PSEUDO:
                return ""
            is_root = text == ":" and named.text.lower() == "root"
            words.append(f".{BODY_CLASS}" if is_root else text + (named.text.lower() if text == ":" else named.text))
        else:
            return ""
    return "".join(words)


def _media_condition(prelude: Sequence[CssToken]) -> str:
    """Give the condition of a media rule, or an empty text when something in it is not known."""
    words: list[str] = []
    for token in _stripped(prelude)[1:]:
        kind, text = token
        lower = text.lower()
        is_known = (
            kind is Kind.SPACE
            or (kind is Kind.IDENT and lower in _MEDIA_WORDS)
            or (kind is Kind.NUMBER and _SAFE_NUMBER.fullmatch(text) is not None)
            or (kind is Kind.OTHER and text in {"(", ")", ":", ",", "/"})
        )
        if not is_known:
            return ""
        words.append(lower)
    condition = "".join(words).strip()
    return condition if condition.count("(") == condition.count(")") else ""


def _end_of_prelude(tokens: Sequence[CssToken], position: int) -> int:
    """Give where a rule's block begins, or, of an at-rule without one, its semicolon."""
    is_at = False
    seen = False
    while position < len(tokens):
        kind, text = tokens[position]
        if not seen and kind is not Kind.SPACE:
            seen, is_at = True, kind is Kind.AT
        if kind is Kind.OTHER and (text == "{" or (text == ";" and is_at)):
            return position
        position += 1
    return position


def _end_of_block(tokens: Sequence[CssToken], position: int) -> int:
    """Give where the brace is that ends a block."""
    nesting = 1
    while position < len(tokens):
        kind, text = tokens[position]
        if kind is Kind.OTHER:
            nesting += {"{": 1, "}": -1}.get(text, 0)
            if nesting == 0:
                return position
        position += 1
    return position


def _split(tokens: Sequence[CssToken], separator: str) -> Iterator[Sequence[CssToken]]:
    """Cut at a separator that stands in no brackets or functions."""
    start, nesting = 0, 0
    for position, (kind, text) in enumerate(tokens):
        if kind is Kind.FUNCTION or (kind is Kind.OTHER and text in {"(", "[", "{"}):
            nesting += 1
        elif kind is Kind.OTHER and text in {")", "]", "}"}:
            nesting = max(nesting - 1, 0)
        elif kind is Kind.OTHER and text == separator and nesting == 0:
            yield tokens[start:position]
            start = position + 1
    yield tokens[start:]


def _stripped(tokens: Sequence[CssToken]) -> Sequence[CssToken]:
    start, stop = 0, len(tokens)
    while start < stop and tokens[start].kind is Kind.SPACE:
        start += 1
    while stop > start and tokens[stop - 1].kind is Kind.SPACE:
        stop -= 1
    return tokens[start:stop]
