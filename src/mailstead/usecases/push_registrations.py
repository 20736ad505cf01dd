"""What devices are registered for, whether they still may see it, and what they were last told of it.

The state of a collection is the modseq of its resources. That of a home is put together from all that lies in it: new
and removed collections count, and what they are called.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from mailstead.model.dav import HOMES, Collection, CollectionId, CollectionKind, PushRegistration
from mailstead.model.errors import NoSuchAccount, NoSuchCollection
from mailstead.model.ids import AccountId
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage

LIFE_MAX: Final = timedelta(days=30)

_SENT: Final = "dav push"
_KEPT: Final = LIFE_MAX + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PushState:
    """Of what a device is told: how it stands now."""

    kind: CollectionKind
    """Calendar or address book."""
    text: str
    """Another one after each change."""
    collection: Collection | None = None
    """None: it is a home."""

    def is_known_from(self, told: str | None) -> bool:
        """Whether a device that was last told this has nothing to learn."""
        if told is None:
            return False
        return int(told) >= self.collection.modseq if self.collection is not None else told == self.text


class PushRegistrations:
    """The registrations of the house."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._accounts = storage.accounts
        self._sharing = storage.sharing
        self._memory = storage.memory
        self._clock = clock

    async def keep(self, push: PushRegistration, state: PushState) -> tuple[PushRegistration, bool]:
        """Keep a registration, which as yet has no id, or renew the one that is there; gives whether it is new.

        Errors: LimitReached.
        """
        place = _place(push)
        there = next((each for each in await self._sharing.pushes() if _place(each) == place), None)
        kept = replace(push, push_id=there.push_id if there is not None else secrets.token_urlsafe(18))
        if there is None:
            await self.remember(kept.push_id, state.text)
        await self._sharing.put_push(kept)
        return kept, there is None

    async def state(self, watcher_id: AccountId, owner_id: AccountId, collection_id: CollectionId) -> PushState | None:
        """Give how a collection or home stands; None: it is gone, or is not (any more) the watcher's to see."""
        if watcher_id != owner_id and not await self.may_see(watcher_id, owner_id, collection_id):
            return None
        kinds = HOMES.get(collection_id)
        try:
            store = self._accounts.of(owner_id).dav
            if kinds is None:
                collection = await store.collection_by_id(collection_id)
                is_book = collection.kind is CollectionKind.ADDRESSBOOK
                return PushState(_topic_kind(is_book=is_book), str(collection.modseq), collection)
            inside = [each for each in await store.collections() if each.kind in kinds]
        except (NoSuchAccount, NoSuchCollection):
            return None
        modseqs = (each.modseq for each in inside), (each.traits_modseq for each in inside)
        text = " ".join(str(number) for number in (*(max(each, default=0) for each in modseqs), len(inside)))
        return PushState(_topic_kind(is_book=CollectionKind.ADDRESSBOOK in kinds), text)

    async def may_see(self, watcher_id: AccountId, owner_id: AccountId, collection_id: CollectionId) -> bool:
        """Whether another account's collection or home is the watcher's to see."""
        shares = await self._sharing.shares_with(watcher_id)
        delegations = await self._sharing.delegated_to(watcher_id)
        return any((each.owner_id, each.collection_id) == (owner_id, collection_id) for each in shares) or any(
            each.owner_id == owner_id for each in delegations
        )

    async def told(self, push_ids: Iterable[str]) -> dict[str, str]:
        """Give what each was last told; those that were never told anything are left out."""
        found = await self._memory.recall(_SENT, list(push_ids), self._clock.now())
        return {push_id: text.decode() for push_id, text in found.items()}

    async def remember(self, push_id: str, text: str) -> None:
        """The device knows of this state."""
        await self._memory.remember(_SENT, {push_id: text.encode()}, self._clock.now() + _KEPT)


def _topic_kind(*, is_book: bool) -> CollectionKind:
    return CollectionKind.ADDRESSBOOK if is_book else CollectionKind.CALENDAR


def _place(push: PushRegistration) -> tuple[AccountId, AccountId, CollectionId, str]:
    return push.watcher_id, push.owner_id, push.collection_id, push.url
