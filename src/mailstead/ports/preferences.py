"""How owners want the web to be: a part of the storage port. By `model.people.owner_of`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mailstead.model.preferences import Preferences


class OwnerPreferences(Protocol):
    """Of accounts and of users without one. Errors of all verbs: StorageUnavailable, StorageFull."""

    async def preferences(self, owner: str) -> Preferences:
        """What was set; `Preferences()`, where nothing was. Remembered: each page asks."""

    async def change(self, owner: str, change: Callable[[Preferences], Preferences]) -> Preferences:
        """Set what `change` makes of what is there, as one unit; gives the result. `change` may run twice."""
