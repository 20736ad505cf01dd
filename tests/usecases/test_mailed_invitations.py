"""Invitations in mail: seen with what else is on, answered into the calendar; old, cancelled and foreign ones are told."""

from datetime import UTC, date, datetime

import pytest

from mailstead.model.address import Address
from mailstead.model.errors import NoSuchResource, NotAllowed, PolicyRefused
from mailstead.model.people import Listing
from mailstead.pim.calendar_object import calendar_object
from mailstead.usecases.agenda import Agenda
from mailstead.usecases.dav_objects import DavObjects
from mailstead.usecases.events import EventQuery, Events
from mailstead.usecases.invitation_mail import written
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.mailed_invitations import MailedInvitations, Standing
from mailstead.usecases.meetings import Meetings
from mailstead.usecases.messages import Messages
from mailstead.usecases.scheduling import Scheduling
from mailstead.usecases.staging import Staging
from usecases.api_home import api_home, event

HOST = "boss@far.test"


class Reader:
    """Alice, her mail, and her calendar."""

    def __init__(self, storage, bus, clock, actor):
        self.actor = actor
        self.sent = []
        collections = api_home(storage, clock).collections
        self.meetings = Meetings(storage, collections)
        self.home = api_home(storage, clock, Scheduling(storage, self.meetings, clock, self._send))
        objects = DavObjects(storage, collections)
        mailboxes = Mailboxes(storage, bus, clock, Staging(2**30))
        self.messages = Messages(mailboxes)
        self.agenda = Agenda(objects, self.meetings)
        self.events = Events(objects, self.home.calendar_objects, clock)
        self.invitations = MailedInvitations(
            mailboxes, objects, self.home.calendar_objects, self.meetings, self.agenda, clock
        )

    async def _send(self, owner, sender, to, method, octets):
        self.sent.append((to, method, octets))

    async def get(self, octets, method="REQUEST"):
        mail = written(Address.parse(HOST), Address.parse("alice@example.test"), method, octets)
        view = await self.messages.append(self.actor, "INBOX", mail, [])
        return view.place.object_id

    async def look(self, message_id):
        return await self.invitations.look(self.actor, message_id, UTC)

    async def stored(self):
        found = await self.events.find(self.actor, EventQuery(), Listing(limit=10))
        return [calendar_object(each.resource.octets) for each in found.items]


def invitation(*, method="REQUEST", sequence=0, start="20260110T090000Z", who="alice@example.test", host=HOST, more=()):
    octets = event(
        "meeting", start, "DURATION:PT1H", f"SEQUENCE:{sequence}", f"ORGANIZER:mailto:{host}", "LOCATION:Room 5",
        f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{who}", *more, summary="Plan",
    )  # fmt: skip
    return octets.replace(b"BEGIN:VEVENT", b"METHOD:%s\r\nBEGIN:VEVENT" % method.encode(), 1)


@pytest.fixture
def reader(storage, bus, clock, alice, actor_of):
    return Reader(storage, bus, clock, actor_of(alice))


async def test_an_invitation_is_seen_with_what_else_is_on(reader):
    await reader.events.create(reader.actor, "", event("tea", "20260110T093000Z", "DURATION:PT1H", summary="Tea"))
    free = event("free", "20260110T093000Z", "DURATION:PT1H", "TRANSP:TRANSPARENT", summary="Free")
    await reader.events.create(reader.actor, "", free)
    seen = await reader.look(await reader.get(invitation()))
    assert (seen.standing, seen.summary, seen.location, seen.organizer) == (Standing.INVITED, "Plan", "Room 5", HOST)
    assert (seen.start, seen.end) == (datetime(2026, 1, 10, 9, tzinfo=UTC), datetime(2026, 1, 10, 10, tzinfo=UTC))
    assert [each.summary for each in seen.conflicts] == ["Tea"]
    assert (seen.is_vouched, seen.event_id, seen.sender, seen.answer) == (False, None, HOST, "NEEDS-ACTION")


async def test_an_answer_goes_into_the_calendar_and_to_the_organizer(reader):
    message_id = await reader.get(invitation(more=("BEGIN:VALARM", "ACTION:DISPLAY", "TRIGGER:-PT5M", "END:VALARM")))
    await reader.invitations.answer(reader.actor, message_id, "TENTATIVE")
    (stored,) = await reader.stored()
    assert next(stored.master.all("ATTENDEE")).parameter("PARTSTAT") == "TENTATIVE"
    assert list(stored.master.children("VALARM")) == []  # attack row 85: those of others are not rung
    assert [each[:2] for each in reader.sent] == [(HOST, "REPLY")]
    seen = await reader.look(message_id)
    assert (seen.answer, seen.is_vouched, seen.event_id is not None) == ("TENTATIVE", True, True)
    await reader.invitations.answer(reader.actor, message_id, "DECLINED")
    assert b"PARTSTAT=DECLINED" in reader.sent[-1][2]
    (one,) = await reader.agenda.between(reader.actor, date(2026, 1, 10), date(2026, 1, 10), UTC)
    assert (one.answer, one.makes_busy) == ("DECLINED", False)


async def test_an_update_is_taken_by_answering_it_and_the_old_one_is_told(reader):
    old = await reader.get(invitation())
    await reader.invitations.answer(reader.actor, old, "ACCEPTED")
    new = await reader.get(invitation(sequence=1, start="20260111T090000Z"))
    assert (await reader.look(new)).is_update
    await reader.invitations.answer(reader.actor, new, "ACCEPTED")
    (stored,) = await reader.stored()
    assert stored.master.value("DTSTART") == "20260111T090000Z"
    assert (await reader.look(old)).standing is Standing.OLD
    with pytest.raises(PolicyRefused):
        await reader.invitations.answer(reader.actor, old, "DECLINED")


async def test_a_cancelled_meeting_is_told(reader, alice):
    message_id = await reader.get(invitation())
    await reader.invitations.answer(reader.actor, message_id, "ACCEPTED")
    cancel = invitation(method="CANCEL", sequence=1, more=("STATUS:CANCELLED",))
    told = await reader.get(cancel, "CANCEL")
    assert (await reader.look(told)).standing is Standing.SAID_CANCELLED  # nobody vouched for it
    assert await reader.meetings.receive(alice, f"mailto:{HOST}", cancel)
    assert (await reader.look(told)).standing is Standing.CANCELLED
    assert (await reader.look(message_id)).standing is Standing.CANCELLED
    with pytest.raises(PolicyRefused):
        await reader.invitations.answer(reader.actor, message_id, "ACCEPTED")


async def test_attack_083_a_mail_does_not_take_over_anothers_meeting(reader):
    await reader.invitations.answer(reader.actor, await reader.get(invitation()), "ACCEPTED")
    foreign = await reader.get(invitation(host="eve@far.test", sequence=5, start="20260112T090000Z"))
    assert (await reader.look(foreign)).standing is Standing.OTHER
    with pytest.raises(PolicyRefused):
        await reader.invitations.answer(reader.actor, foreign, "ACCEPTED")
    (stored,) = await reader.stored()
    assert stored.master.value("DTSTART") == "20260110T090000Z"


async def test_what_can_not_be_answered(reader):
    others = await reader.get(invitation(who="carol@example.test"))
    assert (await reader.look(others)).standing is Standing.OTHER
    own = await reader.get(invitation(host="alice@example.test", who="bob@far.test"))
    assert (await reader.look(own)).standing is Standing.OWN
    reply = await reader.get(
        invitation(method="REPLY", host="alice@example.test", who=HOST).replace(b"NEEDS-ACTION", b"ACCEPTED"), "REPLY"
    )
    seen = await reader.look(reply)
    assert (seen.standing, seen.answer) == (Standing.REPLY, "ACCEPTED")
    for message_id in (others, own):
        with pytest.raises((PolicyRefused, NotAllowed)):
            await reader.invitations.answer(reader.actor, message_id, "ACCEPTED")
    with pytest.raises(NoSuchResource):
        await reader.invitations.answer(reader.actor, reply, "ACCEPTED")
    plain = b"From: bob@far.test\r\nSubject: x\r\n\r\nText\r\n"
    view = await reader.messages.append(reader.actor, "INBOX", plain, [])
    assert await reader.look(view.place.object_id) is None
    broken = b"From: bob@far.test\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\n"
    view = await reader.messages.append(reader.actor, "INBOX", broken, [])
    assert await reader.look(view.place.object_id) is None
