"""Contacts as people look for them: in all address books or one, in the order of their names, by letter, word or group.

The people of the domain are among them where they are an address book of the actor's home.
"""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from mailstead.model.dav import CollectionId, CollectionKind, Resource, ResourceQuery
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadObject, NoSuchCollection
from mailstead.pim.card_sheet import CardSheet, photo, sheet
from mailstead.pim.vcard import card
from mailstead.usecases.collections import Collections, Opened
from mailstead.usecases.dav_objects import DavObjects, must_have_room
from mailstead.usecases.resources import OCTETS_PAGE, PAGE, off_loop

KIND: Final = CollectionKind.ADDRESSBOOK
PAGE_OCTETS_MAX: Final = 64 * 1024 * 1024
"""Of all contacts of one page: some have pictures in them."""
OTHER: Final = "#"
"""Stands for all names that do not begin with a letter."""
SAME_MAX: Final = 5
"""So many contacts with the same address are told, and for so many addresses of one contact they are looked for."""


@dataclass(frozen=True, slots=True)
class CardQuery:
    """Which contacts are wanted; what is empty is not asked."""

    book: str = ""
    """Name of an address book in paths."""
    text: str = ""
    """Anywhere in what is searched of a vCard."""
    letter: str = ""
    """With which the name begins, as `letter_of` gives it."""
    group: str = ""
    """One of its groups (CATEGORIES)."""


@dataclass(frozen=True, slots=True)
class IndexedCard:
    """A contact in a list."""

    opened: Opened
    resource: Resource
    """Without octets."""
    sheet: CardSheet
    has_photo: bool

    @property
    def is_group(self) -> bool:
        """Whether it stands for several."""
        return self.resource.facts.is_group


@dataclass(frozen=True, slots=True)
class CardPage:
    """A part of a list."""

    cards: tuple[IndexedCard, ...]
    count: int
    """Of all that match."""
    letters: tuple[str, ...]
    """With which the names of those begin that match all but the letter, in their order."""


class CardIndex:
    """Errors of all verbs: NotAllowed, without an account of one's own."""

    def __init__(self, objects: DavObjects, collections: Collections) -> None:
        self._objects = objects
        self._collections = collections

    async def books(self, actor: Actor) -> list[Opened]:
        """Give the address books of the actor's home: own ones, those that others share, the people of the domain."""
        return await self._collections.home(actor, await self._objects.account(actor), KIND)

    async def page(self, actor: Actor, query: CardQuery, skipped_count: int = 0, limit: int = 50) -> CardPage:
        """Give a part of the contacts, by name. Errors: NoSuchCollection; TooManyMatches, when they are too large."""
        books = await self.books(actor)
        if query.book:
            books = [each for each in books if each.name == query.book]
            if not books:
                raise NoSuchCollection
        found: list[tuple[tuple[str, str], Opened, Resource]] = []
        for opened in books:
            async for resources in _matching(opened, query):
                found += [(_order(each.facts.summary), opened, each) for each in resources]
        letters = tuple(sorted({letter_of(each.facts.summary) for _, _, each in found}))
        if query.letter:
            found = [each for each in found if letter_of(each[2].facts.summary) == query.letter]
        found.sort(key=lambda each: (each[0], each[1].name, each[2].name))
        chosen = [(opened, each) for _, opened, each in found[skipped_count : skipped_count + limit]]
        return CardPage(tuple(await self._cards(chosen)), len(found), letters)

    async def same(self, actor: Actor, addresses: Sequence[str], but_uid: str = "") -> list[IndexedCard]:
        """Give contacts of the actor's books that have one of these mail addresses, but for one by its UID."""
        found: dict[tuple[CollectionId, str], IndexedCard] = {}
        books = [each for each in await self.books(actor) if not each.is_people]
        for address in list(dict.fromkeys(each.casefold() for each in addresses if each))[:SAME_MAX]:
            for opened in books:
                collection_id = opened.collection.collection_id
                there = await opened.store.find(collection_id, ResourceQuery(text=address), limit=4 * SAME_MAX)
                for each in await off_loop(sum(each.size_octets for each in there), _indexed, opened, there):
                    emails = {entry.value.casefold() for entry in each.sheet.emails}
                    if address in emails and each.resource.facts.uid != but_uid:
                        found[collection_id, each.resource.name] = each
        return list(found.values())[:SAME_MAX]

    async def named(self, opened: Opened, uids: Sequence[str]) -> list[IndexedCard]:
        """Give the contacts of a book with these UIDs, as a group names its members; those that are not there not."""
        found: list[IndexedCard] = []
        for uid in dict.fromkeys(uids):
            for written in (uid, f"urn:uuid:{uid}"):  # some write the URN into UID
                query = ResourceQuery(uid=written)
                there = await opened.store.find(opened.collection.collection_id, query, limit=1)
                if there:
                    found += _indexed(opened, there)
                    break
        return found

    async def _cards(self, chosen: Sequence[tuple[Opened, Resource]]) -> list[IndexedCard]:
        must_have_room(PAGE_OCTETS_MAX - sum(each.size_octets for _, each in chosen))
        found: dict[tuple[str, str], IndexedCard] = {}
        for book in dict.fromkeys(opened.name for opened, _ in chosen):
            opened = next(each for each, _ in chosen if each.name == book)
            names = [each.name for of, each in chosen if of.name == book]
            for start in range(0, len(names), OCTETS_PAGE):
                there = await opened.store.resources(
                    opened.collection.collection_id, names[start : start + OCTETS_PAGE], with_octets=True
                )
                size = sum(len(each.octets) for each in there)
                found |= {(book, each.resource.name): each for each in await off_loop(size, _indexed, opened, there)}
        keys = [(opened.name, each.name) for opened, each in chosen]
        return [found[key] for key in keys if key in found]  # not one that was removed meanwhile


def letter_of(name: str) -> str:
    """Give the letter under which a name stands: without accents, upper case; `OTHER` for what is no letter."""
    first = unicodedata.normalize("NFKD", name.strip())[:1].upper()
    if "\u1100" <= first <= "\u1112":  # the first sound of a Korean syllable, as people write it
        return _KOREAN[ord(first) - 0x1100]
    return first[:1] if first.isalpha() else OTHER


_KOREAN: Final = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"


def _order(name: str) -> tuple[str, str]:
    """Give by what a name is put in order: letters first, accents do not count but between equal ones."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each))
    return plain.casefold(), name


async def _matching(opened: Opened, query: CardQuery) -> AsyncIterator[list[Resource]]:
    """Yield what matches all but the letter, without octets, in pages."""
    text = (query.text or query.group).casefold()
    after, has_octets = "", bool(query.group)
    limit = OCTETS_PAGE if has_octets else PAGE
    while True:
        page = await opened.store.find(
            opened.collection.collection_id, ResourceQuery(text=text), after=after, limit=limit, with_octets=has_octets
        )
        if has_octets:
            size = sum(len(each.octets) for each in page)
            cards = await off_loop(size, _indexed, opened, page)
            yield [each.resource for each in cards if query.group in each.sheet.groups]
        elif page:
            yield page
        if len(page) < limit:
            return
        after = page[-1].name


def _indexed(opened: Opened, resources: Sequence[Resource]) -> list[IndexedCard]:
    found = []
    for each in resources:
        try:
            read = card(each.octets)
        except BadObject:
            continue  # it came in while other rules held
        found.append(IndexedCard(opened, each, sheet(read), photo(read) is not None))
    return found
