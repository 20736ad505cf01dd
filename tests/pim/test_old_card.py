"""vCard 2.1 made 3.0: what old phones have written is read as people meant it."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.mime.charset import decoded
from mailstead.model.errors import BadObject
from mailstead.pim.card_form import Labelled, PostalAddress
from mailstead.pim.card_sheet import photo, sheet
from mailstead.pim.old_card import with_new_cards
from mailstead.pim.vcard import card, split_cards


def old(*lines):
    return b"\r\n".join([b"BEGIN:VCARD", b"VERSION:2.1", *lines, b"END:VCARD", b""])


def read(*lines):
    (octets,) = split_cards(with_new_cards(old(*lines), decoded))
    return card(octets)


def test_a_contact_of_an_old_phone():
    found = read(
        b"N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Garc=C3=ADa;Jos=C3=A9 Mar=",
        b"=C3=ADa;;Dr.;",
        b"TEL;CELL;PREF:+34 600 000 000",
        b"TEL;TYPE=HOME:+34 1",
        b"EMAIL;INTERNET;HOME:jose@x.test",
        b"ADR;WORK;CHARSET=ISO-8859-1;QUOTED-PRINTABLE:;;Calle May=F3r 1=3B 2, B;Le=F3n;;24001;Espa=F1a",
        b"ORG:Engines, Ltd\\; Sons;Numbers",
        b"NOTE;ENCODING=QUOTED-PRINTABLE:one, two=0D=0Athree; four=",
        b" and five",
        b"BDAY:19800517",
        b"URL:http://x.test/?a=1;b=2",
        b"X-SOMETHING;FOO=BAR:vnd.x/y;1;2",
    )
    said = sheet(found)
    assert (found.version, said.full_name, said.name.prefix) == ("3.0", "José María García", "Dr.")
    assert said.phones == [Labelled("+34 600 000 000", "cell"), Labelled("+34 1", "home")]
    assert said.emails == [Labelled("jose@x.test", "home")]
    assert said.addresses == [PostalAddress("Calle Mayór 1; 2, B", "León", "", "24001", "España", "work")]
    assert (said.organisation, said.department) == ("Engines, Ltd; Sons", "Numbers")
    assert (said.note, said.birthday) == ("one, two\nthree; four and five", "1980-05-17")
    assert said.urls == [Labelled("http://x.test/?a=1;b=2")]
    assert found.component.first("X-SOMETHING").value == "vnd.x/y;1;2"


def test_a_picture_over_many_lines():
    image = bytes(range(256))
    data = b64encode(image)
    found = read(
        b"N:A",
        b"PHOTO;JPEG;ENCODING=BASE64:",
        *(b" " + data[at : at + 70] for at in range(0, len(data), 70)),
        b"",
        b"TEL:1",
    )
    assert (photo(found), found.component.first("PHOTO").parameter("TYPE")) == (image, "JPEG")
    assert sheet(found).phones == [Labelled("1")]
    linked = read(b"N:A", b"PHOTO;VALUE=URL:http://x.test/a.gif").component.first("PHOTO")
    assert (linked.value, linked.parameter("VALUE")) == ("http://x.test/a.gif", "uri")


def test_what_is_not_old_stands_as_it_stood():
    new = b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:a\r\nFN:A\r\nN:A;;\r\n ;;\r\nEND:VCARD\r\n"
    assert with_new_cards(new, decoded) == new
    assert with_new_cards(b"hello", decoded) == b"hello"
    mixed = split_cards(with_new_cards(b"\xef\xbb\xbf" + old(b"N:Old") + new, decoded))
    assert [sheet(card(each)).full_name for each in mixed] == ["Old", "A"]
    assert mixed[1] == new


def test_the_same_file_brings_the_same_contacts():
    octets = old(b"N:A") + old(b"N:B") + old(b"UID:own", b"N:C")
    uids = [card(each).uid for each in split_cards(with_new_cards(octets, decoded))]
    assert (len(set(uids)), uids[2]) == (3, "own")
    assert uids == [card(each).uid for each in split_cards(with_new_cards(octets, decoded))]


@pytest.mark.parametrize(
    "lines", [[b"no line"], [b"N:A", b"AGENT:", b"BEGIN:VCARD", b"VERSION:2.1", b"N:B", b"END:VCARD"]]
)
def test_what_cannot_be_read_is_told_and_not_half_taken(lines):
    for each in split_cards(with_new_cards(old(*lines), decoded)):
        with pytest.raises(BadObject):
            card(each)


def test_attack_085_what_is_encoded_begins_no_line():
    found = read(
        b"N:A", b"NOTE;QUOTED-PRINTABLE:x=0D=0AEMAIL:evil@x.test", b"X-A;QUOTED-PRINTABLE:y=0AEMAIL:evil@x.test=00"
    )
    assert list(found.component.all("EMAIL")) == []


@given(st.lists(st.sampled_from([b"N:A;B", b"N;QUOTED-PRINTABLE:=E9=", b"TEL;;=;X=Y;TYPE=:1", b" fold", b"", b"junk", b"FN;CHARSET=x:\xff",
                                 b"PHOTO;BASE64:!", b"a.b.c:d", b"VERSION:2.1", b"BEGIN:VCARD", b"END:VCARD", b";:", b'X;\xff="":\\'])
                | st.binary(max_size=12), max_size=10))  # fmt: skip
def test_whatever_comes_it_is_read_or_refused(lines):
    for each in split_cards(with_new_cards(old(*lines), decoded)):
        try:
            card(each)
        except BadObject:
            continue
