"""Which account files are open: connections by account, least recently used ones closed beyond a bound.

A connection is lent to one thread at a time. Writers borrow the one writing connection of an account, readers one of
a few reading ones. What is open belongs to one edition of the account's key: once the account is sealed or unsealed, by
any process, it is closed, and opened again only by who has the key then.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from mailstead.model.ids import AccountId
from mailstead.storage.embedded import account_file
from mailstead.storage.embedded.account_keys import AccountKeys


@dataclass(slots=True)
class _Open:
    """The connections of one account that nobody uses just now, and how many are lent."""

    edition: object
    writer: apsw.Connection | None = None
    readers: list[apsw.Connection] = field(default_factory=list)
    lent_count: int = 0
    is_dropped: bool = False

    @property
    def is_empty(self) -> bool:
        return self.writer is None and not self.readers

    def close(self) -> None:
        for connection in (*self.readers, self.writer):
            if connection is not None:
                connection.close()
        self.readers.clear()
        self.writer = None


class OpenAccounts:
    """A bounded set of open account files. Its methods are called from writer and reader threads."""

    def __init__(self, data_dir: Path, keys: AccountKeys, open_count_max: int, vfs: str | None = None) -> None:
        self._data_dir = data_dir
        self._keys = keys
        self._open_count_max = open_count_max
        self.vfs = vfs
        self._open: OrderedDict[AccountId, _Open] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def writer(self, account_id: AccountId) -> Iterator[apsw.Connection]:
        """Lend the writing connection; the caller sees to it that only one thread asks at a time.

        Errors: as `account_file.connect`.
        """
        entry = self._enter(account_id)
        writer, entry.writer = entry.writer, None
        try:
            if writer is None:
                writer = self._connect(account_id, account_file.WRITER_CACHE_KIB)
            yield writer
        finally:
            with self._lock:
                entry.writer = writer
            self._leave(account_id, entry)

    @contextmanager
    def reader(self, account_id: AccountId) -> Iterator[apsw.Connection]:
        """Lend a reading connection. Errors: as `account_file.connect`."""
        entry = self._enter(account_id)
        with self._lock:
            reader = entry.readers.pop() if entry.readers else None
        try:
            if reader is None:
                reader = self._connect(account_id, account_file.READER_CACHE_KIB)
            yield reader
        finally:
            with self._lock:
                if reader is not None:
                    entry.readers.append(reader)
            self._leave(account_id, entry)

    def drop(self, account_id: AccountId) -> None:
        """Close what is open of an account; what is lent is closed when it comes back."""
        with self._lock:
            entry = self._open.pop(account_id, None)
            if entry is None:
                return
            entry.is_dropped = True
            is_idle = not entry.lent_count
        if is_idle:
            entry.close()

    def close(self) -> None:
        """Close all files; the last one to leave an account file tidies its WAL."""
        for account_id in list(self._open):
            self.drop(account_id)

    def _enter(self, account_id: AccountId) -> _Open:
        surplus: list[_Open] = []
        edition = self._keys.edition(account_id)
        with self._lock:
            entry = self._open.get(account_id)
            if entry is not None and entry.edition != edition:
                del self._open[account_id]
                entry.is_dropped = True
                if not entry.lent_count:
                    surplus.append(entry)
                entry = None
            if entry is None:
                entry = self._open[account_id] = _Open(edition)
                surplus += self._surplus()
            else:
                self._open.move_to_end(account_id)
            entry.lent_count += 1
        for old in surplus:
            old.close()
        return entry

    def _surplus(self) -> list[_Open]:
        """Take the least recently used accounts of which nothing is lent out of the set."""
        excess = len(self._open) - self._open_count_max
        if excess <= 0:
            return []
        idle = [key for key, entry in self._open.items() if not entry.lent_count][:excess]
        surplus = [self._open.pop(key) for key in idle]
        for entry in surplus:
            entry.is_dropped = True
        return surplus

    def _connect(self, account_id: AccountId, cache_kib: int) -> apsw.Connection:
        path = account_file.account_path(self._data_dir, account_id)
        return account_file.connect(path, self._keys.account_key(account_id), vfs=self.vfs, cache_kib=cache_kib)

    def _leave(self, account_id: AccountId, entry: _Open) -> None:
        with self._lock:
            entry.lent_count -= 1
            if entry.lent_count:
                return
            if entry.is_empty and self._open.get(account_id) is entry:  # it could not be opened
                del self._open[account_id]
            is_dropped = entry.is_dropped
        if is_dropped:
            entry.close()
