"""From octets and a charset label to text, never failing.

The order is: UTF-8, then the label, then a guess (only where asked), then windows-1252. A label is looked up in the
table of aliases of the standard library and nowhere else: handing a stranger's word to `codecs.lookup` would let
him fill its cache, and reach codecs that are no charsets.

Spec: RFC 2046 §4.1.2, RFC 2978.
"""

from __future__ import annotations

import re
from encodings.aliases import aliases
from functools import lru_cache
from typing import Final

# Words seen on real messages that the standard library does not know, and labels that
# in practice mean their superset (as browsers read them).
_ALSO: Final = {
    "iso_8859_1": "cp1252",
    "latin1": "cp1252",
    "latin_1": "cp1252",
    "iso8859_1": "cp1252",
    "us_ascii": "cp1252",
    "ascii": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "x_gbk": "gb18030",
    "cp_850": "cp850",
    "x_sjis": "cp932",
    "shift_jis": "cp932",
    "ks_c_5601_1987": "cp949",
    "euc_kr": "cp949",
    "iso_8859_8_i": "iso8859_8",
    "iso_8859_6_i": "iso8859_6",
    "windows_874": "cp874",
    "tis_620": "cp874",
    "x_mac_roman": "mac_roman",
    "macintosh": "mac_roman",
    "unicode_1_1_utf_7": "utf_7",
    "utf8mb4": "utf_8",
    "cp65001": "utf_8",
}
# In the table of aliases, but no charsets: transformations, escapes, names.
_NO_CHARSET: Final = frozenset(
    {
        "base64_codec",
        "bz2_codec",
        "hex_codec",
        "quopri_codec",
        "rot_13",
        "uu_codec",
        "zlib_codec",
        "mbcs",
        "oem",
        "tactis",
    }
)
_NEEDS_LABEL_FIRST: Final = ("iso2022", "utf_7", "hz", "utf_16", "utf_32")
"""Octets in these charsets may look like UTF-8 without being it."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_WITHOUT_ALIAS: Final = frozenset(
    {"koi8_u", "koi8_t", "cp720", "cp737", "cp856", "cp874", "cp875", "cp1006", "mac_arabic", "mac_croatian"}
)
_KNOWN: Final = (frozenset(aliases.values()) | _WITHOUT_ALIAS) - _NO_CHARSET


@lru_cache(maxsize=512)
def codec_of(label: str) -> str | None:
    """Give the codec's name for a charset label, or None for one that nobody knows."""
    if len(label) > 40:
        return None
    name = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
    if name in _ALSO:
        return _ALSO[name]
    codec = aliases.get(name, name)
    return codec if codec in _KNOWN else None


def decoded(octets: bytes, label: str | None = None, *, is_guessing: bool = False) -> str:
    """Decode as UTF-8, else as labelled, else as windows-1252; NUL becomes U+FFFD.

    Shapes: `is_guessing` asks charset-normalizer about unlabelled octets that are not UTF-8 (slow, for bodies only).
    The result never has lone surrogates.
    """
    codec = codec_of(label) if label else None
    if codec is not None and codec.startswith(_NEEDS_LABEL_FIRST):
        text = _SURROGATE.sub("\ufffd", octets.decode(codec, "replace"))
    else:
        try:
            text = octets.decode()
        except UnicodeDecodeError:
            if codec is None and is_guessing:
                codec = _guess(octets)
            text = _otherwise(octets, codec)
    return text.replace("\0", "\ufffd") if "\0" in text else text


def _otherwise(octets: bytes, codec: str | None) -> str:
    """Decode what is not UTF-8."""
    if codec not in {None, "utf_8", "cp1252"}:
        try:
            return _SURROGATE.sub("\ufffd", octets.decode(codec))
        except UnicodeDecodeError as error:
            # A body cut in the middle of a character is still of its charset.
            if error.start > len(octets) - 8:
                return _SURROGATE.sub("\ufffd", octets.decode(codec, "replace"))
    if codec == "utf_8":
        # Mostly UTF-8 with a few broken octets stays UTF-8; anything else does not deserve the label.
        text = octets.decode("utf-8", "replace")
        if text.count("\ufffd") * 20 <= len(text):
            return text
    return octets.decode("cp1252", "replace")


def _guess(octets: bytes) -> str | None:
    """Ask charset-normalizer, about a bounded piece; imported here as it costs 10 MB and is seldom needed."""
    from charset_normalizer import from_bytes

    best = from_bytes(octets[:8192]).best()
    return best.encoding if best is not None and best.encoding in _KNOWN else None
