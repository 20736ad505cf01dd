"""What a FETCH needs of the store, and how its answers are put together.

Items fall in three groups. *Columns* come straight from the records of a list. *Listed* header fields are picked out of
what was kept beside the record at append. The rest are *asks* for message octets: a range, and perhaps a transform.

Spec: RFC 9051 §6.4.5, §7.5.2; RFC 3516 §4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, cast

from mailstead.mime.binary import IDENTITY, KNOWN, decoded_part, decoded_size
from mailstead.mime.section import LISTED_FIELDS, PickFields, What, fields_picker, index_of, section_range
from mailstead.model.message import MessageRecord, OctetRange, PartFacts, Wanted
from mailstead.proto.imap.types.fetch import (
    Attribute,
    BinarySection,
    BinarySize,
    BodySection,
    FetchItem,
    SectionText,
)
from mailstead.proto.imap.write import fetch as write
from mailstead.proto.imap.write import values
from mailstead.services.imap.errors import Refused

OctetItem = BodySection | BinarySection | BinarySize

_FIELDS: Final = (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)


class Ask(NamedTuple):
    """Octets that one item of one message needs."""

    octet_range: OctetRange
    label: bytes
    is_literal8: bool = False
    """Whether the octets go out as they are, NULs too; elsewhere `values.without_nul`. Spec: RFC 3516 §4.2."""
    transform: Callable[[bytes], bytes] | None = None
    """Makes the whole item for the wire out of the octets; None: they go out as a literal, piece by piece."""


class Plan(NamedTuple):
    """The items of one FETCH, sorted by what they need."""

    attributes: tuple[Attribute, ...]
    listed: tuple[tuple[BodySection, PickFields], ...]
    octet_items: tuple[OctetItem, ...]
    wanted: Wanted

    def columns(self, records: Sequence[MessageRecord], *, is_utf8: bool) -> list[write.Column]:
        """Make the columns that need no message octets."""
        columns = [write.attribute_column(attribute, records, is_utf8=is_utf8) for attribute in self.attributes]
        for item, pick in self.listed:
            texts = [pick(record.listed_header or b"") for record in records]
            if item.partial is not None:
                first, count = item.partial
                texts = [text[first : first + count] for text in texts]
            columns.append(write.value_column(item.label, [b"{%d}\r\n%b" % (len(text), text) for text in texts]))
        return columns


def plan_of(items: Sequence[FetchItem]) -> Plan:
    """Sort the items of a FETCH; each is among them once (attack row 44: the parser has seen to it)."""
    attributes: list[Attribute] = []
    listed: list[tuple[BodySection, PickFields]] = []
    octet_items: list[OctetItem] = []
    wanted = Wanted.NARROW
    for item in dict.fromkeys(items):
        if isinstance(item, Attribute):
            attributes.append(item)
            wanted |= write.WANTED.get(item, Wanted.NARROW)
        elif isinstance(item, BodySection) and _is_listed(item):
            listed.append((item, fields_picker(_names(item))))
            wanted |= Wanted.LISTED_HEADER
        else:
            octet_items.append(item)
            if _needs_parts(item):
                wanted |= Wanted.PARTS
    return Plan(tuple(attributes), tuple(listed), tuple(octet_items), wanted)


def marks_seen(items: Sequence[FetchItem]) -> bool:
    r"""Whether these items set \Seen. Spec: RFC 9051 §6.4.5."""
    return any(isinstance(item, BodySection | BinarySection) and not item.is_peek for item in items)


def _names(item: BodySection) -> frozenset[str]:
    return frozenset(name.lower() for name in item.section.fields)


def _is_listed(item: BodySection) -> bool:
    section = item.section
    return section.text is SectionText.HEADER_FIELDS and not section.part and _names(item) <= LISTED_FIELDS


def _needs_parts(item: OctetItem) -> bool:
    """Whether the part offsets are needed: not for the message as a whole, its header or its text."""
    return bool(item.section.part if isinstance(item, BodySection) else item.part)


def ask_for(item: OctetItem, record: MessageRecord) -> Ask | bytes:
    """Give what an item needs of a message's octets, or the item itself where nothing needs to be read.

    Errors: Refused with UNKNOWN-CTE. Spec: RFC 3516 §4.3.
    """
    if isinstance(item, BodySection):
        return _ask_for_section(item, record)
    return _ask_for_binary(item, record)


def _ask_for_section(item: BodySection, record: MessageRecord) -> Ask | bytes:
    section = item.section
    text = section.text
    if section.part:
        what = "HEADER" if text in _FIELDS else text.value
        found = section_range(_parts(record), section.part, cast("What", what))
        if found is None:
            return item.label + b" NIL"
        start, stop = found
    else:
        is_text = text is SectionText.TEXT
        start = record.header_octets if is_text else 0
        stop = record.size_octets if is_text or text is SectionText.ALL else record.header_octets
    if text in _FIELDS:
        pick = fields_picker(_names(item), negate=text is SectionText.HEADER_FIELDS_NOT)
        octet_range = OctetRange(record.blob_id, start, stop)
        return Ask(octet_range, item.label, transform=lambda header: _literal(item, pick(header)))
    return _raw(item, record, start, stop)


def _raw(
    item: BodySection | BinarySection, record: MessageRecord, start: int, stop: int, *, is_literal8: bool = False
) -> Ask | bytes:
    """Ask for octets as they are, clipped to the part that was asked for. Spec: RFC 9051 §6.4.5.2 (partial)."""
    if item.partial is not None:
        first, count = item.partial
        start = min(start + first, stop)
        stop = min(start + count, stop)
    if start >= stop:
        return item.label + b' ""'
    return Ask(OctetRange(record.blob_id, start, stop), item.label, is_literal8)


def _ask_for_binary(item: BinarySection | BinarySize, record: MessageRecord) -> Ask | bytes:
    if not item.part:
        if isinstance(item, BinarySize):
            return b"%b %d" % (item.label, record.size_octets)
        return _raw(item, record, 0, record.size_octets, is_literal8=True)
    parts = _parts(record)
    index = index_of(parts, item.part)
    if index is None:
        return item.label + (b" 0" if isinstance(item, BinarySize) else b" NIL")
    part = parts[index]
    is_whole = part.media_type.startswith(("multipart/", "message/"))
    encoding = "binary" if is_whole and part.encoding not in KNOWN else part.encoding
    if encoding not in KNOWN:
        raise Refused("The encoding of that part is not known here", b"UNKNOWN-CTE")
    start, stop = part.body_start, part.body_end
    if encoding in IDENTITY:
        if isinstance(item, BinarySize):
            return b"%b %d" % (item.label, stop - start)
        return _raw(item, record, start, stop, is_literal8=part.encoding == "binary")
    octet_range = OctetRange(record.blob_id, start, stop)
    if isinstance(item, BinarySize):
        return Ask(
            octet_range,
            item.label,
            transform=lambda octets: b"%b %d" % (item.label, decoded_size(octets, encoding) or 0),
        )
    return Ask(octet_range, item.label, transform=lambda octets: _literal(item, decoded_part(octets, encoding) or b""))


def _literal(item: BodySection | BinarySection, octets: bytes) -> bytes:
    if item.partial is not None:
        first, count = item.partial
        octets = octets[first : first + count]
    if isinstance(item, BodySection):
        octets = values.without_nul(octets)
    return b"%b %b" % (item.label, values.literal(octets))


def _parts(record: MessageRecord) -> tuple[PartFacts, ...]:
    assert record.parts is not None
    return record.parts
