"""Ordinary mail domains and chatmail relays: what becomes of one as the other, and what is refused."""

import pytest

from mailstead.model.directory import DomainTerms
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchDomain, NotAllowed, PolicyRefused
from mailstead.policy.profiles import PROFILES
from mailstead.usecases.domain_kinds import CHATMAIL, MAIL, DomainKinds, Hindrance


@pytest.fixture
def kinds(storage, domains):
    return DomainKinds(storage, domains)


async def test_there_and_back_all_is_as_a_domain_of_that_kind_has_it(kinds, domains, admin):
    await domains.set_terms(admin, "example.test", {"mta_sts_mode": "testing"})
    plan = await kinds.plan(admin, "example.test")
    assert (plan.kind, plan.other, plan.hindrance) == (MAIL, CHATMAIL, None)
    assert {each.name for each in plan.changes} >= {"is_chatmail", "requires_encryption", "mails_kept_days"}
    assert all(each.help for each in plan.changes)
    relay = (await kinds.switch(admin, "example.test", CHATMAIL)).terms
    assert {name: getattr(relay, name) for name in PROFILES[CHATMAIL]} == dict(PROFILES[CHATMAIL])
    await domains.set_terms(admin, "example.test", {"mails_kept_days": "3"})
    ordinary = (await kinds.switch(admin, "example.test", MAIL)).terms
    fresh = DomainTerms()
    # Also what somebody has chosen for the relay: an ordinary domain must not go on to remove mail.
    assert {name: getattr(ordinary, name) for name in PROFILES[CHATMAIL]} == {
        name: getattr(fresh, name) for name in PROFILES[CHATMAIL]
    }
    assert ordinary.mta_sts_mode == "testing"  # none of a relay's
    assert (await kinds.plan(admin, "example.test")).kind == MAIL


async def test_a_domain_with_accounts_becomes_no_relay_but_a_relay_with_accounts_an_ordinary_domain(
    kinds, domains, admin, alice
):
    plan = await kinds.plan(admin, "example.test")
    assert (plan.account_count, plan.hindrance) == (1, Hindrance.HAS_ACCOUNTS)
    with pytest.raises(PolicyRefused, match="has accounts"):
        await kinds.switch(admin, "example.test", CHATMAIL)
    assert not (await domains.get(admin, "example.test")).terms.is_chatmail
    await domains.set_terms(admin, "example.test", {"is_chatmail": "yes", "mails_kept_days": "20"})
    assert (await kinds.plan(admin, "example.test")).hindrance is None
    assert not (await kinds.switch(admin, "example.test", MAIL)).terms.mails_kept_days


async def test_a_relay_at_an_ip_address_stays_one(kinds, domains, admin):
    await domains.add(admin, "[192.0.2.1]", CHATMAIL)
    assert (await kinds.plan(admin, "[192.0.2.1]")).hindrance is Hindrance.IS_LITERAL
    with pytest.raises(PolicyRefused, match="IP address"):
        await kinds.switch(admin, "[192.0.2.1]", MAIL)


async def test_what_is_not_there_or_is_so_already(kinds, admin):
    assert not (await kinds.switch(admin, "example.test", MAIL)).terms.is_chatmail
    with pytest.raises(PolicyRefused):
        await kinds.switch(admin, "example.test", "pigeons")
    with pytest.raises(NoSuchDomain):
        await kinds.plan(admin, "nowhere.test")


async def test_attack_092_only_for_administrators_of_the_server(kinds, alice, actor_of):
    for actor in (Actor(None, None), actor_of(alice)):
        with pytest.raises(NotAllowed):
            await kinds.plan(actor, "example.test")
        with pytest.raises(NotAllowed):
            await kinds.switch(actor, "example.test", CHATMAIL)
