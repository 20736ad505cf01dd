"""Preferences of owners: kept whole, changed as one unit, gone with their owner."""

import asyncio
from dataclasses import replace

from mailstead.model.address import Address
from mailstead.model.directory import Account, Domain, Verifier
from mailstead.model.ids import AccountId
from mailstead.model.people import owner_of
from mailstead.model.preferences import Density, IdentityText, Preferences, Theme

ALICE = AccountId("a" * 16)
OWNER = owner_of(None, ALICE)
WHOLE = Preferences(
    "pt-BR", Theme.DARK, "Europe/Lisbon", Density.COMPACT, 25, "Alice", "-- \nA.", "shop@example.test",
    {"shop@example.test": IdentityText("The shop", None), "a@example.test": IdentityText("", "")},
    ("@example.net", "bob@example.org"),
)  # fmt: skip


async def test_they_come_back_whole_and_after_a_restart(house, storage):
    assert await storage.preferences.preferences(OWNER) == Preferences()
    assert await storage.preferences.change(OWNER, lambda _: WHOLE) == WHOLE
    assert await storage.preferences.preferences(OWNER) == WHOLE
    assert await storage.preferences.preferences("u:" + "1" * 24) == Preferences()
    await storage.close()
    house.opened.remove(storage)
    assert await (await house.open()).preferences.preferences(OWNER) == WHOLE


async def test_two_changes_at_once_both_count(storage):
    await asyncio.gather(
        storage.preferences.change(OWNER, lambda there: replace(there, language="ko")),
        storage.preferences.change(OWNER, lambda there: replace(there, undo_s=5)),
    )
    assert await storage.preferences.preferences(OWNER) == Preferences(language="ko", undo_s=5)


async def test_they_go_with_the_account(storage):
    await storage.directory.add_domain(Domain("example.test"))
    account = Account(ALICE, Address("alice", "example.test"))
    verifier = Verifier("$argon2id$", b"1" * 32, b"2" * 32)
    await storage.directory.add_account(account, b"salt", 4096, verifier)
    await storage.preferences.change(OWNER, lambda _: WHOLE)
    await storage.directory.remove_account(ALICE)
    assert await storage.preferences.preferences(OWNER) == Preferences()
