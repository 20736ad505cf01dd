"""Who may be meant by a few letters: own contacts first, nobody whom the address books do not show."""

import pytest

from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind
from mailstead.model.errors import NotAllowed, RateLimited
from mailstead.model.secret import Secret
from mailstead.pim.card_form import Labelled
from mailstead.pim.card_sheet import CardSheet
from mailstead.usecases import completions
from mailstead.usecases.card_groups import CardGroups
from mailstead.usecases.card_index import CardIndex, CardQuery
from mailstead.usecases.card_sheets import CardSheets, CardWish
from mailstead.usecases.collections import DEFAULT, Collections, CollectionTerms
from mailstead.usecases.completions import GIVEN_MAX, PER_MINUTE_MAX, Completion, Completions
from mailstead.usecases.contacts import Contacts
from mailstead.usecases.dav_objects import DavObjects
from mailstead.usecases.mailboxes import Draft, Mailboxes
from mailstead.usecases.resources import ResourceTerms
from mailstead.usecases.staging import Staging


@pytest.fixture
def mailboxes(storage, bus, clock):
    return Mailboxes(storage, bus, clock, Staging(2**30))


@pytest.fixture
def make(storage, clock, mailboxes):
    def make(*, shows_directory):
        collections = Collections(storage, CollectionTerms(shows_directory=shows_directory))
        return Completions(DavObjects(storage, collections), collections, mailboxes, clock)

    return make


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


@pytest.fixture
def add(storage, actor):
    collections = Collections(storage)
    sheets = CardSheets(
        DavObjects(storage, collections), collections, Contacts(ResourceTerms("https://mail.example.test"))
    )

    async def add(name, *addresses, **more):
        await sheets.create(
            actor, DEFAULT, CardWish(CardSheet(name, emails=[Labelled(each) for each in addresses], **more))
        )

    return add


def groups_of(storage):
    """Give what groups are made with."""
    collections = Collections(storage)
    objects, contacts = DavObjects(storage, collections), Contacts(ResourceTerms("https://mail.example.test"))
    index, sheets = CardIndex(objects, collections), CardSheets(objects, collections, contacts)
    return index, sheets, CardGroups(index, sheets, contacts)


async def test_names_and_addresses_that_begin_so(make, actor, add):
    found = make(shows_directory=False)
    await add("Ada Lovelace", "ada@engines.test", "countess@home.test")
    await add("Granada Tours", "mail@tours.test", note="ada recommends them")
    await add("Bob", "adapter@parts.test")
    await add("No Address")
    lovelace = [Completion("Ada Lovelace", "ada@engines.test"), Completion("Ada Lovelace", "countess@home.test")]
    assert await found.find(actor, " ADA ") == [*lovelace, Completion("Bob", "adapter@parts.test")]
    assert await found.find(actor, "love") == await found.find(actor, "ada love") == lovelace
    assert await found.find(actor, "tours.t") == [Completion("Granada Tours", "mail@tours.test")]
    assert await found.find(actor, "ngin") == await found.find(actor, "no") == await found.find(actor, "  ") == []


async def test_a_group_stands_for_all_who_are_in_it(make, actor, add, storage):
    found = make(shows_directory=False)
    await add("Ada Lovelace", "ada@engines.test", "countess@home.test")
    await add("Chester", "chester@x.test")
    await add("No Address")
    index, sheets, groups = groups_of(storage)
    chess = (await groups.create(actor, DEFAULT, "Chess")).resource.name
    await groups.create(actor, DEFAULT, "Chess of nobody")
    cards = (await index.page(actor, CardQuery(DEFAULT))).cards
    await groups.add(actor, DEFAULT, chess, [each.resource.name for each in cards])
    named = b"X-ADDRESSBOOKSERVER-MEMBER:mailto:dora@x.test\r\nX-ADDRESSBOOKSERVER-MEMBER:mailto:a@x.test,b@x.test\r\n"
    octets = (await sheets.show(actor, DEFAULT, chess)).resource.octets.replace(b"END:VCARD", named + b"END:VCARD")
    await sheets.import_all(actor, DEFAULT, octets)
    ada, chester = Completion("Ada Lovelace", "ada@engines.test"), Completion("Chester", "chester@x.test")
    group, *others = await found.find(actor, "ches")
    assert (group.name, group.address, others) == ("Chess", "", [chester])
    assert sorted(group.members, key=lambda each: each.address) == [ada, chester, Completion("", "dora@x.test")]
    assert await found.find(actor, "hess") == []
    await groups.remove(
        actor, DEFAULT, chess, [each.uri for each in (await groups.show(actor, DEFAULT, chess)).members]
    )
    assert await found.find(actor, "ches") == [chester]


async def test_a_group_of_too_many_is_not_offered(make, actor, add, storage, monkeypatch):
    monkeypatch.setattr(completions, "MEMBERS_MAX", 1)
    for name in ("Ada", "Bob"):
        await add(name, f"{name}@x.test")
    index, _, groups = groups_of(storage)
    chess = (await groups.create(actor, DEFAULT, "Chess")).resource.name
    names = [each.resource.name for each in (await index.page(actor, CardQuery(DEFAULT))).cards]
    await groups.add(actor, DEFAULT, chess, names[:1])
    assert len(await make(shows_directory=False).find(actor, "chess")) == 1
    await groups.add(actor, DEFAULT, chess, names)
    assert await make(shows_directory=False).find(actor, "chess") == []


async def test_people_written_to_before(make, actor, add, mailboxes):
    found = make(shows_directory=False)
    await add("Bob of the book", "bob@b.test")
    for to in ("Bob <bob@b.test>, =?utf-8?q?B=C3=A9la?= <bela@c.test>", "boris@d.test"):
        octets = f"From: alice@example.test\r\nTo: {to}\r\nSubject: x\r\n\r\n".encode()
        await mailboxes.append(actor, "Sent", [Draft(octets, frozenset())])
    await mailboxes.append(actor, "INBOX", [Draft(b"From: bo@spam.test\r\nTo: bo2@x.test\r\n\r\n", frozenset())])
    assert await found.find(actor, "bo") == [
        Completion("Bob of the book", "bob@b.test"),
        Completion("", "boris@d.test"),
    ]
    assert await found.find(actor, "bé") == [Completion("Béla", "bela@c.test")]


async def test_attack_092_people_of_the_domain_only_where_they_are_a_book(make, actor, alice, bob):
    assert await make(shows_directory=True).find(actor, "bob") == [Completion("", "bob@example.test")]
    assert await make(shows_directory=False).find(actor, "bob") == []


async def test_attack_092_nobody_reads_all_of_them_out(make, actor, accounts, admin, alice, clock):
    for number in range(GIVEN_MAX + 2):
        await accounts.create(admin, Address.parse(f"p{number}@example.test"), Secret("pw-never-in-a-log-p"))
    found = make(shows_directory=True)
    assert len(await found.find(actor, "p")) == GIVEN_MAX
    assert await found.find(actor, "") == []
    for _ in range(PER_MINUTE_MAX - 1):
        await found.find(actor, "nobody")
    with pytest.raises(RateLimited):
        await found.find(actor, "p")
    clock.passed_s += 60
    assert len(await found.find(actor, "p")) == GIVEN_MAX


async def test_attack_092_of_others_nothing_is_told(make, actor, bob, actor_of, add, admin):
    await add("Ada", "ada@engines.test")
    assert await make(shows_directory=False).find(actor_of(bob), "ada") == []
    with pytest.raises(NotAllowed):
        await make(shows_directory=False).find(admin, "ada")


async def test_attack_085_no_address_smuggles_another(make, actor, storage, alice):
    collections = Collections(storage)
    book = await collections.open(actor, alice, CollectionKind.ADDRESSBOOK, DEFAULT)
    octets = b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u\r\nFN:Ada\r\nEMAIL:ada@a.test\\, eve@e.test\r\nEND:VCARD\r\n"
    await Contacts(ResourceTerms("https://mail.example.test")).put(book, "u.vcf", octets)
    assert await make(shows_directory=False).find(actor, "ada") == []
