"""Keys of OpenPGP of one account: a part of `ports.storage.AccountStore`."""

from __future__ import annotations

from typing import Protocol

from mailstead.model.openpgp import OpenpgpKey


class OpenpgpKeyring(Protocol):
    """Errors of all verbs: as of `AccountStore`."""

    async def keys(self) -> list[OpenpgpKey]:
        """All, own ones first, then by address, then by when they came."""

    async def put(self, key: OpenpgpKey) -> None:
        """Keep a key; what was kept under its fingerprint is replaced. Errors: LimitReached."""

    async def remove(self, fingerprint: str) -> bool:
        """Forget a key; False, if there is none."""
