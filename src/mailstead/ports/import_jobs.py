"""Imports from other providers, kept so that a restart loses nothing of how far they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from mailstead.model.ids import AccountId
from mailstead.model.people import ObjectId
from mailstead.model.remote_imports import ImportJob, ImportReason, ImportStatus, MailboxImport, NotTaken


class ImportJobs(Protocol):
    """One import for each account at most. A lease is a word that its holder has made up.

    Errors of all verbs: StorageUnavailable, StorageFull (writing).
    """

    async def add(self, job: ImportJob, *, lease: str = "", leased_until: datetime | None = None) -> None:
        """Keep a new import in the place of the one that has ended; with `lease` it is begun at once.

        Errors: Conflict, while one has not ended. Of two at once one wins.
        """

    async def job(self, account_id: AccountId) -> ImportJob | None:
        """The last import of an account."""

    async def lease(
        self, now: datetime, until: datetime, lease: str, limit: int, passed_over: Sequence[AccountId] = ()
    ) -> list[ImportJob]:
        """Take what waits and is due, or is left by a worker that is no more; it is RUNNING then.

        A lease that has run out counts for nothing. `passed_over`: accounts that this process can do nothing for.
        """

    async def hold(self, job_id: ObjectId, lease: str, until: datetime) -> bool:
        """Go on holding it; False: it is held no more, stop working on it."""

    async def advance(
        self, job_id: ObjectId, lease: str, now: datetime, mailbox: MailboxImport, not_taken: Sequence[NotTaken]
    ) -> bool:
        """Keep how far a mailbox is, and what of it was not taken; failures in a row are forgotten. False: as `hold`.

        Of what was not taken, only the first `NOT_TAKEN_MAX` of an import are kept; the counts are whole.
        """

    async def let_go(
        self,
        job_id: ObjectId,
        lease: str,
        now: datetime,
        status: ImportStatus,
        *,
        reason: ImportReason = ImportReason.NONE,
        text: str = "",
        due_at: datetime | None = None,
        has_failed: bool = False,
    ) -> bool:
        """Give the lease back. An import that has ended loses its password; `has_failed`: one failure more in a row."""

    async def set_waiting(self, job_id: ObjectId, now: datetime, sealed_password: bytes | None = None) -> bool:
        """Let a PAUSED or WAITING import go on now; False: it is neither. None: the password stays."""

    async def cancel(self, job_id: ObjectId, now: datetime) -> bool:
        """End an import, whoever works on it; the password goes. False: it has ended."""

    async def remove(self, account_id: AccountId) -> None:
        """Forget all of an account."""

    async def forget_old(self, passwords_before: datetime, ended_before: datetime) -> int:
        """Remove passwords of imports paused so long, and all of imports ended so long; gives how many imports."""
