"""An owner's filters as rules: the active script shown as a list of them, and changed rule by rule.

Whatever in the script is no simple rule is an entry of its own, which can be moved and deleted but not changed here.
Each change names the version of the list it was made from: who was overtaken by another editor, or by a mail program
over ManageSieve, is told (PreconditionFailed) instead of undoing what the other has done.

Spec: RFC 5228; RFC 5804 §2.6, §2.8.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final, TypeVar

from mailstead.model.envelope import Actor
from mailstead.model.errors import LimitReached, NotAllowed, PreconditionFailed
from mailstead.model.filtering import SCRIPT_OCTETS_MAX, SieveText
from mailstead.ports.storage import AccountStore, Storage
from mailstead.sieve.rules import document as documents
from mailstead.sieve.rules.document import Document
from mailstead.sieve.rules.rule import BadRule, Rule, flags_first
from mailstead.sieve.rules.words import rule_in_words
from mailstead.usecases.filters import Filters
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.messages import Messages
from mailstead.usecases.rule_suggestions import Suggestion, suggestion
from mailstead.usecases.rule_trials import Trial, tried, tried_on_last

T = TypeVar("T")

SCRIPT_NAME: Final = "filters"
"""Of the script that is made where none is active."""
ENTRIES_MAX: Final = 1000
INLINE_OCTETS_MAX: Final = 1024
"""Longer scripts are read in a thread: some ten rules take milliseconds."""
TRIED_MAX: Final = 500
"""Messages that rules are tried on at once."""


@dataclass(frozen=True, slots=True)
class Wish:
    """An entry as it is to be: an old one by its number, a new rule, or (both) an old one that becomes this rule."""

    rule: Rule | None = None
    number: int | None = None


_Wishes = list[Wish]


@dataclass(frozen=True, slots=True)
class FilterEntry:
    """One entry of the list."""

    number: int
    """From 1; good for this version of the list."""
    name: str
    """Empty: it has none."""
    rule: Rule | None
    """None: it is more than a simple rule, and shown as its text."""
    text: str
    """Of the script."""
    words: str
    """The rule in plain English; empty for what is none."""


@dataclass(frozen=True, slots=True)
class FilterList:
    """All filters of an account, in their order."""

    version: str
    """Another one whenever anything of the script, or which one is active, has changed."""
    script_name: str
    """Of the active script; empty: there is none yet."""
    entries: tuple[FilterEntry, ...]


class FilterRules:
    """Verbs take the actor whose account it is, and of no other; each gives the list as it is then."""

    def __init__(self, storage: Storage, filters: Filters, mailboxes: Mailboxes) -> None:
        self._accounts = storage.accounts
        self._filters = filters
        self._messages = Messages(mailboxes)

    async def list(self, actor: Actor) -> FilterList:
        """Give all filters. Errors: NotAllowed; BadScript, for a script of an earlier release that is none today."""
        before, document = await self._read(actor)
        return _listed(before, document)

    async def replace(self, actor: Actor, version: str, wishes: Sequence[Wish]) -> FilterList:
        """Let the list be this one. What is no simple rule must be among it: only `delete` removes such.

        Errors: NotAllowed, PreconditionFailed, BadRule, LimitReached.
        """
        before, document = await self._of_version(actor, version)
        numbers = {wish.number for wish in wishes}
        for number, block in enumerate(document.blocks, 1):
            if block.rule is None and number not in numbers:
                raise BadRule(
                    f"Entry {number} is no simple rule and is missing; keep it in the list, or delete it first"
                )
        return await self._changed(actor, before, document, wishes)

    async def add(self, actor: Actor, version: str, rule: Rule, at: int | None = None) -> FilterList:
        """Add a rule: as the entry of that number, or (None) as the last. Errors: as `replace`."""
        return await self._edit(actor, version, lambda wishes: wishes.insert(_within(wishes, at), Wish(rule)))

    async def change(self, actor: Actor, version: str, number: int, rule: Rule) -> FilterList:
        """Let an entry be this rule. Errors: as `replace`; BadRule also for an entry that is no simple rule."""

        def edit(wishes: _Wishes) -> None:
            wishes[number - 1] = Wish(rule, number)

        return await self._edit(actor, version, edit, number)

    async def switch(self, actor: Actor, version: str, number: int, *, is_on: bool) -> FilterList:
        """Switch a rule on or off. Errors: as `change`."""
        before, document = await self._of_version(actor, version)
        rule = _found(document, number).rule
        if rule is None:
            raise BadRule(_NO_RULE)
        wishes = _wishes(document)
        wishes[number - 1] = Wish(replace(rule, is_on=is_on), number)
        return await self._changed(actor, before, document, wishes)

    async def move(self, actor: Actor, version: str, number: int, to: int) -> FilterList:
        """Move an entry, so that it is the one of number `to` afterwards. Errors: as `replace`."""

        def edit(wishes: _Wishes) -> None:
            wish = wishes.pop(number - 1)
            wishes.insert(_within(wishes, to), wish)

        return await self._edit(actor, version, edit, number)

    async def delete(self, actor: Actor, version: str, number: int) -> FilterList:
        """Remove an entry, simple rule or not. Errors: as `replace`."""

        def edit(wishes: _Wishes) -> None:
            del wishes[number - 1]

        return await self._edit(actor, version, edit, number)

    async def try_on_message(self, actor: Actor, object_id: str, wishes: Sequence[Wish] | None = None) -> Trial:
        """Say what the rules would do with one message, and why; nothing is changed or sent.

        Shapes: `wishes` are entries that are tried in place of those that are kept; their numbers are of today's list.
        Errors: NotAllowed, NoSuchMessage, BadRule, BadScript.
        """
        document = await self._wished(actor, wishes)
        view = await self._messages.show(actor, object_id)
        grounds = await self._filters.grounds(actor)
        return await tried(self._store(actor), document, grounds, view)

    async def try_on_mailbox(
        self, actor: Actor, mailbox: str, limit: int, wishes: Sequence[Wish] | None = None
    ) -> Sequence[Trial]:
        """The same for the last messages of a mailbox, the newest first; rules that do nothing are not named.

        Errors: NotAllowed, NoSuchMailbox, BadRule, BadScript.
        """
        document = await self._wished(actor, wishes)
        grounds = await self._filters.grounds(actor)
        return await tried_on_last(self._store(actor), document, grounds, mailbox, min(limit, TRIED_MAX))

    async def suggest(self, actor: Actor, object_id: str) -> Suggestion:
        """Make a rule from a message, for its owner to finish; it is not kept. Errors: NotAllowed, NoSuchMessage."""
        view = await self._messages.show(actor, object_id)
        grounds = await self._filters.grounds(actor)
        return await suggestion(self._store(actor), view, grounds.own_addresses)

    def _store(self, actor: Actor) -> AccountStore:
        if actor.account_id is None:
            raise NotAllowed
        return self._accounts.of(actor.account_id)

    async def _read(self, actor: Actor) -> tuple[SieveText | None, Document]:
        filtering = await self._store(actor).filtering()
        before = SieveText(filtering.script_name, filtering.script) if filtering.script_name else None
        return before, await _aside(len(filtering.script), lambda: documents.read(filtering.script))

    async def _of_version(self, actor: Actor, version: str) -> tuple[SieveText | None, Document]:
        before, document = await self._read(actor)
        if version != _version(before):
            raise PreconditionFailed("The filters were changed meanwhile; look at them again")
        return before, document

    async def _edit(
        self, actor: Actor, version: str, edit: Callable[[_Wishes], None], number: int | None = None
    ) -> FilterList:
        before, document = await self._of_version(actor, version)
        if number is not None:
            _found(document, number)
        wishes = _wishes(document)
        edit(wishes)
        return await self._changed(actor, before, document, wishes)

    async def _changed(
        self, actor: Actor, before: SieveText | None, document: Document, wishes: Sequence[Wish]
    ) -> FilterList:
        made = await _made(document, wishes)
        octets = made.text.encode()
        await self._filters.scripts.check(octets)
        after = SieveText(before.name if before else await self._free_name(actor), octets)
        if after != before:
            await self._store(actor).exchange_script(before, after)
        return _listed(after, made)

    async def _free_name(self, actor: Actor) -> str:
        """Give a name for a new script: a script that is there, active or not, is never overwritten."""
        taken = {script.name for script in await self._store(actor).scripts()}
        names = (SCRIPT_NAME, *(f"{SCRIPT_NAME} {number}" for number in range(2, len(taken) + 3)))
        return next(name for name in names if name not in taken)

    async def _wished(self, actor: Actor, wishes: Sequence[Wish] | None) -> Document:
        _, document = await self._read(actor)
        return document if wishes is None else await _made(document, wishes)


_NO_RULE: Final = "That is no simple rule; it can be moved or deleted, and changed in the script"


def _version(script: SieveText | None) -> str:
    return sha256(b"" if script is None else script.name.encode() + b"\0" + script.octets).hexdigest()[:24]


def _listed(script: SieveText | None, document: Document) -> FilterList:
    entries = (
        FilterEntry(number, block.name, block.rule, block.text, rule_in_words(block.rule) if block.rule else "")
        for number, block in enumerate(document.blocks, 1)
    )
    return FilterList(_version(script), script.name if script else "", tuple(entries))


def _wishes(document: Document) -> _Wishes:
    return [Wish(number=number) for number in range(1, len(document.blocks) + 1)]


def _found(document: Document, number: int) -> documents.Block:
    """Errors: BadRule."""
    if not 1 <= number <= len(document.blocks):
        raise BadRule(f"There is no entry {number}")
    return document.blocks[number - 1]


def _within(wishes: Sequence[Wish], at: int | None) -> int:
    """Give the index for what is to have this number."""
    return len(wishes) if at is None else min(max(at - 1, 0), len(wishes))


async def _made(document: Document, wishes: Sequence[Wish]) -> Document:
    """Errors: BadRule, LimitReached."""
    if len(wishes) > ENTRIES_MAX:
        raise LimitReached(f"There are at most {ENTRIES_MAX} rules")
    numbers = [wish.number for wish in wishes if wish.number is not None]
    if len(set(numbers)) < len(numbers):
        raise BadRule("An entry is named twice")
    wanted = [_wanted(document, wish) for wish in wishes]
    try:
        return await _aside(SCRIPT_OCTETS_MAX, lambda: documents.changed(document, wanted))
    except UnicodeEncodeError:
        raise BadRule("A rule holds characters that cannot be written") from None


def _wanted(document: Document, wish: Wish) -> Rule | int:
    """Give a rule, or the block, by its number from 0, that stays as it is to the letter. Errors: BadRule."""
    if wish.number is None:
        if wish.rule is None:
            raise BadRule("An entry is a rule, or has the number of one that is there")
        return flags_first(replace(wish.rule, comments=()))
    block = _found(document, wish.number)
    if wish.rule is None:
        return wish.number - 1
    if block.rule is None:
        raise BadRule(_NO_RULE)
    rule = replace(wish.rule, comments=block.rule.comments)
    if rule == block.rule:
        return wish.number - 1
    # The order of actions that nobody has changed may be meant.
    return rule if rule.actions == block.rule.actions else flags_first(rule)


async def _aside(octets_count: int, work: Callable[[], T]) -> T:
    """Do what takes long in a thread."""
    return work() if octets_count <= INLINE_OCTETS_MAX else await asyncio.to_thread(work)
