"""Groups as contacts: whom they stand for is changed, and nothing else of them."""

import pytest

from mailstead.model.errors import BadObject
from mailstead.pim import card_group
from mailstead.pim.card_group import composed_group, with_members, with_other_member
from mailstead.pim.card_sheet import members
from mailstead.pim.component import escaped
from mailstead.pim.vcard import card


def group(version, *uris, own=""):
    name, kind = ("MEMBER", "KIND") if version == "4.0" else ("X-ADDRESSBOOKSERVER-MEMBER", "X-ADDRESSBOOKSERVER-KIND")
    lines = ["BEGIN:VCARD", f"VERSION:{version}", "UID:g", "FN:G", "N:G;;;;", f"{kind}:group", own or "NOTE:own"]
    return "\r\n".join([*lines, *(f"{name}:{each}" for each in uris), "END:VCARD", ""]).encode()


def test_a_new_group_is_one_for_all_programs():
    found = card(composed_group("g", "  Chess,  club ", ["a"]))
    assert (found.is_group, found.version, found.component.value("FN")) == (True, "3.0", escaped("Chess, club"))
    assert found.component.value("X-ADDRESSBOOKSERVER-MEMBER") == "urn:uuid:a"
    with pytest.raises(BadObject):
        composed_group("g", " ")


@pytest.mark.parametrize("version", ["3.0", "4.0"])
def test_members_come_and_go_and_all_else_stays(version):
    octets = group(version, "urn:uuid:a", "mailto:x@y.test")
    more = with_members(octets, ["a", "urn:uuid:b", "c", "c"])
    assert members(card(more)) == ("a", "mailto:x@y.test", "b", "c")
    assert b"NOTE:own" in more
    less = with_members(more, removed=["urn:uuid:a", "mailto:x@y.test", "unknown"])
    assert members(card(less)) == ("b", "c")
    assert with_members(with_members(octets, ["z"]), removed=["z"]) == octets


@pytest.mark.parametrize("version", ["3.0", "4.0"])
def test_one_stands_for_several_who_are_the_same(version):
    assert members(
        card(with_other_member(group(version, "urn:uuid:x", "urn:uuid:a", "urn:uuid:b"), ["a", "b"], "k"))
    ) == (
        "x",
        "k",
    )
    assert members(card(with_other_member(group(version, "urn:uuid:a", "urn:uuid:k"), ["a"], "k"))) == ("k",)
    assert members(card(with_other_member(group(version, "urn:uuid:a"), ["urn:uuid:a"], "urn:uuid:k"))) == ("k",)
    assert with_other_member(group(version, "urn:uuid:x"), ["a"], "k") is None


def test_attack_085_a_uid_begins_no_line_in_a_group():
    found = with_members(group("3.0"), ["a\r\nEMAIL:evil@x.test"])
    assert b"\r\nEMAIL" not in found


def test_a_group_has_an_end(monkeypatch):
    monkeypatch.setattr(card_group, "MEMBERS_MAX", 2)
    full = with_members(group("3.0"), ["a", "b"])
    with pytest.raises(BadObject):
        with_members(full, ["c"])
    assert members(card(with_members(full, ["c"], ["a"]))) == ("b", "c")
