"""Secret keys under a passphrase: as the account keeps them, and as they are taken along.

Kept, the whole key is one sealed piece under argon2id. Taken along, its secret parts are locked as RFC 4880 has it, so
that every program can unlock them; the library has no verb for that.

Spec: RFC 9106 (argon2id), RFC 8439 (ChaCha20-Poly1305), RFC 4880 §3.7.1.3 and §5.5.3 (S2K usage 254).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from hashlib import sha1, sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mailstead.mime.openpgp import Flaw
from mailstead.mime.openpgp_keys import SECRET_KEY, SECRET_SUBKEY, Packet, binary_packets
from mailstead.model.openpgp import LockedSecret
from mailstead.model.secret import Secret
from mailstead.usecases.passwords import HashCost

_NONCE_OCTETS: Final = 12
_SALT_OCTETS: Final = 16
_COUNT: Final = 0xE0
"""Of octets that are hashed: 16 MiB. Spec: RFC 4880 §3.7.1.3."""
_MPIS: Final = {1: 2, 2: 2, 3: 2, 16: 3, 17: 4}
"""Public numbers of an algorithm: RSA, Elgamal, DSA. Spec: RFC 9580 §5.5.5."""
_NATIVE: Final = {25: 32, 26: 56, 27: 32, 28: 57}
"""Octets of a public key: X25519, X448, Ed25519, Ed448."""


def locked(octets: bytes, passphrase: Secret, cost: HashCost) -> LockedSecret:
    """Seal a secret key for keeping. Slow by intention: not on the loop."""
    salt, nonce = secrets.token_bytes(_SALT_OCTETS), secrets.token_bytes(_NONCE_OCTETS)
    key = _key(passphrase, salt, cost.iterations, cost.memory_kib)
    return LockedSecret(
        nonce + ChaCha20Poly1305(key).encrypt(nonce, octets, None), salt, cost.iterations, cost.memory_kib
    )


def opened(secret: LockedSecret, passphrase: Secret) -> bytes:
    """Open what `locked` has sealed. Errors: Flaw, for another passphrase."""
    key = _key(passphrase, secret.salt, secret.iterations, secret.memory_kib)
    nonce, sealed = secret.octets[:_NONCE_OCTETS], secret.octets[_NONCE_OCTETS:]
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, None)
    except InvalidTag:
        raise Flaw("the passphrase is another one") from None


def for_export(octets: bytes, passphrase: Secret) -> bytes:
    """Give a secret key whose secret parts are locked; those that are already stay so. Errors: Flaw, for version 6."""
    return b"".join(_with_lock(each, passphrase).octets for each in binary_packets(octets))


def _key(passphrase: Secret, salt: bytes, iterations: int, memory_kib: int) -> bytes:
    octets = passphrase.reveal().encode("utf-8", "replace")
    return Argon2id(salt=salt, length=32, iterations=iterations, lanes=1, memory_cost=memory_kib).derive(octets)


def _with_lock(packet: Packet, passphrase: Secret) -> Packet:
    if packet.tag not in {SECRET_KEY, SECRET_SUBKEY}:
        return packet
    body = packet.body
    at = _public_end(body)
    if body[at] != 0:
        return packet
    material = body[at + 1 : -2]  # without its checksum
    salt, start = secrets.token_bytes(8), secrets.token_bytes(16)
    specifier = bytes([254, 9, 3, 8]) + salt + bytes([_COUNT])
    key = sha256(b"".join(_repeated(salt + passphrase.reveal().encode("utf-8", "replace")))).digest()
    writer = Cipher(algorithms.AES(key), CFB(start)).encryptor()
    sealed = writer.update(material + sha1(material, usedforsecurity=False).digest()) + writer.finalize()
    return Packet(packet.tag, body[:at] + specifier + start + sealed)


def _repeated(octets: bytes) -> Iterator[bytes]:
    """Spec: RFC 4880 §3.7.1.3."""
    count = max((16 + (_COUNT & 15)) << ((_COUNT >> 4) + 6), len(octets))
    whole, rest = divmod(count, len(octets))
    yield octets * whole
    yield octets[:rest]


def _public_end(body: bytes) -> int:
    """Give where the public part of a secret key ends. Spec: RFC 9580 §5.5.2, §5.5.5."""
    if body[0] != 4:
        raise Flaw("a key of this version cannot be taken along yet")
    algorithm, at = body[5], 6
    if algorithm in _NATIVE:
        return at + _NATIVE[algorithm]
    if algorithm in {18, 19, 22}:  # ECDH, ECDSA, EdDSA: the curve's name, a point
        at = _behind_mpi(body, at + 1 + body[at])
        return at + 1 + body[at] if algorithm == 18 else at
    if algorithm not in _MPIS:
        raise Flaw("a key of this kind cannot be taken along")
    for _ in range(_MPIS[algorithm]):
        at = _behind_mpi(body, at)
    return at


def _behind_mpi(body: bytes, at: int) -> int:
    return at + 2 + (int.from_bytes(body[at : at + 2]) + 7) // 8
