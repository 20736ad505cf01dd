"""Octets in: command lines, message data up to its final dot, counted chunks.

Theory of operation: one buffer and one position. Nothing is scanned twice but a few octets at the end, and nothing is
looked at octet by octet: `find`, `count` and `replace` do the work at the speed of C, so a message that arrives in
one packet costs a few microseconds.

For message data the position is left *in front of* the CRLF of the DATA line, as RFC 5321 §4.1.1.4 sees it: that CRLF
is also the first half of a terminator. So each dot to unstuff and the terminator itself begin with CRLF, without a
special case for the first line.

Spec: RFC 5321 §2.3.8 (only CRLF ends a line), §4.1.1.4 (the terminator), §4.5.2 (transparency), §4.5.3.1 (lengths).
"""

from __future__ import annotations

from enum import Enum
from typing import Final

_TERMINATOR: Final = b"\r\n.\r\n"


class Fault(Enum):
    """What is wrong with received octets."""

    OVERLONG = "line too long"
    BARE = "bare CR or LF"
    ILLEGAL = "NUL or bare CR within a command"


class Framing:
    """The one input buffer of a conversation."""

    __slots__ = ("_buffer", "_is_first_data", "_is_skipping", "_position", "has_nul", "is_data_complete")

    def __init__(self) -> None:
        self._buffer = b""
        self._position = 0
        self._is_skipping = False
        self._is_first_data = False
        self.is_data_complete = False
        self.has_nul = False
        """Whether the message data taken since `start_data` had a NUL. Spec: RFC 5321 §4.5.2, attack row 6."""

    def __len__(self) -> int:
        return len(self._buffer) - self._position

    def feed(self, data: bytes) -> None:
        """Take octets; without a copy where all earlier ones have been used."""
        if self._position == len(self._buffer):
            self._buffer = data
        else:
            self._buffer = self._buffer[self._position :] + data
        self._position = 0

    def drop(self) -> int:
        """Forget everything unused and say how much it was."""
        count = len(self)
        self._buffer, self._position, self._is_skipping = b"", 0, False
        return count

    def starts_with(self, word: bytes) -> bool:
        """Whether the unused octets begin with that word, in any case of letters."""
        return self._buffer[self._position : self._position + len(word)].upper() == word

    def take_line(self, octets_max: int) -> bytes | Fault | None:
        """Take one line without its CRLF; None: it is not complete.

        Memory: an overlong line is forgotten as it arrives and reported once. Spec: RFC 5321 §4.5.3.1.4.
        """
        buffer, start = self._buffer, self._position
        end = buffer.find(b"\n", start)
        if self._is_skipping:
            self._position = end + 1 if end >= 0 else len(buffer)
            self._is_skipping = end < 0
            return self.take_line(octets_max) if end >= 0 else None
        if end < 0:
            if len(buffer) - start < octets_max:
                return None
            self._position, self._is_skipping = len(buffer), True
            return Fault.OVERLONG
        self._position = end + 1
        if end - start >= octets_max:
            return Fault.OVERLONG
        if end == start or buffer[end - 1] != 13:
            return Fault.BARE
        line = buffer[start : end - 1]
        if b"\r" in line or b"\0" in line:
            return Fault.ILLEGAL
        return line

    def hold_line_end(self) -> None:
        """Step back in front of the CRLF of the line just taken, until `start_data` or `release_line_end`."""
        self._position -= 2

    def release_line_end(self) -> None:
        """There will be no message data: the CRLF was only a line end."""
        self._position += 2

    def start_data(self) -> None:
        """Message data follows; the position stands in front of the CRLF of the DATA line."""
        self._is_first_data = True
        self.is_data_complete = self.has_nul = False

    def take_data(self) -> bytes | Fault | None:
        """Take what there is of the message, dots unstuffed; sets `is_data_complete` behind the final dot.

        Only CRLF.CRLF ends the data; a bare CR or LF is a fault at once (attack row 1).
        None: nothing to give now, which is also possible together with `is_data_complete` (an empty rest).
        """
        buffer, start = self._buffer, self._position
        end = buffer.find(_TERMINATOR, start)
        if end >= 0:
            stop, following = end + 2, end + 5
        else:
            # The end may be the beginning of a terminator, of a stuffed dot or of a CRLF: keep it for the next look.
            stop = following = len(buffer) - _held_back(buffer, start)
        octets = buffer[start:stop]
        # Whatever of CR and LF is left without the CRLFs is bare. (Three times as quick as a regular expression.)
        rest = octets.replace(b"\r\n", b"")
        if b"\n" in rest or b"\r" in rest:
            return Fault.BARE
        if b"\0" in rest:
            self.has_nul = True
        octets = octets.replace(b"\r\n.", b"\r\n")
        self._position = following
        self.is_data_complete = end >= 0
        if self._is_first_data and octets:
            octets = octets[2:]
            self._is_first_data = False
        return octets or None

    def take_counted(self, octets_max: int) -> bytes | None:
        """Take up to that many octets as they are. Spec: RFC 3030 §2: the length decides, not the content."""
        octets = self._buffer[self._position : self._position + octets_max]
        self._position += len(octets)
        return octets or None


def _held_back(buffer: bytes, start: int) -> int:
    """How many octets at the end are the beginning of a terminator."""
    for count in (4, 3, 2, 1):
        if len(buffer) - start >= count and buffer.endswith(_TERMINATOR[:count]):
            return count
    return 0
