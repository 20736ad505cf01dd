"""Groups of contacts: made, called otherwise, filled and emptied, beside other devices that do the same."""

import pytest

from mailstead.model.errors import BadObject, NoSuchResource, NotAllowed, PolicyRefused, PreconditionFailed
from mailstead.pim.card_group import with_members
from mailstead.pim.card_sheet import members
from mailstead.usecases.card_groups import CHOSEN_MAX, NAME_CHARACTERS_MAX, CardGroups
from mailstead.usecases.card_index import CardIndex
from mailstead.usecases.card_sheets import CardSheets
from mailstead.usecases.collections import DEFAULT, Collections, CollectionTerms
from mailstead.usecases.contacts import Contacts
from mailstead.usecases.dav_objects import DavObjects
from mailstead.usecases.people_book import NAME
from mailstead.usecases.resources import ResourceTerms

PEOPLE = b"".join(
    f"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:{uid}\r\nFN:{name}\r\nEND:VCARD\r\n".encode()
    for uid, name in (("a", "Ada"), ("urn:uuid:b", "Bob"), ("c", "Carol"))
)
TERMS = ResourceTerms("https://mail.example.test")


@pytest.fixture
def collections(storage):
    return Collections(storage, CollectionTerms(shows_directory=True))


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


@pytest.fixture
def sheets(storage, collections):
    return CardSheets(DavObjects(storage, collections), collections, Contacts(TERMS))


@pytest.fixture
def make(storage, collections, sheets):
    def make(contacts):
        return CardGroups(CardIndex(DavObjects(storage, collections), collections), sheets, contacts)

    return make


@pytest.fixture
def groups(make):
    return make(Contacts(TERMS))


@pytest.fixture
async def people(sheets, actor):
    """Names in paths by what people are called."""
    await sheets.import_all(actor, DEFAULT, PEOPLE)
    opened = await sheets.book(actor, DEFAULT)
    return {each.facts.summary: each.name for each in await opened.store.resources(opened.collection.collection_id)}


async def test_a_group_is_made_filled_renamed_and_emptied(groups, sheets, actor, people):
    made = await groups.create(actor, DEFAULT, "  Chess   club ")
    name = made.resource.name
    assert (made.card.is_group, made.sheet.full_name) == (True, "Chess club")
    assert await groups.add(actor, DEFAULT, name, [people["Ada"], people["Bob"], "nobody.vcf", name]) == 2
    found = await groups.show(actor, DEFAULT, name)
    assert [each.card.sheet.full_name for each in found.members] == ["Ada", "Bob"]  # also who writes URN into UID
    assert [each.sheet.full_name for each in await groups.candidates(actor, DEFAULT, name, "")] == ["Carol"]
    assert await groups.candidates(actor, DEFAULT, name, "ada") == []
    await groups.rename(actor, DEFAULT, name, found.shown.resource.etag, "Go players")
    with pytest.raises(PreconditionFailed):
        await groups.rename(actor, DEFAULT, name, found.shown.resource.etag, "Too late")
    await groups.remove(actor, DEFAULT, name, [found.members[0].uri, "urn:uuid:nobody"])
    found = await groups.show(actor, DEFAULT, name)
    assert ([each.card.sheet.full_name for each in found.members], found.shown.sheet.full_name) == (
        ["Bob"],
        "Go players",
    )
    assert found.shown.sheet.name.family == "Go players"
    await sheets.delete(actor, DEFAULT, people["Bob"])
    assert [each.card for each in (await groups.show(actor, DEFAULT, name)).members] == [None]


class Quicker(Contacts):
    """Another device that puts somebody in first, so many times."""

    def __init__(self, times):
        super().__init__(TERMS)
        self._times = times

    async def put(self, opened, name, octets, precondition):
        if self._times:
            self._times -= 1
            there = await self.get(opened, name)
            await super().put(opened, name, with_members(there.octets, [f"phone-{self._times}"]))
        return await super().put(opened, name, octets, precondition)


async def test_two_devices_put_members_in_at_once(groups, make, sheets, actor, people):
    name = (await groups.create(actor, DEFAULT, "Chess")).resource.name
    await make(Quicker(2)).add(actor, DEFAULT, name, [people["Ada"]])
    assert set(members((await sheets.show(actor, DEFAULT, name)).card)) == {"a", "phone-0", "phone-1"}
    with pytest.raises(PreconditionFailed):
        await make(Quicker(9)).add(actor, DEFAULT, name, [people["Carol"]])


async def test_what_is_refused(groups, actor, people):
    for name in ("", "  ", "x" * (NAME_CHARACTERS_MAX + 1)):
        with pytest.raises(BadObject):
            await groups.create(actor, DEFAULT, name)
    for verb in (groups.show, groups.candidates, groups.add, groups.remove):
        further = {groups.candidates: ("",), groups.add: ([],), groups.remove: ([],)}.get(verb, ())
        with pytest.raises(PolicyRefused):
            await verb(actor, DEFAULT, people["Ada"], *further)
    name = (await groups.create(actor, DEFAULT, "Chess")).resource.name
    with pytest.raises(PolicyRefused):
        await groups.add(actor, DEFAULT, name, ["x"] * (CHOSEN_MAX + 1))
    with pytest.raises(NoSuchResource):
        await groups.add(actor, DEFAULT, "nothing.vcf", [])


async def test_attack_092_groups_of_others_are_not_there_and_the_people_of_the_domain_are_in_none(
    groups, actor, bob, actor_of
):
    name = (await groups.create(actor, DEFAULT, "Chess")).resource.name
    for verb, further in ((groups.show, ()), (groups.add, ([],)), (groups.rename, ("", "x"))):
        with pytest.raises(NoSuchResource):
            await verb(actor_of(bob), DEFAULT, name, *further)
    with pytest.raises(NotAllowed):
        await groups.create(actor, NAME, "Everybody")
