import pytest

from mailstead.mime import header


def test_header_ends_at_the_first_empty_line():
    assert header.header_end(b"A: b\r\n\r\nbody\r\n\r\n") == 8
    assert header.header_end(b"A: b\n\nbody") == 6
    assert header.header_end(b"A: b\r\n \r\nC: d\r\n\r\n") == 17
    assert header.header_end(b"\r\nbody") == 2
    assert header.header_end(b"\nbody") == 1
    assert header.header_end(b"A: b") == 4
    assert header.header_end(b"xxA: b\r\n\r\nbody", 2) == 10


def test_fields_by_offsets():
    octets = b"From: a\r\nno field\r\nSUBJECT :  b\r\n c\r\nX:\r\n\r\n"
    found = list(header.fields(octets))
    assert [field.name for field in found] == [b"from", b"subject", b"x"]
    assert [octets[field.value_start : field.stop] for field in found] == [b" a", b"  b\r\n c", b""]
    assert octets[found[1].start : found[1].stop] == b"SUBJECT :  b\r\n c"


def test_first_of_equal_fields_counts():
    assert header.first_values(b"A: 1\r\na: 2\r\n")[b"a"].strip() == b"1"


def test_unfolding():
    assert header.unfolded(b" a\r\n b\r\n\tc ") == b"a b\tc"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # RFC 2047 §8
        (b"(=?ISO-8859-1?Q?a?=)", "(a)"),
        (b"(=?ISO-8859-1?Q?a?= b)", "(a b)"),
        (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
        (b"(=?ISO-8859-1?Q?a?=  \r\n  =?ISO-8859-1?Q?b?=)", "(ab)"),
        (b"(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
        (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
        # RFC 2231 §5
        (b"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
        # a character cut in two
        (b"=?utf-8?B?w7w=?= =?utf-8?Q?=C3?= =?utf-8?B?vA==?=", "üü"),
        (b"=?utf-8?b?w7w?=", "ü"),
        (b"=?utf-8?q?spaces are wrong?=", "spaces are wrong"),
        (b"=?big5?Q?=A4=A4?=", "中"),
        (b"=?gb2312?B?1tA=?=", "中"),
        (b"=?unknown-8bit?Q?=FC?=", "ü"),
        (b"gr\xfc\xdfe", "grüße"),
        ("grüße".encode(), "grüße"),
        (b"a =?x", "a =?x"),
        (b"=?utf-8?Q??= x", "x"),
        (b"1=?utf-8?Q?2?=3", "123"),
        (b"=?utf-8?B?A?=", "A"),
    ],
)
def test_text(value, text):
    assert header.text_of(value).strip() == text


def test_limits_are_told():
    assert not header.has_too_much(b"A: b\r\n" * 1000)
    assert header.has_too_much(b"A: b\r\n" * 1001)
    assert header.has_too_much(b"A: " + b"b" * (1 << 20))
    assert len(list(header.fields(b"A: b\r\n" * 5000))) == 1000
    assert len(header.raw_fields(b"A: b\r\n" * 5000)) == 1000
