"""The directory's part of the storage port: any adapter must pass. Promise 8 is here."""

import asyncio
from datetime import UTC

import pytest

from mailstead.model.address import Address
from mailstead.model.directory import Account, Alias, Domain, Verifier
from mailstead.model.errors import (
    AddressTaken,
    DomainExists,
    DomainInUse,
    LimitReached,
    NoSuchAccount,
    NoSuchAlias,
    NoSuchDomain,
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
    other = Domain("a.test", address("postmaster"))
    await directory.add_domain(other)
    assert await directory.domains() == [other, DOMAIN]
    assert await directory.domain("a.test") == other
    assert await directory.domain("b.test") is None
    with pytest.raises(DomainExists):
        await directory.add_domain(Domain("a.test"))
    await directory.set_catch_all("a.test", None)
    assert await directory.domain("a.test") == Domain("a.test")
    await directory.remove_domain("a.test")
    assert await directory.domains() == [DOMAIN]
    for call in (directory.remove_domain("a.test"), directory.set_catch_all("a.test", None)):
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
    assert await directory.addresses_of(ALICE.account_id) == [ALICE.address, address("info"), address("sales")]
    assert await directory.addresses_of(BOB.account_id) == [BOB.address]
    await directory.remove_alias(address("info"))
    assert await directory.addresses_of(ALICE.account_id) == [ALICE.address]


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
