"""Consistency of the queue file: everything that must hold, looked at once more from the rows themselves."""

# ruff: noqa: S608 - statements are put together from our own words only

from collections.abc import Iterator
from typing import Final

import apsw

from mailstead.model.queue import RecipientState
from mailstead.storage.embedded.queue_rows import POSITION_BITS
from mailstead.storage.embedded.rows import select

_UNFINISHED: Final = f"state IN ('{RecipientState.WAITING}', '{RecipientState.HELD}')"

_OF_ITEM: Final = (
    f"recipient_id BETWEEN item_id << {POSITION_BITS} AND (item_id << {POSITION_BITS}) + {(1 << POSITION_BITS) - 1}"
)

_LAWS: Final = {
    "item {} is unfinished, and none of its recipients waits": (
        "SELECT item_id FROM item WHERE finished_at IS NULL AND NOT EXISTS"
        f" (SELECT 1 FROM recipient WHERE {_OF_ITEM} AND {_UNFINISHED})"
    ),
    "item {} is finished, and one of its recipients waits": (
        f"SELECT DISTINCT recipient_id >> {POSITION_BITS} FROM recipient JOIN item"
        f" ON item_id = recipient_id >> {POSITION_BITS} WHERE finished_at IS NOT NULL AND {_UNFINISHED}"
    ),
    "item {} waits, and its octets are not there": (
        "SELECT item_id FROM item WHERE finished_at IS NULL AND size_octets > 0 AND NOT EXISTS"
        " (SELECT 1 FROM chunk WHERE place = item_id << 32)"
    ),
    "a recipient of item {} belongs to no item": (
        f"SELECT DISTINCT recipient_id >> {POSITION_BITS} FROM recipient"
        f" WHERE NOT EXISTS (SELECT 1 FROM item WHERE item_id = recipient_id >> {POSITION_BITS})"
    ),
    "a recipient of item {} is due, and its lane is not there or ready later": (
        f"SELECT DISTINCT recipient_id >> {POSITION_BITS} FROM recipient AS r WHERE due_at > 0 AND NOT EXISTS"
        " (SELECT 1 FROM lane AS l WHERE l.destination = r.destination AND l.priority = r.priority AND l.ready_at <="
        " max(r.due_at, ifnull((SELECT not_before FROM destination WHERE key = r.destination), 0)))"
    ),
}
"""What is wrong (with the item's number) → the statement that finds the items for which it is."""


def check(db: apsw.Connection) -> Iterator[str]:
    """Yield what is wrong."""
    for law, query in _LAWS.items():
        for (item_id,) in select(db, f"{query} LIMIT 20"):
            yield f"queue: {law.format(item_id)}"
