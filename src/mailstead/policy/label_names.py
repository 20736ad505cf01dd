"""Names of labels in any script, and the IMAP keywords that they are kept as.

Keywords are ASCII and the same in any case, so base64 will not do; Punycode with the prefix of domain names does. A
label in ASCII is its own keyword.

Spec: RFC 9051 §9 (flag-keyword), §2.3.2; RFC 3492; RFC 5890 §2.3.2.1 (the prefix).
"""

from __future__ import annotations

import unicodedata
from typing import Final

PREFIX: Final = "xn--"


def keyword_of(label: str) -> str:
    """Give the keyword of a label. White space becomes ``_``; whether the rest may be one is asked elsewhere."""
    name = "_".join(unicodedata.normalize("NFC", label).split())
    return name if name.isascii() else PREFIX + name.encode("punycode").decode("ascii")


def label_of(keyword: str) -> str:
    """Give what people read: the label, or the keyword itself, where it is none of ours."""
    if keyword[: len(PREFIX)].lower() != PREFIX:
        return keyword
    try:
        name = keyword[len(PREFIX) :].encode("ascii").decode("punycode")
        is_ours = name.isprintable() and keyword_of(name).lower() == keyword.lower()
    except UnicodeError:
        is_ours = False
    return name if is_ours else keyword
