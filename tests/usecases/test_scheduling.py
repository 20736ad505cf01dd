"""Meetings between people of one house: invited, answered, changed, cancelled, and found again after a crash."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind, CollectionTraits, NewResource
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadObject, ObjectTooLarge, TryAgainLater
from mailstead.model.secret import Secret
from mailstead.pim.calendar_facts import facts
from mailstead.pim.calendar_object import calendar_object
from mailstead.pim.filters import TimeRange
from mailstead.usecases.calendar_objects import CalendarObjects
from mailstead.usecases.free_busy import FreeBusy
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
        self.clock = clock
        self.storage, self.collections, self.accounts = storage, collections, accounts

    async def calendar(self, who, kind=CALENDAR, name="default"):
        account = self.accounts[who]
        await self.collections.home(Actor(account.account_id, account.address), account, kind)
        return await self.collections.open(Actor(account.account_id, account.address), account, kind, name)

    async def alias(self, admin, aliases, alias, who):
        await aliases.create(admin, Address.parse(alias), (self.accounts[who].address,))

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


# other addresses


async def test_who_is_invited_by_an_alias_answers_by_it(people, admin, aliases):
    bobby = "bobby@example.test"
    await people.alias(admin, aliases, bobby, BOB)
    await people.put(ALICE, meeting(ALICE, bobby))
    _, resource = await people.mine(BOB)
    said = resource.octets.replace(b"NEEDS-ACTION:mailto:bobby", b"ACCEPTED:mailto:bobby")
    await people.objects.put(await people.calendar(BOB), resource.name, said)
    assert await people.partstat(ALICE, bobby) == ["ACCEPTED"]


async def test_who_organizes_by_an_alias_writes_by_it(people, admin, aliases, sent):
    boss = "boss@example.test"
    await people.alias(admin, aliases, boss, ALICE)
    await people.put(ALICE, meeting(boss, BOB, "far@elsewhere.test", host=boss))
    assert [(each[0], each[1]) for each in sent] == [(boss, "far@elsewhere.test")]
    assert (await people.mine(BOB))[0].master.value("ORGANIZER") == f"mailto:{boss}"
    await people.answer(BOB, "TENTATIVE")
    assert await people.partstat(ALICE, BOB) == ["TENTATIVE"]


# what is sent, and when


async def test_mail_that_cannot_go_now_goes_later_and_the_others_get_theirs_once(people, storage, sent, monkeypatch):
    failing = {"two@elsewhere.test"}
    send = people.scheduling._send_mail

    async def sometimes(owner, sender, to, method, octets):
        if to in failing:
            raise TryAgainLater
        await send(owner, sender, to, method, octets)

    monkeypatch.setattr(people.scheduling, "_send_mail", sometimes)
    await people.put(ALICE, meeting(ALICE, *(f"{each}@elsewhere.test" for each in ("one", "two", "three"))))
    assert [each[1] for each in sent] == ["one@elsewhere.test", "three@elsewhere.test"]
    assert await people.scheduling.sweep() == 0
    failing.clear()
    assert await people.scheduling.sweep() == 1
    assert [each[1] for each in sent] == ["one@elsewhere.test", "three@elsewhere.test", "two@elsewhere.test"]
    assert await people.scheduling.sweep() == 0
    assert len(sent) == 3


async def test_two_processes_do_not_both_send_a_mail(people, sent, monkeypatch):
    opened = await people.calendar(ALICE)
    planned = await people.scheduling.plan(opened, None, calendar_object(meeting(ALICE, "far@elsewhere.test")))
    owner, send = people.accounts[ALICE], people.scheduling._send_mail

    async def slowly(*words):
        monkeypatch.setattr(people.scheduling, "_send_mail", send)
        with pytest.raises(TryAgainLater):
            await people.scheduling.run(owner, 1, planned.errand)  # the other one, meanwhile
        await send(*words)

    monkeypatch.setattr(people.scheduling, "_send_mail", slowly)
    await people.scheduling.run(owner, 1, planned.errand)
    await people.scheduling.run(owner, 1, planned.errand)
    assert len(sent) == 1


async def test_a_process_that_died_while_sending_is_taken_over(people, sent, monkeypatch):
    class Died(BaseException):
        pass

    async def dying(*_):
        raise Died

    async def never(*_):
        """What a dead process does not do any more."""

    with monkeypatch.context() as crash:
        crash.setattr(people.scheduling, "_send_mail", dying)
        crash.setattr(type(people.storage.memory), "forget", never)
        with pytest.raises(Died):
            await people.put(ALICE, meeting(ALICE, "far@elsewhere.test"))
    assert await people.scheduling.sweep() == 0  # the first one may still be about it
    people.clock.passed_s += 601
    assert await people.scheduling.sweep() == 1
    assert [each[1] for each in sent] == ["far@elsewhere.test"]


async def test_what_never_goes_is_given_up_as_mail_is(people, storage, monkeypatch):
    async def never(*_):
        raise TryAgainLater

    monkeypatch.setattr(people.scheduling, "_send_mail", never)
    await people.put(ALICE, meeting(ALICE, "far@elsewhere.test"))
    store = storage.accounts.of(people.accounts[ALICE].account_id).dav
    people.clock.passed_s += 4 * 86400
    await people.scheduling.sweep()
    assert len(await store.errands()) == 1
    people.clock.passed_s += 2 * 86400
    await people.scheduling.sweep()
    assert await store.errands() == []


async def test_the_sweep_looks_only_where_something_was_planned(people, storage, monkeypatch):
    await people.put(ALICE, meeting(ALICE, BOB))
    people.clock.passed_s += 700
    assert await people.scheduling.sweep() == 0
    monkeypatch.setattr(people.scheduling, "_left", None)  # nobody is asked any more
    assert await people.scheduling.sweep() == 0


async def test_a_program_does_not_wait_for_very_many(people, sent, monkeypatch):
    monkeypatch.setattr("mailstead.usecases.scheduling.AT_ONCE_MAX", 2)
    await people.put(ALICE, meeting(ALICE, *(f"{each}@elsewhere.test" for each in ("one", "two", "three"))))
    assert sent == []
    assert await people.scheduling.sweep() == 1
    assert len(sent) == 3


async def test_answers_that_the_organizers_program_has_not_seen_stay(people):
    await people.put(ALICE, meeting(ALICE, BOB))
    await people.answer(BOB, "ACCEPTED")
    await people.put(ALICE, meeting(ALICE, BOB, more="LOCATION:There"))
    assert await people.partstat(ALICE, BOB) == ["ACCEPTED"]
    assert await people.partstat(BOB, BOB) == ["ACCEPTED"]
    await people.put(ALICE, meeting(ALICE, BOB, start="20260310T150000Z", sequence=1))
    assert await people.partstat(ALICE, BOB) == ["NEEDS-ACTION"]  # another time is another question


async def test_another_time_gets_through_whatever_the_clock_of_a_guest_shows(people):
    """A program of a guest has written its own DTSTAMP, of tomorrow; the organizer's program does not count versions."""
    await people.put(ALICE, meeting(ALICE, BOB))
    _, resource = await people.mine(BOB)
    lines = resource.octets.split(b"\r\n")
    later = b"\r\n".join(b"DTSTAMP:20990101T000000Z" if each.startswith(b"DTSTAMP") else each for each in lines)
    await people.objects.put(await people.calendar(BOB), resource.name, later)
    await people.put(ALICE, meeting(ALICE, BOB, start="20260310T150000Z"))
    parsed, _ = await people.mine(BOB)
    assert parsed.master.value("DTSTART") == "20260310T150000Z"
    assert parsed.master.value("SEQUENCE") == "1"
    # alice's program has not read what the server counted, and changes the place: the version does not go back
    await people.put(ALICE, meeting(ALICE, BOB, start="20260310T150000Z", more="LOCATION:There"))
    parsed, _ = await people.mine(BOB)
    assert (parsed.master.value("LOCATION"), parsed.master.value("SEQUENCE")) == ("There", "1")


async def test_what_is_no_meeting_any_more_has_no_schedule_tag(people):
    await people.put(ALICE, meeting(ALICE, BOB))
    plain = b"\r\n".join(
        each for each in meeting(ALICE).split(b"\r\n") if not each.startswith((b"ATTENDEE", b"ORGANIZER"))
    )
    assert (await people.put(ALICE, plain)).resource.schedule_tag == ""
    assert (await people.mine(BOB))[0].master.value("STATUS") == "CANCELLED"


async def test_an_instance_that_is_left_out_is_declined(people):
    await people.put(ALICE, meeting(ALICE, BOB, more="RRULE:FREQ=DAILY;COUNT=3"))
    _, resource = await people.mine(BOB)
    own = resource.octets.replace(b"SUMMARY", b"EXDATE:20260311T100000Z\r\nSUMMARY")
    await people.objects.put(await people.calendar(BOB), resource.name, own)
    assert await people.partstat(ALICE, BOB) == ["NEEDS-ACTION", "DECLINED"]


# the inbox, and where invitations go


async def test_what_a_calendar_does_not_take_lies_in_the_inbox(people):
    await people.put(ALICE, meeting(ALICE, BOB))
    before = (await people.mine(ALICE))[1].etag
    for method in ("COUNTER", "REFRESH"):
        assert await people.meetings.receive(people.accounts[ALICE], f"mailto:{BOB}", message(method, BOB))
    assert await people.inbox(ALICE) == ["COUNTER", "REFRESH"]
    assert (await people.mine(ALICE))[1].etag == before


async def test_attack_083_nothing_of_strangers_gets_into_the_inbox(people):
    await people.put(ALICE, meeting(ALICE, BOB))
    for who, sender, octets in (
        (BOB, EVE, message("REQUEST", EVE, "other@elsewhere.test", host=EVE).replace(b"UID:meeting", b"UID:else")),
        (ALICE, EVE, message("COUNTER", EVE)),
        (ALICE, EVE, message("REPLY", EVE)),
        (ALICE, BOB, message("REFRESH", BOB).replace(b"UID:meeting", b"UID:else")),
        (BOB, EVE, message("CANCEL", BOB, host=EVE).replace(b"UID:meeting", b"UID:else")),
    ):
        assert not await people.meetings.receive(people.accounts[who], f"mailto:{sender}", octets)
    assert await people.inbox(ALICE) == []
    assert await people.inbox(BOB) == ["REQUEST"]


async def test_old_messages_leave_the_inbox(people):
    await people.put(ALICE, meeting(ALICE, BOB))
    people.clock.passed_s += 20 * 86400
    await people.put(ALICE, meeting(ALICE, BOB, start="20260312T100000Z", sequence=1))
    assert await people.meetings.forget_messages(people.clock.now()) == 0
    people.clock.passed_s += 11 * 86400
    assert await people.meetings.forget_messages(people.clock.now()) == 1
    assert await people.inbox(BOB) == ["REQUEST"]
    people.clock.passed_s += 20 * 86400
    assert await people.meetings.forget_messages(people.clock.now()) == 1
    assert await people.inbox(BOB) == []
    assert (await people.mine(BOB))[0] is not None


async def test_invitations_go_where_their_owner_wants_them(people, collections):
    bob = people.accounts[BOB]
    actor = Actor(bob.account_id, bob.address)
    work = await collections.create(actor, bob, CALENDAR, "work", CollectionTraits())
    inbox = await people.calendar(BOB, INBOX, "inbox")
    await collections.set_traits(actor, inbox, replace(inbox.traits, default_calendar="work"))
    await people.put(ALICE, meeting(ALICE, BOB))
    assert (await people.mine(BOB))[1].collection_id == work.collection.collection_id
    await collections.delete(actor, work)
    assert (await people.meetings.default_calendar(bob)).name == "default"


async def test_a_calendar_from_elsewhere_is_not_written_by_messages(people, collections):
    bob = people.accounts[BOB]
    actor = Actor(bob.account_id, bob.address)
    elsewhere = await collections.create(
        actor, bob, CALENDAR, "far", CollectionTraits(), source_url="https://elsewhere.test/x.ics"
    )
    parsed = calendar_object(meeting(ALICE, BOB))
    await elsewhere.store.put(
        elsewhere.collection.collection_id, [NewResource("x.ics", meeting(ALICE, BOB), facts(parsed))]
    )
    await people.put(ALICE, meeting(ALICE, BOB, sequence=1))
    found = await elsewhere.store.find_uid(CALENDAR, "meeting")
    assert [
        (each.collection_id == elsewhere.collection.collection_id, each.octets.count(b"SEQUENCE:1")) for each in found
    ] == [(True, 0), (False, 1)]


# whose meeting it is


@pytest.mark.parametrize(
    "octets",
    [
        meeting(ALICE, BOB, EVE, host=EVE),
        meeting(ALICE, BOB, host="far@elsewhere.test"),
        meeting(ALICE, BOB, more="RRULE:FREQ=DAILY;COUNT=3", extra=f"BEGIN:VEVENT\nUID:meeting\nDTSTAMP:20260101T000000Z\nRECURRENCE-ID:20260311T100000Z\nDTSTART:20260311T100000Z\nORGANIZER:mailto:{EVE}\nATTENDEE:mailto:{BOB}\nEND:VEVENT"),
    ],
    ids=["one of ours", "one from elsewhere", "in one instance"],
)  # fmt: skip
async def test_attack_083_nobody_invites_in_the_name_of_others(people, sent, octets):
    await people.put(ALICE, meeting(ALICE))
    with pytest.raises(BadObject):
        await people.put(ALICE, octets)
    assert await people.mine(BOB) == (None, None)
    assert sent == []


async def test_attack_083_an_attendee_does_not_take_a_meeting_over(people):
    await people.put(ALICE, meeting(ALICE, BOB, EVE))
    with pytest.raises(BadObject):
        await people.put(BOB, meeting(BOB, EVE, host=BOB), (await people.mine(BOB))[1].name)
    assert (await people.mine(EVE))[0].master.value("ORGANIZER") == f"mailto:{ALICE}"


async def test_attack_083_a_message_of_two_organizers_changes_nothing(people):
    two = f"BEGIN:VEVENT\nUID:meeting\nDTSTAMP:20260101T000000Z\nRECURRENCE-ID:20260311T100000Z\nDTSTART:20260311T100000Z\nORGANIZER:mailto:{ALICE}\nATTENDEE:mailto:{BOB}\nEND:VEVENT"
    octets = message("REQUEST", EVE, BOB, host=EVE, more="RRULE:FREQ=DAILY;COUNT=3", extra=two)
    assert not await people.meetings.receive(people.accounts[BOB], f"mailto:{EVE}", octets)


async def test_attack_083_answers_do_not_make_a_meeting_too_large(people, monkeypatch):
    await people.put(ALICE, meeting(ALICE, BOB, more="RRULE:FREQ=DAILY;COUNT=30\nDESCRIPTION:" + "x" * 5000))
    monkeypatch.setattr("mailstead.usecases.meetings.MEETING_OCTETS_MAX", 20_000)
    before = (await people.mine(ALICE))[1].etag
    parts = "\n".join(
        f"BEGIN:VEVENT\nUID:meeting\nDTSTAMP:20260101T000000Z\nRECURRENCE-ID:202603{day}T100000Z\nDTSTART:202603{day}T100000Z\nORGANIZER:mailto:{ALICE}\nATTENDEE;PARTSTAT=DECLINED:mailto:{BOB}\nEND:VEVENT"
        for day in range(11, 21)
    )
    with pytest.raises(ObjectTooLarge):
        await people.meetings.receive(people.accounts[ALICE], f"mailto:{BOB}", message("REPLY", BOB, extra=parts))
    assert (await people.mine(ALICE))[1].etag == before


async def test_programs_of_old_post_their_messages(people, sent):
    octets = message("REQUEST", ALICE, BOB, "far@elsewhere.test")
    owner = people.accounts[ALICE]
    statuses = await people.scheduling.post(owner, calendar_object(octets, allows_method=True), octets)
    assert {who: each[:3] for who, each in statuses.items()} == {
        f"mailto:{BOB}": "1.2",
        "mailto:far@elsewhere.test": "1.1",
    }
    assert await people.inbox(BOB) == ["REQUEST"]
    assert [each[1] for each in sent] == ["far@elsewhere.test"]


@pytest.mark.parametrize(
    "octets",
    [message("REQUEST", EVE, BOB, host=EVE), message("REPLY", EVE), message("CANCEL", EVE, BOB, host=EVE), message("PUBLISH", ALICE, BOB)],
)  # fmt: skip
async def test_attack_083_nobody_posts_in_the_name_of_others(people, octets):
    with pytest.raises(BadObject):
        await people.scheduling.post(people.accounts[ALICE], calendar_object(octets, allows_method=True), octets)
    assert await people.inbox(BOB) == []


async def test_attack_020_strangers_who_open_accounts_learn_of_nobody_who_is_here(people, admin, domains, collections):
    await domains.set_terms(admin, "example.test", {"opens_accounts": "true"})
    free_busy = FreeBusy(collections, people.objects, people.meetings, people.clock)
    span = TimeRange(datetime(2026, 3, 10, tzinfo=UTC), datetime(2026, 3, 11, tzinfo=UTC))
    alice = people.accounts[ALICE]
    told = [await free_busy.of_user(alice, f"mailto:{who}", span) for who in (BOB, "nobody@example.test", ALICE)]
    assert told == [None, None, []]
    octets = message("REQUEST", ALICE, BOB, "nobody@example.test")
    statuses = await people.scheduling.post(alice, calendar_object(octets, allows_method=True), octets)
    assert {each[:3] for each in statuses.values()} == {"1.1"}


async def test_who_has_declined_by_whatever_address_is_not_busy(people, admin, aliases, collections):
    bobby = "bobby@example.test"
    await people.alias(admin, aliases, bobby, BOB)
    await people.put(ALICE, meeting(ALICE, bobby))
    free_busy = FreeBusy(collections, people.objects, people.meetings, people.clock)
    span = TimeRange(datetime(2026, 3, 10, tzinfo=UTC), datetime(2026, 3, 11, tzinfo=UTC))
    assert [each.kind for each in await free_busy.of_user(people.accounts[ALICE], f"mailto:{BOB}", span)] == [
        "BUSY-TENTATIVE"
    ]
    _, resource = await people.mine(BOB)
    said = resource.octets.replace(b"NEEDS-ACTION:mailto:bobby", b"DECLINED:mailto:bobby")
    await people.objects.put(await people.calendar(BOB), resource.name, said)
    assert await free_busy.of_user(people.accounts[ALICE], f"mailto:{BOB}", span) == []
