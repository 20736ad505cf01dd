"""Snooze: messages leave INBOX until a moment, and come back unread and as the newest.

They wait in a mailbox that every client sees, and whoever moves or deletes them there has ended the waiting. What is
true stands in the account; the index of wake-ups is written before it and once more behind it, so neither a crash nor a
worker that looks in between leaves a message without its moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchMessage, PolicyRefused
from mailstead.model.ids import AccountId, MailboxId, Uid
from mailstead.model.mailbox import INBOX, Mailbox
from mailstead.model.message import Wanted
from mailstead.model.people import ObjectId
from mailstead.model.place import Place
from mailstead.model.search import HasThreadId
from mailstead.model.snoozing import SNOOZED
from mailstead.model.uidset import UidSet
from mailstead.ports.storage import AccountStore, Storage
from mailstead.ports.wakeups import Wakeup
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.message_views import MessageView
from mailstead.usecases.messages import LISTED

DUTY: Final = "snooze"
"""First word of the keys of its wake-ups."""
SOONEST: Final = timedelta(minutes=1)
LATEST: Final = timedelta(days=366 * 5)
AT_ONCE_MAX: Final = 1000
"""Messages of one call."""


@dataclass(frozen=True, slots=True)
class SnoozedView:
    """A message that waits."""

    message: MessageView
    until: datetime
    origin: str
    """Path of the folder that it came from."""


class Snoozing:
    """Every verb begins with an actor, whose own account alone is reached (NotAllowed without one)."""

    def __init__(self, storage: Storage, mailboxes: Mailboxes) -> None:
        self._accounts = storage.accounts
        self._wakeups = storage.wakeups
        self._mailboxes = mailboxes
        self._clock = mailboxes.clock

    async def find(self, actor: Actor, wanted: Wanted = LISTED) -> list[SnoozedView]:
        """All that wait, soonest first. What is due comes back before that."""
        store = self._mailboxes.of(actor)
        now = self._clock.now()
        waiting = await store.snoozes.waiting()
        if waiting and waiting[0].until <= now:
            await store.snoozes.wake(now)
            waiting = await store.snoozes.waiting()
        if waiting and actor.account_id is not None:  # an account that came from a backup is in no index
            await self._note(actor.account_id, waiting[0].until)
        by_id = {each.mailbox_id: each for each in await store.mailboxes()}
        records = {
            (mailbox_id, record.uid): record
            for mailbox_id in {each.mailbox_id for each in waiting} & by_id.keys()
            for record in await store.fetch(
                mailbox_id, UidSet.of(each.uid for each in waiting if each.mailbox_id == mailbox_id), wanted
            )
        }
        return [
            SnoozedView(
                MessageView(by_id[each.mailbox_id], records[each.mailbox_id, each.uid]), each.until, each.origin
            )
            for each in waiting
            if (each.mailbox_id, each.uid) in records
        ]

    async def snooze(self, actor: Actor, object_ids: Sequence[str], until: datetime) -> list[ObjectId]:
        """Let messages wait; gives the ids that they have now. Those that are gone are passed over.

        Errors: PolicyRefused, for a moment too near or too far; NoSuchMessage, when none of them is there;
        LimitReached.
        """
        until = self._checked(until)
        store, account_id = self._mailboxes.of(actor), _account_id(actor)
        await self._note(account_id, until)
        found: list[ObjectId] = []
        for mailbox, uids in await _chosen(store, object_ids):
            moved = await store.snoozes.snooze(mailbox.mailbox_id, uids, until)
            if moved.target_uids:
                there = await store.mailbox(SNOOZED)
                found += [Place(there.mailbox_id, there.uidvalidity, uid).object_id for uid in moved.target_uids]
        if not found:
            raise NoSuchMessage
        await self._note(account_id, until)
        return found

    async def snooze_conversations(self, actor: Actor, object_ids: Sequence[str], until: datetime) -> list[ObjectId]:
        """Let messages wait with all of their conversations that are in the same mailbox. Errors: as `snooze`.

        Of very long conversations the newest messages, `AT_ONCE_MAX` in all.
        """
        store = self._mailboxes.of(actor)
        ids: list[str] = []
        for mailbox, uids in await _chosen(store, object_ids):
            records = await store.fetch(mailbox.mailbox_id, uids, Wanted.NARROW)
            found: set[Uid] = set()
            for thread_id in {record.thread_id for record in records}:
                found |= set(await store.search(mailbox.mailbox_id, HasThreadId(thread_id)))
            ids += [Place(mailbox.mailbox_id, mailbox.uidvalidity, uid).object_id for uid in sorted(found)]
        return await self.snooze(actor, ids[-AT_ONCE_MAX:], until)

    async def unsnooze(self, actor: Actor, object_ids: Sequence[str]) -> list[ObjectId]:
        """Take messages back to where they came from, as they were; gives their ids. Others are passed over.

        Errors: NoSuchMessage, when none of them waits.
        """
        store = self._mailboxes.of(actor)
        found: list[ObjectId] = []
        names = {each.name for each in await store.mailboxes() if each.is_selectable}
        for mailbox, uids in await _chosen(store, object_ids):
            waiting = await store.snoozes.waiting()
            before = {each.uid: each.origin for each in waiting if each.mailbox_id == mailbox.mailbox_id}
            back = await store.snoozes.unsnooze(mailbox.mailbox_id, uids)
            for source, target in zip(back.source_uids, back.target_uids, strict=True):
                origin = before.get(source, INBOX)
                there = await store.mailbox(origin if origin in names else INBOX)
                found.append(Place(there.mailbox_id, there.uidvalidity, target).object_id)
        if not found:
            raise NoSuchMessage
        return found

    async def wake(self, wakeup: Wakeup) -> datetime | None:
        """Bring back what is due in an account: a duty of `usecases.waking`."""
        await self._accounts.of(wakeup.account_id).snoozes.wake(self._clock.now())
        return None

    def _checked(self, until: datetime) -> datetime:
        """Give whole seconds. Errors: PolicyRefused."""
        now = self._clock.now()
        if not now + SOONEST <= until <= now + LATEST:
            raise PolicyRefused("A message can wait from one minute up to five years")
        return until.astimezone(UTC).replace(microsecond=0)

    async def _note(self, account_id: AccountId, until: datetime) -> None:
        await self._wakeups.note(account_id, f"{DUTY} {int(until.timestamp())}", until)


def _account_id(actor: Actor) -> AccountId:
    assert actor.account_id is not None  # asked when its store was given
    return actor.account_id


async def _chosen(store: AccountStore, object_ids: Sequence[str]) -> list[tuple[Mailbox, UidSet]]:
    """Give the mailboxes that are there, with the UIDs named. Errors: PolicyRefused, for too many."""
    if len(object_ids) > AT_ONCE_MAX:
        raise PolicyRefused(f"At most {AT_ONCE_MAX} messages at once")
    uids: dict[tuple[MailboxId, int], list[Uid]] = {}
    for place in map(Place.of, object_ids):
        if place is not None and place.uid:
            uids.setdefault((place.mailbox_id, place.uidvalidity), []).append(place.uid)
    return [
        (mailbox, UidSet.of(uids[key]))
        for mailbox in await store.mailboxes()
        if (key := (mailbox.mailbox_id, int(mailbox.uidvalidity))) in uids
    ]
