"""Calendars and tasks on pages, without a browser: what forms say, what views show, and what is refused."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind
from mailstead.model.envelope import Actor
from mailstead.model.errors import PolicyRefused
from mailstead.model.preferences import Preferences, WeekStart
from mailstead.model.secret import Secret
from mailstead.pim.event_form import EventForm, Repetition
from mailstead.services.web.site.days import Times, week_start
from mailstead.services.web.site.event_fields import MOVED_MIN_MAX, fields_of, form_of, moved
from mailstead.wiring.diary import make_diary
from mailstead.wiring.house import ADMINISTRATOR
from services.web.site.test_rights import OWNER, PASSWORD, asking

MONDAY = date(2031, 3, 3)
START = datetime(2031, 3, 3, 9)
TIMES = Times(UTC, "UTC", 0, is_zone_chosen=True, now=datetime(2031, 3, 1, tzinfo=UTC))


@pytest.fixture
async def site(tmp_path):
    async with asking(tmp_path) as made:
        account = await made.house.storage.directory.find(Address.parse(OWNER))
        made.actor = Actor(account.account_id, account.address)
        made.diary = make_diary(made.house)
        yield made


async def get(site, path, status=200):
    found, _, text = await site.ask("GET", path, OWNER)
    assert found == status, path
    return text


async def post(site, path, status=303, **fields):
    found, location, text = await site.ask(
        "POST", path, OWNER, {name.replace("__", "-"): value for name, value in fields.items()}
    )
    assert found == status, (path, text)
    return location if status == 303 else text


async def first_calendar(site):
    return re.search(r'name="show-([0-9a-z]+)"', await get(site, "/calendar"))[1]


async def made_event(site, **fields):
    first = {
        "summary": "Tea <b>", "start_on": "2031-03-03", "start_at": "09:00", "end_on": "2031-03-03", "end_at": "10:30",
        "zone": "Europe/Berlin", "calendar": await first_calendar(site),
    }  # fmt: skip
    return await post(site, "/calendar/new", **{**first, **fields})


def test_what_nobody_changes_stays():
    for form in (
        EventForm(START, START + timedelta(hours=1), zone="Europe/Berlin", summary="a", guests=("b@c.test",)),
        EventForm(START, START + timedelta(seconds=61), zone="", description="one\ntwo", reminder_min=7),
        EventForm(START, START, zone="UTC", repetition=None, keeps_reminders=True, is_free=True),
        EventForm(START.replace(hour=0), START.replace(hour=0, day=5), is_all_day=True),
        EventForm(START, START, zone="UTC", repetition=Repetition("WEEKLY", 2, (0, 4), until=MONDAY)),
        EventForm(START, START, zone="UTC", repetition=Repetition("YEARLY", count=3)),
    ):
        assert form_of(fields_of(form), TIMES, form) == form


def test_a_week_begins_as_people_are_used_to():
    for header, language, first in (
        ("en-GB,en;q=0.8", "en", 0), ("en-US", "en", 6), ("en", "en", 6), ("fr", "fr", 0), ("ar-EG", "ar", 5),
        ("de-DE", "en", 6), ("", "ko", 6),
    ):  # fmt: skip
        assert week_start(Preferences(), header, language) == first, header
    assert week_start(Preferences(week_start=WeekStart.SATURDAY), "en-GB", "en") == 5


@pytest.mark.parametrize("view", ["month", "week", "day", "agenda"])
async def test_views_show_what_is_on(site, view):
    await made_event(site, repeat="WEEKLY", interval="1", day__0="yes", ends="count", count="3")
    await made_event(site, summary="Holiday", all_day="yes", start_on="2031-03-02", end_on="2031-03-04")
    text = await get(site, f"/calendar?view={view}&on=2031-03-03")
    assert "Tea &lt;b&gt;" in text
    assert "Tea <b>" not in text
    assert "08:00" in text  # nine in Berlin, as nothing says where the reader is
    assert "Holiday" in text
    assert "Times are those of UTC" in text
    nothing = await get(site, f"/calendar?view={view}&on=2035-03-03")
    assert "Tea" not in nothing
    await get(site, f"/calendar?view={view}&on=nonsense")
    await get(site, f"/calendar?view={view}&on=0001-01-01")


async def test_calendars_are_hidden_in_this_browser(site):
    await made_event(site)
    _status, _, text = await site.ask("GET", "/calendar?view=agenda&on=2031-03-03", OWNER)
    assert "Tea" in text
    location = await post(site, "/calendar/shown", then="https://evil.test/")
    assert location == "/calendar"


async def test_an_event_is_seen_changed_and_removed(site):
    location = await made_event(
        site, guests="Bob <bob@far.test>, carol@far.test", location="https://room.example.test/a"
    )
    path = location.partition("?")[0]
    text = await get(site, path)
    assert 'href="https://room.example.test/a"' in text
    assert "bob@far.test" in text
    form = await get(site, f"{path}/edit")
    etag = re.search(r'name="etag" value="([^"]+)"', form)[1]
    fields = {
        "etag": etag, "scope": "all", "summary": "Coffee", "start_on": "2031-03-04", "start_at": "09:00",
        "end_on": "2031-03-04", "end_at": "10:00", "zone": "Europe/Berlin", "guests": "bob@far.test",
    }  # fmt: skip
    assert await post(site, f"{path}/edit", **fields) == f"{path}?told=changed"
    conflict = await post(site, f"{path}/edit", 412, **fields | {"summary": "Cocoa"})
    assert "Nothing is overwritten" in conflict
    assert 'value="Cocoa"' in conflict
    text = await get(site, path)
    assert "Coffee" in text
    assert "carol" not in text
    old = await post(site, f"{path}/delete", 412, etag=etag)
    assert "changed meanwhile" in old
    etag = re.search(r'name="etag" value="([^"]+)"', text)[1]
    assert (await post(site, f"{path}/delete", etag=etag, on="2031-03-04")).startswith("/calendar?on=2031-03-04")
    await get(site, path, 404)


async def test_what_makes_no_sense_keeps_what_was_typed(site):
    calendar_id = await first_calendar(site)
    good = {
        "summary": "Mine", "start_on": "2031-03-03", "start_at": "09:00", "end_on": "2031-03-03", "end_at": "10:00",
        "zone": "UTC", "calendar": calendar_id,
    }  # fmt: skip
    for bad in (
        {"end_at": "08:00"}, {"start_on": "then"}, {"start_at": "25:00"}, {"guests": "nobody"}, {"zone": "No/Where"},
        {"repeat": "HOURLY"}, {"repeat": "DAILY", "ends": "count", "count": "0"}, {"repeat": "DAILY", "ends": "until"},
        {"reminder": "-5"}, {"calendar": "000"},
    ):  # fmt: skip
        found, _, text = await site.ask("POST", "/calendar/new", OWNER, good | bad)
        assert found >= 400, bad
        assert 'value="Mine"' in text
        assert 'role="alert"' in text
    opened = await site.diary.calendars.show(site.actor, calendar_id)
    assert opened.collection.resource_count == 0


async def test_calendars_are_made_changed_linked_and_removed(site):
    location = await post(site, "/calendar/calendars", verb="create", name="Work", color="#123456")
    path = location.partition("?")[0]
    assert 'value="#123456"' in await get(site, path)
    await post(site, path, verb="change", name="Office", color="#654321", description="")
    text = await get(site, "/calendar/calendars")
    assert "Office" in text
    assert "#654321" in text
    shown = await post(site, path, 200, verb="link", hides_details="yes", life="week")
    token = re.search(r"/public/calendars/([\w-]+)\.ics", shown)[1]
    assert (await site.diary.sharings.linked(token)).link.hides_details
    assert token not in await get(site, path)
    link_id = re.search(r'name="link_id" value="(\w+)"', await get(site, path))[1]
    await post(site, path, verb="unlink", link_id=link_id)
    assert "link_id" not in await get(site, path)
    await post(site, path, 400, verb="delete")
    await post(site, path, verb="delete", sure="yes")
    await get(site, path, 404)
    assert 'value="https://x.test/' in await post(
        site, "/calendar/calendars", 400, verb="subscribe", url="https://x.test/ y"
    )


async def test_a_subscription_is_only_read(site):
    location = await post(site, "/calendar/calendars", verb="subscribe", url="webcal://far.test/a.ics", name="Faraway")
    path = location.partition("?")[0]
    text = await get(site, path)
    assert "https://far.test/a.ics" in text
    assert "Bring it in" not in text
    assert "Private links" not in text
    assert "Faraway" not in await get(site, "/calendar/new")


async def test_tasks_are_made_done_changed_and_removed(site):
    calendar_id = await first_calendar(site)
    await post(site, "/tasks", summary="Buy <tea>", calendar=calendar_id, due_on="2020-01-02", priority="1")
    text = await get(site, "/tasks")
    assert "Buy &lt;tea&gt;" in text
    assert "overdue" in text
    assert "high priority" in text
    path = re.search(r"/tasks/[0-9a-z]+", text)[0]
    form = await get(site, path)
    etag = re.search(r'name="etag" value="([^"]+)"', form)[1]
    fields = {"etag": etag, "summary": "Buy coffee", "due_on": "2040-01-02", "due_at": "10:00", "zone": "UTC"}
    await post(site, path, **fields)
    conflict = await post(site, path, 412, **fields | {"summary": "Buy cocoa"})
    assert "Nothing is overwritten" in conflict
    assert 'value="Buy cocoa"' in conflict
    text = await get(site, "/tasks")
    assert "overdue" not in text
    assert "Buy coffee" in text
    told = await post(site, f"{path}/done", verb="done", then="/tasks?list=x&told=made")
    assert told == "/tasks?list=x&told=done"
    assert "Buy coffee" not in await get(site, "/tasks")
    assert "Buy coffee" in await get(site, "/tasks?done=yes")
    await post(site, f"{path}/done", verb="open")
    etag = re.search(r'name="etag" value="([^"]+)"', await get(site, path))[1]
    await post(site, f"{path}/delete", etag=etag)
    assert "There is nothing to do" in await get(site, "/tasks")
    for bad in ({"summary": " "}, {"summary": "x", "due_at": "10:00"}, {"summary": "x", "priority": "urgent"}):
        assert (await site.ask("POST", "/tasks", OWNER, {"calendar": calendar_id, **bad}))[0] == 400, bad


def test_what_is_moved_stays_as_long_as_it_was():
    form = EventForm(START, START + timedelta(hours=1, seconds=5), zone="Europe/Berlin", repetition=None)
    later = moved(form, 90)
    assert (later.start, later.end) == (form.start + timedelta(minutes=90), form.end + timedelta(minutes=90))
    assert moved(later, -90) == form
    weekly = replace(form, repetition=Repetition("WEEKLY", 1, (0, 6), count=4))
    assert moved(weekly, 1440).repetition == Repetition("WEEKLY", 1, (0, 1), count=4)
    assert moved(weekly, 60).repetition == weekly.repetition
    whole = EventForm(START.replace(hour=0), START.replace(hour=0), is_all_day=True)
    assert moved(whole, -1440).start.date() == date(2031, 3, 2)
    with pytest.raises(PolicyRefused):
        moved(whole, 60)
    with pytest.raises(PolicyRefused):
        moved(replace(form, end=datetime.max), 60)


def chip(text, attribute):
    return re.search(rf'data-{attribute}="([^"]+)"', text)[1].replace("&amp;", "&")


@pytest.mark.parametrize("view", ["month", "week"])
async def test_an_event_is_dragged(site, view):
    await made_event(site)
    page = f"/calendar?view={view}&on=2031-03-03"
    text = await get(site, page)
    path, etag = chip(text, "move"), chip(text, "etag")
    for bad in ("x", "--60", "1e3", str(MOVED_MIN_MAX + 1)):
        assert (await site.ask("POST", path, OWNER, {"etag": etag, "by": bad}))[0] == 400, bad
    assert await post(site, path, etag=etag, by="-1410", then=page) == f"{page}&told=changed"
    form = await get(site, path)
    for name, value in (("start_on", "2031-03-02"), ("start_at", "09:30"), ("end_at", "11:00")):
        assert re.search(rf'name="{name}"[^>]* value="{value}"', form), name
    # What somebody else has changed meanwhile is told, and not overwritten.
    conflict = await post(site, path, 412, etag=etag, by="1440", then=page)
    assert "Nothing is overwritten" in conflict
    assert 'value="2031-03-03"' in conflict
    assert 'name="start_on" type="date" value="2031-03-02"' in await get(site, path)
    assert await post(site, path, etag=chip(await get(site, page), "etag"), by="60", then="//evil.test") == (
        "/calendar?told=changed"
    )


async def test_of_what_comes_again_one_says_which_times_are_dragged(site):
    await made_event(site, repeat="WEEKLY", interval="1", day__0="yes", ends="count", count="3")
    text = await get(site, "/calendar?on=2031-03-03")
    assert "data-move" not in text
    asked = await get(site, chip(text, "asks") + "1440")
    assert "It is not moved yet" in asked
    at = re.search(r"\?at=([0-9TZ]+)", chip(text, "asks"))[1]
    path = chip(text, "asks").partition("?")[0]
    for query, count in ((f"?scope=one&amp;at={at}", 0), (f"?scope=following&amp;at={at}", 1), ("", 1)):
        link = f"{path}/edit{query}{'&amp;' if query else '?'}by=1440"
        assert f'href="{link}"' in asked
        form = await get(site, link.replace("&amp;", "&"))
        assert 'name="start_on" type="date" value="2031-03-04"' in form
        assert form.count('name="day-1" value="yes" checked') == count, query
    assert "by=" not in await get(site, f"{path}?at={at}")
    assert (await site.ask("GET", f"{path}?at={at}&by=x", OWNER))[0] == 400


async def test_guests_are_not_told_by_a_slip_of_the_mouse(site):
    await made_event(site, guests="bob@far.test")
    text = await get(site, "/calendar?on=2031-03-03")
    assert "data-move" not in text
    assert 'name="start_on" type="date" value="2031-03-02"' in await get(site, chip(text, "asks") + "-1440")


async def invited(site):
    """Bob asks the owner to a meeting."""
    bob = await site.house.accounts.create(ADMINISTRATOR, Address.parse("bob@example.test"), Secret(PASSWORD))
    host = Actor(bob.account_id, bob.address)
    (opened,) = await site.diary.objects.collections(host, CollectionKind.CALENDAR)
    form = EventForm(START, START + timedelta(hours=1), zone="UTC", summary="Plan", guests=(OWNER,))
    await site.diary.editing.create(host, opened.name, form)


async def test_attack_092_what_is_others_is_not_dragged(site):
    await invited(site)
    text = await get(site, "/calendar?on=2031-03-03")
    assert "Plan" in text
    assert "data-move" not in text
    assert "data-asks" not in text
    path = re.search(r"/calendar/events/[0-9a-z]+", text)[0]
    etag = re.search(r'name="etag" value="([^"]+)"', await get(site, f"{path}/edit"))[1]
    assert (await site.ask("POST", f"{path}/edit", OWNER, {"etag": etag, "by": "60"}))[0] == 403


@pytest.mark.parametrize("path", ["/calendar?view=week&on=2031-03-03", "/tasks", "/contacts", "/mail"])
async def test_a_live_page_gives_its_parts_alone(site, path):
    await made_event(site)
    whole = await get(site, path)
    status, _, part = await site.ask("GET", path, OWNER, x_part="yes")
    assert status == 200
    found = re.findall(r'data-part="[a-z]+"', whole)
    assert found
    assert re.findall(r'data-part="[a-z]+"', part) == found
    assert "<html" not in part
    assert '<form method="post" action="/log-out"' not in part


async def test_an_invitation_waits_for_its_answer(site):
    await invited(site)
    text = await get(site, "/calendar?on=2031-03-03")
    assert "1 invitation waits for your answer" in text
    path = re.search(r"/calendar/events/[0-9a-z]+", text)[0]
    assert "bob@example.test invites you." in await get(site, path)
    await post(site, f"{path}/answer", answer="DECLINED")
    text = await get(site, "/calendar?on=2031-03-03")
    assert "waits for your answer" not in text
    assert "Plan" in text
    assert (await site.ask("POST", f"{path}/answer", OWNER, {"answer": "PERHAPS"}))[0] == 400


async def test_attack_092_what_is_not_mine_is_not_there(site):
    bob = await site.house.accounts.create(ADMINISTRATOR, Address.parse("bob@example.test"), Secret(PASSWORD))
    theirs = Actor(bob.account_id, bob.address)
    (opened,) = await site.diary.objects.collections(theirs, CollectionKind.CALENDAR)
    form = EventForm(START, START + timedelta(hours=1), zone="UTC", summary="Secret")
    event_id = await site.diary.editing.create(theirs, opened.name, form)
    await get(site, f"/calendar/events/{event_id}", 404)
    await get(site, f"/calendar/events/{event_id}/edit", 404)
    await get(site, f"/calendar/events/{event_id}/file", 404)
    for verb in ("delete", "answer"):
        assert (await site.ask("POST", f"/calendar/events/{event_id}/{verb}", OWNER, {"answer": "ACCEPTED"}))[0] == 404
    assert "Secret" not in await get(site, "/calendar?on=2031-03-03")
