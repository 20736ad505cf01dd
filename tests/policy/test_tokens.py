"""How tokens are written."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.policy.domain_terms import SERVERS_OWN, TERMS, servers_own
from mailstead.policy.tokens import is_token, token_of

LAST = token_of(b"\xff" * 32)


@given(st.binary(min_size=32, max_size=32))
def test_a_token_has_one_form_that_scanners_know(octets):
    token = token_of(octets)
    assert re.fullmatch(r"mailstead_[0-9A-Za-z]{49}", token)
    assert is_token(token)


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=2, max_size=2, unique=True))
def test_no_two_are_written_alike(octets):
    assert token_of(octets[0]) != token_of(octets[1])


@given(st.integers(10, len(LAST) - 1), st.sampled_from("0aZ_-é"))
def test_a_slip_is_noticed(at, letter):
    slipped = LAST[:at] + letter + LAST[at + 1 :]
    assert slipped == LAST or not is_token(slipped)


@pytest.mark.parametrize("text", ["", "mailstead_", LAST[1:], LAST + "0", LAST[:-1], LAST.upper(), "x" * 59])
def test_look_alikes(text):
    assert not is_token(text)


def test_terms_that_only_the_servers_administrators_change_are_terms():
    assert set(TERMS) >= SERVERS_OWN
    assert servers_own(["allowlist", "www_folder", "smarthost"]) == ["www_folder", "smarthost"]
