"""What happened to a message, step by step, for the administrator who asks where it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


class TraceEvent(NamedTuple):
    """One step: a hop, a check, a delivery, an attempt."""

    at: datetime
    queue_id: str
    """Joins all steps of one message; stands in Received and in the reply."""
    direction: str
    """``in`` or ``out``."""
    step: str
    """A short fixed word: ``received``, ``spf``, ``denylist``, ``delivered``, ``queued``, ``attempt``, ``bounced`` …"""
    decision: str = ""
    """``pass``, ``fail``, ``allow``, ``refuse``, ``defer``, ``junk``, ``delivered`` …"""
    reason: str = ""
    mail_from: str = ""
    recipient: str = ""
    message_id: str = ""
    peer: str = ""
    """The other end: address and name."""
    reply: str = ""
    """What was answered, by us or by the remote server."""
    domain: str = ""
    """The domain of ours that this concerns; it may want no trace."""


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """Which steps are wanted; all conditions that are set must hold. Newest first."""

    address: str = ""
    """Sender or recipient: a whole address, or ``@domain``."""
    message_id: str = ""
    queue_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 1000
