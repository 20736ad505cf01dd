"""Meetings between people of one house: invited, answered, changed, cancelled, and found again after a crash."""

import pytest

from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind
from mailstead.model.envelope import Actor
from mailstead.model.errors import TryAgainLater
from mailstead.model.secret import Secret
from mailstead.pim.calendar_object import calendar_object
from mailstead.usecases.calendar_objects import CalendarObjects
from mailstead.usecases.meetings import Meetings
from mailstead.usecases.resources import ResourceTerms
from mailstead.usecases.scheduling import Scheduling

CALENDAR, INBOX = CollectionKind.CALENDAR, CollectionKind.INBOX
ALICE, BOB, EVE = (f"{name}@example.test" for name in ("alice", "bob", "eve"))


def meeting(*people: str, start="20260310T100000Z", more="", host=ALICE, sequence=0, extra="") -> bytes:
    lines = [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//EN", "BEGIN:VEVENT", "UID:meeting", "DTSTAMP:20260101T000000Z", f"SEQUENCE:{sequence}",
        f"DTSTART:{start}", "DURATION:PT1H", "SUMMARY:Plan", f"ORGANIZER:mailto:{host}",
        *(f"ATTENDEE;PARTSTAT={'ACCEPTED' if who == host else 'NEEDS-ACTION'}:mailto:{who}" for who in people), *filter(None, more.split("\n")),
        "BEGIN:VALARM", "ACTION:DISPLAY", "TRIGGER:-PT5M", "END:VALARM", "END:VEVENT", *filter(None, extra.split("\n")), "END:VCALENDAR", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


class People:
    """Two or three accounts, and what they do in their calendars."""

    def __init__(self, storage, collections, clock, accounts, send_mail):
        self.meetings = Meetings(storage, collections)
        self.scheduling = Scheduling(storage, self.meetings, clock, send_mail)
        self.objects = CalendarObjects(ResourceTerms("https://mail.example.test"), self.scheduling, clock)
        self.storage, self.collections, self.accounts = storage, collections, accounts

    async def calendar(self, who, kind=CALENDAR, name="default"):
        account = self.accounts[who]
        await self.collections.home(Actor(account.account_id, account.address), account, kind)
        return await self.collections.open(Actor(account.account_id, account.address), account, kind, name)

    async def put(self, who, octets, name="m.ics"):
        return await self.objects.put(await self.calendar(who), name, octets)

    async def mine(self, who):
        """The meeting as somebody has it, and its name; None: not at all."""
        opened = await self.calendar(who)
        found = await opened.store.find_uid(CALENDAR, "meeting")
        return (calendar_object(found[0].octets), found[0]) if found else (None, None)

    async def inbox(self, who):
        opened = await self.calendar(who, INBOX, "inbox")
        found = await opened.store.resources(opened.collection.collection_id, with_octets=True)
        return sorted(calendar_object(each.octets, allows_method=True).method for each in found)

    async def answer(self, who, answer):
        _, resource = await self.mine(who)
        text = resource.octets.decode().replace(
            "PARTSTAT=NEEDS-ACTION:mailto:" + who, f"PARTSTAT={answer}:mailto:{who}"
        )
        opened = await self.calendar(who)
        return await self.objects.put(opened, resource.name, text.encode())

    async def partstat(self, whose, of):
        parsed, _ = await self.mine(whose)
        return [
            each.parameter("PARTSTAT")
            for part in parsed.parts
            for each in part.all("ATTENDEE")
            if each.value == f"mailto:{of}"
        ]


@pytest.fixture
def sent():
    return []


@pytest.fixture
async def people(storage, collections, clock, accounts, admin, sent):
    made = {
        each: await accounts.create(admin, Address.parse(each), Secret("pw-never-in-a-log"))
        for each in (ALICE, BOB, EVE)
    }

    async def send_mail(_owner, sender, to, method, octets):
        sent.append((sender, to, method, octets))

    return People(storage, collections, clock, made, send_mail)


async def test_an_invitation_an_answer_and_what_both_see(people):
    written = await people.put(ALICE, meeting(ALICE, BOB))
    assert not written.is_as_sent  # what became of the invitation stands in it
    assert written.resource.schedule_tag
    parsed, invited = await people.mine(BOB)
    assert parsed.master.value("SUMMARY") == "Plan"
    assert list(parsed.master.children("VALARM")) == []  # the organizer's alarm is not theirs
    assert invited.schedule_tag
    assert await people.inbox(BOB) == ["REQUEST"]
    assert await people.mine(EVE) == (None, None)
    before = (await people.mine(ALICE))[1]
    await people.answer(BOB, "ACCEPTED")
    after = (await people.mine(ALICE))[1]
    assert await people.partstat(ALICE, BOB) == ["ACCEPTED"]
    assert after.schedule_tag == before.schedule_tag  # an answer does not change it
    assert after.etag != before.etag
    assert await people.inbox(ALICE) == ["REPLY"]


async def test_a_change_keeps_the_attendees_alarm(people):
    await people.put(ALICE, meeting(ALICE, BOB))
    _, resource = await people.mine(BOB)
    own = resource.octets.replace(
        b"END:VEVENT", b"BEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT30M\r\nEND:VALARM\r\nEND:VEVENT"
    )
    await people.objects.put(await people.calendar(BOB), resource.name, own)
    await people.put(ALICE, meeting(ALICE, BOB, start="20260311T100000Z", sequence=1))
    parsed, changed = await people.mine(BOB)
    assert parsed.master.value("DTSTART") == "20260311T100000Z"
    assert [each.value("TRIGGER") for each in parsed.master.children("VALARM")] == ["-PT30M"]
    assert changed.schedule_tag != resource.schedule_tag


async def test_what_concerns_nobody_else_is_not_told(people):
    await people.put(ALICE, meeting(ALICE, BOB))
    await people.put(ALICE, meeting(ALICE, BOB, more="CATEGORIES:Work"))
    assert await people.inbox(BOB) == ["REQUEST"]


async def test_who_is_no_longer_invited_is_told(people):
    await people.put(ALICE, meeting(ALICE, BOB, EVE))
    await people.put(ALICE, meeting(ALICE, EVE, sequence=1))
    parsed, _ = await people.mine(BOB)
    assert parsed.master.value("STATUS") == "CANCELLED"
    assert await people.inbox(BOB) == ["CANCEL", "REQUEST"]
    assert (await people.mine(EVE))[0].master.value("STATUS") == ""


async def test_a_meeting_that_is_removed_is_cancelled(people):
    await people.put(ALICE, meeting(ALICE, BOB))
    await people.objects.delete(await people.calendar(ALICE), "m.ics")
    assert (await people.mine(BOB))[0].master.value("STATUS") == "CANCELLED"


@pytest.mark.parametrize("wants_reply", [True, False])
async def test_an_attendee_who_removes_it_declines(people, wants_reply):
    await people.put(ALICE, meeting(ALICE, BOB))
    _, resource = await people.mine(BOB)
    await people.objects.delete(await people.calendar(BOB), resource.name, wants_reply=wants_reply)
    assert await people.partstat(ALICE, BOB) == ["DECLINED" if wants_reply else "NEEDS-ACTION"]


async def test_one_instance_is_answered_by_itself(people):
    await people.put(ALICE, meeting(ALICE, BOB, more="RRULE:FREQ=DAILY;COUNT=3"))
    _, resource = await people.mine(BOB)
    own = resource.octets.replace(
        b"END:VCALENDAR",
        b"BEGIN:VEVENT\r\nUID:meeting\r\nDTSTAMP:20260101T000000Z\r\nRECURRENCE-ID:20260311T100000Z\r\nDTSTART:20260311T100000Z\r\nDURATION:PT1H\r\n"
        b"ORGANIZER:mailto:alice@example.test\r\nATTENDEE;PARTSTAT=DECLINED:mailto:bob@example.test\r\nEND:VEVENT\r\nEND:VCALENDAR",
    )
    await people.objects.put(await people.calendar(BOB), resource.name, own)
    parsed, _ = await people.mine(ALICE)
    assert await people.partstat(ALICE, BOB) == ["NEEDS-ACTION", "DECLINED"]
    assert parsed.overrides[0].value("DTSTART") == "20260311T100000Z"


async def test_an_instance_with_fewer_people_is_hidden_from_the_others(people):
    extra = f"BEGIN:VEVENT\nUID:meeting\nDTSTAMP:20260101T000000Z\nRECURRENCE-ID:20260311T100000Z\nDTSTART:20260311T120000Z\nDURATION:PT1H\nORGANIZER:mailto:{ALICE}\nATTENDEE:mailto:{ALICE}\nATTENDEE:mailto:{EVE}\nEND:VEVENT"
    await people.put(ALICE, meeting(ALICE, BOB, EVE, more="RRULE:FREQ=DAILY;COUNT=3", extra=extra))
    bobs, _ = await people.mine(BOB)
    assert bobs.overrides == []
    assert bobs.master.value("EXDATE") == "20260311T100000Z"
    assert len((await people.mine(EVE))[0].overrides) == 1


async def test_others_get_mail(people, sent):
    written = await people.put(ALICE, meeting(ALICE, BOB, "far@elsewhere.test"))
    assert [(each[0], each[1], each[2]) for each in sent] == [(ALICE, "far@elsewhere.test", "REQUEST")]
    assert b"VALARM" not in sent[0][3]
    _, resource = await people.mine(ALICE)
    assert b"SCHEDULE-STATUS=1.1" in resource.octets
    assert b"SCHEDULE-STATUS" not in sent[0][3]
    assert not written.is_as_sent


async def test_who_schedules_by_itself_is_left_alone(people, sent):
    octets = meeting(ALICE, BOB, "far@elsewhere.test").replace(
        b"ATTENDEE;PARTSTAT=NEEDS-ACTION", b"ATTENDEE;SCHEDULE-AGENT=CLIENT;PARTSTAT=NEEDS-ACTION"
    )
    written = await people.put(ALICE, octets)
    assert sent == []
    assert written.is_as_sent
    assert await people.mine(BOB) == (None, None)


async def test_a_crash_between_change_and_message_is_made_good_once(people, storage, monkeypatch):
    async def never(*_):
        raise TryAgainLater

    with monkeypatch.context() as crash:
        crash.setattr(people.scheduling, "_tell", never)
        await people.put(ALICE, meeting(ALICE, BOB))
    assert await people.mine(BOB) == (None, None)
    assert await people.scheduling.sweep() == 1
    assert (await people.mine(BOB))[0] is not None
    assert await people.inbox(BOB) == ["REQUEST"]
    assert await people.scheduling.sweep() == 0
    assert await storage.accounts.of(people.accounts[ALICE].account_id).dav.errands() == []


async def test_an_errand_done_twice_does_no_harm(people, storage):
    opened = await people.calendar(ALICE)
    planned = await people.scheduling.plan(opened, None, calendar_object(meeting(ALICE, BOB)))
    for number in (1, 2):
        await people.scheduling.run(people.accounts[ALICE], number, planned.errand)
    assert await people.inbox(BOB) == ["REQUEST"]


def message(method, *people, **more):
    octets = meeting(*people, **more)
    return octets.replace(b"PRODID", f"METHOD:{method}\r\nPRODID".encode())


@pytest.mark.parametrize(
    ("method", "sender"),
    [
        ("REQUEST", EVE),
        ("CANCEL", EVE),
        ("CANCEL", BOB),
        ("REQUEST", "alice@elsewhere.test"),
        ("ADD", EVE),
        ("DECLINECOUNTER", EVE),
    ],
)
async def test_attack_083_only_the_organizer_invites_and_cancels(people, method, sender):
    await people.put(ALICE, meeting(ALICE, BOB))
    before = (await people.mine(BOB))[1].etag
    octets = message(method, ALICE, BOB, start="20260401T100000Z", sequence=9)
    assert not await people.meetings.receive(people.accounts[BOB], f"mailto:{sender}", octets)
    assert (await people.mine(BOB))[1].etag == before
    assert await people.inbox(BOB) == ["REQUEST"]


async def test_attack_083_only_an_attendee_answers_and_only_for_itself(people):
    await people.put(ALICE, meeting(ALICE, BOB))
    for sender, octets in (
        (EVE, message("REPLY", EVE)),  # nobody has invited her
        (EVE, message("REPLY", BOB).replace(b"NEEDS-ACTION", b"DECLINED")),  # she speaks for somebody else
        (BOB, message("REPLY", BOB, EVE).replace(b"PARTSTAT=NEEDS-ACTION:mailto:eve", b"PARTSTAT=ACCEPTED:mailto:eve")),
    ):
        await people.meetings.receive(people.accounts[ALICE], f"mailto:{sender}", octets)
    assert await people.partstat(ALICE, BOB) == ["NEEDS-ACTION"]
    assert await people.partstat(ALICE, EVE) == []


async def test_attack_083_a_meeting_does_not_change_its_organizer(people):
    await people.put(ALICE, meeting(ALICE, BOB))
    before = (await people.mine(BOB))[1].etag
    assert not await people.meetings.receive(
        people.accounts[BOB], f"mailto:{EVE}", message("REQUEST", EVE, BOB, host=EVE, sequence=9)
    )
    assert (await people.mine(BOB))[1].etag == before


async def test_attack_083_an_old_message_changes_nothing(people):
    await people.put(ALICE, meeting(ALICE, BOB, sequence=3))
    before = (await people.mine(BOB))[1].etag
    assert not await people.meetings.receive(
        people.accounts[BOB], f"mailto:{ALICE}", message("REQUEST", ALICE, BOB, start="20260401T100000Z", sequence=2)
    )
    assert (await people.mine(BOB))[1].etag == before


@pytest.mark.parametrize(
    "octets", [b"", b"no", b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n", b"x" * 200_000]
)
async def test_what_cannot_be_read_changes_nothing(people, octets):
    assert not await people.meetings.receive(people.accounts[BOB], f"mailto:{ALICE}", octets)
