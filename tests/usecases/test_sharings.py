"""Shares between accounts, delegates, public links."""

from datetime import timedelta

import pytest

from mailstead.model.address import Address
from mailstead.model.dav import Access, CollectionKind, CollectionTraits
from mailstead.model.errors import NoSuchAccount, NoSuchCollection, NoSuchShare, NotAllowed
from mailstead.model.secret import Secret
from mailstead.usecases.sharings import Sharings, link_id

CALENDAR, ADDRESSBOOK, INBOX = CollectionKind.CALENDAR, CollectionKind.ADDRESSBOOK, CollectionKind.INBOX
BOB = Address.parse("bob@example.test")
CAROL = Address.parse("carol@example.test")


@pytest.fixture
async def carol(accounts, admin):
    return await accounts.create(admin, CAROL, Secret("pw-never-in-a-log-carol"))


@pytest.fixture
def sharings(storage, collections, clock):
    return Sharings(storage, collections, clock)


@pytest.fixture
def me(alice, actor_of):
    return actor_of(alice)


@pytest.fixture
def him(bob, actor_of):
    return actor_of(bob)


@pytest.fixture
async def work(collections, me, alice):
    return await collections.create(me, alice, CALENDAR, "work", CollectionTraits(display_name="Work"))


async def test_a_shared_calendar_is_in_the_sharee_s_home_at_once(sharings, collections, me, him, bob, work):
    share = await sharings.share(me, work, BOB, Access.READ)
    assert (share.name, share.access, share.is_accepted) == ("work-alice", Access.READ, True)
    found = await collections.open(him, bob, CALENDAR, "work-alice")
    assert (found.access, found.traits.display_name, found.is_own) == (Access.READ, "Work", False)
    assert [each.sharee.address for each in await sharings.given(me, work)] == [BOB]
    assert await sharings.is_shared(work)


async def test_sharing_again_changes_access_and_keeps_the_name(sharings, collections, me, him, bob, work):
    await sharings.share(me, work, BOB, Access.READ)
    again = await sharings.share(me, work, BOB, Access.WRITE)
    assert (again.name, again.access) == ("work-alice", Access.WRITE)
    assert (await collections.open(him, bob, CALENDAR, "work-alice", Access.WRITE)).access is Access.WRITE


async def test_names_in_the_sharee_s_home_are_unique(sharings, collections, me, him, bob, work):
    await collections.create(him, bob, CALENDAR, "work-alice", CollectionTraits())
    assert (await sharings.share(me, work, BOB, Access.READ)).name == "work-alice-2"


async def test_address_books_are_shared_too(sharings, collections, me, him, alice, bob):
    book = await collections.open(me, alice, ADDRESSBOOK, "default")
    await sharings.share(me, book, BOB, Access.READ)
    assert [each.name for each in await collections.home(him, bob, ADDRESSBOOK)] == ["default", "default-alice"]


@pytest.mark.parametrize("address", ["alice@example.test", "nobody@example.test", "friend@elsewhere.test"])
async def test_only_other_accounts_of_the_house(sharings, me, work, address):
    with pytest.raises(NoSuchAccount):
        await sharings.share(me, work, Address.parse(address), Access.READ)


async def test_a_sharee_shares_nothing_on(sharings, collections, me, him, bob, carol, work):
    await sharings.share(me, work, BOB, Access.WRITE)
    his = await collections.open(him, bob, CALENDAR, "work-alice")
    with pytest.raises(NotAllowed):
        await sharings.share(him, his, CAROL, Access.READ)
    with pytest.raises(NotAllowed):
        await sharings.link(him, his)


async def test_a_delegate_shares_nothing_on(sharings, collections, me, him, alice, carol, work):
    await sharings.set_delegate(me, alice, BOB, Access.WRITE)
    hers = await collections.open(him, alice, CALENDAR, "work", Access.WRITE)
    with pytest.raises(NotAllowed):
        await sharings.share(him, hers, CAROL, Access.READ)
    with pytest.raises(NotAllowed):
        await sharings.links(him, alice)


async def test_the_inbox_is_not_shared(sharings, collections, me, alice, bob):
    with pytest.raises(NotAllowed):
        await sharings.share(me, await collections.open(me, alice, INBOX, "inbox"), BOB, Access.READ)


async def test_unshared_is_gone_for_the_sharee_only(sharings, collections, me, him, alice, bob, work):
    await sharings.share(me, work, BOB, Access.READ)
    await sharings.unshare(me, work, BOB)
    with pytest.raises(NoSuchCollection):
        await collections.open(him, bob, CALENDAR, "work-alice")
    assert (await collections.open(me, alice, CALENDAR, "work")).name == "work"
    with pytest.raises(NoSuchShare):
        await sharings.unshare(me, work, BOB)


async def test_a_sharee_takes_itself_off_but_nobody_else(sharings, collections, me, him, bob, carol, work):
    await sharings.share(me, work, BOB, Access.READ)
    await sharings.share(me, work, CAROL, Access.READ)
    his = await collections.open(him, bob, CALENDAR, "work-alice")
    with pytest.raises(NotAllowed):
        await sharings.unshare(him, his, CAROL)
    assert [each.sharee.address for each in await sharings.given(him, his)] == [BOB]
    await sharings.unshare(him, his, BOB)
    assert [each.sharee.address for each in await sharings.given(me, work)] == [CAROL]


async def test_declined_is_gone(sharings, me, him, work, bob):
    share = await sharings.share(me, work, BOB, Access.READ)
    with pytest.raises(NotAllowed):
        await sharings.answer(me, share, accepts=False)
    await sharings.answer(him, share, accepts=True)
    assert len(await sharings.received(him)) == 1
    await sharings.answer(him, share, accepts=False)
    assert await sharings.received(him) == []


async def test_the_owner_s_removal_ends_shares_and_links(sharings, collections, me, him, alice, bob, work):
    await sharings.share(me, work, BOB, Access.READ)
    made = await sharings.link(me, work)
    await collections.delete(me, work)
    assert await sharings.received(him) == []
    with pytest.raises(NoSuchShare):
        await sharings.linked(made.token)


async def test_delegates_come_and_go(sharings, collections, me, him, alice, bob):
    with pytest.raises(NoSuchAccount):
        await collections.home(him, alice, CALENDAR)
    await sharings.set_delegate(me, alice, BOB, Access.READ)
    (opened,) = await collections.home(him, alice, CALENDAR)
    assert opened.access is Access.READ
    assert [(each.address, access) for each, access in await sharings.delegates(me, alice)] == [(BOB, Access.READ)]
    with pytest.raises(NotAllowed):
        await sharings.set_delegate(him, alice, BOB, Access.WRITE)
    await sharings.set_delegate(me, alice, BOB, None)
    with pytest.raises(NoSuchAccount):
        await collections.home(him, alice, CALENDAR)
    with pytest.raises(NoSuchShare):
        await sharings.set_delegate(me, alice, BOB, None)


# public links


async def test_a_link_leads_to_the_calendar_for_reading(sharings, me, work):
    made = await sharings.link(me, work, hides_details=True)
    found = await sharings.linked(made.token)
    assert found.opened.collection.collection_id == work.collection.collection_id
    assert (found.opened.access, found.link.hides_details) == (Access.READ, True)
    assert made.token not in repr(made)


async def test_a_link_runs_out_and_is_removed(sharings, me, alice, work, clock):
    made = await sharings.link(me, work, life=timedelta(hours=1))
    lasting = await sharings.link(me, work)
    clock.passed_s += 3600
    with pytest.raises(NoSuchShare):
        await sharings.linked(made.token)
    assert await sharings.forget_old_links(clock.now()) == 1
    assert [link_id(each) for each in await sharings.links(me, alice)] == [link_id(lasting.link)]


@pytest.mark.parametrize("by_token", [True, False])
async def test_a_link_is_ended_by_id_or_token(sharings, me, alice, work, by_token):
    made = await sharings.link(me, work)
    await sharings.unlink(me, alice, made.token if by_token else link_id(made.link))
    with pytest.raises(NoSuchShare):
        await sharings.linked(made.token)
    with pytest.raises(NoSuchShare):
        await sharings.unlink(me, alice, link_id(made.link))


async def test_attack_084_tokens_are_long_random_and_kept_as_hashes(sharings, storage, me, alice, work):
    tokens = {(await sharings.link(me, work)).token for _ in range(20)}
    assert len(tokens) == 20
    assert all(len(token) >= 32 for token in tokens)
    kept = await storage.sharing.links_of(alice.account_id)
    assert not any(token.encode() in link.token_hash for token in tokens for link in kept)


@pytest.mark.parametrize("token", ["", "x", "a" * 32, "a" * 10_000, "\ud800", "../../x", "%"])
async def test_attack_084_guessed_links_are_all_alike(sharings, me, work, token):
    made = await sharings.link(me, work)
    for guess in (token, made.token[:-1], made.token + "A", made.link.token_hash.hex(), link_id(made.link)):
        with pytest.raises(NoSuchShare) as caught:
            await sharings.linked(guess)
        assert caught.value.public_text == NoSuchShare.default_text


async def test_only_calendars_have_links(sharings, collections, me, alice):
    book = await collections.open(me, alice, ADDRESSBOOK, "default")
    with pytest.raises(NotAllowed):
        await sharings.link(me, book)
