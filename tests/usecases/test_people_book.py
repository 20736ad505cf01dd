"""The people of a domain: contacts that follow from its accounts."""

import pytest

from mailstead.model.address import Address
from mailstead.model.dav import Access, CollectionKind, CollectionTraits, ResourceQuery
from mailstead.model.directory import Account
from mailstead.model.errors import BadSyncToken, CollectionExists, NoSuchCollection, NoSuchResource, NotAllowed
from mailstead.model.ids import AccountId, ModSeq
from mailstead.model.secret import Secret
from mailstead.pim.vcard import card
from mailstead.usecases.collections import Collections, CollectionTerms
from mailstead.usecases.people_book import NAME, PEOPLE_ID, PeopleBook


def account(name, **more):
    return Account(AccountId(f"{name:a<16}"), Address.parse(f"{name}@example.test"), **more)


PEOPLE = [account("bob"), account("anna"), account("carol")]


@pytest.fixture
def me(actor_of, alice):
    return actor_of(alice)


@pytest.fixture
def him(actor_of, bob):
    return actor_of(bob)


@pytest.fixture
def book():
    return PeopleBook(PEOPLE, "People")


async def names(book, **more):
    return [each.name for each in await book.resources(PEOPLE_ID, **more)]


async def test_each_account_is_a_contact(book):
    found = await book.resources(PEOPLE_ID, with_octets=True)
    assert [card(each.octets).component.value("EMAIL") for each in found] == [
        "anna@example.test",
        "bob@example.test",
        "carol@example.test",
    ]
    assert len({each.resource_id for each in found}) == len({each.facts.uid for each in found}) == 3
    assert book.collection_here.resource_count == 3


async def test_who_is_switched_off_is_left_out():
    assert await names(PeopleBook([account("anna"), account("bob", is_enabled=False)], "")) == ["annaaaaaaaaaaaaa.vcf"]


async def test_an_address_with_commas_stays_one_value():
    odd = Account(AccountId("x" * 16), Address.parse('"a;b,c"@example.test'))
    (found,) = await PeopleBook([odd], "").resources(PEOPLE_ID)
    assert card(found.octets).component.value("FN").count("\\") >= 2


async def test_pages_and_names(book):
    everybody = await names(book)
    assert await names(book, limit=2) == everybody[:2]
    assert await names(book, after=everybody[1]) == everybody[2:]
    assert await names(book, names=[everybody[2], "nobody.vcf", everybody[0]]) == [everybody[0], everybody[2]]
    assert (await book.resource_by_id((await book.resources(PEOPLE_ID))[1].resource_id)).name == everybody[1]
    with pytest.raises(NoSuchResource):
        await book.resource_by_id(1)


async def test_people_are_found(book):
    assert [each.name for each in await book.find(PEOPLE_ID, ResourceQuery(text="carol@"))] == ["carolaaaaaaaaaaa.vcf"]
    (uid,) = {each.facts.uid for each in await book.find(PEOPLE_ID, ResourceQuery(text="anna@"))}
    assert len(await book.find(PEOPLE_ID, ResourceQuery(uid=uid))) == 1
    assert len(await book.find_uid(CollectionKind.ADDRESSBOOK, uid)) == 1
    assert await book.find_uid(CollectionKind.CALENDAR, uid) == []


@pytest.mark.parametrize("limit", [1, 2, 3, None])
async def test_changes_come_in_pages_until_the_collections_modseq(book, limit):
    seen, modseq, is_complete = [], ModSeq(0), False
    while not is_complete:
        page = await book.changes_since(PEOPLE_ID, modseq, limit)
        assert limit is None or len(page.changed) <= limit
        seen += [each.name for each in page.changed]
        modseq, is_complete = page.modseq, page.is_complete
    assert seen == await names(book)
    assert modseq == book.collection_here.modseq
    assert (await book.changes_since(PEOPLE_ID, modseq)).changed == ()


async def test_a_token_of_other_people_is_not_valid(book):
    others = PeopleBook([*PEOPLE, account("dora")], "People")
    for one, other in ((book, others), (others, book)):
        with pytest.raises(BadSyncToken):
            await one.changes_since(PEOPLE_ID, other.collection_here.modseq)


async def test_the_same_people_are_the_same_in_every_process(book):
    again = PeopleBook(reversed(PEOPLE), "People")
    assert again.collection_here == book.collection_here
    assert await again.resources(PEOPLE_ID) == await book.resources(PEOPLE_ID)


async def test_nobody_writes_it(book):
    everything = (
        book.create_collection(CollectionKind.ADDRESSBOOK, "x", None),
        book.create_defaults(()),
        book.set_traits(PEOPLE_ID, None),
        book.delete_collection(PEOPLE_ID),
        book.put(PEOPLE_ID, []),
        book.delete(PEOPLE_ID, "x"),
        book.copy(PEOPLE_ID, "x", PEOPLE_ID, "y", moves=True, overwrites=True),
        book.put_attachment(None),
        book.delete_attachment(""),
        book.finish_errand(1),
    )
    for each in everything:
        with pytest.raises(NotAllowed):
            await each


async def test_it_is_one_collection(book):
    assert await book.collections() == [book.collection_here]
    assert await book.collection(CollectionKind.ADDRESSBOOK, NAME) == book.collection_here
    assert await book.collection_by_id(PEOPLE_ID) == book.collection_here
    assert await book.had_defaults()
    assert (await book.errands(), await book.attachments(1)) == ([], [])
    for asked in (book.collection(CollectionKind.CALENDAR, NAME), book.collection_by_id(1)):
        with pytest.raises(NoSuchCollection):
            await asked
    with pytest.raises(NoSuchResource):
        await book.attachment("x")


async def test_an_own_book_of_that_name_stays_where_it_is(storage, collections, me, alice):
    own = await collections.create(me, alice, CollectionKind.ADDRESSBOOK, NAME, CollectionTraits())
    shown = Collections(storage, CollectionTerms(shows_directory=True))
    home = await shown.home(me, alice, CollectionKind.ADDRESSBOOK)
    assert [each.is_people for each in home if each.name == NAME] == [False]
    opened = await shown.open(me, alice, CollectionKind.ADDRESSBOOK, NAME, Access.WRITE)
    assert opened.collection.collection_id == own.collection.collection_id
    await shown.delete(me, opened)
    assert (await shown.open(me, alice, CollectionKind.ADDRESSBOOK, NAME)).is_people
    with pytest.raises(CollectionExists):
        await shown.create(me, alice, CollectionKind.ADDRESSBOOK, NAME, CollectionTraits())
    await shown.create(me, alice, CollectionKind.CALENDAR, NAME, CollectionTraits())


async def test_a_delegate_sees_the_people_in_its_own_home_only(storage, him, alice, bob):
    await storage.sharing.set_delegate(alice.account_id, bob.account_id, Access.WRITE)
    shown = Collections(storage, CollectionTerms(shows_directory=True))
    assert not any(each.is_people for each in await shown.home(him, alice, CollectionKind.ADDRESSBOOK))
    with pytest.raises(NoSuchCollection):
        await shown.open(him, alice, CollectionKind.ADDRESSBOOK, NAME)


async def test_newcomers_are_there_at_once(storage, accounts, admin, me, alice):
    shown = Collections(storage, CollectionTerms(shows_directory=True))

    async def count():
        return (await shown.open(me, alice, CollectionKind.ADDRESSBOOK, NAME)).collection.resource_count

    before = await count()
    await accounts.create(admin, Address.parse("zoe@example.test"), Secret("pw-never-in-a-log"))
    assert await count() == before + 1
