"""The trace in one encrypted file. Implements `ports.trace.Trace`.

Events gather in memory and are written by the file's writer thread, many in one statement. The file is not synced at
each commit (synchronous=NORMAL): a power cut may lose the last events, never the file.
"""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

import apsw
import msgspec

from mailstead.model.trace import TraceEvent, TraceQuery
from mailstead.storage.embedded.moments import moment_of, us_of
from mailstead.storage.embedded.rows import select_one, select_packed
from mailstead.storage.embedded.side_file import FileKind, SideFiles, SideTransaction
from mailstead.telemetry import log, metrics

FLUSH_S: Final = 0.2
"""How long an event waits at most before it is on its way to the file."""
FLUSH_EVENTS: Final = 500
"""As many are written without waiting for more."""
BATCH_EVENTS_MAX: Final = 2000
WAITING_MAX: Final = 20_000
"""More events in memory than this, and the oldest are dropped."""
TEXT_CHARACTERS_MAX: Final = 1000
"""Longer texts are cut: replies and reasons may hold what others say."""
COMMON_EVENTS: Final = 20_000
"""An address (or domain) in more events than this is looked for by time, not by its index."""
EVENTS_PER_UNIT: Final = 10_000
"""How many old events are removed in one unit, so that new ones are not held up."""

VERSION_1: Final = """
CREATE TABLE event (
    event_id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,                  -- microseconds since 1970
    queue_id TEXT NOT NULL,
    direction TEXT NOT NULL,
    step TEXT NOT NULL,
    decision TEXT NOT NULL,
    reason TEXT NOT NULL,
    mail_from TEXT NOT NULL,
    recipient TEXT NOT NULL,
    message_id TEXT NOT NULL,
    peer TEXT NOT NULL,
    reply TEXT NOT NULL,
    domain TEXT NOT NULL,
    sender_key TEXT,                      -- domain@local-part, folded: one index finds addresses and whole domains
    recipient_key TEXT
) STRICT;
CREATE INDEX event_at ON event (at);
CREATE INDEX event_queue_id ON event (queue_id);
CREATE INDEX event_message_id ON event (message_id) WHERE message_id <> '';
CREATE INDEX event_sender ON event (sender_key) WHERE sender_key IS NOT NULL;
CREATE INDEX event_recipient ON event (recipient_key) WHERE recipient_key IS NOT NULL;
"""

MIGRATIONS: Final[tuple[str, ...]] = (VERSION_1,)
"""Step n brings a file from version n to version n + 1."""

_TEXTS: Final = TraceEvent._fields[1:]
"""All but the time."""
_COLUMNS: Final = ("at", *_TEXTS, "sender_key", "recipient_key")
_INSERT: Final = (
    f"INSERT INTO event ({', '.join(_COLUMNS)}) SELECT "
    + ", ".join(f"value ->> {position}" for position in range(len(_COLUMNS)))
    + " FROM json_each(?)"
)
_BETWEEN: Final = "SELECT event_id FROM event WHERE {0} IS NOT NULL AND {0} >= :first AND {0} < :behind"
_OF_ADDRESS: Final = f"{_BETWEEN.format('sender_key')} UNION {_BETWEEN.format('recipient_key')}"
_encode = msgspec.json.Encoder().encode
_log = log.get("trace")


class EmbeddedTrace:
    """`record` is called on the event loop and only appends to a deque; writing goes on behind it."""

    def __init__(self, files: SideFiles) -> None:
        self._file = files.open(FileKind("trace", MIGRATIONS, synchronous="NORMAL"))
        self._waiting: deque[TraceEvent] = deque()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None

    def record(self, event: TraceEvent) -> None:
        """See `Trace.record`."""
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.popleft()
            metrics.TRACE_DROPPED.inc()
        self._waiting.append(event)
        if self._flushing is None:
            self._plan()

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._flushing is None and self._waiting:
            self._flushing = self._loop.create_task(self._write(len(self._waiting)))

    async def _write(self, count: int) -> None:
        """Write the oldest events, then see to those that have come meanwhile."""
        while count > 0:
            batch = [self._waiting.popleft() for _ in range(min(count, BATCH_EVENTS_MAX, len(self._waiting)))]
            count -= BATCH_EVENTS_MAX
            try:
                await self._file.write(partial(_insert, batch), grows=True)
            except Exception as error:  # noqa: BLE001 - whatever it is, mail goes on
                metrics.TRACE_DROPPED.inc(len(batch))
                _log.warning("trace events lost", count=len(batch), cause=repr(error))
        self._flushing = None
        if self._waiting:
            self._plan()

    def _plan(self) -> None:
        if len(self._waiting) >= FLUSH_EVENTS:
            self._start()
        elif self._timer is None:
            self._timer = self._loop.call_later(FLUSH_S, self._start)

    async def flush(self) -> None:
        """Wait until all that was recorded before is in the file, or dropped."""
        for _ in range(2):  # what is under way, then what waits
            self._start()
            if self._flushing is not None:
                await asyncio.shield(self._flushing)

    async def close(self) -> None:
        """Write what waits; the file is closed by `SideFiles`."""
        await self.flush()
        if self._timer is not None:
            self._timer.cancel()

    async def search(self, query: TraceQuery) -> list[TraceEvent]:
        """See `Trace.search`."""
        await self.flush()
        return await self._file.read(lambda db: _search(db, query))

    async def expire(self, before: datetime) -> int:
        """See `Trace.expire`."""

        def work(unit: SideTransaction) -> int:
            unit.db.execute(
                "DELETE FROM event WHERE event_id IN (SELECT event_id FROM event WHERE at < ? ORDER BY at LIMIT ?)",
                (us_of(before), EVENTS_PER_UNIT),
            )
            return unit.db.changes()

        count = 0
        while some := await self._file.write(work):
            count += some
        return count


def _insert(events: Sequence[TraceEvent], unit: SideTransaction) -> None:
    """Write events by one statement, during which other threads run on."""
    rows = [_row(event, _cut) for event in events]
    try:
        packed = _encode(rows)
    except UnicodeEncodeError:  # somebody has said what is no UTF-8
        packed = _encode([_row(event, _cleaned) for event in events])
    unit.db.execute(_INSERT, (packed.decode(),))


def _row(event: TraceEvent, text_of: Callable[[str], str]) -> tuple[int | str | None, ...]:
    texts = [text_of(text) for text in event[1:]]
    return (us_of(event.at), *texts, _key(text_of(event.mail_from)), _key(text_of(event.recipient)))


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARACTERS_MAX else text[: TEXT_CHARACTERS_MAX - 1] + "…"


def _cleaned(text: str) -> str:
    return _cut(text).encode("utf-8", "replace").decode()


def _key(address: str) -> str | None:
    """Give an address as it is looked for: domain first, so that those of a domain are neighbours."""
    local_part, at, domain = address.casefold().rpartition("@")
    return f"{domain}@{local_part}" if at else None


def _key_range(address: str) -> tuple[str, str]:
    """Give the first key that is wanted and the first behind them; ``@domain`` means all of a domain."""
    key = _key(address) or ""
    return (key, key[:-1] + "A") if address.startswith("@") else (key, key + "\0")  # A comes after @


def statement(query: TraceQuery, *, is_common: bool = False) -> tuple[str, dict[str, str | int]]:
    """Give the statement that finds events, newest first, and its values by name.

    `is_common`: the address is in so many events that going back in time finds enough of them soon, while gathering and
    sorting them all would take long.
    """
    conditions: list[str] = []
    values: dict[str, str | int] = {"limit": query.limit}
    if query.queue_id:
        conditions.append("queue_id = :queue_id")
        values["queue_id"] = query.queue_id
    if query.message_id:
        bare = query.message_id.strip().removeprefix("<").removesuffix(">")
        conditions.append("message_id <> '' AND message_id IN (:message_id, '<' || :message_id || '>')")
        values["message_id"] = bare
    if query.address:
        values["first"], values["behind"] = _key_range(query.address)
        if not is_common:
            conditions.append(f"event_id IN ({_OF_ADDRESS})")
    # Where something else narrows the search, the index of moments must not be chosen for the sake of the order.
    at = "+at" if conditions else "at"
    if is_common:
        between = "(+{0} >= :first AND +{0} < :behind)"
        conditions.append(f"({between.format('sender_key')} OR {between.format('recipient_key')})")
    if query.since is not None:
        conditions.append(f"{at} >= :since")
        values["since"] = us_of(query.since)
    if query.until is not None:
        conditions.append(f"{at} < :until")
        values["until"] = us_of(query.until)
    where = " AND ".join(conditions) or "1"
    return f"SELECT * FROM event WHERE {where} ORDER BY {at} DESC, event_id DESC LIMIT :limit", values


def _is_common(db: apsw.Connection, query: TraceQuery) -> bool:
    """Whether an address, asked for alone, is in so many events that they are better looked for by time."""
    if not query.address or query.queue_id or query.message_id:
        return False
    first, behind = _key_range(query.address)
    (count,) = select_one(
        db,
        f"SELECT count(*) FROM ({_OF_ADDRESS.replace('UNION', 'UNION ALL')} LIMIT :limit)",
        {"first": first, "behind": behind, "limit": COMMON_EVENTS},
    )
    return bool(count >= COMMON_EVENTS)


def _search(db: apsw.Connection, query: TraceQuery) -> list[TraceEvent]:
    sql, values = statement(query, is_common=_is_common(db, query))
    rows = select_packed(
        db, f"at, {', '.join(_TEXTS)}", f"FROM ({sql})", values, order="ORDER BY at DESC, event_id DESC"
    )
    return [TraceEvent(moment_of(us), *texts) for us, *texts in rows]
