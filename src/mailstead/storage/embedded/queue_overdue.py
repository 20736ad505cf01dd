"""What waits too long: items that have expired, and items whose author is to be told of the delay.

Both lists are partial indexes of `item`, the oldest first, so that looking costs nothing while all is well.
"""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from __future__ import annotations

from typing import Final

import apsw

from mailstead.storage.embedded.queue_lanes import Lane
from mailstead.storage.embedded.queue_rows import POSITION_BITS, recipient_ids
from mailstead.storage.embedded.rows import select

FREE: Final = "state = 'waiting' AND (lease_id IS NULL OR leased_until <= :now)"
"""Of a recipient: it waits, and nobody has leased it."""
_SOME_FREE: Final = (
    "EXISTS (SELECT 1 FROM recipient NOT INDEXED WHERE recipient_id"
    f" BETWEEN item_id << {POSITION_BITS} AND (item_id + 1 << {POSITION_BITS}) - 1 AND {FREE}"
)
_EXPIRED: Final = (
    f"SELECT item_id FROM item WHERE finished_at IS NULL AND expires_at <= :now AND {_SOME_FREE})"
    " ORDER BY expires_at LIMIT :limit"
)
_UNTOLD: Final = (
    "SELECT item_id FROM item WHERE finished_at IS NULL AND is_delay_told = 0 AND notify_to IS NOT NULL"
    f" AND accepted_at < :told_before AND {_SOME_FREE} AND is_delay_told = 0) ORDER BY accepted_at LIMIT :limit"
)


def item_ids(db: apsw.Connection, now: int, told_before: int, limit: int) -> list[int]:
    """Give the oldest items that are overdue."""
    expired = select(db, _EXPIRED, {"now": now, "limit": limit})
    untold = select(db, _UNTOLD, {"now": now, "told_before": told_before, "limit": limit})
    return sorted({item_id for (item_id,) in expired + untold})[:limit]


def lanes(db: apsw.Connection, item_id: int, now: int, told_before: int) -> list[Lane]:
    """Give the lanes of those recipients of an item that are overdue and free."""
    first_id, last_id = recipient_ids(item_id)
    rows = select(
        db,
        "SELECT DISTINCT destination, recipient.priority FROM item CROSS JOIN recipient NOT INDEXED"
        f" ON recipient_id BETWEEN :first_id AND :last_id AND {FREE}"
        " WHERE item_id = :item_id AND (expires_at <= :now OR (notify_to IS NOT NULL AND accepted_at < :told_before"
        " AND NOT recipient.is_delay_told))",
        {"item_id": item_id, "now": now, "told_before": told_before, "first_id": first_id, "last_id": last_id},
    )
    return [Lane(*row) for row in rows]
