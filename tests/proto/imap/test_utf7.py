"""Modified UTF-7 both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.proto.imap import utf7


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("INBOX", b"INBOX"),
        ("Tom & Jerry", b"Tom &- Jerry"),
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("Entwürfe", b"Entw&APw-rfe"),
        ("☺!", b"&Jjo-!"),
        ("😀", b"&2D3eAA-"),
        ("&ü&", b"&-&APw-&-"),
    ],
)
def test_both_ways(name, octets):
    assert utf7.encode(name) == octets
    assert utf7.decode(octets) == name


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_law_what_is_written_is_read_back(name):
    assert utf7.decode(utf7.encode(name)) == name


@given(st.binary(max_size=60))
def test_law_any_octets_give_a_name_with_that_spelling_or_bad_name(octets):
    try:
        name = utf7.decode(octets)
    except utf7.BadName:
        return
    assert utf7.encode(name) == octets
