"""When somebody of the house is busy, for others of the house who want to meet.

They learn when, in quarters of an hour, and nothing else (attack row 84). Whoever is not logged in learns nothing.

Spec: RFC 6638 §5; RFC 4791 §7.10; RFC 7953 §7.2.
"""

from __future__ import annotations

from mailstead.model.dav import CollectionKind
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.pim.availability import unavailable
from mailstead.pim.filters import TimeRange
from mailstead.pim.free_busy import BusyPeriod, coarse, merged
from mailstead.pim.rule import Budget
from mailstead.ports.clock import Clock
from mailstead.usecases.calendar_objects import CalendarObjects
from mailstead.usecases.collections import Collections
from mailstead.usecases.meetings import Meetings


class FreeBusy:
    """Asks the calendars of one account."""

    def __init__(
        self, collections: Collections, calendar_objects: CalendarObjects, meetings: Meetings, clock: Clock
    ) -> None:
        self._collections = collections
        self._calendar_objects = calendar_objects
        self._meetings = meetings
        self.clock = clock

    async def of_user(self, user: str, span: TimeRange) -> list[BusyPeriod] | None:
        """Give when a calendar user is busy, in quarters of an hour; None: nobody of the house.

        Errors: BadObject, where the span has no start or end; TooManyMatches.
        """
        account = await self._meetings.account_of(user)
        return None if account is None else coarse(await self.of(account, span))

    async def of(self, account: Account, span: TimeRange) -> list[BusyPeriod]:
        """Give when an account is busy, by all its own calendars that count, and its availability.

        Errors: as `of_user`.
        """
        actor, own = Actor(account.account_id, account.address), await self._meetings.own(account)
        periods: list[BusyPeriod] = []
        for opened in await self._collections.home(actor, account, CollectionKind.CALENDAR):
            if opened.is_own and not opened.traits.is_transparent and not opened.collection.source_url:
                periods += await self._calendar_objects.busy(opened, span, attendees=own)
        for inbox in await self._collections.home(actor, account, CollectionKind.INBOX):
            if inbox.traits.availability and span.start is not None and span.end is not None:
                zone = self._calendar_objects.floating_zone(inbox)
                periods += unavailable(inbox.traits.availability, span.start, span.end, zone, Budget())
        return merged(periods)
