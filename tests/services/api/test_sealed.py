"""Sealed accounts over the API: sealing, looking, unsealing, recovering."""

import asyncio
import json

import pytest

from mailstead.model.address import Address
from mailstead.services.api.routes import aliases, app_passwords, sealed, second_factors, sessions
from services.api.asking import PASSWORD, asking, basic
from services.api.test_security import Clock, bearer, log_in, turn_on

ALICE = "alice@example.test"
NEW = "pw-never-in-a-log-new"
WRONG_KEY = "-".join(["aaaaa"] * 8)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def api(tmp_path, clock):
    modules = (aliases, app_passwords, second_factors, sealed, sessions)
    endpoints = tuple(endpoint for module in modules for endpoint in module.ENDPOINTS)
    async with asking(tmp_path, clock=clock, endpoints=endpoints) as made:
        yield made


async def seal(api, **who):
    answer = await api.ask("POST", "/v1/sealed", {"password": PASSWORD, "understood": True}, **who)
    assert answer.status == 201, answer.body
    return answer.json()["recovery_key"]


async def state(api, **who):
    answer = await api.ask("GET", "/v1/sealed", **who)
    assert answer.status == 200, answer.body
    return answer.json()


async def is_sealed(api):
    return (await api.house.storage.directory.find(Address.parse(ALICE))).is_sealed


async def lock(api):
    account = await api.house.storage.directory.find(Address.parse(ALICE))
    await api.house.unlocking.lock(account.account_id)


def recover(api, key, address=ALICE, new=NEW):
    asked = {"address": address, "recovery_key": key, "new_password": new}
    return api.ask("POST", "/v1/sealed/recover", asked, by=None)


async def test_an_account_is_sealed_shown_and_unsealed(api):
    before = await state(api)
    assert (before["is_sealed"], before["is_open"], before["opened_at"]) == (False, False, None)
    key = await seal(api)
    shown = await state(api)
    assert (shown["is_sealed"], shown["is_open"], shown["has_recovery_key"]) == (True, True, True)
    assert shown["opened_at"]
    assert key not in json.dumps(shown)
    again = await api.ask("POST", "/v1/sealed", {"password": PASSWORD, "understood": True})
    assert (again.status, again.message) == (400, "This account is sealed already")
    assert (await api.ask("POST", "/v1/sealed/unseal", {"password": PASSWORD})).status == 204
    assert not await is_sealed(api)
    assert (await api.ask("POST", "/v1/sealed/unseal", {"password": PASSWORD})).status == 400


@pytest.mark.parametrize("wrong", [{"understood": False}, {"understood": None}, {"yes": True}], ids=str)
async def test_attack_093_nothing_is_sealed_that_was_not_understood(api, wrong):
    assert (await api.ask("POST", "/v1/sealed", {"password": PASSWORD, "understood": True, **wrong})).status == 400
    assert (await api.ask("POST", "/v1/sealed", {"password": PASSWORD})).status == 400
    assert not await is_sealed(api)


async def test_a_wrong_password_seals_unseals_and_renews_nothing(api):
    wrong = {"password": "wrong"}
    assert (await api.ask("POST", "/v1/sealed", {**wrong, "understood": True})).status == 401
    assert not await is_sealed(api)
    key = await seal(api)
    assert (await api.ask("POST", "/v1/sealed/unseal", wrong)).status == 401
    assert (await api.ask("POST", "/v1/sealed/recovery-key", wrong)).status == 401
    assert await is_sealed(api)
    assert (await recover(api, key)).status == 204


async def test_attack_095_app_passwords_and_tokens_change_nothing(api):
    made = (await api.ask("POST", "/v1/app-passwords", {"label": "phone"})).json()["password"]
    asked = {"password": PASSWORD, "understood": True}
    for authorization, status in ((basic(ALICE, made), 403), (await api.authorization("domain admin"), 401)):
        assert (await api.ask("POST", "/v1/sealed", asked, authorization=authorization)).status == status
    assert (await api.ask("POST", "/v1/sealed", {**asked, "password": made})).status == 401
    assert not await is_sealed(api)


async def test_attack_095_with_a_second_factor_it_takes_a_session_that_has_shown_it_lately(api, clock):
    totp, _, token = await turn_on(api, clock, (await log_in(api))["session_token"])
    asked = {"password": PASSWORD, "understood": True}
    assert (await api.ask("POST", "/v1/sealed", asked)).status == 401
    clock.moved_s += 3600
    assert (await api.ask("POST", "/v1/sealed", asked, authorization=bearer(token))).status == 401
    assert not await is_sealed(api)
    given = {"code": totp.at(int(clock.now().timestamp()))}
    strong = await api.ask("POST", "/v1/sessions/present/factor", given, authorization=bearer(token))
    await seal(api, authorization=bearer(strong.json()["session_token"]))
    assert await is_sealed(api)


async def test_attack_064_sealing_ends_sessions(api):
    token = bearer((await log_in(api))["session_token"])
    await seal(api, authorization=token)
    assert (await api.ask("GET", "/v1/sealed", authorization=token)).status == 401


async def test_a_session_sees_that_its_account_is_locked_and_the_password_opens_it(api):
    await seal(api)
    token = bearer((await log_in(api))["session_token"])
    await lock(api)
    shown = await state(api, authorization=token)
    assert (shown["is_sealed"], shown["is_open"], shown["opened_at"], shown["waiting_count"]) == (True, False, None, 0)
    made = await api.ask("POST", "/v1/sealed/recovery-key", {"password": PASSWORD}, authorization=token)
    assert made.status == 201, made.body
    assert (await state(api, authorization=token))["is_open"]
    await lock(api)
    assert (await api.ask("POST", "/v1/sealed/unseal", {"password": PASSWORD}, authorization=token)).status == 204


async def test_a_recovery_key_sets_a_password_until_another_takes_its_place(api):
    first = await seal(api)
    await lock(api)
    assert (await recover(api, first)).status == 204
    assert (await api.ask("GET", "/v1/sealed")).status == 401
    new = basic(ALICE, NEW)
    made = await api.ask("POST", "/v1/sealed/recovery-key", {"password": NEW}, authorization=new)
    assert (await recover(api, first, new=PASSWORD)).status == 401
    assert (await recover(api, made.json()["recovery_key"], new=PASSWORD)).status == 204
    assert (await state(api))["is_sealed"]


async def test_attack_061_recovery_is_refused_after_some_tries_also_at_once(api):
    key = await seal(api)
    api.address = "127.0.0.9"
    answers = await asyncio.gather(*(recover(api, WRONG_KEY) for _ in range(12)))
    assert {answer.status for answer in answers} <= {401, 429, 503}
    assert 429 in {(await recover(api, WRONG_KEY)).status for _ in range(12)}
    late = await recover(api, key)
    assert late.status == 429
    assert "retry-after" in late.headers


async def test_attack_062_recovery_answers_alike_after_the_same_work(api, monkeypatch):
    key = await seal(api)
    passwords, worked, answers = api.house.sealed_accounts._passwords, [], set()
    made = type(passwords).make_sealed_verifier

    async def counted(self, *given):
        worked.append(1)
        return await made(self, *given)

    monkeypatch.setattr(type(passwords), "make_sealed_verifier", counted)
    for address, shown in ((ALICE, WRONG_KEY), (ALICE, "x"), ("bob@example.test", key), ("nobody@example.test", key)):
        answer = await recover(api, shown, address)
        answers.add((answer.status, answer.body))
    assert len(answers) == 1
    assert answers.pop()[0] == 401
    assert len(worked) == 4


async def test_no_administrator_sets_its_password_nor_mails_a_link_for_it(api):
    await seal(api)
    path = "/v1/domains/example.test/aliases/alice/generate-password"
    for asked in ({"is_override": True}, {"emailed_instructions": "x@elsewhere.test", "is_override": True}):
        refused = await api.ask("POST", path, asked, by="domain admin")
        assert refused.status == 400
    linked = {"emailed_instructions": "x@elsewhere.test", "password": PASSWORD}
    refused = await api.ask("POST", path, linked, by="domain admin")
    assert "recovery key" in refused.message
    assert (await state(api))["is_sealed"]
