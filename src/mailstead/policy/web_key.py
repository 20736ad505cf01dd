"""Under which name the web shows the key of an address.

Spec: draft-koch-openpgp-webkey-service-19 §3.1 (key discovery); Z-Base-32 as in RFC 6189 §5.1.6.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final

DIGEST_CHARACTERS: Final = 32
HOST_LABEL: Final = "openpgpkey"
"""Before the domain, in the name of the host that is asked first (the advanced method)."""
_ALPHABET: Final = "ybndrfg8ejkmcpqxot1uwisza345h769"
_UPPER: Final = {ordered: ordered + 32 for ordered in range(ord("A"), ord("Z") + 1)}
"""ASCII alone is folded: the draft wants all else as it is."""


def key_digest(local_part: str) -> str:
    """Give the last part of the path for a local part."""
    digest = sha1(local_part.translate(_UPPER).encode(), usedforsecurity=False).digest()
    number = int.from_bytes(digest)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(155, -1, -5))
