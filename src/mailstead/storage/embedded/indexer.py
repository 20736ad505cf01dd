"""When the text index catches up by itself: some time after the last append of an account, in small batches."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from mailstead.model.errors import MailsteadError
from mailstead.model.ids import AccountId
from mailstead.ports.clock import Clock
from mailstead.telemetry import log, metrics

BATCH: Final = 100
"""Messages per unit of work; an append that comes meanwhile waits no longer than that."""

_log = log.get("storage.embedded")


class Indexer:
    """One task on the loop that knows which accounts wait, and indexes the longest quiet one first."""

    def __init__(self, clock: Clock, pause_s: float) -> None:
        self._clock = clock
        self._pause_s = pause_s
        self._due_at_s: dict[AccountId, float] = {}
        self._noted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, index_some: Callable[[AccountId, int], Awaitable[int]]) -> None:
        """Begin; `index_some` indexes up to so many messages of an account and gives how many still wait."""
        self._task = asyncio.get_running_loop().create_task(self._run(index_some), name="store-indexer")

    def note(self, account_id: AccountId) -> None:
        """An account got a message: index it when it has been quiet for a while."""
        # A dict keeps its order: put anew at the end, so that the first is always the one that is due first.
        self._due_at_s.pop(account_id, None)
        self._due_at_s[account_id] = self._clock.monotonic_s() + self._pause_s
        self._noted.set()

    async def close(self) -> None:
        """Stop; what is not indexed is caught up before the next search, or after the next append."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self, index_some: Callable[[AccountId, int], Awaitable[int]]) -> None:
        while True:
            if not self._due_at_s:
                self._noted.clear()
                await self._noted.wait()
                continue
            account_id, due_at_s = next(iter(self._due_at_s.items()))
            wait_s = due_at_s - self._clock.monotonic_s()
            if wait_s > 0:
                await asyncio.sleep(wait_s)  # until the account has been quiet for long enough
                continue
            del self._due_at_s[account_id]
            try:
                while await index_some(account_id, BATCH) and account_id not in self._due_at_s:
                    pass
            except MailsteadError as error:
                # Nothing is lost: the watermark did not move.
                _log.warning("index", account=account_id, error=str(error), **error.log_fields)
            except Exception:  # noqa: BLE001 - a bug here must not end the task for all accounts
                metrics.BUGS.labels("storage.indexer").inc()
                _log.exception("index", account=account_id)
