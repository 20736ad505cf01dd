"""Messages that wait to come back, as functions of a transaction, and `ports.snoozes.Snoozes` on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeVar

import apsw

from mailstead.model.errors import LimitReached, NoSuchMailbox
from mailstead.model.flags import SEEN, FlagOperation
from mailstead.model.ids import AccountId, MailboxId, Uid, UidValidity
from mailstead.model.mailbox import INBOX
from mailstead.model.message import Copied
from mailstead.model.snoozing import SNOOZED, Snoozed, Woken
from mailstead.model.uidset import UidSet
from mailstead.storage.embedded import mailboxes, message_writes
from mailstead.storage.embedded.reader import Reader
from mailstead.storage.embedded.rows import IN_RUNS, runs_json, select, select_one, select_packed
from mailstead.storage.embedded.transaction import Transaction
from mailstead.storage.embedded.writer import Writer

T = TypeVar("T")

SNOOZED_MAX: Final = 10_000
_WAITING: Final = (
    "SELECT s.mailbox_id, s.uid, s.until_s, s.origin FROM snooze s JOIN message m USING (mailbox_id, uid)"
    " ORDER BY s.until_s, s.mailbox_id, s.uid"
)


class EmbeddedSnoozes:
    """A light handle on those of one account."""

    def __init__(self, account_id: AccountId, reader: Reader, writer: Writer) -> None:
        self._account_id = account_id
        self._reader = reader
        self._writer = writer

    async def waiting(self) -> list[Snoozed]:
        """See `Snoozes.waiting`."""
        return await self._reader.run(self._account_id, waiting)

    async def snooze(self, mailbox_id: MailboxId, uids: UidSet, until: datetime) -> Copied:
        """See `Snoozes.snooze`."""
        return await self._write(lambda transaction: snooze(transaction, mailbox_id, uids, until))

    async def unsnooze(self, mailbox_id: MailboxId, uids: UidSet) -> Copied:
        """See `Snoozes.unsnooze`."""
        return await self._write(lambda transaction: unsnooze(transaction, mailbox_id, uids))

    async def wake(self, now: datetime) -> Woken:
        """See `Snoozes.wake`."""
        return await self._write(lambda transaction: wake(transaction, now))

    async def _write(self, work: Callable[[Transaction], T]) -> T:
        return await self._writer.run(self._account_id, work)


def waiting(db: apsw.Connection) -> list[Snoozed]:
    """See `Snoozes.waiting`."""
    return [
        Snoozed(MailboxId(mailbox_id), Uid(uid), datetime.fromtimestamp(until_s, UTC), origin)
        for mailbox_id, uid, until_s, origin in select(db, _WAITING)
    ]


def snooze(transaction: Transaction, mailbox_id: MailboxId, uids: UidSet, until: datetime) -> Copied:
    """See `Snoozes.snooze`."""
    db, source = transaction.db, transaction.mailbox(mailbox_id)
    until_s = int(until.timestamp())
    if source.name == SNOOZED:
        here = _present(db, mailbox_id, uids)
        for uid in here:
            db.execute(
                "INSERT INTO snooze VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET until_s = excluded.until_s",
                (mailbox_id, uid, until_s, INBOX),
            )
        _check_count(db)
        return Copied(UidValidity(source.uidvalidity), here, here)
    try:
        transaction.mailbox_named(SNOOZED)
    except NoSuchMailbox:
        mailboxes.create_mailbox(transaction, SNOOZED, None)
        mailboxes.subscribe(transaction, SNOOZED, is_subscribed=True)
    moved = message_writes.move(transaction, mailbox_id, uids, SNOOZED)
    target = transaction.mailbox_named(SNOOZED).mailbox_id
    db.executemany(
        "INSERT INTO snooze VALUES (?, ?, ?, ?)", [(target, uid, until_s, source.name) for uid in moved.target_uids]
    )
    _check_count(db)
    return moved


def unsnooze(transaction: Transaction, mailbox_id: MailboxId, uids: UidSet) -> Copied:
    """See `Snoozes.unsnooze`."""
    wanted = [each for each in waiting(transaction.db) if each.mailbox_id == mailbox_id and each.uid in uids]
    sources: list[Uid] = []
    targets: list[Uid] = []
    uidvalidity = UidValidity(0)
    for origin in sorted({each.origin for each in wanted}):
        chosen = UidSet.of(each.uid for each in wanted if each.origin == origin)
        try:
            transaction.mailbox_named(origin)
            name = origin
        except NoSuchMailbox:
            name = INBOX
        moved = message_writes.move(transaction, mailbox_id, chosen, name)
        uidvalidity = moved.uidvalidity
        sources += moved.source_uids
        targets += moved.target_uids
        _forget(transaction.db, mailbox_id, chosen)
    return Copied(uidvalidity, sources, targets)


def wake(transaction: Transaction, now: datetime) -> Woken:
    """See `Snoozes.wake`. What does not wait any more is forgotten on the way."""
    db, now_s = transaction.db, int(now.timestamp())
    due = [each for each in waiting(db) if each.until.timestamp() <= now_s]
    woken: list[Uid] = []
    for mailbox_id in sorted({each.mailbox_id for each in due}):
        uids = UidSet.of(each.uid for each in due if each.mailbox_id == mailbox_id)
        message_writes.store_flags(transaction, mailbox_id, uids, FlagOperation.REMOVE, [SEEN], None)
        moved = message_writes.move(transaction, mailbox_id, uids, INBOX)
        # RFC 9051 §2.3.3 lets a message keep its internaldate for ever; this is a new message of INBOX, with a new UID.
        db.execute(
            "UPDATE message SET internaldate_s = ?, zone_minutes = 0"
            " WHERE mailbox_id = ? AND uid IN (SELECT value FROM json_each(?))",
            (now_s, transaction.mailbox_named(INBOX).mailbox_id, json.dumps(moved.target_uids)),
        )
        woken += moved.target_uids
    db.execute(
        "DELETE FROM snooze WHERE NOT EXISTS (SELECT 1 FROM message m"
        " WHERE m.mailbox_id = snooze.mailbox_id AND m.uid = snooze.uid)"
    )
    (next_s,) = select_one(db, "SELECT min(until_s) FROM snooze")
    return Woken(woken, None if next_s is None else datetime.fromtimestamp(next_s, UTC))


def _present(db: apsw.Connection, mailbox_id: MailboxId, uids: UidSet) -> list[Uid]:
    return [Uid(uid) for (uid,) in select_packed(db, "m.uid", f"FROM {IN_RUNS}", (runs_json(uids), mailbox_id))]


def _forget(db: apsw.Connection, mailbox_id: MailboxId, uids: UidSet) -> None:
    db.execute(
        "DELETE FROM snooze WHERE mailbox_id = ? AND uid IN (SELECT value FROM json_each(?))",
        (mailbox_id, json.dumps(list(uids))),
    )


def _check_count(db: apsw.Connection) -> None:
    (count,) = select_one(db, "SELECT count(*) FROM snooze")
    if count > SNOOZED_MAX:
        raise LimitReached(f"At most {SNOOZED_MAX} messages can wait")
