"""Opening and making the directory's file."""

from pathlib import Path

import apsw

from mailstead.model.errors import MailsteadError, StoreDamaged
from mailstead.storage.embedded import directory_schema, schema
from mailstead.storage.embedded.account_file import BUSY_LIMIT_MS, sync_folder, translated
from mailstead.storage.embedded.keys import derived_key


def connect(path: Path, master: bytes) -> apsw.Connection:
    """Open the file, made if it is not there, at the present schema version.

    Errors: StoreDamaged (wrong master key, not ours, newer release), StorageUnavailable, StorageFull.
    """
    is_new = not path.exists()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        db = apsw.Connection(str(path))
        try:
            path.chmod(0o600)
            _set_up(db, derived_key(master, "directory"))
            schema.migrate(db, directory_schema.MIGRATIONS)
            if is_new:
                sync_folder(path.parent)
        except BaseException:
            db.close()
            raise
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise StoreDamaged("The directory cannot be decrypted", path=str(path), cause=repr(error)) from error
    except MailsteadError:
        raise
    except (apsw.Error, OSError) as error:
        raise translated(error) from error
    return db


def _set_up(db: apsw.Connection, key: bytes) -> None:
    db.pragma("cipher", "chacha20")
    db.execute(f"PRAGMA key = 'raw:{key.hex()}'")
    db.set_busy_timeout(BUSY_LIMIT_MS)
    # Nothing in the file may run code or lead outside it (attack row 74).
    db.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    db.pragma("cell_size_check", 1)
    if db.pragma("journal_mode") != "wal":
        db.pragma("journal_mode", "wal")
    db.pragma("synchronous", "FULL")
    db.pragma("foreign_keys", 1)
    db.pragma("temp_store", "MEMORY")
    db.pragma("secure_delete", 1)
