"""How a delivery ends: its results are recorded, with the notices that follow from them, or it is given back.

What a server has said is recorded, however long the store takes to record it: to forget it would be to send again. The
notices go into the same unit of the store, so that nobody is told twice, or not at all. What else follows from a result
(the trace, the bounces shown on an alias, the suppression list, the rest of a destination) may be lost.

Spec: RFC 5321 §6.1; RFC 3461 §5.2.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from mailstead.model.errors import MailsteadError, NoSuchQueueItem, StoreDamaged
from mailstead.model.queue import (
    Delivery,
    Destination,
    DestinationKind,
    NewItem,
    Outcome,
    QueueItem,
    RecipientState,
    RemoteReply,
    Suppression,
)
from mailstead.policy import bounces
from mailstead.ports.clock import Clock
from mailstead.ports.queue import Queue
from mailstead.telemetry import log, metrics
from mailstead.usecases.bounces import Bounces
from mailstead.usecases.notices import Notices, Told
from mailstead.usecases.outcomes import Outcomes, slows, told_of
from mailstead.usecases.tracing import Tracing
from mailstead.usecases.underway import UnderWay

_log = log.get("queue")

SETTLE_AGAIN_S: Final = 5.0


class Settling:
    """Ends deliveries that are under way; one object per process."""

    def __init__(
        self,
        queue: Queue,
        clock: Clock,
        outcomes: Outcomes,
        notices: Notices,
        shown: Bounces,
        tracing: Tracing,
        under_way: UnderWay,
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._outcomes = outcomes
        self._notices = notices
        self._bounces = shown
        self._tracing = tracing
        self._under_way = under_way

    async def settle(
        self,
        delivery: Delivery,
        replies: Sequence[RemoteReply],
        octets: bytes | None = None,
        *,
        offers_dsn: bool = False,
    ) -> None:
        """Record what each recipient got, with the notices that follow from it. Never fails; see `record`."""
        item, now = delivery.item, self._clock.now()
        outcomes: list[Outcome] = []
        told: list[Told] = []
        for recipient, reply in zip(item.recipients, replies, strict=True):
            outcome = self._outcomes.after_reply(item, recipient, reply, now)
            outcomes.append(outcome)
            told += told_of(recipient, outcome, offers_dsn=offers_dsn)
        await self.record([(delivery, outcomes)], told, octets)
        try:
            await self._remember_failures(item, outcomes, now)
            slowing = next((each for each in replies if slows(each)), None)
            if slowing is not None:
                await self.rest(delivery.destination, slowing)
        except MailsteadError as error:  # what counts is recorded
            _log.warning("what follows from a result was not noted", queue_id=item.queue_id, error=error.public_text)

    async def record(
        self, settled: Sequence[tuple[Delivery, Sequence[Outcome]]], told: Sequence[Told], octets: bytes | None
    ) -> None:
        """Record the outcomes of deliveries of one item, with the notices in one unit with the first.

        Goes on until the store has taken them: an outcome that is forgotten is a message that is sent again.
        """
        notices: Sequence[NewItem] | None = None
        for delivery, outcomes in settled:
            while True:
                try:
                    if notices is None:
                        notices = await self._notices_about(delivery.item, told, octets)
                    await self._queue.settle(delivery, outcomes, notices)
                    break
                except MailsteadError as error:
                    queue_id = delivery.item.queue_id
                    _log.warning("an outcome cannot be recorded yet", queue_id=queue_id, error=error.public_text)
                await asyncio.sleep(SETTLE_AGAIN_S)  # the store does not tell when it works again
            notices = ()
            self._under_way.let_go(delivery)
            with contextlib.suppress(MailsteadError):  # the trace is for people
                await self._note(delivery, outcomes)

    async def failed_here(self, delivery: Delivery, error: Exception) -> None:
        """Put a delivery off, as it failed for a reason of ours; due at once, it would fail again at once."""
        queue_id, text = delivery.item.queue_id, "Something went wrong here; it has been noted"
        if isinstance(error, MailsteadError):
            _log.warning("a delivery could not be tried", queue_id=queue_id, error=error.public_text)
            text = error.public_text
        else:
            metrics.BUGS.labels("queue").inc()
            _log.exception("delivery failed", queue_id=queue_id, exc_info=error)
        await self.settle(delivery, [RemoteReply(0, "4.3.0", text)] * len(delivery.item.recipients))

    async def supersede(self, delivery: Delivery, again: NewItem, reply: RemoteReply) -> None:
        """Put another item in the place of what was leased. Errors: those of the queue."""
        outcomes = [Outcome(each.recipient_id, RecipientState.CANCELLED, reply) for each in delivery.item.recipients]
        await self._queue.settle(delivery, outcomes, [again])
        await self._note(delivery, outcomes)

    async def give_back(self, delivery: Delivery) -> None:
        """End the lease of what was not tried; does nothing to a delivery that is settled."""
        with contextlib.suppress(MailsteadError):  # the lease runs out by itself
            await self._queue.give_back(delivery)
        self._under_way.let_go(delivery)

    async def rest(self, destination: Destination, reply: RemoteReply) -> None:
        """Leave a destination alone for a while. Errors: those of the queue."""
        failure_count = await self._queue.failure_count(destination) + 1
        not_before = self._clock.now() + self._outcomes.rest(failure_count)
        await self._queue.destination_failed(destination, not_before, reply)

    async def _notices_about(self, item: QueueItem, told: Sequence[Told], octets: bytes | None) -> Sequence[NewItem]:
        """Compose what the author is told. A message that cannot be told about was delivered, or not, all the same."""
        if not told or item.notify_to is None:
            return ()
        try:
            if octets is None:
                octets = await self._octets_or_nothing(item)
            return await self._notices.about_item(item, octets, told)
        except MailsteadError:
            raise
        except Exception as error:  # noqa: BLE001  # counted and logged
            metrics.BUGS.labels("queue").inc()
            _log.exception("a notice could not be made", queue_id=item.queue_id, exc_info=error)
            return ()

    async def _octets_or_nothing(self, item: QueueItem) -> bytes:
        try:
            return await self._queue.octets(item.item_id)
        except (NoSuchQueueItem, StoreDamaged):
            return b""

    async def _remember_failures(self, item: QueueItem, outcomes: Sequence[Outcome], now: datetime) -> None:
        """Show failures on the alias that led there; and suppress addresses that do not exist.

        So nobody of ours writes to them again unaware.
        """
        for recipient, outcome in zip(item.recipients, outcomes, strict=True):
            if outcome.state is not RecipientState.FAILED:
                continue
            reply = outcome.reply
            if recipient.via is not None:
                to = recipient.url or str(recipient.recipient.address)
                await self._bounces.failed(recipient.via, to, reply.enhanced or str(reply.code or ""), reply.text)
            is_by_mx = recipient.destination.kind is DestinationKind.DOMAIN
            if is_by_mx and bounces.classify(reply).suppresses:
                await self._queue.suppress(Suppression(recipient.recipient.address, str(reply)[:300], now))

    async def _note(self, delivery: Delivery, outcomes: Sequence[Outcome]) -> None:
        item = delivery.item
        trace = await self._tracing.of(item.queue_id, "out", item.mail_from, item.domain)
        trace.identify(item.message_id)
        for recipient, outcome in zip(item.recipients, outcomes, strict=True):
            again = f"; again at {outcome.next_attempt_at:%Y-%m-%d %H:%M:%S}Z" if outcome.next_attempt_at else ""
            reply = outcome.reply
            metrics.RELAYED.labels(outcome.state).inc()
            trace.note(
                "attempt",
                "deferred" if outcome.state is RecipientState.WAITING else outcome.state,
                f"to {recipient.url or recipient.destination.name or 'a mailbox here'}"
                f"{f' ({reply.security})' if reply.security else ''}{again}",
                recipient=recipient.recipient.address,
                peer=f"{reply.host} [{reply.address}]" if reply.address else reply.host,
                reply=" ".join(word for word in (str(reply.code or ""), reply.enhanced, reply.text) if word),
            )
