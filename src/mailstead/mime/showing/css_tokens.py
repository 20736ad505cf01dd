"""CSS taken apart into tokens, escapes resolved. Linear in time.

Spec: CSS Syntax Level 3 §3.3 (preprocessing), §4 (tokenization).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final, NamedTuple


class Kind(Enum):
    """Kinds of tokens that are told apart here."""

    IDENT = auto()
    FUNCTION = auto()
    """With its opening parenthesis; `text` is the name in lower case."""
    AT = auto()
    HASH = auto()
    STRING = auto()
    URL = auto()
    """``url(…)`` without quotes; with quotes it is a FUNCTION."""
    NUMBER = auto()
    """With its percent sign or unit, as one text."""
    SPACE = auto()
    OTHER = auto()
    """One character."""
    BAD = auto()
    """A string or URL that does not end as it should."""


class CssToken(NamedTuple):
    """A token; `text` has its escapes resolved."""

    kind: Kind
    text: str


_ESCAPE: Final = r"\\(?:[0-9a-fA-F]{1,6}[ \t\n]?|[^\n0-9a-fA-F])"
_START: Final = rf"(?:[A-Za-z_]|[^\x00-\x7f]|{_ESCAPE})"
_REST: Final = rf"(?:[A-Za-z0-9_-]|[^\x00-\x7f]|{_ESCAPE})*"
_IDENT: Final = rf"(?:--{_REST}|-?{_START}{_REST})"
_TOKEN: Final = re.compile(
    rf"(?P<space>[ \t\n]+)"
    rf"|(?P<ident>{_IDENT})(?P<call>\(?)"
    rf"|@(?P<at>{_IDENT})"
    rf"|#(?P<hash>(?:[A-Za-z0-9_-]|[^\x00-\x7f]|{_ESCAPE})+)"
    rf"|(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?P<unit>%|{_IDENT}|)"
    r"|<!--|-->"
)
_STRING: Final = {
    quote: re.compile(rf"{quote}((?:[^{quote}\\\n]|\\[^\n]|\\\n)*)(?P<end>{quote}|\n|\\?\Z)") for quote in "\"'"
}
_URL: Final = re.compile(rf"[ \t\n]*((?:[^ \t\n\"'()\\\x00-\x08\x0b\x0e-\x1f\x7f]|{_ESCAPE})*)[ \t\n]*(?P<end>\)|\Z)")
_QUOTED: Final = re.compile(r"[ \t\n]*[\"']")
_ESCAPED: Final = re.compile(r"\\(?:([0-9a-fA-F]{1,6})[ \t\n]?|(\n)|([^\n]))")


def css_tokens(css: str) -> Iterator[CssToken]:
    """Yield the tokens of a style sheet or of a style attribute; comments are left out."""
    css = css.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").replace("\0", "\ufffd")
    position, size = 0, len(css)
    while position < size:
        if css.startswith("/*", position):
            end = css.find("*/", position + 2)
            if end < 0:
                return
            position = end + 2
            continue
        letter = css[position]
        if letter in _STRING:
            found = _STRING[letter].match(css, position)
            assert found is not None
            is_whole = found["end"] != "\n"
            yield CssToken(Kind.STRING, _resolved(found[1])) if is_whole else CssToken(Kind.BAD, "")
            position = max(found.end(), position + 1)
            continue
        found = _TOKEN.match(css, position)
        if found is None:
            yield CssToken(Kind.OTHER, letter)
            position += 1
            continue
        position = found.end()
        is_url = found["call"] and _resolved(found["ident"]).lower() == "url"
        if is_url and not _QUOTED.match(css, position):
            token, position = _url(css, position)
            yield token
            continue
        token_ = _token(found)
        if token_ is not None:
            yield token_


def _token(found: re.Match[str]) -> CssToken | None:
    if found["space"] is not None:
        return CssToken(Kind.SPACE, " ")
    if found["ident"] is not None:
        name = _resolved(found["ident"])
        return CssToken(Kind.FUNCTION, name.lower()) if found["call"] else CssToken(Kind.IDENT, name)
    if found["at"] is not None:
        return CssToken(Kind.AT, _resolved(found["at"]).lower())
    if found["hash"] is not None:
        return CssToken(Kind.HASH, _resolved(found["hash"]))
    if found["number"] is not None:
        return CssToken(Kind.NUMBER, (found["number"] + _resolved(found["unit"])).lower())
    return None  # <!-- and --> mean nothing


def _url(css: str, position: int) -> tuple[CssToken, int]:
    found = _URL.match(css, position)
    if found is not None:
        return CssToken(Kind.URL, _resolved(found[1])), found.end()
    # Spec: CSS Syntax §4.3.14 (remnants of a bad url); an escaped parenthesis may end it too soon, which drops more.
    end = css.find(")", position)
    return CssToken(Kind.BAD, "url"), len(css) if end < 0 else end + 1


def _resolved(text: str) -> str:
    return _ESCAPED.sub(_character, text) if "\\" in text else text


def _character(found: re.Match[str]) -> str:
    if found[1] is not None:
        number = int(found[1], 16)
        return chr(number) if 0 < number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else "\ufffd"
    return found[3] or ""
