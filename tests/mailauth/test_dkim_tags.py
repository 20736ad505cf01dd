"""Tag lists."""

import pytest

from mailstead.mailauth.dkim_tags import Refused, octets_of, tags_of, without_signature, words_of


def test_a_tag_list_is_read():
    text = b" v=1; a = rsa-sha256;\r\n\td=example.test ;\r\n h=From : To;b=ab\r\n cd; i_2=; "
    assert tags_of(text) == {
        b"v": b"1",
        b"a": b"rsa-sha256",
        b"d": b"example.test",
        b"h": b"From : To",
        b"b": b"ab\r\n cd",
        b"i_2": b"",
    }
    assert words_of(b"From :\r\n To") == (b"from", b"to")
    assert octets_of(b"YW\r\n Jj") == b"abc"


@pytest.mark.parametrize(
    "text", [b"v=1; v=1", b"v", b"v=1;; a=2", b"=1", b"1v=1", b"v-v=1", b"a b=1", b"v=1; x", b"\xc3\xa4=1"]
)
def test_what_is_no_tag_list_is_refused(text):
    with pytest.raises(Refused):
        tags_of(text)


@pytest.mark.parametrize("text", [b"a", b"ab=c", b"!!!!", b"YWJj=YW"])
def test_what_is_no_base64_is_refused(text):
    with pytest.raises(Refused):
        octets_of(text)


@pytest.mark.parametrize(
    ("value", "emptied"),
    [
        (b" a=1; b=abc\r\n def", b" a=1; b="),
        (b"b=abc ; bh=xyz;", b"b=; bh=xyz;"),
        (b" bh=b;\r\n b =\r\n abc;c=b", b" bh=b;\r\n b =;c=b"),
        (b" bh=xyz", b" bh=xyz"),
    ],
)
def test_only_the_value_of_b_is_emptied(value, emptied):
    assert without_signature(value) == emptied
