"""Reading verbs on messages, as functions of a connection. Each sees one moment."""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from typing import Final

import apsw

from mailstead.model.errors import NoSuchMailbox
from mailstead.model.ids import BlobId, ModSeq, Uid
from mailstead.model.mailbox import Snapshot
from mailstead.model.message import Changes, FlagChange, MessageRecord, Wanted
from mailstead.model.uidset import NO_UIDS, UidSet
from mailstead.storage.embedded import contents, rows
from mailstead.storage.embedded.rows import IN_RUNS, email_id_of, flags_of, runs_json, select, select_one, thread_id_of

_NARROW: Final = (
    "m.uid, m.modseq, m.flags, m.keywords, m.internaldate_s, m.zone_minutes, m.savedate_s, m.size_octets,"
    " m.header_octets, m.content_id, m.thread_no"
)
_WIDE: Final = (
    (Wanted.SUMMARY, "c.header_summary"),
    (Wanted.STRUCTURE, "c.body_structure"),
    (Wanted.PARTS, "c.parts"),
    (Wanted.LISTED_HEADER, "c.listed_header"),
    (Wanted.PREVIEW, "c.preview"),
    (Wanted.ORDER, "c.order_facts"),
)


def snapshot(db: apsw.Connection, name: str) -> Snapshot:
    """See `AccountStore.snapshot`. The UIDs are what the expunged runs leave of 1 to uidnext: no scan of messages."""
    with rows.one_moment(db):
        mailbox = rows.mailbox_by_name(db, name)
        keywords = select(db, "SELECT name FROM keyword WHERE mailbox_id = ? ORDER BY folded", (mailbox.mailbox_id,))
        is_subscribed = select_one(db, "SELECT 1 FROM subscription WHERE name = ?", (name,))
        gone = select(
            db,
            "SELECT first_uid, last_uid FROM expunged WHERE mailbox_id = ? ORDER BY first_uid",
            (mailbox.mailbox_id,),
        )
    runs: list[tuple[int, int]] = []
    first = 1
    for gone_first, gone_last in gone:
        if gone_first > first:
            runs.append((first, gone_first - 1))
        first = gone_last + 1
    if first < mailbox.uidnext:
        runs.append((first, mailbox.uidnext - 1))
    return Snapshot(
        mailbox.as_mailbox(is_subscribed=is_subscribed is not None),
        UidSet(runs),
        tuple(keyword for (keyword,) in keywords),
        None if mailbox.first_unseen_uid is None else Uid(mailbox.first_unseen_uid),
    )


def changes_since(db: apsw.Connection, mailbox_id: int, modseq: int) -> Changes:
    """See `AccountStore.changes_since`. Costs one row when nothing happened. Spec: RFC 7162 §3.1."""
    with rows.one_moment(db):
        try:
            mailbox = rows.mailbox_by_id(db, mailbox_id)
        except NoSuchMailbox:
            return Changes(ModSeq(modseq), is_gone=True)
        changed: list[FlagChange] = []
        gone = NO_UIDS
        if mailbox.highestmodseq > modseq:
            found = select(
                db,
                "SELECT uid, flags, keywords, modseq FROM message WHERE mailbox_id = ? AND modseq > ? ORDER BY uid",
                (mailbox_id, modseq),
            )
            changed = [FlagChange(uid, flags_of(bits, keywords), at) for uid, bits, keywords, at in found]
            gone = _vanished(db, mailbox_id, modseq)
    return Changes(
        highestmodseq=ModSeq(mailbox.highestmodseq),
        changed=changed,
        vanished=gone,
        message_count=mailbox.message_count,
        uidnext=Uid(mailbox.uidnext),
    )


def vanished_since(db: apsw.Connection, mailbox_id: int, modseq: int) -> UidSet:
    """See `AccountStore.vanished_since`. Spec: RFC 7162 §3.2.5."""
    with rows.one_moment(db):
        rows.mailbox_by_id(db, mailbox_id)
        return _vanished(db, mailbox_id, modseq)


def _vanished(db: apsw.Connection, mailbox_id: int, modseq: int) -> UidSet:
    return UidSet(
        select(db, "SELECT first_uid, last_uid FROM expunged WHERE mailbox_id = ? AND modseq > ?", (mailbox_id, modseq))
    )


def fetch(
    db: apsw.Connection, mailbox_id: int, uids: UidSet, wanted: Wanted, changed_since: int | None
) -> list[MessageRecord]:
    """See `AccountStore.fetch`. One scan of the narrow table; a join by ascending key where wide columns are wanted."""
    columns = [_NARROW] + [column if wanted & bit else "NULL" for bit, column in _WIDE]
    sql = f"SELECT {', '.join(columns)} FROM {IN_RUNS}"
    if wanted:
        sql += " JOIN content AS c ON c.content_id = m.content_id"
    parameters: tuple[str | int, ...] = (runs_json(uids), mailbox_id)
    if changed_since is not None:
        sql += " WHERE m.modseq > ?"
        parameters += (changed_since,)
    with rows.one_moment(db):
        rows.mailbox_by_id(db, mailbox_id)
        found = select(db, sql, parameters)
    return [_record(row) for row in found]


def _record(row: tuple) -> MessageRecord:  # type: ignore[type-arg] # columns of _NARROW and _WIDE
    (uid, modseq, bits, keywords, internaldate_s, zone, savedate_s, size, header, content_id, thread_no) = row[:11]
    summary, structure, parts, listed_header, preview, order = row[11:]
    return MessageRecord(
        uid,
        modseq,
        flags_of(bits, keywords),
        internaldate_s,
        zone,
        savedate_s,
        size,
        header,
        email_id_of(content_id),
        thread_id_of(thread_no),
        BlobId(content_id),
        summary,
        structure,
        None if parts is None else contents.decoded_parts(parts),
        listed_header,
        preview,
        None if order is None else contents.decoded_order(order),
    )
