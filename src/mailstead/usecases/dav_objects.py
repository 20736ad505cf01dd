"""What an account sees of calendars and address books, by the ids of the API: which collection, which object in it.

Everything goes through `Collections`, which decides who sees what; an id that names something of others is as one that
names nothing. Objects live under names of their own, as those of DAV clients do, so both see the same.

Spec: reference forwardemail 4.1 (ID form), 4.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from mailstead.model.dav import Access, CollectionKind, Resource
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchAccount, NoSuchCollection, NoSuchResource, NotAllowed, TooManyMatches
from mailstead.model.people import ObjectId
from mailstead.model.place import DavPlace
from mailstead.ports.storage import Storage
from mailstead.usecases.collections import DEFAULT, Collections, Opened

NAME_CHARACTERS_MAX: Final = 200
PAGE_OCTETS_MAX: Final = 64 * 1024 * 1024
"""Of all objects of one page: some have pictures in them, and a page may be long."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@=+-]*")


@dataclass(frozen=True, slots=True)
class Placed:
    """An object and where it lies."""

    opened: Opened
    resource: Resource

    @property
    def object_id(self) -> ObjectId:
        """Its id."""
        return DavPlace(self.opened.owner.account_id, resource_id=self.resource.resource_id).object_id

    @property
    def collection_object_id(self) -> ObjectId:
        """The id of what it lies in."""
        return collection_object_id(self.opened)


def collection_object_id(opened: Opened) -> ObjectId:
    """Give the id of a calendar or an address book."""
    return DavPlace(opened.owner.account_id, opened.collection.collection_id).object_id


class DavObjects:
    """Finds collections and objects of the actor's own home. Errors of all verbs: NotAllowed, without an account."""

    def __init__(self, storage: Storage, collections: Collections) -> None:
        self._storage = storage
        self._directory = storage.directory
        self._collections = collections

    async def account(self, actor: Actor) -> Account:
        """Give the actor's own account."""
        account = None if actor.account_id is None else await self._directory.account(actor.account_id)
        if account is None:
            raise NotAllowed("Only accounts have calendars and contacts")
        return account

    async def collections(self, actor: Actor, kind: CollectionKind) -> list[Opened]:
        """Give the actor's collections of a kind, own ones first; the people of the domain are none of them.

        They are nobody's, are not changed here, and have no keys that last.
        """
        found = await self._collections.home(actor, await self.account(actor), kind)
        return [each for each in found if not each.is_people]

    async def collection(
        self, actor: Actor, kind: CollectionKind, id_or_name: str, access: Access = Access.READ
    ) -> Opened:
        """Give one collection, by its id, by its name in paths, or by what it is called, in this order.

        Errors: NoSuchCollection; NotAllowed, where it is only for reading.
        """
        found = await self.collections(actor, kind)
        place = DavPlace.of(id_or_name)
        for is_it in (
            lambda each: place is not None and DavPlace.of(collection_object_id(each)) == place,
            lambda each: each.name == id_or_name,
            lambda each: bool(id_or_name) and each.traits.display_name == id_or_name,
        ):
            opened = next((each for each in found if is_it(each)), None)
            if opened is not None:
                if access is Access.WRITE and opened.access is not Access.WRITE:
                    raise NotAllowed("This calendar or address book is only for reading")
                return opened
        raise NoSuchCollection

    async def first(self, actor: Actor, kind: CollectionKind) -> Opened:
        """Give where new objects go when nobody says: the default collection, else the first that may be written.

        Errors: NoSuchCollection.
        """
        found = [each for each in await self.collections(actor, kind) if each.access is Access.WRITE]
        for each in found:
            if each.is_own and each.name == DEFAULT:
                return each
        if not found:
            raise NoSuchCollection
        return found[0]

    async def object(self, actor: Actor, kind: CollectionKind, object_id: str, *, with_octets: bool = True) -> Placed:
        """Give one object, by its id, or by its name in paths without the suffix. Errors: NoSuchResource."""
        found = await self.collections(actor, kind)
        place = DavPlace.of(object_id)
        if place is None or not place.resource_id:
            return await _named(found, object_id)
        if not any(each.owner.account_id == place.owner_id for each in found):
            raise NoSuchResource
        try:
            store = self._storage.accounts.of(place.owner_id).dav
            resource = await store.resource_by_id(place.resource_id)
        except NoSuchAccount:
            raise NoSuchResource from None
        for opened in found:
            if opened.owner.account_id == place.owner_id and (
                opened.collection.collection_id == resource.collection_id
            ):
                if with_octets:
                    named = await store.resources(resource.collection_id, [resource.name], with_octets=True)
                    if not named or named[0].resource_id != resource.resource_id:
                        raise NoSuchResource
                    resource = named[0]
                return Placed(opened, resource)
        raise NoSuchResource


async def _named(found: list[Opened], name: str) -> Placed:
    for opened in found:
        names = [name, *(name + suffix for suffix in (".ics", ".vcf"))]
        there = await opened.store.resources(opened.collection.collection_id, names, with_octets=True)
        if there:
            return Placed(opened, there[0])
    raise NoSuchResource


def must_have_room(octets_left: int) -> None:
    """Errors: TooManyMatches, when the objects of a page are too large together."""
    if octets_left < 0:
        raise TooManyMatches("These are too large together; ask for fewer at once")


def name_of(text: str, suffix: str) -> str:
    """Give the name under which an object is kept: that of the program where it can be one, else one made from it."""
    if _NAME.fullmatch(text) is not None and len(text) <= NAME_CHARACTERS_MAX:
        return text.removesuffix(suffix) + suffix
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32] + suffix
