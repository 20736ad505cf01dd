"""First stage of reading: cut the stream into lines and counted octets, knowing nothing but sizes.

So a syntax error costs one BAD and never the connection: where the command ends is known before anybody looks at what
it says. The buffer here is the only input buffer of the conversation.

Spec: RFC 9051 §2.2.1, §4.3 (literals); RFC 7888 (``{n+}``); attack row 41
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

# literal = "{" number64 ["+"] "}" CRLF ; literal8 = "~{" number64 ["+"] "}" CRLF
_LITERAL_HEAD: Final = re.compile(rb"~?\{(\d{1,20})(\+?)\}$")
_HEAD_OCTETS_MAX: Final = 32
_KEPT_OCTETS: Final = 256


class LiteralHead(NamedTuple):
    """What the end of a line announces."""

    size_octets: int
    is_synchronising: bool


class Line(NamedTuple):
    """One line without its CRLF."""

    text: bytes
    """Only the beginning, if `is_too_long`."""
    literal: LiteralHead | None
    is_too_long: bool = False
    is_bare: bool = False
    """Ended by LF alone."""


class LineTooLong(Exception):
    """A line is so long that not even its end is waited for."""


class Framing:
    """The input buffer and the two ways to take from it: by line and by count."""

    __slots__ = ("_buffer", "_scanned", "_skipped", "_start", "_tail")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        """Up to here there is no LF, so that a slow sender costs no second look."""
        self._start = b""
        self._tail = b""
        self._skipped = 0
        """Octets of an overlong line given up so far."""

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take octets from the peer."""
        self._buffer += data

    def clear(self) -> int:
        """Forget everything received and say how much it was."""
        count = len(self._buffer)
        self._buffer.clear()
        self._scanned = self._skipped = 0
        return count

    def line(self, limit: int, skip_limit: int) -> Line | None:
        """Give the next line, or None if its end is not here yet.

        A line of more than `limit` octets is given up as it comes, in constant memory, then reported by its beginning.
        Errors: LineTooLong, beyond `skip_limit`.
        """
        end = self._buffer.find(b"\n", self._scanned)
        if end < 0:
            self._scanned = len(self._buffer)
            if self._scanned > limit or self._skipped:
                self._give_up(self._scanned, skip_limit)
            return None
        if end > limit or self._skipped:
            self._give_up(end + 1, skip_limit)
            text, tail, self._skipped = self._start, self._tail.rstrip(b"\r\n"), 0
            return Line(text, _literal_head(tail), is_too_long=True)
        is_bare = end == 0 or self._buffer[end - 1] != 13
        text = bytes(self._buffer[: end if is_bare else end - 1])
        self._drop(end + 1)
        return Line(text, None if is_bare else _literal_head(text), is_bare=is_bare)

    def octets(self, count: int) -> bytes | None:
        """Give exactly so many octets, or None if they are not all here yet."""
        if len(self._buffer) < count:
            return None
        octets = bytes(self._buffer[:count])
        self._drop(count)
        return octets

    def some(self, count: int) -> bytes | bytearray:
        """Give what is here, at most so many octets; without a copy where everything is wanted."""
        if len(self._buffer) <= count:
            octets: bytes | bytearray = self._buffer
            self._buffer = bytearray()
            self._scanned = 0
            return octets
        octets = bytes(self._buffer[:count])
        self._drop(count)
        return octets

    def skip(self, count: int) -> int:
        """Drop at most so many octets and say how many that was."""
        count = min(count, len(self._buffer))
        self._drop(count)
        return count

    def _drop(self, count: int) -> None:
        if count == len(self._buffer):
            self._buffer.clear()
        else:
            del self._buffer[:count]
        self._scanned = 0

    def _give_up(self, count: int, skip_limit: int) -> None:
        if not self._skipped:
            self._start, self._tail = bytes(self._buffer[:_KEPT_OCTETS]), b""
        self._tail = (self._tail + bytes(self._buffer[max(0, count - _HEAD_OCTETS_MAX) : count]))[-_HEAD_OCTETS_MAX:]
        self._skipped += count
        self._drop(count)
        if self._skipped > skip_limit:
            raise LineTooLong


def _literal_head(text: bytes) -> LiteralHead | None:
    if not text.endswith(b"}"):
        return None
    match = _LITERAL_HEAD.search(text, max(0, len(text) - _HEAD_OCTETS_MAX))
    return LiteralHead(int(match.group(1)), not match.group(2)) if match else None
