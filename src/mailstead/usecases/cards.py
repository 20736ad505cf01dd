"""Contacts as programs see them over the API: all address books as one list, by id, as forms or as vCards.

What happens here DAV clients learn of, and the reverse: it is the same store, through the same verbs.

Spec: reference forwardemail 4.3 (contacts), 4.10 (Contact).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

from mailstead.model.dav import ALWAYS, CollectionKind, Precondition, Resource, ResourceQuery
from mailstead.model.envelope import Actor
from mailstead.model.errors import PreconditionFailed, UidConflict
from mailstead.model.people import Listing, Page
from mailstead.pim import card_form
from mailstead.pim.card_form import CardForm, CardView
from mailstead.pim.component import escaped
from mailstead.pim.vcard import card
from mailstead.usecases.collections import Opened
from mailstead.usecases.contacts import SUFFIX, Contacts
from mailstead.usecases.dav_objects import PAGE_OCTETS_MAX, DavObjects, Placed, must_have_room, name_of
from mailstead.usecases.resources import OCTETS_PAGE, off_loop

KIND: Final = CollectionKind.ADDRESSBOOK
_UID_LINE: Final = re.compile(rb"(?im)^(?:[A-Za-z0-9-]+\.)?UID[;:]")
_END: Final = re.compile(rb"(?im)^END:VCARD")


@dataclass(frozen=True, slots=True)
class ShownContact:
    """A contact, and what its vCard says."""

    placed: Placed
    view: CardView


@dataclass(frozen=True, slots=True)
class ContactWish:
    """What a contact is to be: a whole vCard, or what a form says; of a change only what is not None."""

    content: bytes | None = None
    form: CardForm = CardForm()
    contact_id: str = ""
    """Under which name it is kept; empty: its UID."""
    etag: str = ""
    """Which state is to be changed; empty: whichever there is."""


class Cards:
    """Errors of all verbs: NotAllowed, without an account of one's own."""

    def __init__(self, objects: DavObjects, contacts: Contacts) -> None:
        self._objects = objects
        self._contacts = contacts

    async def find(self, actor: Actor, listing: Listing) -> Page[ShownContact]:
        """A part of the contacts, book by book, by their names in paths; text: in what is searched of a vCard.

        Errors: TooManyMatches, when they are too large together.
        """
        left, skipped, count, room_octets = listing.limit, listing.skipped_count, 0, PAGE_OCTETS_MAX
        found: list[ShownContact] = []
        for opened in await self._objects.collections(actor, KIND):
            query = ResourceQuery(text=listing.text.casefold())
            names = await opened.store.outlines(opened.collection.collection_id, query)
            count += len(names)
            chosen = names[skipped : skipped + left]
            skipped = max(0, skipped - len(names))
            left -= len(chosen)
            room_octets -= sum(each.size_octets for each in chosen)
            must_have_room(room_octets)
            for start in range(0, len(chosen), OCTETS_PAGE):
                part = [each.name for each in chosen[start : start + OCTETS_PAGE]]
                there = await opened.store.resources(opened.collection.collection_id, part, with_octets=True)
                found += await off_loop(sum(len(each.octets) for each in there), _shown_all, opened, there)
        return Page(tuple(found), count)

    async def show(self, actor: Actor, object_id: str) -> ShownContact:
        """One contact. Errors: NoSuchResource."""
        return shown_contact(await self._objects.object(actor, KIND, object_id))

    async def create(self, actor: Actor, wish: ContactWish) -> ShownContact:
        """Make a contact.

        Errors: BadObject, UidConflict (also for a name that is taken), ObjectTooLarge, OverQuota, LimitReached.
        """
        opened = await self._objects.first(actor, KIND)
        if wish.content is not None:
            octets = _with_uid(wish.content, wish.form.uid)
            if wish.form != CardForm(uid=wish.form.uid):
                octets = card_form.changed(octets, wish.form)
        else:
            octets = card_form.composed(replace(wish.form, uid=wish.form.uid or str(uuid4())))
        name = name_of(wish.contact_id or card(octets).uid, SUFFIX)
        try:
            written = await self._contacts.put(opened, name, octets, Precondition(must_be_absent=True))
        except PreconditionFailed:
            raise UidConflict("There is such a contact already", name=name) from None
        return await self._again(opened, written.resource)

    async def change(self, actor: Actor, object_id: str, wish: ContactWish) -> ShownContact:
        """Change a contact; what is not said stays.

        Errors: NoSuchResource, PreconditionFailed, BadObject, UidConflict (another UID), NotAllowed, OverQuota.
        """
        placed = await self._objects.object(actor, KIND, object_id)
        resource = placed.resource
        # What was read is what is changed: of two at once, the second is told.
        precondition = Precondition(etags=frozenset({resource.etag}))
        if wish.etag and wish.etag != resource.etag:
            raise PreconditionFailed
        octets = resource.octets if wish.content is None else _with_uid(wish.content, resource.facts.uid)
        if wish.content is None or wish.form != CardForm(uid=wish.form.uid):
            octets = card_form.changed(octets, wish.form)
        written = await self._contacts.put(placed.opened, resource.name, octets, precondition)
        return await self._again(placed.opened, written.resource)

    async def delete(self, actor: Actor, object_id: str, etag: str = "") -> ShownContact:
        """Remove a contact; gives it as it was. Errors: NoSuchResource, PreconditionFailed, NotAllowed."""
        placed = await self._objects.object(actor, KIND, object_id)
        precondition = Precondition(etags=frozenset({etag})) if etag else ALWAYS
        await self._contacts.delete(placed.opened, placed.resource.name, precondition)
        return shown_contact(placed)

    async def _again(self, opened: Opened, resource: Resource) -> ShownContact:
        return shown_contact(Placed(opened, await self._contacts.get(opened, resource.name)))


def shown_contact(placed: Placed) -> ShownContact:
    """Give a contact as it is shown; it was read with its octets. Errors: BadObject."""
    return ShownContact(placed, card_form.view(placed.resource.octets))


def _shown_all(opened: Opened, resources: list[Resource]) -> list[ShownContact]:
    return [shown_contact(Placed(opened, each)) for each in resources]


def _with_uid(octets: bytes, uid: str) -> bytes:
    """Give a vCard with a UID, where the program has left it out: what is there otherwise stays octet by octet."""
    if _UID_LINE.search(octets) is not None:
        return octets
    line = f"UID:{escaped(uid or str(uuid4()))}\r\n".encode()
    return _END.sub(lambda found: line + found[0], octets, count=1)
