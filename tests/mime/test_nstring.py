import pytest

from mailstead.mime.nstring import nstring, nstring_of, parameter_list


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, b"NIL"),
        (b"", b'""'),
        (b"NIL", b'"NIL"'),
        (b'a "b" \\', b'"a \\"b\\" \\\\"'),
        (b"\xfc", b"{1}\r\n\xfc"),
        (b"a\tb", b"{3}\r\na\tb"),
        (b"a\r\nb\0", b"{5}\r\na\r\nb?"),
        (b"\x7f", b"{1}\r\n\x7f"),
    ],
)
def test_nstring(value, written):
    assert nstring(value) == written


def test_text_counts_octets():
    assert nstring_of("ü") == b"{2}\r\n\xc3\xbc"


def test_parameters_outside_ascii_go_out_as_rfc2231_wants():
    assert parameter_list(()) == b"NIL"
    assert (
        parameter_list((("a", 'b"'), ("filename", "ü %.txt")))
        == b'("a" "b\\"" "filename*" "utf-8\'\'%C3%BC%20%25.txt")'
    )
    assert parameter_list((("a", "x\r\ny"),)) == b'("a*" "utf-8\'\'x%0D%0Ay")'
