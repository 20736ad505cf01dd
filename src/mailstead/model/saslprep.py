"""Prepare passwords and user names so that the same text typed anywhere gives the same octets.

Spec: RFC 4013 (SASLprep). Code points that Unicode 3.2 had not assigned are let through, as
RFC 3454 §7 (stringprep) allows for queries: today's passwords hold characters newer than 2002.
"""

from __future__ import annotations

import re
import stringprep
from typing import Final
from unicodedata import ucd_3_2_0

_PLAIN_ASCII: Final = re.compile(r"[\x20-\x7e]*")

# RFC 4013 §2.3: C.1.2, C.2.1, C.2.2, C.3, C.4, C.5, C.6, C.7, C.8, C.9
_PROHIBITED: Final = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


class NotPreparable(ValueError):
    """A text has characters that a user name or password cannot have."""


def saslprep(text: str) -> str:
    """Give the prepared form of a user name or password.

    Spec: RFC 4013 §2.
    Errors: NotPreparable.
    """
    if _PLAIN_ASCII.fullmatch(text):
        return text
    # §2.1: non-ASCII spaces become SPACE, what is "commonly mapped to nothing" goes
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    prepared = ucd_3_2_0.normalize("NFKC", mapped)  # §2.2
    if any(is_prohibited(character) for character in prepared for is_prohibited in _PROHIBITED):
        raise NotPreparable("control, private-use or otherwise prohibited character")
    # §2.4, RFC 3454 §6: a text with right-to-left letters has no left-to-right ones, and begins and ends with them
    if any(stringprep.in_table_d1(character) for character in prepared) and (
        any(stringprep.in_table_d2(character) for character in prepared)
        or not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1]))
    ):
        raise NotPreparable("letters of both directions")
    return prepared
