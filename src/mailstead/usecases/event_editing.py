"""Events by forms: shown, made, changed, removed; the whole, one time of it, or one and all that follow.

What a form does not know stays byte for byte; who is invited is told as when a DAV client writes, as it is the same
verbs. Whoever changes says which version he has seen (an etag): nothing of somebody else's is overwritten.

Spec: RFC 5545 §3.8.4.4; RFC 6638 §3.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final
from uuid import uuid4

from mailstead.model.dav import Access, CollectionKind, Precondition
from mailstead.model.envelope import Actor
from mailstead.model.errors import MailsteadError, NoSuchResource, NotAllowed, PolicyRefused, PreconditionFailed
from mailstead.model.people import ObjectId
from mailstead.pim import itip
from mailstead.pim.calendar_object import CalendarObject, calendar_object, of_calendar
from mailstead.pim.component import Component, write
from mailstead.pim.event_edit import ask_anew_if_moved, changed, changed_one, made, split, without_one
from mailstead.pim.event_form import NEVER, EventFacts, EventForm, Repetition, facts_of, form_of
from mailstead.pim.kept_lines import write_keeping
from mailstead.pim.own_instances import own_instance
from mailstead.ports.clock import Clock
from mailstead.usecases.calendar_objects import SUFFIX, CalendarObjects
from mailstead.usecases.collections import Opened
from mailstead.usecases.dav_objects import DavObjects, Placed, collection_object_id
from mailstead.usecases.meetings import Meetings
from mailstead.usecases.resources import off_loop

KIND: Final = CollectionKind.CALENDAR
TEXT_CHARACTERS_MAX: Final = 1_000
NOTES_CHARACTERS_MAX: Final = 20_000
GUESTS_MAX: Final = 200


class Scope(Enum):
    """Of which times of an event that comes again a change is."""

    ALL = "all"
    ONE = "one"
    FOLLOWING = "following"


@dataclass(frozen=True, slots=True)
class OpenedEvent:
    """An event, or one time of it, as somebody sees it."""

    object_id: ObjectId
    calendar: Opened
    etag: str
    facts: EventFacts
    is_recurring: bool
    rid: str
    """Which time of it; empty: the whole."""
    own_answer: str
    """What the reader has answered; empty: not invited, or the reader organizes it."""
    is_guests: bool
    """Somebody else organizes it: only the answer, the reminder and whether it makes busy are the reader's."""

    @property
    def may_change(self) -> bool:
        """Whether the reader may write into its calendar."""
        return self.calendar.access is Access.WRITE and not self.calendar.collection.source_url


class EventEditing:
    """Errors of all verbs: NotAllowed, without an account of one's own."""

    def __init__(
        self, objects: DavObjects, calendar_objects: CalendarObjects, meetings: Meetings, clock: Clock
    ) -> None:
        self._objects = objects
        self._calendar_objects = calendar_objects
        self._meetings = meetings
        self._clock = clock

    async def show(self, actor: Actor, object_id: str, rid: str = "") -> OpenedEvent:
        """Give an event, or the time of it that `rid` names. Errors: NoSuchResource; BadObject (it has no time)."""
        placed, found = await self._placed(actor, object_id)
        is_recurring = found.master is None or any(each.name in {"RRULE", "RDATE"} for each in found.master.properties)
        part = own_instance(found, rid) if rid else found.master or found.overrides[0]
        if part is None:
            raise NoSuchResource("There is no such time of this event")
        own, host = await self._meetings.own(placed.opened.owner), itip.organizer(found)
        answer = ""
        if host and host not in own:
            answer = next((itip.answer_of(prop) for who, prop in itip.attendees([part]).items() if who in own), "")
        return OpenedEvent(
            placed.object_id,
            placed.opened,
            placed.resource.etag,
            _with_series(facts_of(part, found), found),
            is_recurring,
            rid,
            answer,
            bool(host) and host not in own,
        )

    async def octets(self, actor: Actor, object_id: str) -> bytes:
        """Give an event as it is kept. Errors: NoSuchResource."""
        return (await self._placed(actor, object_id))[0].resource.octets

    async def create(self, actor: Actor, calendar: str, form: EventForm) -> ObjectId:
        """Make an event in a calendar; guests are invited. Errors: as `CalendarObjects.put`; PolicyRefused."""
        _check(form)
        opened = await self._objects.collection(actor, KIND, calendar, Access.WRITE)
        uid = str(uuid4())
        event = made(form, uid, str(opened.owner.address), self._clock.now())
        return await self._put_new(opened, uid, event)

    async def change(
        self, actor: Actor, object_id: str, form: EventForm, etag: str, scope: Scope = Scope.ALL, rid: str = ""
    ) -> ObjectId:
        """Change an event as a form says; gives its id, which for `Scope.FOLLOWING` may be another one.

        Errors: PreconditionFailed, when somebody else has changed it since; as `CalendarObjects.put`; PolicyRefused.
        """
        _check(form)
        placed, found = await self._placed(actor, object_id, etag)
        own, host = await self._meetings.own(placed.opened.owner), itip.organizer(found)
        if host and host not in own:
            form = await self._guests_form(actor, object_id, form, rid if scope is not Scope.ALL else "")
        address = host.removeprefix("mailto:") if host else str(placed.opened.owner.address)
        now = self._clock.now()
        if scope is Scope.FOLLOWING:
            whole = _repetition(found)
            before, rest = split(found, rid, uid := str(uuid4()), now)
            if before is not None:
                series = of_calendar(rest)
                form = replace(form, repetition=_counted_on(form.repetition, whole, _repetition(series)))
                ask_anew_if_moved(series, form)
                return await self._put_split(placed, etag, before, uid, changed(series, form, address, now))
            _, found = await self._placed(actor, object_id, etag)
        is_one = scope is Scope.ONE
        calendar = changed_one(found, rid, form, now) if is_one else changed(found, form, address, now)
        await self._put(placed, etag, calendar)
        return placed.object_id

    async def move(self, actor: Actor, object_id: str, calendar: str) -> None:
        """Put an event into another calendar. Errors: NoSuchResource, NoSuchCollection, NotAllowed, UidConflict."""
        placed, _ = await self._placed(actor, object_id)
        target = await self._objects.collection(actor, KIND, calendar, Access.WRITE)
        if collection_object_id(target) != collection_object_id(placed.opened):
            name = placed.resource.name
            await self._calendar_objects.copy(placed.opened, name, target, name, moves=True, overwrites=False)

    async def answer(self, actor: Actor, object_id: str, answer: str, rid: str = "") -> None:
        """Answer an invitation (``ACCEPTED``, ``TENTATIVE``, ``DECLINED``), which the organizer is told.

        Errors: NoSuchResource, NotAllowed (not invited), PreconditionFailed.
        """
        placed, found = await self._placed(actor, object_id)
        own = await self._meetings.own(placed.opened.owner)
        parts = found.parts
        if rid:
            one = own_instance(found, rid)
            if one is None:
                raise NoSuchResource("There is no such time of this event")
            parts = [one]
        if not answered(parts, own, answer):
            raise NotAllowed("You are not invited to it")
        await self._put(placed, placed.resource.etag, found.calendar)

    async def delete(self, actor: Actor, object_id: str, etag: str, scope: Scope = Scope.ALL, rid: str = "") -> None:
        """Remove an event or times of it; its guests, or its organizer, are told.

        Errors: NoSuchResource, NotAllowed, PreconditionFailed.
        """
        placed, found = await self._placed(actor, object_id, etag)
        now = self._clock.now()
        rest: Component | None = None
        if scope is Scope.ONE:
            rest = without_one(found, rid, now)
        elif scope is Scope.FOLLOWING:
            rest, _ = split(found, rid, str(uuid4()), now)
        if rest is not None:
            await self._put(placed, etag, rest)
            return
        same = Precondition(etags=frozenset({placed.resource.etag}))
        await self._calendar_objects.delete(placed.opened, placed.resource.name, same)

    # within

    async def _placed(self, actor: Actor, object_id: str, etag: str = "") -> tuple[Placed, CalendarObject]:
        placed = await self._objects.object(actor, KIND, object_id)
        if etag and placed.resource.etag != etag:
            raise PreconditionFailed
        found = await off_loop(placed.resource.size_octets, calendar_object, placed.resource.octets)
        if found.component != "VEVENT":
            raise NoSuchResource("That is no event")
        return placed, found

    async def _guests_form(self, actor: Actor, object_id: str, form: EventForm, rid: str) -> EventForm:
        """Give a form in which only what is a guest's own is changed."""
        there = (await self.show(actor, object_id, rid)).facts.form
        return replace(
            there, reminder_min=form.reminder_min, keeps_reminders=form.keeps_reminders, is_free=form.is_free
        )

    async def _put(self, placed: Placed, etag: str, calendar: Component) -> None:
        before = placed.resource.octets
        octets = await off_loop(len(before), write_keeping, calendar, before)
        same = Precondition(etags=frozenset({etag or placed.resource.etag}))
        await self._calendar_objects.put(placed.opened, placed.resource.name, octets, same)

    async def _put_new(self, opened: Opened, uid: str, event: Component, before: bytes = b"") -> ObjectId:
        name = f"{uid}{SUFFIX}"
        octets = write_keeping(event, before) if before else write(event)
        written = await self._calendar_objects.put(opened, name, octets, Precondition(must_be_absent=True))
        return Placed(opened, written.resource).object_id

    async def _put_split(
        self, placed: Placed, etag: str, before: Component, uid: str, following: Component
    ) -> ObjectId:
        """Put the rest first: what goes wrong between the two loses nothing."""
        object_id = await self._put_new(placed.opened, uid, following, placed.resource.octets)
        try:
            await self._put(placed, etag, before)
        except MailsteadError:
            await self._calendar_objects.delete(placed.opened, f"{uid}{SUFFIX}")
            raise
        return object_id


def answered(parts: list[Component], own: frozenset[str], answer: str) -> bool:
    """Put an answer into those parts to which one of the addresses is invited; whether there was any."""
    is_invited = False
    for part in parts:
        for at, each in enumerate(part.properties):
            if each.name == "ATTENDEE" and itip.person(each.value) in own:
                part.properties[at] = each.with_parameter("PARTSTAT", answer).with_parameter("RSVP", None)
                is_invited = True
    return is_invited


def _repetition(found: CalendarObject) -> Repetition | None:
    return form_of(found.master, found).repetition if found.master is not None else NEVER


def _counted_on(wanted: Repetition | None, whole: Repetition | None, rest: Repetition | None) -> Repetition | None:
    """Give a repetition that is as it was, weekdays aside, with as many times as are left of it."""
    if wanted is None or whole is None or rest is None:
        return rest if wanted == whole else wanted
    is_same = replace(wanted, weekdays=()) == replace(whole, weekdays=())
    return replace(rest, weekdays=wanted.weekdays) if is_same else wanted


def _with_series(shown: EventFacts, found: CalendarObject) -> EventFacts:
    """Give one time of an event with what the whole says of its repetition."""
    return replace(shown, form=replace(shown.form, repetition=_repetition(found)))


def _check(form: EventForm) -> None:
    """Errors: PolicyRefused."""
    if form.end < form.start:
        raise PolicyRefused("It ends before it begins")
    for at in (form.start, form.end):
        if not 1900 <= at.year <= 9000:
            raise PolicyRefused("That year is too far away")
    if len(form.summary) > TEXT_CHARACTERS_MAX or len(form.location) > TEXT_CHARACTERS_MAX:
        raise PolicyRefused("A title and a place have at most 1000 characters")
    if len(form.description) > NOTES_CHARACTERS_MAX:
        raise PolicyRefused("Notes have at most 20,000 characters")
    if len(form.guests) > GUESTS_MAX:
        raise PolicyRefused("At most 200 guests are invited at once")
    repetition = form.repetition
    if repetition is not None and repetition.until is not None and repetition.until < form.start.date():
        raise PolicyRefused("It is repeated until a day before it begins")
