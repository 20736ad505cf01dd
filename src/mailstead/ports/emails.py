"""Messages sent over the API, kept for some weeks; part of the storage port, in a file of its own.

Why not in the queue: that forgets what is finished after two days, is synced on the way of each message, and shall stay
small. Why not in the trace: it may lose its last second, is off where a domain wants no trace, and knows no headers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from mailstead.model.emails import Email, EmailOutcome, EmailQuery, EmailStatus
from mailstead.model.people import Listing, ObjectId, Page


class Emails(Protocol):
    """Errors of all verbs: StorageUnavailable; StorageFull (`add`)."""

    async def add(self, email: Email) -> None:
        """Keep one; when this has returned, it survives a power cut."""

    async def remove(self, email_id: ObjectId) -> None:
        """Forget one that was not accepted after all."""

    async def email(self, query: EmailQuery, id_or_message_id: str) -> Email | None:
        """The newest one of that id, or Message-ID (without brackets), among those that the query allows."""

    async def emails(self, query: EmailQuery, listing: Listing) -> Page[Email]:
        """Newest first (sort: ``created_at``, ``updated_at``, ``date``, ``subject``, ``status``); without `header`."""

    async def unsettled(self, after: ObjectId, limit: int) -> Sequence[Email]:
        """Those whose recipients were not all settled when last looked at, by id; without `header`."""

    async def settle(
        self, email_id: ObjectId, status: EmailStatus, outcomes: Sequence[EmailOutcome], updated_at: datetime
    ) -> None:
        """Write how it stands now; nothing happens if it is gone."""

    async def expire(self, before: datetime) -> int:
        """Remove those that were last changed before; how many there were."""
