"""Calendars: month, week, day and agenda, in the reader's time zone. Which calendars are hidden a cookie remembers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from starlette.responses import Response

from mailstead.model.dav import CollectionKind
from mailstead.model.errors import MailsteadError
from mailstead.net.http_statuses import status_of
from mailstead.pim import itip
from mailstead.services.web.site.days import MONTHS, WEEKDAYS, WEEKDAYS_SHORT, Times, day_of, times_of
from mailstead.services.web.site.pages import Page, Visit, Who, local_path
from mailstead.usecases.agenda import Occurrence
from mailstead.usecases.calendars import is_read_only
from mailstead.usecases.collections import Opened
from mailstead.usecases.dav_objects import collection_object_id

HIDDEN: Final = "hidden_calendars"
HIDDEN_MAX: Final = 60
VIEWS: Final = ("month", "week", "day", "agenda")
AGENDA_DAYS: Final = 30
PER_CELL_MAX: Final = 4
"""Events in one cell of a month; the day shows the rest."""
COLOR: Final = "#4a78c8"
"""Of a calendar that has none."""
FIRST_HOUR, LAST_HOUR = 8, 19
"""Of a day's grid, where nothing is earlier or later."""
_COLOR: Final = re.compile(r"(#[0-9A-Fa-f]{6})(?:[0-9A-Fa-f]{2})?")
_YEAR_COOKIE_S: Final = 365 * 86400


@dataclass(frozen=True, slots=True)
class ShownCalendar:
    """A calendar in a list."""

    calendar_id: str
    opened: Opened
    color: str
    """``#RRGGBB``, whatever a client has sent."""
    is_hidden: bool

    @property
    def name(self) -> str:
        """What it is called."""
        return self.opened.traits.display_name or self.opened.name

    @property
    def owner(self) -> str:
        """Whose it is, where it is shared; else empty."""
        return str(self.opened.owner.address) if not self.opened.is_own else ""

    @property
    def is_from_elsewhere(self) -> bool:
        """Whether its events come from a web address."""
        return bool(self.opened.collection.source_url)

    @property
    def may_write(self) -> bool:
        """Whether events can be put into it here."""
        return not is_read_only(self.opened) and not self.is_from_elsewhere

    def takes(self, component: str) -> bool:
        """Whether such objects can be put into it."""
        return not self.opened.traits.components or component in self.opened.traits.components


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of an event on the grid of one day, in half hours from the first hour of the grid."""

    event: Occurrence
    first: int
    length: int


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a view."""

    on: date
    is_today: bool
    is_other_month: bool
    events: Sequence[Occurrence]
    """What is on at any time of it, whole days first."""
    whole: Sequence[Occurrence] = ()
    """What takes all of it."""
    slots: Sequence[Slot] = ()


async def calendar(visit: Visit) -> Response:
    """Show a month, a week, a day, or what comes."""
    times, query = await times_of(visit), visit.request.query_params
    view = query.get("view", "month")
    view = view if view in VIEWS else "month"
    on = day_of(query.get("on", "")) or times.today
    first, last = _span(view, on, times)
    shown = await calendars_of(visit)
    hidden = [each.calendar_id for each in shown if each.is_hidden]
    error: MailsteadError | None = None
    events: list[Occurrence] = []
    try:
        events = await visit.house.diary.agenda.between(visit.actor, first, last, times.zone, without=hidden)
    except MailsteadError as wrong:
        error = wrong
    hours = _hours(events) if view in {"week", "day"} else (0, 24)
    count = (last - first).days + 1
    days = [_day(first + timedelta(days=number), on, events, times, hours) for number in range(count)]
    before, after = _neighbours(view, on)
    return visit.show(
        "calendar/calendar.html",
        200 if error is None else status_of(error),
        view=view,
        views=VIEWS,
        on=on,
        days=days,
        weeks=[days[start : start + 7] for start in range(0, count, 7)],
        hours=range(*hours),
        before=before,
        after=after,
        times=times,
        calendars=shown,
        by_id={each.calendar_id: each for each in shown},
        waiting=_waiting(events),
        per_cell=PER_CELL_MAX,
        names=NAMES,
        error=error,
    )


async def choose(visit: Visit) -> Response:
    """Remember which calendars are shown, in this browser."""
    fields = await visit.fields()
    shown = {name.removeprefix("show-") for name in fields if name.startswith("show-")}
    hidden = [each.calendar_id for each in await calendars_of(visit) if each.calendar_id not in shown]
    visit.set_cookie(HIDDEN, ".".join(hidden[:HIDDEN_MAX]), _YEAR_COOKIE_S, "Lax")
    return visit.go(local_path(fields.get("then", ""), "/calendar"))


async def calendars_of(visit: Visit) -> list[ShownCalendar]:
    """Give all calendars of the visitor, in the order that their owner has given them."""
    hidden = set(visit.request.cookies.get(HIDDEN, "").split("."))
    found = await visit.house.diary.objects.collections(visit.actor, CollectionKind.CALENDAR)
    found.sort(key=lambda each: (not each.is_own, each.traits.order if each.traits.order is not None else 2**31))
    return [shown_calendar(each, hidden) for each in found]


def shown_calendar(opened: Opened, hidden: set[str] | frozenset[str] = frozenset()) -> ShownCalendar:
    """Give a calendar as lists show it."""
    calendar_id = collection_object_id(opened)
    color = _COLOR.fullmatch(opened.traits.color.strip())
    return ShownCalendar(calendar_id, opened, color[1].lower() if color is not None else COLOR, calendar_id in hidden)


NAMES: Final = {"months": MONTHS, "weekdays": WEEKDAYS, "short": WEEKDAYS_SHORT}


def _waiting(events: Sequence[Occurrence]) -> list[Occurrence]:
    """Give the invitations that are not answered, each once: people of this server get no mail about them."""
    found: dict[str, Occurrence] = {}
    for each in events:
        if each.answer == itip.NEEDS_ACTION and not each.is_cancelled:
            found.setdefault(each.object_id, each)
    return list(found.values())


def _span(view: str, on: date, times: Times) -> tuple[date, date]:
    if view == "day":
        return on, on
    if view == "week":
        first = times.week_of(on)
        return first, first + timedelta(days=6)
    if view == "agenda":
        return on, on + timedelta(days=AGENDA_DAYS - 1)
    first = times.week_of(on.replace(day=1))
    return first, times.week_of(_next_month(on) - timedelta(days=1)) + timedelta(days=6)


def _neighbours(view: str, on: date) -> tuple[date, date]:
    if view == "month":
        return (on.replace(day=1) - timedelta(days=1)).replace(day=1), _next_month(on)
    days = {"day": 1, "week": 7, "agenda": AGENDA_DAYS}[view]
    return on - timedelta(days=days), on + timedelta(days=days)


def _next_month(on: date) -> date:
    return (on.replace(day=28) + timedelta(days=4)).replace(day=1)


def _hours(events: Sequence[Occurrence]) -> tuple[int, int]:
    """Give the hours that a grid shows, so that nothing is outside of it."""
    first, last = FIRST_HOUR, LAST_HOUR
    for each in events:
        if _is_whole(each):
            continue
        if each.first_on != each.last_on:
            return 0, 24
        first = min(first, each.start.hour)
        last = max(last, each.end.hour + (each.end.minute > 0) if each.end.date() == each.first_on else 24)
    return first, min(24, max(last, first + 1))


def _is_whole(event: Occurrence) -> bool:
    return event.is_all_day or event.end - event.start >= timedelta(days=1)


def _day(day: date, on: date, events: Sequence[Occurrence], times: Times, hours: tuple[int, int]) -> Day:
    here = [each for each in events if each.first_on <= day <= each.last_on]
    here.sort(key=lambda each: (not _is_whole(each), each.start))
    slots = [_slot(each, day, hours) for each in here if not _is_whole(each)]
    whole = [each for each in here if _is_whole(each)]
    return Day(day, day == times.today, day.month != on.month, here, whole, slots)


def _slot(event: Occurrence, day: date, hours: tuple[int, int]) -> Slot:
    begin = event.start.hour * 60 + event.start.minute if event.first_on == day else 0
    stop = event.end.hour * 60 + event.end.minute if event.end.date() == day else 24 * 60
    first = begin // 30 - hours[0] * 2
    length = max(1, -(-stop // 30) - begin // 30)
    most = (hours[1] - hours[0]) * 2
    first = min(max(first, 0), most - 1)
    return Slot(event, first, min(length, most - first))


PAGES: Final = (
    Page("/calendar", calendar, Who.OWNER),
    Page("/calendar/shown", choose, Who.OWNER, ("POST",)),
)
