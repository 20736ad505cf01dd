"""Commands of the client, in bounded memory: lines, and the literals that lines announce.

Spec: RFC 5804 §4: literal-c2s = "{" number "+}" CRLF *OCTET; number is at most 2^32-1.
"""

from __future__ import annotations

import re
from typing import Final

LINE_OCTETS_MAX: Final = 14_000
"""Room for a SASL response of 12,288 octets (RFC 4954 §4) in quotes; RFC 5804 §1.2 wants 1024 for a string."""
SKIPPED_OCTETS_MAX: Final = 1_048_576
"""So much of a command that is too large is thrown away before it is answered; of more the end is not waited for."""
LITERALS_MAX: Final = 4
"""In one command; no command has more than two."""

_ANNOUNCED: Final = re.compile(rb"(?:^| )\{([0-9]{1,10})(\+?)\}\Z")


class TooLarge(Exception):
    """A command was larger than allowed; all of it has been thrown away."""


class Unreadable(Exception):
    """Where the command ends cannot be known, or is too far away: the conversation cannot go on."""


class CommandReader:
    """Cuts what comes into commands: pieces of lines and, between them, the literals they announce.

    A command that is too large is told once, as `TooLarge`, and never kept (attack rows 7, 41 and 57).
    """

    __slots__ = ("_buffer", "_kept_octets", "_literal_octets_left", "_literal_pieces", "_pieces", "_skipped_octets")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._begin()

    def _begin(self) -> None:
        self._pieces: list[bytes] = []
        self._literal_octets_left = -1
        """Of the literal being read; negative: a line is being read."""
        self._literal_pieces = bytearray()
        self._kept_octets = 0
        self._skipped_octets = 0

    def receive(self, data: bytes) -> None:
        """Take octets in any cut."""
        self._buffer += data

    def next_command(self, octets_max: int) -> list[bytes] | None:
        """Give the next command as line, literal, line … (an odd number of pieces), or None until more has come.

        `octets_max`: of all its literals together. A bare LF ends a line too: people try it by hand.

        Errors: TooLarge, Unreadable.
        """
        while True:
            if self._literal_octets_left >= 0:
                if not self._take_literal():
                    return None
                continue
            end = self._buffer.find(b"\n")
            line_octets = end + 1 if end >= 0 else len(self._buffer)
            if line_octets > LINE_OCTETS_MAX:
                raise Unreadable("The line is too long")
            if end < 0:
                return None
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            self._pieces.append(line)
            announced = _ANNOUNCED.search(line)
            if announced is None:
                return self._finish()
            if not announced[2]:
                # What comes next would be taken for commands, or is never sent.
                raise Unreadable("A literal is written {n+}")
            self._begin_literal(int(announced[1]), octets_max)

    def _begin_literal(self, octets_count: int, octets_max: int) -> None:
        if len(self._pieces) > 2 * LITERALS_MAX:
            raise Unreadable("Too many literals in one command")
        self._literal_octets_left = octets_count
        if self._skipped_octets or self._kept_octets + octets_count > octets_max:
            self._skipped_octets += octets_count
            if self._skipped_octets > SKIPPED_OCTETS_MAX:
                raise Unreadable("The literal is much too large")
        else:
            self._kept_octets += octets_count

    def _take_literal(self) -> bool:
        """Take what is here of a literal; whether it is complete."""
        count = min(self._literal_octets_left, len(self._buffer))
        if not self._skipped_octets:
            self._literal_pieces += self._buffer[:count]
        del self._buffer[:count]
        self._literal_octets_left -= count
        if self._literal_octets_left:
            return False
        self._pieces.append(bytes(self._literal_pieces))
        self._literal_pieces.clear()
        self._literal_octets_left = -1
        return True

    def _finish(self) -> list[bytes]:
        pieces, is_too_large = self._pieces, bool(self._skipped_octets)
        self._begin()
        if is_too_large:
            raise TooLarge
        return pieces

    @property
    def has_more(self) -> bool:
        """Whether octets wait that no command was made of yet."""
        return bool(self._buffer) or bool(self._pieces)

    def drop(self) -> int:
        """Forget what waits, and say how much it was."""
        count = len(self._buffer)
        self._buffer = bytearray()
        self._begin()
        return count
