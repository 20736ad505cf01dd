"""An SQLite file system with a given amount of room, for row 76.

It lies below the cipher, as `contracts/lossy_vfs.py` does, and fails a write like a full disk does: at any page of any
file, also in the middle of a commit. Only growing a file needs room.
"""

import contextlib
import threading

import apsw

BASE = "unix"
NAME = "multipleciphers-small"
PAGE = 4096


class _File(apsw.VFSFile):
    def __init__(self, vfs, name, flags):
        super().__init__(BASE, name, flags)
        self._vfs = vfs

    def xWrite(self, data, offset):
        with self._vfs.lock:
            size = self.xFileSize()
            if offset + len(data) > size and self._vfs.pages_left is not None:
                if self._vfs.pages_left <= 0:
                    self._vfs.refusals += 1
                    raise apsw.FullError
                self._vfs.pages_left -= 1
            super().xWrite(data, offset)


class SmallDisk(apsw.VFS):
    """`pages_left` pages fit, then none; None: as many as wanted."""

    def __init__(self):
        self.lock = threading.RLock()
        self.pages_left = None
        self.refusals = 0
        super().__init__("small", BASE)

    def xOpen(self, name, flags):
        return _File(self, name, flags)


_disk = None


@contextlib.contextmanager
def small_disk():
    """Let every store that is opened inside lie on one small disk."""
    global _disk  # noqa: PLW0603 - SQLite's list of file systems is global too
    if _disk is None:
        _disk = SmallDisk()
        apsw.Connection(":memory:", vfs=NAME).close()
    _disk.pages_left, _disk.refusals = None, 0
    before = apsw.vfs_names()[0]
    apsw.set_default_vfs(NAME)
    try:
        yield _disk
    finally:
        _disk.pages_left = None
        apsw.set_default_vfs(before)
