"""All that an account has as one archive that is made while it is read: mail, calendars, contacts, filters, settings.

Nothing of it lies on a disk in clear, and no more than a batch of it in memory; so there is nothing that must expire,
and a sealed account is exported as any other. Which files: `usecases.export_files`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

import msgspec

from mailstead.model.dav import CollectionKind
from mailstead.model.directory import Account, Alias
from mailstead.model.envelope import Actor
from mailstead.model.errors import LimitReached, NotAllowed
from mailstead.model.people import owner_of
from mailstead.ports.clock import Clock
from mailstead.ports.storage import AccountStore, Storage
from mailstead.usecases.calendar_files import FOLDERS, CalendarFiles
from mailstead.usecases.collections import Collections, Opened
from mailstead.usecases.export_files import Archive, MailForm, MailWriter
from mailstead.usecases.exports import file_name
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.sender_lists import ALLOWED, DENIED, read_entries
from mailstead.usecases.vacations import kept_vacation, vacation_of

SETTINGS: Final = "settings.json"
TOLD_S: Final = 2.0
"""How often it is noted how far an archive is."""
TOLD_LIFE: Final = timedelta(minutes=2)
"""An archive of which nothing was heard for so long has come to its end, or broken off."""
_KINDS: Final = {"calendars": CollectionKind.CALENDAR, "contacts": CollectionKind.ADDRESSBOOK}
_KIND: Final = "exports under way"


class ExportPart(StrEnum):
    """What may be in an archive."""

    MAIL = "mail"
    CALENDARS = "calendars"
    CONTACTS = "contacts"
    FILTERS = "filters"
    SETTINGS = "settings"


USUAL: Final = frozenset({ExportPart.MAIL, ExportPart.CALENDARS, ExportPart.CONTACTS})


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """How far an archive is that is being made."""

    done_count: int
    """Messages written."""
    message_count: int
    """Of so many."""


class ExportArchives:
    """On behalf of the account's owner."""

    def __init__(
        self,
        storage: Storage,
        mailboxes: Mailboxes,
        collections: Collections,
        calendar_files: CalendarFiles,
        clock: Clock,
    ) -> None:
        self._storage = storage
        self._directory = storage.directory
        self._memory = storage.memory
        self._mailboxes = mailboxes
        self._collections = collections
        self._calendar_files = calendar_files
        self._clock = clock

    async def open(
        self, actor: Actor, *, parts: frozenset[ExportPart] = USUAL, form: MailForm = MailForm.MBOX
    ) -> AsyncIterator[bytes]:
        """Give a ZIP archive, piece by piece. What changes meanwhile is in it as it then is, or not.

        Errors: NotAllowed, for an actor without an account; LimitReached, while another one of the account is made;
        AccountLocked.
        """
        account = await self._account(actor)
        if await self.progress(actor) is not None:
            raise LimitReached("An archive of this account is being made already")
        store = self._mailboxes.of(actor)
        mailboxes = [each for each in await store.mailboxes() if each.is_selectable]
        names = [each.name for each in mailboxes] if ExportPart.MAIL in parts else []
        counts = {name: len((await store.snapshot(name)).uids) for name in names}
        kinds = [kind for part, kind in _KINDS.items() if part in parts]
        opened = [
            each
            for kind in kinds
            for each in await self._collections.home(actor, account, kind)
            if each.share is None and not each.is_people
        ]
        scripts = await store.scripts() if ExportPart.FILTERS in parts else []
        settings = await self._settings(actor, account, store) if ExportPart.SETTINGS in parts else b""

        async def pieces() -> AsyncIterator[bytes]:
            archive, told = Archive(self._clock.now()), _Told(self, account, sum(counts.values()))
            mail = MailWriter(archive, form)
            try:
                for name in names:
                    async for piece in mail.write(store, name, told.note):
                        yield piece
                mail.close()
                for each in opened:
                    await self._write_collection(archive, each)
                    yield archive.taken()
                for script in scripts:
                    octets = await store.script(script.name)
                    archive.write(f"filters/{file_name(script.name, '.sieve')}", octets)
                if settings:
                    archive.write(SETTINGS, settings)
                archive.close()
                yield archive.taken()
            finally:
                await self._memory.forget(_KIND, [account.account_id])

        return pieces()

    async def progress(self, actor: Actor) -> ExportProgress | None:
        """How far the archive is that is being made; None: none is. Errors: NotAllowed."""
        account = await self._account(actor)
        found = await self._memory.recall(_KIND, [account.account_id], self._clock.now())
        octets = found.get(account.account_id)
        return None if octets is None else ExportProgress(*msgspec.msgpack.decode(octets, type=tuple[int, int]))

    async def note(self, account: Account, progress: ExportProgress) -> None:
        """Note how far an archive is."""
        octets = msgspec.msgpack.encode((progress.done_count, progress.message_count))
        await self._memory.remember(_KIND, {account.account_id: octets}, self._clock.now() + TOLD_LIFE)

    def told_at_s(self) -> float:
        """Give the time by which notes are spaced."""
        return self._clock.monotonic_s()

    async def _account(self, actor: Actor) -> Account:
        account = await self._directory.account(actor.account_id) if actor.account_id is not None else None
        if account is None:
            raise NotAllowed
        return account

    async def _write_collection(self, archive: Archive, opened: Opened) -> None:
        octets, _ = await self._calendar_files.file(opened)
        folder, suffix = FOLDERS[opened.collection.kind]
        path = f"{folder}/{file_name(f'{opened.traits.display_name or opened.name} ({opened.name})', suffix)}"
        with archive.file(path) as file:
            await asyncio.to_thread(file.write, octets)

    async def _settings(self, actor: Actor, account: Account, store: AccountStore) -> bytes:
        """Give what the owner has set, as JSON; no secret stands in it."""
        kept = await store.preferences()
        vacation = kept_vacation(kept)
        owner = owner_of(actor.user_id, actor.account_id)
        found = [await self._directory.find(each) for each in await self._directory.addresses_of(account.account_id)]
        values = {
            "address": str(account.address),
            "quota_octets": account.quota_octets,
            "forward_to": [str(each) for each in account.forward_to],
            "keeps_copy": account.keeps_copy,
            "aliases": [
                {"address": str(each.address), "is_enabled": each.is_enabled, "description": each.description}
                for each in found
                if isinstance(each, Alias)
            ],
            "active_filter": next((each.name for each in await store.scripts() if each.is_active), None),
            "vacation": None if vacation is None else {**asdict(vacation), "is_on": vacation_of(kept) is not None},
            "senders": {"allowed": read_entries(kept.get(ALLOWED)), "denied": read_entries(kept.get(DENIED))},
            "preferences": asdict(await self._storage.preferences.preferences(owner)),
        }
        return msgspec.json.format(msgspec.json.encode(values), indent=2)


class _Told:
    """Notes now and then how far an archive is."""

    def __init__(self, of: ExportArchives, account: Account, message_count: int) -> None:
        self._of = of
        self._account = account
        self._message_count = message_count
        self._done_count = 0
        self._told_at_s: float | None = None

    async def note(self, count: int) -> None:
        """So many more messages are written."""
        self._done_count += count
        now_s = self._of.told_at_s()
        if self._told_at_s is None or now_s - self._told_at_s >= TOLD_S:
            self._told_at_s = now_s
            progress = ExportProgress(self._done_count, max(self._message_count, self._done_count))
            await self._of.note(self._account, progress)
