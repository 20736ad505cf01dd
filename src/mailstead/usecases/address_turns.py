"""An alias becomes an account, or an account an alias, and at no moment is mail for the address refused.

The directory changes whose the address is in one unit of work. A store is made before that, and removed after it:
whoever finds the account finds its store.
"""

from __future__ import annotations

from typing import Final

from mailstead.model.directory import Account, Alias, Credentials
from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.model.ids import AccountId
from mailstead.model.mailbox import DEFAULT_MAILBOXES
from mailstead.ports.storage import Storage

_HOLDS: Final = (
    "The mailbox holds {what}: with has_imap false it would be gone. "
    "Export it first, or repeat this with is_override true"
)


class AddressTurns:
    """For `AddressBook`, which checks who may do that."""

    def __init__(self, storage: Storage) -> None:
        self._directory = storage.directory
        self._accounts = storage.accounts

    async def into_account(self, credentials: Credentials) -> None:
        """Let the alias of the account's address be that account. Errors: NoSuchAlias."""
        account, password = credentials.account, credentials.password
        assert password is not None
        await self._accounts.create(account.account_id, DEFAULT_MAILBOXES, account.quota_octets)
        try:
            await self._directory.turn_into_account(
                account, credentials.scram_salt, credentials.scram_iteration_count, password
            )
        except MailsteadError:
            # an error of the disk may hide that it was done after all: then the store must stay
            if await self._directory.account(account.account_id) is None:
                await self._accounts.delete(account.account_id)
            raise

    async def into_alias(self, account: Account, alias: Alias, credentials: Credentials, *, is_override: bool) -> None:
        """Let the address be an alias, and remove the store; what is in it only goes with `is_override`.

        `credentials`: with which the account comes back, if mail came in meanwhile.
        Errors: PolicyRefused, when the mailbox is not empty; NotAllowed for an account that administers; NoSuchAccount.
        """
        if not is_override:
            await self._check_empty(account.account_id)
        await self._directory.turn_into_alias(account.account_id, alias)
        if not is_override:
            try:
                await self._check_empty(account.account_id)
            except MailsteadError:
                # A delivery was under way. App passwords are gone, but no mail.
                assert credentials.password is not None
                await self._directory.turn_into_account(
                    account, credentials.scram_salt, credentials.scram_iteration_count, credentials.password
                )
                raise
        await self._accounts.delete(account.account_id)

    async def _check_empty(self, account_id: AccountId) -> None:
        """Errors: PolicyRefused."""
        store = self._accounts.of(account_id)
        message_count = (await store.usage()).message_count
        object_count = sum(collection.resource_count for collection in await store.dav.collections())
        if message_count:
            raise PolicyRefused(_HOLDS.format(what=f"{message_count} message{'s' * (message_count > 1)}"))
        if object_count:
            raise PolicyRefused(_HOLDS.format(what=f"{object_count} events, tasks or contacts"))
