"""Canonical forms, against the words of RFC 6376 and a slow reading of them."""

import re
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.mailauth import canonical
from mailstead.mailauth.canonical import CanonicalMessage, Form, relaxed_body

HEADER = b"A: x\r\n\r\n"


def slow_body(body: bytes, form: Form) -> bytes:
    """RFC 6376 §3.4.3 and §3.4.4, line by line."""
    lines = body.split(b"\r\n")
    if lines[-1] == b"" and body:
        lines.pop()
    if form is Form.RELAXED:
        lines = [re.sub(rb"[ \t]+", b" ", line) for line in lines]
        lines = [line.removesuffix(b" ") for line in lines]
    while lines and lines[-1] == b"":
        lines.pop()
    if not lines:
        return b"\r\n" if form is Form.SIMPLE else b""
    return b"\r\n".join(lines) + b"\r\n"


# RFC 6376 §3.4.5 and A: its own example, then what is easily done wrong.
@pytest.mark.parametrize(
    ("body", "simple", "relaxed"),
    [
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C \r\nD \t E\r\n", b" C\r\nD E\r\n"),
        (b"", b"\r\n", b""),
        (b"\r\n", b"\r\n", b""),
        (b"\r\n\r\n\r\n", b"\r\n", b""),
        (b" \r\n\t\r\n", b" \r\n\t\r\n", b""),
        (b"no end", b"no end\r\n", b"no end\r\n"),
        (b"no end  ", b"no end  \r\n", b"no end\r\n"),
        (b"x\r\n \r\n\t ", b"x\r\n \r\n\t \r\n", b"x\r\n"),
        (b"x\r\r\n", b"x\r\r\n", b"x\r\r\n"),
        (b"x\n\r\n\r\n", b"x\n\r\n", b"x\n\r\n"),
        (b"\n\r\n", b"\n\r\n", b"\n\r\n"),
        (b"\r\r\n", b"\r\r\n", b"\r\r\n"),
        (b"a \r b\r\n", b"a \r b\r\n", b"a \r b\r\n"),
        (b"        x" + b" " * 33 + b"y\r\n", b"        x" + b" " * 33 + b"y\r\n", b" x y\r\n"),
    ],
)
def test_bodies(body, simple, relaxed):
    message = CanonicalMessage(HEADER + body)
    assert message.body_hash(Form.SIMPLE) == (sha256(simple).digest(), len(simple))
    assert b"".join(relaxed_body(HEADER + body, len(HEADER))) == relaxed
    assert message.body_hash(Form.RELAXED) == (sha256(relaxed).digest(), len(relaxed))


TEXTS = st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"\r\n", b"x", b"yz", b"  ", b"\r", b"\n", b"\0"]), max_size=40)


@given(TEXTS.map(b"".join), st.integers(1, 9), st.integers(1, 9))
def test_bodies_are_as_a_slow_reading_says(body, piece_octets, look_octets):
    """Whatever the size of the pieces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "PIECE_OCTETS", piece_octets)
        patch.setattr(canonical, "_LOOK_OCTETS", look_octets)
        for octets in (HEADER + body, bytearray(HEADER + body), memoryview(b"__" + HEADER + body)[2:]):
            message = CanonicalMessage(octets)
            for form in Form:
                expected = slow_body(body, form)
                assert message.body_hash(form) == (sha256(expected).digest(), len(expected))
                assert message.has_body_hash(sha256(expected).digest(), form)
                assert not message.has_body_hash(sha256(expected + b"x").digest(), form)


def test_an_empty_body_is_nothing_in_relaxed_form():
    message = CanonicalMessage(HEADER + b"\r\n")
    assert message.has_body_hash(sha256(b"\r\n").digest(), Form.SIMPLE)
    assert not message.has_body_hash(sha256(b"\r\n").digest(), Form.RELAXED)


def test_fields_in_both_forms():
    # RFC 6376 §3.4.5
    message = CanonicalMessage(b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\n")
    assert message.selected((b"a", b"b"), Form.RELAXED) == b"a:X\r\nb:Y Z\r\n"
    assert message.selected((b"a", b"b"), Form.SIMPLE) == b"A: X\r\nB : Y\t\r\n\tZ  \r\n"


def test_only_space_and_tab_are_white_space():
    message = CanonicalMessage(b"A: x \x0b\t y\x0c\r\nB:\r\n  z\r\n\r\n")
    assert message.selected((b"a",), Form.RELAXED) == b"a:x \x0b y\x0c\r\n"
    assert message.selected((b"b",), Form.RELAXED) == b"b:z\r\n"


def test_fields_are_chosen_from_the_bottom():
    message = CanonicalMessage(b"A: 1\r\nB: 2\r\nA: 3\r\n\r\n")
    assert message.selected((b"a", b"b", b"a", b"a", b"c", b"b"), Form.RELAXED) == b"a:3\r\nb:2\r\na:1\r\n"


def test_a_large_body_passes_in_pieces():
    line = b"words and  words\r\n"
    body = line * (3 * canonical.PIECE_OCTETS // len(line)) + b"\r\n" * 5000
    pieces = list(relaxed_body(HEADER + body, len(HEADER)))
    assert len(pieces) > 3
    assert max(map(len, pieces)) <= canonical.PIECE_OCTETS + len(line)
    assert b"".join(pieces) == slow_body(body, Form.RELAXED)


@pytest.mark.parametrize("body", [b" " * 3_000_000, b"\r\n" * 1_500_000, b"a \t" * 1_000_000, b" \r\n" * 1_000_000])
def test_attack_029_hostile_bodies_cost_little(body):
    """They end at once; a quadratic reading would run into the limit of the test run."""
    message = CanonicalMessage(HEADER + body)
    assert message.body_hash(Form.RELAXED).size < len(body)
    assert message.body_hash(Form.SIMPLE).size <= len(body) + 2
