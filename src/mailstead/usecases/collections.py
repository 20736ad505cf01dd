"""Calendars and address books: whose they are, who may do what with them, and their life.

`open` is the one place that decides. What is not for an actor is not there for that actor: nobody learns from an answer
what others have.

Spec: RFC 4791 §5; RFC 6352 §5; RFC 3744 §5 (only as far as clients are told what they may do).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from mailstead.model.address import Address
from mailstead.model.dav import Access, Collection, CollectionKind, CollectionTraits, Share
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    BadAddress,
    BadCollectionName,
    CollectionExists,
    NoSuchAccount,
    NoSuchCollection,
    NotAllowed,
)
from mailstead.model.ids import AccountId
from mailstead.model.mailbox import Usage
from mailstead.ports.dav import DavStore
from mailstead.ports.storage import Storage
from mailstead.usecases import people_book
from mailstead.usecases.first_calendars import asks_for_the_first
from mailstead.usecases.people_book import PeopleBook

DEFAULT: Final = "default"
"""Name of the first calendar, and of the first address book."""
INBOX: Final = "inbox"
RESERVED: Final = frozenset({"addressbooks", "inbox", "outbox", "notifications", "attachments", "freebusy", "dropbox"})
"""What stands beside the calendars in their home."""
COMPONENTS: Final = ("VEVENT", "VTODO")
"""Of a new calendar that says nothing about it, and of the first one. Spec: reference 8.4."""
REMEMBERED_MAX: Final = 100_000
"""Accounts of which one process remembers that they have their first collections."""


@dataclass(frozen=True, slots=True)
class CollectionTerms:
    """How the first collections of an account are called, and what else is in a home."""

    calendar_name: str = "Calendar"
    addressbook_name: str = "Contacts"
    color: str = "#0000FF"
    shows_directory: bool = False
    """The people of the domain are an address book in each home."""
    directory_name: str = "People"


@dataclass(frozen=True, slots=True)
class Opened:
    """A collection as one actor sees it."""

    owner: Account
    store: DavStore
    """The owner's."""
    collection: Collection
    access: Access
    is_own: bool
    name: str
    """Its segment in the actor's paths."""
    traits: CollectionTraits
    """As the actor has called and coloured it."""
    share: Share | None = None
    """By which it is the actor's to see; None: own, or as a delegate."""

    @property
    def is_people(self) -> bool:
        """Whether it is the people of the domain, and hence nobody's."""
        return self.collection.collection_id == people_book.PEOPLE_ID


class Collections:
    """Homes, and what is in them."""

    def __init__(self, storage: Storage, terms: CollectionTerms | None = None) -> None:
        self._storage = storage
        self._directory = storage.directory
        self._sharing = storage.sharing
        self._terms = terms or CollectionTerms()
        self._people: dict[str, tuple[list[Account], PeopleBook]] = {}
        self._furnished: set[AccountId] = set()
        """Accounts that have had their first collections: that stays so, and saves a look at each request."""

    async def account(self, actor: Actor, name: str) -> Account:
        """Give the account that a path names: by any of its addresses, or by the local part alone.

        Errors: NoSuchAccount, also for one of which the actor may see nothing.
        """
        try:
            address = Address.parse(name if "@" in name or actor.address is None else f"{name}@{actor.address.domain}")
        except BadAddress:
            raise NoSuchAccount from None
        found = await self._directory.find(address)
        if not isinstance(found, Account):
            own = actor.account_id
            if own is None or address.key not in {each.key for each in await self._directory.addresses_of(own)}:
                raise NoSuchAccount
            found = await self._directory.account(own)
            if found is None:
                raise NoSuchAccount
        if not (await self._access(actor, found) or await self._is_known_to(actor, found)):
            raise NoSuchAccount
        return found

    async def home(self, actor: Actor, owner: Account, kind: CollectionKind) -> list[Opened]:
        """Give the collections of a kind in a home: own ones, then those that others share with its owner.

        The first ones are made when a home is looked at for the first time, and never again.
        Errors: NoSuchAccount.
        """
        access = await self._must_see(actor, owner)
        store = await self._store(owner)
        found = [
            Opened(owner, store, each, _allowed(each, access), _owns(actor, owner), each.name, each.traits)
            for each in await store.collections()
            if each.kind is kind
        ]
        if actor.account_id == owner.account_id:
            for share in await self._sharing.shares_with(owner.account_id):
                if share.kind is kind and share.is_accepted:
                    opened = await self._shared(share)
                    if opened is not None:
                        found.append(opened)
            people = await self._people_of(actor, owner) if kind is CollectionKind.ADDRESSBOOK else None
            if people is not None and people.name not in {each.name for each in found}:
                found.append(people)
        return found

    async def open(
        self, actor: Actor, owner: Account, kind: CollectionKind, name: str, access: Access = Access.READ
    ) -> Opened:
        """Give one collection of a home. Errors: NoSuchCollection; NotAllowed, where it is only for reading."""
        try:
            own_access = await self._must_see(actor, owner)
        except NoSuchAccount:
            raise NoSuchCollection from None
        store = await self._store(owner)
        is_own = _owns(actor, owner)
        opened: Opened | None
        try:
            collection = await store.collection(kind, name)
        except NoSuchCollection:
            opened = await self._shared_by_name(owner, kind, name) if is_own else None
            if opened is None and (kind, name) == (CollectionKind.ADDRESSBOOK, people_book.NAME):
                opened = await self._people_of(actor, owner)
            if opened is None:
                raise
        else:
            opened = Opened(owner, store, collection, _allowed(collection, own_access), is_own, name, collection.traits)
        if access is Access.WRITE and opened.access is not Access.WRITE:
            raise NotAllowed("This calendar or address book is only for reading")
        return opened

    async def create(
        self,
        actor: Actor,
        owner: Account,
        kind: CollectionKind,
        name: str,
        traits: CollectionTraits,
        *,
        source_url: str = "",
    ) -> Opened:
        """Make a collection in one's own home.

        Errors: NoSuchAccount, NotAllowed (others' homes), CollectionExists, BadCollectionName, LimitReached.
        """
        await self._must_see(actor, owner)
        if not _owns(actor, owner):
            raise NotAllowed("New calendars and address books are made by their owner")
        if name.lower() in RESERVED:
            raise BadCollectionName(f"'{name}' has a meaning of its own; choose another name")
        store = await self._store(owner)
        if kind is CollectionKind.CALENDAR:
            traits = replace(traits, components=traits.components or COMPONENTS)
            there = await self._for_first(store, name, traits)
            if there is not None:
                return Opened(owner, store, there, Access.WRITE, is_own=True, name=there.name, traits=there.traits)
        is_people = self._terms.shows_directory and (kind, name) == (CollectionKind.ADDRESSBOOK, people_book.NAME)
        if is_people or await self._shared_by_name(owner, kind, name) is not None:
            raise CollectionExists(name=name)
        collection = await store.create_collection(kind, name, traits, source_url=source_url)
        return Opened(
            owner,
            store,
            collection,
            _allowed(collection, Access.WRITE),
            is_own=True,
            name=name,
            traits=collection.traits,
        )

    async def set_traits(self, actor: Actor, opened: Opened, traits: CollectionTraits) -> Opened:
        """Change how a collection is called and coloured; of a shared one only for the sharee. Errors: NotAllowed."""
        if opened.share is not None:
            share = replace(opened.share, traits=replace(traits, components=()))
            await self._sharing.put_share(share)
            return replace(opened, share=share, traits=_seen(opened.collection.traits, share.traits))
        if not _owns(actor, opened.owner) and opened.access is not Access.WRITE:
            raise NotAllowed("This calendar or address book is only for reading")
        collection = await opened.store.set_traits(opened.collection.collection_id, traits)
        return replace(opened, collection=collection, traits=collection.traits)

    async def delete(self, actor: Actor, opened: Opened) -> None:
        """Remove a collection with all that is in it; whom it is shared with only leaves it. Errors: NotAllowed."""
        if opened.share is not None:
            share = opened.share
            await self._sharing.remove_share(share.owner_id, share.collection_id, share.sharee_id)
            return
        if not _owns(actor, opened.owner) or opened.collection.kind is CollectionKind.INBOX:
            raise NotAllowed("Calendars and address books are removed by their owner; the inbox stays")
        await opened.store.delete_collection(opened.collection.collection_id)
        await self._sharing.forget_collection(opened.owner.account_id, opened.collection.collection_id)

    async def usage(self, actor: Actor, owner: Account) -> Usage:
        """Give what an account holds and may hold. Errors: NoSuchAccount."""
        await self._must_see(actor, owner)
        return await self._storage.accounts.of(owner.account_id).usage()

    async def delegators(self, actor: Actor) -> list[tuple[Account, Access]]:
        """Give the accounts for which the actor acts."""
        found = [] if actor.account_id is None else await self._sharing.delegated_to(actor.account_id)
        accounts = [(await self._directory.account(each.owner_id), each.access) for each in found]
        return [(account, access) for account, access in accounts if account is not None]

    # within

    async def _access(self, actor: Actor, owner: Account) -> Access | None:
        """Give what an actor may do in a home; None: nothing."""
        if actor.is_admin or actor.account_id == owner.account_id:
            return Access.WRITE
        if actor.account_id is None:
            return None
        for each in await self._sharing.delegated_to(actor.account_id):
            if each.owner_id == owner.account_id:
                return each.access
        return None

    async def _must_see(self, actor: Actor, owner: Account) -> Access:
        access = await self._access(actor, owner)
        if access is None:
            raise NoSuchAccount
        return access

    async def _is_known_to(self, actor: Actor, owner: Account) -> bool:
        """Whether an account shares something with the actor, or acts for the actor."""
        if actor.account_id is None:
            return False
        shares = await self._sharing.shares_with(actor.account_id)
        delegates = await self._sharing.delegates_of(actor.account_id)
        return any(each.owner_id == owner.account_id for each in shares) or any(
            each.delegate_id == owner.account_id for each in delegates
        )

    async def _store(self, owner: Account) -> DavStore:
        """Give the store of an account, with its first collections."""
        store = self._storage.accounts.of(owner.account_id).dav
        if owner.account_id in self._furnished:
            return store
        if not await store.had_defaults():
            terms = self._terms
            await store.create_defaults(
                (
                    (CollectionKind.INBOX, INBOX, CollectionTraits()),
                    (
                        CollectionKind.CALENDAR,
                        DEFAULT,
                        CollectionTraits(display_name=terms.calendar_name, color=terms.color, components=COMPONENTS),
                    ),
                    (CollectionKind.ADDRESSBOOK, DEFAULT, CollectionTraits(display_name=terms.addressbook_name)),
                )
            )
        if len(self._furnished) >= REMEMBERED_MAX:
            self._furnished.clear()
        self._furnished.add(owner.account_id)
        return store

    async def _shared(self, share: Share) -> Opened | None:
        """Give a shared collection as its sharee sees it; None: it is gone."""
        owner = await self._directory.account(share.owner_id)
        if owner is None or not owner.is_enabled:
            return None
        store = self._storage.accounts.of(owner.account_id).dav
        try:
            collection = await store.collection_by_id(share.collection_id)
        except (NoSuchCollection, NoSuchAccount):
            return None
        traits = _seen(collection.traits, share.traits)
        access = _allowed(collection, share.access)
        return Opened(owner, store, collection, access, is_own=False, name=share.name, traits=traits, share=share)

    async def _shared_by_name(self, owner: Account, kind: CollectionKind, name: str) -> Opened | None:
        for share in await self._sharing.shares_with(owner.account_id):
            if share.kind is kind and share.name == name and share.is_accepted:
                return await self._shared(share)
        return None

    async def _people_of(self, actor: Actor, owner: Account) -> Opened | None:
        """Give the people of an account's domain, as it sees them; None: it does not."""
        if not self._terms.shows_directory or actor.account_id != owner.account_id:
            return None
        name = owner.address.domain
        domain = await self._directory.domain(name)
        if domain is None or domain.terms.is_chatmail:
            return None
        accounts = await self._directory.accounts(name)
        known, book = self._people.get(name, ([], None))
        if book is None or known != accounts:
            book = await asyncio.to_thread(PeopleBook, accounts, self._terms.directory_name)
            self._people[name] = (accounts, book)
        collection = book.collection_here
        return Opened(
            owner, book, collection, Access.READ, is_own=False, name=collection.name, traits=collection.traits
        )

    @staticmethod
    async def _for_first(store: DavStore, name: str, traits: CollectionTraits) -> Collection | None:
        """Give what is there to a client that asks for a first calendar once more. Spec: reference 8.4."""
        if not asks_for_the_first(name, traits.display_name):
            return None
        wanted = set(traits.components)
        for each in await store.collections():
            takes = set(each.traits.components)
            if each.kind is CollectionKind.CALENDAR and not each.source_url and (not takes or wanted <= takes):
                return each
        return None


def _owns(actor: Actor, owner: Account) -> bool:
    return actor.account_id == owner.account_id or actor.is_admin


def _allowed(collection: Collection, access: Access) -> Access:
    """What comes from elsewhere is written by nobody here."""
    return Access.READ if collection.source_url else access


def _seen(owners: CollectionTraits, sharees: CollectionTraits) -> CollectionTraits:
    """Give an owner's traits with what a sharee has said in their place."""
    return replace(
        owners,
        display_name=sharees.display_name or owners.display_name,
        description=sharees.description or owners.description,
        color=sharees.color or owners.color,
        order=sharees.order if sharees.order is not None else owners.order,
        is_transparent=sharees.is_transparent or owners.is_transparent,
        dead={**owners.dead, **sharees.dead},
    )
