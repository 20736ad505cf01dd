"""Every page of the site in a real browser: both themes, two sizes, no complaint, and usable by everybody (axe)."""

import pyotp
import pytest
import pytest_asyncio

from mailstead.model.envelope import Peer
from mailstead.model.errors import AppPasswordNeeded, AuthenticationFailed
from mailstead.model.secret import Secret
from mailstead.services.web.site.pages import Who
from mailstead.services.web.site.table import all_pages
from mailstead.wiring.site import first_run_url
from system.browser import ADMIN, ALICE, IN_ONE_BROWSER, PASSWORD, open_site
from system.site_data import PLACES as FILLED
from system.site_data import fill

pytestmark = IN_ONE_BROWSER

PEER = Peer("127.0.0.1", 1, tls_version="TLSv1.3")
PLACES = {"domain": "example.test", "local_part": "alice", **FILLED}
SEEN = [page for page in all_pages() if "GET" in page.methods]
ELSEWHERE = (
    "/mail/", "/calendar/events/", "/calendar/calendars/", "/tasks/", "/contacts/b/", "/contacts/books/",
    "/contacts/complete", "/me/openpgp/", "/events",
)  # fmt: skip
"""Seen by the tests of these pages, which put there what they show."""


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path, browser):
    async with open_site(tmp_path, browser) as site:
        yield site


async def test_every_page_is_usable_by_everybody(site):
    await fill(site.house)
    outside, inside = await site.window(), await site.window()
    await inside.log_in()
    faults = {}
    for page in SEEN:
        window = outside if page.who is Who.ANYBODY else inside
        if "." in page.path.rpartition("/")[2] or "{token}" in page.path or page.path.startswith(ELSEWHERE):
            continue  # a file; for who has its link, and seen where that is given; seen by test_mail_pages
        if page.who is Who.ANYBODY and ("{" in page.path or "/oidc" in page.path):
            continue  # seen by test_link_pages
        answer = await window.go(page.path.format_map(PLACES))
        assert answer.status == 200, page.path
        if not answer.headers["content-type"].startswith("text/html"):
            continue  # what a script asks for
        if found := await window.faults_everywhere():
            faults[page.path] = found
    assert faults == {}


async def test_the_keyboard_reaches_the_content_first(site):
    window = await site.window()
    await window.log_in(ALICE)
    await window.page.keyboard.press("Tab")
    await window.page.keyboard.press("Enter")
    assert await window.page.evaluate("document.activeElement.id") == "main"


async def test_it_works_without_scripts(site):
    window = await site.window(has_scripts=False)
    await window.log_in(ADMIN, by_form=True)
    await window.go("/admin")
    assert await window.page.get_by_role("heading", name="Administration").count() == 1
    await window.page.get_by_label("Colours").select_option("dark")
    await window.page.get_by_label("Language").select_option("fr")
    await window.page.get_by_role("button", name="Apply").click()
    html = window.page.locator("html")
    assert (await html.get_attribute("data-theme"), await html.get_attribute("lang")) == ("dark", "fr")
    await window.page.locator(".who button").click()
    await window.page.wait_for_url("**/log-in")


async def test_who_comes_without_session_comes_back_after_the_log_in(site):
    window = await site.window()
    await window.go("/me")
    assert "/log-in?then=%2Fme" in window.page.url
    await window.page.get_by_label("Address").fill(str(ALICE))
    await window.page.get_by_label("Password").fill("wrong")
    await window.page.get_by_role("button", name="Log in", exact=True).click()
    assert await window.page.get_by_role("alert").inner_text() == "Authentication failed."
    await window.page.get_by_label("Password").fill(PASSWORD)
    await window.page.get_by_role("button", name="Log in", exact=True).click()
    await window.page.get_by_role("heading", name="My account").wait_for()


async def test_a_passkey_is_made_and_logs_in_alone(site):
    window = await site.window()
    page = window.page
    session = await page.context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    await session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    await window.go("/log-in")
    await page.get_by_role("button", name="Log in with a passkey").click()
    await page.get_by_text("The passkey was not used").wait_for()  # there is none yet: it is told
    await window.log_in(ALICE)
    await window.go("/me/security")
    await page.get_by_text("Add a passkey").click()
    await page.get_by_label("Its name").first.fill("My laptop")
    await page.get_by_label("There are none, or they may stop").first.check()
    await page.get_by_label("Your password").first.fill(PASSWORD)
    await page.get_by_role("button", name="Go on").first.click()
    await page.get_by_role("button", name="Make the passkey").click()
    await page.get_by_role("heading", name="Recovery codes").wait_for()
    assert await page.locator(".codes li").count() == 10
    await page.get_by_role("link", name="I have them").click()
    await page.get_by_text("My laptop").first.wait_for()
    await page.get_by_role("button", name="Log out").click()
    await page.get_by_role("button", name="Log in with a passkey").click()
    await page.get_by_role("button", name="Log out").wait_for()


async def test_a_device_with_codes_and_passwords_for_mail_programs(site):
    window = await site.window(size="phone", has_scripts=False)
    page = window.page
    await window.log_in(ALICE)
    await window.go("/me/security")
    await page.get_by_label("Which program").fill("Thunderbird")
    await page.get_by_label("reading mail (IMAP)").check()
    await page.get_by_role("button", name="Make a password").click()
    password = await page.locator("code").inner_text()
    await site.house.accounts.log_in(str(ALICE), Secret(password), PEER, "imap")
    with pytest.raises(AuthenticationFailed):
        await site.house.accounts.log_in(str(ALICE), Secret(password), PEER, "smtp")
    await page.get_by_role("link", name="I have it").click()
    await page.get_by_text("Add a device with codes").click()
    await page.locator("#device-label").fill("Telephone")
    await page.locator("#device-password").fill(PASSWORD)
    await page.locator("form[action='/me/security/device'] button").click()
    secret = await page.locator("code").inner_text()
    await page.get_by_label("They have passwords of their own").check()
    await page.get_by_label("The code that it shows now").fill(pyotp.TOTP(secret).now())
    await page.get_by_role("button", name="Turn it on").click()
    codes = await page.locator(".codes code").all_inner_texts()
    with pytest.raises(AppPasswordNeeded):
        await site.house.accounts.log_in(str(ALICE), Secret(PASSWORD), PEER, "imap")
    await page.get_by_role("button", name="Log out").click()
    await page.get_by_label("Address").fill(str(ALICE))
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in", exact=True).click()
    await page.get_by_label("Code of your device").fill("000000")
    await page.get_by_role("button", name="Log in", exact=True).click()
    await page.get_by_role("alert").wait_for()
    await page.get_by_label("Code of your device").fill(codes[0])
    await page.get_by_role("button", name="Log in", exact=True).click()
    await page.get_by_role("button", name="Log out").wait_for()


async def test_a_domain_its_records_and_its_addresses(site):
    window = await site.window()
    await window.log_in()
    page = window.page
    await window.go("/admin")
    await page.get_by_role("link", name="Domains").click()
    await page.get_by_label("Name").fill("other.test")
    await page.get_by_role("button", name="Add").click()
    await page.get_by_role("heading", name="other.test", exact=True).wait_for()
    await page.get_by_text("v=spf1").first.wait_for()
    await page.get_by_role("button", name="Make new keys").click()
    await page.get_by_role("button", name="Let the new keys sign").click()
    await page.get_by_role("button", name="Make new keys").wait_for()
    await page.get_by_role("link", name="Addresses", exact=True).click()
    await page.get_by_label("Name before the @").fill("info")
    await page.get_by_label("Other addresses, hosts or webhooks").fill("alice@example.test")
    await page.get_by_role("button", name="Make it").click()
    await page.get_by_label("Mail goes to").fill("alice@example.test admin@example.test")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Done.").wait_for()
    await window.go("/admin/domains/other.test/addresses?explain=info")
    await page.get_by_text("into the mailbox alice@example.test").wait_for()
    await page.get_by_text("into the mailbox admin@example.test").wait_for()
    await page.get_by_label("Name before the @").fill("bob")
    await page.get_by_label("into a mailbox of its own").check()
    await page.get_by_label("Password of the mailbox").fill("bobs very own words")
    await page.get_by_role("button", name="Make it").click()
    await page.get_by_text("The mailbox holds").wait_for()
    bob = await site.window(size="phone")
    await bob.log_in("bob@other.test", "bobs very own words")
    assert (await bob.go("/admin/domains/other.test/addresses")).status == 403


async def test_rules_are_told_what_is_wrong_with_them(site):
    window = await site.window()
    await window.log_in()
    page = window.page
    await window.go("/admin/domains/example.test/rules")
    await page.get_by_label("mta_sts_mode").fill("perhaps")
    await page.get_by_role("button", name="Save").click()
    assert "mta_sts_mode: one of" in await page.get_by_role("alert").inner_text()
    await page.get_by_label("mta_sts_mode").fill("testing")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Done.").wait_for()
    assert (await site.house.storage.directory.domain("example.test")).terms.mta_sts_mode == "testing"


async def test_the_first_run_has_five_pages(tmp_path, browser):
    async with open_site(tmp_path, browser, is_new=True) as site:
        window = await site.window()
        page = window.page
        url = await first_run_url(site.house)
        await page.goto(url)
        faults = [await window.faults_everywhere()]
        await page.get_by_label("Your address in your domain").fill("me@example.test")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_label("The same again").fill("something else")
        await page.get_by_role("button", name="Go on").click()
        assert await page.get_by_role("alert").inner_text() == "The two are not the same."
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_label("The same again").fill(PASSWORD)
        await page.get_by_role("button", name="Go on").click()
        for heading in ("Records in the DNS", "Certificate, port 25, and what others know", "A mail there and back"):
            await page.get_by_role("heading", name=heading).wait_for()
            faults.append(await window.faults_everywhere())
            if heading.startswith("A mail"):
                await page.get_by_label("An address of yours elsewhere").fill("me@else.test")
                await page.get_by_role("button", name="Send a trial mail").click()
                await page.get_by_text("It is on its way.").wait_for()
                faults.append(await window.faults_everywhere())
            await page.get_by_role("link", name="Go on").click()
        await page.get_by_role("heading", name="Your server is ready").wait_for()
        faults.append(await window.faults_everywhere())
        assert faults == [[]] * 6
        assert await first_run_url(site.house) == ""
        await page.goto(url)
        assert "This link is not good" in await page.get_by_role("alert").inner_text()
