"""Labels in any script are keywords that IMAP can say, and come back as they were."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.policy.label_names import keyword_of, label_of

ATOM = re.compile(r"[A-Za-z0-9_.$-]+")


@pytest.mark.parametrize(
    ("label", "keyword"),
    [
        ("Family", "Family"),
        ("two words", "two_words"),
        ("семья", "семья".encode("idna").decode()),  # as another library writes it
        ("가족", "가족".encode("idna").decode()),
        ("$Important", "$Important"),
    ],
)
def test_a_label_has_one_keyword(label, keyword):
    assert keyword_of(label) == keyword
    assert label_of(keyword) == "_".join(label.split())
    assert keyword_of(keyword) == keyword  # a keyword is its own label


def test_another_case_of_the_keyword_is_the_same_label():
    assert label_of(keyword_of("семья").upper()) == "семья"


@pytest.mark.parametrize(
    "keyword", ["xn--", "xn--a", "xn--\x7f", "xn--99999999999", "xn--ls8h=", "xn--Family-", "Семья"]
)
def test_what_is_none_of_ours_is_shown_as_it_is(keyword):
    assert label_of(keyword) == keyword


@given(st.text(st.characters(categories=("L", "N")), min_size=1, max_size=20))
def test_every_word_comes_back(label):
    keyword = keyword_of(label)
    assert ATOM.fullmatch(keyword)
    assert keyword_of(label_of(keyword)) == keyword
    assert len({keyword_of(each).lower() for each in (label, label + "я")}) == 2


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
def test_every_keyword_is_shown(keyword):
    for each in (keyword, "xn--" + keyword):
        assert label_of(each).isprintable()
        assert keyword_of(label_of(each)).lower() == each.lower()
