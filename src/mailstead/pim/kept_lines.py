"""Writes a changed object so that every line that is as before stands as it stood, with its folds and its quotes.

Who changes a title changes one line; all that other programs have written for themselves stays byte for byte.

Spec: RFC 5545 §3.1.
"""

from __future__ import annotations

import re
from typing import Final

from mailstead.model.errors import BadObject
from mailstead.pim.component import Component, parse, write

OCTETS_MAX: Final = 512 * 1024
"""Larger objects are written anew as a whole: the same properties, other folds."""
_LINE: Final = re.compile(rb"[^\r\n]+(?:\r?\n[ \t][^\r\n]*)*")
_FOLD: Final = re.compile(rb"\r?\n[ \t]")


def write_keeping(changed: Component, before: bytes) -> bytes:
    """Give the text of an object that was `before`."""
    octets = write(changed)
    if len(before) > OCTETS_MAX:
        return octets
    kept = _kept(before)
    lines = (kept.get(_FOLD.sub(b"", line), line) for line in _LINE.findall(octets))
    return b"\r\n".join([*lines, b""])


def _kept(before: bytes) -> dict[bytes, bytes]:
    """Give each line as it stands by what `write` makes of it; the two mean the same."""
    found: dict[bytes, bytes] = {}
    for line in _LINE.findall(before.removeprefix(b"\xef\xbb\xbf")):
        if line[:6].upper() == b"BEGIN:" or line[:4].upper() == b"END:":
            continue
        try:
            (read,) = parse(b"BEGIN:X\r\n" + line + b"\r\nEND:X\r\n")
        except BadObject:
            continue
        made = write(read).removeprefix(b"BEGIN:X\r\n").removesuffix(b"\r\nEND:X\r\n")
        found.setdefault(_FOLD.sub(b"", made), line)
    return found
