"""Lines and counted octets, in bounded memory."""

import pytest

from mailstead.proto.imap.framing import Framing, Line, LineTooLong, LiteralHead


def lines(framing: Framing, limit: int = 100) -> list[Line]:
    found = []
    while (line := framing.line(limit, 1000)) is not None:
        found.append(line)
    return found


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"a NOOP\r\n", Line(b"a NOOP", None)),
        (b"a NOOP\n", Line(b"a NOOP", None, is_bare=True)),
        (b"\n", Line(b"", None, is_bare=True)),
        (b"\r\n", Line(b"", None)),
        (b"a {3}\r\n", Line(b"a {3}", LiteralHead(3, True))),
        (b"a {3+}\r\n", Line(b"a {3+}", LiteralHead(3, False))),
        (b"a ~{30+}\r\n", Line(b"a ~{30+}", LiteralHead(30, False))),
        (b"a {-3}\r\n", Line(b"a {-3}", None)),
        (b"a {3-}\r\n", Line(b"a {3-}", None)),
        (b"a {3}\n", Line(b"a {3}", None, is_bare=True)),
        (b"a {" + b"9" * 21 + b"}\r\n", Line(b"a {" + b"9" * 21 + b"}", None)),
    ],
)
def test_one_line(data, line):
    framing = Framing()
    framing.feed(data + b"rest")
    assert lines(framing) == [line]
    assert len(framing) == 4


def test_bytewise_equals_whole():
    data = b"one\r\ntwo {5}\r\n\nthree\r\n" + b"x" * 200 + b" {7+}\r\nfour\r\n"
    whole = Framing()
    whole.feed(data)
    expected = lines(whole)
    framing, found = Framing(), []
    for octet in data:
        framing.feed(bytes([octet]))
        found += lines(framing)
    assert [line._replace(text=line.text[:90]) for line in found] == [
        line._replace(text=line.text[:90]) for line in expected
    ]
    assert expected[4].is_too_long
    assert expected[4].literal == LiteralHead(7, False)


def test_a_line_without_end():
    framing = Framing()
    with pytest.raises(LineTooLong):
        for _ in range(100):
            framing.feed(b"y" * 50)
            assert framing.line(100, 1000) is None
            assert len(framing) <= 150


def test_counted_octets():
    framing = Framing()
    framing.feed(b"abcdef")
    assert framing.octets(7) is None
    assert framing.octets(2) == b"ab"
    assert framing.some(1) == b"c"
    assert framing.skip(1) == 1
    assert framing.some(10) == b"ef"
    assert framing.skip(1) == 0
    assert framing.some(10) == b""


def test_slow_senders_cost_no_second_look():
    framing = Framing()
    for _ in range(50):
        framing.feed(b"x")
        framing.line(100, 1000)
        assert framing._scanned == len(framing)
