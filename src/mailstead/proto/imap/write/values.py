"""The values that responses are made of, in bytes.

Spec: RFC 9051 §4, §9 (astring, nstring, quoted, literal, flag-list, date-time).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import Final

from mailstead.model.flags import Flags
from mailstead.proto.imap import utf7

# What a quoted string may hold without being a literal: TEXT-CHAR, so no CR, LF or NUL (other controls go as literals
# too: some clients stumble over them), and 8-bit only as UTF-8 after ENABLE (RFC 9051 §9, QUOTED-CHAR).
_QUOTABLE: Final = re.compile(rb"[\x20-\x7e]*")
_QUOTABLE_UTF8: Final = re.compile(rb"[\x20-\x7e\x80-\xff]*")
# A careful subset of ASTRING-CHAR
_ATOM: Final = re.compile(rb"(?!NIL$)[A-Za-z0-9_.,&/+$!#'=-]+", re.IGNORECASE)
_QUOTED_MAX: Final = 1000
"""Longer strings go as literals: many clients read quoted strings into small buffers."""


def quoted(octets: bytes) -> bytes:
    """Write a quoted string; the caller knows that the octets can be quoted."""
    if b"\\" in octets or b'"' in octets:
        octets = octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'"%b"' % octets


def literal(octets: bytes) -> bytes:
    """Write a literal, or a literal8 if there is a NUL in it. Spec: RFC 9051 §4.3, RFC 3516 §4.2."""
    return b"%b{%d}\r\n%b" % (b"~" if b"\0" in octets else b"", len(octets), octets)


def without_nul(octets: bytes) -> bytes:
    """Give octets as a literal may hold them: 0x80 stands for NUL, so that sizes and offsets stay right.

    Only BINARY gives such octets as they are (literal8); encoding the part anew for BODY would belie RFC822.SIZE,
    BODYSTRUCTURE and the octets that were signed.

    Spec: RFC 9051 §4.3.1 (no NUL in a literal), §9 (CHAR8)
    """
    return octets.replace(b"\0", b"\x80") if b"\0" in octets else octets


def string(octets: bytes, *, is_utf8: bool = False) -> bytes:
    """Write a string: quoted when its content allows, else a literal."""
    pattern = _QUOTABLE_UTF8 if is_utf8 else _QUOTABLE
    if len(octets) <= _QUOTED_MAX and pattern.fullmatch(octets):
        return quoted(octets)
    return literal(octets)


def text_string(text: str, *, is_utf8: bool = False) -> bytes:
    """Write text as a string in UTF-8."""
    return string(text.encode("utf-8", "replace"), is_utf8=is_utf8)


def nstring(octets: bytes | None, *, is_utf8: bool = False) -> bytes:
    """Write a string, or NIL."""
    return b"NIL" if octets is None else string(octets, is_utf8=is_utf8)


def astring(octets: bytes, *, is_utf8: bool = False) -> bytes:
    """Write an atom when that is plainly safe, else a string."""
    return octets if _ATOM.fullmatch(octets) else string(octets, is_utf8=is_utf8)


def mailbox_name(name: str, *, is_utf8: bool) -> bytes:
    """Write a mailbox name: UTF-8 once enabled, else modified UTF-7. Spec: RFC 9051 §5.1, RFC 3501 §5.1.3."""
    if is_utf8:
        return astring(name.encode("utf-8", "replace"), is_utf8=True)
    return astring(utf7.encode(name))


@lru_cache(maxsize=4096)
def flag_text(flags: Flags) -> bytes:
    """Write flags without parentheses, sorted; cached, as few combinations exist."""
    return " ".join(sorted(flags)).encode("utf-8", "replace")


def flag_list(flags: Iterable[str]) -> bytes:
    r"""Write ``(\Seen $Junk)`` in the order given."""
    return b"(%b)" % " ".join(flags).encode("utf-8", "replace")


# date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
# Lists of 10,000 messages need this 10,000 times: the day, the minute and the second each come from a small table.
_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_LAST_ORDINAL: Final = date.max.toordinal()
_MINUTES: Final = tuple(b"%02d:%02d:" % divmod(minute, 60) for minute in range(1440))
_SECONDS: Final = tuple(b"%02d " % second for second in range(60))


@lru_cache(maxsize=8192)
def _day(day: int) -> bytes:
    day_of = date.fromordinal(min(max(day + _EPOCH_ORDINAL, 1), _LAST_ORDINAL))
    return b'"%2d-%b-%04d ' % (day_of.day, _MONTHS[day_of.month - 1], day_of.year)


@lru_cache(maxsize=2048)
def _zone(minutes: int) -> bytes:
    return b'%b%02d%02d"' % (b"-" if minutes < 0 else b"+", *divmod(abs(minutes), 60))


def internaldate(seconds: int, zone_minutes: int = 0) -> bytes:
    """Write a date-time with its quotes. Units: seconds since 1970 UTC; zone in minutes east. Spec: RFC 9051 §9."""
    day, second = divmod(seconds + zone_minutes * 60, 86400)
    return _day(day) + _MINUTES[second // 60] + _SECONDS[second % 60] + _zone(zone_minutes)


def sequence_set(numbers: Iterable[int]) -> bytes:
    """Write numbers as a sequence-set in their given order, ascending neighbours joined (``7,3:5``)."""
    parts: list[str] = []
    first = last = -1
    for number in numbers:
        if number == last + 1 and first > 0:
            last = number
            continue
        if first > 0:
            parts.append(str(first) if first == last else f"{first}:{last}")
        first = last = number
    if first > 0:
        parts.append(str(first) if first == last else f"{first}:{last}")
    return ",".join(parts).encode("ascii")
