"""Time zones of calendar objects: what a TZID means, and VTIMEZONEs made from the zone database.

A TZID that names a zone of the database, or one of Windows, is that zone, whatever the VTIMEZONE beside it says: rules
there are often of one year only. Others are reckoned by their VTIMEZONE.

Spec: RFC 5545 §3.2.19 (TZID), §3.6.5 (VTIMEZONE); RFC 7809.
"""

from __future__ import annotations

import calendar as days_of
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from mailstead.model.errors import BadObject
from mailstead.pim.component import Component, Property, parse
from mailstead.pim.values import Period, moments, parse_moment, utc_offset, written_local
from mailstead.pim.windows_zones import WINDOWS_ZONES

OBSERVANCES_MAX: Final = 200
"""STANDARD and DAYLIGHT parts of one VTIMEZONE (attack row 80)."""
RDATES_MAX: Final = 2_000
"""Of one VTIMEZONE."""
_NAME: Final = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,2}")
_OFFSET_NAME: Final = re.compile(r"(?:UTC|GMT)([+-])(\d{1,2})(?::?(\d{2}))?", re.ASCII)
_DISPLAY_NAME: Final = re.compile(r"\((?:UTC|GMT)(?:[+-]\d{2}[:.]\d{2})?\) ?(.+)", re.ASCII)
_AREAS: Final = ("Europe", "America", "Asia", "Africa", "Australia", "Pacific", "Atlantic")
_DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_BYDAY: Final = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_EARLIEST_YEAR: Final = 4
"""As far back, and as far on, as onsets are reckoned: what is added to them stays within what datetime knows."""
_LATEST_YEAR: Final = 9996
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2037


class Zones:
    """The zones of one calendar object."""

    def __init__(self, calendar: Component) -> None:
        self._parts = {each.value("TZID"): each for each in calendar.children("VTIMEZONE")}
        self._known: dict[str, tzinfo | None] = {}

    def zone(self, tzid: str) -> tzinfo | None:
        """Give the zone of a TZID; None, floating, for one that says nothing to us."""
        if tzid not in self._known:
            self._known[tzid] = self._found(tzid)
        return self._known[tzid]

    def _found(self, tzid: str) -> tzinfo | None:
        part = self._parts.get(tzid)
        location = part.value("X-LIC-LOCATION") if part is not None else ""
        named = known_zone(tzid) or (iana_zone(location) if location else None)
        if named is not None:
            return named
        if part is None:
            return described_zone(tzid)
        try:
            return RuleZone(part)
        except BadObject:
            return None


def known_zone(tzid: str) -> tzinfo | None:
    """Give the zone that a TZID names by itself.

    quirk_zone_names: of the database, of Windows, or with a vendor's prefix.
    """
    name = tzid.strip().strip('"')
    found = iana_zone(name) or iana_zone(WINDOWS_ZONES.get(name, ""))
    if found is None and name.startswith("/"):
        # /mozilla.org/20070129_1/Europe/Berlin, /freeassociation.sourceforge.net/Tzfile/America/Argentina/Salta
        segments = name.split("/")
        tails = ("/".join(segments[-count:]) for count in (3, 2, 1) if count < len(segments))
        found = next((zone for tail in tails if (zone := iana_zone(tail)) is not None), None)
    return found


def described_zone(tzid: str) -> tzinfo | None:
    """Give the zone that a TZID only describes: an offset, or how Windows shows a zone to people.

    For objects without a VTIMEZONE, which would know better.
    """
    name = tzid.strip().strip('"')
    if name == "tzone://Microsoft/Utc":
        return UTC
    if (offset := _OFFSET_NAME.fullmatch(name)) is not None:
        minutes = min(int(offset[2]) * 60 + int(offset[3] or 0), 1439)
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    if (shown := _DISPLAY_NAME.fullmatch(name)) is None:
        return None
    # (UTC+01:00) Amsterdam, Berlin, Bern; (UTC-05:00) Eastern Time (US & Canada)
    windows = shown[1].partition(" (")[0].replace(" Time", " Standard Time")
    cities = [each.strip().replace(" ", "_") for each in shown[1].split(",")[:8]]
    named = (iana_zone(f"{area}/{city}") for city in cities for area in _AREAS)
    return iana_zone(WINDOWS_ZONES.get(windows, "")) or next((zone for zone in named if zone is not None), None)


@lru_cache(maxsize=1024)
def iana_zone(name: str) -> tzinfo | None:
    """Give a zone of the database by its name."""
    if name in {"UTC", "Etc/UTC", "Z", "GMT"}:
        return UTC
    if not _NAME.fullmatch(name) or name in {"localtime", "posixrules", "Factory"}:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError; a folder's name is an OSError
        return None


def zone_of(calendar_text: str) -> tzinfo | None:
    """Give the zone that a VCALENDAR with one VTIMEZONE stands for; None: there is none in it."""
    try:
        (calendar,) = parse(calendar_text.encode())
        (part,) = calendar.children("VTIMEZONE")
    except (BadObject, ValueError):
        return None
    return Zones(calendar).zone(part.value("TZID"))


@dataclass(slots=True)
class _Observance:
    start: datetime
    offset_from: timedelta
    offset_to: timedelta
    name: str
    month: int = 0
    """Of a yearly rule; 0: there is none."""
    by_day: tuple[int, int] | None = None
    """Which one of the month (from its end if negative; 0: any), and weekday."""
    month_days: tuple[int, ...] = ()
    until: datetime | None = None
    """Local by `offset_from`."""
    dates: list[datetime] = field(default_factory=list)

    def onsets(self, year: int) -> list[datetime]:
        """Give when it begins in a year, in local time before it."""
        if not _EARLIEST_YEAR <= year <= _LATEST_YEAR:
            return []
        found = [each for each in self.dates if each.year == year]
        if self.start.year == year:
            found.append(self.start)
        if self.month and self.start.year <= year:
            day = self._day(year)
            if day:
                at = self.start.replace(year=year, month=self.month, day=day)
                if self.start < at and (self.until is None or at <= self.until):
                    found.append(at)
        return found

    def _day(self, year: int) -> int:
        """Give the day of the month on which the rule falls; 0: on none."""
        first, length = days_of.monthrange(year, self.month)
        which = self.month_days or tuple(range(1, length + 1))
        chosen = sorted(each if each > 0 else length + 1 + each for each in which)
        chosen = [each for each in chosen if 1 <= each <= length]
        if self.by_day is not None:
            nth, weekday = self.by_day
            chosen = [each for each in chosen if (first + each - 1) % 7 == weekday]
            if nth and not self.month_days:
                chosen = chosen[nth - 1 : nth] if nth > 0 else chosen[nth : nth + 1 or None]
        return chosen[0] if chosen else 0


_Onset = tuple[datetime, timedelta, timedelta, str]
"""When it begins, in local time before it; offsets before and after; name."""
_YEARS_KEPT: Final = 1000


class RuleZone(tzinfo):
    """A zone as its VTIMEZONE tells."""

    def __init__(self, part: Component) -> None:
        """Errors: BadObject."""
        observances = [each for each in part.components if each.name in {"STANDARD", "DAYLIGHT"}]
        if not observances or len(observances) > OBSERVANCES_MAX:
            raise BadObject("A VTIMEZONE has no parts, or too many", condition="valid-calendar-data")
        if sum(each.value.count(",") + 1 for one in observances for each in one.all("RDATE")) > RDATES_MAX:
            raise BadObject("A VTIMEZONE has too many dates", condition="valid-calendar-data")
        self._name = part.value("TZID")
        self._observances = sorted(map(_observance, observances), key=lambda each: each.start)
        self._years: dict[int, list[_Onset]] = {}
        self._spans: dict[int, list[_Onset]] = {}

    def utcoffset(self, at: datetime | None) -> timedelta:
        """See tzinfo."""
        return self._at(at)[0]

    def tzname(self, at: datetime | None) -> str:
        """See tzinfo."""
        return self._at(at)[1] or self._name

    def dst(self, at: datetime | None) -> timedelta | None:  # noqa: ARG002
        """See tzinfo; it is not known."""
        return None

    def fromutc(self, at: datetime) -> datetime:
        """See tzinfo."""
        utc = at.replace(tzinfo=None)
        offset, fold = self._observances[0].offset_from, 0
        for onset, before, after, _ in self._around(utc):
            if onset - before <= utc:
                offset = after
                fold = int(utc < onset - before + (before - after))  # shown for the second time
        return (utc + offset).replace(tzinfo=self, fold=fold)

    def _at(self, at: datetime | None) -> tuple[timedelta, str]:
        first = self._observances[0]
        found = (first.offset_from, first.name)
        if at is None:
            return found
        local = at.replace(tzinfo=None, fold=0)
        for onset, before, after, name in self._around(local):
            jump = after - before
            # Skipped times count by the old offset, those shown twice as the first; fold says the other.
            edge = onset + (min(jump, timedelta()) if at.fold else max(jump, timedelta()))
            if edge <= local:
                found = (after, name)
        return found

    def _around(self, local: datetime) -> list[_Onset]:
        """Give the onsets that may matter, in order: the last one before last year, and those since."""
        year = local.year
        if year not in self._spans:
            if len(self._spans) > _YEARS_KEPT:
                self._spans.clear()
            found = [*self._of(year - 1), *self._of(year), *self._of(year + 1)]
            earlier = self._last_before(year - 1)
            self._spans[year] = [earlier, *found] if earlier is not None else found
        return self._spans[year]

    def _of(self, year: int) -> list[_Onset]:
        if year not in self._years:
            if len(self._years) > _YEARS_KEPT:
                self._years.clear()
            self._years[year] = sorted(
                (onset, each.offset_from, each.offset_to, each.name)
                for each in self._observances
                for onset in each.onsets(year)
            )
        return self._years[year]

    def _last_before(self, year: int) -> _Onset | None:
        """Give the last onset before a year: of rules that have ended, of single dates."""
        latest: _Onset | None = None
        for each in self._observances:
            candidates = [at for at in (each.start, *each.dates) if at.year < year]
            if each.month and each.start.year < year:
                last = min(year - 1, _LATEST_YEAR if each.until is None else each.until.year)
                candidates += [at for back in (last, last - 1) for at in each.onsets(back)]
            if candidates:
                found = (max(candidates), each.offset_from, each.offset_to, each.name)
                latest = max(latest, found) if latest is not None else found
        return latest


def _observance(part: Component) -> _Observance:
    start = part.first("DTSTART")
    before, after = part.value("TZOFFSETFROM"), part.value("TZOFFSETTO")
    if start is None or not after:
        raise BadObject("A part of a VTIMEZONE lacks DTSTART or TZOFFSETTO", condition="valid-calendar-data")
    offset_to = utc_offset(after)
    found = _Observance(
        _reckonable(parse_moment(start.value, start).local),
        utc_offset(before) if before else offset_to,
        offset_to,
        part.value("TZNAME"),
    )
    for each in part.all("RDATE"):
        for at in moments(each, _NO_ZONES):
            found.dates.append(_reckonable((at.start if isinstance(at, Period) else at).local))
    rule = part.value("RRULE")
    if rule:
        _read_rule(rule, found)
    return found


def _reckonable(local: datetime) -> datetime:
    """Give a local time in a year that we reckon with; Exchange lets zones begin in the year 1, Outlook in 1601."""
    if _EARLIEST_YEAR <= local.year <= _LATEST_YEAR:
        return local
    # Both are leap years: every day is in them.
    return local.replace(year=_EARLIEST_YEAR if local.year < _EARLIEST_YEAR else _LATEST_YEAR)


def _read_rule(rule: str, found: _Observance) -> None:
    """Read the yearly rules that zones have; others are left out, and the first onset stands alone."""
    parts = dict(each.upper().partition("=")[::2] for each in rule.split(";"))
    if parts.get("FREQ") != "YEARLY":
        return
    try:
        found.month = int(parts.get("BYMONTH", found.start.month))
        month_days = {int(each) for each in parts.get("BYMONTHDAY", "").split(",") if each}
        found.month_days = tuple(sorted(each for each in month_days if 1 <= abs(each) <= 31))
        by_day = _BYDAY.fullmatch(parts.get("BYDAY", ""))
        if by_day is not None:
            found.by_day = (int(by_day[1] or 0), _DAYS.index(by_day[2]))
        elif not found.month_days:
            found.month_days = (found.start.day,)
        if "UNTIL" in parts:
            until = parse_moment(parts["UNTIL"], Property("UNTIL", parts["UNTIL"]))
            found.until = _reckonable(until.local)
            if until.zone is UTC:
                found.until += found.offset_from
            if until.is_date:
                found.until += timedelta(days=1)
        elif "COUNT" in parts:
            found.until = found.start.replace(
                month=12, day=31, year=min(9998, found.start.year + int(parts["COUNT"]) - 1)
            )
    except ValueError:
        found.month = 0
    if not 1 <= found.month <= 12:
        found.month = 0


class _NoZones:
    def zone(self, tzid: str) -> tzinfo | None:  # noqa: ARG002
        return None


_NO_ZONES: Final = _NoZones()


# VTIMEZONEs of our own


@lru_cache(maxsize=256)
def vtimezone(name: str) -> Component | None:
    """Give the VTIMEZONE of a zone of the database, with its rules as they are known; the result is not to be changed.

    What changes by a yearly rule until 2037 is taken to go on so. Spec: RFC 5545 §3.6.5; RFC 7809 §3.1.
    """
    zone = iana_zone(name)
    if zone is None:
        return None
    part = Component("VTIMEZONE", [Property("TZID", name)])
    onsets = _transitions(zone)
    first = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC).astimezone(zone)
    offset, dst = first.utcoffset() or timedelta(), bool(first.dst())
    start = datetime(_FIRST_YEAR, 1, 1)  # noqa: DTZ001  # local
    part.components.append(_part(dst, start, offset, offset, first.tzname() or "", "", []))
    groups: dict[tuple[bool, timedelta, timedelta, str], list[datetime]] = {}
    for at, before, after, is_dst, tzname in onsets:
        groups.setdefault((is_dst, before, after, tzname), []).append(at)
    for (is_dst, before, after, tzname), locals_ in groups.items():
        part.components += _parts(is_dst, before, after, tzname, locals_)
    return part


def _transitions(zone: tzinfo) -> list[tuple[datetime, timedelta, timedelta, bool, str]]:
    """Give each change of the offset: local time before it, offsets before and after, summer time, name."""

    def facts(at: datetime) -> tuple[timedelta, bool, str]:
        local = at.astimezone(zone)
        return local.utcoffset() or timedelta(), bool(local.dst()), local.tzname() or ""

    found = []
    # Brazil had a summer time of seven days.
    day, step = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC), timedelta(days=3)
    before = facts(day)
    while day.year <= _LAST_YEAR:
        following = day + step
        if facts(following) != before:
            low, high = day, following
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                middle = middle.replace(microsecond=0)
                low, high = (middle, high) if facts(middle) == before else (low, middle)
            offset, is_dst, tzname = facts(high)
            if high.year <= _LAST_YEAR:
                found.append(((high + before[0]).replace(tzinfo=None), before[0], offset, is_dst, tzname))
            before, day = (offset, is_dst, tzname), high
        else:
            day = following
    return found


def _parts(is_dst: bool, before: timedelta, after: timedelta, tzname: str, locals_: list[datetime]) -> list[Component]:
    """Give as few parts as tell these onsets: runs of years with the same rule, the rest as dates."""
    parts, single, position = [], [], 0
    while position < len(locals_):
        run, rule = _run(locals_, position)
        if run > 2:
            last = locals_[position + run - 1]
            until = "" if last.year == _LAST_YEAR else f";UNTIL={written_local(last - before)}Z"
            parts.append(_part(is_dst, locals_[position], before, after, tzname, f"FREQ=YEARLY;{rule}{until}", []))
            position += run
        else:
            single.append(locals_[position])
            position += 1
    if single:
        parts.append(_part(is_dst, single[0], before, after, tzname, "", single[1:]))
    return parts


def _run(locals_: list[datetime], position: int) -> tuple[int, str]:
    """Give the longest run of consecutive years from a position on that one rule tells, and the rule."""
    best, best_rule = 1, ""
    first = locals_[position]
    nth, length = (first.day - 1) // 7 + 1, days_of.monthrange(first.year, first.month)[1]
    candidates = [f"{nth}"] if nth < 5 else []
    if first.day > length - 7:
        candidates.append("-1")
    for which in candidates:
        count = 0
        while position + count < len(locals_):
            at = locals_[position + count]
            last = days_of.monthrange(at.year, at.month)[1]
            fits = at.day > last - 7 if which == "-1" else (at.day - 1) // 7 + 1 == int(which)
            same = (at.month, at.weekday(), at.time()) == (first.month, first.weekday(), first.time())
            if not fits or not same or at.year != first.year + count:
                break
            count += 1
        if count > best:
            best, best_rule = count, f"BYMONTH={first.month};BYDAY={which}{_DAYS[first.weekday()]}"
    # On or after a day of the month, as "the first Sunday from the 8th on"
    weekday = first.weekday()
    for start_day in range(max(1, first.day - 6), min(first.day, 25) + 1):
        count = 0
        while position + count < len(locals_):
            at = locals_[position + count]
            same = (at.month, at.weekday(), at.time()) == (first.month, weekday, first.time())
            if not same or at.year != first.year + count or not start_day <= at.day < start_day + 7:
                break
            count += 1
        if count > best:
            month_days = ",".join(str(start_day + each) for each in range(7))
            best, best_rule = count, f"BYMONTH={first.month};BYMONTHDAY={month_days};BYDAY={_DAYS[weekday]}"
    return best, best_rule


def _part(
    is_dst: bool, start: datetime, before: timedelta, after: timedelta, tzname: str, rule: str, dates: list[datetime]
) -> Component:
    properties = [
        Property("DTSTART", written_local(start)),
        Property("TZOFFSETFROM", _written_offset(before)),
        Property("TZOFFSETTO", _written_offset(after)),
        *([Property("TZNAME", tzname)] if tzname else []),
        *([Property("RRULE", rule)] if rule else []),
        *(Property("RDATE", written_local(each)) for each in dates),
    ]
    return Component("DAYLIGHT" if is_dst else "STANDARD", properties)


def _written_offset(offset: timedelta) -> str:
    total = int(offset.total_seconds())
    sign, total = ("-", -total) if total < 0 else ("+", total)
    text = f"{sign}{total // 3600:02}{total // 60 % 60:02}"
    return text + (f"{total % 60:02}" if total % 60 else "")
