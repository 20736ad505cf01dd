"""APPEND and REPLACE heads."""

from datetime import datetime, timedelta, timezone

import pytest

from mailstead.proto.imap.parse import Cursor, Incomplete, Refusal
from mailstead.proto.imap.parse.append import append_head, append_next
from mailstead.proto.imap.types.commands import Append, AppendMessage, Replace

MOMENT = datetime(1994, 2, 7, 21, 52, 25, tzinfo=timezone(-timedelta(hours=8)))


def head(text: bytes):
    verb, _, rest = text.partition(b" ")
    if verb == b"UID":
        verb, rest = b"UID REPLACE", rest.removeprefix(b"REPLACE ")
    return append_head(Cursor(rest + b"\r\n"), verb)


@pytest.mark.parametrize(
    ("text", "command", "message"),
    [
        (b"APPEND saved-messages (\\Seen) {310}", Append("saved-messages"), AppendMessage(310, ("\\Seen",))),
        (b"APPEND INBOX {5+}", Append("INBOX"), AppendMessage(5, is_synchronising=False)),
        (b'APPEND INBOX "07-Feb-1994 21:52:25 -0800" {5}', Append("INBOX"), AppendMessage(5, (), MOMENT)),
        (
            b'APPEND "a b" () "07-Feb-1994 21:52:25 -0800" ~{5}',
            Append("a b"),
            AppendMessage(5, (), MOMENT, is_binary=True),
        ),
        (b"APPEND {3}\r\na b {5}", Append("a b"), AppendMessage(5)),
        (b"APPEND INBOX UTF8 (~{9}", Append("INBOX"), AppendMessage(9, is_binary=True, is_utf8=True)),
        (b"REPLACE 4 Drafts (\\Seen) {10}", Replace(4, "Drafts"), AppendMessage(10, ("\\Seen",))),
        (b"REPLACE * Drafts {10}", Replace(0, "Drafts"), AppendMessage(10)),
        (b"UID REPLACE 2000 Drafts {312}", Replace(2000, "Drafts", by_uid=True), AppendMessage(312)),
    ],
)
def test_head(text, command, message):
    assert head(text) == (command, message)


def test_a_literal_of_the_name_is_not_the_message():
    with pytest.raises(Incomplete):
        head(b"APPEND {5}")


@pytest.mark.parametrize(
    "text",
    [
        b"APPEND INBOX",
        b"APPEND INBOX x {3}",
        b"APPEND INBOX UTF8 ({9}",
        b"APPEND INBOX CATENATE (TEXT {3}",
        b"REPLACE 0 a {3}",
        b"APPEND INBOX (\\Seen {3}",
    ],
)
def test_bad_heads(text):
    with pytest.raises(Refusal):
        head(text)


def test_what_follows_a_message():
    plain, utf8 = AppendMessage(1), AppendMessage(1, is_utf8=True, is_binary=True)
    assert append_next(Cursor(b""), plain, is_multiple=True) is None
    assert append_next(Cursor(b")"), utf8, is_multiple=True) is None
    assert append_next(Cursor(b" (\\Seen) {7}\r\n"), plain, is_multiple=True) == AppendMessage(7, ("\\Seen",))
    assert append_next(Cursor(b") UTF8 (~{7}\r\n"), utf8, is_multiple=True) == AppendMessage(
        7, is_binary=True, is_utf8=True
    )
    for text, message, is_multiple in (
        (b")", plain, True),
        (b"", utf8, True),
        (b" {7}\r\n", plain, False),
        (b"x", plain, True),
    ):
        with pytest.raises(Refusal):
            append_next(Cursor(text), message, is_multiple=is_multiple)
