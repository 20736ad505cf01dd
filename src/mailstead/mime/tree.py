"""The tree of parts, found by octet offsets in one pass.

Nothing here calls itself: open parts lie on a list. Each stretch of a message is looked at once as header and once as
body, whatever the nesting, so that time grows with size alone.

The one line that decides about structure is the delimiter line. A line is one if it is ``--boundary`` or
``--boundary--``, with nothing behind but white space, for the boundary of *any* open multipart; of equal boundaries
the innermost counts. So a part cannot run over the end of what encloses it.

Spec: RFC 2046 §5.1, RFC 2045 §5.2, RFC 9051 §6.4.5.1 (section numbers).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from mailstead.mime import charset
from mailstead.mime.header import HEADER_OCTETS_MAX, has_too_much, unfolded
from mailstead.mime.octets import find, line_count, piece, searchable
from mailstead.mime.parameters import Params, valued
from mailstead.model.message import Octets, PartFacts

DEPTH_MAX: Final = 100
PARTS_MAX: Final = 10_000
MISSES_MAX: Final = 1_000_000
"""Lines that look like a delimiter and are none; a message with more of them is not searched to its end."""
_DELIMITER_OCTETS_MAX: Final = 1000
OPAQUE: Final = "application/octet-stream"
_PLAIN: Final = "text/plain"
_IDENTITY: Final = frozenset({"7bit", "8bit", "binary"})
_MESSAGES: Final = frozenset({"message/rfc822", "message/global"})

_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
_CONTENT_FIELD: Final = re.compile(
    rb"\n(?i:content-(type|transfer-encoding|disposition|id|description|md5|language|location))[ \t]*:"
    rb"([^\n]*(?:\n[ \t][^\n]*)*)"
)
# RFC 2045 §5.1:  content := "Content-Type" ":" type "/" subtype
_MEDIA_TYPE: Final = re.compile(
    r"[^\s/()<>@,;:\\\"\[\]?=\x00-\x20\x7f-\xff]+/[^\s/()<>@,;:\\\"\[\]?=\x00-\x20\x7f-\xff]+"
)


class Content(NamedTuple):
    """What the Content- fields of one header say."""

    media_type: str
    params: Params
    boundary: bytes | None
    encoding: str
    disposition: str | None
    disposition_params: Params
    content_id: str | None
    description: str | None
    md5: str | None
    languages: tuple[str, ...]
    location: str | None


_UNSAID: Final = Content(_PLAIN, (), None, "7bit", None, (), None, None, None, (), None)


class _Open:
    """A part whose end is not yet known."""

    __slots__ = (
        "body_start",
        "child_count",
        "content",
        "header_start",
        "index",
        "is_message",
        "number",
        "parent",
        "prefix",
    )

    def __init__(self, index: int, number: str, parent: int, header_start: int) -> None:
        self.index = index
        self.number = number
        self.prefix = number
        """What the numbers of its parts start with."""
        self.parent = parent
        self.header_start = header_start
        self.body_start = header_start
        self.content = _UNSAID
        self.is_message = False
        self.child_count = 0


class _Delimiter(NamedTuple):
    """A delimiter line: what stands before it ends at `content_end`, what follows starts at `line_stop`."""

    content_end: int
    line_stop: int
    multipart: _Open
    is_last: bool


def part_tree(octets: Octets) -> tuple[PartFacts, ...]:
    """Find all parts of a message, depth first; the first one is the message itself.

    Spec: RFC 2046 §5.1; RFC 9051 §6.4.5.1.
    Shapes: never fails and never gives less than one part. Above a limit (depth, number, header) the part in question
    is opaque: application/octet-stream. A multipart without a delimiter line is text/plain (RFC 2045 §5.2). The body of
    a message part that is a multipart has no number in IMAP and is called after what gives it: ``2.TEXT``.
    """
    return _Scan(searchable(octets)).run()


class _Scan:
    """One pass over one message."""

    def __init__(self, octets: Octets) -> None:
        self.octets = octets
        self.size = len(octets)
        self.parts: list[PartFacts | None] = []
        self.open: list[_Open] = []
        self.boundaries: dict[bytes, list[_Open]] = {}
        self.needle = b"\n--"
        self.empty_line = (-1, -1)
        """Start and end of the first empty line at or behind the place last asked for."""
        self.misses = 0
        self.reach = 0
        """End of the part that was closed last."""

    def run(self) -> tuple[PartFacts, ...]:
        """Find all parts."""
        self._start(0, "", -1, _UNSAID)
        position = self.open[-1].body_start
        while True:
            delimiter = self._next_delimiter(position - 1, self.size) if self.boundaries else None
            if delimiter is None:
                break
            multipart = delimiter.multipart
            while self.open[-1] is not multipart:
                self._end(delimiter.content_end)
            position = delimiter.line_stop
            if delimiter.is_last:
                self._forget_boundary(multipart)
                continue
            multipart.child_count += 1
            default = _DIGEST_DEFAULT if multipart.content.media_type == "multipart/digest" else _UNSAID
            self._start(position, _child_number(multipart), multipart.index, default)
            position = self.open[-1].body_start
        while self.open:
            self._end(self.size)
        return tuple(part for part in self.parts if part is not None)

    def _start(self, position: int, number: str, parent: int, default: Content) -> None:
        """Open a part at `position`, and what lies at its very beginning: a message part's message."""
        message_number = ""
        while True:
            part = _Open(len(self.parts), number, parent, position)
            self.parts.append(None)
            is_last = len(self.parts) >= PARTS_MAX
            if is_last:
                # From here on all is one opaque part.
                self.boundaries.clear()
            part.body_start = self._header_end(position)
            content = self._content(position, part.body_start, default)
            depth = len(self.open) + 1
            self.open.append(part)
            if is_last or (depth >= DEPTH_MAX and _is_container(content)):
                content = _opaque(content)
            part.content = content
            if content.media_type.startswith("multipart/"):
                if message_number:
                    part.number, part.prefix = f"{message_number}.TEXT", message_number
                self._note_boundary(part)
                return
            if content.media_type not in _MESSAGES:
                return
            if content.encoding not in _IDENTITY:
                # Its offsets would be of no use, and BODYSTRUCTURE has no form for it. Spec: RFC 2046 §5.2.1.
                part.content = _opaque(content)
                return
            part.is_message = True
            position, parent, default = part.body_start, part.index, _UNSAID
            message_number = number or "1"
            number = f"{message_number}.1"

    def _end(self, stop: int) -> None:
        """Close the innermost open part at `stop`."""
        part = self.open.pop()
        content = part.content
        # An empty line may end a header and belong to a delimiter at once: nothing ends before what lies in it.
        body_end = self.reach = max(stop, part.body_start, self.reach)
        number = part.number
        media_type = content.media_type
        params = content.params
        if media_type.startswith("multipart/"):
            self._forget_boundary(part)
            if part.child_count == 0:
                media_type, params = _PLAIN, ()
                if number.endswith("TEXT"):
                    number = f"{part.prefix}.1"
        lines = 0
        if part.is_message or media_type.startswith("text/"):
            lines = line_count(self.octets, part.body_start, body_end)
        self.parts[part.index] = PartFacts(
            number,
            part.header_start,
            part.body_start,
            body_end,
            media_type,
            params,
            content.encoding,
            content.disposition,
            content.disposition_params,
            content.content_id,
            content.description,
            content.md5,
            content.languages,
            content.location,
            lines,
            part.parent,
            part.is_message,
        )

    def _header_end(self, position: int) -> int:
        """Give the offset behind the header that starts at `position`: behind an empty line, or at a delimiter line."""
        first = piece(self.octets, position, position + 2)
        if first[:1] == b"\n":
            return position + 1
        if first == b"\r\n":
            return position + 2
        if self.empty_line[0] < position:
            found = _EMPTY_LINE.search(self.octets, position)
            self.empty_line = found.span() if found else (self.size, self.size)
        stop = self.empty_line[1]
        if self.boundaries:
            # The line feed of the empty line may belong to a delimiter too; the header ends behind it all the same.
            delimiter = self._next_delimiter(max(position - 1, 0), stop - 1)
            if delimiter is not None:
                return max(delimiter.content_end, position)
        return stop

    def _content(self, start: int, stop: int, default: Content) -> Content:
        """Read the Content- fields of the header in [start, stop)."""
        if stop - start <= 2:
            return default
        header = piece(self.octets, start, min(stop, start + HEADER_OCTETS_MAX))
        if len(header) <= _CACHED_OCTETS:
            return _content_cached(header, default)
        content = content_of(header, default)
        if stop - start > HEADER_OCTETS_MAX or has_too_much(header):
            return _opaque(content)
        return content

    def _next_delimiter(self, start: int, stop: int) -> _Delimiter | None:
        """Find the next delimiter line of an open multipart whose line feed before it lies in [start, stop)."""
        octets, size = self.octets, self.size
        at = start
        while self.misses < MISSES_MAX:
            at = find(octets, self.needle, at, min(stop + len(self.needle) - 1, size))
            if at < 0:
                return None
            line_start = at + 3
            line_end = find(octets, b"\n", line_start, min(line_start + _DELIMITER_OCTETS_MAX, size))
            if line_end < 0:
                line_end = size if size - line_start <= _DELIMITER_OCTETS_MAX else line_start
            line = piece(octets, line_start, line_end).rstrip(b" \t\r")
            multiparts, is_last = self.boundaries.get(line), False
            if multiparts is None and line[-2:] == b"--":
                multiparts, is_last = self.boundaries.get(line[:-2]), True
            if multiparts is not None:
                # The line end before the delimiter belongs to it. Spec: RFC 2046 §5.1.1.
                content_end = at - 1 if at and octets[at - 1] == 0x0D else at
                return _Delimiter(content_end, min(line_end + 1, size), multiparts[-1], is_last)
            self.misses += 1
            at += 1
        return None

    def _note_boundary(self, part: _Open) -> None:
        """Look for the delimiter lines of this multipart from now on."""
        boundary = part.content.boundary
        if boundary and len(boundary) <= _DELIMITER_OCTETS_MAX - 10:
            self.boundaries.setdefault(boundary, []).append(part)
            self._choose_needle()

    def _forget_boundary(self, part: _Open) -> None:
        """Stop looking for the delimiter lines of this multipart."""
        boundary = part.content.boundary
        multiparts = self.boundaries.get(boundary) if boundary else None
        if boundary and multiparts and multiparts[-1] is part:
            multiparts.pop()
            if not multiparts:
                del self.boundaries[boundary]
                self._choose_needle()

    def _choose_needle(self) -> None:
        """What all open boundaries start with is searched for; with one of them open that is the boundary itself."""
        if not self.boundaries:
            return
        first, last = min(self.boundaries), max(self.boundaries)
        # As `first` sorts before `last`, it ends or differs before `last` does.
        same = next((at for at, octet in enumerate(first) if octet != last[at]), len(first))
        self.needle = b"\n--" + first[:same]


def content_of(header: bytes, default: Content = _UNSAID) -> Content:
    """Read the Content- fields of a header; of fields of one name the first counts.

    Spec: RFC 2045 §3 to §8, RFC 2183, RFC 3282, RFC 2557, RFC 1864.
    """
    found: list[tuple[bytes, bytes]] = _CONTENT_FIELD.findall(b"\n" + header)
    if not found:
        return default
    values: dict[bytes, bytes] = {}
    for name, value in found:
        values.setdefault(name.lower(), value)
    media_type, params, boundary = default.media_type, default.params, default.boundary
    if b"type" in values:
        media_type, params, boundary = valued(values[b"type"])
        if not _MEDIA_TYPE.fullmatch(media_type):
            # RFC 2045 §5.2: a Content-Type that cannot be read means plain text.
            media_type, params, boundary = _PLAIN, (), None
    encoding = "7bit"
    if b"transfer-encoding" in values:
        encoding = valued(values[b"transfer-encoding"]).value or "7bit"
    if media_type.startswith("multipart/") and encoding not in _IDENTITY:
        # RFC 2045 §6.4: nothing else is allowed here, and the offsets say that nothing else is there.
        encoding = "7bit"
    disposition: str | None = None
    disposition_params: Params = ()
    if b"disposition" in values:
        disposition, disposition_params, _ = valued(values[b"disposition"])
        disposition = disposition or "attachment"
    languages: tuple[str, ...] = ()
    if b"language" in values:
        tags = (_word(tag.partition(b"(")[0]) for tag in values[b"language"].split(b",")[:100])
        languages = tuple(tag for tag in tags if tag)
    return Content(
        media_type,
        params,
        boundary,
        encoding,
        disposition,
        disposition_params,
        _word(values.get(b"id")),
        _word(values.get(b"description")),
        _word(values.get(b"md5")),
        languages,
        _word(values.get(b"location")),
    )


# Most parts have one of a few dozen headers: a type, a charset, an encoding.
_CACHED_OCTETS: Final = 160
_content_cached = lru_cache(maxsize=4096)(content_of)

_DIGEST_DEFAULT: Final = _UNSAID._replace(media_type="message/rfc822")
"""Spec: RFC 2046 §5.1.5."""


def _word(value: bytes | None) -> str | None:
    """Give a value as it is written, unfolded; encoded words are left alone."""
    return charset.decoded(unfolded(value)) if value is not None else None


def _opaque(content: Content) -> Content:
    """Give the content of a part that is not looked into."""
    return content._replace(media_type=OPAQUE, params=(), boundary=None)


def _is_container(content: Content) -> bool:
    return content.media_type.startswith("multipart/") or content.media_type in _MESSAGES


def _child_number(multipart: _Open) -> str:
    """Give the section number of the newest child. Spec: RFC 9051 §6.4.5.1."""
    prefix = multipart.prefix
    return f"{prefix}.{multipart.child_count}" if prefix else str(multipart.child_count)
