"""Who may come in: with each request, over TLS, with passwords that are for calendars and contacts."""

import base64
from dataclasses import replace

import pytest

from mailstead.config.settings import Dav
from mailstead.model.address import Address
from mailstead.model.secret import Secret
from mailstead.wiring.house import ADMINISTRATOR
from services.dav.asking import PASSWORD, asking
from services.dav.test_methods import event

ALICE = Address.parse("alice@example.test")
GUESS = {"authorization": "Basic " + base64.b64encode(b"alice@example.test:pw-never-in-a-log guess").decode()}
CALENDAR = "/dav/alice%40example.test/default/"
EVENT = event()


@pytest.fixture
async def dav(tmp_path):
    async with asking(tmp_path) as found:
        yield found


async def status(dav, password, by="alice@example.test", scheme="Basic"):
    token = base64.b64encode(f"{by}:{password}".encode()).decode()
    return (await dav.ask("PROPFIND", CALENDAR, by="", authorization=f"{scheme} {token}")).status


async def test_app_passwords_for_dav_and_for_all(dav):
    accounts = dav.house.accounts
    for_dav, for_mail, for_all = [
        await accounts.add_app_password(ADMINISTRATOR, ALICE, name, frozenset(scopes))
        for name, scopes in (("calendar", {"dav"}), ("mail", {"imap", "smtp"}), ("all", set()))
    ]
    assert await status(dav, for_dav.secret.reveal()) == 207
    assert await status(dav, for_mail.secret.reveal()) == 401
    assert await status(dav, for_all.secret.reveal()) == 207


async def test_attack_064_what_is_taken_back_is_refused_at_once(dav):
    made = await dav.house.accounts.add_app_password(ADMINISTRATOR, ALICE, "phone", frozenset({"dav"}))
    assert await status(dav, made.secret.reveal()) == 207
    await dav.house.accounts.remove_app_password(ADMINISTRATOR, ALICE, made.app_password.app_password_id)
    assert await status(dav, made.secret.reveal()) == 401
    assert await status(dav, PASSWORD) == 207
    await dav.house.accounts.set_password(ADMINISTRATOR, ALICE, Secret("pw-never-in-a-log new"))
    assert await status(dav, PASSWORD) == 401


@pytest.mark.parametrize("password", ["pw-never-in-a-log:with:colons", "pw-never-in-a-log ünïcode"])
async def test_passwords_with_colons_and_other_letters(dav, password):
    """Spec: RFC 7617 §2, §2.1 (UTF-8, as the challenge says)."""
    await dav.house.accounts.set_password(ADMINISTRATOR, ALICE, Secret(password))
    assert await status(dav, password) == 207
    assert await status(dav, password, scheme="bAsIc") == 207


async def test_the_challenge_names_utf_8(dav):
    answer = await dav.ask("PROPFIND", CALENDAR, by="")
    assert answer.headers["www-authenticate"] == 'Basic realm="Mailstead", charset="UTF-8"'


async def test_a_proxy_may_end_tls(tmp_path):
    async with asking(tmp_path, dav=replace(Dav(), allows_clear_text=True)) as dav:
        dav.address = "192.0.2.7"
        assert await status(dav, PASSWORD) == 207


async def test_attack_061_guessing_is_cut_off_with_a_time_to_wait(dav):
    found = [await dav.ask("PROPFIND", CALENDAR, by="", **GUESS) for _ in range(30)]
    assert [each.status for each in found[:3]] == [401] * 3
    assert found[-1].status == 429
    assert int(found[-1].headers["retry-after"]) > 0
    assert await status(dav, PASSWORD) == 429  # from there, not even with the right one


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site", "origin": "https://mail.example.test"}, 403),
        ({"origin": "https://evil.test"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "none", "origin": "null"}, 201),
        ({"sec_fetch_site": "same-origin", "origin": "https://mail.example.test"}, 201),
        ({"origin": "https://mail.example.test"}, 201),
        ({}, 201),
    ],
)
async def test_attack_089_pages_of_others_post_nothing(dav, fields, status):
    """A form with text/plain can hold XML, and a browser adds the log-in that it remembers."""
    answer = await dav.ask("POST", f"{CALENDAR}?add-member", EVENT, content_type="text/calendar", **fields)
    assert answer.status == status


async def test_attack_089_nobody_is_told_that_other_pages_may_ask(dav):
    asked = {"origin": "https://evil.test", "access_control_request_method": "DELETE"}
    answer = await dav.ask("OPTIONS", CALENDAR, by="", **asked)
    assert not [name for name in answer.headers if name.startswith("access-control-")]
