"""FETCH items. Spec: RFC 9051 §6.4.5, §9 (fetch-att); RFC 3516 §6; RFC 8970 §6; RFC 8474 §7; RFC 8514; RFC 7162 §7."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from mailstead.proto.imap.parse.cursor import Cursor, Refusal
from mailstead.proto.imap.types.commands import Fetch
from mailstead.proto.imap.types.fetch import (
    Attribute,
    BinarySection,
    BinarySize,
    BodySection,
    FetchItem,
    Section,
    SectionText,
)
from mailstead.proto.imap.types.search import PartialRange
from mailstead.proto.imap.write import values

ITEMS_MAX: Final = 10_000
"""Items and header fields of one FETCH (attack row 42)."""

_FAST: Final = (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE)
# macro = "ALL" / "FAST" / "FULL"
_MACROS: Final = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, Attribute.ENVELOPE),
    b"FULL": (*_FAST, Attribute.ENVELOPE, Attribute.BODY),
}
_ATTRIBUTES: Final = {attribute.value: attribute for attribute in Attribute}
# RFC 3501 §6.4.5: RFC822 is BODY[], RFC822.HEADER is BODY.PEEK[HEADER], RFC822.TEXT is BODY[TEXT]
_RFC822: Final = {
    b"RFC822": BodySection(Section(), label=b"RFC822"),
    b"RFC822.HEADER": BodySection(Section(text=SectionText.HEADER), is_peek=True, label=b"RFC822.HEADER"),
    b"RFC822.TEXT": BodySection(Section(text=SectionText.TEXT), label=b"RFC822.TEXT"),
}
_NAME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9.]*")
# section-part = nz-number *("." nz-number)
_PART: Final = re.compile(rb"[1-9]\d{0,9}(?:\.[1-9]\d{0,9})*")
_TEXT: Final = re.compile(rb"HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME", re.IGNORECASE)
# partial = "<" number64 "." nz-number64 ">"
_PARTIAL: Final = re.compile(rb"<(\d{1,18})\.([1-9]\d{0,17})>")
# partial-range = nz-number ":" nz-number / MINUS nz-number ":" MINUS nz-number
_PARTIAL_RANGE: Final = re.compile(rb"(-?)([1-9]\d{0,9}):\1([1-9]\d{0,9})(?!\d)")
# Items in parentheses without a string or modifier inside: what clients repeat all day, so it is read once
_PLAIN_ITEMS: Final = re.compile(rb'\((?:[^()\[\]"{\r\n]|\[[^\[\]"{\r\n]*\])*\)')
_PLAIN_OCTETS_MAX: Final = 1000


def fetch(cursor: Cursor, *, by_uid: bool) -> Fetch:
    """FETCH or UID FETCH. Spec: RFC 9051 §6.4.5, §6.4.9."""
    messages = cursor.sequence_set()
    cursor.space()
    plain = _PLAIN_ITEMS.match(cursor.data, cursor.position)
    if plain and plain.end() - plain.start() <= _PLAIN_OCTETS_MAX:
        cursor.position = plain.end()
        items = _plain_items(plain.group())
    else:
        items = fetch_items(cursor)
    changed_since, vanished, partial = None, False, None
    if cursor.skip(b" ("):
        while True:
            match cursor.word("a FETCH modifier"):
                case b"CHANGEDSINCE":
                    cursor.space()
                    changed_since = cursor.modseq(may_be_zero=False)
                case b"VANISHED" if by_uid:
                    vanished = True
                case b"PARTIAL" if by_uid:
                    cursor.space()
                    partial = partial_range(cursor)
                case name:
                    raise Refusal(f"Unknown FETCH modifier {name.decode()}")
            if cursor.skip(b")"):
                break
            cursor.space()
    if vanished and changed_since is None:
        raise Refusal("VANISHED needs CHANGEDSINCE")
    if by_uid and Attribute.UID not in items:
        items = (Attribute.UID, *items)
    if changed_since is not None and Attribute.MODSEQ not in items:
        items = (*items, Attribute.MODSEQ)
    return Fetch(messages, items, by_uid, changed_since, vanished, partial)


def partial_range(cursor: Cursor) -> PartialRange:
    """Take a partial-range. Spec: RFC 9394 §4."""
    match = cursor.match(_PARTIAL_RANGE, "a range like 1:100 or -1:-100")
    sign = -1 if match.group(1) else 1
    first, last = int(match.group(2)), int(match.group(3))
    return PartialRange(sign * min(first, last), sign * max(first, last))


@lru_cache(maxsize=512)
def _plain_items(text: bytes) -> tuple[FetchItem, ...]:
    cursor = Cursor(text)
    items = fetch_items(cursor)
    cursor.end()
    return items


def fetch_items(cursor: Cursor) -> tuple[FetchItem, ...]:
    """Take a macro, one item, or items in parentheses; each item once (attack row 44)."""
    if not cursor.skip(b"("):
        name = _NAME.match(cursor.data, cursor.position)
        macro = _MACROS.get(name.group().upper()) if name else None
        if name and macro:
            cursor.position = name.end()
            return macro
        return (_item(cursor),)
    items: dict[FetchItem, None] = {_item(cursor): None}
    count = 1
    while not cursor.skip(b")"):
        cursor.space()
        items[_item(cursor)] = None
        count += 1
        if count > ITEMS_MAX:
            raise Refusal(f"At most {ITEMS_MAX} items")
    return tuple(items)


def _item(cursor: Cursor) -> FetchItem:
    name = cursor.match(_NAME, "a FETCH item").group().upper()
    if cursor.peek() == b"[":
        match name:
            case b"BODY" | b"BODY.PEEK":
                return _body(cursor, is_peek=name == b"BODY.PEEK")
            case b"BINARY" | b"BINARY.PEEK":
                part = _binary_part(cursor)
                partial = _partial(cursor)
                label = b"BINARY[%b]" % part.encode() + _origin(partial)
                return BinarySection(part, name == b"BINARY.PEEK", partial, label)
            case b"BINARY.SIZE":
                part = _binary_part(cursor)
                return BinarySize(part, b"BINARY.SIZE[%b]" % part.encode())
    attribute = _ATTRIBUTES.get(name)
    if attribute is not None:
        if attribute is Attribute.PREVIEW and cursor.skip(b" ("):
            # preview-mod = "LAZY"
            if cursor.word("LAZY") != b"LAZY":
                raise Refusal("PREVIEW has the modifier LAZY only")
            cursor.expect(b")")
        return attribute
    section = _RFC822.get(name)
    if section is None:
        raise Refusal(f"Unknown FETCH item {name.decode()}")
    return section


def _body(cursor: Cursor, *, is_peek: bool) -> BodySection:
    # section-spec = section-msgtext / (section-part ["." section-text])
    cursor.expect(b"[")
    part = ""
    number = _PART.match(cursor.data, cursor.position)
    if number:
        cursor.position = number.end()
        part = number.group().decode("ascii")
    text = SectionText.ALL
    fields: tuple[str, ...] = ()
    if cursor.peek() != b"]":
        if part:
            cursor.expect(b".")
        text = SectionText(cursor.match(_TEXT, "a section").group().upper().decode("ascii"))
        if text is SectionText.MIME and not part:
            raise Refusal("MIME needs a part number")
        if text in {SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT}:
            fields = _header_list(cursor)
    cursor.expect(b"]")
    partial = _partial(cursor)
    section = Section(part, text, fields)
    return BodySection(section, is_peek, partial, b"BODY[%b]" % _section_label(section) + _origin(partial))


def _header_list(cursor: Cursor) -> tuple[str, ...]:
    # header-list = "(" header-fld-name *(SP header-fld-name) ")" ; header-fld-name = astring
    cursor.expect(b" (")
    names: dict[str, str] = {}
    while True:
        name = cursor.text(cursor.astring())
        names.setdefault(name.lower(), name)
        if len(names) > ITEMS_MAX:
            raise Refusal(f"At most {ITEMS_MAX} header fields")
        if cursor.skip(b")"):
            return tuple(names.values())
        cursor.space()


def _section_label(section: Section) -> bytes:
    words = ".".join(word for word in (section.part, section.text.value) if word).encode("ascii")
    if not section.fields:
        return words
    return words + b" (%b)" % b" ".join([values.astring(name.encode("utf-8")) for name in section.fields])


def _binary_part(cursor: Cursor) -> str:
    # section-binary = "[" [section-part] "]"
    cursor.expect(b"[")
    number = _PART.match(cursor.data, cursor.position)
    if number:
        cursor.position = number.end()
    cursor.expect(b"]")
    return number.group().decode("ascii") if number else ""


def _partial(cursor: Cursor) -> tuple[int, int] | None:
    if cursor.peek() != b"<":
        return None
    match = cursor.match(_PARTIAL, "a partial like <0.1024>")
    return int(match.group(1)), int(match.group(2))


def _origin(partial: tuple[int, int] | None) -> bytes:
    # the response names the first octet only: "<" number ">"
    return b"" if partial is None else b"<%d>" % partial[0]
