"""Collections of an account file."""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import apsw
import msgspec

from mailstead.model.dav import Collection, CollectionId, CollectionKind, CollectionTraits
from mailstead.model.errors import BadCollectionName, CollectionExists, LimitReached, NoSuchCollection
from mailstead.model.ids import ModSeq
from mailstead.storage.embedded.rows import select, select_one
from mailstead.storage.embedded.transaction import Transaction

COLLECTIONS_MAX: Final = 250
"""Of one account: far more than people have, few enough to be listed whole."""
NAME_OCTETS_MAX: Final = 255
"""As file systems have it, where clients keep objects as files."""

_COLUMNS: Final = "collection_id, kind, name, traits, modseq, traits_modseq, resource_count, size_octets, source_url"


def collections(db: apsw.Connection) -> list[Collection]:
    """Give all collections in the order in which they were made."""
    return [_collection(row) for row in select(db, f"SELECT {_COLUMNS} FROM collection ORDER BY collection_id")]


def by_name(db: apsw.Connection, kind: CollectionKind, name: str) -> Collection:
    """Give one. Errors: NoSuchCollection."""
    row = select_one(db, f"SELECT {_COLUMNS} FROM collection WHERE kind = ? AND name = ?", (kind.value, name))
    if row is None:
        raise NoSuchCollection(name=name)
    return _collection(row)


def by_id(db: apsw.Connection, collection_id: int) -> Collection:
    """Give one. Errors: NoSuchCollection."""
    row = select_one(db, f"SELECT {_COLUMNS} FROM collection WHERE collection_id = ?", (collection_id,))
    if row is None:
        raise NoSuchCollection(collection_id=collection_id)
    return _collection(row)


def create(
    transaction: Transaction, kind: CollectionKind, name: str, traits: CollectionTraits, source_url: str = ""
) -> Collection:
    """Make a collection. Errors: CollectionExists, LimitReached, BadCollectionName."""
    db = transaction.db
    check_name(name)
    (count,) = select_one(db, "SELECT count(*) FROM collection")
    if count >= COLLECTIONS_MAX:
        raise LimitReached(f"An account has at most {COLLECTIONS_MAX} calendars and address books")
    modseq = transaction.next_modseq()
    try:
        db.execute(
            "INSERT INTO collection (kind, name, traits, modseq, traits_modseq, resource_count, size_octets,"
            " forgotten_modseq, source_url) VALUES (?1, ?2, ?3, ?4, ?4, 0, 0, 0, ?5)",
            (kind.value, name, _packed(traits), modseq, source_url),
        )
    except apsw.ConstraintError:
        raise CollectionExists(name=name) from None
    return by_id(db, db.last_insert_rowid())


def create_defaults(transaction: Transaction, defaults: Sequence[tuple[CollectionKind, str, CollectionTraits]]) -> bool:
    """Make the first collections, once in the life of an account."""
    if transaction.account.had_defaults:
        return False
    there = set(select(transaction.db, "SELECT kind, name FROM collection"))
    for kind, name, traits in defaults:
        if (kind.value, name) not in there:
            create(transaction, kind, name, traits)
    transaction.account = transaction.account._replace(had_defaults=1)
    return True


def set_traits(transaction: Transaction, collection_id: CollectionId, traits: CollectionTraits) -> Collection:
    """Replace the traits, but for the components. Errors: NoSuchCollection."""
    collection = by_id(transaction.db, collection_id)
    traits = replace(traits, components=collection.traits.components)
    if traits == collection.traits:
        return collection
    transaction.db.execute(
        "UPDATE collection SET traits = ?, traits_modseq = ? WHERE collection_id = ?",
        (_packed(traits), transaction.next_modseq(), collection_id),
    )
    return by_id(transaction.db, collection_id)


def delete(transaction: Transaction, collection_id: CollectionId) -> None:
    """Remove a collection with all that is in it. Errors: NoSuchCollection."""
    db = transaction.db
    by_id(db, collection_id)
    inside = "(SELECT resource_id FROM resource WHERE collection_id = ?)"
    (octets,) = select_one(
        db,
        "SELECT (SELECT ifnull(sum(size_octets), 0) FROM resource WHERE collection_id = ?1)"
        f" + (SELECT ifnull(sum(size_octets), 0) FROM attachment WHERE resource_id IN {inside.replace('?', '?1')})",
        (collection_id,),
    )
    db.execute(f"DELETE FROM attachment WHERE resource_id IN {inside}", (collection_id,))
    db.execute(f"DELETE FROM resource_octets WHERE resource_id IN {inside}", (collection_id,))
    for table in ("resource", "resource_tombstone", "collection"):
        db.execute(f"DELETE FROM {table} WHERE collection_id = ?", (collection_id,))
    transaction.reserve_dav(-octets)
    transaction.next_modseq()


def check_name(name: str) -> None:
    """Errors: BadCollectionName."""
    is_bad = not name or name in {".", ".."} or "/" in name or any(ord(each) < 32 or ord(each) == 127 for each in name)
    if is_bad or len(name.encode("utf-8", "replace")) > NAME_OCTETS_MAX:
        raise BadCollectionName(name=name[:NAME_OCTETS_MAX])


def _packed(traits: CollectionTraits) -> bytes:
    return msgspec.msgpack.encode(asdict(traits))


def _collection(row: Any) -> Collection:
    collection_id, kind, name, traits, modseq, traits_modseq, resource_count, size_octets, source_url = row
    return Collection(
        CollectionId(collection_id),
        CollectionKind(kind),
        name,
        msgspec.msgpack.decode(traits, type=CollectionTraits),
        ModSeq(modseq),
        ModSeq(traits_modseq),
        resource_count,
        size_octets,
        source_url,
    )
