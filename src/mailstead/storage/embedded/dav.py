"""`DavStore` on one encrypted file: each verb is one hop to a reader thread or one unit of work of a writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import apsw

from mailstead.model.dav import (
    ALWAYS,
    Attachment,
    Collection,
    CollectionId,
    CollectionKind,
    CollectionTraits,
    DeletedResource,
    Errand,
    NewResource,
    Precondition,
    Put,
    Resource,
    ResourceChanges,
    ResourceId,
    ResourceOutline,
    ResourceQuery,
)
from mailstead.model.ids import AccountId, ModSeq
from mailstead.ports.changebus import dav_topic
from mailstead.storage.embedded import dav_collections, dav_reads, dav_writes, rows
from mailstead.storage.embedded.reader import Reader
from mailstead.storage.embedded.transaction import Transaction
from mailstead.storage.embedded.writer import Writer

T = TypeVar("T")


class EmbeddedDavStore:
    """A light handle on one account's calendars and address books."""

    def __init__(self, account_id: AccountId, reader: Reader, writer: Writer) -> None:
        self.account_id = account_id
        self._reader = reader
        self._writer = writer

    async def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        def at_one_moment(db: apsw.Connection) -> T:
            with rows.one_moment(db):
                return work(db)

        return await self._reader.run(self.account_id, at_one_moment)

    async def _write(self, work: Callable[[Transaction], T], *, grows: bool = False) -> T:
        """Sessions of mail sleep on: none of their mailboxes changes."""
        return await self._writer.run(self.account_id, work, grows=grows, wakes=False, topic=dav_topic(self.account_id))

    # reading

    async def collections(self) -> list[Collection]:
        """See `DavStore.collections`."""
        return await self._read(dav_collections.collections)

    async def collection(self, kind: CollectionKind, name: str) -> Collection:
        """See `DavStore.collection`."""
        return await self._read(lambda db: dav_collections.by_name(db, kind, name))

    async def collection_by_id(self, collection_id: CollectionId) -> Collection:
        """See `DavStore.collection_by_id`."""
        return await self._read(lambda db: dav_collections.by_id(db, collection_id))

    async def had_defaults(self) -> bool:
        """See `DavStore.had_defaults`."""
        return await self._read(lambda db: bool(rows.account_row(db).had_defaults))

    async def resources(
        self,
        collection_id: CollectionId,
        names: Sequence[str] | None = None,
        *,
        after: str = "",
        limit: int | None = None,
        with_octets: bool = False,
    ) -> list[Resource]:
        """See `DavStore.resources`."""
        return await self._read(lambda db: dav_reads.resources(db, collection_id, names, after, limit, with_octets))

    async def resource_by_id(self, resource_id: ResourceId) -> Resource:
        """See `DavStore.resource_by_id`."""
        return await self._read(lambda db: dav_reads.by_id(db, resource_id))

    async def find(
        self,
        collection_id: CollectionId,
        query: ResourceQuery,
        *,
        after: str = "",
        limit: int | None = None,
        with_octets: bool = True,
    ) -> list[Resource]:
        """See `DavStore.find`."""
        return await self._read(lambda db: dav_reads.find(db, collection_id, query, after, limit, with_octets))

    async def outlines(self, collection_id: CollectionId, query: ResourceQuery) -> list[ResourceOutline]:
        """See `DavStore.outlines`."""
        return await self._read(lambda db: dav_reads.outlines(db, collection_id, query))

    async def find_uid(self, kind: CollectionKind, uid: str) -> list[Resource]:
        """See `DavStore.find_uid`."""
        return await self._read(lambda db: dav_reads.find_uid(db, kind, uid))

    async def changes_since(
        self, collection_id: CollectionId, modseq: ModSeq, limit: int | None = None, *, with_octets: bool = False
    ) -> ResourceChanges:
        """See `DavStore.changes_since`."""
        return await self._read(lambda db: dav_reads.changes_since(db, collection_id, modseq, limit, with_octets))

    async def deleted_since(
        self, collection_id: CollectionId, modseq: ModSeq, limit: int | None = None
    ) -> list[DeletedResource]:
        """See `DavStore.deleted_since`."""
        return await self._read(lambda db: dav_reads.deleted_since(db, collection_id, modseq, limit))

    async def last_resource_id(self) -> ResourceId:
        """See `DavStore.last_resource_id`."""
        return await self._read(dav_reads.last_resource_id)

    async def errands(self) -> list[Errand]:
        """See `DavStore.errands`."""
        return await self._read(dav_reads.errands)

    async def attachment(self, managed_id: str) -> Attachment:
        """See `DavStore.attachment`."""
        return await self._read(lambda db: dav_reads.attachment(db, managed_id))

    async def attachments(self, resource_id: ResourceId) -> list[Attachment]:
        """See `DavStore.attachments`."""
        return await self._read(lambda db: dav_reads.attachments(db, resource_id))

    # writing

    async def create_collection(
        self, kind: CollectionKind, name: str, traits: CollectionTraits, *, source_url: str = ""
    ) -> Collection:
        """See `DavStore.create_collection`."""
        return await self._write(
            lambda transaction: dav_collections.create(transaction, kind, name, traits, source_url), grows=True
        )

    async def create_defaults(self, defaults: Sequence[tuple[CollectionKind, str, CollectionTraits]]) -> bool:
        """See `DavStore.create_defaults`."""
        return await self._write(lambda transaction: dav_collections.create_defaults(transaction, defaults))

    async def set_traits(self, collection_id: CollectionId, traits: CollectionTraits) -> Collection:
        """See `DavStore.set_traits`."""
        return await self._write(lambda transaction: dav_collections.set_traits(transaction, collection_id, traits))

    async def delete_collection(self, collection_id: CollectionId) -> None:
        """See `DavStore.delete_collection`."""
        await self._write(lambda transaction: dav_collections.delete(transaction, collection_id))

    async def put(self, collection_id: CollectionId, resources: Sequence[NewResource]) -> list[Put]:
        """See `DavStore.put`."""
        return await self._write(lambda transaction: dav_writes.put(transaction, collection_id, resources), grows=True)

    async def delete(
        self, collection_id: CollectionId, name: str, precondition: Precondition = ALWAYS, *, errand: bytes = b""
    ) -> int | None:
        """See `DavStore.delete`."""
        return await self._write(
            lambda transaction: dav_writes.delete(transaction, collection_id, name, precondition, errand)
        )

    async def copy(
        self,
        collection_id: CollectionId,
        name: str,
        target_id: CollectionId,
        target_name: str,
        *,
        moves: bool,
        overwrites: bool,
        precondition: Precondition = ALWAYS,
    ) -> Put:
        """See `DavStore.copy`."""
        places = dav_writes.Places(collection_id, name, target_id, target_name)
        return await self._write(
            lambda transaction: dav_writes.copy(
                transaction, places, moves=moves, overwrites=overwrites, precondition=precondition
            ),
            grows=not moves,
        )

    async def finish_errand(self, errand_id: int) -> None:
        """See `DavStore.finish_errand`."""
        await self._writer.run(
            self.account_id,
            lambda transaction: transaction.db.execute("DELETE FROM errand WHERE errand_id = ?", (errand_id,)) and None,
            wakes=False,
        )

    async def put_attachment(self, attachment: Attachment) -> None:
        """See `DavStore.put_attachment`."""
        await self._write(lambda transaction: dav_writes.put_attachment(transaction, attachment), grows=True)

    async def delete_attachment(self, managed_id: str) -> None:
        """See `DavStore.delete_attachment`."""
        await self._write(lambda transaction: dav_writes.delete_attachment(transaction, managed_id))
