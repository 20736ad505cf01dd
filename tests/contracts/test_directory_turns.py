"""The directory's verbs that turn accounts and aliases into each other, and those of catch-all passwords."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mailstead.model.address import Address
from mailstead.model.directory import Account, Alias, Domain, Verifier
from mailstead.model.errors import (
    AddressTaken,
    LimitReached,
    NoSuchAccount,
    NoSuchAlias,
    NoSuchDomain,
    NoSuchKey,
    TryAgainLater,
)
from mailstead.model.ids import AccountId
from mailstead.model.people import CatchAllPassword, ObjectId
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.directory import EmbeddedDirectory

SALT = b"0123456789abcdef"
SALES = Address("Sales", "example.test")
BOB = Address("bob", "example.org")
STAR = Address("*", "example.test")


def verifier(number: int) -> Verifier:
    return Verifier(f"$argon2id${number}", bytes([number]) * 32, bytes([number + 1]) * 32)


@pytest.fixture
async def directories(tmp_path):
    """Two faces of one directory, as two processes have them."""
    bus = LocalBus()
    both = [EmbeddedDirectory(tmp_path, bytes(32), bus) for _ in range(2)]
    await both[0].add_domain(Domain("example.test"))
    yield both
    for each in both:
        await each.close()


async def test_an_alias_becomes_an_account_at_one_moment_and_another_process_sees_it(directories):
    here, there = directories
    await here.add_alias(Alias(SALES, (BOB,), description="shop"))
    account = Account(AccountId("1" * 16), SALES, forward_to=(BOB,))
    assert isinstance(await there.find(SALES), Alias)
    await here.turn_into_account(account, SALT, 4096, verifier(1))
    assert await there.find(SALES) == account
    assert await here.aliases() == []
    found = await here.credentials(SALES)
    assert (found.password, found.scram_salt) == (verifier(1), SALT)


async def test_what_is_no_alias_does_not_become_an_account_and_nothing_is_left_behind(directories):
    here, _ = directories
    account = Account(AccountId("1" * 16), SALES)
    with pytest.raises(NoSuchAlias):
        await here.turn_into_account(account, SALT, 4096, verifier(1))
    assert await here.account(account.account_id) is None
    await here.add_account(account, SALT, 4096, verifier(1))
    with pytest.raises(NoSuchAlias):
        await here.turn_into_account(replace(account, account_id=AccountId("2" * 16)), SALT, 4096, verifier(2))
    assert await here.accounts() == [account]


async def test_an_account_becomes_an_alias_and_those_logged_in_are_told(directories):
    here, there = directories
    account = Account(AccountId("1" * 16), SALES)
    await here.add_account(account, SALT, 4096, verifier(1))
    before = (await here.credential_changes(0)).latest
    alias = Alias(SALES, (BOB,))
    await there.turn_into_alias(account.account_id, alias)
    assert await here.find(SALES) == alias
    assert await here.accounts() == []
    assert (await here.credential_changes(before)).account_ids == {account.account_id}
    with pytest.raises(NoSuchAccount):
        await there.turn_into_alias(account.account_id, alias)


async def test_an_account_that_is_switched_off_says_so_and_its_sessions_are_told(directories):
    here, _ = directories
    account = Account(AccountId("1" * 16), SALES)
    await here.add_account(account, SALT, 4096, verifier(1))
    before = (await here.credential_changes(0)).latest
    await here.set_enabled(account.account_id, is_enabled=False, disabled_code=421)
    assert await here.find(SALES) == replace(account, is_enabled=False, disabled_code=421)
    assert await here.credentials(SALES) is None
    assert (await here.credential_changes(before)).account_ids == {account.account_id}
    await here.set_enabled(account.account_id, is_enabled=True, disabled_code=None)
    assert (await here.credentials(SALES)).account == account
    with pytest.raises(NoSuchAccount):
        await here.set_enabled(AccountId("2" * 16), is_enabled=True, disabled_code=None)


def catch_all(number: int, domain: str = "example.test") -> CatchAllPassword:
    made_at = datetime(2026, 1, 1, tzinfo=UTC)
    return CatchAllPassword(ObjectId(f"{number:024x}"), domain, f"printer {number}", made_at, is_chosen=number == 2)


async def test_a_catch_all_has_passwords_for_submission_only(directories):
    here, there = directories
    assert await here.credentials(STAR) is None
    await here.add_alias(Alias(STAR, (BOB,)))  # has nothing to do with it
    assert await here.credentials(STAR) is None
    for number in (1, 2):
        await here.add_catch_all_password(catch_all(number), SALT, 4096, verifier(number))
    assert await there.catch_all_passwords("example.test") == [catch_all(1), catch_all(2)]
    found = await there.credentials(STAR)
    assert (found.password, found.scram_salt, found.account.address) == (None, SALT, STAR)
    assert [(one.scopes, one.verifier, one.is_chosen) for one in found.app_passwords] == [
        (frozenset({"smtp"}), verifier(1), False),
        (frozenset({"smtp"}), verifier(2), True),
    ]
    assert await here.account(found.account.account_id) == found.account
    assert await here.accounts() == []  # it is none


async def test_a_catch_all_password_is_removed_and_its_sessions_are_told(directories):
    here, _ = directories
    await here.add_catch_all_password(catch_all(1), SALT, 4096, verifier(1))
    account_id = (await here.credentials(STAR)).account.account_id
    before = (await here.credential_changes(0)).latest
    with pytest.raises(NoSuchKey):
        await here.remove_catch_all_password("example.org", catch_all(1).password_id)
    await here.remove_catch_all_password("example.test", catch_all(1).password_id)
    assert await here.credentials(STAR) is None
    assert await here.account(account_id) is None
    assert (await here.credential_changes(before)).account_ids == {account_id}


async def test_all_passwords_of_a_catch_all_have_one_salt_and_there_are_not_too_many(directories):
    here, _ = directories
    for number in range(10):
        await here.add_catch_all_password(catch_all(number), SALT, 4096, verifier(number))
    with pytest.raises(LimitReached):
        await here.add_catch_all_password(catch_all(11), SALT, 4096, verifier(11))
    await here.remove_catch_all_password("example.test", catch_all(0).password_id)
    with pytest.raises(TryAgainLater):
        await here.add_catch_all_password(catch_all(11), bytes(16), 4096, verifier(11))
    with pytest.raises(NoSuchDomain):
        await here.add_catch_all_password(catch_all(12, "example.org"), SALT, 4096, verifier(12))


@pytest.mark.parametrize("local_part", ["shop", "/^shop/", "*"])
async def test_an_alias_gets_another_address_at_one_moment_and_another_process_sees_it(directories, local_part):
    here, there = directories
    await here.add_alias(Alias(SALES, (BOB,), description="shop"))
    assert isinstance(await there.find(SALES), Alias)
    renamed = Alias(Address(local_part, "example.test"), (BOB, Address("amy", "example.org")), description="other")
    await here.rename_alias(SALES, renamed)
    assert await there.find(SALES) is None
    assert await there.aliases("example.test") == [renamed]
    assert await there.patterns("example.test") == [renamed] * (local_part != "shop")


async def test_an_address_that_is_somebodys_is_not_taken_over(directories):
    here, _ = directories
    sales, shop = Alias(SALES, (BOB,)), Alias(Address("shop", "example.test"), (BOB,))
    account = Account(AccountId("1" * 16), Address("amy", "example.test"))
    await here.add_alias(sales)
    await here.add_alias(shop)
    await here.add_account(account, SALT, 4096, verifier(1))
    for taken in (shop.address, account.address):
        with pytest.raises(AddressTaken):
            await here.rename_alias(SALES, replace(sales, address=taken))
    for other in (Address("nobody", "example.test"), account.address):  # what has a mailbox keeps its address
        with pytest.raises(NoSuchAlias):
            await here.rename_alias(other, replace(sales, address=Address("new", "example.test")))
    assert await here.aliases() == [sales, shop]
    assert await here.find(account.address) == account
