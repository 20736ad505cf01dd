"""The audit log: who did what to whom, from where.

Use cases note what they have done. `note` never waits: what was noted is written together, as soon as the store has
written what came before it. Failed log-ins, which anybody can cause in any number, are counted and written once a
minute.

What somebody may read follows from his rights: an administrator of the server all, one of a domain what concerns his
domains, everybody what he did himself.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from mailstead.model.envelope import Actor
from mailstead.model.errors import MailsteadError, NotAllowed
from mailstead.model.people import AuditEntry, Group, Listing, Page
from mailstead.policy.failures import network_of
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log
from mailstead.usecases.tables import csv_rows

WAITING_MAX: Final = 10_000
"""Entries that may wait for a store which does not answer; further ones are only in the process's log."""
FAILURES_S: Final = 60.0
FAILURE_KEYS_MAX: Final = 1000
"""Pairs of name and network told one by one in a minute; the others are counted together."""
TEXT_CHARACTERS_MAX: Final = 320
DETAIL_CHARACTERS_MAX: Final = 500
PAGE_ENTRIES: Final = 500
COLUMNS: Final = ("id", "at", "actor", "peer", "verb", "object", "domain", "details")

_log = log.get("audit")


class Notes(Protocol):
    """Who is told what was done."""

    def note(self, actor: Actor, verb: str, object_: str, domain: str = "", *, peer: str = "", **details: str) -> None:
        """See `Audit.note`."""


class Unnoted:
    """For use cases whose callers note nothing, as in tests."""

    def note(self, actor: Actor, verb: str, object_: str, domain: str = "", *, peer: str = "", **details: str) -> None:
        """Do nothing."""


class Audit:
    """Writes and reads the audit log; one object for all use cases of the process."""

    def __init__(
        self, storage: Storage, clock: Clock, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._people = storage.people
        self._clock = clock
        self._sleep = sleep
        self._waiting: list[AuditEntry] = []
        self._writing: asyncio.Task[None] | None = None
        self._failures: Counter[tuple[str, str, str, str]] = Counter()
        self._counting: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Write what still waits."""
        if self._counting is not None:
            self._counting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._counting
        self._note_failures()
        await self.settle()
        await self._write()

    # writing

    def note(self, actor: Actor, verb: str, object_: str, domain: str = "", *, peer: str = "", **details: str) -> None:
        """Note what an actor has done. Never waits, never fails.

        Shapes: verb, ``noun.verb``; `object_`, what it was done to; domain, the one whose administrators may read it;
        details, texts without secrets.
        """
        self._put(actor.name, peer or actor.peer, verb, object_, domain, details)

    def note_failed_log_in(self, username: str, peer: str, service: str, domain: str = "") -> None:
        """Count a wrong password, told once a minute for each name and network."""
        key = (username.casefold()[:TEXT_CHARACTERS_MAX], network_of(peer) if peer else "", service, domain)
        if key not in self._failures and len(self._failures) >= FAILURE_KEYS_MAX:
            key = ("others", "", service, "")
        self._failures[key] += 1
        if self._counting is None or self._counting.done():
            self._counting = asyncio.get_running_loop().create_task(self._tell_failures())

    async def settle(self) -> None:
        """Wait until what was noted is written, or was tried."""
        while self._writing is not None and not self._writing.done():
            await asyncio.shield(self._writing)

    def _put(self, actor: str, peer: str, verb: str, object_: str, domain: str, details: dict[str, str]) -> None:
        if len(self._waiting) >= WAITING_MAX:
            _log.warning("an audit entry is lost: the store does not answer", verb=verb, object=object_)
            return
        shown = {name: value[:DETAIL_CHARACTERS_MAX] for name, value in details.items()}
        self._waiting.append(
            AuditEntry(
                0,
                self._clock.now(),
                actor[:TEXT_CHARACTERS_MAX],
                peer,
                verb,
                object_[:TEXT_CHARACTERS_MAX],
                domain,
                shown,
            )
        )
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        while self._waiting:
            entries = self._waiting
            self._waiting = []
            try:
                await self._people.note(entries)
            except MailsteadError as error:
                self._waiting = entries + self._waiting  # the next entry brings them along
                _log.warning("the audit log is not written yet", count=len(entries), error=error.public_text)
                return

    async def _tell_failures(self) -> None:
        await self._sleep(FAILURES_S)
        self._note_failures()

    def _note_failures(self) -> None:
        counted, self._failures = self._failures, Counter()
        for (username, network, service, domain), count in counted.items():
            details = {"service": service, "count": str(count)}
            self._put(username, network, "log-in.failed", username, domain, details)

    # reading

    async def list(
        self, actor: Actor, listing: Listing, *, domain: str = "", verb: str = "", is_own: bool = False
    ) -> Page[AuditEntry]:
        """Give entries that the actor may read, newest first.

        `domain`: only of this one; `verb`: those that begin so; `is_own`: only what the actor did himself.
        Errors: NoSuchDomain, NotAllowed (a domain that is not the actor's to look after).
        """
        if domain:
            actor.must_administer(domain)
        own = actor.name if is_own else ""
        if actor.is_admin:
            domains = [domain] if domain else None
            return await self._people.audit(listing, domains=domains, actor=own, verb=verb)
        if actor.address is None:
            raise NotAllowed
        administered = [name for name, group in actor.groups.items() if group is Group.ADMIN]
        if domain:
            administered = [domain]
        elif is_own or not administered:
            return await self._people.audit(listing, actor=actor.name, verb=verb)
        return await self._people.audit(listing, domains=administered, actor=own, verb=verb)

    async def export(
        self, actor: Actor, *, domain: str = "", verb: str = "", is_own: bool = False
    ) -> AsyncIterator[str]:
        """Yield all entries that the actor may read as comma-separated values, with a line of heads.

        Errors: as `list`.
        """
        yield csv_rows([COLUMNS])
        number, listing, last = 0, Listing(limit=PAGE_ENTRIES), sys.maxsize
        while True:
            number += 1
            page = await self.list(actor, replace(listing, page=number), domain=domain, verb=verb, is_own=is_own)
            # What is noted meanwhile moves the pages on.
            fresh = [entry for entry in page.items if entry.entry_id < last]
            last = min([last, *(entry.entry_id for entry in fresh)])
            yield csv_rows(_cells(entry) for entry in fresh)
            if number * PAGE_ENTRIES >= page.item_count or not page.items:
                return

    async def forget(self, now: datetime, kept_days: int) -> int:
        """Remove what is older; a chore of housekeeping. Gives how many there were. Errors: of the store."""
        return await self._people.forget_audit(now - timedelta(days=kept_days))


def _cells(entry: AuditEntry) -> tuple[str, ...]:
    details = "; ".join(f"{name}={value}" for name, value in entry.details.items())
    at = f"{entry.at:%Y-%m-%dT%H:%M:%SZ}"
    return (str(entry.entry_id), at, entry.actor, entry.peer, entry.verb, entry.object, entry.domain, details)
