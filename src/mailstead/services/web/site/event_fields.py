"""The form of an event: its fields as text, and what they say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final

from mailstead.model.address import Address
from mailstead.model.errors import PolicyRefused
from mailstead.pim.event_form import COUNT_MAX, INTERVAL_MAX, NEVER, REMINDER_MIN_MAX, EventForm, Repetition
from mailstead.services.web.site.days import Times, day_of
from mailstead.services.web.site.words import _

REMINDERS: Final = {
    "": _("none"),
    "0": _("when it begins"),
    "5": _("5 minutes before"),
    "10": _("10 minutes before"),
    "15": _("15 minutes before"),
    "30": _("30 minutes before"),
    "60": _("1 hour before"),
    "120": _("2 hours before"),
    "1440": _("1 day before"),
    "2880": _("2 days before"),
    "10080": _("1 week before"),
}
FREQUENCIES: Final = {
    "": _("never"),
    "DAILY": _("every day"),
    "WEEKLY": _("every week"),
    "MONTHLY": _("every month"),
    "YEARLY": _("every year"),
}
KEPT: Final = "kept"
"""Of a reminder or a repetition that this form does not know: it stays."""
MOVED_MIN_MAX: Final = 1_000_000
"""By how many minutes an event is dragged at most: nearly two years."""
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::\d{2})?", re.ASCII)
_ADDRESSES: Final = re.compile(r"[,;\r\n]+")


def begun(on: date, hour: str, times: Times, calendar_id: str) -> dict[str, str]:
    """Give the fields of a new event."""
    read = _CLOCK.fullmatch(hour)
    local = times.now.astimezone(times.zone)
    at = (
        int(read[1]) * 60 + int(read[2])
        if read is not None
        else min(local.hour + 1, 22) * 60
        if on == times.today
        else 540
    )
    start = datetime(on.year, on.month, on.day) + timedelta(minutes=at)  # noqa: DTZ001 - by the clock there
    form = EventForm(start, start + timedelta(hours=1), zone=times.zone_name)
    return {**fields_of(form), "calendar": calendar_id}


def fields_of(form: EventForm) -> dict[str, str]:
    """Give the fields of an event."""
    repetition = form.repetition
    found = {
        "summary": form.summary,
        "location": form.location,
        "description": form.description,
        "all_day": "yes" if form.is_all_day else "",
        "start_on": f"{form.start:%Y-%m-%d}",
        "start_at": "09:00" if form.is_all_day else f"{form.start:%H:%M}",
        "end_on": f"{form.end:%Y-%m-%d}",
        "end_at": "10:00" if form.is_all_day else f"{form.end:%H:%M}",
        "zone": form.zone,
        "repeat": KEPT if repetition is None else repetition.frequency,
        "reminder": KEPT if form.keeps_reminders else "" if form.reminder_min is None else str(form.reminder_min),
        "guests": "\n".join(form.guests),
        "is_free": "yes" if form.is_free else "",
    }
    if repetition is not None:
        found["interval"] = str(repetition.interval)
        found["count"] = "" if repetition.count is None else str(repetition.count)
        found["until"] = "" if repetition.until is None else repetition.until.isoformat()
        found["ends"] = "count" if repetition.count is not None else "until" if repetition.until is not None else ""
        found |= {f"day-{number}": "yes" for number in repetition.weekdays}
    return found


def form_of(fields: Mapping[str, str], times: Times, before: EventForm | None = None) -> EventForm:
    """Give what the fields say; `before` has what they leave as it was. Errors: PolicyRefused, BadAddress."""
    is_all_day = fields.get("all_day") == "yes"
    start = _moment(fields, "start", is_all_day=is_all_day)
    end = _moment(fields, "end", is_all_day=is_all_day)
    reminder_min, keeps_reminders = _reminder(fields, before)
    if not is_all_day and before is not None and not before.is_all_day:
        # A form has no seconds.
        start = before.start if start == before.start.replace(second=0) else start
        end = before.end if end == before.end.replace(second=0) else end
    return EventForm(
        start,
        end,
        is_all_day,
        "" if is_all_day else fields.get("zone", times.zone_name).strip(),
        _line(fields.get("summary", "")),
        _line(fields.get("location", "")),
        _text(fields.get("description", ""), before),
        _repetition(fields, before),
        reminder_min,
        keeps_reminders,
        _guests(fields.get("guests", "")),
        fields.get("is_free") == "yes",
    )


def minutes_of(fields: Mapping[str, str]) -> int:
    """Give by how many minutes an event was dragged; 0: it was not. Errors: PolicyRefused."""
    text = fields.get("by", "")
    return _number(text.removeprefix("-"), MOVED_MIN_MAX) * (-1 if text.startswith("-") else 1) if text else 0


def moved(form: EventForm, by_min: int) -> EventForm:
    """Give an event as long as it was, at another time by the clock there; days of a week come along.

    Errors: PolicyRefused, for whole days that would become others, and for a time that calendars do not have.
    """
    by = timedelta(minutes=by_min)
    if form.is_all_day and by % timedelta(days=1):
        raise PolicyRefused(_("What takes whole days is moved by whole days"))
    try:
        start, end = form.start + by, form.end + by
    except OverflowError:
        raise PolicyRefused("That year is too far away") from None
    repetition, days = form.repetition, (start.date() - form.start.date()).days
    if repetition is not None:
        weekdays = tuple(sorted((each + days) % 7 for each in repetition.weekdays))
        repetition = replace(repetition, weekdays=weekdays)
    return replace(form, start=start, end=end, repetition=repetition)


def guests_form(fields: Mapping[str, str], _times: Times, before: EventForm) -> EventForm:
    """Give what a guest's own is of the fields: reminder, and whether it makes busy. Errors: PolicyRefused."""
    reminder_min, keeps_reminders = _reminder(fields, before)
    is_free = fields.get("is_free") == "yes"
    return replace(before, reminder_min=reminder_min, keeps_reminders=keeps_reminders, is_free=is_free)


def _reminder(fields: Mapping[str, str], before: EventForm | None) -> tuple[int | None, bool]:
    text = fields.get("reminder", "")
    if text == KEPT:
        return None, before is not None and before.keeps_reminders
    return _number(text, REMINDER_MIN_MAX) if text else None, False


def _moment(fields: Mapping[str, str], which: str, *, is_all_day: bool) -> datetime:
    day = day_of(fields.get(f"{which}_on", ""))
    if day is None and which == "end":
        day = day_of(fields.get("start_on", ""))
    if day is None:
        raise PolicyRefused(_("Say on which day it is"))
    at = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - by the clock there
    if is_all_day:
        return at
    read = _CLOCK.fullmatch(fields.get(f"{which}_at", ""))
    if read is None:
        raise PolicyRefused(_("Say from when to when it is, or that it is all day"))
    return at.replace(hour=int(read[1]), minute=int(read[2]))


def _repetition(fields: Mapping[str, str], before: EventForm | None) -> Repetition | None:
    frequency = fields.get("repeat", "")
    if frequency == KEPT and before is not None:
        return before.repetition
    if not frequency:
        return NEVER
    if frequency not in FREQUENCIES:
        raise PolicyRefused(_("Say how it is repeated"))
    ends, until = fields.get("ends", ""), None
    if ends == "until":
        until = day_of(fields.get("until", ""))
        if until is None:
            raise PolicyRefused(_("Say until which day it is repeated"))
    days = tuple(number for number in range(7) if fields.get(f"day-{number}") == "yes")
    return Repetition(
        frequency,
        _number(fields.get("interval", "") or "1", INTERVAL_MAX, 1),
        days if frequency == "WEEKLY" else (),
        _number(fields.get("count", ""), COUNT_MAX, 1) if ends == "count" else None,
        until,
    )


def _guests(text: str) -> tuple[str, ...]:
    """Errors: BadAddress."""
    found: dict[str, None] = {}
    for each in _ADDRESSES.split(text):
        written = each.rpartition("<")[2].partition(">")[0] if "<" in each else each
        for word in written.split():
            found[str(Address.parse(word)).lower()] = None
    return tuple(found)


def _number(text: str, most: int, least: int = 0) -> int:
    """Errors: PolicyRefused."""
    if not (text.isascii() and text.isdigit() and len(text) < 8 and least <= int(text) <= most):
        raise PolicyRefused(_("That is no number that can be used here"))
    return int(text)


def _line(text: str) -> str:
    return " ".join(text.split())


def _text(text: str, before: EventForm | None) -> str:
    """Give notes with line ends as iCalendar has them; as they were where only a browser's line ends differ."""
    text = text.replace("\r\n", "\n")
    if before is not None and text.strip() == before.description.replace("\r\n", "\n").strip():
        return before.description
    return text.rstrip()
