"""Contacts that are the same person: found, set side by side, and made one.

First the one that stays is written, with all that the others say, and in the same unit the groups that named them; then
they are removed. What breaks off between the two leaves doubles and loses nothing. Each is changed or removed only in
the state that was seen, so nothing is lost that another device wrote meanwhile.

Spec: RFC 6350 §6.6.5; RFC 9110 §13.1.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mailstead.model.dav import Access, CollectionKind, Precondition, Resource
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadObject, NoSuchResource, PolicyRefused, PreconditionFailed
from mailstead.pim.card_differences import Difference, differences
from mailstead.pim.card_group import with_other_member
from mailstead.pim.card_likeness import TOGETHER_MAX, likenesses
from mailstead.pim.card_merge import merged
from mailstead.pim.card_sheet import CardSheet, sheet
from mailstead.pim.vcard import card
from mailstead.usecases.card_sheets import CardSheets, ShownCard
from mailstead.usecases.collections import Collections, Opened
from mailstead.usecases.contacts import Contacts, NewCard
from mailstead.usecases.dav_objects import DavObjects
from mailstead.usecases.resources import off_loop

KIND: Final = CollectionKind.ADDRESSBOOK


@dataclass(frozen=True, slots=True)
class LikelyCards:
    """Contacts of one book that may be the same person."""

    opened: Opened
    cards: tuple[tuple[str, CardSheet], ...]
    """Their names in paths, and of what they say names, addresses and numbers."""
    reasons: tuple[str, ...]
    """Of `card_likeness.REASONS`."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Contacts side by side; the first is the one that stays if nobody says otherwise."""

    opened: Opened
    cards: tuple[ShownCard, ...]
    differences: tuple[Difference, ...]
    together: CardSheet
    """What they say when they are one, where nothing is chosen."""


@dataclass(frozen=True, slots=True)
class MergedCard:
    """What has become of them."""

    name: str
    """In paths, of the one that stays."""
    left_count: int
    """So many of the others were changed just then, and are still there."""


class CardMerging:
    """Errors of all verbs: NotAllowed, without an account of one's own, and for books that are only for reading."""

    def __init__(self, objects: DavObjects, collections: Collections, contacts: Contacts, sheets: CardSheets) -> None:
        self._objects = objects
        self._collections = collections
        self._contacts = contacts
        self._sheets = sheets

    async def likely(self, actor: Actor) -> list[LikelyCards]:
        """Give who may be the same person, in each book that the actor may write in."""
        found: list[LikelyCards] = []
        for opened in await self._collections.home(actor, await self._objects.account(actor), KIND):
            if opened.is_people or opened.access is not Access.WRITE:
                continue
            people: list[tuple[str, CardSheet]] = []
            async for page in self._contacts.listed(opened, with_octets=True):
                people += await off_loop(sum(len(each.octets) for each in page), _people, page)
            sheets = [each for _, each in people]
            for likeness in await off_loop(len(people) * 1024, likenesses, sheets):
                together = tuple(people[place] for place in likeness.places)
                found.append(LikelyCards(opened, together, likeness.reasons))
        return found

    async def compare(self, actor: Actor, book: str, names: Sequence[str]) -> Comparison:
        """Set contacts of a book side by side.

        Errors: NoSuchCollection, NoSuchResource; PolicyRefused, for fewer than two, too many, and groups.
        """
        names = list(dict.fromkeys(names))
        if not 2 <= len(names) <= TOGETHER_MAX:
            raise PolicyRefused(f"Choose two contacts that are the same person, or up to {TOGETHER_MAX}")
        opened = await self._sheets.book(actor, book, Access.WRITE)
        cards = [await self._sheets.show(actor, book, each) for each in names]
        if any(each.card.is_group for each in cards):
            raise PolicyRefused("Groups are not merged; put the members of one into the other")
        size_octets = sum(len(each.resource.octets) for each in cards)
        different, together = await off_loop(size_octets, _compared, cards)
        return Comparison(opened, tuple(cards), tuple(different), together)

    async def merge(
        self, actor: Actor, book: str, seen: Sequence[tuple[str, str]], choices: Mapping[str, int]
    ) -> MergedCard:
        """Make contacts one: names and entity tags as they were seen, that of the one that stays first.

        A choice is of a part (`card_differences.PARTS`), and the place of a contact in `seen`.
        Errors: as `compare`; PreconditionFailed, when one of them, or a group of theirs, has changed meanwhile: then
        all is as before; ObjectTooLarge, BadObject, OverQuota.
        """
        etags = dict(seen)
        compared = await self.compare(actor, book, [name for name, _ in seen])
        for each in compared.cards:
            if each.resource.etag != etags[each.resource.name]:
                raise PreconditionFailed
        first, *others = compared.cards
        size_octets = sum(len(each.resource.octets) for each in compared.cards)
        octets = await off_loop(size_octets, merged, [each.card for each in compared.cards], choices)
        gone = [each.card.uid for each in others]
        await self._contacts.put_all(
            compared.opened,
            [
                NewCard(first.resource.name, octets, Precondition(etags=frozenset({first.resource.etag}))),
                *await self._groups(compared.opened, gone, first.card.uid),
            ],
        )
        left_count = 0
        for each in others:
            try:
                seen_state = Precondition(etags=frozenset({each.resource.etag}))
                await self._contacts.delete(compared.opened, each.resource.name, seen_state)
            except PreconditionFailed:
                left_count += 1
            except NoSuchResource:
                continue  # another was quicker
        return MergedCard(first.resource.name, left_count)

    async def _groups(self, opened: Opened, gone: Sequence[str], uid: str) -> list[NewCard]:
        """Give the groups that named one of those who go, so that they name the one who stays."""
        names = []
        async for page in self._contacts.listed(opened):
            names += [each.name for each in page if each.facts.is_group]
        found = []
        async for _, groups in self._contacts.named(opened, names, with_octets=True):
            for each in groups.values():
                octets = with_other_member(each.octets, gone, uid)
                if octets is not None:
                    found.append(NewCard(each.name, octets, Precondition(etags=frozenset({each.etag}))))
        return found


def _people(page: Sequence[Resource]) -> list[tuple[str, CardSheet]]:
    found = []
    for each in page:
        if each.facts.is_group:
            continue
        try:
            said = sheet(card(each.octets))
        except BadObject:
            continue  # it came in while other rules held
        found.append((each.name, CardSheet(said.full_name, emails=said.emails, phones=said.phones)))
    return found


def _compared(cards: Sequence[ShownCard]) -> tuple[list[Difference], CardSheet]:
    read = [each.card for each in cards]
    return differences(read), sheet(card(merged(read, {})))
