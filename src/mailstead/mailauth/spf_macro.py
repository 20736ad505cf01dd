"""Macros: how an SPF record speaks of the message that is being checked.

Spec: RFC 7208 §7.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import quote

NAME_OCTETS_MAX: Final = 253


class BadRecord(Exception):
    """A record breaks the grammar, or its evaluation a limit: the result is permerror. Spec: RFC 7208 §2.6.7."""


# RFC 7208 §7.1:
#   macro-string  = *( macro-expand / macro-literal )
#   macro-expand  = ( "%{" macro-letter transformers *delimiter "}" ) / "%%" / "%_" / "%-"
#   macro-literal = %x21-24 / %x26-7E
#   macro-letter  = "s" / "l" / "o" / "d" / "i" / "p" / "h" / "c" / "r" / "t" / "v"
#   transformers  = *DIGIT [ "r" ]
#   delimiter     = "." / "-" / "+" / "," / "/" / "_" / "="
#   explain-string = *( macro-string / SP )
_PIECE: Final = re.compile(
    r"%\{(?P<letter>[slodiphcrtv])(?P<digits>[0-9]{0,9})(?P<reverse>r?)(?P<delimiters>[-.+,/_=]*)\}"
    r"|%(?P<escape>[%_-])|(?P<literal>[ \x21-\x24\x26-\x7e]+)",
    re.IGNORECASE,
)
_ESCAPES: Final = {"%": "%", "_": " ", "-": "%20"}
_ONLY_IN_EXPLANATIONS: Final = frozenset("crt")
#   toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
_TOPLABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.IGNORECASE)


class Macro(NamedTuple):
    """One macro-expand with a letter."""

    letter: str
    """In lower case."""
    parts_max: int | None
    is_reversed: bool
    delimiters: str
    is_escaped: bool
    """The letter was upper-case: the value is escaped for a URL."""

    def expanded(self, value: str) -> str:
        """Transform the value of the letter. Spec: RFC 7208 §7.3."""
        if self.parts_max is not None or self.is_reversed or self.delimiters != ".":
            parts = re.split(f"[{re.escape(self.delimiters)}]", value)
            if self.is_reversed:
                parts.reverse()
            if self.parts_max is not None:
                parts = parts[-self.parts_max :]
            value = ".".join(parts)
        return quote(value, safe="") if self.is_escaped else value


MacroString = tuple[str | Macro, ...]


def macro_string(text: str, *, is_explanation: bool = False) -> MacroString:
    """Read a text with macros; spaces are for explanations only.

    Errors: BadRecord.
    Spec: RFC 7208 §7.1, §6.2 (explain-string).
    """
    pieces: list[str | Macro] = []
    position = 0
    while position < len(text):
        found = _PIECE.match(text, position)
        if found is None or (not is_explanation and " " in (found["literal"] or "")):
            raise BadRecord(f"{text[:80]!r} has a macro or character that is not allowed")
        position = found.end()
        if found["literal"]:
            pieces.append(found["literal"])
        elif found["escape"]:
            pieces.append(_ESCAPES[found["escape"]])
        else:
            letter = found["letter"]
            parts_max = int(found["digits"]) if found["digits"] else None
            if parts_max == 0:
                raise BadRecord("a macro keeps no part of its value")
            pieces.append(
                Macro(letter.lower(), parts_max, bool(found["reverse"]), found["delimiters"] or ".", letter.isupper())
            )
    return tuple(pieces)


def domain_spec(text: str) -> MacroString:
    """Read a domain-spec: it ends in a macro or in a label that may be a top-level domain.

    Errors: BadRecord.
    Spec: RFC 7208 §7.1: domain-spec = macro-string domain-end ; domain-end = ( "." toplabel [ "." ] ) / macro-expand.
    """
    pieces = macro_string(text)
    if any(isinstance(piece, Macro) and piece.letter in _ONLY_IN_EXPLANATIONS for piece in pieces):
        raise BadRecord(f"{text[:80]!r} has a macro that is for explanations only")
    last_literal = None
    for found in _PIECE.finditer(text):
        last_literal = found["literal"]
    if last_literal is not None or not pieces:
        _, dot, label = (last_literal or "").removesuffix(".").rpartition(".")
        if not dot or not _TOPLABEL.fullmatch(label) or label.isdigit():
            raise BadRecord(f"{text[:80]!r} is not a domain")
    return pieces


def letters(pieces: MacroString) -> frozenset[str]:
    """Give the letters whose values are needed."""
    return frozenset(piece.letter for piece in pieces if isinstance(piece, Macro))


def expanded(pieces: MacroString, values: Mapping[str, str]) -> str:
    """Put the values in. Spec: RFC 7208 §7.2, §7.3."""
    return "".join(piece if isinstance(piece, str) else piece.expanded(values[piece.letter]) for piece in pieces)


def shortened(name: str) -> str:
    """Give a name as it is asked for: without final dot; too long ones lose labels on the left.

    Spec: RFC 7208 §7.3.
    """
    name = name.removesuffix(".")
    if len(name) <= NAME_OCTETS_MAX:
        return name
    # With the octet before it, which shows whether a label begins right there.
    return name[-NAME_OCTETS_MAX - 1 :].partition(".")[2]
