"""Header fields: where they are, and what their values say.

The header of a message ends at the first empty line and nowhere else, whatever stands before it; lines that are no
fields are passed over. Both line endings are read, as imported messages have either.

Spec: RFC 5322 §2.2, RFC 2047, RFC 6532 §3.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from mailstead.mime import charset
from mailstead.mime.octets import piece
from mailstead.model.message import Octets

HEADER_OCTETS_MAX: Final = 1 << 20
HEADER_FIELDS_MAX: Final = 1000

_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
# RFC 5322 §3.6.8 and §4.5:  field = field-name *WSP ":" unstructured CRLF ; ftext = %d33-57 / %d59-126
# (RFC 6532 §3 changes values only.) A continuation line starts with WSP.
_FIELD: Final = re.compile(rb"^([!-9;-~]+[ \t]*):([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)
_LINE_END: Final = re.compile(rb"\r?\n")
_FEW_OCTETS: Final = 1 << 14
"""Up to here all fields are found in one call; above it, one by one, so that a million tiny ones cost nothing."""


class Field(NamedTuple):
    """One field by offsets into the header it was found in."""

    name: bytes
    """In lower case."""
    start: int
    value_start: int
    stop: int
    """Behind the last octet of the value, before its line end."""


def header_end(octets: Octets, start: int = 0) -> int:
    """Give the offset behind the empty line that ends the header, or the end of the octets.

    Spec: RFC 5322 §2.1.
    """
    first = piece(octets, start, start + 2)
    if first[:1] == b"\n":
        return start + 1
    if first == b"\r\n":
        return start + 2
    found = _EMPTY_LINE.search(octets, start)
    return found.end() if found else len(octets)


def fields(header: bytes) -> Iterator[Field]:
    """Yield the fields of a header in their order, at most `HEADER_FIELDS_MAX` of them.

    Spec: RFC 5322 §2.2.
    """
    for found in islice(_FIELD.finditer(header, 0, HEADER_OCTETS_MAX), HEADER_FIELDS_MAX):
        stop = found.end()
        if header[stop - 1] == 0x0D:
            stop -= 1
        yield Field(found[1].rstrip().lower(), found.start(), found.start(2), stop)


def raw_fields(header: bytes) -> list[tuple[bytes, bytes]]:
    """Give (name as written, raw value with its folds and a final CR) of all fields, within the limits."""
    if len(header) <= _FEW_OCTETS:
        return _FIELD.findall(header)[:HEADER_FIELDS_MAX]
    found = islice(_FIELD.finditer(header, 0, HEADER_OCTETS_MAX), HEADER_FIELDS_MAX)
    return [(each[1], each[2]) for each in found]


def first_values(header: bytes) -> dict[bytes, bytes]:
    """Give the raw value of the first field of each name; names in lower case.

    Where a field that may stand once stands twice, the first one counts, everywhere in the house.
    """
    values: dict[bytes, bytes] = {}
    for name, value in raw_fields(header):
        values.setdefault(name.rstrip().lower(), value)
    return values


def has_too_much(header: bytes) -> bool:
    """Whether a header is above the limits, so that its message is kept as one opaque part."""
    return len(header) > HEADER_OCTETS_MAX or (
        header.count(b"\n") > HEADER_FIELDS_MAX
        and sum(1 for _ in islice(_FIELD.finditer(header), HEADER_FIELDS_MAX + 1)) > HEADER_FIELDS_MAX
    )


def unfolded(value: bytes) -> bytes:
    """Remove the line ends of folding, and white space at both ends.

    Spec: RFC 5322 §2.2.3.
    """
    if b"\n" in value:
        value = _LINE_END.sub(b"", value)
    return value.strip()


# RFC 2047 §2:  encoded-word = "=?" charset "?" encoding "?" encoded-text "?="
# RFC 2231 §5 adds "*" language to the charset. Real ones have spaces in encoded-text, and are accepted.
_ENCODED_WORD: Final = re.compile(rb"=\?([^?\s]{1,80})\?([bBqQ])\?([^?]*)\?=")


def text_of(value: bytes) -> str:
    """Decode an unstructured value: unfolded, encoded words decoded, raw 8-bit as UTF-8, else windows-1252.

    Spec: RFC 2047 §6.2 (white space between words vanishes), RFC 2231 §5, RFC 6532 §3.1.
    """
    value = unfolded(value)
    if b"=?" not in value:
        return value.decode("ascii").replace("\0", "\ufffd") if value.isascii() else charset.decoded(value)
    texts: list[str] = []
    # Words that follow each other in one charset are joined as octets first: many senders cut inside a character.
    label: bytes = b""
    octets: list[bytes] = []
    end = 0
    for word in _ENCODED_WORD.finditer(value):
        between = value[end : word.start()]
        end = word.end()
        word_label = word[1].partition(b"*")[0].lower()
        if octets and (word_label != label or between.strip()):
            texts.append(charset.decoded(b"".join(octets), label.decode("latin-1")))
            octets.clear()
        if between and not (between.isspace() and (texts or octets)):
            texts.append(charset.decoded(between))
        label = word_label
        octets.append(_word_octets(word[2], word[3]))
    if octets:
        texts.append(charset.decoded(b"".join(octets), label.decode("latin-1")))
    texts.append(charset.decoded(value[end:]))
    return "".join(texts)


def _word_octets(encoding: bytes, encoded: bytes) -> bytes:
    """Decode the text of one encoded word; what cannot be decoded stays as it is.

    Spec: RFC 2047 §4.
    """
    if encoding in b"qQ":
        return binascii.a2b_qp(encoded, header=True)
    try:
        return binascii.a2b_base64(encoded.rstrip(b"=") + b"==")
    except binascii.Error:
        return encoded
