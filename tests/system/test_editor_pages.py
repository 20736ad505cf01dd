"""Formatted text in compose, in a real browser: written, pasted, kept, sent, quoted; and plain without scripts."""

import functools
import struct
import zlib
from base64 import b64encode
from dataclasses import replace
from email import message_from_string, policy

import pytest
import pytest_asyncio

from mailstead.model.envelope import Actor
from mailstead.model.people import Listing
from mailstead.usecases.message_views import MessageQuery
from mailstead.usecases.messages import Messages
from mailstead.usecases.own_preferences import OwnPreferences
from system.browser import ADMIN, ALICE, IN_ONE_BROWSER, open_site

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

FILE = """([kind, name, type, octets]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(atob(octets), (each) => each.charCodeAt(0))], name, { type }));
  const rich = document.querySelector("[contenteditable]");
  const place = rich.getBoundingClientRect();
  const at = { clientX: place.left + 20, clientY: place.top + 20, bubbles: true, cancelable: true };
  const paste = () => new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
  rich.dispatchEvent(kind === "paste" ? paste() : new DragEvent("drop", { dataTransfer: data, ...at }));
}"""
LOADED = "each => each.naturalWidth"
CAT = {"name": "cat.png", "mimeType": "image/png"}


def png(side):
    """Give a picture that a browser shows: a red square."""

    def chunk(kind, octets):
        return struct.pack(">I", len(octets)) + kind + octets + struct.pack(">I", zlib.crc32(kind + octets))

    rows = zlib.compress((b"\0" + b"\xc0\x20\x20" * side) * side)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def coded(octets):
    """Give octets for a script."""
    return b64encode(octets).decode()


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


async def shown_images(page, count):
    """Wait until so many images of the text are loaded."""
    await page.wait_for_function(
        """count => {
          const all = [...document.querySelectorAll("[contenteditable] img")];
          return all.length === count && all.every((each) => each.naturalWidth > 0);
        }""",
        arg=count,
    )


def types(draft):
    return [each.get_content_type() for each in message_from_string(draft, policy=policy.SMTP).walk()]


async def test_an_image_is_put_into_the_text_described_sent_and_seen_by_who_gets_it(site):
    window = await site.window()
    page = window.page
    await window.log_in(ALICE)
    await window.go(f"/mail/write?to={ADMIN}&subject=Cats")
    await page.get_by_label("Formatted", exact=True).check()
    rich = page.get_by_role("textbox", name="Text")
    await rich.press("Control+End")
    await page.keyboard.type("Look: ")
    describe = page.get_by_role("button", name="Describe the image")
    assert await describe.get_attribute("aria-disabled") == "true"
    async with page.expect_file_chooser() as choosing:
        await page.get_by_role("button", name="Image", exact=True).press("Enter")
    await (await choosing.value).set_files({**CAT, "buffer": png(40)})
    await shown_images(page, 1)
    field = page.get_by_label("What the image shows")
    await page.locator("#image-words:focus").wait_for()
    await field.fill("A red cat")
    assert await window.faults_everywhere() == []
    await page.keyboard.press("Enter")
    assert not await field.is_visible()
    await page.keyboard.type(" nice")
    assert await rich.locator("img").get_attribute("alt") == "A red cat"

    # by the keyboard, from beside it
    for _ in " nice":
        await page.keyboard.press("ArrowLeft")
    await page.locator("[data-command=describe][aria-disabled=false]").wait_for()
    await describe.focus()
    await page.keyboard.press("Enter")
    await page.keyboard.type(" on a mat")
    assert await field.input_value() == "A red cat on a mat"
    await page.keyboard.press("Escape")
    assert await rich.locator("img").get_attribute("alt") == "A red cat"

    # pasted and dropped
    await rich.press("Control+End")
    await page.evaluate(FILE, ["paste", "image.png", "image/png", coded(png(50))])
    await shown_images(page, 2)
    await page.evaluate(FILE, ["drop", "dog.png", "image/png", coded(png(60))])
    await shown_images(page, 3)
    assert await page.locator("[data-part=files] li").count() == 0
    draft = await draft_of(site)
    assert types(draft).count("image/png") == 3

    # kept, opened again, one deleted
    await page.get_by_role("button", name="Keep as a draft").click()
    await page.get_by_text("The draft is kept.").wait_for()
    await shown_images(page, 3)
    sizes = await rich.locator("img").evaluate_all("all => all.map((each) => each.naturalWidth)")
    assert sorted(sizes) == [40, 50, 60]
    await rich.locator("img").nth(sizes.index(50)).click()
    await page.get_by_role("button", name="Remove the image").click()
    await shown_images(page, 2)
    assert await window.faults() == []
    await page.get_by_role("button", name="Send", exact=True).click()
    await page.get_by_role("heading", name="On its way").wait_for()
    draft = await draft_of(site)
    related = ["multipart/related", "text/html", "image/png", "image/png"]
    assert types(draft) == ["multipart/alternative", "text/plain", *related]
    assert "[A red cat]" in draft
    assert "/mail/write/image" not in draft

    # whoever gets it
    account = await site.house.storage.directory.find(ADMIN)
    await site.messages.append(Actor(account.account_id, ADMIN), "INBOX", draft.encode(), [])
    reader = await site.window(size="phone")
    await reader.log_in(ADMIN)
    await reader.go("/mail")
    await reader.page.locator(".conversations a").click()
    seen = reader.page.frame_locator("iframe").get_by_alt_text("A red cat")
    await seen.wait_for()
    assert await seen.evaluate(LOADED) == 40
    assert await reader.faults() == []

    # and who answers quotes it
    await reader.page.get_by_role("link", name="Answer", exact=True).click()
    await reader.page.get_by_label("Formatted", exact=True).check()
    await shown_images(reader.page, 2)
    quoted = reader.page.get_by_role("textbox", name="Text").locator("blockquote img")
    assert await quoted.count() == 2


@pytest.mark.parametrize(
    ("name", "type_", "octets", "told"),
    [
        ("a.svg", "image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg' onload='top.name=1'/>", "PNG, JPEG, GIF"),
        ("a.png", "image/png", b"<!DOCTYPE html><script>top.name=1</script>", "PNG, JPEG, GIF"),
        ("a.png", "image/png", bytes(3_000_000), "too large"),
    ],
)
async def test_attack_097_what_is_no_image_leaves_nothing_in_the_text(site, name, type_, octets, told):
    window = await site.window()
    page = window.page
    await window.log_in(ALICE)
    await window.go("/mail/write")
    await page.get_by_label("Formatted", exact=True).check()
    rich = page.get_by_role("textbox", name="Text")
    await rich.press("End")
    await page.keyboard.type("Words")
    await page.evaluate(FILE, ["paste", name, type_, coded(octets)])
    alert = page.locator("[data-refused]")
    await alert.wait_for()
    assert told in await alert.inner_text()
    assert await rich.locator("img").count() == 0
    assert await rich.inner_text() == "Words"
    assert await window.faults() == []
