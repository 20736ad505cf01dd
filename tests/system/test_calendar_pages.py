"""Calendars and tasks in a real browser, beside a CalDAV client: made, seen, changed, invited to, answered from the mail."""

import asyncio
import http.client
import re
import ssl
from base64 import b64encode
from datetime import datetime, timedelta
from urllib.parse import quote, urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import expect

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.queue import QueueQuery
from mailstead.model.secret import Secret
from mailstead.pim.event_form import EventForm, Repetition
from mailstead.pim.task_form import TaskForm
from mailstead.usecases.calendars import CalendarWish
from mailstead.usecases.collections import DEFAULT
from mailstead.usecases.messages import Messages
from mailstead.wiring.diary import make_diary
from mailstead.wiring.house import ADMINISTRATOR
from system.browser import IN_ONE_BROWSER, PASSWORD, open_site

pytestmark = IN_ONE_BROWSER

TASK = "VTODO"  # the component of iCalendar, RFC 5545 §3.6.2; nothing that is left to do here

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LIVE = "#news[data-state=live]"


class Person:
    """Somebody with a browser and a CalDAV client."""

    def __init__(self, site, account):
        self.site = site
        self.address = account.address
        self.actor = Actor(account.account_id, account.address)
        self.diary = make_diary(site.house)
        now = site.house.clock.now()
        self.noon = datetime(now.year, now.month, 15, 12) + 31 * DAY
        """In the middle of the next month."""

    async def event(self, calendar=DEFAULT, start=None, **form):
        start = start or self.noon
        return await self.diary.editing.create(
            self.actor, calendar, EventForm(start, **{"end": start + HOUR, "zone": "UTC", **form})
        )

    async def dav(self, method, path="", octets=b"", folder="default", **headers):
        """Ask as a program does; gives status, fields, and octets."""
        token = b64encode(f"{self.address}:{PASSWORD}".encode()).decode()
        home = f"/dav/{quote(str(self.address), safe='')}/{folder}/"
        return await self.ask(method, home + path, octets, Authorization=f"Basic {token}", **headers)

    async def ask(self, method, path, octets=b"", **headers):
        """Ask without a browser."""
        url = urlsplit(self.site.url)
        fields = {"Host": url.netloc} | {name.replace("_", "-"): value for name, value in headers.items()}

        def ask():
            context = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection("127.0.0.1", url.port, context=context, timeout=15)
            connection.request(method, path, octets, fields)
            answer = connection.getresponse()
            found = answer.status, dict(answer.getheaders()), answer.read()
            connection.close()
            return found

        return await asyncio.to_thread(ask)

    async def put(self, name, octets, **headers):
        """Put an object as a program does."""
        status, _, _ = await self.dav("PUT", name, octets, **headers)
        assert status in {201, 204}

    async def names(self):
        """The objects in the first calendar, as a program finds them."""
        status, _, octets = await self.dav("PROPFIND", Depth="1")
        assert status == 207
        return [each.decode() for each in re.findall(rb"/default/([^<]+\.ics)</", octets)]

    async def change(self, name, old, new):
        """Change an object as a program does."""
        status, fields, octets = await self.dav("GET", name)
        assert status == 200
        assert old in octets
        status, _, _ = await self.dav("PUT", name, octets.replace(old, new), If_Match=fields["etag"])
        assert status in {201, 204}


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def site(tmp_path_factory, browser):
    async with open_site(tmp_path_factory.mktemp("calendar"), browser) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def person(site, request):
    """Somebody of his own for each test, so that they share the server and nothing else."""
    name = re.sub("[^a-z]+", "-", request.node.name)[-50:].strip("-")
    address = Address.parse(f"{name}@example.test")
    return Person(site, await site.house.accounts.create(ADMINISTRATOR, address, Secret(PASSWORD)))


@pytest_asyncio.fixture(loop_scope="session")
async def window(site, person):
    window = await site.window()
    await window.log_in(person.address)
    return window


async def test_an_event_made_here_is_seen_by_programs_and_theirs_here(site, person, window):
    page, on = window.page, person.noon.date().isoformat()
    await page.get_by_role("link", name="Calendar", exact=True).click()
    await page.get_by_text("Times are those of").wait_for()
    await page.get_by_role("link", name="New event").click()
    await page.get_by_label("Title").fill("Tea with Ann")
    await page.get_by_label("From", exact=True).fill(on)
    await page.get_by_label("at", exact=True).fill("15:00")
    assert await page.get_by_label("To", exact=True).input_value() == on  # the end follows
    assert await page.get_by_label("until", exact=True).input_value() == "16:00"
    await page.get_by_label("Time zone").select_option("Europe/Berlin")
    await page.get_by_label("Place").fill("Kitchen")
    await page.get_by_label("Repeat").select_option("WEEKLY")
    await page.get_by_label("It ends").select_option("count")
    await page.get_by_label("How many times").fill("3")
    await page.get_by_label("Reminder").select_option("15")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("It is in your calendar.").wait_for()
    (name,) = await person.names()
    status, _, octets = await person.dav("GET", name)
    assert status == 200
    for line in (
        b"SUMMARY:Tea with Ann", b"LOCATION:Kitchen", b"RRULE:FREQ=WEEKLY;COUNT=3", b"TRIGGER:-PT15M",
        b"DTSTART;TZID=Europe/Berlin:%sT150000" % on.replace("-", "").encode(),
    ):  # fmt: skip
        assert line in octets
    await person.change(name, b"SUMMARY:Tea with Ann", b'X-COLOUR;X-Q="a b":keep me\r\nSUMMARY:Tea with Ann and Bob')
    await window.go(f"/calendar?view=agenda&on={on}")
    assert await page.get_by_text("Tea with Ann and Bob").count() == 3
    await page.get_by_role("link", name="Tea with Ann and Bob").nth(1).click()
    await page.get_by_role("link", name="Change this time").click()
    await page.get_by_label("Title").fill("Coffee")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Done.").wait_for()
    octets = (await person.dav("GET", name))[2]
    assert octets.count(b"BEGIN:VEVENT") == 2
    assert b'X-COLOUR;X-Q="a b":keep me\r\n' in octets
    await window.go(f"/calendar?on={on}")
    assert await page.locator(".month .event .what", has_text="Coffee").count() == 1


async def test_two_who_change_the_same_event_overwrite_nothing(person, window):
    page, event_id = window.page, await person.event(summary="Plan")
    await window.go(f"/calendar/events/{event_id}/edit")
    (name,) = await person.names()
    await person.change(name, b"SUMMARY:Plan", b"SUMMARY:Plan of a program")
    await page.get_by_label("Title").fill("Plan of a page")
    await page.get_by_role("button", name="Save").click()
    assert "Nothing is overwritten" in await page.get_by_role("alert").inner_text()
    assert await page.get_by_label("Title").input_value() == "Plan of a page"
    assert b"SUMMARY:Plan of a program" in (await person.dav("GET", name))[2]
    await page.get_by_role("link", name="Begin anew").click()
    assert await page.get_by_label("Title").input_value() == "Plan of a program"


async def test_carol_is_invited_and_answers_from_the_mail(site, person, window):
    page, house = window.page, site.house
    carol = Address.parse("carol@far.test")
    await window.go(f"/calendar/new?on={person.noon.date().isoformat()}&at=12:00")
    await page.get_by_label("Title").fill("Lunch")
    await page.get_by_label("Time zone").select_option("UTC")
    await page.get_by_label("Guests").fill(f"Carol <{carol}>")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("your guests are invited").wait_for()
    await page.get_by_text("not answered yet").wait_for()
    path = urlsplit(page.url).path
    (item,) = await house.storage.queue.items(QueueQuery(address=str(carol)))
    mail = await house.storage.queue.octets(item.item_id)
    # What goes out comes in: far.test is of this house from now on.
    await house.domains.add(ADMINISTRATOR, "far.test")
    guest = Person(site, await house.accounts.create(ADMINISTRATOR, carol, Secret(PASSWORD)))
    await guest.event(summary="Dentist", start=person.noon + HOUR / 2)
    await Messages(house.mailboxes).append(guest.actor, "INBOX", mail, [])
    other = await site.window(size="phone", theme="dark")
    await other.log_in(carol)
    await other.go("/mail")
    await other.page.get_by_role("link", name="Lunch").click()
    card = other.page.locator(".invitation")
    await card.get_by_role("heading", name="Lunch").wait_for()
    told = await card.inner_text()
    assert str(person.address) in told
    assert "Dentist" in told
    assert await other.faults() == []
    await card.get_by_role("button", name="Perhaps").click()
    await card.get_by_text("Your answer:").wait_for()
    assert "perhaps" in await card.inner_text()
    await card.get_by_role("link", name="See it in the calendar").click()
    await other.page.get_by_role("button", name="Accept").click()
    await other.page.get_by_text("Your answer is on its way").wait_for()
    await window.go(path)
    await page.locator(".people li", has_text="accepted").wait_for()
    await page.get_by_text("Remove", exact=True).click()
    await page.get_by_role("button", name="Remove the event").click()
    await page.get_by_text("It is removed.").wait_for()
    await other.page.reload()
    await other.page.get_by_text("It is cancelled.").wait_for()


@pytest.mark.parametrize("part", ["views", "events", "lists"])
async def test_every_page_of_calendars_is_usable_by_everybody(person, window, part):
    work = await person.diary.calendars.create(person.actor, CalendarWish(name="Work", color="#c2603a"))
    whole = person.noon.replace(hour=0)
    await person.event(start=whole, end=whole + 2 * DAY, is_all_day=True, zone="", summary="Holiday")
    for number in range(5):
        await person.event(work.name, summary=f"Meeting {number}", location="Room 5")
    event_id = await person.event(
        summary="Choir", repetition=Repetition("WEEKLY", 2, (0, 2)), guests=("bob@far.test",), description="Notes"
    )
    tasks = person.diary.tasks
    await tasks.create(person.actor, DEFAULT, TaskForm("Late", due=person.noon - 400 * DAY, priority=1))
    task_id = await tasks.create(person.actor, work.name, TaskForm("Some time", "Notes"))
    on = person.noon.date().isoformat()
    (rid,) = {each.rid for each in await _occurrences(person, "Choir")}
    (calendar_id,) = {each.calendar_id for each in await _occurrences(person, "Meeting 0")}
    event = f"/calendar/events/{event_id}"
    paths = {
        "views": [f"/calendar?view={view}&on={on}" for view in ("month", "week", "day", "agenda")],
        "events": [f"{event}?at={rid}", f"{event}/edit", f"{event}/edit?scope=one&at={rid}", "/calendar/new"],
        "lists": ["/calendar/calendars", f"/calendar/calendars/{calendar_id}", "/tasks", f"/tasks/{task_id}"],
    }
    faults = {}
    for path in paths[part]:
        answer = await window.go(path)
        assert answer.status == 200, path
        if found := await window.faults_everywhere():
            faults[path] = found
    assert faults == {}


async def _occurrences(person, summary):
    day = person.noon.date()
    found = await person.diary.agenda.between(person.actor, day, day, person.site.house.clock.now().tzinfo)
    return [each for each in found if each.summary == summary]


async def test_without_scripts_and_by_keyboard(site, person):
    window = await site.window(has_scripts=False, size="phone")
    page = window.page
    await window.log_in(person.address)
    await window.go(f"/calendar/new?on={person.noon.date().isoformat()}")
    await page.get_by_label("Title").fill("Choir")
    await page.get_by_label("All day").check()
    await page.get_by_label("Repeat").select_option("DAILY")
    await page.get_by_label("It ends").select_option("count")
    await page.get_by_label("How many times").fill("4")
    await page.get_by_label("Title").press("Enter")
    await page.get_by_text("It is in your calendar.").wait_for()
    await window.go(f"/calendar?view=week&on={person.noon.date().isoformat()}")
    await page.get_by_role("link", name="Choir").first.click()
    await page.get_by_text("Remove", exact=True).click()
    await page.get_by_role("button", name="Remove this time").click()
    await page.get_by_text("It is removed.").wait_for()
    await window.go(f"/calendar?view=agenda&on={person.noon.date().isoformat()}")
    assert await page.get_by_role("link", name="Choir").count() == 3
    await page.get_by_text("Calendars", exact=True).first.wait_for()
    await page.get_by_role("checkbox", name="Calendar").uncheck()
    await page.get_by_role("button", name="Show these").click()
    assert await page.get_by_role("link", name="Choir").count() == 0
    await page.get_by_role("link", name="Tasks", exact=True).first.click()
    await page.get_by_label("What is to be done").fill("Buy tea")
    await page.get_by_label("What is to be done").press("Enter")
    await page.get_by_role("button", name="Done: Buy tea").press("Enter")
    await page.get_by_text("Well done.").wait_for()
    await page.get_by_text("There is nothing to do").wait_for()
    (name,) = [each for each in await person.names() if b"VTODO" in (await person.dav("GET", each))[2]]
    assert b"STATUS:COMPLETED" in (await person.dav("GET", name))[2]


async def test_times_are_those_of_the_browser(person, window):
    page = window.page
    session = await page.context.new_cdp_session(page)
    await session.send("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Seoul"})
    await person.event(summary="Early")
    await window.go(f"/calendar?view=day&on={person.noon.date().isoformat()}")
    await page.get_by_text("Times are those of Asia/Seoul.").wait_for()
    assert "21:00" in await page.locator(".slots .event").inner_text()


def of_program(kind, uid, *lines):
    """Give an event or a task as a program writes it."""
    fields = (f"UID:{uid}", "DTSTAMP:20260101T000000Z", *lines)
    text = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//x//y",
        f"BEGIN:{kind}",
        *fields,
        f"END:{kind}",
        "END:VCALENDAR",
    )
    return "".join(f"{line}\r\n" for line in text).encode()


@pytest.mark.parametrize("view", ["month", "week", "day", "agenda"])
async def test_what_a_program_changes_is_seen_at_once(person, window, view):
    page, on = window.page, person.noon.date().isoformat()
    await person.event(summary="Choir")
    await window.go(f"/calendar?view={view}&on={on}")
    await page.locator(LIVE).wait_for(state="attached")
    choir = page.get_by_role("link", name="Choir")
    await choir.focus()
    await page.evaluate("window.isSame = true")
    start = f"DTSTART:{person.noon:%Y%m%dT%H%M%SZ}"
    await person.put("tea.ics", of_program("VEVENT", "tea", start, "DURATION:PT1H", "SUMMARY:Tea <b>"))
    tea = page.get_by_role("link", name="Tea <b>")
    await expect(tea).to_be_visible()
    await expect(choir).to_be_focused()
    await person.change("tea.ics", b"SUMMARY:Tea <b>", b"SUMMARY:Coffee")
    await expect(page.get_by_role("link", name="Coffee")).to_be_visible()
    assert await tea.count() == 0
    await person.dav("DELETE", "tea.ics")
    await expect(page.get_by_role("link", name="Coffee")).to_have_count(0)
    await person.diary.calendars.create(person.actor, CalendarWish(name="Work", color="#c2603a"))
    await expect(page.get_by_role("checkbox", name="Work")).to_be_visible()
    await expect(choir).to_be_focused()
    assert await page.evaluate("window.isSame")  # nothing was loaded anew
    assert await page.locator("[role=status]").count() == 0  # and nothing is said
    assert await window.faults() == []


async def test_tasks_come_while_one_writes_another(person, window):
    page = window.page
    await window.go("/tasks")
    await page.get_by_text("There is nothing to do").wait_for()
    await page.locator(LIVE).wait_for(state="attached")
    field = page.get_by_label("What is to be done")
    await field.fill("Half a sen")
    await person.put("milk.ics", of_program(TASK, "milk", "SUMMARY:Buy milk"))
    await page.get_by_role("button", name="Done: Buy milk").wait_for()
    await expect(field).to_be_focused()
    await page.keyboard.type("tence")
    assert await field.input_value() == "Half a sentence"
    await page.get_by_role("button", name="Done: Buy milk").focus()
    await person.put("bread.ics", of_program(TASK, "bread", "SUMMARY:Bread", "PRIORITY:1"))
    await page.get_by_role("button", name="Done: Bread").wait_for()
    await expect(page.get_by_role("button", name="Done: Buy milk")).to_be_focused()
    assert await field.input_value() == "Half a sentence"


async def test_contacts_come_as_a_phone_writes_them(person, window):
    page = window.page
    await window.go("/contacts")
    await page.locator(LIVE).wait_for(state="attached")
    card = b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:ada\r\nFN:Ada <b>\r\nN:Ada;;;;\r\nEND:VCARD\r\n"
    books = "addressbooks/default"
    await person.put("ada.vcf", card, folder=books)
    await page.get_by_role("link", name="Ada <b>").wait_for()
    assert await window.faults() == []
    box = page.get_by_role("checkbox", name="Ada")
    await box.check()
    await person.put("bea.vcf", card.replace(b"Ada", b"Bea").replace(b"UID:ada", b"UID:bea"), folder=books)
    await page.get_by_role("link", name="Bea <b>").wait_for()
    await expect(box).to_be_checked()
    await expect(box).to_be_focused()
    await person.dav("DELETE", "bea.vcf", folder=books)
    await page.get_by_role("link", name="Bea <b>").wait_for(state="detached")
    await person.put("ada.vcf", card.replace(b"Ada <b>", b"Ada Lovelace"), folder=books)
    await page.get_by_role("link", name="Ada Lovelace").wait_for()
    await person.dav("DELETE", "ada.vcf", folder=books)
    await page.get_by_text("Nobody is here yet").wait_for()


async def test_a_mail_page_and_a_calendar_share_one_line(person, window):
    page, lines = window.page, []
    await window.go("/mail")
    await page.locator(LIVE).wait_for(state="attached")
    second = await page.context.new_page()
    second.on("request", lambda request: lines.append(urlsplit(request.url).path))
    await second.goto(f"{window.url}/calendar?on={person.noon.date().isoformat()}")
    await second.locator(LIVE).wait_for(state="attached")
    mail = b"From: Bob <bob@else.test>\r\nSubject: Hello\r\n\r\nHello\r\n"
    await Messages(person.site.house.mailboxes).append(person.actor, "INBOX", mail, [])
    await page.locator("#news [data-told]", has_text="Hello").wait_for()
    await person.event(summary="Lunch")
    await second.get_by_role("link", name="Lunch").wait_for()
    assert "/events" not in lines
    assert await second.locator("#news").inner_text() == ""


def day_of(page, day):
    """Give the place of a day in a month or week."""
    return page.locator(f'[data-on="{day.date().isoformat()}"]')


async def test_an_event_is_dragged_to_another_day(person, window):
    page, event_id = window.page, await person.event(summary="Lunch")
    (name,) = await person.names()
    await window.go(f"/calendar?on={person.noon.date().isoformat()}")
    lunch = page.get_by_role("link", name="Lunch")
    await lunch.drag_to(day_of(page, person.noon - 3 * DAY))
    await page.get_by_text("Done.").wait_for()
    octets = (await person.dav("GET", name))[2]
    assert b"%sT120000" % (person.noon - 3 * DAY).strftime("%Y%m%d").encode() in octets
    assert b"%sT130000" % (person.noon - 3 * DAY).strftime("%Y%m%d").encode() in octets
    await expect(day_of(page, person.noon - 3 * DAY).get_by_role("link", name="Lunch")).to_be_visible()
    assert await window.faults_everywhere() == []
    # Another program is quicker, and this window has not heard of it.
    await page.context.route("**/events", lambda route: route.fulfill(status=503))
    await window.go(f"/calendar?on={person.noon.date().isoformat()}")
    await person.change(name, b"SUMMARY:Lunch", b"SUMMARY:Lunch of a program")
    await page.get_by_role("link", name="Lunch").drag_to(day_of(page, person.noon))
    assert "Nothing is overwritten" in await page.get_by_role("alert").inner_text()
    octets = (await person.dav("GET", name))[2]
    assert b"SUMMARY:Lunch of a program" in octets
    assert b"%sT120000" % (person.noon - 3 * DAY).strftime("%Y%m%d").encode() in octets
    await page.get_by_role("link", name="Begin anew").click()
    assert await page.get_by_label("Title").input_value() == "Lunch of a program"
    assert urlsplit(page.url).path == f"/calendar/events/{event_id}/edit"


async def test_what_comes_meanwhile_waits_until_it_is_dropped(person, window):
    page, path = window.page, f"/calendar?on={person.noon.date().isoformat()}"
    await person.event(summary="Lunch")
    await window.go(path)
    await page.locator(LIVE).wait_for(state="attached")
    second = await page.context.new_page()
    await second.goto(window.url + path)
    await second.locator(LIVE).wait_for(state="attached")
    await page.bring_to_front()
    await page.get_by_role("link", name="Lunch").hover()
    await page.mouse.down()
    await day_of(page, person.noon + DAY).hover()
    await day_of(page, person.noon + DAY).hover()  # the first move begins the drag
    await expect(page.locator(".event.dragged")).to_have_count(1)
    await person.event(summary="Choir")
    await second.get_by_role("link", name="Choir").wait_for()
    assert await page.get_by_role("link", name="Choir").count() == 0
    await page.mouse.up()
    await page.get_by_text("Done.").wait_for()
    await expect(day_of(page, person.noon + DAY).get_by_role("link", name="Lunch")).to_be_visible()
    await page.get_by_role("link", name="Choir").wait_for()


async def test_an_event_is_dragged_to_another_hour(person, window):
    page = window.page
    await person.event(summary="Lunch")
    later = person.noon.replace(hour=15)
    await person.event(summary="Choir", start=later)
    await window.go(f"/calendar?view=day&on={person.noon.date().isoformat()}")
    lunch, choir = page.get_by_role("link", name="Lunch"), page.get_by_role("link", name="Choir")
    top = {"x": 20, "y": 4}
    await lunch.drag_to(choir, source_position=top, target_position=top)
    await page.get_by_text("Done.").wait_for()
    assert "15:00" in await lunch.inner_text()
    assert "16:00" in await lunch.inner_text()


async def test_what_comes_again_asks_before_it_is_moved(person, window):
    page = window.page
    await person.event(summary="Choir", repetition=Repetition("WEEKLY", 1, (person.noon.weekday(),), 3))
    await person.event(summary="Lunch", start=person.noon + DAY)
    on = person.noon.date().isoformat()
    await window.go(f"/calendar?view=agenda&on={on}")
    assert await page.get_by_role("link", name="Choir").count() == 3
    await window.go(f"/calendar?on={on}")
    choir = day_of(page, person.noon).get_by_role("link", name="Choir")
    await choir.drag_to(day_of(page, person.noon + DAY))
    await page.get_by_text("It is not moved yet").wait_for()
    assert await window.faults_everywhere() == []
    await page.get_by_role("link", name="Change this time").click()
    assert await page.get_by_label("From", exact=True).input_value() == (person.noon + DAY).date().isoformat()
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Done.").wait_for()
    await window.go(f"/calendar?on={on}")
    await expect(day_of(page, person.noon + DAY).get_by_role("link", name="Choir")).to_be_visible()
    await expect(choir).to_have_count(0)


async def test_files_go_in_and_out_and_a_private_link_leads_there(site, person, window):
    page = window.page
    await person.event(summary="Kept")
    (kept,) = await _occurrences(person, "Kept")
    await window.go(f"/calendar/calendars/{kept.calendar_id}")
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="Take all of it as a file").click()
    octets = (await (await coming.value).path()).read_bytes()
    assert b"SUMMARY:Kept" in octets
    octets = octets.replace(b"SUMMARY:Kept", b"SUMMARY:Other").replace(b"UID:", b"UID:other-")
    file = {"name": "a.ics", "mimeType": "text/calendar", "buffer": octets}
    await page.get_by_label("A file to bring in").set_input_files(file)
    await page.get_by_role("button", name="Bring it in").click()
    await page.get_by_text("1 entry is new").wait_for()
    await window.go(f"/calendar/calendars/{kept.calendar_id}")
    await page.get_by_role("button", name="Make a link").click()
    link = await page.locator("code", has_text="/public/calendars/").inner_text()
    status, _, octets = await person.ask("GET", urlsplit(link).path)
    assert status == 200
    assert b"SUMMARY:Other" in octets
