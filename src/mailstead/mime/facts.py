"""All that is computed once about a message, at append.

Read on in `tree` (parts), `summary` and `structure` (what FETCH gives), `preview`, `subject`.

Spec: RFC 9051 §7.5.2, RFC 5256 §2 and §3, RFC 5957, RFC 8970.
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import Final

from mailstead.mime.address import addresses_of, display_name
from mailstead.mime.date import date_of
from mailstead.mime.header import HEADER_OCTETS_MAX, raw_fields, text_of, unfolded
from mailstead.mime.octets import piece, searchable
from mailstead.mime.preview import preview_of
from mailstead.mime.section import LISTED_FIELDS
from mailstead.mime.structure import body_structure
from mailstead.mime.subject import base_subject
from mailstead.mime.summary import summary_of
from mailstead.mime.text import fold
from mailstead.mime.tree import part_tree
from mailstead.model.message import MessageFacts, Octets

REFERENCES_MAX: Final = 200
"""Of a longer list the first (the thread's root) and the last ones (the nearest ancestors) are kept."""
_MESSAGE_ID_OCTETS_MAX: Final = 998

# RFC 5322 §3.6.4:  msg-id = [CFWS] "<" id-left "@" id-right ">" [CFWS]
# RFC 5256 §3 wants what lies between the brackets, a quoted local part unquoted.
_MESSAGE_ID: Final = re.compile(rb"<([^<>]{1,998})>")
_FOLDED: Final = re.compile(rb"[ \t\r\n]+")
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
_QUOTED_LOCAL_PART: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"(@.*)', re.DOTALL)
_LISTED: Final = frozenset(name.encode() for name in LISTED_FIELDS)


def message_facts(octets: Octets) -> MessageFacts:
    """Compute the facts of a message; any octets are a message.

    Spec: RFC 9051 §7.5.2; RFC 5256 §2.1, §2.2, §3; RFC 5957 §2; RFC 8970 §3.
    Shapes: octets may be bytes, bytearray or memoryview; bodies are not copied but for the preview's few KiB.
    """
    octets = searchable(octets)
    parts = part_tree(octets)
    header_octets = parts[0].body_start
    values: dict[bytes, bytes] = {}
    listed: list[bytes] = []
    for name, value in raw_fields(piece(octets, 0, min(header_octets, HEADER_OCTETS_MAX))):
        key = name.lower()
        if key[-1] in b" \t":
            key = key.rstrip()
        if key in _LISTED:
            listed.append(b"%b:%b\r\n" % (name, value.rstrip(b"\r")))
        if key not in values:
            values[key] = value

    subject = text_of(values.get(b"subject", b""))
    base, is_reply = base_subject(subject)
    sent = date_of(values[b"date"]) if b"date" in values else None
    try:
        sent_at = sent.astimezone(UTC) if sent is not None else None
    except OverflowError:
        sent, sent_at = None, None
    sort_from, display_from = _first_address(values.get(b"from"))
    sort_to, display_to = _first_address(values.get(b"to"))
    message_ids = message_ids_in(values.get(b"message-id", b""))
    return MessageFacts(
        size_octets=len(octets),
        header_octets=header_octets,
        header_summary=summary_of(values),
        body_structure=body_structure(octets, parts),
        parts=parts,
        listed_header=b"".join(listed),
        message_id=message_ids[0] if message_ids else None,
        references=_references(values.get(b"references"), values.get(b"in-reply-to")),
        sent_at=sent_at,
        sent_on=sent.toordinal() if sent is not None else None,
        subject=subject,
        base_subject=base,
        is_reply=is_reply,
        sort_from=sort_from,
        sort_to=sort_to,
        sort_cc=_first_address(values.get(b"cc"))[0],
        display_from=display_from,
        display_to=display_to,
        preview=preview_of(octets, parts),
    )


def _first_address(value: bytes | None) -> tuple[str, str]:
    """Give sort and display key of the first address of a field: local part, and name or address.

    Spec: RFC 5256 §3 (FROM: addr-mailbox of the first address), RFC 5957 §2.
    """
    addresses = addresses_of(value) if value else ()
    if not addresses:
        return "", ""
    first = addresses[0]
    return fold(text_of(first.local_part or b"")), display_name(first)


def message_ids_in(value: bytes) -> list[str]:
    """Give the message-ids of a field, normalised: without brackets, white space and needless quotes.

    Spec: RFC 5256 §3 (REFERENCES, normalisation), RFC 5322 §3.6.4.
    """
    message_ids: list[str] = []
    for raw in _MESSAGE_ID.findall(value):
        quoted = _QUOTED_LOCAL_PART.fullmatch(raw.strip())
        if quoted:
            octets = unfolded(_QUOTED_PAIR.sub(rb"\1", quoted[1])) + _FOLDED.sub(b"", quoted[2])
        else:
            octets = _FOLDED.sub(b"", raw)
        message_ids.append(text_of(octets))
    if not message_ids and value:
        # Some senders leave the brackets away; a lone word with an @ is taken as meant.
        octets = unfolded(value)
        if b"@" in octets and not _FOLDED.search(octets) and len(octets) <= _MESSAGE_ID_OCTETS_MAX:
            message_ids.append(text_of(octets.strip(b"<>")))
    return message_ids


def _references(references: bytes | None, in_reply_to: bytes | None) -> tuple[str, ...]:
    """Give the ancestors, oldest first: References, else the first id of In-Reply-To. Spec: RFC 5256 §3."""
    message_ids = message_ids_in(references) if references else []
    if not message_ids and in_reply_to:
        message_ids = message_ids_in(in_reply_to)[:1]
    if len(message_ids) > REFERENCES_MAX:
        message_ids = message_ids[:1] + message_ids[1 - REFERENCES_MAX :]
    return tuple(message_ids)
