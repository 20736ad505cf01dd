import pytest

from mailstead.mime.octets import find, line_count, piece, searchable

OCTETS = b"one\ntwo\nthree"


@pytest.mark.parametrize("form", [OCTETS, bytearray(OCTETS), memoryview(OCTETS), memoryview(b"x" + OCTETS)[1:]])
def test_looking_into_each_form(form):
    assert find(form, b"\nt", 0, 13) == 3
    assert find(form, b"\nt", 4, 13) == 7
    assert find(form, b"\nt", 4, 8) == -1
    assert piece(form, 4, 7) == b"two"
    assert line_count(form, 0, 13) == 2
    assert line_count(form, 4, 7) == 0


def test_line_count_of_a_long_view():
    assert line_count(memoryview(b"-" + b"a\n" * 200_000)[1:], 1, 400_000) == 200_000


def test_a_whole_view_is_looked_through():
    assert searchable(memoryview(OCTETS)) is OCTETS
    assert searchable(memoryview(OCTETS)[::-1]) == OCTETS[::-1]
    assert bytes(searchable(memoryview(OCTETS)[1:])) == OCTETS[1:]
    assert len(searchable(memoryview(b"\0" * 8).cast("I"))) == 8
