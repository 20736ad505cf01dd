"""The upkeep of the server in a real browser: what was lost comes back, the log is followed, all pages fit."""

import io
import zipfile

import pytest_asyncio

from mailstead.config.settings import Acme, Backup
from mailstead.model.uidset import UidSet
from mailstead.net.certificates import make_self_signed
from mailstead.telemetry import last_lines
from mailstead.usecases.mailboxes import Draft
from mailstead.usecases.update_state import Kind
from mailstead.wiring.backup import make_backups
from mailstead.wiring.house import ADMINISTRATOR
from mailstead.wiring.installed import ThisInstallation
from mailstead.wiring.update_wishes import WishFile
from system.browser import ADMIN, ALICE, HOST, IN_ONE_BROWSER, open_site

pytestmark = IN_ONE_BROWSER

JOB_MS = 60_000
"""What is restored takes its time where others work, too."""
LETTERS = [
    b"From: bob@far.test\r\nTo: alice@example.test\r\nSubject: The boat\r\nMessage-ID: <1@far.test>\r\n\r\nAt noon.\r\n",
    b"From: bob@far.test\r\nTo: alice@example.test\r\nSubject: The car\r\nMessage-ID: <2@far.test>\r\n\r\nAt one.\r\n",
]
PLACES = (
    "/admin/certificates",
    "/admin/updates",
    "/admin/logs",
    "/admin/backups",
    "/admin/backups/restore",
    "/admin/junk",
    "/admin/domains/example.test/kind",
    "/admin/domains/other.test/kind",
    "/admin/domains/example.test/dns",
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(tmp_path_factory, browser):
    """A house with two letters of Alice's, all of it in a backup."""
    folder = tmp_path_factory.mktemp("house")
    backup, acme = Backup(target=str(folder / "backups")), Acme(directory_url="https://authority.test/directory")
    async with open_site(folder, browser, backup=backup, acme=acme) as site:
        house = site.house
        await house.domains.add(ADMINISTRATOR, "other.test")
        await house.mailboxes.append(await owner(house), "INBOX", [Draft(each) for each in LETTERS])
        await make_backups(house.settings).run(ADMINISTRATOR)
        tls = folder / "data" / "tls" / "acme"
        make_self_signed(tls / "certificate.pem", tls / "key.pem", HOST)
        say("info", "a message came", mail_from="bob@far.test")
        say("error", "it could not be handed on", reason="the other side is away")
        yield site


async def owner(house):
    return await house.users.actor_of_owner(await house.users.owner_at(ALICE))


def say(level, event, **facts):
    at = "2026-01-02T03:04:05.000006Z"
    last_lines.keep(None, level, {"event": event, "level": level, "room": "smtp", "timestamp": at, **facts})


async def test_an_update_is_begun_and_taken_back(site, monkeypatch):
    monkeypatch.setattr(ThisInstallation, "kind", lambda _: Kind.VERSIONS)
    monkeypatch.setattr(WishFile, "is_watched", lambda _: True)  # of systemd: tests/containers/test_machine.py
    window = await site.window()
    await window.log_in(ADMIN)
    page = window.page
    await window.go("/admin/updates")
    assert await window.faults_everywhere() == []
    await page.get_by_label("Version; empty").fill("0.0.0")
    await page.get_by_role("button", name="Update now").click()
    await page.get_by_role("alert").wait_for()
    assert await window.faults_everywhere() == []
    await page.get_by_label("Version; empty").fill("99.0.0")
    await page.get_by_role("button", name="Update now").click()
    await page.get_by_text("An update to 99.0.0 waits").wait_for()
    assert await window.faults_everywhere() == []
    await page.get_by_role("button", name="Take it back").click()
    await page.get_by_role("button", name="Update now").wait_for()


async def test_every_page_of_the_upkeep_is_usable_by_everybody(site):
    window = await site.window()
    await window.log_in(ADMIN)
    faults = {}
    for path in PLACES:
        answer = await window.go(path)
        assert answer.status == 200, path
        if found := await window.faults_everywhere():
            faults[path] = found
    assert faults == {}


async def test_a_message_that_was_lost_comes_back_from_a_backup(site):
    house = site.house
    store = house.mailboxes.of(await owner(house))
    snapshot = await store.snapshot("INBOX")
    await store.expunge(snapshot.mailbox.mailbox_id, UidSet.of(list(snapshot.uids)[:1]), only_deleted=False)
    window = await site.window()
    page = window.page
    await window.log_in(ADMIN)
    await window.go("/admin/backups")
    await page.get_by_role("listitem").filter(has=page.locator("code")).get_by_role("link").first.click()
    await page.get_by_text("2 accounts").wait_for()
    await page.get_by_label("Address", exact=True).fill(str(ALICE))
    await page.get_by_role("button", name="Bring it back").click()
    # Nobody loads the page anew: it follows by itself.
    await page.get_by_text("1 message came back").wait_for(timeout=JOB_MS)
    await page.get_by_text("1 message was there still").wait_for()
    await page.get_by_role("button", name="Test this backup now").wait_for()

    hers = await site.window(size="phone")
    await hers.log_in(ALICE)
    await hers.go("/mail")
    await hers.page.get_by_role("link", name="Restored").last.click()
    await hers.page.get_by_text("The boat").first.click()
    await hers.page.get_by_role("heading", name="The boat").wait_for()
    await hers.go("/mail")
    await hers.page.get_by_text("The car").first.wait_for()
    assert await hers.page.get_by_text("The boat").count() == 0  # not put back where she had removed it


async def test_a_backup_is_tested_without_scripts(site):
    window = await site.window(size="phone", has_scripts=False)
    await window.log_in(ADMIN)
    await window.go("/admin/backups/restore")
    await window.page.get_by_role("button", name="Test this backup now").click()
    for _ in range(200):  # each is a whole page, which takes a while itself
        if await window.page.get_by_text("It is under way").count() == 0:
            break
        await window.page.get_by_role("link", name="Look again").click()
    await window.page.get_by_text("Everything could be opened and read").wait_for()


async def test_the_log_is_followed_and_taken_away(site):
    window = await site.window()
    page = window.page
    await window.log_in(ADMIN)
    await window.go("/admin/logs?level=error")
    await page.get_by_text("it could not be handed on").wait_for()
    assert await page.get_by_text("a message came").count() == 0
    await page.get_by_label("Follow").check()
    say("error", "a new mishap")
    await page.get_by_text("a new mishap").wait_for()
    assert await page.get_by_label("Follow").is_checked()
    await page.get_by_label("With what the doctor says").uncheck()
    async with page.expect_download() as taken:
        await page.get_by_role("button", name="Take the file").click()
    octets = (await (await taken.value).path()).read_bytes()
    with zipfile.ZipFile(io.BytesIO(octets)) as file:
        text = file.read("mailstead-support/log.txt").decode()
    assert "a new mishap" in text
    assert "bob@" not in text


async def test_a_certificate_is_ordered_and_the_page_says_what_came_of_it(site):
    window = await site.window(size="phone")
    await window.log_in(ADMIN)
    await window.go("/admin/certificates")
    await window.page.get_by_role("button", name="Renew now").click()
    await window.page.get_by_text("It came to nothing").wait_for(timeout=JOB_MS)
    await window.page.get_by_text("needs the web service in clear text").wait_for()
