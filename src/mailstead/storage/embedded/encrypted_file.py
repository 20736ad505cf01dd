"""Opening and making the encrypted files beside the accounts: directory, queue, memory, trace, reports."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import apsw

from mailstead.model.errors import StoreDamaged
from mailstead.storage.embedded import schema
from mailstead.storage.embedded.account_file import BUSY_LIMIT_MS, WAL_OCTETS_MAX, sync_folder, translated_errors

CACHE_KIB: Final = 2048
"""Of pages kept by a writing connection."""
CHECKPOINT_PAGES: Final = 1000
"""WAL length at which its pages are moved into the database."""


def connect(
    path: Path,
    key: bytes,
    migrations: tuple[str, ...],
    *,
    synchronous: str = "FULL",
    has_foreign_keys: bool = False,
    cache_kib: int = CACHE_KIB,
    vfs: str | None = None,
) -> apsw.Connection:
    """Open a file, made if it is not there, at the present schema version.

    `synchronous`: FULL, what is committed survives a power cut; NORMAL, it may lose the last commits.

    Errors: StoreDamaged (wrong master key, not ours, newer release), StorageUnavailable, StorageFull.
    """
    is_new = not path.exists()
    with translated_errors():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        db = apsw.Connection(str(path), vfs=vfs, statementcachesize=120)
        try:
            path.chmod(0o600)  # WAL and shared memory take over the mode
            _set_up(db, key, synchronous, cache_kib)
            db.pragma("foreign_keys", int(has_foreign_keys))
            schema.migrate(db, migrations)
            if is_new:
                sync_folder(path.parent)
        except (apsw.NotADBError, apsw.CorruptError) as error:
            db.close()
            raise StoreDamaged(f"The file {path.name} cannot be decrypted", cause=repr(error)) from error
        except BaseException:
            db.close()
            raise
    return db


def _set_up(db: apsw.Connection, key: bytes, synchronous: str, cache_kib: int) -> None:
    db.pragma("cipher", "chacha20")
    db.execute(f"PRAGMA key = 'raw:{key.hex()}'")
    db.set_busy_timeout(BUSY_LIMIT_MS)
    # Nothing in the file may run code or lead outside it (attack row 74).
    db.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)  # we have none; whoever has put one in has it in vain
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
    db.pragma("cell_size_check", 1)
    # Plans do not depend on the values bound; else SQLite plans anew at each call, which costs more than most calls.
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    if db.pragma("journal_mode") != "wal":
        db.pragma("journal_mode", "wal")
    db.pragma("synchronous", synchronous)
    db.pragma("temp_store", "MEMORY")
    db.pragma("secure_delete", 1)
    db.pragma("journal_size_limit", WAL_OCTETS_MAX)
    db.pragma("cache_size", -cache_kib)
    db.wal_autocheckpoint(CHECKPOINT_PAGES)


def faults(db: apsw.Connection) -> list[str]:
    """What SQLite finds wrong with the pages of a file, and what others have put in; nothing, as a rule."""
    return [*(str(text) for (text,) in db.execute("PRAGMA quick_check(20)") if text != "ok"), *strange_objects(db)]


def strange_objects(db: apsw.Connection) -> list[str]:
    """Triggers and views: we make none (attack row 74)."""
    found = db.execute("SELECT type, name FROM sqlite_schema WHERE type IN ('trigger', 'view')").fetchall()
    return [f"there is a {kind} {name!r}, which is not ours; it is not run" for kind, name in found]
