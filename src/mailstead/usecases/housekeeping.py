"""Work that comes round: what has run out is removed, reports that are due are sent. One process does it at a time."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from mailstead.model.errors import MailsteadError
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log, metrics
from mailstead.usecases.clockwatch import ClockWatch

_log = log.get("housekeeping")

EVERY_S: Final = 300.0
_TURN: Final = timedelta(seconds=EVERY_S * 0.9)


class Housekeeping:
    """Runs its chores every few minutes; a chore that fails is logged and comes round again."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        *,
        finished_kept: timedelta,
        trace_kept: timedelta,
        reports_kept: timedelta,
        audit_kept: timedelta,
        further: Mapping[str, Callable[[datetime], Awaitable[object]]] | None = None,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._name = secrets.token_hex(8).encode()
        self._clock_watch = ClockWatch(clock)
        self._forgetting: Final[dict[str, Callable[[datetime], Awaitable[object]]]] = {
            "finished items": lambda now: storage.queue.forget_finished(now - finished_kept),
            "trace": lambda now: storage.trace.expire(now - trace_kept),
            "reports": lambda now: storage.reports.expire(now - reports_kept),
            "audit log": lambda now: storage.people.forget_audit(now - audit_kept),
            "memory": storage.memory.expire,
            "sessions of browsers": storage.factors.expire_sessions,
        }
        self._further: Final = further or {}

    async def run(self, stop: asyncio.Event) -> None:
        """Keep house until told to stop."""
        while not stop.is_set():
            await self.once()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY_S)

    async def once(self) -> list[str]:
        """Do all chores if it is this process's turn; gives the names of those that were done.

        While the clock is in doubt nothing is removed for its age.
        """
        now = self._clock.now()
        done: list[str] = []
        try:
            # The date: a turn taken by a clock that ran ahead must not last until that time comes true.
            turn = f"housekeeping {now.date()}"
            is_taken = await self._storage.memory.remember_first("turn", turn, self._name, now, now + _TURN)
        except MailsteadError as error:
            _log.warning("no turn at housekeeping", error=error.public_text)
            return done
        if is_taken is not None:
            return done
        chores = {**self._forgetting, **self._further} if self._clock_watch.is_believed() else self._further
        for name, chore in chores.items():
            try:
                await chore(now)
                done.append(name)
            except MailsteadError as error:
                _log.warning("a chore failed", chore=name, error=error.public_text)
            except Exception as error:  # noqa: BLE001  # the frontier: a bug in one chore must not keep the others
                metrics.BUGS.labels("housekeeping").inc()
                _log.exception("a chore failed", chore=name, exc_info=error)
        return done
