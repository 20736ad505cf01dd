"""The sheet says what a vCard says, and a vCard that is changed by it keeps all else."""

from dataclasses import replace

import pytest

from mailstead.model.errors import BadObject
from mailstead.pim.card_form import Labelled, PostalAddress
from mailstead.pim.card_sheet import (
    CardSheet,
    PersonName,
    changed,
    composed,
    day_of,
    members,
    named,
    photo,
    sheet,
    with_photo,
)
from mailstead.pim.vcard import card

FULL = CardSheet(
    "Dr. Ada King",
    PersonName("King", "Ada", "Augusta", "Dr.", "Countess; of Lovelace"),
    "Ada, Countess",
    "Engines, Ltd",
    "Numbers",
    "Analyst",
    [Labelled("ada@example.test", "work"), Labelled("ada@home.test")],
    [Labelled("+44 20 7946 0000", "cell")],
    [PostalAddress("12 St James's Square; back", "London", "", "SW1", "England", "home")],
    [Labelled("https://ada.example.test/?a=1,2;3", "work")],
    "1815-12-10",
    "First line\nsecond, with; marks\\",
    ["Friends", "Chess, on Mondays"],
)
APPLES = (
    b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u-1\r\nPRODID:-//Apple\r\nN;LANGUAGE=en:Lovelace;Ada;;;\r\nFN:Ada Lovelace\r\n"
    b"item1.EMAIL;type=INTERNET;type=pref:ada@example.test\r\nitem1.X-ABLabel:_$!<Other>!$_\r\n"
    b"EMAIL;type=INTERNET;type=WORK;X-KEPT=yes:work@example.test\r\n"
    b"item2.ADR;type=HOME:;;1 Road;Town;;;Land\r\nitem2.X-ABADR:gb\r\n"
    b"BDAY;X-APPLE-OMIT-YEAR=1604:1604-12-10\r\nX-SOCIALPROFILE;type=x:https://s.test/ada\r\nEND:VCARD\r\n"
)


def read(octets):
    return sheet(card(octets))


def lines(octets):
    return octets.replace(b"\r\n ", b"").split(b"\r\n")


def test_what_is_filled_in_is_read_again():
    assert read(composed("u", FULL)) == FULL
    assert read(changed(b"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:u\r\nFN:x\r\nEND:VCARD\r\n", FULL)) == FULL


@pytest.mark.parametrize("octets", [APPLES, composed("u", FULL)], ids=["apple", "own"])
def test_what_nobody_changes_stays(octets):
    assert lines(changed(octets, read(octets))) == [
        each.replace(b"X-ABLabel", b"X-ABLABEL").replace(b";type=INTERNET", b";TYPE=INTERNET")
        .replace(b"type=", b"TYPE=") for each in lines(octets)
    ]  # fmt: skip


def test_one_change_leaves_all_else():
    before = read(APPLES)
    assert before.emails == [Labelled("ada@example.test", "Other"), Labelled("work@example.test", "work")]
    assert before.birthday == "--12-10"
    made = changed(APPLES, replace(before, emails=[before.emails[0], Labelled("new@example.test", "work")]))
    there, now = set(lines(changed(APPLES, before))), set(lines(made))
    assert there - now == {b"EMAIL;TYPE=INTERNET;TYPE=WORK;X-KEPT=yes:work@example.test"}
    assert now - there == {b"EMAIL;TYPE=INTERNET;TYPE=WORK;X-KEPT=yes:new@example.test"}


def test_another_label_takes_the_place_of_apples():
    before = read(APPLES)
    made = changed(APPLES, replace(before, emails=[Labelled("ada@example.test", "home"), before.emails[1]]))
    assert read(made).emails[0] == Labelled("ada@example.test", "home")
    assert b"X-ABLABEL" not in made
    assert b"item1.EMAIL;TYPE=INTERNET,pref,home:ada@example.test" in lines(made)


def test_what_is_emptied_goes_with_what_belongs_to_it():
    before = read(APPLES)
    empty = [replace(before.addresses[0], street="", city="", country="")]
    made = changed(APPLES, replace(before, addresses=empty, emails=[Labelled(""), before.emails[1]], birthday=""))
    assert (read(made).addresses, read(made).emails, read(made).birthday) == ([], [before.emails[1]], "")
    for gone in (b"X-ABADR", b"X-ABLABEL", b"ADR", b"BDAY"):
        assert gone not in made
    assert b"X-SOCIALPROFILE" in made


@pytest.mark.parametrize(
    ("version", "written", "said"),
    [
        ("3.0", b"BDAY;X-APPLE-OMIT-YEAR=1604:1604-02-29", "--02-29"),
        ("4.0", b"BDAY:--0229", "--02-29"),
        ("3.0", b"BDAY:1980-05-17", "1980-05-17"),
        ("4.0", b"BDAY:19800517", "1980-05-17"),
    ],
)
def test_birthdays_in_both_versions(version, written, said):
    octets = f"BEGIN:VCARD\r\nVERSION:{version}\r\nUID:u\r\nFN:x\r\nN:x;;;;\r\nEND:VCARD\r\n".encode()
    made = changed(octets, replace(read(octets), birthday=said))
    assert written in lines(made)
    assert read(made).birthday == said
    for no_day in ("1999-02-29", "--13-01", "soon"):
        with pytest.raises(BadObject):
            changed(octets, replace(read(octets), birthday=no_day))


def test_a_birthday_that_is_a_text_stays_one():
    octets = b"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:u\r\nFN:x\r\nBDAY;VALUE=text:circa 1800\r\nEND:VCARD\r\n"
    assert read(octets).birthday == "circa 1800"
    assert day_of("circa 1800") is None
    assert b"BDAY;VALUE=text:circa 1800" in changed(octets, replace(read(octets), title="x"))


def test_a_contact_needs_a_name():
    with pytest.raises(BadObject):
        composed("u", CardSheet(emails=[Labelled("ada@example.test")]))


def test_attack_085_a_line_end_in_a_field_begins_no_line():
    made = composed("u", CardSheet("Ada\r\nUID:other", urls=[Labelled("https://x.test/\r\nUID:third")]))
    assert card(made).uid == "u"
    assert read(made).full_name == "Ada\nUID:other"


@pytest.mark.parametrize("version", ["3.0", "4.0"])
def test_pictures_in_both_versions(version):
    octets = f"BEGIN:VCARD\r\nVERSION:{version}\r\nUID:u\r\nFN:x\r\nN:x;;;;\r\nEND:VCARD\r\n".encode()
    image = bytes(range(256)) * 3
    made = with_photo(octets, image, "image/png")
    assert photo(card(made)) == image
    assert photo(card(changed(made, replace(read(made), title="x")))) == image
    assert photo(card(with_photo(made, None))) is None


@pytest.mark.parametrize("value", [b";VALUE=uri:https://else.test/ada.png", b";ENCODING=b:%%%%", b":data:image/png,x"])
def test_no_picture_is_taken_from_elsewhere(value):
    assert photo(card(APPLES.replace(b"END:", b"PHOTO" + value + b"\r\nEND:"))) is None


def test_members_of_a_group():
    octets = APPLES.replace(b"END:", b"X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:m-1\r\nMEMBER:m-2\r\nEND:")
    assert set(members(card(octets))) == {"m-1", "m-2"}


@pytest.mark.parametrize(
    ("wanted", "name", "parts"),
    [
        (CardSheet("Ada  Lovelace"), "Ada Lovelace", PersonName("Lovelace", "Ada")),
        (CardSheet("Ada"), "Ada", PersonName(given="Ada")),
        (CardSheet(name=PersonName("Lovelace", "Ada", prefix="Lady")), "Lady Ada Lovelace", None),
        (CardSheet(organisation="Engines"), "Engines", PersonName()),
        (CardSheet(emails=[Labelled(""), Labelled("a@x.test")]), "a@x.test", PersonName()),
        (CardSheet(), "", PersonName()),
    ],
)
def test_the_name_and_its_parts_fit_each_other(wanted, name, parts):
    made = named(wanted, CardSheet())
    assert (made.full_name, made.name) == (name, parts or wanted.name)


def test_of_a_name_that_was_there_what_is_changed_leads():
    before = CardSheet("Ada Lovelace", PersonName("Lovelace", "Ada"))
    assert named(before, before) == before
    assert named(replace(before, full_name="Ada King"), before).name == PersonName("King", "Ada")
    assert named(replace(before, name=PersonName("King", "Ada")), before).full_name == "Ada King"
    both = replace(before, full_name="A. King", name=PersonName("King", "Ada"))
    assert named(both, before) == both
