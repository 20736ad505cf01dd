"""The directory's part of the storage port: any adapter must pass. Promise 8 is here."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mailstead.model.address import Address
from mailstead.model.directory import (
    Account,
    Alias,
    DkimKey,
    Domain,
    DomainTerms,
    HostTarget,
    KeyState,
    Verifier,
    WebhookTarget,
)
from mailstead.model.errors import (
    AddressTaken,
    DomainExists,
    DomainInUse,
    LimitReached,
    NoSuchAccount,
    NoSuchAlias,
    NoSuchDomain,
    NoSuchKey,
)
from mailstead.model.ids import AccountId
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.directory import EmbeddedDirectory

DOMAIN = Domain("example.test")
SALT = b"0123456789abcdef"


def verifier(number: int) -> Verifier:
    return Verifier(f"$argon2id${number}", bytes([number]) * 32, bytes([number + 1]) * 32)


def address(local_part: str, domain: str = "example.test") -> Address:
    return Address(local_part, domain)


def account(number: int, local_part: str, domain: str = "example.test") -> Account:
    return Account(AccountId(f"{number:016x}"), address(local_part, domain))


ALICE, BOB = account(1, "Alice"), account(2, "bob")


@pytest.fixture
async def directories(tmp_path):
    """Two faces of one directory, as two processes have them."""
    bus = LocalBus()
    both = [EmbeddedDirectory(tmp_path, bytes(32), bus) for _ in range(2)]
    await both[0].add_domain(DOMAIN)
    yield both
    for one in both:
        await one.close()


@pytest.fixture
def directory(directories):
    return directories[0]


async def add(directory, one: Account, number: int = 1) -> None:
    await directory.add_account(one, SALT, 4096, verifier(number))


async def test_domains(directory):
    other = Domain(
        "a.test", DomainTerms(uses_dns_rules=True, denylist=("x.test", "192.0.2.0/24"), smarthost="r.test:587")
    )
    await directory.add_domain(other)
    assert await directory.domains() == [other, DOMAIN]
    assert await directory.domain("a.test") == other
    assert await directory.domain("b.test") is None
    with pytest.raises(DomainExists):
        await directory.add_domain(Domain("a.test"))
    await directory.set_terms("a.test", DomainTerms(keeps_trace=False))
    assert await directory.domain("a.test") == Domain("a.test", DomainTerms(keeps_trace=False))
    await directory.remove_domain("a.test")
    assert await directory.domains() == [DOMAIN]
    for call in (directory.remove_domain("a.test"), directory.set_terms("a.test", DomainTerms())):
        with pytest.raises(NoSuchDomain):
            await call


async def test_a_domain_in_use_stays(directory):
    await add(directory, ALICE)
    with pytest.raises(DomainInUse):
        await directory.remove_domain("example.test")
    await directory.remove_account(ALICE.account_id)
    await directory.add_alias(Alias(address("x"), (address("y"),)))
    with pytest.raises(DomainInUse):
        await directory.remove_domain("example.test")
    await directory.remove_alias(address("x"))
    await directory.remove_domain("example.test")


async def test_accounts_are_found_in_any_case_and_listed_by_address(directory):
    await directory.add_domain(Domain("a.test"))
    other = account(3, "zoe", "a.test")
    for one in (BOB, ALICE, other):
        await add(directory, one)
    assert await directory.find(address("ALICE")) == ALICE
    assert await directory.account(BOB.account_id) == BOB
    assert await directory.account(AccountId("f" * 16)) is None
    assert await directory.accounts() == [other, ALICE, BOB]
    assert await directory.accounts("a.test") == [other]
    assert await directory.find(address("ali%")) is None
    with pytest.raises(NoSuchDomain):
        await add(directory, account(4, "x", "b.test"))
    assert await directory.account(AccountId(f"{4:016x}")) is None


@pytest.mark.parametrize("text", ["o'hara", "a';DROP TABLE address;--", "%", "_", "{$ne}", "$where"])
async def test_attack_075_operators_in_addresses_are_letters(directory, text):
    one = account(7, text)
    await add(directory, ALICE)
    assert await directory.find(one.address) is None
    await add(directory, one)
    assert await directory.find(one.address) == one
    assert (await directory.credentials(one.address)).account == one
    assert len(await directory.accounts()) == 2


async def test_accounts_and_aliases_share_one_name_space(directory):
    await add(directory, ALICE)
    with pytest.raises(AddressTaken):
        await add(directory, account(9, "aLICE"))
    with pytest.raises(AddressTaken):
        await directory.add_alias(Alias(address("alice"), (address("bob"),)))
    await directory.add_alias(Alias(address("info"), (address("alice"),)))
    with pytest.raises(AddressTaken):
        await add(directory, account(9, "info"))
    assert await directory.account(AccountId(f"{9:016x}")) is None
    assert await directory.aliases() == [Alias(address("info"), (address("alice"),))]


async def test_promise_8_exactly_one_of_many_wins(directories):
    """Twenty creations of one address at once, accounts and aliases, through two faces."""
    calls = []
    for number in range(20):
        directory = directories[number % 2]
        if number % 3:
            calls.append(add(directory, account(100 + number, "wanted")))
        else:
            calls.append(directory.add_alias(Alias(address("WANTED"), (address(f"t{number}"),))))
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, AddressTaken) for result in results) == 19
    winner = results.index(None)
    found = await directories[0].find(address("wanted"))
    assert found == await directories[1].find(address("wanted"))
    if winner % 3:
        assert found.account_id == f"{100 + winner:016x}"
    else:
        assert found.targets == (address(f"t{winner}"),)
    assert len(await directories[0].accounts()) + len(await directories[0].aliases()) == 1


async def test_a_removed_account_leaves_nothing(directory):
    await add(directory, ALICE)
    await directory.add_app_password(ALICE.account_id, "phone", frozenset(), verifier(5))
    await directory.remove_account(ALICE.account_id)
    assert await directory.find(ALICE.address) is None
    assert await directory.credentials(ALICE.address) is None
    assert await directory.addresses_of(ALICE.account_id) == []
    for call in (
        directory.remove_account(ALICE.account_id),
        directory.set_quota(ALICE.account_id, 1),
        directory.set_password(ALICE.account_id, SALT, 1, verifier(1)),
        directory.add_app_password(ALICE.account_id, "x", frozenset(), verifier(1)),
        directory.remove_app_password(ALICE.account_id, 1),
    ):
        with pytest.raises(NoSuchAccount):
            await call
    await add(directory, account(8, "alice"))
    assert (await directory.credentials(ALICE.address)).app_passwords == ()


async def test_aliases(directory):
    await directory.add_domain(Domain("a.test"))
    first = Alias(address("Team"), (address("b"), address("a"), address("c", "elsewhere.test")))
    second = Alias(address("x", "a.test"), (address("team"),))
    await directory.add_alias(first)
    await directory.add_alias(second)
    assert await directory.find(address("team")) == first
    assert await directory.aliases() == [second, first]
    assert await directory.aliases("a.test") == [second]
    with pytest.raises(NoSuchDomain):
        await directory.add_alias(Alias(address("x", "b.test"), (address("team"),)))
    await directory.remove_alias(address("TEAM"))
    assert await directory.find(address("team")) is None
    with pytest.raises(NoSuchAlias):
        await directory.remove_alias(address("team"))
    await add(directory, ALICE)
    with pytest.raises(NoSuchAlias):
        await directory.remove_alias(ALICE.address)


async def test_addresses_of_an_account_are_those_that_lead_only_to_it(directory):
    await add(directory, ALICE)
    await add(directory, BOB, 2)
    for name, targets in {
        "info": ("alice",),
        "sales": ("INFO",),
        "team": ("alice", "bob"),
        "all": ("team",),
        "loop1": ("loop2",),
        "loop2": ("loop1",),
    }.items():
        await directory.add_alias(Alias(address(name), tuple(address(target) for target in targets)))
    await directory.add_alias(Alias(address("both"), (address("alice"), WebhookTarget("https://hook.test/"))))
    assert await directory.addresses_of(ALICE.account_id) == [ALICE.address, address("info"), address("sales")]
    assert await directory.addresses_of(BOB.account_id) == [BOB.address]
    await directory.remove_alias(address("info"))
    assert await directory.addresses_of(ALICE.account_id) == [ALICE.address]


async def test_what_an_alias_has_is_kept(directory):
    targets = (
        Address("a b", "elsewhere.test"),
        Address("user", "[192.0.2.1]"),
        HostTarget("mail.elsewhere.test", 2525),
        HostTarget("2001:db8::1"),
        WebhookTarget("https://hook.test/a?b=c@d:1"),
    )
    alias = Alias(
        address("Info"), targets, False, 421, datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC), "for the shop", is_masked=True
    )
    await directory.add_alias(alias)
    assert await directory.find(address("info")) == alias
    changed = replace(alias, targets=(address("bob"),), is_enabled=True, expires_at=None, description="")
    await directory.replace_alias(changed)
    assert await directory.find(address("info")) == changed
    assert await directory.aliases() == [changed]
    with pytest.raises(NoSuchAlias):
        await directory.replace_alias(replace(alias, address=address("other")))
    await add(directory, ALICE)
    with pytest.raises(NoSuchAlias):
        await directory.replace_alias(replace(alias, address=ALICE.address))


async def test_patterns_come_in_the_order_of_creation_and_the_catch_all_last(directory):
    await directory.add_domain(Domain("a.test"))
    await directory.add_alias(Alias(address("*"), (address("bob"),)))
    long = Alias(Address("/^(z|" + "y" * 150 + ")@\"'$/", "example.test"), (address("x"),))
    others = [long, *(Alias(address(name), (address("$1"),)) for name in ("/^b-(.+)$/", "/^A-(.+)$/"))]
    for alias in others:
        await directory.add_alias(alias)
    await directory.add_alias(Alias(address("/^a-(.+)$/", "a.test"), (address("x"),)))
    catch_all = Alias(address("*"), (address("bob"),))
    assert await directory.patterns("example.test") == [*others, catch_all]
    assert await directory.patterns("b.test") == []
    for one in ("*", "/^b-(.+)$/"):
        assert await directory.find(address(one)) is None
        with pytest.raises(AddressTaken):
            await directory.add_alias(Alias(address(one), ()))
    await directory.remove_alias(address("*"))
    assert await directory.patterns("example.test") == others


async def test_attack_015_a_pattern_lets_nobody_send_as_what_it_matches(directory):
    await add(directory, ALICE)
    await directory.add_alias(Alias(address("*"), (ALICE.address,)))
    await directory.add_alias(Alias(address("/^a/"), (ALICE.address,)))
    await directory.add_alias(Alias(address("hook"), (WebhookTarget("https://alice@example.test"),)))
    assert await directory.addresses_of(ALICE.account_id) == [ALICE.address]
    odd = Account(AccountId("c" * 16), Address("https://alice", "example.test"))
    await add(directory, odd)
    assert await directory.addresses_of(odd.account_id) == [odd.address]


async def test_where_an_account_forwards_to(directory):
    await add(directory, ALICE)
    targets = (address("x", "elsewhere.test"), HostTarget("mail.test", 26), WebhookTarget("http://hook.test/"))
    await directory.set_forwarding(ALICE.account_id, targets, keeps_copy=False)
    await directory.set_sending_limit(ALICE.account_id, 50)
    expected = replace(ALICE, forward_to=targets, keeps_copy=False, sending_limit=50)
    assert await directory.find(ALICE.address) == await directory.account(ALICE.account_id) == expected
    assert (await directory.credentials(ALICE.address)).account == expected
    assert await directory.accounts() == [expected]
    await directory.set_forwarding(ALICE.account_id, (), keeps_copy=True)
    await directory.set_sending_limit(ALICE.account_id, None)
    assert await directory.find(ALICE.address) == ALICE
    whole = replace(BOB, forward_to=targets, keeps_copy=False, sending_limit=1)
    await add(directory, whole)
    assert await directory.find(BOB.address) == whole
    nobody = AccountId("f" * 16)
    for call in (
        directory.set_forwarding(nobody, (), keeps_copy=True),
        directory.set_sending_limit(nobody, 1),
    ):
        with pytest.raises(NoSuchAccount):
            await call


def key(selector, state=KeyState.ACTIVE, domain="example.test"):
    return DkimKey(domain, selector, "ed25519-sha256", b"secret " * 9, datetime(2026, 1, 1, tzinfo=UTC), state)


async def test_signing_keys(directories):
    directory, other = directories
    assert await other.dkim_keys("example.test") == []
    await directory.add_dkim_keys([key("b"), key("a")])
    assert await other.dkim_keys("example.test") == [key("a"), key("b")]
    assert "secret" not in repr(key("a"))
    with pytest.raises(AddressTaken):
        await directory.add_dkim_keys([key("c"), key("b")])
    with pytest.raises(NoSuchDomain):
        await directory.add_dkim_keys([key("a", domain="other.test")])
    with pytest.raises(NoSuchKey):
        await directory.set_dkim_states("example.test", {"a": KeyState.RETIRED, "c": KeyState.ACTIVE})
    assert await directory.dkim_keys("example.test") == [key("a"), key("b")]
    await directory.set_dkim_states("example.test", {"a": KeyState.RETIRED, "b": KeyState.PENDING})
    assert await other.dkim_keys("example.test") == [key("a", KeyState.RETIRED), key("b", KeyState.PENDING)]
    await directory.remove_dkim_key("example.test", "a")
    with pytest.raises(NoSuchKey):
        await directory.remove_dkim_key("example.test", "a")
    await directory.remove_domain("example.test")
    assert await directory.dkim_keys("example.test") == []


async def test_credentials_and_app_passwords(directory):
    await add(directory, ALICE)
    await directory.add_alias(Alias(address("info"), (address("alice"),)))
    found = await directory.credentials(address("alice"))
    assert (found.account, found.scram_salt, found.scram_iteration_count) == (ALICE, SALT, 4096)
    assert (found.password, found.app_passwords) == (verifier(1), ())
    assert await directory.credentials(address("info")) is None  # an alias does not log in
    made = await directory.add_app_password(ALICE.account_id, "phone", frozenset({"imap", "smtp"}), verifier(5))
    assert made.created_at.tzinfo is UTC
    assert (await directory.credentials(address("alice"))).app_passwords == (made,)
    await directory.set_password(ALICE.account_id, b"new salt", 5000, verifier(3))
    found = await directory.credentials(address("alice"))
    assert (found.scram_salt, found.scram_iteration_count, found.password) == (b"new salt", 5000, verifier(3))
    await add(directory, BOB)
    await directory.remove_app_password(BOB.account_id, made.app_password_id)  # not his
    assert (await directory.credentials(address("alice"))).app_passwords == (made,)
    await directory.remove_app_password(ALICE.account_id, made.app_password_id)
    assert (await directory.credentials(address("alice"))).app_passwords == ()
    again = await directory.add_app_password(ALICE.account_id, "phone", frozenset(), verifier(6))
    assert again.app_password_id != made.app_password_id


async def test_promise_8_one_of_many_replaces_a_password_that_is_still_the_old_one(directories):
    directory, other = directories
    await add(directory, ALICE)
    start = await directory.credential_changes(0)
    tries = [(directory, other)[n % 2].replace_password(ALICE.account_id, verifier(1), verifier(n)) for n in (2, 3, 4)]
    won = await asyncio.gather(*tries)
    assert sorted(won) == [False, False, True]
    found = await directory.credentials(ALICE.address)
    assert (found.password, found.scram_salt, found.scram_iteration_count) == (
        verifier(won.index(True) + 2),
        SALT,
        4096,
    )
    assert (await directory.credential_changes(start.latest)).account_ids == {ALICE.account_id}
    assert not await directory.replace_password(BOB.account_id, verifier(1), verifier(2))


async def test_app_passwords_are_limited(directory):
    await add(directory, ALICE)
    with pytest.raises(LimitReached):
        for number in range(100):
            await directory.add_app_password(ALICE.account_id, str(number), frozenset(), verifier(number))


async def test_disabled_accounts_have_no_credentials(directory):
    await add(directory, Account(AccountId("d" * 16), address("dora"), is_enabled=False))
    assert await directory.credentials(address("dora")) is None
    assert not (await directory.find(address("dora"))).is_enabled


async def test_quota(directory):
    await add(directory, ALICE)
    await directory.set_quota(ALICE.account_id, 2**40)
    assert (await directory.account(ALICE.account_id)).quota_octets == 2**40
    await directory.set_quota(ALICE.account_id, None)
    assert (await directory.find(ALICE.address)).quota_octets is None


async def test_credential_changes_name_each_account_once(directory):
    await add(directory, ALICE)
    await add(directory, BOB, 2)
    start = await directory.credential_changes(0)
    assert start.account_ids == frozenset()
    await directory.set_password(ALICE.account_id, SALT, 4096, verifier(3))
    await directory.set_password(ALICE.account_id, SALT, 4096, verifier(4))
    made = await directory.add_app_password(BOB.account_id, "phone", frozenset(), verifier(5))
    first = await directory.credential_changes(start.latest)
    assert first.account_ids == {ALICE.account_id}
    await directory.remove_app_password(BOB.account_id, made.app_password_id)
    await directory.remove_account(ALICE.account_id)
    second = await directory.credential_changes(first.latest)
    assert second.account_ids == {ALICE.account_id, BOB.account_id}
    assert (await directory.credential_changes(second.latest)).account_ids == frozenset()
    assert (await directory.credential_changes(0)).latest == second.latest
