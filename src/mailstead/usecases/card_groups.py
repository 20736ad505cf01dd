"""Groups of contacts: made, called otherwise, and who is in them.

Who puts somebody into a group, or takes him out, changes nothing else of it: so it is done on what is there at the
moment, whatever another device has written meanwhile.

Spec: RFC 6350 §6.1.4, §6.6.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

from mailstead.model.dav import Access, Precondition
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadObject, PolicyRefused, PreconditionFailed
from mailstead.pim.card_group import composed_group, member_of, with_members
from mailstead.pim.card_sheet import PersonName, members
from mailstead.pim.vcard import CONDITION
from mailstead.usecases.card_index import CardIndex, CardQuery, IndexedCard
from mailstead.usecases.card_sheets import CardSheets, CardWish, ShownCard
from mailstead.usecases.contacts import SUFFIX, Contacts
from mailstead.usecases.object_imports import resource_name
from mailstead.usecases.resources import off_loop

NAME_CHARACTERS_MAX: Final = 200
SHOWN_MAX: Final = 200
"""Members that are told by name."""
CHOSEN_MAX: Final = 100
"""Contacts that are put in at once."""
_TRIES: Final = 3
"""As often as another device may be quicker."""


@dataclass(frozen=True, slots=True)
class Member:
    """One of those for whom a group stands."""

    uri: str
    """As a group names somebody."""
    card: IndexedCard | None
    """None: nobody in the group's address book."""


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """A group, and who is in it."""

    shown: ShownCard
    members: tuple[Member, ...]
    further_count: int
    """So many more are in it."""


class CardGroups:
    """Errors of all verbs: NotAllowed, without an account of one's own, and for books that are only for reading.

    Of those that take the name of a group: NoSuchCollection, NoSuchResource; PolicyRefused, for what is no group.
    """

    def __init__(self, index: CardIndex, sheets: CardSheets, contacts: Contacts) -> None:
        self._index = index
        self._sheets = sheets
        self._contacts = contacts

    async def create(self, actor: Actor, book: str, name: str) -> ShownCard:
        """Make a group. Errors: NoSuchCollection, BadObject (its name), OverQuota, LimitReached."""
        opened = await self._sheets.book(actor, book, Access.WRITE)
        uid = str(uuid4())
        octets = composed_group(uid, _named(name))
        await self._contacts.put(opened, resource_name(uid, SUFFIX), octets, Precondition(must_be_absent=True))
        return await self._sheets.show(actor, book, resource_name(uid, SUFFIX))

    async def show(self, actor: Actor, book: str, group: str) -> ShownGroup:
        """Give a group that may be changed, and who is in it."""
        shown = await self._group(actor, book, group)
        uids = members(shown.card)
        known = {each.resource.facts.uid: each for each in await self._index.named(shown.opened, uids[:SHOWN_MAX])}
        found = (Member(member_of(uid), known.get(uid) or known.get(f"urn:uuid:{uid}")) for uid in uids[:SHOWN_MAX])
        return ShownGroup(shown, tuple(found), len(uids[SHOWN_MAX:]))

    async def candidates(self, actor: Actor, book: str, group: str, text: str) -> list[IndexedCard]:
        """Give contacts of the group's book with a text in them that are not in it."""
        shown = await self._group(actor, book, group)
        there = set(members(shown.card))
        found = await self._index.page(actor, CardQuery(book, text), 0, CHOSEN_MAX)
        uids = ((member_of(each.resource.facts.uid).removeprefix("urn:uuid:"), each) for each in found.cards)
        return [each for uid, each in uids if uid not in there and not each.is_group]

    async def rename(self, actor: Actor, book: str, group: str, etag: str, name: str) -> None:
        """Call a group that was seen in the state `etag` otherwise. Errors: BadObject, PreconditionFailed."""
        sheet = (await self._group(actor, book, group)).sheet
        wanted = replace(sheet, full_name=_named(name), name=PersonName(_named(name)))
        await self._sheets.change(actor, book, group, etag, CardWish(wanted))

    async def add(self, actor: Actor, book: str, group: str, names: Sequence[str]) -> int:
        """Put contacts of its book into a group, by their names in paths; gives how many were there.

        Errors: BadObject, when too many are in it; PolicyRefused, for more than are taken at once.
        """
        if len(names) > CHOSEN_MAX:
            raise PolicyRefused(f"At most {CHOSEN_MAX} contacts are put into a group at once")
        opened = await self._sheets.book(actor, book, Access.WRITE)
        found = await opened.store.resources(opened.collection.collection_id, list(dict.fromkeys(names)))
        there = {each.name: each.facts for each in found if not each.facts.is_group}
        added = [there[each].uid for each in dict.fromkeys(names) if each in there]
        await self._change(actor, book, group, added, ())
        return len(added)

    async def remove(self, actor: Actor, book: str, group: str, uris: Sequence[str]) -> None:
        """Take members out of a group, as it names them; who is not in it is not missed."""
        await self._change(actor, book, group, (), uris)

    async def _change(self, actor: Actor, book: str, group: str, added: Sequence[str], removed: Sequence[str]) -> None:
        for number in range(1, _TRIES + 1):
            shown = await self._group(actor, book, group)
            before = shown.resource.octets
            octets = await off_loop(len(before), with_members, before, added, removed)
            try:
                seen_state = Precondition(etags=frozenset({shown.resource.etag}))
                await self._contacts.put(shown.opened, group, octets, seen_state)
            except PreconditionFailed:
                if number == _TRIES:
                    raise
            else:
                return

    async def _group(self, actor: Actor, book: str, group: str) -> ShownCard:
        await self._sheets.book(actor, book, Access.WRITE)
        shown = await self._sheets.show(actor, book, group)
        if not shown.card.is_group:
            raise PolicyRefused("That contact is no group")
        return shown


def _named(text: str) -> str:
    name = " ".join(text.split())
    if not 0 < len(name) <= NAME_CHARACTERS_MAX:
        raise BadObject(f"A name has 1 to {NAME_CHARACTERS_MAX} characters", condition=CONDITION)
    return name
