"""Lists of senders that an account keeps for itself."""

import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import BadSettings, LimitReached, NotAllowed
from mailstead.usecases.sender_lists import ALLOWED, DENIED, ENTRIES_MAX, SenderLists


@pytest.fixture
def lists(storage):
    return SenderLists(storage)


@pytest.fixture
def actor(alice):
    return Actor(alice.account_id, alice.address)


async def test_entries_are_kept_sorted_and_each_once(lists, actor):
    assert await lists.entries(actor, DENIED) == []
    assert await lists.add(actor, DENIED, ["z.test", " a@b.test ", "z.test"]) == ["a@b.test", "z.test"]
    assert await lists.add(actor, DENIED, ["192.0.2.0/24"]) == ["192.0.2.0/24", "a@b.test", "z.test"]
    assert await lists.entries(actor, DENIED) == ["192.0.2.0/24", "a@b.test", "z.test"]


async def test_the_two_lists_and_accounts_are_apart(lists, actor, bob):
    await lists.add(actor, DENIED, ["z.test"])
    assert await lists.entries(actor, ALLOWED) == []
    assert await lists.entries(Actor(bob.account_id, bob.address), DENIED) == []


async def test_removing_what_is_not_there_does_no_harm(lists, actor):
    await lists.add(actor, ALLOWED, ["a.test", "b.test"])
    assert await lists.remove(actor, ALLOWED, ["a.test", "c.test"]) == ["b.test"]
    assert await lists.remove(actor, ALLOWED, ["b.test"]) == []
    assert await lists.entries(actor, ALLOWED) == []


async def test_what_is_no_entry_changes_nothing(lists, actor):
    with pytest.raises(BadSettings):
        await lists.add(actor, DENIED, ["good.test", "not an entry"])
    assert await lists.entries(actor, DENIED) == []


async def test_a_list_has_its_limit(lists, actor):
    await lists.add(actor, DENIED, [f"d{number}.test" for number in range(ENTRIES_MAX)])
    with pytest.raises(LimitReached):
        await lists.add(actor, DENIED, ["more.test"])
    assert len(await lists.entries(actor, DENIED)) == ENTRIES_MAX


async def test_who_has_no_account_has_no_lists(lists, admin):
    for verb in (lists.entries(admin, DENIED), lists.add(admin, DENIED, ["a.test"]), lists.remove(admin, DENIED, [])):
        with pytest.raises(NotAllowed):
            await verb
