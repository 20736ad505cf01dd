"""Look whether the stores are consistent."""

from __future__ import annotations

from collections.abc import AsyncIterator

from mailstead.model.envelope import Actor
from mailstead.ports.storage import Finding, Storage


class Checks:
    """The verb `findings`, for administrators only."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def findings(self, actor: Actor) -> AsyncIterator[Finding]:
        """Yield everything that is wrong, store by store; nothing is changed. Errors: NotAllowed."""
        actor.must_be_admin()
        # Account stores first: an account that is made or removed beside us makes or loses its store before we look
        # at the directory, or is looked for again at the end.
        listed = set(await self._storage.accounts.ids())
        async for finding in self._storage.check():
            yield finding
        known = {account.account_id for account in await self._storage.directory.accounts()}
        present = set(await self._storage.accounts.ids())
        for account_id in sorted(known - present):
            if await self._storage.directory.account(account_id) is not None:  # not removed meanwhile
                yield Finding(account_id, "the account is in the directory, its store is not there; restore a backup")
        for account_id in sorted(listed & present - known):
            yield Finding(
                account_id,
                "no account of the directory has this store: making or removing an account was cut short. If nobody's "
                "mail is missing, delete the files that bear this id, below accounts and keys in the data folder",
            )
