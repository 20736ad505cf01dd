"""An account's mail, calendars and contacts as one archive that is made while it is read.

Nothing of it lies on a disk in clear, and no more than a batch of it in memory. Inside are the files that
``mailstead export --format mbox`` writes, and ``mailstead import`` reads. All names are made by us (attack row 71).

Spec: RFC 4155 (mbox), PKWARE APPNOTE 4.4.4 (sizes behind the data).
"""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import IO, Final

from mailstead.model.dav import CollectionKind
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchMailbox, NotAllowed
from mailstead.ports.clock import Clock
from mailstead.ports.storage import AccountStore, Storage
from mailstead.usecases import mboxes
from mailstead.usecases.calendar_files import FOLDERS, CalendarFiles
from mailstead.usecases.collections import Collections
from mailstead.usecases.exports import Written, batches, file_name, with_lf
from mailstead.usecases.mailboxes import Mailboxes

PIECE_OCTETS: Final = 64 * 1024
_KINDS: Final = (CollectionKind.CALENDAR, CollectionKind.ADDRESSBOOK)


class ExportArchives:
    """The verb `open`, on behalf of the account's owner."""

    def __init__(
        self,
        storage: Storage,
        mailboxes: Mailboxes,
        collections: Collections,
        calendar_files: CalendarFiles,
        clock: Clock,
    ) -> None:
        self._directory = storage.directory
        self._mailboxes = mailboxes
        self._collections = collections
        self._calendar_files = calendar_files
        self._clock = clock

    async def open(self, actor: Actor) -> AsyncIterator[bytes]:
        """Give a ZIP archive, piece by piece. What changes meanwhile is in it as it then is, or not.

        Errors: NotAllowed, for an actor without an account.
        """
        account = await self._directory.account(actor.account_id) if actor.account_id is not None else None
        if account is None:
            raise NotAllowed
        store = self._mailboxes.of(actor)
        names = [mailbox.name for mailbox in await store.mailboxes() if mailbox.is_selectable]
        opened = [
            each
            for kind in _KINDS
            for each in await self._collections.home(actor, account, kind)
            if each.share is None and not each.is_people
        ]

        async def pieces() -> AsyncIterator[bytes]:
            archive = _Archive(self._clock.now())
            for name in names:
                async for piece in _mailbox(archive, store, name):
                    yield piece
            for each in opened:
                octets, _ = await self._calendar_files.file(each)
                folder, suffix = FOLDERS[each.collection.kind]
                path = f"{folder}/{file_name(f'{each.traits.display_name or each.name} ({each.name})', suffix)}"
                with archive.file(path) as file:
                    await asyncio.to_thread(file.write, octets)
                yield archive.taken()
            archive.close()
            yield archive.taken()

        return pieces()


async def _mailbox(archive: _Archive, store: AccountStore, name: str) -> AsyncIterator[bytes]:
    try:
        snapshot = await store.snapshot(name)
    except NoSuchMailbox:
        return  # it was removed meanwhile
    with archive.file(file_name(name)) as file:
        try:
            async for batch in batches(store, snapshot):
                await asyncio.to_thread(_write, file, batch)
                if archive.waiting_octets >= PIECE_OCTETS:
                    yield archive.taken()
        except NoSuchMailbox:
            pass  # what was read of it so far stays
    if archive.waiting_octets:
        yield archive.taken()


def _write(file: IO[bytes], batch: list[Written]) -> None:
    for record, octets in batch:
        mboxes.write_message(
            file, with_lf(octets), record.flags, datetime.fromtimestamp(record.internaldate_s, UTC)
        )  # fmt: skip


class _Archive:
    """A ZIP archive written to memory, from which it is taken away as it grows."""

    def __init__(self, now: datetime) -> None:
        self._octets = bytearray()
        self._moment = (max(now.year, 1980), now.month, now.day, now.hour, now.minute, now.second)
        self._zip = zipfile.ZipFile(_Sink(self._octets.extend), "w", zipfile.ZIP_DEFLATED)

    @property
    def waiting_octets(self) -> int:
        """Written and not taken."""
        return len(self._octets)

    def file(self, path: str) -> IO[bytes]:
        """Begin a file; close it before the next."""
        info = zipfile.ZipInfo(path, self._moment)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        return self._zip.open(info, "w", force_zip64=True)

    def taken(self) -> bytes:
        """Give what waits, and forget it."""
        octets = bytes(self._octets)
        self._octets.clear()
        return octets

    def close(self) -> None:
        """Write the list of files."""
        self._zip.close()


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
