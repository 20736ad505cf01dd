"""Folders over the API."""

import json
from pathlib import Path

import pytest

from mailstead.model.address import Address
from services.api.asking import asking

GOLDEN = Path(__file__).parents[2] / "golden" / "api"


@pytest.fixture
async def api(tmp_path):
    async with asking(tmp_path) as opened:
        yield opened


async def test_folders_as_the_reference_has_them(api):
    answer = await api.ask("GET", "/v1/folders?limit=100")
    shown = [{key: each for key, each in folder.items() if key != "id"} for folder in answer.json()]
    for folder in shown:
        assert folder.pop("uid_validity") > 0
    assert shown == json.loads((GOLDEN / "folders.json").read_text())
    assert answer.headers["x-item-count"] == str(len(shown))


async def test_a_folder_is_made_renamed_and_removed(api):
    made = await api.ask("POST", "/v1/folders", {"path": "Work/Berlin"})
    assert (made.status, made.json()["name"], made.json()["parent"]) == (201, "Berlin", "Work")
    assert (await api.ask("POST", "/v1/folders", {"path": "Work/Berlin"})).status == 409
    path = made.headers["location"]
    changed = await api.ask("PUT", path, {"path": "Work/Bonn", "retention": 30, "subscribed": False})
    assert (changed.status, changed.json()["path"], changed.json()["retention"]) == (200, "Work/Bonn", 30)
    assert changed.json()["id"] == made.json()["id"]
    by_path = await api.ask("GET", "/v1/folders/Work%2FBonn")
    assert by_path.json() == changed.json()
    assert "Work/Bonn" not in [each["path"] for each in (await api.ask("GET", "/v1/folders?subscribed=1")).json()]
    account = await api.house.storage.directory.find(Address.parse("alice@example.test"))
    store = api.house.storage.accounts.of(account.account_id)
    assert (await store.mailbox("Work/Bonn")).is_subscribed is False
    assert (await api.ask("DELETE", path)).status == 200
    assert (await api.ask("GET", path)).status == 404


async def test_reserved_folders_stay(api):
    for path in ("INBOX", "Sent", "Trash", "Drafts", "Junk"):
        assert (await api.ask("DELETE", f"/v1/folders/{path}")).status == 403
        assert (await api.ask("PUT", f"/v1/folders/{path}", {"path": "Other"})).status == 403
        assert (await api.ask("GET", f"/v1/folders/{path}")).json()["path"] == path


async def test_attack_092_others_folders_are_not_there(api):
    made = (await api.ask("POST", "/v1/folders", {"path": "Mine"})).json()
    assert (await api.ask("GET", "/v1/folders/Mine", by="bob@example.test")).status == 404
    shown = await api.ask("DELETE", f"/v1/folders/{made['id']}", by="bob@example.test")
    assert shown.status == 404
    assert (await api.ask("GET", "/v1/folders/Mine")).status == 200
