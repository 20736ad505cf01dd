"""How the junk filters of all accounts are trained: numbers for administrators, who read no word, and a new start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import AccountLocked, NoSuchAccount, StoreDamaged
from mailstead.ports.storage import Storage
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.audit import Notes
from mailstead.usecases.junk import JunkFilter, Learned

PAGE: Final = 50
SUMMED_MAX: Final = 1000
"""Of more accounts no sum is made while somebody waits: each is a file of its own."""


@dataclass(frozen=True, slots=True)
class Trained:
    """The filter of one account."""

    address: Address
    learned: Learned | None
    """None: the account is sealed, or cannot be read."""


@dataclass(frozen=True, slots=True)
class Overall:
    """All filters together."""

    account_count: int
    """That fit."""
    judging_count: int | None
    """Whose filters have learned enough; None, as the others: there are too many accounts to look at all."""
    good_count: int | None
    junk_count: int | None
    right_percent: int | None
    """How many of a hundred lessons the filters would have known before; None: also where none was asked."""


class JunkTraining:
    """For administrators of the server (NotAllowed)."""

    def __init__(self, storage: Storage, accounts: Accounts, junk_filter: JunkFilter, audit: Notes) -> None:
        self._directory = storage.directory
        self._accounts = accounts
        self._filter = junk_filter
        self._audit = audit

    async def look(self, actor: Actor, text: str = "", after: int = 0) -> tuple[Overall, Sequence[Trained]]:
        """Give the whole, and a page of those accounts with a text in their address, from the `after`-th on."""
        actor.must_be_admin()
        sought = text.casefold()
        fitting = [each for each in await self._accounts.list(actor) if sought in str(each.address).casefold()]
        if len(fitting) > SUMMED_MAX:
            page = [await self._trained(each) for each in fitting[after : after + PAGE]]
            return Overall(len(fitting), None, None, None, None), page
        trained = [await self._trained(each) for each in fitting]
        return _summed(trained), trained[after : after + PAGE]

    async def forget(self, actor: Actor, address: Address) -> None:
        """Let one account's filter begin anew. Errors: NoSuchAccount, AccountLocked."""
        actor.must_be_admin()
        account = await self._directory.find(address)
        if not isinstance(account, Account):
            raise NoSuchAccount
        await self._filter.forget(account.account_id)
        self._audit.note(actor, "junk.forget", str(account.address), account.address.domain)

    async def forget_all(self, actor: Actor) -> int:
        """Let all filters begin anew, but those of accounts that cannot be read; gives how many."""
        actor.must_be_admin()
        count = 0
        for account in await self._accounts.list(actor):
            try:
                await self._filter.forget(account.account_id)
            except (AccountLocked, StoreDamaged):
                continue
            count += 1
        self._audit.note(actor, "junk.forget", "server", count=str(count))
        return count

    async def _trained(self, account: Account) -> Trained:
        try:
            return Trained(account.address, await self._filter.state_of(account.account_id))
        except (AccountLocked, StoreDamaged):
            return Trained(account.address, None)


def _summed(trained: Sequence[Trained]) -> Overall:
    known = [each.learned for each in trained if each.learned is not None]
    judged = sum(each.training.judged_count for each in known)
    return Overall(
        len(trained),
        sum(each.judges for each in known),
        sum(each.good_count for each in known),
        sum(each.junk_count for each in known),
        100 * sum(each.training.right_count for each in known) // judged if judged else None,
    )
