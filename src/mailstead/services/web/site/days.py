"""Days as a reader sees them: in which time zone, with which day a week begins, how months and weekdays are called.

Spec: Unicode CLDR (first day of the week by territory).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from typing import Final
from zoneinfo import available_timezones

from mailstead.model.preferences import Preferences, WeekStart
from mailstead.pim.zones import iana_zone
from mailstead.services.web.site.pages import Visit
from mailstead.services.web.site.words import _

ZONE_COOKIE: Final = "time_zone"
"""Set by calendar.js, where the preferences say nothing."""
MONTHS: Final = (
    _("January"),
    _("February"),
    _("March"),
    _("April"),
    _("May"),
    _("June"),
    _("July"),
    _("August"),
    _("September"),
    _("October"),
    _("November"),
    _("December"),
)
WEEKDAYS: Final = (
    _("Monday"),
    _("Tuesday"),
    _("Wednesday"),
    _("Thursday"),
    _("Friday"),
    _("Saturday"),
    _("Sunday"),
)
WEEKDAYS_SHORT: Final = (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))
_DAY: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_SUNDAY_LANGUAGES: Final = frozenset({"en", "ko", "ja", "he", "pt", "th", "hi"})
_SUNDAY_TERRITORIES: Final = frozenset(
    "US CA MX BR JP KR IN IL ZA PH TH TW HK SG CO PE VE ID PK SA KE ZW".split()  # noqa: SIM905 - easier to read
)
_SATURDAY_TERRITORIES: Final = frozenset({"AE", "AF", "DZ", "EG", "IQ", "IR", "JO", "KW", "LY", "OM", "QA", "SY"})
_FIRST_YEAR, _LAST_YEAR = 1900, 9000


@dataclass(frozen=True, slots=True)
class Times:
    """How a reader reckons."""

    zone: tzinfo
    zone_name: str
    week_start: int
    """Monday is 0."""
    is_zone_chosen: bool
    """By the preferences; else the browser may say another one."""
    now: datetime

    @property
    def today(self) -> date:
        """The reader's."""
        return self.now.astimezone(self.zone).date()

    def week_of(self, day: date) -> date:
        """Give the first day of a day's week."""
        return day - timedelta(days=(day.weekday() - self.week_start) % 7)


async def times_of(visit: Visit) -> Times:
    """Give how the visitor reckons: by the preferences, else by the browser."""
    preferences = await visit.house.preferences.get(visit.actor)
    name = preferences.time_zone or visit.request.cookies.get(ZONE_COOKIE, "").replace("%2F", "/")
    zone = iana_zone(name) if name else None
    start = week_start(preferences, visit.request.headers.get("accept-language", ""), visit.look.language)
    chosen = bool(preferences.time_zone) and zone is not None
    return Times(zone or UTC, name if zone is not None else "UTC", start, chosen, visit.house.clock.now())


def week_start(preferences: Preferences, accept_language: str, language: str) -> int:
    """Give the day with which a week begins, Monday is 0."""
    chosen = {WeekStart.MONDAY: 0, WeekStart.SATURDAY: 5, WeekStart.SUNDAY: 6}.get(preferences.week_start)
    if chosen is not None:
        return chosen
    tag = accept_language.partition(",")[0].partition(";")[0].strip()
    own, _dash, territory = tag.partition("-")
    territory = territory.rpartition("-")[2].upper()
    if own.lower() == language.partition("-")[0] and len(territory) == 2:
        return 6 if territory in _SUNDAY_TERRITORIES else 5 if territory in _SATURDAY_TERRITORIES else 0
    return 6 if language.partition("-")[0] in _SUNDAY_LANGUAGES else 0


def day_of(text: str) -> date | None:
    """Read a day as forms and addresses write it; None: it is none, or too far away."""
    read = _DAY.fullmatch(text)
    if read is None:
        return None
    try:
        day = date(int(read[1]), int(read[2]), int(read[3]))
    except ValueError:
        return None
    return day if _FIRST_YEAR <= day.year <= _LAST_YEAR else None


@cache
def zone_names() -> tuple[str, ...]:
    """Give the names to choose from: those of places."""
    areas = ("Africa/", "America/", "Antarctica/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/")
    return ("UTC", *sorted(each for each in available_timezones() if each.startswith(areas)))
