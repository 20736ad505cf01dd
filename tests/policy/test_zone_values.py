"""One form for values of records."""

import pytest

from mailstead.policy.dns_records import quoted
from mailstead.policy.zone_values import normal, unquoted


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("A", " 192.0.2.1", "192.0.2.1"),
        ("AAAA", "2001:DB8:0:0::1", "2001:db8::1"),
        ("CNAME", "Mail.Example.test", "mail.example.test."),
        ("MX", "10  mail.example.test", "10 mail.example.test."),
        ("MX", "0 .", "0 ."),
        ("SRV", "0 1 993 Mail.example.test.", "0 1 993 mail.example.test."),
        ("TLSA", "3 1 1 ABCD ef", "3 1 1 abcdef"),
        ("CAA", "0 ISSUE letsencrypt.org", '0 issue "letsencrypt.org"'),
        ("CAA", '0 issue "letsencrypt.org"', '0 issue "letsencrypt.org"'),
        ("TXT", "v=spf1 MX  -all", "v=spf1 MX  -all"),
        ("MX", "ten mail", "ten mail"),
        ("CNAME", "", ""),
    ],
)
def test_the_same_record_has_one_form(kind, value, expected):
    assert normal(kind, value) == expected
    assert normal(kind, expected) == expected


@pytest.mark.parametrize("text", ["", "plain", 'a "quoted" word', "back\\slash", "x" * 600])
def test_what_is_quoted_is_read_back(text):
    assert unquoted(quoted(text)) == text


def test_strings_are_joined_without_spaces_and_escapes_are_read():
    assert unquoted('"v=DKIM1; p=ab"  "cd" "\\059"') == "v=DKIM1; p=abcd;"


@pytest.mark.parametrize("text", ["v=spf1 -all", 'one "two"', '"open', '"a" b'])
def test_what_is_not_quoted_stays(text):
    assert unquoted(text) == text
