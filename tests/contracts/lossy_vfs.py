"""An SQLite file system that loses what was not synced, as a power cut does.

Writes stay in the memory of the process until xSync; only then they reach the real file. So SIGKILL, or reading the real
files while the process lives, shows exactly what a disk would have kept in the worst case. It lies below the cipher: the
cipher VFS stacks itself on any VFS whose name follows the prefix ``multipleciphers-``, and so this one sees cipher text only.

Use: `install()` before any store is opened makes it the default of the process; or open with ``vfs=NAME``. One process only
(others do not see the unsynced writes). Names of files (creation, rename) are not lost: `account_file` syncs folders itself.
"""

import threading

import apsw

BASE = "unix"
NAME = "multipleciphers-lossy"
BLOCK = 4096


class _Unsynced:
    """What one path has beyond its real file; shared by all connections of the process."""

    def __init__(self, size: int) -> None:
        self.lock = threading.RLock()
        self.size = size
        self.kept_size = size
        """Of the real file."""
        self.blocks: dict[int, bytearray] = {}
        self.open_count = 0


class _File(apsw.VFSFile):
    def __init__(self, vfs: "LossyVfs", name: apsw.URIFilename | str | None, flags: list[int]) -> None:
        super().__init__(BASE, name, flags)
        self._vfs = vfs
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else name
        with vfs.lock:
            state = vfs.paths.get(self._path)
            if state is None:
                state = vfs.paths[self._path] = _Unsynced(super().xFileSize())
            state.open_count += 1
        self._state = state

    def _block(self, number: int) -> bytes | bytearray:
        block = self._state.blocks.get(number)
        if block is not None:
            return block
        start = number * BLOCK
        there = max(0, min(BLOCK, self._state.kept_size - start))
        return (super().xRead(there, start) if there else b"").ljust(BLOCK, b"\0")

    def xRead(self, amount: int, offset: int) -> bytes:
        with self._state.lock:
            stop = min(offset + amount, self._state.size)
            if offset >= stop:
                return b""
            numbers = range(offset // BLOCK, (stop - 1) // BLOCK + 1)
            whole = b"".join(self._block(number) for number in numbers)
            start = numbers[0] * BLOCK
            return whole[offset - start : stop - start]

    def xWrite(self, data: bytes, offset: int) -> None:
        view = memoryview(data)
        with self._state.lock:
            at = offset
            while view:
                number, inside = divmod(at, BLOCK)
                piece = view[: BLOCK - inside]
                block = bytearray(self._block(number))
                block[inside : inside + len(piece)] = piece
                self._state.blocks[number] = block
                at += len(piece)
                view = view[len(piece) :]
            self._state.size = max(self._state.size, at)

    def xFileSize(self) -> int:
        return self._state.size

    def xTruncate(self, newsize: int) -> None:
        with self._state.lock:
            for number in [number for number in self._state.blocks if number * BLOCK >= newsize]:
                del self._state.blocks[number]
            if newsize % BLOCK:
                block = bytearray(self._block(newsize // BLOCK))
                block[newsize % BLOCK :] = bytes(BLOCK - newsize % BLOCK)
                self._state.blocks[newsize // BLOCK] = block
            self._state.size = newsize
            if newsize < self._state.kept_size:
                # Cut now: a cut that is lost would only bring back octets that nothing refers to.
                super().xTruncate(newsize)
                self._state.kept_size = newsize

    def xSync(self, flags: int) -> None:
        state = self._state
        self._vfs.sync_count += 1
        if self._vfs.is_failing:
            raise apsw.IOError
        with state.lock:
            for number, block in sorted(state.blocks.items()):
                start = number * BLOCK
                super().xWrite(bytes(block[: max(0, min(BLOCK, state.size - start))]), start)
            state.blocks.clear()
            state.kept_size = state.size
            super().xSync(flags)

    def xClose(self) -> None:
        super().xClose()
        with self._vfs.lock:
            self._state.open_count -= 1
            if not self._state.open_count and not self._state.blocks:
                self._vfs.paths.pop(self._path, None)


class LossyVfs(apsw.VFS):
    """Registers itself as ``lossy``; the cipher's layer above it is made by SQLite3MultipleCiphers on first use."""

    def __init__(self) -> None:
        self.paths: dict[str | None, _Unsynced] = {}
        self.lock = threading.RLock()
        self.sync_count = 0
        self.is_failing = False
        """Let every sync fail from now on: a broken disk."""
        super().__init__("lossy", BASE)

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> _File:
        return _File(self, name, flags)

    def xDelete(self, name: str, syncdir: bool) -> None:
        with self.lock:
            self.paths.pop(name, None)
        super().xDelete(name, syncdir)


_installed: LossyVfs | None = None


def register() -> LossyVfs:
    """Make it available under `NAME`."""
    global _installed  # noqa: PLW0603 - SQLite's list of file systems is global too
    if _installed is None:
        _installed = LossyVfs()
    return _installed


def install() -> LossyVfs:
    """Make it the default of this process: for a server that a crash test starts and kills."""
    vfs = register()
    apsw.Connection(":memory:", vfs=NAME).close()
    apsw.set_default_vfs(NAME)
    return vfs
