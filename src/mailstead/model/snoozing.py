"""Messages that wait to come back to INBOX."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from mailstead.model.ids import MailboxId, Uid

SNOOZED: Final = "Snoozed"
"""Name of the mailbox in which they wait, made when the first one does. No special use is registered for it."""


class Snoozed(NamedTuple):
    """One message that waits."""

    mailbox_id: MailboxId
    uid: Uid
    until: datetime
    """Whole seconds, UTC."""
    origin: str
    """Name of the mailbox that it came from; it may be gone."""


class Woken(NamedTuple):
    """What a look at the clock gave."""

    uids: list[Uid]
    """Of INBOX."""
    next_at: datetime | None
    """When the next one comes back; None: none waits."""
