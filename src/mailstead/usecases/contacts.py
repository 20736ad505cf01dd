"""Contacts: vCards in address books; put, and found by what is in them.

Spec: RFC 6352 §6.3.2, §8.6, §8.7.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailstead.mime.charset import decoded
from mailstead.model.dav import ALWAYS, NewResource, Precondition, Resource, ResourceFacts, ResourceQuery
from mailstead.model.errors import BadObject, TooManyMatches, UidConflict
from mailstead.pim import card_data, card_filter
from mailstead.pim.filters import AddressData, CardFilter
from mailstead.pim.old_card import with_new_cards
from mailstead.pim.vcard import Card, card, card_facts, split_cards
from mailstead.usecases.collections import Opened
from mailstead.usecases.object_imports import ImportObject, ObjectImport, Progress, import_objects
from mailstead.usecases.resources import OCTETS_PAGE, Found, Resources, Written, must_write, off_loop

SUFFIX: Final = ".vcf"


@dataclass(frozen=True, slots=True)
class WantedCards:
    """In which form contacts are wanted."""

    data: AddressData | None = None
    """None: without their octets."""

    def render(self, resource: Resource, parsed: Card | None) -> bytes:
        """Give a contact in that form."""
        if self.data is None:
            return b""
        if self.data.props is None and not self.data.version:
            return resource.octets
        return card_data.render(parsed or card(resource.octets), resource.octets, self.data)


@dataclass(frozen=True, slots=True)
class NewCard:
    """A contact to be put under a name."""

    name: str
    octets: bytes = field(repr=False)
    precondition: Precondition = ALWAYS


class Contacts(Resources):
    """Puts, finds and imports contacts."""

    async def put(self, opened: Opened, name: str, octets: bytes, precondition: Precondition = ALWAYS) -> Written:
        """Put one contact under a name, new or in place of another.

        Errors: NotAllowed, ObjectTooLarge (attack row 85), BadObject, UidConflict, PreconditionFailed, OverQuota,
        LimitReached, BadCollectionName.
        """
        (written,) = await self.put_all(opened, [NewCard(name, octets, precondition)])
        return written

    async def put_all(self, opened: Opened, cards: Sequence[NewCard]) -> list[Written]:
        """Put several contacts, all or none. Errors: as `put`."""
        must_write(opened)
        for each in cards:
            self._must_fit(each.octets)
        collection_id = opened.collection.collection_id
        there = await opened.store.resources(collection_id, [each.name for each in cards])
        uids = {each.name: each.facts.uid for each in there}
        new = []
        for each in cards:
            facts = await off_loop(len(each.octets), _facts, each.octets)
            if uids.get(each.name, facts.uid) != facts.uid:
                raise UidConflict("A contact keeps its UID", name=each.name)
            new.append(NewResource(each.name, each.octets, facts, each.precondition))
        return [Written(each.resource, each.is_new) for each in await opened.store.put(collection_id, new)]

    async def query(
        self, opened: Opened, condition: CardFilter, wanted: WantedCards, *, limit: int | None = None
    ) -> AsyncIterator[list[Found]]:
        """Yield those that match, by name, in pages.

        Spec: RFC 6352 §8.6.
        Errors: TooManyMatches, when more than `limit` match; what was given before counts.
        """
        after, left = "", limit
        while True:
            page = await opened.store.find(
                opened.collection.collection_id, ResourceQuery(), after=after, limit=OCTETS_PAGE, with_octets=True
            )
            found = await off_loop(sum(len(each.octets) for each in page), _matching, page, condition, wanted)
            if left is not None and len(found) > left:
                yield found[:left]
                raise TooManyMatches
            if found:
                yield found
            if left is not None:
                left -= len(found)
            if len(page) < OCTETS_PAGE:
                return
            after = page[-1].name

    async def multiget(
        self, opened: Opened, names: Sequence[str], wanted: WantedCards
    ) -> AsyncIterator[tuple[Sequence[str], dict[str, Found]]]:
        """Yield, page by page, some of the names and those of them that are there. Spec: RFC 6352 §8.7."""
        async for part, resources in self.named(opened, names, with_octets=wanted.data is not None):
            size_octets = sum(len(each.octets) for each in resources.values())
            yield part, await off_loop(size_octets, _rendered, resources, wanted)

    async def import_all(
        self, opened: Opened, octets: bytes, progress: Progress | None = None, *, takes_old: bool = False
    ) -> ObjectImport:
        """Put all contacts of a file; those that cannot be taken are named in the report.

        `takes_old`: contacts in vCard 2.1 become 3.0; programs by CardDAV are to write what is kept as it is.
        Errors: NotAllowed, BadObject (nothing can be read), OverQuota, LimitReached.
        """
        must_write(opened)
        report = ObjectImport()
        if takes_old:
            octets = await off_loop(len(octets), with_new_cards, octets, decoded)
        objects = await off_loop(len(octets), self._split, octets, report)
        await import_objects(opened, objects, SUFFIX, report, progress)
        return report

    def _split(self, octets: bytes, report: ObjectImport) -> list[ImportObject]:
        objects = []
        for number, part in enumerate(split_cards(octets), 1):
            try:
                if len(part) > self.terms.resource_octets_max:
                    report.refused.append(f"Contact {number}: it is too large")
                    continue
                objects.append(ImportObject(part, _facts(part)))
            except BadObject as error:
                report.refused.append(f"Contact {number}: {error.public_text}")
        return objects


def _facts(octets: bytes) -> ResourceFacts:
    return card_facts(card(octets))


def _matching(page: Iterable[Resource], condition: CardFilter, wanted: WantedCards) -> list[Found]:
    found = []
    for resource in page:
        parsed = card(resource.octets)
        if card_filter.matches(parsed, condition):
            found.append(Found(resource, wanted.render(resource, parsed)))
    return found


def _rendered(resources: Mapping[str, Resource], wanted: WantedCards) -> dict[str, Found]:
    return {name: Found(each, wanted.render(each, None)) for name, each in resources.items()}
