"""Lanes: which destinations are ready, and when. See `queue_schema`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import apsw

from mailstead.storage.embedded.rows import select, select_one


class Lane(NamedTuple):
    """What waits for one destination at one priority."""

    destination: str
    priority: int


class ReadyLane(NamedTuple):
    """A lane of which something may be leased, and how many leases its destination has room for."""

    lane: Lane
    room: int


def join(db: apsw.Connection, lane: Lane, due_at: int) -> None:
    """Note that a recipient has come into a lane, due at that moment."""
    db.execute(
        "INSERT INTO lane VALUES (?1, ?2, max(?3, ifnull((SELECT not_before FROM destination WHERE key = ?1), 0)))"
        " ON CONFLICT DO UPDATE SET ready_at = excluded.ready_at WHERE ready_at > excluded.ready_at",
        (lane.destination, lane.priority, due_at),
    )


def refresh(db: apsw.Connection, lane: Lane) -> int | None:
    """Find anew when a lane is ready, after recipients have left it or are due at another moment; None: it is empty."""
    ready_at, known = select_one(
        db,
        "SELECT max((SELECT min(due_at) FROM recipient WHERE destination = ?1 AND priority = ?2 AND due_at > 0),"
        " ifnull((SELECT not_before FROM destination WHERE key = ?1), 0)),"
        " (SELECT ready_at FROM lane WHERE destination = ?1 AND priority = ?2)",
        lane,
    )
    if ready_at is None:
        if known is not None:
            db.execute("DELETE FROM lane WHERE destination = ? AND priority = ?", lane)
        return None
    if ready_at != known:
        db.execute("INSERT OR REPLACE INTO lane VALUES (?, ?, ?)", (*lane, ready_at))
    return int(ready_at)


def refresh_all(db: apsw.Connection, lanes: Iterable[Lane]) -> None:
    """Find anew when these are ready."""
    for lane in set(lanes):
        refresh(db, lane)


def lanes_of(db: apsw.Connection, destination: str) -> list[Lane]:
    """Give the lanes of a destination, highest priority first."""
    rows = select(db, "SELECT priority FROM lane WHERE destination = ? ORDER BY priority DESC", (destination,))
    return [Lane(destination, priority) for (priority,) in rows]


def ready(db: apsw.Connection, now: int, limit: int, per_destination: int) -> list[ReadyLane]:
    """Give lanes of which something may be leased now: higher priority first, then those ready for longest.

    Destinations that have all the leases they may have are left out. There are never more of these than leases, so
    stepping over them costs little.
    """
    found: list[ReadyLane] = []
    for priority in priorities(db):
        rows = select(
            db,
            "SELECT destination, ?4 - (SELECT count(DISTINCT lease_id) FROM recipient INDEXED BY recipient_leased"
            " WHERE destination = lane.destination AND leased_until > ?2 AND lease_id IS NOT NULL) AS room"
            " FROM lane WHERE priority = ?1 AND ready_at <= ?2 AND room > 0 ORDER BY ready_at LIMIT ?3",
            (priority, now, limit - len(found), per_destination),
        )
        found += [ReadyLane(Lane(destination, priority), room) for destination, room in rows]
        if len(found) >= limit:
            break
    return found


def next_ready_at(db: apsw.Connection) -> int | None:
    """Give the earliest moment at which a lane is ready."""
    moments = [
        select_one(db, "SELECT min(ready_at) FROM lane WHERE priority = ?", (priority,))[0]
        for priority in priorities(db)
    ]
    return min(moments, default=None)


def priorities(db: apsw.Connection) -> Iterator[int]:
    """Yield the priorities of all lanes, highest first; each costs one descent of the index."""
    (priority,) = select_one(db, "SELECT max(priority) FROM lane")
    while priority is not None:
        yield priority
        (priority,) = select_one(db, "SELECT max(priority) FROM lane WHERE priority < ?", (priority,))
