"""The files of a data folder as they are at one moment each, copied while others write to them.

A database is copied as it lies there, encrypted pages and write-ahead log; so what has not changed is equal, octet by
octet, from one copy to the next. A read transaction is held meanwhile. With it SQLite's checkpoints move no page into
the database that is newer than the reader's moment, so database and log together always give a committed state:

- The reader began behind the last checkpoint: the log cannot begin anew while it reads, and whatever is moved into the
  database is also in the log that is copied after it.
- The reader began when all of the log was in the database: then nothing is moved into the database at all. Writers may
  begin the log anew, once; a copy that had begun before is made again, as old and new frames must not mix.

Of a sealed account that is locked here nobody can hold a read transaction. Most of these are open nowhere, so nothing
moves. Where another process has opened one, its checkpoints show in the database's time: a copy during which nothing
was moved into the database is as good as one under a read transaction (the log is always copied behind it), another one
is made again.

Spec: "Write-Ahead Logging" and "WAL-mode File Format" of SQLite's documentation.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import apsw

from mailstead.model.errors import AccountLocked, NoSuchAccount, StorageUnavailable, StoreDamaged
from mailstead.model.ids import AccountId
from mailstead.ports.backup import SCRATCH_FOLDER, NoSuchStore, Piece, StoreMoved
from mailstead.ports.clock import Clock
from mailstead.storage.embedded.account_file import BUSY_LIMIT_MS, CIPHERS, translated_errors
from mailstead.storage.embedded.account_keys import AccountKeys
from mailstead.storage.embedded.keys import derived_key

FIRST: Final = (
    "directory.db",
    "queue.db",
    "memory.db",
    "trace.db",
    "reports.db",
    "emails.db",
    "imports.db",
    "sealed.db",
    "statistics.db",
    "wakeups.db",
)
"""The directory speaks of accounts; what the queue has not sent yet must not be missing, rather sent twice; what waits
for sealed accounts must not be missing either, and is never taken in twice."""
SETTLED_S: Final = 0.1
"""A database that was written to so long ago shows by its time when it is written to again."""
UNSURE_S: Final = 2.0
"""A file written to just now may be written to again within one tick of the file system's clock."""
_ACCOUNTS: Final = "accounts/"
_NOT_COPIED: Final = ("-wal", "-shm", ".lock", ".new")
_LOG_HEADER_OCTETS: Final = 32
_LOG_TRIES: Final = 3


class FileStores:
    """Implements `ports.backup.Stores` for a data folder."""

    def __init__(
        self, data_dir: Path, master: bytes, keys: AccountKeys, clock: Clock, secrets: Mapping[str, bytes]
    ) -> None:
        self._folder = data_dir
        self._master = master
        self._keys = keys
        self._clock = clock
        self._secrets = dict(secrets)

    def names(self) -> Sequence[str]:
        """See `ports.backup.Stores`: the directory first, small files, then accounts."""
        with translated_errors():
            found = {path.relative_to(self._folder).as_posix() for path in _plain_files(self._folder)}
        first = [name for name in FIRST if name in found]
        rest = sorted(found - set(first), key=lambda name: (name.startswith(_ACCOUNTS), name))
        return [*first, *rest]

    def signature(self, name: str) -> str:
        """See `ports.backup.Stores`."""
        path = self._folder / name
        try:
            status = path.stat()
        except OSError:
            raise NoSuchStore(name) from None
        changed_s, told = status.st_mtime, f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"
        try:
            log = path.with_name(f"{path.name}-wal").stat()
        except OSError:
            log = None
        if log is not None and log.st_size:
            changed_s, told = max(changed_s, log.st_mtime), f"{told} {log.st_size} {log.st_mtime_ns}"
        return told if changed_s + UNSURE_S < self._clock.now().timestamp() else ""

    def pieces(self, name: str, size_octets: int) -> Iterator[Piece]:
        """See `ports.backup.Stores`."""
        path = self._folder / name
        if not _is_store(name):
            yield from _read(path, "", size_octets)
            return
        with self._still(path, name):
            yield from _read(path, "", size_octets)
            log = _log(path.with_name(f"{path.name}-wal"))
            for at in range(0, len(log), size_octets):
                yield Piece("-wal", log[at : at + size_octets])

    def _still(self, path: Path, name: str) -> AbstractContextManager[None]:
        """See to it that a copy is one committed state. Errors: those of `_held` and `_watched`."""
        try:
            return _held(path, self._key(name))
        except AccountLocked:
            return _watched(path)

    def secrets(self) -> Mapping[str, bytes]:
        """See `ports.backup.Stores`."""
        return self._secrets

    def _key(self, name: str) -> bytes:
        stem = Path(name).stem
        if not name.startswith(_ACCOUNTS):
            return derived_key(self._master, stem)
        try:
            return self._keys.account_key(AccountId(stem))
        except NoSuchAccount:
            raise NoSuchStore(name) from None


def _is_store(name: str) -> bool:
    return name in FIRST or name.startswith(_ACCOUNTS)


def _plain_files(folder: Path) -> Iterator[Path]:
    for at, folders, names in os.walk(folder):
        if Path(at) == folder:
            folders[:] = [name for name in folders if name != SCRATCH_FOLDER]
        for name in names:
            path = Path(at) / name
            if not name.endswith(_NOT_COPIED) and stat.S_ISREG(path.lstat().st_mode):
                yield path


@contextmanager
def _watched(path: Path) -> Iterator[None]:
    """Look whether anything is moved into a database meanwhile. Errors: NoSuchStore; StoreMoved, at the end."""
    before = _state(path)
    if 0 <= time.time() - before[0] / 1e9 < SETTLED_S:
        time.sleep(SETTLED_S)  # in the thread of the backup: nothing tells of a quiet moment
        before = _state(path)
    yield
    if _state(path) != before:
        raise StoreMoved(path.name)


def _state(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        raise NoSuchStore(path.name) from None
    return status.st_mtime_ns, status.st_size, status.st_ino


@contextmanager
def _held(path: Path, key: bytes) -> Iterator[None]:
    """Hold a read transaction. Errors: NoSuchStore, StoreDamaged, StorageUnavailable."""
    if not path.exists():
        raise NoSuchStore(path.name)
    with translated_errors():
        db = _reading(path, key)
        try:
            yield
        finally:
            db.execute("ROLLBACK")
            db.close()


def _reading(path: Path, key: bytes) -> apsw.Connection:
    for cipher in CIPHERS:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            db.pragma("cipher", cipher)
            db.execute(f"PRAGMA key = 'raw:{key.hex()}'")
            db.set_busy_timeout(BUSY_LIMIT_MS)
            db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # a copy changes nothing
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # only reading begins the transaction
        except apsw.NotADBError:
            db.close()
            continue
        except BaseException:
            db.close()
            raise
        return db
    raise StoreDamaged("The store cannot be decrypted", path=str(path))


def _read(path: Path, part: str, size_octets: int) -> Iterator[Piece]:
    try:
        with path.open("rb") as file:
            octets = file.read(size_octets)
            yield Piece(part, octets)  # an empty file is a file
            while len(octets) == size_octets and (octets := file.read(size_octets)):
                yield Piece(part, octets)
    except FileNotFoundError:
        raise NoSuchStore(path.name) from None
    except OSError as error:
        raise StorageUnavailable(f"{path.name} cannot be read: {error.strerror}", path=str(path)) from None


def _log(path: Path) -> bytes:
    """Give the write-ahead log, of which frames of one generation only; nothing, where there is none."""
    for _ in range(_LOG_TRIES):
        try:
            with path.open("rb") as file:
                octets = file.read(os.fstat(file.fileno()).st_size)
                file.seek(0)
                if file.read(_LOG_HEADER_OCTETS) == octets[:_LOG_HEADER_OCTETS]:
                    return octets
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise StorageUnavailable(f"{path.name} cannot be read: {error.strerror}", path=str(path)) from None
    raise StorageUnavailable(f"{path.name} was begun anew again and again", path=str(path))
