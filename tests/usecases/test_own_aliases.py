"""Aliases of one's own: made within the domain's rules, looked after by who made them, and nobody else's."""

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import AddressTaken, LimitReached, MailsteadError, NoSuchAlias, NotAllowed, PolicyRefused
from mailstead.model.trace import TraceEvent
from mailstead.usecases.own_aliases import OwnAliases
from usecases.flow import ANN, message, open_flow

SHOP = Address.parse("shop@example.test")


@pytest.fixture
def own(storage, aliases):
    return OwnAliases(storage, aliases)


async def test_one_is_made_switched_described_and_removed(own, addresses, alice, actor_of):
    actor = actor_of(alice)
    await own.make(actor, name="Shop", description="two\nlines")
    (shown,) = (await own.list(actor)).aliases
    assert (shown.alias.address, shown.is_own, shown.alias.description) == (SHOP, True, "two lines")
    assert [each.account_id for each in (await addresses.resolve(SHOP)).accounts] == [alice.account_id]
    await own.describe(actor, SHOP, "the shop")
    await own.switch(actor, SHOP, is_enabled=False)
    (shown,) = (await own.list(actor)).aliases
    assert (shown.alias.is_enabled, shown.alias.disabled_code, shown.alias.description) == (False, 550, "the shop")
    await own.switch(actor, SHOP, is_enabled=True)
    assert (await own.list(actor)).aliases[0].alias.is_enabled
    await own.remove(actor, SHOP)
    assert (await own.list(actor)).aliases == ()


async def test_a_name_that_is_made_up_says_nothing_of_its_owner(own, alice, actor_of):
    made = await own.make(actor_of(alice), description="newsletter")
    assert made.is_masked
    assert "alice" not in made.address.local_part
    assert len(made.address.local_part) >= 12
    assert (await own.list(actor_of(alice))).left_count == 49


async def test_attack_092_what_is_anothers_is_not_there(own, aliases, admin, alice, bob, actor_of):
    await own.make(actor_of(alice), name="shop")
    await aliases.create(admin, Address.parse("sales@example.test"), [bob.address])
    for address in (SHOP, Address.parse("sales@example.test"), Address.parse("nobody@example.test"), alice.address):
        for verb in (
            own.describe(actor_of(bob), address, "mine"),
            own.switch(actor_of(bob), address, is_enabled=False),
            own.remove(actor_of(bob), address),
        ):
            with pytest.raises(NoSuchAlias):
                await verb
    (shown,) = (await own.list(actor_of(bob))).aliases
    assert (str(shown.alias.address), shown.is_own) == ("sales@example.test", False)
    assert (await own.list(actor_of(alice))).aliases[0].alias.is_enabled


async def test_what_leads_elsewhere_meanwhile_is_no_more_ones_own(own, aliases, admin, alice, bob, actor_of):
    await own.make(actor_of(alice), name="shop")
    alias = await aliases.get(admin, SHOP)
    await aliases.replace(admin, type(alias)(SHOP, (bob.address,)))
    with pytest.raises(NoSuchAlias):
        await own.remove(actor_of(alice), SHOP)
    assert [each.is_own for each in (await own.list(actor_of(bob))).aliases] == [False]


async def test_attack_098_no_more_than_the_domain_says(own, domains, admin, alice, actor_of):
    await domains.set_terms(admin, "example.test", {"owner_aliases_max": "2"})
    for _ in range(2):
        await own.make(actor_of(alice))
    with pytest.raises(LimitReached):
        await own.make(actor_of(alice))
    await domains.set_terms(admin, "example.test", {"owner_aliases_max": "0"})
    with pytest.raises(NotAllowed):
        await own.make(actor_of(alice), name="shop")
    found = await own.list(actor_of(alice))
    assert (len(found.aliases), found.left_count, found.is_allowed) == (2, 0, False)


@pytest.mark.parametrize("name", ["postmaster", "Admin", "web-master", "*", "/^s/", "a+b", "a b", "!x", ".."])
async def test_names_that_are_not_for_everybody(own, alice, actor_of, name):
    with pytest.raises(MailsteadError) as refused:
        await own.make(actor_of(alice), name=name)
    assert not isinstance(refused.value, AddressTaken)
    assert (await own.list(actor_of(alice))).aliases == ()


async def test_names_that_the_domain_keeps_for_itself(own, storage, alice, actor_of):
    entry = await storage.people.domain_entry("example.test")
    profile = type(entry.profile)(entry.profile.object_id, restricted_names=("team",))
    await storage.people.set_domain_profile("example.test", profile)
    with pytest.raises(PolicyRefused):
        await own.make(actor_of(alice), name="team")


async def test_a_name_that_somebody_has_is_taken(own, alice, bob, actor_of):
    await own.make(actor_of(alice), name="shop")
    for name in ("bob", "shop", "SHOP@example.test"):
        with pytest.raises(AddressTaken):
            await own.make(actor_of(alice), name=name)


async def test_attack_092_with_less_than_the_password_nothing_is_changed(own, alice):
    for further in ({"app_password_id": 1}, {"token_id": "1" * 24}):
        with pytest.raises(NotAllowed):
            await own.make(Actor(alice.account_id, alice.address, **further))
    with pytest.raises(NotAllowed):
        await own.list(Actor(None, None, is_admin=True))


async def test_what_came_last_is_told_and_not_what_was_sent(own, storage, clock, alice, actor_of):
    actor = actor_of(alice)
    await own.make(actor, name="shop")
    assert (await own.list(actor)).aliases[0].last is None

    def record(step, sender, recipient, direction):
        storage.trace.record(
            TraceEvent(clock.now(), "q1", direction, step, mail_from=sender, recipient=recipient, domain="example.test")
        )

    record("received", "news@far.test", str(SHOP), "in")
    clock.passed_s += 60
    record("received", str(SHOP), "somebody@far.test", "out")
    last = (await own.list(actor)).aliases[0].last
    assert (last.mail_from, (clock.now() - last.at).total_seconds()) == ("news@far.test", 60)


async def test_a_domain_without_trace_tells_nothing(own, domains, admin, storage, clock, alice, actor_of):
    await own.make(actor_of(alice), name="shop")
    event = TraceEvent(clock.now(), "q1", "in", "received", mail_from="x@far.test", recipient=str(SHOP))
    storage.trace.record(event)
    await domains.set_terms(admin, "example.test", {"keeps_trace": "no"})
    found = await own.list(actor_of(alice))
    assert (found.has_trace, found.aliases[0].last) == (False, None)


async def test_mail_that_comes_in_is_what_came_last(tmp_path):
    async with open_flow(tmp_path) as flow:
        account = await flow.smtp.account("alice")
        actor = Actor(account.account_id, account.address)
        own = OwnAliases(flow.storage, flow.house.aliases)
        made = await own.make(actor, name="shop")
        await flow.receive(made.address.local_part, octets=message(ANN, "to the shop"))
        (shown,) = [each for each in (await own.list(actor)).aliases if each.is_own]
        assert shown.last.mail_from == str(ANN)
