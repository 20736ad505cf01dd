r"""Sending from webmail: with some seconds in which it can be undone, or at a moment; what waits, changed or cancelled.

A draft that was sent stays the draft it is, with the keyword $SubmitPending, until it is on its way: undoing only takes
the keyword off, so all comes back as it was. What waits is in the queue, which outlives any crash. In each order of
steps either the message is in the queue and the draft carries the keyword, or it is not and the draft loses it:

1. a wake-up is noted for when this submission can be under way no more;
2. the draft gets the keyword, if nobody has changed it meanwhile: of two who send it, one does;
3. the message is submitted (`usecases.emails`: the record first, then the queue);
4. the wake-up is noted for the moment at which it goes out.

The wake-up (`usecases.waking`) then looks at the record: what is on its way is filed into \Sent in the draft's place,
in one unit; what was taken back, or never came into the queue, is a draft again. Nothing but a person's hand submits,
so nothing is sent twice.

Spec: RFC 4865 (release in the future), RFC 5788 registry ($SubmitPending), RFC 6154 (\Drafts, \Sent).
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

from mailstead.mime.header import fields, header_end
from mailstead.model.emails import Email, EmailStatus
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import (
    BadMessage,
    Conflict,
    NoSuchAccount,
    NoSuchEmail,
    NoSuchMessage,
    NotAllowed,
    PolicyRefused,
)
from mailstead.model.flags import DRAFT, SEEN, FlagOperation
from mailstead.model.ids import AccountId
from mailstead.model.mailbox import Mailbox
from mailstead.model.message import Wanted
from mailstead.model.people import Listing
from mailstead.model.preferences import UNDO_S_MAX
from mailstead.model.queue import RecipientState
from mailstead.model.search import HasFlag
from mailstead.model.uidset import UidSet
from mailstead.ports.storage import AccountStore, Storage
from mailstead.ports.wakeups import Wakeup
from mailstead.usecases.emails import ACCEPTING, Emails, EmailView, OutgoingEmail
from mailstead.usecases.mailboxes import Draft, Mailboxes
from mailstead.usecases.message_views import MessageChange, MessageView, is_named
from mailstead.usecases.messages import LISTED, Messages

DUTY: Final = "outbox"
"""First word of the keys of its wake-ups."""
PENDING: Final = "$SubmitPending"
BEHIND: Final = timedelta(seconds=1)
"""So long after it was due it is filed."""
LISTED_MAX: Final = 500
_LISTED: Final = LISTED | Wanted.ORDER


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A message that was sent and is not on its way yet."""

    message_id: str
    """Without brackets; names it for all verbs."""
    due_at: datetime | None
    """None: it is being accepted."""
    draft: MessageView | None
    """None: some client has deleted the draft; the message goes out all the same, unless it is cancelled."""
    email: Email | None

    @property
    def can_be_undone(self) -> bool:
        """Whether it waits in the queue; the queue has the last word."""
        return self.email is not None and not self.email.is_settled


class Outbox:
    """Every verb begins with an actor, whose own account alone is reached (NotAllowed without one)."""

    def __init__(self, storage: Storage, mailboxes: Mailboxes, messages: Messages, emails: Emails) -> None:
        self._directory = storage.directory
        self._wakeups = storage.wakeups
        self._mailboxes = mailboxes
        self._messages = messages
        self._emails = emails
        self._clock = mailboxes.clock

    async def send(
        self,
        actor: Actor,
        peer: Peer,
        draft_id: str,
        *,
        undo_s: int = 0,
        at: datetime | None = None,
        require_tls: bool = False,
    ) -> OutboxEntry:
        """Send a draft in `undo_s` seconds, or at a moment; until then it can be taken back.

        Errors: NoSuchMessage; BadMessage for what is no draft, or no message; Conflict when it is being sent already,
        or was changed meanwhile; PolicyRefused for a time too long; all of `Emails.send`.
        """
        if not 0 <= undo_s <= UNDO_S_MAX:
            raise PolicyRefused(f"A message can be taken back for 0 to {UNDO_S_MAX} seconds")
        owner, now = _as_owner(actor), self._clock.now()
        view = await self._named_draft(owner, draft_id)
        due_at = max(now, at.astimezone(UTC)) if at is not None else now + timedelta(seconds=undo_s)
        message_id, key = _identity(view)
        account_id, store = _account_id(owner), self._mailboxes.of(owner)
        (octets,) = await self._messages.octets(owner, [view])
        await self._wakeups.note(account_id, key, now + ACCEPTING)
        chosen = UidSet.of([view.record.uid])
        stored = await store.store_flags(
            view.mailbox.mailbox_id, chosen, FlagOperation.ADD, [PENDING], unchanged_since=view.record.modseq
        )
        if not stored.changed:
            raise Conflict("The draft was changed meanwhile; look at it again")
        # Held even for no time at all: so it is in the queue for all recipients or for none, those here among them.
        outgoing = OutgoingEmail(_dated(octets, due_at), require_tls, not_before=due_at)
        try:
            sent = await self._emails.send(owner, peer, outgoing)
        except Exception:  # whatever it was, it goes on; nothing was sent, so the draft is one again
            await store.store_flags(view.mailbox.mailbox_id, chosen, FlagOperation.REMOVE, [PENDING])
            raise
        await self._wakeups.note(account_id, key, due_at + BEHIND)
        if due_at <= now:
            await self._file(owner, view, sent)
            return OutboxEntry(message_id, due_at, None, sent.email)
        view = await self._messages.show(owner, view.place.object_id, _LISTED)
        return OutboxEntry(message_id, due_at, view, sent.email)

    async def find(self, actor: Actor) -> list[OutboxEntry]:
        """All that waits, soonest first. What has gone out meanwhile is filed before that."""
        owner = _as_owner(actor)
        entries: dict[str, OutboxEntry] = {}
        for view in await self._pending(owner):
            message_id, _ = _identity(view)
            sent = await self._sent(owner, message_id)
            if sent is not None and not self._waits(sent.email):
                await self._look(owner, view, sent)
                continue
            email = sent.email if sent is not None else None
            due_at = None if email is None else email.not_before or email.created_at
            entries[message_id] = OutboxEntry(message_id, due_at, view, email)
        for sent in (await self._emails.find(owner, Listing(limit=100), is_scheduled=True)).items:
            email = sent.email
            if email.message_id not in entries and self._waits(email):
                entries[email.message_id] = OutboxEntry(email.message_id, email.not_before, None, email)
        return sorted(entries.values(), key=lambda entry: (entry.due_at or self._clock.now(), entry.message_id))

    async def undo(self, actor: Actor, message_id: str) -> MessageView | None:
        """Take a message back before anything of it has gone out; gives the draft, which is as it was.

        None: some client has deleted the draft, and the message is only cancelled.
        Errors: NoSuchEmail; PolicyRefused when it is on its way.
        """
        owner = _as_owner(actor)
        view = next((each for each in await self._pending(owner) if _identity(each)[0] == message_id), None)
        await self._emails.take_back(owner, message_id)
        if view is None:
            return None
        await self._give_back(owner, view)
        try:
            return await self._messages.show(owner, view.place.object_id, _LISTED)
        except NoSuchMessage:
            return None

    async def change(self, actor: Actor, peer: Peer, message_id: str, at: datetime) -> OutboxEntry:
        """Let a message go out at another moment. A crash in between leaves a draft that was not sent.

        Errors: as of `undo` and `send`; NoSuchMessage when its draft is gone (it is not taken back then).
        """
        owner = _as_owner(actor)
        before = next((each for each in await self.find(owner) if each.message_id == message_id), None)
        if before is None:
            raise NoSuchEmail
        if before.draft is None or before.email is None:
            raise NoSuchMessage
        view = await self.undo(owner, message_id)
        if view is None:
            raise NoSuchMessage
        return await self.send(owner, peer, view.place.object_id, at=at, require_tls=before.email.require_tls)

    async def wake(self, wakeup: Wakeup) -> datetime | None:
        """Look at a message whose moment has come: a duty of `usecases.waking`; gives when to look again."""
        account = await self._directory.account(wakeup.account_id)
        if account is None:
            raise NoSuchAccount
        owner = Actor(account.account_id, account.address, label="server")
        for view in await self._pending(owner):
            message_id, key = _identity(view)
            if key != wakeup.key:
                continue
            sent = await self._sent(owner, message_id)
            if sent is not None and self._waits(sent.email):
                return self._again_at(sent.email)
            await self._look(owner, view, sent)
        return None

    # what stands behind a draft

    def _waits(self, email: Email) -> bool:
        if email.is_settled:
            return False
        is_being_accepted = email.status is EmailStatus.PENDING and email.not_before is None
        is_ahead = email.not_before is not None and email.not_before > self._clock.now()
        return is_ahead or (is_being_accepted and self._clock.now() < email.created_at + ACCEPTING)

    def _again_at(self, email: Email) -> datetime:
        now = self._clock.now()
        accepted_by = email.created_at + ACCEPTING
        if email.status is EmailStatus.PENDING and now < accepted_by:  # else an administrator holds it
            return accepted_by + BEHIND
        return (email.not_before or accepted_by) + BEHIND

    async def _look(self, owner: Actor, view: MessageView, sent: EmailView | None) -> None:
        """File what is on its way; what never was is a draft again."""
        if sent is None or _never_left(sent.email):
            await self._give_back(owner, view)
        else:
            await self._file(owner, view, sent)

    async def _file(self, owner: Actor, view: MessageView, sent: EmailView) -> None:
        """Put what was sent into Sent, in the place of the draft. One unit; a draft that is gone is no error."""
        store = self._mailboxes.of(owner)
        try:
            (octets,) = await self._messages.octets(owner, [view])
            flags = frozenset(flag for flag in view.record.flags if flag.lower() != PENDING.lower()) - {DRAFT} | {SEEN}
            draft = Draft(_dated(octets, sent.email.sent_at), flags)
            name = await _sent_mailbox(store)
            await self._mailboxes.replace(owner, view.mailbox.mailbox_id, view.record.uid, name, draft)
        except NoSuchMessage:
            return

    async def _give_back(self, owner: Actor, view: MessageView) -> None:
        store, chosen = self._mailboxes.of(owner), UidSet.of([view.record.uid])
        await store.store_flags(view.mailbox.mailbox_id, chosen, FlagOperation.REMOVE, [PENDING])

    async def _sent(self, owner: Actor, message_id: str) -> EmailView | None:
        try:
            return await self._emails.show(owner, message_id)
        except NoSuchEmail:
            return None

    async def _pending(self, owner: Actor) -> list[MessageView]:
        store = self._mailboxes.of(owner)
        by_id = {each.mailbox_id: each for each in await store.mailboxes() if _holds_drafts(each)}
        found = await store.newest(list(by_id), HasFlag(PENDING), 0, LISTED_MAX, _LISTED)
        views = [MessageView(by_id[mailbox_id], record) for mailbox_id, record in found.messages]
        return [view for view in views if view.order.message_id]

    async def _named_draft(self, owner: Actor, draft_id: str) -> MessageView:
        """Give a draft that is not being sent, with a Message-ID. Errors: see `send`."""
        view = await self._messages.show(owner, draft_id, _LISTED)
        if not _holds_drafts(view.mailbox):  # there alone it is looked for again
            raise BadMessage("Only messages in Drafts can be sent")
        if PENDING.lower() in {flag.lower() for flag in view.record.flags}:
            raise Conflict("It is being sent already")
        if view.order.message_id:
            return view
        (octets,) = await self._messages.octets(owner, [view])
        domain = owner.address.domain if owner.address is not None else "localhost"
        named = f"Message-ID: <{secrets.token_hex(12)}@{domain}>\r\n".encode() + octets
        view = await self._messages.change(owner, draft_id, MessageChange(octets=named))
        return await self._messages.show(owner, view.place.object_id, _LISTED)


def _never_left(email: Email) -> bool:
    """Whether it was taken back, or never came into the queue."""
    ended = {RecipientState.CANCELLED, RecipientState.FAILED}
    return all(each.state in ended and not each.attempt_count for each in email.outcomes)


def _holds_drafts(mailbox: Mailbox) -> bool:
    return mailbox.is_selectable and (mailbox.special_use == "\\Drafts" or mailbox.name == "Drafts")


def _identity(view: MessageView) -> tuple[str, str]:
    """Give the Message-ID without brackets, and the key of its wake-up, which tells it to nobody."""
    message_id = (view.order.message_id or "").strip("<>")
    return message_id, f"{DUTY} {hashlib.sha256(message_id.encode()).hexdigest()[:32]}"


def _as_owner(actor: Actor) -> Actor:
    """Mail is an account's affair, whatever else its owner may do. Errors: NotAllowed."""
    if actor.account_id is None:
        raise NotAllowed
    return replace(actor, user_id=None, groups={}, is_admin=False)


def _account_id(owner: Actor) -> AccountId:
    assert owner.account_id is not None
    return owner.account_id


def _dated(octets: bytes, at: datetime) -> bytes:
    """Give a message with that Date alone. Spec: RFC 5322 §3.6.1."""
    end = header_end(octets)
    header = octets[:end]
    pieces, start = [f"Date: {format_datetime(at.astimezone(UTC).replace(microsecond=0))}\r\n".encode()], 0
    for each in fields(header):
        if each.name == b"date":
            pieces.append(header[start : each.start])
            start = each.stop + (2 if header[each.stop : each.stop + 2] == b"\r\n" else 1)
    return b"".join([*pieces, header[start:], octets[end:]])


async def _sent_mailbox(store: AccountStore) -> str:
    for mailbox in await store.mailboxes():
        if mailbox.special_use == "\\Sent" and mailbox.is_selectable:
            return mailbox.name
    for mailbox in await store.mailboxes():
        if is_named(mailbox, "Sent") and mailbox.is_selectable:
            return mailbox.name
    await store.create_mailbox("Sent", "\\Sent")
    return "Sent"
