"""Public keys in DNS: fetched, parsed within bounds, kept while they are in use.

Spec: RFC 6376 §3.6; RFC 8301 §3.2 (sizes); RFC 8463 §4 (Ed25519).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailstead.mailauth.dkim_tags import Refused, octets_of, tags_of, words_of
from mailstead.model.authentication import Result
from mailstead.ports.resolver import Resolver

RSA_BITS_MIN: Final = 1024
RSA_BITS_MAX: Final = 4096
RECORD_OCTETS_MAX: Final = 4096
"""A key of 4096 bits takes some 800."""
_RECORDS_MAX: Final = 3
"""There should be one record per selector; so many are looked at until one is a key."""
_EXPONENT_BITS_MAX: Final = 64
"""Larger ones only make verifying slow."""
_PADDING: Final = PKCS1v15()
_HASH: Final = Prehashed(SHA256())


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that may verify, with what its record says about it."""

    key: RSAPublicKey | Ed25519PublicKey
    is_testing: bool
    """t=y"""
    is_strict: bool
    """t=s: the domain of i= must be the one of d=."""
    rsa_bits: int = 0
    """Zero for Ed25519."""

    def verifies(self, algorithm: bytes, signature: bytes, digest: bytes) -> bool:
        """Whether `signature` is this key's over the octets that have this SHA-256 digest.

        Errors: Refused, if the key is not one for the algorithm, or of a size that counts for nothing.
        Spec: RFC 6376 §6.1.3; RFC 8463 §3 (Ed25519 signs the digest).
        """
        try:
            if isinstance(self.key, Ed25519PublicKey):
                if algorithm != b"ed25519-sha256":
                    raise Refused(Result.PERMERROR, "the key is for another algorithm")
                self.key.verify(signature, digest)
            else:
                if algorithm != b"rsa-sha256":
                    raise Refused(Result.PERMERROR, "the key is for another algorithm")
                if not RSA_BITS_MIN <= self.rsa_bits <= RSA_BITS_MAX:
                    raise Refused(Result.POLICY, f"a key of {self.rsa_bits} bits is not accepted")
                self.key.verify(signature, digest, _PADDING, _HASH)
        except InvalidSignature:
            return False
        return True


async def fetch(resolver: Resolver, name: str) -> PublicKey:
    """Get the key published at ``selector._domainkey.domain``.

    Errors: Refused; DnsUnavailable.
    Spec: RFC 6376 §3.6.2, §6.1.2.
    """
    answer = await resolver.txt(name)
    problem: Refused | None = None
    for record in answer.records[:_RECORDS_MAX]:
        if len(record) > RECORD_OCTETS_MAX:
            problem = Refused(Result.POLICY, "the key record is too large")
            continue
        try:
            return parsed(record)
        except Refused as refused:
            problem = refused
    raise problem or Refused(Result.PERMERROR, "no key is published for the selector")


@lru_cache(maxsize=1024)
def parsed(record: bytes) -> PublicKey:
    """Read a key record; those in use are kept parsed.

    Errors: Refused.
    Spec: RFC 6376 §3.6.1. ``n=`` and the ``g=`` of older texts say nothing.
    """
    tags = tags_of(record)
    if tags.get(b"v", b"DKIM1") != b"DKIM1" or (b"v" in tags and next(iter(tags)) != b"v"):
        raise Refused(Result.PERMERROR, "the key record has another version")
    if b"p" not in tags:
        raise Refused(Result.PERMERROR, "the key record has no key")
    if not tags[b"p"]:
        raise Refused(Result.PERMERROR, "the key has been revoked")
    if b"sha256" not in words_of(tags.get(b"h", b"sha256")):
        raise Refused(Result.PERMERROR, "the key is not for SHA-256")
    if not {b"*", b"email"} & set(words_of(tags.get(b"s", b"*"))):
        raise Refused(Result.PERMERROR, "the key is not for mail")
    flags = words_of(tags.get(b"t", b""))
    octets = octets_of(tags[b"p"])
    key: RSAPublicKey | Ed25519PublicKey
    match tags.get(b"k", b"rsa"):
        case b"rsa":
            key = _rsa(octets)
        case b"ed25519":
            key = _ed25519(octets)
        case _:
            raise Refused(Result.PERMERROR, "the key has an unknown type")
    bits = key.key_size if isinstance(key, RSAPublicKey) else 0
    return PublicKey(key, b"y" in flags, b"s" in flags, bits)


def _rsa(octets: bytes) -> RSAPublicKey:
    # RFC 6376 §3.6.1 asks for RSAPublicKey in its text and has SubjectPublicKeyInfo in its example; both are read.
    try:
        key = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        raise Refused(Result.PERMERROR, "the key cannot be read") from None
    if not isinstance(key, RSAPublicKey):
        raise Refused(Result.PERMERROR, "the key is not of its type")
    if key.public_numbers().e.bit_length() > _EXPONENT_BITS_MAX:
        raise Refused(Result.POLICY, "the key has an unusual exponent")
    return key


def _ed25519(octets: bytes) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(octets)
    except ValueError:
        raise Refused(Result.PERMERROR, "the key cannot be read") from None
