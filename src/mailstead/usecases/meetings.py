"""Meetings as messages change them: an invitation, its update, a cancellation, an answer.

Who is said to have sent a message has been made sure of before: by the house, for its own people, or by the
authentication of mail.

Spec: RFC 5546 §3.2; RFC 6638 §4.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from mailstead.model.address import Address
from mailstead.model.dav import Access, CollectionKind, NewResource, Precondition, Resource
from mailstead.model.directory import Account, Alias
from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    BadAddress,
    BadObject,
    NoSuchResource,
    ObjectTooLarge,
    PreconditionFailed,
    UidConflict,
)
from mailstead.model.ids import AccountId
from mailstead.pim import itip, itip_changes
from mailstead.pim.calendar_facts import facts
from mailstead.pim.calendar_object import CalendarObject, calendar_object, of_calendar
from mailstead.pim.component import Component, write
from mailstead.ports.storage import Storage
from mailstead.usecases.collections import Collections, Opened
from mailstead.usecases.object_imports import resource_name
from mailstead.usecases.resources import off_loop

MESSAGE_OCTETS_MAX: Final = 100_000
"""Spec: reference 8.5."""
MEETING_OCTETS_MAX: Final = 2 * 1024 * 1024
"""A message makes a meeting no larger: each instance that it speaks of may get a component of its own."""
ATTEMPTS: Final = 5
KEPT: Final = timedelta(days=30)
"""How long a message lies in an inbox."""
OF_ORGANIZERS: Final = frozenset({"REQUEST", "CANCEL", "ADD", "DECLINECOUNTER"})
OF_ATTENDEES: Final = frozenset({"REPLY", "COUNTER", "REFRESH"})
APPLIED: Final = frozenset({"REQUEST", "CANCEL", "ADD", "REPLY"})
"""The others only lie in the inbox, for people to see."""


class Meetings:
    """Takes messages into the calendars of the house."""

    def __init__(self, storage: Storage, collections: Collections) -> None:
        self._storage = storage
        self._directory = storage.directory
        self._collections = collections

    async def receive(self, account: Account, sender: str, octets: bytes) -> bool:
        """Take a message to an account: into the calendar, where it fits, and into the inbox; whether it was taken.

        `sender` is the ``mailto:`` address of somebody who is known to have sent it. Only an organizer invites and
        cancels, and only an attendee answers for itself (attack row 83); all others change nothing.
        """
        if len(octets) > MESSAGE_OCTETS_MAX:
            return False
        try:
            message = await off_loop(len(octets), calendar_object, octets, allows_method=True)
        except BadObject:
            return False
        people = itip.attendees(message.parts)
        if message.component not in {"VEVENT", "VTODO"} or len(people) > itip.ATTENDEES_MAX:
            return False
        sender, own = itip.person(sender), await self.own(account)
        if not _may_send(message, sender) or not (own & people.keys() or itip.organizer(message) in own):
            return False
        for _ in range(ATTEMPTS):
            resource, stored = await self._stored(account, message.uid)
            if not _concerns(stored, message, sender, own):
                return False
            changed = await asyncio.to_thread(_changed, stored, message, sender)
            if changed is not None:
                try:
                    await self._put(account, resource, changed, keeps_tag=message.method == "REPLY")
                except (PreconditionFailed, UidConflict):
                    continue  # somebody was quicker: look again
            elif message.method in APPLIED:
                return False  # said before
            await self._put_into_inbox(account, message, octets)
            return True
        return False

    async def answer(self, owner: Account, uid: str, attendee: str, answer: str, now: datetime) -> bool:
        """Take the answer of an attendee who has no calendar program; whether there is still such an invitation."""
        _, stored = await self._stored(owner, uid)
        if stored is None or itip.organizer(stored) not in await self.own(owner):
            return False
        reply = itip.answered(stored, attendee, answer, now)
        if reply is None:
            return False
        await self.receive(owner, attendee, write(reply))
        return True

    async def meeting(self, owner: Account, uid: str) -> CalendarObject | None:
        """Give a meeting of an account by its UID; None: it is not there."""
        return (await self._stored(owner, uid))[1]

    async def own(self, account: Account) -> frozenset[str]:
        """Give an account's calendar user addresses."""
        addresses = await self._directory.addresses_of(account.account_id)
        return frozenset(itip.person(f"mailto:{each}") for each in (account.address, *addresses))

    async def account_of(self, user: str) -> Account | None:
        """Give the account whose calendar user address that is; None: nobody's here."""
        if not user.lower().startswith("mailto:"):
            return None
        try:
            address = Address.parse(user[len("mailto:") :])
        except BadAddress:
            return None
        found = await self._directory.find(address)
        if isinstance(found, Alias) and len(found.targets) == 1 and isinstance(found.targets[0], Address):
            found = await self._directory.find(found.targets[0])
        return found if isinstance(found, Account) and found.is_enabled else None

    async def know_each_other(self, one: Account, other: Account) -> bool:
        """Whether one is told about the other: not where strangers open accounts by themselves (attack row 20)."""
        if one.account_id == other.account_id:
            return True
        for account in (one, other):
            domain = await self._directory.domain(account.address.domain)
            if domain is None or domain.terms.opens_accounts:
                return False
        return True

    async def default_calendar(self, account: Account) -> Opened | None:
        """Give the calendar into which invitations go: the one that its owner chose, else the first that takes them.

        Spec: RFC 6638 §9.2.
        """
        inbox = await self._inbox(account)
        chosen = inbox.traits.default_calendar if inbox is not None else ""
        actor = Actor(account.account_id, account.address)
        found = [
            each
            for each in await self._collections.home(actor, account, CollectionKind.CALENDAR)
            if each.is_own and each.access is Access.WRITE and "VEVENT" in (each.traits.components or ("VEVENT",))
        ]
        return next((each for each in found if each.name == chosen), found[0] if found else None)

    async def forget_messages(self, now: datetime) -> int:
        """Remove old messages from the inboxes that got any; gives how many.

        Programs of Apple's remove what they have shown, others never look.
        """
        gone = 0
        for key, marked in (await self._storage.memory.recall_all("inboxes", now)).items():
            if now - datetime.fromisoformat(marked.decode()) <= KEPT:
                continue
            account = await self._directory.account(AccountId(key))
            if account is not None:
                gone += await self._clear_inbox(account, now)
            else:
                await self._storage.memory.forget("inboxes", [key])
        return gone

    # within

    async def _stored(self, account: Account, uid: str) -> tuple[Resource | None, CalendarObject | None]:
        dav = self._storage.accounts.of(account.account_id).dav
        for each in await dav.find_uid(CollectionKind.CALENDAR, uid):
            if not (await dav.collection_by_id(each.collection_id)).source_url:
                return each, calendar_object(each.octets)
        return None, None

    async def _inbox(self, account: Account) -> Opened | None:
        actor = Actor(account.account_id, account.address)
        home = await self._collections.home(actor, account, CollectionKind.INBOX)
        return home[0] if home else None

    async def _put(self, account: Account, resource: Resource | None, calendar: Component, *, keeps_tag: bool) -> None:
        parsed = of_calendar(calendar)
        octets = write(calendar)
        if len(octets) > MEETING_OCTETS_MAX:
            raise ObjectTooLarge
        dav = self._storage.accounts.of(account.account_id).dav
        tag = None if keeps_tag else secrets.token_hex(8)
        if resource is not None:
            same = Precondition(etags=frozenset({resource.etag}))
            new = NewResource(resource.name, octets, facts(parsed), same, tag)
            await dav.put(resource.collection_id, [new])
            return
        opened = await self.default_calendar(account)
        if opened is None:
            return
        absent = Precondition(must_be_absent=True)
        new = NewResource(resource_name(parsed.uid, ".ics"), octets, facts(parsed), absent, tag)
        await dav.put(opened.collection.collection_id, [new])

    async def _put_into_inbox(self, account: Account, message: CalendarObject, octets: bytes) -> None:
        """Let the account's programs see what came; the same message again changes nothing."""
        inbox = await self._inbox(account)
        if inbox is None:
            return
        name = sha256(octets).hexdigest()[:32] + ".ics"
        new = NewResource(name, octets, replace(facts(message), organizer=""))
        (put,) = await inbox.store.put(inbox.collection.collection_id, [new])
        at = put.resource.created_at
        mark = at.isoformat().encode()
        await self._storage.memory.remember_first("inboxes", account.account_id, mark, at, at + 2 * KEPT)

    async def _clear_inbox(self, account: Account, now: datetime) -> int:
        """Remove what has lain there for long, and note from when the rest is."""
        inbox = await self._inbox(account)
        if inbox is None:
            return 0
        found = await inbox.store.resources(inbox.collection.collection_id)
        old = [each for each in found if now - each.created_at > KEPT]
        for each in old:
            with contextlib.suppress(NoSuchResource):  # a program was quicker
                await inbox.store.delete(inbox.collection.collection_id, each.name)
        memory, rest = self._storage.memory, [each.created_at for each in found if now - each.created_at <= KEPT]
        if rest:
            await memory.remember("inboxes", {account.account_id: min(rest).isoformat().encode()}, now + 2 * KEPT)
        else:
            await memory.forget("inboxes", [account.account_id])
        return len(old)


def _may_send(message: CalendarObject, sender: str) -> bool:
    """Whether it is the sender's to send such a message. Spec: RFC 5546 §1.4."""
    if not itip.has_one_organizer(message):
        return False
    if message.method in OF_ORGANIZERS:
        return sender == itip.organizer(message)
    return message.method in OF_ATTENDEES and sender in itip.attendees(message.parts)


def _concerns(stored: CalendarObject | None, message: CalendarObject, sender: str, own: frozenset[str]) -> bool:
    """Whether a message is of this account's meeting, as it knows it."""
    host = itip.organizer(message)
    if stored is not None and itip.organizer(stored) != host:
        return False  # a meeting does not change its organizer by a message
    if message.method in OF_ATTENDEES:
        return stored is not None and host in own and sender in itip.attendees(stored.parts)
    if host in own:
        return False  # whoever organizes has the meeting already
    return stored is not None or message.method == "REQUEST"


def _changed(stored: CalendarObject | None, message: CalendarObject, sender: str) -> Component | None:
    """Give the meeting after a message; None: it stays as it is."""
    if message.method == "REQUEST":
        return itip_changes.applied_request(stored, message)
    if stored is None:
        return None
    if message.method == "CANCEL":
        return itip_changes.applied_cancel(stored, message)
    if message.method == "ADD":
        return itip_changes.applied_add(stored, message)
    if message.method == "REPLY":
        return itip_changes.applied_reply(stored, message, sender)
    return None
