"""What happens in an account while somebody looks at it: told to the pages that are open, until their session ends.

A page is told what kind of thing has changed, and of mail that came: sender and subject of the newest few. All else it
asks for. So what waits for a browser that reads slowly is never more than a few lines, and what is told twice does no
harm. Of calendars and contacts only the account's own are told, not those that others share with it.

Spec: attack rows 10, 64, 98.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mailstead.mime.address import addresses_of, display_name
from mailstead.mime.header import first_values, text_of
from mailstead.model.dav import CollectionKind
from mailstead.model.envelope import Actor
from mailstead.model.errors import RateLimited
from mailstead.model.flags import SEEN
from mailstead.model.ids import AccountId
from mailstead.usecases.account_events import AccountEvents
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.happenings import Happening
from mailstead.usecases.message_views import MessageView

NAMED_MAX: Final = 5
"""Messages that are told with sender and subject: the newest."""
CHARACTERS_MAX: Final = 200
_QUIET: Final = frozenset({"\\Drafts", "\\Junk", "\\Sent", "\\Trash"})
"""Nobody is told that something came there."""


class Kind(StrEnum):
    """Of what something has changed; a page looks anew only when it shows such."""

    MAIL = "mail"
    CALENDAR = "calendar"
    """Events and tasks, and what they lie in."""
    CONTACTS = "contacts"


_OF_COLLECTIONS: Final = {CollectionKind.CALENDAR: Kind.CALENDAR, CollectionKind.ADDRESSBOOK: Kind.CONTACTS}


@dataclass(frozen=True, slots=True)
class LiveTerms:
    """How many may look at once; counted in this process."""

    of_account: int = 8
    in_all: int = 300
    """Fewer than the web service has connections: there must be room for pages."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that came, unread."""

    sender: str
    """Display name, else the address."""
    subject: str
    folder: str


@dataclass(frozen=True, slots=True)
class News:
    """What happened since one was told last."""

    kinds: frozenset[Kind]
    arrivals: tuple[Arrival, ...] = ()
    """The newest few, oldest first."""
    arrival_count: int = 0
    """All that came unread; 0: something else has changed."""


class LiveNews:
    """Errors of all verbs: NotAllowed and NoSuchAlias, for whoever has no mailbox."""

    def __init__(self, events: AccountEvents, accounts: Accounts, terms: LiveTerms | None = None) -> None:
        self._events = events
        self._accounts = accounts
        self._terms = terms or LiveTerms()
        self._open: Counter[AccountId] = Counter()

    @property
    def open_count(self) -> int:
        """How many look now."""
        return self._open.total()

    @asynccontextmanager
    async def watched(self, actor: Actor) -> AsyncIterator[LiveFeed]:
        """Give what tells of the actor's account from now on, until the context is left.

        It ends by itself when what the actor came in with is no longer valid (attack row 64).
        Errors: RateLimited, when as many look already as may; those of the store.
        """
        listened = await self._events.listened(actor)
        feed = LiveFeed()
        async with AsyncExitStack() as stack:
            stack.enter_context(self._counted(listened.account.account_id))
            stack.enter_context(self._accounts.watch_revocations(actor, feed.end))
            await stack.enter_async_context(self._events.watch(listened, feed.take))
            yield feed

    @contextmanager
    def _counted(self, account_id: AccountId) -> Iterator[None]:
        if self._open[account_id] >= self._terms.of_account or self._open.total() >= self._terms.in_all:
            raise RateLimited("Too many windows look at this mailbox at once")
        self._open[account_id] += 1
        try:
            yield
        finally:
            self._open[account_id] -= 1
            if not self._open[account_id]:
                del self._open[account_id]


class LiveFeed:
    """What one page is told."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._kinds: set[Kind] = set()
        self._came: list[MessageView] = []
        self._came_count = 0
        self._end = asyncio.Event()

    @property
    def has_ended(self) -> bool:
        """Whether what the actor came in with is no longer valid."""
        return self._end.is_set()

    async def ended(self) -> None:
        """Wait for that."""
        await self._end.wait()

    async def next(self) -> News | None:
        """Wait for what happens next; None: it is over. May be given up at any time, nothing is lost then."""
        await self._woken.wait()
        if self.has_ended:
            return None
        self._woken.clear()
        news = News(frozenset(self._kinds), tuple(map(_arrival, self._came)), self._came_count)
        self._kinds, self._came, self._came_count = set(), [], 0
        return news

    def take(self, happenings: Sequence[Happening]) -> None:
        """Note what happened."""
        self._kinds.update(map(_kind, happenings))
        came = [each.message for each in happenings if each.message is not None and _is_told(each.message)]
        self._came = [*self._came, *came][-NAMED_MAX:]
        self._came_count += len(came)
        self._woken.set()

    def end(self) -> None:
        """Tell nothing more."""
        self._end.set()
        self._woken.set()


def _kind(happening: Happening) -> Kind:
    opened = happening.collection
    return Kind.MAIL if opened is None else _OF_COLLECTIONS[opened.collection.kind]


def _is_told(view: MessageView) -> bool:
    return SEEN not in view.record.flags and view.mailbox.special_use not in _QUIET


def _arrival(view: MessageView) -> Arrival:
    values = first_values(view.record.listed_header or b"")
    senders = addresses_of(values.get(b"from", b""))
    sender = display_name(senders[0]) if senders else ""
    return Arrival(sender[:CHARACTERS_MAX], text_of(values.get(b"subject", b""))[:CHARACTERS_MAX], view.mailbox.name)
