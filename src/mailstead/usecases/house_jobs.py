"""Work on the house that an administrator begins and comes back for: a certificate, a restore, a trial of a backup.

One at a time in the whole house. How it stands is in the store's memory, so that each process can tell, and so that
work which ended with its process is told as cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from mailstead.model.envelope import Actor
from mailstead.model.errors import Conflict, MailsteadError
from mailstead.ports.clock import Clock
from mailstead.ports.memory import Memory
from mailstead.telemetry import log
from mailstead.usecases.audit import Notes

KEPT: Final = timedelta(days=30)
ALIVE: Final = timedelta(seconds=90)
"""For so long the last sign of life is good."""
BEAT_S: Final = 5.0
_JOB: Final = "house job"
_TURN: Final = "house job turn"
_log = log.get("jobs")

Progress = Callable[[int, int], None]
"""Told how much is done of how much."""
Work = Callable[[Progress], Awaitable[Mapping[str, Any]]]
"""Does it, and gives what came of it as plain values (of JSON)."""


class HouseJob(msgspec.Struct, frozen=True):
    """The last work of its kind, under way or over."""

    kind: str
    mark: str
    """Tells it from others."""
    subject: str
    """What it is done with: a snapshot, an address; empty for the server."""
    began_at: datetime
    ended_at: datetime | None = None
    done: int = 0
    total: int = 0
    """0: nobody knows how much there is to do."""
    error: str = ""
    """Why it came to nothing; empty: it has not, or not yet."""
    result: dict[str, Any] = {}

    @property
    def percent(self) -> int:
        """How much of it is done, from 0 to 100."""
        return min(100 * self.done // self.total, 100) if self.total else 0


@dataclass(slots=True)
class _Running:
    job: HouseJob
    task: asyncio.Task[None] | None = None


class HouseJobs:
    """All verbs are for administrators of the server (NotAllowed). One object for the process; `close` at its end."""

    def __init__(
        self,
        memory: Memory,
        clock: Clock,
        audit: Notes,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._memory = memory
        self._clock = clock
        self._audit = audit
        self._sleep = sleep
        self._running: _Running | None = None

    async def close(self) -> None:
        """Let go what is under way here."""
        if self._running is not None and self._running.task is not None:
            self._running.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running.task

    async def settle(self) -> None:
        """Wait until what is under way here is over."""
        if self._running is not None and self._running.task is not None:
            await asyncio.shield(self._running.task)

    async def last(self, actor: Actor, kind: str) -> HouseJob | None:
        """Give the last job of a kind, by whichever process."""
        actor.must_be_admin()
        now = self._clock.now()
        if self._running is not None and self._running.job.kind == kind:
            return self._running.job
        found = (await self._memory.recall(_JOB, [kind], now)).get(kind)
        if found is None:
            return None
        job = msgspec.json.decode(found, type=HouseJob)
        turn = (await self._memory.recall(_TURN, [_TURN], now)).get(_TURN, b"")
        if job.ended_at is None and turn != job.mark.encode():
            return msgspec.structs.replace(job, ended_at=now, error="It was cut off: the server has stopped meanwhile")
        return job

    async def is_under_way(self, actor: Actor) -> bool:
        """Whether anything is, in any process."""
        actor.must_be_admin()
        return bool(await self._memory.recall(_TURN, [_TURN], self._clock.now()))

    async def start(self, actor: Actor, kind: str, subject: str, work: Work) -> HouseJob:
        """Begin it; it goes on behind the call. Errors: Conflict, while another job is under way."""
        actor.must_be_admin()
        now = self._clock.now()
        job = HouseJob(kind, secrets.token_hex(8), subject, now)
        if await self._memory.remember_first(_TURN, _TURN, job.mark.encode(), now, now + ALIVE) is not None:
            raise Conflict("Other work of this kind is under way; ask again when it is over")
        self._running = _Running(job)
        await self._keep(job)
        self._running.task = asyncio.create_task(self._run(self._running, work))
        self._audit.note(actor, f"{kind}.start", subject or "server")
        return job

    async def _run(self, running: _Running, work: Work) -> None:
        def progress(done: int, total: int) -> None:
            running.job = msgspec.structs.replace(running.job, done=done, total=total)

        beating = asyncio.create_task(self._beat(running))
        error, result = "It was cut off", {}
        try:
            result, error = dict(await work(progress)), ""
        except MailsteadError as failure:
            error = failure.public_text
            _log.warning("a job failed", kind=running.job.kind, error=error)
        except Exception as failure:  # noqa: BLE001 - a bug ends this job, not the service
            error = "Something went wrong; the log says what"
            _log.error("a job failed", kind=running.job.kind, exc_info=failure)
        finally:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating
            job = running.job
            running.job = msgspec.structs.replace(job, ended_at=self._clock.now(), error=error, result=result)
            await self._keep(running.job)
            await self._memory.forget(_TURN)
            self._running = None

    async def _beat(self, running: _Running) -> None:
        """Say now and then that it lives, and how far it is."""
        while True:
            await self._sleep(BEAT_S)
            with contextlib.suppress(MailsteadError):  # a store that is full now may have room again
                await self._memory.remember(_TURN, {_TURN: running.job.mark.encode()}, self._clock.now() + ALIVE)
                await self._keep(running.job)

    async def _keep(self, job: HouseJob) -> None:
        await self._memory.remember(_JOB, {job.kind: msgspec.json.encode(job)}, self._clock.now() + KEPT)
