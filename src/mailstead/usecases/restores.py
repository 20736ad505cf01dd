"""The way back: a snapshot becomes a data folder again, whole, or only the files of one account.

Spec: house plan §12.1 (a file per account).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

from mailstead.model.envelope import Actor
from mailstead.model.errors import BackupFailed, BadBackup
from mailstead.ports.backup import SCRATCH_FOLDER, UNFINISHED_FILE
from mailstead.usecases.backup_vault import Part, Snapshot, StoredFile, Vault, moment_of

AT_ONCE: Final = 8
_SUFFIXES: Final = ("", "-wal")

Progress = Callable[[int, int], None]
"""Told how many octets are done of how many."""


class Restores:
    """The verbs `pick` and `run`; only for administrators (NotAllowed)."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def pick(self, actor: Actor, name: str = "", at: datetime | None = None) -> Snapshot:
        """Give the snapshot of that name, or the last one made at that moment or before it; else the newest.

        Errors: NotAllowed; BadBackup, saying what there is; BackupFailed.
        """
        actor.must_be_admin()
        await self._vault.enter()
        names = await self._vault.snapshot_names()
        fitting = [each for each in names if (not name or each == name) and (at is None or moment_of(each) <= at)]
        if not names:
            raise BadBackup("There are no snapshots at that place")
        if not fitting:
            raise BadBackup(f"There is no such snapshot; the oldest is {names[0]}, the newest {names[-1]}")
        return await self._vault.snapshot(fitting[-1])

    async def run(
        self,
        actor: Actor,
        snapshot: Snapshot,
        folder: Path,
        *,
        wants: Callable[[str], bool] = lambda _: True,
        progress: Progress | None = None,
    ) -> int:
        """Write the files of a snapshot whose names are wanted; gives how many. All are synced when this returns.

        The folder must be empty, but for what an unfinished restore has left there.
        Errors: NotAllowed; BadBackup (a folder that is in use; an object that is missing, changed or cut short, named);
        BackupFailed.
        """
        actor.must_be_admin()
        files = [file for file in snapshot.files if wants(file.name)]
        await asyncio.to_thread(_begin, folder)
        total = sum(part.size_octets for file in files for part in file.parts)
        done = 0
        for file in files:
            for part in file.parts:
                path = _place(folder, file, part)
                done += await self._write(folder, path, part)
                if progress is not None:
                    progress(done, total)
        await asyncio.to_thread(_end, folder, (_place(folder, file, part) for file in files for part in file.parts))
        return len(files)

    async def _write(self, folder: Path, path: Path, part: Part) -> int:
        written = 0
        handle = await asyncio.to_thread(_new_file, folder, path)
        try:
            # A few chunks are fetched ahead; they are written in order.
            for at in range(0, len(part.chunks), AT_ONCE):
                for octets in await asyncio.gather(*map(self._vault.get, part.chunks[at : at + AT_ONCE])):
                    written += await asyncio.to_thread(_write_all, handle, octets)
            await asyncio.to_thread(os.fsync, handle)
        except OSError as error:
            raise BackupFailed(f"{path} cannot be written: {error.strerror}") from None
        finally:
            os.close(handle)
        if written != part.size_octets:
            raise BadBackup(f"{path.name} came to {written} octets, not {part.size_octets}")
        return written


def _new_file(folder: Path, path: Path) -> int:
    """Open a file that was not there: not through a link or device that lies in its place. Errors: BackupFailed."""
    try:
        for parent in reversed(path.relative_to(folder).parents):  # `parents=True` would not mind the mode
            (folder / parent).mkdir(mode=0o700, exist_ok=True)
        path.unlink(missing_ok=True)  # what an unfinished restore has left
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BackupFailed(f"{path} cannot be written: {error.strerror}") from None


def _write_all(handle: int, octets: bytes) -> int:
    view = memoryview(octets)
    while view:
        view = view[os.write(handle, view) :]
    return len(octets)


def _place(folder: Path, file: StoredFile, part: Part) -> Path:
    """Give the file of a part. Errors: BadBackup, for a name that no backup of ours gives (attack row 106)."""
    name = file.name + part.suffix
    words = name.split("/")
    if part.suffix not in _SUFFIXES or "\0" in name or not all(words) or {".", ".."} & set(words):
        raise BadBackup(
            f"The snapshot names a file {name!r}, which would lie outside of the folder, or is none of ours"
        )
    path = folder.joinpath(*words)
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise BadBackup(f"{path.parent} leads outside of the folder: remove what is in {folder}, and restore again")
    return path


def _begin(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        left = {each.name for each in folder.iterdir()} - {"lost+found", SCRATCH_FOLDER}
        if left and UNFINISHED_FILE not in left:
            raise BadBackup(f"{folder} is not empty: a restore never writes over what is there; give an empty folder")
        (folder / UNFINISHED_FILE).touch()
    except OSError as error:
        raise BackupFailed(f"{folder} cannot be written: {error.strerror}") from None


def _end(folder: Path, paths: Iterable[Path]) -> None:
    """Sync all folders, and only then say that all is there."""
    folders = {folder}
    for path in paths:
        folders |= {parent for parent in path.parents if parent.is_relative_to(folder)}
    for each in folders:
        _sync_folder(each)
    (folder / UNFINISHED_FILE).unlink()
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
