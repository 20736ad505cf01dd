"""What a server answers, as a client reads it: LIST, STATUS and FETCH, of other people's servers.

An answer comes as pieces: a run of text, or a run of text that ends in ``{n}`` together with the literal of n octets
behind it. What does not follow the grammar is refused whole; each token is one anchored expression, so reading is
linear.

Spec: RFC 3501 §7.2.2 (LIST), §7.2.4 (STATUS), §7.4.2 (FETCH), §9; RFC 6154 §2
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Final, NamedTuple

from mailstead.model.flags import Flags, flag_set
from mailstead.model.ids import Uid
from mailstead.model.mailbox import SPECIAL_USES
from mailstead.proto.imap import utf7

Piece = bytes | tuple[bytes, bytes]

DEPTH_MAX: Final = 8
KEYWORD_CHARACTERS_MAX: Final = 64
UID_MAX: Final = 0xFFFFFFFF

_SPACE: Final = re.compile(rb"[ \r\n]+")
# quoted = DQUOTE *QUOTED-CHAR DQUOTE
_QUOTED: Final = re.compile(rb'"((?:[^"\\\r\n]|\\[^\r\n])*)"')
_ESCAPED: Final = re.compile(rb"\\(.)")
# msg-att-static = … "BODY" section ["<" number ">"] … ; section = "[" [section-spec] "]"
_SECTION: Final = re.compile(rb"BODY\[[^\]\r\n]*\](?:<\d{1,10}>)?", re.IGNORECASE)
# atom, number, flag; wider than the grammar, as far as nothing becomes ambiguous
_ATOM: Final = re.compile(rb'[^\x00-\x20\x7f()"{]+')
_LITERAL: Final = re.compile(rb"~?\{\d{1,20}\+?\}$")
_NUMBER: Final = re.compile(rb"\d{1,19}")
_KEYWORD: Final = re.compile(r'\\?[^\x00-\x20\x7f-\U0010ffff(){%*"\\\]]+')
# date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
_DATE_TIME: Final = re.compile(rb" ?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")
_MONTHS: Final = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")
_SPECIAL_USE: Final = {name.lower(): name for name in SPECIAL_USES}


class BadAnswer(ValueError):
    """An answer that is not in the grammar."""


class Listed(NamedTuple):
    """One line of LIST."""

    wire_name: bytes
    """The name as it must be said to that server, without quotes."""
    name: str
    levels: tuple[str, ...]
    special_use: str | None
    is_selectable: bool


class Fetched(NamedTuple):
    """What one FETCH answer says; None is what it does not say."""

    seqnum: int
    uid: Uid | None
    size_octets: int | None
    flags: Flags
    internaldate: datetime | None
    header: bytes | None
    """Of BODY[HEADER.FIELDS …]."""
    octets: bytes | None
    """Of BODY[]."""
    labels: tuple[str, ...]
    """Of X-GM-LABELS, decoded."""


class _Value(NamedTuple):
    """A string or atom (octets), NIL (None) or a list."""

    octets: bytes | None = None
    items: tuple[_Value, ...] | None = None


def listed(pieces: Sequence[Piece]) -> list[Listed]:
    r"""Read the answers to LIST; names that nobody could say again are left out.

    Spec: RFC 3501 §7.2.2; RFC 6154 §2. Errors: BadAnswer.
    """
    values = _values(pieces)
    found: list[Listed] = []
    if len(values) % 3:
        raise BadAnswer("LIST")
    for attributes, delimiter, name in zip(values[::3], values[1::3], values[2::3], strict=True):
        if attributes.items is None or name.octets is None:
            raise BadAnswer("LIST")
        wire_name = name.octets
        if not wire_name or any(octet < 0x20 or octet > 0x7E for octet in wire_name):
            continue
        words = {(each.octets or b"").decode("ascii", "replace").lower() for each in attributes.items}
        text = _decoded(wire_name)
        levels = tuple(text.split(delimiter.octets.decode("ascii", "replace"))) if delimiter.octets else (text,)
        special_use = next((_SPECIAL_USE[word] for word in sorted(words) if word in _SPECIAL_USE), None)
        found.append(Listed(wire_name, text, levels, special_use, not words & {"\\noselect", "\\nonexistent"}))
    return found


def counts(pieces: Sequence[Piece]) -> dict[str, int]:
    """Read an answer to STATUS: numbers by item, in upper case. Spec: RFC 3501 §7.2.4. Errors: BadAnswer."""
    values = _values(pieces)
    if len(values) != 2 or values[1].items is None:
        raise BadAnswer("STATUS")
    return {name: _number(value) for name, value in _pairs(values[1].items)}


def fetched(pieces: Sequence[Piece]) -> list[Fetched]:
    """Read the answers to FETCH. Spec: RFC 3501 §7.4.2. Errors: BadAnswer."""
    values = _values(pieces)
    if len(values) % 2:
        raise BadAnswer("FETCH")
    return [_fetched(number, items) for number, items in zip(values[::2], values[1::2], strict=True)]


def _fetched(number: _Value, attributes: _Value) -> Fetched:
    if attributes.items is None:
        raise BadAnswer("FETCH")
    uid: Uid | None = None
    size: int | None = None
    flags: Flags = frozenset()
    internaldate: datetime | None = None
    header = octets = None
    labels: tuple[str, ...] = ()
    for name, value in _pairs(attributes.items):
        if name == "UID":
            uid = Uid(_number(value))
            if not 0 < uid <= UID_MAX:
                raise BadAnswer("UID")
        elif name == "RFC822.SIZE":
            size = _number(value)
        elif name == "FLAGS":
            flags = _flags(value)
        elif name == "INTERNALDATE":
            internaldate = _moment(value.octets or b"")
        elif name == "X-GM-LABELS":
            labels = tuple(_decoded(each.octets) for each in value.items or () if each.octets)
        elif name == "BODY[]":
            octets = value.octets
        elif name.startswith("BODY[HEADER.FIELDS"):
            header = value.octets
    return Fetched(_number(number), uid, size, flags, internaldate, header, octets, labels)


def _pairs(items: Sequence[_Value]) -> Iterator[tuple[str, _Value]]:
    if len(items) % 2:
        raise BadAnswer("items")
    for name, value in zip(items[::2], items[1::2], strict=True):
        if name.octets is None:
            raise BadAnswer("item")
        yield name.octets.decode("ascii", "replace").upper(), value


def _number(value: _Value) -> int:
    if value.octets is None or not _NUMBER.fullmatch(value.octets):
        raise BadAnswer("number")
    return int(value.octets)


def _flags(value: _Value) -> Flags:
    """Give the flags that a store of ours could hold; others are left out."""
    words = [(each.octets or b"").decode("utf-8", "replace") for each in value.items or ()]
    return flag_set(word for word in words if _KEYWORD.fullmatch(word) and len(word) <= KEYWORD_CHARACTERS_MAX)


def _moment(octets: bytes) -> datetime | None:
    """Read an INTERNALDATE; one that is none is None: the message is worth more than its date."""
    match = _DATE_TIME.fullmatch(octets)
    if not match:
        return None
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
    zone = timedelta(hours=int(zone_hours), minutes=int(zone_minutes)) * (-1 if sign == b"-" else 1)
    try:
        month_number = _MONTHS.index(month.lower()) + 1
        return datetime(
            int(year), month_number, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=timezone(zone)
        )
    except ValueError:
        return None


def _decoded(octets: bytes) -> str:
    """Read a name or label; one that is no modified UTF-7 is taken as UTF-8, or letter by letter."""
    try:
        return utf7.decode(octets)
    except utf7.BadName:
        return octets.decode("utf-8", "replace")


def _values(pieces: Sequence[Piece]) -> list[_Value]:
    """Read all values of some pieces, one after the other."""
    stack: list[list[_Value]] = [[]]
    for piece in pieces:
        text, literal = (piece, None) if isinstance(piece, bytes) else piece
        if literal is not None:
            mark = _LITERAL.search(text)
            if mark is None:
                raise BadAnswer("literal")
            text = text[: mark.start()]
        _read(text, stack)
        if literal is not None:
            stack[-1].append(_Value(literal))
    if len(stack) != 1:
        raise BadAnswer("parentheses")
    return stack[0]


def _read(text: bytes, stack: list[list[_Value]]) -> None:
    at = 0
    while at < len(text):
        letter = text[at : at + 1]
        if match := _SPACE.match(text, at):
            at = match.end()
        elif letter == b"(":
            if len(stack) > DEPTH_MAX:
                raise BadAnswer("depth")
            stack.append([])
            at += 1
        elif letter == b")":
            if len(stack) == 1:
                raise BadAnswer("parentheses")
            items = stack.pop()
            stack[-1].append(_Value(items=tuple(items)))
            at += 1
        elif match := _QUOTED.match(text, at):
            stack[-1].append(_Value(_ESCAPED.sub(rb"\1", match[1])))
            at = match.end()
        elif match := _SECTION.match(text, at) or _ATOM.match(text, at):
            stack[-1].append(_Value(None if match[0].upper() == b"NIL" else match[0]))
            at = match.end()
        else:
            raise BadAnswer("token")
