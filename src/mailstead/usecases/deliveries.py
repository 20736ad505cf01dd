"""Delivery: a complete message into the mailboxes of its recipients, and only then an answer.

SMTP has one answer for all recipients of a message (RFC 5321 §4.2.5), so what if it fails for some?

- It failed for all: the error is the answer; a temporary one if any of them is.
- Further copies that leave the house go into the queue behind that, in one unit. If even this fails, the answer is
  temporary too.
- It failed for some: the answer is temporary, whatever the failure, so the sender keeps the message and comes again
  for all. A permanent failure (over quota) is then said at RCPT, to that recipient alone, and the others go through.
  Nothing is ever lost, and no bounce is ever made by us (attack row 17). So that those who have the message
  do not get it twice, we remember who got it: in memory, for the last few such messages. After a restart in between,
  a duplicate is possible, as RFC 5321 §6.1 accepts.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from mailstead.mime.facts import message_facts
from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.model.errors import (
    AccountLocked,
    BadMailboxName,
    LimitReached,
    MailboxExists,
    MailsteadError,
    NoSuchMailbox,
    OverQuota,
    TryAgainLater,
)
from mailstead.model.flags import Flags
from mailstead.model.ids import AccountId
from mailstead.model.mailbox import INBOX
from mailstead.model.message import MessageFacts, NewMessage, Octets
from mailstead.model.queue import NewItem
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log, metrics
from mailstead.usecases.filings import Filing
from mailstead.usecases.sealed_arrivals import Arrival, Way, write_arrival

INLINE_OCTETS_MAX: Final = 64 * 1024
"""Smaller messages are parsed on the event loop: a hop to a thread would cost more."""

Place = tuple[AccountId, str]
"""A mailbox of an account: a filter may file one message into several."""

_QUEUE: Final = (AccountId("queue"), "")
"""Stands for the queue among the places for which something failed."""

REMEMBERED_MAX: Final = 1000
"""How many partly delivered messages we remember."""

_log = log.get("deliveries")


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy: into which mailbox of whom, and the trace fields that stand before the message in it."""

    account_id: AccountId
    listed_trace: bytes
    """Return-Path and Delivered-To, which clients ask for in lists (`mime.section.LISTED_FIELDS`)."""
    received: bytes
    """Received and what our checks have found."""
    mailbox: str = INBOX
    flags: Flags = frozenset()
    creates: bool = False
    """A mailbox that is not there is made; otherwise the message goes to INBOX then."""
    special_use: str | None = None
    """Of a mailbox to be made."""
    octets: bytes | None = None
    """The message as a filter has changed it; None: as it came."""
    way: Way | None = None
    """The account is sealed and locked: what its filters are to be told when it is opened."""

    @property
    def place(self) -> Place:
        """Where it goes."""
        return self.account_id, self.mailbox

    @property
    def trace(self) -> bytes:
        """All of them, in their order."""
        return self.listed_trace + self.received


class Deliveries:
    """Puts messages into mailboxes."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        *,
        stored: Callable[[AccountId, MessageFacts], None] | None = None,
        clear: Callable[[Account, datetime], Awaitable[int]] | None = None,
    ) -> None:
        """`stored` is told of each copy once it is on stable storage; it must be quick.

        `clear` may remove old mails from a mailbox that is nearly full, and says how many it has.
        """
        self._clear = clear
        self._accounts = storage.accounts
        self._directory = storage.directory
        self._queue = storage.queue
        self._sealed = storage.sealed
        self._clock = clock
        self._stored = stored
        self._partly: OrderedDict[bytes, frozenset[Place]] = OrderedDict()

    async def postmaster(self, address: Address) -> Address:
        """Give the address of who reads mail for the bare ``Postmaster``: the one of our first domain.

        Spec: RFC 5321 §4.5.1.
        """
        domains = await self._directory.domains()
        return Address(address.local_part, domains[0].name) if domains else address

    async def check_room(self, account: Account, size_octets: int) -> None:
        """Check that a message of that size (0: unknown) would fit.

        Errors: OverQuota, so that it can be said in the session (attack row 17); StorageUnavailable.
        """
        try:
            usage = await self._accounts.of(account.account_id).usage()
        except AccountLocked:
            await self._check_sealed_room(account, size_octets)
            return
        is_nearly_full = usage.quota_octets is not None and usage.size_octets * 4 >= usage.quota_octets * 3
        if is_nearly_full and self._clear is not None and await self._clear(account, self._clock.now()):
            usage = await self._accounts.of(account.account_id).usage()
        if usage.quota_octets is not None and usage.size_octets + max(size_octets, 1) > usage.quota_octets:
            metrics.count_as_relay("quota_exceeded")
            raise OverQuota
        if usage.quota_messages is not None and usage.message_count >= usage.quota_messages:
            raise OverQuota

    async def _check_sealed_room(self, account: Account, size_octets: int) -> None:
        """Check by what the store held when it was locked, and what has come since. Errors: OverQuota."""
        try:
            await self._sealed.check_room(account.account_id, max(size_octets, 1), account.quota_octets)
        except OverQuota:
            metrics.count_as_relay("quota_exceeded")
            raise

    async def deliver(
        self,
        octets: bytearray,
        copies: Sequence[Copy],
        mail_from: Address | None,
        items: Sequence[NewItem] = (),
        *,
        fingerprint: bytes | None = None,
    ) -> None:
        """Append all copies and queue all items; when this returns, all of them survive a power cut.

        `fingerprint`: of the octets as they came, where we have changed them in a way that is another one each time.

        Errors: see the module's text; OverQuota, StorageFull, StorageUnavailable, TryAgainLater.
        Effects: `octets` may be changed and is the store's until this returns.
        """
        if len(copies) == 1 and not items and not self._partly:
            await self._append_small_or_large(octets, copies)
            return
        if not copies and not self._partly:
            await self._put(items)
            return
        fingerprint = fingerprint or await fingerprint_of(octets, mail_from)
        had_before = self._partly.get(fingerprint, frozenset())
        copies = [copy for copy in copies if copy.place not in had_before]
        failures = await self._append_each(octets, copies)
        if not failures and items:
            try:
                await self._put(items)
            except MailsteadError as error:
                failures = {_QUEUE: error}
        if not failures:
            self._partly.pop(fingerprint, None)
            return
        delivered = had_before | {copy.place for copy in copies} - failures.keys()
        if delivered:
            self._partly[fingerprint] = delivered
            if len(self._partly) > REMEMBERED_MAX:
                self._partly.popitem(last=False)
        raise _answer(list(failures.values()), is_partial=bool(delivered))

    async def _put(self, items: Sequence[NewItem]) -> None:
        if items:
            await self._queue.put(items)

    async def _append_small_or_large(self, octets: bytearray, copies: Sequence[Copy]) -> None:
        for error in (await self._append_each(octets, copies)).values():
            raise error

    async def _append_each(self, octets: bytearray, copies: Sequence[Copy]) -> dict[Place, Exception]:
        """Append all copies, perhaps none; give what failed."""
        changed = [copy for copy in copies if copy.octets is not None]
        failures = await self._append_unchanged(octets, [copy for copy in copies if copy.octets is None])
        for copy in changed:
            joined = copy.trace + (copy.octets or b"")
            try:
                await self._append(copy, joined, await asyncio.to_thread(message_facts, joined))
            except Exception as error:  # noqa: BLE001  # raised again by `deliver`, known or not
                failures[copy.place] = error
        return failures

    async def _append_unchanged(self, octets: bytearray, copies: Sequence[Copy]) -> dict[Place, Exception]:
        if not copies:
            return {}
        if len(octets) > INLINE_OCTETS_MAX:
            return await self._append_large(octets, copies)
        if len(copies) == 1:
            copy = copies[0]
            joined = copy.trace + octets
            try:
                await self._append(copy, joined, message_facts(joined))
            except Exception as error:  # noqa: BLE001  # raised again by `deliver`, known or not
                return {copy.place: error}
            return {}
        first = copies[0]
        facts = message_facts(first.trace + octets)
        appends = [self._append(copy, copy.trace + octets, _facts_of(copy, first, facts)) for copy in copies]
        results = await asyncio.gather(*appends, return_exceptions=True)
        return _failures(copies, results)

    async def _append_large(self, octets: bytearray, copies: Sequence[Copy]) -> dict[Place, Exception]:
        """Append one after the other from the one buffer, so that a large message is never in memory twice.

        The longest trace comes first: after it, replacing one trace by the next only shortens the buffer at its
        front, which copies nothing.
        """
        copies = sorted(copies, key=lambda copy: len(copy.trace), reverse=True)
        first, facts = copies[0], None
        trace_length = 0
        failures: dict[Place, Exception] = {}
        for copy in copies:
            octets[:trace_length] = copy.trace
            trace_length = len(copy.trace)
            try:
                if facts is None:
                    first, facts = copy, await asyncio.to_thread(message_facts, octets)
                await self._append(copy, octets, _facts_of(copy, first, facts))
            except Exception as error:  # noqa: BLE001  # raised again by `deliver`, known or not
                failures[copy.place] = error
        return failures

    async def _append(self, copy: Copy, octets: Octets, facts: MessageFacts) -> None:
        store = self._accounts.of(copy.account_id)
        message = NewMessage(octets, facts, self._clock.now(), copy.flags)
        if copy.way is not None:
            await self._seal(copy, octets)
            return
        try:
            await store.append(copy.mailbox, [message], is_delivery=True)
        except AccountLocked:  # since its filters were asked
            await self._seal(copy, octets)
            return
        except NoSuchMailbox:
            if copy.mailbox == INBOX:
                raise
            await self._append_elsewhere(copy, message)
        metrics.count_as_relay("delivered_mail")
        if self._stored is not None:
            try:
                self._stored(copy.account_id, facts)
            except Exception as error:  # noqa: BLE001  # the message is stored: a bug here must not bring it again
                metrics.BUGS.labels("stored").inc()
                _log.exception("a stored copy was not told of", exc_info=error)

    async def _seal(self, copy: Copy, octets: Octets) -> None:
        """Seal a message to a locked account; whoever opens it takes it in (`usecases.sealed_merging`)."""
        account = await self._directory.account(copy.account_id)
        filing = Filing(copy.mailbox, copy.flags, copy.creates, copy.special_use)
        facts = write_arrival(Arrival(self._clock.now(), len(copy.trace), filing, copy.way))
        quota_octets = None if account is None else account.quota_octets
        await self._sealed.put(copy.account_id, facts, octets, quota_octets)
        metrics.count_as_relay("delivered_mail")

    async def _append_elsewhere(self, copy: Copy, message: NewMessage) -> None:
        """The mailbox that a filter has named is not there: make it if asked, else INBOX takes the message."""
        store = self._accounts.of(copy.account_id)
        mailbox = INBOX
        if copy.creates:
            try:
                await store.create_mailbox(copy.mailbox, copy.special_use)
                mailbox = copy.mailbox
            except MailboxExists:
                mailbox = copy.mailbox
            except (BadMailboxName, LimitReached):
                pass  # INBOX always takes it
        await store.append(mailbox, [message], is_delivery=True)


def _facts_of(copy: Copy, first: Copy, facts: MessageFacts) -> MessageFacts:
    """Give the facts of one copy from those of the first, which differ only by the trace, without parsing again."""
    if copy is first:
        return facts
    by = len(copy.trace) - len(first.trace)
    root, *others = facts.parts
    return replace(
        facts,
        size_octets=facts.size_octets + by,
        header_octets=facts.header_octets + by,
        listed_header=copy.listed_trace + facts.listed_header[len(first.listed_trace) :],
        parts=(
            root._replace(body_start=root.body_start + by, body_end=root.body_end + by),
            *(
                part._replace(
                    header_start=part.header_start + by, body_start=part.body_start + by, body_end=part.body_end + by
                )
                for part in others
            ),
        ),
    )


async def fingerprint_of(octets: bytearray, mail_from: Address | None) -> bytes:
    """Recognise a message that is sent again: same sender, same octets."""

    def digest() -> bytes:
        return hashlib.blake2b(octets, digest_size=16, person=b"delivery").digest()

    found = digest() if len(octets) <= INLINE_OCTETS_MAX else await asyncio.to_thread(digest)
    return found + str(mail_from or "").encode()


def _failures(copies: Sequence[Copy], results: Sequence[BaseException | None]) -> dict[Place, Exception]:
    failures: dict[Place, Exception] = {}
    for copy, result in zip(copies, results, strict=True):
        if isinstance(result, Exception):
            failures[copy.place] = result
        elif result is not None:
            raise result
    return failures


def _answer(errors: list[Exception], *, is_partial: bool) -> Exception:
    """Choose the one error that is the answer for all."""
    for error in errors:
        if not isinstance(error, MailsteadError):
            return error  # a bug: logged, and answered temporarily, by whoever called us
    if is_partial:
        return TryAgainLater("The message could not be stored for all recipients; please send it again")
    temporary = [error for error in errors if isinstance(error, MailsteadError) and error.is_temporary]
    return temporary[0] if temporary else errors[0]
