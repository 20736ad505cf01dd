import pytest

from mailstead.proto.sasl import (
    SaslCancelled,
    SaslSyntaxError,
    decode_initial_response,
    decode_response,
    encode_challenge,
)


def test_lines_there_and_back():
    assert decode_response(encode_challenge(b"\0a\0b")) == b"\0a\0b"
    assert encode_challenge(b"x" * 100).count(b"\n") == 0
    assert decode_response(b"") == b""


def test_equals_sign_is_an_empty_initial_response_only():
    assert decode_initial_response(b"=") == b""
    with pytest.raises(SaslSyntaxError):
        decode_response(b"=")


def test_star_cancels():
    with pytest.raises(SaslCancelled):
        decode_response(b"*")


@pytest.mark.parametrize(
    "line", [b"a", b"ab", b"abc", b"ab=c", b"YWJj!", b" YWJj", b"YWJj\r", b"YWI=YWI=", b"YQ===", b"\xff"]
)
def test_attack_063_malformed_base64_is_refused_not_guessed(line):
    with pytest.raises(SaslSyntaxError):
        decode_response(line)


def test_long_lines_are_refused():
    assert decode_response(b"A" * 12288) == b"\0" * 9216
    with pytest.raises(SaslSyntaxError):
        decode_response(b"A" * 12292)
