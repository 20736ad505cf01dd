"""Give an account's mail away: as Maildir, or as one mbox file per mailbox.

All names of files are made by us: a mailbox name is data, however it looks (attack row 71). What is there already is
never overwritten.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import quote

from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchMailbox, NotAllowed
from mailstead.model.mailbox import Snapshot
from mailstead.model.message import MessageRecord, OctetRange, Wanted
from mailstead.model.uidset import UidSet
from mailstead.ports.storage import AccountStore
from mailstead.usecases import mboxes
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.maildirs import MaildirWriter

FORMATS: Final = ("maildir", "mbox")
BATCH_COUNT: Final = 50
BATCH_OCTETS: Final = 16 * 1024 * 1024
RECORDS_COUNT: Final = 5_000
FILE_NAME_MAX: Final = 150
_DEVICE: Final = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)


@dataclass(slots=True)
class ExportReport:
    """What an export wrote."""

    exported_count: int = 0
    mailboxes: dict[str, int] = field(default_factory=dict)


Progress = Callable[[int, int], None]
"""Told how many messages are done of how many."""

Written = tuple[MessageRecord, bytes]


class Exports:
    """The verb `run`, on behalf of the account's owner or an administrator who stands in for it."""

    def __init__(self, mailboxes: Mailboxes) -> None:
        self._mailboxes = mailboxes

    async def run(
        self,
        actor: Actor,
        target: Path,
        foreign_format: str,
        *,
        only: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> ExportReport:
        """Write all mailboxes, or only those named, into the new or empty folder `target`.

        Errors: NoSuchMailbox; NotAllowed when the folder holds something or cannot be written.
        """
        store = self._mailboxes.of(actor)
        names = [mailbox.name for mailbox in await store.mailboxes() if mailbox.is_selectable]
        if missing := [name for name in only if name not in names]:
            raise NoSuchMailbox(f"There is no mailbox {missing[0]}")
        try:
            await asyncio.to_thread(_made_empty, target)
            return await self._written(store, target, foreign_format, list(only) or names, progress)
        except OSError as error:
            raise NotAllowed(f"{error.filename or target} cannot be written: {error.strerror}") from None

    async def _written(
        self, store: AccountStore, target: Path, foreign_format: str, names: list[str], progress: Progress | None
    ) -> ExportReport:
        snapshots = [await store.snapshot(name) for name in names]
        total = sum(len(snapshot.uids) for snapshot in snapshots)
        report = ExportReport()
        maildir = MaildirWriter(target)
        for snapshot in snapshots:
            name = snapshot.mailbox.name
            report.mailboxes[name] = 0
            write = _maildir_part(maildir, name) if foreign_format == "maildir" else _mbox_part(target, name)
            async for batch in batches(store, snapshot):
                await asyncio.to_thread(write, batch)
                report.mailboxes[name] += len(batch)
                report.exported_count += len(batch)
                if progress is not None:
                    progress(report.exported_count, total)
        await asyncio.to_thread(maildir.close)
        return report


def with_lf(octets: bytes) -> bytes:
    """Give a message the line ends of files, if that can be undone; else as it is."""
    text = octets.replace(b"\r\n", b"\n")
    return octets if b"\r\n" in text or octets.count(b"\n") != octets.count(b"\r\n") else text


def file_name(of: str, suffix: str = ".mbox") -> str:
    """Make the name of a file for a mailbox or the like: ASCII, of bounded length, no path, no device, not hidden."""
    name = quote(of, safe=" -_.")
    if name.startswith((".", " ")) or _DEVICE.fullmatch(name):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > FILE_NAME_MAX:
        name = f"{name[: FILE_NAME_MAX - 17]}~{sha256(of.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
    return f"{name}{suffix}"


def _maildir_part(maildir: MaildirWriter, mailbox: str) -> Callable[[list[Written]], None]:
    maildir.open(mailbox)

    def write(batch: list[Written]) -> None:
        for record, octets in batch:
            maildir.add(mailbox, with_lf(octets), record.flags, datetime.fromtimestamp(record.internaldate_s, UTC))

    return write


def _mbox_part(target: Path, mailbox: str) -> Callable[[list[Written]], None]:
    path = target / file_name(mailbox)
    path.touch(mode=0o600, exist_ok=False)

    def write(batch: list[Written]) -> None:
        with path.open("ab") as file:
            for record, octets in batch:
                internaldate = datetime.fromtimestamp(record.internaldate_s, UTC)
                mboxes.write_message(file, with_lf(octets), record.flags, internaldate)

    return write


async def batches(store: AccountStore, snapshot: Snapshot) -> AsyncIterator[list[Written]]:
    """Yield messages with their octets, as many at a time as memory allows; what vanishes meanwhile is left out."""
    uids = list(snapshot.uids)
    for start in range(0, len(uids), RECORDS_COUNT):
        piece = UidSet.of(uids[start : start + RECORDS_COUNT])
        waiting: list[MessageRecord] = []
        for record in await store.fetch(snapshot.mailbox.mailbox_id, piece, Wanted.NARROW):
            if waiting and (
                len(waiting) >= BATCH_COUNT
                or sum(one.size_octets for one in waiting) + record.size_octets > BATCH_OCTETS
            ):
                yield await _with_octets(store, waiting)
                waiting = []
            waiting.append(record)
        if waiting:
            yield await _with_octets(store, waiting)


async def _with_octets(store: AccountStore, records: list[MessageRecord]) -> list[Written]:
    octets = await store.read_octets([OctetRange(one.blob_id, 0, one.size_octets) for one in records])
    return list(zip(records, octets, strict=True))


def _made_empty(target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(target.iterdir()):
        raise NotAllowed(f"{target} is not empty; name a new folder, nothing is overwritten")
