"""Mail is brought from another server of ours, a process of its own on loopback, by the page: looked at, begun, ended."""

import asyncio
import contextlib
import imaplib

import pytest
import pytest_asyncio

from mailstead.config.settings import Relay
from mailstead.model.envelope import Peer
from mailstead.model.people import Listing
from mailstead.model.search import Everything
from mailstead.model.secret import Secret
from mailstead.usecases.message_views import MessageQuery
from mailstead.usecases.messages import Messages
from system.browser import ALICE, IN_ONE_BROWSER, LIMIT_MS, open_site
from system.browser import PASSWORD as PASSWORD_HERE
from system.certificates import Authority
from system.server import ALICE as THERE
from system.server import PASSWORD, Server, tls_context

pytestmark = IN_ONE_BROWSER

COUNT = 5
PEER = Peer("127.0.0.1", 1, tls_version="TLSv1.3")


@pytest.fixture
def provider(tmp_path):
    """The other server, with mail in two mailboxes."""
    authority = Authority(tmp_path / "authority")
    pair = authority.pair("127.0.0.1")
    (tmp_path / "there").mkdir()
    made = Server(
        tmp_path / "there",
        {"MAILSTEAD_TLS_CERTIFICATE_FILE": str(pair.certificate), "MAILSTEAD_TLS_KEY_FILE": str(pair.key)},
    )
    made.prepare(THERE)
    made.start()
    made.authority = authority
    with imaplib.IMAP4_SSL("127.0.0.1", made.port["imaps"], ssl_context=tls_context()) as imap:
        imap.login(THERE, PASSWORD)
        imap.create("Letters")
        for number in range(COUNT):
            octets = f"Subject: Mail {number}\r\nMessage-ID: <{number}@there.test>\r\n\r\nText {number}\r\n".encode()
            assert imap.append("INBOX" if number else "Letters", "", None, octets)[0] == "OK"
    yield made
    made.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path, provider, browser):
    relay = Relay(allows_private_addresses=True, ca_file=str(provider.authority.file))
    async with open_site(tmp_path / "here", browser, relay=relay) as site:
        stop = asyncio.Event()
        working = asyncio.create_task(site.house.import_work.run(stop))
        yield site
        stop.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(working, 10)


async def test_mail_is_brought_from_another_server(site, provider):
    window = await site.window(size="phone")
    page = window.page
    await window.log_in(ALICE)
    await window.go("/me/import")
    await page.get_by_label("Server there").fill(f"127.0.0.1:{provider.port['imaps']}")
    await page.get_by_label("Name to log in with there").fill(THERE)
    await page.get_by_label("Password there").fill("wrong")
    await page.get_by_role("button", name="Look what is there").click()
    await page.get_by_role("alert").wait_for()
    assert await page.get_by_label("Name to log in with there").input_value() == THERE
    await page.get_by_label("Password there").fill(PASSWORD)
    await page.get_by_role("button", name="Look what is there").click()
    await page.get_by_role("group", name="What is taken").wait_for()
    assert await page.get_by_text(f"INBOX → INBOX {COUNT - 1} messages").count() == 1
    assert await page.get_by_text("Letters → Letters 1 message").count() == 1
    assert await window.faults() == []
    await page.get_by_label("Password there").fill(PASSWORD)
    await page.get_by_role("button", name="Begin").click()
    ended = page.get_by_text("It has ended")
    async with asyncio.timeout(LIMIT_MS / 1000):
        while not await ended.count():  # another page looks by itself; this one is asked again
            await window.go("/me/import")
    await page.get_by_text(f"{COUNT} of {COUNT} messages").wait_for()
    assert await window.faults() == []
    begun = await site.house.web_sessions.start(str(ALICE), Secret(PASSWORD_HERE), PEER, "tests")
    found = await Messages(site.house.mailboxes).find(begun.actor, MessageQuery(Everything()), Listing())
    assert found.item_count == COUNT
    await page.get_by_role("button", name="Throw the report away").click()
    await page.get_by_label("Server there").wait_for()
    assert PASSWORD not in await page.content()
