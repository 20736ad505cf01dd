"""Filters on contacts."""

import pytest

from mailstead.pim.card_filter import matches, query_of
from mailstead.pim.filters import CardFilter, ParamFilter, PropFilter, TextMatch
from mailstead.pim.vcard import card

ADA = card(
    b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:a\r\nFN:Ada Lovelace\r\nN:Lovelace;Ada;;;\r\nNICKNAME:Countess\\, Lady,A\r\n"
    b'item1.TEL;TYPE=HOME,pref:+49 30 1\r\nTEL;TYPE="work,cell":+49 170 2\r\nEMAIL;TYPE=WORK:ada@example.org\r\n'
    b"NOTE:Stra\xc3\x9fe \xc3\x84\r\nEND:VCARD\r\n"
)


def one(name, *texts, **more):
    return CardFilter((PropFilter(name, text_matches=texts, **more),))


@pytest.mark.parametrize(
    ("match_type", "text", "wanted"),
    [
        ("equals", "ada lovelace", True),
        ("equals", "ada", False),
        ("contains", "A LOVE", True),
        ("contains", "x", False),
        ("starts-with", "ADA", True),
        ("starts-with", "love", False),
        ("ends-with", "lace", True),
        ("ends-with", "ada", False),
    ],
)
def test_match_types(match_type, text, wanted):
    assert matches(ADA, one("FN", TextMatch(text, match_type=match_type))) is wanted
    assert matches(ADA, one("FN", TextMatch(text, match_type=match_type, negates=True))) is not wanted


@pytest.mark.parametrize(
    ("collation", "text", "wanted"),
    [
        ("i;octet", "Straße", True),
        ("i;octet", "straße", False),
        ("i;ascii-casemap", "sTRAße", True),
        ("i;ascii-casemap", "ä", False),
        ("i;unicode-casemap", "ä", True),
        ("i;unicode-casemap", "STRASSE", True),
    ],
)
def test_collations(collation, text, wanted):
    assert matches(ADA, one("NOTE", TextMatch(text, collation))) is wanted


def test_whether_a_property_is_there():
    assert matches(ADA, one("TEL"))
    assert not matches(ADA, one("PHOTO"))
    assert matches(ADA, one("PHOTO", is_not_defined=True))
    assert not matches(ADA, one("TEL", is_not_defined=True))


def test_groups():
    assert matches(ADA, one("ITEM1.TEL", TextMatch("+49 30")))
    assert not matches(ADA, one("ITEM1.TEL", TextMatch("+49 170")))
    assert not matches(ADA, one("ITEM2.TEL"))
    assert matches(ADA, one("TEL", TextMatch("+49 30")))


def test_values_are_compared_unescaped():
    assert matches(ADA, one("NICKNAME", TextMatch("countess, lady")))
    assert matches(ADA, one("N", TextMatch("lovelace;ada", match_type="starts-with")))


def test_any_and_all():
    right, wrong = TextMatch("ada"), TextMatch("bob")
    assert matches(ADA, one("FN", right, wrong, is_any=True))
    assert not matches(ADA, one("FN", right, wrong, is_any=False))
    both = (PropFilter("FN", text_matches=(right,)), PropFilter("EMAIL", text_matches=(wrong,)))
    assert matches(ADA, CardFilter(both, is_any=True))
    assert not matches(ADA, CardFilter(both, is_any=False))
    assert matches(ADA, CardFilter())


def test_parameters():
    def tel(*params, is_any=False, texts=()):
        return CardFilter((PropFilter("TEL", params=params, text_matches=texts, is_any=is_any),))

    def equals(text):
        return TextMatch(text, match_type="equals")

    assert matches(ADA, tel(ParamFilter("TYPE", text_match=equals("home"))))
    assert matches(ADA, tel(ParamFilter("TYPE", text_match=equals("cell"))))
    assert not matches(ADA, tel(ParamFilter("TYPE", text_match=equals("fax"))))
    assert matches(ADA, tel(ParamFilter("X-A", is_not_defined=True)))
    assert not matches(ADA, tel(ParamFilter("TYPE", is_not_defined=True)))
    # Both conditions are of one and the same TEL.
    home = ParamFilter("TYPE", text_match=equals("home"))
    assert not matches(ADA, tel(home, texts=(TextMatch("170"),)))
    assert matches(ADA, tel(home, texts=(TextMatch("170"),), is_any=True))


def test_the_index_is_asked_for_a_uid():
    assert query_of(one("UID", TextMatch("a", match_type="equals"))).uid == "a"
    assert query_of(one("UID", TextMatch("a"))).uid is None
    assert query_of(one("UID", TextMatch("a", match_type="equals", negates=True))).uid is None
    assert query_of(CardFilter()).uid is None
