"""Objects as files of a folder: on another disk, a network share, a stick."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from mailstead.model.errors import BackupFailed, BadBackup


class FolderObjects:
    """Implements `ports.backup.Objects`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, name: str, octets: bytes) -> None:
        """See `ports.backup.Objects`: it is on stable storage when this returns."""
        await asyncio.to_thread(self._put, name, octets)

    async def get(self, name: str) -> bytes:
        """See `ports.backup.Objects`."""
        return await asyncio.to_thread(self._get, name)

    async def names(self, prefix: str) -> Mapping[str, int]:
        """See `ports.backup.Objects`."""
        return await asyncio.to_thread(self._names, prefix)

    async def remove(self, names: Sequence[str]) -> int:
        """See `ports.backup.Objects`."""
        return await asyncio.to_thread(self._remove, names)

    def _put(self, name: str, octets: bytes) -> None:
        path = self._folder / name
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for parent in reversed(path.relative_to(self._folder).parents):  # `parents=True` would not mind the mode
                (self._folder / parent).mkdir(mode=0o700, exist_ok=True)
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(octets)
                file.flush()
                os.fsync(handle)
            beside.replace(path)
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise BackupFailed(f"{path} cannot be written: {error.strerror}") from None

    def _get(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            raise BadBackup(f"{name} is missing in {self._folder}") from None
        except OSError as error:
            raise BackupFailed(f"{self._folder / name} cannot be read: {error.strerror}") from None

    def _names(self, prefix: str) -> Mapping[str, int]:
        found: dict[str, int] = {}

        def failed(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise BackupFailed(f"{error.filename} cannot be read: {error.strerror}")

        start = self._folder / prefix.rpartition("/")[0]
        for at, _, names in os.walk(start, onerror=failed):
            for name in names:
                if not name.startswith("."):
                    path = Path(at) / name
                    relative = path.relative_to(self._folder).as_posix()
                    if relative.startswith(prefix):
                        found[relative] = path.stat().st_size
        return found

    def _remove(self, names: Sequence[str]) -> int:
        kept = 0
        for name in names:
            try:
                (self._folder / name).unlink(missing_ok=True)
            except OSError:
                kept += 1
        return kept
