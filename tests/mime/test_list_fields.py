"""What lists say in the header, read without believing it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.mime.list_fields import list_fields

HEADER = (
    b'List-Id: "The News" <News.Example.NET>\r\nList-Unsubscribe: <mailto:off@example.net?subject=off>,\r\n'
    b" <https://example.net/off?\r\n u=1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\n"
)


def test_a_list_says_who_it_is_and_how_one_leaves():
    found = list_fields(HEADER)
    assert (found.list_id, found.name) == ("news.example.net", "The News")
    assert found.unsubscribe == ("mailto:off@example.net?subject=off", "https://example.net/off?u=1")
    assert found.wants_one_click
    assert found.is_unambiguous


@pytest.mark.parametrize("name", [b"List-Unsubscribe", b"List-Unsubscribe-Post"])
def test_attack_028_a_second_field_makes_it_ambiguous(name):
    assert not list_fields(name + b": <https://evil.test/>\r\n" + HEADER).is_unambiguous


def test_attack_086_other_schemes_are_no_links():
    uris = (
        b"<javascript:alert(1)>, <data:text/html,x>, <http://a.test/>, <file:///x>, <//x.test>, <https://a.test/\x01>"
    )
    assert list_fields(b"List-Unsubscribe: " + uris + b"\r\n\r\n").unsubscribe == ("http://a.test/",)


@pytest.mark.parametrize(
    ("field", "is_automatic"),
    [
        (b"Auto-Submitted: auto-generated", True),
        (b"Auto-Submitted: no", False),
        (b"Precedence: BULK", True),
        (b"Precedence: first-class", False),
    ],
)
def test_programs_say_so(field, is_automatic):
    assert list_fields(field + b"\r\n\r\n").is_automatic is is_automatic


@given(st.binary(max_size=300))
def test_attack_098_nothing_in_it_is_an_error(octets):
    found = list_fields(b"List-Unsubscribe: " + octets + b"\r\nList-Id: " + octets + b"\r\n\r\n")
    assert all(uri.isascii() for uri in found.unsubscribe)
