"""What people look after themselves, in a real browser: filters without Sieve, and what is said while they are away."""

import pytest_asyncio

from mailstead.model.envelope import Actor
from mailstead.usecases.messages import Messages
from mailstead.usecases.own_preferences import OwnPreferences
from mailstead.usecases.vacations import Vacations
from system.browser import ALICE, IN_ONE_BROWSER, open_site
from system.test_mail_pages import message

pytestmark = IN_ONE_BROWSER


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path, browser):
    async with open_site(tmp_path, browser) as site:
        account = await site.house.storage.directory.find(ALICE)
        site.actor = Actor(account.account_id, ALICE)
        await Messages(site.house.mailboxes).append(site.actor, "INBOX", message("Invoice 7", "Please pay"), [])
        yield site


async def test_a_filter_is_tried_kept_changed_and_removed(site):
    window = await site.window(has_scripts=False)
    page = window.page
    await window.log_in(ALICE)
    await window.go("/me/filters/edit")
    await page.get_by_label("Its name").fill("Bills")
    first = page.get_by_role("group", name="Condition 1")
    await first.get_by_label("What", exact=True).select_option("subject")
    await first.get_by_label("Value").fill("invoice")
    action = page.get_by_role("group", name="Action 1")
    await action.get_by_label("What", exact=True).select_option("file")
    await action.get_by_label("Folder, address or words").fill("Bills")
    await page.get_by_role("button", name="Try it on the newest messages").click()
    await page.get_by_text("Invoice 7").wait_for()
    assert "Bills" in await page.locator("section li").inner_text()
    assert await page.get_by_label("Its name").input_value() == "Bills"  # what was written is still there
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Subject contains “invoice”").wait_for()
    await page.get_by_role("button", name="Switch off: Bills").click()
    await page.get_by_text("switched off").wait_for()
    (entry,) = (await site.house.filter_rules.list(site.actor)).entries
    assert (entry.name, entry.rule.is_on) == ("Bills", False)
    await page.get_by_role("link", name="Change Bills").click()
    await page.get_by_role("group", name="Condition 1").get_by_label("Value").fill("bill")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Subject contains “bill”").wait_for()
    await page.get_by_role("button", name="Remove: Bills").click()
    await page.get_by_text("There is none").wait_for()
    assert (await site.house.filter_rules.list(site.actor)).entries == ()


async def test_a_filter_that_somebody_else_changed_meanwhile_is_not_overwritten(site):
    one, other = await site.window(), await site.window()
    for window in (one, other):
        await window.log_in(ALICE)
        await window.go("/me/filters/edit")
        await window.page.get_by_label("Its name").fill("Mine")
        group = window.page.get_by_role("group", name="Action 1")
        await group.get_by_label("What", exact=True).select_option("keep")
    await one.page.get_by_role("button", name="Save").click()
    await one.page.get_by_text("every message").wait_for()
    await other.page.get_by_role("button", name="Save").click()
    assert "changed meanwhile" in await other.page.get_by_role("alert").inner_text()
    assert len((await site.house.filter_rules.list(site.actor)).entries) == 1


async def test_a_rule_begins_with_a_message(site):
    window = await site.window(size="phone")
    page = window.page
    await window.log_in(ALICE)
    await window.go("/mail")
    await page.locator(".conversations a").click()
    await page.get_by_role("link", name="Make a filter of it").click()
    assert "bob@else.test" in await page.get_by_role("group", name="Condition 1").get_by_label("Value").input_value()
    assert await window.faults() == []


async def test_what_senders_are_told(site):
    window = await site.window(size="phone")
    page = window.page
    await window.log_in(ALICE)
    await window.go("/me/away")
    await page.get_by_role("button", name="Switch on").click()
    assert "empty" in await page.get_by_role("alert").inner_text()
    await page.get_by_label("What they are told").fill("Back in May")
    await page.get_by_role("button", name="Switch on").click()
    await page.get_by_text("Who writes is told so").wait_for()
    assert (await Vacations(site.house.storage).get(site.actor)).message == "Back in May"
    await page.get_by_role("button", name="Switch off").click()
    await page.get_by_text("It is switched off.").wait_for()
    assert await Vacations(site.house.storage).get(site.actor) is None


async def test_preferences_are_kept_and_checked(site):
    window = await site.window(size="phone")
    page = window.page
    await window.log_in(ALICE)
    await window.go("/me/preferences")
    await page.get_by_label("Your name in messages").fill("Alice A.")
    await page.get_by_label("Signature").fill("Alice\nof Example")
    await page.get_by_label("Seconds in which").fill("25")
    await page.get_by_label("Whose pictures").fill("@shop.test friend@else.test")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Done.").wait_for()
    kept = await OwnPreferences(site.house.storage).get(site.actor)
    assert (kept.display_name, kept.signature, kept.undo_s) == ("Alice A.", "Alice\nof Example", 25)
    assert kept.image_senders == ("@shop.test", "friend@else.test")
    await page.get_by_label("Whose pictures").fill("nonsense")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("alert").wait_for()
    assert (await OwnPreferences(site.house.storage).get(site.actor)) == kept


async def test_attack_037_an_import_reaches_no_private_address(site):
    window = await site.window()
    page = window.page
    await window.log_in(ALICE)
    await window.go("/me/import")
    await page.get_by_label("Server there").fill("127.0.0.1")
    await page.get_by_label("Name to log in with there").fill("alice")
    await page.get_by_label("Password there").fill("her password there")
    await page.get_by_role("button", name="Look what is there").click()
    await page.get_by_role("alert").wait_for()
    assert await page.get_by_label("Server there").input_value() == "127.0.0.1"
    assert await page.get_by_label("Password there").input_value() == ""
    assert "her password there" not in await page.content()
