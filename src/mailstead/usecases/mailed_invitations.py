"""Invitations in mail, as their reader sees and answers them: what, when, where, and what else is on then.

Mail whose author is vouched for has changed the calendar when it came (`usecases.invitation_mail`). Of other mail only
what its reader decides counts: who answers puts the meeting into the calendar, and the organizer is told.

Spec: RFC 6047 §2.4; RFC 5546 §3.2; attack rows 83 (who organizes) and 85 (alarms of strangers).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import Enum
from typing import Final

from mailstead.mime.address import addresses_of
from mailstead.mime.binary import decoded_part
from mailstead.mime.header import first_values, text_of
from mailstead.model.dav import CollectionKind, Precondition
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadObject, NoSuchResource, NotAllowed, PolicyRefused, TooManyMatches
from mailstead.model.message import OctetRange, PartFacts, Wanted
from mailstead.model.people import ObjectId
from mailstead.pim import itip, itip_changes
from mailstead.pim.calendar_object import CalendarObject, calendar_object, of_calendar
from mailstead.pim.component import Component, unescaped, write
from mailstead.pim.kept_lines import write_keeping
from mailstead.pim.recurrence import span_of
from mailstead.pim.safe import without_alarms
from mailstead.ports.clock import Clock
from mailstead.usecases.agenda import Agenda, Occurrence
from mailstead.usecases.calendar_objects import CalendarObjects
from mailstead.usecases.dav_objects import DavObjects, Placed
from mailstead.usecases.event_editing import answered
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.meetings import MESSAGE_OCTETS_MAX, Meetings
from mailstead.usecases.message_views import MessageView
from mailstead.usecases.messages import LISTED, Messages
from mailstead.usecases.object_imports import resource_name

ENCODED_OCTETS_MAX: Final = MESSAGE_OCTETS_MAX * 2
CONFLICTS_MAX: Final = 5
TEXT_CHARACTERS_MAX: Final = 500
ANSWERS: Final = frozenset({"ACCEPTED", "TENTATIVE", "DECLINED"})
_SPAN_MAX: Final = timedelta(days=31)


class Standing(Enum):
    """What a mail about a meeting is to its reader now."""

    INVITED = "invited"
    """It can be answered."""
    OWN = "own"
    """The reader organizes it."""
    OLD = "old"
    """The calendar has a newer version."""
    CANCELLED = "cancelled"
    """It is cancelled, and the calendar knows."""
    SAID_CANCELLED = "said cancelled"
    """The mail says so, but nobody vouches for it, or it was not in the calendar."""
    REPLY = "reply"
    """Somebody answers the reader's own invitation."""
    OTHER = "other"
    """A proposal, or a copy of what others are invited to."""


@dataclass(frozen=True, slots=True)
class MailedInvitation:
    """One mail about a meeting."""

    method: str
    """Upper case. Spec: RFC 5546 §1.4."""
    standing: Standing
    summary: str
    location: str
    start: datetime | None
    """In the reader's zone; None: it says no time that can be read."""
    end: datetime | None
    is_all_day: bool
    is_recurring: bool
    organizer: str
    """An address."""
    is_vouched: bool
    """The calendar has it as the mail has it; else its reader should look who sent it."""
    sender: str
    """The address in From."""
    answer: str
    """The reader's answer, upper case; of a reply that of its sender."""
    event_id: ObjectId | None
    """In the calendar; None: it is not there."""
    conflicts: Sequence[Occurrence]
    is_past: bool

    @property
    def is_update(self) -> bool:
        """Whether the reader has answered what the meeting was before."""
        return self.standing is Standing.INVITED and self.event_id is not None


class MailedInvitations:
    """Every verb begins with an actor, whose own mail and calendars alone are reached."""

    def __init__(
        self,
        mailboxes: Mailboxes,
        objects: DavObjects,
        calendar_objects: CalendarObjects,
        meetings: Meetings,
        agenda: Agenda,
        clock: Clock,
    ) -> None:
        self._mailboxes = mailboxes
        self._messages = Messages(mailboxes)
        self._objects = objects
        self._calendar_objects = calendar_objects
        self._meetings = meetings
        self._agenda = agenda
        self._clock = clock

    async def look(self, actor: Actor, message_id: str, zone: tzinfo) -> MailedInvitation | None:
        """Say what a mail says of a meeting; None: nothing that can be read. Errors: NoSuchMessage, NotAllowed."""
        view, message = await self._read(actor, message_id)
        if message is None:
            return None
        own = await self._meetings.own(await self._objects.account(actor))
        placed, stored = await self._stored(actor, message.uid)
        part = message.master or message.overrides[0]
        start, end, is_all_day = _time(part, message, zone)
        now, host = self._clock.now(), itip.organizer(message)
        standing = _standing(message, stored, own)
        known = _known(stored, part) if stored is not None and itip.organizer(stored) == host else None
        is_past = end is not None and end < now and part.first("RRULE") is None
        conflicts: list[Occurrence] = []
        if standing is Standing.INVITED and start is not None and end is not None and not is_past:
            conflicts = await self._conflicts(actor, start, end, zone, message.uid)
        return MailedInvitation(
            message.method,
            standing,
            unescaped(part.value("SUMMARY"))[:TEXT_CHARACTERS_MAX],
            unescaped(part.value("LOCATION"))[:TEXT_CHARACTERS_MAX],
            start,
            end,
            is_all_day,
            part.first("RRULE") is not None or part.first("RDATE") is not None,
            host.removeprefix("mailto:"),
            known is not None and itip.sequence_of(known) >= itip.sequence_of(part),
            _sender(view),
            _answer(message, known, own),
            placed.object_id if placed is not None and known is not None else None,
            conflicts,
            is_past,
        )

    async def answer(self, actor: Actor, message_id: str, answer: str) -> None:
        """Answer the invitation in a mail; the calendar has it then, and the organizer is told.

        Errors: NoSuchMessage, NoSuchResource (no invitation), NotAllowed (not invited), PolicyRefused (an old one, or
        another organizer's meeting), PreconditionFailed; as `CalendarObjects.put`.
        """
        if answer not in ANSWERS:
            raise PolicyRefused("Accept it, perhaps, or decline it")
        _, message = await self._read(actor, message_id)
        if message is None or message.method != "REQUEST":
            raise NoSuchResource("There is no invitation in this message")
        account = await self._objects.account(actor)
        own = await self._meetings.own(account)
        placed, stored = await self._stored(actor, message.uid)
        if _standing(message, stored, own) is not Standing.INVITED:
            raise PolicyRefused("This invitation can be answered no more: the meeting is another one by now")
        calendar = _merged(stored, message)
        said = _said(of_calendar(calendar), message)
        if not answered(said, own, answer):
            raise NotAllowed("You are not invited to it")
        if placed is not None:
            octets = write_keeping(calendar, placed.resource.octets)
            same = Precondition(etags=frozenset({placed.resource.etag}))
            await self._calendar_objects.put(placed.opened, placed.resource.name, octets, same)
            return
        opened = await self._meetings.default_calendar(account)
        if opened is None:
            raise NotAllowed("You have no calendar that takes events; make one first")
        name = resource_name(message.uid, ".ics")
        await self._calendar_objects.put(opened, name, write(calendar), Precondition(must_be_absent=True))

    # within

    async def _read(self, actor: Actor, message_id: str) -> tuple[MessageView, CalendarObject | None]:
        view = await self._messages.show(actor, message_id, LISTED | Wanted.PARTS)
        part = _calendar_part(view.record.parts or ())
        if part is None:
            return view, None
        wanted = OctetRange(view.record.blob_id, part.body_start, part.body_end)
        (octets,) = await self._mailboxes.of(actor).read_octets([wanted])
        return view, await asyncio.to_thread(_parsed, bytes(octets), part)

    async def _stored(self, actor: Actor, uid: str) -> tuple[Placed | None, CalendarObject | None]:
        calendars = [
            each
            for each in await self._objects.collections(actor, CollectionKind.CALENDAR)
            if each.is_own and not each.collection.source_url
        ]
        if not calendars:
            return None, None
        for resource in await calendars[0].store.find_uid(CollectionKind.CALENDAR, uid):
            for opened in calendars:
                if opened.collection.collection_id == resource.collection_id:
                    return Placed(opened, resource), calendar_object(resource.octets)
        return None, None

    async def _conflicts(
        self, actor: Actor, start: datetime, end: datetime, zone: tzinfo, uid: str
    ) -> list[Occurrence]:
        try:
            found = await self._agenda.during(actor, start, min(end, start + _SPAN_MAX), zone)
        except TooManyMatches:
            return []
        return [each for each in found if each.uid != uid and each.makes_busy][:CONFLICTS_MAX]


def _calendar_part(parts: Sequence[PartFacts]) -> PartFacts | None:
    """Give the first part that is a calendar with a method. Spec: RFC 6047 §2.4."""
    for part in parts:
        if part.media_type == "text/calendar" and part.body_end - part.body_start <= ENCODED_OCTETS_MAX:
            return part
    return None


def _parsed(octets: bytes, part: PartFacts) -> CalendarObject | None:
    """Read a part; None: it is no message about one meeting."""
    content = decoded_part(octets, part.encoding)
    if content is None or len(content) > MESSAGE_OCTETS_MAX:
        return None
    charset = dict(part.params).get("charset", "utf-8").lower()
    try:
        if charset not in {"utf-8", "us-ascii"}:
            content = content.decode(charset).encode()
        found = calendar_object(content, allows_method=True)
    except (BadObject, LookupError, UnicodeDecodeError):
        return None
    is_one = found.component in {"VEVENT", "VTODO"} and bool(found.method) and itip.has_one_organizer(found)
    return found if is_one and len(itip.attendees(found.parts)) <= itip.ATTENDEES_MAX else None


def _time(part: Component, found: CalendarObject, zone: tzinfo) -> tuple[datetime | None, datetime | None, bool]:
    try:
        span = span_of(part, found)
    except BadObject:
        span = None
    if span is None:
        return None, None, False
    end = span.start.plus(span.length)
    if span.start.is_date:
        return span.start.local.replace(tzinfo=zone), end.local.replace(tzinfo=zone), True
    return span.start.utc(zone).astimezone(zone), end.utc(zone).astimezone(zone), False


def _known(stored: CalendarObject, part: Component) -> Component | None:
    """Give what the calendar has of a part: the same instance, else the whole."""
    wanted = itip.instance_of(part)
    return next((each for each in stored.parts if itip.instance_of(each) == wanted), stored.master)


def _standing(message: CalendarObject, stored: CalendarObject | None, own: frozenset[str]) -> Standing:
    host, part = itip.organizer(message), message.master or message.overrides[0]
    if message.method == "REPLY":
        return Standing.REPLY if host in own else Standing.OTHER
    if host in own:
        return Standing.OWN
    is_same = stored is not None and itip.organizer(stored) == host
    known = _known(stored, part) if stored is not None and is_same else None
    is_cancelled = known is not None and known.value("STATUS").strip().upper() == "CANCELLED"
    if message.method == "CANCEL":
        return Standing.CANCELLED if is_cancelled else Standing.SAID_CANCELLED
    if message.method != "REQUEST" or not own & itip.attendees(message.parts).keys():
        return Standing.OTHER
    if is_cancelled:
        return Standing.CANCELLED
    if stored is not None and not is_same:
        return Standing.OTHER
    if known is not None and itip.sequence_of(known) > itip.sequence_of(part):
        return Standing.OLD
    return Standing.INVITED


def _answer(message: CalendarObject, known: Component | None, own: frozenset[str]) -> str:
    part = message.master or message.overrides[0]
    people = itip.attendees([part])
    if message.method == "REPLY":
        return next((itip.answer_of(each) for each in people.values()), "")
    if known is not None:
        people = itip.attendees([known])
    return next((itip.answer_of(prop) for who, prop in people.items() if who in own), "")


def _merged(stored: CalendarObject | None, message: CalendarObject) -> Component:
    """Give the meeting as the calendar will have it."""
    if stored is None:
        incoming = itip_changes.applied_request(None, message)
        assert incoming is not None
        for part in incoming.components:
            part.components[:] = without_alarms(part).components
        return incoming
    return itip_changes.applied_request(stored, message) or stored.calendar.copy()


def _said(meeting: CalendarObject, message: CalendarObject) -> list[Component]:
    """Give the parts of a meeting of which a message speaks: all, or single times."""
    if message.master is not None:
        return [each for each in meeting.parts if each.value("STATUS").strip().upper() != "CANCELLED"]
    times = {itip.instance_of(each) for each in message.parts}
    return [each for each in meeting.parts if itip.instance_of(each) in times]


def _sender(view: MessageView) -> str:
    listed = addresses_of(first_values(view.record.listed_header or b"").get(b"from", b""))
    if not listed or listed[0].domain is None:
        return ""
    return f"{text_of(listed[0].local_part or b'')}@{text_of(listed[0].domain)}".lower()
