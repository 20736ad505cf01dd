"""Apple's push for calendars and address books: which key stands for what, and which devices asked to be told.

Theory of operation. A key names an account and one of its collections, or all its calendars, or all its address books.
What lies in a home has the key of the home, as Apple's server does it: a device asks once, and is told once. What
others share has a key of its own. A key is no secret and opens nothing: who asks to be told must be allowed to see what
it stands for, then and whenever something is told.

Devices ask again every few days, and are forgotten if they do not. They are told by `usecases.dav_push`, which merges
changes and tries again for these as for all others.

Spec: caldav-pubsubdiscovery (Apple) §3, §4.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from mailstead.model.dav import (
    BOOK_HOME_ID,
    CALENDAR_HOME_ID,
    CollectionId,
    CollectionKind,
    PushRegistration,
    apple_url,
)
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchCollection, PolicyRefused
from mailstead.model.ids import AccountId
from mailstead.ports.apple_push import AppleNotice, ApplePush, PushOutcome
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.collections import Opened
from mailstead.usecases.push_registrations import PushRegistrations, PushState

REFRESH: Final = timedelta(days=2)
"""How often devices are to ask again."""
LIFE: Final = timedelta(days=8)
"""A device that was off over a week is still told."""
TOKEN_DIGITS_MAX: Final = 200
"""Today they have 64; Apple says that they may grow."""

_TOKEN: Final = re.compile(rf"(?:[0-9a-f]{{2}}){{16,{TOKEN_DIGITS_MAX // 2}}}")
_KEY: Final = re.compile(r"([0-9A-Za-z]{1,64})-(calendars|contacts|[1-9][0-9]{0,17})")
_HOMES: Final = {"calendars": CALENDAR_HOME_ID, "contacts": BOOK_HOME_ID}
_HOME_NAMES: Final = {home_id: name for name, home_id in _HOMES.items()}


class AppleDevices:
    """Registers Apple's devices, and tells one of them."""

    def __init__(self, storage: Storage, clock: Clock, apple: ApplePush) -> None:
        self._registrations = PushRegistrations(storage, clock)
        self._clock = clock
        self._apple = apple

    @property
    def is_production(self) -> bool:
        """Whether it is the service for people's devices, and not the one for trying things out."""
        return self._apple.is_production

    def topic(self, kind: CollectionKind) -> str:
        """Give the topic of calendars (or inbox), or of address books; empty: of these nothing is told."""
        return self._apple.topics.get(kind if kind is CollectionKind.ADDRESSBOOK else CollectionKind.CALENDAR, "")

    async def home_key(self, actor: Actor, owner_id: AccountId, kind: CollectionKind) -> str:
        """Give the key of a home; empty: there is none for the actor."""
        home_id = _home_id(kind)
        own_id = actor.account_id
        if own_id is None or not self.topic(kind):
            return ""
        if own_id != owner_id and not await self._registrations.may_see(own_id, owner_id, home_id):
            return ""
        return _key(owner_id, home_id)

    def key(self, opened: Opened) -> str:
        """Give the key of a collection; empty: nothing is told of it."""
        kind, owner_id = opened.collection.kind, opened.owner.account_id
        if opened.is_people or not self.topic(kind):
            return ""
        return _key(owner_id, _home_id(kind) if opened.share is None else opened.collection.collection_id)

    async def subscribe(self, actor: Actor, key: str, token: str) -> None:
        """Tell a device from now on, or renew that.

        Errors: PolicyRefused (no key, no token), NoSuchCollection (also where it is not the actor's to see),
        LimitReached.
        """
        assert actor.account_id is not None
        token = token.replace(" ", "").lower()
        if not _TOKEN.fullmatch(token):
            raise PolicyRefused("A token is that of a device, in hex")
        named = _KEY.fullmatch(key.strip())
        if named is None:
            raise PolicyRefused("A key is the value of a property pushkey")
        owner_id, what = AccountId(named[1]), named[2]
        collection_id = _HOMES.get(what) or CollectionId(int(what))
        state = await self._registrations.state(actor.account_id, owner_id, collection_id)
        if state is None or not self.topic(state.kind):
            raise NoSuchCollection
        expires_at = self._clock.now().replace(microsecond=0) + LIFE
        push = PushRegistration("", actor.account_id, owner_id, collection_id, apple_url(token), b"", b"", expires_at)
        await self._registrations.keep(push, state)

    async def tell(self, push: PushRegistration, state: PushState, changed_at: datetime) -> PushOutcome:
        """Tell one device that what it has asked about has changed."""
        if not self.topic(state.kind):
            return PushOutcome.REFUSED
        key = _key(push.owner_id, push.collection_id)
        notice = AppleNotice(push.apple_token, key, changed_at, self._clock.now())
        return await self._apple.tell(state.kind, notice)


def _home_id(kind: CollectionKind) -> CollectionId:
    return BOOK_HOME_ID if kind is CollectionKind.ADDRESSBOOK else CALENDAR_HOME_ID


def _key(owner_id: AccountId, collection_id: CollectionId) -> str:
    return f"{owner_id}-{_HOME_NAMES.get(collection_id, collection_id)}"
