"""Files beside the directory: queue, memory, trace, reports; each one encrypted SQLite file with its writer thread.

Writing is group commit as for accounts (`writer`), so all units that wait share one sync; reading is done by a few
threads that all side files share (`reader`). A file's id is also the topic on which its commits wake watchers.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import apsw

from mailstead.config.settings import Store
from mailstead.model.ids import AccountId
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.clock import Clock
from mailstead.storage.embedded import encrypted_file
from mailstead.storage.embedded.keys import derived_key
from mailstead.storage.embedded.outbox import Outbox
from mailstead.storage.embedded.reader import Reader
from mailstead.storage.embedded.writer import DiskReserve, GroupWriter

T = TypeVar("T")

READER_THREAD_COUNT: Final = 3
"""One more than one file may use at a time, so that a slow search in the trace does not hold up the queue."""
READER_CACHE_KIB: Final = 512


@dataclass(frozen=True, slots=True)
class FileKind:
    """What makes one side file differ from the others."""

    name: str
    """Of the file, without ``.db``; also the purpose of its key and its topic on the change bus."""
    migrations: tuple[str, ...]
    synchronous: str = "FULL"
    """FULL: what is committed survives a power cut. NORMAL: it may lose the last commits, and costs no sync each."""


class SideTransaction:
    """What units of a side file see: the connection and the present moment. Nothing is kept in memory."""

    __slots__ = ("db", "now")

    def __init__(self, db: apsw.Connection, now: datetime) -> None:
        self.db = db
        self.now = now

    def mark(self) -> None:
        """See `writer.UnitTransaction`."""

    def restore(self, state: None) -> None:
        """See `writer.UnitTransaction`."""

    def flush(self) -> None:
        """See `writer.UnitTransaction`."""


class SideFile:
    """One file. `write` and `read` are called on the event loop and cost one hop each."""

    def __init__(
        self, kind: FileKind, connect: Callable[[int], apsw.Connection], files: SideFiles, outbox: Outbox
    ) -> None:
        self.file_id = AccountId(kind.name)
        self._connect = connect
        self._writing = connect(encrypted_file.CACHE_KIB)
        self._idle: list[apsw.Connection] = []
        self._lock = threading.Lock()
        self._reader = files.reader_threads
        self._writer = GroupWriter(
            self,
            SideTransaction,
            outbox,
            files.bus,
            files.clock,
            files.disk,
            thread_count=1,
            name=f"{kind.name}-writer",
        )

    async def write(self, work: Callable[[SideTransaction], T], *, grows: bool = False, wakes: bool = False) -> T:
        """Do a unit of work and wait until it is committed. See `GroupWriter.run`."""
        return await self._writer.run(self.file_id, work, grows=grows, wakes=wakes)

    async def read(self, work: Callable[[apsw.Connection], T]) -> T:
        """Do a reading call. See `Reader.run`."""
        return await self._reader.run(self.file_id, work)

    async def findings(self) -> list[str]:
        """What is wrong with the file itself."""
        return await self.read(lambda db: [f"{self.file_id}: {text}" for text in encrypted_file.faults(db)])

    def end_writing(self) -> None:
        """Finish what waits to be written and end the thread. Blocks."""
        self._writer.close()

    def close(self) -> None:
        """Close the connections, when no thread uses them any more."""
        for db in (*self._idle, self._writing):
            db.close()
        self._idle.clear()

    # lent to the threads

    @contextmanager
    def writer(self, _: AccountId) -> Iterator[apsw.Connection]:
        """See `writer.WritingConnections`."""
        yield self._writing

    @contextmanager
    def reader(self) -> Iterator[apsw.Connection]:
        """Lend a reading connection. Errors: as `encrypted_file.connect`."""
        with self._lock:
            db = self._idle.pop() if self._idle else None
        if db is None:
            db = self._connect(READER_CACHE_KIB)
        try:
            yield db
        finally:
            with self._lock:
                self._idle.append(db)


class SideFiles:
    """All side files of a data folder, and the threads that read them."""

    def __init__(
        self, settings: Store, data_dir: Path, master: bytes, bus: ChangeBus, clock: Clock, *, vfs: str | None = None
    ) -> None:
        """Start the reader threads. Called on the running event loop, on which all results arrive."""
        self.bus = bus
        self.clock = clock
        self.disk = DiskReserve(data_dir, settings.disk_reserve_octets, clock)
        self.data_dir = data_dir
        self._master = master
        self._vfs = vfs
        self._outbox = Outbox(asyncio.get_running_loop())
        self._files: dict[AccountId, SideFile] = {}
        self.reader_threads = Reader(self, self._outbox, clock, READER_THREAD_COUNT)

    def open(self, kind: FileKind) -> SideFile:
        """Open a file, made if it is not there. Errors: as `encrypted_file.connect`."""

        def connect_again(cache_kib: int) -> apsw.Connection:
            return encrypted_file.connect(
                self.data_dir / f"{kind.name}.db",
                derived_key(self._master, kind.name),
                kind.migrations,
                synchronous=kind.synchronous,
                cache_kib=cache_kib,
                vfs=self._vfs,
            )

        file = SideFile(kind, connect_again, self, self._outbox)
        self._files[file.file_id] = file
        return file

    @contextmanager
    def reader(self, account_id: AccountId) -> Iterator[apsw.Connection]:
        """See `reader.ReadingConnections`."""
        with self._files[account_id].reader() as db:
            yield db

    async def findings(self) -> list[str]:
        """What is wrong with the files themselves."""
        return [finding for file in self._files.values() for finding in await file.findings()]

    async def close(self) -> None:
        """Finish what is promised, end the threads, close all files."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for file in self._files.values():
            file.end_writing()
        self.reader_threads.close()
        for file in self._files.values():
            file.close()
