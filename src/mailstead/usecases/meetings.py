"""Meetings as messages change them: an invitation, its update, a cancellation, an answer.

Who is said to have sent a message has been made sure of before: by the house, for its own people, or by the
authentication of mail.

Spec: RFC 5546 §3.2; RFC 6638 §4.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from hashlib import sha256
from typing import Final

from mailstead.model.address import Address
from mailstead.model.dav import Access, CollectionKind, NewResource, Precondition, Resource
from mailstead.model.directory import Account, Alias
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadAddress, BadObject, NoSuchAccount, PreconditionFailed, UidConflict
from mailstead.pim import itip
from mailstead.pim.calendar_facts import facts
from mailstead.pim.calendar_object import CalendarObject, calendar_object, of_calendar
from mailstead.pim.component import Component, write
from mailstead.ports.storage import Storage
from mailstead.usecases.collections import INBOX, Collections, Opened
from mailstead.usecases.object_imports import resource_name

MESSAGE_OCTETS_MAX: Final = 100_000
"""Spec: reference 8.5."""
ATTEMPTS: Final = 5


class Meetings:
    """Takes messages into the calendars of the house."""

    def __init__(self, storage: Storage, collections: Collections) -> None:
        self._storage = storage
        self._directory = storage.directory
        self._collections = collections

    async def receive(self, account: Account, sender: str, octets: bytes) -> bool:
        """Take a message to an account: into the inbox, and where it fits, into the calendar; whether it was taken.

        `sender` is the ``mailto:`` address of somebody who is known to have sent it. Only an organizer invites and
        cancels, and only an attendee answers for itself (attack row 83); all others change nothing.
        """
        if len(octets) > MESSAGE_OCTETS_MAX:
            return False
        try:
            message = calendar_object(octets, allows_method=True)
        except BadObject:
            return False
        if message.component not in {"VEVENT", "VTODO"} or len(itip.attendees(message.parts)) > itip.ATTENDEES_MAX:
            return False
        sender = itip.person(sender)
        host = itip.organizer(message)
        if message.method in {"REQUEST", "CANCEL", "ADD", "DECLINECOUNTER"}:
            if sender != host:
                return False
        elif message.method in {"REPLY", "COUNTER", "REFRESH"}:
            if sender not in itip.attendees(message.parts) or host not in await self.own(account):
                return False
        else:
            return False
        is_taken = await self._apply(account, message, sender)
        await self._put_into_inbox(account, message, octets)
        return is_taken

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

    async def default_calendar(self, account: Account) -> Opened | None:
        """Give the calendar into which invitations go: the first that takes events and is one's own."""
        actor = Actor(account.account_id, account.address)
        for each in await self._collections.home(actor, account, CollectionKind.CALENDAR):
            components = each.collection.traits.components
            if each.is_own and each.access is Access.WRITE and (not components or "VEVENT" in components):
                return each
        return None

    # within

    async def _apply(self, account: Account, message: CalendarObject, sender: str) -> bool:
        """Change the account's calendar as a message asks; whether anything was changed."""
        dav = self._storage.accounts.of(account.account_id).dav
        for _ in range(ATTEMPTS):
            found = await dav.find_uid(CollectionKind.CALENDAR, message.uid)
            resource = found[0] if found else None
            stored = self._read(resource)
            changed = self._changed(stored, message, sender, await self.own(account))
            if changed is None:
                return False
            try:
                await self._put(account, resource, changed, keeps_tag=message.method == "REPLY")
            except (PreconditionFailed, UidConflict):
                continue  # somebody was quicker: look again
            return True
        return False

    @staticmethod
    def _read(resource: Resource | None) -> CalendarObject | None:
        return None if resource is None else calendar_object(resource.octets)

    @staticmethod
    def _changed(
        stored: CalendarObject | None, message: CalendarObject, sender: str, own: frozenset[str]
    ) -> Component | None:
        if stored is not None and itip.organizer(stored) != itip.organizer(message):
            return None  # a meeting does not change its organizer by a message (attack row 83)
        if message.method == "REQUEST":
            invited = itip.attendees(message.parts)
            return itip.applied_request(stored, message) if own & set(invited) else None
        if stored is None:
            return None
        if message.method == "CANCEL":
            return itip.applied_cancel(stored, message)
        if message.method == "REPLY":
            return itip.applied_reply(stored, message, sender)
        return None

    async def _put(self, account: Account, resource: Resource | None, calendar: Component, *, keeps_tag: bool) -> None:
        parsed = of_calendar(calendar)
        octets = write(calendar)
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
        actor = Actor(account.account_id, account.address)
        await self._collections.home(actor, account, CollectionKind.INBOX)  # made, where it is not there yet
        try:
            inbox = await self._collections.open(actor, account, CollectionKind.INBOX, INBOX)
        except NoSuchAccount:
            return
        name = sha256(octets).hexdigest()[:32] + ".ics"
        await inbox.store.put(
            inbox.collection.collection_id, [NewResource(name, octets, replace(facts(message), organizer=""))]
        )
