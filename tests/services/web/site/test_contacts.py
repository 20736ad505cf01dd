"""Pages of contacts asked without a browser: the form keeps what it does not know, errors keep what was typed."""

import json
from dataclasses import replace
from urllib.parse import quote, urlencode

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.place import thread_object_id
from mailstead.model.secret import Secret
from mailstead.pim.card_form import Labelled, PostalAddress
from mailstead.pim.card_sheet import CardSheet, PersonName
from mailstead.services.web.site.contact_form import _dated, fields_of, sheet_of
from mailstead.usecases.card_sheets import CardWish
from mailstead.usecases.collections import DEFAULT
from mailstead.usecases.messages import Messages
from mailstead.wiring.house import ADMINISTRATOR
from mailstead.wiring.site_contacts import make_contact_house
from services.web.site.test_rights import OWNER, PASSWORD, asking

SHEET = CardSheet(
    "Ada <b>Lovelace</b>",
    PersonName("Lovelace", "Ada"),
    organisation="Engines & Sons",
    emails=[Labelled("ada@engines.test", "work"), Labelled("ada@home.test")],
    phones=[Labelled("+44 20", "cell")],
    addresses=[PostalAddress("1 Road", "Town", "", "T1", "Land", "home")],
    urls=[Labelled("javascript:alert(1)"), Labelled("https://ada.test/")],
    birthday="--02-29",
    note="one\ntwo",
    groups=["Friends", "Chess"],
)
OTHER = "bob@example.test"


@pytest.fixture
async def site(tmp_path):
    async with asking(tmp_path) as made:
        await made.house.accounts.create(ADMINISTRATOR, Address.parse(OTHER), Secret(PASSWORD))
        account = await made.house.storage.directory.find(Address.parse(OWNER))
        made.actor = Actor(account.account_id, account.address)
        made.contacts = make_contact_house(made.house)
        yield made


@pytest.fixture
async def ada(site):
    return await site.contacts.sheets.create(site.actor, DEFAULT, CardWish(SHEET))


def path_of(shown):
    return f"/contacts/b/{DEFAULT}/{quote(shown.resource.name)}"


def test_what_nobody_changes_in_the_form_stays():
    for sheet in (SHEET, CardSheet("x"), replace(SHEET, birthday="1980-05-17")):
        fields = fields_of(sheet)
        assert _dated(sheet_of(fields), fields, sheet) == replace(
            sheet, emails=list(sheet.emails), phones=list(sheet.phones), addresses=list(sheet.addresses),
            urls=list(sheet.urls), groups=list(sheet.groups),
        )  # fmt: skip


def test_a_birthday_that_the_form_cannot_show_stays():
    before = CardSheet("x", birthday="circa 1800")
    assert _dated(CardSheet("x"), {"day": "", "month": "", "year": ""}, before).birthday == "circa 1800"
    assert _dated(CardSheet("x"), {}, CardSheet("x", birthday="--02-29")).birthday == ""


async def test_a_contact_is_made_changed_and_removed(site):
    status, location, _ = await site.ask(
        "POST", "/contacts/new", OWNER,
        {"book": DEFAULT, "full_name": "Ada King", "email-0": "ada@engines.test", "email-0-type": "work"},
    )  # fmt: skip
    path = location.partition("?")[0]
    assert (status, location) == (303, f"{path}?told=created")
    text = (await site.ask("GET", location, OWNER))[2]
    assert "/mail/write?to=%22Ada%20King%22%20%3Cada%40engines.test%3E" in text
    status, location, _ = await site.ask("POST", f"{path}/edit", OWNER, {"full_name": "Ada King", "etag": "none"})
    assert status == 412
    shown = await site.contacts.sheets.show(site.actor, DEFAULT, path.rpartition("/")[2])
    fields = fields_of(shown.sheet) | {"etag": shown.resource.etag, "title": "Analyst"}
    assert (await site.ask("POST", f"{path}/edit", OWNER, fields))[:2] == (303, f"{path}?told=changed")
    assert (await site.ask("POST", f"{path}/delete", OWNER, {"etag": shown.resource.etag}))[0] == 412
    assert (await site.ask("POST", f"{path}/delete", OWNER))[:2] == (303, "/contacts?told=deleted")
    assert (await site.ask("GET", path, OWNER))[0] == 404


async def test_errors_keep_what_was_typed(site):
    fields = {
        "book": DEFAULT,
        "full_name": "Ada",
        "email-0": "no address",
        "phone-0": "4711",
        "day": "31",
        "month": "2",
    }
    for error, changed in (
        ("no address: ", {}),
        ("That is no day", {"email-0": "ada@x.test"}),
        ("digits", {"year": "80"}),
    ):
        status, _, text = await site.ask("POST", "/contacts/new", OWNER, fields | changed)
        assert status == 400
        for kept in (error, 'value="Ada"', 'value="4711"', 'value="31"', (fields | changed)["email-0"]):
            assert kept in text, error
    status, _, text = await site.ask("POST", "/contacts/new", OWNER, fields | {"more": "email"})
    assert (status, 'id="email-1"' in text, 'value="31"' in text) == (200, True, True)
    assert "Nobody is here yet" in (await site.ask("GET", "/contacts", OWNER))[2]


async def test_two_editors_decide(site, ada):
    fields = fields_of(ada.sheet) | {"etag": ada.resource.etag}
    path = path_of(ada)
    assert (await site.ask("POST", f"{path}/edit", OWNER, fields | {"title": "First"}))[0] == 303
    status, _, text = await site.ask("POST", f"{path}/edit", OWNER, fields | {"title": "Second"})
    assert (status, 'value="Second"' in text) == (412, True)
    now = await site.contacts.sheets.show(site.actor, DEFAULT, ada.resource.name)
    assert (now.sheet.title, f'name="overwrite" value="{now.resource.etag}"' in text) == ("First", True)
    again = fields | {"title": "Second", "overwrite": now.resource.etag}
    assert (await site.ask("POST", f"{path}/edit", OWNER, again))[0] == 303
    assert (await site.contacts.sheets.show(site.actor, DEFAULT, ada.resource.name)).sheet.title == "Second"


async def test_attack_085_what_is_in_a_vcard_is_escaped_and_no_script_behind_a_link(site, ada):
    for path in ("/contacts", path_of(ada), f"{path_of(ada)}/edit", "/contacts?group=Friends"):
        status, _, text = await site.ask("GET", path, OWNER)
        assert (status, "<b>Lovelace" in text, "&lt;b&gt;Lovelace" in text) == (200, False, True), path
        assert 'href="javascript' not in text
    assert 'href="https://ada.test/"' in (await site.ask("GET", path_of(ada), OWNER))[2]


async def test_attack_092_the_contacts_of_others_are_not_there(site, ada):
    path = path_of(ada)
    for method, each in (
        ("GET", path), ("GET", f"{path}/edit"), ("GET", f"{path}/photo"), ("GET", f"{path}/contact.vcf"),
        ("POST", f"{path}/edit"), ("POST", f"{path}/delete"), ("POST", f"{path}/move"),
    ):  # fmt: skip
        assert (await site.ask(method, each, OTHER))[0] == 404, each
    assert "Lovelace" not in (await site.ask("GET", "/contacts?q=ada", OTHER))[2]
    assert json.loads((await site.ask("GET", "/contacts/complete?q=ada", OTHER))[2]) == []
    assert (await site.ask("GET", "/contacts/complete?q=ada"))[:2] == (
        303,
        "/log-in?then=%2Fcontacts%2Fcomplete%3Fq%3Dada",
    )


async def test_who_may_be_meant_is_told_as_it_is_written(site, ada):
    status, _, text = await site.ask("GET", "/contacts/complete?q=ada%20%3C", OWNER)
    assert (status, [each["address"] for each in json.loads(text)]) == (200, ["ada@engines.test", "ada@home.test"])
    assert json.loads(text)[0]["text"] == '"Ada <b>Lovelace</b>" <ada@engines.test>'


async def test_books_are_shared_and_taken_off_the_list(site, ada):
    status, location, _ = await site.ask("POST", "/contacts/books", OWNER, {"title": "Club"})
    book = location.partition("?")[0]
    assert status == 303
    for address, wanted in ((OTHER, 303), ("nobody@example.test", 404), ("nonsense", 400)):
        fields = {"verb": "share", "address": address, "access": "read"}
        status, _, text = await site.ask("POST", book, OWNER, fields)
        assert (status, status == 303 or f'value="{address}"' in text) == (wanted, True)
    assert OTHER in (await site.ask("GET", book, OWNER))[2]
    name = next(each.name for each in await site.contacts.index.books(await _actor(site, OTHER)) if each.share)
    assert f"(of {OWNER})" in (await site.ask("GET", "/contacts/books", OTHER))[2]
    made = await site.contacts.sheets.create(site.actor, book.rpartition("/")[2], CardWish(CardSheet("Bob")))
    bob = f"/contacts/b/{name}/{made.resource.name}"
    text = (await site.ask("GET", bob, OTHER))[2]
    assert ("only for reading" in text, "Remove this contact" in text) == (True, False)
    assert (await site.ask("GET", f"{bob}/edit", OTHER))[0] == 403
    assert f'name="book" value="{DEFAULT}"' in (await site.ask("GET", f"/contacts/new?book={name}", OTHER))[2]
    assert (await site.ask("POST", f"/contacts/books/{name}", OTHER, {"verb": "share", "address": OTHER}))[0] == 403
    assert (await site.ask("POST", "/contacts/new", OTHER, {"book": name, "full_name": "x"}))[0] == 403
    assert (await site.ask("POST", f"/contacts/books/{name}", OTHER, {"verb": "delete", "sure": "yes"}))[0] == 303
    assert (await site.ask("POST", book, OWNER, {"verb": "delete"}))[0] == 400
    assert (await site.ask("POST", book, OWNER, {"verb": "delete", "sure": "yes"}))[0] == 303
    assert (await site.ask("GET", book, OWNER))[0] == 404


async def _actor(site, address):
    account = await site.house.storage.directory.find(Address.parse(address))
    return Actor(account.account_id, account.address)


async def test_long_lists_come_in_pages(site):
    cards = b"".join(
        f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u{each}\r\nFN:P{each:03}\r\nN:;;;;\r\nEND:VCARD\r\n".encode()
        for each in range(120)
    )
    await site.contacts.sheets.import_all(site.actor, DEFAULT, cards)
    text = (await site.ask("GET", "/contacts?page=2", OWNER))[2]
    assert ("P050" in text, "P049" in text, "Page 2 of 3" in text) == (True, False, True)
    for page in ("0", "x", "-1", "9999999"):
        assert (await site.ask("GET", f"/contacts?page={page}", OWNER))[0] == 400


async def test_the_sender_of_a_message_is_led_to(site, ada):
    for sender, wanted in (
        ("Ada <ADA@engines.test>", path_of(ada)),
        ("Bob B. <bob@else.test>", "/contacts/new?email=bob%40else.test&name=Bob+B."),
        ("nobody", "/contacts/new"),
        ("", "/contacts/new"),
    ):
        assert (await site.ask("GET", f"/contacts/of?{urlencode({'from': sender})}", OWNER))[:2] == (303, wanted)
    text = (await site.ask("GET", "/contacts/new?email=bob%40else.test&name=Bob+B.", OWNER))[2]
    assert ('value="bob@else.test"' in text, 'value="Bob B."' in text) == (True, True)


async def test_a_group_tells_its_members_and_is_written_to(site, ada):
    group = (
        "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:g\r\nFN:Engineers\r\nN:Engineers;;;;\r\nX-ADDRESSBOOKSERVER-KIND:group\r\n"
        f"X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:{ada.resource.facts.uid}\r\nEND:VCARD\r\n"
    )
    await site.contacts.sheets.import_all(site.actor, DEFAULT, group.encode())
    text = (await site.ask("GET", f"/contacts/b/{DEFAULT}/g.vcf", OWNER))[2]
    assert ("&lt;b&gt;Lovelace" in text, "Write to all" in text, "%3Cada%40engines.test%3E" in text) == (
        True,
        True,
        True,
    )


async def test_a_group_is_made_and_filled_by_pages(site, ada):
    for fields, wanted in (({"book": DEFAULT, "name": " "}, 400), ({"book": "nowhere", "name": "Chess"}, 404)):
        assert (await site.ask("POST", "/contacts/new-group", OWNER, fields))[0] == wanted
    status, location, _ = await site.ask("POST", "/contacts/new-group", OWNER, {"book": DEFAULT, "name": "<i>Chess"})
    path = location.partition("?")[0]
    assert (status, path.endswith("/members")) == (303, True)
    text = (await site.ask("GET", f"{path}?q=lovelace", OWNER))[2]
    assert ("&lt;b&gt;Lovelace" in text, "&lt;i&gt;Chess" in text, "<i>" in text) == (True, True, False)
    assert "Nobody else is found" in (await site.ask("GET", f"{path}?q=nobody", OWNER))[2]
    for fields, wanted in (
        ({"verb": "add"}, 400), ({"verb": "remove"}, 400), ({"verb": "x"}, 400), ({"verb": "add", "card-0": ada.resource.name}, 303),
        ({"verb": "rename", "name": "Late", "etag": "old"}, 412),
    ):  # fmt: skip
        assert (await site.ask("POST", path, OWNER, fields))[0] == wanted, fields
    offered = json.loads((await site.ask("GET", "/contacts/complete?q=chess", OWNER))[2])
    assert [each["text"] for each in offered] == ['"Ada <b>Lovelace</b>" <ada@engines.test>']
    assert (await site.ask("POST", path, OWNER, {"verb": "remove", "member-0": f"urn:uuid:{ada.card.uid}"}))[0] == 303
    assert "Nobody yet" in (await site.ask("GET", path, OWNER))[2]
    assert (await site.ask("GET", f"{path_of(ada)}/members", OWNER))[0] == 400
    for method in ("GET", "POST"):
        assert (await site.ask(method, path, OTHER, {"verb": "add"} if method == "POST" else None))[0] == 404


async def test_contacts_are_set_side_by_side_and_merged(site, ada):
    other = await site.contacts.sheets.create(
        site.actor, DEFAULT,
        CardWish(CardSheet("Countess <b>", birthday="1815-12-10", emails=[Labelled("ADA@engines.test"), Labelled("c@x.test")])),
    )  # fmt: skip
    text = (await site.ask("GET", "/contacts/duplicates", OWNER))[2]
    assert (path_of(ada) in text, path_of(other) in text, "the same mail address" in text) == (True, True, True)
    text = (
        await site.ask(
            "GET", f"/contacts/merge?{urlencode({'card': [path_of(ada), path_of(other)]}, doseq=True)}", OWNER
        )
    )[2]
    for shown in (
        "Countess &lt;b&gt;",
        "29 February",
        "10 December 1815",
        "c@x.test",
        ada.resource.etag,
        other.resource.etag,
    ):
        assert shown in text
    assert ("<b>" in text, text.count('name="choice-name"'), 'name="choice-organisation"' in text) == (False, 2, False)
    fields = {"book": DEFAULT, "keep": "1", "choice-name": "0", "choice-birthday": "1"}
    fields |= {"card-0": ada.resource.name, "etag-0": ada.resource.etag, "card-1": other.resource.name}
    status, _, text = await site.ask("POST", "/contacts/merge", OWNER, fields | {"etag-1": "old"})
    assert (status, "Nothing is merged yet" in text, other.resource.etag in text) == (412, True, True)
    fields["etag-1"] = other.resource.etag
    assert (await site.ask("POST", "/contacts/merge", OTHER, fields))[0] == 404
    assert (await site.ask("POST", "/contacts/merge", OWNER, fields))[:2] == (303, f"{path_of(other)}?told=merged")
    found = (await site.contacts.sheets.show(site.actor, DEFAULT, other.resource.name)).sheet
    assert (found.full_name, found.birthday, found.organisation) == (SHEET.full_name, "1815-12-10", SHEET.organisation)
    assert [each.value for each in found.emails] == ["ADA@engines.test", "c@x.test", "ada@home.test"]
    assert (await site.ask("GET", path_of(ada), OWNER))[0] == 404
    assert "No two contacts" in (await site.ask("GET", "/contacts/duplicates", OWNER))[2]


async def test_what_cannot_be_merged_is_told(site, ada):
    one = path_of(ada)
    for chosen, wanted in (
        ([], 200), ([one], 400), ([one, one], 400), ([one, "/contacts/b/other/x.vcf"], 400), ([one, one + "x"], 404),
        (["nonsense", "nonsense"], 400), ([f"{one}{number}" for number in range(99)], 400),
    ):  # fmt: skip
        url = f"/contacts/merge?{urlencode({'card': chosen}, doseq=True)}"
        assert (await site.ask("GET", url, OWNER))[0] == wanted, chosen
    for fields in ({}, {"book": DEFAULT}, {"book": DEFAULT, "card-0": ada.resource.name, "keep": "x"}):
        assert (await site.ask("POST", "/contacts/merge", OWNER, fields))[0] == 400
    assert (await site.ask("GET", one, OWNER))[0] == 200


async def test_paper_shows_the_text_alone_and_nobody_elses(site):
    messages = Messages(site.house.mailboxes)
    head = b"From: Bob <b>bold</b> <bob@else.test>\r\nSubject: <i>Hi\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n"
    octets = head + b"<p>Yes<script>alert(1)</script> &lt;b&gt;really&lt;/b&gt;</p><style>h1{display:none}</style>"
    view = await messages.append(site.actor, "INBOX", octets, [])
    for path in (f"/mail/m/{view.place.object_id}/print", f"/mail/c/{thread_object_id(view.record.thread_id)}/print"):
        status, _, text = await site.ask("GET", path, OWNER)
        assert (status, "Yes &lt;b&gt;really&lt;/b&gt;" in text, "&lt;i&gt;Hi" in text) == (200, True, True)
        for never in ("alert(1)", "<b>", "<i>", "display:none"):
            assert never not in text
        assert (await site.ask("GET", path, OTHER))[0] == 404
