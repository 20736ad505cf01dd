"""Look whether the stores are consistent."""

from __future__ import annotations

from collections.abc import AsyncIterator

from mailstead.model.envelope import Actor
from mailstead.model.errors import NotAllowed
from mailstead.ports.storage import Finding, Storage


class Checks:
    """The verb `findings`, for administrators only."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def findings(self, actor: Actor) -> AsyncIterator[Finding]:
        """Yield everything that is wrong, store by store; nothing is changed. Errors: NotAllowed."""
        if not actor.is_admin:
            raise NotAllowed
        async for finding in self._storage.check():
            yield finding
