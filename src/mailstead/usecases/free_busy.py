"""When somebody of the house is busy, for others of the house who want to meet.

They learn when, in quarters of an hour, and nothing else (attack row 84). Whoever is not logged in learns nothing; nor
does anybody of a domain where everybody may open an account, nor is such a one told of.

Spec: RFC 6638 §5; RFC 4791 §7.10; RFC 7953 §7.2.
"""

from __future__ import annotations

from typing import Final

from mailstead.model.dav import CollectionKind
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.pim.availability import unavailable
from mailstead.pim.filters import TimeRange
from mailstead.pim.free_busy import BusyPeriod, coarse, merged
from mailstead.pim.rule import Budget
from mailstead.ports.clock import Clock
from mailstead.usecases.calendar_objects import QUERY_INSTANCES_MAX, QUERY_STEPS_MAX, CalendarObjects
from mailstead.usecases.collections import Collections
from mailstead.usecases.meetings import Meetings

STEPS_MAX: Final = QUERY_STEPS_MAX
"""Work of one question, about however many people (attack rows 79 and 80)."""
PERSON_STEPS_MAX: Final = QUERY_STEPS_MAX // 4
"""Work on one of them, so that one with rules without end spoils not the answer about all others."""


class _Person(Budget):
    """The work on one person, which also counts for the whole question."""

    def __init__(self, question: Budget) -> None:
        super().__init__(PERSON_STEPS_MAX, QUERY_INSTANCES_MAX)
        self._question = question

    def step(self, count: int = 1) -> None:
        self._question.step(count)
        super().step(count)


class FreeBusy:
    """Asks the calendars of one account."""

    def __init__(
        self, collections: Collections, calendar_objects: CalendarObjects, meetings: Meetings, clock: Clock
    ) -> None:
        self._collections = collections
        self._calendar_objects = calendar_objects
        self._meetings = meetings
        self.clock = clock

    def budget(self) -> Budget:
        """Give the work that one question may cost."""
        return Budget(STEPS_MAX)

    async def of_user(
        self, asker: Account, user: str, span: TimeRange, budget: Budget | None = None
    ) -> list[BusyPeriod] | None:
        """Give when a calendar user is busy, in quarters of an hour; None: nobody of whom the asker is told.

        `budget` is given where one question is about several.
        Errors: BadObject, where the span has no start or end; TooManyMatches.
        """
        account = await self._meetings.account_of(user)
        if account is None or not await self._meetings.know_each_other(asker, account):
            return None
        return coarse(await self.of(account, span, budget))

    async def of(self, account: Account, span: TimeRange, budget: Budget | None = None) -> list[BusyPeriod]:
        """Give when an account is busy, by all its own calendars that count, and its availability.

        Errors: as `of_user`.
        """
        actor, own = Actor(account.account_id, account.address), await self._meetings.own(account)
        work = _Person(budget or self.budget())
        periods: list[BusyPeriod] = []
        for opened in await self._collections.home(actor, account, CollectionKind.CALENDAR):
            if opened.is_own and not opened.traits.is_transparent and not opened.collection.source_url:
                periods += await self._calendar_objects.busy(opened, span, attendees=own, budget=work)
        for inbox in await self._collections.home(actor, account, CollectionKind.INBOX):
            if inbox.traits.availability and span.start is not None and span.end is not None:
                zone = self._calendar_objects.floating_zone(inbox)
                periods += unavailable(inbox.traits.availability, span.start, span.end, zone, work)
        return merged(periods)
