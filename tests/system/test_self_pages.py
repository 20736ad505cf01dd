"""What people look after themselves, in a real browser: addresses, devices, forwarding, sealing, export, preferences."""

import re
import zipfile

import pytest_asyncio

from mailstead.config.settings import Imap, MailListeners
from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Peer
from mailstead.model.people import owner_of
from mailstead.model.preferences import Theme
from mailstead.model.queue import QueueQuery
from mailstead.model.secret import Secret
from mailstead.usecases.messages import Messages
from mailstead.wiring.house import ADMINISTRATOR
from system.browser import ALICE, IN_ONE_BROWSER, PASSWORD, open_site
from system.test_mail_pages import message

pytestmark = IN_ONE_BROWSER

BOB = Address.parse("bob@example.test")
PEER = Peer("127.0.0.1", 4711, tls_version="TLSv1.3")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(tmp_path_factory, browser):
    further = {"imap": Imap(listen_tls=("127.0.0.1:993",)), "submission": MailListeners(listen_tls=("127.0.0.1:465",))}
    async with open_site(tmp_path_factory.mktemp("self"), browser, **further) as site:
        account = await site.house.storage.directory.find(ALICE)
        await site.house.accounts.create(ADMINISTRATOR, BOB, Secret(PASSWORD))
        actor = Actor(account.account_id, ALICE)
        await Messages(site.house.mailboxes).append(actor, "INBOX", message("Invoice 7", "Please pay"), [])
        yield site


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def alice(site):
    """Her window, logged in."""
    window = await site.window()
    await window.log_in(ALICE)
    return window


async def test_an_address_is_hidden_copied_switched_off_and_removed(site, alice):
    page = alice.page
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await alice.go("/me")
    await page.get_by_role("link", name="My addresses").click()
    await page.get_by_label("What it is for").first.fill("the shop")
    await page.get_by_role("button", name="Make one up").click()
    made = await page.get_by_role("status").locator("strong").inner_text()
    assert re.fullmatch(r"[a-z0-9-]+@example\.test", made)
    await page.get_by_role("status").get_by_role("button", name=f"Copy {made}").click()
    assert await page.evaluate("navigator.clipboard.readText()") == made
    assert await alice.faults_everywhere() == []
    entry = page.get_by_role("listitem").filter(has_text=made)
    await entry.get_by_role("button", name=f"Switch off {made}").click()
    await entry.get_by_text("switched off").wait_for()
    assert not (await site.house.storage.directory.find(Address.parse(made))).is_enabled
    await entry.locator("summary").click()
    await entry.get_by_role("checkbox").check()
    await entry.get_by_role("button", name="Remove").click()
    await page.get_by_text("Done.").wait_for()
    assert await site.house.storage.directory.find(Address.parse(made)) is None


async def test_a_telephone_is_added_and_comes_in_with_its_password(site, alice):
    page = alice.page
    await alice.go("/me/devices")
    assert await alice.faults_everywhere() == []
    await page.get_by_label("Name of the device").fill("Telephone")
    await page.get_by_role("button", name="Add", exact=True).click()
    password = await page.locator("code.secret").inner_text()
    assert await page.locator(".qr svg").count() == 3
    assert await alice.faults_everywhere() == []
    for title in ("Incoming mail (IMAP)", "Outgoing mail (SMTP)"):
        await page.get_by_role("heading", name=title).wait_for()
    came = await site.house.accounts.log_in(str(ALICE), Secret(password), PEER, "imap")
    assert came.app_password_id is not None
    await page.get_by_role("link", name="It is set up").click()
    await page.get_by_role("button", name="Remove Telephone").wait_for()


async def test_mail_is_sent_on_after_a_code(site, alice):
    page = alice.page
    await alice.go("/me/forwarding")
    await page.get_by_label("Address").fill("carol@elsewhere.test")
    await page.get_by_role("button", name="Go on").click()
    await page.get_by_text("A code is on its way").wait_for()
    assert await alice.faults_everywhere() == []
    (item,) = await site.house.storage.queue.items(QueueQuery())
    assert item.recipients[0].recipient.address.key == "carol@elsewhere.test"
    text = (await site.house.storage.queue.octets(item.item_id)).decode()
    await page.get_by_label("Code from that mail").fill(re.search(r"^    (\d{8})\r?$", text, re.MULTILINE)[1])
    await page.get_by_role("button", name="Confirm").click()
    await page.get_by_text("A copy stays in your mailbox here").wait_for()
    assert list(map(str, (await site.house.storage.directory.find(ALICE)).forward_to)) == ["carol@elsewhere.test"]
    await page.get_by_role("button", name="Remove carol@elsewhere.test").click()
    await page.get_by_text("Into your mailbox here, and nowhere else").wait_for()


async def test_preferences_follow_into_another_browser(site, alice):
    page, other = alice.page, await site.window()
    await other.log_in(ALICE)
    await alice.go("/me/preferences")
    assert await alice.faults_everywhere() == []
    await page.get_by_label("Time zone").select_option("Asia/Seoul")
    await page.get_by_label("Colours").first.select_option("dark")
    await page.get_by_label("Language").first.select_option("fr")
    await page.get_by_label("Single keys").uncheck()
    await page.locator("main form button").last.click()
    await page.locator('html[lang="fr"]').wait_for()
    await other.go("/me")
    shown = other.page.locator("html")
    assert [await shown.get_attribute(name) for name in ("lang", "data-theme", "data-zone")] == [
        "fr",
        "dark",
        "Asia/Seoul",
    ]
    account = await site.house.storage.directory.find(ALICE)
    kept = await site.house.storage.preferences.preferences(owner_of(None, account.account_id))
    assert (kept.time_zone, kept.theme, kept.has_shortcuts) == ("Asia/Seoul", Theme.DARK, False)
    await alice.go("/me/preferences")
    await page.locator("#language").select_option("en")
    await page.locator("#theme").select_option("light")
    await page.locator("main form button").last.click()
    await page.locator('html[lang="en"]').wait_for()


async def test_everything_is_taken_along(site, alice, tmp_path):
    page = alice.page
    await alice.go("/me/export")
    assert await alice.faults_everywhere() == []
    await page.get_by_label("EML").check()
    async with page.expect_download() as loading:
        await page.get_by_role("button", name="Load the archive").click()
    await (await loading.value).save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.testzip() is None
        assert b"Invoice 7" in archive.read("mail/INBOX/00000001.eml")
        assert "settings.json" in archive.namelist()


async def test_everybody_can_use_the_pages_of_sealing(alice):
    for path in ("/me/sealed", "/me/sealed/key", "/recover"):
        await alice.go(path)
        assert await alice.faults_everywhere() == [], path


async def test_an_account_is_sealed_with_a_key_on_paper_and_recovered(site):
    window = await site.window()
    page = window.page
    await window.log_in(BOB)
    await window.go("/me/sealed")
    await page.get_by_role("link", name="Seal my account").click()
    paper = await page.locator(".groups code").all_inner_texts()
    assert len(paper) == 8
    await page.get_by_role("button", name="Print").wait_for()
    number = int(re.search(r"group (\d)", await page.locator('label[for="typed"]').inner_text())[1])
    await page.get_by_label("Type group").fill("xxxxx")
    await page.get_by_label("Your password").fill(PASSWORD)
    await page.get_by_label("I know").check()
    await page.get_by_role("button", name="Seal my account").click()
    await page.get_by_role("alert").wait_for()
    assert await page.locator(".groups code").all_inner_texts() == paper
    await page.get_by_label("Type group").fill(paper[number - 1])
    await page.get_by_label("Your password").fill(PASSWORD)
    await page.get_by_label("I know").check()
    await page.get_by_role("button", name="Seal my account").click()
    await page.get_by_role("heading", name="Your account is sealed").wait_for()
    assert (await site.house.storage.directory.find(BOB)).is_sealed
    await window.go("/recover")
    await page.get_by_label("Address").fill(str(BOB))
    await page.get_by_label("Recovery key").fill(" ".join(paper))
    for label in ("New password", "The same again"):
        await page.get_by_label(label).fill("pw-never-in-a-log-of-bob")
    await page.get_by_role("button", name="Set the password").click()
    await page.get_by_role("link", name="Log in").click()
    await page.get_by_label("Address").fill(str(BOB))
    await page.get_by_label("Password").fill("pw-never-in-a-log-of-bob")
    await page.get_by_role("button", name="Log in", exact=True).click()
    await page.get_by_role("heading", name="Recovery key").wait_for()


async def test_the_overview_leads_there(alice):
    await alice.go("/me")
    await alice.page.get_by_role("heading", name="My data").wait_for()
    assert await alice.faults_everywhere() == []
