"""Who may be meant by a few letters: own contacts first, nobody whom the address books do not show."""

import pytest

from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind
from mailstead.model.errors import NotAllowed, RateLimited
from mailstead.model.secret import Secret
from mailstead.pim.card_form import Labelled
from mailstead.pim.card_sheet import CardSheet
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
