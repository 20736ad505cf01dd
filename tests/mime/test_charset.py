import encodings

import pytest

from mailstead.mime import charset
from mailstead.mime.charset import codec_of, decoded


@pytest.mark.parametrize(
    ("octets", "label", "text"),
    [
        ("grüße".encode(), "iso-8859-1", "grüße"),
        (b"gr\xfc\xdfe", "utf-8", "grüße"),
        (b"gr\xfc\xdfe", None, "grüße"),
        (b"\x80", "iso-8859-1", "€"),
        ("привет".encode("koi8-r"), "KOI8-R", "привет"),
        ("日本".encode("iso-2022-jp"), "iso-2022-jp", "日本"),
        ("日本".encode("shift_jis"), "x-sjis", "日本"),
        ("ü".encode("utf-16"), "utf-16", "ü"),
        (b"+AOQ-", "utf-7", "ä"),
        (b"+2AA-", "utf-7", "\ufffd"),
        (b"a\0b", None, "a\ufffdb"),
        (b"\x81", "no-such", "\ufffd"),
        (b"a" * 100 + b"\xff", "utf-8", "a" * 100 + "\ufffd"),
    ],
)
def test_decoded(octets, label, text):
    assert decoded(octets, label) == text


@pytest.mark.parametrize(
    "label",
    [
        "base64",
        "rot13",
        "punycode",
        "idna",
        "unicode_escape",
        "raw-unicode-escape",
        "undefined",
        "zlib",
        "hex",
        "x" * 500,
        "os.path",
        "../../etc",
        "mbcs",
    ],
)
def test_labels_that_are_no_charsets_are_unknown(label):
    assert codec_of(label) is None


def test_unknown_labels_do_not_fill_the_cache_of_the_library():
    before = len(encodings._cache)
    for number in range(100):
        decoded(b"\xff", f"made-up-{number}")
    assert len(encodings._cache) <= before + 1


def test_guessing_is_for_unlabelled_octets():
    text = "Привет, как дела? Это письмо написано без указания кодировки, но его всё же можно прочесть." * 3
    assert decoded(text.encode("cp1251"), None, is_guessing=True) == text


def test_every_known_charset_can_be_decoded():
    for codec in charset._KNOWN:
        assert decoded(b"\xffabc", codec)
