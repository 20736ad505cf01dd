"""Where backups lie, as only the holder of the key sees it: sealed chunks named by their content, and snapshots.

An object is ``MSB1``, flags, a nonce of 12 octets, ciphertext and tag (ChaCha20-Poly1305, RFC 8439); its name is
authenticated, so one object cannot stand for another. A chunk's name is a keyed hash of what is in it (HMAC-SHA-256):
equal stretches are stored once, and the name tells nothing to whoever has no key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mailstead.model.errors import BadBackup, BadSettings
from mailstead.ports.backup import Objects

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

KEY_OCTETS: Final = 32
FORMAT: Final = 1
_MAGIC: Final = b"MSB1"
_COMPRESSED: Final = 1
_NONCE_OCTETS: Final = 12
_CHECK_OCTETS: Final = 3
_GROUP: Final = 4
_VAULT: Final = "vault"
CHUNKS: Final = "chunks/"
SNAPSHOTS: Final = "snapshots/"


class Part(msgspec.Struct, frozen=True):
    """One part of a file: what is added to the file's name, its size, its chunks in order."""

    suffix: str
    size_octets: int
    chunks: tuple[str, ...]


class StoredFile(msgspec.Struct, frozen=True):
    """A file of a snapshot."""

    name: str
    signature: str
    """What it had when it was copied; see `ports.backup.Stores`."""
    parts: tuple[Part, ...]


class Snapshot(msgspec.Struct, frozen=True):
    """Everything at one time."""

    name: str
    made_at: datetime
    release: str
    """Of Mailstead."""
    files: tuple[StoredFile, ...]
    secrets: Mapping[str, bytes]
    """What lies outside of the data folder: name → octets."""

    @property
    def size_octets(self) -> int:
        """Of all files together, before what is equal is stored once."""
        return sum(part.size_octets for file in self.files for part in file.parts)

    @property
    def chunks(self) -> frozenset[str]:
        """All that it needs."""
        return frozenset(chunk for file in self.files for part in file.parts for chunk in part.chunks)


class Vault:
    """Seals and opens, and knows the names."""

    def __init__(self, objects: Objects, key: bytes) -> None:
        self._objects = objects
        self._cipher = ChaCha20Poly1305(_derived(key, "objects"))
        self._naming = _derived(key, "chunk names")
        self._mark = _derived(key, "mark").hex()

    async def enter(self, *, makes: bool = False) -> None:
        """Check that the key is that of the backups there; `makes`: begin anew where there are none.

        Errors: BadBackup (another key, a newer format, nothing there); BackupFailed.
        """
        if _VAULT not in await self._objects.names(_VAULT):
            if not makes:
                raise BadBackup("There are no backups at that place")
            if await self._objects.names(CHUNKS) or await self._objects.names(SNAPSHOTS):
                raise BadBackup(f"There are backups at that place, but the object {_VAULT} is missing: put it back")
            note = {"format": FORMAT, "mark": self._mark}
            await self._objects.put(_VAULT, msgspec.json.encode(note))
            return
        try:
            found = msgspec.json.decode(await self._objects.get(_VAULT), type=dict[str, int | str])
        except msgspec.MsgspecError:
            raise BadBackup(f"The object {_VAULT} is damaged") from None
        if found.get("format") != FORMAT:
            raise BadBackup("The backups were made by a newer release of Mailstead: use that one")
        if not hmac.compare_digest(str(found.get("mark")), self._mark):
            raise BadBackup("The backup key is not the one with which these backups were made")

    def chunk_name(self, octets: bytes) -> str:
        """Give the name of a chunk."""
        name = hmac.digest(self._naming, octets, "sha256").hex()
        return f"{CHUNKS}{name[:2]}/{name}"

    def sealed(self, name: str, octets: bytes, *, compresses: bool) -> bytes:
        """Give the object of that name; `compresses` where it pays."""
        flags = 0
        if compresses and len(smaller := zstd.compress(octets)) < len(octets):
            flags, octets = _COMPRESSED, smaller
        nonce = secrets.token_bytes(_NONCE_OCTETS)
        head = _MAGIC + bytes([flags])
        return head + nonce + self._cipher.encrypt(nonce, octets, head + name.encode())

    def opened(self, name: str, octets: bytes) -> bytes:
        """Give what is in an object. Errors: BadBackup, naming it."""
        head, nonce = octets[:5], octets[5 : 5 + _NONCE_OCTETS]
        try:
            if head[:4] != _MAGIC:
                raise InvalidTag
            plain = self._cipher.decrypt(nonce, octets[5 + _NONCE_OCTETS :], head + name.encode())
        except (InvalidTag, ValueError):
            raise BadBackup(f"The object {name} of the backup was changed, or cut short") from None
        return zstd.decompress(plain) if head[4] & _COMPRESSED else plain

    async def get(self, name: str) -> bytes:
        """Give what is in an object. Errors: BadBackup, naming it; BackupFailed."""
        return self.opened(name, await self._objects.get(name))

    async def put(self, name: str, sealed: bytes) -> None:
        """Store a sealed object. Errors: BackupFailed."""
        await self._objects.put(name, sealed)

    async def chunk_names(self) -> set[str]:
        """Give the chunks that are there. Errors: BackupFailed."""
        return set(await self._objects.names(CHUNKS))

    async def snapshot_names(self) -> Sequence[str]:
        """Give the snapshots, the oldest first. Errors: BackupFailed."""
        return sorted(name.removeprefix(SNAPSHOTS) for name in await self._objects.names(SNAPSHOTS))

    async def snapshot(self, name: str) -> Snapshot:
        """Give one. Errors: BadBackup, BackupFailed."""
        octets = await self.get(SNAPSHOTS + name)
        try:
            return msgspec.msgpack.decode(octets, type=Snapshot)
        except msgspec.MsgspecError:
            raise BadBackup(f"The snapshot {name} cannot be read") from None

    async def keep(self, snapshot: Snapshot) -> None:
        """Store a snapshot, whose chunks must be there. Errors: BackupFailed."""
        name = SNAPSHOTS + snapshot.name
        await self.put(name, self.sealed(name, msgspec.msgpack.encode(snapshot), compresses=True))

    async def remove(self, names: Sequence[str]) -> int:
        """Remove objects; gives how many are kept by the place all the same. Errors: BackupFailed."""
        return await self._objects.remove(names)


def snapshot_name(moment: datetime) -> str:
    """Give a new name; names sort by time, also of two that are made in the same second."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H-%M-%S.%fZ}-{secrets.token_hex(3)}"


def moment_of(name: str) -> datetime:
    """Give when a snapshot was made, by its name. Errors: BadBackup."""
    try:
        return datetime.strptime(name.partition("Z")[0], "%Y-%m-%dT%H-%M-%S.%f").replace(tzinfo=UTC)
    except ValueError:
        raise BadBackup(f"{name} is no name of a snapshot") from None


def key_text(key: bytes) -> str:
    """Write a key for people: groups of base32 with a checksum. Read by `key_of`."""
    text = base64.b32encode(key + hashlib.sha256(key).digest()[:_CHECK_OCTETS]).decode().rstrip("=")
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def key_of(text: str) -> bytes:
    """Read a key as a person types it. Errors: BadSettings, if a slip is in it."""
    # Nobody tells 0 from O, nor 1 and 8 from I and B; base32 has no digits but 2 to 7.
    plain = "".join(text.split()).replace("-", "").upper().translate(str.maketrans("018", "OIB"))
    try:
        octets = base64.b32decode(plain + "=" * (-len(plain) % 8))
    except binascii.Error:
        octets = b""
    key = octets[:KEY_OCTETS]
    if len(octets) != KEY_OCTETS + _CHECK_OCTETS or hashlib.sha256(key).digest()[:_CHECK_OCTETS] != octets[KEY_OCTETS:]:
        raise BadSettings("That is not a backup key: compare it with the one that was printed, group by group")
    return key


def _derived(key: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), KEY_OCTETS, salt=None, info=f"mailstead backup {purpose}".encode()).derive(key)
