"""Web Push as a sender needs it: messages that only the device can read, and the token that says who sends.

Spec: RFC 8291 §3, §4; RFC 8188 §2; RFC 8292 §2, §3.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SALT_OCTETS: Final = 16
AUTH_SECRET_OCTETS: Final = 16
RECORD_OCTETS: Final = 4096
TOKEN_LIFE: Final = timedelta(hours=12)

_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_LAST_RECORD: Final = b"\x02"


def encrypted(
    plain: bytes, device_key: bytes, auth_secret: bytes, own_key: ec.EllipticCurvePrivateKey, salt: bytes
) -> bytes:
    """Give a message as one aes128gcm record; `own_key` and `salt` are fresh for each message.

    Errors: ValueError for a device's key that is none.
    """
    device = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), device_key)
    own_public = public_octets(own_key)
    shared = own_key.exchange(ec.ECDH(), device)
    seed = _derived(auth_secret, shared, b"WebPush: info\x00" + device_key + own_public, 32)
    key = _derived(salt, seed, b"Content-Encoding: aes128gcm\x00", 16)
    nonce = _derived(salt, seed, b"Content-Encoding: nonce\x00", 12)
    head = salt + struct.pack("!IB", RECORD_OCTETS, len(own_public)) + own_public
    return head + AESGCM(key).encrypt(nonce, plain + _LAST_RECORD, None)


class Vapid:
    """Who we are towards push services: a key of the house's own, made from 32 octets that are its secret."""

    def __init__(self, seed: bytes, contact: str) -> None:
        self._key: Final = ec.derive_private_key(int.from_bytes(seed, "big") % (_P256_ORDER - 1) + 1, ec.SECP256R1())
        self._contact: Final = contact
        self.public_key: Final = base64url(public_octets(self._key))
        """As clients give it to push services."""

    def authorization(self, url: str, now: datetime) -> str:
        """Give the field Authorization for a push service. Spec: RFC 8292 §3."""
        parts = urlsplit(url)
        claims = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": int((now + TOKEN_LIFE).timestamp()),
            "sub": self._contact,
        }
        head = ".".join(base64url(json.dumps(each).encode()) for each in ({"typ": "JWT", "alg": "ES256"}, claims))
        r, s = decode_dss_signature(self._key.sign(head.encode(), ec.ECDSA(SHA256())))
        signature = base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        return f"vapid t={head}.{signature}, k={self.public_key}"


def device_key(text: str) -> bytes:
    """Read a device's public key. Errors: ValueError."""
    octets = unbase64url(text)
    ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), octets)
    if len(octets) != 65:
        raise ValueError("a key is uncompressed")
    return octets


def auth_secret(text: str) -> bytes:
    """Read a device's secret. Spec: RFC 8291 §3.2. Errors: ValueError."""
    octets = unbase64url(text)
    if len(octets) != AUTH_SECRET_OCTETS:
        raise ValueError("a secret has 16 octets")
    return octets


def public_octets(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Give the public key, uncompressed."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def base64url(octets: bytes) -> str:
    """Spec: RFC 4648 §5, without padding."""
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def unbase64url(text: str) -> bytes:
    """Read the same; padding is taken. Errors: ValueError."""
    text = text.strip().rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("no base64url") from None


def _derived(salt: bytes, key: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=salt, info=info).derive(key)
