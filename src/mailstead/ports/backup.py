"""What backups need from outside: the files of the stores at one moment each, and a place for objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

UNFINISHED_FILE: Final = "restore.unfinished"
"""In a data folder into which a restore has not come to its end: nobody may use it as it is."""

SCRATCH_FOLDER: Final = "scratch"
"""Of a data folder: what is put aside for a while, and not backed up."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a file; the pieces of one part come in order."""

    part: str
    """What is added to the file's name: empty, or ``-wal`` for the log beside a database."""
    octets: bytes


class Stores(Protocol):
    """The files that are backed up. All verbs block; they are called in threads."""

    def names(self) -> Sequence[str]:
        """Give the files in the order in which they are to be copied, as relative paths with slashes.

        What refers to others comes before them, so that nothing that a snapshot speaks of is missing in it.
        Errors: StorageUnavailable.
        """

    def signature(self, name: str) -> str:
        """Give what differs whenever the file may have changed; empty: nobody can tell. Errors: NoSuchStore."""

    def pieces(self, name: str, size_octets: int) -> Iterator[Piece]:
        """Give the file as it is at one moment, in pieces of that size; writers go on meanwhile.

        Errors: NoSuchStore, if it has gone; StoreMoved, at the end, if it was not one moment after all; StoreDamaged,
        StorageUnavailable.
        """

    def secrets(self) -> Mapping[str, bytes]:
        """Give what lies elsewhere and is needed, too: name → octets."""


class NoSuchStore(Exception):  # a fact, in the manner of model.errors; never shown
    """The file has gone since it was listed."""


class StoreMoved(Exception):  # likewise
    """The file was written to while it was copied, and nobody could hold it still: copy it again."""


class Objects(Protocol):
    """A place for objects: a folder, a bucket. An object is whole or not there.

    Errors of all: BackupFailed, saying what to do; temporary where trying again may help.
    """

    async def put(self, name: str, octets: bytes) -> None:
        """Store an object; one of that name is replaced."""

    async def get(self, name: str) -> bytes:
        """Give an object. Errors: BadBackup, if it is not there."""

    async def names(self, prefix: str) -> Mapping[str, int]:
        """Give the objects whose names begin so: name → size in octets."""

    async def remove(self, names: Sequence[str]) -> int:
        """Remove objects; gives how many the place did not let go (object lock)."""
