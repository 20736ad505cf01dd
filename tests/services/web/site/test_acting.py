"""What forms of the mail pages do, without a script: choosing many, labels, folders, and where one comes back to."""

import re

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.people import Listing
from mailstead.services.web.site.acting import LISTED_MAX, folder_of, with_query
from mailstead.usecases.message_views import MessageQuery
from mailstead.usecases.messages import Messages
from services.web.site.test_rights import MEMBER, OWNER, asking


@pytest.fixture
async def site(tmp_path):
    async with asking(tmp_path) as made:
        account = await made.house.storage.directory.find(Address.parse(OWNER))
        made.actor, made.messages = Actor(account.account_id, account.address), Messages(made.house.mailboxes)
        yield made


async def put(site, number, folder="INBOX", answers=None):
    field = f"In-Reply-To: <{answers}@x.test>\r\nReferences: <{answers}@x.test>\r\n" if answers is not None else ""
    octets = f"From: b@x.test\r\nSubject: S{number}\r\nMessage-ID: <{number}@x.test>\r\n{field}\r\nBody\r\n"
    return (await site.messages.append(site.actor, folder, octets.encode(), [])).place.object_id


async def chosen(site, path="/mail"):
    """Give the fields of the boxes in a list."""
    text = (await site.ask("GET", path, OWNER))[2]
    return dict(re.findall(r'type="checkbox" name="(c-\w+)" value="([^"]+)"', text))


async def act(site, verb, fields, **more):
    return await site.ask("POST", "/mail/act", OWNER, {"verb": verb, **fields, **more})


async def count(site, folder):
    return (await site.messages.find(site.actor, MessageQuery(folder=folder), Listing(limit=1))).item_count


async def test_all_of_a_page_are_chosen_without_a_script(site):
    for number in range(3):
        await put(site, number)
    text = (await site.ask("GET", "/mail?all=yes", OWNER))[2]
    assert len(re.findall(r'name="c-\w+"[^>]* checked>', text)) == 3
    assert "all=yes" in (await site.ask("GET", "/mail", OWNER))[2]
    assert (await act(site, "archive", await chosen(site)))[:2] == (303, "/mail?told=moved")
    assert (await count(site, "INBOX"), await count(site, "Archive")) == (0, 3)
    assert "Moved." in (await site.ask("GET", "/mail?told=moved", OWNER))[2]
    status, location, _ = await act(site, "archive", {}, then="/mail?folder=Work")
    assert (status, location) == (303, "/mail?folder=Work&told=none")
    assert "Choose conversations first" in (await site.ask("GET", location, OWNER))[2]


async def test_ones_own_answers_stay_in_sent(site):
    await put(site, 1)
    await put(site, 2, "Sent", answers=1)
    fields = await chosen(site)
    assert [len(value.split()) for value in fields.values()] == [2]
    await act(site, "archive", fields, then="/mail")
    assert (await count(site, "Archive"), await count(site, "Sent")) == (1, 1)
    await act(site, "trash", await chosen(site, "/mail?folder=Archive"), then="/mail?folder=Archive")
    assert (await count(site, "Trash"), await count(site, "Sent")) == (2, 0)


async def test_of_a_long_conversation_all_goes(site):
    await put(site, 1)
    for number in range(2, LISTED_MAX + 5):
        await put(site, number, answers=1)
    fields = await chosen(site)
    assert [len(value.split()) for value in fields.values()] == [LISTED_MAX]
    await act(site, "archive", fields)
    assert (await count(site, "INBOX"), await count(site, "Archive")) == (0, LISTED_MAX + 4)


async def test_flags_and_labels(site):
    await put(site, 1)
    await act(site, "label", await chosen(site), label="Family")
    await act(site, "flag", await chosen(site))
    text = (await site.ask("GET", "/mail?label=Family", OWNER))[2]
    assert '<span class="chip">Family</span>' in text
    assert "★" in text
    (ids,) = (await chosen(site)).values()
    conversation = re.search(r"/mail/c/(\w+)", text)[1]
    here = f"/mail/c/{conversation}?then=%2Fmail"
    assert "Take the label Family away" in (await site.ask("GET", here, OWNER))[2]
    answer = await site.ask(
        "POST", "/mail/act", OWNER, {"unlabel": "Family", "c-1": ids, "here": here, "then": "/mail"}
    )
    assert answer[1] == f"{here}&told=labelled"
    await site.ask("POST", "/mail/act", OWNER, {"unflag": ids, "then": "/mail"})
    text = (await site.ask("GET", "/mail?label=Family", OWNER))[2]
    assert "★" not in text
    assert await chosen(site, "/mail?label=Family") == {}
    for bad in ("", "(", "\\Seen2", "я" * 200):
        assert (await act(site, "label", await chosen(site), label=bad))[0] == 400


async def test_labels_are_of_any_script(site):
    await put(site, 1)
    await act(site, "label", await chosen(site), label="семья и дом")
    text = (await site.ask("GET", "/mail", OWNER))[2]
    assert '<span class="chip">семья_и_дом</span>' in text
    conversation = re.search(r"/mail/c/(\w+)", text)[1]
    text = (await site.ask("GET", f"/mail/c/{conversation}", OWNER))[2]
    assert "Take the label семья_и_дом away" in text
    (link,) = re.findall(r'href="(/mail\?label=[^"]+)"', text)
    assert link.isascii()
    assert len(await chosen(site, link)) == 1
    await act(site, "unlabel", await chosen(site), label="семья и дом")
    assert await chosen(site, link) == {}


async def test_nothing_is_deleted_for_good_unasked(site):
    await put(site, 1, "Trash")
    fields = await chosen(site, "/mail?folder=Trash")
    status, _, text = await act(site, "delete", fields, then="/mail?folder=Trash")
    assert status == 200
    assert "1 conversation is deleted" in text
    assert await count(site, "Trash") == 1
    assert (await act(site, "delete", fields, then="/mail?folder=Trash", sure="yes"))[0] == 303
    assert await count(site, "Trash") == 0


async def test_attack_092_messages_of_others_are_not_touched(site):
    ids = await put(site, 1)
    for verb, more in (("archive", {}), ("delete", {"sure": "yes"}), ("label", {"label": "x"}), ("read", {})):
        assert (await site.ask("POST", "/mail/act", MEMBER, {"verb": verb, "c-1": ids, **more}))[0] == 403
    assert await count(site, "INBOX") == 1


async def test_attack_099_one_comes_back_to_pages_of_ours(site):
    ids = await put(site, 1)
    for then in ("https://evil.test/", "//evil.test", "/\\evil.test", "javascript:x"):
        location = (await act(site, "read", {"c-1": ids}, then=then, here=then))[1]
        assert location == "/mail"


async def test_folders_are_made_renamed_and_deleted(site):
    assert (await site.ask("POST", "/mail/folders", OWNER, {"path": "Work/Invoices"}))[1] == "/mail/folders?told=made"
    status, _, text = await site.ask("POST", "/mail/folders", OWNER, {"path": "Work//x"})
    assert status == 400
    assert 'value="Work//x"' in text
    assert (await site.ask("POST", "/mail/folders", OWNER, {"path": "Work"}))[0] == 409
    place = re.search(r"/mail/folders/(\w+)", (await site.ask("GET", "/mail/folders", OWNER))[2])[0]
    await put(site, 1, "Work")
    text = (await site.ask("GET", place, OWNER))[2]
    assert "1 message in it is deleted for good" in text
    assert "Work/Invoices" in text
    assert (await site.ask("POST", place, OWNER, {"verb": "delete"}))[0] == 400
    assert await count(site, "Work") == 1
    assert (await site.ask("POST", place, OWNER, {"verb": "rename", "path": "Business"}))[0] == 303
    assert await count(site, "Business") == 1
    assert (await site.ask("POST", place, OWNER, {"verb": "delete", "sure": "yes"}))[0] == 303
    text = (await site.ask("GET", "/mail/folders", OWNER))[2]
    assert "Business/Invoices" in text
    assert (await site.ask("GET", place, OWNER))[0] == 404
    inbox = await site.house.mailboxes.of(site.actor).mailbox("INBOX")
    reserved = f"/mail/folders/{inbox.mailbox_id:08x}{inbox.uidvalidity:08x}00000000"
    assert (await site.ask("POST", reserved, OWNER, {"verb": "delete", "sure": "yes"}))[0] == 403


def test_where_one_comes_back_to():
    assert folder_of("/mail") == "INBOX"
    assert folder_of("/mail?folder=W%26x&told=moved") == "W&x"
    assert folder_of("/mail?q=river") == folder_of("/mail?label=x") == ""
    assert with_query("/mail?folder=W%26x&told=moved", told="deleted") == "/mail?folder=W%26x&told=deleted"
    assert with_query("/mail?all=yes&q=", all="") == "/mail?q="
