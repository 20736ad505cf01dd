"""Reading resources of an account file, many at a time.

Rows come packed by SQLite into one JSON text, also their octets where these are short: objects are UTF-8 without NUL,
so they come back exactly. Why packed: `rows.select_packed`.
"""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import apsw

from mailstead.model.dav import (
    TEXT_MAX,
    Attachment,
    CollectionId,
    CollectionKind,
    DeletedResource,
    Errand,
    Resource,
    ResourceChanges,
    ResourceFacts,
    ResourceId,
    ResourceOutline,
    ResourceQuery,
)
from mailstead.model.errors import BadSyncToken, NoSuchResource
from mailstead.model.ids import ModSeq
from mailstead.storage.embedded import dav_collections, octets, rows
from mailstead.storage.embedded.rows import select, select_one, select_packed

FOREVER_S: Final = 1 << 62
"""Stands for "without end", and negative for "without beginning"."""
NAMES_MAX: Final = 100_000

_COLUMNS: Final = (
    "r.resource_id, r.collection_id, r.name, r.modseq, r.etag, r.schedule_tag, r.created_s, r.modified_s,"
    " r.size_octets, r.uid, r.component, r.first_s, r.last_s, r.facts, r.organizer, r.summary"
)
_OCTETS: Final = ", o.text, iif(o.is_compressed, NULL, CAST(o.octets AS TEXT))"
_JOIN: Final = " JOIN resource_octets AS o USING (resource_id)"


def resources(
    db: apsw.Connection,
    collection_id: CollectionId,
    names: Sequence[str] | None,
    after: str,
    limit: int | None,
    with_octets: bool,
) -> list[Resource]:
    """Give resources by name. Errors: NoSuchCollection."""
    dav_collections.by_id(db, collection_id)
    where, parameters = "r.collection_id = ? AND r.name > ?", [collection_id, after]
    if names is not None:
        where += " AND r.name IN (SELECT value FROM json_each(?))"
        parameters.append(json.dumps(list(names[:NAMES_MAX])))
    return _selected(db, where, parameters, "r.name", limit, with_octets)


def by_id(db: apsw.Connection, resource_id: ResourceId) -> Resource:
    """Give one resource. Errors: NoSuchResource."""
    found = _selected(db, "r.resource_id = ?", [resource_id], "r.name", None, with_octets=False)
    if not found:
        raise NoSuchResource
    return found[0]


def by_name(db: apsw.Connection, collection_id: int, name: str) -> Resource | None:
    """Give one resource, without octets; None: it is not there."""
    row = select_one(
        db, f"SELECT {_COLUMNS} FROM resource AS r WHERE r.collection_id = ? AND r.name = ?", (collection_id, name)
    )
    return None if row is None else _resource(row)


def find(
    db: apsw.Connection,
    collection_id: CollectionId,
    query: ResourceQuery,
    after: str,
    limit: int | None,
    with_octets: bool,
) -> list[Resource]:
    """Give what may match, by name. Errors: NoSuchCollection.

    A plus keeps SQLite off an index: it would walk through a whole collection by name, as the order is by name.
    """
    dav_collections.by_id(db, collection_id)
    off_names = "+" if query.uid is not None or query.starts_s is not None else ""
    where, parameters = _condition(query)
    where = f"r.collection_id = ? AND {off_names}r.name > ?{where}"
    return _selected(db, where, [collection_id, after, *parameters], f"{off_names}r.name", limit, with_octets)


def outlines(db: apsw.Connection, collection_id: CollectionId, query: ResourceQuery) -> list[ResourceOutline]:
    """Give of all that may match no more than lists are made of, by name. Errors: NoSuchCollection."""
    dav_collections.by_id(db, collection_id)
    where, parameters = _condition(query)
    found = select_packed(
        db,
        "name, first_s, size_octets",
        "FROM (SELECT r.name, r.first_s, r.size_octets FROM resource AS r"
        f" WHERE r.collection_id = ?{where} ORDER BY r.name)",
        (collection_id, *parameters),
    )
    return [ResourceOutline(name, None if first_s == -FOREVER_S else first_s, size) for name, first_s, size in found]


def _condition(query: ResourceQuery) -> tuple[str, list[Any]]:
    """Give what a query asks for, beside the collection: SQL that begins with AND, and its parameters."""
    where, parameters = "", list[Any]()
    if query.components:
        where += " AND r.component IN (SELECT value FROM json_each(?))"
        parameters.append(json.dumps(sorted(query.components)))
    if query.starts_s is not None:
        where += " AND r.last_s >= ?"
        parameters.append(query.starts_s)
    if query.ends_s is not None:
        where += " AND r.first_s < ?"
        parameters.append(query.ends_s)
    if query.uid is not None:
        where += " AND r.uid = ?"
        parameters.append(query.uid)
    if query.text:
        where += (
            " AND EXISTS (SELECT 1 FROM resource_octets AS t WHERE t.resource_id = r.resource_id"
            " AND (instr(t.text, ?) > 0 OR length(t.text) >= ?))"
        )
        parameters += [query.text, TEXT_MAX]
    return where, parameters


def find_uid(db: apsw.Connection, kind: CollectionKind, uid: str) -> list[Resource]:
    """Give all resources with a UID in collections of a kind, with octets, the oldest first."""
    where = "r.uid = ? AND r.collection_id IN (SELECT collection_id FROM collection WHERE kind = ?)"
    return _selected(db, where, [uid, kind.value], "r.resource_id", None, with_octets=True)


def changes_since(
    db: apsw.Connection, collection_id: CollectionId, modseq: ModSeq, limit: int | None, with_octets: bool
) -> ResourceChanges:
    """Give what happened after a modseq, in the order of its happening. Errors: NoSuchCollection, BadSyncToken."""
    collection = dav_collections.by_id(db, collection_id)
    reached = rows.account_row(db).modseq
    (forgotten,) = select_one(db, "SELECT forgotten_modseq FROM collection WHERE collection_id = ?", (collection_id,))
    if modseq > reached or 0 < modseq < forgotten:
        raise BadSyncToken
    most = -1 if limit is None else limit + 1
    where = "r.collection_id = ? AND r.modseq > ?"
    changed = _selected(db, where, [collection_id, modseq], "r.modseq", most, with_octets)
    deleted: list[tuple[str, int]] = []
    if modseq:
        deleted = [
            (name, at)
            for name, at in select_packed(
                db,
                "name, modseq",
                "FROM (SELECT name, modseq FROM resource_tombstone WHERE collection_id = ? AND modseq > ?"
                " ORDER BY modseq LIMIT ?)",
                (collection_id, modseq, most),
            )
        ]
    if limit is None or len(changed) + len(deleted) <= limit:
        return ResourceChanges(
            tuple(changed), tuple(name for name, _ in deleted), max(collection.modseq, modseq), is_complete=True
        )
    # Several changes of one unit may have one modseq: an answer never ends among them, or the next would miss some.
    all_at = sorted([*(each.modseq for each in changed), *(at for _, at in deleted)])
    last = all_at[limit - 1] if all_at[limit] != all_at[limit - 1] else all_at[limit - 1] - 1
    if last < all_at[0]:
        last = all_at[0]  # one unit larger than the limit is given whole
        changed = _selected(
            db, f"{where} AND r.modseq <= ?", [collection_id, modseq, last], "r.modseq", -1, with_octets
        )
        deleted = [
            (name, at)
            for name, at in select(
                db,
                "SELECT name, modseq FROM resource_tombstone WHERE collection_id = ? AND modseq > ? AND modseq <= ?",
                (collection_id, modseq, last),
            )
        ]
    return ResourceChanges(
        tuple(each for each in changed if each.modseq <= last),
        tuple(name for name, at in deleted if at <= last),
        ModSeq(last),
        is_complete=last >= collection.modseq,
    )


def deleted_since(
    db: apsw.Connection, collection_id: CollectionId, modseq: ModSeq, limit: int | None
) -> list[DeletedResource]:
    """Give what was deleted and not moved elsewhere, in the order of its happening. Errors: NoSuchCollection."""
    dav_collections.by_id(db, collection_id)
    found = select_packed(
        db,
        "name, modseq, resource_id, uid, component, summary, deleted_s",
        "FROM (SELECT * FROM resource_tombstone AS t WHERE t.collection_id = ? AND t.modseq > ? AND t.resource_id > 0"
        " AND NOT EXISTS (SELECT 1 FROM resource AS r WHERE r.resource_id = t.resource_id)"
        " ORDER BY t.modseq LIMIT ?)",
        (collection_id, modseq, -1 if limit is None else limit),
    )
    return [
        DeletedResource(resource_id, collection_id, name, uid, component, summary, ModSeq(at), _moment(deleted_s))
        for name, at, resource_id, uid, component, summary, deleted_s in found
    ]


def last_resource_id(db: apsw.Connection) -> ResourceId:
    """Give the highest key that was given so far."""
    row = select_one(db, "SELECT seq FROM sqlite_sequence WHERE name = 'resource'")
    return ResourceId(0 if row is None else row[0])


def errands(db: apsw.Connection) -> list[Errand]:
    """Give what is still to be done."""
    return [Errand(*row) for row in select(db, "SELECT errand_id, octets FROM errand ORDER BY errand_id LIMIT 1000")]


def attachment(db: apsw.Connection, managed_id: str) -> Attachment:
    """Give an attachment. Errors: NoSuchResource."""
    row = select_one(
        db,
        "SELECT managed_id, resource_id, file_name, media_type, octets FROM attachment WHERE managed_id = ?",
        (managed_id,),
    )
    if row is None:
        raise NoSuchResource
    return Attachment(*row)


def attachments(db: apsw.Connection, resource_id: ResourceId) -> list[Attachment]:
    """Give the attachments of a resource, without octets."""
    found = select(
        db,
        "SELECT managed_id, resource_id, file_name, media_type FROM attachment WHERE resource_id = ?"
        " ORDER BY managed_id",
        (resource_id,),
    )
    return [Attachment(managed_id, of, file_name, media_type, b"") for managed_id, of, file_name, media_type in found]


def octets_of(db: apsw.Connection, resource_id: int) -> bytes:
    """Give the octets of one resource."""
    row = select_one(db, "SELECT is_compressed, octets FROM resource_octets WHERE resource_id = ?", (resource_id,))
    is_compressed, stored = row
    return octets.decompressed(stored) if is_compressed else bytes(stored)


def _selected(
    db: apsw.Connection, where: str, parameters: list[Any], order: str, limit: int | None, with_octets: bool
) -> list[Resource]:
    columns = _COLUMNS + (_OCTETS if with_octets else "")
    inner = f"SELECT r.* FROM resource AS r WHERE {where} ORDER BY {order} LIMIT ?"
    found = select_packed(
        db,
        columns,
        f"FROM ({inner}) AS r{_JOIN if with_octets else ''}",
        (*parameters, -1 if limit is None else limit),
        f"ORDER BY {order}",
    )
    result = []
    for row in found:
        if not with_octets:
            result.append(_resource(row))
        else:
            text = row[17]
            result.append(_resource(row, octets_of(db, row[0]) if text is None else text.encode(), row[16]))
    return result


def _resource(row: Sequence[Any], found_octets: bytes = b"", text: str = "") -> Resource:
    first_s, last_s, bits = row[11], row[12], row[13]
    return Resource(
        row[0],
        row[1],
        row[2],
        row[4],
        row[5],
        row[3],
        _moment(row[6]),
        _moment(row[7]),
        row[8],
        ResourceFacts(
            row[9],
            row[10],
            None if first_s == -FOREVER_S else first_s,
            None if last_s == FOREVER_S else last_s,
            bool(bits & 1),
            bool(bits & 2),
            bool(bits & 4),
            bool(bits & 8),
            row[15],
            text,
            row[14],
        ),
        found_octets,
    )


@lru_cache(maxsize=1024)
def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
