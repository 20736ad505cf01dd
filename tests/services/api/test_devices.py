"""Devices set up over the API, by their owners and who looks after these."""

import json

import pytest

from mailstead.config.settings import Imap, MailListeners
from services.api.asking import asking, basic

ALICE, BOB = "alice@example.test", "bob@example.test"


@pytest.fixture
async def api(tmp_path):
    offered = {"imap": Imap(listen_tls=(":993",)), "submission": MailListeners(listen_tls=(":465",))}
    async with asking(tmp_path, **offered) as api:
        yield api


async def test_a_device_gets_a_password_and_all_that_it_is_set_up_with(api):
    answer = await api.ask("POST", "/v1/devices", {"label": "phone", "name": "Alice"})
    assert answer.status == 201, answer.body
    made = answer.json()
    codes = {code["kind"]: code["text"] for code in made["codes"]}
    assert codes["apple"] == made["link"]
    assert json.loads(codes["thunderbird"])[2][-1] == made["password"]
    token = made["link"].rpartition("/")[2]
    profile = await api.house.storage.memory.recall_all("device links", api.house.clock.now())
    assert len(profile) == 1
    assert token not in profile
    (listed,) = (await api.ask("GET", "/v1/app-passwords")).json()
    assert (listed["id"], listed["label"]) == (made["id"], "phone")


async def test_attack_092_devices_of_others_are_their_administrators_only(api):
    path, asked = f"/v1/devices?address={BOB}", {"label": "phone"}
    assert (await api.ask("POST", path, asked)).status in {403, 404}
    assert (await api.ask("POST", path, asked, by="member")).status in {403, 404}
    assert (await api.ask("POST", path, asked, by="stranger")).status in {403, 404}
    made = await api.ask("POST", path, asked, by="domain admin")
    assert made.status == 201
    with_app_password = basic(BOB, made.json()["password"])
    assert (await api.ask("POST", "/v1/devices", asked, authorization=with_app_password)).status in {401, 403}
    assert len((await api.ask("GET", "/v1/app-passwords", by=BOB)).json()) == 1


@pytest.mark.parametrize("wrong", [{"label": ""}, {"name": "x" * 201}, {"life": 5}], ids=str)
async def test_what_cannot_be_is_refused(api, wrong):
    assert (await api.ask("POST", "/v1/devices", {"label": "phone", **wrong})).status == 400
    assert (await api.ask("GET", "/v1/app-passwords")).json() == []
