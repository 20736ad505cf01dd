"""All account files together: their threads, their open connections, their index and their check."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from mailstead.config.settings import Store
from mailstead.model.errors import AccountLocked, MailsteadError
from mailstead.model.ids import AccountId
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Finding
from mailstead.storage.embedded import check
from mailstead.storage.embedded.account_keys import AccountKeys
from mailstead.storage.embedded.accounts import EmbeddedAccounts
from mailstead.storage.embedded.indexer import Indexer
from mailstead.storage.embedded.open_accounts import OpenAccounts
from mailstead.storage.embedded.outbox import Outbox
from mailstead.storage.embedded.reader import Reader
from mailstead.storage.embedded.transaction import Transaction
from mailstead.storage.embedded.writer import DiskReserve, Writer


class AccountFiles:
    """Everything of the adapter that concerns accounts; `storage` adds the directory."""

    def __init__(
        self,
        settings: Store,
        data_dir: Path,
        keys: AccountKeys,
        bus: ChangeBus,
        clock: Clock,
        *,
        vfs: str | None = None,
    ) -> None:
        """Start the threads. Called on the running event loop, on which all results arrive."""
        (data_dir / "accounts").mkdir(mode=0o700, parents=True, exist_ok=True)
        outbox = Outbox(asyncio.get_running_loop())
        self.open_accounts = OpenAccounts(data_dir, keys, settings.open_account_count, vfs)
        self._reader = Reader(self.open_accounts, outbox, clock, settings.reader_thread_count)
        disk = DiskReserve(data_dir, settings.disk_reserve_octets, clock)
        self._writer = Writer(self.open_accounts, outbox, bus, clock, disk, settings.writer_thread_count)
        self._indexer = Indexer(clock, settings.index_pause_s)
        self.accounts = EmbeddedAccounts(
            data_dir, settings.cipher, keys, self.open_accounts, self._reader, self._writer, self._indexer
        )
        self._indexer.start(lambda account_id, limit: self.accounts.of(account_id).index_some(limit))

    async def take_in(self, account_id: AccountId, work: Callable[[Transaction], bool]) -> bool:
        """Do a unit of work that appends what has waited for an account."""
        is_new = await self._writer.run(account_id, work, grows=True)
        self._indexer.note(account_id)
        return is_new

    async def check(self) -> AsyncIterator[Finding]:
        """Check every account file that is there; one that cannot be read is a finding too, but for locked ones."""
        for account_id in await self.accounts.ids():
            try:
                texts = await self._reader.run(account_id, check.findings)
            except AccountLocked:
                continue
            except MailsteadError as error:
                texts = [f"{error.public_text} ({error.log_fields.get('cause', type(error).__name__)})"]
            for text in texts:
                yield Finding(account_id, text)

    async def close(self) -> None:
        """Finish what is promised and close all files."""
        await self._indexer.close()
        await asyncio.to_thread(self._close_threads)

    def _close_threads(self) -> None:
        self._writer.close()
        self._reader.close()
        self.open_accounts.close()
