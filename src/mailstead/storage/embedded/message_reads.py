"""Reading verbs on messages, as functions of a connection. Each sees one moment."""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, repeat
from typing import Any, Final

import apsw
import msgspec

from mailstead.model.errors import NoSuchMailbox
from mailstead.model.ids import MailboxId, ModSeq, Uid
from mailstead.model.mailbox import Snapshot
from mailstead.model.message import Changes, FlagChange, MessageRecord, Newest, Wanted
from mailstead.model.search import SearchKey
from mailstead.model.uidset import NO_UIDS, UidSet
from mailstead.storage.embedded import contents, newest_first, rows
from mailstead.storage.embedded.rows import (
    IN_RUNS,
    email_id_of,
    flags_of,
    runs_json,
    select,
    select_one,
    select_packed,
    thread_id_of,
)

_NARROW: Final = (
    "uid, modseq, flags, keywords, internaldate_s, zone_minutes, savedate_s, size_octets, header_octets, content_id,"
    " thread_no"
)
_WIDE: Final = (
    (Wanted.SUMMARY, "header_summary"),
    (Wanted.STRUCTURE, "body_structure"),
    (Wanted.PARTS, "parts"),
    (Wanted.LISTED_HEADER, "listed_header"),
    (Wanted.PREVIEW, "preview"),
    (Wanted.ORDER, "order_facts"),
)
RECORDS_PER_STEP: Final = 1000


def snapshot(db: apsw.Connection, name: str) -> Snapshot:
    """See `AccountStore.snapshot`. The UIDs are what the expunged runs leave of 1 to uidnext: no scan of messages."""
    with rows.one_moment(db):
        mailbox = rows.mailbox_by_name(db, name)
        keywords = select(db, "SELECT name FROM keyword WHERE mailbox_id = ? ORDER BY folded", (mailbox.mailbox_id,))
        is_subscribed = select_one(db, "SELECT 1 FROM subscription WHERE name = ?", (name,))
        gone = select_packed(
            db,
            "first_uid, last_uid",
            "FROM expunged WHERE mailbox_id = ?",
            (mailbox.mailbox_id,),
            order="ORDER BY first_uid",
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
            found = select_packed(
                db,
                "uid, flags, keywords, modseq",
                "FROM message WHERE mailbox_id = ? AND modseq > ?",
                (mailbox_id, modseq),
                order="ORDER BY uid",
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
        select_packed(
            db, "first_uid, last_uid", "FROM expunged WHERE mailbox_id = ? AND modseq > ?", (mailbox_id, modseq)
        )
    )


def fetch(
    db: apsw.Connection, mailbox_id: int, uids: UidSet, wanted: Wanted, changed_since: int | None
) -> list[MessageRecord]:
    """See `AccountStore.fetch`. One scan of the narrow table; a join by ascending key where wide columns are wanted."""
    with rows.one_moment(db):
        return _fetch(db, rows.mailbox_by_id(db, mailbox_id), uids, wanted, changed_since)


def _fetch(
    db: apsw.Connection, mailbox: rows.MailboxRow, uids: UidSet, wanted: Wanted, changed_since: int | None = None
) -> list[MessageRecord]:
    records: list[MessageRecord] = []
    sql = _fetch_statement(wanted)
    left = uids & UidSet([(1, mailbox.uidnext)])
    while left:
        parameters = (runs_json(left), mailbox.mailbox_id, changed_since or 0, RECORDS_PER_STEP)
        packed, *columns = select_one(db, sql, parameters)
        step = msgspec.json.decode(packed)
        records += _records(step, wanted, columns)
        if len(step) < RECORDS_PER_STEP:
            break
        left &= UidSet([(step[-1][0] + 1, mailbox.uidnext)])
    return records


def newest(
    db: apsw.Connection, mailbox_ids: Sequence[int], key: SearchKey, skipped: int, limit: int, wanted: Wanted
) -> Newest:
    """See `AccountStore.newest`. Without a condition it costs the page, whatever the mailbox holds."""
    with rows.one_moment(db), newest_first.walk(db, mailbox_ids, key) as walk:
        count = walk.count(key)
        page = walk.page(skipped, limit) if skipped < count else []
        records = fetch_places(db, ((one.mailbox_id, one.uid) for one in page), wanted)
    return Newest(count, [(MailboxId(one.mailbox_id), records[one.mailbox_id, one.uid]) for one in page])


def fetch_places(
    db: apsw.Connection, places: Iterable[tuple[int, int]], wanted: Wanted
) -> dict[tuple[int, int], MessageRecord]:
    """Give records by mailbox and UID. The caller keeps it one moment."""
    wanted_of: dict[int, list[int]] = {}
    for mailbox_id, uid in places:
        wanted_of.setdefault(mailbox_id, []).append(uid)
    return {
        (mailbox_id, int(record.uid)): record
        for mailbox_id, uids in wanted_of.items()
        for record in _fetch(db, rows.mailbox_by_id(db, mailbox_id), UidSet.of(uids), wanted)
    }


def _fetch_statement(wanted: Wanted) -> str:
    """Give the statement for some columns: many messages come packed in one row (see `rows.select_packed`).

    The narrow columns and the lengths of the wide ones are one JSON text; each wide column is one string of octets.
    """
    wide = [column for bit, column in _WIDE if wanted & bit]
    lengths = "".join(f", octet_length({column})" for column in wide)
    joined = "".join(f", CAST(group_concat(CAST({column} AS TEXT), '') AS BLOB)" for column in wide)
    inner = ", ".join([f"m.{name}" for name in _NARROW.split(", ")] + [f"c.{column}" for column in wide])
    join = "JOIN content AS c ON c.content_id = m.content_id" if wide else ""
    return (
        f"SELECT json_group_array(json_array({_NARROW}{lengths})){joined}"
        f" FROM (SELECT {inner} FROM {IN_RUNS} {join} WHERE m.modseq > ? LIMIT ?)"
    )


def _records(step: list[list[Any]], wanted: Wanted, columns: list[bytes | None]) -> Iterator[MessageRecord]:
    """Make records of what one step gave."""
    narrow = list(zip(*step, strict=True))
    if not narrow:
        return iter(())
    uids, modseqs, bits, keywords, internaldates, zones, savedates, sizes, headers, content_ids, thread_nos = narrow[
        :11
    ]
    cut = {
        bit: _cut(column or b"", lengths, bit)
        for bit, column, lengths in zip((bit for bit, _ in _WIDE if wanted & bit), columns, narrow[11:], strict=True)
    }
    return map(
        MessageRecord._make,
        zip(
            uids,
            modseqs,
            map(flags_of, bits, keywords),
            internaldates,
            zones,
            savedates,
            sizes,
            headers,
            map(email_id_of, content_ids),
            map(thread_id_of, thread_nos),
            content_ids,
            *(cut[bit] if wanted & bit else repeat(None, len(step)) for bit, _ in _WIDE),
            strict=True,
        ),
    )


def _cut(joined: bytes, lengths: Sequence[int], bit: Wanted) -> list[Any]:
    """Cut a wide column into its values."""
    ends = list(accumulate(lengths))
    values = [joined[end - length : end] for end, length in zip(ends, lengths, strict=True)]
    match bit:
        case Wanted.PARTS:
            return [contents.decoded_parts(value) for value in values]
        case Wanted.ORDER:
            return [contents.decoded_order(value) for value in values]
        case Wanted.PREVIEW:
            return [value.decode() for value in values]
        case _:
            return values
