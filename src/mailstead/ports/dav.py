"""Calendars and address books of one account, and what accounts share. Part of the storage port, with its promises.

Changes of resources are in the account's one order (promise 3): a reader who has seen modseq n will never later meet a
change ≤ n that was not there. Names deleted stay known, so that every client learns of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from mailstead.model.dav import (
    ALWAYS,
    Access,
    Attachment,
    Collection,
    CollectionId,
    CollectionKind,
    CollectionTraits,
    Delegate,
    DeletedResource,
    Errand,
    NewResource,
    Precondition,
    PublicLink,
    PushRegistration,
    Put,
    Resource,
    ResourceChanges,
    ResourceId,
    ResourceOutline,
    ResourceQuery,
    Share,
    Subscription,
)
from mailstead.model.ids import AccountId, ModSeq


class DavStore(Protocol):
    """One account's collections and resources. Errors of verbs with a `collection_id`: NoSuchCollection."""

    # reading, each one snapshot

    async def collections(self) -> list[Collection]:
        """All of them, in the order in which they were made."""

    async def collection(self, kind: CollectionKind, name: str) -> Collection:
        """One by its name. Errors: NoSuchCollection."""

    async def collection_by_id(self, collection_id: CollectionId) -> Collection:
        """One by its key."""

    async def had_defaults(self) -> bool:
        """Whether `create_defaults` has done its work, at any time."""

    async def resources(
        self,
        collection_id: CollectionId,
        names: Sequence[str] | None = None,
        *,
        after: str = "",
        limit: int | None = None,
        with_octets: bool = False,
    ) -> list[Resource]:
        """Those of these names (None: all), by name, those behind `after`; names that are not there are left out."""

    async def resource_by_id(self, resource_id: ResourceId) -> Resource:
        """One by its key, in whatever collection, without octets. Errors: NoSuchResource."""

    async def find(
        self,
        collection_id: CollectionId,
        query: ResourceQuery,
        *,
        after: str = "",
        limit: int | None = None,
        with_octets: bool = True,
    ) -> list[Resource]:
        """What may match a query, by name, in pages: the next begins after the last name of this one."""

    async def outlines(self, collection_id: CollectionId, query: ResourceQuery) -> list[ResourceOutline]:
        """Of all that may match a query, no more than lists are made of, by name."""

    async def find_uid(self, kind: CollectionKind, uid: str) -> list[Resource]:
        """All resources with that UID in collections of a kind, with their octets; the oldest first."""

    async def changes_since(
        self, collection_id: CollectionId, modseq: ModSeq, limit: int | None = None, *, with_octets: bool = False
    ) -> ResourceChanges:
        """What happened after `modseq` (0: all that is there, and nothing deleted).

        Errors: BadSyncToken for a modseq that the account has not reached.
        """

    async def deleted_since(
        self, collection_id: CollectionId, modseq: ModSeq, limit: int | None = None
    ) -> list[DeletedResource]:
        """What was deleted after `modseq` (0: as far as it is known), oldest first, but not what was only moved."""

    async def last_resource_id(self) -> ResourceId:
        """The highest key given so far: what is made later has a higher one. 0: none was given."""

    async def errands(self) -> list[Errand]:
        """What is still to be done, oldest first; at most a thousand at once."""

    async def attachment(self, managed_id: str) -> Attachment:
        """Errors: NoSuchResource."""

    async def attachments(self, resource_id: ResourceId) -> list[Attachment]:
        """Those of one resource, without octets."""

    # writing, each one unit of work

    async def create_collection(
        self, kind: CollectionKind, name: str, traits: CollectionTraits, *, source_url: str = ""
    ) -> Collection:
        """Errors: CollectionExists, LimitReached, BadCollectionName (empty, with slash or controls, too long)."""

    async def create_defaults(self, defaults: Sequence[tuple[CollectionKind, str, CollectionTraits]]) -> bool:
        """Make these, once in the life of an account; whether it was done now. What is there already is left alone."""

    async def set_traits(self, collection_id: CollectionId, traits: CollectionTraits) -> Collection:
        """Replace the traits; components stay as they were made."""

    async def delete_collection(self, collection_id: CollectionId) -> None:
        """Remove it with all that is in it; nothing else is touched."""

    async def put(self, collection_id: CollectionId, resources: Sequence[NewResource]) -> list[Put]:
        """Put all or none. The same octets again change nothing, not even the modseq.

        Errors: PreconditionFailed, UidConflict, OverQuota, LimitReached, BadCollectionName.
        """

    async def delete(
        self, collection_id: CollectionId, name: str, precondition: Precondition = ALWAYS, *, errand: bytes = b""
    ) -> int | None:
        """Remove one; gives the errand's key. Errors: NoSuchResource, PreconditionFailed."""

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
        """Copy or move within the account, in one unit.

        A move keeps the resource's key, hence its attachments. Errors: NoSuchResource, PreconditionFailed (also where
        the target is there and `overwrites` is False), UidConflict, OverQuota, LimitReached.
        """

    async def finish_errand(self, errand_id: int) -> None:
        """It is done; once more does no harm."""

    async def put_attachment(self, attachment: Attachment) -> None:
        """Add, or replace by its managed id. Errors: NoSuchResource, OverQuota, LimitReached."""

    async def delete_attachment(self, managed_id: str) -> None:
        """Nothing happens if it is not there."""


class Sharing(Protocol):
    """What accounts share with each other and with the world; goes with either account, and with the collection."""

    async def shares_of(self, owner_id: AccountId) -> list[Share]:
        """What an account gives."""

    async def shares_with(self, sharee_id: AccountId) -> list[Share]:
        """What an account gets."""

    async def put_share(self, share: Share) -> None:
        """Add, or change by owner, collection and sharee. Errors: NoSuchAccount, CollectionExists (the name)."""

    async def remove_share(self, owner_id: AccountId, collection_id: CollectionId, sharee_id: AccountId) -> None:
        """Errors: NoSuchShare."""

    async def delegates_of(self, owner_id: AccountId) -> list[Delegate]:
        """Who acts for an account."""

    async def delegated_to(self, delegate_id: AccountId) -> list[Delegate]:
        """For whom an account acts."""

    async def set_delegate(self, owner_id: AccountId, delegate_id: AccountId, access: Access | None) -> None:
        """Add, change or (None) remove. Errors: NoSuchAccount."""

    async def links_of(self, owner_id: AccountId) -> list[PublicLink]:
        """All public links of an account."""

    async def link(self, token_hash: bytes) -> PublicLink | None:
        """The link of a token."""

    async def put_link(self, link: PublicLink) -> None:
        """Errors: NoSuchAccount, LimitReached."""

    async def remove_link(self, token_hash: bytes) -> None:
        """Errors: NoSuchShare."""

    async def expire_links(self, now: datetime) -> int:
        """Remove links that have run out; gives how many."""

    async def subscriptions_of(self, owner_id: AccountId) -> list[Subscription]:
        """All subscriptions of an account."""

    async def due_subscriptions(self, now: datetime, until: datetime, limit: int) -> list[Subscription]:
        """Take subscriptions that are due: until then no other worker gets them."""

    async def put_subscription(self, subscription: Subscription) -> None:
        """Add, or change by owner and collection. Errors: NoSuchAccount."""

    async def forget_collection(self, owner_id: AccountId, collection_id: CollectionId) -> None:
        """The collection is gone: with it go its shares, links, subscription and registrations for push."""

    async def put_push(self, push: PushRegistration) -> None:
        """Add, or change by its id. Errors: NoSuchAccount, LimitReached."""

    async def remove_push(self, push_id: str) -> None:
        """Nothing happens if it is not there."""

    async def push(self, push_id: str) -> PushRegistration | None:
        """One registration by its id."""

    async def pushes(self) -> list[PushRegistration]:
        """All registrations of the house; kept in memory between changes."""

    async def expire_pushes(self, now: datetime) -> int:
        """Remove registrations that have run out; gives how many."""
