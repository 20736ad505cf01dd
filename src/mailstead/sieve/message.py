"""The message as a script sees it, and as it changes it: header fields, parts, texts.

Nothing is read before a script asks for it, and nothing twice.

Spec: RFC 5228 §2.4.2.2 (header fields), §2.7.2 (comparisons are on decoded values).
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mailstead.mime import charset
from mailstead.mime.address import ListedAddress, addresses_of
from mailstead.mime.binary import decoded_part
from mailstead.mime.header import HEADER_FIELDS_MAX, HEADER_OCTETS_MAX, fields, header_end, text_of
from mailstead.mime.html import text_of_html
from mailstead.mime.octets import piece
from mailstead.mime.tree import part_tree
from mailstead.model.message import PartFacts
from mailstead.sieve.budget import Budget
from mailstead.sieve.errors import RunProblem
from mailstead.sieve.facts import Facts

BODY_OCTETS_MAX: Final = 1 << 20
"""Of the body, or of one part of it, that scripts look at; what lies behind is not found."""
_LINE_CHARACTERS: Final = 76
_WORD_OCTETS: Final = 39
"""Encoded in one word; short enough for a line that begins with a long name."""
_CONTROL: Final = re.compile(r"[ \t]*[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]+[ \t]*")
_SPACES: Final = re.compile(r"(?<=[^ \t])[ \t]")


class HeaderField:
    """One field of a header, or a line between fields that is none (with an empty name)."""

    __slots__ = ("_text", "name", "octets", "raw")

    def __init__(self, name: bytes, raw: bytes, octets: bytes) -> None:
        self.name = name
        """In lower case."""
        self.raw = raw
        """The value as it stands in the message."""
        self.octets = octets
        """The whole field with its line end."""
        self._text: str | None = None

    @property
    def text(self) -> str:
        """The decoded value, without white space around it."""
        if self._text is None:
            self._text = text_of(self.raw).strip()
        return self._text


def header_fields(header: bytes) -> list[HeaderField]:
    """Cut a header into its fields; all its octets but the empty line at its end are in one of them."""
    cut: list[HeaderField] = []
    end = 0
    for found in fields(header):
        if found.start > end:
            cut.append(HeaderField(b"", b"", header[end : found.start]))
        end = header.find(b"\n", found.stop) + 1 or len(header)
        cut.append(HeaderField(found.name, header[found.value_start : found.stop], header[found.start : end]))
    rest = header[end:]
    if rest.strip(b"\r\n"):
        cut.append(HeaderField(b"", b"", rest.rstrip(b"\r\n") + b"\r\n"))
    return cut


class Message:
    """One message during one run."""

    def __init__(self, facts: Facts, budget: Budget) -> None:
        self.octets = facts.octets
        self.size_octets = len(facts.octets)
        self.is_changed = False
        self._budget = budget
        self._parts = facts.parts
        self._body_start = header_end(self.octets) if facts.parts is None else facts.parts[0].body_start
        header = piece(self.octets, 0, min(self._body_start, HEADER_OCTETS_MAX))
        budget.spend(1 + (len(header) >> 8))
        self._fields = header_fields(header)
        self._by_name: dict[str, list[HeaderField]] | None = None
        self._part_fields: dict[int, list[HeaderField]] = {}
        self._part_texts: dict[int, str] = {}
        self._raw_body: str | None = None
        self._header: bytes | None = None
        self._header_octets = len(header)

    def named(self, name: str, part: int = 0) -> Sequence[HeaderField]:
        """Give the fields of a name (in any case) of the message, or of one of its parts, in their order."""
        if part:
            wanted = name.lower().encode("utf-8", "replace")
            all_fields = self._fields_of(part)
            self._budget.spend(1 + (len(all_fields) >> 3))
            return [field for field in all_fields if field.name == wanted]
        if self._by_name is None:
            self._by_name = {}
            for field in self._fields:
                self._by_name.setdefault(field.name.decode("latin-1"), []).append(field)
        return self._by_name.get(name.lower(), ())

    def first(self, name: str) -> str:
        """Give the decoded value of the first field of a name; empty when there is none."""
        found = self.named(name)
        return found[0].text if found else ""

    def addresses(self, field: HeaderField) -> Iterable[ListedAddress]:
        """Give the addresses in a field, without the marks of groups."""
        self._budget.spend(1 + (len(field.raw) >> 4))
        return [address for address in addresses_of(field.raw) if address.domain is not None]

    @property
    def parts(self) -> Sequence[PartFacts]:
        """The MIME parts as they came, the message itself first."""
        if self._parts is None:
            self._budget.spend(1 + (self.size_octets >> 12))
            self._parts = part_tree(self.octets)
            self._budget.spend(len(self._parts))
        return self._parts

    def below(self, part: int) -> list[int]:
        """Give all parts inside a part, depth first."""
        parts = self.parts
        inside = {part}
        found: list[int] = []
        for index in range(part + 1, len(parts)):
            if parts[index].parent not in inside:
                break
            inside.add(index)
            found.append(index)
        self._budget.spend(1 + (len(found) >> 3))
        return found

    def _fields_of(self, part: int) -> list[HeaderField]:
        cached = self._part_fields.get(part)
        if cached is None:
            facts = self.parts[part]
            header = piece(
                self.octets, facts.header_start, min(facts.body_start, facts.header_start + HEADER_OCTETS_MAX)
            )
            self._budget.spend(1 + (len(header) >> 8))
            cached = self._part_fields[part] = header_fields(header)
        return cached

    def part_text(self, part: int) -> str:
        """Give the decoded text of a part: HTML as text, other types as their octets say. Spec: RFC 5173 §5."""
        cached = self._part_texts.get(part)
        if cached is None:
            facts = self.parts[part]
            text = self.part_characters(part)
            if facts.media_type == "text/html":
                self._budget.spend(len(text) >> 4)
                text = text_of_html(text)
            cached = text
            self._part_texts[part] = cached
        return cached

    def part_characters(self, part: int) -> str:
        """Give the content of a part with its transfer encoding and charset undone."""
        facts = self.parts[part]
        raw = piece(self.octets, facts.body_start, min(facts.body_end, facts.body_start + BODY_OCTETS_MAX))
        self._budget.spend(1 + (len(raw) >> 7))
        content = decoded_part(raw, facts.encoding)
        label = next((value for name, value in facts.params if name == "charset"), None)
        return charset.decoded(raw if content is None else content, label)

    def piece_text(self, start: int, stop: int) -> str:
        """Give a piece of the message as text, nothing undone."""
        raw = piece(self.octets, start, min(stop, start + BODY_OCTETS_MAX))
        self._budget.spend(1 + (len(raw) >> 8))
        return charset.decoded(raw)

    def raw_body(self) -> str:
        """Give the body as it came, nothing undone. Spec: RFC 5173 §5.1."""
        if self._raw_body is None:
            self._raw_body = self.piece_text(self._body_start, self.size_octets)
        return self._raw_body

    def header(self) -> bytes | None:
        """Give the header as it was changed, with its empty line; None: it is as it came."""
        if not self.is_changed:
            return None
        if self._header is None:
            self._budget.spend(1 + (self._header_octets >> 8))
            self._header = b"".join(field.octets for field in self._fields) + b"\r\n"
        return self._header

    def add_field(self, name: str, value: str, *, is_last: bool) -> None:
        """Put a field at the top of the header, or at its end. Spec: RFC 5293 §4.

        Errors: RunProblem, when the header gets too large.
        """
        field = made_field(name, value)
        self._header_octets += len(field.octets)
        if self._header_octets > HEADER_OCTETS_MAX or len(self._fields) >= HEADER_FIELDS_MAX:
            raise RunProblem("With the field that is to be added the header gets too large")
        self._budget.spend(1 + (len(self._fields) >> 6) + (len(value) >> 3))
        self._fields.insert(len(self._fields) if is_last else 0, field)
        self._changed()

    def remove_fields(self, unwanted: Iterable[HeaderField]) -> None:
        """Take fields out of the header. Spec: RFC 5293 §5."""
        gone = {id(field) for field in unwanted}
        if gone:
            self._budget.spend(1 + (len(self._fields) >> 3))
            self._fields = [field for field in self._fields if id(field) not in gone]
            self._header_octets = sum(len(field.octets) for field in self._fields)
            self._changed()

    def _changed(self) -> None:
        self.is_changed = True
        self._header = None
        self._by_name = None


def made_field(name: str, value: str) -> HeaderField:
    """Make a header field: control characters become spaces, what is not ASCII encoded words, long lines are folded.

    Spec: RFC 5293 §4, RFC 2047 §5, RFC 5322 §2.1.1.
    """
    value = _CONTROL.sub(" ", value).strip()
    if not value.isascii():
        value = "\r\n ".join(_encoded_words(value))
    elif len(name) + len(value) + 2 > _LINE_CHARACTERS:
        value = _folded(value, len(name) + 2)
    raw = b" " + value.encode()
    return HeaderField(name.lower().encode(), raw, b"%b:%b\r\n" % (name.encode(), raw))


def _encoded_words(value: str) -> Iterator[str]:
    """Encode a text in words of whole characters, each short enough for a line of its own. Spec: RFC 2047 §2, §5."""
    characters = bytearray()
    for character in value:
        octets = character.encode("utf-8", "replace")
        if len(characters) + len(octets) > _WORD_OCTETS:
            yield f"=?utf-8?b?{b64encode(characters).decode()}?="
            characters.clear()
        characters += octets
    yield f"=?utf-8?b?{b64encode(characters).decode()}?="


def _folded(value: str, used: int) -> str:
    """Break a line before words that would go over its end."""
    lines: list[str] = []
    line_start = last_space = 0
    for found in _SPACES.finditer(value):
        if found.start() - line_start + used > _LINE_CHARACTERS and last_space > line_start:
            lines.append(value[line_start:last_space])
            line_start, used = last_space, 0
        last_space = found.start()
    if len(value) - line_start + used > _LINE_CHARACTERS and last_space > line_start:
        lines.append(value[line_start:last_space])
        line_start = last_space
    lines.append(value[line_start:])
    return "\r\n".join(lines)
