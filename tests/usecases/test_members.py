import re
from dataclasses import replace
from datetime import timedelta

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    Conflict,
    NoSuchDomain,
    NoSuchInvite,
    NoSuchUser,
    NotAllowed,
    PolicyRefused,
    RateLimited,
)
from mailstead.model.people import AddressProfile, Group, ObjectId
from mailstead.model.queue import QueueQuery
from mailstead.model.secret import Secret
from mailstead.policy.srs import Srs
from mailstead.usecases.member_mail import MemberMail
from mailstead.usecases.members import INVITES_PER_DAY_MAX, LIFE, Members
from mailstead.usecases.routes import HouseRelayTerms, Routes
from mailstead.usecases.sealing import Sealing

DOMAIN = "example.test"
CAROL, DAVE = Address.parse("carol@elsewhere.test"), Address.parse("dave@elsewhere.test")
OWN = Secret("pw-never-in-a-log-own")


@pytest.fixture
def mail(storage, keys, clock):
    sealing = Sealing(storage, keys, Srs((b"k" * 32,)), clock, authserv_id="mx.test", srs_domain="mx.test")
    routes = Routes(storage, HouseRelayTerms())
    return MemberMail(storage, routes, sealing, clock, hostname="mx.test", url="https://mx.test")


@pytest.fixture
def members(storage, users, clock, audit, mail):
    return Members(storage, users, clock, audit, mail, b"k" * 32)


@pytest.fixture
async def carol(users, members, admin):
    """An administrator of the domain."""
    user = await users.create(admin, CAROL, OWN)
    await members.add(admin, DOMAIN, user, Group.ADMIN)
    return user


@pytest.fixture
async def dave(users, members, admin):
    """A member who is none."""
    user = await users.create(admin, DAVE, OWN)
    await members.add(admin, DOMAIN, user, Group.USER)
    return user


async def mails(storage):
    """Texts of what is queued."""
    found = []
    for item in await storage.queue.items(QueueQuery()):
        octets = await storage.queue.octets(item.item_id)
        found.append(octets.decode().replace("=\r\n", "").replace("=3D", "="))
    return found


async def test_an_invitation_is_mailed_and_taken_by_its_link(users, members, storage, clock, carol, peer):
    invited = await members.invite(await users.actor_of(carol), DOMAIN, Address.parse("eve@elsewhere.test"), Group.USER)
    assert invited.is_mailed
    assert invited.token is None  # who invites does not see it: with it he could become a user in another's name
    (text,) = await mails(storage)
    assert "carol@elsewhere.test invites you to have addresses of your own in the domain example.test" in text
    (token,) = re.findall(r"https://mx\.test/invitation/(\S+)", text)
    assert (await members.look(token)) == invited.invite
    member = await members.accept_anew(token, OWN, peer.address)
    assert (member.user.address, member.group, member.user.is_admin) == ("eve@elsewhere.test", Group.USER, False)
    assert (await users.log_in("eve@elsewhere.test", OWN, peer)).groups == {DOMAIN: Group.USER}
    with pytest.raises(NoSuchInvite):
        await members.accept_anew(token, OWN, peer.address)


async def test_who_is_a_user_already_takes_the_invitation_logged_in(users, members, admin, peer):
    user = await users.create(admin, CAROL, OWN)
    invited = await members.invite(admin, DOMAIN, CAROL, Group.ADMIN)
    with pytest.raises(Conflict):
        await members.accept_anew(invited.token.reveal(), OWN, peer.address)
    member = await members.accept(await users.actor_of(user), DOMAIN, invited.token.reveal())
    assert (member.user, member.group) == (user, Group.ADMIN)


async def test_an_account_becomes_a_user_with_its_own_password(users, members, admin, alice, peer):
    invited = await members.invite(admin, DOMAIN, alice.address, Group.ADMIN)
    member = await members.accept_anew(invited.token.reveal(), None, peer.address)
    assert member.user.account_id == alice.account_id
    assert (await users.log_in(alice.address.key, Secret("pw-never-in-a-log-alice"), peer)).administers(DOMAIN)


async def test_links_that_are_no_good(users, members, admin, clock, peer):
    first = (await members.invite(admin, DOMAIN, CAROL, Group.ADMIN)).token.reveal()
    clock.passed_s += 1
    second = (await members.invite(admin, DOMAIN, CAROL, Group.USER)).token.reveal()
    for token in (first, "", "x", "é" * 60, "A" * 2000, second[:-4] + "AAAA", second[1:]):
        with pytest.raises(NoSuchInvite):
            await members.look(token)
    clock.passed_s += LIFE.total_seconds()
    with pytest.raises(NoSuchInvite):
        await members.accept_anew(second, OWN, peer.address)


async def test_attack_092_an_invitation_is_only_for_whom_it_was_made(users, members, admin, carol, dave):
    await members.invite(admin, DOMAIN, Address.parse("eve@elsewhere.test"), Group.ADMIN)
    taken = (await members.invite(admin, DOMAIN, Address.parse("frank@elsewhere.test"), Group.ADMIN)).token.reveal()
    for actor in (await users.actor_of(dave), Actor(None, None), admin):
        for token in ("", taken):
            with pytest.raises(NoSuchInvite):
                await members.accept(actor, DOMAIN, token)
    assert (await users.actor_of(dave)).groups == {DOMAIN: Group.USER}


async def test_an_invitation_takes_nothing_away(users, members, admin, storage, clock, carol):
    await storage.people.put_invite(
        replace((await members.invite(admin, DOMAIN, DAVE, Group.USER)).invite, address=CAROL.key)
    )
    assert (await members.accept(await users.actor_of(carol), DOMAIN)).group is Group.ADMIN


async def test_members_are_invited_once(users, members, admin, carol):
    with pytest.raises(Conflict):
        await members.invite(admin, DOMAIN, CAROL, Group.USER)
    await members.invite(admin, DOMAIN, DAVE, Group.USER)
    await members.invite(admin, DOMAIN, DAVE, Group.ADMIN)
    assert [invite.group for invite in await members.invites(admin, DOMAIN)] == [Group.ADMIN]
    await members.withdraw(admin, DOMAIN, DAVE)
    assert not await members.invites(admin, DOMAIN)
    with pytest.raises(NoSuchInvite):
        await members.withdraw(admin, DOMAIN, DAVE)


async def test_without_pages_the_link_is_given_back_and_nothing_mailed(storage, users, clock, audit, keys, admin):
    sealing = Sealing(storage, keys, Srs((b"k" * 32,)), clock, authserv_id="mx.test", srs_domain="mx.test")
    silent = MemberMail(storage, Routes(storage, HouseRelayTerms()), sealing, clock, hostname="mx.test")
    members = Members(storage, users, clock, audit, silent, b"k" * 32)
    invited = await members.invite(admin, DOMAIN, DAVE, Group.USER)
    assert not invited.is_mailed
    assert (await members.look(invited.token.reveal())).address == DAVE.key
    assert not await mails(storage)


async def test_the_last_administrator_goes_only_where_somebody_looks_after_the_server(
    users, members, admin, carol, dave
):
    actor = await users.actor_of(carol)
    for verb in (
        members.remove(actor, DOMAIN, carol.user_id),
        members.change(admin, DOMAIN, carol.user_id, Group.USER),
    ):
        with pytest.raises(NotAllowed):
            await verb
    await members.change(admin, DOMAIN, dave.user_id, Group.ADMIN)
    await users.enable(admin, dave.user_id, is_enabled=False)
    with pytest.raises(NotAllowed):  # who cannot log in looks after nothing
        await members.remove(actor, DOMAIN, carol.user_id)
    await users.create(admin, Address.parse("root@elsewhere.test"), OWN, is_admin=True)
    await members.remove(actor, DOMAIN, carol.user_id)


async def test_the_addresses_of_who_goes_become_the_domains(
    users, members, aliases, storage, admin, carol, dave, alice
):
    await storage.people.set_address_profile(DOMAIN, "alice", AddressProfile(ObjectId(""), dave.user_id))
    await members.remove(await users.actor_of(dave), DOMAIN, dave.user_id)
    assert (await storage.people.address_entry(DOMAIN, "alice")).profile.user_id is None


async def test_attack_092_members_and_strangers(users, members, domains, admin, carol, dave):
    await domains.add(admin, "other.test")
    stranger, member = await users.actor_of(carol), await users.actor_of(dave)
    for actor, domain, error in ((stranger, "other.test", NoSuchDomain), (member, DOMAIN, NotAllowed)):
        for verb in (
            members.invites(actor, domain),
            members.invite(actor, domain, Address.parse("x@y.test"), Group.ADMIN),
            members.withdraw(actor, domain, CAROL),
            members.change(actor, domain, carol.user_id, Group.USER),
            members.remove(actor, domain, carol.user_id),
        ):
            with pytest.raises(error):
                await verb
    with pytest.raises(NotAllowed):
        await members.add(stranger, DOMAIN, dave, Group.ADMIN)
    with pytest.raises(NotAllowed):
        await members.change(member, DOMAIN, dave.user_id, Group.ADMIN)
    with pytest.raises(NoSuchDomain):
        await members.list(stranger, "other.test")
    with pytest.raises(NoSuchUser):
        await members.remove(stranger, DOMAIN, "0" * 24)
    assert [each.user.address for each in await members.list(member, DOMAIN)] == [CAROL.key, DAVE.key]


async def test_passwords_of_new_users_follow_the_rules(users, members, admin, peer):
    token = (await members.invite(admin, DOMAIN, DAVE, Group.USER)).token.reveal()
    for password in (None, Secret("short")):
        with pytest.raises(PolicyRefused):
            await members.accept_anew(token, password, peer.address)
    assert (await members.accept_anew(token, OWN, peer.address)).group is Group.USER
    assert timedelta(days=7) == LIFE


async def test_where_anybody_registers_an_invited_address_has_to_be_shown(
    storage, users, clock, audit, mail, admin, peer
):
    """Or whoever registers another's address would have what that other one is invited to."""
    members = Members(storage, users, clock, audit, mail, b"k" * 32, trusts_addresses=False)
    squatter = await users.register(CAROL, OWN, peer)
    token = (await members.invite(admin, DOMAIN, CAROL, Group.ADMIN)).token.reveal()
    with pytest.raises(NotAllowed):
        await members.accept(await users.actor_of(squatter), DOMAIN)
    with pytest.raises(Conflict):
        await members.accept_by_link(token, OWN, peer.address)
    assert await members.list(admin, DOMAIN) == []
    assert (await members.accept(await users.actor_of(squatter), DOMAIN, token)).group is Group.ADMIN


async def test_an_administrator_of_a_domain_writes_to_so_many_strangers_a_day(users, members, admin, clock, carol):
    actor = await users.actor_of(carol)
    for number in range(INVITES_PER_DAY_MAX):
        address = Address.parse(f"s{number}@elsewhere.test")
        await members.invite(actor, DOMAIN, address, Group.USER)
        await members.withdraw(actor, DOMAIN, address)
    with pytest.raises(RateLimited):
        await members.invite(actor, DOMAIN, DAVE, Group.USER)
    assert await members.invites(actor, DOMAIN) == []
    await members.invite(admin, DOMAIN, DAVE, Group.USER)
    clock.passed_s += 86400
    await members.invite(actor, DOMAIN, DAVE, Group.USER)
