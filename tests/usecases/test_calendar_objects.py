"""Calendar objects: put and got octet by octet, found, followed, copied, imported."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailstead.model.dav import CALENDAR_COMPONENTS, Access, CollectionKind, CollectionTraits, Precondition
from mailstead.model.errors import (
    BadObject,
    BadSyncToken,
    NoSuchResource,
    NotAllowed,
    ObjectTooLarge,
    PreconditionFailed,
    StorageUnavailable,
    TooManyMatches,
    UidConflict,
)
from mailstead.pim.filters import CalendarData, CompFilter, PropFilter, TextMatch, TimeRange
from mailstead.usecases import calendar_objects, resources
from mailstead.usecases.calendar_objects import CalendarObjects, Wanted
from mailstead.usecases.resources import ResourceTerms

GOLDEN = Path(__file__).parents[1] / "golden" / "pim"
WHOLE = Wanted(CalendarData())
ALL_EVENTS = CompFilter("VCALENDAR", comps=(CompFilter("VEVENT"),))


def calendar(*components):
    return "\r\n".join(
        ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", *components, "END:VCALENDAR", ""]
    ).encode()


def event(uid="one", start="20260110T090000Z", *more, summary="Meeting"):
    return calendar(
        "BEGIN:VEVENT",
        f"UID:{uid}",
        "DTSTAMP:20260101T000000Z",
        f"DTSTART:{start}",
        "DURATION:PT1H",
        f"SUMMARY:{summary}",
        *more,
        "END:VEVENT",
    )


def task(uid="task"):
    return calendar("BEGIN:VTODO", f"UID:{uid}", "DTSTAMP:20260101T000000Z", "SUMMARY:Milk", "END:VTODO")


def within(start, end, component="VEVENT"):
    span = TimeRange(datetime(*start, tzinfo=UTC), datetime(*end, tzinfo=UTC))
    return CompFilter("VCALENDAR", comps=(CompFilter(component, time_range=span),))


JANUARY = within((2026, 1, 1), (2026, 2, 1))


@pytest.fixture
def objects():
    return CalendarObjects(ResourceTerms("https://mail.example.test", resource_octets_max=20_000))


@pytest.fixture
async def opened(collections, alice, actor_of):
    (found,) = await collections.home(actor_of(alice), alice, CollectionKind.CALENDAR)
    return found


@pytest.fixture
def again(collections, actor_of):
    """The same collection as it is now."""

    async def again(opened):
        actor = actor_of(opened.owner)
        return await collections.open(actor, opened.owner, opened.collection.kind, opened.name, Access.READ)

    return again


async def names(pages):
    return [found.resource.name async for page in pages for found in page]


async def changes(objects, opened, token="", limit=None):
    pages = [page async for page in objects.changes(opened, token, limit)]
    changed = [each.name for page in pages for each in page.changed]
    deleted = [name for page in pages for name in page.deleted]
    return changed, deleted, objects.tokens.of(opened, pages[-1].modseq), pages[-1].is_complete


async def test_an_object_is_given_back_octet_by_octet(objects, opened):
    octets = event(summary="Caf=C3=A9 & <Co>").replace(b"\r\n", b"\n")
    written = await objects.put(opened, "one.ics", octets)
    assert written.is_new
    assert written.is_as_sent
    got = await objects.get(opened, "one.ics")
    assert got.octets == octets
    assert got.etag == written.resource.etag
    assert got.facts.uid == "one"


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.ics")), ids=lambda file: file.name)
async def test_the_corpus_comes_back_as_it_was_sent(objects, collections, alice, actor_of, file):
    octets = file.read_bytes()
    traits = CollectionTraits(components=CALENDAR_COMPONENTS)
    odd = await collections.create(actor_of(alice), alice, CollectionKind.CALENDAR, "odd", traits)
    await objects.put(odd, "odd.ics", octets)
    assert (await objects.get(odd, "odd.ics")).octets == octets


async def test_the_same_again_changes_nothing(objects, opened, again):
    first = await objects.put(opened, "one.ics", event())
    token = objects.tokens.of(await again(opened))
    second = await objects.put(opened, "one.ics", event())
    assert not second.is_new
    assert second.resource.etag == first.resource.etag
    assert objects.tokens.of(await again(opened)) == token


async def test_conditions_are_kept(objects, opened):
    first = await objects.put(opened, "one.ics", event(), Precondition(must_be_absent=True))
    with pytest.raises(PreconditionFailed):
        await objects.put(opened, "one.ics", event(summary="x"), Precondition(must_be_absent=True))
    with pytest.raises(PreconditionFailed):
        await objects.put(opened, "one.ics", event(summary="x"), Precondition(etags=frozenset({"other"})))
    second = await objects.put(
        opened, "one.ics", event(summary="x"), Precondition(etags=frozenset({first.resource.etag}))
    )
    with pytest.raises(PreconditionFailed):
        await objects.delete(opened, "one.ics", Precondition(etags=frozenset({first.resource.etag})))
    await objects.delete(opened, "one.ics", Precondition(etags=frozenset({second.resource.etag})))
    with pytest.raises(NoSuchResource):
        await objects.get(opened, "one.ics")
    with pytest.raises(NoSuchResource):
        await objects.delete(opened, "one.ics")


async def test_an_object_keeps_its_uid_and_no_other_has_it(objects, opened):
    await objects.put(opened, "one.ics", event("one"))
    with pytest.raises(UidConflict):
        await objects.put(opened, "one.ics", event("two"))
    with pytest.raises(UidConflict) as caught:
        await objects.put(opened, "two.ics", event("one"))
    assert caught.value.log_fields["name"] == "one.ics"


async def test_what_may_not_be_kept_is_refused_with_its_condition(objects, opened):
    for octets, condition in (
        (b"no calendar", "valid-calendar-data"),
        (calendar("METHOD:REQUEST", *event().decode().split("\r\n")[3:-2]), "valid-calendar-object-resource"),
        (
            calendar("BEGIN:VJOURNAL", "UID:j", "DTSTAMP:20260101T000000Z", "END:VJOURNAL"),
            "supported-calendar-component",
        ),
    ):
        with pytest.raises(BadObject) as caught:
            await objects.put(opened, "x.ics", octets)
        assert caught.value.log_fields["condition"] == condition


async def test_attack_085_an_object_that_is_too_large_is_refused_before_it_is_read(objects, opened, monkeypatch):
    monkeypatch.setattr(calendar_objects, "calendar_object", None)
    with pytest.raises(ObjectTooLarge):
        await objects.put(opened, "large.ics", event("large", "20260110T090000Z", "X-BLOB:" + "x" * 20_000))


async def test_who_may_only_read_changes_nothing(objects, opened):
    await objects.put(opened, "one.ics", event())
    for shut in (
        replace(opened, access=Access.READ),
        replace(opened, collection=replace(opened.collection, source_url="https://elsewhere.example/cal.ics")),
    ):
        with pytest.raises(NotAllowed):
            await objects.put(shut, "two.ics", event("two"))
        with pytest.raises(NotAllowed):
            await objects.delete(shut, "one.ics")
        with pytest.raises(NotAllowed):
            await objects.copy(opened, "one.ics", shut, "two.ics")
        with pytest.raises(NotAllowed):
            await objects.import_all(shut, event("two"))
        assert (await objects.get(shut, "one.ics")).octets == event()


async def test_changes_are_told_once_and_deletions_too(objects, opened, again):
    for uid in ("one", "two", "three"):
        await objects.put(opened, f"{uid}.ics", event(uid))
    changed, deleted, token, is_complete = await changes(objects, await again(opened))
    assert (sorted(changed), deleted, is_complete) == (["one.ics", "three.ics", "two.ics"], [], True)
    await objects.delete(opened, "two.ics")
    await objects.put(opened, "one.ics", event("one", summary="Later"))
    changed, deleted, token, _ = await changes(objects, await again(opened), token)
    assert (changed, deleted) == (["one.ics"], ["two.ics"])
    assert await changes(objects, await again(opened), token) == ([], [], token, True)
    assert token == objects.tokens.of(await again(opened))


async def test_changes_come_in_pieces_when_a_client_wants_few(objects, opened, again, monkeypatch):
    monkeypatch.setattr(resources, "PAGE", 2)
    for number in range(7):
        await objects.put(opened, f"{number}.ics", event(str(number)))
    opened = await again(opened)
    whole, _, last, _ = await changes(objects, opened)
    token, told = "", []
    for expected in (3, 3, 1):
        changed, _, token, is_complete = await changes(objects, opened, token, 3)
        assert (len(changed), is_complete) == (expected, expected == 1)
        told += changed
    assert told == whole
    assert token == last


async def test_what_changes_while_changes_are_read_is_told_the_next_time(objects, opened, again, monkeypatch):
    monkeypatch.setattr(resources, "PAGE", 2)
    for number in range(4):
        await objects.put(opened, f"{number}.ics", event(str(number)))
    opened, told = await again(opened), []
    async for page in objects.changes(opened, ""):
        told += [each.name for each in page.changed]
        if len(told) == 2:
            await objects.put(opened, "0.ics", event("0", summary="meanwhile"))
    assert told == ["0.ics", "1.ics", "2.ics", "3.ics"]
    token = objects.tokens.of(opened)
    assert (await changes(objects, await again(opened), token))[0] == ["0.ics"]


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "https://mail.example.test/ns/sync-token/5",
        "https://evil.example/ns/sync-token/{head}-1",
        "{prefix}{head}-01",
        "{prefix}{head}-+1",
        "{prefix}{head}-1 ",
        "{prefix}{head}-99999999",
        "{prefix}{head}-9999999999999999999",
        "{prefix}{other}-1",
        "{prefix}{head}-\u0661",
    ],
)
async def test_tokens_of_others_are_refused(objects, opened, token):
    account_id, collection_id = opened.owner.account_id, opened.collection.collection_id
    token = token.format(
        prefix="https://mail.example.test/ns/sync-token/",
        head=f"{account_id}-{collection_id}",
        other=f"{account_id}-{collection_id + 1}",
    )
    with pytest.raises(BadSyncToken):
        await changes(objects, opened, token)


async def test_a_query_finds_by_time_and_by_text(objects, opened):
    await objects.put(opened, "jan.ics", event("jan", "20260110T090000Z"))
    await objects.put(opened, "feb.ics", event("feb", "20260210T090000Z", summary="Lunch"))
    await objects.put(opened, "weekly.ics", event("weekly", "20250107T090000Z", "RRULE:FREQ=WEEKLY"))
    await objects.put(opened, "ended.ics", event("ended", "20250107T090000Z", "RRULE:FREQ=WEEKLY;COUNT=3"))
    await objects.put(opened, "task.ics", task())
    assert await names(objects.query(opened, JANUARY, Wanted())) == ["jan.ics", "weekly.ics"]
    assert await names(objects.query(opened, JANUARY, WHOLE)) == ["jan.ics", "weekly.ics"]
    lunch = CompFilter("VEVENT", props=(PropFilter("SUMMARY", text_matches=(TextMatch("lunch"),)),))
    assert await names(objects.query(opened, CompFilter("VCALENDAR", comps=(lunch,)), Wanted())) == ["feb.ics"]
    assert len(await names(objects.query(opened, ALL_EVENTS, Wanted()))) == 4
    assert len(await names(objects.query(opened, CompFilter("VCALENDAR"), Wanted()))) == 5
    todo = within((2026, 1, 1), (2026, 2, 1), "VTODO")
    assert await names(objects.query(opened, todo, Wanted())) == ["task.ics"]


async def test_a_query_gives_what_was_put(objects, opened):
    await objects.put(opened, "jan.ics", event("jan"))
    found = [each async for page in objects.query(opened, JANUARY, WHOLE) for each in page]
    assert [each.data for each in found] == [event("jan")]


async def test_attack_079_a_query_over_many_stays_in_pages(objects, opened, monkeypatch):
    monkeypatch.setattr(calendar_objects, "OCTETS_PAGE", 10)
    file = calendar(*(line for n in range(95) for line in event(f"{n:03}").decode().split("\r\n")[3:-2]))
    await objects.import_all(opened, file)
    sizes = [len(page) async for page in objects.query(opened, ALL_EVENTS, WHOLE)]
    assert sizes == [10] * 9 + [5]


async def test_attack_079_too_many_matches_are_told_after_those_that_fit(objects, opened):
    for number in range(5):
        await objects.put(opened, f"{number}.ics", event(str(number)))
    found = []
    with pytest.raises(TooManyMatches):
        async for page in objects.query(opened, JANUARY, WHOLE, limit=3):
            found += page
    assert len(found) == 3
    assert len(await names(objects.query(opened, JANUARY, WHOLE, limit=5))) == 5


async def test_attack_079_expanding_without_end_is_cut_short(objects, opened):
    await objects.put(opened, "bomb.ics", event("bomb", "20200101T000000Z", "RRULE:FREQ=SECONDLY"))
    span = TimeRange(datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC))
    wanted = Wanted(CalendarData(expand=span))
    with pytest.raises(TooManyMatches):
        await names(objects.query(opened, ALL_EVENTS, wanted))
    with pytest.raises(TooManyMatches):
        [page async for page in objects.multiget(opened, ["bomb.ics"], wanted)]


async def test_expanding_gives_instances_in_utc(objects, opened):
    await objects.put(opened, "weekly.ics", event("weekly", "20260106T090000Z", "RRULE:FREQ=WEEKLY"))
    span = TimeRange(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    (page,) = [page async for page in objects.query(opened, JANUARY, Wanted(CalendarData(expand=span)))]
    assert page[0].data.count(b"BEGIN:VEVENT") == 4
    assert b"RRULE" not in page[0].data


async def test_many_are_got_by_name_in_the_order_of_the_names(objects, opened, monkeypatch):
    monkeypatch.setattr(resources, "OCTETS_PAGE", 2)
    for uid in ("a", "b", "c"):
        await objects.put(opened, f"{uid}.ics", event(uid))
    asked = ["c.ics", "gone.ics", "a.ics", "c.ics"]
    got = [(name, found.get(name)) async for part, found in objects.multiget(opened, asked, WHOLE) for name in part]
    assert [name for name, _ in got] == asked
    assert [found and found.data for _, found in got] == [event("c"), None, event("a"), event("c")]


async def test_objects_are_copied_and_moved(objects, opened, collections, alice, actor_of):
    actor = actor_of(alice)
    work = await collections.create(
        actor, alice, CollectionKind.CALENDAR, "work", CollectionTraits(components=("VEVENT",))
    )
    await objects.put(opened, "one.ics", event("one"))
    await objects.put(opened, "task.ics", task())
    assert (await objects.copy(opened, "one.ics", work, "copy.ics")).is_new
    assert (await objects.get(work, "copy.ics")).octets == event("one")
    with pytest.raises(PreconditionFailed):
        await objects.copy(opened, "one.ics", work, "copy.ics", moves=True, overwrites=False)
    await objects.copy(opened, "one.ics", work, "copy.ics", moves=True)
    with pytest.raises(NoSuchResource):
        await objects.get(opened, "one.ics")
    with pytest.raises(BadObject) as caught:
        await objects.copy(opened, "task.ics", work, "task.ics")
    assert caught.value.log_fields["condition"] == "supported-calendar-component"
    with pytest.raises(NoSuchResource):
        await objects.copy(opened, "gone.ics", work, "gone.ics")
    (book,) = await collections.home(actor, alice, CollectionKind.ADDRESSBOOK)
    with pytest.raises(NotAllowed):
        await objects.copy(opened, "task.ics", book, "task.vcf")


async def test_a_move_between_accounts_takes_the_object_along(objects, opened, collections, bob, actor_of):
    (of_bob,) = await collections.home(actor_of(bob), bob, CollectionKind.CALENDAR)
    await objects.put(opened, "one.ics", event("one"))
    with pytest.raises(PreconditionFailed):
        await objects.copy(
            opened, "one.ics", of_bob, "one.ics", moves=True, precondition=Precondition(etags=frozenset({"x"}))
        )
    assert (await objects.copy(opened, "one.ics", of_bob, "one.ics", moves=True)).is_new
    assert (await objects.get(of_bob, "one.ics")).octets == event("one")
    with pytest.raises(NoSuchResource):
        await objects.get(opened, "one.ics")


async def test_a_whole_file_is_imported_and_again_changes_nothing(objects, opened, again):
    parts = [line for uid in ("a", "b/../c", "d") for line in event(uid).decode().split("\r\n")[3:-2]]
    journal = ("BEGIN:VJOURNAL", "UID:j", "DTSTAMP:20260101T000000Z", "END:VJOURNAL")
    file, told = calendar("METHOD:PUBLISH", *parts, *journal), []
    report = await objects.import_all(opened, file, lambda done, total: told.append((done, total)))
    assert (report.new_count, report.replaced_count, len(report.refused)) == (3, 0, 1)
    assert told == [(3, 3)]
    listed = [each.name async for page in objects.listed(opened) for each in page]
    assert {"a.ics", "d.ics"} < set(listed)
    assert all("/" not in name for name in listed)
    token = objects.tokens.of(await again(opened))
    report = await objects.import_all(opened, file)
    assert (report.new_count, report.replaced_count) == (0, 3)
    assert objects.tokens.of(await again(opened)) == token


async def test_an_import_puts_an_object_in_its_place(objects, opened):
    await objects.put(opened, "own-name.ics", event("a"))
    await objects.import_all(opened, event("a", summary="New"))
    assert b"New" in (await objects.get(opened, "own-name.ics")).octets


async def test_zones_are_left_out_or_put_in_as_a_client_likes(objects, opened):
    without = event("a", "20260110T090000Z").replace(
        b"DTSTART:20260110T090000Z", b"DTSTART;TZID=Europe/Berlin:20260110T090000"
    )
    await objects.put(opened, "a.ics", without)

    async def got(has_zones):
        pages = objects.multiget(opened, ["a.ics"], Wanted(CalendarData(), has_zones=has_zones))
        (data,) = [found["a.ics"].data async for _, found in pages]
        return data

    assert await got(None) == without
    assert await got(False) == without
    whole = await got(True)
    assert b"BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin" in whole
    await objects.put(opened, "a.ics", whole)
    assert await got(None) == whole
    assert b"VTIMEZONE" not in await got(False)


async def test_busy_times_of_a_calendar(objects, opened):
    await objects.put(opened, "one.ics", event("one", "20260110T090000Z"))
    await objects.put(opened, "two.ics", event("two", "20260110T093000Z"))
    await objects.put(opened, "free.ics", event("free", "20260111T090000Z", "TRANSP:TRANSPARENT"))
    await objects.put(opened, "maybe.ics", event("maybe", "20260112T090000Z", "STATUS:TENTATIVE"))
    await objects.put(opened, "task.ics", task())
    span = TimeRange(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    text = await objects.free_busy(opened, span)
    assert [line for line in text.split(b"\r\n") if line.startswith(b"FREEBUSY")] == [
        b"FREEBUSY:20260110T090000Z/20260110T103000Z",
        b"FREEBUSY;FBTYPE=BUSY-TENTATIVE:20260112T090000Z/20260112T100000Z",
    ]
    with pytest.raises(BadObject):
        await objects.free_busy(opened, TimeRange(None, span.end))


async def test_floating_times_are_those_of_the_request_the_calendar_or_utc(objects, opened):
    assert objects.floating_zone(opened) is UTC
    assert str(objects.floating_zone(opened, timezone_id="Europe/Berlin")) == "Europe/Berlin"
    of_calendar = replace(opened, traits=replace(opened.traits, timezone_id="Asia/Tokyo"))
    assert str(objects.floating_zone(of_calendar)) == "Asia/Tokyo"
    with pytest.raises(BadObject) as caught:
        objects.floating_zone(opened, timezone_id="Mars/Olympus")
    assert caught.value.log_fields["condition"] == "valid-timezone"


class Planner:
    """Scheduling of the test: tags what it saw, and does what a test wants in between."""

    def __init__(self, before_change=None, during_run=None):
        self.planned = []
        self.done = []
        self._before_change = before_change
        self._during_run = during_run

    async def plan(self, opened, old, new, *, wants_reply=True, keeps_schedule_tag=False):
        self.planned.append((old and old.uid, new and new.uid, wants_reply))
        if self._before_change is not None:
            await self._before_change()
        return Planned(None, "tag", b"invite")

    async def run(self, owner, errand_id, errand):
        self.done.append(errand)
        if self._during_run is not None:
            await self._during_run()


@dataclass
class Planned:
    octets: bytes | None
    schedule_tag: str | None
    errand: bytes


MEETING = (
    "ORGANIZER:mailto:alice@example.test",
    "ATTENDEE:mailto:alice@example.test",
    "ATTENDEE:mailto:bob@example.test",
)


def meeting(summary="Plan"):
    return event("meeting", "20260110T090000Z", *MEETING, summary=summary)


async def test_scheduling_is_asked_about_meetings_only(objects, opened):
    planner = Planner()
    objects = CalendarObjects(objects.terms, planner)
    await objects.put(opened, "one.ics", event())
    await objects.delete(opened, "one.ics")
    assert planner.planned == []
    written = await objects.put(opened, "meeting.ics", meeting())
    assert (written.resource.schedule_tag, written.is_as_sent) == ("tag", True)
    await objects.put(opened, "meeting.ics", event("meeting"))
    await objects.put(opened, "meeting.ics", meeting())
    await objects.delete(opened, "meeting.ics", wants_reply=False)
    assert planner.planned == [
        (None, "meeting", True),
        ("meeting", "meeting", True),  # attendees gone
        ("meeting", "meeting", True),  # and there again
        ("meeting", None, False),
    ]
    assert planner.done == [b"invite"] * 4


async def test_a_change_is_planned_again_when_another_comes_between(objects, opened):
    plain, planner = objects, None

    async def meddle():
        if len(planner.planned) == 1:
            await plain.put(opened, "meeting.ics", meeting("meanwhile"))

    planner = Planner(before_change=meddle)
    objects = CalendarObjects(objects.terms, planner)
    written = await objects.put(opened, "meeting.ics", meeting("mine"))
    assert not written.is_new
    assert [old for old, *_ in planner.planned] == [None, "meeting"]
    assert planner.done == [b"invite"]
    assert b"mine" in (await objects.get(opened, "meeting.ics")).octets


async def test_no_strong_etag_is_told_for_what_the_server_has_changed(objects, opened):
    plain = objects

    async def answer():
        await plain.put(opened, "meeting.ics", meeting("with an answer"))

    objects = CalendarObjects(objects.terms, Planner(during_run=answer))
    written = await objects.put(opened, "meeting.ics", meeting())
    assert not written.is_as_sent
    assert written.resource.etag == (await plain.get(opened, "meeting.ics")).etag


async def test_an_errand_that_fails_leaves_the_change_done(objects, opened):
    async def fail():
        raise StorageUnavailable

    objects = CalendarObjects(objects.terms, Planner(during_run=fail))
    await objects.put(opened, "meeting.ics", meeting())
    assert (await objects.get(opened, "meeting.ics")).octets == meeting()
    assert [each.octets for each in await opened.store.errands()] == [b"invite"]


async def test_what_ends_where_the_span_begins_is_outside(objects, opened):
    await objects.put(opened, "before.ics", event("before", "20260110T080000Z"))
    await objects.put(opened, "moment.ics", event("moment", "20260110T090000Z").replace(b"PT1H", b"PT0S"))
    await objects.put(opened, "within.ics", event("within", "20260110T090000Z"))
    morning = within((2026, 1, 10, 9), (2026, 1, 10, 10))
    for wanted in (Wanted(), WHOLE):
        assert await names(objects.query(opened, morning, wanted)) == ["moment.ics", "within.ics"]
