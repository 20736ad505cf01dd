"""Messages as signatures see them: fields and bodies in a canonical form, each computed once and shared.

Everything works on whole octets (`find`, `replace`, `split`), never on single ones. A large body passes in pieces,
so that neither memory nor the interpreter is held for long.

Spec: RFC 6376 §3.4, §5.4.2; RFC 8617 §5.1.1 (the same forms for ARC).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum
from hashlib import sha256
from typing import Final, NamedTuple

from mailstead.mime.header import header_end, raw_fields
from mailstead.mime.octets import find, piece, searchable
from mailstead.model.message import Octets

PIECE_OCTETS: Final = 1 << 18
_LOOK_OCTETS: Final = 1 << 12

_FOLD: Final = re.compile(rb"\r?\n")
_SPACES: Final = re.compile(rb"[ \t]+")
_LETTER: Final = re.compile(rb"[^ \t\r\n]")


class Form(Enum):
    """A canonicalization algorithm."""

    SIMPLE = b"simple"
    RELAXED = b"relaxed"

    __hash__ = object.__hash__
    """Each is there once; the one of Enum is written in Python, and each signature asks often."""


class BodyHash(NamedTuple):
    """SHA-256 of a canonical body, and how many octets that body has."""

    digest: bytes
    size: int


class CanonicalMessage:
    """One message for any number of signatures: fields are indexed and bodies hashed at most once per form."""

    def __init__(self, octets: Octets) -> None:
        self._octets = searchable(octets)
        self._body_start = header_end(self._octets)
        header = piece(self._octets, 0, self._body_start)
        self._relax = _relaxed_quickly if _has_plain_spaces(header) else _relaxed_exactly
        self._fields: dict[bytes, list[tuple[bytes, bytes]]] = {}
        for field in raw_fields(header):
            self._fields.setdefault(field[0].lower().rstrip(), []).append(field)
        self._selected: dict[tuple[tuple[bytes, ...], Form], bytes] = {}
        self._body_hashes: dict[Form, BodyHash] = {}

    @property
    def body_octets(self) -> int:
        """Size of the body as it is."""
        return len(self._octets) - self._body_start

    def names(self) -> Iterable[bytes]:
        """Give the names of all fields, each once, in lower case."""
        return self._fields

    def count(self, name: bytes) -> int:
        """Give how many fields have this name (in lower case)."""
        return len(self._fields.get(name, ()))

    def fields(self, name: bytes) -> list[tuple[bytes, bytes]]:
        """Give name and raw value of all fields of a name (in lower case), from the top."""
        return self._fields.get(name, [])

    def canonical_field(self, field: tuple[bytes, bytes], form: Form) -> bytes:
        """Give one field in a canonical form, with CRLF. Spec: RFC 6376 §3.4.1, §3.4.2."""
        name, value = field
        if form is Form.SIMPLE:
            return b"%b:%b\r\n" % (name, value.removesuffix(b"\r"))
        return b"%b:%b\r\n" % (name.lower().rstrip(), self._relax(value))

    def selected(self, names: tuple[bytes, ...], form: Form) -> bytes:
        """Join the fields that an ``h=`` list chooses; names in lower case.

        Each further mention of a name is the next field of that name towards the top; mentions of fields that are not
        there give nothing. Spec: RFC 6376 §5.4.2.
        """
        key = (names, form)
        found = self._selected.get(key)
        if found is None:
            found = self._selected[key] = self._joined(names, form)
        return found

    def _joined(self, names: tuple[bytes, ...], form: Form) -> bytes:
        relax, all_fields = self._relax, self._fields
        above: dict[bytes, int] = {}
        chosen: list[bytes] = []
        for name in names:
            fields = all_fields.get(name)
            if fields is None:
                continue
            at = above.get(name, len(fields)) - 1
            if at >= 0:
                above[name] = at
                # Written out for the form that nearly all signatures have: this is the innermost loop.
                chosen.append(
                    b"%b:%b\r\n" % (name, relax(fields[at][1]))
                    if form is Form.RELAXED
                    else self.canonical_field(fields[at], form)
                )
        return b"".join(chosen)

    def body_hash(self, form: Form) -> BodyHash:
        """Hash the canonical body. Spec: RFC 6376 §3.4.3, §3.4.4, §3.7."""
        if form not in self._body_hashes:
            hashed = self._simple_body_hash() if form is Form.SIMPLE else self._relaxed_body_hash()
            self._body_hashes[form] = hashed
        return self._body_hashes[form]

    def has_body_hash(self, digest: bytes, form: Form) -> bool:
        """Whether the body is the one that was hashed to `digest`.

        Most bodies arrive as they were hashed. So the octets as they are come first also for the relaxed form: if they
        have the digest, they are the very octets that were signed, and looking for white space would tell no more.
        """
        simple = self.body_hash(Form.SIMPLE)
        if simple.digest == digest and (form is Form.SIMPLE or simple.size > len(b"\r\n")):
            return True
        return form is Form.RELAXED and self.body_hash(Form.RELAXED).digest == digest

    def _simple_body_hash(self) -> BodyHash:
        size = len(self._octets)
        end = piece(self._octets, max(self._body_start, size - 4), size)
        if end.endswith(b"\r\n") and end != b"\r\n\r\n":
            # As nearly all bodies are: nothing is to be cut off or added.
            with memoryview(self._octets) as octets:
                return BodyHash(sha256(octets[self._body_start :]).digest(), size - self._body_start)
        # RFC 6376 §3.4.3:  *CRLF at the end of the body is one CRLF, and so is nothing at all.
        stop = _stop_before(self._octets, self._body_start, b"\r\n")
        tail = piece(self._octets, stop, len(self._octets))
        stop += len(tail) - _line_ends_octets(tail)
        with memoryview(self._octets) as octets:
            hashed = sha256(octets[self._body_start : stop])
        hashed.update(b"\r\n")
        return BodyHash(hashed.digest(), stop - self._body_start + 2)

    def _relaxed_body_hash(self) -> BodyHash:
        hashed = sha256()
        size = 0
        for text in relaxed_body(self._octets, self._body_start):
            hashed.update(text)
            size += len(text)
        return BodyHash(hashed.digest(), size)


def relaxed_body(octets: Octets, start: int = 0) -> Iterator[bytes]:
    """Yield the body that begins at `start` in relaxed form, in pieces.

    Spec: RFC 6376 §3.4.4.
    """
    stop = _stop_before(octets, start, b" \t\r\n")
    at = start
    while at < stop:
        # Cut behind a line end, in an endless line behind a letter: elsewhere white space may belong together.
        line_end = find(octets, b"\n", at + PIECE_OCTETS, min(stop, at + 2 * PIECE_OCTETS))
        letter = _LETTER.search(octets, at + PIECE_OCTETS, stop) if line_end < 0 else None
        cut = line_end + 1 if line_end >= 0 else letter.end() if letter else stop
        yield _relaxed_lines(piece(octets, at, cut))
        at = cut
    tail = piece(octets, stop, len(octets))
    if tail.count(b"\r\n") == tail.count(b"\r") == tail.count(b"\n"):
        tail = b""  # white space and empty lines only, of any length
    tail = _relaxed_lines(tail).rstrip(b" ")
    tail = tail[: len(tail) - _line_ends_octets(tail)]
    if stop > start or tail:
        yield tail + b"\r\n"


def _relaxed_lines(text: bytes) -> bytes:
    if b"\t" in text:
        text = text.replace(b"\t", b" ")
    while b"  " in text:
        # Halves each run: few rounds, and no object for each run as `split` would make (attack row 29).
        text = text.replace(b"  ", b" ")
    return text.replace(b" \r\n", b"\r\n")


def _stop_before(octets: Octets, start: int, ending: bytes) -> int:
    """Give the end of what is left when octets of `ending` are taken off the end."""
    stop = len(octets)
    while stop > start:
        looked_at = piece(octets, max(start, stop - _LOOK_OCTETS), stop)
        left = len(looked_at.rstrip(ending))
        stop -= len(looked_at) - left
        if left:
            break
    return stop


def _line_ends_octets(tail: bytes) -> int:
    """Give how many octets of whole CRLFs there are at the end."""
    line_feeds, returns = tail[::-2], tail[-2::-2]
    return 2 * min(
        len(line_feeds) - len(line_feeds.lstrip(b"\n")),
        len(returns) - len(returns.lstrip(b"\r")),
    )


def _has_plain_spaces(header: bytes) -> bool:
    """Whether `bytes.split` finds just what the RFC calls white space: no VT, no FF, no bare CR or LF."""
    line_ends = header.count(b"\r\n")
    return header.count(b"\n") == line_ends == header.count(b"\r") and b"\v" not in header and b"\f" not in header


def _relaxed_quickly(value: bytes) -> bytes:
    return b" ".join(value.split())


def _relaxed_exactly(value: bytes) -> bytes:
    return _SPACES.sub(b" ", _FOLD.sub(b"", value.removesuffix(b"\r"))).strip(b" ")
