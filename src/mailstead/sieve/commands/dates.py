"""Dates of fields and of now, part by part.

Spec: RFC 5260 §4, §5.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Final

from mailstead.mime.date import date_of
from mailstead.sieve.call import Call
from mailstead.sieve.commands.headers import index_of
from mailstead.sieve.forms import INDEX_TAGS, MATCH_TAGS, Check, TagForm, Takes, TestForm
from mailstead.sieve.matching import matcher
from mailstead.sieve.run import Run
from mailstead.sieve.words import BadWords

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# RFC 5260 §4.1:  time-zone = ( "+" / "-" ) 4DIGIT
_ZONE: Final = re.compile(r"([+-])([0-9]{2})([0-5][0-9])")
_JULIAN_OFFSET: Final = 678576
"""Of the modified Julian day from the ordinal of the standard library: day 0 is 17 November 1858."""


def _offset(moment: datetime) -> str:
    minutes = int((moment.utcoffset() or timedelta()).total_seconds()) // 60
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"


def _iso8601(moment: datetime) -> str:
    offset = _offset(moment)
    return f"{moment:%Y-%m-%dT%H:%M:%S}{offset[:3]}:{offset[3:]}"


def _std11(moment: datetime) -> str:
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02} {month} {moment.year:04} {moment:%H:%M:%S} {_offset(moment)}"


DATE_PARTS: Final[dict[str, Callable[[datetime], str]]] = {
    "year": lambda moment: f"{moment.year:04}",
    "month": lambda moment: f"{moment.month:02}",
    "day": lambda moment: f"{moment.day:02}",
    "date": lambda moment: f"{moment.year:04}-{moment.month:02}-{moment.day:02}",
    "julian": lambda moment: str(date(moment.year, moment.month, moment.day).toordinal() - _JULIAN_OFFSET),
    "hour": lambda moment: f"{moment.hour:02}",
    "minute": lambda moment: f"{moment.minute:02}",
    "second": lambda moment: f"{moment.second:02}",
    "time": lambda moment: f"{moment.hour:02}:{moment.minute:02}:{moment.second:02}",
    "iso8601": _iso8601,
    "std11": _std11,
    "zone": _offset,
    "weekday": lambda moment: str(moment.isoweekday() % 7),
}
"""Spec: RFC 5260 §4.2."""


def _zone(text: str) -> timezone:
    found = _ZONE.fullmatch(text)
    hours = int(found[2]) if found else 99
    if found is None or hours > 23:
        raise BadWords(f'"{text[:20]}" is no time zone; write it like "+0100" or "-0530"')
    minutes = hours * 60 + int(found[3])
    return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))


def _part(text: str) -> Callable[[datetime], str]:
    try:
        return DATE_PARTS[text.lower()]
    except KeyError:
        raise BadWords(f'A date has no part "{text[:20]}"; its parts are {", ".join(DATE_PARTS)}') from None


def _in_zone(call: Call) -> Callable[[Run, datetime], datetime]:
    """Make what brings a moment into the zone that is asked for; without a wish that of the account.

    Spec: RFC 5260 §4.1.
    """
    if call.has("originalzone"):
        return lambda _, moment: moment
    if call.has("zone"):
        zone = call.read("zone", _zone)
        return lambda run, moment: _moved(moment, zone(run))
    return lambda run, moment: _moved(moment, run.facts.now.tzinfo)


def _moved(moment: datetime, zone: tzinfo | None) -> datetime:
    """Bring a moment into a zone; at the ends of the calendar it stays as it is."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment


def _date(call: Call) -> Check:
    """Spec: RFC 5260 §4."""
    name = call.read(0, str.lower)
    part = call.read(1, _part)
    match = matcher(call, 2)
    pick = index_of(call)
    in_zone = _in_zone(call)

    def holds(run: Run) -> bool:
        values: list[str] = []
        # Without ":index" the first field counts. What follows the last semicolon is the date of a Received field.
        fields = pick(run.message.named(name(run)))[:1]
        for field in fields:
            moment = date_of(field.raw.rpartition(b";")[2])
            if moment is not None:
                run.budget.spend(4)
                values.append(part(run)(in_zone(run, moment)))
        return match(run, values)

    return holds


def _currentdate(call: Call) -> Check:
    """Spec: RFC 5260 §5."""
    part = call.read(0, _part)
    match = matcher(call, 1)
    in_zone = _in_zone(call)
    return lambda run: match(run, [part(run)(in_zone(run, run.facts.now))])


_ZONE_TAG: Final = TagForm("zone", "zone", Takes.TEXT)
TESTS: Final = (
    TestForm(
        "date",
        (Takes.TEXT, Takes.TEXT, Takes.TEXTS),
        (*MATCH_TAGS, *INDEX_TAGS, _ZONE_TAG, TagForm("originalzone", "zone")),
        ("date",),
        build=_date,
    ),
    TestForm("currentdate", (Takes.TEXT, Takes.TEXTS), (*MATCH_TAGS, _ZONE_TAG), ("date",), build=_currentdate),
)
EXTENSIONS: Final = ("date",)
