"""Snapshots at the place that the settings name, for the use cases that bring accounts back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.usecases.house_jobs import Progress
from mailstead.wiring.house import ADMINISTRATOR, House

if TYPE_CHECKING:
    from mailstead.usecases.restores import Restores


class Snapshots:
    """Implements `usecases.account_returns.SnapshotPlace`."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def look(self, name: str) -> tuple[str, str, int, list[tuple[Account, int]]]:
        """See `SnapshotPlace.look`."""
        from mailstead.wiring.restore import accounts_inside

        restores = self._restores()
        snapshot = await restores.pick(ADMINISTRATOR, name)
        accounts = await accounts_inside(self._house.settings, restores, snapshot)
        return snapshot.name, snapshot.release, snapshot.size_octets, accounts

    async def bring_back(
        self, name: str, address: Address, below: str, beside: Account | None, progress: Progress
    ) -> Mapping[str, Any]:
        """See `SnapshotPlace.bring_back`."""
        from mailstead.wiring.restore import Landing, restore_account

        restores, house = self._restores(), self._house
        snapshot = await restores.pick(ADMINISTRATOR, name)
        landing = Landing(below, beside)
        report = await restore_account(
            house.settings, restores, snapshot, address, house, landing=landing, progress=progress
        )
        return {
            "imported_count": report.imported_count,
            "duplicate_count": report.duplicate_count,
            "object_count": report.object_count,
            "skipped": [list(each) for each in report.skipped],
            "skipped_count": report.skipped_count,
        }

    async def try_out(self, name: str, progress: Progress) -> Mapping[str, Any]:
        """See `SnapshotPlace.try_out`."""
        from mailstead.wiring.restore import drill

        restores = self._restores()
        restored = await drill(self._house.settings, restores, await restores.pick(ADMINISTRATOR, name), progress)
        return {
            "account_count": restored.account_count,
            "message_count": restored.message_count,
            "file_count": restored.file_count,
            "findings": list(restored.findings[:100]),
        }

    def _restores(self) -> Restores:
        """Errors: BadSettings."""
        from mailstead.usecases.restores import Restores
        from mailstead.wiring.backup import backup_key, make_vault  # only where backups are asked for

        settings = self._house.settings
        return Restores(make_vault(settings, backup_key(settings, makes=True)))
