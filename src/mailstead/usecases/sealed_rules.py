"""Forwarding rules in the DNS that only this server can read: a value of a ``forward-email=`` record, encrypted.

ChaCha20-Poly1305 under a key of the house, so that who looks into the DNS does not learn where mail goes. What is
encrypted by another server is not ours to read.

Spec: RFC 8439 §2.8; RFC 4648 §5.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mailstead.model.errors import PolicyRefused
from mailstead.policy.dns_rules import RULES, read_rules

INPUT_CHARACTERS_MAX: Final = 4096
_VERSION: Final = b"\1"
_NONCE_OCTETS: Final = 12
_PURPOSE: Final = b"forward-email"
_TARGETS_MAX: Final = 1000


class SealedRules:
    """Seals values, and opens those that it has sealed."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 octets, the same in all processes and after a restart."""
        self._cipher = ChaCha20Poly1305(key)

    def seal(self, text: str) -> str:
        """Give the whole record for mappings in plain text, with or without ``forward-email=``.

        Errors: PolicyRefused, for what could not be read as rules once it is in the DNS.
        """
        plain = text.strip().removeprefix(RULES).strip()
        if not plain or len(plain) > INPUT_CHARACTERS_MAX:
            raise PolicyRefused(f"Rules have 1 to {INPUT_CHARACTERS_MAX} characters")
        problems = read_rules("example.test", (f"{RULES}{plain}".encode(),), _TARGETS_MAX).problems
        if problems:
            raise PolicyRefused(f"These are no rules: {'; '.join(problems)}")
        nonce = secrets.token_bytes(_NONCE_OCTETS)
        sealed = _VERSION + nonce + self._cipher.encrypt(nonce, plain.encode(), _PURPOSE)
        return RULES + urlsafe_b64encode(sealed).decode().rstrip("=")

    def opened(self, value: str) -> str | None:
        """Give the mappings of a record's value (without ``forward-email=``); None: it is none of ours."""
        try:
            octets = urlsafe_b64decode(value + "=" * (-len(value) % 4))
        except ValueError:
            return None
        nonce, sealed = octets[1 : 1 + _NONCE_OCTETS], octets[1 + _NONCE_OCTETS :]
        if octets[:1] != _VERSION or len(nonce) < _NONCE_OCTETS:
            return None
        try:
            return self._cipher.decrypt(nonce, sealed, _PURPOSE).decode()
        except (InvalidTag, ValueError):
            return None
