"""`Accounts`: making, removing and handing out account stores."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mailstead.model.errors import AccountLocked
from mailstead.model.ids import AccountId
from mailstead.storage.embedded import account_file, mailboxes
from mailstead.storage.embedded.account import EmbeddedAccountStore
from mailstead.storage.embedded.account_keys import AccountKeys
from mailstead.storage.embedded.indexer import Indexer
from mailstead.storage.embedded.open_accounts import OpenAccounts
from mailstead.storage.embedded.reader import Reader
from mailstead.storage.embedded.rows import select_one
from mailstead.storage.embedded.transaction import Transaction
from mailstead.storage.embedded.writer import Writer


class EmbeddedAccounts:
    """Account stores by key."""

    def __init__(
        self,
        data_dir: Path,
        cipher: str,
        keys: AccountKeys,
        open_accounts: OpenAccounts,
        reader: Reader,
        writer: Writer,
        indexer: Indexer,
    ) -> None:
        self._data_dir = data_dir
        self._cipher = cipher
        self._keys = keys
        self._open_accounts = open_accounts
        self._reader = reader
        self._writer = writer
        self._indexer = indexer

    async def create(
        self, account_id: AccountId, mailbox_list: Sequence[tuple[str, str | None]], quota_octets: int | None = None
    ) -> None:
        """See `Accounts.create`. A store that is there already, from a creation that was interrupted, is completed."""

        def make_file() -> None:
            path = account_file.account_path(self._data_dir, account_id)
            if not path.exists():
                key = self._keys.new_account_key(account_id)
                account_file.create(path, key, account_id, self._cipher, vfs=self._open_accounts.vfs)

        def fill(transaction: Transaction) -> None:
            _set_quota(transaction, quota_octets)
            for name, special_use in mailbox_list:
                if not select_one(transaction.db, "SELECT 1 FROM mailbox WHERE name = ?", (name,)):
                    mailboxes.create_mailbox(transaction, name, special_use)
                    mailboxes.subscribe(transaction, name, is_subscribed=True)

        await self._writer.run_alone(account_id, make_file, grows=True)
        await self._writer.run(account_id, fill, grows=True)

    async def delete(self, account_id: AccountId) -> None:
        """See `Accounts.delete`. Without its key nobody can read what may be left on the disk."""

        def mark(transaction: Transaction) -> None:
            transaction.account = transaction.account._replace(is_deleted=1)

        def remove() -> None:
            self._open_accounts.drop(account_id)
            self._keys.forget(account_id)
            account_file.remove(path)

        path = account_file.account_path(self._data_dir, account_id)
        if not path.exists():
            return
        # Another process may have the file open and would go on writing into what is unlinked: it reads this first.
        # (Of a locked one, or where another process has opened it, the missing key says the same.)
        with suppress(AccountLocked):
            await self._writer.run(account_id, mark)
        await self._writer.run_alone(account_id, remove)

    async def ids(self) -> list[AccountId]:
        """See `Accounts.ids`."""
        return await asyncio.to_thread(account_file.account_ids, self._data_dir)

    def of(self, account_id: AccountId) -> EmbeddedAccountStore:
        """See `Accounts.of`."""
        return EmbeddedAccountStore(account_id, self._reader, self._writer, self._indexer)

    async def set_quota(self, account_id: AccountId, quota_octets: int | None) -> None:
        """See `Accounts.set_quota`. A locked one learns it when it is opened (`usecases.sealed_accounts`)."""
        with suppress(AccountLocked):
            await self._writer.run(account_id, lambda transaction: _set_quota(transaction, quota_octets))


def _set_quota(transaction: Transaction, quota_octets: int | None) -> None:
    transaction.account = transaction.account._replace(quota_octets=quota_octets)
