"""Bring mail from elsewhere into an account: Maildir, mbox, a folder of .eml files.

Messages go in by batches, each one unit of work, so an import that is interrupted has imported whole messages; run
again with `skips_duplicates`, it goes on where it stopped. One batch is in memory at a time, never a whole mailbox.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from mailstead.model.envelope import Actor
from mailstead.model.errors import BadImport, BadMailboxName, LimitReached, MailboxExists, NoSuchMailbox
from mailstead.model.flags import Flags
from mailstead.model.ids import BlobId
from mailstead.model.mailbox import INBOX, normal_name
from mailstead.model.message import OctetRange, Wanted
from mailstead.ports.storage import AccountStore
from mailstead.usecases import maildirs, mboxes
from mailstead.usecases.mailboxes import Draft, Mailboxes

BATCH_COUNT: Final = 50
BATCH_OCTETS: Final = 16 * 1024 * 1024
SKIPPED_SHOWN_MAX: Final = 100
FORMATS: Final = ("maildir", "mbox", "eml")

_GZIP: Final = b"\x1f\x8b"
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_UNFIT: Final = re.compile(r"[*%\x00-\x1f\x7f]")


class Skipped(NamedTuple):
    """A message that was not imported, and why."""

    name: str
    reason: str


@dataclass(slots=True)
class ImportReport:
    """What an import did; grows while it runs, so that it tells something after an error too."""

    imported_count: int = 0
    duplicate_count: int = 0
    skipped_count: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    """The first of them."""
    mailboxes: dict[str, int] = field(default_factory=dict)
    """How many messages went into each."""
    object_count: int = 0
    """Calendar objects and contacts that came with them, out of a backup."""

    def skip(self, name: str, reason: str) -> None:
        """Note a message that stays out."""
        self.skipped_count += 1
        if len(self.skipped) < SKIPPED_SHOWN_MAX:
            self.skipped.append(Skipped(name, reason))


class _Found(NamedTuple):
    """One message as a source gives it; `reason` says why it has no octets."""

    name: str
    mailbox: str
    octets: bytes | None
    flags: Flags
    internaldate: datetime | None
    done: int
    reason: str = ""


Progress = Callable[[int, int], None]
"""Told how much is done of how much: messages for folders, octets for mbox files."""


class Imports:
    """The verb `run`, on behalf of the account's owner or an administrator who stands in for it."""

    def __init__(self, mailboxes: Mailboxes, *, message_octets_max: int) -> None:
        self._mailboxes = mailboxes
        self._octets_max = message_octets_max

    async def run(
        self,
        actor: Actor,
        source: Path,
        target: str = INBOX,
        *,
        foreign_format: str | None = None,
        skips_duplicates: bool = False,
        below: str = "",
        progress: Progress | None = None,
        report: ImportReport | None = None,
    ) -> ImportReport:
        """Import everything at `source`; what cannot be read is noted in the report and does not stop the rest.

        Shapes: folders of a Maildir become mailboxes; an mbox or a folder of .eml files goes into `target`. With
        `below` all of them come below a mailbox of that name; a duplicate is then what the mailbox without it has.
        Errors: BadImport, BadMailboxName, OverQuota; of the store.
        """
        report = report or ImportReport()
        target = normal_name(target)
        store = self._mailboxes.of(actor)
        source_format = foreign_format
        if source_format is None:
            source_format = await asyncio.to_thread(detected_format, source)
        messages, total = await asyncio.to_thread(_opened, source, source_format, target, self._octets_max)
        known: dict[str, _Known] = {}
        done = 0
        while batch := await asyncio.to_thread(_next_batch, messages):
            by_mailbox: dict[str, list[Draft]] = defaultdict(list)
            for found in batch:
                done = found.done
                if not found.octets:
                    report.skip(found.name, found.reason or "It is empty")
                    continue
                mailbox = _fitting(found.mailbox)
                octets = with_crlf(found.octets)
                if skips_duplicates:
                    if mailbox not in known:
                        known[mailbox] = await _Known.read(store, mailbox)
                    if await known[mailbox].has(octets):
                        report.duplicate_count += 1
                        continue
                if below:
                    mailbox = _fitting(f"{below}/{mailbox}")
                if mailbox not in report.mailboxes:
                    await _make(store, mailbox)
                    report.mailboxes[mailbox] = 0
                by_mailbox[mailbox].append(Draft(octets, found.flags, found.internaldate))
            for mailbox, drafts in by_mailbox.items():
                await self._append(actor, mailbox, drafts)
                report.imported_count += len(drafts)
                report.mailboxes[mailbox] += len(drafts)
            if progress is not None:
                progress(done, total)
        return report

    async def _append(self, actor: Actor, mailbox: str, drafts: list[Draft]) -> None:
        """Append a batch; if the mailbox has no room for more keywords, mail is worth more than they are."""
        try:
            await self._mailboxes.append(actor, mailbox, drafts)
        except LimitReached:
            plain = [
                Draft(draft.octets, frozenset(f for f in draft.flags if f.startswith("\\")), draft.internaldate)
                for draft in drafts
            ]
            await self._mailboxes.append(actor, mailbox, plain)


class _Known:
    """Which octets a mailbox holds already. Octets are read only where a size is the same."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self._unread: dict[int, list[BlobId]] = defaultdict(list)
        self._digests: set[bytes] = set()

    @classmethod
    async def read(cls, store: AccountStore, mailbox: str) -> _Known:
        known = cls(store)
        try:
            snapshot = await store.snapshot(mailbox)
        except NoSuchMailbox:
            return known
        for record in await store.fetch(snapshot.mailbox.mailbox_id, snapshot.uids, Wanted.NARROW):
            known._unread[record.size_octets].append(record.blob_id)
        return known

    async def has(self, octets: bytes) -> bool:
        """Whether these octets are there; from now on they are."""
        for blob_id in self._unread.pop(len(octets), ()):
            (stored,) = await self._store.read_octets([OctetRange(blob_id, 0, len(octets))])
            self._digests.add(sha256(stored).digest())
        digest = sha256(octets).digest()
        if digest in self._digests:
            return True
        self._digests.add(digest)
        return False


def detected_format(source: Path) -> str:
    """Say which of `FORMATS` a path is. Errors: BadImport."""
    try:
        if source.is_dir():
            if maildirs.is_maildir(source):
                return "maildir"
            if any(_is_eml(item.name) for item in source.iterdir()):
                return "eml"
            raise BadImport(f"{source} is neither a Maildir (no 'cur' or 'new') nor a folder with .eml files")
        with source.open("rb") as file:
            head = file.read(5)
    except OSError as error:
        raise BadImport(f"{source} cannot be read: {error.strerror}") from None
    if not head or mboxes.looks_like_mbox(head):
        return "mbox"
    if _is_eml(source.name):
        return "eml"
    raise BadImport(f"{source} is not an mbox: it does not begin with a line 'From sender date'")


def with_crlf(octets: bytes) -> bytes:
    """Give a message the line ends of the Internet; one that has them already is left as it is."""
    return octets if b"\r\n" in octets else _BARE_LF.sub(b"\r\n", octets)


def _opened(source: Path, source_format: str, target: str, octets_max: int) -> tuple[Iterator[_Found], int]:
    """Open a source: its messages, and how much they are."""
    if source_format == "maildir":
        files = maildirs.entries(source, target)
        return _from_files(files, octets_max), len(files)
    if source_format == "eml":
        files = _eml_entries(source, target)
        return _from_files(files, octets_max), len(files)
    if source_format != "mbox":
        raise BadImport(f"The format is one of {', '.join(FORMATS)}")
    try:
        return _from_mbox(source, target, octets_max), source.stat().st_size
    except OSError as error:
        raise BadImport(f"{source} cannot be read: {error.strerror}") from None


def _from_files(files: list[maildirs.Entry], octets_max: int) -> Iterator[_Found]:
    for index, entry in enumerate(files, 1):
        octets, reason = _file_octets(entry.path, octets_max)
        yield _Found(str(entry.path), entry.mailbox, octets, entry.flags, entry.internaldate, index, reason)


def _from_mbox(source: Path, target: str, octets_max: int) -> Iterator[_Found]:
    try:
        with source.open("rb") as file:
            for number, entry in enumerate(mboxes.entries(file, octets_max), 1):
                reason = "" if entry.octets is not None else _too_large(octets_max)
                name = f"{source}, message {number}"
                yield _Found(name, target, entry.octets, entry.flags, entry.internaldate, entry.end, reason)
    except OSError as error:
        raise BadImport(f"{source} cannot be read: {error.strerror}") from None


def _eml_entries(source: Path, target: str) -> list[maildirs.Entry]:
    paths = sorted(path for path in source.iterdir() if _is_eml(path.name)) if source.is_dir() else [source]
    return [
        maildirs.Entry(path, target, frozenset(), datetime.fromtimestamp(int(path.lstat().st_mtime), UTC))
        for path in paths
    ]


def _file_octets(path: Path, octets_max: int) -> tuple[bytes | None, str]:
    """Read a file, if it is one: no link, no device, not too large. Gives its octets, or why there are none."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            os.close(handle)
            return None, "It is not a regular file"
        with os.fdopen(handle, "rb") as file:
            octets = file.read(octets_max + 1) if status.st_size <= octets_max else b""
            if status.st_size > octets_max or len(octets) > octets_max:
                return None, _too_large(octets_max)
            return _uncompressed(octets, octets_max) if octets.startswith(_GZIP) else (octets, "")
    except OSError as error:
        return None, f"It cannot be read: {error.strerror}"


def _uncompressed(octets: bytes, octets_max: int) -> tuple[bytes | None, str]:
    """Undo what Dovecot's zlib plugin does with message files; no message begins as they do."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(octets, octets_max + 1)
    except zlib.error:
        return None, "It is compressed, and damaged"
    if len(plain) > octets_max:
        return None, _too_large(octets_max)
    return (plain, "") if unpacker.eof else (None, "It is compressed, and cut short")


def _too_large(octets_max: int) -> str:
    return f"It is larger than {octets_max} octets (smtp.message_octets_max)"


def _next_batch(messages: Iterator[_Found]) -> list[_Found]:
    """Take messages until there are enough, by number or by size."""
    batch: list[_Found] = []
    size = 0
    while len(batch) < BATCH_COUNT and size < BATCH_OCTETS and (found := next(messages, None)):
        batch.append(found)
        size += len(found.octets or b"")
    return batch


async def _make(store: AccountStore, mailbox: str) -> None:
    """Make a mailbox that is not there."""
    try:
        await store.mailbox(mailbox)
    except NoSuchMailbox:
        try:
            await store.create_mailbox(mailbox)
            await store.subscribe(mailbox, is_subscribed=True)
        except MailboxExists:
            pass  # somebody else was faster, or it was a name without mailbox until now


def _fitting(name: str) -> str:
    """Give a folder's name in the form of a mailbox name; what cannot be one gets its odd characters replaced."""
    try:
        return normal_name(name)
    except BadMailboxName:
        return normal_name(_UNFIT.sub("_", name))


def _is_eml(name: str) -> bool:
    return name.lower().endswith(".eml")
