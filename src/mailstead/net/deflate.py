"""Compression as a byte layer. Spec: RFC 4978 (IMAP COMPRESS=DEFLATE), RFC 1951."""

from __future__ import annotations

import zlib
from typing import Final

from mailstead.proto.connection import RemoteProtocolError
from mailstead.telemetry import metrics

INFLATED_OCTETS_MAX: Final = 65536
"""How much one step may give, however well it was compressed. Spec: attack row 49."""

# Our window is 8 KiB: mail compresses nearly as well, at 64 KiB per connection instead of 256 KiB.
# The peer's may be 32 KiB (RFC 4978 §4), which our inflater has to hold.
_WINDOW_BITS: Final = 13
_MEMORY_LEVEL: Final = 6
MEMORY_OCTETS: Final = (1 << (_WINDOW_BITS + 2)) + (1 << (_MEMORY_LEVEL + 9)) + 44 * 1024
"""What one pair of streams takes, by zlib's own formula (zconf.h)."""


class DeflateLayer:
    """Both directions of one compressed conversation. `more` is called until it gives nothing."""

    __slots__ = ("_deflater", "_inflater", "_is_full", "_waiting")

    def __init__(self) -> None:
        self._deflater = zlib.compressobj(6, zlib.DEFLATED, -_WINDOW_BITS, _MEMORY_LEVEL)
        self._inflater = zlib.decompressobj(-15)
        self._waiting = b""
        self._is_full = False
        metrics.DEFLATE_OCTETS.inc(MEMORY_OCTETS)

    def receive(self, data: bytes) -> None:
        """Take compressed octets; `more` gives what they mean."""
        self._waiting = self._waiting + data if self._waiting else data

    def more(self) -> bytes:
        """Give the next piece, at most `INFLATED_OCTETS_MAX`; nothing when all has been given.

        Errors: RemoteProtocolError when the stream is broken or ended.
        """
        if not self._waiting and not self._is_full:
            return b""
        try:
            piece = self._inflater.decompress(self._waiting, INFLATED_OCTETS_MAX)
        except zlib.error:
            raise RemoteProtocolError("The compressed stream is broken") from None
        self._waiting = self._inflater.unconsumed_tail
        # zlib may have taken all input and still hold output back.
        self._is_full = len(piece) == INFLATED_OCTETS_MAX
        if self._inflater.eof:
            raise RemoteProtocolError("The compressed stream has ended")
        return piece

    def send(self, data: bytes) -> bytes:
        """Give the compressed form of `data`, whole, so that the peer can read it now."""
        return self._deflater.compress(data) + self._deflater.flush(zlib.Z_SYNC_FLUSH)

    @staticmethod
    def close() -> None:
        """Give the memory back to the account."""
        metrics.DEFLATE_OCTETS.dec(MEMORY_OCTETS)
