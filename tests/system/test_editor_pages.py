"""Formatted text in compose, in a real browser: written, pasted, kept, sent, quoted; and plain without scripts."""

import functools
from dataclasses import replace

import pytest
import pytest_asyncio

from mailstead.model.envelope import Actor
from mailstead.model.people import Listing
from mailstead.usecases.message_views import MessageQuery
from mailstead.usecases.messages import Messages
from mailstead.usecases.own_preferences import OwnPreferences
from system.browser import ALICE, IN_ONE_BROWSER, open_site

pytestmark = IN_ONE_BROWSER

FROM_BOB = b"""From: Bob <bob@else.test>
To: alice@example.test
Subject: Plans
Message-ID: <plans@else.test>
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

<p style="color:red">See <b>this</b></p><img src="https://evil.test/p.png"><script>top.name="owned"</script>
""".replace(b"\n", b"\r\n")
PASTE = """([html, text]) => {
  const data = new DataTransfer();
  if (html) data.setData("text/html", html);
  data.setData("text/plain", text);
  const event = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
  document.querySelector("[contenteditable]").dispatchEvent(event);
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path, browser):
    async with open_site(tmp_path, browser) as site:
        account = await site.house.storage.directory.find(ALICE)
        site.actor = Actor(account.account_id, ALICE)
        site.messages = Messages(site.house.mailboxes)
        yield site


async def draft_of(site):
    (view,) = (await site.messages.find(site.actor, MessageQuery(folder="Drafts"), Listing(limit=10))).items
    (octets,) = await site.messages.octets(site.actor, [view])
    return octets.decode()


async def test_formatted_text_is_written_by_keys_kept_and_comes_back(site):
    window = await site.window()
    page = window.page
    await window.log_in(ALICE)
    await window.go("/mail/write?to=bob@else.test&subject=Plans")
    assert not await page.get_by_role("toolbar").is_visible()
    await page.get_by_label("Text").fill("Dear Bob")
    await page.get_by_label("Formatted", exact=True).check()
    rich = page.get_by_role("textbox", name="Text")
    assert await rich.inner_text() == "Dear Bob"
    assert await window.faults_everywhere() == []
    await rich.press("End")
    await rich.press("Enter")
    await rich.press("Control+b")
    await page.keyboard.type("bold")
    bold = page.get_by_role("button", name="Bold")
    assert await bold.get_attribute("aria-pressed") == "true"
    await rich.press("Control+b")
    assert await bold.get_attribute("aria-pressed") == "false"
    await page.keyboard.type(" and ")
    await rich.press("Control+k")
    await page.keyboard.type("else.test/x")
    assert await window.faults() == []
    await page.keyboard.press("Enter")
    await rich.press("End")
    await rich.press("Enter")
    await bold.focus()
    for _ in range(3):
        await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Enter")  # the list
    await page.keyboard.type("one")
    await page.keyboard.press("Enter")
    await page.keyboard.type("two")
    await page.evaluate(
        PASTE,
        ['<p style="color:red" onclick="x()">safe</p><img src="https://evil.test/p.png"><script>1</script>', "safe"],
    )
    shown = await rich.inner_html()
    assert "safe" in shown
    assert not [each for each in ("evil.test", "style", "onclick", "script") if each in shown]
    await page.get_by_role("button", name="Keep as a draft").click()
    await page.get_by_text("The draft is kept.").wait_for()
    draft = await draft_of(site)
    assert "multipart/alternative" in draft
    assert "<b>bold</b>" in draft
    assert '<a href="https://else.test/x">https://else.test/x</a>' in draft.replace("=\r\n", "").replace("=3D", "=")
    assert "- one" in draft
    assert await rich.locator("b").inner_text() == "bold"
    assert await rich.locator("li").count() >= 2
    await page.get_by_label("Formatted", exact=True).uncheck()
    assert "bold and https://else.test/x" in await page.get_by_label("Text").input_value()
    await page.get_by_role("button", name="Keep as a draft").click()
    await page.get_by_text("The draft is kept.").wait_for()
    assert "multipart" not in await draft_of(site)


async def test_attack_086_an_answer_quotes_formatted_mail_safely(site):
    await site.messages.append(site.actor, "INBOX", FROM_BOB, [])
    await OwnPreferences(site.house.storage).change(site.actor, functools.partial(replace, writes_formatted=True))
    window = await site.window(size="phone")
    page = window.page
    await window.log_in(ALICE)
    await window.go("/mail")
    await page.locator(".conversations a").click()
    await page.get_by_role("link", name="Answer", exact=True).click()
    rich = page.get_by_role("textbox", name="Text")
    assert await rich.locator("blockquote b").inner_text() == "this"
    assert await window.faults() == []
    await rich.press("Control+Home")
    await page.keyboard.type("Yes")
    await page.get_by_role("button", name="Send", exact=True).click()
    await page.get_by_role("heading", name="On its way").wait_for()
    draft = await draft_of(site)
    assert "<blockquote><p>See <b>this</b></p>" in draft.replace("=\r\n", "").replace("\r\n", "")
    assert "> See this" in draft
    assert not [each for each in ("evil.test", "color:red", "script", "owned") if each in draft]


async def test_without_scripts_the_plain_field_writes_plain_text(site):
    await OwnPreferences(site.house.storage).change(site.actor, functools.partial(replace, writes_formatted=True))
    window = await site.window(has_scripts=False)
    page = window.page
    await window.log_in(ALICE)
    await window.go("/mail/write")
    await page.get_by_label("To", exact=True).fill("bob@else.test")
    await page.get_by_label("Text").fill("Just so")
    await page.get_by_role("button", name="Keep as a draft").click()
    await page.get_by_text("The draft is kept.").wait_for()
    draft = await draft_of(site)
    assert "Just so" in draft
    assert "multipart" not in draft


@pytest.mark.parametrize("text", ["one line", "two\nlines"])
async def test_plain_text_is_pasted_as_text(site, text):
    window = await site.window()
    page = window.page
    await window.log_in(ALICE)
    await window.go("/mail/write")
    await page.get_by_label("Formatted", exact=True).check()
    await page.evaluate(PASTE, ["", text])
    assert (await page.get_by_role("textbox", name="Text").inner_text()).strip() == text
