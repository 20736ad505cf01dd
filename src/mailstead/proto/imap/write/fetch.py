"""FETCH responses, by columns: lists of 10,000 messages are one template and a join.

Each item is a column of values, one per message; the columns are zipped into one ``%`` template. That keeps the work
per message in C: no call per item, no object beside the values themselves.

Spec: RFC 9051 §7.5.2; RFC 7162 §3.1 (MODSEQ), RFC 8474 §5 (EMAILID, THREADID), RFC 8514 (SAVEDATE), RFC 8970 (PREVIEW).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mailstead.model.message import FlagChange, MessageRecord, Wanted
from mailstead.proto.imap.types.fetch import Attribute
from mailstead.proto.imap.write import values
from mailstead.proto.imap.write.body import basic_body


class Column(NamedTuple):
    """One item of a FETCH response for many messages."""

    template: bytes
    """With one ``%d`` or ``%b``, like ``UID %d``."""
    values: Sequence[object]


WANTED = {
    Attribute.ENVELOPE: Wanted.SUMMARY,
    Attribute.BODY: Wanted.STRUCTURE,
    Attribute.BODYSTRUCTURE: Wanted.STRUCTURE,
    Attribute.PREVIEW: Wanted.PREVIEW,
}
"""Which wide columns of a record an attribute needs; the others are narrow."""


def attribute_column(attribute: Attribute, records: Sequence[MessageRecord], *, is_utf8: bool = False) -> Column:
    """Make the column of one attribute; the records must hold what `WANTED` says."""
    match attribute:
        case Attribute.UID:
            return Column(b"UID %d", [record.uid for record in records])
        case Attribute.FLAGS:
            flag_text = values.flag_text
            return Column(b"FLAGS (%b)", [flag_text(record.flags) for record in records])
        case Attribute.INTERNALDATE:
            write_date = values.internaldate
            dates = [write_date(record.internaldate_s, record.zone_minutes) for record in records]
            return Column(b"INTERNALDATE %b", dates)
        case Attribute.SIZE:
            return Column(b"RFC822.SIZE %d", [record.size_octets for record in records])
        case Attribute.ENVELOPE:
            return Column(b"ENVELOPE %b", [record.header_summary for record in records])
        case Attribute.BODYSTRUCTURE:
            return Column(b"BODYSTRUCTURE %b", [record.body_structure for record in records])
        case Attribute.BODY:
            return Column(b"BODY %b", [basic_body(record.body_structure or b"NIL") for record in records])
        case Attribute.MODSEQ:
            return Column(b"MODSEQ (%d)", [record.modseq for record in records])
        case Attribute.EMAILID:
            return Column(b"EMAILID (%b)", [record.email_id.encode("ascii") for record in records])
        case Attribute.THREADID:
            return Column(b"THREADID (%b)", [record.thread_id.encode("ascii") for record in records])
        case Attribute.SAVEDATE:
            return Column(b"SAVEDATE %b", [values.internaldate(record.savedate_s) for record in records])
        case Attribute.PREVIEW:
            texts = [values.text_string(record.preview or "", is_utf8=is_utf8) for record in records]
            return Column(b"PREVIEW %b", texts)


def value_column(label: bytes, encoded: Sequence[bytes]) -> Column:
    """Make a column of values that are on the wire's terms already (`values.nstring`, `values.literal`)."""
    return Column(label.replace(b"%", b"%%") + b" %b", encoded)


def fetch_lines(seqnums: Sequence[int], columns: Sequence[Column]) -> list[bytes]:
    """Write one whole FETCH response per message."""
    template = b"* %d FETCH (" + b" ".join([column.template for column in columns]) + b")\r\n"
    return [template % row for row in zip(seqnums, *[column.values for column in columns], strict=True)]


def fetch_heads(seqnums: Sequence[int], columns: Sequence[Column]) -> list[bytes]:
    """Write each response up to where a long item follows (`literal_head`), with a space if something stands there."""
    template = b"* %d FETCH (" + b"".join([column.template + b" " for column in columns])
    return [template % row for row in zip(seqnums, *[column.values for column in columns], strict=True)]


FETCH_TAIL = b")\r\n"
"""What follows the last long item."""


def literal_head(label: bytes, size_octets: int, *, is_literal8: bool = False) -> bytes:
    """Write ``BODY[] {n}CRLF``; exactly so many octets must follow. Spec: RFC 9051 §4.3, RFC 3516 §4.2 (``~``)."""
    return b"%b %b{%d}\r\n" % (label, b"~" if is_literal8 else b"", size_octets)


def flag_lines(
    seqnums: Sequence[int], changed: Sequence[FlagChange], *, with_uid: bool, with_modseq: bool, with_flags: bool = True
) -> bytes:
    """Write FETCH responses that tell flags (or, `with_flags` False, only the modseq of a .SILENT STORE)."""
    columns: list[Column] = []
    if with_uid:
        columns.append(Column(b"UID %d", [change.uid for change in changed]))
    if with_modseq:
        columns.append(Column(b"MODSEQ (%d)", [change.modseq for change in changed]))
    if with_flags:
        columns.append(Column(b"FLAGS (%b)", [values.flag_text(change.flags) for change in changed]))
    return b"".join(fetch_lines(seqnums, columns)) if columns else b""
