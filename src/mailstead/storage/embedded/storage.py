"""Opens everything: the composition of the embedded adapter."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from mailstead.config.settings import Store
from mailstead.model.errors import BadSettings
from mailstead.ports.backup import UNFINISHED_FILE
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.dav import Sharing
from mailstead.ports.emails import Emails
from mailstead.ports.import_jobs import ImportJobs
from mailstead.ports.memory import Memory
from mailstead.ports.people import Factors, People
from mailstead.ports.preferences import OwnerPreferences
from mailstead.ports.queue import Queue
from mailstead.ports.sealed import Sealed
from mailstead.ports.statistics import Statistics
from mailstead.ports.storage import Accounts, Directory, Finding
from mailstead.ports.trace import Reports, Trace
from mailstead.ports.wakeups import Wakeups
from mailstead.storage.embedded.account_files import AccountFiles
from mailstead.storage.embedded.directory import EmbeddedDirectory
from mailstead.storage.embedded.emails import EmbeddedEmails
from mailstead.storage.embedded.factors import EmbeddedFactors
from mailstead.storage.embedded.import_jobs import EmbeddedImportJobs
from mailstead.storage.embedded.keys import FileAccountKeys, master_key
from mailstead.storage.embedded.memory import EmbeddedMemory
from mailstead.storage.embedded.owner_preferences import EmbeddedOwnerPreferences
from mailstead.storage.embedded.people import EmbeddedPeople
from mailstead.storage.embedded.queue import EmbeddedQueue
from mailstead.storage.embedded.reports import EmbeddedReports
from mailstead.storage.embedded.sealed import EmbeddedSealed
from mailstead.storage.embedded.sharing import EmbeddedSharing
from mailstead.storage.embedded.side_file import SideFiles
from mailstead.storage.embedded.statistics import EmbeddedStatistics
from mailstead.storage.embedded.trace import EmbeddedTrace
from mailstead.storage.embedded.wakeups import EmbeddedWakeups


class EmbeddedStorage:
    """The whole store: `ports.storage.Storage` on files of one host."""

    def __init__(
        self, directory: EmbeddedDirectory, files: AccountFiles, side_files: SideFiles, sealed: EmbeddedSealed
    ) -> None:
        self._directory = directory
        self._files = files
        self._side_files = side_files
        self._sealed = sealed
        self._sharing = EmbeddedSharing(directory)
        self._people = EmbeddedPeople(directory)
        self._factors = EmbeddedFactors(directory)
        self._queue = EmbeddedQueue(side_files)
        self._memory = EmbeddedMemory(side_files)
        self._trace = EmbeddedTrace(side_files)
        self._reports = EmbeddedReports(side_files)
        self._emails = EmbeddedEmails(side_files)
        self._statistics = EmbeddedStatistics(side_files)
        self._import_jobs = EmbeddedImportJobs(side_files)
        self._wakeups = EmbeddedWakeups(side_files)
        self._preferences = EmbeddedOwnerPreferences(directory)

    @classmethod
    async def open(
        cls, settings: Store, data_dir: Path, bus: ChangeBus, clock: Clock, *, vfs: str | None = None
    ) -> EmbeddedStorage:
        """Open the store in a folder, made if it is not there. Called on the event loop that will use it.

        `vfs` names another SQLite file system for all files but the directory's; tests lose unsynced writes that way.
        Errors: BadSettings (master key), StoreDamaged, StorageUnavailable, StorageFull.
        """
        if (data_dir / UNFINISHED_FILE).exists():
            raise BadSettings(
                f"A restore into {data_dir} has not come to its end; run `mailstead restore` again, or empty the folder"
            )
        master = master_key(data_dir, settings.master_key, settings.master_key_file)
        keys = FileAccountKeys(data_dir, master)
        async with contextlib.AsyncExitStack() as opened:
            directory = EmbeddedDirectory(data_dir, master, bus, clock)
            opened.push_async_callback(directory.close)
            files = AccountFiles(settings, data_dir, keys, bus, clock, vfs=vfs)
            opened.push_async_callback(files.close)
            side_files = SideFiles(settings, data_dir, master, bus, clock, vfs=vfs)
            opened.push_async_callback(side_files.close)
            sealed = EmbeddedSealed(keys, files, side_files, directory, bus)
            storage = cls(directory, files, side_files, sealed)
            opened.pop_all()
            return storage

    @property
    def directory(self) -> Directory:
        """Domains, accounts, addresses, aliases, credentials."""
        return self._directory

    @property
    def accounts(self) -> Accounts:
        """Per account: mailboxes, messages, change log."""
        return self._files.accounts

    @property
    def sharing(self) -> Sharing:
        """What accounts share with each other and with the world."""
        return self._sharing

    @property
    def sealed(self) -> Sealed:
        """Accounts whose keys only their owners have, and the mail that waits for them."""
        return self._sealed

    @property
    def people(self) -> People:
        """Who administers, what the API tells of domains and addresses, what was done."""
        return self._people

    @property
    def factors(self) -> Factors:
        """Second factors, sessions of browsers, links with providers."""
        return self._factors

    @property
    def queue(self) -> Queue:
        """Mail that waits to go out."""
        return self._queue

    @property
    def memory(self) -> Memory:
        """Small facts that run out."""
        return self._memory

    @property
    def trace(self) -> Trace:
        """Where messages went."""
        return self._trace

    @property
    def emails(self) -> Emails:
        """What was sent over the API."""
        return self._emails

    @property
    def import_jobs(self) -> ImportJobs:
        """Imports from other providers."""
        return self._import_jobs

    @property
    def reports(self) -> Reports:
        """What others report about our domains."""
        return self._reports

    @property
    def statistics(self) -> Statistics:
        """Figures by hour and by day."""
        return self._statistics

    @property
    def wakeups(self) -> Wakeups:
        """Which account has something to do when."""
        return self._wakeups

    @property
    def preferences(self) -> OwnerPreferences:
        """How owners want the web to be."""
        return self._preferences

    async def check(self) -> AsyncIterator[Finding]:
        """See `Storage.check`."""
        async for finding in self._files.check():
            yield finding
        for account_id, text in await self._sealed.findings():
            yield Finding(account_id, text)
        for text in (*await self._side_files.findings(), *await self._queue.findings()):
            yield Finding(None, text)

    async def close(self) -> None:
        """Finish what is promised and close all files."""
        await self._trace.close()
        await self._side_files.close()
        await self._files.close()
        await self._directory.close()
