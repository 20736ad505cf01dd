"""Contacts as forms: composed, changed without losing what others wrote, read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.errors import BadObject
from mailstead.pim.card_form import CardForm, CardView, Labelled, PostalAddress, changed, composed, view
from mailstead.pim.vcard import card

OLD = (
    b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u-1\r\nN:Lovelace;Ada;King;;\r\nFN:Ada Lovelace\r\n"
    b"item1.EMAIL;TYPE=INTERNET;TYPE=WORK:ada@example.test\r\nitem1.X-ABLABEL:Office\r\n"
    b"EMAIL;TYPE=HOME:countess@example.test\r\nTEL;TYPE=CELL,VOICE:+44 20 7946 0000\r\n"
    b"NOTE:kept as it is\r\nEND:VCARD\r\n"
)
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=60).filter(str.strip)


def test_a_contact_is_composed():
    form = CardForm(
        "Ada Lovelace",
        (Labelled("ada@example.test", "work"), Labelled("a;b,c@example.test")),
        (Labelled("+44 20 7946 0000", "cell"),),
        (PostalAddress("12, St James's Sq.", "London", "", "SW1Y 4JH", "UK", "home"),),
        uid="u-1",
    )
    octets = composed(form)
    assert octets == (
        b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u-1\r\nN:Lovelace;Ada;;;\r\nFN:Ada Lovelace\r\n"
        b"EMAIL;TYPE=work:ada@example.test\r\nEMAIL:a\\;b\\,c@example.test\r\nTEL;TYPE=cell:+44 20 7946 0000\r\n"
        b"ADR;TYPE=home:;;12\\, St James's Sq.;London;;SW1Y 4JH;UK\r\nEND:VCARD\r\n"
    )
    assert view(octets) == CardView("u-1", form.full_name, form.emails, form.phones, form.addresses, is_group=False)


@given(TEXTS, st.lists(st.builds(Labelled, TEXTS), max_size=3))
def test_whatever_is_said_comes_back(name, emails):
    wanted = CardForm(name, emails, is_group=True, uid="u")
    found = view(composed(wanted))
    assert found.full_name == name.strip()
    assert [each.value for each in found.emails] == [each.value.strip() for each in emails]
    assert found.is_group


def test_a_change_keeps_what_it_does_not_speak_of():
    octets = changed(OLD, CardForm(emails=(Labelled("ada@example.test", "work"), Labelled("new@example.test"))))
    assert octets == OLD.replace(b"EMAIL;TYPE=HOME:countess@example.test\r\n", b"").replace(
        b"item1.X-ABLABEL", b"EMAIL:new@example.test\r\nitem1.X-ABLABEL"
    )
    assert changed(OLD, CardForm()) == OLD
    assert changed(OLD, CardForm("Ada Lovelace")) == OLD
    renamed = changed(OLD, CardForm("Ada Byron"))
    assert b"N:Byron;Ada;;;\r\nFN:Ada Byron\r\n" in renamed
    assert b"NOTE:kept as it is" in renamed
    assert view(OLD).phones == (Labelled("+44 20 7946 0000", "cell"),)


def test_a_group_is_told_in_the_way_of_its_version():
    assert b"X-ADDRESSBOOKSERVER-KIND:group" in changed(OLD, CardForm(is_group=True))
    new = changed(OLD.replace(b"VERSION:3.0", b"VERSION:4.0"), CardForm(is_group=True))
    assert b"\r\nKIND:group" in new
    assert card(new).is_group
    assert not view(changed(new, CardForm(is_group=False))).is_group


def test_a_number_that_is_a_uri_is_a_number():
    assert view(OLD.replace(b"TYPE=CELL,VOICE:+44", b"VALUE=uri;TYPE=cell:tel:+44")).phones[0].value[:3] == "+44"


@pytest.mark.parametrize(
    "form",
    [
        CardForm(uid="u"),
        CardForm("  ", uid="u"),
        CardForm("Ada"),
        CardForm("Ada", (Labelled(" "),), uid="u"),
        CardForm("Ada", (Labelled("a@b.test", "x" * 61),), uid="u"),
    ],
)
def test_what_is_no_contact_is_refused(form):
    with pytest.raises(BadObject):
        composed(form)


@pytest.mark.parametrize("text", ["a\r\nBCC:x", "a\nEND:VCARD\nBEGIN:VCARD"])
def test_attack_085_nothing_that_is_said_becomes_a_line_of_its_own(text):
    octets = composed(CardForm(text, (Labelled(text, "work"),), uid="u"))
    assert b"\nBCC" not in octets
    assert octets.count(b"BEGIN:VCARD") - octets.count(b"\\nBEGIN:VCARD") == 1
    with pytest.raises(BadObject):
        composed(CardForm("Ada", uid="\x01"))
