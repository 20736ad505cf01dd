"""Figures by hour and by day in one encrypted file. Implements `ports.statistics.Statistics`.

The file is not synced at each commit (synchronous=NORMAL): a power cut may lose the last minutes, never the file.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import apsw

from mailstead.model.statistics import Amounts, Span
from mailstead.storage.embedded.moments import moment_of, us_of
from mailstead.storage.embedded.rows import select_packed
from mailstead.storage.embedded.side_file import FileKind, SideFiles, SideTransaction

VERSION_1: Final = """
CREATE TABLE figure (
    span TEXT NOT NULL,                   -- hour or day
    begins_at INTEGER NOT NULL,           -- microseconds since 1970
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (span, begins_at, name)
) STRICT, WITHOUT ROWID;
"""

MIGRATIONS: Final[tuple[str, ...]] = (VERSION_1,)
"""Step n brings a file from version n to version n + 1."""

_SPAN_US: Final = {Span.HOUR: 3_600_000_000, Span.DAY: 86_400_000_000}
_INSERT: Final = "INSERT INTO figure VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = "
_ADDING: Final = f"{_INSERT} value + excluded.value"
_HIGHEST: Final = f"{_INSERT} max(value, excluded.value)"
_LATEST: Final = f"{_INSERT} excluded.value"
_SUFFIXES: Final = (".db", ".db-wal")


class EmbeddedStatistics:
    """Each verb is one unit of work of the file's writer thread, or one hop to a reader thread."""

    def __init__(self, files: SideFiles) -> None:
        self._file = files.open(FileKind("statistics", MIGRATIONS, synchronous="NORMAL"))
        self._data_dir = files.data_dir

    async def record(self, at: datetime, amounts: Amounts) -> None:
        """See `Statistics.record`."""
        told = ((_ADDING, amounts.added), (_HIGHEST, amounts.highest), (_LATEST, amounts.latest))

        def work(unit: SideTransaction) -> None:
            for span in Span:
                begins_at = us_of(at) // _SPAN_US[span] * _SPAN_US[span]
                for statement, values in told:
                    unit.db.executemany(statement, [(span.value, begins_at, *pair) for pair in values.items()])

        await self._file.write(work, grows=True)

    async def read(self, span: Span, since: datetime) -> dict[datetime, Mapping[str, int]]:
        """See `Statistics.read`."""

        def work(db: apsw.Connection) -> list[tuple[int, str, int]]:
            rest = "FROM figure WHERE span = ? AND begins_at >= ?"
            return select_packed(db, "begins_at, name, value", rest, (span.value, us_of(since)))

        found: dict[datetime, dict[str, int]] = {}
        for begins_at, name, value in await self._file.read(work):
            found.setdefault(moment_of(begins_at), {})[name] = value
        return dict(found)

    async def expire(self, span: Span, before: datetime) -> int:
        """See `Statistics.expire`."""

        def work(unit: SideTransaction) -> int:
            unit.db.execute("DELETE FROM figure WHERE span = ? AND begins_at < ?", (span.value, us_of(before)))
            return unit.db.changes()

        return await self._file.write(work)

    async def store_octets(self) -> int:
        """See `Statistics.store_octets`."""
        return await asyncio.to_thread(lambda: sum(_sizes(self._data_dir)))


def _sizes(folder: Path) -> Iterator[int]:
    """Give the sizes of the stores at the top of the data folder and of the accounts'; one that goes is not there."""
    for place in (folder, folder / "accounts"):
        for at, folders, names in os.walk(place):
            if at == str(folder):
                folders.clear()
            for name in names:
                if name.endswith(_SUFFIXES):
                    try:
                        yield (Path(at) / name).stat().st_size
                    except FileNotFoundError:
                        continue
