"""What was put off by a clock that ran ahead, and would wait until that time comes true."""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from __future__ import annotations

import apsw

from mailstead.storage.embedded import queue_lanes
from mailstead.storage.embedded.queue_lanes import Lane
from mailstead.storage.embedded.rows import select, select_one

_TOO_LATE = "(due_at > :released_by OR (due_at > :retried_by AND (attempt_count > 0 OR lease_id IS NOT NULL)))"
_LATE_RECIPIENTS = (
    "FROM lane CROSS JOIN recipient INDEXED BY recipient_due ON recipient.destination = lane.destination"
    f" AND recipient.priority = lane.priority AND due_at > :retried_by WHERE {_TOO_LATE}"
)
_LATE_ITEMS = "finished_at IS NULL AND accepted_at > :released_by"


def exists(db: apsw.Connection, retried_by: int, released_by: int) -> bool:
    """Whether there is anything of the kind; read before writing, as mostly there is not."""
    bounds = {"retried_by": retried_by, "released_by": released_by}
    (found,) = select_one(
        db,
        f"SELECT EXISTS (SELECT 1 {_LATE_RECIPIENTS}) OR EXISTS (SELECT 1 FROM item WHERE {_LATE_ITEMS})"
        " OR EXISTS (SELECT 1 FROM destination WHERE not_before > :retried_by)",
        bounds,
    )
    return bool(found)


def bring_forward(db: apsw.Connection, now: int, retried_by: int, released_by: int) -> int:
    """See `Queue.bring_forward`."""
    bounds = {"now": now, "retried_by": retried_by, "released_by": released_by}
    # Ages count from now on: else the item would be given up as late as it was put off.
    db.execute(
        f"UPDATE item SET expires_at = :now + (expires_at - accepted_at), accepted_at = :now WHERE {_LATE_ITEMS}",
        {"now": now, "released_by": released_by},
    )
    rested = select(
        db,
        "UPDATE destination SET not_before = 0 WHERE not_before > :retried_by RETURNING key",
        {"retried_by": retried_by},
    )
    lanes = {lane for (key,) in rested for lane in queue_lanes.lanes_of(db, key)}
    late = select(
        db,
        "UPDATE recipient SET due_at = :now, next_attempt_at = :now, lease_id = NULL, leased_until = NULL"
        f" WHERE recipient_id IN (SELECT recipient_id {_LATE_RECIPIENTS}) RETURNING destination, recipient.priority",
        bounds,
    )
    lanes |= {Lane(*row) for row in late}
    queue_lanes.refresh_all(db, lanes)
    return len(late)
