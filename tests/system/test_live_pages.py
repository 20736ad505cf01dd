"""Mail on the web that moves: what comes is seen in another window, keys and dragging act, many are chosen at once."""

import asyncio
import functools
from dataclasses import replace

import pytest_asyncio
from playwright.async_api import expect

from mailstead.model.envelope import Actor
from mailstead.model.mailbox import INBOX
from mailstead.model.people import Listing
from mailstead.model.secret import Secret
from mailstead.services.web.site import live
from mailstead.services.web.site.pages import SESSION
from mailstead.usecases.chosen_messages import ChosenMessages
from mailstead.usecases.message_views import MessageQuery
from mailstead.usecases.messages import Messages
from mailstead.usecases.own_preferences import OwnPreferences
from mailstead.wiring.queue import make_queue_service
from system.browser import ADMIN, ALICE, IN_ONE_BROWSER, open_site

pytestmark = IN_ONE_BROWSER

LIVE = "#news[data-state=live]"


def message(subject, sender="Bob <bob@else.test>"):
    fields = (
        f"From: {sender}\r\nTo: alice@example.test\r\nSubject: {subject}\r\nMessage-ID: <{subject.replace(' ', '')}@x>"
    )
    return f"{fields}\r\n\r\nAbout {subject}\r\n".encode()


class Mail:
    """Alice's mail, and windows of hers."""

    def __init__(self, site, actor):
        self.site = site
        self.actor = actor
        self.messages = Messages(site.house.mailboxes)
        self.chosen = ChosenMessages(site.house.mailboxes)
        self.preferences = OwnPreferences(site.house.storage)

    async def put(self, *subjects, folder=INBOX):
        views = [await self.messages.append(self.actor, folder, message(subject), []) for subject in subjects]
        return [view.place.object_id for view in views]

    async def subjects(self, folder):
        """Give what is in a folder, newest first."""
        found = await self.messages.find(self.actor, MessageQuery(folder=folder), Listing(limit=100))
        octets = await self.messages.octets(self.actor, found.items)
        return [each.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode() for each in octets]

    async def window(self, **look):
        window = await self.site.window(**look)
        await window.log_in(ALICE)
        await window.go("/mail")
        return window

    async def clear(self):
        for folder in ("INBOX", "Archive", "Trash", "Junk"):
            found = await self.messages.find(self.actor, MessageQuery(folder=folder), Listing(limit=100))
            await self.chosen.delete(self.actor, [view.place.object_id for view in found.items])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def started(tmp_path_factory, browser):
    async with open_site(tmp_path_factory.mktemp("live"), browser) as site:
        stop = asyncio.Event()
        queue = asyncio.create_task(make_queue_service(site.house).run(stop))
        yield site
        stop.set()
        await queue


@pytest_asyncio.fixture(loop_scope="session")
async def mail(started):
    account = await started.house.storage.directory.find(ALICE)
    mail = Mail(started, Actor(account.account_id, ALICE))
    await mail.clear()
    yield mail
    await started.close()


async def until_told(page, text):
    await page.locator("#news [data-told]", has_text=text).wait_for()


async def hold_lines(context):
    """Keep lines to the server from being opened; give what lets them pass."""
    is_free = asyncio.Event()

    async def hold(route):
        await is_free.wait()
        await route.continue_()

    await context.route("**/events", hold)
    return is_free.set


async def test_what_is_sent_in_one_window_comes_to_another(mail):
    house = mail.site.house
    admin = await house.storage.directory.find(ADMIN)
    change = functools.partial(replace, undo_s=0)
    await mail.preferences.change(Actor(admin.account_id, ADMIN), change)
    await mail.put("First")
    reading, writing = await mail.window(), await mail.site.window(size="phone")
    page = reading.page
    await page.locator(LIVE).wait_for(state="attached")
    assert await page.title() == "(1) Inbox · Mailstead"
    assert await page.locator("[data-again]").is_hidden()
    await page.get_by_role("checkbox", name="Choose First").check()
    await page.get_by_role("link", name="First").focus()
    await writing.log_in(ADMIN)
    await writing.go("/mail/write?to=alice@example.test&subject=Fresh")
    await writing.page.get_by_role("button", name="Send", exact=True).click()
    await until_told(page, "New message from admin@example.test: Fresh")
    rows = page.locator(".conversations li")
    await rows.nth(1).wait_for()
    assert "Fresh" in await rows.first.inner_text()
    assert "UTC" not in await rows.first.locator("time").inner_text()  # in the reader's zone, as all others
    assert await page.title() == "(2) Inbox · Mailstead"
    assert "2" in await page.get_by_role("link", name="Inbox").inner_text()
    assert await page.get_by_role("checkbox", name="Choose First").is_checked()
    assert "First" in await page.evaluate("document.activeElement.textContent")
    # What another program does with it is seen, too, without a word.
    (ids,) = [await mail.messages.find(mail.actor, MessageQuery(folder=INBOX), Listing(limit=1))]
    await mail.chosen.move(mail.actor, [ids.items[0].place.object_id], "Archive")
    await expect(page).to_have_title("(1) Inbox · Mailstead")
    assert await rows.count() == 1


async def test_an_empty_list_fills_and_two_windows_of_a_browser_share_a_line(mail):
    window = await mail.window()
    page, lines = window.page, []
    await page.get_by_text("Nothing is here yet").wait_for()
    await page.locator(LIVE).wait_for(state="attached")
    second = await page.context.new_page()
    second.on("request", lambda request: lines.append(request.url) if request.url.endswith("/events") else None)
    await second.goto(window.url + "/mail")
    await second.locator(LIVE).wait_for(state="attached")
    await mail.put("Hello")
    for each in (page, second):
        await until_told(each, "New message from Bob: Hello")
        await each.get_by_role("link", name="Hello").wait_for()
        assert await each.get_by_role("button", name="Archive").is_visible()
    assert lines == []
    # The one that listened goes; the other takes over, and looks for what came while neither did.
    release = await hold_lines(page.context)
    async with second.expect_request("**/events"):
        await page.close()
    await mail.put("Again")
    release()
    await second.get_by_role("link", name="Again").wait_for()
    assert len(lines) == 1


async def test_what_comes_between_the_page_and_its_line_is_shown(mail):
    window = await mail.window()
    page = window.page
    release = await hold_lines(page.context)
    async with page.expect_request("**/events"):
        await window.go("/mail")
    await mail.put("Between")
    release()
    await page.get_by_role("link", name="Between").wait_for()


async def test_attack_064_who_logs_out_elsewhere_hears_nothing_more(mail):
    window = await mail.window()
    page = window.page
    await page.locator(LIVE).wait_for(state="attached")
    (cookie,) = [each for each in await page.context.cookies() if each["name"] == SESSION]
    await mail.site.house.web_sessions.end(Secret(cookie["value"]))
    await page.get_by_role("link", name="You are logged out").wait_for()
    await mail.put("Secret")
    await page.get_by_role("link", name="You are logged out").click()
    await page.get_by_role("heading", name="Log in").wait_for()
    assert "Secret" not in await page.content()


async def test_keys_act_on_what_has_the_focus(mail):
    await mail.put("One", "Two", "Three", "Four")
    window = await mail.window()
    page, press = window.page, window.page.keyboard.press
    await page.locator(LIVE).wait_for(state="attached")
    await press("?")
    await page.get_by_role("dialog").get_by_text("to the trash").first.wait_for()
    assert await window.faults_everywhere() == []
    await press("e")  # nothing, while that is open
    await press("Escape")
    await press("j")
    await press("j")
    assert "Three" in await page.evaluate("document.activeElement.textContent")
    await press("s")
    await page.get_by_role("button", name="Take the flag off Three").wait_for()
    await expect(page.get_by_role("link", name="Three")).to_be_focused()  # the place is kept
    await press("e")
    await page.get_by_text("Moved.").wait_for()
    assert await mail.subjects("Archive") == ["Three"]
    await press("k")
    await press("x")
    await press("j")
    await press("x")
    await press("#")
    await page.get_by_text("It is in the trash.").wait_for()
    assert await mail.subjects("Trash") in (["Four", "Two"], ["Two", "Four"])
    await press("/")
    await page.keyboard.type("jest")  # letters, where somebody writes
    assert await page.get_by_role("searchbox").input_value() == "jest"
    await page.get_by_role("link", name="One").focus()
    await press("o")
    await page.get_by_role("heading", name="One").wait_for()
    await press("r")
    await page.get_by_label("Subject").wait_for()
    assert await page.get_by_label("Subject").input_value() == "Re: One"
    await page.go_back()
    await press("u")
    await page.get_by_role("searchbox").wait_for()
    await press("g")
    await press("t")
    await page.wait_for_url("**folder=Trash")
    await mail.preferences.change(mail.actor, functools.partial(replace, has_shortcuts=False))
    await page.reload()
    await press("c")
    assert await page.get_by_role("button", name="Keyboard shortcuts").count() == 0
    await mail.preferences.change(mail.actor, functools.partial(replace, has_shortcuts=True))
    assert "folder=Trash" in page.url


async def test_many_are_chosen_dragged_and_labelled(mail):
    await mail.put("One", "Two", "Three")
    window = await mail.window()
    page = window.page
    await page.get_by_role("checkbox", name="All", exact=True).check()
    await page.get_by_text("Chosen: 3").wait_for()
    await page.get_by_role("checkbox", name="Choose Two").uncheck()
    await page.get_by_text("Chosen: 2").wait_for()
    await page.get_by_text("Label", exact=True).first.click()
    await page.get_by_label("Label", exact=True).fill("Family")
    await page.get_by_role("button", name="Set", exact=True).click()
    await page.get_by_text("The labels are changed.").wait_for()
    assert await page.locator(".chip").count() == 2
    assert await window.faults_everywhere() == []
    await page.get_by_role("checkbox", name="Choose One").check()
    await page.get_by_role("checkbox", name="Choose Three").check()
    await page.get_by_role("link", name="Three").drag_to(page.locator("nav").get_by_role("link", name="Archive"))
    await page.get_by_text("Moved.").wait_for()
    assert sorted(await mail.subjects("Archive")) == ["One", "Three"]
    assert await mail.subjects(INBOX) == ["Two"]
    await page.get_by_role("link", name="Two").drag_to(page.locator("nav").get_by_role("link", name="Junk"))
    await page.get_by_text("Nothing is here yet").wait_for()
    assert await mail.subjects("Junk") == ["Two"]


async def test_without_a_script_one_looks_again(mail):
    await mail.put("One")
    window = await mail.window(has_scripts=False, size="phone")
    page = window.page
    await page.get_by_role("link", name="Choose all of this page").click()
    await page.get_by_role("button", name="Archive").click()
    await page.get_by_text("Moved.").wait_for()
    await mail.put("Two")
    await page.get_by_role("link", name="Look again").click()
    await page.get_by_role("link", name="Two").wait_for()


async def test_folders_are_made_and_deleted(mail):
    window = await mail.window(size="phone")
    page = window.page
    await page.get_by_role("link", name="Change folders").click()
    assert await window.faults_everywhere() == []
    await page.get_by_label("A new folder").fill("Work <b>")
    await page.get_by_role("button", name="Make it").click()
    await page.get_by_text("The folder is there.").wait_for()
    await mail.put("Kept", folder="Work <b>")
    await page.get_by_role("link", name="Rename or delete Work <b>").click()
    assert await window.faults_everywhere() == []
    await page.get_by_role("checkbox", name="Yes, delete them").check()
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_text("The folder is deleted.").wait_for()
    assert await page.get_by_role("link", name="Work <b>").count() == 0


async def test_files_go_up_by_themselves_and_what_is_sent_counts_down(mail):
    window = await mail.window()
    page = window.page
    await window.go("/mail/write?to=admin@example.test&subject=Files")
    small = {"name": "map.txt", "mimeType": "text/plain", "buffer": b"x" * 2000}
    await page.get_by_label("Attach files").set_input_files([small, {**small, "name": "plan.txt"}])
    await page.locator("[data-told]", has_text="plan.txt is attached").wait_for(state="attached")
    assert await page.get_by_label("map.txt").is_checked()
    await page.get_by_role("button", name="Remove map.txt").click()
    assert await page.get_by_label("map.txt").is_hidden()
    # Dropped, as a browser does it; one is too large, which is told before it goes up.
    await page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(["hello"], "dropped.txt"));
          const large = new File(["x"], "large.bin");
          Object.defineProperty(large, "size", { value: 1e9 });
          const place = document.querySelector("[data-files]");
          place.addEventListener("drop", (event) => Object.defineProperty(event, "dataTransfer", { value: {
            types: ["Files"], files: [...data.files, large] } }), { capture: true, once: true });
          place.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }"""
    )
    await page.get_by_role("alert").get_by_text("large.bin is too large").wait_for()
    await page.get_by_label("dropped.txt").wait_for()
    assert await window.faults() == []
    await page.get_by_role("button", name="Send", exact=True).click()
    line = page.locator("[data-left-ms]")
    await line.get_by_text("goes out in").wait_for()
    first = await line.inner_text()
    await expect(line).not_to_have_text(first)
    await page.get_by_role("button", name="Take it back").click()
    await page.get_by_text("It was not sent").wait_for()
    assert await page.get_by_label("plan.txt").is_checked()
    assert await page.get_by_label("dropped.txt").is_checked()
    assert await page.get_by_label("map.txt").count() == 0


async def test_a_broken_line_is_mended(mail, monkeypatch):
    monkeypatch.setattr(live, "LIFE_S", 0.2)
    window = await mail.window()
    page = window.page
    await page.locator("#news[data-state=waiting]").wait_for(state="attached")
    assert await page.get_by_role("link", name="Look again").is_visible()
    monkeypatch.undo()
    await mail.put("Meanwhile")
    await page.locator(LIVE).wait_for(state="attached")
    await page.get_by_role("link", name="Meanwhile").wait_for()
    assert await page.get_by_role("link", name="Look again").is_hidden()
