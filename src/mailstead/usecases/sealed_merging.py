"""Taking in mail that has waited, sealed, for a locked account: in its order, each message once.

Filters run now: they are the account's own and were as locked as its mail. So what they file, flag, discard and
redirect is done, later than usual. Nobody is answered (vacation, notices: too late to be of use), and nothing is
rejected: it was accepted, and INBOX takes it.

Once means: in the account's store, which notes each record in the transaction that files it. A redirect is queued
before that, and noted; if the process dies right between queueing and noting, it goes out twice, but never not at all.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import timedelta
from typing import Final

from mailstead.mime.facts import message_facts
from mailstead.mime.header import header_end
from mailstead.model.directory import Account
from mailstead.model.errors import AccountLocked, MailsteadError
from mailstead.model.ids import AccountId
from mailstead.model.message import NewMessage
from mailstead.ports.clock import Clock
from mailstead.ports.sealed import Filed, WaitingMail
from mailstead.ports.storage import Storage
from mailstead.telemetry import log, metrics
from mailstead.usecases import filings
from mailstead.usecases.dispatch import Accepted, Dispatch, Target
from mailstead.usecases.filings import Filing
from mailstead.usecases.sealed_arrivals import Arrival, Way, read_arrival
from mailstead.usecases.tracing import Tracing

BATCH_OCTETS: Final = 8 * 1024 * 1024
_QUEUED: Final = "sealed redirects"
_QUEUED_KEPT: Final = timedelta(days=30)

_log = log.get("sealed")


class SealedMerging:
    """Takes in what has waited. Of one account, one at a time in each process."""

    def __init__(self, storage: Storage, clock: Clock, dispatch: Dispatch, tracing: Tracing) -> None:
        self._storage = storage
        self._sealed = storage.sealed
        self._clock = clock
        self._dispatch = dispatch
        self._tracing = tracing
        self._turns: defaultdict[AccountId, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def merge(self, account: Account) -> int:
        """Take in all that waits; gives how many messages. Errors: AccountLocked; of the store."""
        count = 0
        async with self._turns[account.account_id]:
            while waiting := await self._sealed.waiting(account.account_id, BATCH_OCTETS):
                done: list[str] = []
                try:
                    for mail in waiting:
                        await self._take(account, mail)
                        done.append(mail.record_id)
                finally:
                    if done:
                        await self._sealed.finished(account.account_id, done)
                count += len(done)
        if count:
            _log.info("waiting mail is taken in", account_id=account.account_id, count=count)
        return count

    async def tidy(self) -> None:
        """Take in what waits for accounts that are not locked, and forget what waits for those that are gone.

        What waits for one that was unsealed meanwhile, above all. Errors: of the store.
        """
        for account_id in await self._sealed.waiting_counts():
            account = await self._storage.directory.account(account_id)
            if account is None:
                await self._sealed.forget(account_id)
                continue
            try:
                await self.merge(account)
            except AccountLocked:
                continue

    async def _take(self, account: Account, mail: WaitingMail) -> None:
        arrival = read_arrival(mail.facts)
        if arrival is None:
            _log.error("how a message came is not known any more", account_id=account.account_id)
        if arrival is None or arrival.way is None:
            filing = Filing() if arrival is None else arrival.filing
            at = self._clock.now() if arrival is None else arrival.at
            facts = await asyncio.to_thread(message_facts, mail.octets)
            message = NewMessage(mail.octets, facts, at, filing.flags)
            filed = [Filed(filing.mailbox, message, filing.creates, filing.special_use)]
            await self._sealed.take_in(account.account_id, mail.record_id, filed, self._clock.now())
            return
        await self._filter(account, mail, arrival, arrival.way)

    async def _filter(self, account: Account, mail: WaitingMail, arrival: Arrival, way: Way) -> None:
        trace, octets = mail.octets[: arrival.trace_octets], mail.octets[arrival.trace_octets :]
        message = await self._accepted(way, octets, account)
        target = Target(account, way.envelope.recipients[0], way.judgement)
        decided = await self._decided(message, target, mail.record_id)
        filed: list[Filed] = []
        if decided.filings:
            joined = trace + (octets if decided.octets is None else decided.octets)
            facts = await asyncio.to_thread(message_facts, joined)
            filed = [
                Filed(each.mailbox, NewMessage(joined, facts, arrival.at, each.flags), each.creates, each.special_use)
                for each in decided.filings
            ]
        if await self._sealed.take_in(account.account_id, mail.record_id, filed, self._clock.now()):
            await self._dispatch.after_late(message, target, decided)

    async def _decided(self, message: Accepted, target: Target, record_id: str) -> filings.Filed:
        """Ask the filters, and queue what they redirect. Errors: of the store."""
        now = self._clock.now()
        try:
            decided, items = await self._dispatch.decide_late(message, target)
        except MailsteadError:
            raise
        except Exception as error:  # noqa: BLE001  # a bug: one message must not hold up all behind it
            metrics.BUGS.labels("sealed").inc()
            _log.exception("filters could not be asked", queue_id=message.queue_id, exc_info=error)
            return filings.Filed()
        if items and not await self._storage.memory.recall(_QUEUED, [record_id], now):
            await self._storage.queue.put(items)
            await self._storage.memory.remember(_QUEUED, {record_id: b""}, now + _QUEUED_KEPT)
        return decided

    async def _accepted(self, way: Way, octets: bytes, account: Account) -> Accepted:
        mail_from = way.envelope.mail_from
        trace = await self._tracing.of(way.queue_id, "in", mail_from, account.address.domain, way.hop.peer.address)
        trace.identify(way.message_id)
        return Accepted(
            queue_id=way.queue_id,
            hop=way.hop,
            envelope=way.envelope,
            octets=bytearray(octets),
            header=octets[: header_end(octets)],
            trace=trace,
            message_id=way.message_id,
            authentication=way.authentication,
            results=way.results,
            results_text=way.results_text,
            is_submission=way.is_submission,
            domain=way.domain,
            impersonated=way.impersonated,
        )
