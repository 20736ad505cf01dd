"""The author: one From, one address, one reading."""

import pytest

from mailstead.mailauth.dmarc import author
from mailstead.mime.address import addresses_of
from mailstead.model.address import Address
from mailstead.model.errors import BadMessage

ALICE = Address("alice", "example.com")


def of(value):
    return author(b"Received: by x\r\nFrom: " + value + b"\r\nTo: bob@example.org\r\n\r\n")


@pytest.mark.parametrize(
    "value",
    [
        b"alice@example.com",
        b"<alice@example.com>",
        b"Alice <alice@example.com>",
        b'"Alice, of Example" <alice@example.com>',
        b'Alice "the \\"great\\"" Smith <alice@example.com>',
        b"alice@example.com (Alice)",
        b"(a comment (nested \\) ) here) alice@example.com",
        b"Alice (a comment) <alice@example.com> (another)",
        b"Alice\r\n <alice@example.com>",
        b"\talice@EXAMPLE.com  ",
        b"=?utf-8?q?Al=C3=ADce?= <alice@example.com>",
        b"=?iso-2022-jp?b?GyRCJCIbKEI=?= <alice@example.com>",
        "Al\u00edce <alice@example.com>".encode(),
        b"Al\xedce <alice@example.com>",
        b"alice@example.com <alice@example.com>",
        b"alice@Example.COM <alice@example.com>",
        b"'alice@example.com' via List <alice@example.com>",
        b"Alice @ Work <alice@example.com>",
        b"Team @acme <alice@example.com>",
        b'"bank@bank.example" <alice@example.com>',
        b"< alice@example.com >",
    ],
)
def test_one_address_is_read(value):
    assert of(value) == ALICE


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'"alice smith"@example.com', Address("alice smith", "example.com")),
        (b'<"a<b>,\\"c"@example.com>', Address('a<b>,"c', "example.com")),
        (b"a..b.@docomo.example", Address("a..b.", "docomo.example")),
        (b"<" + b"r" * 90 + b"@example.com>", Address("r" * 90, "example.com")),
        ("jürgen@bücher.example".encode(), Address("jürgen", "xn--bcher-kva.example")),
        (b"root@localhost", Address("root", "localhost")),
        (b"a@[192.0.2.1]", Address("a", "[192.0.2.1]")),
    ],
)
def test_unusual_addresses_are_read(value, expected):
    assert of(value) == expected


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"To: a@b.example\r\n\r\n",
        b"From: alice@example.com\r\nFrom: bank@bank.example\r\n\r\n",
        b"From: alice@example.com\r\nfrom : bank@bank.example\r\n\r\n",
        b"From: alice@example.com\r\nFROM\t:bank@bank.example\r\n\r\n",
        b"From: alice@example.com\r\nFrom: alice@example.com\r\n\r\n",
        b"From: alice@example.com\r\nX: y\rFrom: bank@bank.example\r\n\r\n",
        b"X-From: alice@example.com\r\nResent-From: alice@example.com\r\n\r\n",
        b"From: alice@example.com\r\n" + b"X: y\r\n" * 2000 + b"From: bank@bank.example\r\n\r\n",
    ],
)
def test_attack_031_not_exactly_one_from_is_refused(header):
    with pytest.raises(BadMessage):
        author(header)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"<>",
        b"Alice",
        b"alice@example.com, bank@bank.example",
        b"Alice <alice@example.com>, Bank <bank@bank.example>",
        b"alice@example.com,",
        b"Smith, Alice <alice@example.com>",
        b"<alice@example.com> <bank@bank.example>",
        b"Alice <alice@example.com> bank@bank.example",
        b"bank@bank.example Alice <alice@example.com>",
        b"<alice@example.com><bank@bank.example>",
        b"<<bank@bank.example> alice@example.com>",
        b"<alice@example.com",
        b"alice@example.com>",
        b"alice@example.com bank@bank.example",
        b"alice@example.com@bank.example",
        b"<alice@example.com@bank.example>",
        b"Group: alice@example.com;",
        b"Group: alice@example.com, bank@bank.example;",
        b"undisclosed:;",
        b"<@relay.example:alice@example.com>",
        b"<@relay.example,@other.example:alice@example.com>",
    ],
)
def test_attack_031_not_exactly_one_address_is_refused(value):
    with pytest.raises(BadMessage):
        of(value)


@pytest.mark.parametrize(
    "value",
    [
        # NUL and other controls, plain and encoded
        b"alice@example.com\x00@bank.example",
        b"\x00bank@bank.example <alice@example.com>",
        b"alice\x01@example.com",
        b"alice@example.com\r <bank@bank.example>",
        b"=?utf-8?q?bank=40bank.example=00?= <alice@example.com>",
        b"=?utf-8?b?YmFua0BiYW5rLmV4YW1wbGUA?= <alice@example.com>",
        b"=?utf-8?q?a=0D=0AFrom:_bank?= <alice@example.com>",
        # encoded words where an address is
        b"=?utf-8?b?YmFua0BiYW5rLmV4YW1wbGU=?=@example.com",
        b"<=?utf-8?q?bank=40bank.example=3E=00?=@example.com>",
        b"alice@=?utf-8?q?bank.example?=",
        # encoded words and comments that look like another angle address
        b"=?utf-8?q?Bank_=3Cbank=40bank.example=3E?= <alice@example.com>",
        b'"Bank <bank@bank.example>" <alice@example.com>',
        b"alice@example.com (Bank <bank@bank.example>)",
        # comments that tear or hide
        b"bank@bank.example(x)alice@example.com",
        b"alice@example(bank.example).com",
        b"<alice@example.com(bank.example)>",
        b"<alice(x)@example.com>",
        b"bank@bank.example (<alice@example.com>",
        b"alice@example.com (unbalanced",
        b"alice@example.com )",
        # quotes
        b'"bank@bank.example <alice@example.com>',
        b'"bank"@bank.example" <alice@example.com>',
        b"<alice@exa mple.com>",
        b"<ali ce@example.com>",
        # no domain, no UTF-8, invisible letters
        b"<alice>",
        b"<alice@>",
        b"<@example.com>",
        b"alice@example..com",
        b"alice@-example.com",
        b"alice@example.com\xff",
        "alice@example.com\u200b".encode(),
        "alice\u202e@example.com".encode(),
        "alice\u00a0@example.com".encode(),
        b"A" * 5000 + b" <alice@example.com>",
    ],
)
def test_attack_031_what_can_be_read_in_two_ways_is_refused(value):
    with pytest.raises(BadMessage):
        of(value)


def test_attack_031_what_is_aligned_is_what_the_envelope_of_imap_shows():
    for value in (
        b"Alice (x) <alice@example.com> (y)",
        b'"bank@bank.example" <alice@example.com>',
        b"alice@example.com (b)",
    ):
        (shown,) = addresses_of(value)
        assert (shown.local_part, shown.domain) == (b"alice", b"example.com")
        assert of(value) == ALICE


def test_the_reason_can_be_said_to_the_sender():
    with pytest.raises(BadMessage, match="exactly one From field"):
        author(b"\r\n")
