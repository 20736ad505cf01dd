"""Replies and dot-stuffing."""

from hypothesis import given
from hypothesis import strategies as st

from mailstead.proto.pop3 import write
from mailstead.proto.pop3.types import Code


def stuffed(pieces):
    stuffer = write.DotStuffer()
    return b"".join(stuffer.stuff(piece) for piece in pieces) + stuffer.end()


def unstuffed(wire):
    """What a client makes of it."""
    assert wire.endswith(b"\r\n.\r\n") or wire == b".\r\n"
    lines = wire.split(b"\r\n")[:-2]
    assert b"." not in lines
    return b"".join((line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines)


def test_single_lines():
    assert write.ok() == b"+OK\r\n"
    assert write.err("no", Code.SYS_TEMP) == b"-ERR [SYS/TEMP] no\r\n"


def test_texts_never_become_lines_of_ours():
    assert write.err("a\r\n+OK b\0\x1b") == b"-ERR a +OK b\r\n"


def test_replies_have_at_most_512_octets_and_stay_utf8():
    reply = write.err("ü" * 600)
    assert len(reply) <= 512
    assert reply.decode("utf-8").endswith("ü\r\n")


def test_dots_across_pieces():
    assert stuffed([b".a\r", b"\n", b".b\r\n.", b"\r\n"]) == b"..a\r\n..b\r\n..\r\n.\r\n"


def test_end_without_line_end_and_empty_message():
    assert stuffed([b"a"]) == b"a\r\n.\r\n"
    assert stuffed([]) == b".\r\n"


def test_bare_lf_becomes_crlf_so_that_no_line_ends_early():
    assert stuffed([b"a\n.\nb\r", b"\nc\n"]) == b"a\r\n..\r\nb\r\nc\r\n.\r\n"


@given(st.lists(st.text("a.\r\n", max_size=12).map(str.encode), max_size=8))
def test_a_client_reads_back_what_was_sent(pieces):
    whole = b"".join(pieces)
    normal = write._BARE_LF.sub(b"\r\n", whole)
    if normal and not normal.endswith(b"\r\n"):
        normal += b"\r\n"
    assert stuffed(pieces) == stuffed([whole])
    assert unstuffed(stuffed(pieces)) == normal
