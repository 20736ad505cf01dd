"""Calendar objects: events, tasks, journals; put, removed, and found by what is in them.

An object is kept octet by octet as it was sent. What it causes elsewhere (invitations, answers) is planned before the
change, kept with it in the same unit, and done after it.

Spec: RFC 4791 §5.3.2, §7.8, §7.9; RFC 6638 §3.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Final, Protocol
from uuid import uuid4

from mailstead.model.dav import ALWAYS, NewResource, Precondition, Resource, ResourceFacts, ResourceQuery
from mailstead.model.directory import Account
from mailstead.model.errors import (
    BadObject,
    MailsteadError,
    NoSuchResource,
    ObjectTooLarge,
    PreconditionFailed,
    TooManyMatches,
    UidConflict,
)
from mailstead.pim import calendar_data, calendar_filter
from mailstead.pim.calendar_facts import facts
from mailstead.pim.calendar_object import CalendarObject, calendar_object, split
from mailstead.pim.component import Component, Property, write
from mailstead.pim.filters import CalendarData, CompFilter, TimeRange
from mailstead.pim.free_busy import BusyPeriod, busy, merged, vfreebusy
from mailstead.pim.recurrence import Budget
from mailstead.pim.zone_references import with_zones, without_zones
from mailstead.pim.zones import iana_zone, zone_of
from mailstead.ports.clock import Clock, SystemClock
from mailstead.telemetry import log
from mailstead.usecases.collections import Opened
from mailstead.usecases.object_imports import ImportObject, ObjectImport, Progress, import_objects
from mailstead.usecases.resources import (
    OCTETS_PAGE,
    PAGE,
    Found,
    Resources,
    ResourceTerms,
    Written,
    must_write,
    off_loop,
)

SUFFIX: Final = ".ics"
PRODID: Final = "-//Mailstead//CalDAV//EN"
ATTEMPTS: Final = 5
"""How often a change is planned anew when others change the same object meanwhile."""
QUERY_STEPS_MAX: Final = 2_000_000
"""Work of one request on rules of recurrence (attack rows 79 and 80)."""
QUERY_INSTANCES_MAX: Final = 50_000
"""Instances that one request may have written out."""

_log = log.get("dav")


@dataclass(frozen=True, slots=True)
class Planned:
    """What scheduling makes of a change."""

    octets: bytes | None
    """What is to be kept; None: as it was sent."""
    schedule_tag: str | None
    """None: as it was."""
    errand: bytes


class Planner(Protocol):
    """Scheduling, as far as changes need it."""

    async def plan(
        self,
        opened: Opened,
        old: CalendarObject | None,
        new: CalendarObject | None,
        *,
        wants_reply: bool = True,
        keeps_schedule_tag: bool = False,
    ) -> Planned:
        """Say what a change causes, before it is made; `new` is None before a removal."""

    async def run(self, owner: Account, errand_id: int, errand: bytes) -> None:
        """Do it, after the change."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """In which form objects are wanted."""

    data: CalendarData | None = None
    """None: without their octets."""
    floating_zone: tzinfo = UTC
    has_zones: bool | None = None
    """With VTIMEZONEs of known zones, without, or (None) as they were put. Spec: RFC 7809 §7.1."""

    def render(self, resource: Resource, parsed: CalendarObject | None, budget: Budget) -> bytes:
        """Give an object in that form. Errors: TooManyMatches."""
        if self.data is None:
            return b""
        octets = resource.octets
        if not self.data.is_whole:
            parsed = parsed or calendar_object(octets)
            octets = calendar_data.render(parsed, octets, self.data, self.floating_zone, budget)
        if self.has_zones is None or self.data.expand is not None:
            return octets
        return with_zones(octets) if self.has_zones else without_zones(octets)


@dataclass(frozen=True, slots=True)
class _Parsed:
    octets: bytes
    object: CalendarObject
    facts: ResourceFacts


class CalendarObjects(Resources):
    """Puts, removes and finds calendar objects. Without a planner nobody is invited."""

    def __init__(self, terms: ResourceTerms, scheduling: Planner | None = None, clock: Clock | None = None) -> None:
        super().__init__(terms)
        self._scheduling = scheduling
        self._clock = clock or SystemClock()

    async def put(self, opened: Opened, name: str, octets: bytes, precondition: Precondition = ALWAYS) -> Written:
        """Put one object under a name, new or in place of another.

        Errors: NotAllowed, ObjectTooLarge, BadObject, UidConflict, PreconditionFailed, OverQuota, LimitReached,
        BadCollectionName.
        """
        must_write(opened)
        self._must_fit(octets)
        sent = await off_loop(len(octets), _parsed, octets)
        self._must_take(opened, sent.facts)
        for attempt in range(1, ATTEMPTS + 1):
            old = await self._old(opened, name, sent.facts)
            if old is not None and old.facts.uid != sent.facts.uid:
                raise UidConflict("An object keeps its UID", name=name)
            try:
                return await self._put(opened, name, sent, old, precondition)
            except PreconditionFailed:
                if attempt == ATTEMPTS or not await self._was_changed(opened, name, old):
                    raise
        raise AssertionError  # the last attempt has returned or raised

    async def delete(
        self, opened: Opened, name: str, precondition: Precondition = ALWAYS, *, wants_reply: bool = True
    ) -> None:
        """Remove one object; the others of a meeting are told, unless `wants_reply` is False.

        Spec: RFC 6638 §3.2.1.3, §8.1 (Schedule-Reply).
        Errors: NotAllowed, NoSuchResource, PreconditionFailed.
        """
        must_write(opened)
        collection_id = opened.collection.collection_id
        for attempt in range(1, ATTEMPTS + 1):
            old = await self._old(opened, name)
            if old is None:
                raise NoSuchResource
            planned = await self._planned(opened, old, None, wants_reply=wants_reply)
            guard = precondition if planned is None else _guarded(precondition, old)
            errand = b"" if planned is None else planned.errand
            try:
                errand_id = await opened.store.delete(collection_id, name, guard, errand=errand)
            except PreconditionFailed:
                if attempt == ATTEMPTS or not await self._was_changed(opened, name, old):
                    raise
            else:
                await self._run(opened.owner, errand_id, errand)
                return

    async def import_all(self, opened: Opened, octets: bytes, progress: Progress | None = None) -> ObjectImport:
        """Put all objects of a file; those that cannot be taken are named in the report.

        Errors: NotAllowed, BadObject (nothing can be read), OverQuota, LimitReached.
        """
        must_write(opened)
        report = ObjectImport()
        objects = await off_loop(len(octets), self._split, opened, octets, report)
        await import_objects(opened, objects, SUFFIX, report, progress)
        return report

    # finding

    async def query(
        self,
        opened: Opened,
        condition: CompFilter,
        wanted: Wanted,
        *,
        limit: int | None = None,
        name: str = "",
    ) -> AsyncIterator[list[Found]]:
        """Yield those that match, by name, in pages; with `name` only that one is asked.

        Spec: RFC 4791 §7.8.
        Errors: TooManyMatches, when more than `limit` match or the work is too much; what was given before counts.
        """
        search = _Search(condition, wanted, limit)
        async for page in self._one(opened, search, name) if name else self._candidates(opened, search):
            yield await off_loop(_size_octets(page), search.matching, page)
            if search.is_spent:
                raise TooManyMatches

    async def multiget(
        self, opened: Opened, names: Sequence[str], wanted: Wanted
    ) -> AsyncIterator[tuple[Sequence[str], dict[str, Found]]]:
        """Yield, page by page, some of the names and those of them that are there.

        Spec: RFC 4791 §7.9.
        Errors: TooManyMatches, when expanding them is too much work.
        """
        budget = _rendering_budget()
        async for part, resources in self.named(opened, names, with_octets=wanted.data is not None):
            found = await off_loop(_size_octets(resources.values()), _rendered, resources, wanted, budget)
            yield part, found

    async def busy(
        self,
        opened: Opened,
        span: TimeRange,
        *,
        attendees: frozenset[str] = frozenset(),
        budget: Budget | None = None,
    ) -> list[BusyPeriod]:
        """Give when the events of a calendar make its owner busy, merged.

        `attendees` are the owner's ``mailto:`` addresses; `budget` is given where several calendars share it.
        Spec: RFC 4791 §7.10.
        Errors: BadObject, where the span has no start or end; TooManyMatches.
        """
        if span.start is None or span.end is None:
            raise BadObject("A free-busy query has a start and an end", condition="valid-filter")
        zone, budget, found = self.floating_zone(opened), budget or _rendering_budget(), list[BusyPeriod]()
        for component in ("VEVENT", "VFREEBUSY"):
            condition = CompFilter("VCALENDAR", comps=(CompFilter(component, time_range=span),))
            query = calendar_filter.query_of(condition)
            async for page in self._pages(opened, query, OCTETS_PAGE, with_octets=True):
                found += await off_loop(_size_octets(page), _busy, page, span.start, span.end, zone, budget, attendees)
        return merged(found)

    async def free_busy(self, opened: Opened, span: TimeRange) -> bytes:
        """Give a VFREEBUSY over a calendar, as a whole text. Errors: as `busy`."""
        periods = await self.busy(opened, span)
        assert span.start is not None
        assert span.end is not None
        part = vfreebusy(periods, span.start, span.end, self._clock.now(), uid=str(uuid4()))
        head = [Property("VERSION", "2.0"), Property("PRODID", PRODID)]
        return write(Component("VCALENDAR", head, [part]))

    def floating_zone(self, opened: Opened, timezone: str = "", timezone_id: str = "") -> tzinfo:
        """Give the zone for floating times: the request's, else the calendar's, else UTC.

        Spec: RFC 4791 §5.2.2, §7.3; RFC 7809 §4.3.
        Errors: BadObject, where the request names a zone that we do not know.
        """
        if timezone_id:
            zone = iana_zone(timezone_id)
            if zone is None:
                raise BadObject("No such time zone", condition="valid-timezone")
            return zone
        if timezone:
            zone = zone_of(timezone)
            if zone is None:
                raise BadObject("That is no time zone", condition="valid-calendar-data")
            return zone
        traits = opened.traits
        return iana_zone(traits.timezone_id) or (zone_of(traits.timezone) if traits.timezone else None) or UTC

    # within

    def _split(self, opened: Opened, octets: bytes, report: ObjectImport) -> list[ImportObject]:
        objects = []
        for calendar in split(octets):
            calendar.properties[:] = [each for each in calendar.properties if each.name != "METHOD"]
            try:
                text = write(calendar)
                self._must_fit(text)
                parsed = _parsed(text)
                self._must_take(opened, parsed.facts)
                objects.append(ImportObject(text, parsed.facts))
            except (BadObject, ObjectTooLarge) as error:
                uid = next((each.value("UID") for each in calendar.components if each.value("UID")), "")
                report.refused.append(f"{uid[:100]}: {error.public_text}")
        return objects

    async def _candidates(self, opened: Opened, search: _Search) -> AsyncIterator[list[Resource]]:
        """Yield pages of what may match, with octets where they will be needed."""
        limit = OCTETS_PAGE if search.needs_octets else PAGE
        async for page in self._pages(opened, search.query, limit, with_octets=search.needs_octets):
            if not search.needs_octets and (names := [each.name for each in page if search.is_open(each)]):
                read = await opened.store.resources(opened.collection.collection_id, names, with_octets=True)
                by_name = {each.name: each for each in read}
                yield [by_name.get(each.name, each) for each in page]
            else:
                yield page

    @staticmethod
    async def _pages(
        opened: Opened, query: ResourceQuery, limit: int, *, with_octets: bool
    ) -> AsyncIterator[list[Resource]]:
        collection_id, after = opened.collection.collection_id, ""
        while page := await opened.store.find(collection_id, query, after=after, limit=limit, with_octets=with_octets):
            yield page
            if len(page) < limit:
                return
            after = page[-1].name

    async def _one(self, opened: Opened, search: _Search, name: str) -> AsyncIterator[list[Resource]]:
        """Yield one resource, where it may match."""
        resource = await self.get(opened, name)
        if not search.query.components or resource.facts.component in search.query.components:
            yield [resource]

    async def _old(self, opened: Opened, name: str, new: ResourceFacts | None = None) -> Resource | None:
        """Give what is there; with its octets only where a meeting is concerned."""
        collection_id = opened.collection.collection_id
        found = await opened.store.resources(collection_id, [name])
        if found and self._scheduling is not None and (found[0].facts.organizer or (new is not None and new.organizer)):
            found = await opened.store.resources(collection_id, [name], with_octets=True)
        return found[0] if found else None

    async def _put(
        self, opened: Opened, name: str, sent: _Parsed, old: Resource | None, precondition: Precondition
    ) -> Written:
        planned = await self._planned(opened, old, sent)
        if planned is None:
            new, errand, schedule_tag = sent, b"", None if old is None or not old.schedule_tag else ""
        else:
            precondition = _guarded(precondition, old)
            new = sent if planned.octets is None else _parsed(planned.octets)
            errand, schedule_tag = planned.errand, planned.schedule_tag
        (put,) = await opened.store.put(
            opened.collection.collection_id,
            [NewResource(name, new.octets, new.facts, precondition, schedule_tag, errand)],
        )
        resource = put.resource
        if await self._run(opened.owner, put.errand_id, errand):
            # An answer from an attendee of this house may already stand in the object.
            resource = await self.get(opened, name, with_octets=False)
        is_as_sent = new is sent and resource.etag == put.resource.etag
        return Written(resource, put.is_new, is_as_sent)

    async def _planned(
        self, opened: Opened, old: Resource | None, new: _Parsed | None, *, wants_reply: bool = True
    ) -> Planned | None:
        """Ask scheduling; None: nobody else is concerned."""
        was_meeting = old is not None and bool(old.facts.organizer)
        if self._scheduling is None or not (was_meeting or (new is not None and new.facts.organizer)):
            return None
        before = await off_loop(old.size_octets, calendar_object, old.octets) if old is not None else None
        return await self._scheduling.plan(
            opened, before, new.object if new is not None else None, wants_reply=wants_reply
        )

    async def _run(self, owner: Account, errand_id: int | None, errand: bytes) -> bool:
        """Do an errand; whether there was one. What goes wrong is tried again by the sweep."""
        if self._scheduling is None or errand_id is None or not errand:
            return False
        try:
            await self._scheduling.run(owner, errand_id, errand)
        except MailsteadError as error:
            _log.warning("an errand is put off", error=error.public_text, account=owner.account_id)
        return True

    async def _was_changed(self, opened: Opened, name: str, old: Resource | None) -> bool:
        """Whether somebody changed an object since we looked at it."""
        found = await opened.store.resources(opened.collection.collection_id, [name])
        return (found[0].etag if found else None) != (old.etag if old is not None else None)


class _Search:
    """One query over many objects, with the work that it may take."""

    def __init__(self, condition: CompFilter, wanted: Wanted, limit: int | None) -> None:
        self.query: Final = calendar_filter.query_of(condition)
        self._condition = condition
        self._wanted = wanted
        self._work = _Work()
        self._budget = _rendering_budget()
        self._left = limit
        self._index_decides = calendar_filter.is_exact(condition)
        self._has_range = self.query.starts_s is not None or self.query.ends_s is not None
        self.needs_octets: Final = wanted.data is not None or not self._index_decides
        self.is_spent = False

    def is_open(self, resource: Resource) -> bool:
        """Whether only a look into the object tells if it matches."""
        if not self._index_decides or not self._has_range:
            return not self._index_decides
        # One that ends where the span begins is outside of it, unless it has no length.
        return not resource.facts.is_exact or resource.facts.last_s == self.query.starts_s

    def matching(self, page: Iterable[Resource]) -> list[Found]:
        """Give those of a page that match, until the work is spent."""
        found: list[Found] = []
        for resource in page:
            parsed = calendar_object(resource.octets) if self.is_open(resource) and resource.octets else None
            matches = parsed is None or self._matches(parsed)
            if self._work.steps_left < 0 or (matches and self._left == 0):
                self.is_spent = True
                return found
            if not matches:
                continue
            try:
                found.append(Found(resource, self._wanted.render(resource, parsed, self._budget)))
            except TooManyMatches:
                self.is_spent = True
                return found
            if self._left is not None:
                self._left -= 1
        return found

    def _matches(self, parsed: CalendarObject) -> bool:
        return calendar_filter.matches(parsed, self._condition, self._wanted.floating_zone, _Share(self._work))


class _Work:
    """What one request may still cost, over all objects."""

    def __init__(self) -> None:
        self.steps_left = QUERY_STEPS_MAX


class _Share(Budget):
    """The work on one object, which also counts for the whole request (attack row 79)."""

    def __init__(self, work: _Work) -> None:
        super().__init__()
        self._work = work

    def step(self, count: int = 1) -> None:
        self._work.steps_left -= count
        super().step(count)


def _parsed(octets: bytes) -> _Parsed:
    parsed = calendar_object(octets)
    return _Parsed(octets, parsed, facts(parsed))


def _rendering_budget() -> Budget:
    return Budget(QUERY_STEPS_MAX, QUERY_INSTANCES_MAX)


def _guarded(precondition: Precondition, old: Resource | None) -> Precondition:
    """Let a change happen only to what it was planned for."""
    if old is None:
        return replace(precondition, must_be_absent=True)
    if precondition.etags is not None and old.etag not in precondition.etags:
        return precondition  # fails by itself
    return replace(precondition, etags=frozenset({old.etag}))


def _busy(
    page: Iterable[Resource],
    start: datetime,
    end: datetime,
    zone: tzinfo,
    budget: Budget,
    attendees: frozenset[str],
) -> list[BusyPeriod]:
    found: list[BusyPeriod] = []
    for resource in page:
        found += busy(calendar_object(resource.octets), start, end, zone, budget, attendees=attendees)
    return found


def _rendered(resources: Mapping[str, Resource], wanted: Wanted, budget: Budget) -> dict[str, Found]:
    return {name: Found(each, wanted.render(each, None, budget)) for name, each in resources.items()}


def _size_octets(resources: Iterable[Resource]) -> int:
    return sum(len(each.octets) for each in resources)
