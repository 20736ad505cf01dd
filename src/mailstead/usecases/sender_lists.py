"""An account's own lists of senders: whose mail is always taken, and whose never."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from mailstead.model.envelope import Actor
from mailstead.model.errors import LimitReached, NotAllowed
from mailstead.policy.senders import SenderList
from mailstead.ports.storage import AccountStore, Storage

ENTRIES_MAX: Final = 1000
ALLOWED: Final = "senders.allow"
DENIED: Final = "senders.deny"
"""Preferences of an account: JSON lists of entries as `policy.senders` reads them."""


class SenderLists:
    """Lists of the actor's own account. Errors of all verbs: NotAllowed for an actor without an account."""

    def __init__(self, storage: Storage) -> None:
        self._accounts = storage.accounts

    async def entries(self, actor: Actor, which: str) -> list[str]:
        """The entries of a list (`ALLOWED` or `DENIED`), sorted."""
        return read_entries((await self._store(actor).preferences()).get(which))

    async def add(self, actor: Actor, which: str, entries: Iterable[str]) -> list[str]:
        """Add entries; gives the list as it is then. Errors: BadSettings for what is no entry, LimitReached."""
        added = [entry.strip() for entry in entries]
        SenderList(added)
        return await self._set(actor, which, {*await self.entries(actor, which), *added})

    async def remove(self, actor: Actor, which: str, entries: Iterable[str]) -> list[str]:
        """Remove entries, those that are there; gives the list as it is then."""
        return await self._set(actor, which, set(await self.entries(actor, which)) - set(entries))

    async def _set(self, actor: Actor, which: str, entries: set[str]) -> list[str]:
        if len(entries) > ENTRIES_MAX:
            raise LimitReached(f"A list has at most {ENTRIES_MAX} entries")
        kept = sorted(entries)
        await self._store(actor).set_preferences({which: msgspec.json.encode(kept) if kept else None})
        return kept

    def _store(self, actor: Actor) -> AccountStore:
        if actor.account_id is None:
            raise NotAllowed
        return self._accounts.of(actor.account_id)


def read_entries(value: bytes | None) -> list[str]:
    """Read a list as it is kept."""
    return msgspec.json.decode(value, type=list[str]) if value else []
