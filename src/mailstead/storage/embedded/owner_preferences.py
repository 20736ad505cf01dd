"""`ports.preferences.OwnerPreferences` in the directory's file."""

from __future__ import annotations

from collections.abc import Callable

import apsw
import msgspec

from mailstead.model.preferences import Preferences
from mailstead.storage.embedded.directory import EmbeddedDirectory
from mailstead.storage.embedded.rows import select_one


class EmbeddedOwnerPreferences:
    """Remembered by the directory, as each page asks for them."""

    def __init__(self, directory: EmbeddedDirectory) -> None:
        self._directory = directory

    async def preferences(self, owner: str) -> Preferences:
        """See `OwnerPreferences.preferences`."""
        return await self._directory.recall(("preferences", owner), _read, owner)

    async def change(self, owner: str, change: Callable[[Preferences], Preferences]) -> Preferences:
        """See `OwnerPreferences.change`."""
        return await self._directory.change(_change, owner, change)


def _read(db: apsw.Connection, owner: str) -> Preferences:
    row = select_one(db, "SELECT octets FROM owner_preference WHERE owner = ?", (owner,))
    return Preferences() if row is None else msgspec.json.decode(row[0], type=Preferences)


def _change(db: apsw.Connection, owner: str, change: Callable[[Preferences], Preferences]) -> Preferences:
    changed = change(_read(db, owner))
    db.execute("INSERT OR REPLACE INTO owner_preference VALUES (?, ?)", (owner, msgspec.json.encode(changed)))
    return changed
