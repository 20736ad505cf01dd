"""Key files of sealed accounts: format 2 of ``keys/ab/abcd….key``.

The data key is wrapped once for each password, app password and recovery key, by keys that only their owner can
derive. All of it is encrypted once more by the master key: who has the data folder and not the master key cannot even
guess, and nobody without it can put in another public key. That outer layer opens nothing by itself.

The X25519 key pair to which mail is sealed comes from the data key, so 32 octets are all that a password has to unwrap.

Spec: RFC 5869 (HKDF); RFC 7748 (X25519); RFC 8439 (ChaCha20-Poly1305).
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mailstead.model.ids import AccountId
from mailstead.ports.sealed import NewWrapping, WrapKind, Wrapping
from mailstead.storage.embedded.account_file import sync_file, sync_folder

KEY_OCTETS: Final = 32
NONCE_OCTETS: Final = 12
SEALED_MARK: Final = b"mailstead wrapped key 2\n"
"""First line of a key file: format 2 is ChaCha20-Poly1305 by the master key, nonce, then ciphertext with tag."""


class Wrap(msgspec.Struct, array_like=True, frozen=True):
    """The data key, wrapped once."""

    kind: WrapKind
    mark: str
    salt: bytes
    made_at_s: int
    iterations: int
    memory_kib: int
    wrapped: bytes
    """Nonce, ciphertext with tag."""

    def as_wrapping(self) -> Wrapping:
        """Give it as the house knows it, without what is wrapped."""
        made_at = datetime.fromtimestamp(self.made_at_s, UTC)
        return Wrapping(self.kind, self.mark, self.salt, made_at, self.iterations, self.memory_kib)


class SealedKey(msgspec.Struct, array_like=True, frozen=True):
    """What a key file holds."""

    public_key: bytes
    wraps: tuple[Wrap, ...]


def write_key_file(sealed: SealedKey, account_id: AccountId, outer: ChaCha20Poly1305) -> bytes:
    """Give the octets of a key file."""
    nonce = secrets.token_bytes(NONCE_OCTETS)
    return SEALED_MARK + nonce + outer.encrypt(nonce, msgspec.msgpack.encode(sealed), _label(account_id))


def read_key_file(octets: bytes, account_id: AccountId, outer: ChaCha20Poly1305) -> SealedKey:
    """Read the octets of a key file. Errors: InvalidTag, for another master key or another account's file."""
    nonce_end = len(SEALED_MARK) + NONCE_OCTETS
    plain = outer.decrypt(octets[len(SEALED_MARK) : nonce_end], octets[nonce_end:], _label(account_id))
    try:
        return msgspec.msgpack.decode(plain, type=SealedKey)
    except msgspec.DecodeError:
        raise InvalidTag from None


def wrap(new: NewWrapping, data_key: bytes, account_id: AccountId) -> Wrap:
    """Wrap a data key."""
    wrapping, nonce = new.wrapping, secrets.token_bytes(NONCE_OCTETS)
    cipher = ChaCha20Poly1305(_derived(new.key, f"account key by {wrapping.kind}"))
    return Wrap(
        wrapping.kind,
        wrapping.mark,
        wrapping.salt,
        int(wrapping.made_at.timestamp()),
        wrapping.iterations,
        wrapping.memory_kib,
        nonce + cipher.encrypt(nonce, data_key, _label(account_id) + wrapping.mark.encode()),
    )


def unwrapped(one: Wrap, key: bytes, account_id: AccountId) -> bytes | None:
    """Give the data key; None: that is not the key it was wrapped with."""
    cipher = ChaCha20Poly1305(_derived(key, f"account key by {one.kind}"))
    label = _label(account_id) + one.mark.encode()
    try:
        return cipher.decrypt(one.wrapped[:NONCE_OCTETS], one.wrapped[NONCE_OCTETS:], label)
    except InvalidTag:
        return None


def mail_key(data_key: bytes) -> X25519PrivateKey:
    """Give the private key that opens mail sealed to an account."""
    return X25519PrivateKey.from_private_bytes(_derived(data_key, "sealed mail"))


def public_mail_key(data_key: bytes) -> bytes:
    """Give the public key to which mail for an account is sealed."""
    return mail_key(data_key).public_key().public_bytes_raw()


def new_sealed_key(data_key: bytes, wrappings: Sequence[NewWrapping], account_id: AccountId) -> SealedKey:
    """Wrap a data key in these ways."""
    return SealedKey(public_mail_key(data_key), tuple(wrap(each, data_key, account_id) for each in wrappings))


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Keep other threads and processes from changing a key file meanwhile. Blocks."""
    handle = os.open(path.with_name(f"{path.name}.lock"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def replace_file(path: Path, octets: bytes) -> None:
    """Put a file in the place of another one: whoever looks finds one or the other, also after a power cut."""
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(octets)
        sync_file(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(path.parent)


def _derived(key: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), KEY_OCTETS, salt=None, info=f"mailstead {purpose}".encode()).derive(key)


def _label(account_id: AccountId) -> bytes:
    # authenticated too: a key file or a wrap moved to another account is refused
    return f"{account_id}\n".encode()
