"""Snooze and preferences over the API."""

from datetime import timedelta

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Peer
from mailstead.wiring.webmail import make_waking, make_webmail
from services.api.asking import asking
from usecases.conftest import HandClock


@pytest.fixture
async def api(tmp_path):
    async with asking(tmp_path) as opened:
        yield opened


async def append(api, number=1):
    raw = f"From: a@b.test\r\nSubject: s\r\nMessage-ID: <{number}@b.test>\r\n\r\nHello\r\n"
    answer = await api.ask("POST", "/v1/messages", {"raw": raw, "folder": "INBOX", "flags": ["\\Seen"]})
    return answer.json()["id"]


def until(api, **ahead):
    return (api.house.clock.now() + timedelta(**ahead)).isoformat()


async def test_messages_wait_and_are_taken_back(api):
    first, second = await append(api), await append(api, 2)
    made = await api.ask("POST", "/v1/snoozes", {"messages": [first, second], "until": until(api, hours=1)})
    assert made.status == 200
    assert len(made.json()["messages"]) == 2
    listed = await api.ask("GET", "/v1/snoozes?limit=1")
    (shown,) = listed.json()
    assert (listed.headers["x-item-count"], shown["id"], shown["origin"]) == ("2", made.json()["messages"][0], "INBOX")
    in_folder = (await api.ask("GET", "/v1/messages?folder=Snoozed&lightweight=1")).json()
    assert {each["id"] for each in in_folder} == set(made.json()["messages"])
    back = await api.ask("POST", "/v1/snoozes/end", {"messages": made.json()["messages"]})
    assert (await api.ask("GET", f"/v1/messages/{back.json()['messages'][0]}")).json()["folder_path"] == "INBOX"
    again = await api.ask("POST", "/v1/snoozes/end", {"messages": made.json()["messages"]})
    assert again.status == 404


async def test_what_serve_runs_brings_them_back_and_files_what_was_sent(tmp_path):
    clock = HandClock()
    async with asking(tmp_path, clock=clock) as api:
        first = await append(api)
        assert (await api.ask("POST", "/v1/snoozes", {"messages": [first], "until": until(api, hours=1)})).status == 200
        raw = "From: alice@example.test\r\nTo: bob@example.test\r\nSubject: s\r\n\r\nHello\r\n"
        made = await api.ask("POST", "/v1/messages", {"raw": raw, "folder": "Drafts", "flags": ["\\Draft"]})
        account = await api.house.storage.directory.find(Address("alice", "example.test"))
        actor = Actor(account.account_id, account.address)
        await make_webmail(api.house).outbox.send(actor, Peer("192.0.2.1", 1, 443), made.json()["id"], undo_s=10)
        clock.passed_s += 3600
        assert await make_waking(api.house).once() == 2
        shown = {
            each["folder_path"]: each["is_unread"]
            for each in (await api.ask("GET", "/v1/messages?lightweight=1")).json()
        }
        assert shown == {"INBOX": True, "Sent": False}


async def test_a_conversation_waits(api):
    first = await append(api)
    made = await api.ask(
        "POST", "/v1/snoozes", {"messages": [first], "until": until(api, hours=1), "conversation": True}
    )
    assert len(made.json()["messages"]) == 1


async def test_what_cannot_be_is_said(api):
    soon = await api.ask("POST", "/v1/snoozes", {"messages": [await append(api)], "until": until(api, seconds=1)})
    assert soon.status in {400, 422}
    gone = await api.ask("POST", "/v1/snoozes", {"messages": ["0" * 24], "until": until(api, hours=1)})
    assert gone.status == 404
    assert gone.headers["content-type"] == "application/problem+json"


async def test_attack_092_others_messages_are_not_there(api):
    first = await append(api)
    asked = {"messages": [first], "until": until(api, hours=1)}
    assert (await api.ask("POST", "/v1/snoozes", asked, by="bob@example.test")).status == 404


async def test_preferences_of_accounts_and_users(api):
    shown = (await api.ask("GET", "/v1/preferences")).json()
    assert (shown["theme"], shown["undo_seconds"], shown["identities"]) == ("system", 10, {})
    change = {
        "theme": "dark",
        "undo_seconds": 0,
        "time_zone": "Europe/Berlin",
        "identities": {"shop@example.test": {"display_name": "Shop"}},
        "image_senders": ["@example.net"],
    }
    changed = await api.ask("PUT", "/v1/preferences", change)
    assert changed.status == 200
    expected = shown | change | {"identities": {"shop@example.test": {"display_name": "Shop", "signature": None}}}
    assert changed.json() == expected == (await api.ask("GET", "/v1/preferences")).json()
    assert (await api.ask("GET", "/v1/preferences", by="bob@example.test")).json() == shown
    assert (await api.ask("PUT", "/v1/preferences", {"theme": "light"}, by="member")).json()["theme"] == "light"
    assert (await api.ask("GET", "/v1/preferences", by="member")).json()["theme"] == "light"
    assert (await api.ask("GET", "/v1/preferences")).json()["theme"] == "dark"


@pytest.mark.parametrize(
    "wrong",
    [{"theme": "pink"}, {"undo_seconds": 31}, {"time_zone": "Mars/Olympus"}, {"language": "!"}, {"colour": "red"}],
)
async def test_attack_098_preferences_that_cannot_be_are_refused(api, wrong):
    assert (await api.ask("PUT", "/v1/preferences", wrong)).status in {400, 422}
