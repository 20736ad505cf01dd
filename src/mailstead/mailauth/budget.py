"""What one message may cost in the DNS: so many questions, so many seconds, for all checks together.

Whoever writes a message chooses what we ask, and whom (attack rows 29, 33, 34). Each check has the limits of its RFC;
this is the limit of their sum.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Final, Self, TypeVar

from mailstead.model.errors import DnsUnavailable
from mailstead.ports.clock import Clock
from mailstead.ports.resolver import Answer, Caa, Mx, Resolver, Srv, Tlsa

AnswerT = TypeVar("AnswerT")


class BudgetedResolver(Resolver):
    """Another resolver, until the questions or the time are spent; from then on DnsUnavailable, without asking.

    To be entered (``with``) and asked inside. One timer stands for all questions, as most are answered from memory, and
    one for each would cost more than those answers do. A task has one question out at a time.
    """

    def __init__(self, resolver: Resolver, queries_max: int, limit_s: float, clock: Clock) -> None:
        self._resolver: Final = resolver
        self._clock: Final = clock
        self._queries_left = queries_max
        self._limit_s: Final = limit_s
        self._ends_at_s: Final = clock.monotonic_s() + limit_s
        self._waiting: set[asyncio.Task[object]] = set()
        self._interrupted: set[asyncio.Task[object]] = set()
        """Who must wait no longer, and does not know yet."""
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._timer = asyncio.get_running_loop().call_later(self._limit_s, self._end)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def a(self, name: str) -> Answer[str]:
        """IPv4 addresses as text."""
        return await self._within(self._resolver.a(name))

    async def aaaa(self, name: str) -> Answer[str]:
        """IPv6 addresses as text."""
        return await self._within(self._resolver.aaaa(name))

    async def mx(self, name: str) -> Answer[Mx]:
        """Mail exchangers, by preference."""
        return await self._within(self._resolver.mx(name))

    async def txt(self, name: str) -> Answer[bytes]:
        """Texts, the strings of each record joined without spaces."""
        return await self._within(self._resolver.txt(name))

    async def ptr(self, address: str) -> Answer[str]:
        """Names of an IP address."""
        return await self._within(self._resolver.ptr(address))

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        """TLSA records."""
        return await self._within(self._resolver.tlsa(name))

    async def srv(self, name: str) -> Answer[Srv]:
        """SRV records."""
        return await self._within(self._resolver.srv(name))

    async def caa(self, name: str) -> Answer[Caa]:
        """CAA records at this very name."""
        return await self._within(self._resolver.caa(name))

    async def _within(self, answer: Awaitable[AnswerT]) -> AnswerT:
        if self._queries_left <= 0 or self._clock.monotonic_s() >= self._ends_at_s:
            if asyncio.iscoroutine(answer):
                answer.close()
            raise DnsUnavailable(reason="the budget of the message is spent")
        self._queries_left -= 1
        task = asyncio.current_task()
        assert task is not None
        cancelled_before = task.cancelling()
        self._waiting.add(task)
        try:
            return await answer
        except asyncio.CancelledError:
            # As asyncio.timeout does it: it was only us, unless the task is being cancelled by others, too.
            if task in self._interrupted and task.cancelling() == cancelled_before + 1:
                raise DnsUnavailable(reason="the time of the message is spent") from None
            raise
        finally:
            self._waiting.remove(task)
            if task in self._interrupted:
                self._interrupted.remove(task)
                task.uncancel()

    def _end(self) -> None:
        """Let nobody wait any longer, or ask."""
        self._queries_left = 0
        self._interrupted.update(self._waiting)
        for task in self._waiting:
            task.cancel()
