"""Contacts as the pages see them: in order, by letter and group; filled in, moved, removed, with pictures."""

import struct
from dataclasses import replace

import pytest

from mailstead.model.dav import Access
from mailstead.model.errors import (
    BadAddress,
    BadCollectionName,
    BadObject,
    NoSuchCollection,
    NoSuchResource,
    NotAllowed,
    ObjectTooLarge,
    PreconditionFailed,
)
from mailstead.pim.card_form import Labelled
from mailstead.pim.card_sheet import CardSheet
from mailstead.usecases.card_index import CardIndex, CardQuery, letter_of
from mailstead.usecases.card_sheets import PHOTO_OCTETS_MAX, CardSheets, CardWish
from mailstead.usecases.collections import DEFAULT, Collections, CollectionTerms
from mailstead.usecases.contacts import Contacts
from mailstead.usecases.dav_objects import DavObjects
from mailstead.usecases.people_book import NAME
from mailstead.usecases.resources import ResourceTerms
from mailstead.usecases.sharings import Sharings

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack("!II", 3, 2) + bytes(20)


@pytest.fixture
def collections(storage):
    return Collections(storage, CollectionTerms(shows_directory=True))


@pytest.fixture
def objects(storage, collections):
    return DavObjects(storage, collections)


@pytest.fixture
def sheets(objects, collections):
    return CardSheets(objects, collections, Contacts(ResourceTerms("https://mail.example.test")))


@pytest.fixture
def index(objects, collections):
    return CardIndex(objects, collections)


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


@pytest.fixture
def add(sheets, actor):
    async def add(name, *addresses, book=DEFAULT, by=actor, image=None, **more):
        wish = CardWish(CardSheet(name, emails=[Labelled(each) for each in addresses], **more), image)
        return await sheets.create(by, book, wish)

    return add


def names(page):
    return [each.sheet.full_name for each in page.cards]


async def test_contacts_of_all_books_are_one_list_in_order(index, actor, add, sheets):
    second = await sheets.create_book(actor, "Work")
    for name, book in (
        ("émile", DEFAULT),
        ("Zoe", DEFAULT),
        ("Emma", second.name),
        ("김철수", DEFAULT),
        ("4711", DEFAULT),
    ):
        await add(name, book=book)
    page = await index.page(actor, CardQuery())
    assert names(page) == ["4711", "alice@example.test", "émile", "Emma", "Zoe", "김철수"]
    assert (page.letters, page.count) == (("#", "A", "E", "Z", "ㄱ"), 6)
    assert names(await index.page(actor, CardQuery(letter="E"))) == ["émile", "Emma"]
    assert names(await index.page(actor, CardQuery(), 2, 2)) == ["émile", "Emma"]
    assert names(await index.page(actor, CardQuery(book=second.name))) == ["Emma"]
    with pytest.raises(NoSuchCollection):
        await index.page(actor, CardQuery(book="none"))


async def test_contacts_are_found_by_word_and_group(index, actor, add):
    await add("Ada", "ada@engines.test", groups=["Friends"], note="met at the fair, not one of the Friends of art")
    await add("Bob", groups=["Friends of art"])
    assert names(await index.page(actor, CardQuery(text="ENGINES"))) == ["Ada"]
    assert names(await index.page(actor, CardQuery(group="Friends"))) == ["Ada"]
    assert (await index.page(actor, CardQuery(text="nobody"))).count == 0


async def test_the_same_address_is_told(index, actor, add):
    first, second = await add("Ada", "Ada@engines.test"), await add("Ada L.", "ada@engines.test", "x@y.test")
    await add("Other", note="ada@engines.test")
    uid = second.resource.facts.uid
    (same,) = await index.same(actor, [each.value for each in second.sheet.emails], uid)
    assert same.resource.name == first.resource.name
    assert await index.same(actor, ["x@y.test"], uid) == []


@pytest.mark.parametrize(
    ("name", "letter"), [("ångström", "A"), ("한", "ㅎ"), ("Яна", "Я"), (" x", "X"), ("", "#"), ("7", "#"), ("ﬁ", "F")]
)
def test_letters(name, letter):
    assert letter_of(name) == letter


async def test_two_who_change_one_contact(sheets, actor, add):
    made = await add("Ada", "ada@engines.test")
    book, name, etag = DEFAULT, made.resource.name, made.resource.etag
    changed = await sheets.change(actor, book, name, etag, CardWish(replace(made.sheet, title="Analyst")))
    assert (changed.sheet.title, changed.sheet.emails) == ("Analyst", made.sheet.emails)
    with pytest.raises(PreconditionFailed):
        await sheets.change(actor, book, name, etag, CardWish(replace(made.sheet, title="Lost")))
    with pytest.raises(PreconditionFailed):
        await sheets.delete(actor, book, name, etag)
    await sheets.delete(actor, book, name, changed.resource.etag)
    with pytest.raises(NoSuchResource):
        await sheets.show(actor, book, name)


async def test_what_is_no_address_is_told_but_what_was_there_stays(sheets, actor, add):
    with pytest.raises(BadAddress, match="nonsense: "):
        await add("Ada", "nonsense")
    with pytest.raises(BadObject):
        await add("")
    card = b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u\r\nFN:Old\r\nN:Old;;;;\r\nEMAIL:nonsense\r\nEND:VCARD\r\n"
    assert (await sheets.import_all(actor, DEFAULT, card)).new_count == 1
    old = await sheets.show(actor, DEFAULT, "u.vcf")
    made = await sheets.change(actor, DEFAULT, "u.vcf", old.resource.etag, CardWish(replace(old.sheet, title="x")))
    assert made.sheet.emails == [Labelled("nonsense")]


async def test_attack_097_only_raster_images_are_pictures(sheets, actor, add):
    made = await add("Ada", image=PNG)
    octets, kind = await sheets.photo(actor, DEFAULT, made.resource.name)
    assert (octets, kind.media_type) == (PNG, "image/png")
    for bad in (b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"BM" + bytes(60), b""):
        with pytest.raises(BadObject):
            await add("Bob", image=bad)
    with pytest.raises(ObjectTooLarge):
        await add("Bob", image=PNG + bytes(PHOTO_OCTETS_MAX))
    wish = CardWish(made.sheet, drops_photo=True)
    await sheets.change(actor, DEFAULT, made.resource.name, made.resource.etag, wish)
    with pytest.raises(NoSuchResource):
        await sheets.photo(actor, DEFAULT, made.resource.name)
    svg = b"PHOTO;ENCODING=b;TYPE=SVG+XML:PHN2Zy8+\r\n"
    card = b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u\r\nFN:Old\r\nN:Old;;;;\r\n" + svg + b"END:VCARD\r\n"
    await sheets.import_all(actor, DEFAULT, card)
    with pytest.raises(NoSuchResource):
        await sheets.photo(actor, DEFAULT, "u.vcf")


async def test_one_and_all_as_vcards_of_both_versions(sheets, actor, add):
    made = await add("Ada", "ada@engines.test")
    await add("Bob")
    one = await sheets.octets(actor, DEFAULT, made.resource.name)
    assert one == made.resource.octets
    assert b"VERSION:4.0\r\n" in await sheets.octets(actor, DEFAULT, made.resource.name, "4.0")
    for version in ("3.0", "4.0"):
        whole = b"".join([each async for each in await sheets.all_octets(actor, DEFAULT, version)])
        assert whole.count(f"VERSION:{version}\r\n".encode()) == whole.count(b"END:VCARD\r\n") == 2
    again = await sheets.import_all(
        actor, (await sheets.create_book(actor, "Copy")).name, whole + b"BEGIN:VCARD\r\nx\r\n"
    )
    assert (again.new_count, len(again.refused)) == (2, 1)


async def test_books_are_made_called_otherwise_and_removed(sheets, index, actor, add):
    book = await sheets.create_book(actor, "  Club ")
    await sheets.rename_book(actor, book.name, "Chess club")
    made = await add("Ada")
    moved = await sheets.move(actor, DEFAULT, made.resource.name, book.name)
    assert moved.opened.traits.display_name == "Chess club"
    assert (await index.page(actor, CardQuery(book=DEFAULT))).count == 0
    await sheets.delete_book(actor, book.name)
    assert {each.name for each in await index.books(actor)} == {DEFAULT, NAME}
    for title in ("", " ", "x" * 201):
        with pytest.raises(BadCollectionName):
            await sheets.create_book(actor, title)


async def test_attack_092_what_others_have_is_not_there(
    sheets, index, storage, collections, clock, actor, alice, bob, add, actor_of
):
    made, him = await add("Ada"), actor_of(bob)
    with pytest.raises(NoSuchResource):
        await sheets.show(him, DEFAULT, made.resource.name)
    assert (await index.page(him, CardQuery(text="ada"))).count == 0
    mine = await sheets.book(actor, DEFAULT)
    await Sharings(storage, collections, clock).share(actor, mine, bob.address, Access.READ)
    (shared,) = [each for each in await index.books(him) if each.share]
    assert names(await index.page(him, CardQuery(text="ada"))) == ["Ada"]
    with pytest.raises(NotAllowed):
        await sheets.change(him, shared.name, made.resource.name, made.resource.etag, CardWish(made.sheet))
    with pytest.raises(NotAllowed):
        await sheets.create(him, NAME, CardWish(CardSheet("Eve")))
    assert (await sheets.show(him, NAME, f"{alice.account_id}.vcf")).sheet.full_name == "alice@example.test"
