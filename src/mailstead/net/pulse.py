"""One coarse clock and one read buffer per event loop, shared by all conversations.

Theory of operation: a timer per read would cost more than the read itself at thousands of messages per second, and
10,000 idle connections should cost nothing. So time limits live in a wheel of whole seconds: each conversation stands
in at most one slot, is looked at when that second has passed, and then is over its limit or moves to a later slot.
Traffic only notes the time of the last tick (`now_s`), which is an attribute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final, Protocol

READ_OCTETS: Final = 65536
"""One read takes at most this much; larger buffers were not faster and hurt fairness."""

TICK_S: Final = 1.0


class Timed(Protocol):
    """Who stands in the wheel."""

    check_second: int
    """The slot, 0 for none; kept by the pulse."""

    def check_time(self) -> None:
        """The second has passed."""


class Pulse:
    """Coarse time of one loop. `tick` is called once a second by `start`, or by a test with its own clock."""

    __slots__ = ("_clock", "_second", "_timer", "_wheel", "now_s", "plain_buffer", "read_buffer")

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self.now_s = clock()
        self._second = int(self.now_s)
        self._wheel: dict[int, set[Timed]] = {}
        self._timer: asyncio.TimerHandle | None = None
        # Shared, as each read is consumed before the next begins: an idle connection owns no buffer.
        self.read_buffer = memoryview(bytearray(READ_OCTETS))
        self.plain_buffer = memoryview(bytearray(READ_OCTETS))

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tick once a second from now on."""
        self.tick()
        self._timer = loop.call_later(TICK_S, self.start, loop)

    def stop(self) -> None:
        """Tick no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def tick(self) -> None:
        """Take the time and look at everyone whose second has come."""
        self.now_s = self._clock()
        first, self._second = self._second, int(self.now_s)
        due: Iterable[int] = range(first, self._second + 1)
        if self._second - first > len(self._wheel):  # the machine slept: visit only the slots that exist
            due = sorted(second for second in self._wheel if second <= self._second)
        for second in due:
            for timed in self._wheel.pop(second, ()):
                timed.check_second = 0
                timed.check_time()

    def arm(self, timed: Timed, delay_s: float) -> None:
        """Have `check_time` called once `delay_s` has surely passed, unless an earlier look is due anyway."""
        second = int(self.now_s + delay_s) + 1
        if timed.check_second:
            if timed.check_second <= second:
                return
            self._wheel[timed.check_second].discard(timed)
        timed.check_second = second
        slot = self._wheel.get(second)
        if slot is None:
            self._wheel[second] = {timed}
        else:
            slot.add(timed)

    def disarm(self, timed: Timed) -> None:
        """Forget the conversation; it has ended."""
        if timed.check_second:
            slot = self._wheel.get(timed.check_second)
            if slot is not None:
                slot.discard(timed)
            timed.check_second = 0
