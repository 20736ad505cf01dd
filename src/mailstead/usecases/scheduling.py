"""Scheduling: what a change of a meeting causes for the others in it.

A change is planned before it is made, and what it causes is kept with it (an errand), done at once, and struck off. A
crash in between leaves the errand to the sweep; doing it twice does no harm, as messages have names made from what they
say.

Local people get a message in their inbox, and their calendar is changed as if they had taken it over themselves; others
get mail (`usecases.invitation_mail`).

Spec: RFC 6638 §3; RFC 5546 §3.2.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

import msgspec

from mailstead.model.dav import CollectionKind
from mailstead.model.directory import Account
from mailstead.model.errors import MailsteadError
from mailstead.pim import itip
from mailstead.pim.calendar_object import CalendarObject, calendar_object
from mailstead.pim.component import write
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log
from mailstead.usecases.calendar_objects import Planned
from mailstead.usecases.collections import Opened
from mailstead.usecases.meetings import Meetings

_log = log.get("scheduling")

SendMail = Callable[[Account, str, str, bytes], Awaitable[None]]
"""Sends a message (account of the sender, address, method, calendar) by mail. Errors: MailsteadError."""


class _Told(msgspec.Struct, frozen=True):
    to: str
    method: str
    calendar: str


class _Errand(msgspec.Struct, frozen=True):
    sender: str
    """``mailto:`` address of whoever changed the meeting."""
    told: tuple[_Told, ...]


class Scheduling:
    """Plans, does, and sweeps up. Without `send_mail` only people of the house are told."""

    def __init__(self, storage: Storage, meetings: Meetings, clock: Clock, send_mail: SendMail | None = None) -> None:
        self._storage = storage
        self._directory = storage.directory
        self._meetings = meetings
        self._clock = clock
        self._send_mail = send_mail

    # before and after a change

    async def plan(
        self,
        opened: Opened,
        old: CalendarObject | None,
        new: CalendarObject | None,
        *,
        wants_reply: bool = True,
        keeps_schedule_tag: bool = False,
    ) -> Planned:
        """Say what a change by the owner of a calendar causes; `new` is None before a removal.

        Spec: RFC 6638 §3.2.
        """
        if opened.collection.kind is not CollectionKind.CALENDAR:
            return Planned(None, None, b"")
        own = await self._meetings.own(opened.owner)
        hosts = {itip.organizer(each) for each in (old, new) if each is not None}
        now = self._clock.now()
        octets: bytes | None = None
        if hosts & own:
            messages = itip.by_organizer(old, new, now)
            if messages and new is not None:
                statuses = {each.to: await self._status(each.to) for each in messages if each.method == "REQUEST"}
                octets = write(itip.with_statuses(new, statuses)) if statuses else None
        elif wants_reply or new is not None:
            messages = itip.by_attendee(old, new, own, now)
        else:
            messages = []
        errand = _Errand(
            f"mailto:{opened.owner.address}",
            tuple(_Told(each.to, each.method, write(each.calendar).decode()) for each in messages),
        )
        tag = None if keeps_schedule_tag else secrets.token_hex(8)
        return Planned(octets, tag, msgspec.json.encode(errand) if messages else b"")

    async def run(self, owner: Account, errand_id: int, errand: bytes) -> None:
        """Tell everybody, then strike the errand off.

        What fails for good with one of them does not keep the others waiting. Errors: MailsteadError, a temporary one,
        with which the errand stays.
        """
        read = msgspec.json.decode(errand, type=_Errand)
        for each in read.told:
            try:
                await self._tell(owner, read.sender, each)
            except MailsteadError as error:
                if error.is_temporary:
                    raise
                _log.warning(
                    "somebody could not be told of a meeting", account=owner.account_id, error=error.public_text
                )
        await self._storage.accounts.of(owner.account_id).dav.finish_errand(errand_id)

    async def sweep(self) -> int:
        """Do what a crash, or something that passed, has left undone; how many errands were done."""
        done = 0
        for account_id in await self._storage.accounts.ids():
            owner = await self._directory.account(account_id)
            if owner is None:
                continue
            try:
                for errand in await self._storage.accounts.of(account_id).dav.errands():
                    await self.run(owner, errand.errand_id, errand.octets)
                    done += 1
            except MailsteadError as error:
                _log.warning("errands are put off", account=account_id, error=error.public_text)
        return done

    # within

    async def _status(self, user: str) -> str:
        return itip.DELIVERED if await self._meetings.account_of(user) is not None else itip.SENT

    async def _tell(self, owner: Account, sender: str, told: _Told) -> None:
        account = await self._meetings.account_of(told.to)
        octets = told.calendar.encode()
        if account is None:
            if self._send_mail is not None and told.to.startswith("mailto:"):
                await self._send_mail(owner, told.to[len("mailto:") :], told.method, octets)
            return
        if account.account_id == owner.account_id:
            return
        message = calendar_object(octets, allows_method=True)
        # The owner may have organized, or answered, under another of its addresses.
        speaks_as = itip.organizer(message) if told.method in {"REQUEST", "CANCEL"} else ""
        if told.method == "REPLY":
            own = await self._meetings.own(owner)
            speaks_as = next((each for each in itip.attendees(message.parts) if each in own), sender)
        await self._meetings.receive(account, speaks_as, octets)
