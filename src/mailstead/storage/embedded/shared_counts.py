"""Counts of failed log-ins that all processes of a host share, in a file that each of them has mapped.

What one process counts, all others see at once, before their next guess is looked at: a message to them could come
too late, or not at all. Nothing waits for a disk: the kernel writes the pages when it likes, and the counts may be lost
with the machine. Names and addresses are in the file only as hashes under a key of the house.

A bucket of eight slots per key; of a full one the slot goes that was touched longest ago. Writers lock the bucket
(advisory, by process); a reader may see a slot half written, which costs a count at worst.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final

from mailstead.policy.failures import Count, Counts, Kind, LocalCounts
from mailstead.telemetry import log

FILE: Final = "failures-1"
"""In ``data_dir/run``; another format is another name, as others may have this one mapped."""
SLOTS_PER_BUCKET: Final = 8
BUCKETS: Final = 8192
"""Of each kind: 65,536 slots."""
LOCK_TRIES: Final = 200
"""Then it is written without the lock: a process that stands still must not stop the others."""

_SLOT: Final = struct.Struct("<16sIxxxxd")
_HEADER_OCTETS: Final = 4096
_HEADER: Final = struct.Struct("<16s64s")
_MAGIC: Final = b"mailstead counts"
_BUCKET_OCTETS: Final = _SLOT.size * SLOTS_PER_BUCKET
_FILE_OCTETS: Final = _HEADER_OCTETS + len(Kind) * BUCKETS * _BUCKET_OCTETS
_NOBODY: Final = bytes(16)
_BOOT_FILE: Final = Path("/proc/sys/kernel/random/boot_id")

_log = log.get("accounts")


class SharedCounts:
    """Implements `policy.failures.Counts`. `close` it at the end. Errors of the constructor: OSError."""

    def __init__(self, data_dir: Path, key: bytes) -> None:
        self._key = key
        folder = data_dir / "run"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX, _HEADER_OCTETS)
            if os.fstat(self._descriptor).st_size < _FILE_OCTETS:
                os.posix_fallocate(self._descriptor, 0, _FILE_OCTETS)  # a hole could find the disk full later: SIGBUS
            self._map = mmap.mmap(self._descriptor, _FILE_OCTETS)
            # Seconds that only ascend begin anew with the machine: counts of before mean nothing.
            header = _HEADER.pack(_MAGIC, _boot())
            if self._map[: _HEADER.size] != header:
                self._map[_HEADER_OCTETS:] = bytes(_FILE_OCTETS - _HEADER_OCTETS)
                self._map[: _HEADER.size] = header
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, _HEADER_OCTETS)
        except BaseException:
            os.close(self._descriptor)
            raise

    def close(self) -> None:
        """Unmap the file; it stays for the others."""
        self._map.close()
        os.close(self._descriptor)

    def get(self, kind: Kind, key: str) -> Count | None:
        """See `Counts.get`."""
        name, bucket = self._place(kind, key)
        for _, there, count, last_s in self._slots(bucket):
            if there == name:
                return Count(count, last_s)
        return None

    def add(self, kind: Kind, key: str, now_s: float, forgotten_s: float) -> None:
        """See `Counts.add`."""
        name, bucket = self._place(kind, key)
        with self._locked(bucket):
            oldest, oldest_s, count = bucket, float("inf"), 0
            for offset, there, there_count, last_s in self._slots(bucket):
                if there == name:
                    oldest, count = offset, there_count if now_s - last_s <= forgotten_s else 0
                    break
                touched_s = float("-inf") if there == _NOBODY else last_s
                if touched_s < oldest_s:
                    oldest, oldest_s = offset, touched_s
            _SLOT.pack_into(self._map, oldest, name, min(count + 1, 0xFFFFFFFF), now_s)

    def forget(self, kind: Kind, key: str) -> None:
        """See `Counts.forget`."""
        name, bucket = self._place(kind, key)
        with self._locked(bucket):
            for offset, there, _, _ in self._slots(bucket):
                if there == name:
                    _SLOT.pack_into(self._map, offset, _NOBODY, 0, 0.0)

    def _place(self, kind: Kind, key: str) -> tuple[bytes, int]:
        """Give the hash that stands for a key, and where its bucket begins."""
        name = blake2b(key.encode("utf-8", "replace"), digest_size=16, key=self._key, salt=bytes([kind])).digest()
        number = kind * BUCKETS + int.from_bytes(name[:4], "little") % BUCKETS
        return name, _HEADER_OCTETS + number * _BUCKET_OCTETS

    def _slots(self, bucket: int) -> Iterator[tuple[int, bytes, int, float]]:
        for offset in range(bucket, bucket + _BUCKET_OCTETS, _SLOT.size):
            yield offset, *_SLOT.unpack_from(self._map, offset)

    @contextlib.contextmanager
    def _locked(self, bucket: int) -> Iterator[None]:
        is_locked = False
        for _ in range(LOCK_TRIES):
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _BUCKET_OCTETS, bucket)
                is_locked = True
                break
            except OSError:
                os.sched_yield()  # who holds it may wait for this processor
        try:
            yield
        finally:
            if is_locked:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, _BUCKET_OCTETS, bucket)


@contextlib.contextmanager
def open_counts(data_dir: Path, key: bytes) -> Iterator[Counts]:
    """Give the counts of the host; those of this process alone where the file cannot be had."""
    try:
        shared = SharedCounts(data_dir, key)
    except OSError as error:
        _log.warning("failed log-ins are counted by each process alone", cause=repr(error))
        yield LocalCounts()
        return
    with contextlib.closing(shared):
        yield shared


def _boot() -> bytes:
    with contextlib.suppress(OSError):
        return _BOOT_FILE.read_bytes().strip()
    return b""
