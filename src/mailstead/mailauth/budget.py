"""What one message may cost in the DNS: so many questions, so many seconds, for all checks together.

Whoever writes a message chooses what we ask, and whom (attack rows 29, 33, 34). Each check has the limits of its RFC;
this is the limit of their sum.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

from mailstead.model.errors import DnsUnavailable
from mailstead.ports.clock import Clock
from mailstead.ports.resolver import Answer, Caa, Mx, Resolver, Srv, Tlsa

AnswerT = TypeVar("AnswerT")


class BudgetedResolver(Resolver):
    """Another resolver, until the questions or the time are spent; from then on DnsUnavailable, without asking."""

    def __init__(self, resolver: Resolver, queries_max: int, limit_s: float, clock: Clock) -> None:
        self._resolver: Final = resolver
        self._clock: Final = clock
        self._queries_left = queries_max
        self._ends_at_s: Final = clock.monotonic_s() + limit_s

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
        left_s = self._ends_at_s - self._clock.monotonic_s()
        if self._queries_left <= 0 or left_s <= 0:
            if asyncio.iscoroutine(answer):
                answer.close()
            raise DnsUnavailable(reason="the budget of the message is spent")
        self._queries_left -= 1
        try:
            async with asyncio.timeout(left_s):
                return await answer
        except TimeoutError:
            raise DnsUnavailable(reason="the time of the message is spent") from None
