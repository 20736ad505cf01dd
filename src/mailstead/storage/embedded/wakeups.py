"""Which account has something to do when, in one encrypted file. Implements `ports.wakeups.Wakeups`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import apsw

from mailstead.model.ids import AccountId
from mailstead.ports.wakeups import Wakeup
from mailstead.storage.embedded.moments import moment_of, moment_or_none, us_of
from mailstead.storage.embedded.rows import select, select_one
from mailstead.storage.embedded.side_file import FileKind, SideFiles, SideTransaction

VERSION_1: Final = """
CREATE TABLE wakeup (
    account_id TEXT NOT NULL,
    key TEXT NOT NULL,
    due_at INTEGER NOT NULL,              -- microseconds since 1970
    PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX wakeup_by_due ON wakeup (due_at);
"""

MIGRATIONS: Final[tuple[str, ...]] = (VERSION_1,)
"""Step n brings a file from version n to version n + 1."""


class EmbeddedWakeups:
    """Each verb is one unit of work of the file's writer thread, or one hop to a reader thread."""

    def __init__(self, files: SideFiles) -> None:
        self._file = files.open(FileKind("wakeups", MIGRATIONS))

    async def note(self, account_id: AccountId, key: str, due_at: datetime) -> None:
        """See `Wakeups.note`."""

        def work(unit: SideTransaction) -> None:
            unit.db.execute("INSERT OR REPLACE INTO wakeup VALUES (?, ?, ?)", (account_id, key, us_of(due_at)))

        await self._file.write(work, grows=True, wakes=True)

    async def due(self, now: datetime, limit: int) -> Sequence[Wakeup]:
        """See `Wakeups.due`."""

        def read(db: apsw.Connection) -> list[Wakeup]:
            rows = select(
                db,
                "SELECT account_id, key, due_at FROM wakeup WHERE due_at <= ? ORDER BY due_at LIMIT ?",
                (us_of(now), limit),
            )
            return [Wakeup(AccountId(account_id), key, moment_of(due_at)) for account_id, key, due_at in rows]

        return await self._file.read(read)

    async def next_due_at(self) -> datetime | None:
        """See `Wakeups.next_due_at`."""

        def read(db: apsw.Connection) -> datetime | None:
            (due_at,) = select_one(db, "SELECT min(due_at) FROM wakeup")
            return moment_or_none(due_at)

        return await self._file.read(read)

    async def settle(self, wakeup: Wakeup, again_at: datetime | None = None) -> bool:
        """See `Wakeups.settle`."""
        known = (wakeup.account_id, wakeup.key, us_of(wakeup.due_at))

        def work(unit: SideTransaction) -> bool:
            if again_at is None:
                unit.db.execute("DELETE FROM wakeup WHERE account_id = ? AND key = ? AND due_at = ?", known)
            else:
                unit.db.execute(
                    "UPDATE wakeup SET due_at = ? WHERE account_id = ? AND key = ? AND due_at = ?",
                    (us_of(again_at), *known),
                )
            return unit.db.changes() > 0

        return await self._file.write(work)

    async def forget(self, account_id: AccountId) -> None:
        """See `Wakeups.forget`."""

        def work(unit: SideTransaction) -> None:
            unit.db.execute("DELETE FROM wakeup WHERE account_id = ?", (account_id,))

        await self._file.write(work)
