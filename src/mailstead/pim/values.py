"""Values of iCalendar properties: dates, times, periods, durations, offsets.

Spec: RFC 5545 §3.3.4 (DATE), §3.3.5 (DATE-TIME), §3.3.6 (DURATION), §3.3.9 (PERIOD), §3.3.14 (UTC-OFFSET).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Protocol

from mailstead.model.errors import BadObject
from mailstead.pim.component import Property

VALUES_MAX: Final = 10_000
"""Of one list, as EXDATE and RDATE have them (attack row 80)."""

# dur-value = (["+"] / "-") "P" (dur-date / dur-time / dur-week); weeks beside days are what some clients write
_DURATION: Final = re.compile(
    r"(?P<sign>[+-]?)P(?:(?P<weeks>\d{1,5})W)?(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?:(?P<hours>\d{1,7})H)?(?:(?P<minutes>\d{1,8})M)?(?:(?P<seconds>\d{1,10})S)?)?",
    re.ASCII,
)
_OFFSET: Final = re.compile(r"([+-])(\d{2})(\d{2})(\d{2})?", re.ASCII)
_EARLIEST: Final = datetime(1, 1, 2)  # noqa: DTZ001  # local: one day within what can be converted
_LATEST: Final = datetime(9999, 12, 30)  # noqa: DTZ001


class ZoneSource(Protocol):
    """Who knows what a TZID means."""

    def zone(self, tzid: str) -> tzinfo | None:
        """Give the zone; None: floating."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A DATE or DATE-TIME."""

    local: datetime
    """Without zone; midnight for a date."""
    is_date: bool = False
    zone: tzinfo | None = None
    """UTC, a zone, or None: floating, as dates always are."""

    def utc(self, floating_zone: tzinfo) -> datetime:
        """Give the moment in UTC.

        A local time that a clock skips is taken with the offset before the gap, one that it shows twice as the first.

        Spec: RFC 5545 §3.3.5.
        """
        local = min(max(self.local, _EARLIEST), _LATEST)
        return local.replace(tzinfo=self.zone or floating_zone).astimezone(UTC)

    def plus(self, duration: Duration) -> Moment:
        """Give the moment so much later: days by the calendar, the rest by the clock. Spec: RFC 5545 §3.3.6."""
        try:
            moved = self.local + timedelta(days=duration.days)
            if duration.seconds and self.zone is not None and self.zone is not UTC:
                exact = moved.replace(tzinfo=self.zone).astimezone(UTC) + timedelta(seconds=duration.seconds)
                return Moment(exact.astimezone(self.zone).replace(tzinfo=None, fold=0), self.is_date, self.zone)
            return Moment(moved + timedelta(seconds=duration.seconds), self.is_date, self.zone)
        except OverflowError:
            return Moment(_LATEST, self.is_date, self.zone)


@dataclass(frozen=True, slots=True)
class Duration:
    """Days are nominal: tomorrow at the same hour; seconds are exact. Both have the same sign."""

    days: int = 0
    seconds: int = 0

    @property
    def exact(self) -> timedelta:
        """As if every day had 24 hours."""
        return timedelta(days=self.days, seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class Period:
    """From a moment on, to another one."""

    start: Moment
    end: Moment


def moment(prop: Property, zones: ZoneSource) -> Moment:
    """Give the first value of a property. Errors: BadObject."""
    value = prop.value.partition(",")[0]
    return parse_moment(value, prop, _zone_of(prop, zones))


def moments(prop: Property, zones: ZoneSource) -> list[Moment | Period]:
    """Give all values of a list, as of RDATE and EXDATE; empty ones are left out. Errors: BadObject."""
    values = [value for value in prop.value.split(",") if value.strip()]
    if len(values) > VALUES_MAX:
        raise BadObject(f"{prop.name} has more than {VALUES_MAX} values", condition="valid-calendar-data")
    zone = _zone_of(prop, zones)
    return [parse_period(each, prop, zone) if "/" in each else parse_moment(each, prop, zone) for each in values]


def parse_moment(value: str, prop: Property, zone: tzinfo | None = None) -> Moment:
    """Read a DATE or DATE-TIME.

    quirk_date_without_value: what stands there decides, as some clients forget to say which it is.
    Errors: BadObject.
    """
    text = value.strip()
    try:
        if len(text) == 8 and text.isascii() and text.isdigit():
            return Moment(datetime(int(text[:4]), int(text[4:6]), int(text[6:])), is_date=True)  # noqa: DTZ001
        digits = text[:8] + text[9:15]
        if text[8:9] not in {"T", "t"} or len(digits) != 14 or not (digits.isascii() and digits.isdigit()):
            raise ValueError
        second = min(int(text[13:15]), 59)  # a leap second: §3.3.12
        local = datetime(  # noqa: DTZ001
            int(text[:4]), int(text[4:6]), int(text[6:8]), int(text[9:11]), int(text[11:13]), second
        )
        if text[15:] in {"Z", "z"}:
            return Moment(local, zone=UTC)
        if text[15:]:
            raise ValueError
    except ValueError:
        raise BadObject(f"{prop.name} has no date or time: {value[:40]}", condition="valid-calendar-data") from None
    return Moment(local, zone=zone)


def parse_period(value: str, prop: Property, zone: tzinfo | None = None) -> Period:
    """Read a PERIOD. Errors: BadObject."""
    first, _, last = value.partition("/")
    start = parse_moment(first, prop, zone)
    if last.strip().upper().startswith(("P", "+P", "-P")):
        return Period(start, start.plus(duration(last)))
    return Period(start, parse_moment(last, prop, zone))


def duration(value: str) -> Duration:
    """Read a DURATION. Errors: BadObject."""
    read = _DURATION.fullmatch(value.strip().upper())
    if read is None or not any(read[name] for name in ("weeks", "days", "hours", "minutes", "seconds")):
        raise BadObject(f"That is no duration: {value[:40]}", condition="valid-calendar-data")
    sign = -1 if read["sign"] == "-" else 1
    days = int(read["weeks"] or 0) * 7 + int(read["days"] or 0)
    seconds = int(read["hours"] or 0) * 3600 + int(read["minutes"] or 0) * 60 + int(read["seconds"] or 0)
    return Duration(sign * days, sign * seconds)


def utc_offset(value: str) -> timedelta:
    """Read a UTC-OFFSET. Errors: BadObject."""
    read = _OFFSET.fullmatch(value.strip())
    if read is None:
        raise BadObject(f"That is no offset from UTC: {value[:40]}", condition="valid-calendar-data")
    seconds = int(read[2]) * 3600 + int(read[3]) * 60 + int(read[4] or 0)
    return timedelta(seconds=min(seconds, 86399)) * (-1 if read[1] == "-" else 1)


def written_utc(moment_utc: datetime) -> str:
    """Give a moment as iCalendar writes it in UTC."""
    return f"{moment_utc.astimezone(UTC):%Y%m%dT%H%M%SZ}".rjust(16, "0")


def written_date(day: datetime) -> str:
    """Give a day as iCalendar writes it."""
    return f"{day.year:04}{day.month:02}{day.day:02}"


def written_local(local: datetime) -> str:
    """Give a local time as iCalendar writes it."""
    return f"{written_date(local)}T{local.hour:02}{local.minute:02}{local.second:02}"


def _zone_of(prop: Property, zones: ZoneSource) -> tzinfo | None:
    tzid = prop.parameter("TZID")
    return zones.zone(tzid) if tzid else None
