"""Messages that programs sent over the API, and what became of them. The API calls them emails, so do we here.

Spec: reference forwardemail 4.6, 4.10 (Email), 6.5 (result to status).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mailstead.model.ids import AccountId
from mailstead.model.people import ObjectId, UserId
from mailstead.model.queue import RecipientState, RemoteReply


class EmailStatus(StrEnum):
    """How a message stands as a whole."""

    PENDING = "pending"
    """An administrator holds it."""
    QUEUED = "queued"
    """It was not tried yet: it is about to go out, or waits for its date."""
    DEFERRED = "deferred"
    """Some recipient was tried and is tried again."""
    SENT = "sent"
    PARTIALLY_SENT = "partially_sent"
    BOUNCED = "bounced"
    """No recipient has it, and some server said no."""
    REJECTED = "rejected"
    """It was cancelled, or failed before any server was asked."""


@dataclass(frozen=True, slots=True)
class EmailOutcome:
    """How one recipient stands."""

    recipient: str
    state: RecipientState
    at: datetime
    """Of the last attempt; of the acceptance, where there was none."""
    attempt_count: int = 0
    reply: RemoteReply | None = None
    is_local: bool = False
    """A mailbox or alias here took it at once; it never was in the queue."""


@dataclass(frozen=True, slots=True)
class Email:
    """One message, as it is kept after the queue has forgotten it; its octets are only in the queue."""

    email_id: ObjectId
    queue_id: str
    account_id: AccountId | None
    """Of whose mail it is, where it is an account's."""
    user_id: UserId | None
    """Who sent it, where it was a user."""
    domain: str
    """Of ours, of From."""
    mail_from: str
    recipients: tuple[str, ...]
    message_id: str
    """Without brackets."""
    subject: str
    header: bytes = field(repr=False)
    sent_at: datetime
    """What the Date field says."""
    created_at: datetime
    updated_at: datetime
    status: EmailStatus
    outcomes: tuple[EmailOutcome, ...]
    """One for each recipient, in their order."""
    not_before: datetime | None = None
    """Released then."""
    require_tls: bool = False
    dsn: Mapping[str, str] = field(default_factory=dict)
    """What was asked for: ``id``, ``return``, ``notify``, ``recipient``."""

    @property
    def is_settled(self) -> bool:
        """Whether nothing will change any more."""
        return not any(each.state in _OPEN for each in self.outcomes)


_OPEN = frozenset({RecipientState.WAITING, RecipientState.HELD})


@dataclass(frozen=True, slots=True)
class EmailQuery:
    """Which are wanted. Of the first three at least one must hold, then all that are set of the others."""

    account_id: AccountId | None = None
    user_id: UserId | None = None
    domains: Sequence[str] | None = ()
    """Of these domains; None: all, without regard to whose."""
    domain: str = ""
    text: str = ""
    """In subject, sender, recipients or Message-ID, whatever the case."""
    is_scheduled: bool | None = None
    """Waits for its date (or not)."""
    now: datetime | None = None
    """What `is_scheduled` is compared with."""


def status_of(outcomes: Iterable[EmailOutcome]) -> EmailStatus:
    """Give the status of a whole message from those of its recipients. Spec: reference forwardemail 6.5."""
    outcomes = tuple(outcomes)
    states = {each.state for each in outcomes}
    if RecipientState.WAITING in states:
        tried = any(each.attempt_count for each in outcomes if each.state is RecipientState.WAITING)
        return EmailStatus.DEFERRED if tried else EmailStatus.QUEUED
    if RecipientState.HELD in states:
        return EmailStatus.PENDING
    if states == {RecipientState.DELIVERED}:
        return EmailStatus.SENT
    if RecipientState.DELIVERED in states:
        return EmailStatus.PARTIALLY_SENT
    said_no = any(each.state is RecipientState.FAILED and each.reply and each.reply.code for each in outcomes)
    return EmailStatus.BOUNCED if said_no else EmailStatus.REJECTED
