"""Scheduling: what a change of a meeting causes for the others in it.

A change is planned before it is made, and what it causes is kept with it (an errand), done at once, and struck off. A
crash in between leaves the errand to the sweep, which looks only into accounts that have planned one. Doing it twice
does no harm: for people here as a message that says nothing new changes nothing, for others as what was sent is noted.

Local people get a message in their inbox, and their calendar is changed as if they had taken it over themselves; others
get mail (`usecases.invitation_mail`).

Spec: RFC 6638 §3; RFC 5546 §3.2.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

import msgspec

from mailstead.model.dav import CollectionKind, Errand
from mailstead.model.directory import Account
from mailstead.model.errors import AccountLocked, BadObject, MailsteadError, NoSuchAccount, TryAgainLater
from mailstead.model.ids import AccountId
from mailstead.pim import itip
from mailstead.pim.calendar_object import CalendarObject, of_calendar
from mailstead.pim.component import write
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log
from mailstead.usecases.calendar_objects import Planned
from mailstead.usecases.collections import Opened
from mailstead.usecases.meetings import Meetings

TRIED_FOR: Final = timedelta(days=5)
"""As long as mail waits, an errand that fails only for now is tried again."""
AT_ONCE_MAX: Final = 100
"""Messages that a program waits for; each takes some 20 ms."""
_MAILING: Final = timedelta(minutes=10)
"""So long one process has to hand a message over; then another one may."""
_MARKED: Final = timedelta(days=30)
_SENDING, _SENT = b"sending", b"sent"

_log = log.get("scheduling")

SendMail = Callable[[Account, str, str, str, bytes], Awaitable[None]]
"""Sends a message (account, its own address, the other's, method, calendar) by mail. Errors: MailsteadError."""


class _Told(msgspec.Struct, frozen=True):
    to: str
    """``mailto:`` address."""
    method: str
    calendar: str


class _Errand(msgspec.Struct, frozen=True):
    sender: str
    """``mailto:`` address under which the owner organizes or answers."""
    told: tuple[_Told, ...]
    planned_s: int = 0
    """Unix time."""


class Scheduling:
    """Plans, does, and sweeps up. Without `send_mail` only people of the house are told."""

    def __init__(self, storage: Storage, meetings: Meetings, clock: Clock, send_mail: SendMail | None = None) -> None:
        self._storage = storage
        self._directory = storage.directory
        self._memory = storage.memory
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

        Spec: RFC 6638 §3.2, §3.2.4.
        Errors: BadObject, where a meeting would get another organizer, or several.
        """
        if opened.collection.kind is not CollectionKind.CALENDAR:
            return Planned(None, None, b"")
        own = await self._meetings.own(opened.owner)
        is_organizer = _check_organizers(old, new, own)
        now, octets = self._clock.now(), None
        if is_organizer:
            sender = next(host for each in (new, old) if each is not None and (host := itip.organizer(each)))
            if new is not None:
                kept = of_calendar(new.calendar.copy())
                is_changed = old is not None and any([itip.keep_answers(old, kept), itip.count_versions(old, kept)])
                messages = itip.by_organizer(old, kept, now)
                told = [each.to for each in messages if each.method == "REQUEST"]
                statuses = {each: await self._status(opened.owner, each) for each in told}
                octets = write(itip.with_statuses(kept, statuses)) if is_changed or statuses else None
            else:
                messages = itip.by_organizer(old, None, now)
        else:
            is_told = new is not None or wants_reply
            messages = itip.by_attendee(old, new, own, now) if is_told else []
            sender = next((each for part in messages for each in _attendees(part) if each in own), "")
        is_meeting = new is not None and bool(itip.organizer(new))
        tag = None if keeps_schedule_tag else secrets.token_hex(8) if is_meeting else ""
        return Planned(octets, tag, await self._errand(opened.owner, sender, messages))

    async def run(self, owner: Account, errand_id: int, errand: bytes) -> None:
        """Tell everybody, then strike the errand off; where they are very many, leave that to the sweep.

        What goes wrong with one of them keeps nobody else waiting. Errors: MailsteadError, a temporary one, with which
        the errand stays.
        """
        read = msgspec.json.decode(errand, type=_Errand)
        if len(read.told) <= AT_ONCE_MAX:
            await self._do(owner, errand_id, read)

    async def post(self, owner: Account, message: CalendarObject, octets: bytes) -> dict[str, str]:
        """Hand on a message that a program has written itself; gives each recipient's status.

        Spec: draft-desruisseaux-caldav-sched-04 §6 (programs from before RFC 6638).
        Errors: BadObject, where it is not the owner's to send.
        """
        own, host = await self._meetings.own(owner), itip.organizer(message)
        people = itip.attendees(message.parts)
        if message.method in {"REQUEST", "CANCEL"} and host in own:
            sender, to = host, [each for each in people if each != host]
        elif message.method == "REPLY" and host and (answering := [each for each in people if each in own]):
            sender, to = answering[0], [host]
        else:
            raise BadObject("Invite in your own name, and answer in your own name", condition="organizer-allowed")
        if not itip.has_one_organizer(message) or len(to) > itip.ATTENDEES_MAX:
            raise BadObject("That is no message of one meeting", condition="valid-scheduling-message")
        told = tuple(_Told(each, message.method, octets.decode()) for each in to)
        await self._tell_all(owner, _Errand(sender, told))
        return {each: f"{await self._status(owner, each)};Delivered" for each in to}

    async def sweep(self) -> int:
        """Do what a crash, or something that passed, has left undone; how many errands were done."""
        done, now = 0, self._clock.now()
        for key, marked in (await self._memory.recall_all("errands", now)).items():
            owner = await self._directory.account(AccountId(key))
            try:
                left = await self._left(owner) if owner is not None else []
            except AccountLocked:  # they are done once it is open
                continue
            for errand in left:
                assert owner is not None
                done += await self._try_again(owner, errand)
            # A change that is just being made has its mark already, but not yet its errand.
            if not left and now - datetime.fromisoformat(marked.decode()) > _MAILING:
                await self._memory.forget("errands", [key])
        return done

    # within

    async def _errand(self, owner: Account, sender: str, messages: list[itip.Message]) -> bytes:
        if not messages:
            return b""
        now = self._clock.now()
        mark = now.isoformat().encode()
        await self._memory.remember("errands", {str(owner.account_id): mark}, now + _MARKED)
        told = tuple(_Told(each.to, each.method, write(each.calendar).decode()) for each in messages)
        return msgspec.json.encode(_Errand(sender, told, int(now.timestamp())))

    async def _status(self, owner: Account, user: str) -> str:
        account = await self._meetings.account_of(user)
        is_told = account is not None and await self._meetings.know_each_other(owner, account)
        return itip.DELIVERED if is_told else itip.SENT

    async def _left(self, owner: Account) -> list[Errand]:
        try:
            return await self._storage.accounts.of(owner.account_id).dav.errands()
        except NoSuchAccount:
            return []

    async def _do(self, owner: Account, errand_id: int, read: _Errand) -> None:
        await self._tell_all(owner, read)
        await self._storage.accounts.of(owner.account_id).dav.finish_errand(errand_id)

    async def _try_again(self, owner: Account, errand: Errand) -> int:
        read = msgspec.json.decode(errand.octets, type=_Errand)
        try:
            await self._do(owner, errand.errand_id, read)
        except MailsteadError as error:
            _log.warning("an errand is put off", account=owner.account_id, error=error.public_text)
            if self._clock.now().timestamp() - read.planned_s > TRIED_FOR.total_seconds():
                _log.error("an errand is given up", account=owner.account_id)
                await self._storage.accounts.of(owner.account_id).dav.finish_errand(errand.errand_id)
            return 0
        return 1

    async def _tell_all(self, owner: Account, errand: _Errand) -> None:
        """Tell each; what passes by itself is raised after all the others were told."""
        later: MailsteadError | None = None
        for each in errand.told:
            try:
                await self._tell(owner, errand.sender, each)
            except MailsteadError as error:
                _log.warning(
                    "somebody could not be told of a meeting", account=owner.account_id, error=error.public_text
                )
                later = error if error.is_temporary else later
        if later is not None:
            raise later

    async def _tell(self, owner: Account, sender: str, told: _Told) -> None:
        account = await self._meetings.account_of(told.to)
        if account is None:
            if told.to.startswith("mailto:"):
                await self._mail_once(owner, sender, told)
        elif account.account_id != owner.account_id:
            await self._meetings.receive(account, sender, told.calendar.encode())

    async def _mail_once(self, owner: Account, sender: str, told: _Told) -> None:
        """Send a mail, unless it was sent, or another process is about it. Errors: TryAgainLater; of `send_mail`."""
        if self._send_mail is None:
            return
        octets, now = told.calendar.encode(), self._clock.now()
        key = sha256(f"{owner.account_id} {told.to} {told.method}\n".encode() + octets).hexdigest()
        was = await self._memory.remember_first("invitations", key, _SENDING, now, now + _MAILING)
        if was == _SENT:
            return
        if was is not None:
            raise TryAgainLater("Somebody else is about to send it")
        try:
            await self._send_mail(
                owner, sender.removeprefix("mailto:"), told.to.removeprefix("mailto:"), told.method, octets
            )
        except BaseException:
            await self._memory.forget("invitations", [key])
            raise
        await self._memory.remember("invitations", {key: _SENT}, now + TRIED_FOR + timedelta(days=1))


def _attendees(message: itip.Message) -> list[str]:
    return list(itip.attendees(message.calendar.components))


def _check_organizers(old: CalendarObject | None, new: CalendarObject | None, own: frozenset[str]) -> bool:
    """Whether the owner organizes; nobody makes a meeting somebody else's (attack row 83).

    Errors: BadObject with the condition of RFC 6638 §3.2.4.
    """
    if new is not None and not itip.has_one_organizer(new):
        raise BadObject("A meeting has one organizer", condition="same-organizer-in-all-components")
    was, now = (itip.organizer(each) if each is not None else "" for each in (old, new))
    if was and now and was != now and not (was in own and now in own):
        is_mine = was in own
        condition = f"allowed-{'organizer' if is_mine else 'attendee'}-scheduling-object-change"
        raise BadObject("A meeting keeps its organizer", condition=condition)
    return (now or was) in own
