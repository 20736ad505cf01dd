"""A place in one command, and the tokens that can be read from there.

The command is one run of octets with its literals inline (``{5}CRLFalice``), cut by `framing` already. Each token is
one anchored regular expression without nested repetition, so reading is linear (attack row 43).

Spec: RFC 9051 §9
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from typing import Final

from mailstead.model.ids import ModSeq
from mailstead.proto.imap import utf7
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.types.sequence import SAVED, STAR, SequenceSet

RANGES_MAX: Final = 10_000
"""Ranges in one sequence set (attack row 47)."""
NUMBER_MAX: Final = 0xFFFFFFFF
NUMBER64_MAX: Final = 0x7FFFFFFFFFFFFFFF

# atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials
ATOM: Final = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
# ASTRING-CHAR = ATOM-CHAR / resp-specials
ASTRING: Final = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
# list-char = ATOM-CHAR / list-wildcards / resp-specials
LIST_MAILBOX: Final = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
# quoted = DQUOTE *QUOTED-CHAR DQUOTE ; 8-bit octets are let through here and judged by what the string is for
QUOTED: Final = re.compile(rb'"([^"\\\r\n\x00]*(?:\\["\\][^"\\\r\n\x00]*)*)"')
_ESCAPED: Final = re.compile(rb'\\(["\\])')
# literal = "{" number64 ["+"] "}" CRLF *CHAR8 ; literal8 = "~{" … "}" CRLF *OCTET
LITERAL: Final = re.compile(rb"(~?)\{(\d{1,20})\+?\}\r\n")
NUMBER: Final = re.compile(rb"\d{1,19}(?!\d)")
# flag = "\Answered" … / flag-keyword / flag-extension ; flag-perm's "\*" is not for clients
FLAG: Final = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
# sequence-set = (seq-number / seq-range) ["," sequence-set] / seq-last-command
SEQUENCE: Final = re.compile(
    rb"(?:\*|[1-9]\d{0,9})(?::(?:\*|[1-9]\d{0,9}))?(?:,(?:\*|[1-9]\d{0,9})(?::(?:\*|[1-9]\d{0,9}))?)*(?![\d*:,])|\$"
)
# date-text = date-day "-" date-month "-" date-year
DATE: Final = re.compile(rb'("?)(\d{1,2})-([A-Za-z]{3})-(\d{4})\1')
# date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
DATE_TIME: Final = re.compile(
    rb'"( \d|\d\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"',
)
_STAR: Final = str(STAR)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), start=1
    )
}


class Refusal(Exception):
    """A command that is answered by the connection itself: BAD for its syntax, or NO with a code."""

    def __init__(self, text: str, result: Result = Result.BAD, code: bytes = b"") -> None:
        super().__init__(text)
        self.text = text
        self.result = result
        self.code = code


class Incomplete(Exception):
    """A literal whose octets are not here yet; only APPEND asks so early."""


class Cursor:
    """Reads tokens from one command. Every method raises `Refusal` when its token is not there."""

    __slots__ = ("data", "is_utf8", "position")

    def __init__(self, data: bytes, *, position: int = 0, is_utf8: bool = False) -> None:
        self.data = data
        self.position = position
        self.is_utf8 = is_utf8

    def fail(self, wanted: str) -> Refusal:
        """Make the refusal that says what was expected, and where."""
        return Refusal(f"Expected {wanted} at octet {self.position + 1}")

    def at_end(self) -> bool:
        """Whether nothing follows."""
        return self.position >= len(self.data)

    def end(self) -> None:
        """Refuse anything behind the command."""
        if self.position < len(self.data):
            raise self.fail("the end of the command")

    def peek(self) -> bytes:
        """Give the next octet, or nothing at the end."""
        return self.data[self.position : self.position + 1]

    def skip(self, octets: bytes) -> bool:
        """Go over exactly these octets if they are next."""
        if self.data.startswith(octets, self.position):
            self.position += len(octets)
            return True
        return False

    def expect(self, octets: bytes) -> None:
        """Go over exactly these octets."""
        if not self.skip(octets):
            raise self.fail("a space" if octets == b" " else repr(octets.decode("ascii")))

    def space(self) -> None:
        """SP."""
        self.expect(b" ")

    def match(self, pattern: re.Pattern[bytes], wanted: str) -> re.Match[bytes]:
        """Take what the pattern matches here."""
        match = pattern.match(self.data, self.position)
        if match is None:
            raise self.fail(wanted)
        self.position = match.end()
        return match

    def word(self, wanted: str = "a keyword") -> bytes:
        """Take an atom in upper case."""
        return self.match(ATOM, wanted).group().upper()

    def string(self) -> bytes:
        """Take a quoted string or a literal."""
        match = QUOTED.match(self.data, self.position)
        if match:
            self.position = match.end()
            text = match.group(1)
            return _ESCAPED.sub(rb"\1", text) if b"\\" in text else text
        return self.literal()

    def literal(self, *, is_literal8_allowed: bool = False) -> bytes:
        """Take a literal.

        Errors: Incomplete, when its octets reach beyond the data.
        """
        match = self.match(LITERAL, "a string")
        start, size = match.end(), int(match.group(2))
        if start + size > len(self.data):
            raise Incomplete
        self.position = start + size
        octets = self.data[start : self.position]
        if match.group(1):
            if not is_literal8_allowed:
                raise Refusal("A literal8 is not allowed there")
        elif b"\0" in octets:
            raise Refusal("A literal has no NUL octets")
        return octets

    def astring(self) -> bytes:
        """Take an atom (``]`` allowed), a quoted string or a literal."""
        match = ASTRING.match(self.data, self.position)
        if match:
            self.position = match.end()
            return match.group()
        return self.string()

    def nstring(self) -> bytes | None:
        """Take a string or NIL."""
        if self.data[self.position : self.position + 3].upper() == b"NIL":
            self.position += 3
            return None
        return self.string()

    def text(self, octets: bytes) -> str:
        """Read octets as UTF-8, of which US-ASCII is a part."""
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError:
            raise Refusal("That is not UTF-8") from None

    def mailbox(self) -> str:
        """Take a mailbox name. Spec: RFC 9051 §5.1; RFC 3501 §5.1.3; RFC 6855 §3."""
        return self.name(self.astring())

    def name(self, octets: bytes) -> str:
        """Read octets as a mailbox name or pattern in the encoding in force (attack row 51)."""
        try:
            name = utf7.decode_utf8(octets) if self.is_utf8 else utf7.decode(octets)
        except utf7.BadName as error:
            raise Refusal(str(error), Result.NO, b"CANNOT") from None
        return name

    def number(self) -> int:
        """Take a number. Spec: RFC 9051 §9 (number, 32 bits)."""
        return self._number(NUMBER_MAX)

    def number64(self) -> int:
        """Take a number64, or a mod-sequence-valzer. Spec: RFC 9051 §9, RFC 7162 §7."""
        return self._number(NUMBER64_MAX)

    def nz_number(self) -> int:
        """Take a number above 0."""
        number = self._number(NUMBER_MAX)
        if not number:
            raise Refusal("0 is not allowed there")
        return number

    def modseq(self, *, may_be_zero: bool = True) -> ModSeq:
        """Take a mod-sequence-value. Spec: RFC 7162 §7."""
        number = self.number64()
        if not number and not may_be_zero:
            raise Refusal("A mod-sequence is at least 1")
        return ModSeq(number)

    def _number(self, largest: int) -> int:
        number = int(self.match(NUMBER, "a number").group())
        if number > largest:
            raise Refusal("That number is too large")
        return number

    def sequence_set(self) -> SequenceSet:
        """Take a sequence set; ranges stay ranges (attack row 47)."""
        text = self.match(SEQUENCE, "a sequence set").group().decode("ascii")
        if text == "$":
            return SAVED
        if text.count(",") >= RANGES_MAX:
            raise Refusal(f"A sequence set has at most {RANGES_MAX} ranges", Result.BAD, b"TOOBIG")
        numbers = [part.partition(":") for part in text.replace("*", _STAR).split(",")]
        runs = tuple([(int(first), int(last or first)) for first, _, last in numbers])
        if max(map(max, runs)) > NUMBER_MAX:
            raise Refusal("That number is too large")
        return SequenceSet(runs)

    def uid_set(self) -> SequenceSet:
        """Take a sequence set without ``*`` and ``$``. Spec: RFC 7162 §7 (known-uids, known-sequence-set)."""
        numbers = self.sequence_set()
        if numbers.is_saved or any(STAR in run for run in numbers.runs):
            raise Refusal("* and $ are not allowed there")
        return numbers

    def flag(self) -> str:
        """Take a flag or keyword."""
        return self.match(FLAG, "a flag").group().decode("ascii")

    def flag_list(self) -> tuple[str, ...]:
        """Take ``(flag flag …)``, perhaps empty."""
        self.expect(b"(")
        if self.skip(b")"):
            return ()
        flags = [self.flag()]
        while not self.skip(b")"):
            self.space()
            flags.append(self.flag())
        return tuple(flags)

    def date(self) -> int:
        """Take a date, as its day ordinal."""
        match = self.match(DATE, "a date like 1-Feb-1994")
        return _date(match.group(2), match.group(3), match.group(4)).toordinal()

    def date_time(self) -> datetime:
        """Take a date-time."""
        match = self.match(DATE_TIME, "a date and time")
        day, month, year, hours, minutes, seconds, sign, zone_hours, zone_minutes = match.groups()
        zone = int(zone_hours) * 60 + int(zone_minutes)
        if zone >= 24 * 60:
            raise Refusal("That is not a time zone")
        day_of = _date(day, month, year)
        try:
            # second 60 is a leap second, which datetime does not know
            moment = datetime(
                day_of.year,
                day_of.month,
                day_of.day,
                int(hours),
                int(minutes),
                min(int(seconds), 59),
                tzinfo=timezone(timedelta(minutes=-zone if sign == b"-" else zone)),
            )
        except ValueError:
            raise Refusal("There is no such time") from None
        return moment


def _date(day: bytes, month: bytes, year: bytes) -> date:
    try:
        return date(int(year), _MONTHS[month.lower()], int(day))
    except (KeyError, ValueError):
        raise Refusal("There is no such date") from None
