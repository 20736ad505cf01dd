"""Leasing, and what ends a lease without an attempt: units of work of the queue file."""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Final

import apsw

from mailstead.model.errors import StoreDamaged
from mailstead.model.queue import Delivery, QueueItemId
from mailstead.storage.embedded import queue_lanes, queue_overdue
from mailstead.storage.embedded.queue_lanes import Lane
from mailstead.storage.embedded.queue_rows import (
    ITEM_COLUMNS,
    POSITION_BITS,
    RECIPIENT_COLUMNS,
    destination_of,
    item_of,
    message_octets,
    recipient_ids,
    recipient_of,
)
from mailstead.storage.embedded.rows import select, select_one

PREFETCH_OCTETS_MAX: Final = 64 * 1024
"""Messages up to this size are read when they are leased, as a hop of their own costs more than the reading."""

PREFETCHED_OCTETS_MAX: Final = 8 * 1024 * 1024
"""How much of these is kept in memory."""


class Leasing:
    """One call of `lease` or `lease_more`: until when, and what it has taken so far."""

    def __init__(self, now: int, until: int, limit: int) -> None:
        self._now = now
        self._until = until
        self._limit = limit
        self._mark = secrets.token_hex(8)
        self._taken: list[Delivery] = []
        self.prefetched: dict[QueueItemId, bytes] = {}
        """The octets of those that are small."""

    @property
    def _is_full(self) -> bool:
        return len(self._taken) >= self._limit

    def fair(self, db: apsw.Connection, per_destination: int) -> list[Delivery]:
        """Take from ready lanes in rounds: in each round at most one delivery of a destination."""
        found = queue_lanes.ready(db, self._now, self._limit, per_destination)
        rooms: dict[str, int] = {lane.destination: room for lane, room in found}
        lanes = [lane for lane, _ in found]
        used: set[Lane] = set()
        while lanes and not self._is_full:
            served: set[str] = set()
            next_round: list[Lane] = []
            for lane in lanes:
                if self._is_full:
                    break
                if lane.destination in served:  # its turn comes when higher priorities are used up
                    next_round.append(lane)
                elif rooms[lane.destination]:
                    used.add(lane)
                    if self._take(db, lane):
                        rooms[lane.destination] -= 1
                        served.add(lane.destination)
                        next_round.append(lane)
            lanes = next_round
        queue_lanes.refresh_all(db, used)
        return self._taken

    def of(self, db: apsw.Connection, destination: str) -> list[Delivery]:
        """Take from the lanes of one destination, whatever its back-off and its other leases."""
        lanes = queue_lanes.lanes_of(db, destination)
        for lane in lanes:
            while not self._is_full and self._take(db, lane):
                pass
        queue_lanes.refresh_all(db, lanes)
        return self._taken

    def overdue(self, db: apsw.Connection, item_ids: Sequence[int], told_before: int) -> list[Delivery]:
        """Take what waits of these items, due or not, if it is overdue still. See `queue_overdue`."""
        lanes: set[Lane] = set()
        for item_id in item_ids:
            for lane in queue_overdue.lanes(db, item_id, self._now, told_before):
                if not self._is_full:
                    lanes.add(lane)
                    self._lease(db, item_id, lane.destination, queue_overdue.FREE)
        queue_lanes.refresh_all(db, lanes)
        return self._taken

    def _take(self, db: apsw.Connection, lane: Lane) -> bool:
        """Lease the longest due recipient of a lane, and with it those of the same item that are due there too."""
        first = select_one(
            db,
            "SELECT recipient_id FROM recipient INDEXED BY recipient_due"
            " WHERE destination = ? AND priority = ? AND due_at > 0 AND due_at <= ? ORDER BY due_at LIMIT 1",
            (*lane, self._now),
        )
        if first is None:
            return False
        self._lease(db, first[0] >> POSITION_BITS, lane.destination, "due_at > 0 AND due_at <= :now")
        return True

    def _lease(self, db: apsw.Connection, item_id: int, destination: str, condition: str) -> None:
        """Lease those recipients of an item at a destination that meet a condition."""
        lease_id = f"{self._mark}.{len(self._taken)}"
        first_id, last_id = recipient_ids(item_id)
        recipients = select(
            db,
            "UPDATE recipient NOT INDEXED SET lease_id = :lease_id, leased_until = :until, due_at = :until"
            f" WHERE recipient_id BETWEEN :first_id AND :last_id AND destination = :destination AND {condition}"
            f" RETURNING {RECIPIENT_COLUMNS}",
            {
                "lease_id": lease_id,
                "until": self._until,
                "first_id": first_id,
                "last_id": last_id,
                "destination": destination,
                "now": self._now,
            },
        )
        row = select_one(db, f"SELECT {ITEM_COLUMNS} FROM item WHERE item_id = ?", (item_id,))
        item = item_of(row, [recipient_of(recipient) for recipient in recipients])
        self._taken.append(Delivery(lease_id, item, destination_of(destination)))
        if item.size_octets <= PREFETCH_OCTETS_MAX:
            with contextlib.suppress(StoreDamaged):  # told when somebody asks for the octets; others are leased on
                self.prefetched[item.item_id] = message_octets(db, item_id, item.size_octets)


class Prefetched:
    """Octets of leased messages until somebody asks for them; too many, and the oldest are dropped."""

    def __init__(self) -> None:
        self._octets: dict[QueueItemId, bytes] = {}
        self._size_octets = 0

    def add(self, prefetched: Mapping[QueueItemId, bytes]) -> None:
        """Keep these."""
        for item_id, octets_ in prefetched.items():
            self.take(item_id)
            self._octets[item_id] = octets_
            self._size_octets += len(octets_)
        while self._size_octets > PREFETCHED_OCTETS_MAX:
            self.take(next(iter(self._octets)))

    def take(self, item_id: QueueItemId) -> bytes | None:
        """Give the octets out, if they are here."""
        found = self._octets.pop(item_id, None)
        self._size_octets -= len(found or b"")
        return found


def give_back(db: apsw.Connection, delivery: Delivery, now: int) -> None:
    """Make what was leased due as before."""
    rows = select(
        db,
        "UPDATE recipient NOT INDEXED SET lease_id = NULL, leased_until = NULL,"
        " due_at = CASE state WHEN 'waiting' THEN ifnull(next_attempt_at, ?) END"
        " WHERE recipient_id BETWEEN ? AND ? AND lease_id = ? RETURNING destination, priority",
        (now, *recipient_ids(delivery.item.item_id), delivery.lease_id),
    )
    queue_lanes.refresh_all(db, {Lane(*row) for row in rows})


def extend(db: apsw.Connection, deliveries: Sequence[Delivery], until: int) -> None:
    """Move the end of leases; those that were leased to others meanwhile are left alone."""
    lanes: set[Lane] = set()
    for delivery in deliveries:
        rows = select(
            db,
            "UPDATE recipient NOT INDEXED SET leased_until = ?1, due_at = CASE state WHEN 'waiting' THEN ?1 END"
            " WHERE recipient_id BETWEEN ?2 AND ?3 AND lease_id = ?4 RETURNING destination, priority",
            (until, *recipient_ids(delivery.item.item_id), delivery.lease_id),
        )
        lanes |= {Lane(*row) for row in rows}
    queue_lanes.refresh_all(db, lanes)
