"""What the directory promises of users, members, invitations, tokens, profiles, the audit log and idempotency keys."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailstead.model.address import Address
from mailstead.model.directory import Account, Alias, Domain, Verifier
from mailstead.model.errors import (
    IdempotencyMismatch,
    LimitReached,
    NoSuchAccount,
    NoSuchAddress,
    NoSuchDomain,
    NoSuchInvite,
    NoSuchToken,
    NoSuchUser,
    NotAllowed,
    TryAgainLater,
    UserExists,
)
from mailstead.model.ids import AccountId
from mailstead.model.people import (
    AddressProfile,
    ApiToken,
    AuditEntry,
    DomainProfile,
    Group,
    Invite,
    Listing,
    ObjectId,
    User,
    UserId,
)

DOMAIN, OTHER = "example.test", "other.test"
NOW = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
VERIFIER = Verifier("$argon2id$x", b"s" * 32, b"k" * 32)
OPERATORS = ("%", "_", "*", "?", "[a-z]", "' OR '1'='1", '"', "\\", "$ne", "{", ".*", "\0", "a%", "%a")
"""What some store or other takes for more than a letter (attack row 75)."""


def user(number, **more):
    made = User(UserId(ObjectId(f"{number:024x}")), f"user{number}@elsewhere.test", created_at=NOW, updated_at=NOW)
    return replace(made, **more)


def account(number):
    return Account(AccountId(f"{number:016x}"), Address.parse(f"account{number}@{DOMAIN}"))


def token(number, of, **more):
    return replace(ApiToken(ObjectId(f"{number:024x}"), of.user_id, f"token {number}", NOW), **more)


def entry(number, **more):
    made = AuditEntry(
        0,
        NOW + timedelta(seconds=number),
        f"actor{number}@x.test",
        "192.0.2.1",
        "alias.add",
        f"o{number}@{DOMAIN}",
        DOMAIN,
    )
    return replace(made, **more)


@pytest.fixture
async def both(house):
    """Two faces of one directory, as two processes have them."""
    found = [await house.open() for _ in range(2)]
    for name in (DOMAIN, OTHER):
        await found[0].directory.add_domain(Domain(name))
    return found


@pytest.fixture
async def directory(both):
    return both[0].directory


@pytest.fixture
async def people(both):
    return both[0].people


# users


async def test_what_one_process_writes_of_users_another_reads_at_once(both):
    here, there = (storage.people for storage in both)
    assert await there.user(user(1).user_id) is None
    await here.add_user(user(1, given_name="A", locale="pt-BR"), VERIFIER)
    for found in (await there.user(user(1).user_id), await there.user_of("user1@elsewhere.test")):
        assert found == user(1, given_name="A", locale="pt-BR")
    assert await there.verifier(user(1).user_id) == VERIFIER
    await here.change_user(user(1, is_admin=True, family_name="B", updated_at=NOW))
    assert (await there.user(user(1).user_id)).is_admin
    other = replace(VERIFIER, argon2id="$argon2id$y")
    await here.set_user_password(user(1).user_id, other)
    assert await there.verifier(user(1).user_id) == other


async def test_of_two_users_of_one_address_or_account_one_is_made(people, directory):
    await directory.add_account(account(1), b"salt", 4096, VERIFIER)
    linked = user(1, account_id=account(1).account_id)
    await people.add_user(linked, None)
    for again in (
        user(2, address=linked.address),
        user(2, account_id=linked.account_id),
        user(1, address="x@elsewhere.test"),
    ):
        with pytest.raises(UserExists):
            await people.add_user(again, VERIFIER)
    with pytest.raises(NoSuchAccount):
        await people.add_user(user(3, account_id=AccountId("f" * 16)), None)
    await people.add_user(user(4), VERIFIER)
    with pytest.raises(UserExists):
        await people.change_user(user(4, address=linked.address))
    assert await people.user_of_account(account(1).account_id) == replace(
        linked, updated_at=(await people.user(linked.user_id)).updated_at
    )
    assert await people.verifier(linked.user_id) is None


async def test_simultaneous_creations_of_one_user(both):
    made = await asyncio.gather(
        *(each.people.add_user(user(number, address="same@x.test"), VERIFIER) for number, each in enumerate(both * 4)),
        return_exceptions=True,
    )
    assert sum(one is None for one in made) == 1
    assert all(one is None or isinstance(one, UserExists) for one in made)


async def test_what_is_not_there(people):
    for verb in (
        people.change_user(user(9)),
        people.set_user_password(user(9).user_id, VERIFIER),
        people.remove_user(user(9).user_id),
        people.set_member(DOMAIN, user(9).user_id, Group.USER),
        people.remove_member(DOMAIN, user(9).user_id),
        people.add_token(token(1, user(9)), b"h"),
    ):
        with pytest.raises(NoSuchUser):
            await verb


async def test_one_administrator_of_the_server_stays_however_many_go_at_once(both):
    here, there = (storage.people for storage in both)
    for number in (1, 2):
        await here.add_user(user(number, is_admin=True), VERIFIER)
    gone = await asyncio.gather(
        here.remove_user(user(1).user_id),
        there.change_user(user(2, is_enabled=False)),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in gone) == ["NoneType", "NotAllowed"]
    left = [one for one in (await here.users(Listing())).items if one.is_admin and one.is_enabled]
    assert len(left) == 1
    with pytest.raises(NotAllowed):
        await here.change_user(replace(left[0], is_admin=False))


async def test_users_come_in_pages(people):
    for number in range(7):
        await people.add_user(user(number, created_at=NOW - timedelta(days=number)), VERIFIER)
    page = await people.users(Listing(page=2, limit=3))
    assert ([one.address[:5] for one in page.items], page.item_count) == (["user3", "user4", "user5"], 7)
    oldest = await people.users(Listing(limit=2, sort="created_at"))
    assert [one.address[:5] for one in oldest.items] == ["user6", "user5"]
    assert [one.address[:5] for one in (await people.users(Listing(text="ER4"))).items] == ["user4"]
    assert (await people.users(Listing(page=2**70, limit=2**70))).items == ()
    assert (await people.users(Listing(sort="argon2id; --"))).item_count == 7


@pytest.mark.parametrize("text", OPERATORS)
async def test_attack_075_operators_in_searches_are_letters(people, directory, text):
    await people.add_user(user(1), VERIFIER)
    await directory.add_alias(Alias(Address.parse(f"info@{DOMAIN}"), (Address.parse("x@y.test"),)))
    await people.note([entry(1)])
    assert (await people.users(Listing(text=text))).item_count == 0
    assert (await people.address_entries(DOMAIN, Listing(text=text))).item_count == 0
    assert (await people.address_entries(DOMAIN, Listing(), target=text)).item_count == 0
    assert (await people.address_entries(DOMAIN, Listing(), local_part=text)).item_count == 0
    assert (await people.domain_entries(Listing(text=text))).item_count == 0
    assert (await people.audit(Listing(text=text))).item_count == 0
    assert (await people.audit(Listing(), verb=text)).item_count == 0
    assert (await people.audit(Listing(), domains=[text], actor=text)).item_count == 0
    for name in (text, DOMAIN + text):
        assert await people.domain_entry(name) is None
        assert await people.user_of(name) is None
        assert await people.address_entry(DOMAIN, name) is None


# members, invitations


async def test_members(people):
    for number in (2, 1):
        await people.add_user(user(number), VERIFIER)
        await people.set_member(DOMAIN, user(number).user_id, Group.USER)
    await people.set_member(DOMAIN, user(1).user_id, Group.ADMIN)
    found = await people.members(DOMAIN)
    assert [(one.user.user_id, one.group) for one in found] == [
        (user(1).user_id, Group.ADMIN),
        (user(2).user_id, Group.USER),
    ]
    assert await people.memberships(user(1).user_id) == {DOMAIN: Group.ADMIN}
    with pytest.raises(NoSuchDomain):
        await people.set_member("nope.test", user(1).user_id, Group.USER)
    await people.remove_user(user(1).user_id)
    assert [one.user.user_id for one in await people.members(DOMAIN)] == [user(2).user_id]


async def test_who_goes_leaves_his_addresses_to_the_domain(people, directory):
    await people.add_user(user(1), VERIFIER)
    for domain in (DOMAIN, OTHER):
        await people.set_member(domain, user(1).user_id, Group.USER)
        await directory.add_alias(Alias(Address.parse(f"info@{domain}"), (Address.parse("x@y.test"),)))
        await people.set_address_profile(domain, "info", AddressProfile(ObjectId(""), user(1).user_id))
    await people.remove_member(DOMAIN, user(1).user_id)
    owners = [(await people.address_entry(domain, "info")).profile.user_id for domain in (DOMAIN, OTHER)]
    assert owners == [None, user(1).user_id]
    await people.remove_user(user(1).user_id)
    assert (await people.address_entry(OTHER, "info")).profile.user_id is None


async def test_an_invitation_is_taken_once_and_in_one_step(both):
    here, there = (storage.people for storage in both)
    for number in (1, 2):
        await here.add_user(user(number), VERIFIER)
    invite = Invite(DOMAIN, "x@elsewhere.test", Group.ADMIN, NOW, NOW + timedelta(days=7))
    await here.put_invite(invite)
    assert await there.invites(DOMAIN) == [invite]
    taken = await asyncio.gather(
        here.take_invite(DOMAIN, user(1).user_id, invite.address, NOW),
        there.take_invite(DOMAIN, user(2).user_id, invite.address, NOW),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in taken) == ["Invite", "NoSuchInvite"]
    assert len(await here.members(DOMAIN)) == 1
    assert await here.invites(DOMAIN) == []


async def test_invitations_that_cannot_be_taken_change_nothing(people):
    await people.add_user(user(1), VERIFIER)
    invite = Invite(DOMAIN, "x@elsewhere.test", Group.ADMIN, NOW, NOW + timedelta(days=7))
    await people.put_invite(invite)
    with pytest.raises(NoSuchUser):
        await people.take_invite(DOMAIN, user(9).user_id, invite.address, NOW)
    for domain, address, now in (
        (DOMAIN, "y@elsewhere.test", NOW),
        (OTHER, invite.address, NOW),
        (DOMAIN, invite.address, invite.expires_at),
    ):
        with pytest.raises(NoSuchInvite):
            await people.take_invite(domain, user(1).user_id, address, now)
    assert await people.members(DOMAIN) == []
    assert await people.invites(DOMAIN) == [invite]
    with pytest.raises(NoSuchDomain):
        await people.put_invite(replace(invite, domain="nope.test"))


async def test_invitations_are_replaced_and_bounded(people):
    made = [
        Invite(DOMAIN, f"x{number}@elsewhere.test", Group.USER, NOW, NOW + timedelta(days=7)) for number in range(200)
    ]
    for invite in made:
        await people.put_invite(invite)
    await people.put_invite(replace(made[0], group=Group.ADMIN))
    with pytest.raises(LimitReached):
        await people.put_invite(replace(made[0], address="one.more@elsewhere.test"))
    assert (await people.remove_invite(DOMAIN, made[0].address)).group is Group.ADMIN
    with pytest.raises(NoSuchInvite):
        await people.remove_invite(DOMAIN, made[0].address)


# tokens


async def test_tokens(both):
    here, there = (storage.people for storage in both)
    await here.add_user(user(1), VERIFIER)
    made = token(1, user(1), expires_at=NOW + timedelta(days=1), networks=("192.0.2.0/24", "2001:db8::/32"))
    await here.add_token(made, b"hash 1")
    whose, found = await there.token(b"hash 1")
    assert (whose.user_id, found) == (user(1).user_id, made)
    assert await there.token(b"hash 2") is None
    await here.note_token_use([made.token_id, ObjectId("f" * 24)], "2026-11-04")
    await here.note_token_use([made.token_id], "2026-11-03")  # a process whose clock is behind
    assert (await there.tokens(user(1).user_id))[0].last_used_on == "2026-11-04"
    await here.remove_token(user(1).user_id, made.token_id)
    assert await there.token(b"hash 1") is None
    with pytest.raises(NoSuchToken):
        await here.remove_token(user(1).user_id, made.token_id)


async def test_attack_064_tokens_of_the_disabled_and_the_gone_are_no_good(people, directory):
    await directory.add_account(account(1), b"salt", 4096, VERIFIER)
    await people.add_user(user(1, account_id=account(1).account_id), None)
    await people.add_token(token(1, user(1)), b"hash")
    await directory.set_enabled(account(1).account_id, is_enabled=False, disabled_code=None)
    assert await people.token(b"hash") is None
    await directory.set_enabled(account(1).account_id, is_enabled=True, disabled_code=None)
    assert await people.token(b"hash") is not None
    await people.change_user(user(1, account_id=account(1).account_id, is_enabled=False))
    assert await people.token(b"hash") is None
    assert len(await people.tokens(user(1).user_id)) == 1
    await people.remove_user(user(1).user_id)
    assert await people.tokens(user(1).user_id) == []
    assert await people.token(b"hash") is None


async def test_nobody_ends_anothers_token_and_their_number_is_bounded(people):
    for number in (1, 2):
        await people.add_user(user(number), VERIFIER)
    for number in range(50):
        await people.add_token(token(number, user(1)), b"hash %d" % number)
    with pytest.raises(LimitReached):
        await people.add_token(token(99, user(1)), b"hash 99")
    with pytest.raises(NoSuchToken):
        await people.remove_token(user(2).user_id, token(1, user(1)).token_id)
    assert len(await people.tokens(user(1).user_id)) == 50


# profiles


async def test_domains_and_addresses_have_ids_that_stay(people, directory):
    made = await people.domain_entry(DOMAIN)
    assert len(made.profile.object_id) == 24
    assert await people.domain_entry(made.profile.object_id) == made
    profile = DomainProfile(ObjectId("0" * 24), restricted_names=("root",), kept={"a": [1, None]})
    await people.set_domain_profile(DOMAIN, profile)
    found = (await people.domain_entry(DOMAIN)).profile
    assert (found.object_id, found.restricted_names, found.kept) == (
        made.profile.object_id,
        ("root",),
        {"a": [1, None]},
    )
    alias = Alias(Address.parse(f"Info@{DOMAIN}"), (Address.parse("x@y.test"),))
    await directory.add_alias(alias)
    one = await people.address_entry(DOMAIN, "INFO")
    assert one == await people.address_entry(DOMAIN, one.profile.object_id)
    assert await people.address_entry(OTHER, one.profile.object_id) is None
    await people.set_address_profile(DOMAIN, "info", AddressProfile(ObjectId(""), labels=("a", "b"), settings={"x": 1}))
    again = (await people.address_entry(DOMAIN, "info")).profile
    assert (again.object_id, again.labels, again.settings) == (one.profile.object_id, ("a", "b"), {"x": 1})
    await directory.remove_alias(alias.address)
    assert await people.address_entry(DOMAIN, one.profile.object_id) is None
    with pytest.raises(NoSuchAddress):
        await people.set_address_profile(DOMAIN, "info", AddressProfile(ObjectId("")))
    with pytest.raises(NoSuchDomain):
        await people.set_domain_profile("nope.test", profile)


async def test_two_thousand_addresses_come_in_pages(people, directory):
    await people.add_user(user(1), VERIFIER)
    to = (Address.parse("x@y.test"),)
    names = [f"a{number:05}" for number in range(2000)]
    for at in range(0, len(names), 500):
        await asyncio.gather(*(directory.add_alias(Alias(Address(name, DOMAIN), to)) for name in names[at : at + 500]))
    await directory.add_alias(Alias(Address("z", OTHER), (Address.parse("other@y.test"),)))
    page = await people.address_entries(DOMAIN, Listing(page=40, limit=50))
    assert ([one.owner.address.local_part for one in page.items], page.item_count) == (names[-50:], 2000)
    last = await people.address_entries(DOMAIN, Listing(limit=1, sort="-name"))
    assert last.items[0].owner.address.local_part == names[-1]
    found = await people.address_entries(DOMAIN, Listing(text="0199"))
    assert [one.owner.address.local_part for one in found.items] == [name for name in names if "0199" in name]
    await people.set_address_profile(DOMAIN, names[7], AddressProfile(ObjectId(""), user(1).user_id, labels=("Press",)))
    own = await people.address_entries(DOMAIN, Listing(), user_id=user(1).user_id)
    labelled = await people.address_entries(DOMAIN, Listing(text="pRESS"))
    assert [one.owner.address.local_part for page in (own, labelled) for one in page.items] == [names[7]] * 2
    assert (await people.address_entries(DOMAIN, Listing(), target="X@Y.test")).item_count == 2000
    assert (await people.address_entries(DOMAIN, Listing(), target="other@y.test")).item_count == 0
    assert (await people.domain_entries(Listing(), [DOMAIN])).item_count == 1


# the audit log


async def test_the_audit_log_is_asked_by_domain_actor_verb_and_text(people):
    await people.note(
        [
            entry(1, details={"a": "b"}),
            entry(2, verb="alias.remove"),
            entry(3, domain=OTHER, verb="aliasing"),
            entry(4, domain="", verb="user.add"),
        ]
    )

    async def numbers(listing=None, **conditions):
        page = await people.audit(listing or Listing(), **conditions)
        return [int(one.object[1]) for one in page.items], page.item_count

    assert await numbers() == ([4, 3, 2, 1], 4)
    assert await numbers(Listing(page=2, limit=3)) == ([1], 4)
    assert await numbers(domains=[DOMAIN]) == ([2, 1], 2)
    assert await numbers(domains=[]) == ([], 0)
    assert await numbers(domains=[DOMAIN, OTHER], verb="alias.") == ([2, 1], 2)
    assert await numbers(actor="actor3@x.test") == ([3], 1)
    assert await numbers(Listing(text="ACTOR2")) == ([2], 1)
    (first,) = (await people.audit(Listing(text="o1@"))).items
    assert first == entry(1, details={"a": "b"}, entry_id=first.entry_id)
    assert await people.forget_audit(NOW + timedelta(seconds=3)) == 2
    assert await numbers() == ([4, 3], 2)


# idempotency keys


async def test_of_two_requests_with_one_key_one_is_done(both):
    here, there = (storage.people for storage in both)
    until = NOW + timedelta(hours=1)
    claims = await asyncio.gather(
        *(each.first_answer("u:1", "key", b"hash", NOW, until) for each in (here, there)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in claims) == ["TryAgainLater", "bytes"]
    await here.keep_answer("u:1", "key", b"answer")
    assert await there.first_answer("u:1", "key", b"hash", NOW, until) == b"answer"
    with pytest.raises(IdempotencyMismatch):
        await there.first_answer("u:1", "key", b"other hash", NOW, until)
    assert await there.first_answer("u:2", "key", b"other hash", NOW, until) == b""  # another caller's is another key
    assert await there.first_answer("u:1", "key", b"other hash", until, until + timedelta(hours=1)) == b""


async def test_a_claim_is_given_up_or_runs_out(people):
    until = NOW + timedelta(hours=1)
    assert await people.first_answer("u:1", "key", b"hash", NOW, until) == b""
    await people.keep_answer("u:1", "key", b"")
    assert await people.first_answer("u:1", "key", b"hash", NOW, until) == b""
    with pytest.raises(TryAgainLater):
        await people.first_answer("u:1", "key", b"hash", NOW + timedelta(seconds=299), until)
    assert await people.first_answer("u:1", "key", b"hash", NOW + timedelta(seconds=300), until) == b""
