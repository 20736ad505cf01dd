"""The message as scripts see and change it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.mime.header import text_of
from mailstead.mime.tree import part_tree
from mailstead.sieve.budget import Budget
from mailstead.sieve.errors import RunProblem
from mailstead.sieve.facts import Facts
from mailstead.sieve.message import Message, header_fields, made_field
from sieve.conformance import USUAL


def message(octets=USUAL, **facts):
    return Message(Facts(octets, datetime(2026, 1, 5, tzinfo=UTC), **facts), Budget())


@given(
    st.binary(max_size=200).map(
        lambda octets: b"A: b\r\n" + octets.replace(b"\0", b":").replace(b"\n\n", b"\n") + b"\r\n\r\n"
    )
)
def test_no_octet_of_a_header_is_lost(header):
    kept = b"".join(field.octets for field in header_fields(header))
    assert kept.rstrip(b"\r\n") == header.rstrip(b"\r\n")


def test_untouched_fields_keep_their_octets():
    seen = message()
    seen.add_field("X-New", "v", is_last=False)
    seen.remove_fields(seen.named("x-multi"))
    wanted = b"X-New: v\r\n" + USUAL[: USUAL.index(b"\r\n\r\n") + 4]
    for value in (b"one", b"two", b"three"):
        wanted = wanted.replace(b"X-Multi: " + value + b"\r\n", b"")
    assert seen.header() == wanted


def test_without_a_change_there_is_no_new_header():
    seen = message()
    seen.remove_fields(())
    assert seen.header() is None


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=1, max_size=400))
def test_an_added_value_is_read_back(value):
    assert text_of(made_field("X-Value", value).raw).replace(" ", "") == value.strip().replace(" ", "")


@given(st.text(max_size=300))
def test_an_added_field_is_one_field_of_short_lines(value):
    field = made_field("X-Value", value.encode("utf-8", "replace").decode())
    assert field.octets.endswith(b"\r\n")
    lines = field.octets[:-2].split(b"\r\n")
    assert all(line.startswith(b" ") for line in lines[1:])
    assert b"\r" not in b"".join(lines)
    assert b"\n" not in b"".join(lines)
    assert field.octets.isascii()


def test_long_values_are_folded_between_words():
    lines = made_field("X-Long", "word " * 60).octets.split(b"\r\n")
    assert len(lines) > 4
    assert all(len(line) <= 78 for line in lines)


def test_a_header_cannot_be_blown_up():
    seen = message()
    with pytest.raises(RunProblem, match="too large"):
        for _ in range(2000):
            seen.add_field("X", "y", is_last=False)


def test_given_parts_serve_as_well_as_found_ones():
    given_parts = message(parts=part_tree(USUAL))
    found = message()
    assert [field.text for field in given_parts.named("subject")] == [field.text for field in found.named("subject")]
    assert given_parts.raw_body() == found.raw_body()
    assert given_parts.below(0) == found.below(0) == list(range(1, len(found.parts)))


def test_any_kind_of_octets_will_do():
    for octets in (bytearray(USUAL), memoryview(USUAL)):
        assert message(octets).first("subject") == "Hello World of Käse"
        assert message(octets).raw_body() == message().raw_body()
