"""Who the caller is, over the API. Spec: reference forwardemail 4.2, 4.10."""

import pytest

from services.api.asking import PASSWORD, asking


@pytest.fixture
async def api(tmp_path):
    async with asking(tmp_path) as made:
        yield made


async def test_a_user_sees_and_changes_himself(api):
    answer = await api.ask("GET", "/v1/account", by="member")
    assert answer.status == 200
    shown = answer.json()
    assert (shown["object"], shown["email"], shown["is_admin"]) == ("user", "member@people.test", False)
    assert "api_token" not in shown
    changed = (await api.ask("PUT", "/v1/account", {"given_name": "Ann", "locale": "de"}, by="member")).json()
    assert (changed["given_name"], changed["locale"], changed["family_name"]) == ("Ann", "de", "")
    assert (await api.ask("GET", "/v1/account", by="member")).json()["given_name"] == "Ann"
    refused = await api.ask("PUT", "/v1/account", {"settings": {"mail": {}}}, by="member")
    assert refused.status == 400
    refused = await api.ask("PUT", "/v1/account", {"email": "admin@people.test"}, by="member")
    assert refused.status == 403


async def test_attack_093_nobody_makes_himself_an_administrator(api):
    for field in ("is_admin", "is_enabled", "id", "plan", "max_quota_per_alias", "storage_quota", "groups"):
        answer = await api.ask("PUT", "/v1/account", {field: True}, by="member")
        assert (answer.status, answer.message) == (400, f"{field}: There is no such field")
        assert (await api.ask("PUT", "/v1/account", {field: True})).status == 400


async def test_the_owner_of_an_account_sees_it_and_keeps_settings(api):
    shown = (await api.ask("GET", "/v1/account")).json()
    assert (shown["object"], shown["name"], shown["email"]) == ("alias", "alice", "alice@example.test")
    assert (shown["domain_name"], shown["has_imap"], shown["settings"]) == ("example.test", True, {})
    assert len(shown["id"]) == len(shown["domain_id"]) == 24
    label = {"name": "Shop", "color": "#aabbcc", "hidden": False, "source": "custom"}
    settings = {"mail": {"sent_folder": "Sent"}, "label_settings": {"$shop": label}}
    assert (await api.ask("PUT", "/v1/account", {"settings": settings})).json()["settings"] == settings
    # One section is set as a whole, the others stay.
    assert (await api.ask("PUT", "/v1/account", {"settings": {"mail": {}}, "locale": "fr"})).status == 200
    shown = (await api.ask("GET", "/v1/account")).json()
    assert (shown["settings"], shown["locale"]) == ({"mail": {}, "label_settings": {"$shop": label}}, "fr")
    assert (await api.ask("PUT", "/v1/account", {"given_name": "A"})).status == 400


@pytest.mark.parametrize(
    "settings",
    [
        {"other": {}},
        {"mail": {"spam_folder": "x"}},
        {"mail": []},
        {"label_settings": {"-bad": {}}},
        {"label_settings": {"a": {"color": "red"}}},
        {"label_settings": {"a": {"source": "else"}}},
        {"label_settings": {"a": {"size": 3}}},
        {"label_settings": {"a": {"hidden": "no"}}},
        {"aliases": {"else": {}}},
        {"aliases": {"defaults": {"x": "y" * 70_000}}},
    ],
)
async def test_settings_that_are_not_kept(api, settings):
    answer = await api.ask("PUT", "/v1/account", {"settings": settings})
    assert answer.status == 400, answer.body
    assert (await api.ask("GET", "/v1/account")).json()["settings"] == {}


async def test_tokens_end_at_once(api):
    assert (await api.ask("DELETE", "/v1/account/api-token")).status == 401
    answer = await api.ask("DELETE", "/v1/account/api-token", by="member")
    assert (answer.status, answer.json()) == (200, {"api_token_disabled": True})
    assert (await api.ask("GET", "/v1/account", by="member")).status == 401


async def test_registration_is_closed(api):
    body = {"email": "new@elsewhere.test", "password": "a long password 1"}
    answer = await api.ask("POST", "/v1/account", body, by=None)
    assert (answer.status, "closed" in answer.message) == (403, True)


async def test_where_registration_is_open_five_a_day(tmp_path):
    async with asking(tmp_path, people=(), terms={"allows_registration": True}) as api:
        body = {"email": "new@elsewhere.test", "password": PASSWORD}
        answer = await api.ask("POST", "/v1/account", body, by=None)
        assert answer.status == 200, answer.body
        token = answer.json()["api_token"]
        shown = await api.ask("GET", "/v1/account", by=None, authorization=f"Bearer {token}")
        assert (shown.json()["email"], shown.json()["is_admin"]) == ("new@elsewhere.test", False)
        assert (await api.ask("POST", "/v1/account", body, by=None)).status == 409
        for _ in range(3):
            assert (await api.ask("POST", "/v1/account", {**body, "password": "x"}, by=None)).status in {400, 409}
        answer = await api.ask("POST", "/v1/account", {**body, "email": "other@elsewhere.test"}, by=None)
        assert answer.status == 429
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["x-ratelimit-limit"] == "5"
        assert answer.headers["x-ratelimit-remaining"] == "0"
        api.address = "::1"
        assert (await api.ask("POST", "/v1/account", body, by=None)).status == 409
