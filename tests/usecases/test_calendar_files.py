"""Whole collections as files."""

import pytest

from mailstead.model.dav import CollectionKind, CollectionTraits
from mailstead.model.errors import BadImport, BadObject, NoSuchCollection, NotAllowed
from mailstead.pim.calendar_object import split
from mailstead.usecases.calendar_files import CalendarFiles, kind_of, public_etag, read_file, whole_calendar
from mailstead.usecases.calendar_objects import CalendarObjects
from mailstead.usecases.contacts import Contacts
from mailstead.usecases.resources import ResourceTerms
from mailstead.usecases.sharings import Sharings

CALENDAR, ADDRESSBOOK = CollectionKind.CALENDAR, CollectionKind.ADDRESSBOOK
TERMS = ResourceTerms("https://mail.example.test")


def events(*uids, extra=""):
    parts = "".join(
        f"BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260101T100000Z\r\nSUMMARY:secret\r\n{extra}"
        "END:VEVENT\r\n"
        for uid in uids
    )
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\n{parts}END:VCALENDAR\r\n".encode()


def cards(*uids):
    return "".join(
        f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{uid}\r\nN:{uid};;;;\r\nEND:VCARD\r\n" for uid in uids
    ).encode()


@pytest.fixture
def objects():
    return CalendarObjects(TERMS)


@pytest.fixture
def files(collections, objects):
    return CalendarFiles(collections, objects, Contacts(TERMS))


@pytest.fixture
def me(alice, actor_of):
    return actor_of(alice)


async def test_what_was_imported_is_exported_and_imported_again(files, me, alice, tmp_path):
    opened, report = await files.import_file(me, alice, events("a", "b"), CALENDAR)
    assert (opened.name, report.new_count, report.refused) == ("default", 2, [])
    await files.import_file(me, alice, cards("c"), ADDRESSBOOK, "Friends")
    done = []
    written = await files.export(me, alice, tmp_path / "out", progress=lambda *of: done.append(of))
    assert written.files == {"calendars/Calendar.ics": 2, "contacts/Contacts.vcf": 0, "contacts/Friends.vcf": 1}
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert (tmp_path / "out" / "contacts" / "Friends.vcf").read_bytes() == cards("c")
    _, again = await files.import_file(me, alice, read_file(tmp_path / "out" / "calendars" / "Calendar.ics"), CALENDAR)
    assert (again.new_count, again.replaced_count) == (0, 2)


async def test_nothing_is_overwritten(files, me, alice, tmp_path):
    await files.export(me, alice, tmp_path)
    with pytest.raises(NotAllowed):
        await files.export(me, alice, tmp_path)


async def test_two_of_one_name_get_files_of_their_own(files, collections, me, alice, tmp_path):
    await collections.create(me, alice, CALENDAR, "other", CollectionTraits(display_name="Calendar/../x"))
    await collections.create(me, alice, CALENDAR, "third", CollectionTraits(display_name="Calendar/../x"))
    written = await files.export(me, alice, tmp_path / "out", kinds=(CALENDAR,))
    names = {"Calendar.ics", "Calendar%2F..%2Fx.ics", "Calendar%2F..%2Fx %28third%29.ics"}
    assert set(written.files) == {f"calendars/{name}" for name in names}
    assert {each.name for each in (tmp_path / "out" / "calendars").iterdir()} == names


async def test_a_collection_is_found_by_both_its_names(files, collections, me, alice):
    await collections.create(me, alice, CALENDAR, "work", CollectionTraits(display_name="My Work"))
    for name in ("work", "my work"):
        opened, _ = await files.import_file(me, alice, events("a"), CALENDAR, name)
        assert opened.name == "work"


async def test_without_a_first_one_a_name_is_needed(files, collections, me, alice):
    await collections.delete(me, await collections.open(me, alice, CALENDAR, "default"))
    with pytest.raises(NoSuchCollection):
        await files.import_file(me, alice, events("a"), CALENDAR)


async def test_objects_that_cannot_be_kept_are_named(files, me, alice):
    octets = events("a").replace(b"END:VCALENDAR", b"BEGIN:VJOURNAL\r\nUID:bad\r\nEND:VJOURNAL\r\nEND:VCALENDAR")
    _, report = await files.import_file(me, alice, octets, CALENDAR)
    assert report.new_count == 1
    assert [each.split(":")[0] for each in report.refused] == ["bad"]
    with pytest.raises(BadObject):
        await files.import_file(me, alice, b"<html>", CALENDAR)


async def test_contacts_of_old_phones_come_in_as_others(files, me, alice):
    octets = cards("c") + b"BEGIN:VCARD\r\nVERSION:2.1\r\nN;QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg\r\nEND:VCARD\r\n"
    _, report = await files.import_file(me, alice, octets, ADDRESSBOOK)
    assert (report.new_count, report.refused) == (2, [])


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (events("a"), CALENDAR),
        (b"\xef\xbb\xbf" + events("a"), CALENDAR),
        (b"\r\n\nbegin:vcard\nVERSION:3.0", ADDRESSBOOK),
        (b"From alice@example.test Thu Jan  1 00:00:00 2026\nBEGIN:VCARD\n", None),
        (b"", None),
    ],
)
def test_files_are_told_by_their_beginning(octets, kind):
    assert kind_of(octets) is kind


def test_a_file_that_is_none(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(BadImport):
            read_file(path)


async def test_a_public_file_and_its_tag(files, storage, collections, objects, me, alice, clock):
    opened, _ = await files.import_file(me, alice, events("a", extra="ATTENDEE:mailto:bob@example.test\r\n"), CALENDAR)
    sharings = Sharings(storage, collections, clock)
    whole = await sharings.linked((await sharings.link(me, opened)).token)
    busy = await sharings.linked((await sharings.link(me, opened, hides_details=True)).token)
    shown = await files.public_file(whole)
    assert b"SUMMARY:secret" in shown
    assert b"ATTENDEE" not in shown
    hidden = await files.public_file(busy)
    assert b"SUMMARY:Busy" in hidden
    assert b"secret" not in hidden
    assert (b"\r\nNAME:Calendar\r\n" in shown, b"\r\nNAME:Busy\r\n" in hidden) == (True, True)
    before = public_etag(whole)
    assert before not in {public_etag(busy), ""}
    await objects.put(opened, "b.ics", events("b"))
    link = await sharings.link(me, opened)
    assert public_etag(await sharings.linked(link.token)) != before


async def test_a_calendar_as_one_file(files, objects, me, alice):
    opened, _ = await files.import_file(me, alice, events("a", "b"), CALENDAR)
    octets = b"".join([piece async for piece in whole_calendar(objects, opened)])
    assert [each.components[-1].value("UID") for each in split(octets)] == ["a", "b"]
