"""Contacts: put and got octet by octet, found, imported."""

from pathlib import Path

import pytest

from mailstead.model.dav import CollectionKind, Precondition
from mailstead.model.errors import BadObject, ObjectTooLarge, PreconditionFailed, TooManyMatches, UidConflict
from mailstead.pim.filters import AddressData, CardFilter, PropChoice, PropFilter, TextMatch
from mailstead.usecases import contacts as contacts_module
from mailstead.usecases.contacts import Contacts, WantedCards
from mailstead.usecases.resources import ResourceTerms

GOLDEN = Path(__file__).parents[1] / "golden" / "pim"
WHOLE = WantedCards(AddressData())


def contact(uid="one", name="Ada Lovelace", *more, version="3.0"):
    lines = ["BEGIN:VCARD", f"VERSION:{version}", f"UID:{uid}", f"FN:{name}", "N:;;;;", *more, "END:VCARD", ""]
    return "\r\n".join(lines).encode()


def named(text):
    return CardFilter((PropFilter("FN", text_matches=(TextMatch(text, "i;unicode-casemap"),)),))


@pytest.fixture
def contacts():
    return Contacts(ResourceTerms("https://mail.example.test", resource_octets_max=200_000))


@pytest.fixture
async def opened(collections, alice, actor_of):
    (found,) = await collections.home(actor_of(alice), alice, CollectionKind.ADDRESSBOOK)
    return found


async def names(pages):
    return [found.resource.name async for page in pages for found in page]


async def test_a_contact_is_given_back_octet_by_octet(contacts, opened):
    for version in ("3.0", "4.0"):
        octets = contact(version, "Ada & <Co>", version=version).replace(b"\r\n", b"\n")
        assert (await contacts.put(opened, f"{version}.vcf", octets)).is_new
        got = await contacts.get(opened, f"{version}.vcf")
        assert (got.octets, got.facts.uid, got.facts.summary) == (octets, version, "Ada & <Co>")


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.vcf")), ids=lambda file: file.name)
async def test_the_corpus_comes_back_as_it_was_sent(contacts, opened, file):
    octets = file.read_bytes()
    await contacts.put(opened, "odd.vcf", octets)
    assert (await contacts.get(opened, "odd.vcf")).octets == octets


async def test_conditions_and_uids_are_kept(contacts, opened):
    await contacts.put(opened, "one.vcf", contact())
    with pytest.raises(PreconditionFailed):
        await contacts.put(opened, "one.vcf", contact(name="x"), Precondition(must_be_absent=True))
    with pytest.raises(UidConflict):
        await contacts.put(opened, "one.vcf", contact("two"))
    with pytest.raises(UidConflict):
        await contacts.put(opened, "two.vcf", contact("one"))
    with pytest.raises(BadObject):
        await contacts.put(opened, "bad.vcf", b"BEGIN:VCARD")


async def test_attack_085_a_photo_of_10_mb_is_refused_in_plain_words(contacts, opened, monkeypatch):
    monkeypatch.setattr(contacts_module, "card", None)
    contacts = Contacts(ResourceTerms("https://mail.example.test"))
    photo = "PHOTO;ENCODING=b;TYPE=JPEG:" + "/9j/" * (10 * 1024 * 1024 // 3)
    with pytest.raises(ObjectTooLarge, match="larger than this server keeps"):
        await contacts.put(opened, "large.vcf", contact("large", "Large", photo))


async def test_contacts_are_found_by_what_is_in_them(contacts, opened, monkeypatch):
    monkeypatch.setattr(contacts_module, "OCTETS_PAGE", 2)
    for number, name in enumerate(("Ada Lovelace", "Grace Hopper", "Ada Yonath", "Émilie du Châtelet", "Ada Coleman")):
        await contacts.put(opened, f"{number}.vcf", contact(str(number), name))
    assert await names(contacts.query(opened, named("ADA"), WHOLE)) == ["0.vcf", "2.vcf", "4.vcf"]
    assert await names(contacts.query(opened, named("émilie"), WantedCards())) == ["3.vcf"]
    assert len(await names(contacts.query(opened, CardFilter(), WHOLE))) == 5
    assert await names(contacts.query(opened, named("nobody"), WHOLE)) == []


async def test_attack_079_no_more_are_given_than_were_wanted(contacts, opened, monkeypatch):
    monkeypatch.setattr(contacts_module, "OCTETS_PAGE", 2)
    for number in range(5):
        await contacts.put(opened, f"{number}.vcf", contact(str(number)))
    found = []
    with pytest.raises(TooManyMatches):
        async for page in contacts.query(opened, CardFilter(), WHOLE, limit=3):
            found += page
    assert len(found) == 3
    assert len(await names(contacts.query(opened, CardFilter(), WHOLE, limit=5))) == 5


async def test_a_client_may_want_a_part_or_another_version(contacts, opened):
    await contacts.put(opened, "one.vcf", contact("one", "Ada Lovelace", "NOTE:long"))

    async def got(data):
        pages = contacts.multiget(opened, ["one.vcf"], WantedCards(data))
        (given,) = [found["one.vcf"].data async for _, found in pages]
        return given

    assert await got(AddressData()) == contact("one", "Ada Lovelace", "NOTE:long")
    part = await got(AddressData((PropChoice("FN"),)))
    assert b"FN:Ada Lovelace" in part
    assert b"NOTE" not in part
    assert b"VERSION:4.0" in await got(AddressData(version="4.0"))


async def test_a_file_of_contacts_is_imported(contacts, opened):
    file = contact("a") + contact("b") + b"BEGIN:VCARD\r\nVERSION:2.1\r\nN:Old\r\nEND:VCARD\r\n"
    report = await contacts.import_all(opened, file)
    assert (report.new_count, report.replaced_count, len(report.refused)) == (2, 0, 1)
    assert (await contacts.get(opened, "a.vcf")).facts.uid == "a"
    assert (await contacts.import_all(opened, file)).replaced_count == 2


async def test_contacts_of_old_phones_are_taken_where_people_bring_files(contacts, opened):
    file = contact("a") + b"BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=ISO-8859-1:M\xfcller;J\xf6rg\r\nEND:VCARD\r\n"
    report = await contacts.import_all(opened, file, takes_old=True)
    assert (report.new_count, report.refused) == (2, [])
    assert (await contacts.import_all(opened, file, takes_old=True)).replaced_count == 2  # by the same UID
    found = [each.facts.summary async for page in contacts.listed(opened) for each in page]
    assert sorted(found) == ["Ada Lovelace", "Jörg Müller"]
    with pytest.raises(BadObject):  # CardDAV goes on refusing it
        await contacts.put(opened, "old.vcf", b"BEGIN:VCARD\r\nVERSION:2.1\r\nUID:o\r\nN:Old\r\nEND:VCARD\r\n")
