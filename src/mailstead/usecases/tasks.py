"""Tasks by forms: listed, made, changed, done, removed. What a form does not know stays byte for byte.

Spec: RFC 5545 §3.6.2; RFC 4791 §5.2.3 (which calendars take tasks).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from typing import Final
from uuid import uuid4

from mailstead.model.dav import Access, CollectionKind, Precondition, Resource, ResourceQuery
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadObject, NoSuchResource, PolicyRefused, PreconditionFailed
from mailstead.model.people import ObjectId
from mailstead.pim import task_form
from mailstead.pim.calendar_object import CalendarObject, calendar_object
from mailstead.pim.component import Component, write
from mailstead.pim.kept_lines import write_keeping
from mailstead.pim.task_form import TaskFacts, TaskForm
from mailstead.ports.clock import Clock
from mailstead.usecases.calendar_objects import SUFFIX, CalendarObjects
from mailstead.usecases.collections import Opened
from mailstead.usecases.dav_objects import DavObjects, Placed, collection_object_id
from mailstead.usecases.resources import OCTETS_PAGE, off_loop

KIND: Final = CollectionKind.CALENDAR
TASKS_MAX: Final = 2_000
"""Of which one page tells; further ones are counted only."""
SUMMARY_CHARACTERS_MAX: Final = 1_000
NOTES_CHARACTERS_MAX: Final = 20_000


@dataclass(frozen=True, slots=True)
class ShownTask:
    """A task in a list."""

    object_id: ObjectId
    calendar: Opened
    etag: str
    facts: TaskFacts
    due: datetime | None
    """In the reader's zone; of a day its end."""
    is_overdue: bool

    @property
    def due_on(self) -> date | None:
        """The day on which it is due."""
        if self.facts.due is not None and self.facts.due.is_date:
            return self.facts.due.local.date()
        return self.due.date() if self.due is not None else None

    @property
    def may_change(self) -> bool:
        """Whether the reader may write into its calendar."""
        return self.calendar.access is Access.WRITE and not self.calendar.collection.source_url


class Tasks:
    """Errors of all verbs: NotAllowed, without an account of one's own."""

    def __init__(self, objects: DavObjects, calendar_objects: CalendarObjects, clock: Clock) -> None:
        self._objects = objects
        self._calendar_objects = calendar_objects
        self._clock = clock

    async def calendars(self, actor: Actor) -> list[Opened]:
        """Give the calendars that take tasks."""
        found = await self._objects.collections(actor, KIND)
        return [each for each in found if not each.traits.components or "VTODO" in each.traits.components]

    async def find(self, actor: Actor, zone: tzinfo, *, calendar: str = "", is_done: bool = False) -> list[ShownTask]:
        """Give open tasks (or those that are done), what is due first before others, then by priority.

        `calendar`: of one calendar alone (its id). Errors: NoSuchCollection.
        """
        calendars = await self.calendars(actor)
        if calendar:
            calendars = [await self._objects.collection(actor, KIND, calendar)]
        found: list[ShownTask] = []
        now = self._clock.now()
        for opened in calendars:
            after, query = "", ResourceQuery(frozenset({"VTODO"}))
            while page := await opened.store.find(
                opened.collection.collection_id, query, after=after, limit=OCTETS_PAGE, with_octets=True
            ):
                read = await off_loop(sum(len(each.octets) for each in page), _shown, opened, page, zone, now)
                found += [each for each in read if (each.facts.is_done or each.facts.is_cancelled) is is_done]
                if len(page) < OCTETS_PAGE or len(found) > TASKS_MAX:
                    break
                after = page[-1].name
        found.sort(key=_order)
        return found[:TASKS_MAX]

    async def show(self, actor: Actor, object_id: str, zone: tzinfo) -> ShownTask:
        """Give one. Errors: NoSuchResource."""
        placed, _ = await self._placed(actor, object_id)
        return _shown(placed.opened, [placed.resource], zone, self._clock.now())[0]

    async def create(self, actor: Actor, calendar: str, form: TaskForm) -> ObjectId:
        """Make a task. Errors: as `CalendarObjects.put`; PolicyRefused."""
        _check(form)
        opened = await self._objects.collection(actor, KIND, calendar, Access.WRITE)
        uid = str(uuid4())
        octets = write(task_form.made(form, uid, self._clock.now()))
        written = await self._calendar_objects.put(opened, f"{uid}{SUFFIX}", octets, Precondition(must_be_absent=True))
        return Placed(opened, written.resource).object_id

    async def change(self, actor: Actor, object_id: str, form: TaskForm, etag: str) -> None:
        """Change a task as a form says. Errors: PreconditionFailed, when somebody else has changed it since."""
        _check(form)
        placed, found = await self._placed(actor, object_id, etag)
        await self._put(placed, task_form.changed(found, form, self._clock.now()))

    async def finish(self, actor: Actor, object_id: str, *, is_done: bool = True) -> None:
        """Mark a task as done, or as open; one that comes again is moved on. Errors: PreconditionFailed."""
        placed, found = await self._placed(actor, object_id)
        await self._put(placed, task_form.done(found, self._clock.now(), is_done=is_done))

    async def delete(self, actor: Actor, object_id: str, etag: str) -> None:
        """Remove a task. Errors: NoSuchResource, NotAllowed, PreconditionFailed."""
        placed, _ = await self._placed(actor, object_id, etag)
        same = Precondition(etags=frozenset({placed.resource.etag}))
        await self._calendar_objects.delete(placed.opened, placed.resource.name, same)

    async def move(self, actor: Actor, object_id: str, calendar: str) -> None:
        """Put a task into another calendar. Errors: NoSuchResource, NoSuchCollection, NotAllowed, UidConflict."""
        placed, _ = await self._placed(actor, object_id)
        target = await self._objects.collection(actor, KIND, calendar, Access.WRITE)
        if collection_object_id(target) != collection_object_id(placed.opened):
            name = placed.resource.name
            await self._calendar_objects.copy(placed.opened, name, target, name, moves=True, overwrites=False)

    # within

    async def _placed(self, actor: Actor, object_id: str, etag: str = "") -> tuple[Placed, CalendarObject]:
        placed = await self._objects.object(actor, KIND, object_id)
        if etag and placed.resource.etag != etag:
            raise PreconditionFailed
        found = await off_loop(placed.resource.size_octets, calendar_object, placed.resource.octets)
        if found.component != "VTODO":
            raise NoSuchResource("That is no task")
        return placed, found

    async def _put(self, placed: Placed, calendar: Component) -> None:
        before = placed.resource.octets
        octets = await off_loop(len(before), write_keeping, calendar, before)
        same = Precondition(etags=frozenset({placed.resource.etag}))
        await self._calendar_objects.put(placed.opened, placed.resource.name, octets, same)


def _shown(opened: Opened, page: Iterable[Resource], zone: tzinfo, now: datetime) -> list[ShownTask]:
    """Give the tasks of a page; one that cannot be read is left out."""
    found = []
    for resource in page:
        try:
            facts = task_form.facts_of(calendar_object(resource.octets))
        except BadObject:
            continue
        due = None
        if facts.due is not None and facts.due.is_date:
            due = datetime.combine(facts.due.local.date(), time(23, 59, 59), zone)
        elif facts.due is not None:
            due = facts.due.utc(zone).astimezone(zone)
        is_open = not (facts.is_done or facts.is_cancelled)
        object_id = Placed(opened, resource).object_id
        is_overdue = is_open and due is not None and due < now
        found.append(ShownTask(object_id, opened, resource.etag, facts, due, is_overdue))
    return found


def _order(task: ShownTask) -> tuple[bool, float, int, str]:
    due, priority = task.due, task.facts.form.priority
    return due is None, due.timestamp() if due is not None else 0.0, priority or 5, task.facts.form.summary.casefold()


def _check(form: TaskForm) -> None:
    """Errors: PolicyRefused."""
    if not form.summary.strip():
        raise PolicyRefused("A task has a title")
    if len(form.summary) > SUMMARY_CHARACTERS_MAX:
        raise PolicyRefused("A title has at most 1000 characters")
    if len(form.description) > NOTES_CHARACTERS_MAX:
        raise PolicyRefused("Notes have at most 20,000 characters")
    if form.due is not None and not 1900 <= form.due.year <= 9000:
        raise PolicyRefused("That year is too far away")
