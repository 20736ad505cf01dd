"""Events by forms on a real store: what a form knows is changed, all else stays byte for byte; scopes, guests, conflicts."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from mailstead.model.dav import CollectionKind
from mailstead.model.errors import BadObject, NoSuchResource, NotAllowed, PolicyRefused, PreconditionFailed
from mailstead.pim.calendar_object import calendar_object
from mailstead.pim.event_form import EventForm, Repetition
from mailstead.usecases.agenda import Agenda
from mailstead.usecases.calendars import CalendarWish
from mailstead.usecases.collections import DEFAULT
from mailstead.usecases.dav_objects import DavObjects
from mailstead.usecases.event_editing import EventEditing, Scope
from mailstead.usecases.events import Events
from mailstead.usecases.meetings import Meetings
from mailstead.usecases.scheduling import Scheduling
from usecases.api_home import api_home

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 1, 5, 9)
ODD = b"""BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//odd//EN\r
X-OF-ALL;X-Q="a b":kept\r
BEGIN:VEVENT\r
UID:odd\r
DTSTAMP:20260101T000000Z\r
DTSTART;TZID="Europe/Berlin":20260105T090000\r
DURATION:PT1H\r
RRULE:FREQ=WEEKLY;COUNT=6\r
SUMMARY;LANGUAGE=en:Tea\r
X-LONG;X-P="quoted";VALUE=TEXT:one two three four five six seven eight nine t\r
 en eleven twelve\r
ATTACH;FMTTYPE=text/plain:https://files.example.test/a\r
CATEGORIES:A,B\r
BEGIN:VALARM\r
ACTION:EMAIL\r
TRIGGER;RELATED=END:PT5M\r
END:VALARM\r
END:VEVENT\r
END:VCALENDAR\r
"""


class Desk:
    """What somebody does with events."""

    def __init__(self, storage, clock, accounts):
        self.sent = []
        collections = api_home(storage, clock).collections
        meetings = Meetings(storage, collections)
        scheduling = Scheduling(storage, meetings, clock, self._send)
        self.home = api_home(storage, clock, scheduling)
        self.objects = DavObjects(storage, collections)
        self.editing = EventEditing(self.objects, self.home.calendar_objects, meetings, clock)
        self.events = Events(self.objects, self.home.calendar_objects, clock)
        self.agenda = Agenda(self.objects, meetings)
        self.accounts = accounts

    async def _send(self, owner, sender, to, method, octets):
        self.sent.append((sender, to, method))

    async def times(self, actor, first=date(2026, 1, 1), last=date(2026, 3, 31)):
        found = await self.agenda.between(actor, first, last, BERLIN)
        return [(each.summary, f"{each.start:%m-%d %H:%M}") for each in found]

    async def rids(self, actor):
        return [each.rid for each in await self.agenda.between(actor, date(2026, 1, 1), date(2026, 3, 31), BERLIN)]


@pytest.fixture
def desk(storage, clock, alice):
    return Desk(storage, clock, {"alice": alice})


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


def form(**values):
    first = {"start": MONDAY, "end": MONDAY.replace(hour=10), "zone": "Europe/Berlin", "summary": "Tea"}
    return EventForm(**{**first, **values})


async def put_odd(desk, actor):
    return (await desk.events.create(actor, "", ODD)).object_id


async def edited(desk, actor, object_id, change, scope=Scope.ALL, rid=""):
    there = await desk.editing.show(actor, object_id, rid)
    return await desk.editing.change(actor, object_id, change(there.facts.form), there.etag, scope, rid)


async def test_what_a_form_makes_it_reads_back(desk, actor):
    whole = form(
        location="Kitchen; left",
        description="Two\nlines, and more",
        repetition=Repetition("WEEKLY", 2, (0, 2), until=date(2026, 2, 28)),
        reminder_min=15,
        is_free=True,
    )
    object_id = await desk.editing.create(actor, DEFAULT, whole)
    there = await desk.editing.show(actor, object_id)
    assert there.facts.form == whole
    assert (there.is_recurring, there.may_change, there.is_guests, there.facts.organizer) == (True, True, False, "")
    octets = await desk.editing.octets(actor, object_id)
    assert b"BEGIN:VTIMEZONE" in octets
    assert b"UNTIL=20260228T225959Z" in octets


async def test_whole_days_are_told_by_their_last_day(desk, actor):
    day = datetime(2026, 1, 5)
    object_id = await desk.editing.create(
        actor, DEFAULT, form(start=day, end=day.replace(day=7), is_all_day=True, zone="")
    )
    assert b"DTEND;VALUE=DATE:20260108" in await desk.editing.octets(actor, object_id)
    assert (await desk.editing.show(actor, object_id)).facts.form.end == day.replace(day=7)
    (one,) = await desk.agenda.between(actor, date(2026, 1, 7), date(2026, 1, 7), BERLIN)
    assert (one.first_on, one.last_on, one.is_all_day) == (date(2026, 1, 5), date(2026, 1, 7), True)
    assert await desk.agenda.between(actor, date(2026, 1, 8), date(2026, 1, 8), BERLIN) == []


async def test_what_a_form_does_not_know_stays_byte_for_byte(desk, actor):
    object_id = await put_odd(desk, actor)
    await edited(desk, actor, object_id, lambda each: replace(each, summary="Coffee"))
    octets = await desk.editing.octets(actor, object_id)
    stamps = (b"DTSTAMP:", b"LAST-MODIFIED:")
    before = [each for each in ODD.split(b"\r\n") if not each.startswith(stamps)]
    after = [each for each in octets.split(b"\r\n") if not each.startswith(stamps)]
    assert [each for each in after if each not in before] == [b"SUMMARY;LANGUAGE=en:Coffee"]
    assert [each for each in before if each not in after] == [b"SUMMARY;LANGUAGE=en:Tea"]
    assert len(after) == len(before)


async def test_an_event_that_was_moved_keeps_its_length_of_series(desk, actor):
    object_id = await put_odd(desk, actor)
    tuesday = MONDAY.replace(day=6, hour=14)
    await edited(desk, actor, object_id, lambda each: replace(each, start=tuesday, end=tuesday.replace(hour=15)))
    times = await desk.times(actor)
    assert times[0] == ("Tea", "01-06 14:00")
    assert len(times) == 6


async def test_one_time_is_changed_and_the_others_stay(desk, actor):
    object_id = await put_odd(desk, actor)
    rid = (await desk.rids(actor))[1]
    noon = datetime(2026, 1, 12, 12)
    await edited(
        desk, actor, object_id, lambda each: replace(each, summary="Late", start=noon, end=noon.replace(hour=13)),
        Scope.ONE, rid,
    )  # fmt: skip
    times = await desk.times(actor)
    assert times[:3] == [("Tea", "01-05 09:00"), ("Late", "01-12 12:00"), ("Tea", "01-19 09:00")]
    assert len(times) == 6
    shown = await desk.editing.show(actor, object_id, rid)
    assert shown.facts.form.summary == "Late"
    # The series moves, and the time that was changed is still one of it; its title stays.
    later = MONDAY.replace(hour=8)
    await edited(desk, actor, object_id, lambda each: replace(each, start=later, end=MONDAY, summary="Earl Grey"))
    times = await desk.times(actor)
    assert times[:3] == [("Earl Grey", "01-05 08:00"), ("Late", "01-12 12:00"), ("Earl Grey", "01-19 08:00")]
    assert len(times) == 6


async def test_one_and_all_that_follow(desk, actor):
    object_id = await put_odd(desk, actor)
    rid = (await desk.rids(actor))[2]
    other = await edited(
        desk,
        actor,
        object_id,
        lambda each: replace(each, summary="New", start=each.start.replace(hour=16), end=each.start.replace(hour=17)),
        Scope.FOLLOWING,
        rid,
    )
    assert other != object_id
    times = await desk.times(actor)
    assert times == [
        ("Tea", "01-05 09:00"),
        ("Tea", "01-12 09:00"),
        *[("New", f"{day} 16:00") for day in ("01-19", "01-26", "02-02", "02-09")],
    ]
    assert b"X-LONG" in await desk.editing.octets(actor, other)


async def test_on_another_day_of_the_week_those_that_follow_are_as_many_as_were_left(desk, actor):
    object_id = await desk.editing.create(actor, DEFAULT, form(repetition=Repetition("WEEKLY", 1, (0,), count=6)))
    rid = (await desk.rids(actor))[2]
    await edited(
        desk,
        actor,
        object_id,
        lambda each: replace(
            each,
            start=each.start + timedelta(days=1),
            end=each.end + timedelta(days=1),
            repetition=replace(each.repetition, weekdays=(1,)),
        ),
        Scope.FOLLOWING,
        rid,
    )
    days = [when.partition(" ")[0] for _, when in await desk.times(actor)]
    assert days == ["01-05", "01-12", "01-20", "01-27", "02-03", "02-10"]


async def test_times_are_removed(desk, actor):
    object_id = await put_odd(desk, actor)
    rids = await desk.rids(actor)
    etag = (await desk.editing.show(actor, object_id)).etag
    await desk.editing.delete(actor, object_id, etag, Scope.ONE, rids[1])
    assert len(await desk.times(actor)) == 5
    with pytest.raises(PreconditionFailed):
        await desk.editing.delete(actor, object_id, etag, Scope.FOLLOWING, rids[3])
    etag = (await desk.editing.show(actor, object_id)).etag
    await desk.editing.delete(actor, object_id, etag, Scope.FOLLOWING, rids[3])
    assert [when for _, when in await desk.times(actor)] == ["01-05 09:00", "01-19 09:00"]
    with pytest.raises(NoSuchResource):
        await desk.editing.show(actor, object_id, rids[1])
    etag = (await desk.editing.show(actor, object_id)).etag
    await desk.editing.delete(actor, object_id, etag)
    assert await desk.times(actor) == []


async def test_a_series_ends_and_its_changed_times_with_it(desk, actor):
    object_id = await put_odd(desk, actor)
    rid = (await desk.rids(actor))[4]
    await edited(desk, actor, object_id, lambda each: replace(each, summary="Fifth"), Scope.ONE, rid)
    await edited(desk, actor, object_id, lambda each: replace(each, repetition=Repetition("WEEKLY", count=3)))
    assert [title for title, _ in await desk.times(actor)] == ["Tea"] * 3
    await edited(desk, actor, object_id, lambda each: replace(each, repetition=Repetition()))
    assert len(await desk.times(actor)) == 1
    assert not (await desk.editing.show(actor, object_id)).is_recurring


async def test_a_rule_that_a_form_does_not_know_stays(desk, actor):
    odd = ODD.replace(b"FREQ=WEEKLY;COUNT=6", b"FREQ=MONTHLY;BYDAY=1MO;COUNT=3")
    object_id = (await desk.events.create(actor, "", odd)).object_id
    there = await desk.editing.show(actor, object_id)
    assert (there.facts.form.repetition, there.facts.form.keeps_reminders) == (None, True)
    await edited(desk, actor, object_id, lambda each: replace(each, location="Hall"))
    assert b"RRULE:FREQ=MONTHLY;BYDAY=1MO;COUNT=3" in await desk.editing.octets(actor, object_id)
    assert len(await desk.times(actor)) == 3


async def test_nothing_of_somebody_elses_is_overwritten(desk, actor):
    object_id = await desk.editing.create(actor, DEFAULT, form())
    there = await desk.editing.show(actor, object_id)
    await desk.editing.change(actor, object_id, replace(there.facts.form, summary="First"), there.etag)
    with pytest.raises(PreconditionFailed):
        await desk.editing.change(actor, object_id, replace(there.facts.form, summary="Second"), there.etag)
    assert [title for title, _ in await desk.times(actor)] == ["First"]


async def test_guests_are_invited_changed_and_told_of_the_end(desk, actor, alice):
    object_id = await desk.editing.create(actor, DEFAULT, form(guests=("bob@far.test",)))
    assert desk.sent == [(str(alice.address), "bob@far.test", "REQUEST")]
    there = await desk.editing.show(actor, object_id)
    assert (there.facts.organizer, there.facts.form.guests) == (str(alice.address), ("bob@far.test",))
    assert [(each.address, each.answer) for each in there.facts.guests][1:] == [("bob@far.test", "NEEDS-ACTION")]
    desk.sent.clear()
    await edited(desk, actor, object_id, lambda each: replace(each, guests=("carol@far.test",)))
    assert {each[1:] for each in desk.sent} == {("bob@far.test", "CANCEL"), ("carol@far.test", "REQUEST")}
    desk.sent.clear()
    await edited(desk, actor, object_id, lambda each: replace(each, guests=()))
    assert [each[1:] for each in desk.sent] == [("carol@far.test", "CANCEL")]
    assert b"ORGANIZER" not in await desk.editing.octets(actor, object_id)


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        (lambda each: replace(each, summary="New", reminder_min=5, location="Room 5"), "ACCEPTED"),
        (lambda each: replace(each, end=each.end + timedelta(hours=1)), "NEEDS-ACTION"),
        (lambda each: replace(each, repetition=replace(each.repetition, interval=2)), "NEEDS-ACTION"),
    ],
)
async def test_who_has_answered_is_asked_anew_of_what_follows_only_at_other_times(desk, actor, change, answer):
    wanted = form(guests=("bob@far.test",), repetition=Repetition("WEEKLY", count=6))
    object_id = await desk.editing.create(actor, DEFAULT, wanted)
    octets = await desk.editing.octets(actor, object_id)
    answered = octets.replace(b"PARTSTAT=NEEDS-ACTION", b"PARTSTAT=ACCEPTED")
    await desk.events.change(actor, object_id, octets=answered)
    rid = (await desk.rids(actor))[2]
    other = await edited(desk, actor, object_id, change, Scope.FOLLOWING, rid)
    assert other != object_id
    for each, expected in ((object_id, "ACCEPTED"), (other, answer)):
        guests = (await desk.editing.show(actor, each)).facts.guests
        assert [guest.answer for guest in guests if not guest.is_organizer] == [expected]


async def test_a_guest_answers_and_changes_only_what_is_a_guests(desk, actor, alice):
    lines = b"ORGANIZER:mailto:boss@far.test\r\nATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:%s\r\nATTACH" % (
        str(alice.address).encode()
    )
    object_id = (await desk.events.create(actor, "", ODD.replace(b"ATTACH", lines, 1))).object_id
    there = await desk.editing.show(actor, object_id)
    assert (there.is_guests, there.own_answer) == (True, "NEEDS-ACTION")
    await desk.editing.answer(actor, object_id, "TENTATIVE")
    assert desk.sent == [(str(alice.address), "boss@far.test", "REPLY")]
    assert {each.answer for each in await desk.agenda.between(actor, date(2026, 1, 5), date(2026, 1, 5), UTC)} == {
        "TENTATIVE"
    }
    await edited(desk, actor, object_id, lambda each: replace(each, summary="Mine", is_free=True))
    after = (await desk.editing.show(actor, object_id)).facts.form
    assert (after.summary, after.is_free) == ("Tea", True)
    rid = (await desk.rids(actor))[1]
    desk.sent.clear()
    await desk.editing.answer(actor, object_id, "DECLINED", rid)
    assert [each.answer for each in await desk.agenda.between(actor, date(2026, 1, 5), date(2026, 1, 19), UTC)] == [
        "TENTATIVE", "DECLINED", "TENTATIVE",
    ]  # fmt: skip
    assert [each[2] for each in desk.sent] == ["REPLY"]
    mine = await desk.editing.create(actor, DEFAULT, form())
    with pytest.raises(NotAllowed):
        await desk.editing.answer(actor, mine, "ACCEPTED")


async def test_what_makes_no_sense_is_refused(desk, actor):
    for bad in (
        form(end=MONDAY.replace(hour=8)),
        form(summary="x" * 1001),
        form(repetition=Repetition("DAILY", until=date(2026, 1, 4))),
        form(start=MONDAY.replace(year=1800)),
        form(guests=tuple(f"g{number}@far.test" for number in range(201))),
    ):
        with pytest.raises(PolicyRefused):
            await desk.editing.create(actor, DEFAULT, bad)
    with pytest.raises(BadObject):
        await desk.editing.create(actor, DEFAULT, form(zone="Nowhere/Else"))
    assert await desk.times(actor) == []


async def test_attack_085_a_value_begins_no_line(desk, actor):
    object_id = await desk.editing.create(actor, DEFAULT, form(summary="Tea\r\nATTACH:file:///etc/passwd\r\n"))
    parsed = calendar_object(await desk.editing.octets(actor, object_id))
    assert parsed.master.first("ATTACH") is None


async def test_an_event_goes_into_another_calendar(desk, actor, alice):
    work = await desk.home.calendars.create(actor, CalendarWish("Work"), "work")
    object_id = await desk.editing.create(actor, DEFAULT, form())
    await desk.editing.move(actor, object_id, "work")
    there = await desk.editing.show(actor, object_id)
    assert there.calendar.collection.collection_id == work.collection.collection_id
    found = await desk.home.collections.open(actor, alice, CollectionKind.CALENDAR, DEFAULT)
    assert found.collection.resource_count == 0
