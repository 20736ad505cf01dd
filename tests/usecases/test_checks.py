"""Checking is for administrators; directory and account stores must fit together."""

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import NotAllowed
from mailstead.model.ids import AccountId
from mailstead.usecases.checks import Checks

LEFT_BEHIND = AccountId("00000000000000aa")


async def found(storage, admin):
    return [finding async for finding in Checks(storage).findings(admin)]


async def test_only_administrators_may_look():
    with pytest.raises(NotAllowed):
        async for _ in Checks(None).findings(Actor(None, None)):
            raise AssertionError("nothing may be seen")


async def test_a_house_in_order_has_no_findings(storage, admin, alice, bob):
    assert await found(storage, admin) == []


async def test_a_store_that_no_account_has_is_found(storage, admin, alice):
    """What a crash between making the store and entering the address leaves."""
    await storage.accounts.create(LEFT_BEHIND, [("INBOX", None)])
    (finding,) = await found(storage, admin)
    assert finding.account_id == LEFT_BEHIND
    assert "delete the files" in finding.text
    await storage.accounts.delete(LEFT_BEHIND)
    assert await found(storage, admin) == []


async def test_a_removal_that_was_cut_short_is_found(storage, admin, alice):
    await storage.directory.remove_account(alice.account_id)
    assert [finding.account_id for finding in await found(storage, admin)] == [alice.account_id]


async def test_an_account_without_store_is_found(storage, accounts, admin, alice, bob):
    await storage.accounts.delete(alice.account_id)
    (finding,) = await found(storage, admin)
    assert finding.account_id == alice.account_id
    assert "its store is not there" in finding.text
    await accounts.remove(admin, Address.parse("alice@example.test"))
    assert await found(storage, admin) == []
