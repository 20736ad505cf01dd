"""Contacts: what may be kept, what is known of them, files of many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.dav import TEXT_MAX
from mailstead.model.errors import BadObject
from mailstead.pim.component import escaped
from mailstead.pim.vcard import SUMMARY_MAX, card, card_facts, full_name, split_cards


def contact(*lines: str, version: str = "3.0", uid: str = "a", name: str = "Ada") -> bytes:
    head = [f"VERSION:{version}"] * bool(version) + [f"UID:{uid}"] * bool(uid) + [f"FN:{name}"] * bool(name)
    return "\r\n".join(["BEGIN:VCARD", *head, *lines, "END:VCARD", ""]).encode()


@pytest.mark.parametrize(
    ("octets", "condition", "words"),
    [
        (b"", "valid-address-data", "nothing in it"),
        (b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "valid-address-data", "one vCard"),
        (contact() * 2, "valid-address-data", "one vCard"),
        (contact(version="2.1"), "supported-address-data", "3.0 and 4.0"),
        (contact(version=""), "supported-address-data", "3.0 and 4.0"),
        (contact(uid=""), "valid-address-data", "UID"),
        (contact("UID:b"), "valid-address-data", "UID"),
        (contact(uid="x" * 513), "valid-address-data", "at most 512"),
        (contact(uid="x\ty"), "valid-address-data", "control"),
        (contact(name=""), "valid-address-data", "FN"),
        (contact("NOTE:\x00"), "valid-address-data", "control character"),
    ],
)
def test_what_may_not_be_kept(octets, condition, words):
    with pytest.raises(BadObject, match=words) as refused:
        card(octets)
    assert refused.value.log_fields["condition"] == condition


def test_names():
    assert full_name(card(contact(name="A\\, B")).component) == "A, B"
    assert full_name(card(contact("N:Lovelace;Ada;;;", name="")).component) == "Ada Lovelace"
    assert full_name(card(contact("N:Lovelace", name="")).component) == "Lovelace"
    assert full_name(card(contact("N:O\\;Neill;Ada;;;", name=" ")).component) == "Ada O;Neill"


def test_groups():
    assert card(contact("KIND:Group", version="4.0")).is_group
    assert card(contact("X-ADDRESSBOOKSERVER-KIND:group")).is_group
    assert not card(contact("KIND:individual", version="4.0")).is_group
    assert not card(contact()).is_group


def test_facts_for_lists_and_searching():
    facts = card_facts(
        card(contact("ORG:Straße;R&D", "item1.EMAIL:Ada@Example.ORG", "TEL;CELL:1", "PHOTO:x", "X-A:y", "NOTE:a\\nb"))
    )
    assert (facts.uid, facts.component, facts.summary, facts.is_group) == ("a", "VCARD", "Ada", False)
    assert facts.text == "ada\nstrasse r&d\nada@example.org\n1\na\nb"
    assert not facts.is_dated


def test_facts_are_never_long():
    facts = card_facts(card(contact("NOTE:" + "ß" * TEXT_MAX, name="n" * 1000)))
    assert len(facts.summary) == SUMMARY_MAX
    assert len(facts.text) <= TEXT_MAX


def test_quoted_printable_of_old_phones():
    octets = contact("NOTE;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Caf=C3=A9 =", "and=", " more", "TEL:1=")
    found = card(octets)
    assert card_facts(found).text == "ada\ncafé and more\n1="
    assert card_facts(card(octets.replace(b"\r\n", b"\n"))).text == card_facts(found).text


@given(st.binary(min_size=1, max_size=200))
def test_quoted_printable_of_whatever(octets):
    text = octets.hex("=").upper().encode()
    found = card(contact(f"FN;ENCODING=QUOTED-PRINTABLE:={text.decode()}", name=""))
    assert isinstance(card_facts(found).summary, str)


def test_a_file_of_many_comes_apart_as_it_stands():
    odd = contact("NOTE:fold", " ed", "X-A:b", uid="1")
    found = split_cards(b"\xef\xbb\xbf" + odd + b"\r\n\r\n" + contact(uid="2").replace(b"\r\n", b"\n"))
    assert found == [odd, contact(uid="2")]


def test_those_without_a_uid_get_the_same_one_each_time():
    octets = contact(uid="") + contact(uid="", name="Bob") + contact("item1.UID:c", uid="")
    uids = [card(each).uid for each in split_cards(octets)]
    assert len(set(uids)) == 3
    assert uids[2] == "c"
    assert [card(each).uid for each in split_cards(octets)] == uids


def test_those_that_are_broken_are_told_when_they_are_put():
    (broken,) = split_cards(b"BEGIN:VCARD\r\nno line\r\n")
    with pytest.raises(BadObject):
        card(broken)
    with pytest.raises(BadObject, match="no vCard"):
        split_cards(b"hello")


@given(st.text(st.characters(blacklist_categories=("Cc", "Cs")) | st.just("\n"), max_size=60))
def test_whatever_a_name_is_it_is_known(name):
    facts = card_facts(card(contact(f"NOTE:{escaped(name)}", name=f"x{escaped(name)}")))
    assert facts.summary
    assert "\r" not in facts.text


@given(st.lists(st.sampled_from(["BEGIN:VCARD", "END:VCARD", "VERSION:3.0", "UID:a", "FN:x", "N:;", "=", "junk",
                                 "NOTE;ENCODING=QUOTED-PRINTABLE:a="]), max_size=12))  # fmt: skip
def test_whatever_comes_it_is_read_or_refused(lines):
    octets = "\r\n".join([*lines, ""]).encode()
    try:
        for each in split_cards(octets):
            card(each)
    except BadObject:
        return
    assert b"BEGIN:VCARD" in octets
