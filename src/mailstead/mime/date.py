"""The Date field.

Spec: RFC 5322 §3.3 and §4.3 (obsolete forms).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

# RFC 5322 §3.3:  date-time = [ day-of-week "," ] date time [CFWS]
#   date = day month year ; time-of-day = hour ":" minute [ ":" second ] ; zone = (FWS ("+" / "-") 4DIGIT) / obs-zone
# The day of week is not looked at; a missing zone and hyphens in the date are tolerated.
_DATE: Final = re.compile(
    rb"(?:[A-Za-z]{2,9}\.?,?[ \t\r\n]{1,80})?"
    rb"(\d{1,2})[ \t\r\n-]{1,80}([A-Za-z]{3})[a-z]{0,6}\.?[ \t\r\n-]{1,80}(\d{2,4})"
    rb"[ \t\r\n]{1,80}(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.\d{1,9})?)?(?:[ \t\r\n]{0,80}([+-]\d{4}|[A-Za-z]{1,5}))?"
)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
    )
}
# RFC 5322 §4.3:  obs-zone; military letters and unknown words mean -0000.
_ZONE_HOURS: Final = {b"EST": -5, b"EDT": -4, b"CST": -6, b"CDT": -5, b"MST": -7, b"MDT": -6, b"PST": -8, b"PDT": -7}
_COMMENT: Final = re.compile(rb"\([^()]*\)")


def date_of(value: bytes) -> datetime | None:
    """Read a date-time; None when it cannot be read.

    Spec: RFC 5322 §3.3, §4.3.
    Shapes: always time-zone aware, in the zone that was written.
    """
    found = _DATE.match(value.strip())
    if found is None:
        if b"(" not in value or len(value) > 1000:
            return None
        found = _DATE.match(_COMMENT.sub(b" ", value).strip())
        if found is None:
            return None
    day, month_name, year_digits, hour, minute, second, zone = found.groups()
    month = _MONTHS.get(month_name.lower())
    if month is None:
        return None
    year = int(year_digits)
    if len(year_digits) == 2:
        year += 2000 if year < 50 else 1900
    elif len(year_digits) == 3:
        year += 1900
    try:
        # A leap second is the second before it.
        return datetime(
            year,
            month,
            int(day),
            int(hour),
            int(minute),
            min(int(second or 0), 59 if second == b"60" else 99),
            tzinfo=_zone(zone or b""),
        )
    except ValueError:
        return None


@lru_cache(maxsize=256)
def _zone(word: bytes) -> timezone:
    """Give the zone of a word; UTC for those that say nothing."""
    if word[:1] in {b"+", b"-"}:
        minutes = int(word[1:3]) * 60 + int(word[3:5])
        if minutes >= 24 * 60 or minutes == 0:
            return UTC
        return timezone(timedelta(minutes=-minutes if word[:1] == b"-" else minutes))
    hours = _ZONE_HOURS.get(word.upper())
    return UTC if hours is None else timezone(timedelta(hours=hours))
