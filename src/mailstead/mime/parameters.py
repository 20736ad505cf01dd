"""Values with parameters: Content-Type, Content-Disposition.

Spec: RFC 2045 §5.1, RFC 2183, RFC 2231 §3 and §4.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from mailstead.mime import charset
from mailstead.mime.header import text_of, unfolded

SEGMENTS_MAX: Final = 1000
"""Parameters and RFC 2231 continuations read in one field; the rest is passed over."""
_CACHED_OCTETS: Final = 200
"""Longer values are seldom seen twice, and would make the cache large."""

# RFC 2045 §5.1:  parameter := attribute "=" value ; value := token / quoted-string
# Tolerated: white space around "=", an unquoted value with spaces, a missing closing quote.
_PARAMETER: Final = re.compile(
    rb';[ \t\r\n]*([^\s=;"]+)[ \t\r\n]*=[ \t\r\n]*(?:"([^"\\]*(?:\\.[^"\\]*)*)"?|([^;"]*))', re.DOTALL
)
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
_PERCENT: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_FILE_NAMES: Final = frozenset({"name", "filename"})

Params = tuple[tuple[str, str], ...]


class Valued(NamedTuple):
    """A value and its parameters, names in lower case, each once, the first one counting."""

    value: str
    """In lower case, without comments."""
    params: Params
    boundary: bytes | None
    """The boundary parameter as octets; None when there is none that can be used."""


def valued(raw: bytes) -> Valued:
    """Read ``value; name=value …`` with RFC 2231 continuations, charsets and, as senders do it, encoded words.

    Spec: RFC 2045 §5.1, RFC 2231 §3, §4, §4.1.
    """
    return _read_cached(raw) if len(raw) <= _CACHED_OCTETS else _read(raw)


def _read(raw: bytes) -> Valued:
    end = raw.find(b";")
    value = unfolded(raw if end < 0 else raw[:end])
    if b"(" in value:
        value = value.partition(b"(")[0].rstrip()
    if end < 0:
        return Valued(value.decode("latin-1").lower(), (), None)

    plain: dict[str, str] = {}
    segments: dict[str, dict[int, tuple[bytes, bool]]] = {}
    boundary: bytes | None = None
    for count, found in enumerate(_PARAMETER.finditer(raw, end)):
        if count == SEGMENTS_MAX:
            break
        name = found[1].decode("latin-1").lower()
        octets = _value_octets(name, found[2], found[3])
        if "*" in name:
            _note_segment(segments, name, octets)
        elif name not in plain:
            plain[name] = octets.decode() if octets.isascii() and b"=?" not in octets else text_of(octets)
            if name == "boundary":
                boundary = octets
    for name, numbered in segments.items():
        plain[name] = _joined(numbered)
    if "boundary" in segments:
        boundary = plain["boundary"].encode()
    if "\0" in "".join(plain.values()):
        plain = {name: text.replace("\0", "\ufffd") for name, text in plain.items()}
    # RFC 2046 §5.1.1: a boundary does not end with white space.
    return Valued(value.decode("latin-1").lower(), tuple(plain.items()), boundary.rstrip() if boundary else None)


_read_cached = lru_cache(maxsize=4096)(_read)


def _value_octets(name: str, quoted: bytes | None, bare: bytes | None) -> bytes:
    """Give the octets of a parameter's value, without quoting, folding or comment."""
    if quoted is not None:
        quoted = unfolded(quoted) if b"\n" in quoted else quoted
        return _QUOTED_PAIR.sub(rb"\1", quoted) if b"\\" in quoted else quoted
    value = unfolded(bare or b"")
    # "filename=report (1).pdf" has no comment; "charset=us-ascii (Plain text)" has one.
    if b"(" in value and name.partition("*")[0] not in _FILE_NAMES:
        value = value.partition(b"(")[0].rstrip()
    return value


def _note_segment(segments: dict[str, dict[int, tuple[bytes, bool]]], name: str, octets: bytes) -> None:
    """Keep one piece of an extended parameter: ``name*``, ``name*0`` or ``name*0*``.

    Spec: RFC 2231 §4.1.
    """
    base, _, rest = name.partition("*")
    is_extended = rest.endswith("*") or not rest
    digits = rest.rstrip("*")
    if not base or len(digits) > 4 or (digits and not (digits.isascii() and digits.isdigit())):
        return
    segments.setdefault(base, {}).setdefault(int(digits or 0), (octets, is_extended))


def _joined(numbered: dict[int, tuple[bytes, bool]]) -> str:
    """Join the pieces from 0 up to the first gap, and decode them.

    Spec: RFC 2231 §3, §4.
    """
    label: str | None = None
    octets: list[bytes] = []
    for index in range(len(numbered)):
        if index not in numbered:
            break
        value, is_extended = numbered[index]
        if is_extended:
            if index == 0 and value.count(b"'") >= 2:
                raw_label, _, value = value.split(b"'", 2)
                label = raw_label.decode("latin-1")
            value = _PERCENT.sub(lambda found: bytes((int(found[1], 16),)), value)
        octets.append(value)
    return charset.decoded(b"".join(octets), label)
