"""From the change log of mailboxes to events: what came, was moved, copied, flagged, expunged; and the mailboxes.

The log says which messages changed after a modseq and which are gone, not by which command. What was appended has a key
of octets above all earlier ones; what has an older one is a copy, or was moved if the modseq just before its own took
as many messages out of another mailbox: a move is one unit, and takes two. Where several commands between two looks
make that unclear, copies and expunged messages are told instead, which comes to the same for whoever listens.

Spec: RFC 7162 §3.1; reference forwardemail 4.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mailstead.model.errors import NoSuchMailbox
from mailstead.model.flags import SYSTEM_FLAGS, Flags
from mailstead.model.ids import AccountId, BlobId, MailboxId, ModSeq, Uid
from mailstead.model.mailbox import Mailbox
from mailstead.model.message import FlagChange, MessageRecord, Wanted
from mailstead.model.place import Place
from mailstead.model.uidset import NO_UIDS, UidSet
from mailstead.ports.storage import AccountStore
from mailstead.usecases.happenings import Happening, notification_id
from mailstead.usecases.message_views import FLAG_KEYWORDS, MessageView

SHOWN: Final = Wanted.LISTED_HEADER | Wanted.STRUCTURE | Wanted.ORDER | Wanted.PREVIEW
NEW_MAX: Final = 100
"""New messages of a mailbox that are told one by one at one look: the last ones. Who is told of one looks anyway."""
UIDS_MAX: Final = 1000
"""UIDs named in one event."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What we believe of a mailbox."""

    mailbox: Mailbox
    uids: UidSet
    modseq: ModSeq
    uidnext: Uid


@dataclass(slots=True)
class _Changed:
    """What happened in one mailbox between two looks."""

    mailbox: Mailbox
    new: list[FlagChange]
    flagged: list[FlagChange]
    gone: UidSet
    modseq: ModSeq
    """The highest."""


class MailChanges:
    """The mailboxes of one account, followed from `begin` on."""

    def __init__(self, account_id: AccountId, store: AccountStore) -> None:
        self._account_id = account_id
        self._store = store
        self._known: dict[MailboxId, _Known] = {}
        self._last_blob_id = BlobId(0)
        self._fresh: set[BlobId] = set()
        """Above `_last_blob_id`, and told already."""

    async def begin(self) -> None:
        """Note how everything is; what happens from now on is told. Errors: those of the store."""
        self._last_blob_id = await self._store.last_blob_id()
        self._known = {}
        for mailbox in await self._store.mailboxes():
            if mailbox.is_selectable and (known := await self._look_at(mailbox)) is not None:
                self._known[mailbox.mailbox_id] = known

    async def look(self) -> list[Happening]:
        """Give what has happened since the last look. Errors: those of the store; the next look makes up for it."""
        fresh = set(self._fresh)
        try:
            return await self._look()
        except BaseException:
            self._fresh = fresh
            raise

    async def _look(self) -> list[Happening]:
        last_blob_id = await self._store.last_blob_id()
        now = {each.mailbox_id: each for each in await self._store.mailboxes() if each.is_selectable}
        known, told = dict(self._known), list[Happening]()
        for mailbox_id, before in self._known.items():
            mailbox = now.get(mailbox_id)
            if mailbox is None or mailbox.uidvalidity != before.mailbox.uidvalidity:
                told.append(self._of_mailbox("mailboxDeleted", before.mailbox))
                del known[mailbox_id]
            elif mailbox.name != before.mailbox.name:
                paths = {"oldPath": before.mailbox.name, "newPath": mailbox.name}
                told.append(self._of_mailbox("mailboxRenamed", mailbox, **paths))
        for mailbox_id, mailbox in now.items():
            if mailbox_id not in known:
                told.append(self._of_mailbox("mailboxCreated", mailbox))
                known[mailbox_id] = _Known(mailbox, NO_UIDS, ModSeq(0), Uid(1))
        changed = []
        for mailbox_id, mailbox in now.items():
            before = known[mailbox_id]
            if mailbox.highestmodseq > before.modseq:
                found, known[mailbox_id] = await self._changes(mailbox, before)
                changed.append(found)
            elif mailbox is not before.mailbox:
                known[mailbox_id] = replace(before, mailbox=mailbox)
        told += await self._told(changed, before=self._known)
        self._known, self._fresh = known, {each for each in self._fresh if each > last_blob_id}
        self._last_blob_id = max(last_blob_id, self._last_blob_id)
        return told

    # reading

    async def _look_at(self, mailbox: Mailbox) -> _Known | None:
        try:
            snapshot = await self._store.snapshot(mailbox.name)
        except NoSuchMailbox:
            return None
        seen = snapshot.mailbox
        return _Known(seen, snapshot.uids, seen.highestmodseq, seen.uidnext)

    async def _changes(self, mailbox: Mailbox, before: _Known) -> tuple[_Changed, _Known]:
        changes = await self._store.changes_since(mailbox.mailbox_id, before.modseq)
        if changes.is_gone:  # told at the next look
            return _Changed(mailbox, [], [], NO_UIDS, before.modseq), before
        new = [each for each in changes.changed if each.uid >= before.uidnext]
        flagged = [each for each in changes.changed if each.uid < before.uidnext]
        gone = changes.vanished & before.uids
        uids = (before.uids - gone) | UidSet.of(each.uid for each in new)
        known = _Known(mailbox, uids, changes.highestmodseq, changes.uidnext)
        return _Changed(mailbox, new, flagged, gone, changes.highestmodseq), known

    async def _records(self, changed: _Changed) -> list[MessageRecord]:
        uids = UidSet.of(each.uid for each in changed.new)
        try:
            return await self._store.fetch(changed.mailbox.mailbox_id, uids, Wanted.NARROW)
        except NoSuchMailbox:
            return []

    # telling

    async def _told(self, changed: Sequence[_Changed], before: dict[MailboxId, _Known]) -> list[Happening]:
        told: list[Happening] = []
        arrivals: list[tuple[_Changed, MessageRecord]] = []
        for each in changed:
            if each.new:
                arrivals += [(each, record) for record in await self._records(each)]
        arrivals.sort(key=lambda pair: pair[1].modseq)  # of copies of one new message, the first is the message
        new: dict[MailboxId, list[MessageRecord]] = {}
        copies: dict[tuple[MailboxId, ModSeq], list[Uid]] = {}
        for each, record in arrivals:
            if record.blob_id > self._last_blob_id and record.blob_id not in self._fresh:
                self._fresh.add(record.blob_id)
                new.setdefault(each.mailbox.mailbox_id, []).append(record)
            else:
                copies.setdefault((each.mailbox.mailbox_id, record.modseq), []).append(record.uid)
        by_id = {each.mailbox.mailbox_id: each for each in changed}
        for (mailbox_id, modseq), uids in copies.items():
            source = await self._source(by_id.values(), modseq, sorted(uids), before)
            told += self._of_copies(by_id[mailbox_id].mailbox, modseq, sorted(uids), source)
        for mailbox_id, records in new.items():
            told += await self._of_new(by_id[mailbox_id].mailbox, records)
        for each in changed:
            told += self._of_flags(each)
            told += self._of_gone(each)
        return told

    async def _source(
        self, changed: Iterable[_Changed], modseq: ModSeq, uids: list[Uid], before: dict[MailboxId, _Known]
    ) -> tuple[Mailbox, list[Uid]] | None:
        """Give from where messages were moved, which are then not gone; None: they were copied."""
        for each in changed:
            known = before.get(each.mailbox.mailbox_id)
            if not each.gone or known is None:
                continue
            try:
                since = await self._store.vanished_since(each.mailbox.mailbox_id, ModSeq(modseq - 2))
                after = await self._store.vanished_since(each.mailbox.mailbox_id, ModSeq(modseq - 1))
            except NoSuchMailbox:
                continue
            taken = (since - after) & each.gone
            if len(taken) == len(uids):
                each.gone -= taken
                return each.mailbox, list(taken)
        return None

    async def _of_new(self, mailbox: Mailbox, records: list[MessageRecord]) -> list[Happening]:
        uids = sorted(record.uid for record in records)[-NEW_MAX:]
        try:
            shown = await self._store.fetch(mailbox.mailbox_id, UidSet.of(uids), SHOWN)
        except NoSuchMailbox:
            return []
        told = []
        for record in shown:
            view = MessageView(mailbox, record)
            key = notification_id(self._account_id, "newMessage", view.place.object_id)
            details = {"mailbox": mailbox.name, **_named(mailbox)}
            told.append(Happening("newMessage", key, details, message=view))
        return told

    def _of_copies(
        self, mailbox: Mailbox, modseq: ModSeq, uids: list[Uid], source: tuple[Mailbox, list[Uid]] | None
    ) -> list[Happening]:
        name = "messagesCopied" if source is None else "messagesMoved"
        told = []
        for start in range(0, len(uids), UIDS_MAX):
            part = uids[start : start + UIDS_MAX]
            details: dict[str, object] = {
                "destinationMailbox": _id(mailbox),
                "destinationPath": mailbox.name,
                "destinationUid": part,
            }
            if source is not None:
                old, old_uids = source[0], source[1][start : start + UIDS_MAX]
                details |= {
                    "sourceMailbox": _id(old),
                    "sourcePath": old.name,
                    "sourceUid": old_uids,
                    "uids": old_uids,
                    "ids": _ids(old, old_uids),
                }
            else:
                details |= {"uids": part, "ids": _ids(mailbox, part)}
            key = notification_id(self._account_id, name, mailbox.mailbox_id, modseq, start)
            told.append(Happening(name, key, details))
        return told

    def _of_flags(self, changed: _Changed) -> list[Happening]:
        """One event for all messages that have the same flags now."""
        groups: dict[Flags, list[FlagChange]] = {}
        for each in changed.flagged:
            groups.setdefault(each.flags, []).append(each)
        told = []
        for flags, messages in groups.items():
            for start in range(0, len(messages), UIDS_MAX):
                part = messages[start : start + UIDS_MAX]
                uids = [each.uid for each in part]
                shown = sorted(each for each in flags if each in SYSTEM_FLAGS or each.lower() in FLAG_KEYWORDS)
                details = {
                    **_named(changed.mailbox),
                    "mailbox": _id(changed.mailbox),
                    "action": "set",
                    "flags": shown,
                    "labels": sorted(flags - set(shown)),
                    "uids": uids,
                    "ids": _ids(changed.mailbox, uids),
                }
                modseq = max(each.modseq for each in part)
                key = notification_id(
                    self._account_id, "flagsUpdated", changed.mailbox.mailbox_id, modseq, uids[0], *sorted(flags)
                )
                told.append(Happening("flagsUpdated", key, details))
        return told

    def _of_gone(self, changed: _Changed) -> list[Happening]:
        uids = list(changed.gone)
        told = []
        for start in range(0, len(uids), UIDS_MAX):
            part = uids[start : start + UIDS_MAX]
            details = {
                **_named(changed.mailbox),
                "mailbox": _id(changed.mailbox),
                "uids": part,
                "ids": _ids(changed.mailbox, part),
            }
            key = notification_id(self._account_id, "messagesExpunged", changed.mailbox.mailbox_id, *part)
            told.append(Happening("messagesExpunged", key, details))
        return told

    def _of_mailbox(self, name: str, mailbox: Mailbox, **more: str) -> Happening:
        key = notification_id(self._account_id, name, mailbox.mailbox_id, mailbox.uidvalidity, *more.values())
        return Happening(name, key, {"mailbox": _id(mailbox), "path": mailbox.name, **more})


def _id(mailbox: Mailbox) -> str:
    return Place(mailbox.mailbox_id, mailbox.uidvalidity).object_id


def _ids(mailbox: Mailbox, uids: Iterable[Uid]) -> list[str]:
    return [Place(mailbox.mailbox_id, mailbox.uidvalidity, uid).object_id for uid in uids]


def _named(mailbox: Mailbox) -> dict[str, object]:
    return {"path": mailbox.name}
