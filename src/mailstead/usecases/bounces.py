"""Bounces of what we have sent on: they come to the rewritten sender, end here, and are shown on the alias.

Only what comes to a return address that we made ourselves, not long ago, with the null sender, is one (attack row 14).

Spec: RFC 5321 §4.5.5, §6.1; RFC 3464.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from mailstead.mime.dsn import Action, parse_dsn
from mailstead.model.address import Address
from mailstead.model.errors import NoSuchAddress, NotAllowed
from mailstead.policy.srs import Srs, SrsRefused, is_handle, is_rewritten
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases import tracefields
from mailstead.usecases.tracing import MessageTrace

KEPT: Final = timedelta(days=30)
SHOWN_MAX: Final = 20
INLINE_OCTETS_MAX: Final = 64 * 1024
_ADDRESS_CHARACTERS_MAX: Final = 320
_KIND: Final = "bounce"


@dataclass(frozen=True, slots=True)
class Bounce:
    """What the owner of an alias is shown."""

    alias: str
    at: datetime
    recipient: str
    status: str
    text: str


class Bounces:
    """Takes bounces, keeps what they say for a while."""

    def __init__(self, storage: Storage, srs: Srs, clock: Clock, *, srs_domain: str = "") -> None:
        self._directory = storage.directory
        self._memory = storage.memory
        self._srs = srs
        self._clock = clock
        self.srs_domain: Final = srs_domain
        """Of rewritten senders; empty: the domain through which a message leaves."""

    async def is_return_address(self, address: Address, mail_from: Address | None) -> bool:
        """Whether mail to this address is a bounce of what we have sent on.

        Errors: NoSuchAddress for a forged or old return address; NotAllowed for mail to it that is no bounce.
        """
        if not is_rewritten(address):
            return False
        if address.domain != self.srs_domain and await self._directory.domain(address.domain) is None:
            return False
        today = self._clock.now().date()
        try:
            if is_handle(address):
                self._srs.handle_of(address, today)
            else:
                self._srs.reverse(address, today)
        except SrsRefused as error:
            raise NoSuchAddress(error.public_text) from None
        if mail_from is not None:
            raise NotAllowed("That address takes bounces only")
        return True

    async def absorb(self, octets: bytes, addresses: Sequence[Address], trace: MessageTrace) -> None:
        """Keep what a bounce says, for the alias through which the message had gone."""
        now = self._clock.now()
        report = parse_dsn(octets) if len(octets) <= INLINE_OCTETS_MAX else await asyncio.to_thread(parse_dsn, octets)
        # What is returned has passed through strangers: it may name only what belongs to the return address.
        domains = {each.domain for each in addresses}
        aliases = [
            each
            for each in sorted(tracefields.read(report.returned_header).original_to if report else ())
            if len(each) <= _ADDRESS_CHARACTERS_MAX
            and (self.srs_domain in domains or each.rpartition("@")[2] in domains)
        ]
        alias = aliases[0] if aliases else str(addresses[0])
        for each in (report.recipients if report else ())[:SHOWN_MAX]:
            if each.action is Action.FAILED:
                kept = Bounce(
                    alias, now, each.address[:_ADDRESS_CHARACTERS_MAX], each.status[:20], each.diagnostic[:500]
                )
                await self._keep(kept, now)
                trace.note("bounce", "absorbed", f"{kept.recipient}: {kept.status} {kept.text}", recipient=alias)
        if not report:
            trace.note("bounce", "absorbed", "no report in it", recipient=alias)

    async def failed(self, alias: Address, recipient: str, status: str, text: str) -> None:
        """Keep a failure that we have seen ourselves."""
        now = self._clock.now()
        await self._keep(Bounce(alias.key, now, recipient[:_ADDRESS_CHARACTERS_MAX], status[:20], text[:500]), now)

    async def _keep(self, bounce: Bounce, now: datetime) -> None:
        # One per alias and recipient: the newest is what counts.
        key = f"{bounce.alias} {bounce.recipient}"
        await self._memory.remember(_KIND, {key: msgspec.json.encode(bounce)}, now + KEPT)

    async def of(self, alias: Address) -> list[Bounce]:
        """What has bounced behind an alias lately, newest first."""
        kept = await self._memory.recall_all(_KIND, self._clock.now())
        found = [
            msgspec.json.decode(value, type=Bounce) for key, value in kept.items() if key.startswith(f"{alias.key} ")
        ]
        return sorted(found, key=lambda bounce: bounce.at, reverse=True)
