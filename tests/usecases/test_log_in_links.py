"""Links with which a password is set once."""

from datetime import timedelta

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchAccount, NotAllowed, PolicyRefused
from mailstead.model.secret import Secret
from mailstead.usecases.log_in_links import LIFE, LogInLinks

ALICE = Address.parse("alice@example.test")
NEW = Secret("pw-never-in-a-log-new")


@pytest.fixture
async def links(storage, accounts, clock, alice):
    return LogInLinks(storage, accounts, clock, b"k" * 32)


async def test_a_link_sets_the_password_once(links, accounts, admin, peer, alice):
    token = await links.make(admin, ALICE)
    assert (await links.account(token)).address == ALICE
    assert (await links.set_password(token, NEW)).account_id == alice.account_id
    assert (await accounts.log_in(str(ALICE), NEW, peer, "imap")).account_id == alice.account_id
    with pytest.raises(PolicyRefused, match="not any more"):
        await links.set_password(token, Secret("pw-never-in-a-log-other"))
    await accounts.log_in(str(ALICE), NEW, peer, "imap")


async def test_a_password_that_is_refused_leaves_the_link_good(links, admin, peer, accounts):
    token = await links.make(admin, ALICE)
    with pytest.raises(PolicyRefused) as refused:
        await links.set_password(token, Secret("\x00"))
    assert "link" not in refused.value.public_text
    await links.set_password(token, NEW)
    await accounts.log_in(str(ALICE), NEW, peer, "imap")


async def test_any_new_password_ends_all_links(links, accounts, admin):
    tokens = [await links.make(admin, ALICE), await links.make(admin, ALICE, timedelta(days=1))]
    await accounts.set_password(admin, ALICE, NEW)
    for token in tokens:
        with pytest.raises(PolicyRefused):
            await links.account(token)


async def test_a_link_ends(links, admin, clock):
    token = await links.make(admin, ALICE)
    clock.passed_s += LIFE.total_seconds() - 1
    await links.account(token)
    clock.passed_s += 2
    with pytest.raises(PolicyRefused):
        await links.account(token)


async def test_links_of_a_removed_account_lead_nowhere(links, accounts, admin):
    token = await links.make(admin, ALICE)
    await accounts.remove(admin, ALICE)
    with pytest.raises(PolicyRefused):
        await links.account(token)


async def test_made_up_and_changed_links_are_refused(links, admin):
    token = await links.make(admin, ALICE)
    changed = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(len(token) - 1)]
    for wrong in ["", "x", "é", "A" * 60, "A" * 4000, token + "AAAA", *changed]:
        with pytest.raises(PolicyRefused):
            await links.account(wrong)


async def test_links_of_another_house_are_refused(links, storage, accounts, clock, admin):
    token = await LogInLinks(storage, accounts, clock, b"o" * 32).make(admin, ALICE)
    with pytest.raises(PolicyRefused):
        await links.account(token)


async def test_only_administrators_make_them_and_only_for_accounts(links, admin, alice):
    with pytest.raises(NotAllowed):
        await links.make(Actor(alice.account_id, alice.address), ALICE)
    with pytest.raises(NoSuchAccount):
        await links.make(admin, Address.parse("nobody@example.test"))
