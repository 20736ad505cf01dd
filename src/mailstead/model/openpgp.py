"""Keys of OpenPGP that an account keeps, and what is said of a signature. Plain values; no key is looked into here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

KEYS_MAX: Final = 500
"""Of one account."""


class KeySource(StrEnum):
    """How a key came in."""

    MADE = "made"
    """Here, for the owner."""
    BY_HAND = "by hand"
    MESSAGE = "message"
    """Attached to one, or in its Autocrypt field."""
    DIRECTORY = "directory"
    """Of the correspondent's domain (Web Key Directory)."""


@dataclass(frozen=True, slots=True)
class LockedSecret:
    """A secret key under a passphrase that nobody keeps."""

    octets: bytes = field(repr=False)
    """Nonce, then ChaCha20-Poly1305 (RFC 8439) of the secret key."""
    salt: bytes
    iterations: int
    memory_kib: int
    """What argon2id derives the key with (RFC 9106)."""


@dataclass(frozen=True, slots=True)
class OpenpgpKey:
    """One key: the owner's own, or a correspondent's."""

    fingerprint: str
    """In lower case, without spaces."""
    address: str
    """In lower case; whom it is for."""
    user_ids: tuple[str, ...]
    public: bytes = field(repr=False)
    added_at: datetime
    source: KeySource
    is_verified: bool = False
    """Whether the owner has compared the fingerprint; one's own are."""
    secret: LockedSecret | None = None
    """None: a correspondent's."""

    @property
    def is_own(self) -> bool:
        """Whether it is the owner's."""
        return self.secret is not None

    @property
    def spaced(self) -> str:
        """Give the fingerprint as people compare it: in groups of four."""
        text = self.fingerprint.upper()
        return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


class Signing(StrEnum):
    """What is said of who signed a message."""

    NONE = "none"
    GOOD_VERIFIED = "good and verified"
    GOOD = "good"
    """By a key that is known here, and not verified."""
    GOOD_OTHER = "good, of another"
    """By a key that is known here, but is none of who stands in From."""
    UNKNOWN_KEY = "unknown key"
    """Nobody can say: the key is not known here."""
    BAD = "bad"
    UNCHECKED = "unchecked"
    """It is in a form that cannot be checked here."""
