"""Lines of the client, in bounded memory."""

from __future__ import annotations

from typing import Final

COMMAND_OCTETS_MAX: Final = 255
"""With CRLF. Spec: RFC 2449 §4 (a command line has at most 255 octets)."""

SASL_OCTETS_MAX: Final = 12288
"""With CRLF. Spec: RFC 5034 §4 leaves it to the mechanism; the limit that RFC 4954 §4 gives for the same lines."""


class TooLong(Exception):
    """A line is longer than allowed; what belongs to it has been thrown away, or will be."""


class LineReader:
    """Cuts what comes into lines. A line that is too long is told once, as `TooLong`, and never kept (attack row 7)."""

    __slots__ = ("_buffer", "_is_skipping", "_start")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._start = 0
        self._is_skipping = False

    def receive(self, data: bytes) -> None:
        """Take octets in any cut."""
        self._buffer += data

    def next_line(self, octets_max: int) -> bytes | None:
        """Give the next line without its line end, or None until more has come.

        A bare LF ends a line too: people try POP3 by hand, and no message comes from the client that could be smuggled.

        Errors: TooLong.
        """
        buffer = self._buffer
        while True:
            end = buffer.find(b"\n", self._start)
            if self._is_skipping:
                if end < 0:
                    self.drop()
                    return None
                self._is_skipping = False
                self._start = end + 1
                continue
            length = (end + 1 if end >= 0 else len(buffer)) - self._start
            if length > octets_max:
                self._is_skipping = end < 0
                self._start = end + 1 if end >= 0 else len(buffer)
                self._compact()
                raise TooLong
            if end < 0:
                self._compact()
                return None
            stop = end - 1 if end > self._start and buffer[end - 1] == 0x0D else end
            line = bytes(buffer[self._start : stop])
            self._start = end + 1
            if self._start >= len(buffer):
                self._compact()
            return line

    @property
    def has_more(self) -> bool:
        """Whether octets wait that no line was made of yet."""
        return self._start < len(self._buffer)

    def drop(self) -> int:
        """Forget what waits, and say how much it was."""
        count = len(self._buffer) - self._start
        self._buffer = bytearray()
        self._start = 0
        return count

    def _compact(self) -> None:
        """Give back the memory of lines that are done, once per batch and not once per line."""
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
