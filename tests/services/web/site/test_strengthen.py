"""Tokens and passwords of programs are made by who has shown lately who he is; a browser found open does not do."""

import re
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest

from mailstead.model.address import Address
from mailstead.model.secret import Secret
from mailstead.services.web.site.pages import SESSION
from mailstead.usecases.factors import STRONG_FOR
from mailstead.wiring.house import ADMINISTRATOR
from services.web.site.test_rights import ADMIN, OWNER, PASSWORD, PEER, asking

MAKING = {
    "/me/tokens": (ADMIN, {"label": "a program"}, "/me/tokens"),
    "/me/security/app-passwords": (OWNER, {"label": "a program"}, "/me/security"),
    "/me/devices": (OWNER, {"label": "a telephone"}, "/me/devices"),
}
"""Path of the form: who fills it in, with what, and where he goes on."""


@pytest.fixture
async def site(tmp_path):
    async with asking(tmp_path) as made:
        yield made


async def grown_old(site, by):
    """Begin a session that looks as if it had begun before `STRONG_FOR`; give its token."""
    begun = await site.house.web_sessions.start(by, Secret(PASSWORD), PEER, "test")
    old = replace(begun.session, created_at=begun.session.created_at - STRONG_FOR - timedelta(minutes=1))
    token = begun.token.reveal()
    await site.house.storage.factors.remove_sessions(old.owner)
    await site.house.storage.factors.put_session(old, sha256(token.encode()).digest())
    site._tokens[by] = token
    return token


async def made_by(site, by):
    """How many tokens and passwords somebody has."""
    actor = (await site.house.web_sessions.act(Secret(site._tokens[by]), PEER)).actor
    if by == ADMIN:
        return len(await site.house.users.tokens.list(actor))
    return len(await site.house.accounts.list_app_passwords(ADMINISTRATOR, Address.parse(by)))


@pytest.mark.parametrize("path", MAKING)
async def test_a_session_that_began_long_ago_is_asked_for_the_password(site, path):
    by, fields, then = MAKING[path]
    await grown_old(site, by)
    before = await made_by(site, by)
    status, _, text = await site.ask("POST", path, by, fields)
    assert status == 401
    assert f'name="then" value="{then}"' in text
    assert 'name="password" type="password" autocomplete="current-password"' in text
    assert await made_by(site, by) == before
    status, _, text = await site.ask("GET", then, by)
    assert (status, f'action="{path}"' in text) == (200, False)
    assert f'href="/me/strengthen?then={then}"' in text  # instead of a form whose content would be lost


async def test_the_password_leads_back_and_the_form_is_there(site):
    old = await grown_old(site, ADMIN)
    assert (await site.ask("GET", "/me/strengthen?then=/me/tokens", ADMIN))[0] == 200
    status, _, text = await site.ask("POST", "/me/strengthen", ADMIN, {"password": "wrong", "then": "/me/tokens"})
    assert (status, "Authentication failed" in text, 'value="/me/tokens"' in text) == (401, True, True)
    cookies = []
    status, location, _ = await site.ask(
        "POST", "/me/strengthen", ADMIN, {"password": PASSWORD, "then": "/me/tokens"}, cookies=cookies
    )
    assert (status, location) == (303, "/me/tokens")
    (token,) = [found[1] for each in cookies if (found := re.match(f"{SESSION}=([^;]+);", each))]
    assert token != old
    assert (await site.ask("GET", "/me/tokens", ADMIN))[0] == 303  # attack row 90: the old token is good no more
    site._tokens[ADMIN] = token
    assert 'action="/me/tokens"' in (await site.ask("GET", "/me/tokens", ADMIN))[2]
    assert (await site.ask("POST", "/me/tokens", ADMIN, {"label": "a program"}))[0] == 200
    assert await made_by(site, ADMIN) == 1


@pytest.mark.parametrize("then", ["https://evil.example/", "//evil.example", "\\\\evil.example", ""])
async def test_attack_099_it_leads_nowhere_else(site, then):
    status, location, _ = await site.ask("POST", "/me/strengthen", OWNER, {"password": PASSWORD, "then": then})
    assert (status, location) == (303, "/me/security")


@pytest.mark.parametrize("path", ["/me/tokens", "/me/security/app-passwords"])
async def test_who_has_just_come_in_is_not_asked(site, path):
    by, fields, _ = MAKING[path]
    assert (await site.ask("POST", path, by, fields))[0] == 200
