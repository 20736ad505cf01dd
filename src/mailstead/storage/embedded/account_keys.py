"""Who keeps the data keys of account files. The implementation (wrapping by the master key) is in `keys`."""

from typing import Protocol

from mailstead.model.ids import AccountId


class AccountKeys(Protocol):
    """Data keys of 32 octets, one per account. Called from writer and reader threads."""

    def account_key(self, account_id: AccountId) -> bytes:
        """The data key.

        Errors: NoSuchAccount; AccountLocked, of a sealed one that is not open; StoreDamaged, if it cannot be unwrapped.
        """

    def edition(self, account_id: AccountId) -> object:
        """Give what is another value once the key is wrapped in another way, by any process; cheap."""

    def new_account_key(self, account_id: AccountId) -> bytes:
        """Make a data key by chance and keep it, synced, before returning it."""

    def forget(self, account_id: AccountId) -> None:
        """Remove the key for good: what was encrypted with it cannot be read any more."""
