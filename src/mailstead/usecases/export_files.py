"""The files of an export: a ZIP archive that is taken away while it grows, and mail in it, in the form asked for.

Mail is in the files that ``mailstead export`` writes and ``mailstead import`` reads, or one file for each message. All
names are made by us (attack row 71).

Spec: RFC 4155 (mbox), Maildir++, RFC 5322 (a file each), PKWARE APPNOTE 4.4.4 (sizes behind the data).
"""

from __future__ import annotations

import asyncio
import contextlib
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import IO, Final

from mailstead.model.errors import NoSuchMailbox
from mailstead.model.message import MessageRecord
from mailstead.ports.storage import AccountStore
from mailstead.usecases import mboxes
from mailstead.usecases.exports import Written, batches, file_name, with_lf
from mailstead.usecases.maildirs import KEYWORDS_FILE, MAILDIR_MARK, MaildirNames

PIECE_OCTETS: Final = 64 * 1024
MAILDIR: Final = "Maildir"


class MailForm(StrEnum):
    """What mail is written as."""

    MBOX = "mbox"
    """One file for each mailbox."""
    MAILDIR = "maildir"
    """One Maildir with all mailboxes."""
    EML = "eml"
    """One file for each message, in a folder for each mailbox."""


class Archive:
    """A ZIP archive written to memory, from which it is taken away as it grows."""

    def __init__(self, now: datetime) -> None:
        self._octets = bytearray()
        self._now = now
        self._zip = zipfile.ZipFile(_Sink(self._octets.extend), "w", zipfile.ZIP_DEFLATED)

    @property
    def waiting_octets(self) -> int:
        """Written and not taken."""
        return len(self._octets)

    def file(self, path: str) -> IO[bytes]:
        """Begin a file; close it before the next."""
        return self._zip.open(self._info(path, self._now), "w", force_zip64=True)

    def write(self, path: str, octets: bytes, at: datetime | None = None) -> None:
        """Write a whole file, of a moment (None: now)."""
        self._zip.writestr(self._info(path, at or self._now), octets)

    def folder(self, path: str) -> None:
        """Make a folder that may stay empty."""
        info = self._info(f"{path}/", self._now)
        info.external_attr = (0o40700 << 16) | 0x10  # MS-DOS's mark of a folder
        self._zip.writestr(info, b"")

    def taken(self) -> bytes:
        """Give what waits, and forget it."""
        octets = bytes(self._octets)
        self._octets.clear()
        return octets

    def close(self) -> None:
        """Write the list of files."""
        self._zip.close()

    def _info(self, path: str, at: datetime) -> zipfile.ZipInfo:
        year = min(max(at.year, 1980), 2107)  # no others can be written
        info = zipfile.ZipInfo(path, (year, at.month, at.day, at.hour, at.minute, at.second))
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        return info


class _Sink:
    """A file that is only written; without `tell`, so that nobody goes back in it."""

    def __init__(self, extend: Callable[[bytes], None]) -> None:
        self._extend = extend

    def write(self, octets: bytes) -> int:
        """Take some."""
        self._extend(octets)
        return len(octets)

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing is open."""


class MailWriter:
    """Writes mailboxes into an archive, in one of the forms."""

    def __init__(self, archive: Archive, form: MailForm) -> None:
        self._archive = archive
        self._form = form
        self._names = MaildirNames()

    async def write(
        self, store: AccountStore, name: str, note: Callable[[int], Awaitable[None]]
    ) -> AsyncIterator[bytes]:
        """Write one mailbox; `note` is told of each batch. What is gone meanwhile is left out."""
        try:
            snapshot = await store.snapshot(name)
        except NoSuchMailbox:
            return
        await note(0)
        with contextlib.ExitStack() as stack:
            write = self._begin(name, stack)
            try:
                async for batch in batches(store, snapshot):
                    await asyncio.to_thread(write, batch)
                    await note(len(batch))
                    if self._archive.waiting_octets >= PIECE_OCTETS:
                        yield self._archive.taken()
            except NoSuchMailbox:
                pass  # what was read of it so far stays
        if self._archive.waiting_octets:
            yield self._archive.taken()

    def close(self) -> None:
        """Write what stands beside the messages."""
        for mailbox, text in self._names.keywords().items():
            self._archive.write(f"{self._maildir(mailbox)}/{KEYWORDS_FILE}", text.encode())

    def _begin(self, name: str, stack: contextlib.ExitStack) -> Callable[[list[Written]], None]:
        archive = self._archive
        match self._form:
            case MailForm.MBOX:
                file = stack.enter_context(archive.file(file_name(name)))
                return lambda batch: _write_mbox(file, batch)
            case MailForm.EML:
                folder = f"mail/{file_name(name, '')}"
                archive.folder(folder)
                return lambda batch: _write_eml(archive, folder, batch)
            case MailForm.MAILDIR:
                folder = self._maildir(name)
                for each in ("cur", "new", "tmp"):
                    archive.folder(f"{folder}/{each}")
                if folder != MAILDIR:
                    archive.write(f"{folder}/{MAILDIR_MARK}", b"")
                return lambda batch: self._write_maildir(name, batch)

    def _maildir(self, mailbox: str) -> str:
        folder = self._names.folder(mailbox)
        return f"{MAILDIR}/{folder}" if folder else MAILDIR

    def _write_maildir(self, mailbox: str, batch: list[Written]) -> None:
        for record, octets in batch:
            text = with_lf(octets)
            name = self._names.message(mailbox, len(text), record.flags)
            self._archive.write(f"{self._maildir(mailbox)}/cur/{name}", text, _came_at(record))


def _write_mbox(file: IO[bytes], batch: list[Written]) -> None:
    for record, octets in batch:
        mboxes.write_message(file, with_lf(octets), record.flags, _came_at(record))


def _write_eml(archive: Archive, folder: str, batch: list[Written]) -> None:
    for record, octets in batch:
        archive.write(f"{folder}/{record.uid:08d}.eml", octets, _came_at(record))


def _came_at(record: MessageRecord) -> datetime:
    return datetime.fromtimestamp(record.internaldate_s, UTC)
