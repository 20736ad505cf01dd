from dataclasses import replace
from datetime import timedelta

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import (
    AuthenticationFailed,
    BadAddress,
    FactorNeeded,
    LimitReached,
    NoSuchToken,
    NoSuchUser,
    NotAllowed,
    PolicyRefused,
    TooManyFailures,
    UserExists,
)
from mailstead.model.people import Group, Listing, owner_of
from mailstead.model.secret import Secret
from mailstead.policy.tokens import is_token, token_of
from mailstead.usecases.passwords import HashCost, Passwords
from mailstead.usecases.people import Users
from mailstead.usecases.tokens import TOKENS_MAX, is_within

CAROL = Address.parse("carol@elsewhere.test")
OWN, WRONG, NEW = (Secret(f"pw-never-in-a-log-{name}") for name in ("carol", "wrong", "new"))
ALICE_PASSWORD = Secret("pw-never-in-a-log-alice")


@pytest.fixture
async def carol(users, admin):
    return await users.create(admin, CAROL, OWN, given_name="Carol")


async def test_a_user_has_a_password_of_his_own(users, storage, carol, peer):
    actor = await users.log_in("Carol@Elsewhere.test", OWN, peer)
    assert (actor.user_id, actor.account_id, actor.is_admin) == (carol.user_id, None, False)
    assert (actor.groups, actor.peer, actor.name) == ({}, peer.address, CAROL.key)
    with pytest.raises(AuthenticationFailed):
        await users.log_in(CAROL.key, WRONG, peer)
    await storage.people.set_member("example.test", carol.user_id, Group.ADMIN)
    assert (await users.log_in(CAROL.key, OWN, peer)).administers("example.test")


async def test_a_user_who_is_an_account_has_its_password(users, accounts, admin, alice, peer):
    user = await users.create(admin, alice.address, is_admin=True)
    actor = await users.log_in("alice@example.test", ALICE_PASSWORD, peer)
    assert (actor.user_id, actor.account_id, actor.is_admin) == (user.user_id, alice.account_id, True)
    await users.set_password(admin, user.user_id, NEW)
    assert (await accounts.log_in("alice@example.test", NEW, peer, "imap")).account_id == alice.account_id
    with pytest.raises(AuthenticationFailed):
        await users.log_in("alice@example.test", ALICE_PASSWORD, peer)


async def test_who_is_no_user_comes_in_as_the_owner_of_his_account(users, alice, peer):
    actor = await users.log_in("alice@example.test", ALICE_PASSWORD, peer)
    assert (actor.account_id, actor.user_id, actor.is_admin, actor.groups) == (alice.account_id, None, False, {})


async def test_app_passwords_do_not_let_people_in(users, accounts, admin, alice, peer):
    made = await accounts.add_app_password(admin, alice.address, "phone")
    with pytest.raises(AuthenticationFailed):
        await users.log_in("alice@example.test", made.secret, peer)


async def test_a_user_who_is_disabled_is_out(users, admin, carol, alice, peer):
    made = await users.tokens.create(await users.actor_of(carol), "script")
    await users.enable(admin, carol.user_id, is_enabled=False)
    with pytest.raises(AuthenticationFailed):
        await users.log_in(CAROL.key, OWN, peer)
    with pytest.raises(AuthenticationFailed):
        await users.act_with_token(made.secret, peer)
    with pytest.raises(AuthenticationFailed):
        await users.actor_of(await users.get(admin, carol.user_id))
    await users.enable(admin, carol.user_id, is_enabled=True)
    assert (await users.act_with_token(made.secret, peer)).user_id == carol.user_id


async def test_the_owner_of_an_account_stays_in_when_the_user_is_disabled(users, admin, alice, peer):
    user = await users.create(admin, alice.address)
    await users.enable(admin, user.user_id, is_enabled=False)
    actor = await users.log_in("alice@example.test", ALICE_PASSWORD, peer)
    assert (actor.account_id, actor.user_id) == (alice.account_id, None)


class CountingPasswords(Passwords):
    """Notes with what each check was done."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.checked = []

    async def matching(self, secret, credentials, *rest, **named):
        self.checked.append(credentials is not None)
        return await super().matching(secret, credentials, *rest, **named)


async def test_attack_062_a_disabled_user_costs_the_same_work_as_a_wrong_password(
    storage, accounts, clock, audit, admin, peer
):
    passwords = CountingPasswords(clock, HashCost(1, 8))
    users = Users(storage, accounts, passwords, clock, audit)
    carol = await users.create(admin, CAROL, OWN)
    errors = []
    for is_enabled, secret in ((True, WRONG), (False, WRONG), (False, OWN)):
        await users.enable(admin, carol.user_id, is_enabled=is_enabled)
        with pytest.raises(AuthenticationFailed) as failed:
            await users.log_in(CAROL.key, secret, peer)
        errors.append(failed.value.public_text)
    assert passwords.checked == [True, False, False]
    assert len(set(errors)) == 1


async def test_attack_061_wrong_passwords_of_users_count_with_those_of_all_protocols(users, accounts, carol, peer):
    for _ in range(4):
        with pytest.raises(AuthenticationFailed):
            await accounts.log_in(CAROL.key, WRONG, peer, "imap")
    with pytest.raises(AuthenticationFailed):
        await users.log_in(CAROL.key, WRONG, peer)
    with pytest.raises(TooManyFailures):
        await users.log_in(CAROL.key, OWN, peer)
    assert (await users.log_in(CAROL.key, OWN, Peer("198.51.100.7", 1, tls_version="TLSv1.3"))).name == CAROL.key


async def test_a_second_factor_is_asked_for_after_the_password_only(
    storage, accounts, clock, audit, admin, alice, peer
):
    class Needed:
        def __init__(self):
            self.owners = set()

        async def needed(self, owner):
            return owner in self.owners

    needed = Needed()
    users = Users(storage, accounts, Passwords(clock, HashCost(1, 8)), clock, audit, factors=needed)
    carol = await users.create(admin, CAROL, OWN)
    needed.owners = {owner_of(carol.user_id, None), owner_of(None, alice.account_id)}
    for address, secret in ((CAROL.key, OWN), ("alice@example.test", ALICE_PASSWORD)):
        with pytest.raises(FactorNeeded):
            await users.log_in(address, secret, peer)
        with pytest.raises(AuthenticationFailed):
            await users.log_in(address, WRONG, peer)


# users


async def test_only_administrators_of_the_server_make_users(users, admin, carol, root):
    for actor in (Actor(None, None), await users.actor_of(carol)):
        for verb in (
            users.create(actor, Address.parse("x@elsewhere.test"), NEW),
            users.list(actor),
            users.remove(actor, carol.user_id),
            users.change(actor, replace(carol, is_admin=True)),
            users.change(actor, replace(carol, address="other@elsewhere.test")),
        ):
            with pytest.raises((NotAllowed, NoSuchUser)):
                await verb
    page = await users.list(await users.actor_of(root))
    assert [user.address for user in page.items] == [CAROL.key, "root@elsewhere.test"]


async def test_others_are_not_there(users, carol, root):
    actor = await users.actor_of(carol)
    for name in (root.user_id, root.address, "nobody@elsewhere.test", "", "x"):
        with pytest.raises(NoSuchUser):
            await users.get(actor, name)
    assert await users.get(actor, CAROL.key) == carol == await users.get(actor, carol.user_id)


async def test_what_is_a_users_own_to_change(users, carol):
    actor = await users.actor_of(carol)
    changed = await users.change(actor, replace(carol, given_name="C", family_name="D", locale="pt-BR"))
    assert (await users.get(actor, carol.user_id)).family_name == "D" == changed.family_name
    for wrong in (
        {"given_name": "a\nb"},
        {"avatar_url": "http://x.test/"},
        {"locale": "e n"},
        {"display_name": "x" * 101},
    ):
        with pytest.raises(PolicyRefused):
            await users.change(actor, replace(carol, **wrong))


async def test_an_address_is_kept_as_it_is_looked_up(users, admin, carol, alice, peer):
    await users.change(admin, replace(carol, address="Caroline@Elsewhere.TEST"))
    assert (await users.log_in("caroline@elsewhere.test", OWN, peer)).user_id == carol.user_id
    with pytest.raises(BadAddress):
        await users.change(admin, replace(carol, address="no address"))
    user = await users.create(admin, alice.address)
    with pytest.raises(NotAllowed):
        await users.change(admin, replace(user, address="other@elsewhere.test"))


async def test_the_last_administrator_of_the_server_stays(users, admin, root):
    for verb in (
        users.remove(admin, root.user_id),
        users.enable(admin, root.user_id, is_enabled=False),
        users.change(admin, replace(root, is_admin=False)),
    ):
        with pytest.raises(NotAllowed):
            await verb
    other = await users.create(admin, CAROL, OWN, is_admin=True)
    await users.remove(admin, root.user_id)
    with pytest.raises(NotAllowed):
        await users.remove(admin, other.user_id)


async def test_who_can_be_a_user(users, admin, alice, carol):
    for address, password in ((CAROL, OWN), (CAROL, None), (alice.address, NEW), (Address.parse("x@y.test"), None)):
        with pytest.raises((UserExists, PolicyRefused)):
            await users.create(admin, address, password)
    await users.create(admin, alice.address)
    with pytest.raises(UserExists):
        await users.create(admin, alice.address)


async def test_who_sets_his_own_password_shows_the_old_one(users, carol, peer):
    actor = await users.log_in(CAROL.key, OWN, peer)
    with pytest.raises(NotAllowed):
        await users.set_password(actor, carol.user_id, NEW)
    with pytest.raises(AuthenticationFailed):
        await users.set_password(actor, carol.user_id, NEW, WRONG)
    await users.set_password(actor, carol.user_id, NEW, OWN)
    fresh = await users.log_in(CAROL.key, NEW, peer)
    assert fresh.fingerprint != actor.fingerprint
    made = await users.tokens.create(fresh, "script")
    with pytest.raises(NotAllowed):
        await users.set_password(await users.act_with_token(made.secret, peer), carol.user_id, OWN, NEW)


async def test_of_our_domains_only_account_owners_register(users, alice, peer):
    user = await users.register(Address.parse("new@elsewhere.test"), NEW, peer)
    assert not user.is_admin
    with pytest.raises(UserExists):
        await users.register(Address.parse("new@elsewhere.test"), NEW, peer)
    for name, secret in (("alice", WRONG), ("nobody", NEW)):
        with pytest.raises(AuthenticationFailed):
            await users.register(Address.parse(f"{name}@example.test"), secret, peer)
    assert (await users.register(alice.address, ALICE_PASSWORD, peer)).account_id == alice.account_id


async def test_sessions_know_their_owner_again(users, admin, alice, carol, peer):
    for owner in (owner_of(carol.user_id, None), owner_of(None, alice.account_id)):
        actor = await users.actor_of_owner(owner, peer.address)
        assert owner_of(actor.user_id, actor.account_id) == owner
    await users.remove(admin, carol.user_id)
    for owner in (owner_of(carol.user_id, None), "a:unknown", ""):
        with pytest.raises(AuthenticationFailed):
            await users.actor_of_owner(owner)


# tokens


async def test_a_token_is_shown_once_and_acts_for_its_user(users, storage, carol, peer):
    actor = await users.actor_of(carol)
    made = await users.tokens.create(actor, " script ")
    assert is_token(made.secret.reveal())
    assert made.secret.reveal() not in repr(made)
    assert await users.tokens.list(actor) == [made.token]
    acting = await users.act_with_token(made.secret, peer)
    assert (acting.user_id, acting.token_id, acting.account_id) == (carol.user_id, made.token.token_id, None)
    await users.close()
    (noted,) = await users.tokens.list(actor)
    assert noted == replace(made.token, last_used_on="2026-01-01")


async def test_the_token_of_a_user_who_is_an_account_does_not_read_the_mail(users, admin, alice, peer):
    user = await users.create(admin, alice.address)
    made = await users.tokens.create(await users.actor_of(user), "script")
    assert (await users.act_with_token(made.secret, peer)).account_id is None


async def test_tokens_end(users, clock, carol, peer):
    actor = await users.actor_of(carol)
    end = clock.now() + timedelta(hours=1)
    first = await users.tokens.create(actor, "short", expires_at=end)
    second = await users.tokens.create(actor, "long")
    clock.passed_s += 3600
    with pytest.raises(AuthenticationFailed):
        await users.act_with_token(first.secret, peer)
    await users.tokens.remove(actor, second.token.token_id)
    with pytest.raises(AuthenticationFailed):
        await users.act_with_token(second.secret, peer)
    with pytest.raises(NoSuchToken):
        await users.tokens.remove(actor, second.token.token_id)
    third = await users.tokens.reset(actor)
    assert await users.tokens.list(actor) == [third.token]
    assert await users.tokens.remove_all(actor) == 1


async def test_tokens_are_good_from_their_networks(users, carol):
    made = await users.tokens.create(await users.actor_of(carol), "office", networks=["192.0.2.0/24", "2001:db8::/32"])
    for address in ("192.0.2.9", "2001:db8::1", "::ffff:192.0.2.9"):
        assert (await users.act_with_token(made.secret, Peer(address, 1))).user_id == carol.user_id
    for address in ("192.0.3.1", "2001:db9::1", "", "x"):
        with pytest.raises(AuthenticationFailed):
            await users.act_with_token(made.secret, Peer(address, 1))
    assert not is_within("192.0.2.1", [])


async def test_what_tokens_cannot_be(users, carol, root, clock):
    actor = await users.actor_of(carol)
    for label, wishes in (
        ("", {}),
        ("x" * 101, {}),
        ("a\nb", {}),
        ("x", {"networks": ["192.0.2.1/24"]}),
        ("x", {"networks": ["here"]}),
        ("x", {"networks": ["192.0.2.1"] * 21}),
        ("x", {"expires_at": clock.now()}),
    ):
        with pytest.raises(PolicyRefused):
            await users.tokens.create(actor, label, **wishes)
    for _ in range(TOKENS_MAX):
        await users.tokens.create(actor, "one of many")
    with pytest.raises(LimitReached):
        await users.tokens.create(actor, "one too many")


async def test_tokens_are_a_users_own(users, carol, root, peer):
    actor, above = await users.actor_of(carol), await users.actor_of(root)
    made = await users.tokens.create(actor, "script")
    with pytest.raises(NotAllowed):
        await users.tokens.create(actor, "of another", user=root)
    with pytest.raises(NotAllowed):
        await users.tokens.remove(actor, made.token.token_id, root)
    with pytest.raises(NoSuchToken):
        await users.tokens.remove(above, made.token.token_id)
    with pytest.raises(NoSuchUser):
        await users.tokens.create(Actor(None, None, is_admin=True), "nobody's")
    assert await users.tokens.list(above, carol) == [made.token]


async def test_attack_092_a_token_made_with_a_token_can_do_no_more(users, carol, clock):
    actor = await users.actor_of(carol)
    end = clock.now() + timedelta(hours=1)
    first = await users.tokens.create(actor, "short", expires_at=end, networks=["192.0.2.0/24"])
    acting = await users.act_with_token(first.secret, Peer("192.0.2.1", 1))
    for networks in (["0.0.0.0/0"], ["198.51.100.0/24"], ["192.0.0.0/16"]):
        with pytest.raises(PolicyRefused):
            await users.tokens.create(acting, "wider", networks=networks)
    made = await users.tokens.create(acting, "same", expires_at=clock.now() + timedelta(days=1))
    assert (made.token.expires_at, made.token.networks) == (first.token.expires_at, ("192.0.2.0/24",))
    narrow = await users.tokens.create(acting, "narrow", networks=["192.0.2.7"])
    assert narrow.token.networks == ("192.0.2.7/32",)


async def test_attack_061_wrong_tokens_are_counted_by_network(users, carol, peer):
    made = await users.tokens.create(await users.actor_of(carol), "script")
    refused = 0
    for number in range(30):
        with pytest.raises((AuthenticationFailed, TooManyFailures)) as failed:
            await users.act_with_token(Secret(token_of(number.to_bytes(32))), peer)
        refused += isinstance(failed.value, TooManyFailures)
    assert refused > 10
    assert (await users.act_with_token(made.secret, peer)).user_id == carol.user_id
    with pytest.raises(AuthenticationFailed):
        await users.act_with_token(Secret("x"), Peer("198.51.100.7", 1))


async def test_lists_of_users_come_in_pages(users, admin):
    for number in range(5):
        await users.create(admin, Address.parse(f"u{number}@elsewhere.test"), OWN)
    page = await users.list(admin, Listing(page=2, limit=2))
    assert ([user.address[:2] for user in page.items], page.item_count) == (["u2", "u3"], 5)
