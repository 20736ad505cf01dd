"""Looking into octets without copying them: bytes, bytearray and memoryview alike."""

from __future__ import annotations

import re
from typing import Final

from mailstead.model.message import Octets

CHUNK_OCTETS: Final = 1 << 16


def searchable(octets: Octets) -> Octets:
    """Give the object behind a whole view, as bytes and bytearray have the faster `find`; nothing is copied."""
    if isinstance(octets, memoryview):
        if not octets.c_contiguous:
            return octets.tobytes()
        behind = octets.obj
        if isinstance(behind, bytes | bytearray) and len(behind) == octets.nbytes:
            return behind
        return octets if octets.format == "B" and octets.ndim == 1 else octets.cast("B")
    return octets


def find(octets: Octets, needle: bytes, start: int, stop: int) -> int:
    """Give the position of `needle` in [start, stop), or -1."""
    if isinstance(octets, memoryview):
        found = re.compile(re.escape(needle)).search(octets, start, stop)
        return found.start() if found else -1
    return octets.find(needle, start, stop)


def piece(octets: Octets, start: int, stop: int) -> bytes:
    """Copy a (small) range out."""
    if isinstance(octets, bytes):
        return octets[start:stop]
    with memoryview(octets) as view:
        return bytes(view[start:stop])


def line_count(octets: Octets, start: int, stop: int) -> int:
    """Count line feeds in a range; what IMAP calls the size of a body in text lines."""
    if isinstance(octets, memoryview):
        return sum(
            octets[at : min(at + CHUNK_OCTETS, stop)].tobytes().count(b"\n") for at in range(start, stop, CHUNK_OCTETS)
        )
    return octets.count(b"\n", start, stop)
