"""The reader threads: one hop per call, on a reading connection of the account.

An account has at most a few calls running at a time, the rest of its calls wait for their turn; so one account with
many slow searches cannot take all threads (attack row 45). A call whose caller has gone is interrupted.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final, Protocol, TypeVar

import apsw

from mailstead.model.ids import AccountId
from mailstead.ports.clock import Clock
from mailstead.storage.embedded import account_file
from mailstead.storage.embedded.outbox import Outbox, settle

T = TypeVar("T")

CALLS_PER_ACCOUNT: Final = 2
CALL_LIMIT_S: Final = 60.0
"""A reading call that takes longer is ended; the text of its error says so."""
STEPS_BETWEEN_LOOKS: Final = 200_000
"""SQLite instructions between two looks at the time limit; some milliseconds."""


class ReadingConnections(Protocol):
    """Who lends reading connections of each file."""

    def reader(self, account_id: AccountId) -> AbstractContextManager[apsw.Connection]:
        """Lend one."""


@dataclass(slots=True, eq=False)
class _Call:
    account_id: AccountId
    work: Callable[[apsw.Connection], Any]
    future: asyncio.Future[Any]
    ends_at_s: float = 0.0
    is_abandoned: bool = False


class Reader:
    """The reader threads. `run` is called on the event loop."""

    def __init__(self, connections: ReadingConnections, outbox: Outbox, clock: Clock, thread_count: int) -> None:
        self._connections = connections
        self._outbox = outbox
        self._clock = clock
        self._ready: SimpleQueue[_Call | None] = SimpleQueue()
        # Touched on the event loop only:
        self._running: dict[AccountId, int] = {}
        self._held: dict[AccountId, deque[_Call]] = {}
        self._threads = [
            threading.Thread(target=self._serve, name=f"store-reader-{number}", daemon=True)
            for number in range(max(1, thread_count))
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, account_id: AccountId, work: Callable[[apsw.Connection], T]) -> T:
        """Do a reading call in a reader thread.

        Errors: as `account_file.connect`; TryAgainLater when it took too long.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        call = _Call(account_id, work, future)
        running = self._running.get(account_id, 0)
        if running < CALLS_PER_ACCOUNT:
            self._running[account_id] = running + 1
            self._start(call)
        else:
            self._held.setdefault(account_id, deque()).append(call)
        try:
            return await future
        except asyncio.CancelledError:
            call.is_abandoned = True
            raise

    def close(self) -> None:
        """End the threads after what they are doing. Blocks."""
        for _ in self._threads:
            self._ready.put(None)
        for thread in self._threads:
            thread.join()

    def _start(self, call: _Call) -> None:
        self._ready.put(call)

    def _finish(self, call: _Call, result: object, error: BaseException | None) -> None:
        """Give the result out, and the account's turn on. On the loop."""
        settle(call.future, result, error)
        held = self._held.get(call.account_id)
        if held:
            self._start(held.popleft())
            if not held:
                del self._held[call.account_id]
            return
        running = self._running[call.account_id] - 1
        if running:
            self._running[call.account_id] = running
        else:
            del self._running[call.account_id]

    # in the reader threads

    def _serve(self) -> None:
        while True:
            call = self._ready.get()
            if call is None:
                return
            self._do(call)

    def _do(self, call: _Call) -> None:
        result: object = None
        error: BaseException | None = None
        try:
            if not call.is_abandoned:
                call.ends_at_s = self._clock.monotonic_s() + CALL_LIMIT_S
                with self._connections.reader(call.account_id) as db:
                    db.set_progress_handler(lambda: self._must_end(call), STEPS_BETWEEN_LOOKS)
                    try:
                        result = call.work(db)
                    finally:
                        db.set_progress_handler(None)
        except (apsw.Error, OSError) as cause:
            error = account_file.translated(cause)
            error.__cause__ = cause
        except Exception as cause:  # noqa: BLE001 - whatever it is, the caller must be told
            error = cause
        self._outbox.post(lambda: self._finish(call, result, error))

    def _must_end(self, call: _Call) -> bool:
        return call.is_abandoned or self._clock.monotonic_s() > call.ends_at_s
