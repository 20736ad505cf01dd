"""Backups while the house is open: what has not changed since the last one is neither read nor sent again.

A snapshot is stored when all that it needs is stored; whatever ends a run before leaves the earlier ones as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailstead.model.envelope import Actor
from mailstead.model.errors import BackupFailed, BadBackup, StoreDamaged
from mailstead.policy.retention import Retention, kept
from mailstead.ports.backup import NoSuchStore, Piece, StoreMoved, Stores
from mailstead.ports.clock import Clock
from mailstead.telemetry import log, metrics
from mailstead.usecases.backup_vault import SNAPSHOTS, Part, Snapshot, StoredFile, Vault, moment_of, snapshot_name

PIECE_OCTETS: Final = 512 * 1024
"""Small enough that a changed page costs little, large enough for few objects: 20,000 for 10 GB."""
AT_ONCE: Final = 8
"""Objects on their way; each holds `PIECE_OCTETS`."""
TURNS_MAX: Final = 5
"""In how many turns accounts that come and go meanwhile are followed."""

COPIES_MAX: Final = 5
"""How often a file that is written to meanwhile is copied again."""

_log = log.get("backup")

Progress = Callable[[int, int], None]
"""Told how many files are done of how many."""


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a run has done."""

    snapshot: str
    file_count: int
    unchanged_count: int
    """Files that were not read, as they had not changed."""
    size_octets: int
    """Of all files together."""
    sent_octets: int
    """What had to be stored anew."""
    damaged: tuple[str, ...] = ()
    """Stores that cannot be read; what the last snapshot has of them is in this one, too."""


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What has gone."""

    removed: tuple[str, ...]
    """Snapshots."""
    chunk_count: int
    locked_count: int
    """Objects that the place does not let go of yet; a later round comes back to them."""


class Backups:
    """The verbs `run`, `list`, `prune`; only for administrators (NotAllowed)."""

    def __init__(self, stores: Stores, vault: Vault, clock: Clock, release: str) -> None:
        self._stores = stores
        self._vault = vault
        self._clock = clock
        self._release = release

    async def run(self, actor: Actor, progress: Progress | None = None) -> BackupReport:
        """Make a snapshot. One run at a time: the caller sees to that.

        Errors: NotAllowed, BadBackup (another key), BackupFailed; of the store.
        """
        actor.must_be_admin()
        await self._vault.enter(makes=True)
        running = _Run(self._stores, self._vault, await self._last(), await self._vault.chunk_names(), progress)
        made_at = self._clock.now()
        files = await running.files()
        secrets = await asyncio.to_thread(self._stores.secrets)
        snapshot = Snapshot(snapshot_name(made_at), made_at, self._release, files, secrets)
        await self._vault.keep(snapshot)
        report = BackupReport(
            snapshot.name,
            len(files),
            running.unchanged_count,
            snapshot.size_octets,
            running.sent_octets,
            tuple(running.damaged),
        )
        metrics.BACKUP_MADE_AT.set(made_at.timestamp())
        _log.info("backup made", snapshot=snapshot.name, files=len(files), sent_octets=running.sent_octets)
        return report

    async def list(self, actor: Actor) -> list[str]:
        """Give the names of all snapshots, the oldest first. Errors: NotAllowed, BadBackup, BackupFailed."""
        actor.must_be_admin()
        await self._vault.enter()
        return list(await self._vault.snapshot_names())

    async def last_made_at(self, actor: Actor) -> datetime | None:
        """Give when the newest snapshot was made; None: there is none. Errors: NotAllowed, BadBackup, BackupFailed."""
        actor.must_be_admin()
        names = await self._vault.snapshot_names()
        return moment_of(names[-1]) if names else None

    async def prune(self, actor: Actor, retention: Retention) -> PruneReport:
        """Remove snapshots that need not stay, and what only they needed. Not beside a run.

        Errors: NotAllowed, BadBackup, BackupFailed.
        """
        actor.must_be_admin()
        await self._vault.enter()
        moments = {name: moment_of(name) for name in await self._vault.snapshot_names()}
        stay = kept(moments.values(), retention)
        going = tuple(name for name, moment in moments.items() if moment not in stay)
        # What stays is read before anything goes: a snapshot that cannot be read must not lose its chunks.
        needed: set[str] = set()
        for name in moments.keys() - set(going):
            needed |= (await self._vault.snapshot(name)).chunks
        locked = await self._vault.remove([SNAPSHOTS + name for name in going])
        chunks = sorted(await self._vault.chunk_names() - needed) if not locked else []
        locked += await self._vault.remove(chunks)
        return PruneReport(going, len(chunks), locked)

    async def _last(self) -> Snapshot | None:
        names = await self._vault.snapshot_names()
        try:
            return await self._vault.snapshot(names[-1]) if names else None
        except BadBackup as error:
            _log.warning("the last snapshot cannot be read; all files are read anew", error=error.public_text)
            return None


class _Run:
    """One run."""

    def __init__(
        self, stores: Stores, vault: Vault, last: Snapshot | None, known: set[str], progress: Progress | None
    ) -> None:
        self._stores = stores
        self._vault = vault
        self._before = {file.name: file for file in last.files} if last else {}
        self._known = known
        self._progress = progress
        self._room = asyncio.Semaphore(AT_ONCE)
        self._sending: set[asyncio.Task[None]] = set()
        self._failed: BackupFailed | None = None
        self.damaged: list[str] = []
        self.unchanged_count = 0
        self.sent_octets = 0

    async def files(self) -> tuple[StoredFile, ...]:
        """Copy everything; what comes and goes meanwhile is followed until the directory speaks of what is there."""
        copied: dict[str, StoredFile] = {}
        try:
            for _ in range(TURNS_MAX):
                names = await asyncio.to_thread(self._stores.names)
                new = [name for name in names if name not in copied]
                if not new:
                    break
                gone = [name for name in new if not await self._take(name, copied, len(names))]
                if gone:
                    copied.pop(names[0], None)  # it speaks of what has gone: it is copied again
            await self._sent()
        finally:
            for task in self._sending:
                task.cancel()
        return tuple(copied.values())

    async def _take(self, name: str, copied: dict[str, StoredFile], total: int) -> bool:
        """Copy one file, if it is still there. One that is damaged must not keep the others from being copied."""
        before = self._before.get(name)
        if before is not None and not _needs(before) <= self._known:
            before = None
        try:
            signature = await asyncio.to_thread(self._stores.signature, name)
            if before and signature and before.signature == signature:
                self.unchanged_count += 1
                copied[name] = before
            else:
                copied[name] = StoredFile(name, signature, await self._parts(name))
        except NoSuchStore:
            return False
        except StoreDamaged as error:
            if name not in self.damaged:  # the directory may be looked at in several turns
                self.damaged.append(name)
            _log.error("a store cannot be backed up", store=name, error=error.public_text)
            copied[name] = before or StoredFile(name, "", ())
        if self._progress is not None:
            self._progress(len(copied), max(total, len(copied)))
        return True

    async def _parts(self, name: str) -> tuple[Part, ...]:
        """Copy one file. Errors: NoSuchStore, StoreDamaged, StorageUnavailable."""
        for _ in range(COPIES_MAX):
            with suppress(StoreMoved):
                return await self._copied(name)
        raise StoreDamaged("The file was written to each time that it was copied", store=name)

    async def _copied(self, name: str) -> tuple[Part, ...]:
        sizes: dict[str, int] = {}
        chunks: dict[str, list[str]] = {}
        pieces = self._stores.pieces(name, PIECE_OCTETS)
        compresses = not name.endswith(".db")  # databases are encrypted, and what is in them compressed
        try:
            while (taken := await asyncio.to_thread(self._next, pieces, compresses)) is not None:
                piece, chunk, sealed = taken
                sizes[piece.part] = sizes.get(piece.part, 0) + len(piece.octets)
                chunks.setdefault(piece.part, []).append(chunk)
                if sealed is not None:
                    self._known.add(chunk)
                    await self._send(chunk, sealed)
        finally:
            await asyncio.to_thread(pieces.close)  # type: ignore[attr-defined]  # a generator, whatever its type
        return tuple(Part(suffix, size, tuple(chunks[suffix])) for suffix, size in sizes.items())

    def _next(self, pieces: Iterator[Piece], compresses: bool) -> tuple[Piece, str, bytes | None] | None:
        """Run in a thread: read, name and seal the next piece."""
        piece = next(pieces, None)
        if piece is None:
            return None
        chunk = self._vault.chunk_name(piece.octets)
        is_known = chunk in self._known
        return piece, chunk, None if is_known else self._vault.sealed(chunk, piece.octets, compresses=compresses)

    async def _send(self, name: str, sealed: bytes) -> None:
        await self._room.acquire()
        if self._failed is not None:
            raise self._failed
        self.sent_octets += len(sealed)
        task = asyncio.create_task(self._put(name, sealed))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _put(self, name: str, sealed: bytes) -> None:
        try:
            await self._vault.put(name, sealed)
        except BackupFailed as error:
            self._failed = error
        finally:
            self._room.release()

    async def _sent(self) -> None:
        """Wait until all is stored. Errors: BackupFailed."""
        await asyncio.gather(*self._sending)
        if self._failed is not None:
            raise self._failed


def _needs(file: StoredFile) -> set[str]:
    return {chunk for part in file.parts for chunk in part.chunks}
