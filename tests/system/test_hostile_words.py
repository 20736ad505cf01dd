"""What strangers name and write, on the real pages in Debian's Chromium with scripts on: nothing runs, nothing is loaded.

The same vectors as in `mime.showing.vectors`, as bodies in the reading frame, and as whatever else of a stranger's
words a page shows: subjects, names of senders, attachments, folders and contacts.
"""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from html import escape
from urllib.parse import quote

import pytest
import pytest_asyncio

from mailstead.mime.facts import message_facts
from mailstead.model.envelope import Actor
from mailstead.model.errors import MailsteadError
from mailstead.model.message import NewMessage
from mailstead.pim.card_sheet import CardSheet
from mailstead.usecases.card_sheets import CardWish
from mailstead.usecases.collections import DEFAULT
from mailstead.usecases.folders import Folders
from mailstead.wiring.site_contacts import make_contact_house
from mime.showing import vectors
from system.browser import ALICE, IN_ONE_BROWSER, open_site

pytestmark = [*IN_ONE_BROWSER, pytest.mark.timeout(300)]

URL = "http://t.example/px"
BATCH = 20
NAMES = list(dict.fromkeys(vectors.PLAIN + vectors.MUTATING))
BODIES = [
    *vectors.PLAIN,
    *vectors.MUTATING,
    *(f'<p style="{escape(each)}">x</p>' for each in vectors.DECLARATIONS),
    *(f"<style>{each}</style><p class=x>x <a href='https://x.example/'>y</a>" for each in vectors.SHEETS),
    *(each.format(u=URL, r=URL[5:]) for each in vectors.REMOTE),
]
NOTED = "window.ran = 0; for (const word of ['alert', 'msgbox', 'confirm', 'prompt']) window[word] = () => { window.ran += 1 }"
BEGAN = datetime.now(UTC) - timedelta(days=1)


def word(text):
    """Give an encoded word of RFC 2047, whatever is in the text."""
    return f"=?utf-8?b?{base64.b64encode(text.encode()).decode()}?="


def message(number, *, subject="Hello", sender="Bob", html="", file_names=()):
    """Give one that arrived in its place."""
    lines = [f"From: {word(sender)} <bob{number}@else.test>", "To: alice@example.test", f"Subject: {word(subject)}"]
    lines += [f"Message-ID: <{number}@else.test>", "MIME-Version: 1.0"]
    if file_names:
        lines += ['Content-Type: multipart/mixed; boundary="b"', "", "--b", "Content-Type: text/plain", "", "Hello"]
        for each in file_names:
            lines += ["--b", "Content-Type: text/plain"]
            lines += [f"Content-Disposition: attachment; filename*=utf-8''{quote(each)}", "", "x"]
        lines += ["--b--", ""]
    else:
        body = base64.encodebytes(html.encode()).decode()
        lines += ["Content-Type: text/html; charset=utf-8", "Content-Transfer-Encoding: base64", "", body]
    octets = "\r\n".join(lines).encode()
    return NewMessage(octets, message_facts(octets), BEGAN + timedelta(seconds=number), frozenset())


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def site(tmp_path_factory, browser):
    async with open_site(tmp_path_factory.mktemp("hostile"), browser) as site:
        account = await site.house.storage.directory.find(ALICE)
        site.actor = Actor(account.account_id, ALICE)
        site.store = site.house.storage.accounts.of(account.account_id)
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def window(site):
    """A window that counts what runs; what it loads from elsewhere and says on its console fails the test at its end."""
    window = await site.window()
    await window.page.add_init_script(NOTED)
    await window.log_in(ALICE)
    yield window
    await window.page.context.close()  # its stream of news is one of few that an account may have
    assert not window.complaints, window.complaints


async def ran(window):
    """Give how often something ran in the page, once pointers and keys have set off what waits for them.

    Nothing can run in a frame of its: the browser says on the console that something tried.
    """
    page = window.page
    await page.mouse.move(300, 300)
    await page.mouse.move(600, 412)
    await page.keyboard.press("Tab")
    return await page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => setTimeout(() => done(window.ran), 0)))"
    )


async def complains(window):
    """Tell whether the browser has complained of something that tried to run, and forget it."""
    found, window.complaints[:] = list(window.complaints), []
    return any("Content Security Policy" in each or "Blocked script" in each for each in found)


async def test_what_runs_in_a_page_is_seen(site, window):
    """Without this the other tests could not fail: the page's own policy stops what the markup did not, and says so."""
    reported = site.policy_reports()
    await window.go("/mail")
    await window.page.evaluate("alert(1)")
    assert await ran(window) == 1
    for markup in ("<img src=x onerror=alert(1)>", '<iframe sandbox srcdoc="<script>alert(1)</script>"></iframe>'):
        await window.page.evaluate(f"document.body.insertAdjacentHTML('beforeend', '{markup}')")
        assert await ran(window) == 1
        async with asyncio.timeout(10):
            while not await complains(window):
                await ran(window)
    async with asyncio.timeout(10):
        while site.policy_reports() == reported:
            await ran(window)
    site.provoked = 1


async def test_attack_086_bodies_in_the_reading_frame(site, window):
    """Batches of vectors as messages; each frame as a page shows it, in its sandbox."""
    mailbox_id = "Bodies"
    await Folders(site.house.mailboxes).create(site.actor, mailbox_id)
    batches = ["".join(BODIES[at : at + BATCH]) for at in range(0, len(BODIES), BATCH)]
    await site.store.append(
        mailbox_id, [message(number, subject=f"Batch {number}", html=each) for number, each in enumerate(batches)]
    )
    await window.go(f"/mail?folder={mailbox_id}")
    links = await window.page.locator(".conversations a[href^='/mail/c/']").evaluate_all(
        "all => [...new Set(all.map(one => one.getAttribute('href')))]"
    )
    assert len(links) == len(batches)
    for link in links:
        await window.go(link)
        frame = await window.page.locator("iframe").element_handle()
        shown = await frame.content_frame()
        await shown.wait_for_load_state("load")
        assert await shown.evaluate("window.origin") == "null"
        assert await ran(window) == 0, link


async def test_attack_086_subjects_and_names_of_senders(site, window):
    await site.store.append(
        "INBOX",
        [message(1000 + number, subject=each, sender=each, html="<p>Hello") for number, each in enumerate(NAMES)],
    )
    await window.go("/mail")
    seen, page = 0, window.page
    while True:
        assert await ran(window) == 0
        seen += await page.locator(".conversations > li").count()
        older = page.get_by_role("link", name="Older ones")
        if not await older.count():
            break
        await window.go(await older.get_attribute("href"))
    assert seen == len(NAMES)
    # One as text, to the letter, where a title, a heading, a label and the title of a frame hold it.
    found = page.locator(".conversations a")
    async with asyncio.timeout(30):
        await window.go("/mail?q=" + quote("SCRIPT SRC=http://t.example"))
        while not await found.count():  # the index of texts comes behind so many messages; the page says so
            await page.reload()
    await found.first.click()
    assert "<SCRIPT SRC=http://t.example/x.js></SCRIPT>" in await page.inner_text("h1")
    assert "<SCRIPT SRC=" in await page.title()
    assert await ran(window) == 0


async def test_attack_086_names_of_attachments(site, window):
    """Messages with some files each."""
    await Folders(site.house.mailboxes).create(site.actor, "Files")
    batches = [NAMES[at : at + BATCH] for at in range(0, len(NAMES), BATCH)]
    await site.store.append(
        "Files",
        [message(5000 + at, subject=f"Files {at}", file_names=names) for at, names in enumerate(batches)],
    )
    await window.go("/mail?folder=Files")
    links = await window.page.locator(".conversations a[href^='/mail/c/']").evaluate_all(
        "all => [...new Set(all.map(one => one.getAttribute('href')))]"
    )
    listed = 0
    for link in links:
        await window.go(link)
        listed += await window.page.locator("a[href*='/parts/']").count()
        assert await ran(window) == 0, link
    assert listed == len(NAMES)


async def test_attack_086_names_of_folders(site, window):
    folders, made = Folders(site.house.mailboxes), 0
    for each in NAMES[:200]:
        try:
            await folders.create(site.actor, each.replace("/", "∕"))
            made += 1
        except MailsteadError:
            continue  # a name that no folder may have
    assert made > 100
    for path in ("/mail", "/mail/folders", "/me/filters/edit"):
        await window.go(path)
        assert await ran(window) == 0
        assert "onerror=" in await window.page.content()


async def test_attack_086_names_of_contacts(site, window):
    sheets = make_contact_house(site.house).sheets
    for each in NAMES:
        await sheets.create(site.actor, DEFAULT, CardWish(CardSheet(each, organisation=each, note=each)))
    await window.go("/contacts")
    seen, page, number = 0, window.page, 1
    while await page.locator("a[href^='/contacts/']").count() and seen < len(NAMES) and number < 20:
        assert await ran(window) == 0
        seen += (await page.content()).count("alert(1)")
        number += 1
        await window.go(f"/contacts?page={number}")
    assert seen > len(NAMES) // 2
    await window.go("/contacts?q=" + quote("onerror"))
    await page.locator("main a[href^='/contacts/']").last.click()
    assert await ran(window) == 0
