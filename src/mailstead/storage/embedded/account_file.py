"""Opening and making the encrypted file of one account.

The cipher covers every page of the database, its WAL and its temporary files; a wrong key or a changed page is refused
on reading (chacha20 and aegis carry an authentication tag in each page).
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import apsw

from mailstead.model.errors import (
    MailsteadError,
    NoSuchAccount,
    StorageFull,
    StorageUnavailable,
    StoreDamaged,
    TryAgainLater,
)
from mailstead.model.ids import AccountId
from mailstead.storage.embedded import schema

CIPHERS: Final = ("chacha20", "aegis")
PAGE_OCTETS: Final = 4096
"""Measured in docs/adr/0006."""
BUSY_LIMIT_MS: Final = 10_000
"""How long a writer waits for a writer of another process."""
WRITER_CACHE_KIB: Final = 128
"""Of pages kept by a writing connection; 512 made no append quicker, and cost 40 MB with 100 accounts open."""
READER_CACHE_KIB: Final = 256
CHECKPOINT_PAGES: Final = 500
"""WAL length at which its pages are moved into the database. A move costs two more syncs, but a WAL that is written
again from its start costs the file system less than one that grows: 500 was the quickest of 200 to 2,000 (ADR 0006)."""
WAL_OCTETS_MAX: Final = 16 * 1024 * 1024
"""A longer WAL is cut back to this when it starts anew."""


def account_path(data_dir: Path, account_id: AccountId) -> Path:
    """Give the place of an account's file; 256 folders keep each of them small."""
    return data_dir / "accounts" / account_id[:2] / f"{account_id}.db"


def account_ids(data_dir: Path) -> list[AccountId]:
    """All accounts that have a file."""
    return [AccountId(path.stem) for path in sorted((data_dir / "accounts").glob("??/*.db"))]


def connect(path: Path, key: bytes, *, vfs: str | None = None, cache_kib: int = READER_CACHE_KIB) -> apsw.Connection:
    """Open an existing file and bring it to the present schema.

    Errors: NoSuchAccount, StoreDamaged (wrong key, not ours, newer release), StorageUnavailable.
    """
    if not path.exists():
        raise NoSuchAccount(path=str(path))
    with translated_errors():
        # A file does not say its cipher; the default is tried first, and a miss costs a tenth of a millisecond.
        for cipher in CIPHERS:
            db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs, statementcachesize=120)
            try:
                _set_up(db, cipher, key, cache_kib)
                schema.migrate(db)
            except apsw.NotADBError:
                db.close()
                continue
            except BaseException:
                db.close()
                raise
            return db
    raise StoreDamaged("The store cannot be decrypted", path=str(path))


def create(path: Path, key: bytes, account_id: AccountId, cipher: str, *, vfs: str | None = None) -> None:
    """Make the file with its tables and its one account row, synced, under its name at once or not at all."""
    with translated_errors():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = path.with_suffix(".new")
        _remove(unfinished)
        db = apsw.Connection(str(unfinished), vfs=vfs)
        try:
            unfinished.chmod(0o600)  # WAL and shared memory take over the mode
            db.pragma("page_size", PAGE_OCTETS)
            _set_up(db, cipher, key, WRITER_CACHE_KIB)
            schema.migrate(db)
            db.execute(
                "INSERT INTO account VALUES (?, 1, 0, 0, 0, NULL, NULL, 0, 1, 0, ?, 0, 0, 0)",
                (account_id, secrets.token_bytes(16)),
            )
        finally:
            db.close()  # the last connection moves the WAL into the database and removes it
        sync_file(unfinished)
        unfinished.rename(path)
        for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
            sync_folder(folder)


def remove(path: Path) -> None:
    """Remove the file and what lies beside it, durably."""
    with translated_errors():
        _remove(path)
        if path.parent.exists():
            sync_folder(path.parent)


def _set_up(db: apsw.Connection, cipher: str, key: bytes, cache_kib: int) -> None:
    db.pragma("cipher", cipher)
    # A raw key: no passphrase, hence no key derivation at each opening.
    db.execute(f"PRAGMA key = 'raw:{key.hex()}'")
    db.set_busy_timeout(BUSY_LIMIT_MS)
    # Nothing in a file may run code or lead outside it (attack row 74).
    db.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)  # we have none; whoever has put one in has it in vain
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
    db.pragma("cell_size_check", 1)
    if db.pragma("journal_mode") != "wal":
        db.pragma("journal_mode", "wal")
    db.pragma("synchronous", "FULL")
    db.pragma("temp_store", "MEMORY")
    db.pragma("secure_delete", 1)
    db.pragma("journal_size_limit", WAL_OCTETS_MAX)
    db.pragma("cache_size", -cache_kib)
    db.wal_autocheckpoint(CHECKPOINT_PAGES)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(str(path) + suffix).unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Bring a file's octets to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Bring a folder's entries to the disk: a synced file in an unsynced folder can be lost."""
    sync_file(path)


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what SQLite and the operating system say into words of the house."""
    try:
        yield
    except (apsw.Error, OSError) as error:
        raise translated(error) from error


def translated(error: Exception) -> MailsteadError:
    """Give the house's word for an error of SQLite or the operating system."""
    match error:
        case MailsteadError():
            return error
        case apsw.FullError():
            return StorageFull(cause=repr(error))
        case apsw.IOError() if getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE:
            # A disk so full that there is no room for the index of the WAL.
            return StorageFull(cause=repr(error))
        case apsw.CorruptError() | apsw.NotADBError():
            return StoreDamaged(cause=repr(error))
        case apsw.InterruptError():
            return TryAgainLater("That took too long", cause=repr(error))
        case OSError(errno=28 | 122):  # ENOSPC, EDQUOT
            return StorageFull(cause=repr(error))
        case _:
            return StorageUnavailable(cause=repr(error))
