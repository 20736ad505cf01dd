"""Display tricks: names and domains made to be taken for others.

Mail clients show the display name, and many show nothing else. What is caught: characters that turn or hide text, a
display name that holds an address of another domain, and an author's domain that looks like one of ours, letter for
letter, but is not.

Spec: Unicode Technical Standard 39 §4 (confusable detection; a small part of its table, for what resembles Latin).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

_BIDI_AND_HIDDEN: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")
_ADDRESS: Final = re.compile(r"[^\s<>\"'@,;:]+@([^\s<>\"'@,;:]+\.[^\s<>\"'@,;:]+)")
_SPACES_MAX: Final = 40

_ALIKE: Final = {
    ord(character): latin
    for latin, characters in {
        "a": "\u0430\u03b1",
        "b": "\u0432\u044c8",
        "c": "\u0441",
        "d": "\u0501",
        "e": "\u0435\u03b53",
        "h": "\u04bb",
        "i": "\u0456\u03b9\u0131l1\u04cf",
        "j": "\u0458",
        "k": "\u043a\u03ba",
        "m": "\u043c",
        "n": "\u043f",
        "o": "\u043e\u03bf0",
        "p": "\u0440\u03c1",
        "q": "\u051b",
        "r": "\u0433",
        "s": "\u04555",
        "t": "\u0442\u03c4",
        "u": "\u03c5",
        "v": "\u03bd",
        "w": "\u051d\u03c9",
        "x": "\u0445\u03c7",
        "y": "\u0443\u03b3",
    }.items()
    for character in characters
}
"""Characters of Cyrillic and Greek, digits, and l → the Latin letter that they are taken for."""
_PAIRS: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"))


def hidden_controls(text: str) -> bool:
    """Whether a text for people has characters that turn its direction or do not show."""
    return _BIDI_AND_HIDDEN.search(text) is not None


def foreign_address_in_name(display_name: str, domain: str) -> str | None:
    """Give the domain of an address that a display name holds, if it is not the author's own; None: there is none."""
    for found in _ADDRESS.finditer(display_name[:2000]):
        named = found[1].casefold().rstrip(".")
        if named != domain and not named.endswith(f".{domain}") and not domain.endswith(f".{named}"):
            return named
    return None


def has_gap(display_name: str) -> bool:
    """Whether a display name pushes what follows it out of sight by very many spaces."""
    return " " * _SPACES_MAX in display_name.replace("\u00a0", " ").replace("\t", " ")


def looks_like(domain: str, ours: Iterable[str]) -> str | None:
    """Give the one of our domains that a domain looks like without being it or below it; None: none.

    Shapes: domains as lower-case A-labels.
    """
    skeleton = _skeleton(domain)
    for own in ours:
        if domain == own or domain.endswith(f".{own}"):
            return None
    for own in ours:
        own_skeleton = _skeleton(own)
        if skeleton == own_skeleton or skeleton.endswith(f".{own_skeleton}"):
            return own
    return None


@lru_cache(maxsize=1024)
def _skeleton(domain: str) -> str:
    try:
        shown = domain.encode("ascii").decode("idna")
    except UnicodeError:
        shown = domain
    plain = "".join(
        character
        for character in unicodedata.normalize("NFKD", shown.casefold())
        if not unicodedata.combining(character)
    ).translate(_ALIKE)
    for pair, single in _PAIRS:
        plain = plain.replace(pair, single)
    return plain
