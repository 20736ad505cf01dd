"""Who may be meant by a few letters in a field of recipients: contacts, people of the domain, people written to before.

Nobody learns more than the address books already show: the people of the domain are asked only where they are a book of
the actor's home, a name or an address must begin with what was typed, few are given at once, and not without end.

Spec: attack row 92.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from mailstead.mime.address import addresses_of, display_name
from mailstead.mime.header import first_values, text_of
from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind, Resource, ResourceQuery
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadAddress, BadObject, RateLimited
from mailstead.model.ids import AccountId
from mailstead.model.message import Wanted
from mailstead.model.search import Everything
from mailstead.pim import card_form
from mailstead.pim.card_sheet import members
from mailstead.pim.vcard import card
from mailstead.ports.clock import Clock
from mailstead.usecases.card_index import CardIndex
from mailstead.usecases.collections import Collections, Opened
from mailstead.usecases.dav_objects import DavObjects
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.resources import off_loop

GIVEN_MAX: Final = 10
GROUPS_MAX: Final = 3
"""Of one book, for one answer: each costs as many looks as it has members."""
MEMBERS_MAX: Final = 100
"""Of one group, as many as a message has recipients in most houses; larger ones are not offered."""
READ_MAX: Final = 200
"""Contacts of one book that are looked into for one answer: of names with fewer letters not all are."""
SENT_MAX: Final = 200
"""Newest messages of one's own that are looked at."""
CHARACTERS_MAX: Final = 100
PER_MINUTE_MAX: Final = 120
"""Of one account, in one process: nobody types so fast."""
_PART: Final = 40
_COUNTED_MAX: Final = 10_000
_SENT: Final = "\\Sent"
_WORD: Final = re.compile(r"[^\s,;.()\"'<>-]+")


@dataclass(frozen=True, slots=True)
class Completion:
    """Somebody who may be meant."""

    name: str
    """Empty: not known."""
    address: str
    """Empty: it is a group."""
    members: tuple[Completion, ...] = ()
    """Of a group: all that are meant by it, each with an address."""


class Completions:
    """Errors: NotAllowed, without an account of one's own."""

    def __init__(self, objects: DavObjects, collections: Collections, mailboxes: Mailboxes, clock: Clock) -> None:
        self._objects = objects
        self._collections = collections
        self._index = CardIndex(objects, collections)
        self._mailboxes = mailboxes
        self._clock = clock
        self._counts: OrderedDict[AccountId, tuple[int, int]] = OrderedDict()
        """Minute and how often in it; the one who asked last at the end."""

    async def find(self, actor: Actor, text: str) -> list[Completion]:
        """Give at most ten whose name or address begins with the text, own contacts first.

        Errors: RateLimited.
        """
        account = await self._objects.account(actor)
        wanted = " ".join(text.split())[:CHARACTERS_MAX].casefold()
        if not wanted:
            return []
        self._count(account.account_id)
        found: dict[str, Completion] = {}
        for opened in await self._collections.home(actor, account, CollectionKind.ADDRESSBOOK):
            await self._of_book(opened, wanted, found)
            if len(found) >= GIVEN_MAX:
                break
        else:
            await self._of_sent(actor, wanted, found)
        return list(found.values())[:GIVEN_MAX]

    async def _of_book(self, opened: Opened, wanted: str, found: dict[str, Completion]) -> None:
        """Add those of a book; whose name begins with what is wanted comes first, and before all such a group."""
        collection_id = opened.collection.collection_id
        # The index knows words, not where they begin: what it gives is looked into, the most likely ones first.
        query = ResourceQuery(text=wanted.split(maxsplit=1)[0])
        there = await opened.store.find(collection_id, query, with_octets=False)
        there.sort(
            key=lambda each: (not _has_word(wanted, each.facts.summary), each.facts.summary.casefold(), each.name)
        )
        groups = [each.name for each in there if each.facts.is_group and _has_word(wanted, each.facts.summary)]
        for group in await opened.store.resources(collection_id, groups[:GROUPS_MAX], with_octets=True):
            completion = await self._group(opened, group)
            if completion is not None and len(found) < GIVEN_MAX:
                found[f"{collection_id}/{group.name}"] = completion  # which is no address
        names = [each.name for each in there[:READ_MAX]]
        for start in range(0, len(names), _PART):
            part = names[start : start + _PART]
            read = {each.name: each for each in await opened.store.resources(collection_id, part, with_octets=True)}
            ordered = [read[name] for name in part if name in read]
            for each in await off_loop(sum(len(each.octets) for each in ordered), _people, ordered):
                if _begins(wanted, each) and len(found) < GIVEN_MAX:
                    found.setdefault(each.address.casefold(), each)
            if len(found) >= GIVEN_MAX:
                return

    async def _group(self, opened: Opened, group: Resource) -> Completion | None:
        """Give a group, each member by his first address; None: there is nobody to write to, or there are too many."""
        try:
            uids = members(card(group.octets))
        except BadObject:
            return None  # it came in while other rules held
        if len(uids) > MEMBERS_MAX:
            return None
        there = [each.resource for each in await self._index.named(opened, uids)]
        firsts: dict[str, Completion] = {}
        for resource in there:
            for each in _people([resource])[:1]:
                firsts.setdefault(each.address.casefold(), each)
        for uid in uids:
            if uid[:7].lower() == "mailto:":
                for address in _addresses(uid[7:]):
                    firsts.setdefault(address.casefold(), Completion("", address))
        return Completion(group.facts.summary, "", tuple(firsts.values())) if firsts else None

    async def _of_sent(self, actor: Actor, wanted: str, found: dict[str, Completion]) -> None:
        """Add those to whom the newest messages went."""
        store = self._mailboxes.of(actor)
        sent = [each.mailbox_id for each in await store.mailboxes() if each.is_selectable and each.special_use == _SENT]
        if not sent:
            return
        newest = await store.newest(sent, Everything(), 0, SENT_MAX, Wanted.LISTED_HEADER)
        for _, record in newest.messages:
            values = first_values(record.listed_header or b"")
            for each in _recipients([values.get(name, b"") for name in (b"to", b"cc")]):
                if _begins(wanted, each) and len(found) < GIVEN_MAX:
                    found.setdefault(each.address.casefold(), each)

    def _count(self, account_id: AccountId) -> None:
        minute = int(self._clock.now().timestamp()) // 60
        counted_in, count = self._counts.pop(account_id, (minute, 0))
        count = count + 1 if counted_in == minute else 1
        self._counts[account_id] = (minute, count)
        if len(self._counts) > _COUNTED_MAX:
            self._counts.popitem(last=False)
        if count > PER_MINUTE_MAX:
            raise RateLimited("Too many names were looked up; please wait a minute")


def _people(resources: Sequence[Resource]) -> list[Completion]:
    found = []
    for each in resources:
        try:
            view = card_form.view(each.octets)
        except BadObject:
            continue  # it came in while other rules held
        found += [
            Completion("" if view.full_name == entry.value else view.full_name, entry.value)
            for entry in view.emails
            if "@" in entry.value and not any(character in "\r\n<>," for character in entry.value)
        ]
    return found


def _recipients(values: Sequence[bytes]) -> Iterator[Completion]:
    for value in values:
        for each in addresses_of(value):
            if each.domain is not None and each.local_part:
                name, address = display_name(each), f"{text_of(each.local_part)}@{text_of(each.domain)}"
                yield Completion("" if name == address else name, address)


def _addresses(text: str) -> list[str]:
    """Give the address of a ``mailto:`` URI, if it is one and no more. Spec: RFC 6068 §2."""
    try:
        return [str(Address.parse(unquote(text)))]
    except BadAddress:
        return []


def _begins(wanted: str, completion: Completion) -> bool:
    """Whether somebody may be meant: a word of the name, the address or its domain begins with what is wanted."""
    address = completion.address.casefold()
    return (
        address.startswith(wanted) or address.partition("@")[2].startswith(wanted) or _has_word(wanted, completion.name)
    )


def _has_word(wanted: str, name: str) -> bool:
    folded = name.casefold()
    return any(folded.startswith(wanted, word.start()) for word in _WORD.finditer(folded))
