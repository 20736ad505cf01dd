"""From the change log of calendars and address books to events: made, changed, deleted; they and what is in them.

Spec: RFC 6578 §3; reference forwardemail 4.5.
"""

from __future__ import annotations

from typing import Final

from mailstead.model.dav import Access, Collection, CollectionId, DeletedResource, Resource, ResourceId
from mailstead.model.directory import Account
from mailstead.model.errors import BadSyncToken, NoSuchCollection
from mailstead.model.ids import ModSeq
from mailstead.ports.dav import DavStore
from mailstead.usecases.collections import Opened
from mailstead.usecases.dav_objects import Placed
from mailstead.usecases.happenings import COLLECTION_WORDS, OBJECT_WORDS, Happening, notification_id

OBJECTS_MAX: Final = 100
"""Objects of a collection that are told one by one at one look; beyond that the collection is, as changed."""


class DavChanges:
    """The own collections of one account, followed from `begin` on."""

    def __init__(self, owner: Account, store: DavStore) -> None:
        self._owner = owner
        self._store = store
        self._known: dict[CollectionId, Collection] = {}
        self._last_resource_id = ResourceId(0)
        self._fresh: set[ResourceId] = set()
        """Above `_last_resource_id`, and told already."""

    async def begin(self) -> None:
        """Note how everything is; what happens from now on is told. Errors: those of the store."""
        self._last_resource_id = await self._store.last_resource_id()
        self._known = {each.collection_id: each for each in await self._collections()}

    async def look(self) -> list[Happening]:
        """Give what has happened since the last look. Errors: those of the store; the next look makes up for it."""
        fresh = set(self._fresh)
        try:
            return await self._look()
        except BaseException:
            self._fresh = fresh
            raise

    async def _look(self) -> list[Happening]:
        last_resource_id = await self._store.last_resource_id()
        now = {each.collection_id: each for each in await self._collections()}
        told = [self._of_collection("Deleted", each) for each in self._known.values() if each.collection_id not in now]
        known: dict[CollectionId, Collection] = {}
        for collection_id, collection in now.items():
            before = self._known.get(collection_id)
            if before is None:
                told.append(self._of_collection("Created", collection))
            elif collection.traits_modseq > before.traits_modseq:
                told.append(self._of_collection("Updated", collection))
            since = ModSeq(0) if before is None else before.modseq
            known[collection_id] = collection
            if collection.modseq > since:
                told += await self._of_objects(collection, since)
        self._known, self._fresh = known, {each for each in self._fresh if each > last_resource_id}
        self._last_resource_id = max(last_resource_id, self._last_resource_id)
        return told

    async def _collections(self) -> list[Collection]:
        return [each for each in await self._store.collections() if each.kind in COLLECTION_WORDS]

    async def _of_objects(self, collection: Collection, since: ModSeq) -> list[Happening]:
        collection_id = collection.collection_id
        try:
            changes = await self._store.changes_since(collection_id, since, OBJECTS_MAX, with_octets=True)
            deleted = await self._store.deleted_since(collection_id, since, OBJECTS_MAX) if since else []
        except NoSuchCollection:
            return []  # told at the next look
        except BadSyncToken:
            return [self._of_collection("Updated", collection)]  # a restore has gone back behind what we knew
        # What happened after this look began is told by the next one.
        changed = [each for each in changes.changed if each.modseq <= collection.modseq]
        deleted = [each for each in deleted if each.modseq <= collection.modseq]
        told = [self._of_object(collection, each) for each in changed]
        told += [self._of_deleted(collection, each) for each in deleted]
        is_cut = not changes.is_complete and changes.modseq < collection.modseq
        if is_cut or len(deleted) == OBJECTS_MAX:
            told.append(self._of_collection("Updated", collection))
        return told

    def _of_collection(self, verb: str, collection: Collection) -> Happening:
        name = COLLECTION_WORDS[collection.kind] + verb
        key = notification_id(self._owner.account_id, name, collection.collection_id, collection.traits_modseq)
        if verb == "Updated":
            key = notification_id(
                self._owner.account_id, name, collection.collection_id, collection.traits_modseq, collection.modseq
            )
        return Happening(name, key, collection=self._opened(collection))

    def _of_object(self, collection: Collection, resource: Resource) -> Happening:
        is_new = resource.resource_id > self._last_resource_id and resource.resource_id not in self._fresh
        if is_new:
            self._fresh.add(resource.resource_id)
        name = OBJECT_WORDS[collection.kind] + ("Created" if is_new else "Updated")
        key = notification_id(self._owner.account_id, name, resource.resource_id, resource.modseq)
        opened = self._opened(collection)
        return Happening(name, key, collection=opened, placed=Placed(opened, resource))

    def _of_deleted(self, collection: Collection, gone: DeletedResource) -> Happening:
        name = OBJECT_WORDS[collection.kind] + "Deleted"
        key = notification_id(self._owner.account_id, name, gone.resource_id, gone.modseq)
        return Happening(name, key, collection=self._opened(collection), deleted=gone)

    def _opened(self, collection: Collection) -> Opened:
        return Opened(
            self._owner,
            self._store,
            collection,
            Access.READ if collection.source_url else Access.WRITE,
            is_own=True,
            name=collection.name,
            traits=collection.traits,
        )
