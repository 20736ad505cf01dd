"""Mail that programs send over the API, where it is called emails: sent, listed, looked after, cancelled.

A submission like any other, with a record that stays after the queue has forgotten the message. The record is written
first, so that no message leaves without one; how it stands is read from the queue while it is open.

Spec: reference forwardemail 4.6, 4.10 (Email), 6.5; RFC 3461 (DSN), RFC 4865 (release in the future), RFC 8689.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Final
from weakref import WeakValueDictionary

from mailstead.mime.address import addresses_of
from mailstead.mime.date import date_of
from mailstead.mime.header import fields, first_values, header_end, text_of, unfolded
from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.model.emails import Email, EmailOutcome, EmailQuery, EmailStatus, status_of
from mailstead.model.envelope import Actor, Envelope, Peer, Recipient
from mailstead.model.errors import (
    AddressDisabled,
    AddressPaused,
    BadAddress,
    BadMessage,
    NoSuchAddress,
    NoSuchEmail,
    NoSuchQueueItem,
    NotAllowed,
    PolicyRefused,
)
from mailstead.model.people import Group, Listing, ObjectId, Page
from mailstead.model.queue import ItemKind, QueuedRecipient, QueueItem, QueueQuery, RecipientState, RemoteReply
from mailstead.ports.storage import Storage
from mailstead.usecases.submissions import Submissions

AHEAD: Final = timedelta(minutes=1)
"""A Date so far ahead is meant: the message waits for it. Spec: reference forwardemail 4.6."""
ACCEPTING: Final = timedelta(minutes=15)
"""No message takes so long to be accepted; a record that still says so was left behind by a crash."""
KEPT: Final = timedelta(days=30)
"""Spec: reference forwardemail 6.5 (retention)."""
SUBJECT_CHARACTERS_MAX: Final = 1000
HEADER_OCTETS_MAX: Final = 64 * 1024
"""Of a record; what is longer is cut."""
LOOKED_AT_ONCE: Final = 100

_BLIND: Final = frozenset({b"bcc", b"resent-bcc"})
_LOST = RemoteReply(text="The server stopped while it accepted the message; it may not have been sent")


@dataclass(frozen=True, slots=True)
class DsnWishes:
    """What the sender wants to be told. Spec: RFC 3461 §4; reference forwardemail 4.6 (DSN rules)."""

    envid: str = ""
    returns: str = ""
    """``headers`` or ``full``; empty: not said."""
    notify: tuple[str, ...] = ()
    """``never`` alone, or some of ``success``, ``failure``, ``delay``."""
    orcpt: str = ""

    def told(self) -> dict[str, str]:
        """Give them as the record keeps them."""
        listed = {"id": self.envid, "return": self.returns, "notify": ",".join(self.notify), "recipient": self.orcpt}
        return {name: value for name, value in listed.items() if value}


@dataclass(frozen=True, slots=True)
class OutgoingEmail:
    """A message to be sent: to all whom To, Cc and Bcc name, from whom From names, on the day that Date says."""

    octets: bytes = field(repr=False)
    require_tls: bool = False
    dsn: DsnWishes = DsnWishes()
    not_before: datetime | None = None
    """Wait until then, whatever the Date says; None: as the Date says."""


@dataclass(frozen=True, slots=True)
class EmailView:
    """An email with the ids of what it belongs to."""

    email: Email
    alias_id: ObjectId | None = None
    domain_id: ObjectId | None = None
    user_id: ObjectId | None = None


class Emails:
    """Every verb begins with an actor: an account has its own emails, a user those of domains he administers."""

    def __init__(self, storage: Storage, submissions: Submissions, *, recipients_max: int) -> None:
        self._emails = storage.emails
        self._queue = storage.queue
        self._people = storage.people
        self._directory = storage.directory
        self._submissions = submissions
        self._clock = submissions.receptions.clock
        self._recipients_max = recipients_max
        self._sending: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def send(self, actor: Actor, peer: Peer, outgoing: OutgoingEmail) -> EmailView:
        """Send a message, or take it to be sent at its Date; the same one is taken once.

        Two requests at once in two processes may both be taken; an Idempotency-Key settles that.
        Errors: BadMessage for no From, no or too many recipients, a Date too far ahead; NotAllowed for others' senders;
        PolicyRefused for recipients here that cannot be had; RateLimited, OverQuota … as of submissions.
        """
        if actor.account_id is None and actor.user_id is None:
            raise NotAllowed
        octets, email = await self._email_of(actor, outgoing)
        lock = self._sending.get(email.message_id)
        if lock is None:
            lock = self._sending[email.message_id] = asyncio.Lock()
        async with lock:
            if (same := await self._same(actor, email)) is not None:
                return await self._view(same)
            return await self._send(actor, peer, outgoing, octets, email)

    async def _send(self, actor: Actor, peer: Peer, outgoing: OutgoingEmail, octets: bytes, email: Email) -> EmailView:
        acting = actor if actor.user_id is None else replace(actor, address=Address.parse(email.mail_from))
        submission = await self._submissions.begin(acting, peer, "api", _envelope(email, octets, outgoing))
        email = replace(email, queue_id=submission.queue_id)
        try:
            for recipient in _recipients(email, outgoing.dsn):
                try:
                    more = submission.add_recipient(recipient)
                    if more is not None:
                        await more
                except (NoSuchAddress, AddressDisabled, AddressPaused) as error:
                    raise PolicyRefused(f"{recipient.address}: {error.public_text}") from None
            submission.write(octets)
            await self._emails.add(email)
            try:
                await submission.accept()
            except Exception:  # whatever it was, it goes on; the record of what was not sent must not stay
                await self._emails.remove(email.email_id)
                raise
        finally:
            submission.abandon()
        return await self._view(await self._looked_at(email, is_accepted=True))

    async def find(
        self, actor: Actor, listing: Listing, *, domain: str = "", is_scheduled: bool | None = None
    ) -> Page[EmailView]:
        """Newest first, without headers. `domain`: name or id; of one that is not the actor's nothing is found."""
        entry = await self._people.domain_entry(domain) if domain else None
        query = replace(
            _query(actor),
            text=listing.text,
            domain=entry.domain.name if entry is not None else domain,
            is_scheduled=is_scheduled,
            now=self._clock.now(),
        )
        page = await self._emails.emails(query, listing)
        views = [await self._view(await self._looked_at(each)) for each in page.items]
        return Page(tuple(views), page.item_count)

    async def show(self, actor: Actor, id_or_message_id: str) -> EmailView:
        """One email. Errors: NoSuchEmail, also for others' (attack row 92)."""
        return await self._view(await self._looked_at(await self._found(actor, id_or_message_id)))

    async def octets(self, view: EmailView) -> bytes | None:
        """The message as it goes out; None once it is done, as it is not kept."""
        for item in await self._items(view.email):
            try:
                return await self._queue.octets(item.item_id)
            except NoSuchQueueItem:
                continue
        return None

    async def cancel(self, actor: Actor, id_or_message_id: str) -> EmailView:
        """Take back what is not sent yet; recipients who have it keep it.

        Errors: NoSuchEmail; PolicyRefused when nothing of it waits any more.
        """
        email = await self._looked_at(await self._found(actor, id_or_message_id))
        items = await self._items(email)
        if email.is_settled or not items:
            raise PolicyRefused(f"Only emails that wait can be cancelled; this one is {email.status.value}")
        await self._queue.cancel([item.item_id for item in items], self._clock.now())
        return await self._view(await self._looked_at(email))

    async def take_back(self, actor: Actor, id_or_message_id: str) -> EmailView:
        """Take back a message of which nothing has gone out yet: whole, or not at all.

        Errors: NoSuchEmail; PolicyRefused when it is on its way, or was.
        """
        email = await self._looked_at(await self._found(actor, id_or_message_id))
        ids = [item.item_id for item in await self._items(email)]
        if email.is_settled or not ids or not await self._queue.take_back(ids, self._clock.now()):
            raise PolicyRefused("It is on its way already and cannot be taken back")
        return await self._view(await self._looked_at(email))

    async def sent_today(self, actor: Actor) -> tuple[int, int]:
        """How many recipients the actor's messages had this day (UTC), and how many they may have; 0: any number."""
        return await self._submissions.sent_today(actor)

    async def look_after(self, now: datetime) -> None:
        """Note how all open emails stand, before the queue forgets them, and remove old ones: a chore."""
        after = ObjectId("")
        while emails := await self._emails.unsettled(after, LOOKED_AT_ONCE):
            for email in emails:
                await self._looked_at(email)
            after = emails[-1].email_id
        await self._emails.expire(now - KEPT)

    # what they are made of

    async def _email_of(self, actor: Actor, outgoing: OutgoingEmail) -> tuple[bytes, Email]:
        """Give the message, with the fields it must have, and its record, not yet of the queue."""
        now = self._clock.now()
        octets = outgoing.octets
        header = octets[: header_end(octets)]
        values = first_values(header)
        author, sender = _one(values, b"from"), _one(values, b"sender")
        if author is None:
            raise BadMessage("A message needs one sender: from")
        sent_at = date_of(values[b"date"]) if b"date" in values else now.replace(microsecond=0)
        if sent_at is None:
            raise BadMessage("The date is not well formed")
        if b"date" not in values:
            octets = f"Date: {format_datetime(sent_at)}\r\n".encode() + octets
        message_id = unfolded(values.get(b"message-id", b"")).decode("ascii", "replace").strip()
        if not message_id:
            message_id = f"<{secrets.token_hex(12)}@{author.domain}>"
            octets = f"Message-ID: {message_id}\r\n".encode() + octets
        recipients = self._recipients_of(header)
        account_id = actor.account_id
        if account_id is None and isinstance(owner := await self._directory.find(author), Account):
            account_id = owner.account_id
        return octets, Email(
            email_id=ObjectId(f"{int(now.timestamp()):08x}{secrets.token_hex(8)}"),
            queue_id="",
            account_id=account_id,
            user_id=actor.user_id,
            domain=author.domain,
            mail_from=str(sender or author),
            recipients=recipients,
            message_id=message_id.strip("<>"),
            subject=text_of(values.get(b"subject", b""))[:SUBJECT_CHARACTERS_MAX],
            header=_without_blind(octets[: header_end(octets)])[:HEADER_OCTETS_MAX],
            sent_at=sent_at,
            created_at=now,
            updated_at=now,
            status=EmailStatus.PENDING,  # beside recipients that are not held: it is being accepted
            outcomes=tuple(EmailOutcome(each, RecipientState.WAITING, now) for each in recipients),
            not_before=outgoing.not_before or (sent_at if sent_at > now + AHEAD else None),
            require_tls=outgoing.require_tls,
            dsn=outgoing.dsn.told(),
        )

    def _recipients_of(self, header: bytes) -> tuple[str, ...]:
        found: dict[str, str] = {}
        for each in fields(header):
            if each.name not in {b"to", b"cc", b"bcc"}:
                continue
            for listed in addresses_of(header[each.value_start : each.stop]):
                if listed.domain is None:
                    continue  # the bounds of a group
                address = _address(listed.local_part, listed.domain)
                found.setdefault(address.key, str(address))
        if not found:
            raise BadMessage("A message needs a recipient: to, cc or bcc")
        if len(found) > self._recipients_max:
            raise BadMessage(f"A message has at most {self._recipients_max} recipients")
        return tuple(found.values())

    async def _same(self, actor: Actor, email: Email) -> Email | None:
        """Give the email that this is once more. Spec: reference forwardemail 6.3."""
        there = await self._emails.email(_query(actor), email.message_id)
        if there is None or there.status is EmailStatus.REJECTED:
            return None
        is_same = (there.recipients, there.mail_from, there.sent_at) == (
            email.recipients, email.mail_from, email.sent_at
        )  # fmt: skip
        return there if is_same else None

    # how they stand

    async def _found(self, actor: Actor, id_or_message_id: str) -> Email:
        found = await self._emails.email(_query(actor), id_or_message_id.strip("<>"))
        if found is None:
            raise NoSuchEmail
        return found

    async def _items(self, email: Email) -> list[QueueItem]:
        items = await self._queue.items(QueueQuery(queue_id=email.queue_id))
        return [item for item in items if item.kind is ItemKind.SUBMISSION]

    async def _looked_at(self, email: Email, *, is_accepted: bool = False) -> Email:
        """Give the email as it stands in the queue, and keep that; `is_accepted`: the first look after it was taken."""
        if email.is_settled:
            return email
        queued = {each.recipient.address.key: each for item in await self._items(email) for each in item.recipients}
        now = self._clock.now()
        is_being_accepted = email.status is EmailStatus.PENDING and not any(
            each.state is RecipientState.HELD for each in email.outcomes
        )
        if is_being_accepted and not queued and not is_accepted and now < email.created_at + ACCEPTING:
            return email
        has_queued = is_accepted or bool(queued)
        outcomes = tuple(
            _outcome(each, queued.get(Address.parse(each.recipient).key), now, has_queued=has_queued)
            for each in email.outcomes
        )
        status = status_of(outcomes)
        if outcomes == email.outcomes and status is email.status:
            return email
        await self._emails.settle(email.email_id, status, outcomes, now)
        return replace(email, status=status, outcomes=outcomes, updated_at=now)

    async def _view(self, email: Email) -> EmailView:
        alias = await self._people.address_entry_of_account(email.account_id) if email.account_id else None
        domain = await self._people.domain_entry(email.domain)
        return EmailView(
            email,
            alias.profile.object_id if alias is not None else None,
            domain.profile.object_id if domain is not None else None,
            email.user_id or (alias.profile.user_id if alias is not None else None),
        )


def _query(actor: Actor) -> EmailQuery:
    """Give what an actor may see: an administrator of the server everything. Errors: NotAllowed, for nobody.

    Whoever stands in for an account's owner sees that account's.
    """
    if actor.user_id is None and actor.account_id is not None:
        return EmailQuery(account_id=actor.account_id)
    if actor.user_id is None and not actor.is_admin:
        raise NotAllowed
    administered = [name for name, group in actor.groups.items() if group is Group.ADMIN]
    return EmailQuery(actor.account_id, actor.user_id, None if actor.is_admin else administered)


def _outcome(before: EmailOutcome, queued: QueuedRecipient | None, now: datetime, *, has_queued: bool) -> EmailOutcome:
    """Give how one recipient stands."""
    if queued is not None:
        at = queued.last_attempt_at or before.at
        return EmailOutcome(before.recipient, queued.state, at, queued.attempt_count, queued.last_reply)
    if before.state not in {RecipientState.WAITING, RecipientState.HELD}:
        return before
    if has_queued:
        return replace(before, state=RecipientState.DELIVERED, at=now, is_local=True)
    return replace(before, state=RecipientState.FAILED, at=now, reply=before.reply or _LOST)


def _recipients(email: Email, dsn: DsnWishes) -> Sequence[Recipient]:
    notify = frozenset(word.upper() for word in dsn.notify)
    orcpt = dsn.orcpt if not dsn.orcpt or ";" in dsn.orcpt else f"rfc822;{dsn.orcpt}"
    return [Recipient(Address.parse(each), notify, orcpt or None) for each in email.recipients]


def _envelope(email: Email, octets: bytes, outgoing: OutgoingEmail) -> Envelope:
    named = (email.mail_from, *email.recipients)
    return Envelope(
        Address.parse(email.mail_from),
        body="7BIT" if octets.isascii() else "8BITMIME",
        smtputf8=not (email.header.isascii() and all(map(str.isascii, named))),
        size_octets=len(octets),
        ret={"headers": "HDRS", "full": "FULL"}.get(outgoing.dsn.returns),
        envid=outgoing.dsn.envid or None,
        require_tls=outgoing.require_tls,
        hold_until=email.not_before,
    )


def _one(values: dict[bytes, bytes], name: bytes) -> Address | None:
    listed = [each for each in addresses_of(values.get(name, b"")) if each.domain is not None]
    if not listed:
        return None
    return _address(listed[0].local_part, listed[0].domain)


def _address(local_part: bytes | None, domain: bytes | None) -> Address:
    """Errors: BadMessage."""
    try:
        return Address.parse(str(Address((local_part or b"").decode(), (domain or b"").decode())))
    except UnicodeDecodeError:
        raise BadMessage("An address is neither ASCII nor UTF-8") from None
    except BadAddress as error:
        raise BadMessage(f"{text_of(local_part or b'')}@{text_of(domain or b'')}: {error.public_text}") from None


def _without_blind(header: bytes) -> bytes:
    pieces, end = [], 0
    for each in fields(header):
        if each.name in _BLIND:
            pieces.append(header[end : each.start])
            end = each.stop + len(b"\r\n")
    return b"".join([*pieces, header[end:]])
