"""Opening and making the directory's file."""

from pathlib import Path

import apsw

from mailstead.storage.embedded import directory_schema, encrypted_file
from mailstead.storage.embedded.keys import derived_key


def connect(path: Path, master: bytes) -> apsw.Connection:
    """Open the file, made if it is not there. Errors: as `encrypted_file.connect`."""
    key = derived_key(master, "directory")
    return encrypted_file.connect(path, key, directory_schema.MIGRATIONS, has_foreign_keys=True)
