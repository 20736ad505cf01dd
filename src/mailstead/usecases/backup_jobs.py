"""Backups and drills asked for from afar: one at a time, behind the call that asks; how the last ones went is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from mailstead.model.envelope import Actor
from mailstead.model.errors import Conflict, MailsteadError
from mailstead.ports.clock import Clock
from mailstead.telemetry import log
from mailstead.usecases.audit import Audit

_log = log.get("backup")

Work = Callable[[], Awaitable[Mapping[str, object]]]
"""Does it, and gives what came of it as plain values."""


@dataclass(frozen=True, slots=True)
class BackupJob:
    """A backup or a drill, under way or over."""

    kind: str
    """``backup`` or ``drill``."""
    began_at: datetime
    ended_at: datetime | None = None
    error: str = ""
    """Why it came to nothing; empty: it has not, or not yet."""
    result: Mapping[str, object] = field(default_factory=dict)


class BackupJobs:
    """All verbs are for administrators of the server (NotAllowed). One object for the process; `close` at its end."""

    def __init__(
        self,
        clock: Clock,
        audit: Audit,
        list_: Callable[[Actor], Awaitable[list[str]]],
        works: Mapping[str, Work],
    ) -> None:
        self._clock = clock
        self._audit = audit
        self._list = list_
        self._works: Final = works
        self._last: dict[str, BackupJob] = {}
        self._running: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Let go what is under way: a backup cut off leaves at most objects that the next one finds."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running

    async def settle(self) -> None:
        """Wait until what is under way is over."""
        if self._running is not None:
            await asyncio.shield(self._running)

    async def snapshots(self, actor: Actor) -> list[str]:
        """Give the names of what there is, the oldest first. Errors: BadSettings, BackupFailed."""
        actor.must_be_admin()
        return await self._list(actor)

    def jobs(self, actor: Actor) -> list[BackupJob]:
        """Give the last job of each kind."""
        actor.must_be_admin()
        return list(self._last.values())

    def start(self, actor: Actor, kind: str) -> BackupJob:
        """Begin a ``backup`` or a ``drill``. Errors: Conflict, while one is under way."""
        actor.must_be_admin()
        if self._running is not None and not self._running.done():
            raise Conflict("A backup or a drill is under way; ask again when it is over")
        job = BackupJob(kind, self._clock.now())
        self._last[kind] = job
        self._running = asyncio.get_running_loop().create_task(self._run(job, self._works[kind]))
        self._audit.note(actor, f"{kind}.start", "server")
        return job

    async def _run(self, job: BackupJob, work: Work) -> None:
        error, result = "it was cut off", {}
        try:
            result, error = dict(await work()), ""
        except MailsteadError as failure:
            error = failure.public_text
            _log.warning("a job failed", kind=job.kind, error=error)
        except Exception as failure:  # noqa: BLE001 - a bug ends this job, not the service
            error = "Something went wrong; the log says what"
            _log.error("a job failed", kind=job.kind, exc_info=failure)
        finally:
            self._last[job.kind] = BackupJob(job.kind, job.began_at, self._clock.now(), error, result)
