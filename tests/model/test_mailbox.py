"""Mailbox names."""

import pytest

from mailstead.model.errors import BadMailboxName
from mailstead.model.mailbox import normal_name


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("inbox", "INBOX"),
        ("InBox/Sub", "INBOX/Sub"),
        ("Sub/inbox", "Sub/inbox"),
        ("\u0131nbox", "\u0131nbox"),  # dotless i: upper() of Python would make it INBOX
        ("inbo\u2179", "inbo\u2179"),
        ("e\u0301te", "\u00e9te"),
    ],
)
def test_names_have_one_form(given, kept):
    assert normal_name(given) == kept


@pytest.mark.parametrize("name", ["", "a//b", "/a", "a/", "a\nb", "a*", "a%", "x" * 1001, "/".join("a" * 51)])
def test_bad_names_are_refused(name):
    with pytest.raises(BadMailboxName):
        normal_name(name)
