"""Contacts as people fill them in: seen, made, changed, moved and removed, each by its address book and its name there.

Two who change one contact do not overwrite each other: who saves says which state he saw (its entity tag).

Spec: RFC 6350; RFC 9110 §13.1.1; attack row 97 (pictures).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import uuid4

from mailstead.mime.showing.raster import Raster, raster
from mailstead.model.address import Address
from mailstead.model.dav import ALWAYS, Access, CollectionKind, CollectionTraits, Precondition, Resource
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadAddress, BadCollectionName, BadObject, NoSuchResource, ObjectTooLarge
from mailstead.pim import card_data, card_sheet
from mailstead.pim.card_form import Labelled
from mailstead.pim.card_sheet import CardSheet, named
from mailstead.pim.filters import AddressData
from mailstead.pim.vcard import CONDITION, Card, card
from mailstead.usecases.collections import Collections, Opened
from mailstead.usecases.contacts import SUFFIX, Contacts
from mailstead.usecases.dav_objects import DavObjects
from mailstead.usecases.object_imports import ObjectImport, resource_name
from mailstead.usecases.resources import off_loop

KIND: Final = CollectionKind.ADDRESSBOOK
PHOTO_OCTETS_MAX: Final = 1024 * 1024
"""Of a picture that is put; others may have put larger ones."""
FORMATS: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
TITLE_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class ShownCard:
    """A contact, and what it says."""

    opened: Opened
    resource: Resource
    card: Card
    sheet: CardSheet


@dataclass(frozen=True, slots=True)
class CardWish:
    """What a contact is to be."""

    sheet: CardSheet
    image: bytes | None = field(default=None, repr=False)
    """A new picture; None: as it is."""
    drops_photo: bool = False


class CardSheets:
    """Errors of all verbs: NotAllowed, without an account of one's own, and for books that are only for reading."""

    def __init__(self, objects: DavObjects, collections: Collections, contacts: Contacts) -> None:
        self._objects = objects
        self._collections = collections
        self._contacts = contacts

    # contacts

    async def show(self, actor: Actor, book: str, name: str) -> ShownCard:
        """One contact. Errors: NoSuchCollection, NoSuchResource."""
        return await self._shown(await self.book(actor, book), name)

    async def create(self, actor: Actor, book: str, wish: CardWish) -> ShownCard:
        """Make a contact. Errors: NoSuchCollection, BadObject, BadAddress, ObjectTooLarge, OverQuota, LimitReached."""
        opened = await self.book(actor, book, Access.WRITE)
        wanted = _checked(named(wish.sheet, CardSheet()), CardSheet())
        uid = str(uuid4())
        octets = _with_image(card_sheet.composed(uid, wanted), wish)
        written = await self._contacts.put(
            opened, resource_name(uid, SUFFIX), octets, Precondition(must_be_absent=True)
        )
        return await self._shown(opened, written.resource.name)

    async def change(self, actor: Actor, book: str, name: str, etag: str, wish: CardWish) -> ShownCard:
        """Change a contact that was seen in the state `etag`.

        Errors: NoSuchCollection, NoSuchResource, PreconditionFailed, BadObject, BadAddress, ObjectTooLarge, OverQuota.
        """
        opened = await self.book(actor, book, Access.WRITE)
        before = await self._shown(opened, name)
        wanted = _checked(named(wish.sheet, before.sheet), before.sheet)
        octets = _with_image(card_sheet.changed(before.resource.octets, wanted), wish)
        await self._contacts.put(opened, name, octets, Precondition(etags=frozenset({etag})))
        return await self._shown(opened, name)

    async def move(self, actor: Actor, book: str, name: str, to_book: str) -> ShownCard:
        """Put a contact into another book. Errors: NoSuchCollection, NoSuchResource, UidConflict, OverQuota."""
        source = await self.book(actor, book, Access.WRITE)
        target = await self.book(actor, to_book, Access.WRITE)
        if source.name != target.name:
            await self._contacts.copy(source, name, target, name, moves=True, overwrites=False)
        return await self._shown(target, name)

    async def delete(self, actor: Actor, book: str, name: str, etag: str = "") -> None:
        """Remove a contact. Errors: NoSuchCollection, NoSuchResource, PreconditionFailed."""
        opened = await self.book(actor, book, Access.WRITE)
        await self._contacts.delete(opened, name, Precondition(etags=frozenset({etag})) if etag else ALWAYS)

    async def photo(self, actor: Actor, book: str, name: str) -> tuple[bytes, Raster]:
        """Give the picture of a contact, and what it is: a raster image alone (attack row 97).

        Errors: NoSuchResource, where there is none that can be shown.
        """
        shown = await self.show(actor, book, name)
        octets = card_sheet.photo(shown.card)
        kind = None if octets is None else raster(octets)
        if octets is None or kind is None or kind.media_type not in FORMATS or not kind.is_reasonable:
            raise NoSuchResource
        return octets, kind

    async def octets(self, actor: Actor, book: str, name: str, version: str = "") -> bytes:
        """Give a contact as a vCard: as it was put, or in that version. Errors: NoSuchResource, NoSuchCollection."""
        shown = await self.show(actor, book, name)
        return card_data.render(shown.card, shown.resource.octets, AddressData(version=version))

    # address books

    async def book(self, actor: Actor, name: str, access: Access = Access.READ) -> Opened:
        """Give an address book of the actor's home. Errors: NoSuchCollection."""
        return await self._collections.open(actor, await self._objects.account(actor), KIND, name, access)

    async def all_octets(self, actor: Actor, book: str, version: str = "") -> AsyncIterator[bytes]:
        """Give all contacts of a book as one file, piece by piece, in that version. Errors: NoSuchCollection."""
        return self._pieces(await self.book(actor, book), AddressData(version=version))

    async def import_all(self, actor: Actor, book: str, octets: bytes) -> ObjectImport:
        """Put all contacts of a file into a book, also of one in vCard 2.1.

        Errors: NoSuchCollection, BadObject, OverQuota, LimitReached.
        """
        return await self._contacts.import_all(await self.book(actor, book, Access.WRITE), octets, takes_old=True)

    async def create_book(self, actor: Actor, title: str) -> Opened:
        """Make an address book. Errors: BadCollectionName, LimitReached."""
        traits = CollectionTraits(display_name=_title(title))
        return await self._collections.create(actor, await self._objects.account(actor), KIND, str(uuid4()), traits)

    async def rename_book(self, actor: Actor, book: str, title: str) -> Opened:
        """Call a book otherwise; a shared one for oneself. Errors: NoSuchCollection, BadCollectionName."""
        opened = await self.book(actor, book)
        return await self._collections.set_traits(actor, opened, replace(opened.traits, display_name=_title(title)))

    async def delete_book(self, actor: Actor, book: str) -> None:
        """Remove a book with all that is in it; a shared one is only left. Errors: NoSuchCollection."""
        await self._collections.delete(actor, await self.book(actor, book))

    # within

    async def _shown(self, opened: Opened, name: str) -> ShownCard:
        resource = await opened.store.resources(opened.collection.collection_id, [name], with_octets=True)
        if not resource:
            raise NoSuchResource
        found = await off_loop(len(resource[0].octets), card, resource[0].octets)
        return ShownCard(opened, resource[0], found, card_sheet.sheet(found))

    async def _pieces(self, opened: Opened, wanted: AddressData) -> AsyncIterator[bytes]:
        async for page in self._contacts.listed(opened, with_octets=True):
            yield await off_loop(sum(len(each.octets) for each in page), _file_of, page, wanted)


def _file_of(page: Sequence[Resource], wanted: AddressData) -> bytes:
    rendered = (card_data.render(card(each.octets), each.octets, wanted) for each in page)
    return b"".join(each.rstrip(b"\r\n") + b"\r\n" for each in rendered)


def _checked(wanted: CardSheet, before: CardSheet) -> CardSheet:
    """Errors: BadObject, without any name; BadAddress, for a new mail address that is none."""
    if not wanted.full_name:
        raise BadObject("Fill in a name, an organisation or a mail address", condition=CONDITION)
    known = {each.value for each in before.emails}
    emails = []
    for each in wanted.emails:
        value = each.value.strip()
        if value and value not in known:
            try:
                value = str(Address.parse(value))
            except BadAddress as error:
                raise BadAddress(f"{value[:200]}: {error.public_text}") from None
        emails.append(Labelled(value, each.label))
    return replace(wanted, emails=emails)


def _with_image(octets: bytes, wish: CardWish) -> bytes:
    if wish.image is None:
        return card_sheet.with_photo(octets, None) if wish.drops_photo else octets
    if len(wish.image) > PHOTO_OCTETS_MAX:
        raise ObjectTooLarge("A picture has at most 1 MiB")
    kind = raster(wish.image)
    if kind is None or kind.media_type not in FORMATS or not kind.is_reasonable:
        raise BadObject("A picture is a PNG, JPEG, GIF or WebP file", condition=CONDITION)
    return card_sheet.with_photo(octets, wish.image, kind.media_type)


def _title(text: str) -> str:
    title = " ".join(text.split())
    if not title or len(title) > TITLE_CHARACTERS_MAX:
        raise BadCollectionName(f"A name has 1 to {TITLE_CHARACTERS_MAX} characters")
    return title
