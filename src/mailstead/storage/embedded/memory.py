"""Facts that run out, in one encrypted file. Implements `ports.memory.Memory`.

Nothing is kept in the process's own memory, so what one process has written all others read. Of each kind there is a
bounded number of rows; beyond it those that run out first are forgotten early.
"""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import apsw

from mailstead.storage.embedded.moments import us_of
from mailstead.storage.embedded.rows import select, select_one, select_packed
from mailstead.storage.embedded.side_file import FileKind, SideFiles, SideTransaction

ROWS_PER_KIND_MAX: Final = 200_000
ROWS_PER_UNIT: Final = 5000
"""How many rows are removed in one unit, so that others are not held up."""

VERSION_1: Final = """
CREATE TABLE fact (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    until INTEGER NOT NULL,               -- microseconds since 1970
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX fact_until ON fact (kind, until);

CREATE TABLE counter (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX counter_until ON counter (kind, until);
"""

MIGRATIONS: Final[tuple[str, ...]] = (VERSION_1,)
"""Step n brings a file from version n to version n + 1."""

_TABLES: Final = ("fact", "counter")


class EmbeddedMemory:
    """Each verb is one unit of work of the file's writer thread, or one hop to a reader thread."""

    def __init__(self, files: SideFiles, rows_per_kind_max: int = ROWS_PER_KIND_MAX) -> None:
        self._file = files.open(FileKind("memory", MIGRATIONS))
        self._bounds = {table: _Bound(table, rows_per_kind_max) for table in _TABLES}

    async def recall(self, kind: str, keys: Sequence[str], now: datetime) -> dict[str, bytes]:
        """See `Memory.recall`."""

        def work(db: apsw.Connection) -> dict[str, bytes]:
            rows = select(
                db,
                "SELECT key, value FROM fact WHERE kind = ? AND key IN (SELECT value FROM json_each(?)) AND until > ?",
                (kind, json.dumps(list(keys)), us_of(now)),
            )
            return dict(rows)

        return await self._file.read(work)

    async def recall_all(self, kind: str, now: datetime) -> dict[str, bytes]:
        """See `Memory.recall_all`."""

        def work(db: apsw.Connection) -> dict[str, bytes]:
            rows = select_packed(
                db, "key, hex(value)", "FROM fact WHERE kind = ? AND until > ?", (kind, us_of(now)), "ORDER BY key"
            )
            return {key: bytes.fromhex(value) for key, value in rows}

        return await self._file.read(work)

    async def remember(self, kind: str, values: Mapping[str, bytes], until: datetime) -> None:
        """See `Memory.remember`."""

        def work(unit: SideTransaction) -> None:
            for key, value in values.items():
                _set(unit.db, kind, key, value, until)
            self._bounds["fact"].keep(unit.db, kind, len(values))

        await self._file.write(work, grows=True)

    async def remember_first(self, kind: str, key: str, value: bytes, now: datetime, until: datetime) -> bytes | None:
        """See `Memory.remember_first`."""

        def work(unit: SideTransaction) -> bytes | None:
            row = select_one(
                unit.db, "SELECT value FROM fact WHERE kind = ? AND key = ? AND until > ?", (kind, key, us_of(now))
            )
            if row is not None:
                there: bytes = row[0]
                return there
            _set(unit.db, kind, key, value, until)
            self._bounds["fact"].keep(unit.db, kind, 1)
            return None

        return await self._file.write(work, grows=True)

    async def count(self, kind: str, amounts: Mapping[str, int], now: datetime, until: datetime) -> dict[str, int]:
        """See `Memory.count`."""

        def work(unit: SideTransaction) -> dict[str, int]:
            sums = {key: _add(unit.db, kind, key, amount, now, until) for key, amount in amounts.items()}
            self._bounds["counter"].keep(unit.db, kind, len(sums))
            return sums

        return await self._file.write(work, grows=True)

    async def counts(self, kind: str, now: datetime) -> dict[str, int]:
        """See `Memory.counts`."""

        def work(db: apsw.Connection) -> dict[str, int]:
            rows = select_packed(
                db, "key, value", "FROM counter WHERE kind = ? AND until > ?", (kind, us_of(now)), "ORDER BY key"
            )
            return dict(rows)

        return await self._file.read(work)

    async def forget(self, kind: str, keys: Sequence[str] | None = None) -> None:
        """See `Memory.forget`."""

        def work(unit: SideTransaction) -> None:
            for table in _TABLES:
                if keys is None:
                    unit.db.execute(f"DELETE FROM {table} WHERE kind = ?", (kind,))
                else:
                    unit.db.execute(
                        f"DELETE FROM {table} WHERE kind = ? AND key IN (SELECT value FROM json_each(?))",
                        (kind, json.dumps(list(keys))),
                    )

        await self._file.write(work)

    async def expire(self, now: datetime) -> int:
        """See `Memory.expire`."""

        def work(unit: SideTransaction) -> int:
            return sum(_expire(unit.db, table, us_of(now)) for table in _TABLES)

        count = 0
        while some := await self._file.write(work):
            count += some
        return count


class _Bound:
    """Sees to it that a table does not hold many more rows of a kind than it may.

    Rows are counted only now and then: after as many additions by this process as make a hundredth of the bound.
    """

    def __init__(self, table: str, rows_max: int) -> None:
        self._table = table
        self._rows_max = rows_max
        self._slack = max(1, rows_max // 100)
        self._added: dict[str, int] = {}

    def keep(self, db: apsw.Connection, kind: str, added_count: int) -> None:
        """Note additions, and forget what is too much. In the writer thread."""
        added = self._added.get(kind, self._slack) + added_count  # the first time counts at once
        if added < self._slack:
            self._added[kind] = added
            return
        self._added[kind] = 0
        db.execute(
            f"DELETE FROM {self._table} WHERE kind = ?1 AND key IN"
            f" (SELECT key FROM {self._table} WHERE kind = ?1 ORDER BY until DESC LIMIT -1 OFFSET ?2)",
            (kind, self._rows_max),
        )


def _set(db: apsw.Connection, kind: str, key: str, value: bytes, until: datetime) -> None:
    db.execute("INSERT OR REPLACE INTO fact VALUES (?, ?, ?, ?)", (kind, key, value, us_of(until)))


def _add(db: apsw.Connection, kind: str, key: str, amount: int, now: datetime, until: datetime) -> int:
    """Add to a counter; one that has run out begins anew."""
    (value,) = select_one(
        db,
        "INSERT INTO counter VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET"
        " value = CASE WHEN until > ?5 THEN value + ?3 ELSE ?3 END, until = CASE WHEN until > ?5 THEN until ELSE ?4 END"
        " RETURNING value",
        (kind, key, amount, us_of(until), us_of(now)),
    )
    return int(value)


def _expire(db: apsw.Connection, table: str, now: int) -> int:
    """Remove some rows that have run out, kind by kind; each kind costs one descent of the index."""
    count = 0
    (kind,) = select_one(db, f"SELECT min(kind) FROM {table}")
    while kind is not None and count < ROWS_PER_UNIT:
        db.execute(
            f"DELETE FROM {table} WHERE kind = ?1 AND key IN"
            f" (SELECT key FROM {table} WHERE kind = ?1 AND until <= ?2 LIMIT ?3)",
            (kind, now, ROWS_PER_UNIT - count),
        )
        count += db.changes()
        (kind,) = select_one(db, f"SELECT min(kind) FROM {table} WHERE kind > ?", (kind,))
    return count
