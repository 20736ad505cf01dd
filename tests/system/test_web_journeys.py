"""The main ways through the web, each from its beginning to its end in real browsers: administrator, member, reader."""

import asyncio
import functools
import re
from dataclasses import replace

import pytest_asyncio

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.people import Group, Listing
from mailstead.usecases.message_views import MessageQuery
from mailstead.usecases.messages import Messages
from mailstead.usecases.own_preferences import OwnPreferences
from mailstead.wiring.house import ADMINISTRATOR
from mailstead.wiring.queue import make_queue_service
from system.browser import ADMIN, ALICE, IN_ONE_BROWSER, open_site

pytestmark = IN_ONE_BROWSER

CAROL = Address.parse("carol@elsewhere.test")
DORA = Address.parse("dora@elsewhere.test")
NEW = "pw-never-in-a-log-of-carol"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def site(tmp_path_factory, browser):
    """A house whose queue delivers, and which waits for nobody who may want to take something back."""
    async with open_site(tmp_path_factory.mktemp("ways"), browser) as site:
        stop = asyncio.Event()
        queue = asyncio.create_task(make_queue_service(site.house).run(stop))
        for address in (ADMIN, ALICE):
            account = await site.house.storage.directory.find(address)
            actor = Actor(account.account_id, address)
            await OwnPreferences(site.house.storage).change(actor, functools.partial(replace, undo_s=0))
        site.actor = actor
        yield site
        stop.set()
        await queue


async def send(window, to, subject, text):
    """Write and send a message by hand."""
    page = window.page
    await window.go("/mail/write")
    await page.get_by_label("To", exact=True).fill(to)
    await page.get_by_label("Subject").fill(subject)
    await page.locator("#text").fill(text)
    await page.get_by_role("button", name="Send", exact=True).click()
    await page.get_by_role("heading", name="On its way").wait_for()


async def arrived(site, folder, subject):
    """Wait until Alice has it in a folder."""
    messages = Messages(site.house.mailboxes)
    async with asyncio.timeout(30):
        while True:
            found = await messages.find(site.actor, MessageQuery(folder=folder), Listing(limit=50))
            if any(subject.encode() in octets for octets in await messages.octets(site.actor, found.items)):
                return
            await asyncio.sleep(0.05)  # the queue says nothing to who does not listen on the bus


async def test_an_administrator_invites_makes_an_alias_and_finds_a_message(site):
    window = await site.window()
    page = window.page
    await window.log_in(ADMIN)
    await window.go("/admin")
    await page.get_by_role("link", name="Domains").click()
    await page.get_by_role("link", name="example.test").first.click()
    await page.get_by_role("link", name="Members").click()
    await page.get_by_label("Address", exact=True).fill(str(CAROL))
    await page.get_by_label("Part", exact=True).select_option("admin")
    await page.get_by_role("button", name="Invite").click()
    link = await page.locator("code").first.inner_text()

    # She takes it in a browser of her own, and may look after that domain, and nothing else.
    hers = await site.window(size="phone")
    await hers.page.goto(link)
    for field in await hers.page.locator("input[type=password]").all():
        await field.fill(NEW)
    await hers.page.locator("main form button").first.click()
    await hers.page.get_by_role("link", name="Log in").first.click()
    await hers.page.get_by_label("Address").fill(str(CAROL))
    await hers.page.get_by_label("Password").fill(NEW)
    await hers.page.get_by_role("button", name="Log in", exact=True).click()
    await hers.page.get_by_role("button", name="Log out").wait_for()
    assert (await hers.go("/admin/domains/example.test")).status == 200
    assert (await hers.go("/admin/people")).status == 403
    members = await site.house.members.list(ADMINISTRATOR, "example.test")
    assert [each.group for each in members] == [Group.ADMIN]

    # An alias, and where mail for it goes.
    await window.go("/admin/domains/example.test")
    await page.get_by_role("link", name="Addresses", exact=True).click()
    await page.get_by_label("Name before the @").fill("hello")
    await page.get_by_label("Other addresses, hosts or webhooks").fill(str(ALICE))
    await page.get_by_role("button", name="Make it").click()
    await window.go("/admin/domains/example.test/addresses?explain=hello")
    await page.get_by_text(f"into the mailbox {ALICE}").wait_for()

    # A message by it, and its way told in words.
    await send(window, "hello@example.test", "By an alias", "Hello")
    await arrived(site, "INBOX", "By an alias")
    await window.go("/admin")
    await page.get_by_role("link", name="Where is a message?").click()
    await page.get_by_label("Address, @domain").fill(str(ADMIN))
    await page.get_by_role("button", name="Find").click()
    await page.get_by_text("It was put into the queue to go out.").first.wait_for()


async def test_a_member_takes_an_invitation_and_makes_addresses_of_her_own(site):
    window, hers = await site.window(), await site.window(size="phone")
    page = hers.page
    await window.log_in(ADMIN)
    await window.go("/admin/domains/example.test/members")
    await window.page.get_by_label("Address", exact=True).fill(str(DORA))
    await window.page.get_by_label("Part", exact=True).select_option("user")
    await window.page.get_by_role("button", name="Invite").click()
    await page.goto(await window.page.locator("code").first.inner_text())
    for field in await page.locator("input[type=password]").all():
        await field.fill(NEW)
    await page.locator("main form button").first.click()
    await page.get_by_role("link", name="Log in").first.click()
    await page.get_by_label("Address").fill(str(DORA))
    await page.get_by_label("Password").fill(NEW)
    await page.get_by_role("button", name="Log in", exact=True).click()
    await page.get_by_role("button", name="Log out").wait_for()

    # She sees no administration, and in the domain her own addresses alone.
    await hers.go("/me")
    assert await page.get_by_role("link", name="Administration").count() == 0
    await page.get_by_role("link", name="Addresses of example.test").click()
    assert await page.get_by_text(str(ALICE)).count() == 0
    await page.get_by_label("Name before the @").fill("dora")
    await page.get_by_label("Other addresses, hosts or webhooks").fill(str(ALICE))
    await page.get_by_role("button", name="Make it").click()
    await page.get_by_role("heading", name="dora@example.test").wait_for()
    assert await hers.faults() == []
    await send(window, "dora@example.test", "By hers", "Hello")
    await arrived(site, "INBOX", "By hers")

    # Switched off, mail for it comes back.
    await page.get_by_label("It takes mail").uncheck()
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Done.").wait_for()
    await hers.go("/admin/domains/example.test/addresses")
    await page.get_by_text("switched off").wait_for()
    assert (await hers.go("/admin/domains/example.test/addresses/alice")).status == 404


async def test_a_reader_sends_finds_and_lets_a_rule_file(site):
    bobs, window = await site.window(), await site.window(size="phone")
    page = window.page
    await bobs.log_in(ADMIN)
    await send(bobs, str(ALICE), "Invoice 1", "Forty pears and a basket")
    await arrived(site, "INBOX", "Invoice 1")

    # Found by a word of its text.
    await window.log_in(ALICE)
    await window.go("/mail")
    await page.get_by_role("searchbox").fill("basket")
    await page.get_by_role("button", name="Find").click()
    await page.wait_for_url("**q=basket**")
    await page.get_by_role("link", name="Invoice 1").first.click()
    await page.frame_locator("iframe").last.get_by_text("Forty pears").wait_for()

    # A rule of it, and what comes next is where it says.
    await page.get_by_role("link", name="Make a filter of it").click()
    await page.get_by_label("Its name").fill("Invoices")
    action = page.get_by_role("group", name="Action 1")
    await action.get_by_label("What", exact=True).select_option("file")
    await action.get_by_label("Folder, address or words").fill("Invoices")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Invoices").first.wait_for()
    await send(bobs, str(ALICE), "Invoice 2", "Fifty plums")
    await arrived(site, "Invoices", "Invoice 2")
    await window.go("/mail?folder=Invoices")
    await page.get_by_role("link", name=re.compile("Invoice 2")).first.click()
    await page.frame_locator("iframe").last.get_by_text("Fifty plums").wait_for()

    # Answered, and seen by who wrote first.
    await page.get_by_role("link", name="Answer", exact=True).click()
    await page.locator("#text").fill("Paid today.")
    await page.get_by_role("button", name="Send", exact=True).click()
    await page.get_by_role("heading", name="On its way").wait_for()
    await bobs.go("/mail")
    async with asyncio.timeout(30):
        while not await bobs.page.locator(".conversations", has_text="Invoice 2").count():
            await bobs.go("/mail")
