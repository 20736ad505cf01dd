"""Group commit: all units of work that wait for one account share one transaction and one sync.

Each account is pinned to one writer thread, so within this process it has one writer; other processes are kept out
by BEGIN IMMEDIATE (promise 1). While one batch is being synced the next one gathers. Accounts of a thread take turns,
and the syncs of different files overlap in different threads. Nothing is acknowledged before COMMIT has returned
(promise 4).

`GroupWriter` is for any set of files; `Writer` is the one of the accounts.
"""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, Generic, Protocol, TypeVar

import apsw

from mailstead.model.errors import MailsteadError, StorageFull
from mailstead.model.ids import AccountId
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.clock import Clock
from mailstead.storage.embedded import account_file
from mailstead.storage.embedded.open_accounts import OpenAccounts
from mailstead.storage.embedded.outbox import Outbox, settle
from mailstead.storage.embedded.transaction import Transaction
from mailstead.telemetry import metrics

T = TypeVar("T")
TransactionT = TypeVar("TransactionT", bound="UnitTransaction")

UNITS_PER_BATCH_MAX: Final = 256
DISK_LOOK_S: Final = 1.0
"""How long a look at the free space of the disk is believed."""


class UnitTransaction(Protocol):
    """What units of one batch share: the connection, and what is kept in memory until `flush`."""

    db: apsw.Connection

    def mark(self) -> Any:
        """Note what is in memory before a unit."""

    def restore(self, state: Any) -> None:
        """Put it back after a failed unit."""

    def flush(self) -> None:
        """Write it, before COMMIT."""


class WritingConnections(Protocol):
    """Who lends the one writing connection of each file."""

    def writer(self, account_id: AccountId) -> AbstractContextManager[apsw.Connection]:
        """Lend it; only one thread asks at a time."""


@dataclass(slots=True, eq=False)
class Unit:
    """One unit of work on its way: what to do, and who waits for it."""

    account_id: AccountId
    work: Callable[[Any], Any]
    future: asyncio.Future[Any]
    grows: bool
    wakes: bool
    topic: AccountId | None = None
    """Watched beside the account's own topic."""
    alone: bool = False
    """Not in a transaction of an account but by itself in the account's thread: making and removing stores."""
    result: Any = None
    error: BaseException | None = None


class GroupWriter(Generic[TransactionT]):
    """The writer threads of some files. `run` is called on the event loop."""

    def __init__(
        self,
        connections: WritingConnections,
        begin: Callable[[apsw.Connection, datetime], TransactionT],
        outbox: Outbox,
        bus: ChangeBus,
        clock: Clock,
        disk: "DiskReserve",
        *,
        thread_count: int,
        name: str,
    ) -> None:
        self._connections = connections
        self._begin = begin
        self._outbox = outbox
        self._bus = bus
        self._clock = clock
        self._disk = disk
        self._queues: list[SimpleQueue[Unit | None]] = [SimpleQueue() for _ in range(max(1, thread_count))]
        self._threads = [
            threading.Thread(target=self._serve, args=(queue,), name=f"{name}-{number}", daemon=True)
            for number, queue in enumerate(self._queues)
        ]
        for thread in self._threads:
            thread.start()

    async def run(
        self,
        account_id: AccountId,
        work: Callable[[TransactionT], T],
        *,
        grows: bool = False,
        wakes: bool = True,
        topic: AccountId | None = None,
    ) -> T:
        """Do a unit of work and wait until it is synced.

        `grows`: refused with StorageFull when the disk's reserve is reached. `wakes`: watchers of the account are woken
        after it. `topic`: and so are those of this topic.
        """
        result: T = await self._submit(Unit(account_id, work, _future(), grows, wakes, topic))
        return result

    async def run_alone(self, account_id: AccountId, work: Callable[[], T], *, grows: bool = False) -> T:
        """Run in the account's thread with its turn, outside a transaction: for making and removing its file."""
        result: T = await self._submit(Unit(account_id, lambda _: work(), _future(), grows, wakes=True, alone=True))
        return result

    async def _submit(self, unit: Unit) -> Any:
        self._queues[hash(unit.account_id) % len(self._queues)].put(unit)
        return await unit.future

    def close(self) -> None:
        """Finish what waits and end the threads. Blocks; called when nobody submits any more."""
        for queue in self._queues:
            queue.put(None)
        for thread in self._threads:
            thread.join()

    # in the writer threads

    def _serve(self, queue: "SimpleQueue[Unit | None]") -> None:
        waiting: dict[AccountId, deque[Unit]] = {}
        turns: deque[AccountId] = deque()
        is_open = True
        while is_open or turns:
            while is_open and (not turns or not queue.empty()):
                unit = queue.get()
                if unit is None:
                    is_open = False
                    break
                units = waiting.get(unit.account_id)
                if units is None:
                    units = waiting[unit.account_id] = deque()
                    turns.append(unit.account_id)
                units.append(unit)
            if not turns:
                break
            account_id = turns.popleft()
            units = waiting[account_id]
            batch = _take_batch(units)
            self._do(account_id, batch)
            if units:
                turns.append(account_id)
            else:
                del waiting[account_id]

    def _do(self, account_id: AccountId, batch: list[Unit]) -> None:
        try:
            is_changed = self._commit(account_id, batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the waiting must be told
            is_changed = False
            _fail(batch, error)
        done = [unit for unit in batch if is_changed and unit.error is None]
        topics = {unit.topic for unit in done if unit.topic} | {unit.account_id for unit in done if unit.wakes}
        self._outbox.post(lambda: self._deliver(batch, topics))

    def _deliver(self, batch: list[Unit], topics: set[AccountId]) -> None:
        for unit in batch:
            settle(unit.future, unit.result, unit.error)
        for topic in topics:
            self._bus.publish(topic)

    def _commit(self, account_id: AccountId, batch: list[Unit]) -> bool:
        """Run the units of a batch and commit them; tells whether anything changed."""
        live = self._refuse_growth(batch)
        if not live:
            return False
        if live[0].alone:
            live[0].result = live[0].work(None)  # a unit alone has no transaction
            return True
        with self._connections.writer(account_id) as db:
            before = db.total_changes()
            db.execute("BEGIN IMMEDIATE")
            try:
                transaction = self._begin(db, self._clock.now())
                if len(live) == 1:
                    # No savepoint: if the only unit fails, the whole transaction is rolled back.
                    live[0].result = live[0].work(transaction)
                else:
                    for unit in live:
                        _run_in_savepoint(transaction, unit)
                transaction.flush()
                started_s = self._clock.monotonic_s()
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # some errors have rolled back by themselves
                    db.execute("ROLLBACK")
                raise
            metrics.COMMIT_SECONDS.observe(self._clock.monotonic_s() - started_s)
            metrics.COMMITS.inc()
            metrics.COMMIT_UNITS.inc(len(live))
            return db.total_changes() != before

    def _refuse_growth(self, batch: list[Unit]) -> list[Unit]:
        """Refuse units that need room when the reserve is reached; removing still works (attack row 76)."""
        if not any(unit.grows for unit in batch) or self._disk.has_room():
            return batch
        _fail([unit for unit in batch if unit.grows], StorageFull())
        return [unit for unit in batch if not unit.grows]


class Writer(GroupWriter[Transaction]):
    """The writer threads of the accounts."""

    def __init__(
        self,
        accounts: OpenAccounts,
        outbox: Outbox,
        bus: ChangeBus,
        clock: Clock,
        disk: "DiskReserve",
        thread_count: int,
    ) -> None:
        super().__init__(
            accounts,
            lambda db, now: Transaction(db, now),  # noqa: PLW0108 - looked up at each call, so that tests may break it
            outbox,
            bus,
            clock,
            disk,
            thread_count=thread_count,
            name="store-writer",
        )


class DiskReserve:
    """Whether the disk has more free space than the reserve that is kept for recovery."""

    def __init__(self, folder: Path, reserve_octets: int, clock: Clock) -> None:
        self._folder = folder
        self._reserve_octets = reserve_octets
        self._clock = clock
        self._looked_at_s = float("-inf")
        self._has_room = True

    def has_room(self) -> bool:
        """Look at the disk, at most once in `DISK_LOOK_S`."""
        now_s = self._clock.monotonic_s()
        if now_s - self._looked_at_s >= DISK_LOOK_S:
            disk = os.statvfs(self._folder)
            self._has_room = disk.f_bavail * disk.f_frsize > self._reserve_octets
            self._looked_at_s = now_s
        return self._has_room


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


def _take_batch(units: "deque[Unit]") -> list[Unit]:
    batch = [units.popleft()]
    while units and len(batch) < UNITS_PER_BATCH_MAX and not batch[0].alone and not units[0].alone:
        batch.append(units.popleft())
    return batch


def _run_in_savepoint(transaction: UnitTransaction, unit: Unit) -> None:
    """Run a unit so that its failure leaves the others of the batch alone."""
    db = transaction.db
    state = transaction.mark()
    db.execute("SAVEPOINT unit")
    try:
        unit.result = unit.work(transaction)
        db.execute("RELEASE unit")
    except Exception as error:
        if not db.in_transaction:  # SQLite has rolled everything back (disk full, I/O error)
            raise
        db.execute("ROLLBACK TO unit")
        db.execute("RELEASE unit")
        transaction.restore(state)
        unit.error = _worded(error)


def _fail(units: list[Unit], error: BaseException) -> None:
    for unit in units:
        unit.result = None
        unit.error = _worded(error)


def _worded(error: BaseException) -> BaseException:
    """Give errors of SQLite and the disk the house's words; a bug stays as it is."""
    if isinstance(error, apsw.Error | OSError) and not isinstance(error, MailsteadError):
        worded = account_file.translated(error)
        worded.__cause__ = error
        return worded
    return error
