"""What is when, over all calendars of somebody: the instances of events in a span of days, as pages show them.

Spec: RFC 4791 §9.9 (which instances a span has); attack rows 79 and 80 (one measure of work for all of it).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

from mailstead.model.dav import CollectionKind, Resource, ResourceQuery
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadObject
from mailstead.model.people import ObjectId
from mailstead.pim import itip
from mailstead.pim.calendar_object import CalendarObject, calendar_object
from mailstead.pim.component import unescaped
from mailstead.pim.event_edit import rid_of
from mailstead.pim.recurrence import Budget, Instance, instances
from mailstead.usecases.collections import Opened
from mailstead.usecases.dav_objects import DavObjects, Placed, collection_object_id
from mailstead.usecases.meetings import Meetings
from mailstead.usecases.resources import OCTETS_PAGE, off_loop

STEPS_MAX: Final = 1_000_000
INSTANCES_MAX: Final = 5_000
DAYS_MAX: Final = 400
TEXT_CHARACTERS_MAX: Final = 300
_EARLY: Final = timedelta(hours=15)
"""Floating times and whole days are somewhere within this much of UTC."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time of an event."""

    object_id: ObjectId
    calendar_id: ObjectId
    rid: str
    """Names this time of an event that comes again (`pim.own_instances`); empty: it is the only one."""
    uid: str
    summary: str
    location: str
    start: datetime
    """In the reader's zone; of whole days midnight there."""
    end: datetime
    is_all_day: bool
    is_free: bool
    is_cancelled: bool
    answer: str
    """What the reader has answered, upper case; empty: not invited, or it is the reader's own meeting."""
    is_meeting: bool
    etag: str
    """Of the object that it is in."""
    is_guests: bool
    """Somebody else organizes it, invited or not."""

    @property
    def first_on(self) -> date:
        """The day on which it begins."""
        return self.start.date()

    @property
    def last_on(self) -> date:
        """The last day of which it takes something."""
        last = self.end - timedelta(microseconds=1) if self.end > self.start else self.end
        return last.date()

    @property
    def makes_busy(self) -> bool:
        """Whether its owner is busy then."""
        return not (self.is_free or self.is_cancelled or self.answer == "DECLINED")


class Agenda:
    """Errors of all verbs: NotAllowed, without an account of one's own."""

    def __init__(self, objects: DavObjects, meetings: Meetings) -> None:
        self._objects = objects
        self._meetings = meetings

    async def between(
        self, actor: Actor, first: date, last: date, zone: tzinfo, *, without: Collection[str] = ()
    ) -> list[Occurrence]:
        """Give what is on these days (both inclusive, in the reader's zone), by start; whole days before others.

        `without` names calendars (ids) that are not wanted.
        Errors: BadObject, for more than `DAYS_MAX` days; TooManyMatches, for too much work.
        """
        if not 0 <= (last - first).days <= DAYS_MAX:
            raise BadObject("That is no span of days")
        start = datetime(first.year, first.month, first.day, tzinfo=zone)
        end = datetime(last.year, last.month, last.day, tzinfo=zone) + timedelta(days=1)
        return await self.during(actor, start, end, zone, without=without)

    async def during(
        self, actor: Actor, start: datetime, end: datetime, zone: tzinfo, *, without: Collection[str] = ()
    ) -> list[Occurrence]:
        """Give what overlaps [start, end). Errors: TooManyMatches."""
        own = await self._meetings.own(await self._objects.account(actor))
        budget = Budget(STEPS_MAX, INSTANCES_MAX)
        found: list[Occurrence] = []
        for opened in await self._objects.collections(actor, CollectionKind.CALENDAR):
            if collection_object_id(opened) not in without:
                found += await self._of(opened, start, end, zone, own, budget)
        found.sort(key=lambda each: (each.first_on, not each.is_all_day, each.start, each.end, each.summary))
        return found

    async def _of(
        self, opened: Opened, start: datetime, end: datetime, zone: tzinfo, own: frozenset[str], budget: Budget
    ) -> list[Occurrence]:
        query = ResourceQuery(frozenset({"VEVENT"}), int((start - _EARLY).timestamp()), int((end + _EARLY).timestamp()))
        collection_id, after = opened.collection.collection_id, ""
        found: list[Occurrence] = []
        while page := await opened.store.find(collection_id, query, after=after, limit=OCTETS_PAGE, with_octets=True):
            size_octets = sum(len(each.octets) for each in page)
            found += await off_loop(size_octets, _occurrences, opened, page, start, end, zone, own, budget)
            if len(page) < OCTETS_PAGE:
                break
            after = page[-1].name
        return found


def _occurrences(
    opened: Opened,
    page: Iterable[Resource],
    start: datetime,
    end: datetime,
    zone: tzinfo,
    own: frozenset[str],
    budget: Budget,
) -> list[Occurrence]:
    """Give the instances of objects; one that cannot be read is left out. Errors: TooManyMatches."""
    calendar_id, found = collection_object_id(opened), list[Occurrence]()
    for resource in page:
        try:
            parsed = calendar_object(resource.octets)
        except BadObject:
            continue
        placed, host = Placed(opened, resource), itip.organizer(parsed)
        for each in instances(parsed, start, end, zone, budget):
            found.append(_occurrence(each, parsed, placed, calendar_id, zone, "" if host in own else host, own))
    return found


def _occurrence(
    instance: Instance,
    parsed: CalendarObject,
    placed: Placed,
    calendar_id: ObjectId,
    zone: tzinfo,
    host: str,
    own: frozenset[str],
) -> Occurrence:
    part = instance.component
    answer = ""
    if host:
        answer = next((itip.answer_of(prop) for who, prop in itip.attendees([part]).items() if who in own), "")
    start, end = instance.start.astimezone(zone), instance.end.astimezone(zone)
    if instance.is_all_day:
        local = instance.at.local
        start = local.replace(tzinfo=zone)
        end = instance.at.plus(instance.length).local.replace(tzinfo=zone)
    return Occurrence(
        placed.object_id,
        calendar_id,
        rid_of(instance.recurrence_id) if instance.recurrence_id is not None else "",
        parsed.uid,
        unescaped(part.value("SUMMARY"))[:TEXT_CHARACTERS_MAX],
        unescaped(part.value("LOCATION"))[:TEXT_CHARACTERS_MAX],
        start,
        end,
        instance.is_all_day,
        part.value("TRANSP").strip().upper() == "TRANSPARENT",
        part.value("STATUS").strip().upper() == "CANCELLED",
        answer,
        part.first("ATTENDEE") is not None,
        placed.resource.etag,
        bool(host),
    )
