"""What becomes of a recipient in the queue, by what a server has said or by the time that has passed; records nothing.

While the clock is in doubt nothing is given up and nobody is told of a delay by its word (`clockwatch`).

Spec: RFC 5321 §4.5.4 (retry); RFC 3461 §4.1, §5.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from mailstead.mime.dsn import Action
from mailstead.model.queue import DestinationKind, Outcome, QueuedRecipient, QueueItem, RecipientState, RemoteReply
from mailstead.policy import bounces
from mailstead.policy.retry import RetryTerms, rest, wait
from mailstead.usecases.clockwatch import ClockWatch
from mailstead.usecases.notices import Told

EXPIRED: Final = RemoteReply(0, "4.4.7", "Delivery was tried until the message expired", is_permanent=True)


class Outcomes:
    """Knows the waits, and when authors are told of a delay."""

    def __init__(
        self, clock_watch: ClockWatch, retry: RetryTerms, *, delay_told_s: float, chance: Callable[[], float]
    ) -> None:
        self._clock_watch = clock_watch
        self._retry = retry
        self._delay_told_s = delay_told_s
        self._chance = chance

    def after_reply(self, item: QueueItem, recipient: QueuedRecipient, reply: RemoteReply, now: datetime) -> Outcome:
        """Give what follows from a reply: delivered, failed, or when to try again."""
        if reply.is_positive:
            return Outcome(recipient.recipient_id, RecipientState.DELIVERED, reply)
        if reply.is_permanent:
            return Outcome(recipient.recipient_id, RecipientState.FAILED, reply)
        next_at = now + wait(recipient.attempt_count + 1, self._retry, self._chance())
        if item.expires_at > now:
            next_at = min(next_at, item.expires_at)  # the last try
        elif self._clock_watch.is_believed():
            return Outcome(recipient.recipient_id, RecipientState.FAILED, _expired(reply))
        return Outcome(
            recipient.recipient_id,
            RecipientState.WAITING,
            reply,
            next_at,
            tells_delay=self.is_delay_due(item, recipient, now),
        )

    def is_delay_due(self, item: QueueItem, recipient: QueuedRecipient, now: datetime) -> bool:
        """Whether the author is to be told now that the message waits. Spec: RFC 3461 §4.1 (DELAY)."""
        notify = recipient.recipient.notify
        wanted = not notify or "DELAY" in notify
        is_late = (now - item.accepted_at).total_seconds() >= self._delay_told_s and self._clock_watch.is_believed()
        return wanted and is_late and not recipient.is_delay_told and item.notify_to is not None

    def rest(self, failure_count: int) -> timedelta:
        """Give how long a destination is left alone after so many failures in a row."""
        return rest(failure_count, self._retry, self._chance())


def overdue(item: QueueItem, recipient: QueuedRecipient, now: datetime) -> Outcome:
    """Give what becomes of a recipient that has waited too long, by the clock alone: given up, or told of the delay."""
    if item.expires_at <= now:
        return Outcome(recipient.recipient_id, RecipientState.FAILED, _expired(recipient.last_reply))
    reply = recipient.last_reply or RemoteReply(text="The destination cannot be reached")
    at = recipient.next_attempt_at
    return Outcome(recipient.recipient_id, RecipientState.WAITING, reply, at, tells_delay=True)


def slows(reply: RemoteReply) -> bool:
    """Whether a server that has answered asks for less, or lists us: more of the same would make it worse."""
    return reply.code > 0 and not reply.is_positive and bounces.classify(reply).remedy is bounces.Remedy.SLOW_DOWN


def told_of(recipient: QueuedRecipient, outcome: Outcome, *, offers_dsn: bool) -> list[Told]:
    """What the author is to be told about one recipient; `offers_dsn`: the server takes over to tell of success.

    Spec: RFC 3461 §5.2.2 to §5.2.6.
    """
    notify = recipient.recipient.notify
    if outcome.state is RecipientState.FAILED and (not notify or "FAILURE" in notify):
        return [Told(recipient.recipient, Action.FAILED, outcome.reply, recipient.via)]
    if outcome.tells_delay:
        return [Told(recipient.recipient, Action.DELAYED, outcome.reply, recipient.via)]
    is_passed_on = outcome.state is RecipientState.DELIVERED and recipient.destination.kind is not DestinationKind.LOCAL
    if is_passed_on and "SUCCESS" in notify and not offers_dsn:
        return [Told(recipient.recipient, Action.RELAYED, outcome.reply, recipient.via)]
    return []


def _expired(last: RemoteReply | None) -> RemoteReply:
    """Join that the message has expired with what was heard last."""
    if last is None:
        return EXPIRED
    return replace(last, is_permanent=True, enhanced="4.4.7", text=f"{EXPIRED.text}; last: {last.text}")
