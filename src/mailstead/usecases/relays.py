"""Relaying: what is due in the queue goes to where it is due, and whatever comes of it is recorded.

Theory of operation. One loop leases deliveries, of different destinations where possible, and gives each to a task. A
task opens a session to the destination, sends, and goes on with further deliveries for the same destination while the
session is open. Each result is settled, with the notices that follow from it, in one unit of the store, before the next
but one message is sent: a crash repeats at most what the remote server has taken and we had not yet recorded.

A destination that cannot be reached rests as a whole, so a dead host costs one attempt now and then, however much waits
for it (attack row 24). What waits too long is told or given up by a sweep that asks no destination.

Spec: RFC 5321 §4.5.4 (retry), §6.1; RFC 3461 §5.2.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from mailstead.mime.dsn import Action
from mailstead.model.envelope import Envelope
from mailstead.model.errors import MailsteadError, NoSuchQueueItem
from mailstead.model.queue import (
    Delivery,
    Destination,
    DestinationKind,
    Outcome,
    QueuedRecipient,
    QueueItem,
    RecipientState,
    RemoteReply,
    Suppression,
)
from mailstead.policy import bounces
from mailstead.policy.retry import RetryTerms, rest, wait
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.queue import QUEUE
from mailstead.ports.relay import Relay, RelayFailed, RelaySession, RelayTerms
from mailstead.ports.storage import Storage
from mailstead.telemetry import log, metrics
from mailstead.usecases.bounces import Bounces
from mailstead.usecases.homecoming import Homecoming
from mailstead.usecases.notices import Notices, Told
from mailstead.usecases.routes import Routes
from mailstead.usecases.tracing import Tracing
from mailstead.usecases.webhooks import Webhooks

_log = log.get("queue")

POLL_S: Final = 30.0
"""How often the loop looks by itself, in case a wake-up was lost."""
GATHER_S: Final = 0.005
"""So long the loop lets wake-ups gather: under load many come at once, and each look costs a transaction."""
SWEEP_S: Final = 60.0
SWEEP_MAX: Final = 200
MORE_MAX: Final = 10
"""How many further deliveries a session leases at a time."""

EXPIRED: Final = RemoteReply(0, "4.4.7", "Delivery was tried until the message expired", is_permanent=True)


@dataclass(frozen=True, slots=True)
class RelaysTerms:
    """How many, how often, how long."""

    connections_max: int = 50
    per_destination_max: int = 5
    messages_per_connection_max: int = 100
    lease_s: float = 180.0
    delay_told_s: float = 4 * 3600.0
    retry: RetryTerms = field(default_factory=RetryTerms)


class Relays:
    """Works the queue off; one object per process, any number of processes."""

    def __init__(
        self,
        storage: Storage,
        bus: ChangeBus,
        clock: Clock,
        relay: Relay,
        webhooks: Webhooks,
        homecoming: Homecoming,
        routes: Routes,
        notices: Notices,
        shown: Bounces,
        tracing: Tracing,
        terms: RelaysTerms,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._queue = storage.queue
        self._bus = bus
        self._clock = clock
        self._relay = relay
        self._webhooks = webhooks
        self._homecoming = homecoming
        self._routes = routes
        self._notices = notices
        self._bounces = shown
        self._tracing = tracing
        self._terms = terms
        self._chance = chance
        self._leased: dict[str, Delivery] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # the loop

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; what is under way then is finished."""
        wake = asyncio.Event()
        keeper = asyncio.create_task(self._keep_leases())
        sweeper = asyncio.create_task(self._sweep())
        stopping = asyncio.create_task(stop.wait())
        try:
            with self._bus.watch(QUEUE, wake.set):
                while not stop.is_set():
                    wake.clear()
                    try:
                        pause_s = await self._begin_what_is_due()
                    except MailsteadError as error:
                        _log.warning("the queue cannot be read", error=error.public_text)
                        pause_s = 5.0
                    if pause_s > 0:
                        await self._pause(wake, stopping, pause_s)
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            for task in (keeper, sweeper, stopping, *self._tasks):
                task.cancel()
            await asyncio.gather(keeper, sweeper, stopping, *self._tasks, return_exceptions=True)

    async def _begin_what_is_due(self) -> float:
        """Lease and start what is due; give how long there is nothing more to do, without a wake-up."""
        free = self._terms.connections_max - len(self._tasks)
        if free <= 0:
            return POLL_S
        now = self._clock.now()
        leased = await self._queue.lease(now, self._until(now), free, self._terms.per_destination_max)
        for delivery in leased:
            self._leased[delivery.lease_id] = delivery
            task = asyncio.create_task(self._work(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if leased:
            return 0.0
        due_at = await self._queue.next_due_at()
        return POLL_S if due_at is None else min(POLL_S, max(0.05, (due_at - now).total_seconds()))

    async def _pause(self, wake: asyncio.Event, stopping: asyncio.Task[bool], pause_s: float) -> None:
        """Wait for a wake-up, the end of some task, the time, or the stop."""
        waking = asyncio.create_task(wake.wait())
        try:
            await asyncio.wait({waking, stopping, *self._tasks}, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(GATHER_S)
        finally:
            waking.cancel()

    async def _keep_leases(self) -> None:
        """Keep the leases of what is under way."""
        while True:
            await asyncio.sleep(self._terms.lease_s / 3)
            if self._leased:
                with contextlib.suppress(MailsteadError):
                    await self._queue.extend(list(self._leased.values()), self._until(self._clock.now()))

    def _until(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._terms.lease_s)

    # one delivery, and those that follow it through the same session

    async def _work(self, delivery: Delivery) -> None:
        try:
            if delivery.item.expires_at <= self._clock.now():
                await self._give_up(delivery)
            elif delivery.destination.kind is DestinationKind.LOCAL:
                await self._bring_home(delivery)
            elif delivery.destination.kind is DestinationKind.WEBHOOK:
                await self._post(delivery)
            else:
                await self._relay_away(delivery)
        except MailsteadError as error:
            _log.warning("a delivery could not be settled", queue_id=delivery.item.queue_id, error=error.public_text)
            await self._give_back(delivery)
        except Exception as error:  # noqa: BLE001  # the frontier: a bug with one message must not stop the queue
            metrics.BUGS.labels("queue").inc()
            _log.exception("delivery failed", queue_id=delivery.item.queue_id, exc_info=error)
            reply = RemoteReply(0, "4.3.0", "Something went wrong here; it has been noted")
            with contextlib.suppress(MailsteadError):
                await self._settle(delivery, [reply] * len(delivery.item.recipients), b"")
        finally:
            self._leased.pop(delivery.lease_id, None)

    async def _give_back(self, delivery: Delivery) -> None:
        self._leased.pop(delivery.lease_id, None)
        with contextlib.suppress(MailsteadError):  # the lease runs out by itself
            await self._queue.give_back(delivery)

    async def _relay_away(self, first: Delivery) -> None:
        destination = first.destination
        terms = await self._terms_of(first.item)
        try:
            session = await self._relay.open(destination, terms)
        except RelayFailed as failed:
            await self._not_reached(first, failed.reply, terms)
            return
        waiting: list[Delivery] = []
        try:
            await self._queue.destination_reached(destination)
            await self._send_all(session, first, terms, waiting)
        finally:
            for delivery in waiting:
                await self._give_back(delivery)
            await session.close()

    async def _send_all(
        self, session: RelaySession, first: Delivery, terms: RelayTerms, waiting: list[Delivery]
    ) -> None:
        """Send, and go on with what else is due there; what is left in `waiting` was leased and not sent."""
        settling: asyncio.Task[None] | None = None
        delivery, count = first, 0
        try:
            while True:
                octets, replies = await self._send(session, delivery)
                if settling is not None:
                    await settling
                settling = asyncio.create_task(self._settle(delivery, replies, octets, session=session))
                count += 1
                if not session.is_open or count >= self._terms.messages_per_connection_max:
                    break
                if not waiting:
                    now = self._clock.now()
                    more = await self._queue.lease_more(first.destination, now, self._until(now), MORE_MAX)
                    self._leased.update({each.lease_id: each for each in more})
                    waiting += more
                if not waiting or await self._terms_of(waiting[0].item) != terms:
                    break
                delivery = waiting.pop(0)
        finally:
            if settling is not None:
                await settling

    async def _terms_of(self, item: QueueItem) -> RelayTerms:
        terms = await self._routes.terms(item.domain)
        return replace(terms, require_tls=item.require_tls, tls_optional=item.tls_optional)

    async def _send(self, session: RelaySession, delivery: Delivery) -> tuple[bytes, Sequence[RemoteReply]]:
        item = delivery.item
        octets = await self._queue.octets(item.item_id)
        return octets, await session.send(_envelope(item), octets)

    async def _not_reached(self, delivery: Delivery, reply: RemoteReply, terms: RelayTerms) -> None:
        """No server of the destination could be used."""
        if not reply.is_permanent and not terms.require_tls:
            await self._rest(delivery.destination, reply)
        await self._settle(delivery, [reply] * len(delivery.item.recipients))

    async def _rest(self, destination: Destination, reply: RemoteReply) -> None:
        """Leave a destination alone for a while."""
        failures = await self._queue.failure_count(destination) + 1
        not_before = self._clock.now() + rest(failures, self._terms.retry, self._chance())
        await self._queue.destination_failed(destination, not_before, reply)

    async def _bring_home(self, delivery: Delivery) -> None:
        octets = await self._queue.octets(delivery.item.item_id)
        await self._settle(delivery, await self._homecoming.deliver(delivery.item, octets), octets)

    async def _post(self, delivery: Delivery) -> None:
        octets = await self._queue.octets(delivery.item.item_id)
        await self._settle(delivery, await self._webhooks.post(delivery.item, octets), octets)

    # results

    async def _settle(
        self,
        delivery: Delivery,
        replies: Sequence[RemoteReply],
        octets: bytes | None = None,
        *,
        session: RelaySession | None = None,
    ) -> None:
        """Record what each recipient got, with the notices that follow from it."""
        item, now = delivery.item, self._clock.now()
        outcomes: list[Outcome] = []
        told: list[Told] = []
        for recipient, reply in zip(item.recipients, replies, strict=True):
            outcome = self._outcome(item, recipient, reply, now)
            outcomes.append(outcome)
            told += _told(recipient, outcome, offers_dsn=session is not None and session.offers_dsn)
        await self._record(delivery, outcomes, told, octets)
        await self._remember_failures(item, outcomes, now)
        slowing = next((each for each in replies if _slows(each)), None)
        if slowing is not None:
            await self._rest(delivery.destination, slowing)

    async def _record(
        self, delivery: Delivery, outcomes: Sequence[Outcome], told: Sequence[Told], octets: bytes | None
    ) -> None:
        item = delivery.item
        notices = []
        if told and item.notify_to is not None:
            if octets is None:
                octets = await self._octets_or_nothing(item)
            notices = await self._notices.about_item(item, octets, told)
        await self._queue.settle(delivery, outcomes, notices)
        self._leased.pop(delivery.lease_id, None)
        await self._note(delivery, outcomes)

    async def _octets_or_nothing(self, item: QueueItem) -> bytes:
        try:
            return await self._queue.octets(item.item_id)
        except NoSuchQueueItem:
            return b""

    def _outcome(self, item: QueueItem, recipient: QueuedRecipient, reply: RemoteReply, now: datetime) -> Outcome:
        if reply.is_positive:
            return Outcome(recipient.recipient_id, RecipientState.DELIVERED, reply)
        if reply.is_permanent:
            return Outcome(recipient.recipient_id, RecipientState.FAILED, reply)
        next_at = now + wait(recipient.attempt_count + 1, self._terms.retry, self._chance())
        if now >= item.expires_at:
            return Outcome(recipient.recipient_id, RecipientState.FAILED, _expired(reply))
        return Outcome(
            recipient.recipient_id,
            RecipientState.WAITING,
            reply,
            min(next_at, item.expires_at),
            tells_delay=self._is_delay_due(item, recipient, now),
        )

    def _is_delay_due(self, item: QueueItem, recipient: QueuedRecipient, now: datetime) -> bool:
        """Whether the author is to be told now that the message waits. Spec: RFC 3461 §4.1 (DELAY)."""
        notify = recipient.recipient.notify
        wanted = not notify or "DELAY" in notify
        is_late = (now - item.accepted_at).total_seconds() >= self._terms.delay_told_s
        return wanted and is_late and not recipient.is_delay_told and item.notify_to is not None

    async def _give_up(self, delivery: Delivery) -> None:
        """The message has expired."""
        outcomes = [
            Outcome(each.recipient_id, RecipientState.FAILED, _expired(each.last_reply))
            for each in delivery.item.recipients
        ]
        told = [
            found
            for each, outcome in zip(delivery.item.recipients, outcomes, strict=True)
            for found in _told(each, outcome, offers_dsn=False)
        ]
        await self._record(delivery, outcomes, told, None)

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

    # what waits too long at a destination that rests

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                while await self.sweep_once() >= SWEEP_MAX:
                    pass
            except MailsteadError as error:
                _log.warning("the queue cannot be swept", error=error.public_text)

    async def sweep_once(self) -> int:
        """Give up what has expired and tell delays, without asking any destination; gives how many were looked at."""
        now = self._clock.now()
        told_before = now - timedelta(seconds=self._terms.delay_told_s)
        overdue = await self._queue.lease_overdue(now, told_before, self._until(now), SWEEP_MAX)
        for delivery in overdue:
            if delivery.item.expires_at <= now:
                await self._give_up(delivery)
                continue
            outcomes = [
                Outcome(
                    each.recipient_id,
                    RecipientState.WAITING,
                    each.last_reply or RemoteReply(text="The destination cannot be reached"),
                    each.next_attempt_at,
                    tells_delay=True,
                )
                for each in delivery.item.recipients
            ]
            told = [
                Told(each.recipient, Action.DELAYED, outcome.reply, each.via)
                for each, outcome in zip(delivery.item.recipients, outcomes, strict=True)
                if self._is_delay_due(delivery.item, each, now)
            ]
            await self._record(delivery, outcomes, told, None)
        return len(overdue)


def _envelope(item: QueueItem) -> Envelope:
    return Envelope(
        mail_from=item.mail_from,
        recipients=tuple(each.recipient for each in item.recipients),
        body=item.body,
        smtputf8=item.smtputf8,
        size_octets=item.size_octets,
        ret=item.ret,
        envid=item.envid,
        require_tls=item.require_tls,
    )


def _slows(reply: RemoteReply) -> bool:
    """Whether a server that has answered asks for less, or lists us: more of the same would make it worse."""
    return reply.code > 0 and not reply.is_positive and bounces.classify(reply).remedy is bounces.Remedy.SLOW_DOWN


def _expired(last: RemoteReply | None) -> RemoteReply:
    """Join that the message has expired with what was heard last."""
    if last is None:
        return EXPIRED
    return replace(last, is_permanent=True, enhanced="4.4.7", text=f"{EXPIRED.text}; last: {last.text}")


def _told(recipient: QueuedRecipient, outcome: Outcome, *, offers_dsn: bool) -> list[Told]:
    """What the author is to be told about one recipient. Spec: RFC 3461 §5.2.2 to §5.2.6."""
    notify = recipient.recipient.notify
    if outcome.state is RecipientState.FAILED and (not notify or "FAILURE" in notify):
        return [Told(recipient.recipient, Action.FAILED, outcome.reply, recipient.via)]
    if outcome.tells_delay:
        return [Told(recipient.recipient, Action.DELAYED, outcome.reply, recipient.via)]
    is_passed_on = outcome.state is RecipientState.DELIVERED and recipient.destination.kind is not DestinationKind.LOCAL
    if is_passed_on and "SUCCESS" in notify and not offers_dsn:
        return [Told(recipient.recipient, Action.RELAYED, outcome.reply, recipient.via)]
    return []
