"""LIST patterns against names."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.proto.imap.list_pattern import BadPattern, ListPattern


@pytest.mark.parametrize(
    ("reference", "pattern", "yes", "no"),
    [
        ("", "*", ["INBOX", "a/b/c", "a"], []),
        ("", "%", ["INBOX", "a"], ["a/b"]),
        ("", "a/%", ["a/b", "a/"], ["a", "a/b/c"]),
        ("a/", "%", ["a/b"], ["b", "a/b/c"]),
        ("", "a%c/*", ["abc/x", "ac/", "abc/x/y"], ["a/c/x"]),
        ("", "inbox", ["INBOX"], ["inbox"]),
        ("", "inBox/%", ["INBOX/a"], ["inBox/a"]),
        ("", "inboxes", ["inboxes"], ["INBOXes"]),
        ("", "a.b[c]", ["a.b[c]"], ["axb[c]", "a.bc"]),
        ("", "*a*b", ["ab", "xxaxxbxb"], ["ba"]),
        ("", "", [""], ["a"]),
    ],
)
def test_table(reference, pattern, yes, no):
    compiled = ListPattern(reference, pattern)
    assert [name for name in yes if not compiled.matches(name)] == []
    assert [name for name in no if compiled.matches(name)] == []


@given(st.text("ab/%*", max_size=10), st.text("ab/", max_size=12))
def test_law_same_as_a_regular_expression(pattern, name):
    expression = "".join({"*": ".*", "%": "[^/]*"}.get(character, re.escape(character)) for character in pattern)
    assert ListPattern("", pattern).matches(name) == bool(re.fullmatch(expression, name))


def test_attack_046_many_wildcards_cost_in_proportion_to_the_name():
    with pytest.raises(BadPattern):
        ListPattern("", "*a" * 33)
    assert ListPattern("", "*%" * 500).text == "*", "runs count once"
    # the work per character is a fixed number of integer operations: count them instead of seconds
    pattern = ListPattern("", "*a%" * 16 + "b")
    steps = 0
    original = ListPattern._past_wildcards

    def counted(places, wildcards):
        nonlocal steps
        steps += 1
        return original(places, wildcards)

    ListPattern._past_wildcards = staticmethod(counted)
    try:
        for length in (1000, 2000):
            steps = 0
            assert not pattern.matches("a" * length)
            assert steps == length + 1
    finally:
        ListPattern._past_wildcards = staticmethod(original)


def test_attack_051_a_dotless_i_is_no_inbox():
    assert not ListPattern("", "ınbox").matches("INBOX")
