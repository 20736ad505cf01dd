"""App passwords, second factors and sessions over the API."""

import json
from datetime import timedelta

import pyotp
import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.errors import AuthenticationFailed
from mailstead.model.secret import Secret
from mailstead.ports.clock import SystemClock
from mailstead.services.api.routes import app_passwords, second_factors, sessions
from services.api.asking import PASSWORD, asking, basic
from usecases.coming_in import SecurityKey

ALICE = "alice@example.test"
NEW = "pw-never-in-a-log-new"


class Clock:
    """A clock that tests move."""

    def __init__(self):
        self._clock = SystemClock()
        self.moved_s = 0

    def now(self):
        return self._clock.now() + timedelta(seconds=self.moved_s)

    def monotonic_s(self):
        return self._clock.monotonic_s() + self.moved_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def api(tmp_path, clock):
    endpoints = (*app_passwords.ENDPOINTS, *second_factors.ENDPOINTS, *sessions.ENDPOINTS)
    async with asking(tmp_path, clock=clock, endpoints=endpoints) as made:
        yield made


def bearer(token):
    return f"Bearer {token}"


async def log_in(api, address=ALICE, password=PASSWORD):
    answer = await api.ask("POST", "/v1/sessions", {"address": address, "password": password}, by=None)
    assert answer.status == 200, answer.body
    return answer.json()


async def turn_on(api, clock, token, mail_programs="none"):
    """Give what makes codes, recovery codes, and the session's new token."""
    made = await api.ask(
        "POST", "/v1/second-factors/totp", {"password": PASSWORD, "label": "phone"}, authorization=bearer(token)
    )
    assert made.status == 201, made.body
    totp = pyotp.TOTP(made.json()["secret"])
    confirmed = await api.ask(
        "POST",
        f"/v1/second-factors/totp/{made.json()['id']}",
        {"code": totp.at(int(clock.now().timestamp())), "mail_programs": mail_programs},
        authorization=bearer(token),
    )
    assert confirmed.status == 200, confirmed.body
    clock.moved_s += 30
    told = confirmed.json()
    return totp, told["recovery_codes"], told["session_token"]


async def test_app_passwords_are_made_listed_and_removed(api):
    asked = {"label": "phone", "scopes": ["imap", "api"], "networks": ["127.0.0.0/8"], "expires_at": "2099-01-01"}
    made = await api.ask("POST", "/v1/app-passwords", {**asked, "expires_at": "2099-01-01T00:00:00Z"})
    assert made.status == 201, made.body
    password = made.json()["password"]
    mine = basic(ALICE, password)
    assert (await api.ask("GET", "/v1/app-passwords", authorization=mine)).status == 403  # it manages nothing
    (listed,) = (await api.ask("GET", "/v1/app-passwords")).json()
    assert (listed["scopes"], listed["networks"]) == (["api", "imap"], ["127.0.0.0/8"])
    assert password not in json.dumps(listed)
    assert (await api.ask("DELETE", f"/v1/app-passwords/{listed['id']}")).status == 204
    assert (await api.ask("GET", "/v1/app-passwords", authorization=mine)).status == 401
    for number in (listed["id"], "x", "9" * 40):
        assert (await api.ask("DELETE", f"/v1/app-passwords/{number}")).status == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": ""},
        {"scopes": ["ftp"]},
        {"networks": ["home"]},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"is_admin": True},
    ],
    ids=str,
)
async def test_attack_093_app_passwords_that_cannot_be_are_refused(api, wrong):
    assert (await api.ask("POST", "/v1/app-passwords", {"label": "phone", **wrong})).status == 400
    assert (await api.ask("GET", "/v1/app-passwords")).json() == []


async def test_attack_092_app_passwords_of_others_are_their_administrators_only(api):
    path = "/v1/app-passwords?address=bob@example.test"
    for by in (ALICE, "member", "stranger"):
        assert (await api.ask("GET", path, by=by)).status == 404
        assert (await api.ask("POST", path, {"label": "x"}, by=by)).status == 404
    assert (await api.ask("POST", path, {"label": "x"}, by="domain admin")).status == 201
    assert (await api.ask("GET", "/v1/app-passwords", by="domain admin")).status == 403
    assert (await api.ask("GET", "/v1/app-passwords", by="bob@example.test")).json()[0]["label"] == "x"


async def test_a_session_does_what_its_account_may(api):
    session = await log_in(api)
    token = bearer(session["session_token"])
    assert (await api.ask("GET", "/v1/app-passwords", authorization=token)).status == 200
    (listed,) = (await api.ask("GET", "/v1/sessions", authorization=token, user_agent="x")).json()
    assert (listed["id"], listed["is_present"], listed["has_shown_factor"]) == (session["session_id"], True, False)
    assert session["session_token"] not in json.dumps(listed)
    assert (await api.ask("DELETE", f"/v1/sessions/{session['session_id']}", authorization=token)).status == 204
    assert (await api.ask("GET", "/v1/sessions", authorization=token)).status == 401


async def test_attack_062_wrong_log_ins_are_refused_alike(api):
    answers = []
    for address, password in ((ALICE, "wrong"), ("nobody@example.test", PASSWORD), ("x", "y")):
        answer = await api.ask("POST", "/v1/sessions", {"address": address, "password": password}, by=None)
        answers.append((answer.status, answer.message))
    assert len(set(answers)) == 1
    assert answers[0][0] == 401


async def test_attack_095_from_password_to_session_with_a_second_factor(api, clock):
    first = await log_in(api)
    totp, codes, token = await turn_on(api, clock, first["session_token"])
    assert len(codes) == 10
    assert (await api.ask("GET", "/v1/sessions", authorization=bearer(first["session_token"]))).status == 401
    assert (await api.ask("GET", "/v1/sessions", authorization=bearer(token))).status == 200
    assert (await api.ask("GET", "/v1/app-passwords")).status == 401  # the main password is no more for programs
    asked = await log_in(api)
    assert (asked["session_token"], asked["factors"]) == (None, ["recovery", "totp"])
    given = {"token": asked["factor_token"], "code": "000000"}
    assert (await api.ask("POST", "/v1/sessions/factor", given, by=None)).status == 401
    given["code"] = totp.at(int(clock.now().timestamp()))
    begun = await api.ask("POST", "/v1/sessions/factor", given, by=None)
    assert begun.status == 200, begun.body
    token = bearer(begun.json()["session_token"])
    shown = (await api.ask("GET", "/v1/second-factors", authorization=token)).json()
    assert (shown["is_on"], shown["recovery_codes_left"], shown["has_mailbox"]) == (True, 10, True)
    (factor,) = shown["factors"]
    removed = await api.ask(
        "POST", f"/v1/second-factors/{factor['id']}/remove", {"password": PASSWORD}, authorization=token
    )
    assert removed.status == 204, removed.body
    assert (await api.ask("GET", "/v1/app-passwords")).status == 200


async def test_attack_095_changes_want_the_factor_shown_lately_and_showing_it_gives_a_new_token(api, clock):
    totp, codes, token = await turn_on(api, clock, (await log_in(api))["session_token"])
    clock.moved_s += 3600
    path, asked = "/v1/second-factors/recovery-codes", {"password": PASSWORD}
    assert (await api.ask("POST", path, asked, authorization=bearer(token))).status == 401
    given = {"code": totp.at(int(clock.now().timestamp()))}
    strong = await api.ask("POST", "/v1/sessions/present/factor", given, authorization=bearer(token))
    renewed = strong.json()["session_token"]
    assert (await api.ask("GET", "/v1/sessions", authorization=bearer(token))).status == 401
    made = await api.ask("POST", path, asked, authorization=bearer(renewed))
    assert made.status == 201
    assert not set(made.json()["recovery_codes"]) & set(codes)


async def test_attack_095_the_first_factor_is_not_turned_on_by_surprise(api, clock):
    token = bearer((await log_in(api))["session_token"])
    asked = {"password": PASSWORD}
    refused = await api.ask("POST", "/v1/second-factors/passkeys/options", asked, authorization=token)
    assert refused.status == 400
    assert "app passwords" in refused.message
    asked["mail_programs"] = "app-passwords"
    assert (await api.ask("POST", "/v1/second-factors/passkeys/options", asked, authorization=token)).status == 400
    await api.ask("POST", "/v1/app-passwords", {"label": "phone"})
    assert (await api.ask("POST", "/v1/second-factors/passkeys/options", asked, authorization=token)).status == 200


async def test_a_passkey_is_made_and_logs_in_alone(api):
    origin = "https://mail.example.test"
    key = SecurityKey(origin=origin, rp_id="mail.example.test")
    token = bearer((await log_in(api))["session_token"])
    asked = {"password": PASSWORD, "mail_programs": "none"}
    options = await api.ask("POST", "/v1/second-factors/passkeys/options", asked, authorization=token)
    made = {"response": json.loads(key.register(options.body)), "label": "key", "mail_programs": "none"}
    added = await api.ask("POST", "/v1/second-factors/passkeys", made, authorization=token)
    assert added.status == 201, added.body
    options = await api.ask("POST", "/v1/sessions/passkey/options", by=None)
    answer = {"passkey": json.loads(key.sign(options.body))}
    begun = await api.ask("POST", "/v1/sessions/passkey", answer, by=None)
    assert begun.status == 200, begun.body
    token = bearer(begun.json()["session_token"])
    options = await api.ask("POST", "/v1/sessions/present/passkey-options", authorization=token)
    answer = {"passkey": json.loads(key.sign(options.body))}
    assert (await api.ask("POST", "/v1/sessions/present/factor", answer, authorization=token)).status == 200
    assert (await api.ask("POST", "/v1/sessions/passkey", answer, by=None)).status == 401  # made for another thing


async def test_attack_064_a_new_password_ends_all_other_sessions(api):
    mine, other = await log_in(api), await log_in(api)
    asked = {"old_password": "wrong", "new_password": NEW}
    token = bearer(mine["session_token"])
    assert (await api.ask("PUT", "/v1/password", asked, authorization=token)).status == 401
    asked["old_password"] = PASSWORD
    changed = await api.ask("PUT", "/v1/password", asked, authorization=token)
    assert changed.status == 200, changed.body
    for gone in (mine, other):
        assert (await api.ask("GET", "/v1/sessions", authorization=bearer(gone["session_token"]))).status == 401
    assert (await api.ask("GET", "/v1/sessions", authorization=bearer(changed.json()["session_token"]))).status == 200
    with pytest.raises(AuthenticationFailed):
        await api.house.accounts.log_in(ALICE, Secret(PASSWORD), Peer("127.0.0.1", 1), "imap")


async def test_a_sealed_account_changes_its_password_and_opens_by_the_new_one(api):
    house, alice, peer = api.house, Address.parse(ALICE), Peer("127.0.0.1", 1)
    owner = await house.accounts.log_in(ALICE, Secret(PASSWORD), peer, "imap")
    recovery_key = house.sealed_accounts.new_recovery_key()
    await house.sealed_accounts.seal(owner, alice, Secret(PASSWORD), recovery_key, peer)
    token = bearer((await log_in(api))["session_token"])
    asked = {"old_password": PASSWORD, "new_password": NEW}
    changed = await api.ask("PUT", "/v1/password", asked, authorization=token)
    assert changed.status == 200, changed.body
    await house.accounts.log_in(ALICE, Secret(NEW), peer, "imap")
    assert (await house.sealed_accounts.get(owner, alice)).is_open


async def test_attack_095_tokens_and_app_passwords_change_nothing_of_a_log_in(api):
    made = (await api.ask("POST", "/v1/app-passwords", {"label": "phone"})).json()
    for who in (basic(ALICE, made["password"]), await api.authorization("domain admin")):
        for method, path, content in (
            ("GET", "/v1/second-factors", None),
            ("POST", "/v1/second-factors/totp", {"password": PASSWORD}),
            ("GET", "/v1/sessions", None),
            ("DELETE", "/v1/sessions", None),
            ("PUT", "/v1/password", {"old_password": PASSWORD, "new_password": NEW}),
        ):
            assert (await api.ask(method, path, content, authorization=who)).status == 403, path


async def test_attack_090_a_session_that_is_none_is_refused(api):
    for token in ("msw_", "msw_" + "A" * 43, "msf_AAAA"):
        assert (await api.ask("GET", "/v1/sessions", authorization=bearer(token))).status == 401
    assert (await api.ask("POST", "/v1/sessions/present/factor", {"code": "1"})).status == 401  # no session asks
    given = {"token": "msf_AAAA", "code": "000000"}
    assert (await api.ask("POST", "/v1/sessions/factor", given, by=None)).status == 404
    both = {"token": "msf_AAAA", "code": "1", "passkey": {}}
    assert (await api.ask("POST", "/v1/sessions/factor", both, by=None)).status == 400
