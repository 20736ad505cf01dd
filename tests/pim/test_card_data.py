"""Contacts in part, and in the other version."""

from pathlib import Path

import pytest

from mailstead.pim.card_data import render
from mailstead.pim.component import parse
from mailstead.pim.filters import AddressData, PropChoice
from mailstead.pim.vcard import card

GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "pim").glob("*.vcf"))


def contact(*lines, version="3.0"):
    return "\r\n".join(["BEGIN:VCARD", f"VERSION:{version}", "UID:a", *lines, "END:VCARD", ""]).encode()


def as_4(*lines):
    octets = contact(*lines)
    return card(render(card(octets), octets, AddressData(version="4.0"))).component


def as_3(*lines):
    octets = contact(*lines, version="4.0")
    return card(render(card(octets), octets, AddressData(version="3.0"))).component


@pytest.mark.parametrize("wanted", [AddressData(), AddressData(version="3.0")])
def test_as_it_was_put(wanted):
    octets = contact("FN:Ada", "NOTE:fo", " ld").replace(b"\r\n", b"\n")
    assert render(card(octets), octets, wanted) is octets


def test_in_part_and_always_with_its_version():
    octets = contact("FN:Ada", "item1.TEL:1", "item1.X-ABLabel:x", "TEL:2", "NOTE:n")
    choice = (PropChoice("FN"), PropChoice("ITEM1.TEL"), PropChoice("NOTE", no_value=True))
    (found,) = parse(render(card(octets), octets, AddressData(props=choice)))
    assert [(each.group, each.name, each.value) for each in found.properties] == [
        ("", "VERSION", "3.0"),
        ("", "FN", "Ada"),
        ("item1", "TEL", "1"),
        ("", "NOTE", ""),
    ]
    (bare,) = parse(render(card(octets), octets, AddressData(props=())))
    assert [each.name for each in bare.properties] == ["VERSION"]


def test_3_to_4():
    found = as_4(
        "N:Lovelace;Ada;;;", "PHOTO;ENCODING=b;TYPE=JPEG:AAAA", "LOGO;VALUE=uri;TYPE=PNG:https://example.org/l.png",
        "EMAIL;type=INTERNET;type=HOME;type=pref:a@example.org", "BDAY:1815-12-10", "GEO:52.5;-13.4",
        "ANNIVERSARY;X-APPLE-OMIT-YEAR=1604:1604-04-12", "X-ADDRESSBOOKSERVER-KIND:group",
        "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:b", "X-OWN;A=b:c", "item1.TEL;CHARSET=utf-8:1",
    )  # fmt: skip
    values = {each.name: each for each in found.properties}
    assert values["VERSION"].value == "4.0"
    assert values["FN"].value == "Ada Lovelace"
    assert values["PHOTO"].value == "data:image/jpeg;base64,AAAA"
    assert values["PHOTO"].parameters == ()
    assert values["LOGO"].value == "https://example.org/l.png"
    assert values["LOGO"].parameter("MEDIATYPE") == "image/png"
    assert values["EMAIL"].parameters == (("TYPE", ("home",)), ("PREF", ("1",)))
    assert values["BDAY"].value == "18151210"
    assert values["ANNIVERSARY"].value == "--0412"
    assert values["ANNIVERSARY"].parameters == ()
    assert values["GEO"].value == "geo:52.5,-13.4"
    assert values["KIND"].value == "group"
    assert values["MEMBER"].value == "urn:uuid:b"
    assert values["X-OWN"].parameters == (("A", ("b",)),)
    assert (values["TEL"].group, values["TEL"].parameters) == ("item1", ())


def test_4_to_3():
    found = as_3(
        "FN:Ada", "PHOTO:data:image/jpeg;base64,AAAA", "LOGO;MEDIATYPE=image/png:https://example.org/l.png",
        "EMAIL;TYPE=home;PREF=1:a@example.org", "EMAIL;PREF=2:b@example.org", "BDAY:18151210", "ANNIVERSARY:--0412",
        "GEO:geo:52.5,-13.4;u=10", "KIND:group", "MEMBER:urn:uuid:b", 'TEL;VALUE=uri;TYPE="work,voice":tel:+1-2',
        "NOTE;ALTID=1;LANGUAGE=en:n", "X-OWN:c",
    )  # fmt: skip
    values = {each.name: each for each in found.properties if each.value != "b@example.org"}
    assert values["VERSION"].value == "3.0"
    assert values["N"].value == ";;;;"
    assert values["PHOTO"].value == "AAAA"
    assert values["PHOTO"].parameters == (("ENCODING", ("b",)), ("TYPE", ("JPEG",)))
    assert values["LOGO"].parameters == (("VALUE", ("uri",)), ("TYPE", ("PNG",)))
    assert values["EMAIL"].parameter_values("TYPE") == ["HOME", "PREF"]
    assert values["BDAY"].value == "1815-12-10"
    assert values["ANNIVERSARY"].value == "1604-04-12"
    assert values["ANNIVERSARY"].parameter("X-APPLE-OMIT-YEAR") == "1604"
    assert values["GEO"].value == "52.5;-13.4"
    assert values["X-ADDRESSBOOKSERVER-KIND"].value == "group"
    assert values["X-ADDRESSBOOKSERVER-MEMBER"].value == "urn:uuid:b"
    assert values["TEL"].value == "+1-2"
    assert values["TEL"].parameters == (("TYPE", ("WORK", "VOICE")),)
    assert values["NOTE"].parameters == (("LANGUAGE", ("en",)),)
    assert values["X-OWN"].value == "c"


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.name)
def test_odd_ones_in_the_other_version_can_be_read_and_have_lost_nothing(file):
    octets = file.read_bytes()
    found = card(octets)
    other = "4.0" if found.version == "3.0" else "3.0"
    again = card(render(found, octets, AddressData(version=other)))
    assert (again.uid, again.version, again.is_group) == (found.uid, other, found.is_group)
    assert len(again.component.properties) >= len(found.component.properties)
