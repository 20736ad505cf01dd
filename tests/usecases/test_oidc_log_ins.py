"""The log-in by a provider, as use case: how long each half is good, and what it is bound to (attack rows 61, 94)."""

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from mailstead.model.address import Address
from mailstead.model.errors import AuthenticationFailed, PolicyRefused, TooManyFailures
from mailstead.model.people import Listing, owner_of
from mailstead.model.secret import Secret
from mailstead.usecases.oidc_links import OidcLinks
from mailstead.usecases.oidc_log_ins import LIFE, LinkAsked, OidcLogIns
from mailstead.usecases.oidc_provider import OidcProvider, ProviderTerms
from mailstead.usecases.web_sessions import Begun, FactorAsked
from usecases.coming_in import ALICE, PEER, PROGRAM, RIGHT, WRONG, open_coming_in
from usecases.provider import CLIENT_ID, CLIENT_SECRET, REDIRECT_URL, run_provider, web_client

SECOND = timedelta(seconds=1)


@pytest.fixture
async def provider(clock):
    async with run_provider(clock) as provider:
        yield provider


@pytest.fixture
async def web(storage, bus, clock, domains):
    async with open_coming_in(storage, bus, clock) as web:
        yield web


@pytest.fixture
async def alice(web, admin):
    return await web.accounts.create(admin, Address.parse(ALICE), RIGHT)


@pytest.fixture
def links(storage, clock, web, provider):
    return OidcLinks(storage, clock, web.audit, provider.issuer)


@pytest.fixture
def make(storage, clock, provider, web, links):
    """Make the log-ins of a process; of the same house if the key is the same."""

    def make(key=b"oidc" * 8):
        terms = ProviderTerms(provider.issuer, CLIENT_ID, Secret(CLIENT_SECRET), allows_clear_text=True)
        found = OidcProvider(terms, web_client(), clock)
        return OidcLogIns(storage, clock, found, links, web.sessions, key, REDIRECT_URL, "Example Id")

    return make


@pytest.fixture
def log_ins(make):
    return make()


@pytest.fixture
def come_back(provider):
    """Say yes at the provider; give the browser's secret and what it brings."""

    async def come_back(log_ins, subject="alice-1"):
        sent = await log_ins.begin()
        url = provider.consent(sent.url, subject)
        return sent.secret, dict(parse_qsl(urlsplit(url).query))

    return come_back


async def finish(log_ins, secret, answer):
    return await log_ins.finish(secret, answer, PEER, PROGRAM)


async def test_another_process_of_the_house_finishes(make, come_back, alice, web):
    secret, answer = await come_back(make())
    asked = await finish(make(), secret, answer)
    assert isinstance(asked, LinkAsked)
    begun = await make().link(secret, asked.token, ALICE, RIGHT, PEER, PROGRAM)
    assert isinstance(begun, Begun)
    assert begun.actor.account_id == alice.account_id
    assert begun.session.strong_at is None


async def test_attack_094_what_another_house_has_made_is_not_good(make, come_back, alice):
    secret, answer = await come_back(make(b"other" * 8))
    with pytest.raises(PolicyRefused):
        await finish(make(), secret, answer)


async def test_attack_094_a_log_in_that_takes_too_long(log_ins, come_back, clock, provider):
    early, answer = await come_back(log_ins)
    clock.passed_s += LIFE.total_seconds()
    assert isinstance(await finish(log_ins, early, answer), LinkAsked)
    late, answer = await come_back(log_ins)
    clock.passed_s += (LIFE + SECOND).total_seconds()
    with pytest.raises(PolicyRefused):
        await finish(log_ins, late, answer)
    assert provider.asked.count("/token") == 1


async def test_attack_094_a_link_that_takes_too_long(log_ins, come_back, clock, alice, storage):
    secret, answer = await come_back(log_ins)
    asked = await finish(log_ins, secret, answer)
    clock.passed_s += (LIFE + SECOND).total_seconds()
    with pytest.raises(PolicyRefused):
        await log_ins.link(secret, asked.token, ALICE, RIGHT, PEER, PROGRAM)
    assert await storage.factors.oidc_links(owner_of(None, alice.account_id)) == []


async def test_attack_061_the_password_of_a_link_is_guessed_as_slowly_as_all_others(log_ins, come_back, alice):
    secret, answer = await come_back(log_ins)
    asked = await finish(log_ins, secret, answer)
    with pytest.raises(TooManyFailures):
        for _ in range(50):
            with pytest.raises(AuthenticationFailed):
                await log_ins.link(secret, asked.token, ALICE, WRONG, PEER, PROGRAM)


async def test_attack_095_the_second_factor_makes_the_session_strong(log_ins, come_back, web, alice, storage):
    device, _ = await web.turn_on_totp(await web.actor())
    secret, answer = await come_back(log_ins)
    asked = await finish(log_ins, secret, answer)
    factor = await log_ins.link(secret, asked.token, ALICE, RIGHT, PEER, PROGRAM)
    assert isinstance(factor, FactorAsked)
    with pytest.raises(PolicyRefused):  # what is to be linked is bound to the browser here, too
        await log_ins.factor((await log_ins.begin()).secret, asked.token, factor.token, device.code(), PEER, PROGRAM)
    begun = await log_ins.factor(secret, asked.token, factor.token, device.code(), PEER, PROGRAM)
    assert begun.session.strong_at is not None
    links = await storage.factors.oidc_links(owner_of(None, alice.account_id))
    assert [link.subject for link in links] == ["alice-1"]
    # linked, and the factor is asked for still
    secret, answer = await come_back(log_ins)
    assert isinstance(await finish(log_ins, secret, answer), FactorAsked)


async def test_who_is_no_account_here_is_linked_as_user(log_ins, come_back, root, admin, links):
    await links.link(admin, Address.parse(root.address), "root-1")
    secret, answer = await come_back(log_ins, "root-1")
    begun = await finish(log_ins, secret, answer)
    assert begun.actor.is_admin
    assert begun.actor.user_id == root.user_id


async def test_an_audit_log_tells_of_links(log_ins, come_back, web, alice, admin):
    secret, answer = await come_back(log_ins)
    asked = await finish(log_ins, secret, answer)
    await log_ins.link(secret, asked.token, ALICE, RIGHT, PEER, PROGRAM)
    await web.audit.settle()
    page = await web.audit.list(admin, Listing(), verb="oidc")
    assert [(entry.verb, entry.object, entry.details["how"]) for entry in page.items] == [
        ("oidc.link", ALICE, "password")
    ]
