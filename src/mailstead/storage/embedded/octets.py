"""Octets of messages in rows of bounded chunks, so that a range can be read without the rest.

A chunk is compressed by itself where that saves at least an eighth. The numbers are measured in docs/adr/0006.
"""

import sys
import threading
from collections.abc import Iterator
from typing import Final

import apsw

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from mailstead.model.errors import NoSuchMessage, StoreDamaged
from mailstead.model.message import Octets
from mailstead.storage.embedded.rows import select, select_one

CHUNK_OCTETS: Final = 64 * 1024
COMPRESS_FROM_OCTETS: Final = 512
"""Shorter chunks are kept as they are."""
COMPRESSION_LEVEL: Final = 1
PLACE_SHIFT: Final = 32

_per_thread = threading.local()


def _compress(piece: memoryview) -> bytes:
    """Compress with the compressor of this thread; making one for each piece would cost more than the work."""
    compressor: zstd.ZstdCompressor | None = getattr(_per_thread, "compressor", None)
    if compressor is None:
        compressor = _per_thread.compressor = zstd.ZstdCompressor(level=COMPRESSION_LEVEL)
    return compressor.compress(piece, mode=zstd.ZstdCompressor.FLUSH_FRAME)


def compressed_or_none(octets: bytes) -> bytes | None:
    """Give octets compressed, where that saves at least an eighth."""
    compressed = _compress(memoryview(octets))
    return compressed if len(compressed) < len(octets) - len(octets) // 8 else None


def compressed_whole(octets: bytes) -> bytes:
    """Give octets compressed, whether it saves anything or not."""
    return _compress(memoryview(octets))


def is_text(octets: bytes) -> bool:
    """Whether octets come back exactly when they travel as text: UTF-8 without NUL, at which SQLite's texts end."""
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in octets


def _pieces(before: bytes, octets: Octets) -> Iterator[memoryview]:
    """Cut two parts as if they were joined, which only happens where they meet."""
    whole = memoryview(octets)
    filling = -len(before) % CHUNK_OCTETS
    for part in (memoryview(before + whole[:filling]) if before else b"", whole[filling:]):
        for start in range(0, len(part), CHUNK_OCTETS):
            yield memoryview(part)[start : start + CHUNK_OCTETS]


def chunks(content_id: int, octets: Octets, before: bytes = b"") -> Iterator[tuple[int, int, bytes | memoryview]]:
    """Yield the chunk rows of a message with what goes in front; at most one chunk is held twice at a time."""
    for number, piece in enumerate(_pieces(before, octets)):
        place = content_id << PLACE_SHIFT | number * CHUNK_OCTETS
        if len(piece) >= COMPRESS_FROM_OCTETS:
            compressed = _compress(piece)
            if len(compressed) < len(piece) - len(piece) // 8:
                yield place, 1, compressed
                continue
        yield place, 0, piece


def write(db: apsw.Connection, content_id: int, octets: Octets, before: bytes = b"") -> None:
    """Write the chunk rows of a message with what goes in front."""
    for row in chunks(content_id, octets, before):
        db.execute("INSERT INTO chunk VALUES (?, ?, ?)", row)


def read(db: apsw.Connection, content_id: int, start: int, stop: int) -> bytes:
    """Read octets from `start` to before `stop`, clipped to what is there.

    Errors: NoSuchMessage; StoreDamaged when a chunk cannot be decompressed.
    """
    base = content_id << PLACE_SHIFT
    start = max(start, 0)
    rows = select(
        db,
        "SELECT place, is_compressed, octets FROM chunk"
        " WHERE place >= (SELECT max(place) FROM chunk WHERE place BETWEEN ?1 AND ?2) AND place < ?3",
        (base, base + start, base + max(stop, start + 1)),
    )
    if not rows:
        _demand_content(db, content_id)
    pieces: list[bytes] = []
    for place, is_compressed, stored in rows:
        piece = decompressed(stored) if is_compressed else stored
        offset = place - base
        if offset < start or offset + len(piece) > stop:
            piece = piece[max(0, start - offset) : max(0, stop - offset)]
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def decompressed(stored: bytes) -> bytes:
    """Decompress one chunk. Errors: StoreDamaged."""
    try:
        return zstd.decompress(stored)
    except zstd.ZstdError as error:
        raise StoreDamaged(cause=repr(error)) from error


def delete(db: apsw.Connection, content_id: int) -> None:
    """Remove all chunks of a message."""
    base = content_id << PLACE_SHIFT
    db.execute("DELETE FROM chunk WHERE place BETWEEN ? AND ?", (base, base | (1 << PLACE_SHIFT) - 1))


def _demand_content(db: apsw.Connection, content_id: int) -> None:
    """Tell an empty message from one that is gone."""
    if not select_one(db, "SELECT 1 FROM content WHERE content_id = ?", (content_id,)):
        raise NoSuchMessage(content_id=content_id)
