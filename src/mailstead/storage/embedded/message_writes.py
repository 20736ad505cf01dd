"""Writing verbs on messages, as functions of a transaction: append, replace, store flags, expunge, copy, move."""

import json
from collections.abc import Sequence
from typing import Final, NamedTuple

from mailstead.model.errors import NoSuchMessage
from mailstead.model.flags import Flag, FlagOperation, Flags, flag_set
from mailstead.model.ids import ModSeq, Uid, UidValidity
from mailstead.model.message import Appended, Copied, FlagChange, NewMessage, Stored
from mailstead.model.uidset import UidSet
from mailstead.storage.embedded import contents, junk
from mailstead.storage.embedded.rows import (
    BIT_OF,
    DELETED_BIT,
    IN_RUNS,
    SEEN_BIT,
    MailboxRow,
    email_id_of,
    flags_of,
    row_flags,
    runs_json,
    select,
    select_one,
    select_packed,
)
from mailstead.storage.embedded.transaction import Transaction

_INSERT: Final = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def append(
    transaction: Transaction, name: str, messages: Sequence[NewMessage], *, is_delivery: bool = False
) -> list[Appended]:
    """See `AccountStore.append`. Everything that can be refused is refused before the first row is written."""
    mailbox = transaction.mailbox_named(name)
    transaction.reserve(len(messages), sum(message.facts.size_octets for message in messages))
    flag_sets = [flag_set(message.flags) for message in messages]
    spelling = transaction.use_keywords(mailbox.mailbox_id, _keywords(frozenset().union(*flag_sets)))
    modseq = transaction.next_modseq()
    appended: list[Appended] = []
    uid = mailbox.uidnext
    size_octets = unseen_count = deleted_count = 0
    first_unseen_uid = mailbox.first_unseen_uid
    content_ids: list[int] = []
    for message, flags in zip(messages, flag_sets, strict=True):
        bits, keywords = row_flags(_spelt(flags, spelling))
        facts, internaldate = message.facts, message.internaldate
        zone = internaldate.utcoffset()
        content_id, thread_no = contents.add(transaction, message)
        content_ids.append(content_id)
        transaction.db.execute(
            _INSERT,
            (
                mailbox.mailbox_id,
                uid,
                modseq,
                bits,
                keywords,
                int(internaldate.timestamp()),
                int(zone.total_seconds()) // 60 if zone else 0,
                transaction.now_s,
                facts.sent_on,
                facts.size_octets,
                facts.header_octets,
                content_id,
                thread_no,
            ),
        )
        appended.append(Appended(UidValidity(mailbox.uidvalidity), Uid(uid), email_id_of(content_id), ModSeq(modseq)))
        size_octets += facts.size_octets
        if not bits & SEEN_BIT:
            unseen_count += 1
            first_unseen_uid = first_unseen_uid or uid
        if bits & DELETED_BIT:
            deleted_count += 1
        uid += 1
    transaction.put_mailbox(
        mailbox._replace(
            uidnext=uid,
            highestmodseq=modseq,
            message_count=mailbox.message_count + len(messages),
            unseen_count=mailbox.unseen_count + unseen_count,
            deleted_count=mailbox.deleted_count + deleted_count,
            size_octets=mailbox.size_octets + size_octets,
            first_unseen_uid=first_unseen_uid,
        )
    )
    if not is_delivery:
        junk.note_arrival(transaction, content_ids, None, mailbox)
    return appended


def replace(transaction: Transaction, mailbox_id: int, uid: int, name: str, message: NewMessage) -> Appended:
    """See `AccountStore.replace`. The old message's octets count as free already. Spec: RFC 8508 §3."""
    if not _remove(transaction, transaction.mailbox(mailbox_id), UidSet([(uid, uid)]), bits_needed=0):
        raise NoSuchMessage(uid=uid)
    return append(transaction, name, [message])[0]


def store_flags(
    transaction: Transaction,
    mailbox_id: int,
    uids: UidSet,
    operation: FlagOperation,
    flags: Sequence[Flag],
    unchanged_since: int | None,
) -> Stored:
    """See `AccountStore.store_flags`. Spec: RFC 9051 §6.4.6, RFC 7162 §3.1.3."""
    db, mailbox = transaction.db, transaction.mailbox(mailbox_id)
    found = select_packed(db, "m.uid, m.modseq, m.flags, m.keywords", f"FROM {IN_RUNS}", (runs_json(uids), mailbox_id))
    refused = [uid for uid, modseq, *_ in found if unchanged_since is not None and modseq > unchanged_since]
    given = flag_set(flags)
    if operation is FlagOperation.REMOVE:
        operand = _folded_operand(transaction, mailbox_id, given)
    else:
        operand = _spelt(given, transaction.use_keywords(mailbox_id, _keywords(given)) if found else {})
    after_of: dict[tuple[int, str], tuple[int, str]] = {}
    moved: dict[tuple[int, str], list[int]] = {}
    changed: list[FlagChange] = []
    unseen_step = deleted_step = 0
    lost_unseen = gained_unseen = None
    new_modseq = transaction.account.modseq + 1
    for uid, modseq, bits, keywords in found:
        if unchanged_since is not None and modseq > unchanged_since:
            continue
        before = (bits, keywords)
        after = after_of.get(before)
        if after is None:
            after = after_of[before] = row_flags(_combined(flags_of(*before), operation, operand))
        if after == before:
            changed.append(FlagChange(uid, flags_of(*before), modseq))
            continue
        moved.setdefault(after, []).append(uid)
        changed.append(FlagChange(uid, flags_of(*after), ModSeq(new_modseq)))
        deleted_step += bool(after[0] & DELETED_BIT) - bool(bits & DELETED_BIT)
        if (after[0] ^ bits) & SEEN_BIT:
            unseen_step += 1 if bits & SEEN_BIT else -1
            if bits & SEEN_BIT:
                gained_unseen = gained_unseen or uid
            elif uid == mailbox.first_unseen_uid:
                lost_unseen = uid
    if moved:
        modseq = transaction.next_modseq()
        for (bits, keywords), moved_uids in moved.items():
            db.execute(
                "UPDATE message SET flags = ?, keywords = ?, modseq = ?"
                " WHERE mailbox_id = ? AND uid IN (SELECT value FROM json_each(?))",
                (bits, keywords, modseq, mailbox_id, json.dumps(moved_uids)),
            )
        first_unseen_uid = mailbox.first_unseen_uid
        if lost_unseen is not None:
            first_unseen_uid = _next_unseen(transaction, mailbox_id, lost_unseen)
        if gained_unseen is not None:
            first_unseen_uid = min(first_unseen_uid or gained_unseen, gained_unseen)
        transaction.put_mailbox(
            mailbox._replace(
                highestmodseq=modseq,
                unseen_count=mailbox.unseen_count + unseen_step,
                deleted_count=mailbox.deleted_count + deleted_step,
                first_unseen_uid=first_unseen_uid,
            )
        )
    return Stored(changed, UidSet.of(refused))


def expunge(transaction: Transaction, mailbox_id: int, uids: UidSet | None, *, only_deleted: bool) -> UidSet:
    """See `AccountStore.expunge`. Spec: RFC 9051 §6.4.3, RFC 4315 §2.1."""
    mailbox = transaction.mailbox(mailbox_id)
    if only_deleted and not mailbox.deleted_count:
        return UidSet()
    chosen = UidSet([(1, mailbox.uidnext)]) if uids is None else uids
    removed = _remove(transaction, mailbox, chosen, bits_needed=DELETED_BIT if only_deleted else 0)
    return UidSet.of(row.uid for row in removed)


def copy(transaction: Transaction, mailbox_id: int, uids: UidSet, target: str) -> Copied:
    """See `AccountStore.copy`. Spec: RFC 9051 §6.4.7."""
    source = transaction.mailbox(mailbox_id)
    taken = _rows(transaction, mailbox_id, uids, 0)
    into = transaction.mailbox_named(target)
    transaction.reserve(len(taken), sum(row.size_octets for row in taken))
    contents.share(transaction.db, (row.content_id for row in taken))
    junk.note_arrival(transaction, [row.content_id for row in taken], source, into)
    return _put_rows(transaction, taken, into)


def move(transaction: Transaction, mailbox_id: int, uids: UidSet, target: str) -> Copied:
    """See `AccountStore.move`. Spec: RFC 6851 §3.3. Octets, threads and the text index do not notice it."""
    source = transaction.mailbox(mailbox_id)
    into = transaction.mailbox_named(target)
    taken = _rows(transaction, mailbox_id, uids, 0)
    if not taken:
        return Copied(UidValidity(into.uidvalidity), [], [])
    # Counted out with the source and in again with the target: the account's numbers stay, so no quota is asked.
    _take_out(transaction, source, taken)
    junk.note_arrival(transaction, [row.content_id for row in taken], source, into)
    account = transaction.account
    transaction.account = account._replace(
        message_count=account.message_count + len(taken),
        size_octets=account.size_octets + sum(row.size_octets for row in taken),
    )
    return _put_rows(transaction, taken, transaction.mailbox(into.mailbox_id))


class _Row(NamedTuple):
    """A message row without its mailbox and modseq."""

    uid: int
    flags: int
    keywords: str
    internaldate_s: int
    zone_minutes: int
    savedate_s: int
    sent_on: int | None
    size_octets: int
    header_octets: int
    content_id: int
    thread_no: int


_ROW_COLUMNS: Final = ", ".join(f"m.{name}" for name in _Row._fields)


def _rows(transaction: Transaction, mailbox_id: int, uids: UidSet, bits_needed: int) -> list[_Row]:
    found = select_packed(
        transaction.db,
        _ROW_COLUMNS,
        f"FROM {IN_RUNS} WHERE m.flags & ? = ?",
        (runs_json(uids), mailbox_id, bits_needed, bits_needed),
    )
    return [_Row._make(row) for row in found]


def _remove(transaction: Transaction, mailbox: MailboxRow, uids: UidSet, *, bits_needed: int) -> list[_Row]:
    """Remove messages for good."""
    taken = _rows(transaction, mailbox.mailbox_id, uids, bits_needed)
    if taken:
        _take_out(transaction, mailbox, taken)
        contents.release(transaction, (row.content_id for row in taken))
    return taken


def _take_out(transaction: Transaction, mailbox: MailboxRow, taken: list[_Row]) -> None:
    """Take message rows out of their mailbox, log their UIDs as expunged, and move all counters."""
    db, mailbox_id = transaction.db, mailbox.mailbox_id
    modseq = transaction.next_modseq()
    gone = UidSet.of(row.uid for row in taken)
    db.execute(
        "DELETE FROM message WHERE mailbox_id = ? AND uid IN (SELECT value FROM json_each(?))",
        (mailbox_id, json.dumps([row.uid for row in taken])),
    )
    _log_expunged(transaction, mailbox_id, gone, modseq)
    size_octets = sum(row.size_octets for row in taken)
    first_unseen_uid = mailbox.first_unseen_uid
    if first_unseen_uid is not None and first_unseen_uid in gone:
        first_unseen_uid = _next_unseen(transaction, mailbox_id, first_unseen_uid)
    transaction.put_mailbox(
        mailbox._replace(
            highestmodseq=modseq,
            message_count=mailbox.message_count - len(taken),
            unseen_count=mailbox.unseen_count - sum(not row.flags & SEEN_BIT for row in taken),
            deleted_count=mailbox.deleted_count - sum(bool(row.flags & DELETED_BIT) for row in taken),
            size_octets=mailbox.size_octets - size_octets,
            first_unseen_uid=first_unseen_uid,
        )
    )
    account = transaction.account
    transaction.account = account._replace(
        message_count=account.message_count - len(taken), size_octets=account.size_octets - size_octets
    )


def _put_rows(transaction: Transaction, taken: list[_Row], into: MailboxRow) -> Copied:
    """Give rows new UIDs in a mailbox; their savedate is now. Spec: RFC 8514 §3."""
    if not taken:
        return Copied(UidValidity(into.uidvalidity), [], [])
    keywords = {keyword for text in {row.keywords for row in taken} for keyword in text.split()}
    spelling = transaction.use_keywords(into.mailbox_id, keywords)
    modseq = transaction.next_modseq()
    target_uids = [Uid(into.uidnext + position) for position in range(len(taken))]
    values = [
        (uid, row.flags, _respelt(row.keywords, spelling), *row[3:5], *row[6:])
        for uid, row in zip(target_uids, taken, strict=True)
    ]
    transaction.db.execute(
        "INSERT INTO message SELECT ?1, value ->> 0, ?2, value ->> 1, value ->> 2, value ->> 3, value ->> 4, ?3,"
        " value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9 FROM json_each(?4)",
        (into.mailbox_id, modseq, transaction.now_s, json.dumps(values)),
    )
    first_unseen = next((uid for uid, row in zip(target_uids, taken, strict=True) if not row.flags & SEEN_BIT), None)
    transaction.put_mailbox(
        into._replace(
            uidnext=into.uidnext + len(taken),
            highestmodseq=modseq,
            message_count=into.message_count + len(taken),
            unseen_count=into.unseen_count + sum(not row.flags & SEEN_BIT for row in taken),
            deleted_count=into.deleted_count + sum(bool(row.flags & DELETED_BIT) for row in taken),
            size_octets=into.size_octets + sum(row.size_octets for row in taken),
            first_unseen_uid=into.first_unseen_uid or first_unseen,
        )
    )
    return Copied(UidValidity(into.uidvalidity), [Uid(row.uid) for row in taken], target_uids)


def _log_expunged(transaction: Transaction, mailbox_id: int, gone: UidSet, modseq: int) -> None:
    """Log runs of expunged UIDs, merged with their neighbours under the new modseq (see `schema`)."""
    db = transaction.db
    lowest, highest = gone.runs[0][0], gone.runs[-1][1]
    neighbours = select_packed(
        db,
        "first_uid, last_uid",
        "FROM expunged WHERE mailbox_id = ?1 AND first_uid <= ?3 + 1 AND first_uid >= ifnull("
        "(SELECT max(first_uid) FROM expunged WHERE mailbox_id = ?1 AND first_uid < ?2), 0)",
        (mailbox_id, lowest, highest),
    )
    before = {(first, last) for first, last in neighbours}
    after = set((UidSet(before) | gone).runs)
    db.execute(
        "DELETE FROM expunged WHERE mailbox_id = ? AND first_uid IN (SELECT value FROM json_each(?))",
        (mailbox_id, json.dumps([first for first, _ in before - after])),
    )
    db.execute(
        "INSERT INTO expunged SELECT ?, value ->> 0, value ->> 1, ? FROM json_each(?)",
        (mailbox_id, modseq, json.dumps(sorted(after - before))),
    )


def _next_unseen(transaction: Transaction, mailbox_id: int, from_uid: int) -> int | None:
    found = select_one(
        transaction.db,
        "SELECT uid FROM message WHERE mailbox_id = ? AND uid >= ? AND flags & 1 = 0 ORDER BY uid LIMIT 1",
        (mailbox_id, from_uid),
    )
    return found[0] if found else None


def _keywords(flags: Flags) -> list[str]:
    return [flag for flag in flags if flag not in BIT_OF]


def _respelt(keywords: str, spelling: dict[str, str]) -> str:
    return " ".join(sorted(spelling[keyword] for keyword in keywords.split())) if keywords else ""


def _spelt(flags: Flags, spelling: dict[str, str]) -> Flags:
    return frozenset(spelling.get(flag, flag) for flag in flags) if spelling else flags


def _folded_operand(transaction: Transaction, mailbox_id: int, flags: Flags) -> Flags:
    """Give the flags to remove in the mailbox's spelling, without adding keywords."""
    if not _keywords(flags):
        return flags
    known = dict(select(transaction.db, "SELECT folded, name FROM keyword WHERE mailbox_id = ?", (mailbox_id,)))
    return frozenset(flag if flag in BIT_OF else known.get(flag.casefold(), flag) for flag in flags)


def _combined(before: Flags, operation: FlagOperation, operand: Flags) -> Flags:
    match operation:
        case FlagOperation.REPLACE:
            return operand
        case FlagOperation.ADD:
            return before | operand
        case FlagOperation.REMOVE:
            return before - operand
