"""Which account has something to do at what moment, so that nobody must open all of them to find out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from mailstead.model.ids import AccountId


class Wakeup(NamedTuple):
    """Something that an account has to do."""

    account_id: AccountId
    key: str
    """What it is about, in the words of whoever noted it."""
    due_at: datetime


class Wakeups(Protocol):
    """An index, not the truth: what is due stands in the account. One too many is looked at and forgotten.

    When a writing verb has returned, it survives a power cut. Errors of all verbs: StorageUnavailable, StorageFull
    (`note`).
    """

    async def note(self, account_id: AccountId, key: str, due_at: datetime) -> None:
        """Add one; the moment of one that is there is replaced."""

    async def due(self, now: datetime, limit: int) -> Sequence[Wakeup]:
        """Those that are due, soonest first."""

    async def next_due_at(self) -> datetime | None:
        """The earliest moment; None: nothing is noted."""

    async def settle(self, wakeup: Wakeup, again_at: datetime | None = None) -> bool:
        """Forget one (or put it off), unless it was noted anew with another moment, or somebody else was quicker.

        Whether it was: of two at once exactly one is told so, hence putting off is how one worker takes it.
        """

    async def forget(self, account_id: AccountId) -> None:
        """Forget all of an account."""
