"""Lists of senders."""

import pytest

from mailstead.model.address import Address
from mailstead.model.errors import BadSettings
from mailstead.policy.senders import SenderFacts, SenderList


def facts(client="203.0.113.9", mail_from="a@news.example.org", author=None, names=()):
    return SenderFacts(
        client, Address.parse(mail_from) if mail_from else None, Address.parse(author) if author else None, tuple(names)
    )


@pytest.mark.parametrize(
    ("entry", "sender", "is_listed"),
    [
        ("a@news.example.org", facts(), True),
        ("A@NEWS.example.org", facts(), True),
        ("b@news.example.org", facts(), False),
        ("example.org", facts(), True),
        ("@example.org", facts(), True),
        ("*.example.org", facts(), True),
        ("ample.org", facts(), False),
        ("*.org", facts(), True),
        ("example.net", facts(author="x@example.net"), True),
        ("x@example.net", facts(author="x@example.net"), True),
        ("mail.example.com", facts(names=("mail.example.com",)), True),
        ("example.com", facts(names=("mail.example.com",)), True),
        ("203.0.113.9", facts(), True),
        ("203.0.113.0/24", facts(), True),
        ("203.0.114.0/24", facts(), False),
        ("203.0.113.0/24", facts("::ffff:203.0.113.9"), True),
        ("2001:db8::/32", facts("2001:db8:1::5"), True),
        ("2001:db8::/32", facts("nonsense"), False),
        ("bücher.example", facts(mail_from="a@xn--bcher-kva.example"), True),
        ("example.org", facts(mail_from=None), False),
    ],
)
def test_an_entry_covers_what_it_says(entry, sender, is_listed):
    assert SenderList([entry]).match(sender) == (entry if is_listed else None)


@pytest.mark.parametrize("entry", ["", "a b@example.org", "exa mple.org", "1.2.3.4/99", "@"])
def test_what_is_no_entry_is_said(entry):
    with pytest.raises(BadSettings, match="no entry of a list of senders"):
        SenderList([entry])


def test_an_empty_list_is_false():
    assert not SenderList([])
    assert SenderList(["example.org"])
