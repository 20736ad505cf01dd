"""Messages over the API, and what IMAP sees of them."""

import asyncio
import base64
import json
from pathlib import Path

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.flags import FlagOperation
from mailstead.model.mailbox import INBOX
from mailstead.model.uidset import UidSet
from mailstead.services.api.routes import messages as module
from mailstead.wiring.house import ADMINISTRATOR
from services.api.asking import asking

GOLDEN = Path(__file__).parents[2] / "golden" / "api"
RAW = (
    "From: Ann <ann@far.test>\r\nTo: alice@example.test\r\nSubject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=\r\n"
    "Message-ID: <1@far.test>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0100\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nHello\r\n--b\r\nContent-Type: image/svg+xml\r\n'
    'Content-Disposition: attachment; filename="a.svg"\r\n\r\n<svg/>\r\n--b--\r\n'
)


@pytest.fixture
async def api(tmp_path):
    async with asking(tmp_path) as opened:
        yield opened


async def store_of(api, name="alice"):
    account = await api.house.storage.directory.find(Address.parse(f"{name}@example.test"))
    return api.house.storage.accounts.of(account.account_id)


async def append(api, by="alice@example.test", **fields):
    answer = await api.ask("POST", "/v1/messages", {"raw": RAW, **fields}, by=by)
    assert answer.status == 201, answer.body
    return answer.json()


CHANCE = {"id", "root_id", "folder_id", "created_at", "updated_at", "internal_date"}
"""Fields that another run has otherwise: moments of this day, and uidvalidity in ids."""


def without_chance(value):
    assert value.keys() >= CHANCE
    return {key: each for key, each in value.items() if key not in CHANCE}


async def test_a_message_as_the_reference_has_it(api):
    made = await append(api, flags="\\Seen", labels=["shop", "Work"])
    answer = await api.ask("GET", f"/v1/messages/{made['id']}")
    shown = without_chance(answer.json())
    assert shown == json.loads((GOLDEN / "message.json").read_text())
    assert answer.json()["id"] == answer.json()["root_id"] == made["id"]
    inbox = (await api.ask("GET", "/v1/folders/INBOX")).json()
    assert answer.json()["folder_id"] == inbox["id"]


async def test_which_parts_are_shown(api):
    made = await append(api)
    path = f"/v1/messages/{made['id']}"
    assert (await api.ask("GET", f"{path}?raw=false&attachments=no")).json()["nodemailer"]["attachments"] == []
    assert (await api.ask("GET", f"{path}?nodemailer=0")).json()["raw"] == RAW
    [light] = (await api.ask("GET", "/v1/messages?lightweight=true")).json()
    assert (light["nodemailer"], light["raw"], light["subject"]) == (None, None, "Größe")
    [whole] = (await api.ask("GET", "/v1/messages")).json()
    assert (whole["nodemailer"]["text"], whole["raw"]) == ("Hello", RAW)


async def test_attack_097_a_message_as_it_is_goes_to_a_file_only(api):
    html = "Content-Type: text/html\r\n\r\n<script>alert(1)</script>\r\n"
    made = await append(api, raw=html)
    answer = await api.ask("GET", f"/v1/messages/{made['id']}?eml=true")
    assert answer.body == html.encode()
    assert answer.headers["content-type"] == "message/rfc822"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert (await api.ask("GET", f"/v1/messages/{made['id']}")).headers["content-type"] == "application/json"


async def test_large_messages_come_in_pieces(api, monkeypatch):
    monkeypatch.setattr(module, "WHOLE_OCTETS_MAX", 1000)
    raw = "Subject: large\r\n\r\n" + "x" * 2_500_000
    made = await append(api, raw=raw)
    assert (await api.ask("GET", f"/v1/messages/{made['id']}?eml=1")).body == raw.encode()
    assert (await api.ask("GET", f"/v1/messages/{made['id']}")).json()["raw"] is None


async def test_a_composed_message_is_kept_once_and_its_blind_recipients_stay(api):
    content = base64.b64encode(b"%PDF-").decode()
    draft = {
        "folder": "Entwürfe",
        "flags": ["\\Draft"],
        "to": [{"name": "Bob", "address": "bob@far.test"}, "Ann <ann@far.test>, c@far.test"],
        "bcc": "secret@far.test",
        "subject": "Größe",
        "text": "Dear Bob",
        "html": "<p>Dear Bob</p>",
        "attachments": [{"filename": "a.pdf", "content": content, "encoding": "base64"}],
        "messageId": "draft@example.test",
        "date": "2026-01-01T00:00:00Z",
    }
    first = await api.ask("POST", "/v1/messages", draft)
    assert (first.status, first.json()["folder_path"], first.json()["is_draft"]) == (201, "Entwürfe", True)
    assert (await api.ask("POST", "/v1/messages", draft)).json()["id"] == first.json()["id"]
    shown = (await api.ask("GET", first.headers["location"])).json()["nodemailer"]
    assert shown["from"]["value"][0]["address"] == "alice@example.test"
    assert [each["address"] for each in shown["to"]["value"]] == ["bob@far.test", "ann@far.test", "c@far.test"]
    assert shown["bcc"]["value"][0]["address"] == "secret@far.test"
    assert shown["attachments"][0]["content"] == {"type": "Buffer", "data": list(b"%PDF-")}


async def test_a_draft_gets_another_content_and_another_message_does_not(api):
    draft = await append(api, folder="Drafts", flags="\\Draft")
    changed = await api.ask("PUT", f"/v1/messages/{draft['id']}", {"subject": "new", "text": "newer"})
    assert (changed.status, changed.json()["subject"], changed.json()["is_draft"]) == (200, "new", True)
    assert (await api.ask("GET", f"/v1/messages/{draft['id']}")).status == 404
    other = await append(api)
    assert (await api.ask("PUT", f"/v1/messages/{other['id']}", {"subject": "new"})).status == 400


async def test_what_the_api_does_is_seen_over_imap_and_the_reverse(api):
    store = await store_of(api)
    wakes = []
    account = await api.house.storage.directory.find(Address.parse("alice@example.test"))
    with api.house.mailboxes.watch(Actor(account.account_id, account.address), lambda: wakes.append(1)):
        made = await append(api)
        assert wakes
    snapshot = await store.snapshot(INBOX)
    before = snapshot.mailbox.highestmodseq
    await api.ask("PUT", f"/v1/messages/{made['id']}", {"flags": ["\\Seen"], "labels": "shop"})
    changes = await store.changes_since(snapshot.mailbox.mailbox_id, before)
    [changed] = changes.changed
    assert (changed.uid, changed.flags) == (made["uid"], {"\\Seen", "shop"})
    await store.store_flags(snapshot.mailbox.mailbox_id, UidSet.of([made["uid"]]), FlagOperation.REPLACE, ["\\Flagged"])
    shown = (await api.ask("GET", f"/v1/messages/{made['id']}")).json()
    assert (shown["flags"], shown["labels"], shown["is_unread"]) == (["\\Flagged"], [], True)
    await api.ask("DELETE", f"/v1/messages/{made['id']}")
    assert made["uid"] in (await store.changes_since(snapshot.mailbox.mailbox_id, before)).vanished
    again = await append(api, folder="Archive")
    archive = (await store.snapshot("Archive")).mailbox.mailbox_id
    await store.expunge(archive, UidSet.of([again["uid"]]), only_deleted=False)
    assert (await api.ask("GET", f"/v1/messages/{again['id']}")).status == 404


async def test_a_move_makes_the_folder(api):
    made = await append(api)
    moved = await api.ask("PUT", f"/v1/messages/{made['id']}", {"folder": "New/Deep"})
    assert (moved.status, moved.json()["folder_path"]) == (200, "New/Deep")
    assert (await api.ask("GET", f"/v1/messages/{made['id']}")).status == 404
    assert [each["id"] for each in (await api.ask("GET", "/v1/messages?folder=New/Deep")).json()] == [
        moved.json()["id"]
    ]


CONDITIONS = (
    ("is_unread=true", True),
    ("is_unread=off", False),
    ("is_flagged=yes", False),
    ("is_junk=0&is_searchable=1", True),
    ("is_copied=true", False),
    ("is_expired=false", True),
    ("is_encrypted=true", False),
    ("is_encrypted=false", True),
    ("has_attachments=true", True),
    ("has_attachment=false", False),
    ("subject=GR%C3%96SSE", True),
    ("subject=other", False),
    ("text=hello", True),
    ("body=nothing", False),
    ("q=ann@far", True),
    ("search=hello&q=ann", True),
    ("headers=Message-ID:1@far", True),
    ("headers=X-Nothing", False),
    ("from=Ann", True),
    ("to=bob", False),
    ("list-id=x", False),
    ("message_id=<1@far.test>", True),
    ("min_size=1&max_size=10", False),
    ("min_size=10&max_size=1%20MB", True),
    ("since=2020-01-01", True),
    ("before=2020-01-01T00:00:00Z", False),
    ("folder=INBOX", True),
    ("folder=Nowhere", False),
    ("subject=%ED%9F%BF", False),  # behind it come surrogates
    ("x-spam-flag=%F4%8F%BF%BF", False),
    ("subject=gr", True),
)


async def test_conditions(api):
    await append(api)
    for query, is_found in CONDITIONS:
        answer = await api.ask("GET", f"/v1/messages?lightweight=true&{query}")
        assert answer.status == 200, (query, answer.body)
        assert (answer.headers["x-item-count"] == "1") is is_found, query


REFUSED = (
    ({"raw": RAW, "subject": "both"}, 400),
    ({"raw": RAW, "labels": [f"l{number}" for number in range(11)]}, 403),
    ({"raw": RAW, "labels": ["no spaces)"]}, 400),
    ({"raw": RAW, "folder": "a\u0000b"}, 400),
    ({"raw": RAW, "role": "admin"}, 400),
    ({"to": "nobody", "text": "x"}, 400),
    ({"subject": "a\r\nBcc: x@far.test", "text": "x"}, 400),
    ({"text": "x", "headers": {"Bcc": "x@far.test"}}, 400),
    ({"attachments": [{"path": "/etc/passwd"}]}, 400),
    ({"attachments": [{"href": "http://127.0.0.1/"}]}, 400),
    ({"html": {"path": "/etc/passwd"}}, 400),
    ({"attachments": [{"content": "!!!", "encoding": "base64"}]}, 400),
    ({"attachments": [{"content": {"type": "Buffer", "data": [1, 256]}}]}, 400),
)


async def test_attack_093_what_is_refused_is_not_kept(api):
    for content, status in REFUSED:
        answer = await api.ask("POST", "/v1/messages", content)
        assert answer.status == status, (content, answer.body)
    assert (await api.ask("GET", "/v1/messages")).json() == []


async def test_attack_092_others_messages_are_not_there(api):
    made = await append(api)
    await append(api, by="bob@example.test", raw="Subject: bob's\r\n\r\n")
    for method, content in (("GET", None), ("PUT", {"flags": []}), ("DELETE", None)):
        answer = await api.ask(method, f"/v1/messages/{made['id']}", content, by="bob@example.test")
        shown = answer.json()
        assert answer.status == 404 or shown["subject"] == "bob's"
    assert (await api.ask("GET", f"/v1/messages/{made['id']}")).json()["raw"] == RAW
    assert (await api.ask("GET", "/v1/messages", by="server admin")).status == 401


async def test_ids_that_name_nothing(api):
    for object_id, status in (("1", 400), ("z" * 24, 400), ("f" * 24, 404), ("0" * 24, 404)):
        for method in ("GET", "DELETE"):
            assert (await api.ask(method, f"/v1/messages/{object_id}")).status == status


async def test_attack_072_a_hundred_at_once_go_over_the_quota_by_one_at_most(api):
    quota = 200_000
    address = Address.parse("alice@example.test")
    await api.house.accounts.set_quota(ADMINISTRATOR, address, quota)
    raws = [f"Subject: {number}\r\n\r\n" + "x" * (quota * 9 // 10) for number in range(100)]
    answers = await asyncio.gather(*(api.ask("POST", "/v1/messages", {"raw": raw}) for raw in raws))
    statuses = [each.status for each in answers]
    assert {*statuses} == {201, 403}
    assert statuses.count(201) <= 2
    usage = await (await store_of(api)).usage()
    assert usage.size_octets <= quota + max(map(len, raws))


async def test_the_junk_filter_says_that_it_knows_too_little(api):
    made = await append(api)
    answer = await api.ask("GET", f"/v1/messages/{made['id']}/junk")
    assert answer.json() == {"has_learned": False, "probability": None, "words": []}


async def test_the_junk_filter_explains(api):
    for number in range(6):
        good = f"From: a@b.test\r\nSubject: minutes of meeting {number}\r\n\r\nagenda{number} minutes\r\n"
        made = await append(api, raw=good, folder="Junk")
        await api.ask("PUT", f"/v1/messages/{made['id']}", {"folder": "Archive"})
        junk = f"From: x@y.test\r\nSubject: cheap pills {number}\r\n\r\npills{number} cheap\r\n"
        made = await append(api, raw=junk)
        await api.ask("PUT", f"/v1/messages/{made['id']}", {"folder": "Junk"})
    made = await append(api, raw="From: x@y.test\r\nSubject: cheap pills\r\n\r\ncheap pills\r\n")
    told = (await api.ask("GET", f"/v1/messages/{made['id']}/junk")).json()
    assert told["has_learned"] is True
    assert told["probability"] > 0.9
    assert any("pills" in each["word"] for each in told["words"])
