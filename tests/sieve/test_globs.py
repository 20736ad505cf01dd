"""Patterns of ``:matches``, against regular expressions as the oracle."""

import re

from hypothesis import given
from hypothesis import strategies as st

from mailstead.sieve.globs import Glob

patterns = st.lists(st.sampled_from(["a", "b", "*", "?", "\\*", "\\?", "\\\\", "\\a", "."]), max_size=10).map("".join)
subjects = st.text("ab*?\\.", max_size=14)


def as_regex(pattern):
    pieces = re.findall(r"\\(.)|(.)", pattern, re.DOTALL)
    return "".join(
        re.escape(quoted) if quoted else {"*": "(.*?)", "?": "(.)"}.get(plain, re.escape(plain))
        for quoted, plain in pieces
    )


@given(patterns, subjects)
def test_a_pattern_matches_as_a_regular_expression_does(pattern, text):
    glob = Glob(pattern)
    starts = glob.match(text)
    found = re.fullmatch(as_regex(pattern), text, re.DOTALL)
    assert (starts is not None) == (found is not None)
    if starts is not None:
        assert glob.matched(text, starts) == [found[0], *found.groups()]


def test_a_backslash_at_the_end_is_itself():
    assert Glob("a\\").match("a\\") == [0]


def test_many_stars_go_from_left_to_right_only():
    assert Glob("*a" * 500 + "b").match("a" * 20000) is None
