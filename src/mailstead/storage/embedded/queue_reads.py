"""What the queue can be asked: one function per reading verb."""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from __future__ import annotations

import json
from collections import defaultdict
from typing import Final

import apsw

from mailstead.model.errors import NoSuchQueueItem
from mailstead.model.queue import (
    DestinationKind,
    DestinationState,
    QueuedRecipient,
    QueueItem,
    QueueQuery,
    RecipientState,
)
from mailstead.storage.embedded.moments import moment_of
from mailstead.storage.embedded.queue_rows import (
    ITEM_COLUMNS,
    POSITION_BITS,
    RECIPIENT_COLUMNS,
    destination_of,
    item_of,
    message_octets,
    recipient_of,
    reply_of,
)
from mailstead.storage.embedded.rows import one_moment, select, select_one, select_packed

_BY_STATE: Final = (
    "(WITH RECURSIVE found (item_id) AS (SELECT :after UNION ALL"
    f" SELECT (SELECT min(recipient_id) >> {POSITION_BITS} FROM recipient"
    f" WHERE state = :state AND recipient_id >= item_id + 1 << {POSITION_BITS})"
    " FROM found WHERE item_id IS NOT NULL) SELECT item_id FROM found) AS found CROSS JOIN item USING (item_id)"
)
"""Items with a recipient in a state, one descent of the index each, and no more of them than are wanted."""


def message(db: apsw.Connection, item_id: int) -> bytes:
    """See `Queue.octets`."""
    row = select_one(db, "SELECT size_octets FROM item WHERE item_id = ? AND finished_at IS NULL", (item_id,))
    if row is None:
        raise NoSuchQueueItem(item_id=item_id)
    return message_octets(db, item_id, row[0])


def failure_count(db: apsw.Connection, destination: str) -> int:
    """See `Queue.failure_count`."""
    row = select_one(db, "SELECT failure_count FROM destination WHERE key = ?", (destination,))
    return int(row[0]) if row else 0


def has_failed(db: apsw.Connection, destination: str) -> bool:
    """Whether there is something to forget when the destination is reached."""
    return select_one(db, "SELECT 1 FROM destination WHERE key = ?", (destination,)) is not None


def items(db: apsw.Connection, query: QueueQuery) -> list[QueueItem]:
    """See `Queue.items`."""
    sql, values = selection(query)
    with one_moment(db):
        found = select_packed(
            db,
            ITEM_COLUMNS,
            f"FROM ({sql})",
            values,
            order="ORDER BY item_id",
        )
        rows = select_packed(
            db,
            RECIPIENT_COLUMNS,
            "FROM json_each(?) AS wanted CROSS JOIN recipient"
            f" ON recipient_id BETWEEN wanted.value << {POSITION_BITS} AND (wanted.value + 1 << {POSITION_BITS}) - 1",
            (json.dumps([row[0] for row in found]),),
            order="ORDER BY recipient_id",
        )
    recipients: defaultdict[int, list[QueuedRecipient]] = defaultdict(list)
    for row in rows:
        recipients[row[0] >> POSITION_BITS].append(recipient_of(row))
    return [item_of(row, recipients[row[0]]) for row in found]


def selection(query: QueueQuery) -> tuple[str, dict[str, str | int]]:
    """Give the statement that finds items, and its values by name."""
    source, order = "item", "ORDER BY item.item_id"
    conditions = ["item.item_id > :after"]
    values: dict[str, str | int] = {"after": query.after, "limit": query.limit}
    if query.state:
        source, order = _BY_STATE, ""  # they come in their order; sorting would fetch them all
        values["state"] = query.state
    if query.queue_id:
        conditions.append("queue_id = :queue_id")
        values["queue_id"] = query.queue_id
    if query.destination:
        ranges: list[str] = []
        for kind in DestinationKind:  # Destination.key without its port; the character after : is ;
            ranges.append(f"destination >= :{kind} || ':' AND destination < :{kind} || ';'")
            values[kind] = f"{kind}:{query.destination.lower()}"
        conditions.append(_of_recipient(f"({' OR '.join(ranges)})"))
    if query.address:
        # SQLite lowers ASCII letters only: others are to be written as they are.
        is_wanted = (
            "substr(lower({0}), -length(:address)) = :address"
            if query.address.startswith("@")
            else ("lower({0}) = :address")
        )
        conditions.append(f"({is_wanted.format('mail_from')} OR {_of_recipient(is_wanted.format('address'))})")
        values["address"] = "".join(letter.lower() if letter.isascii() else letter for letter in query.address)
    return f"SELECT item.* FROM {source} WHERE {' AND '.join(conditions)} {order} LIMIT :limit", values


def _of_recipient(condition: str) -> str:
    """Some recipient meets a condition."""
    return (
        f"item.item_id IN (SELECT recipient_id >> {POSITION_BITS} FROM recipient"
        f" WHERE recipient_id >= :after + 1 << {POSITION_BITS} AND {condition})"
    )


def count(db: apsw.Connection) -> dict[RecipientState, int]:
    """See `Queue.count`."""
    found = dict(select(db, "SELECT state, count(*) FROM recipient GROUP BY state"))
    return {state: found.get(state, 0) for state in RecipientState}


def destinations(db: apsw.Connection, now: int) -> list[DestinationState]:
    """See `Queue.destinations`. What waits is counted lane by lane, so finished items cost nothing."""
    rows = select_packed(
        db,
        "destination, waiting, leased, failure_count, not_before, last_reply",
        "FROM (SELECT destination, sum((SELECT count(*) FROM recipient"
        "   WHERE destination = lane.destination AND priority = lane.priority AND due_at > 0)) AS waiting,"
        "  (SELECT count(DISTINCT lease_id) FROM recipient INDEXED BY recipient_leased"
        "   WHERE destination = lane.destination AND leased_until > ? AND lease_id IS NOT NULL) AS leased"
        "  FROM lane GROUP BY destination) AS present"
        " LEFT JOIN destination AS failing ON failing.key = present.destination",
        (now,),
        order="ORDER BY waiting DESC, destination",
    )
    return [
        DestinationState(
            destination=destination_of(key),
            waiting_count=waiting,
            leased_count=leased,
            failure_count=failures or 0,
            not_before=moment_of(not_before) if not_before else None,
            last_reply=str(reply_of(reply)) if reply else "",
        )
        for key, waiting, leased, failures, not_before, reply in rows
    ]
