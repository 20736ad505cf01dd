"""Does at its moment what accounts have noted for then: snoozed messages come back, sent ones are filed.

Any number of processes may run it: whoever puts a wake-up off first has taken it, and if he dies, it comes round again.
What is done is written so that doing it twice changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from mailstead.model.errors import AccountLocked, MailsteadError, NoSuchAccount
from mailstead.model.ids import AccountId
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.ports.wakeups import Wakeup
from mailstead.telemetry import log, metrics

_log = log.get("waking")

TOPIC: Final = AccountId("wakeups")
"""On which the index tells that something was noted."""
LOOK_S: Final = 60.0
"""How long is slept at most: another clock, or a lost wake-up, costs no more."""
AT_ONCE: Final = 100
TAKEN: Final = timedelta(minutes=5)
LOCKED_AGAIN: Final = timedelta(minutes=5)
"""A sealed account that nobody has opened is looked at so often."""
FAILED_AGAIN: Final = timedelta(minutes=2)

Duty = Callable[[Wakeup], Awaitable[datetime | None]]
"""Does it; gives when it is to be done again, or None."""


class Waking:
    """`duties`: by the first word of a wake-up's key."""

    def __init__(self, storage: Storage, bus: ChangeBus, clock: Clock, duties: Mapping[str, Duty]) -> None:
        self._wakeups = storage.wakeups
        self._bus = bus
        self._clock = clock
        self._duties = duties

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; what is under way is finished."""
        wake = asyncio.Event()
        stopping = asyncio.create_task(stop.wait())
        try:
            with self._bus.watch(TOPIC, wake.set):
                while not stop.is_set():
                    wake.clear()
                    waiting_s = LOOK_S
                    try:
                        while await self.once() == AT_ONCE and not stop.is_set():
                            pass
                        next_at = await self._wakeups.next_due_at()
                        if next_at is not None:
                            waiting_s = min(LOOK_S, max(0.1, (next_at - self._clock.now()).total_seconds()))
                    except MailsteadError as error:
                        _log.warning("wake-ups cannot be read", error=error.public_text)
                    waking = asyncio.create_task(wake.wait())
                    await asyncio.wait({waking, stopping}, timeout=waiting_s, return_when=asyncio.FIRST_COMPLETED)
                    waking.cancel()
        finally:
            stopping.cancel()

    async def once(self) -> int:
        """Do what is due, `AT_ONCE` at most; gives how many were due. Errors: of the store of wake-ups."""
        now = self._clock.now()
        due = await self._wakeups.due(now, AT_ONCE)
        for wakeup in due:
            taken = wakeup._replace(due_at=now + TAKEN)
            if await self._wakeups.settle(wakeup, taken.due_at):
                await self._do(taken)
        return len(due)

    async def _do(self, wakeup: Wakeup) -> None:
        duty = self._duties.get(wakeup.key.partition(" ")[0])
        again_at: datetime | None = None
        try:
            if duty is not None:
                again_at = await duty(wakeup)
        except NoSuchAccount:
            await self._wakeups.forget(wakeup.account_id)
            return
        except AccountLocked:
            again_at = self._clock.now() + LOCKED_AGAIN
        except MailsteadError as error:
            _log.warning("a duty failed", account_id=wakeup.account_id, error=error.public_text)
            again_at = self._clock.now() + FAILED_AGAIN
        except Exception as error:  # noqa: BLE001  # the frontier: a bug for one account must not keep the others
            metrics.BUGS.labels("waking").inc()
            _log.exception("a duty failed", exc_info=error)
            again_at = self._clock.now() + TAKEN
        await self._wakeups.settle(wakeup, again_at)
