"""What changes the queue besides leasing: one function per unit of work."""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from __future__ import annotations

from collections.abc import Iterable, Sequence

import apsw

from mailstead.model.queue import (
    Delivery,
    NewItem,
    Outcome,
    QueueItemId,
    RecipientState,
    RemoteReply,
)
from mailstead.storage.embedded import octets, queue_lanes
from mailstead.storage.embedded.moments import us_of, us_or_none
from mailstead.storage.embedded.queue_lanes import Lane
from mailstead.storage.embedded.queue_leases import give_back
from mailstead.storage.embedded.queue_rows import POSITION_BITS, address_text, recipient_ids, reply_text
from mailstead.storage.embedded.rows import select, select_one

_OPEN = (RecipientState.WAITING, RecipientState.HELD)


def put(db: apsw.Connection, items: Sequence[NewItem]) -> list[QueueItemId]:
    """See `Queue.put`."""
    return [_put_one(db, item) for item in items]


def _put_one(db: apsw.Connection, item: NewItem) -> QueueItemId:
    db.execute(
        "INSERT INTO item VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, NULL)",
        (
            item.queue_id,
            item.kind,
            address_text(item.mail_from),
            len(item.before) + len(item.octets),
            us_of(item.accepted_at),
            us_of(item.expires_at),
            item.domain,
            item.account_id,
            address_text(item.notify_to),
            item.body,
            item.smtputf8,
            item.ret,
            item.envid,
            item.require_tls,
            item.tls_optional,
            item.priority,
            item.message_id,
        ),
    )
    item_id = db.last_insert_rowid()
    octets.write(db, item_id, item.octets, item.before)
    due_at = us_of(item.not_before or item.accepted_at)
    state = RecipientState.HELD if item.is_held else RecipientState.WAITING
    destinations: set[str] = set()
    for position, new in enumerate(item.recipients):
        destination = new.destination.key
        destinations.add(destination)
        db.execute(
            "INSERT INTO recipient VALUES (?, ?, ?, ?, ?, NULL, NULL, ?, ?, ?, ?, ?, 0, ?, NULL, NULL, 0)",
            (
                item_id << POSITION_BITS | position,
                destination,
                item.priority,
                None if item.is_held else due_at,
                state,
                address_text(new.recipient.address),
                " ".join(sorted(new.recipient.notify)),
                new.recipient.orcpt,
                new.url,
                address_text(new.via),
                due_at,
            ),
        )
    if not item.is_held:
        for destination in destinations:
            queue_lanes.join(db, Lane(destination, item.priority), due_at)
    return QueueItemId(item_id)


def settle(
    db: apsw.Connection, delivery: Delivery, outcomes: Sequence[Outcome], notices: Sequence[NewItem], now: int
) -> bool:
    """See `Queue.settle`; tells whether something is due at the destination now.

    Notices are queued unless every outcome is stale: then somebody else, to whom the lease went, or who cancelled, has
    had the last word, and the author would be told twice or told what is not true.
    """
    is_news = [_record(db, delivery.lease_id, outcome, now) for outcome in outcomes]
    if any(is_news) or not outcomes:
        put(db, notices)
    if len(outcomes) < len(delivery.item.recipients):
        give_back(db, delivery, now)
    if any(outcome.tells_delay for outcome in outcomes):
        _note_delay_told(db, delivery.item.item_id)
    if any(outcome.state is not RecipientState.WAITING for outcome in outcomes):
        _finish(db, delivery.item.item_id, now)
    ready_at = queue_lanes.refresh(db, Lane(delivery.destination.key, delivery.item.priority))
    return ready_at is not None and ready_at <= now


def _record(db: apsw.Connection, lease_id: str, outcome: Outcome, now: int) -> bool:
    """Write an outcome down; tells whether it was news."""
    next_attempt_at = us_or_none(outcome.next_attempt_at)
    if outcome.state is RecipientState.WAITING and next_attempt_at is None:
        next_attempt_at = now
    due_at = next_attempt_at if outcome.state is RecipientState.WAITING else None
    reply = reply_text(outcome.reply)
    db.execute(
        "UPDATE recipient SET state = ?, due_at = ?, lease_id = NULL, leased_until = NULL,"
        " attempt_count = attempt_count + 1, next_attempt_at = ?, last_attempt_at = ?, last_reply = ?,"
        " is_delay_told = is_delay_told | ? WHERE recipient_id = ? AND lease_id = ? AND state = 'waiting'",
        (
            outcome.state, due_at, next_attempt_at, now, reply, outcome.tells_delay, outcome.recipient_id, lease_id,
        ),
    )  # fmt: skip
    return db.changes() > 0 or _record_late(db, lease_id, outcome, now)


def _record_late(db: apsw.Connection, lease_id: str, outcome: Outcome, now: int) -> bool:
    """Write down the outcome of a recipient that was leased to others, held, or brought to an end meanwhile."""
    row = select_one(
        db, "SELECT state, lease_id, due_at FROM recipient WHERE recipient_id = ?", (outcome.recipient_id,)
    )
    if row is None:  # forgotten
        return False
    state, present_lease_id, due_at = row
    is_open = state in _OPEN
    # What was delivered was delivered, whatever others believe; else the last word stays.
    if not is_open and (state == RecipientState.DELIVERED or outcome.state is not RecipientState.DELIVERED):
        return False
    if outcome.state is RecipientState.WAITING:  # it stays held; or whoever has the lease now will say when again
        next_state = state
    else:
        next_state, due_at = outcome.state, None
    if present_lease_id == lease_id or next_state not in _OPEN:
        present_lease_id = None
    db.execute(
        "UPDATE recipient SET state = ?, due_at = ?, lease_id = ?,"
        " leased_until = CASE WHEN ? IS NULL THEN NULL ELSE leased_until END,"
        " attempt_count = attempt_count + 1, last_attempt_at = ?, last_reply = ?, is_delay_told = is_delay_told | ?"
        " WHERE recipient_id = ?",
        (
            next_state, due_at, present_lease_id, present_lease_id, now, reply_text(outcome.reply),
            outcome.tells_delay, outcome.recipient_id,
        ),
    )  # fmt: skip
    return True


def _note_delay_told(db: apsw.Connection, item_id: int) -> None:
    """Take an item from the list of those whose author is to be told, if that has been done for all recipients."""
    db.execute(
        "UPDATE item SET is_delay_told = 1 WHERE item_id = ? AND NOT EXISTS (SELECT 1 FROM recipient NOT INDEXED"
        " WHERE recipient_id BETWEEN ? AND ? AND state IN ('waiting', 'held') AND NOT is_delay_told)",
        (item_id, *recipient_ids(item_id)),
    )


def _finish(db: apsw.Connection, item_id: int, now: int) -> None:
    """End an item none of whose recipients waits or is held any more."""
    db.execute(
        "UPDATE item SET finished_at = ? WHERE item_id = ? AND finished_at IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM recipient NOT INDEXED WHERE recipient_id BETWEEN ? AND ? AND state IN ('waiting', 'held'))",
        (now, item_id, *recipient_ids(item_id)),
    )
    if db.changes():
        octets.delete(db, item_id)


# destinations


def destination_failed(db: apsw.Connection, destination: str, not_before: int, reply: RemoteReply, now: int) -> None:
    """See `Queue.destination_failed`."""
    db.execute(
        "INSERT INTO destination VALUES (?1, ?2, 1, ?3) ON CONFLICT DO UPDATE SET"
        " not_before = excluded.not_before, failure_count = failure_count + 1, last_reply = excluded.last_reply"
        " WHERE not_before <= ?4",
        (destination, not_before, reply_text(reply), now),
    )
    queue_lanes.refresh_all(db, queue_lanes.lanes_of(db, destination))


def destination_reached(db: apsw.Connection, destination: str) -> None:
    """See `Queue.destination_reached`."""
    db.execute("DELETE FROM destination WHERE key = ?", (destination,))
    queue_lanes.refresh_all(db, queue_lanes.lanes_of(db, destination))


# for administrators


def hold(db: apsw.Connection, item_ids: Iterable[int]) -> int:
    """See `Queue.hold`. An attempt that is under way goes on; the recipient keeps its lease until that has ended."""
    return _change(db, item_ids, "state = 'held', due_at = NULL", "state = 'waiting'")


def release(db: apsw.Connection, item_ids: Iterable[int], now: int) -> int:
    """See `Queue.release`."""
    return _change(db, item_ids, f"state = 'waiting', next_attempt_at = {now:d}, {_due(now)}", "state = 'held'")


def cancel(db: apsw.Connection, item_ids: Sequence[int], now: int) -> int:
    """See `Queue.cancel`."""
    count = _change(
        db, item_ids, "state = 'cancelled', due_at = NULL, next_attempt_at = NULL", "state IN ('waiting', 'held')"
    )
    for item_id in item_ids:
        _finish(db, item_id, now)
    return count


def take_back(db: apsw.Connection, item_ids: Sequence[int], now: int) -> bool:
    """See `Queue.take_back`."""
    for item_id in item_ids:
        (left, begun) = select_one(
            db,
            "SELECT count(*), ifnull(sum(attempt_count > 0 OR lease_id IS NOT NULL OR state NOT IN ('waiting', 'held')"
            " OR (state = 'waiting' AND next_attempt_at <= ?)), 0) FROM recipient WHERE recipient_id BETWEEN ? AND ?",
            (now, *recipient_ids(item_id)),
        )
        if not left or begun:
            return False
    cancel(db, item_ids, now)
    return True


def retry_now(db: apsw.Connection, item_ids: Iterable[int], now: int) -> int:
    """See `Queue.retry_now`."""
    return _change(db, item_ids, f"next_attempt_at = {now:d}, {_due(now)}", "state = 'waiting'", ends_backoff=True)


def _due(now: int) -> str:
    """Due now; but while an attempt is under way, not before that has ended."""
    return f"due_at = CASE WHEN lease_id IS NOT NULL AND leased_until > {now:d} THEN leased_until ELSE {now:d} END"


def _change(
    db: apsw.Connection, item_ids: Iterable[int], change: str, condition: str, *, ends_backoff: bool = False
) -> int:
    """Change the recipients of some items that meet a condition; gives how many."""
    count = 0
    lanes: set[Lane] = set()
    statement = (
        f"UPDATE recipient NOT INDEXED SET {change} WHERE recipient_id BETWEEN ? AND ? AND {condition}"
        " RETURNING destination, priority"
    )
    for item_id in item_ids:
        rows = select(db, statement, recipient_ids(item_id))
        count += len(rows)
        lanes |= {Lane(*row) for row in rows}
    if ends_backoff:
        for destination in {lane.destination for lane in lanes}:
            db.execute("UPDATE destination SET not_before = 0 WHERE key = ?", (destination,))
            lanes |= set(queue_lanes.lanes_of(db, destination))
    queue_lanes.refresh_all(db, lanes)
    return count


def forget_finished(db: apsw.Connection, before: int, limit: int) -> int:
    """Remove the oldest finished items, at most so many."""
    rows = select(
        db,
        "SELECT item_id FROM item WHERE finished_at < ? ORDER BY finished_at LIMIT ?",
        (before, limit),
    )
    for (item_id,) in rows:
        db.execute("DELETE FROM recipient WHERE recipient_id BETWEEN ? AND ?", recipient_ids(item_id))
        db.execute("DELETE FROM item WHERE item_id = ?", (item_id,))
    # The failures of destinations for which nothing waits any more.
    db.execute(
        "DELETE FROM destination WHERE not_before < ?"
        " AND NOT EXISTS (SELECT 1 FROM lane WHERE lane.destination = destination.key)",
        (before,),
    )
    return len(rows)
