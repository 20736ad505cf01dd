"""Signing keys: made, imported, loaded once, and what is published of them.

Spec: RFC 6376 §3.3, §3.6.1; RFC 8463; RFC 8301 §3.2.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from mailstead.mailauth.dkim_record import RSA_BITS_MAX, RSA_BITS_MIN
from mailstead.model.directory import DkimKey, KeyState
from mailstead.model.errors import BadImport

RSA_BITS: Final = 2048
_PUBLIC_EXPONENT: Final = 65537
_LINE_OCTETS: Final = 72
_PADDING: Final = PKCS1v15()
_HASH: Final = Prehashed(SHA256())

if TYPE_CHECKING:
    from hashlib import _Hash as Hash  # hashlib has no public name for what `sha256()` gives

PrivateKey = RSAPrivateKey | Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key ready to sign."""

    domain: str
    selector: str
    algorithm: str
    private_key: PrivateKey = field(repr=False)

    @property
    def tags(self) -> bytes:
        """The tags that say which key it is: ``a=``, ``d=`` and ``s=``."""
        return f"a={self.algorithm}; d={self.domain}; s={self.selector}".encode()

    def signed_field(self, name: bytes, tags: bytes, before: Hash) -> bytes:
        """Give a whole signature field with CRLF; it covers what `before` has hashed, and itself in relaxed form.

        Shapes: `tags` in lines as they are to be folded, up to and with ``b=``.
        Spec: RFC 6376 §3.7.
        """
        hashed = before.copy()
        hashed.update(b"%b:%b" % (name.lower(), b" ".join(tags.split())))
        if isinstance(self.private_key, Ed25519PrivateKey):
            signature = self.private_key.sign(hashed.digest())
        else:
            signature = self.private_key.sign(hashed.digest(), _PADDING, _HASH)
        text = b64encode(signature)
        lines = [text[at : at + _LINE_OCTETS] for at in range(0, len(text), _LINE_OCTETS)]
        return b"%b: %b%b\r\n" % (name, tags, b"\r\n\t".join(lines))


def load_key(key: DkimKey) -> SigningKey:
    """Make a key ready to sign; those in use are kept.

    The key is one that was checked when it came into the directory, so its numbers are not checked again.
    """
    return _loaded(key.domain, key.selector, key.algorithm, key.private_key)


@lru_cache(maxsize=1024)
def _loaded(domain: str, selector: str, algorithm: str, private_key: bytes) -> SigningKey:
    loaded = load_der_private_key(private_key, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(loaded, RSAPrivateKey | Ed25519PrivateKey):
        raise BadImport("The key is neither RSA nor Ed25519")
    return SigningKey(domain, selector, algorithm, loaded)


def public_record(key: DkimKey) -> str:
    """Give the text to publish at ``selector._domainkey.domain``. Spec: RFC 6376 §3.6.1, RFC 8463 §4."""
    public_key = load_key(key).private_key.public_key()
    if isinstance(load_key(key).private_key, Ed25519PrivateKey):
        octets, kind = public_key.public_bytes(Encoding.Raw, PublicFormat.Raw), "ed25519"
    else:
        octets, kind = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), "rsa"
    return f"v=DKIM1; k={kind}; p={b64encode(octets).decode()}"


def new_keys(domain: str, now: datetime, selector_stem: str) -> list[DkimKey]:
    """Make a pair of keys for a domain: RSA, which everybody verifies, and Ed25519.

    Shapes: selectors are ``stem-rsa`` and ``stem-ed25519``.
    Effects: takes up to a second of computing, so call it in a thread.
    """
    rsa = generate_private_key(_PUBLIC_EXPONENT, RSA_BITS)
    return [
        DkimKey(domain, f"{selector_stem}-rsa", "rsa-sha256", _pkcs8(rsa), now, KeyState.ACTIVE),
        DkimKey(
            domain,
            f"{selector_stem}-ed25519",
            "ed25519-sha256",
            _pkcs8(Ed25519PrivateKey.generate()),
            now,
            KeyState.ACTIVE,
        ),
    ]


def imported_key(domain: str, selector: str, octets: bytes, now: datetime) -> DkimKey:
    """Take over a key made elsewhere, PEM or DER, after checking all of it.

    Errors: BadImport, with a text that says what is wrong.
    """
    try:
        load = load_pem_private_key if b"-----BEGIN" in octets else load_der_private_key
        key = load(octets, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadImport("That is not a private key, or it is a broken or encrypted one") from None
    if isinstance(key, Ed25519PrivateKey):
        return DkimKey(domain, selector, "ed25519-sha256", _pkcs8(key), now, KeyState.ACTIVE)
    if not isinstance(key, RSAPrivateKey):
        raise BadImport("The key is neither RSA nor Ed25519")
    if not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
        raise BadImport(f"An RSA key has {RSA_BITS_MIN} to {RSA_BITS_MAX} bits, this one has {key.key_size}")
    return DkimKey(domain, selector, "rsa-sha256", _pkcs8(key), now, KeyState.ACTIVE)


def _pkcs8(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
