"""All checks of the sender of one message, side by side, within one budget.

Spec: RFC 7208, RFC 6376, RFC 8617, RFC 9989, RFC 8601 §3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from typing import Final

from mailstead.mailauth import arc, dkim, dmarc, iprev, spf
from mailstead.mailauth.budget import BudgetedResolver
from mailstead.mailauth.canonical import CanonicalMessage
from mailstead.model.address import Address
from mailstead.model.authentication import (
    ArcResult,
    Authentication,
    DkimResult,
    DmarcResult,
    Result,
    SpfResult,
)
from mailstead.model.envelope import Peer
from mailstead.model.errors import BadMessage
from mailstead.model.message import Octets
from mailstead.ports.clock import Clock
from mailstead.ports.resolver import Resolver


class SenderVerifier:
    """Authenticates senders; one object for all messages."""

    def __init__(
        self,
        resolver: Resolver,
        clock: Clock,
        *,
        authserv_id: str,
        trusted_sealers: Collection[str],
        queries_max: int,
        limit_s: float,
    ) -> None:
        self._resolver: Final = resolver
        self._clock: Final = clock
        self._authserv_id: Final = authserv_id
        self._trusted_sealers: Final = frozenset(sealer.lower().removesuffix(".") for sealer in trusted_sealers)
        self._queries_max: Final = queries_max
        self._limit_s: Final = limit_s

    async def verify(
        self, octets: Octets, header: bytes, peer: Peer, helo: str, mail_from: Address | None
    ) -> Authentication:
        """Run all checks. What DNS does not tell in time is a temperror, never an exception.

        Shapes: `header` is that of `octets`.
        """
        now = self._clock.now()
        message = CanonicalMessage(octets)
        with self._budget() as resolver:
            async with asyncio.TaskGroup() as group:
                both_spf = group.create_task(
                    spf.check(resolver, peer.address, helo, mail_from, receiver=self._authserv_id, now=now)
                )
                iprev_result = group.create_task(iprev.check(resolver, peer.address))
                chain = group.create_task(arc.verify(octets, resolver, now, message=message))
                signatures = await dkim.verify(octets, resolver, now, message=message)
            spf_result, helo_spf = both_spf.result()
            return Authentication(
                spf_result,
                helo_spf,
                signatures,
                self._weighed(chain.result()),
                await _dmarc(resolver, header, spf_result, signatures),
                iprev_result.result(),
            )

    async def verify_signatures(self, octets: Octets) -> tuple[DkimResult, ...]:
        """Check the DKIM signatures only. What DNS does not tell in time is a temperror, never an exception."""
        with self._budget() as resolver:
            return await dkim.verify(octets, resolver, self._clock.now())

    async def is_same_organization(self, one: str, other: str) -> bool:
        """Whether what passes for one domain passes for the other, as long as alignment may be relaxed.

        Spec: RFC 9989 §4.4, §4.10.2.
        Errors: DnsUnavailable.
        """
        if one == other or one.split(".")[-2:] != other.split(".")[-2:]:
            return one == other  # without a common end of two labels there is nothing to ask about
        with self._budget() as resolver:
            first = await dmarc.organizational_domain(resolver, one)
            return first == await dmarc.organizational_domain(resolver, other)

    def _budget(self) -> BudgetedResolver:
        return BudgetedResolver(self._resolver, self._queries_max, self._limit_s, self._clock)

    def _weighed(self, chain: ArcResult) -> ArcResult:
        """Keep the results in a chain only if the one who sealed them is believed (attack row 30)."""
        if chain.result is not Result.PASS:
            return chain
        is_trusted = chain.sealers[-1] in self._trusted_sealers
        return replace(chain, is_trusted=is_trusted, newest_results=chain.newest_results if is_trusted else "")


async def _dmarc(
    resolver: Resolver, header: bytes, spf_result: SpfResult, signatures: tuple[DkimResult, ...]
) -> DmarcResult:
    """Check for the author; a message without exactly one cannot pass. Spec: RFC 9989 §5.3.1."""
    try:
        author = dmarc.author(header)
    except BadMessage as error:
        return DmarcResult(Result.PERMERROR, reason=error.public_text)
    return await dmarc.check(resolver, author.domain, spf_result, signatures)
