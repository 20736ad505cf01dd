"""Messages as programs see them over the API: found over all mailboxes, named by one id, appended, changed, removed.

The same store as IMAP's, so what happens here is seen there and the reverse. Spec: reference forwardemail 4.4.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from weakref import WeakValueDictionary

from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    BadMessage,
    MailboxExists,
    NoSuchMailbox,
    NoSuchMessage,
    TooManyMatches,
    TryAgainLater,
)
from mailstead.model.flags import DRAFT, FlagOperation
from mailstead.model.ids import MailboxId, Uid
from mailstead.model.mailbox import Mailbox, normal_name
from mailstead.model.message import Newest, OctetRange, Octets, Wanted
from mailstead.model.people import Listing, Page
from mailstead.model.place import Place
from mailstead.model.search import Nothing, SearchKey, SizeBetween
from mailstead.model.uidset import UidSet
from mailstead.ports.storage import AccountStore
from mailstead.usecases.mailboxes import Draft, Mailboxes, asks_for_text, catch_up
from mailstead.usecases.message_views import MessageChange, MessageQuery, MessageView, checked_flags, is_chosen

SORTED_MAX: Final = 20_000
"""As many matches are put in another order than the store's; more would take seconds."""
SEARCH_LIMIT_S: Final = 60.0
TRIES: Final = 5
PIECE_OCTETS: Final = 1024 * 1024
COMPARED_OCTETS, COMPARED_COUNT = 4096, 100
"""Of messages of one size so many beginnings, of so many messages at a time, are compared with a new one's."""
LISTED: Final = Wanted.LISTED_HEADER | Wanted.STRUCTURE
"""What lists show: computed at append, so no message's octets are read."""
_SORTS: Final[dict[str, Callable[[MessageView], Any]]] = {
    "internal_date": lambda view: view.record.internaldate_s,
    "created_at": lambda view: view.record.savedate_s,
    "header_date": lambda view: view.order.sent_at_s or view.record.internaldate_s,
    "subject": lambda view: view.order.base_subject,
    "from": lambda view: view.order.sort_from,
    "size": lambda view: view.record.size_octets,
    "uid": lambda view: view.record.uid,
    "modseq": lambda view: view.record.modseq,
}
SORTS: Final = tuple(_SORTS)


class Messages:
    """Every verb begins with an actor, whose own account alone is reached (NotAllowed without one)."""

    def __init__(self, mailboxes: Mailboxes) -> None:
        self._mailboxes = mailboxes
        self._appending: WeakValueDictionary[tuple[str, str, bytes], asyncio.Lock] = WeakValueDictionary()

    # finding

    async def find(
        self, actor: Actor, query: MessageQuery, listing: Listing, wanted: Wanted = LISTED
    ) -> Page[MessageView]:
        """A page of messages, newest first (by internaldate) or as `listing.sort` says; none of an unknown folder.

        Errors: TooManyMatches for another order of very many; TryAgainLater when a search takes too long.
        """
        store = self._mailboxes.of(actor)
        chosen = [each for each in await store.mailboxes() if each.is_selectable and is_chosen(each, query)]
        by_id = {each.mailbox_id: each for each in chosen}
        name, is_descending = listing.sort.removeprefix("-"), listing.sort.startswith("-")
        is_sorted = bool(listing.sort) and listing.sort != "-internal_date"
        skipped, limit = (0, SORTED_MAX) if is_sorted else (listing.skipped_count, listing.limit)
        if is_sorted:
            wanted |= Wanted.ORDER
        found = await self._newest(actor, store, (list(by_id), query.key, skipped, limit, wanted))
        views = [MessageView(by_id[mailbox_id], record) for mailbox_id, record in found.messages]
        if is_sorted:
            if found.message_count > SORTED_MAX:
                raise TooManyMatches(f"Only up to {SORTED_MAX} messages can be put in that order; ask for fewer")
            views.sort(key=_SORTS[name], reverse=is_descending)
            views = views[listing.skipped_count : listing.skipped_count + listing.limit]
        return Page(tuple(views), found.message_count)

    async def _newest(
        self, actor: Actor, store: AccountStore, asked: tuple[list[MailboxId], SearchKey, int, int, Wanted]
    ) -> Newest:
        if isinstance(asked[1], Nothing):
            return Newest(0, [])
        if not asks_for_text(asked[1]):
            return await store.newest(*asked)
        async with self._mailboxes.turn(actor):
            await catch_up(store)  # not limited: however long it takes, it is progress
            try:
                async with asyncio.timeout(SEARCH_LIMIT_S):
                    return await store.newest(*asked)
            except TimeoutError:
                raise TryAgainLater("The search took too long; please make it narrower") from None

    async def show(self, actor: Actor, object_id: str, wanted: Wanted = LISTED) -> MessageView:
        """One message. Errors: NoSuchMessage, also for what is no id."""
        store = self._mailboxes.of(actor)
        place = Place.of(object_id)
        if place is None or not place.uid:
            raise NoSuchMessage
        for mailbox in await store.mailboxes():
            if mailbox.mailbox_id == place.mailbox_id and mailbox.uidvalidity == place.uidvalidity:
                return await _view(store, mailbox, place.uid, wanted)
        raise NoSuchMessage

    async def octets(self, actor: Actor, views: Sequence[MessageView]) -> list[bytes]:
        """Whole messages; the caller keeps a call to some MiB. Errors: NoSuchMessage."""
        ranges = [OctetRange(view.record.blob_id, 0, view.record.size_octets) for view in views]
        return await self._mailboxes.of(actor).read_octets(ranges)

    async def pieces(self, actor: Actor, view: MessageView) -> AsyncIterator[bytes]:
        """A message in pieces, so that a large one never lies in memory whole. Errors: NoSuchMessage."""
        store, record = self._mailboxes.of(actor), view.record
        for start in range(0, record.size_octets, PIECE_OCTETS):
            stop = min(start + PIECE_OCTETS, record.size_octets)
            (piece,) = await store.read_octets([OctetRange(record.blob_id, start, stop)])
            yield piece

    # changing

    async def append(
        self, actor: Actor, folder: str, octets: Octets, flags: Sequence[str], internaldate: datetime | None = None
    ) -> MessageView:
        """Append a message; the mailbox is made when it is missing. The same octets are not appended twice.

        Two requests at once in two processes may both append; an Idempotency-Key settles that.
        Errors: BadMailboxName, OverQuota, LimitReached.
        """
        store = self._mailboxes.of(actor)
        given = checked_flags(flags)
        name = normal_name(folder)
        content = (str(actor.account_id), name, sha256(octets).digest())
        lock = self._appending.get(content)
        if lock is None:
            lock = self._appending[content] = asyncio.Lock()
        async with lock:
            mailbox = await self._made(store, name)
            found = await _same(store, mailbox, octets)
            if found is None:
                draft = Draft(octets, given, internaldate)
                (appended,) = await self._mailboxes.append(actor, name, [draft])
                found = appended.uid
            return await _view(store, await store.mailbox(name), found, LISTED)

    async def _made(self, store: AccountStore, name: str) -> Mailbox:
        try:
            mailbox = await store.mailbox(name)
            if mailbox.is_selectable:
                return mailbox
        except NoSuchMailbox:
            pass
        try:
            await store.create_mailbox(name)
            await store.subscribe(name, is_subscribed=True)
        except MailboxExists:
            pass  # somebody was quicker
        return await store.mailbox(name)

    async def change(self, actor: Actor, object_id: str, change: MessageChange) -> MessageView:
        """Change flags, labels, mailbox and, of a draft, the content; the id is another where it was moved or replaced.

        Errors: NoSuchMessage; BadMessage for the content of what is no draft; BadMailboxName, OverQuota, LimitReached.
        """
        store = self._mailboxes.of(actor)
        if change.flags is not None or change.labels is not None:
            checked_flags([*(change.flags or ()), *(change.labels or ())])
        view = await self.show(actor, object_id)
        name = view.mailbox.name if change.folder is None else normal_name(change.folder)
        if change.octets is not None:
            if DRAFT not in view.record.flags and view.mailbox.special_use != "\\Drafts":
                raise BadMessage("Only drafts can have another content; append a new message instead")
            await self._made(store, name)
            flags = change.applied(view.record.flags)
            draft = Draft(change.octets, view.record.flags if flags is None else flags)
            appended = await self._mailboxes.replace(actor, view.mailbox.mailbox_id, view.record.uid, name, draft)
            return await _view(store, await store.mailbox(name), appended.uid, LISTED)
        await self._store_flags(store, view, change)
        uid = view.record.uid
        if name != view.mailbox.name:
            await self._made(store, name)
            moved = await store.move(view.mailbox.mailbox_id, UidSet.of([uid]), name)
            if not moved.target_uids:
                raise NoSuchMessage
            uid = moved.target_uids[0]
        return await _view(store, await store.mailbox(name), uid, LISTED)

    async def _store_flags(self, store: AccountStore, view: MessageView, change: MessageChange) -> None:
        """Set what there is to be, unless a flag was changed meanwhile: then look again."""
        for _ in range(TRIES):
            record = view.record
            wanted = change.applied(record.flags)
            if wanted is None or wanted == record.flags:
                return
            stored = await store.store_flags(
                view.mailbox.mailbox_id,
                UidSet.of([record.uid]),
                FlagOperation.REPLACE,
                sorted(wanted),
                unchanged_since=record.modseq,
            )
            if stored.changed:
                return
            view = await _view(store, view.mailbox, record.uid, Wanted.NARROW)
        raise TryAgainLater("Somebody else changes that message again and again")

    async def delete(self, actor: Actor, object_id: str) -> MessageView:
        """Remove a message at once, without a step through Trash. Errors: NoSuchMessage."""
        view = await self.show(actor, object_id)
        uids = UidSet.of([view.record.uid])
        if not await self._mailboxes.of(actor).expunge(view.mailbox.mailbox_id, uids, only_deleted=False):
            raise NoSuchMessage
        return view


async def _view(store: AccountStore, mailbox: Mailbox, uid: Uid, wanted: Wanted) -> MessageView:
    try:
        records = await store.fetch(mailbox.mailbox_id, UidSet.of([uid]), wanted)
    except NoSuchMailbox:
        records = []
    if not records:
        raise NoSuchMessage
    return MessageView(mailbox, records[0])


async def _same(store: AccountStore, mailbox: Mailbox, octets: Octets) -> Uid | None:
    """Find a message of exactly these octets: of their size first, which the narrow table tells."""
    size = len(octets)
    uids = await store.search(mailbox.mailbox_id, SizeBetween(size - 1, size + 1))
    if not uids:
        return None
    start = bytes(octets[:COMPARED_OCTETS])
    found = await store.fetch(mailbox.mailbox_id, uids, Wanted.NARROW)
    for at in range(0, len(found), COMPARED_COUNT):
        some = found[at : at + COMPARED_COUNT]
        starts = await store.read_octets([OctetRange(record.blob_id, 0, len(start)) for record in some])
        for record, beginning in zip(some, starts, strict=True):
            if beginning != start:
                continue
            if (await store.read_octets([OctetRange(record.blob_id, 0, size)]))[0] == octets:
                return record.uid
    return None
