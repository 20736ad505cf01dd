"""The secret shared with the TURN server, where no setting gives one: made by chance, kept in the data folder.

It is text, so that it can be put into the TURN server's own settings.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from mailstead.model.errors import BadSettings
from mailstead.model.secret import Secret
from mailstead.storage.embedded.account_file import sync_folder

FILE_NAME: Final = "turn.secret"


def turn_secret(data_dir: Path, given: Secret) -> bytes:
    """Give the secret: from the setting, from its file, or made now. Errors: BadSettings.

    Effects: may make the file, mode 0600; of two processes at once, one makes it and both use it.
    """
    if given:
        return given.reveal().encode()
    path = data_dir / FILE_NAME
    try:
        if not path.exists():
            _make(path)
        found = path.read_bytes().strip()
    except OSError as error:
        raise BadSettings(
            f"The file {path} cannot be read or made: {error.strerror}. Give the secret by chatmail.turn_secret"
        ) from error
    if not found:
        raise BadSettings(f"The file {path} is empty; remove it, and a new secret is made")
    return found


def _make(path: Path) -> None:
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(32).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(unfinished, path)  # fails if another process was first, where rename would not
        except FileExistsError:
            return
        sync_folder(path.parent)
    finally:
        unfinished.unlink()
