"""Wake-ups between those who commit and those who wait: lossy nudges that carry no data.

Promise: after each commit to an account every watcher of it, in any process of this host (scaled: any host), is woken
at least once, soon; wakes may be merged. A lost or doubled wake does no harm, as the woken go back to the change log,
and each also looks by itself now and then.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from mailstead.model.ids import AccountId

DIRECTORY = AccountId("directory")
"""The topic of changes to domains, accounts and aliases."""

FILTERS = AccountId("filters")
"""The topic of changes to any account's scripts and preferences."""


def dav_topic(account_id: AccountId) -> AccountId:
    """Give the topic of changes to an account's calendars and address books; mail sessions sleep on."""
    return AccountId(f"dav-{account_id}")


class ChangeBus(Protocol):
    """Publish and watch wake-ups by account. All calls are made on the event loop."""

    def publish(self, account_id: AccountId) -> None:
        """Wake all watchers of the account, here and in other processes. Called by storage adapters after commits."""

    def watch(self, account_id: AccountId, wake: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `wake` on the event loop after each change, until the context is left. `wake` must be quick."""
