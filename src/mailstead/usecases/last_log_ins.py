"""On which day an account was last logged in to: the day, and nothing else.

Noted once a day and account by each process, behind the log-in, which does not wait for it.

Spec: reference chatmail, sections 4.2 and 4.5.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from mailstead.model.directory import Account
from mailstead.model.errors import MailsteadError
from mailstead.model.ids import AccountId
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log

KEPT: Final = timedelta(days=10 * 366)
WRITTEN_AT_ONCE_MAX: Final = 1000
"""Days in one unit of work, so that others are not held up."""

_KIND: Final = "last log-in"
_log = log.get("accounts")


class LastLogIns:
    """Days by account. What was never noted counts from the first time that somebody asks."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._memory = storage.memory
        self._clock = clock
        self._noted: set[AccountId] = set()
        self._noted_on: date | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, account_id: AccountId) -> None:
        """Note that somebody has logged in. Fails never, and writes once a day."""
        today = self._clock.now().date()
        if self._noted_on != today:
            self._noted.clear()
            self._noted_on = today
        if account_id in self._noted:
            return
        self._noted.add(account_id)
        task = asyncio.create_task(self._write(account_id, today))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for what is being written."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _write(self, account_id: AccountId, day: date) -> None:
        try:
            await self.set(account_id, day)
        except MailsteadError as error:
            self._noted.discard(account_id)  # the next log-in tries again
            _log.warning("a log-in was not noted", account_id=account_id, error=error.public_text)

    async def set(self, account_id: AccountId, day: date) -> None:
        """Say when it was, as of an account from elsewhere. Errors: of the store."""
        until = self._clock.now() + KEPT
        await self._memory.remember(_KIND, {account_id: str(day.toordinal()).encode()}, until)

    async def forget(self, account_id: AccountId) -> None:
        """Of an account that is gone nothing stays. Errors: of the store."""
        await self._memory.forget(_KIND, [account_id])

    async def days(self, now: datetime) -> dict[AccountId, date]:
        """All that is known. Errors: of the store."""
        kept = await self._memory.recall_all(_KIND, now)
        return _read(kept)

    async def day(self, account_id: AccountId, now: datetime) -> date | None:
        """Of one account. Errors: of the store."""
        return _read(await self._memory.recall(_KIND, [account_id], now)).get(account_id)

    async def idle(self, accounts: Sequence[Account], kept_days: int, now: datetime) -> list[Account]:
        """Give those without log-in for more than `kept_days`; those of whom nothing is known are known from now on.

        Errors: of the store.
        """
        known, today = await self.days(now), now.date()
        unknown = [each.account_id for each in accounts if each.account_id not in known]
        octets, until = str(today.toordinal()).encode(), now + KEPT
        for start in range(0, len(unknown), WRITTEN_AT_ONCE_MAX):
            some = unknown[start : start + WRITTEN_AT_ONCE_MAX]
            await self._memory.remember(_KIND, dict.fromkeys(some, octets), until)
        last = today - timedelta(days=kept_days)
        return [each for each in accounts if known.get(each.account_id, today) < last]


def _read(kept: Mapping[str, bytes]) -> dict[AccountId, date]:
    return {AccountId(key): date.fromordinal(int(value)) for key, value in kept.items()}
