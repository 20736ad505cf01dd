"""Mail out: what an owner does with mailboxes and messages, over IMAP, POP3 and whatever comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from mailstead.mime.facts import message_facts
from mailstead.mime.ordering import SortCriterion, SortKey, ThreadItem, sorted_uids
from mailstead.mime.threading import threads_by_references, threads_by_subject
from mailstead.model import search as keys
from mailstead.model.envelope import Actor
from mailstead.model.errors import NotAllowed, TooManyConnections, TryAgainLater
from mailstead.model.flags import Flags
from mailstead.model.ids import AccountId, MailboxId, Uid
from mailstead.model.message import Appended, MessageRecord, NewMessage, Octets, Wanted
from mailstead.model.uidset import UidSet
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.storage import AccountStore, Storage
from mailstead.usecases.staging import Staging

INLINE_OCTETS_MAX: Final = 64 * 1024
"""Smaller messages are looked at on the event loop: a hop to a thread would cost more than the parsing."""

SEARCHES_PER_ACCOUNT: Final = 2
"""How many searches, sorts and threadings of one account run at once; others of that account wait (attack row 45)."""

SEARCH_LIMIT_S: Final = 60.0
INDEX_STEP: Final = 500
"""Messages indexed between two signs of progress."""

SESSIONS_PER_ACCOUNT_MAX: Final = 30

ORDERED_INLINE_MAX: Final = 2000
"""Larger results are put in order in a thread, so that other sessions need not wait."""

ResultT = TypeVar("ResultT")

Progress = Callable[[int, int], None]
"""Told how much is done of how much."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A message as a client hands it in, before anything is known about it."""

    octets: Octets
    flags: Flags = frozenset()
    internaldate: datetime | None = None
    """None: now."""


class Mailboxes:
    """What actors do with their own mailboxes. Every way in starts with an actor, whose account alone is reached."""

    def __init__(
        self,
        storage: Storage,
        bus: ChangeBus,
        clock: Clock,
        staging: Staging,
        *,
        sessions_per_account_max: int = SESSIONS_PER_ACCOUNT_MAX,
        search_limit_s: float = SEARCH_LIMIT_S,
    ) -> None:
        self._storage = storage
        self._bus = bus
        self.clock = clock
        self.staging = staging
        self._sessions_max = sessions_per_account_max
        self._search_limit_s = search_limit_s
        self._sessions: dict[AccountId, int] = {}
        self._search_turns: WeakValueDictionary[AccountId, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, actor: Actor) -> AccountStore:
        """Give the store of the actor's own account, and of no other (attack rows 53 and 55).

        Errors: NotAllowed for an actor without an account.
        """
        return self._storage.accounts.of(_account_id(actor))

    def watch(self, actor: Actor, wake: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `wake` after each change to the actor's account, until the context is left."""
        return self._bus.watch(_account_id(actor), wake)

    def admit(self, actor: Actor) -> Callable[[], None]:
        """Count one more session of the account in this process; the result, called once, counts it out again.

        Errors: TooManyConnections (attack row 48).
        """
        account_id = _account_id(actor)
        count = self._sessions.get(account_id, 0)
        if count >= self._sessions_max:
            raise TooManyConnections("Too many sessions of this account; close some first")
        self._sessions[account_id] = count + 1

        def leave() -> None:
            left = self._sessions[account_id] - 1
            if left:
                self._sessions[account_id] = left
            else:
                del self._sessions[account_id]

        return leave

    async def append(self, actor: Actor, name: str, drafts: Sequence[Draft]) -> list[Appended]:
        """Append all drafts or none; when this has returned, they survive a power cut.

        Errors: NoSuchMailbox, OverQuota, LimitReached.
        """
        messages = [await self._message(draft) for draft in drafts]
        return await self.of(actor).append(name, messages)

    async def replace(self, actor: Actor, mailbox_id: MailboxId, uid: Uid, name: str, draft: Draft) -> Appended:
        """Append a draft to `name` and expunge what it replaces, in one unit. Spec: RFC 8508 §3.

        Errors: as append; NoSuchMessage.
        """
        return await self.of(actor).replace(mailbox_id, uid, name, await self._message(draft))

    async def _message(self, draft: Draft) -> NewMessage:
        if len(draft.octets) <= INLINE_OCTETS_MAX:
            facts = message_facts(draft.octets)
        else:
            facts = await asyncio.to_thread(message_facts, draft.octets)
        return NewMessage(draft.octets, facts, draft.internaldate or self.clock.now(), draft.flags)

    async def search(
        self, actor: Actor, mailbox_id: MailboxId, key: keys.SearchKey, progress: Progress | None = None
    ) -> UidSet:
        """Find messages; the text index is caught up first, step by step so that `progress` can be told.

        Errors: NoSuchMailbox; TryAgainLater when it takes too long.
        Effects: waits while other searches of the same account run (attack row 45); ends at once when cancelled.
        """
        store = self.of(actor)
        async with self.turn(actor):
            if asks_for_text(key):
                await catch_up(store, progress)  # not limited: however long it takes, it is progress
            try:
                async with asyncio.timeout(self._search_limit_s):
                    return await store.search(mailbox_id, key)
            except TimeoutError:
                raise TryAgainLater("The search took too long; please make it narrower") from None

    async def sort(
        self, actor: Actor, mailbox_id: MailboxId, uids: UidSet, criteria: Sequence[SortCriterion]
    ) -> list[Uid]:
        """Put messages in order. Spec: RFC 5256 §3 (SORT), RFC 5957.

        Errors: NoSuchMailbox.
        """
        needs_order = any(criterion.key not in {SortKey.ARRIVAL, SortKey.SIZE} for criterion in criteria)
        async with self.turn(actor):
            wanted = Wanted.ORDER if needs_order else Wanted.NARROW
            records = await self.of(actor).fetch(mailbox_id, uids, wanted)
            return await _ordered(records, lambda: sorted_uids(records, criteria))

    async def thread(
        self, actor: Actor, mailbox_id: MailboxId, uids: UidSet, *, by_references: bool
    ) -> list[list[ThreadItem]]:
        """Group messages into threads. Spec: RFC 5256 §3 (THREAD).

        Errors: NoSuchMailbox.
        """
        group = threads_by_references if by_references else threads_by_subject
        async with self.turn(actor):
            records = await self.of(actor).fetch(mailbox_id, uids, Wanted.ORDER)
            return await _ordered(records, lambda: group(records))

    def turn(self, actor: Actor) -> asyncio.Semaphore:
        """Give what costly work of one account must hold while it runs."""
        account_id = _account_id(actor)
        turns = self._search_turns.get(account_id)
        if turns is None:
            turns = self._search_turns[account_id] = asyncio.Semaphore(SEARCHES_PER_ACCOUNT)
        return turns


async def _ordered(records: Sequence[MessageRecord], work: Callable[[], ResultT]) -> ResultT:
    return work() if len(records) <= ORDERED_INLINE_MAX else await asyncio.to_thread(work)


def asks_for_text(key: keys.SearchKey) -> bool:
    """Whether a key needs the text index."""
    stack: list[keys.SearchKey] = [key]
    while stack:
        match stack.pop():
            case keys.Contains() | keys.HeaderContains():
                return True
            case keys.Not(inner):
                stack.append(inner)
            case keys.And(inners) | keys.Or(inners):
                stack.extend(inners)
            case _:
                pass
    return False


async def catch_up(store: AccountStore, progress: Progress | None = None) -> None:
    """Let the text index see what it has not seen yet, in steps that others can get between."""
    total = waiting = await store.index_backlog()
    while waiting > INDEX_STEP:
        waiting = await store.index_some(INDEX_STEP)
        if progress is not None:
            progress(total - waiting, total)


def _account_id(actor: Actor) -> AccountId:
    if actor.account_id is None:
        raise NotAllowed
    return actor.account_id
