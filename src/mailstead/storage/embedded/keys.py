"""Keys: one master key outside the stores, one data key per account, wrapped by it.

The master key (32 octets) never lies in the data folder. From it come, by HKDF, the key that wraps data keys, the key
of the directory file and a mark by which a wrong master key is noticed before anything is opened.

A wrapped data key is a small file of its own, ``keys/ab/abcd….key``, synced under its name before the store that it
encrypts is made: whatever moment the machine dies, there is no store without its key. To forget the key is to erase
the account. The key of a sealed account is wrapped by its owner's secrets (`sealed_keys`); it can be used while
somebody has opened it in this process.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mailstead.model.errors import AccountLocked, BadSettings, NoSuchAccount, StoreDamaged
from mailstead.model.ids import AccountId
from mailstead.model.secret import Secret
from mailstead.ports.sealed import NewWrapping, Wrapping
from mailstead.storage.embedded import sealed_keys
from mailstead.storage.embedded.account_file import sync_file, sync_folder, translated_errors
from mailstead.storage.embedded.sealed_keys import SEALED_MARK, SealedKey

KEY_OCTETS: Final = 32
NONCE_OCTETS: Final = 12
WRAPPED_MARK: Final = b"mailstead wrapped key 1\n"
"""First line of a key file: format 1 is ChaCha20-Poly1305, nonce, then ciphertext with tag."""
MASTER_MARK_FILE: Final = "master.mark"

_ACCOUNT_ID: Final = re.compile(r"[0-9a-f]{16}")


def default_master_key_file(data_dir: Path) -> Path:
    """Give the place of the master key when no setting names one: beside the data folder, not in it."""
    data_dir = data_dir.absolute()
    return data_dir.with_name(f"{data_dir.name}.master.key")


def master_key(data_dir: Path, value: Secret, file: str = "") -> bytes:
    """Give the master key: from the setting, from its file, or (at the first start only) made anew.

    Shapes: `value` and the file hold 32 octets in hex or base64; a file may also hold the bare octets.
    Errors: BadSettings, with a sentence that says what to do.
    Effects: may make the file, mode 0600, synced.
    """
    if value:
        return _decoded(value.reveal().strip().encode(), "The setting store.master_key")
    path = Path(file) if file else default_master_key_file(data_dir)
    has_stores = (data_dir / "keys" / MASTER_MARK_FILE).exists()  # asked first: who starts beside us may make both
    try:
        return _from_file(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise BadSettings(f"The master key file {path} cannot be read: {error.strerror}") from error
    if has_stores:
        raise BadSettings(
            f"There are stores in {data_dir}, but the master key file {path} is missing. Put it back from your "
            "backup, or name it by store.master_key_file. Without it nobody can read the stores, so no new one is made"
        )
    if path.absolute().is_relative_to(data_dir.absolute()):
        raise BadSettings(
            f"The master key file {path} lies in the data folder: whoever copies that folder would have the key too. "
            "Name a file outside of it by store.master_key_file"
        )
    return _made(path)


def _from_file(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise BadSettings(f"The master key file {path} is not a plain file")
        # Secrets mounted by container engines are often 0444 inside a folder that only we can enter; write access and
        # access for others on a file that we own are mistakes.
        if os.fstat(file.fileno()).st_uid == os.geteuid() and mode & 0o077 and os.access(path, os.W_OK):
            raise BadSettings(
                f"The master key file {path} has mode {stat.S_IMODE(mode):04o}, so others can read it; "
                f"run: chmod 600 {path}"
            )
        return _decoded(file.read(1024), f"The master key file {path}")


def _decoded(text: bytes, what: str) -> bytes:
    if len(text) == KEY_OCTETS:
        return text
    stripped = text.strip()
    for decode in (binascii.unhexlify, _strict_base64):
        with contextlib.suppress(binascii.Error, ValueError):
            if len(key := decode(stripped)) == KEY_OCTETS:
                return key
    raise BadSettings(f"{what} must hold 32 octets, written as 64 hex digits or in base64")


def _strict_base64(text: bytes) -> bytes:
    return base64.b64decode(text, validate=True)


def _made(path: Path) -> bytes:
    """Make the file whole or not at all; of two processes that start at once, one makes it and both use it."""
    key = secrets.token_bytes(KEY_OCTETS)
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _write_new(unfinished, key.hex().encode() + b"\n")
            os.link(unfinished, path)  # fails if the other process was first, where rename would not
            sync_folder(path.parent)
        except FileExistsError:
            return _from_file(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise BadSettings(
            f"The master key file {path} cannot be made: {error.strerror}. Name another place by store.master_key_file"
        ) from error
    return key


def derived_key(master: bytes, purpose: str) -> bytes:
    """Give the 32 octets that stand for one purpose: HKDF-SHA-256 (RFC 5869), so none tells about another."""
    return HKDF(SHA256(), KEY_OCTETS, salt=None, info=f"mailstead {purpose}".encode()).derive(master)


class FileAccountKeys:
    """Data keys in files, for all threads and processes of the host. Implements `account_keys.AccountKeys`."""

    def __init__(self, data_dir: Path, master: bytes) -> None:
        self._folder = data_dir / "keys"
        self._wrapping = ChaCha20Poly1305(derived_key(master, "account keys"))
        self._sealing = ChaCha20Poly1305(derived_key(master, "sealed account keys"))
        self._open: dict[AccountId, bytes] = {}
        """Data keys of sealed accounts that somebody has opened in this process."""
        self._check_mark(derived_key(master, "mark")[:16].hex().encode() + b"\n")

    def account_key(self, account_id: AccountId) -> bytes:
        """Give the data key.

        Errors: NoSuchAccount; AccountLocked, of a sealed one that is not open; StoreDamaged, if it cannot be unwrapped.
        """
        octets = self._octets(account_id)
        if octets.startswith(SEALED_MARK):
            key = self._open.get(account_id)
            if key is None:
                raise AccountLocked(account_id=account_id)
            return key
        try:
            if not octets.startswith(WRAPPED_MARK):
                raise InvalidTag
            nonce_end = len(WRAPPED_MARK) + NONCE_OCTETS
            # the account id is authenticated too: a key file moved to another account's name is refused
            return self._wrapping.decrypt(
                octets[len(WRAPPED_MARK) : nonce_end], octets[nonce_end:], account_id.encode()
            )
        except (InvalidTag, ValueError):
            raise _not_unwrapped(account_id) from None

    def edition(self, account_id: AccountId) -> object:
        """See `account_keys.AccountKeys`: every change is a new file."""
        try:
            status = self._path(account_id).stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def new_account_key(self, account_id: AccountId) -> bytes:
        """Make a data key by chance and keep it, synced, before returning it.

        A key that is there already (a creation that crashed, or two at once) is kept and returned: nothing is ever
        encrypted under a key that could be overwritten.
        """
        key = ChaCha20Poly1305.generate_key()
        wrapped = self._wrapped(key, account_id)
        path = self._path(account_id)
        unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
        with translated_errors():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                _write_new(unfinished, wrapped)
                os.link(unfinished, path)
            except FileExistsError:
                key = self.account_key(account_id)
            finally:
                unfinished.unlink(missing_ok=True)
            sync_folder(path.parent)
            sync_folder(self._folder)
        return key

    def forget(self, account_id: AccountId) -> None:
        """Remove the key for good: what was encrypted with it cannot be read any more."""
        path = self._path(account_id)
        self._open.pop(account_id, None)
        with translated_errors():
            path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
            try:
                path.unlink()
            except FileNotFoundError:
                return
            sync_folder(path.parent)

    # sealed accounts

    def is_open(self, account_id: AccountId) -> bool:
        """Whether this process holds the key of a sealed account."""
        return account_id in self._open

    def sealed_key(self, account_id: AccountId) -> SealedKey | None:
        """Give what the key file of a sealed account holds; None: it is not sealed. Errors: as `account_key`."""
        octets = self._octets(account_id)
        if not octets.startswith(SEALED_MARK):
            return None
        try:
            return sealed_keys.read_key_file(octets, account_id, self._sealing)
        except InvalidTag:
            raise _not_unwrapped(account_id) from None

    def seal(self, account_id: AccountId, wrappings: Sequence[NewWrapping]) -> None:
        """Wrap the data key in these ways only, durably; it is open then. Errors: as `account_key`."""
        key = self.account_key(account_id)
        self._open[account_id] = key  # first, so that nobody is locked out in between
        self._replace(account_id, lambda _: sealed_keys.new_sealed_key(key, wrappings, account_id))

    def unseal(self, account_id: AccountId) -> None:
        """Wrap the data key by the master key only, durably. Errors: as `account_key`."""
        path = self._path(account_id)
        with translated_errors(), sealed_keys.changing(path):
            key = self.account_key(account_id)
            sealed_keys.replace_file(path, self._wrapped(key, account_id))
        self._open.pop(account_id, None)

    def open(self, account_id: AccountId, wrapping: Wrapping, key: bytes) -> bool:
        """Unwrap the data key and hold it; False: `key` is not the one. Errors: as `account_key`."""
        sealed = self.sealed_key(account_id)
        if sealed is None:
            return True
        for each in sealed.wraps:
            if (each.kind, each.mark, each.salt) != (wrapping.kind, wrapping.mark, wrapping.salt):
                continue
            data_key = sealed_keys.unwrapped(each, key, account_id)
            if data_key is not None:
                if sealed_keys.public_mail_key(data_key) != sealed.public_key:
                    raise StoreDamaged("The key file of the account has another public key", account_id=account_id)
                self._open[account_id] = data_key
                return True
        return False

    def lock(self, account_id: AccountId) -> None:
        """Forget the key of a sealed account in this process."""
        self._open.pop(account_id, None)

    def add_wrappings(self, account_id: AccountId, wrappings: Sequence[NewWrapping]) -> None:
        """Add ways to unwrap the data key, durably; none to one that the server has. Errors: as `account_key`."""
        key = self.account_key(account_id)
        new = {(each.wrapping.kind, each.wrapping.mark): each for each in wrappings}

        def added(sealed: SealedKey) -> SealedKey:
            if not sealed.wraps:
                return sealed
            kept = tuple(each for each in sealed.wraps if (each.kind, each.mark) not in new)
            return SealedKey(
                sealed.public_key, (*kept, *(sealed_keys.wrap(each, key, account_id) for each in new.values()))
            )

        self._replace(account_id, added)

    def remove_wrappings(self, account_id: AccountId, wrappings: Sequence[Wrapping]) -> None:
        """Remove ways to unwrap the data key, but never all of them. Errors: as `account_key`."""
        gone = {(each.kind, each.mark, each.salt) for each in wrappings}

        def left(sealed: SealedKey) -> SealedKey:
            kept = tuple(each for each in sealed.wraps if (each.kind, each.mark, each.salt) not in gone)
            return SealedKey(sealed.public_key, kept or sealed.wraps)

        self._replace(account_id, left)

    def _replace(self, account_id: AccountId, change: Callable[[SealedKey], SealedKey]) -> None:
        """Change the key file, or make one for sealing; alone among threads and processes."""
        path = self._path(account_id)
        with translated_errors(), sealed_keys.changing(path):
            old = self.sealed_key(account_id) or SealedKey(b"", ())
            new = change(old)
            if new != old:
                sealed_keys.replace_file(path, sealed_keys.write_key_file(new, account_id, self._sealing))

    # within

    def _octets(self, account_id: AccountId) -> bytes:
        with translated_errors():
            try:
                return self._path(account_id).read_bytes()
            except FileNotFoundError:
                raise NoSuchAccount(account_id=account_id) from None

    def _wrapped(self, key: bytes, account_id: AccountId) -> bytes:
        nonce = secrets.token_bytes(NONCE_OCTETS)
        return WRAPPED_MARK + nonce + self._wrapping.encrypt(nonce, key, account_id.encode())

    def _path(self, account_id: AccountId) -> Path:
        # Ids come from the directory; still, nothing but an id may become part of a path (attack row 71).
        if not _ACCOUNT_ID.fullmatch(account_id):
            raise NoSuchAccount(account_id=account_id)
        return self._folder / account_id[:2] / f"{account_id}.key"

    def _check_mark(self, mark: bytes) -> None:
        """Refuse a master key that is not the one of these stores; at the first start, keep its mark."""
        path = self._folder / MASTER_MARK_FILE
        with translated_errors():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
                _write_new(unfinished, mark)
                with contextlib.suppress(FileExistsError):
                    os.link(unfinished, path)
                unfinished.unlink()
                sync_folder(self._folder)
                sync_folder(self._folder.parent)
            kept = path.read_bytes()
        if kept != mark:
            raise BadSettings(
                "The master key is not the one with which these stores were made. Give the right one by "
                "store.master_key_file or store.master_key; your backup should have it"
            )


def _not_unwrapped(account_id: AccountId) -> StoreDamaged:
    return StoreDamaged("The key of the account cannot be unwrapped", account_id=account_id)


def _write_new(path: Path, octets: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, octets)
    finally:
        os.close(descriptor)
    sync_file(path)
