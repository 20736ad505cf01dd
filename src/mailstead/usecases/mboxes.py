r"""mbox as a foreign format: read tolerantly and in bounded memory, written as mboxrd.

There is no standard beyond RFC 4155's description. In mboxrd each message begins behind a line ``From sender date``,
and each line of a message that looks so, or like a quoted one, gets one more ``>`` in front, which can be undone.
Flags go into the three fields that many programs read, always these three, first in the header and in this order; only
such a group of three is taken out again when reading, so that octets survive the round trip.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, BinaryIO, Final, NamedTuple

from mailstead.model.errors import BadImport
from mailstead.model.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, Flags

_LINE_OCTETS: Final = 1024 * 1024
"""Longer lines are read in pieces."""
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

#   From sender Www Mmm dd hh:mm:ss [zone] yyyy
_FROM_DATE: Final = re.compile(
    rb"(?P<month>[A-Z][a-z]{2}) +(?P<day>\d{1,2}) +(?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?"
    rb"(?: +[A-Z]{3,5}| +[+-]\d{4})? +(?P<year>\d{4})"
)
_QUOTABLE: Final = re.compile(rb"^(>*From )", re.MULTILINE)
_QUOTED: Final = re.compile(rb"^>(>*From )", re.MULTILINE)
_OUR_FIELDS: Final = re.compile(rb"Status: ?([A-Z]*)\r?\nX-Status: ?([A-Z]*)\r?\nX-Keywords: ?([^\r\n]*)\r?\n")
_STATUS_FIELD: Final = re.compile(rb"^(?:X-)?Status:[ \t]*([A-Z]*)[ \t]*\r?$", re.MULTILINE)
_KEYWORDS_FIELD: Final = re.compile(rb"^X-Keywords:[ \t]*([^\r\n]*)\r?$", re.MULTILINE | re.IGNORECASE)
_FLAG_OF: Final = {"R": SEEN, "A": ANSWERED, "F": FLAGGED, "T": DRAFT, "D": DELETED}
_KEYWORD: Final = re.compile(r"[^\s(){%*\"\\\]\x00-\x1f\x7f]{1,64}")


class Entry(NamedTuple):
    """One message of an mbox; `octets` is None where it is larger than allowed."""

    octets: bytes | None
    flags: Flags
    internaldate: datetime | None
    end: int
    """How far into the file this message reaches."""


def looks_like_mbox(head: bytes) -> bool:
    """Whether a file that begins so is an mbox."""
    return head.startswith(b"From ")


def entries(file: BinaryIO, message_octets_max: int) -> Iterator[Entry]:
    """Yield the messages of an open mbox file one by one.

    Errors: BadImport when the file does not begin like an mbox; the empty file is one without messages.
    """
    line = file.readline(_LINE_OCTETS)
    if not line:
        return
    if not looks_like_mbox(line):
        raise BadImport("That is not an mbox: it does not begin with a line 'From sender date'")
    while line:
        came_at = _came_at(line)
        pieces: list[bytes] = []
        size = 0
        was_empty_line = False
        was_line_end = True
        while line := file.readline(_LINE_OCTETS):
            # A line From_ begins a message only behind an empty line: elsewhere it is text that nobody quoted.
            if (
                (was_empty_line or not pieces)
                and was_line_end
                and line.startswith(b"From ")
                and _FROM_DATE.search(line)
            ):
                break
            was_empty_line = was_line_end and line in {b"\n", b"\r\n"}
            was_line_end = line.endswith(b"\n")
            size += len(line)
            if size <= message_octets_max:
                pieces.append(line)
            elif len(pieces) > 1:
                del pieces[1:]  # too large: it will be skipped, so nothing of it is kept
        yield _entry(b"".join(pieces) if size <= message_octets_max else None, came_at, file.tell() - len(line))


def write_message(file: IO[bytes], octets: bytes, flags: Flags, internaldate: datetime) -> None:
    """Append one message to an open mbox file."""
    when = internaldate.astimezone(UTC)
    file.write(
        f"From MAILER-DAEMON {_DAYS[when.weekday()]} {_MONTHS[when.month - 1]} {when.day:2d} "
        f"{when:%H:%M:%S} {when.year:04d}\n".encode("ascii")
    )
    status = "RO" if SEEN in flags else "O"
    more = "".join(letter for letter, flag in _FLAG_OF.items() if flag in flags and letter != "R")
    keywords = " ".join(sorted(flag for flag in flags if not flag.startswith("\\")))
    line_end = b"\r\n" if b"\r\n" in octets else b"\n"
    fields = (f"Status: {status}", f"X-Status: {more}", f"X-Keywords: {keywords}")
    file.writelines(field.encode("utf-8") + line_end for field in fields)
    file.write(_QUOTABLE.sub(rb">\1", octets))
    # The empty line that separates messages; a message without line end at its end gets one, as it must in this format.
    file.write(line_end if octets.endswith(b"\n") else line_end + line_end)


def _entry(raw: bytes | None, came_at: datetime | None, end: int) -> Entry:
    if raw is None:
        return Entry(None, frozenset(), came_at, end)
    # One empty line belongs to the format.
    raw = raw[:-2] if raw.endswith(b"\r\n\r\n") else raw[:-1] if raw.endswith(b"\n\n") else raw
    if match := _OUR_FIELDS.match(raw):
        letters, keywords = match[1] + match[2], match[3]
        raw = raw[match.end() :]
    else:
        header = raw.partition(b"\r\n\r\n" if b"\r\n\r\n" in raw[: 1 << 20] else b"\n\n")[0]
        letters = b"".join(_STATUS_FIELD.findall(header))
        keywords = b" ".join(_KEYWORDS_FIELD.findall(header))
    flags = {flag for letter, flag in _FLAG_OF.items() if letter.encode("ascii") in letters}
    flags |= {word for word in keywords.decode("utf-8", "replace").split() if _KEYWORD.fullmatch(word)}
    return Entry(_QUOTED.sub(rb"\1", raw), frozenset(flags), came_at, end)


def _came_at(line: bytes) -> datetime | None:
    """Read the date of a From_ line, in UTC as most programs write it; None where it is none."""
    match = _FROM_DATE.search(line)
    if not match:
        return None
    try:
        month = _MONTHS.index(match["month"].decode("ascii")) + 1
        clock = (int(match["hour"]), int(match["minute"]), int(match["second"] or 0))
        return datetime(int(match["year"]), month, int(match["day"]), *clock, tzinfo=UTC)
    except ValueError:
        return None
