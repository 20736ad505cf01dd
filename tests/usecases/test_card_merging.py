"""Contacts made one: suggested, compared, merged; whatever another device does meanwhile, nothing it wrote is lost."""

import pytest

from mailstead.model.dav import Access, CollectionKind
from mailstead.model.errors import (
    NoSuchCollection,
    NoSuchResource,
    NotAllowed,
    ObjectTooLarge,
    PolicyRefused,
    PreconditionFailed,
)
from mailstead.pim.card_sheet import members
from mailstead.usecases.card_merging import CardMerging
from mailstead.usecases.card_sheets import CardSheets
from mailstead.usecases.collections import DEFAULT, Collections
from mailstead.usecases.contacts import Contacts
from mailstead.usecases.dav_objects import DavObjects
from mailstead.usecases.resources import ResourceTerms
from mailstead.usecases.sharings import Sharings

TERMS = ResourceTerms("https://mail.example.test", resource_octets_max=20_000)


def contact(uid, name, *more):
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"UID:{uid}", f"FN:{name}", "N:;;;;", *more, "END:VCARD", ""]
    return "\r\n".join(lines).encode()


def group(uid, *members):
    more = [f"X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:{each}" for each in members]
    return contact(uid, uid, "X-ADDRESSBOOKSERVER-KIND:group", *more)


@pytest.fixture
def collections(storage):
    return Collections(storage)


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


@pytest.fixture
def make(storage, collections):
    """Use cases as each process of the house has them."""

    def make(contacts=None):
        objects, contacts = DavObjects(storage, collections), contacts or Contacts(TERMS)
        return CardMerging(objects, collections, contacts, CardSheets(objects, collections, contacts))

    return make


@pytest.fixture
def sheets(storage, collections):
    return CardSheets(DavObjects(storage, collections), collections, Contacts(TERMS))


@pytest.fixture
def put(sheets, actor):
    async def put(*cards, book=DEFAULT):
        report = await sheets.import_all(actor, book, b"".join(cards))
        assert report.refused == []

    return put


@pytest.fixture
def seen(sheets, actor):
    """Give contacts by name with their entity tags, as a page has them."""

    async def seen(*names):
        return [(each, (await sheets.show(actor, DEFAULT, each)).resource.etag) for each in names]

    return seen


ADA = contact("a", "Ada", "EMAIL:ada@x.test", "NOTE:one")
COUNTESS = contact("b", "Countess", "EMAIL:ADA@x.test", "EMAIL:c@x.test", "NOTE:two")


async def test_those_who_may_be_the_same_are_told_book_by_book(
    make, put, sheets, actor, alice, bob, collections, storage, actor_of, clock
):
    club = (await sheets.create_book(actor, "Club")).name
    await put(ADA, COUNTESS, contact("c", "Carol"), group("Ada", "a"))
    await put(contact("d", "Ada", "EMAIL:ada@x.test"), book=club)
    (found,) = await make().likely(actor)
    assert ([name for name, _ in found.cards], found.reasons) == (["a.vcf", "b.vcf"], ("email",))
    (opened,) = [
        each for each in await collections.home(actor, alice, CollectionKind.ADDRESSBOOK) if each.name == DEFAULT
    ]
    await Sharings(storage, collections, clock).share(actor, opened, bob.address, Access.READ)
    assert await make().likely(actor_of(bob)) == []  # who may only read changes nothing


async def test_they_become_one_and_groups_name_the_one_who_stays(make, put, seen, sheets, actor):
    await put(ADA, COUNTESS, group("g1", "b", "z"), group("g2", "a", "b"), group("g3", "z"))
    untouched = await seen("g3.vcf")
    made = await make().merge(actor, DEFAULT, await seen("b.vcf", "a.vcf"), {"name": 1})
    assert (made.name, made.left_count) == ("b.vcf", 0)
    found = await sheets.show(actor, DEFAULT, "b.vcf")
    assert (found.card.uid, found.sheet.full_name, found.sheet.note) == ("b", "Ada", "two\none")
    assert [each.value for each in found.sheet.emails] == ["ADA@x.test", "c@x.test"]
    with pytest.raises(NoSuchResource):
        await sheets.show(actor, DEFAULT, "a.vcf")
    named = {each: members((await sheets.show(actor, DEFAULT, f"{each}.vcf")).card) for each in ("g1", "g2", "g3")}
    assert named == {"g1": ("b", "z"), "g2": ("b",), "g3": ("z",)}
    assert await seen("g3.vcf") == untouched


@pytest.mark.parametrize("changed", ["a", "b"])
async def test_what_another_process_has_changed_since_it_was_seen_is_not_overwritten(
    make, put, seen, sheets, actor, changed
):
    await put(ADA, COUNTESS, group("g", "b"))
    old = await seen("a.vcf", "b.vcf")
    await put(contact(changed, "Changed by a phone"))
    before = await seen("a.vcf", "b.vcf", "g.vcf")
    with pytest.raises(PreconditionFailed):
        await make().merge(actor, DEFAULT, old, {})
    assert await seen("a.vcf", "b.vcf", "g.vcf") == before


class Between(Contacts):
    """Another process that changes a contact at the worst moment: before the one is written, or before one is removed."""

    def __init__(self, put, *, before_put=b"", before_delete=b""):
        super().__init__(TERMS)
        self._put, self._before_put, self._before_delete = put, before_put, before_delete

    async def put_all(self, opened, cards):
        if self._before_put:
            await self._put(self._before_put)
        return await super().put_all(opened, cards)

    async def delete(self, opened, name, precondition):
        if self._before_delete:
            await self._put(self._before_delete)
        await super().delete(opened, name, precondition)


@pytest.mark.parametrize("other", [contact("a", "Phone"), group("g", "b", "new")], ids=["contact", "group"])
async def test_all_or_nothing_is_written(make, put, seen, sheets, actor, other):
    await put(ADA, COUNTESS, group("g", "b"))
    with pytest.raises(PreconditionFailed):
        await make(Between(put, before_put=other)).merge(actor, DEFAULT, await seen("a.vcf", "b.vcf"), {})
    assert (await sheets.show(actor, DEFAULT, "b.vcf")).resource.octets == COUNTESS
    name = "a.vcf" if b"Phone" in other else "g.vcf"
    assert (await sheets.show(actor, DEFAULT, name)).resource.octets == other
    untouched = "g.vcf" if name == "a.vcf" else "a.vcf"
    assert (await sheets.show(actor, DEFAULT, untouched)).resource.octets in {ADA, group("g", "b")}


async def test_one_that_is_changed_before_it_is_removed_stays(make, put, seen, sheets, actor):
    await put(ADA, COUNTESS)
    phone = contact("b", "Countess", "EMAIL:new@x.test")
    made = await make(Between(put, before_delete=phone)).merge(actor, DEFAULT, await seen("a.vcf", "b.vcf"), {})
    assert made.left_count == 1
    assert (await sheets.show(actor, DEFAULT, "b.vcf")).resource.octets == phone
    assert [each.value for each in (await sheets.show(actor, DEFAULT, "a.vcf")).sheet.emails] == [
        "ada@x.test",
        "c@x.test",
    ]
    again = await make().merge(actor, DEFAULT, await seen("a.vcf", "b.vcf"), {})
    found = await sheets.show(actor, DEFAULT, again.name)
    assert [each.value for each in found.sheet.emails] == ["ada@x.test", "c@x.test", "new@x.test"]


class BreaksOff(Contacts):
    """A process that ends between the two steps."""

    async def delete(self, opened, name, precondition):
        raise ConnectionError


async def test_what_breaks_off_between_loses_nothing(make, put, seen, sheets, actor):
    await put(ADA, COUNTESS)
    with pytest.raises(ConnectionError):
        await make(BreaksOff(TERMS)).merge(actor, DEFAULT, await seen("a.vcf", "b.vcf"), {})
    assert (await sheets.show(actor, DEFAULT, "b.vcf")).resource.octets == COUNTESS
    await make().merge(actor, DEFAULT, await seen("a.vcf", "b.vcf"), {})
    found = (await sheets.show(actor, DEFAULT, "a.vcf")).sheet
    assert ([each.value for each in found.emails], found.note) == (["ada@x.test", "c@x.test"], "one\ntwo")


async def test_what_is_not_merged(make, put, seen, sheets, actor, actor_of, bob):
    await put(ADA, COUNTESS, group("g"))
    for names in ((), ("a.vcf",), ("a.vcf", "a.vcf"), [f"{each}.vcf" for each in range(9)], ("a.vcf", "g.vcf")):
        with pytest.raises(PolicyRefused):
            await make().compare(actor, DEFAULT, names)
    with pytest.raises(NoSuchResource):
        await make().compare(actor, DEFAULT, ["a.vcf", "nobody.vcf"])
    with pytest.raises(NoSuchCollection):
        await make().compare(actor, "nowhere", ["a.vcf", "b.vcf"])
    await put(contact("x", "X", "NOTE:" + "x" * 15_000), contact("y", "Y", "NOTE:" + "y" * 15_000))
    with pytest.raises(ObjectTooLarge):
        await make().merge(actor, DEFAULT, await seen("x.vcf", "y.vcf"), {})
    assert len(await seen("x.vcf", "y.vcf")) == 2


async def test_attack_092_only_who_may_write_merges(
    make, put, seen, actor, alice, bob, actor_of, collections, storage, clock
):
    await put(ADA, COUNTESS)
    (opened,) = await collections.home(actor, alice, CollectionKind.ADDRESSBOOK)
    await Sharings(storage, collections, clock).share(actor, opened, bob.address, Access.READ)
    home = await collections.home(actor_of(bob), bob, CollectionKind.ADDRESSBOOK)
    (shared,) = [each.name for each in home if each.share]
    with pytest.raises(NotAllowed):
        await make().merge(actor_of(bob), shared, await seen("a.vcf", "b.vcf"), {})
    with pytest.raises(NoSuchResource):
        await make().merge(actor_of(bob), DEFAULT, await seen("a.vcf", "b.vcf"), {})
