"""Many messages at once, as somebody chose them in a list: moved, flagged, labelled, removed; each mailbox in one step.

What another program has moved or removed meanwhile is passed over. What is done twice changes nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mailstead.model.envelope import Actor
from mailstead.model.errors import BadMessage, LimitReached, MailboxExists, NoSuchMailbox, PolicyRefused
from mailstead.model.flags import FlagOperation
from mailstead.model.ids import MailboxId, Uid
from mailstead.model.mailbox import Mailbox, normal_name
from mailstead.model.message import Wanted
from mailstead.model.people import ObjectId
from mailstead.model.place import Place
from mailstead.model.search import HasThreadId
from mailstead.model.uidset import UidSet
from mailstead.ports.storage import AccountStore
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.message_views import LABELS_MAX, checked_flags, is_named, labels_of

AT_ONCE_MAX: Final = 5000
"""Messages of one call."""


class ChosenMessages:
    """Every verb begins with an actor, whose own account alone is reached (NotAllowed without one).

    Each gives how many messages it has changed. Errors of all: PolicyRefused, for more than `AT_ONCE_MAX`.
    """

    def __init__(self, mailboxes: Mailboxes) -> None:
        self._mailboxes = mailboxes

    async def conversations_of(self, actor: Actor, object_ids: Sequence[str]) -> list[ObjectId]:
        """Give all messages of the conversations that some are of, in the same mailboxes."""
        store = self._mailboxes.of(actor)
        found: list[ObjectId] = []
        for mailbox, uids in await _chosen(store, object_ids):
            records = await store.fetch(mailbox.mailbox_id, uids, Wanted.NARROW)
            whole: set[Uid] = set()
            for thread_id in {record.thread_id for record in records}:
                whole |= set(await store.search(mailbox.mailbox_id, HasThreadId(thread_id)))
            found += [Place(mailbox.mailbox_id, mailbox.uidvalidity, uid).object_id for uid in sorted(whole)]
        return found

    async def within(self, actor: Actor, object_ids: Sequence[str], folder: str) -> list[ObjectId]:
        """Give those that are in a folder (its name or id)."""
        return [
            Place(mailbox.mailbox_id, mailbox.uidvalidity, uid).object_id
            for mailbox, uids in await _chosen(self._mailboxes.of(actor), object_ids)
            if is_named(mailbox, folder)
            for uid in uids
        ]

    async def move(self, actor: Actor, object_ids: Sequence[str], path: str) -> int:
        """Move them to a mailbox, which is made where it is missing. Errors: BadMailboxName, LimitReached."""
        store, name = self._mailboxes.of(actor), normal_name(path)
        chosen = [each for each in await _chosen(store, object_ids) if each[0].name != name]
        if chosen:
            await _make(store, name)
        count = 0
        for mailbox, uids in chosen:
            count += len((await store.move(mailbox.mailbox_id, uids, name)).target_uids)
        return count

    async def flag(self, actor: Actor, object_ids: Sequence[str], flag: str, *, is_set: bool) -> int:
        """Set or take away a flag or label; messages that had it (or not) already count, too.

        Errors: BadMessage, for what is no label; LimitReached, where a message has as many labels as it can: nothing
        is changed then.
        """
        store, wanted = self._mailboxes.of(actor), next(iter(checked_flags([flag])), "")
        if not wanted:
            raise BadMessage(r"\Recent is nobody's to set")
        chosen = await _chosen(store, object_ids)
        if is_set and labels_of([wanted]):
            for mailbox, uids in chosen:
                for record in await store.fetch(mailbox.mailbox_id, uids, Wanted.NARROW):
                    if len({each.lower() for each in (*labels_of(record.flags), wanted)}) > LABELS_MAX:
                        raise LimitReached(f"A message has at most {LABELS_MAX} labels")
        operation = FlagOperation.ADD if is_set else FlagOperation.REMOVE
        count = 0
        for mailbox, uids in chosen:
            count += len((await store.store_flags(mailbox.mailbox_id, uids, operation, [wanted])).changed)
        return count

    async def delete(self, actor: Actor, object_ids: Sequence[str]) -> int:
        """Remove them at once, without a step through Trash."""
        store = self._mailboxes.of(actor)
        count = 0
        for mailbox, uids in await _chosen(store, object_ids):
            count += len(await store.expunge(mailbox.mailbox_id, uids, only_deleted=False))
        return count


async def _make(store: AccountStore, name: str) -> None:
    try:
        if (await store.mailbox(name)).is_selectable:
            return
    except NoSuchMailbox:
        pass
    try:
        await store.create_mailbox(name)
        await store.subscribe(name, is_subscribed=True)
    except MailboxExists:
        pass  # somebody was quicker


async def _chosen(store: AccountStore, object_ids: Sequence[str]) -> list[tuple[Mailbox, UidSet]]:
    """Give the mailboxes that are there, with the UIDs named. Errors: PolicyRefused."""
    if len(object_ids) > AT_ONCE_MAX:
        raise PolicyRefused(f"At most {AT_ONCE_MAX} messages at once")
    uids: dict[tuple[MailboxId, int], list[Uid]] = {}
    for place in map(Place.of, object_ids):
        if place is not None and place.uid:
            uids.setdefault((place.mailbox_id, place.uidvalidity), []).append(place.uid)
    return [
        (mailbox, UidSet.of(uids[key]))
        for mailbox in await store.mailboxes()
        if mailbox.is_selectable and (key := (mailbox.mailbox_id, int(mailbox.uidvalidity))) in uids
    ]
