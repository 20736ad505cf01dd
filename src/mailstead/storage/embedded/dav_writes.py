"""Changing resources of an account file. Each function is one unit of work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

import apsw

from mailstead.model.dav import (
    Attachment,
    CollectionId,
    CollectionKind,
    NewResource,
    Precondition,
    Put,
    Resource,
    ResourceFacts,
)
from mailstead.model.errors import LimitReached, NoSuchResource, PreconditionFailed, UidConflict
from mailstead.storage.embedded import dav_collections, dav_reads
from mailstead.storage.embedded.dav_reads import FOREVER_S
from mailstead.storage.embedded.octets import compressed_or_none, compressed_whole, is_text
from mailstead.storage.embedded.rows import select_one
from mailstead.storage.embedded.transaction import Transaction

RESOURCES_MAX: Final = 100_000
"""Of one collection."""
ATTACHMENTS_MAX: Final = 10
"""Of one resource. Spec: reference 8.2 (max-attachments-per-resource)."""
TOMBSTONES_MAX: Final = 100_000
"""Of one collection; whoever has not asked since the oldest of them begins anew."""
FORGET_EVERY: Final = 1000
"""Changes; to count tombstones at each would cost more than the thousand that are kept too long."""
COMPRESS_FROM_OCTETS: Final = 4096
"""Shorter octets travel packed with their row, which is worth more than the room."""


@dataclass(frozen=True, slots=True)
class Places:
    """From where, and to where."""

    collection_id: CollectionId
    name: str
    target_id: CollectionId
    target_name: str


def put(transaction: Transaction, collection_id: CollectionId, new: Sequence[NewResource]) -> list[Put]:
    """Put all or none.

    Errors: NoSuchCollection, PreconditionFailed, UidConflict, OverQuota, LimitReached, BadCollectionName.
    """
    db = transaction.db
    kind = dav_collections.by_id(db, collection_id).kind
    done = [_put_one(transaction, collection_id, kind, each) for each in new]
    (count,) = select_one(db, "SELECT resource_count FROM collection WHERE collection_id = ?", (collection_id,))
    if count > RESOURCES_MAX and any(each.is_new for each in done):
        raise LimitReached(f"A calendar or address book has at most {RESOURCES_MAX} objects")
    return done


def _put_one(transaction: Transaction, collection_id: CollectionId, kind: CollectionKind, new: NewResource) -> Put:
    db = transaction.db
    dav_collections.check_name(new.name)
    old = dav_reads.by_name(db, collection_id, new.name)
    must_hold(old, new.precondition)
    _check_uid(db, collection_id, kind, new.facts.uid, old)
    etag = sha256(new.octets).hexdigest()[:32]
    schedule_tag = new.schedule_tag if new.schedule_tag is not None else (old.schedule_tag if old else "")
    if old is not None and old.etag == etag and old.schedule_tag == schedule_tag:
        return Put(old, is_new=False, errand_id=_add_errand(db, new.errand))
    size_octets = len(new.octets)
    transaction.reserve_dav(size_octets - (old.size_octets if old else 0))
    modseq, now_s, facts = transaction.next_modseq(), transaction.now_s, _columns(new.facts)
    if old is None:
        db.execute(
            "INSERT INTO resource (collection_id, name, modseq, etag, schedule_tag, created_s, modified_s, size_octets,"
            " uid, component, first_s, last_s, facts, organizer, summary)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (collection_id, new.name, modseq, etag, schedule_tag, now_s, now_s, size_octets, *facts),
        )
        resource_id = db.last_insert_rowid()
    else:
        resource_id = old.resource_id
        db.execute(
            "UPDATE resource SET modseq = ?, etag = ?, schedule_tag = ?, modified_s = ?, size_octets = ?, uid = ?,"
            " component = ?, first_s = ?, last_s = ?, facts = ?, organizer = ?, summary = ? WHERE resource_id = ?",
            (modseq, etag, schedule_tag, now_s, size_octets, *facts, resource_id),
        )
    is_compressed, kept = _stored(new.octets)
    db.execute(
        "INSERT OR REPLACE INTO resource_octets VALUES (?, ?, ?, ?)",
        (resource_id, int(is_compressed), kept, new.facts.text),
    )
    db.execute("DELETE FROM resource_tombstone WHERE collection_id = ? AND name = ?", (collection_id, new.name))
    _count(db, collection_id, modseq, int(old is None), size_octets - (old.size_octets if old else 0))
    stored = dav_reads.by_name(db, collection_id, new.name)
    assert stored is not None
    return Put(stored, is_new=old is None, errand_id=_add_errand(db, new.errand))


def delete(
    transaction: Transaction, collection_id: CollectionId, name: str, precondition: Precondition, errand: bytes
) -> int | None:
    """Remove one resource. Errors: NoSuchCollection, NoSuchResource, PreconditionFailed."""
    db = transaction.db
    dav_collections.by_id(db, collection_id)
    old = dav_reads.by_name(db, collection_id, name)
    if old is None:
        raise NoSuchResource(name=name)
    must_hold(old, precondition)
    _remove(transaction, old)
    return _add_errand(db, errand)


def copy(transaction: Transaction, places: Places, *, moves: bool, overwrites: bool, precondition: Precondition) -> Put:
    """Copy or move one resource.

    Errors: NoSuchCollection, NoSuchResource, PreconditionFailed, UidConflict, OverQuota, LimitReached,
    BadCollectionName.
    """
    db = transaction.db
    dav_collections.by_id(db, places.collection_id)
    target = dav_collections.by_id(db, places.target_id)
    dav_collections.check_name(places.target_name)
    source = dav_reads.by_name(db, places.collection_id, places.name)
    if source is None:
        raise NoSuchResource(name=places.name)
    must_hold(source, precondition)
    there = dav_reads.by_name(db, places.target_id, places.target_name)
    if there is not None and not overwrites:
        raise PreconditionFailed(name=places.target_name)
    if there is not None and there.resource_id == source.resource_id:
        return Put(source, is_new=False)
    if not moves:
        octets = dav_reads.octets_of(db, source.resource_id)
        facts = replace(source.facts, text=_text_of(db, source.resource_id))
        new = NewResource(places.target_name, octets, facts, schedule_tag=source.schedule_tag)
        return put(transaction, places.target_id, [new])[0]
    if there is not None:
        _remove(transaction, there)
    if places.collection_id != places.target_id:
        _check_uid(db, places.target_id, target.kind, source.facts.uid, None)
        if target.resource_count >= RESOURCES_MAX:
            raise LimitReached(f"A calendar or address book has at most {RESOURCES_MAX} objects")
    modseq = transaction.next_modseq()
    db.execute(
        "UPDATE resource SET collection_id = ?, name = ?, modseq = ? WHERE resource_id = ?",
        (places.target_id, places.target_name, modseq, source.resource_id),
    )
    db.execute(
        "DELETE FROM resource_tombstone WHERE collection_id = ? AND name = ?", (places.target_id, places.target_name)
    )
    _bury(transaction, source, modseq)
    _count(db, places.target_id, modseq, 1, source.size_octets)
    moved = dav_reads.by_name(db, places.target_id, places.target_name)
    assert moved is not None
    return Put(moved, is_new=there is None)


def put_attachment(transaction: Transaction, attachment: Attachment) -> None:
    """Add, or replace. Errors: NoSuchResource, OverQuota, LimitReached."""
    db = transaction.db
    dav_reads.by_id(db, attachment.resource_id)
    old = select_one(db, "SELECT size_octets FROM attachment WHERE managed_id = ?", (attachment.managed_id,))
    (count,) = select_one(db, "SELECT count(*) FROM attachment WHERE resource_id = ?", (attachment.resource_id,))
    if old is None and count >= ATTACHMENTS_MAX:
        raise LimitReached(f"An event has at most {ATTACHMENTS_MAX} attachments")
    transaction.reserve_dav(len(attachment.octets) - (old[0] if old else 0))
    db.execute(
        "INSERT OR REPLACE INTO attachment VALUES (?, ?, ?, ?, ?, ?)",
        (
            attachment.managed_id,
            attachment.resource_id,
            attachment.file_name,
            attachment.media_type,
            len(attachment.octets),
            attachment.octets,
        ),
    )


def delete_attachment(transaction: Transaction, managed_id: str) -> None:
    """Remove an attachment, if it is there."""
    old = select_one(transaction.db, "SELECT size_octets FROM attachment WHERE managed_id = ?", (managed_id,))
    if old is not None:
        transaction.db.execute("DELETE FROM attachment WHERE managed_id = ?", (managed_id,))
        transaction.reserve_dav(-old[0])


def must_hold(old: Resource | None, precondition: Precondition) -> None:
    """Errors: PreconditionFailed. Spec: RFC 9110 §13.1; RFC 6638 §8.3."""
    etag = old.etag if old is not None else None
    is_wrong = (
        (precondition.must_exist and old is None)
        or (precondition.must_be_absent and old is not None)
        or (precondition.etags is not None and etag not in precondition.etags)
        or (etag is not None and etag in precondition.absent_etags)
        or (precondition.schedule_tag is not None and (old is None or old.schedule_tag != precondition.schedule_tag))
    )
    if is_wrong:
        raise PreconditionFailed


def _check_uid(db: apsw.Connection, collection_id: int, kind: CollectionKind, uid: str, old: Resource | None) -> None:
    """Errors: UidConflict. The inbox may have several messages about one object."""
    if kind is CollectionKind.INBOX:
        return
    other = select_one(
        db,
        "SELECT name FROM resource WHERE uid = ? AND collection_id = ? AND resource_id != ?",
        (uid, collection_id, old.resource_id if old is not None else 0),
    )
    if other is not None:
        raise UidConflict(name=other[0])


def _remove(transaction: Transaction, old: Resource) -> None:
    db = transaction.db
    (attached,) = select_one(
        db, "SELECT ifnull(sum(size_octets), 0) FROM attachment WHERE resource_id = ?", (old.resource_id,)
    )
    for table in ("attachment", "resource_octets", "resource"):
        db.execute(f"DELETE FROM {table} WHERE resource_id = ?", (old.resource_id,))  # noqa: S608  # our own words
    transaction.reserve_dav(-old.size_octets - attached)
    _bury(transaction, old, transaction.next_modseq())


def _bury(transaction: Transaction, old: Resource, modseq: int) -> None:
    """Note that a name is no longer there."""
    db = transaction.db
    db.execute(
        "INSERT OR REPLACE INTO resource_tombstone"
        " (collection_id, name, modseq, resource_id, uid, component, summary, deleted_s)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            old.collection_id,
            old.name,
            modseq,
            old.resource_id,
            old.facts.uid,
            old.facts.component,
            old.facts.summary,
            transaction.now_s,
        ),
    )
    _count(db, old.collection_id, modseq, -1, -old.size_octets)


def _forget_oldest(db: apsw.Connection, collection_id: int) -> None:
    row = select_one(
        db,
        "SELECT modseq FROM resource_tombstone WHERE collection_id = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?",
        (collection_id, TOMBSTONES_MAX),
    )
    if row is not None:
        db.execute("DELETE FROM resource_tombstone WHERE collection_id = ? AND modseq <= ?", (collection_id, row[0]))
        db.execute("UPDATE collection SET forgotten_modseq = ? WHERE collection_id = ?", (row[0], collection_id))


def _stored(octets: bytes) -> tuple[bool, bytes]:
    """Give octets as they are kept, and whether compressed: short text is not, as it travels packed."""
    if len(octets) >= COMPRESS_FROM_OCTETS:
        compressed = compressed_or_none(octets)
        if compressed is not None:
            return True, compressed
    return (False, octets) if is_text(octets) else (True, compressed_whole(octets))


def _count(db: apsw.Connection, collection_id: int, modseq: int, count: int, size_octets: int) -> None:
    (before,) = select_one(db, "SELECT modseq FROM collection WHERE collection_id = ?", (collection_id,))
    if before // FORGET_EVERY != modseq // FORGET_EVERY:
        _forget_oldest(db, collection_id)
    db.execute(
        "UPDATE collection SET modseq = ?, resource_count = resource_count + ?, size_octets = size_octets + ?"
        " WHERE collection_id = ?",
        (modseq, count, size_octets, collection_id),
    )


def _columns(facts: ResourceFacts) -> tuple[str | int, ...]:
    first_s = -FOREVER_S if facts.first_s is None or not facts.is_dated else facts.first_s
    last_s = FOREVER_S if facts.last_s is None or not facts.is_dated else facts.last_s
    bits = facts.is_dated + 2 * facts.is_recurring + 4 * facts.is_exact + 8 * facts.is_group
    return facts.uid, facts.component, first_s, last_s, bits, facts.organizer, facts.summary


def _text_of(db: apsw.Connection, resource_id: int) -> str:
    (text,) = select_one(db, "SELECT text FROM resource_octets WHERE resource_id = ?", (resource_id,))
    return str(text)


def _add_errand(db: apsw.Connection, errand: bytes) -> int | None:
    if not errand:
        return None
    db.execute("INSERT INTO errand (octets) VALUES (?)", (errand,))
    return db.last_insert_rowid()
