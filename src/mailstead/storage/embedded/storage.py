"""Opens everything: the composition of the embedded adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from mailstead.config.settings import Store
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Accounts, Directory, Finding
from mailstead.storage.embedded.account_files import AccountFiles
from mailstead.storage.embedded.directory import EmbeddedDirectory
from mailstead.storage.embedded.keys import FileAccountKeys, master_key


class EmbeddedStorage:
    """The whole store: `ports.storage.Storage` on files of one host."""

    def __init__(self, directory: EmbeddedDirectory, files: AccountFiles) -> None:
        self._directory = directory
        self._files = files

    @classmethod
    async def open(
        cls, settings: Store, data_dir: Path, bus: ChangeBus, clock: Clock, *, vfs: str | None = None
    ) -> EmbeddedStorage:
        """Open the store in a folder, made if it is not there. Called on the event loop that will use it.

        `vfs` names another SQLite file system for the account files; tests lose unsynced writes that way.
        Errors: BadSettings (master key), StoreDamaged, StorageUnavailable, StorageFull.
        """
        master = master_key(data_dir, settings.master_key, settings.master_key_file)
        keys = FileAccountKeys(data_dir, master)
        directory = EmbeddedDirectory(data_dir, master, bus, clock)
        try:
            files = AccountFiles(settings, data_dir, keys, bus, clock, vfs=vfs)
        except BaseException:
            await directory.close()
            raise
        return cls(directory, files)

    @property
    def directory(self) -> Directory:
        """Domains, accounts, addresses, aliases, credentials."""
        return self._directory

    @property
    def accounts(self) -> Accounts:
        """Per account: mailboxes, messages, change log."""
        return self._files.accounts

    async def check(self) -> AsyncIterator[Finding]:
        """See `Storage.check`."""
        async for finding in self._files.check():
            yield finding

    async def close(self) -> None:
        """Finish what is promised and close all files."""
        await self._files.close()
        await self._directory.close()
