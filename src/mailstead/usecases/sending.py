"""Sending: a task for each delivery, which goes on with others for the same destination through the same session.

Theory of operation. A task takes or opens a session to the destination, sends, and goes on with further deliveries
while the session is open; then the session is kept a little for whatever comes next (`idle_sessions`). A result is
settled (`settling`) while the next message is being sent, and before the next but one: a crash repeats at most what the
remote server has taken and we had not yet recorded. Each delivery is settled or given back, whatever happens.

A destination that cannot be reached rests as a whole, so a dead host costs one attempt now and then, however much waits
for it (attack row 24).

Spec: RFC 5321 §4.5.4 (retry), §6.1.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from mailstead.model.envelope import Envelope
from mailstead.model.errors import MailsteadError
from mailstead.model.queue import Delivery, DestinationKind, QueueItem, RemoteReply
from mailstead.ports.clock import Clock
from mailstead.ports.queue import Queue
from mailstead.ports.relay import Relay, RelayFailed, RelayTerms
from mailstead.telemetry import log
from mailstead.usecases.homecoming import Homecoming
from mailstead.usecases.idle_sessions import IdleSessions, UsedSession
from mailstead.usecases.outcomes import slows
from mailstead.usecases.rerouting import rerouted
from mailstead.usecases.routes import Routes
from mailstead.usecases.settling import Settling
from mailstead.usecases.underway import UnderWay
from mailstead.usecases.webhooks import Webhooks

_log = log.get("queue")

STOPPED_S: Final = 2.0
"""How long what was cut off may take to record what it knows."""
MORE_MAX: Final = 10
"""How many further deliveries a session leases at a time."""


class Sending:
    """Takes deliveries that are under way to where they are due; one object per process."""

    def __init__(
        self,
        queue: Queue,
        clock: Clock,
        relay: Relay,
        webhooks: Webhooks,
        homecoming: Homecoming,
        routes: Routes,
        settling: Settling,
        under_way: UnderWay,
        *,
        connections_max: int,
        messages_per_connection_max: int,
        lease_s: float,
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._relay = relay
        self._webhooks = webhooks
        self._homecoming = homecoming
        self._routes = routes
        self._settling = settling
        self._under_way = under_way
        self._connections_max = connections_max
        self._messages_per_connection_max = messages_per_connection_max
        self._lease = timedelta(seconds=lease_s)
        self._idle_sessions = IdleSessions(clock)
        self._recording: set[asyncio.Task[None]] = set()
        self.tasks: Final[set[asyncio.Task[None]]] = set()
        """Those that work now."""
        self.stop = asyncio.Event()
        """From then on no session is given anything more, and none is kept."""

    @property
    def free_count(self) -> int:
        """How many more may be begun."""
        return self._connections_max - len(self.tasks)

    def begin(self, delivery: Delivery) -> None:
        """Work on a delivery that has been taken up."""
        task = asyncio.create_task(self._work(delivery))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def finish(self, limit_s: float) -> None:
        """Wait until all that was begun has ended, or for so long."""
        if self.tasks:
            _, late = await asyncio.wait(self.tasks, timeout=limit_s)
            if late:
                _log.warning("deliveries cut off at the stop limit", count=len(late))

    async def cut_off(self) -> None:
        """End what has not ended by itself, and give it back; close the sessions."""
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=STOPPED_S)
        for task in self._recording:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self._idle_sessions.close()

    # one delivery

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
            await self._settling.give_back(delivery)  # does nothing to one that is settled
            raise
        except Exception as error:  # noqa: BLE001  # the frontier: trouble with one message must not stop the queue
            await self._settling.failed_here(delivery, error)
        finally:
            self._under_way.let_go(delivery)

    async def _bring_home(self, delivery: Delivery) -> None:
        octets = await self._queue.octets(delivery.item.item_id)
        await self._settle(delivery, await self._homecoming.deliver(delivery.item, octets), octets)

    async def _post(self, delivery: Delivery) -> None:
        octets = await self._queue.octets(delivery.item.item_id)
        await self._settle(delivery, await self._webhooks.post(delivery.item, octets), octets)

    async def _settle(self, delivery: Delivery, replies: Sequence[RemoteReply], octets: bytes) -> None:
        """Record what is known now. Who is cut off meanwhile waits: to forget it would be to deliver again."""
        recording = self._record(self._settling.settle(delivery, replies, octets))
        try:
            await asyncio.shield(recording)
        except asyncio.CancelledError:
            await asyncio.wait({recording})  # `cut_off` ends that too, at last
            raise

    def _record(self, settling: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(settling)
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)
        return task

    # one delivery, and those that follow it through the same session

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
            if self._is_usable(used) and not self.stop.is_set():
                self._idle_sessions.keep(used)
            else:
                await used.session.close()

    async def _reroute(self, delivery: Delivery) -> None:
        """Queue anew, the way that mail goes now, what waits for a smarthost that its domain does without since.

        Without the log-in, which is forgotten, the smarthost would refuse it for good.
        """
        again = await rerouted(delivery.item, await self._queue.octets(delivery.item.item_id), self._routes)
        reply = RemoteReply(text="The domain has no smarthost any more; queued anew")
        await self._settling.supersede(delivery, again, reply)

    async def _open(self, delivery: Delivery, terms: RelayTerms) -> UsedSession | None:
        """Open a session; where that fails the delivery is settled."""
        self._idle_sessions.shrink(self.free_count)
        try:
            session = await self._relay.open(delivery.destination, terms)
        except RelayFailed as failed:
            await self._not_reached(delivery, failed.reply, terms)
            return None
        return UsedSession(session, delivery.destination, terms)

    async def _not_reached(self, delivery: Delivery, reply: RemoteReply, terms: RelayTerms) -> None:
        """No server of the destination could be used."""
        if not reply.is_permanent and not terms.require_tls:
            await self._settling.rest(delivery.destination, reply)
        await self._settling.settle(delivery, [reply] * len(delivery.item.recipients))

    def _is_usable(self, used: UsedSession) -> bool:
        return used.session.is_open and used.sent_count < self._messages_per_connection_max

    async def _send_all(self, used: UsedSession, first: Delivery) -> None:
        """Send, and go on with what else is due there. Each delivery is settled or given back, whatever happens."""
        recording: list[asyncio.Task[None]] = []
        waiting: list[Delivery] = []
        sending: Delivery | None = first
        try:
            while sending is not None:
                octets, replies = await self._send(used, sending)
                settling = self._settling.settle(sending, replies, octets, offers_dsn=used.session.offers_dsn)
                recording.append(self._record(settling))  # goes on while the next message is being sent
                sending = None
                if used.sent_count == 1:
                    await self._note_reached(used, replies)
                if len(recording) > 1:
                    await asyncio.shield(recording[0])  # who is cut off here must not cut it off
                    del recording[0]
                if self._is_usable(used) and not any(map(slows, replies)):
                    sending = await self._next(used, waiting)
        except Exception as error:  # noqa: BLE001  # as in `_work`; here it is known which delivery is meant
            if sending is not None:
                await self._settling.failed_here(sending, error)
                sending = None
            else:
                _log.warning("nothing more goes through this session", error=repr(error))
        finally:
            for delivery in (*waiting, *([sending] if sending else [])):
                await self._settling.give_back(delivery)
            if recording:
                await asyncio.wait(recording)

    async def _next(self, used: UsedSession, waiting: list[Delivery]) -> Delivery | None:
        """Give what may go through the session next; what was leased beyond that stays in `waiting`."""
        if not waiting and not self.stop.is_set():
            now = self._clock.now()
            more = await self._queue.lease_more(used.destination, now, now + self._lease, MORE_MAX)
            waiting += [each for each in more if self._under_way.take_up(each)]
        if not waiting or self.stop.is_set() or await self._terms_of(waiting[0].item) != used.terms:
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
                await self._settling.rest(used.destination, replies[0])

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
