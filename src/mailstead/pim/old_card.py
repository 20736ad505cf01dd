"""vCard 2.1, as old phones and programs write it, made 3.0: read from files that people bring, and never kept as it is.

Each property says its own encoding and charset; parameters may stand without a name; but for the semicolon nothing is
escaped. What was in 2.1 is also in 3.0. A card within a card (AGENT) is not read.

Spec: vCard, The Electronic Business Card, Version 2.1, §2.1; RFC 2426 §5 (what is different).
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from collections.abc import Callable, Iterator
from typing import Final

from mailstead.pim.component import Component, Property, escaped, write
from mailstead.pim.vcard import card_starts, full_name

Decode = Callable[[bytes, str | None], str]
"""Gives the text of octets in a charset; None: none is named."""

_OLD: Final = re.compile(rb"^VERSION[ \t]*:[ \t]*2\.1[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_LINE: Final = re.compile(rb"(?:([A-Za-z0-9-]+)\.)?([A-Za-z0-9-]+)((?:;[^:\r\n]*)?):(.*)", re.DOTALL)
_ENCODINGS: Final = {
    "QUOTED-PRINTABLE": "QUOTED-PRINTABLE", "BASE64": "BASE64", "B": "BASE64", "8BIT": "", "7BIT": "",
}  # fmt: skip
_PLACES: Final = frozenset({"INLINE", "URL", "CONTENT-ID", "CID"})
"""Values of VALUE, which may stand alone."""
_STRUCTURED: Final = frozenset({"N", "ADR", "ORG"})
_TEXTS: Final = frozenset({"FN", "TITLE", "ROLE", "NOTE", "LABEL", "TEL", "EMAIL", "NICKNAME", "MAILER", "TZ"})
_BINARY: Final = frozenset({"PHOTO", "LOGO", "SOUND", "KEY"})
_LEFT_OUT: Final = frozenset({"BEGIN", "END", "VERSION"})


def with_new_cards(octets: bytes, decode: Decode) -> bytes:
    """Give a file of contacts in which those of 2.1 are 3.0; all others stand as they stood."""
    if _OLD.search(octets) is None:
        return octets
    octets = octets.removeprefix(b"\xef\xbb\xbf")
    starts = card_starts(octets)
    pieces = [octets[start:stop] for start, stop in zip(starts, [*starts[1:], len(octets)], strict=True)]
    return b"".join([octets[: starts[0]] if starts else octets, *(_new(each, decode) for each in pieces)])


def _new(octets: bytes, decode: Decode) -> bytes:
    if _OLD.search(octets) is None:
        return octets
    component, is_ended = Component("VCARD", [Property("VERSION", "3.0")]), False
    for line in _lines(octets):
        read = _LINE.fullmatch(line)
        if read is None or is_ended:
            return octets  # no contact, or parts of one around another (AGENT): told when it is put
        name = read[2].decode("ascii").upper()
        is_ended = name == "END"
        if name not in _LEFT_OUT:
            component.properties.append(_property(name, (read[1] or b"").decode("ascii"), read[3], read[4], decode))
    if not is_ended:
        return octets
    if component.first("N") is None:
        component.properties.append(Property("N", ";;;;"))
    if component.first("FN") is None:
        component.properties.append(Property("FN", escaped(full_name(component))))
    return write(component)


def _property(name: str, group: str, written: bytes, value: bytes, decode: Decode) -> Property:
    encoding, charset, place = "", None, ""
    types: list[str] = []
    kept: list[tuple[str, tuple[str, ...]]] = []
    for each in filter(None, written.decode("ascii", "replace").split(";")):
        key, equals, said = (part.strip() for part in each.partition("="))
        key, said = (key.upper(), said.strip('"')) if equals else ("", key)
        if key == "ENCODING" or (not key and said.upper() in _ENCODINGS):
            encoding = _ENCODINGS.get(said.upper(), "")
        elif key == "CHARSET":
            charset = said
        elif key == "VALUE" or (not key and said.upper() in _PLACES):
            place = said.upper()
        elif key in {"", "TYPE"}:
            types += [one.strip() for one in said.split(",") if one.strip()]
        else:
            kept.append((key, (said,)))
    if types:
        kept.append(("TYPE", tuple(types)))
    if name in _BINARY and encoding == "BASE64":
        data = "".join(value.decode("ascii", "replace").split())
        return Property(name, data, (("ENCODING", ("b",)), *kept), group)
    if name in _BINARY and place in {"URL", "CONTENT-ID", "CID"}:
        kept.append(("VALUE", ("uri",)))

    def text(octets: bytes) -> str:
        return decode(a2b_qp(octets) if encoding == "QUOTED-PRINTABLE" else octets, charset)

    if name in _STRUCTURED:
        # Parted before it is decoded: a semicolon that is written as =3B parts nothing.
        parts = re.split(rb"(?<!\\);", value)
        return Property(name, ";".join(escaped(_plain(text(each))) for each in parts), tuple(kept), group)
    if name == "CATEGORIES":
        parts = re.split(rb"[,;]", value)
        return Property(name, ",".join(escaped(_plain(text(each))) for each in parts), tuple(kept), group)
    said = text(value)
    return Property(name, escaped(_plain(said)) if name in _TEXTS else said.strip(), tuple(kept), group)


def _plain(text: str) -> str:
    return text.replace("\\;", ";").replace("\r\n", "\n").replace("\r", "\n").strip()


def _lines(octets: bytes) -> Iterator[bytes]:
    """Yield properties: lines that go on with white space, or, in quoted-printable, behind a ``=`` at the end."""
    parts: list[bytes] = []
    is_soft = False
    for line in octets.replace(b"\r\n", b"\n").split(b"\n"):
        if is_soft or (parts and line[:1] in {b" ", b"\t"}):
            parts.append(line)
        else:
            if parts:
                yield b"".join(parts)
            parts = [line] if line.strip() else []
        is_soft = bool(parts) and line.endswith(b"=") and b"QUOTED-PRINTABLE" in parts[0].partition(b":")[0].upper()
        if is_soft:
            parts[-1] = line[:-1]
    if parts:
        yield b"".join(parts)
