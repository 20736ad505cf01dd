"""Rules of recurrence: RRULE read, and its occurrences made one after the other, in local time.

Nothing here loops without counting: each period that is looked at, and each day in it, costs a step of the budget
(attack row 80). A rule without COUNT can begin near the time that is asked for.

Spec: RFC 5545 §3.3.10, §3.8.5.3.
"""

from __future__ import annotations

import calendar as days_of
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from mailstead.model.errors import BadObject, TooManyMatches
from mailstead.pim.component import Property
from mailstead.pim.values import Moment, parse_moment

STEPS_MAX: Final = 100_000
INSTANCES_MAX: Final = 10_000
WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
FREQUENCIES: Final = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
YEARLY, MONTHLY, WEEKLY, DAILY, HOURLY, MINUTELY, SECONDLY = range(7)
YEAR_MAX: Final = 9998
PARTS_MAX: Final = 400
"""Values of one BY part; more than a year has days says nothing more."""
_BY_DAY: Final = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_DAY: Final = timedelta(days=1)


class Budget:
    """How much work one question may cost."""

    def __init__(self, steps_max: int = STEPS_MAX, instances_max: int = INSTANCES_MAX) -> None:
        self._steps_left = steps_max
        self._instances_left = instances_max

    def step(self, count: int = 1) -> None:
        """Errors: TooManyMatches, when it is spent."""
        self._steps_left -= count
        if self._steps_left < 0:
            raise TooManyMatches("A rule of recurrence takes too much work")

    def instance(self) -> None:
        """Errors: TooManyMatches, when there were too many."""
        self._instances_left -= 1
        if self._instances_left < 0:
            raise TooManyMatches("There are too many instances at once")


@dataclass(frozen=True, slots=True)
class Rule:
    """One RRULE. Empty tuples: not said."""

    frequency: int
    """Index in `FREQUENCIES`."""
    interval: int = 1
    count: int | None = None
    until: Moment | None = None
    by_second: tuple[int, ...] = ()
    by_minute: tuple[int, ...] = ()
    by_hour: tuple[int, ...] = ()
    by_day: tuple[tuple[int, int], ...] = ()
    """Which one (0: each), and weekday (Monday is 0)."""
    by_month_day: tuple[int, ...] = ()
    by_year_day: tuple[int, ...] = ()
    by_week_no: tuple[int, ...] = ()
    by_month: tuple[int, ...] = ()
    by_set_pos: tuple[int, ...] = ()
    week_start: int = 0

    @property
    def is_endless(self) -> bool:
        """Whether neither COUNT nor UNTIL ends it."""
        return self.count is None and self.until is None


def parse_rule(value: str) -> Rule:
    """Read an RRULE. Errors: BadObject, also for other calendars than the Gregorian one (RFC 7529)."""
    parts: dict[str, str] = {}
    for each in value.strip().upper().split(";"):
        name, equals, text = each.partition("=")
        if not each:
            continue  # a semicolon at the end, as some clients leave it
        if not equals or name in parts:
            raise _bad(value)
        parts[name] = text
    try:
        frequency = FREQUENCIES.index(parts["FREQ"])
        if parts.get("RSCALE", "GREGORIAN") != "GREGORIAN":
            raise _bad(value)
        until = parts.get("UNTIL")
        return Rule(
            frequency,
            _whole(parts.get("INTERVAL", "1"), 1, 10**6),
            _whole(parts["COUNT"], 1, 10**9) if "COUNT" in parts else None,
            parse_moment(until, Property("UNTIL", until)) if until else None,
            _numbers(parts, "BYSECOND", 0, 60),
            _numbers(parts, "BYMINUTE", 0, 59),
            _numbers(parts, "BYHOUR", 0, 23),
            _by_day(parts.get("BYDAY", "")),
            _signed(parts, "BYMONTHDAY", 31),
            _signed(parts, "BYYEARDAY", 366),
            _signed(parts, "BYWEEKNO", 53),
            _numbers(parts, "BYMONTH", 1, 12),
            _signed(parts, "BYSETPOS", 366),
            WEEKDAYS.index(parts.get("WKST", "MO")),
        )
    except (KeyError, ValueError):
        raise _bad(value) from None


def rule_for(value: str, start: Moment) -> Rule:
    """Read an RRULE of an object that begins there; where that is a day, times of the day are ignored.

    Spec: RFC 5545 §3.3.10 (BYSECOND, BYMINUTE, BYHOUR). Errors: BadObject.
    """
    rule = parse_rule(value)
    return replace(rule, by_second=(), by_minute=(), by_hour=()) if start.is_date else rule


def occurrences(
    rule: Rule, start: datetime, budget: Budget, *, until: datetime | None = None, after: datetime | None = None
) -> Iterator[datetime]:
    """Yield the occurrences in ascending order, in the local time of `start`, from `start` on.

    `until` is UNTIL in that local time, inclusive. With `after`, what lies long before it may be left out.
    DTSTART itself is among them only if the rule gives it; whoever makes a recurrence set adds it.
    Errors: TooManyMatches.
    """
    left = rule.count
    if left is not None:
        after = None  # counted from the beginning
    for found in _periods(rule, start, budget, after):
        chosen = _at_positions(found, rule.by_set_pos) if rule.by_set_pos else found
        for each in chosen:
            if each < start:
                continue
            if until is not None and each > until:
                return
            if left is not None:
                if left == 0:
                    return
                left -= 1
            yield each
        if left == 0 or (until is not None and found and found[0] > until):
            return


# reading


def _bad(value: str) -> BadObject:
    return BadObject(f"That is no rule of recurrence: {value[:60]}", condition="valid-calendar-data")


def _whole(text: str, low: int, high: int) -> int:
    number = int(text)
    if not low <= number <= high:
        raise ValueError
    return number


def _numbers(parts: dict[str, str], name: str, low: int, high: int) -> tuple[int, ...]:
    if name not in parts:
        return ()
    texts = parts[name].split(",")
    if len(texts) > PARTS_MAX:
        raise ValueError
    return tuple(sorted({min(_whole(each, low, high), 59 if name == "BYSECOND" else high) for each in texts}))


def _signed(parts: dict[str, str], name: str, high: int) -> tuple[int, ...]:
    if name not in parts:
        return ()
    texts = parts[name].split(",")
    if len(texts) > 2 * PARTS_MAX:
        raise ValueError
    numbers = {_whole(each, -high, high) for each in texts}
    if 0 in numbers:
        raise ValueError
    return tuple(sorted(numbers))


def _by_day(text: str) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for each in text.split(",") if text else ():
        read = _BY_DAY.fullmatch(each.strip())
        if read is None or len(found) > PARTS_MAX:
            raise ValueError
        nth = int(read[1] or 0)
        if abs(nth) > 53:
            raise ValueError
        found.append((nth, WEEKDAYS.index(read[2])))
    return tuple(dict.fromkeys(found))


# periods


def _periods(rule: Rule, start: datetime, budget: Budget, after: datetime | None) -> Iterator[list[datetime]]:
    """Yield what each period gives: a year, a month …, in order. Spec: RFC 5545 §3.3.10 (the table)."""
    if rule.frequency >= HOURLY:
        yield from _short_periods(rule, start, budget, after)
        return
    times = _times(rule, start)
    days = _Days(rule, start)
    for first in _first_days(rule, start, after):
        budget.step()
        found = days.of(first, budget)
        budget.step(len(found) * len(times))
        yield [datetime.combine(day, at) for day in found for at in times]


def _first_days(rule: Rule, start: datetime, after: datetime | None) -> Iterator[date]:
    """Yield the first day of each period of a year, a month, a week or a day."""
    begin = max(start, after) if after is not None else start
    if rule.frequency == YEARLY:
        skipped = max(0, begin.year - start.year - 1) // rule.interval * rule.interval
        for year in range(start.year + skipped, YEAR_MAX + 1, rule.interval):
            yield date(year, 1, 1)
    elif rule.frequency == MONTHLY:
        first = start.year * 12 + start.month - 1
        skipped = max(0, begin.year * 12 + begin.month - 2 - first) // rule.interval * rule.interval
        for month in range(first + skipped, YEAR_MAX * 12, rule.interval):
            yield date(month // 12, month % 12 + 1, 1)
    else:
        first_day = start.date().toordinal()
        length = 1
        if rule.frequency == WEEKLY:
            first_day -= (start.weekday() - rule.week_start) % 7
            length = 7
        step = rule.interval * length
        skipped = max(0, begin.date().toordinal() - length - first_day) // step * step
        last = date(YEAR_MAX, 12, 31).toordinal()
        for ordinal in range(max(first_day + skipped, 1), last, step):
            yield date.fromordinal(ordinal)


class _Days:
    """Which days of a period a rule gives."""

    def __init__(self, rule: Rule, start: datetime) -> None:
        self._rule = rule
        self._start = start
        self._months = rule.by_month
        self._month_days = rule.by_month_day
        self._by_day = rule.by_day
        says_no_day = not (rule.by_week_no or rule.by_year_day or rule.by_month_day or rule.by_day)
        # What a rule does not say comes from DTSTART.
        if says_no_day and rule.frequency in {YEARLY, MONTHLY}:
            self._month_days = (start.day,)
            if rule.frequency == YEARLY and not self._months:
                self._months = (start.month,)
        elif (says_no_day and rule.frequency == WEEKLY) or (
            rule.by_week_no and rule.frequency == YEARLY and not (rule.by_day or rule.by_month_day or rule.by_year_day)
        ):
            self._by_day = ((0, start.weekday()),)
        self._weekdays = frozenset(weekday for _, weekday in self._by_day)
        self._of_week = sorted((each - rule.week_start) % 7 for each in self._weekdays) or range(7)
        self._has_nth = any(nth for nth, _ in self._by_day)

    def of(self, first: date, budget: Budget) -> list[date]:
        """Give the days of the period that begins there, in order."""
        frequency = self._rule.frequency
        if frequency == YEARLY:
            return self._of_year(first.year, budget)
        if frequency == MONTHLY:
            if self._months and first.month not in self._months:
                return []
            return self._of_month(first.year, first.month, budget)
        if frequency == DAILY:
            return [first] if self.takes(first) else []
        days = [first + _DAY * at for at in self._of_week]
        return [each for each in days if self.takes(each)] if self._months or self._month_days else days

    def takes(self, day: date) -> bool:
        """Whether a day passes as a limit: of weekly and shorter rules."""
        rule = self._rule
        if self._months and day.month not in self._months:
            return False
        if self._month_days and not _is_month_day(day, self._month_days):
            return False
        if rule.by_year_day and rule.frequency != WEEKLY and not _is_year_day(day, rule.by_year_day):
            return False
        return not self._weekdays or day.weekday() in self._weekdays

    def _of_month(self, year: int, month: int, budget: Budget) -> list[date]:
        length = days_of.monthrange(year, month)[1]
        if self._month_days:
            numbers = {each if each > 0 else length + 1 + each for each in self._month_days}
            days = [date(year, month, each) for each in sorted(numbers) if 1 <= each <= length]
            budget.step(len(numbers))
            if not self._by_day:
                return days
            if not self._has_nth:
                return [each for each in days if each.weekday() in self._weekdays]
            named = set(_named_days(date(year, month, 1), length, self._by_day))
            return [each for each in days if each in named]
        budget.step(5)
        return _named_days(date(year, month, 1), length, self._by_day)

    def _of_year(self, year: int, budget: Budget) -> list[date]:
        rule = self._rule
        first, length = date(year, 1, 1), 366 if days_of.isleap(year) else 365
        if rule.by_year_day:
            numbers = {each if each > 0 else length + 1 + each for each in rule.by_year_day}
            budget.step(len(numbers))
            days = [first + _DAY * (each - 1) for each in sorted(numbers) if 1 <= each <= length]
            return self._limited(days, by_week=True)
        if rule.by_week_no:
            budget.step(7 * len(rule.by_week_no))
            return self._limited(_week_days(year, rule.by_week_no, rule.week_start), by_week=False)
        if self._months or (self._month_days and not self._has_nth):
            found: list[date] = []
            for month in self._months or range(1, 13):
                found += self._of_month(year, month, budget)
            return found
        budget.step(53)
        named = _named_days(first, length, self._by_day)  # without BYMONTH the nth is that of the year
        return [each for each in named if not self._month_days or _is_month_day(each, self._month_days)]

    def _limited(self, days: list[date], *, by_week: bool) -> list[date]:
        """Give those days that the other parts of the rule take as well."""
        rule = self._rule
        weeks, named = set(), set()
        for year in {each.year for each in days}:
            if by_week and rule.by_week_no:
                weeks |= set(_week_days(year, rule.by_week_no, rule.week_start))
            if self._has_nth:
                named |= self._named_of_year(year)
        return [
            each
            for each in days
            if (not self._months or each.month in self._months)
            and (not self._month_days or _is_month_day(each, self._month_days))
            and (not self._weekdays or each.weekday() in self._weekdays)
            and (not self._has_nth or each in named)
            and (not (by_week and rule.by_week_no) or each in weeks)
        ]

    def _named_of_year(self, year: int) -> set[date]:
        """Give the days that BYDAY names, the nth of a year or of its months."""
        if not self._months:
            return set(_named_days(date(year, 1, 1), 366 if days_of.isleap(year) else 365, self._by_day))
        found: set[date] = set()
        for month in self._months:
            found.update(_named_days(date(year, month, 1), days_of.monthrange(year, month)[1], self._by_day))
        return found


def _named_days(first: date, length: int, by_day: tuple[tuple[int, int], ...]) -> list[date]:
    """Give the weekdays of a span: each, the nth, the nth from its end."""
    found: set[int] = set()
    for nth, weekday in by_day:
        offset = (weekday - first.weekday()) % 7
        if nth == 0:
            found.update(range(offset, length, 7))
        elif nth > 0:
            found.add(offset + 7 * (nth - 1))
        else:
            last = offset + 7 * ((length - 1 - offset) // 7)
            found.add(last + 7 * (nth + 1))
    return [first + _DAY * each for each in sorted(found) if 0 <= each < length]


def _week_days(year: int, numbers: tuple[int, ...], week_start: int) -> list[date]:
    """Give the days of numbered weeks that belong to a year's weeks, also where they lie in the next or last year.

    Week 1 is the first with at least four days in the year. Spec: RFC 5545 §3.3.10 (BYWEEKNO).
    """

    def first_week(of: int) -> date:
        day = date(of, 1, 1)
        begins = day - _DAY * ((day.weekday() - week_start) % 7)
        return begins if (day - begins).days <= 3 else begins + 7 * _DAY

    if year == 1:
        return []  # its first week may lie before all that can be reckoned with
    begin, following = first_week(year), first_week(year + 1)
    count = (following - begin).days // 7
    found: set[date] = set()
    for each in numbers:
        number = each if each > 0 else count + 1 + each
        if 1 <= number <= count:
            found.update(begin + _DAY * (7 * (number - 1) + at) for at in range(7))
    return sorted(each for each in found if each.year == year)


def _is_month_day(day: date, numbers: tuple[int, ...]) -> bool:
    return day.day in numbers or day.day - days_of.monthrange(day.year, day.month)[1] - 1 in numbers


def _is_year_day(day: date, numbers: tuple[int, ...]) -> bool:
    at = day.timetuple().tm_yday
    return at in numbers or at - (367 if days_of.isleap(day.year) else 366) in numbers


def _times(rule: Rule, start: datetime) -> list[time]:
    """Give the times of a day, in order."""
    return [
        start.time().replace(hour=hour, minute=minute, second=second)
        for hour in rule.by_hour or (start.hour,)
        for minute in rule.by_minute or (start.minute,)
        for second in rule.by_second or (start.second,)
    ]


def _short_periods(rule: Rule, start: datetime, budget: Budget, after: datetime | None) -> Iterator[list[datetime]]:
    """Yield what each hour, minute or second gives; days and hours that a rule leaves out are passed at once."""
    unit = {HOURLY: 3600, MINUTELY: 60, SECONDLY: 1}[rule.frequency]
    begin = start.replace(minute=0, second=0) if rule.frequency == HOURLY else start
    begin = begin.replace(second=0) if rule.frequency == MINUTELY else begin
    step = rule.interval * unit
    days, last = _Days(rule, start), datetime(YEAR_MAX, 12, 31)  # noqa: DTZ001  # local
    number = 0
    if after is not None and after > begin:
        number = int((after - begin).total_seconds()) // step
    while True:
        budget.step()
        try:
            at = begin + timedelta(seconds=number * step)
        except OverflowError:
            return
        if at > last:
            return
        if not days.takes(at.date()):
            number = _next_number(begin, at.replace(hour=0, minute=0, second=0) + _DAY, step)
            continue
        if rule.by_hour and at.hour not in rule.by_hour:
            number = _next_number(begin, at.replace(minute=0, second=0) + timedelta(hours=1), step)
            continue
        number += 1
        if rule.by_minute and rule.frequency >= MINUTELY and at.minute not in rule.by_minute:
            continue
        if rule.by_second and rule.frequency == SECONDLY and at.second not in rule.by_second:
            continue
        minutes = rule.by_minute if rule.frequency == HOURLY and rule.by_minute else (None,)
        seconds = rule.by_second if rule.frequency < SECONDLY and rule.by_second else (None,)
        yield [_within(at, start, rule.frequency, minute, second) for minute in minutes for second in seconds]


def _within(at: datetime, start: datetime, frequency: int, minute: int | None, second: int | None) -> datetime:
    if frequency == HOURLY:
        at = at.replace(minute=start.minute if minute is None else minute)
    return at.replace(second=start.second if second is None else second) if frequency < SECONDLY else at


def _next_number(begin: datetime, target: datetime, step: int) -> int:
    """Give the number of the first period that begins at a moment, or after it."""
    return -(-int((target - begin).total_seconds()) // step)


def _at_positions(found: list[datetime], positions: tuple[int, ...]) -> list[datetime]:
    """Spec: RFC 5545 §3.3.10 (BYSETPOS)."""
    count = len(found)
    chosen = {each - 1 if each > 0 else count + each for each in positions}
    return [found[each] for each in sorted(chosen) if 0 <= each < count]


def until_local(rule: Rule, start: Moment) -> datetime | None:
    """Give UNTIL in the local time of DTSTART; a day, where times were expected, is taken whole.

    Spec: RFC 5545 §3.3.10 (UNTIL).
    """
    until = rule.until
    if until is None:
        return None
    if start.is_date:
        return until.local.replace(hour=0, minute=0, second=0)
    if until.is_date:
        return until.local.replace(hour=23, minute=59, second=59)
    if until.zone is not None and start.zone is not None:
        return until.utc(UTC).astimezone(start.zone).replace(tzinfo=None)
    return until.local
