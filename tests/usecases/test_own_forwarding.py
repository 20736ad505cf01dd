"""Mail sent on: to who has shown that he wants it, where the domain lets owners say so, and nobody else's."""

import re
from datetime import timedelta

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import AuthenticationFailed, LimitReached, NoSuchAddress, NotAllowed, PolicyRefused
from mailstead.model.queue import QueueQuery
from mailstead.model.secret import Secret
from mailstead.policy.srs import Srs
from mailstead.usecases.house_mail import HouseMail
from mailstead.usecases.own_forwarding import CODES_PER_DAY_MAX, LIFE, TRIES_MAX, OwnForwarding
from mailstead.usecases.routes import HouseRelayTerms, Routes
from mailstead.usecases.sealing import Sealing

CAROL = Address.parse("carol@elsewhere.test")


@pytest.fixture
def own(storage, accounts, keys, clock):
    sealing = Sealing(storage, keys, Srs((b"k" * 32,)), clock, authserv_id="mx.test", srs_domain="mx.test")
    mail = HouseMail(storage, Routes(storage, HouseRelayTerms()), sealing, clock, hostname="mx.test")
    return OwnForwarding(storage, accounts, mail, clock)


async def mails(storage):
    """Give recipient and text of each mail that waits."""
    return [
        (each.recipients[0].recipient.address.key, (await storage.queue.octets(each.item_id)).decode())
        for each in await storage.queue.items(QueueQuery())
    ]


async def code_sent(storage):
    return Secret(re.search(r"^    (\d{8})\r?$", (await mails(storage))[-1][1], re.MULTILINE)[1])


async def test_an_address_elsewhere_shows_by_a_code_that_it_wants_the_mail(own, storage, alice, actor_of):
    actor = actor_of(alice)
    assert await own.ask(actor, CAROL)
    assert [to for to, _ in await mails(storage)] == [CAROL.key]
    shown = await own.get(actor)
    assert (shown.targets, shown.waiting) == ((), CAROL.key)
    await own.confirm(actor, await code_sent(storage))
    shown = await own.get(actor)
    assert (shown.targets, shown.waiting, shown.keeps_copy) == ((CAROL.key,), "", True)
    await own.keep_copy(actor, keeps_copy=False)
    assert not (await storage.directory.account(alice.account_id)).keeps_copy
    await own.remove(actor, CAROL.key)
    account = await storage.directory.account(alice.account_id)
    assert (account.forward_to, account.keeps_copy) == ((), True)
    # who has shown it once need not do so again
    assert not await own.ask(actor, CAROL)
    assert (await own.get(actor)).targets == (CAROL.key,)
    assert len(await mails(storage)) == 1


async def test_an_address_here_needs_no_code_but_must_be_there(own, storage, alice, bob, actor_of):
    assert not await own.ask(actor_of(alice), bob.address)
    with pytest.raises(NoSuchAddress):
        await own.ask(actor_of(alice), Address.parse("bbo@example.test"))
    for there in (bob.address, alice.address):
        with pytest.raises(PolicyRefused):
            await own.ask(actor_of(alice), there)
    assert (await own.get(actor_of(alice))).targets == (str(bob.address),)
    assert await mails(storage) == []


async def test_attack_062_a_code_is_not_guessed(own, storage, alice, actor_of):
    actor = actor_of(alice)
    await own.ask(actor, CAROL)
    code = await code_sent(storage)
    wrong = Secret(f"{(int(code.reveal()) + 1) % 10**8:08}")
    for _ in range(TRIES_MAX):
        with pytest.raises(AuthenticationFailed):
            await own.confirm(actor, wrong)
    with pytest.raises(LimitReached):
        await own.confirm(actor, code)
    with pytest.raises(AuthenticationFailed):
        await own.confirm(actor, code)
    shown = await own.get(actor)
    assert (shown.targets, shown.waiting) == ((), "")


async def test_a_code_is_of_one_address_one_owner_and_some_hours(own, storage, clock, alice, bob, actor_of):
    await own.ask(actor_of(alice), CAROL)
    code = await code_sent(storage)
    with pytest.raises(AuthenticationFailed):
        await own.confirm(actor_of(bob), code)
    await own.ask(actor_of(alice), Address.parse("dave@elsewhere.test"))
    with pytest.raises(AuthenticationFailed):
        await own.confirm(actor_of(alice), code)
    code = await code_sent(storage)
    clock.passed_s += LIFE.total_seconds() + 1
    with pytest.raises(AuthenticationFailed):
        await own.confirm(actor_of(alice), code)
    assert (await own.get(actor_of(alice))).targets == ()


async def test_attack_098_codes_fill_nobodys_mailbox(own, storage, clock, alice, bob, actor_of):
    for _ in range(CODES_PER_DAY_MAX):
        await own.ask(actor_of(alice), CAROL)
    for actor in (actor_of(alice), actor_of(bob)):  # neither by one owner nor by several
        with pytest.raises(LimitReached):
            await own.ask(actor, CAROL)
    assert len(await mails(storage)) == CODES_PER_DAY_MAX
    clock.passed_s += timedelta(days=1).total_seconds() + 1
    assert await own.ask(actor_of(alice), CAROL)


async def test_where_the_domain_forbids_it_nothing_is_sent(own, domains, storage, admin, alice, bob, actor_of):
    actor = actor_of(alice)
    await own.ask(actor, CAROL)
    code = await code_sent(storage)
    await domains.set_terms(admin, "example.test", {"owners_forward": "no"})
    for verb in (own.ask(actor, bob.address), own.confirm(actor, code), own.keep_copy(actor, keeps_copy=False)):
        with pytest.raises(NotAllowed):
            await verb
    shown = await own.get(actor)
    assert (shown.is_allowed, shown.targets) == (False, ())


async def test_attack_092_with_less_than_the_password_nothing_is_sent_on(own, alice):
    for further in ({"app_password_id": 1}, {"token_id": "1" * 24}):
        with pytest.raises(NotAllowed):
            await own.ask(Actor(alice.account_id, alice.address, **further), CAROL)


async def test_a_code_stands_in_no_repr_and_not_in_the_store(own, storage, clock, alice, actor_of):
    await own.ask(actor_of(alice), CAROL)
    code = (await code_sent(storage)).reveal()
    kept = await storage.memory.recall_all("forwarding codes", clock.now())
    assert kept
    assert all(code.encode() not in value for value in kept.values())
