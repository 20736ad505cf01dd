"""Relaying: what is due in the queue goes to where it is due, and whatever comes of it is recorded.

Theory of operation. One loop leases deliveries, of different destinations where possible, and gives each to a task. A
task takes or opens a session to the destination, sends, and goes on with further deliveries for the same destination
while the session is open; then the session is kept a little for whatever comes next (`idle_sessions`). Each result is
settled, with the notices that follow from it, in one unit of the store, before the next but one message is sent: a
crash repeats at most what the remote server has taken and we had not yet recorded.

What a server has said is recorded, however long the store takes to record it: to forget it would be to send again.

A destination that cannot be reached rests as a whole, so a dead host costs one attempt now and then, however much waits
for it (attack row 24). What waits too long is told or given up by a sweep that asks no destination; while the clock is
in doubt nothing is (`clockwatch`).

Spec: RFC 5321 §4.5.4 (retry), §6.1; RFC 3461 §5.2.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from mailstead.mime.dsn import Action
from mailstead.model.envelope import Envelope
from mailstead.model.errors import MailsteadError, NoSuchQueueItem, StoreDamaged
from mailstead.model.queue import (
    Delivery,
    Destination,
    DestinationKind,
    NewItem,
    Outcome,
    QueuedRecipient,
    QueueItem,
    QueueItemId,
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
from mailstead.usecases.clockwatch import ClockWatch
from mailstead.usecases.homecoming import Homecoming
from mailstead.usecases.idle_sessions import IdleSessions, UsedSession
from mailstead.usecases.notices import Notices, Told
from mailstead.usecases.routes import Routes
from mailstead.usecases.tracing import Tracing
from mailstead.usecases.underway import UnderWay
from mailstead.usecases.webhooks import Webhooks

_log = log.get("queue")

POLL_S: Final = 30.0
"""How often the loop looks by itself, in case a wake-up was lost."""
GATHER_S: Final = 0.005
"""So long the loop lets wake-ups gather: under load many come at once, and each look costs a transaction."""
CROWDED_S: Final = 1.0
"""How long the loop sleeps at most while what is due must wait for others at its destination: their end wakes it."""
SWEEP_S: Final = 60.0
SWEEP_MAX: Final = 200
PATIENCE_S: Final = 3600.0
"""So long after the start nothing is given up untried: mail that has expired while we were down is tried once more."""
AHEAD_EVERY: Final = 10
"""Each so manieth sweep looks for what a wrong clock has put off."""
SETTLE_AGAIN_S: Final = 5.0
STOPPED_S: Final = 2.0
"""How long what was cut off may take to record what it knows."""
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
    hold_max_s: float = 30 * 86400.0
    """How long an author may put a message off."""
    stop_limit_s: float = 10.0
    """How long deliveries that are under way may take to end when we stop; the rest is cut off and given back."""


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
        self._idle_sessions = IdleSessions(clock)
        self._clock_watch = ClockWatch(clock)
        self._under_way = UnderWay()
        self._tasks: set[asyncio.Task[None]] = set()
        self._settling: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()

    # the loop

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; what is under way then is finished, or cut off at the limit and given back.

        Errors: whatever the loop or one of its chores dies of.
        """
        self._stop, wake = stop, asyncio.Event()
        chores = (asyncio.create_task(self._keep_leases()), asyncio.create_task(self._sweep()))
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
                        await self._pause(wake, {stopping, *chores}, pause_s)
                    for chore in chores:
                        if chore.done():
                            chore.result()
            if self._tasks:
                _, late = await asyncio.wait(self._tasks, timeout=self._terms.stop_limit_s)
                if late:
                    _log.warning("deliveries cut off at the stop limit", count=len(late))
        finally:
            for task in (*chores, stopping, *self._tasks):
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=STOPPED_S)
            for task in self._settling:
                task.cancel()
            await asyncio.gather(*chores, stopping, *self._tasks, return_exceptions=True)
            await self._idle_sessions.close()

    async def _begin_what_is_due(self) -> float:
        """Lease and start what is due; give how long there is nothing more to do, without a wake-up."""
        free = self._terms.connections_max - len(self._tasks)
        if free <= 0:
            return POLL_S
        now = self._clock.now()
        leased = await self._queue.lease(now, self._until(now), free, self._terms.per_destination_max)
        for delivery in leased:
            if not self._under_way.take_up(delivery):
                continue
            task = asyncio.create_task(self._work(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if leased:
            return 0.0
        due_at = await self._queue.next_due_at()
        if due_at is None:
            return POLL_S
        in_s = (due_at - now).total_seconds()
        return CROWDED_S if in_s <= 0 else min(POLL_S, max(0.05, in_s))

    async def _pause(self, wake: asyncio.Event, ends: Collection[asyncio.Task[Any]], pause_s: float) -> None:
        """Wait for a wake-up, the end of some task, the time, or the stop."""
        waking = asyncio.create_task(wake.wait())
        try:
            await asyncio.wait({waking, *ends, *self._tasks}, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(GATHER_S)
        finally:
            waking.cancel()

    async def _keep_leases(self) -> None:
        """Keep the leases of what is under way."""
        while True:
            await asyncio.sleep(self._terms.lease_s / 3)
            if self._under_way:
                with contextlib.suppress(MailsteadError):  # it comes round; and nobody here sends twice meanwhile
                    await self._queue.extend(self._under_way.deliveries, self._until(self._clock.now()))

    def _until(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._terms.lease_s)

    # one delivery, and those that follow it through the same session

    async def _work(self, delivery: Delivery) -> None:
        try:
            await self._under_way.make_room(delivery)
            if delivery.destination.kind is DestinationKind.LOCAL:
                await self._bring_home(delivery)
            elif delivery.destination.kind is DestinationKind.WEBHOOK:
                await self._post(delivery)
            else:
                await self._relay_away(delivery)
        except asyncio.CancelledError:
            await self._give_back(delivery)  # does nothing to one that is settled
            raise
        except Exception as error:  # noqa: BLE001  # the frontier: trouble with one message must not stop the queue
            await self._failed_here(delivery, error)
        finally:
            self._under_way.let_go(delivery)

    async def _failed_here(self, delivery: Delivery, error: Exception) -> None:
        """Put a delivery off, as it failed for a reason of ours; due at once, it would fail again at once."""
        queue_id, text = delivery.item.queue_id, "Something went wrong here; it has been noted"
        if isinstance(error, MailsteadError):
            _log.warning("a delivery could not be tried", queue_id=queue_id, error=error.public_text)
            text = error.public_text
        else:
            metrics.BUGS.labels("queue").inc()
            _log.exception("delivery failed", queue_id=queue_id, exc_info=error)
        await self._settle(delivery, [RemoteReply(0, "4.3.0", text)] * len(delivery.item.recipients))

    async def _give_back(self, delivery: Delivery) -> None:
        with contextlib.suppress(MailsteadError):  # the lease runs out by itself
            await self._queue.give_back(delivery)
        self._under_way.let_go(delivery)

    async def _relay_away(self, first: Delivery) -> None:
        terms = await self._terms_of(first.item)
        if first.destination.kind is DestinationKind.SMARTHOST and terms.smarthost is None:
            await self._reroute(first)
            return
        used = self._idle_sessions.take(first.destination, terms) or await self._open(first, terms)
        if used is None:
            return
        try:
            await self._send_all(used, first)
        finally:
            if self._is_usable(used) and not self._stop.is_set():
                self._idle_sessions.keep(used)
            else:
                await used.session.close()

    async def _reroute(self, delivery: Delivery) -> None:
        """Queue anew, the way that mail goes now, what waits for a smarthost that its domain does without since.

        Without the log-in, which is forgotten, the smarthost would refuse it for good.
        """
        item = delivery.item
        recipients = [await self._routes.to_address(each.recipient, item.domain, each.via) for each in item.recipients]
        again = NewItem(
            queue_id=item.queue_id,
            kind=item.kind,
            mail_from=item.mail_from,
            recipients=tuple(recipients),
            octets=await self._queue.octets(item.item_id),
            accepted_at=item.accepted_at,
            expires_at=item.expires_at,
            domain=item.domain,
            account_id=item.account_id,
            notify_to=item.notify_to,
            body=item.body,
            smtputf8=item.smtputf8,
            ret=item.ret,
            envid=item.envid,
            require_tls=item.require_tls,
            tls_optional=item.tls_optional,
            priority=item.priority,
            message_id=item.message_id,
        )
        reply = RemoteReply(text="The domain has no smarthost any more; queued anew")
        outcomes = [Outcome(each.recipient_id, RecipientState.CANCELLED, reply) for each in item.recipients]
        await self._queue.settle(delivery, outcomes, [again])
        await self._note(delivery, outcomes)

    async def _open(self, delivery: Delivery, terms: RelayTerms) -> UsedSession | None:
        """Open a session; where that fails the delivery is settled."""
        destination = delivery.destination
        self._idle_sessions.shrink(self._terms.connections_max - len(self._tasks))
        try:
            session = await self._relay.open(destination, terms)
        except RelayFailed as failed:
            await self._not_reached(delivery, failed.reply, terms)
            return None
        return UsedSession(session, destination, terms)

    def _is_usable(self, used: UsedSession) -> bool:
        return used.session.is_open and used.sent_count < self._terms.messages_per_connection_max

    async def _send_all(self, used: UsedSession, first: Delivery) -> None:
        """Send, and go on with what else is due there. Each delivery is settled or given back, whatever happens."""
        settling: asyncio.Task[None] | None = None
        waiting: list[Delivery] = []
        sending: Delivery | None = first
        try:
            while sending is not None:
                octets, replies = await self._send(used, sending)
                before, settling = settling, self._settle_soon(sending, replies, octets, used.session)
                sending = None
                if used.sent_count == 1:
                    await self._note_reached(used, replies)
                if before is not None:
                    await before
                if self._is_usable(used) and not any(map(_slows, replies)):
                    sending = await self._next(used, waiting)
        except Exception as error:  # noqa: BLE001  # as in `_work`; here it is known which delivery is meant
            if sending is not None:
                await self._failed_here(sending, error)
                sending = None
            else:
                _log.warning("nothing more goes through this session", error=repr(error))
        finally:
            for delivery in (*waiting, *([sending] if sending else [])):
                await self._give_back(delivery)
            if settling is not None:
                await settling

    async def _next(self, used: UsedSession, waiting: list[Delivery]) -> Delivery | None:
        """Give what may go through the session next; what was leased beyond that stays in `waiting`."""
        if not waiting and not self._stop.is_set():
            now = self._clock.now()
            more = await self._queue.lease_more(used.destination, now, self._until(now), MORE_MAX)
            waiting += [each for each in more if self._under_way.take_up(each)]
        if not waiting or self._stop.is_set() or await self._terms_of(waiting[0].item) != used.terms:
            return None
        return waiting.pop(0) if self._under_way.has_room(waiting[0]) else None

    async def _note_reached(self, used: UsedSession, replies: Sequence[RemoteReply]) -> None:
        """A server that has taken the connection counts as reached once it has answered something.

        One that greets and then is silent costs minutes for each message: the destination rests.
        """
        with contextlib.suppress(MailsteadError):
            if used.session.is_open or any(reply.code for reply in replies):
                await self._queue.destination_reached(used.destination)
            else:
                await self._rest(used.destination, replies[0])

    async def _terms_of(self, item: QueueItem) -> RelayTerms:
        terms = await self._routes.terms(item.domain)
        return replace(terms, require_tls=item.require_tls, tls_optional=item.tls_optional)

    async def _send(self, used: UsedSession, delivery: Delivery) -> tuple[bytes, Sequence[RemoteReply]]:
        item = delivery.item
        octets = await self._queue.octets(item.item_id)
        try:
            replies = await used.session.send(_envelope(item), octets)
        except BaseException:  # nobody knows what the conversation is about now
            await used.session.close()
            raise
        used.sent_count += 1
        return octets, replies

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

    def _settle_soon(
        self, delivery: Delivery, replies: Sequence[RemoteReply], octets: bytes, session: RelaySession
    ) -> asyncio.Task[None]:
        """Settle while the next message is being sent."""
        task = asyncio.create_task(self._settle(delivery, replies, octets, session=session))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        return task

    async def _settle(
        self,
        delivery: Delivery,
        replies: Sequence[RemoteReply],
        octets: bytes | None = None,
        *,
        session: RelaySession | None = None,
    ) -> None:
        """Record what each recipient got, with the notices that follow from it. Never fails; see `_record`."""
        item, now = delivery.item, self._clock.now()
        outcomes: list[Outcome] = []
        told: list[Told] = []
        for recipient, reply in zip(item.recipients, replies, strict=True):
            outcome = self._outcome(item, recipient, reply, now)
            outcomes.append(outcome)
            told += _told(recipient, outcome, offers_dsn=session is not None and session.offers_dsn)
        await self._record([(delivery, outcomes)], told, octets)
        try:
            await self._remember_failures(item, outcomes, now)
            slowing = next((each for each in replies if _slows(each)), None)
            if slowing is not None:
                await self._rest(delivery.destination, slowing)
        except MailsteadError as error:  # what counts is recorded
            _log.warning("what follows from a result was not noted", queue_id=item.queue_id, error=error.public_text)

    async def _record(
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
                await asyncio.sleep(SETTLE_AGAIN_S)
            notices = ()
            self._under_way.let_go(delivery)
            with contextlib.suppress(MailsteadError):  # the trace is for people
                await self._note(delivery, outcomes)

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

    def _outcome(self, item: QueueItem, recipient: QueuedRecipient, reply: RemoteReply, now: datetime) -> Outcome:
        if reply.is_positive:
            return Outcome(recipient.recipient_id, RecipientState.DELIVERED, reply)
        if reply.is_permanent:
            return Outcome(recipient.recipient_id, RecipientState.FAILED, reply)
        next_at = now + wait(recipient.attempt_count + 1, self._terms.retry, self._chance())
        if item.expires_at > now:
            next_at = min(next_at, item.expires_at)  # the last try
        elif self._clock_watch.is_believed():
            return Outcome(recipient.recipient_id, RecipientState.FAILED, _expired(reply))
        return Outcome(
            recipient.recipient_id,
            RecipientState.WAITING,
            reply,
            next_at,
            tells_delay=self._is_delay_due(item, recipient, now),
        )

    def _is_delay_due(self, item: QueueItem, recipient: QueuedRecipient, now: datetime) -> bool:
        """Whether the author is to be told now that the message waits. Spec: RFC 3461 §4.1 (DELAY)."""
        notify = recipient.recipient.notify
        wanted = not notify or "DELAY" in notify
        is_late = (
            now - item.accepted_at
        ).total_seconds() >= self._terms.delay_told_s and self._clock_watch.is_believed()
        return wanted and is_late and not recipient.is_delay_told and item.notify_to is not None

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
        started_s = self._clock.monotonic_s()
        count = 0
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                if count % AHEAD_EVERY == 0:
                    await self.bring_forward()
                count += 1
                is_patient = self._clock.monotonic_s() - started_s < PATIENCE_S
                while not is_patient and await self.sweep_once() >= SWEEP_MAX:
                    pass
            except MailsteadError as error:
                _log.warning("the queue cannot be swept", error=error.public_text)

    async def bring_forward(self) -> None:
        """Make due what a clock that ran ahead has put off."""
        now, terms = self._clock.now(), self._terms
        retried_by = now + timedelta(hours=1, seconds=2 * max(terms.retry.max_s, terms.lease_s))
        count = await self._queue.bring_forward(now, retried_by, retried_by + timedelta(seconds=terms.hold_max_s))
        if count:
            _log.warning("the clock had run ahead; what was put off until then is due now", count=count)

    async def sweep_once(self) -> int:
        """Give up what has expired and tell delays, without asking any destination; gives how many were looked at."""
        if not self._clock_watch.is_believed():
            return 0
        now = self._clock.now()
        told_before = now - timedelta(seconds=self._terms.delay_told_s)
        overdue = await self._queue.lease_overdue(now, told_before, self._until(now), SWEEP_MAX)
        by_item: dict[QueueItemId, list[Delivery]] = defaultdict(list)
        for delivery in overdue:
            if self._under_way.take_up(delivery):
                by_item[delivery.item.item_id].append(delivery)
        for deliveries in by_item.values():
            try:
                await self._sweep_item(deliveries, now)
            except Exception as error:  # noqa: BLE001  # the frontier, as in `_work`
                metrics.BUGS.labels("queue").inc()
                _log.exception("an item could not be swept", queue_id=deliveries[0].item.queue_id, exc_info=error)
            finally:
                for delivery in deliveries:
                    self._under_way.let_go(delivery)
        return len(overdue)

    async def _sweep_item(self, deliveries: Sequence[Delivery], now: datetime) -> None:
        """Give up or tell of a delay what waits of one item at some destinations; the author gets one notice."""
        settled: list[tuple[Delivery, list[Outcome]]] = []
        told: list[Told] = []
        for delivery in deliveries:
            outcomes = [self._overdue_outcome(delivery.item, each, now) for each in delivery.item.recipients]
            settled.append((delivery, outcomes))
            for recipient, outcome in zip(delivery.item.recipients, outcomes, strict=True):
                if outcome.state is RecipientState.FAILED or self._is_delay_due(delivery.item, recipient, now):
                    told += _told(recipient, outcome, offers_dsn=False)
        await self._record(settled, told, None)

    @staticmethod
    def _overdue_outcome(item: QueueItem, recipient: QueuedRecipient, now: datetime) -> Outcome:
        if item.expires_at <= now:
            return Outcome(recipient.recipient_id, RecipientState.FAILED, _expired(recipient.last_reply))
        reply = recipient.last_reply or RemoteReply(text="The destination cannot be reached")
        at = recipient.next_attempt_at
        return Outcome(recipient.recipient_id, RecipientState.WAITING, reply, at, tells_delay=True)


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
