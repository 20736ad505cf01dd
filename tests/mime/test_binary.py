import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.mime.binary import decoded_part, decoded_pieces, decoded_size


@pytest.mark.parametrize(
    ("octets", "encoding", "expected"),
    [
        (b"a\r\nb", "7bit", b"a\r\nb"),
        (b"\0\xff", "binary", b"\0\xff"),
        (b"aGVs\r\nbG8=\r\n", "base64", b"hello"),
        (b"aGVsbG8", "base64", b"hello"),
        (b"aGVsb", "base64", b"hel"),
        (b"aG!V*s bG8=", "base64", b"hello"),
        (b"aGk=aGk=", "base64", b"hihi"),
        (b"====", "base64", b""),
        (b"caf=C3=A9=\r\n!  \r\nx \t", "quoted-printable", "café!\r\nx".encode()),
        (b"a=\r\n", "quoted-printable", b"a"),
        (b"=zz =3", "quoted-printable", b"=zz =3"),
        (b"x", "x-uuencode", None),
    ],
)
def test_decoding(octets, encoding, expected):
    assert decoded_part(octets, encoding) == expected
    assert decoded_part(memoryview(octets), encoding) == expected
    assert decoded_size(octets, encoding) == (None if expected is None else len(expected))


@given(st.binary(max_size=400), st.integers(1, 50))
def test_pieces_do_not_matter(octets, size):
    for encoding, encoded in (
        ("base64", base64.encodebytes(octets)),
        ("quoted-printable", quopri.encodestring(octets, quotetabs=True)),
    ):
        pieces = [encoded[at : at + size] for at in range(0, len(encoded), size)]
        assert b"".join(decoded_pieces(pieces, encoding)) == decoded_part(encoded, encoding)
    assert decoded_part(base64.encodebytes(octets), "base64") == octets
