"""The people of a domain as an address book that nobody writes: one contact per account, made when it is asked for.

It lies in everybody's home if `dav.shows_directory` says so, never in chatmail domains, whose people do not know each
other. It is kept nowhere: its contacts follow from the accounts, and so do its entity tags and sync tokens. A token of
another day is not valid any more, and the client looks at all of it again.

Spec: draft-daboo-carddav-directory-gateway-02; RFC 6578 §3.2 (valid-sync-token).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, NoReturn

from mailstead.model.dav import (
    Attachment,
    Collection,
    CollectionId,
    CollectionKind,
    CollectionTraits,
    DeletedResource,
    Errand,
    Put,
    Resource,
    ResourceChanges,
    ResourceId,
    ResourceOutline,
    ResourceQuery,
)
from mailstead.model.directory import Account
from mailstead.model.errors import BadSyncToken, NoSuchCollection, NoSuchResource, NotAllowed
from mailstead.model.ids import ModSeq
from mailstead.pim.component import Component, Property, escaped, write
from mailstead.pim.vcard import card, card_facts

NAME: Final = "directory"
"""Its segment in paths."""
PEOPLE_ID: Final = CollectionId(0)
"""No collection of an account has this key."""

_NUMBER_BITS: Final = 20
"""A modseq is made of a digest of all contacts and, below it, the number of one: so pages can be asked for."""
_MADE_AT: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Nobody knows when; entity tags tell what has changed."""


class PeopleBook:
    """A `DavStore` of one address book, made of accounts; what would change it is refused."""

    def __init__(self, accounts: Iterable[Account], display_name: str) -> None:
        made = sorted((_name(each), _vcard(each)) for each in accounts if each.is_enabled)
        state = sha256(b"".join(octets for _, octets in made)).digest()
        self._base: Final = (int.from_bytes(state[:5], "big") + 1) << _NUMBER_BITS
        self._resources: Final = [
            _resource(name, octets, ModSeq(self._base + number)) for number, (name, octets) in enumerate(made, 1)
        ]
        self._by_name: Final = {each.name: each for each in self._resources}
        self.collection_here: Final = Collection(
            PEOPLE_ID,
            CollectionKind.ADDRESSBOOK,
            NAME,
            CollectionTraits(display_name=display_name),
            ModSeq(self._base + len(made)),
            ModSeq(1),
            len(made),
            sum(len(octets) for _, octets in made),
        )

    # reading

    async def collections(self) -> list[Collection]:
        """See `DavStore.collections`."""
        return [self.collection_here]

    async def collection(self, kind: CollectionKind, name: str) -> Collection:
        """See `DavStore.collection`."""
        if (kind, name) != (CollectionKind.ADDRESSBOOK, NAME):
            raise NoSuchCollection
        return self.collection_here

    async def collection_by_id(self, collection_id: CollectionId) -> Collection:
        """See `DavStore.collection_by_id`."""
        if collection_id != PEOPLE_ID:
            raise NoSuchCollection
        return self.collection_here

    async def had_defaults(self) -> bool:
        """See `DavStore.had_defaults`."""
        return True

    async def resources(
        self,
        _collection_id: CollectionId,
        names: Sequence[str] | None = None,
        *,
        after: str = "",
        limit: int | None = None,
        with_octets: bool = False,  # noqa: ARG002 - they are there anyway
    ) -> list[Resource]:
        """See `DavStore.resources`."""
        if names is not None:
            found = [self._by_name[name] for name in sorted(set(names)) if name in self._by_name]
        else:
            found = self._resources
        return [each for each in found if each.name > after][:limit]

    async def resource_by_id(self, resource_id: ResourceId) -> Resource:
        """See `DavStore.resource_by_id`."""
        for each in self._resources:
            if each.resource_id == resource_id:
                return each
        raise NoSuchResource

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
        found = await self.resources(collection_id, after=after, with_octets=with_octets)
        return [
            each
            for each in found
            if (query.uid is None or each.facts.uid == query.uid) and query.text in each.facts.text
        ][:limit]

    async def outlines(self, collection_id: CollectionId, query: ResourceQuery) -> list[ResourceOutline]:
        """See `DavStore.outlines`."""
        found = await self.find(collection_id, query)
        return [ResourceOutline(each.name, None, each.size_octets) for each in found]

    async def find_uid(self, kind: CollectionKind, uid: str) -> list[Resource]:
        """See `DavStore.find_uid`."""
        is_ours = kind is CollectionKind.ADDRESSBOOK
        return [each for each in self._resources if is_ours and each.facts.uid == uid]

    async def changes_since(
        self,
        _collection_id: CollectionId,
        modseq: ModSeq,
        limit: int | None = None,
        *,
        with_octets: bool = False,  # noqa: ARG002 - they are there anyway
    ) -> ResourceChanges:
        """See `DavStore.changes_since`. Errors: BadSyncToken, too, for one of another state."""
        number = modseq - self._base if modseq else 0
        if not 0 <= number <= len(self._resources):
            raise BadSyncToken
        changed = tuple(self._resources[number:][:limit])
        is_complete = number + len(changed) == len(self._resources)
        return ResourceChanges(changed, (), ModSeq(self._base + number + len(changed)), is_complete)

    async def deleted_since(self, *_: object) -> list[DeletedResource]:
        """See `DavStore.deleted_since`: nobody remembers."""
        return []

    async def last_resource_id(self) -> ResourceId:
        """See `DavStore.last_resource_id`."""
        return max((each.resource_id for each in self._resources), default=ResourceId(0))

    async def errands(self) -> list[Errand]:
        """See `DavStore.errands`."""
        return []

    async def attachment(self, _managed_id: str) -> Attachment:
        """See `DavStore.attachment`."""
        raise NoSuchResource

    async def attachments(self, _resource_id: ResourceId) -> list[Attachment]:
        """See `DavStore.attachments`."""
        return []

    # writing: nobody may

    async def create_collection(self, *_: object, **__: object) -> Collection:
        """Errors: NotAllowed."""
        _refuse()

    async def create_defaults(self, *_: object) -> bool:
        """Errors: NotAllowed."""
        _refuse()

    async def set_traits(self, *_: object) -> Collection:
        """Errors: NotAllowed."""
        _refuse()

    async def delete_collection(self, *_: object) -> None:
        """Errors: NotAllowed."""
        _refuse()

    async def put(self, *_: object) -> list[Put]:
        """Errors: NotAllowed."""
        _refuse()

    async def delete(self, *_: object, **__: object) -> int | None:
        """Errors: NotAllowed."""
        _refuse()

    async def copy(self, *_: object, **__: object) -> Put:
        """Errors: NotAllowed."""
        _refuse()

    async def finish_errand(self, *_: object) -> None:
        """Errors: NotAllowed."""
        _refuse()

    async def put_attachment(self, *_: object) -> None:
        """Errors: NotAllowed."""
        _refuse()

    async def delete_attachment(self, *_: object) -> None:
        """Errors: NotAllowed."""
        _refuse()


def _refuse() -> NoReturn:
    raise NotAllowed("The people of the domain follow from its accounts")


def _name(account: Account) -> str:
    return f"{account.account_id}.vcf"


def _vcard(account: Account) -> bytes:
    address = str(account.address)
    return write(
        Component(
            "VCARD",
            [
                Property("VERSION", "3.0"),
                Property("UID", f"mailstead-account-{account.account_id}"),
                Property("FN", escaped(address)),
                Property("N", f"{escaped(account.address.local_part)};;;;"),
                Property("EMAIL", escaped(address), (("TYPE", ("INTERNET",)),)),
            ],
        )
    )


def _resource(name: str, octets: bytes, modseq: ModSeq) -> Resource:
    digest = sha256(octets).digest()
    return Resource(
        # Negative, so that it is none of the account's own; the same for good.
        ResourceId(-1 - int.from_bytes(sha256(name.encode()).digest()[:7], "big")),
        PEOPLE_ID,
        name,
        digest.hex()[:32],
        "",
        modseq,
        _MADE_AT,
        _MADE_AT,
        len(octets),
        card_facts(card(octets)),
        octets,
    )
