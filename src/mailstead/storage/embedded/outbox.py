"""The way of results from threads back to the event loop: one wake-up of the loop per batch, not per item."""

import asyncio
from collections import deque
from collections.abc import Callable


class Outbox:
    """Collects results of threads and hands them to their futures on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_wake_planned = False

    def post(self, deliver: Callable[[], None]) -> None:
        """Run `deliver` on the loop soon. Called from any thread."""
        # First in, then look; the loop first takes the mark off, then looks. So nothing is left behind, and at worst
        # the loop is woken once for nothing.
        self._waiting.append(deliver)
        if not self._is_wake_planned:
            self._is_wake_planned = True
            self._loop.call_soon_threadsafe(self._deliver_all)

    def _deliver_all(self) -> None:
        self._is_wake_planned = False
        while self._waiting:
            self._waiting.popleft()()


def settle(future: asyncio.Future[object], result: object, error: BaseException | None) -> None:
    """Give a future its result or error, unless its task has given up waiting."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
