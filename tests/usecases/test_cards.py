"""Contacts over the API: forms and vCards, by id, with what other clients wrote kept."""

import pytest

from mailstead.model.dav import CollectionKind, CollectionTraits
from mailstead.model.errors import BadObject, NoSuchResource, PreconditionFailed, TooManyMatches, UidConflict
from mailstead.model.people import Listing
from mailstead.pim.card_form import CardForm, Labelled
from mailstead.usecases import cards
from mailstead.usecases.cards import ContactWish
from mailstead.usecases.collections import DEFAULT
from usecases.api_home import api_home

BOOK = CollectionKind.ADDRESSBOOK
VCARD = b"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:u-1\r\nFN:Ada Lovelace\r\nEMAIL:ada@example.test\r\nEND:VCARD\r\n"


@pytest.fixture
def home(storage, clock):
    return api_home(storage, clock)


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


def named(name, **more):
    return ContactWish(form=CardForm(name, **more))


async def found(home, actor, **listing):
    page = await home.cards.find(actor, Listing(**{"limit": 100, **listing}))
    return sorted(each.view.full_name for each in page.items), page.item_count


async def test_a_contact_is_made_of_a_form(home, actor, alice):
    wish = named("Ada Lovelace", emails=(Labelled("ada@example.test", "work"),), phones=(Labelled("+44 20"),))
    made = await home.cards.create(actor, wish)
    assert (made.view.full_name, made.view.emails, made.view.phones) == (
        "Ada Lovelace", (Labelled("ada@example.test", "work"),), (Labelled("+44 20"),),
    )  # fmt: skip
    opened = await home.collections.open(actor, alice, BOOK, DEFAULT)
    assert opened.collection.resource_count == 1
    assert (await home.cards.show(actor, made.placed.object_id)).view == made.view
    assert made.placed.resource.name == made.view.uid + ".vcf"


async def test_a_vcard_is_kept_octet_by_octet(home, actor):
    made = await home.cards.create(actor, ContactWish(VCARD, contact_id="ada"))
    assert (made.placed.resource.octets, made.placed.resource.name) == (VCARD, "ada.vcf")
    without = VCARD.replace(b"UID:u-1\r\n", b"").replace(b"Ada", b"Eva")
    made = await home.cards.create(actor, ContactWish(without))
    assert made.placed.resource.octets.replace(f"UID:{made.view.uid}\r\n".encode(), b"") == without
    with pytest.raises(UidConflict):
        await home.cards.create(actor, ContactWish(VCARD, contact_id="other"))
    with pytest.raises(UidConflict):
        await home.cards.create(actor, ContactWish(VCARD.replace(b"u-1", b"u-2"), contact_id="ada"))


async def test_a_change_says_only_what_changes(home, actor):
    made = await home.cards.create(actor, ContactWish(VCARD.replace(b"END:", b"NOTE:kept\r\nEND:")))
    object_id, etag = made.placed.object_id, made.placed.resource.etag
    changed = await home.cards.change(actor, object_id, named("Ada Byron"))
    assert (changed.view.full_name, changed.view.emails) == ("Ada Byron", made.view.emails)
    assert b"NOTE:kept" in changed.placed.resource.octets
    assert changed.placed.object_id == object_id
    with pytest.raises(PreconditionFailed):
        await home.cards.change(actor, object_id, ContactWish(form=CardForm("Lost"), etag=etag))
    with pytest.raises(PreconditionFailed):
        await home.cards.delete(actor, object_id, etag)
    with pytest.raises(UidConflict):
        await home.cards.change(actor, object_id, ContactWish(VCARD.replace(b"u-1", b"u-2")))
    again = await home.cards.change(
        actor, object_id, ContactWish(VCARD, CardForm(is_group=True), etag=changed.placed.resource.etag)
    )
    assert (again.view.full_name, again.view.is_group) == ("Ada Lovelace", True)


async def test_contacts_of_all_books_are_one_list(home, actor, alice):
    await home.collections.create(actor, alice, BOOK, "second", CollectionTraits(display_name="Second"))
    second = await home.collections.open(actor, alice, BOOK, "second")
    for name in ("Ada", "Bea", "Cleo"):
        await home.cards.create(actor, named(name))
    await home.contacts.put(second, "d.vcf", VCARD.replace(b"Ada Lovelace", b"Dora"))
    assert await found(home, actor) == (["Ada", "Bea", "Cleo", "Dora"], 4)
    pages = [await found(home, actor, page=number, limit=3) for number in (1, 2, 3)]
    assert sorted(pages[0][0] + pages[1][0]) == ["Ada", "Bea", "Cleo", "Dora"]
    assert [len(names) for names, _ in pages] == [3, 1, 0]
    assert await found(home, actor, text="DOR") == (["Dora"], 1)
    assert await found(home, actor, text="example.test") == (["Dora"], 1)


async def test_a_contact_is_removed(home, actor):
    made = await home.cards.create(actor, named("Ada"))
    gone = await home.cards.delete(actor, made.placed.object_id)
    assert gone.view.full_name == "Ada"
    with pytest.raises(NoSuchResource):
        await home.cards.delete(actor, made.placed.object_id)


async def test_attack_092_nobody_reaches_the_contacts_of_others(home, actor, bob, actor_of):
    theirs = await home.cards.create(actor_of(bob), named("Secret"))
    for doing in (
        home.cards.show(actor, theirs.placed.object_id),
        home.cards.change(actor, theirs.placed.object_id, named("Mine")),
        home.cards.delete(actor, theirs.placed.object_id),
    ):
        with pytest.raises(NoSuchResource):
            await doing
    assert await found(home, actor) == ([], 0)


@pytest.mark.parametrize("wish", [ContactWish(), ContactWish(b"nonsense"), ContactWish(VCARD * 2)])
async def test_attack_085_what_is_no_contact_is_not_kept(home, actor, wish):
    with pytest.raises(BadObject):
        await home.cards.create(actor, wish)
    assert await found(home, actor) == ([], 0)


async def test_attack_085_a_uid_is_one_line(home, actor):
    without = VCARD.replace(b"UID:u-1\r\n", b"")
    made = await home.cards.create(actor, ContactWish(without, CardForm(uid="x\r\nNOTE:injected")))
    assert b"\nNOTE" not in made.placed.resource.octets


async def test_attack_098_a_page_is_not_larger_than_memory_allows(home, actor, monkeypatch):
    for name in ("Ada", "Bea"):
        await home.cards.create(actor, named(name))
    monkeypatch.setattr(cards, "PAGE_OCTETS_MAX", 150)
    assert len((await home.cards.find(actor, Listing(1, 1))).items) == 1
    with pytest.raises(TooManyMatches):
        await home.cards.find(actor, Listing(1, 2))
