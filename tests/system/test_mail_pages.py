"""Mail in a real browser: found, read, put away; and what strangers write stays in its frame (attack rows 86, 87)."""

import functools
from dataclasses import replace

import pytest_asyncio

from mailstead.model.address import Address
from mailstead.model.directory import Alias
from mailstead.model.envelope import Actor
from mailstead.model.people import Listing
from mailstead.usecases.message_views import MessageQuery
from mailstead.usecases.messages import Messages
from mailstead.usecases.own_preferences import OwnPreferences
from mailstead.wiring.house import ADMINISTRATOR
from system.browser import ALICE, IN_ONE_BROWSER, open_site

pytestmark = IN_ONE_BROWSER

HOSTILE = """<p>Hello <b>there</b></p>
<script>top.document.title = "owned"; fetch("https://evil.test/script")</script>
<img src="https://evil.test/pixel.png" width="1" height="1" onerror="top.document.title='owned'">
<img src="x" onerror="parent.document.body.innerHTML='owned'">
<svg onload="top.document.title='owned'"><script>top.document.title="owned"</script></svg>
<style>@import url(https://evil.test/a.css); body { background: url(https://evil.test/b.png) }</style>
<link rel="stylesheet" href="https://evil.test/c.css"><meta http-equiv="refresh" content="0;url=https://evil.test/d">
<iframe src="https://evil.test/e"></iframe><form action="https://evil.test/f"><button>Go</button></form>
<a href="javascript:top.document.title='owned'">press</a> <a href="https://evil.test/g">https://bank.test/</a>
<base href="https://evil.test/"><video poster="https://evil.test/h.png"></video>"""


def message(subject, body, *, sender="Bob <bob@else.test>", kind="text/plain", message_id=None, reply_to=None):
    lines = [f"From: {sender}", "To: alice@example.test", f"Subject: {subject}", "MIME-Version: 1.0"]
    lines += [
        f"Message-ID: <{message_id or subject.replace(' ', '-')}@else.test>",
        "Date: Fri, 27 Nov 2026 10:00:00 +0000",
    ]
    lines += [f"In-Reply-To: <{reply_to}@else.test>", f"References: <{reply_to}@else.test>"] if reply_to else []
    if kind == "multipart":
        lines += ['Content-Type: multipart/mixed; boundary="b"', "", "--b", "Content-Type: text/plain", "", body]
        lines += ["--b", "Content-Type: text/html", 'Content-Disposition: attachment; filename="../page.html"', ""]
        lines += ["<script>top.document.title='owned'</script>", "--b--", ""]
    else:
        lines += [f"Content-Type: {kind}; charset=utf-8", "", body, ""]
    return "\r\n".join(lines).replace("\r\n\n", "\r\n").encode()


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path, browser):
    async with open_site(tmp_path, browser) as site:
        account = await site.house.storage.directory.find(ALICE)
        actor, messages = Actor(account.account_id, ALICE), Messages(site.house.mailboxes)
        site.put = lambda octets, folder="INBOX": messages.append(actor, folder, octets, [])
        site.actor = actor
        site.find = lambda folder: site.house.mailboxes.of(actor).mailbox(folder)
        yield site


async def test_conversations_are_read_found_and_put_away(site):
    await site.put(message("Lunch", "Shall we?", message_id="l1"))
    await site.put(message("Re: Lunch", "Yes, at noon by the river", sender="Carol <carol@else.test>", reply_to="l1"))
    await site.put(message("Minutes", "Of the meeting", kind="multipart"))
    window = await site.window(size="phone")
    page = window.page
    await window.log_in(ALICE)
    await page.get_by_role("link", name="Mail", exact=True).click()
    assert await page.locator(".conversations li").count() == 2
    assert await window.faults_everywhere() == []
    assert "Bob, Carol (2)" in await page.locator(".conversations li", has_text="Lunch").inner_text()
    await page.get_by_role("searchbox").fill("river")
    await page.get_by_role("button", name="Find").click()
    await page.wait_for_url("**q=river**")
    await page.get_by_role("link", name="Lunch").first.click()
    assert await window.faults_everywhere() == []
    frames = page.frame_locator("iframe").last
    await frames.get_by_text("Yes, at noon by the river").wait_for()
    assert (await site.find("INBOX")).unseen_count == 1
    await page.get_by_role("link", name="Back to the list").click()
    await page.get_by_role("link", name="Mail", exact=True).click()
    await page.get_by_role("checkbox", name="Choose Lunch").check()
    await page.get_by_role("button", name="Archive").click()
    await page.wait_for_url("**/mail?told=moved")
    assert await page.locator(".conversations li").count() == 1
    await page.get_by_role("link", name="Minutes").first.click()
    async with page.expect_download() as download:
        await page.get_by_role("link", name="page.html").click()
    kept = await download.value
    assert "/" not in kept.suggested_filename
    assert "<script>" in (await kept.path()).read_text()
    await page.get_by_role("button", name="Unread").click()
    await page.wait_for_url("**/mail")
    assert (await site.find("INBOX")).unseen_count == 1


async def test_attack_086_what_strangers_write_stays_in_its_frame(site):
    await site.put(message("Hostile <img src=x onerror=alert(1)>", HOSTILE, kind="text/html"))
    window = await site.window()
    page = window.page
    await window.log_in(ALICE)
    await window.go("/mail")
    assert "<img src=x" in await page.locator(".conversations").inner_text()  # as text
    await page.locator(".conversations a").click()
    await page.frame_locator("iframe").get_by_text("Hello there").wait_for()
    assert "owned" not in await page.title()
    assert await page.get_by_text("not loaded").count() == 1
    assert "evil.test" in await page.get_by_role("alert").first.inner_text()
    frame = page.frames[1]
    assert await frame.evaluate("document.scripts.length + document.forms.length") == 0
    assert await frame.evaluate("window.origin") == "null"
    assert "owned" not in await page.inner_text("body")


async def test_attack_092_messages_of_others_are_not_there(site):
    view = await site.put(message("Secret", "Of Alice"))
    window = await site.window()
    await window.log_in()
    for path in ("frame", "source", "parts/0"):
        answer = await window.go(f"/mail/m/{view.place.object_id}/{path}")
        assert answer.status == 404
        assert "Of Alice" not in await window.page.content()


async def test_an_answer_is_written_kept_sent_and_taken_back(site):
    await site.put(message("Lunch", "Shall we?", message_id="l1", sender='"Bob, the one" <bob@else.test>'))
    window = await site.window(size="phone")
    page = window.page
    await window.log_in(ALICE)
    await window.go("/mail")
    await page.locator(".conversations a").click()
    await page.get_by_role("link", name="Answer", exact=True).click()
    assert await page.get_by_label("To", exact=True).input_value() == '"Bob, the one" <bob@else.test>'
    assert await page.get_by_label("Subject").input_value() == "Re: Lunch"
    assert await page.get_by_label("Text").input_value() == "\n\n> Shall we?"
    assert await window.faults() == []
    await page.get_by_label("Text").fill("Yes, gladly – at noon.")
    await page.get_by_label("Attach files").set_input_files(
        {"name": "map.txt", "mimeType": "text/plain", "buffer": b"x" * 99}
    )
    await page.get_by_role("button", name="Keep as a draft").click()
    await page.get_by_text("The draft is kept.").wait_for()
    assert await page.get_by_label("map.txt").is_checked()
    await page.get_by_role("button", name="Send", exact=True).click()
    await page.get_by_role("button", name="Take it back").wait_for()
    assert await window.faults() == []
    await page.get_by_role("button", name="Take it back").click()
    await page.get_by_text("It was not sent").wait_for()
    assert await page.get_by_label("Text").input_value() == "Yes, gladly – at noon."
    await page.get_by_label("To", exact=True).fill("nobody at all")
    await page.get_by_role("button", name="Send", exact=True).click()
    await page.get_by_role("alert").wait_for()
    assert await page.get_by_label("Text").input_value() == "Yes, gladly – at noon."  # nothing of it is lost
    await page.get_by_label("To", exact=True).fill("admin@example.test")
    await page.get_by_role("button", name="Send", exact=True).click()
    await page.get_by_role("heading", name="On its way").wait_for()
    (draft,) = [each async for each in drafts(site)]
    assert b"In-Reply-To: <l1@else.test>" in draft
    assert b'filename="map.txt"' in draft


async def drafts(site):
    actor = site.actor
    messages = Messages(site.house.mailboxes)
    for view in (await messages.find(actor, MessageQuery(folder="Drafts"), Listing(limit=10))).items:
        (octets,) = await messages.octets(actor, [view])
        yield octets


async def test_a_message_is_sent_on_whole(site):
    await site.put(message("Minutes", "Of the meeting", kind="multipart"))
    window = await site.window()
    page = window.page
    await window.log_in(ALICE)
    await window.go("/mail")
    await page.locator(".conversations a").click()
    await page.get_by_role("link", name="Send on").click()
    assert await page.get_by_label("Subject").input_value() == "Fwd: Minutes"
    await page.get_by_label("To", exact=True).fill("admin@example.test")
    await page.get_by_role("button", name="Send", exact=True).click()
    await page.get_by_role("heading", name="On its way").wait_for()
    (draft,) = [each async for each in drafts(site)]
    assert b"message/rfc822" in draft
    assert b"Of the meeting" in draft


async def test_a_message_rests_and_says_why_it_is_here(site):
    await site.put(message("Lunch", "Shall we?"))
    window = await site.window()
    page = window.page
    await window.log_in(ALICE)
    await window.go("/mail")
    await page.locator(".conversations a").click()
    await page.get_by_role("link", name="Why is this here?").click()
    await page.get_by_text("It did not come by mail").wait_for()
    assert await window.faults() == []
    await page.go_back()
    await page.get_by_text("Let it rest").click()
    await page.get_by_role("button", name="until tomorrow").click()
    await page.wait_for_url("**/mail**told=snoozed")
    assert await page.locator(".conversations li").count() == 0
    assert (await site.find("Snoozed")).message_count == 1


async def test_answers_go_out_from_the_address_that_was_written_to(site):
    await site.house.aliases.add(ADMINISTRATOR, Alias(Address("shop", "example.test"), (ALICE,)))
    octets = message("Order", "Two please").replace(b"To: alice@", b"To: shop@")
    await site.put(octets)
    change = functools.partial(replace, signature="Alice\nMiss A.")
    await OwnPreferences(site.house.storage).change(site.actor, change)
    window = await site.window()
    page = window.page
    await window.log_in(ALICE)
    await window.go("/mail")
    await page.locator(".conversations a").click()
    await page.get_by_role("link", name="Answer", exact=True).click()
    assert await page.get_by_label("From").input_value() == "shop@example.test"
    assert (await page.get_by_label("Text").input_value()).startswith("\n\n-- \nAlice\nMiss A.\n\n> Two please")
    assert await window.faults() == []
    await page.get_by_role("button", name="Send", exact=True).click()
    await page.get_by_role("heading", name="On its way").wait_for()
    (draft,) = [each async for each in drafts(site)]
    assert b"From: shop@example.test" in draft
