"""Pages for those who come by a link or a provider, and who show once more who they are, in a real browser."""

import re
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from urllib.parse import urlsplit

import pyotp
import pytest_asyncio

from mailstead.config.settings import Imap, MailListeners
from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind
from mailstead.model.envelope import Actor, Peer
from mailstead.model.people import Group, owner_of
from mailstead.model.queue import QueueQuery
from mailstead.model.secret import Secret
from mailstead.services.web.site.pages import SESSION
from mailstead.usecases.factor_settings import MailPrograms
from mailstead.usecases.factors import STRONG_FOR
from mailstead.wiring.client_profiles import make_client_profiles
from mailstead.wiring.house import ADMINISTRATOR
from system.browser import ADMIN, ALICE, IN_ONE_BROWSER, PASSWORD, open_site

pytestmark = IN_ONE_BROWSER

PEER = Peer("127.0.0.1", 1, tls_version="TLSv1.3")
CAROL = Address.parse("carol@elsewhere.test")
NEW = "pw-never-in-a-log-new-words"
MEETING = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:m\r\nDTSTAMP:20260101T000000Z\r\nSEQUENCE:0\r\n"
    "DTSTART;TZID=Europe/Berlin:20990310T110000\r\nDTEND;TZID=Europe/Berlin:20990310T130000\r\nSUMMARY:Plan <b>\r\n"
    "LOCATION:The large room\r\nURL:https://example.test/plan\r\nRRULE:FREQ=DAILY;COUNT=3\r\n"
    "ORGANIZER:mailto:alice@example.test\r\nATTENDEE:mailto:far@elsewhere.test\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def site(tmp_path_factory, browser):
    offers = {"imap": Imap(listen_tls=("127.0.0.1:0",)), "submission": MailListeners(listen_tls=("127.0.0.1:0",))}
    async with open_site(tmp_path_factory.mktemp("links"), browser, **offers) as site:
        yield site


async def links_of_a_meeting(house):
    """Let Alice invite somebody who has no calendar here; give the paths of the links in the mail."""
    account = await house.storage.directory.find(ALICE)
    actor = Actor(account.account_id, ALICE)
    await house.collections.home(actor, account, CollectionKind.CALENDAR)
    opened = await house.collections.open(actor, account, CollectionKind.CALENDAR, "default")
    await house.calendar_objects.put(opened, "m.ics", MEETING.encode())
    for item in await house.storage.queue.items(QueueQuery()):
        text = (await house.storage.queue.octets(item.item_id)).decode().replace("=\r\n", "").replace("=3D", "=")
        if found := re.findall(r"https://\S+?(/calendar/respond/\S+)", text):
            return found
    raise AssertionError("no invitation was mailed")


async def old_session(site, window, address):
    """Log in with a session that looks as if it had begun before `STRONG_FOR`."""
    factors = site.house.storage.factors
    begun = await site.house.web_sessions.start(str(address), Secret(PASSWORD), PEER, "tests")
    token = begun.token.reveal()
    long_ago = begun.session.created_at - STRONG_FOR - timedelta(minutes=1)
    await factors.remove_sessions(begun.session.owner, [begun.session.session_id])
    await factors.put_session(replace(begun.session, created_at=long_ago), sha256(token.encode()).digest())
    cookie = {"name": SESSION, "value": token, "url": site.url, "secure": True, "httpOnly": True, "sameSite": "Lax"}
    await window.page.context.add_cookies([cookie])


async def test_every_page_behind_a_link_is_usable_by_everybody(site):
    house, window = site.house, await site.window(size="phone")
    invited = await house.members.invite(ADMINISTRATOR, "example.test", CAROL, Group.ADMIN)
    device = await make_client_profiles(house).prepare(ADMINISTRATOR, ALICE, "A telephone")
    accept, decline, _ = await links_of_a_meeting(house)
    paths = {
        f"/log-in/{await house.log_in_links.make(ADMINISTRATOR, ALICE)}": 200,
        "/log-in/no-such-link": 404,
        f"/invitation/{invited.token.reveal()}": 200,
        accept: 200,
        decline: 200,
        urlsplit(device.link.reveal()).path: 200,
        "/log-in/oidc/start": 404,
    }
    faults = {}
    for path, status in paths.items():
        assert (await window.go(path)).status == status, path
        if found := await window.faults_everywhere():
            faults[path] = found
    assert faults == {}


async def test_a_link_sets_the_password_on_a_telephone_without_scripts(site):
    house, window = site.house, await site.window(size="phone", has_scripts=False)
    dora, page = Address.parse("dora@example.test"), window.page
    await house.accounts.create(ADMINISTRATOR, dora, Secret(PASSWORD))
    await window.go(f"/log-in/{await house.log_in_links.make(ADMINISTRATOR, dora)}")
    await page.get_by_label("Password").fill(NEW)
    await page.get_by_label("The same again").fill("something else")
    await page.get_by_role("button", name="Set the password").click()
    assert await page.get_by_role("alert").inner_text() == "The two are not the same."
    await page.get_by_label("Password").fill(NEW)
    await page.get_by_label("The same again").fill(NEW)
    await page.get_by_role("button", name="Set the password").click()
    await page.get_by_text("the link is used up").wait_for()
    await page.get_by_role("link", name="Read mail here").click()
    await page.get_by_label("Address").fill(str(dora))
    await page.get_by_label("Password").fill(NEW)
    await page.get_by_role("button", name="Log in", exact=True).click()
    await page.get_by_role("button", name="Log out").wait_for()


async def test_a_guest_answers_in_his_own_language(site):
    house, window = site.house, await site.window(size="phone", language="fr-FR", has_scripts=False)
    accept = (await links_of_a_meeting(house))[0]
    await window.go(accept)
    assert await window.page.locator("html").get_attribute("lang") == "fr"
    assert await window.page.get_by_text("2099-03-10 11:00 – 13:00 (Europe/Berlin)").count() == 1
    assert await window.page.get_by_role("heading", name="Plan <b>").count() == 1
    await window.page.locator("main form button").click()
    await window.page.get_by_role("status").wait_for()
    assert (await window.go(accept)).status == 404


async def test_an_administrator_takes_lost_factors_away(site):
    house, page = site.house, (window := await site.window(size="phone")).page
    erin = Address.parse("erin@example.test")
    account = await house.accounts.create(ADMINISTRATOR, erin, Secret(PASSWORD))
    actor = await house.users.check_password(str(erin), Secret(PASSWORD), PEER, "web")
    enrolled = await house.factor_settings.enrol_totp(actor, Secret(PASSWORD))
    code = Secret(pyotp.TOTP(enrolled.secret.reveal()).now())
    await house.factor_settings.confirm_totp(actor, enrolled.factor_id, code, MailPrograms.NONE)
    await window.log_in(ADMIN)
    await window.go("/admin/domains/example.test/addresses/erin")
    await page.get_by_text("1 second factor is on.").wait_for()
    assert await window.faults() == []
    await page.get_by_role("button", name="Take all second factors away").click()
    await page.get_by_text("0 second factors are on.").wait_for()
    assert await house.storage.factors.factors(owner_of(None, account.account_id)) == []
    theirs = await site.window(has_scripts=False)
    await theirs.log_in(erin, by_form=True)  # the password alone is enough again


async def test_a_browser_found_open_makes_no_token(site):
    page = (window := await site.window(size="phone")).page
    await old_session(site, window, ADMIN)
    await window.go("/me/tokens")
    assert await page.get_by_role("button", name="Make it").count() == 0
    await page.get_by_role("link", name="Show it is you").click()
    assert await window.faults() == []
    await page.get_by_label("Your password").fill("wrong")
    await page.get_by_role("button", name="Go on").click()
    await page.get_by_role("alert").wait_for()
    await page.get_by_label("Your password").fill(PASSWORD)
    await page.get_by_role("button", name="Go on").click()
    await page.get_by_label("Which program").fill("A program")
    await page.get_by_role("button", name="Make it").click()
    await page.get_by_role("heading").first.wait_for()
    assert await page.get_by_text("A program").count() > 0


async def test_attack_086_what_the_policy_forbids_is_reported_and_counted(site):
    window = await site.window()
    await window.go("/log-in")
    before = site.policy_reports()
    async with window.page.expect_request(lambda request: urlsplit(request.url).path == "/csp-report") as sent:
        await window.page.evaluate(
            "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')"
        )
    response = await (await sent.value).response()
    assert response.status == 204
    assert await window.page.title() != "1"
    assert site.policy_reports() == before + 1
    assert [each for each in window.complaints if "script-src" not in each and "404" not in each] == []
    window.complaints.clear()
    site.provoked += 1
