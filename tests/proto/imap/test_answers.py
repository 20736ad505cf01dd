"""What other people's servers answer: in pieces as a client has them, and by chance."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.proto.imap.answers import BadAnswer, counts, fetched, listed


def test_lines_of_list_in_all_spellings():
    found = listed(
        [
            rb'(\HasNoChildren) "/" INBOX',
            rb'(\HasNoChildren \Sent) "." "Sent.2025"',
            (rb'(\HasNoChildren) "/" {9}', rb'a"b\c d/e'),
            b"",
            rb'(\Noselect) NIL "[Gmail]"',
            rb'(\All \HasNoChildren) "/" "Entw&APw-rfe"',
            rb'() "/" "bad &name"',
        ]
    )
    assert [(each.wire_name, each.levels, each.special_use, each.is_selectable) for each in found] == [
        (b"INBOX", ("INBOX",), None, True),
        (b"Sent.2025", ("Sent", "2025"), "\\Sent", True),
        (rb'a"b\c d/e', ('a"b\\c d', "e"), None, True),
        (b"[Gmail]", ("[Gmail]",), None, False),
        (b"Entw&APw-rfe", ("Entwürfe",), "\\All", True),
        (b"bad &name", ("bad &name",), None, True),
    ]


def test_attack_005_names_with_control_characters_are_not_said_again():
    assert listed([(rb'() "/" {11}', b"a\r\nx LOGOUT"), b"", (rb'() "/" {2}', "é".encode()), b""]) == []


def test_counts_of_status():
    assert counts([b'"a b" (MESSAGES 3 size 12345678901)']) == {"MESSAGES": 3, "SIZE": 12345678901}
    assert counts([(b"{3}", b"a)b"), b" (MESSAGES 0)"]) == {"MESSAGES": 0}


def test_a_fetch_with_literals_in_any_order_and_answers_nobody_asked_for():
    first, unasked, third = fetched(
        [
            (
                (
                    rb'1 (UID 7 RFC822.SIZE 41 FLAGS (\Seen \recent $Junk NonJunk) INTERNALDATE " 3-Feb-2024 10:11:12 +0130"'
                    rb' X-GM-LABELS ("\\Inbox" work "Entw&APw-rfe" "a \"b\"") BODY[HEADER.FIELDS (MESSAGE-ID)] {21}'
                ),
                b"Message-ID: <(1)@x>\r\n",
            ),
            (b" BODY[] {5}", b"a)\r\n("),
            b")",
            rb"2 (FLAGS (\Deleted))",
            b"3 (BODY[] NIL UID 9)",
        ]
    )
    assert (first.seqnum, first.uid, first.size_octets, first.octets) == (1, 7, 41, b"a)\r\n(")
    assert first.flags == {"\\Seen", "$Junk", "NonJunk"}
    assert first.internaldate.astimezone(UTC) == datetime(2024, 2, 3, 8, 41, 12, tzinfo=UTC)
    assert first.labels == ("\\Inbox", "work", "Entwürfe", 'a "b"')
    assert first.header == b"Message-ID: <(1)@x>\r\n"
    assert (unasked.uid, unasked.flags) == (None, {"\\Deleted"})
    assert (third.uid, third.octets) == (9, None)


@pytest.mark.parametrize("date", [b'"32-Jan-2024 10:00:00 +0000"', b'"1-Foo-2024 10:00:00 +0000"', b'"today"', b"NIL"])
def test_a_date_that_is_none_costs_only_the_date(date):
    [found] = fetched([b"1 (UID 7 INTERNALDATE " + date + b")"])
    assert (found.uid, found.internaldate) == (7, None)


@pytest.mark.parametrize("word", ["a]", "ключ".encode().decode("latin-1"), "x" * 65, "\\*"])
def test_flags_that_no_store_holds_are_left_out(word):
    [found] = fetched([b"1 (UID 7 FLAGS (\\Answered " + word.encode("latin-1") + b"))"])
    assert found.flags == {"\\Answered"}


@pytest.mark.parametrize(
    "pieces",
    [
        [b"1 (UID 7"],
        [b"1 (UID 7))"],
        [b"1 (UID)"],
        [b"1 (UID x)"],
        [b"1 (UID 0)"],
        [b"1 (UID 4294967296)"],
        [b"1 UID"],
        [b"(UID 7) 1"],
        [b'1 (X "open)'],
        [b"1 (X {3}"],
        [(b"1 (X", b"abc"), b")"],
        [b"1 " + b"(" * 20 + b")" * 20],
    ],
)
def test_what_is_not_in_the_grammar_is_refused(pieces):
    with pytest.raises(BadAnswer):
        fetched(pieces)


@given(st.lists(st.binary() | st.tuples(st.binary(), st.binary()), max_size=5))
def test_garbage_gives_answers_or_is_refused(pieces):
    for read in (fetched, listed, counts):
        try:
            read(pieces)
        except BadAnswer:
            continue


@given(st.lists(st.tuples(st.integers(1, 2**32 - 1), st.binary()), max_size=5))
def test_what_a_good_server_writes_is_read_back(messages):
    pieces = []
    for seqnum, (uid, octets) in enumerate(messages, 1):
        pieces += [(f"{seqnum} (UID {uid} BODY[] {{{len(octets)}}}".encode(), octets), b")"]
    assert [(each.seqnum, each.uid, each.octets) for each in fetched(pieces)] == [
        (number, uid, octets) for number, (uid, octets) in enumerate(messages, 1)
    ]
