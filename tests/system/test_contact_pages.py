"""Contacts in a real browser: made, found, changed, moved, brought out and in; offered in compose; mail on paper."""

import struct
import zlib

import pytest_asyncio

from mailstead.mime.showing.raster import raster
from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.secret import Secret
from mailstead.pim.card_form import Labelled
from mailstead.pim.card_sheet import CardSheet, photo
from mailstead.usecases.card_index import CardQuery
from mailstead.usecases.card_sheets import CardWish
from mailstead.usecases.collections import DEFAULT
from mailstead.usecases.messages import Messages
from mailstead.wiring.house import ADMINISTRATOR
from mailstead.wiring.site_contacts import make_contact_house
from system.browser import IN_ONE_BROWSER, open_site
from system.test_mail_pages import message

pytestmark = IN_ONE_BROWSER

UNTIL_OTHER = """async (octets) => {
  const field = document.getElementById("photo");
  while (field.files[0].size === octets) await new Promise(requestAnimationFrame);
}"""
PASSWORD = "pw-never-in-a-log-of-contacts"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def site(tmp_path_factory, browser):
    async with open_site(tmp_path_factory.mktemp("contacts"), browser) as site:
        site.contacts = make_contact_house(site.house)
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def person(site, request):
    """Somebody of his own for each test, so that they share the server and nothing else."""
    address = Address.parse(f"{request.node.name.replace('_', '-')[:60]}@example.test")
    account = await site.house.accounts.create(ADMINISTRATOR, address, Secret(PASSWORD))
    return Actor(account.account_id, account.address)


@pytest_asyncio.fixture(loop_scope="session")
async def window(site, person):
    """A window in which that person is logged in."""
    window = await site.window()
    await window.log_in(person.address, PASSWORD)
    return window


async def add(site, person, name, *addresses, **more):
    wish = CardWish(CardSheet(name, emails=[Labelled(each) for each in addresses], **more))
    return await site.contacts.sheets.create(person, DEFAULT, wish)


def png(width, height):
    """Give a picture of one colour."""

    def chunk(kind, data):
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x20\x60\xa0" * width) * height
    head = chunk(b"IHDR", struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


async def test_a_contact_without_scripts(site, person):
    window = await site.window(has_scripts=False)
    page = window.page
    await window.log_in(person.address, PASSWORD)
    await page.get_by_role("link", name="Contacts", exact=True).click()
    await page.get_by_text("Nobody is here yet").wait_for()
    await page.get_by_role("link", name="New contact").click()
    await page.get_by_label("Name", exact=True).fill("Ada Lovelace")
    await page.get_by_label("Mail address 1", exact=True).fill("ada@engines.test")
    await page.get_by_role("button", name="One more mail address").click()
    await page.get_by_label("Mail address 2", exact=True).fill("ada at home")
    await page.get_by_label("Kind of mail address 2").select_option("home")
    await page.get_by_label("Telephone number 1", exact=True).fill("+44 20 7946 0958")
    await page.get_by_label("Day", exact=True).fill("10")
    await page.get_by_label("Month", exact=True).select_option("12")
    await page.get_by_label("Groups").fill("Friends, Chess")
    await page.get_by_role("button", name="Save").last.click()
    assert "ada at home" in await page.get_by_role("alert").inner_text()
    assert await page.get_by_label("Mail address 1", exact=True).input_value() == "ada@engines.test"
    await page.get_by_label("Mail address 2", exact=True).fill("ada@home.test")
    await page.get_by_label("Mail address 2", exact=True).press("Enter")  # saves, and adds no row
    await page.get_by_text("The contact is kept.").wait_for()
    assert await page.get_by_text("10 December").count() == 1
    (made,) = (await site.contacts.index.page(person, CardQuery())).cards
    assert made.sheet.emails == [Labelled("ada@engines.test"), Labelled("ada@home.test", "home")]
    await page.get_by_role("link", name="Friends").click()
    await page.get_by_text("Only those of the group").wait_for()
    await page.get_by_role("link", name="Write to ada@engines.test").click()
    assert await page.get_by_label("To", exact=True).input_value() == '"Ada Lovelace" <ada@engines.test>'
    await window.go("/contacts")
    await page.get_by_role("link", name="Ada Lovelace").click()
    await page.get_by_text("Remove this contact").click()
    await page.get_by_role("button", name="Remove", exact=True).click()
    await page.get_by_text("The contact is removed.").wait_for()
    assert (await site.contacts.index.page(person, CardQuery())).count == 0


async def test_every_page_of_contacts_is_usable_by_everybody(site, person, window):
    ada = await add(site, person, "Ada Lovelace", "ada@engines.test", groups=["Friends"], birthday="1815-12-10")
    await add(site, person, "Ada King", "ada@engines.test", note="the same")
    await add(site, person, "김영희", "younghee@seoul.test")
    await site.contacts.sheets.create_book(person, "Chess club")
    path = f"/contacts/b/{DEFAULT}/{ada.resource.name}"
    faults = {}
    for each in ("/contacts", path, f"{path}/edit", "/contacts/books", f"/contacts/books/{DEFAULT}"):
        assert (await window.go(each)).status == 200
        if found := await window.faults_everywhere():
            faults[each] = found
    assert faults == {}
    await window.go(path)
    assert "Ada King" in await window.page.get_by_role("status").inner_text()


async def test_two_windows_and_a_book_of_its_own(site, person, window):
    made = await add(site, person, "Bob", "bob@else.test")
    await site.contacts.sheets.create_book(person, "Club")
    page, path = window.page, f"/contacts/b/{DEFAULT}/{made.resource.name}"
    await window.go(f"{path}/edit")
    await page.get_by_label("Position").fill("Chair")
    await site.contacts.sheets.change(person, DEFAULT, made.resource.name, made.resource.etag, CardWish(
        CardSheet("Bob", emails=made.sheet.emails, note="by another device")))  # fmt: skip
    await page.get_by_role("button", name="Save").last.click()
    assert "has changed this contact meanwhile" in await page.get_by_role("alert").inner_text()
    assert await page.get_by_label("Position").input_value() == "Chair"
    await page.get_by_label("Put mine in place").check()
    await page.get_by_role("button", name="Save").last.click()
    await page.get_by_text("The changes are kept.").wait_for()
    await page.get_by_role("button", name="Move").click()
    await page.get_by_text("It is in this address book now.").wait_for()
    assert await page.get_by_text("Club").count() == 1


async def test_files_go_out_and_in_and_what_is_not_taken_is_told(site, person, window):
    await add(site, person, "Ada Lovelace", "ada@engines.test")
    page = window.page
    await window.go(f"/contacts/books/{DEFAULT}")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="… in vCard 4.0").click()
    octets = (await (await download.value).path()).read_bytes()
    assert (octets.count(b"BEGIN:VCARD"), b"VERSION:4.0" in octets) == (1, True)
    further = b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:b\r\nFN:Bob\r\nN:Bob;;;;\r\nEND:VCARD\r\n"
    old = b"BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=ISO-8859-1;QUOTED-PRINTABLE:;Ren=E9\r\nEND:VCARD\r\n"
    unknown = b"BEGIN:VCARD\r\nVERSION:1.0\r\nFN:Unknown\r\nEND:VCARD\r\n"
    file = {"name": "all.vcf", "mimeType": "text/vcard", "buffer": octets + further + old + unknown}
    await page.get_by_label("Take in a file").set_input_files(file)
    await page.get_by_role("button", name="Take it in").click()
    told = await page.get_by_role("status").inner_text()
    assert ("2 contacts are new." in told, "1 was there" in told, "1 could not be taken" in told) == (True, True, True)
    assert "Contact 4: Only vCard 3.0 and 4.0 are kept" in told
    assert "René" in [each.sheet.full_name for each in (await site.contacts.index.page(person, CardQuery())).cards]


async def test_attack_097_a_photograph_is_made_small_and_shown_through_our_own_address(site, person, window):
    page = window.page
    await window.go("/contacts/new")
    await page.get_by_label("Name", exact=True).fill("Ada")
    file = {"name": "ada.png", "mimeType": "image/png", "buffer": png(1600, 800)}
    await page.get_by_label("Picture").set_input_files(file)
    await page.evaluate(UNTIL_OTHER, len(file["buffer"]))
    await page.get_by_role("button", name="Save").last.click()
    await page.get_by_text("The contact is kept.").wait_for()
    await page.evaluate("document.querySelector('img.face').decode()")
    (made,) = (await site.contacts.index.page(person, CardQuery())).cards
    shown = await site.contacts.sheets.show(person, DEFAULT, made.resource.name)
    kept = raster(photo(shown.card))
    assert (kept.media_type, kept.width, kept.height) == ("image/png", 512, 256)


async def test_recipients_are_offered_by_keyboard_and_pointer(site, person, window):
    await add(site, person, "Ada Lovelace", "ada@engines.test")
    await add(site, person, "Adele Goldberg", "adele@parc.test")
    page = window.page
    await window.go("/mail/write")
    field, listed = page.get_by_role("combobox", name="To", exact=True), page.get_by_role("listbox")
    await field.press_sequentially("ad")
    await listed.wait_for()
    assert await listed.get_by_role("option").count() == 2
    assert await field.get_attribute("aria-expanded") == "true"
    assert await window.faults() == []
    await field.press("ArrowDown")
    active = page.locator("#" + await field.get_attribute("aria-activedescendant"))
    assert "Adele" in await active.inner_text()
    assert await active.get_attribute("aria-selected") == "true"
    await field.press("Enter")
    assert await field.input_value() == '"Adele Goldberg" <adele@parc.test>, '
    assert await listed.count() == 0
    await field.press_sequentially("lovel")
    await listed.get_by_role("option", name="Ada Lovelace").click()
    assert await field.input_value() == '"Adele Goldberg" <adele@parc.test>, "Ada Lovelace" <ada@engines.test>, '
    await field.press_sequentially("ad")
    await listed.wait_for()
    await field.press("Escape")
    await listed.wait_for(state="hidden")
    await field.press("Enter")  # sends nothing by chance
    assert page.url.endswith("/mail/write")
    for _ in "ad":
        await field.press("Backspace")
    await page.get_by_role("button", name="Keep as a draft").click()
    await page.get_by_text("The draft is kept.").wait_for()


async def test_two_contacts_become_one_and_their_group_is_written_to(site, person, window):
    ada = await add(site, person, "Ada Lovelace", "ada@engines.test", organisation="Engines", groups=["Friends"])
    king = await add(site, person, "Ada King", "ADA@engines.test", "countess@home.test", organisation="Lovelace & Co")
    await add(site, person, "Bob", "bob@else.test")
    page = window.page
    await window.go("/contacts/new-group")
    assert await window.faults_everywhere() == []
    await page.get_by_label("Name of the group").fill("Analysts")
    await page.get_by_role("button", name="Make the group").click()
    await page.get_by_text("The group is made").wait_for()
    await page.get_by_role("searchbox", name="Find contacts").fill("king")
    await page.get_by_role("button", name="Find").click()
    await page.get_by_role("checkbox", name="Ada King").check()
    await page.get_by_role("button", name="Put the chosen ones in").click()
    await page.get_by_text("The changes are kept.").wait_for()
    await page.get_by_role("checkbox", name="Bob").check()
    await page.get_by_role("button", name="Put the chosen ones in").click()
    await page.get_by_role("listitem").filter(has_text="bob@else.test").first.wait_for()
    assert await window.faults_everywhere() == []
    await window.go("/contacts")
    await page.get_by_role("link", name="The same person twice?").click()
    assert await window.faults_everywhere() == []
    await page.get_by_role("button", name="Side by side").click()
    await page.get_by_role("heading", name="Merge contacts").wait_for()
    assert await window.faults_everywhere() == []
    await page.get_by_role("radio", name="Ada King").first.focus()
    assert await page.get_by_role("group", name="Organisation").get_by_role("radio").count() == 2
    await page.get_by_role("group", name="Which one stays").get_by_role("radio", name="Ada Lovelace").check()
    await page.get_by_role("group", name="Name", exact=True).get_by_role("radio", name="Ada Lovelace").check()
    await page.get_by_role("group", name="Organisation").get_by_role("radio", name="Lovelace & Co").check()
    await page.get_by_role("button", name="Merge them").click()
    await page.get_by_text("They are one contact now.").wait_for()
    assert page.url.partition("?")[0].endswith(ada.resource.name)
    for text in ("Lovelace & Co", "countess@home.test", "Friends"):
        assert await page.get_by_text(text).count() >= 1, text
    assert king.resource.name not in await page.content()
    await window.go("/mail/write")
    field = page.get_by_role("combobox", name="To", exact=True)
    await field.press_sequentially("analy")
    await page.get_by_role("listbox").wait_for()
    await field.press("Enter")
    assert await field.input_value() == '"Ada Lovelace" <ada@engines.test>, "Bob" <bob@else.test>, '


async def test_contacts_are_chosen_in_the_list_and_another_device_is_quicker(site, person, window):
    ada = await add(site, person, "Ada", "ada@x.test")
    await add(site, person, "Augusta", "augusta@x.test")
    page = window.page
    await window.go("/contacts")
    await page.get_by_role("checkbox", name="Choose Ada to be merged").check()
    await page.get_by_role("checkbox", name="Choose Augusta to be merged").check()
    await page.get_by_role("button", name="Merge the chosen ones").click()
    await page.get_by_role("heading", name="Merge contacts").wait_for()
    await site.contacts.sheets.change(
        person,
        DEFAULT,
        ada.resource.name,
        ada.resource.etag,
        CardWish(CardSheet("Ada", emails=ada.sheet.emails, note="by phone")),
    )
    await page.get_by_role("button", name="Merge them").click()
    assert "Nothing is merged yet" in await page.get_by_role("alert").inner_text()
    assert (await site.contacts.index.page(person, CardQuery())).count == 2
    await page.get_by_text("by phone").first.wait_for()
    await page.get_by_role("button", name="Merge them").click()
    await page.get_by_text("They are one contact now.").wait_for()
    (one,) = (await site.contacts.index.page(person, CardQuery())).cards
    assert ([each.value for each in one.sheet.emails], one.sheet.note) == (["ada@x.test", "augusta@x.test"], "by phone")


async def test_mail_on_paper(site, person, window):
    messages, page = Messages(site.house.mailboxes), window.page
    text = "Dear all,\n\n  * indented\n" + "\n".join(f"Line {number}" for number in range(200))
    await messages.append(person, "INBOX", message("Minutes", text, message_id="m1"), [])
    html = "<p>Yes, <b>agreed</b><script>alert(1)</script></p>"
    answer = message("Re: Minutes", html, sender="Carol <carol@else.test>", reply_to="m1", kind="text/html")
    await messages.append(person, "INBOX", answer, [])
    await window.go("/mail")
    await page.locator(".conversations a").first.click()
    await page.get_by_role("link", name="Print all").click()
    assert await page.get_by_role("article").count() == 2
    assert "  * indented\nLine 0\n" in await page.locator(".words").first.inner_text()
    assert "Yes, agreed" in await page.locator(".words").last.inner_text()
    assert await window.faults_everywhere() == []
    await page.evaluate("window.print = () => { document.body.dataset.printed = 'yes' }")
    await page.get_by_role("button", name="Print", exact=True).click()
    assert await page.evaluate("document.body.dataset.printed") == "yes"
    await page.emulate_media(media="print", color_scheme="dark")
    assert not await page.get_by_role("navigation").first.is_visible()
    assert not await page.get_by_role("button", name="Print", exact=True).is_visible()
    assert await page.evaluate("getComputedStyle(document.querySelector('.words')).color") == "rgb(27, 31, 36)"
    assert (await page.pdf(format="A4")).count(b"/Type /Page\n") > 2
    await page.emulate_media(media="screen")
    await page.get_by_role("link", name="Back to the conversation").click()
    await page.get_by_role("link", name="Print", exact=True).first.click()
    assert await page.get_by_role("article").count() == 1
