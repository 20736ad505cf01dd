"""How a token of the API is written: a prefix by which secret scanners know it, 256 bits, and a check sum.

The check sum lets scanners tell tokens from look-alikes without asking us; it is no secret.
"""

from __future__ import annotations

import zlib
from typing import Final

PREFIX: Final = "mailstead_"
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BODY_CHARACTERS: Final = 43
"""62^43 is more than 2^256."""
CHECK_CHARACTERS: Final = 6
TOKEN_OCTETS: Final = 32


def token_of(octets: bytes) -> str:
    """Write 32 octets of chance as a token: ``mailstead_``, 43 letters and digits, 6 of a CRC-32."""
    body = _base62(int.from_bytes(octets[:TOKEN_OCTETS]), BODY_CHARACTERS)
    return f"{PREFIX}{body}{_check(body)}"


def is_token(text: str) -> bool:
    """Whether a text is written as a token is; nothing says that it is one of ours."""
    rest = text.removeprefix(PREFIX)
    body, check = rest[:BODY_CHARACTERS], rest[BODY_CHARACTERS:]
    return text.startswith(PREFIX) and len(body) == BODY_CHARACTERS and check == _check(body)


def _check(body: str) -> str:
    return _base62(zlib.crc32(body.encode("ascii", "replace")), CHECK_CHARACTERS)


def _base62(number: int, length: int) -> str:
    letters = []
    for _ in range(length):
        number, rest = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[rest])
    return "".join(reversed(letters))
