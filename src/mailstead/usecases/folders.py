"""Mailboxes as programs see them over the API, where they are called folders: listed, made, renamed, removed.

Spec: reference forwardemail 4.4 (folders), 4.10 (Folder).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchMailbox, NotAllowed
from mailstead.model.ids import MailboxId
from mailstead.model.mailbox import INBOX, Mailbox, normal_name
from mailstead.model.people import Listing, Page
from mailstead.model.place import Place
from mailstead.ports.storage import AccountStore
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.message_views import is_named

RETENTION: Final = "/private/vendor/mailstead/retention"
"""Annotation (RFC 5464) that keeps a folder's retention in days, as text."""
RETENTION_DAYS_MAX: Final = 36_500


@dataclass(frozen=True, slots=True)
class Folder:
    """A mailbox with what the API keeps beside it."""

    mailbox: Mailbox
    retention_days: int = 0
    """0: for ever."""

    @property
    def place(self) -> Place:
        """What its id is made of."""
        return Place(self.mailbox.mailbox_id, self.mailbox.uidvalidity)

    @property
    def is_reserved(self) -> bool:
        """INBOX and the mailboxes of special use stay, under their names: clients file into them."""
        return self.mailbox.name == INBOX or self.mailbox.special_use is not None


@dataclass(frozen=True, slots=True)
class FolderChange:
    """What is to change; None stays."""

    path: str | None = None
    is_subscribed: bool | None = None
    retention_days: int | None = None


class Folders:
    """Every verb begins with an actor, whose own account alone is reached (NotAllowed without one)."""

    def __init__(self, mailboxes: Mailboxes) -> None:
        self._mailboxes = mailboxes

    async def find(self, actor: Actor, listing: Listing, *, is_subscribed: bool | None = None) -> Page[Folder]:
        """Folders by path, INBOX first; those that exist only as parents are no folders."""
        store = self._mailboxes.of(actor)
        found = [
            each
            for each in await store.mailboxes()
            if each.is_selectable and is_subscribed in {None, each.is_subscribed}
        ]
        page = found[listing.skipped_count : listing.skipped_count + listing.limit]
        return Page(tuple(await _with_retention(store, page)), len(found))

    async def show(self, actor: Actor, id_or_path: str) -> Folder:
        """One folder, by id or path. Errors: NoSuchMailbox."""
        store = self._mailboxes.of(actor)
        (folder,) = await _with_retention(store, [await _named(store, id_or_path)])
        return folder

    async def create(self, actor: Actor, path: str) -> Folder:
        """Make a folder and its missing parents, subscribed. Errors: MailboxExists, BadMailboxName, LimitReached."""
        store, name = self._mailboxes.of(actor), normal_name(path)
        await store.create_mailbox(name)
        await store.subscribe(name, is_subscribed=True)
        return Folder(await store.mailbox(name))

    async def change(self, actor: Actor, id_or_path: str, change: FolderChange) -> Folder:
        """Rename (with what lies below), subscribe, or set the retention.

        Errors: NoSuchMailbox, MailboxExists, BadMailboxName; NotAllowed for another name of a reserved folder.
        """
        folder = await self.show(actor, id_or_path)
        store, name = self._mailboxes.of(actor), folder.mailbox.name
        if change.path is not None and (new_name := normal_name(change.path)) != name:
            if folder.is_reserved:
                raise NotAllowed("That folder is reserved; it keeps its name")
            await store.rename_mailbox(name, new_name)
            if folder.mailbox.is_subscribed:
                await store.subscribe(name, is_subscribed=False)
                await store.subscribe(new_name, is_subscribed=True)
            name = new_name
        if change.is_subscribed is not None:
            await store.subscribe(name, is_subscribed=change.is_subscribed)
        if change.retention_days is not None:
            value = str(change.retention_days).encode() if change.retention_days else None
            await store.set_annotations(name, {RETENTION: value})
        return await self.show(actor, name)

    async def delete(self, actor: Actor, id_or_path: str) -> Folder:
        """Remove a folder with its messages; what lies below stays.

        Errors: NoSuchMailbox; NotAllowed for a reserved one.
        """
        folder = await self.show(actor, id_or_path)
        if folder.is_reserved:
            raise NotAllowed("That folder is reserved and cannot be removed")
        store, name = self._mailboxes.of(actor), folder.mailbox.name
        await store.delete_mailbox(name)
        await store.subscribe(name, is_subscribed=False)
        return folder


async def _named(store: AccountStore, id_or_path: str) -> Mailbox:
    for mailbox in await store.mailboxes():
        if mailbox.is_selectable and is_named(mailbox, id_or_path):
            return mailbox
    raise NoSuchMailbox


async def retention_days(store: AccountStore, among: Sequence[Mailbox] | None = None) -> dict[MailboxId, int]:
    """Give the retention of those folders that have one. Most have none, and those are not even looked at."""
    marked: set[MailboxId] = {mailbox_id for mailbox_id, entry in await store.annotation_marks() if entry == RETENTION}
    if not marked:
        return {}
    asked = [each for each in among or await store.mailboxes() if each.mailbox_id in marked]
    found = await asyncio.gather(*(store.annotations(each.name) for each in asked))
    days = {each.mailbox_id: _days(entries.get(RETENTION)) for each, entries in zip(asked, found, strict=True)}
    return {mailbox_id: count for mailbox_id, count in days.items() if count}


def _days(value: bytes | None) -> int:
    """Clients write annotations, too (RFC 5464 §4.3): what is no number of days keeps everything."""
    text = (value or b"").decode("ascii", "replace")
    return int(text) if text.isdecimal() and len(text) <= 5 and int(text) <= RETENTION_DAYS_MAX else 0


async def _with_retention(store: AccountStore, mailboxes: Sequence[Mailbox]) -> list[Folder]:
    days = await retention_days(store, mailboxes)
    return [Folder(each, days.get(each.mailbox_id, 0)) for each in mailboxes]
