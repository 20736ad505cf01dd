"""Reception: mail that others bring, from MAIL to the answer behind the data, as one small transaction.

Spec: RFC 5321 §3.3 (the transaction), §4.4 (trace fields), §6.1 (responsibility), §6.3 (loops).
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, NamedTuple

from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.model.envelope import Envelope, Peer, Recipient
from mailstead.model.errors import MailLoop, NotOurDomain, TryAgainLater
from mailstead.model.ids import AccountId
from mailstead.ports.clock import Clock
from mailstead.usecases import tracefields
from mailstead.usecases.addresses import Addresses, Resolution
from mailstead.usecases.deliveries import Copy, Deliveries
from mailstead.usecases.staged import StagedOctets
from mailstead.usecases.staging import Staging
from mailstead.usecases.tracefields import Hop

_run: Final = secrets.token_hex(4)
_numbers: Final = itertools.count(1)


def new_queue_id() -> str:
    """Give a transaction the id that stands in Received, in the reply and in the log."""
    return f"{_run}{next(_numbers):06x}"


@dataclass(frozen=True, slots=True)
class ReceptionTerms:
    """What we call ourselves and how much we take."""

    hostname: str
    message_octets_max: int
    received_max: int = 50
    """Spec: RFC 5321 §6.3: at least 100 is suggested, and fewer is what busy servers use; attack row 18."""


class Target(NamedTuple):
    """An account that gets the message, and the recipient through which it does."""

    account: Account
    rcpt_to: Address


class Reception:
    """One message from MAIL to its answer. Whoever begins one ends it with `accept` or `abandon`."""

    def __init__(
        self, house: Receptions, hop: Hop, envelope: Envelope, staged: StagedOctets, *, is_submission: bool = False
    ) -> None:
        self._house = house
        self._hop = hop
        self._staged = staged
        self._targets: dict[AccountId, Target] = {}
        self._is_submission = is_submission
        self.envelope = envelope
        self.queue_id = new_queue_id()

    @property
    def account_count(self) -> int:
        """How many mailboxes the message will be in."""
        return len(self._targets)

    def add_recipient(self, recipient: Recipient) -> Awaitable[None] | None:
        """Take a recipient; done when this gives None, which it does where the directory's answer is in memory.

        Errors, at once or when awaited: NoSuchAddress, NotOurDomain, OverQuota; TryAgainLater for an alias that
        leads out of the house, as long as relaying does not exist.
        Spec: RFC 5321 §3.3 (refuse at RCPT what will not be delivered).
        """
        resolution = self._house.addresses.resolve_cached(recipient.address)
        if resolution is None:
            return self._add_unknown(recipient.address)
        return self._add(recipient.address, resolution)

    async def _add_unknown(self, address: Address) -> None:
        house = self._house
        is_bare_postmaster = address == Address("postmaster", house.terms.hostname)
        try:
            resolution = await house.addresses.resolve(address)
        except NotOurDomain:
            if not is_bare_postmaster:
                raise
            resolution = await house.addresses.resolve(await house.deliveries.postmaster(address))
        more = self._add(address, resolution)
        if more is not None:
            await more

    def _add(self, address: Address, resolution: Resolution) -> Awaitable[None] | None:
        if resolution.foreign:
            raise TryAgainLater("That address leads to another server, and mail is not relayed yet; try again later")
        if any(account.quota_octets is not None for account in resolution.accounts):
            return self._add_with_room(address, resolution)
        self._keep(address, resolution)
        return None

    async def _add_with_room(self, address: Address, resolution: Resolution) -> None:
        for account in resolution.accounts:
            if account.quota_octets is not None:
                await self._house.deliveries.check_room(account, self.envelope.size_octets or 0)
        self._keep(address, resolution)

    def _keep(self, address: Address, resolution: Resolution) -> None:
        for account in resolution.accounts:
            self._targets.setdefault(account.account_id, Target(account, address))

    def write(self, chunk: bytes) -> None:
        """Take octets of the message. Errors: MessageTooLarge, StorageFull."""
        self._staged.write(chunk)

    def abandon(self) -> None:
        """Drop the message; may be called again, and after `accept`."""
        self._staged.release()

    async def accept(self) -> None:
        """Check the complete message and deliver it; when this returns it is on stable storage, for every recipient.

        Errors: MessageTooLarge (header), BadMessage, MailLoop; OverQuota, StorageFull, StorageUnavailable,
        TryAgainLater (see `deliveries`).
        Effects: nothing of the message stays in memory, whatever the outcome.
        Spec: RFC 5321 §6.1; attack rows 8 and 18.
        """
        try:
            header = self._staged.header()
            self._check_loop(header)
            await self._deliver()
        finally:
            self._staged.release()

    def _check_loop(self, header: bytes) -> None:
        """Refuse a message that goes in circles. Spec: RFC 5321 §6.3, RFC 9228 §5; attack row 18."""
        trace = tracefields.read(header)
        if trace.received_count > self._house.terms.received_max:
            raise MailLoop(f"The message has more than {self._house.terms.received_max} Received fields")
        if self._is_submission:
            return  # a person who sends received mail on leaves its Delivered-To in place
        for target in self._targets.values():
            if target.account.address.key in trace.delivered_to:
                raise MailLoop("The message has been delivered to that address before")

    async def _deliver(self) -> None:
        at = self._house.clock.now()
        return_path = tracefields.return_path(self.envelope.mail_from)
        copies = []
        for target in self._targets.values():
            listed_trace = return_path + tracefields.delivered_to(target.account.address)
            received = tracefields.received(self._hop, self.queue_id, target.rcpt_to, at)
            copies.append(Copy(target.account.account_id, listed_trace.encode(), received.encode()))
        await self._house.deliveries.deliver(self._staged.octets, copies, self.envelope.mail_from)


class Receptions:
    """Begins receptions; one object for all conversations of the process."""

    def __init__(
        self, addresses: Addresses, deliveries: Deliveries, staging: Staging, clock: Clock, terms: ReceptionTerms
    ) -> None:
        self.addresses: Final = addresses
        self.deliveries: Final = deliveries
        self.staging: Final = staging
        self.clock: Final = clock
        self.terms: Final = terms

    def begin(self, peer: Peer, helo: str, envelope: Envelope, *, is_extended: bool = True) -> Reception:
        """Begin with what MAIL said. Any sender is taken: who may say what is for mail authentication to judge."""
        hop = Hop(peer, helo, self.terms.hostname, is_extended, is_authenticated=False, is_smtputf8=envelope.smtputf8)
        return Reception(self, hop, envelope, StagedOctets(self.staging, self.terms.message_octets_max))
