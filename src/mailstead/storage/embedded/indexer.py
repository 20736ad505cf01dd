"""When the text index catches up by itself: soon after an append of an account, in pieces that others get between.

An account is due when it has been quiet for a while, and while mail keeps coming not much later than its first append.
Of the accounts that are due each gets a piece in turn; one that gets mail meanwhile gets smaller ones, with rests that
leave most of the time to the mail.
"""

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import Awaitable, Callable
from typing import Final

from mailstead.model.errors import MailsteadError
from mailstead.model.ids import AccountId
from mailstead.ports.clock import Clock
from mailstead.telemetry import log, metrics

BATCH: Final = 100
"""Messages per unit of work of a quiet account; an append that comes meanwhile waits no longer than that."""
BUSY_BATCH: Final = 10
BUSY_REST: Final = 3
"""A piece of an account that gets mail is followed by a rest so many times as long as it took."""
PUT_OFF_MAX: Final = 5
"""Appends put an account off up to so many pauses after its first one."""

_log = log.get("storage.embedded")


class Indexer:
    """One task on the loop that knows which accounts wait, and when each is due."""

    def __init__(self, clock: Clock, pause_s: float) -> None:
        self._clock = clock
        self._pause_s = pause_s
        self._due_at_s: dict[AccountId, float] = {}
        self._latest_at_s: dict[AccountId, float] = {}
        self._busy: set[AccountId] = set()
        self._turns = itertools.count()
        self._heap: list[tuple[float, int, AccountId]] = []
        """By the time, then by turns; what differs from `_due_at_s` was put off or is done."""
        self._noted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, index_some: Callable[[AccountId, int], Awaitable[int]]) -> None:
        """Begin; `index_some` indexes up to so many messages of an account and gives how many still wait."""
        self._task = asyncio.get_running_loop().create_task(self._run(index_some), name="store-indexer")

    def note(self, account_id: AccountId) -> None:
        """An account got a message: index it when it has been quiet for a while, or has waited long enough."""
        now_s = self._clock.monotonic_s()
        latest_s = self._latest_at_s.setdefault(account_id, now_s + PUT_OFF_MAX * self._pause_s)
        if latest_s < now_s + self._pause_s:
            self._busy.add(account_id)
        self._put(account_id, min(now_s + self._pause_s, latest_s))

    async def close(self) -> None:
        """Stop; what is not indexed is caught up before the next search, or after the next append."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _put(self, account_id: AccountId, at_s: float) -> None:
        if self._due_at_s.get(account_id) == at_s:
            return
        self._due_at_s[account_id] = at_s
        turn = next(self._turns)
        heapq.heappush(self._heap, (at_s, turn, account_id))
        if self._heap[0][1] == turn:  # else the task wakes early enough by itself
            self._noted.set()

    async def _run(self, index_some: Callable[[AccountId, int], Awaitable[int]]) -> None:
        while True:
            if not self._heap:
                self._noted.clear()
                await self._noted.wait()
                continue
            at_s, _, account_id = self._heap[0]
            if self._due_at_s.get(account_id) != at_s:
                heapq.heappop(self._heap)
                continue
            now_s = self._clock.monotonic_s()
            if at_s > now_s:
                self._noted.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(at_s - now_s):  # until it is due, or another one is earlier
                        await self._noted.wait()
                continue
            heapq.heappop(self._heap)
            del self._due_at_s[account_id]
            self._latest_at_s.pop(account_id, None)
            try:
                waiting = await index_some(account_id, BUSY_BATCH if account_id in self._busy else BATCH)
            except MailsteadError as error:
                # Nothing is lost: the watermark did not move.
                _log.warning("index", account=account_id, error=str(error), **error.log_fields)
                waiting = 0
            except Exception:  # noqa: BLE001 - a bug here must not end the task for all accounts
                metrics.BUGS.labels("storage.indexer").inc()
                _log.exception("index", account=account_id)
                waiting = 0
            self._busy.discard(account_id)
            if not waiting:
                continue
            done_s = self._clock.monotonic_s()
            again_at_s = done_s
            if account_id in self._due_at_s:  # noted meanwhile
                self._busy.add(account_id)
                again_at_s += BUSY_REST * (done_s - now_s)
            self._latest_at_s[account_id] = again_at_s
            self._put(account_id, again_at_s)
