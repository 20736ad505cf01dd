"""Calendars that come from elsewhere: a web address is fetched now and then, and its events are put into a calendar.

Nobody else writes such a calendar. Only a whole, valid answer with events in it changes anything: what fails, or is
empty, leaves everything as it was. The client that fetches goes to public addresses only (attack row 37), also where a
redirect leads.

Spec: RFC 5545 §3.4; RFC 9110 §13.1 (conditional requests).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from urllib.parse import urljoin, urlsplit

import msgspec

from mailstead.model.dav import CollectionKind, CollectionTraits, NewResource, Resource, ResourceFacts, Subscription
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    AccountLocked,
    BadObject,
    MailsteadError,
    NoSuchAccount,
    NoSuchCollection,
    NoSuchResource,
    NotAllowed,
    PolicyRefused,
    WebFailed,
    WebRefused,
)
from mailstead.pim.calendar_facts import facts
from mailstead.pim.calendar_object import calendar_object, split
from mailstead.pim.component import Component, write
from mailstead.ports.clock import Clock
from mailstead.ports.dav import DavStore
from mailstead.ports.storage import Storage
from mailstead.ports.web import WebClient, WebResponse
from mailstead.telemetry import log, metrics
from mailstead.usecases.collections import Collections, Opened
from mailstead.usecases.object_imports import resource_name
from mailstead.usecases.resources import OCTETS_PAGE, PAGE, off_loop

OCTETS_MAX: Final = 10 * 1024 * 1024
LIMIT_S: Final = 60.0
REDIRECTS_MAX: Final = 3
INTERVAL: Final = timedelta(hours=1)
INTERVAL_MIN: Final = timedelta(minutes=15)
INTERVAL_MAX: Final = timedelta(days=7)
BACK_OFF_MAX: Final = timedelta(days=1)
URL_CHARACTERS_MAX: Final = 2000
LOOK_S: Final = 60.0
TOGETHER: Final = 4
"""Fetched at a time by one process."""
TAKEN: Final = timedelta(minutes=10)
"""How long a subscription is left to the process that took it."""
SUBSCRIPTIONS_MAX: Final = 50
"""Of one account."""
FAILURE_CHARACTERS_MAX: Final = 300

_KIND: Final = "subscription"
_KEPT: Final = timedelta(days=30)
_STAMP: Final = re.compile(rb"^(?:DTSTAMP|LAST-MODIFIED)[:;][^\r\n]*\r?\n", re.MULTILINE | re.IGNORECASE)

_log = log.get("subscriptions")


@dataclass(frozen=True, slots=True)
class _State:
    """What is remembered of the last fetch; lost, the next one is only a little dearer."""

    etag: str = ""
    last_modified: str = ""
    failure_count: int = 0


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a fetch has changed."""

    changed_count: int = 0
    removed_count: int = 0
    failure: str = ""
    """Empty: it did not fail."""


class Subscriptions:
    """Makes such calendars, and keeps them as they are elsewhere."""

    def __init__(self, storage: Storage, collections: Collections, clock: Clock, web: WebClient) -> None:
        self._storage = storage
        self._sharing = storage.sharing
        self._memory = storage.memory
        self._collections = collections
        self._clock = clock
        self._web = web

    async def subscribe(
        self,
        actor: Actor,
        owner: Account,
        url: str,
        name: str,
        *,
        traits: CollectionTraits | None = None,
        interval: timedelta = INTERVAL,
        is_refreshed: bool = False,
    ) -> Opened:
        """Make a calendar whose events come from a web address.

        They are fetched by the worker, soon, unless whoever asks says that he will `refresh` it himself.

        Errors: PolicyRefused (no web address, an interval out of bounds, too many), NoSuchAccount, NotAllowed,
        CollectionExists, BadCollectionName, LimitReached.
        """
        wanted = web_address(url)
        if not INTERVAL_MIN <= interval <= INTERVAL_MAX:
            raise PolicyRefused("A calendar is fetched every 15 minutes at most, and once a week at least")
        if len(await self._sharing.subscriptions_of(owner.account_id)) >= SUBSCRIPTIONS_MAX:
            raise PolicyRefused(f"An account subscribes to {SUBSCRIPTIONS_MAX} calendars at most")
        traits = traits or CollectionTraits(display_name=name)
        now = self._clock.now().replace(microsecond=0)
        opened = await self._collections.create(
            actor,
            owner,
            CollectionKind.CALENDAR,
            name,
            replace(traits, components=("VEVENT", "VTODO", "VJOURNAL")),
            source_url=wanted,
        )
        await self._sharing.put_subscription(
            Subscription(
                owner.account_id,
                opened.collection.collection_id,
                wanted,
                int(interval.total_seconds()),
                now + TAKEN if is_refreshed else now,
            )
        )
        return opened

    async def of(self, actor: Actor, owner: Account) -> list[Subscription]:
        """Give the subscriptions of an account. Errors: NotAllowed."""
        if actor.account_id != owner.account_id and not actor.is_admin:
            raise NotAllowed
        return await self._sharing.subscriptions_of(owner.account_id)

    async def refresh(self, opened: Opened) -> Refreshed:
        """Fetch a calendar now. Errors: NotAllowed, where it comes from nowhere else."""
        for each in await self._sharing.subscriptions_of(opened.owner.account_id):
            if each.collection_id == opened.collection.collection_id:
                return await self._refreshed(each)
        raise NotAllowed("This calendar is no subscription")

    # the worker

    async def run(self, stop: asyncio.Event) -> None:
        """Fetch what is due until told to stop."""
        while not stop.is_set():
            count = 0
            try:
                count = await self.fetch_due()
            except MailsteadError as error:
                _log.warning("subscriptions cannot be looked at now", error=error.public_text)
            if count < TOGETHER:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK_S)

    async def fetch_due(self) -> int:
        """Fetch some of those that are due; gives how many. Errors: StorageUnavailable, StorageFull."""
        now = self._clock.now()
        due = await self._sharing.due_subscriptions(now, now + TAKEN, TOGETHER)
        for outcome in await asyncio.gather(*map(self._refreshed, due), return_exceptions=True):
            if isinstance(outcome, MailsteadError):
                _log.warning("a subscription is put off", error=outcome.public_text)
            elif isinstance(outcome, Exception):
                metrics.BUGS.labels("subscriptions").inc()
                _log.error("a subscription is put off", exc_info=outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
        return len(due)

    async def _refreshed(self, subscription: Subscription) -> Refreshed:
        """Fetch one, and say when it comes round again."""
        store = self._storage.accounts.of(subscription.owner_id).dav
        try:
            collection = await store.collection_by_id(subscription.collection_id)
        except (NoSuchCollection, NoSuchAccount):
            await self._sharing.forget_collection(subscription.owner_id, subscription.collection_id)
            return Refreshed()
        except AccountLocked:  # fetched when its owner is there
            return Refreshed()
        state = await self._state(subscription)
        try:
            found, fetched = await self._fetched(subscription, state if collection.resource_count else _State())
            outcome = Refreshed() if found is None else await self._put_all(store, subscription, found)
            state = fetched
        except MailsteadError as error:
            outcome = Refreshed(failure=error.public_text[:FAILURE_CHARACTERS_MAX])
            state = replace(state, failure_count=state.failure_count + 1)
        await self._settle(subscription, state, outcome.failure)
        return outcome

    async def _settle(self, subscription: Subscription, state: _State, failure: str) -> None:
        now = self._clock.now()
        interval = timedelta(seconds=subscription.interval_s)
        if failure:
            interval = max(interval, min(BACK_OFF_MAX, interval * 2 ** min(state.failure_count - 1, 10)))
            _log.info("a calendar cannot be fetched", host=urlsplit(subscription.url).hostname, error=failure)
        next_at = (now + interval).replace(microsecond=0)
        try:
            await self._memory.remember(_KIND, {_key(subscription): msgspec.json.encode(state)}, now + _KEPT)
            await self._sharing.put_subscription(replace(subscription, next_at=next_at, failure=failure))
        except NoSuchAccount:
            return

    async def _state(self, subscription: Subscription) -> _State:
        key = _key(subscription)
        found = (await self._memory.recall(_KIND, [key], self._clock.now())).get(key)
        return _State() if found is None else msgspec.json.decode(found, type=_State)

    # fetching

    async def _fetched(self, subscription: Subscription, state: _State) -> tuple[list[Component] | None, _State]:
        """Give the objects that are there now; None: the same as last time.

        Errors: WebFailed, WebRefused, BadObject.
        """
        headers = {"Accept": "text/calendar, */*;q=0.5"}
        if state.etag:
            headers["If-None-Match"] = state.etag
        if state.last_modified:
            headers["If-Modified-Since"] = state.last_modified
        answer = await self._answer(subscription.url, headers)
        if answer.status == 304:
            return None, replace(state, failure_count=0)
        if answer.status != 200:
            raise WebFailed(f"The web server answers with {answer.status}")
        found = await off_loop(len(answer.octets), split, answer.octets)
        if not found:
            raise BadObject("There are no events in it")
        return found, _State(_field(answer, "etag"), _field(answer, "last-modified"))

    async def _answer(self, url: str, headers: Mapping[str, str]) -> WebResponse:
        """Fetch, also where redirects lead: each address is looked at as the first one is."""
        for _ in range(REDIRECTS_MAX + 1):
            answer = await self._web.send("GET", url, None, headers, octets_max=OCTETS_MAX, limit_s=LIMIT_S)
            if answer.status not in {301, 302, 303, 307, 308}:
                return answer
            target = urljoin(url, answer.headers.get("location", ""))
            if url.startswith("https:") and not target.startswith("https:"):
                raise WebRefused("The web server leads to an address without TLS")
            url = target
        raise WebFailed("The web server leads from one address to the next")

    # putting

    async def _put_all(self, store: DavStore, subscription: Subscription, found: list[Component]) -> Refreshed:
        """Bring a calendar to what was found. Objects that cannot be kept are left out, or as they were.

        Errors: BadObject (none can be kept), OverQuota, LimitReached.
        """
        collection_id = subscription.collection_id
        objects, unreadable_uids = await asyncio.to_thread(_objects, found)
        if not objects:
            raise BadObject("None of its events can be read")
        there = await _there(store, subscription)
        names = {uid: each.name for uid, each in there.items()}
        changed_count = 0
        uids = list(objects)
        for start in range(0, len(uids), OCTETS_PAGE):
            some = uids[start : start + OCTETS_PAGE]
            known = [names[uid] for uid in some if uid in names]
            old = {each.name: each.octets for each in await store.resources(collection_id, known, with_octets=True)}
            new = []
            for uid in some:
                octets, facts_of_it = objects[uid]
                name = names.get(uid) or resource_name(uid, ".ics")
                # Many servers stamp everything anew whenever they are asked.
                if _without_stamps(old.get(name, b"")) != _without_stamps(octets):
                    new.append(NewResource(name, octets, facts_of_it))
            if new:
                await store.put(collection_id, new)
                changed_count += len(new)
        removed_count = 0
        for uid, resource in there.items():
            if uid not in objects and uid not in unreadable_uids:
                with suppress(NoSuchResource):
                    await store.delete(collection_id, resource.name)
                    removed_count += 1
        return Refreshed(changed_count, removed_count)


def web_address(url: str) -> str:
    """Give the address to fetch; ``webcal:`` is https. Errors: PolicyRefused."""
    url = url.strip()
    for scheme in ("webcal://", "webcals://"):
        if url.lower().startswith(scheme):
            url = f"https://{url[len(scheme) :]}"
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        is_good = False
    if not is_good or len(url) > URL_CHARACTERS_MAX or any(letter <= " " or letter == "\x7f" for letter in url):
        raise PolicyRefused("That is no web address of a calendar: it begins with https:// or webcal://")
    return url


async def _there(store: DavStore, subscription: Subscription) -> dict[str, Resource]:
    """Give what a calendar holds, by UID, without octets."""
    found: dict[str, Resource] = {}
    after = ""
    while page := await store.resources(subscription.collection_id, after=after, limit=PAGE):
        found |= {each.facts.uid: each for each in page}
        after = page[-1].name
    return found


def _key(subscription: Subscription) -> str:
    return f"{subscription.owner_id}-{subscription.collection_id}"


def _field(answer: WebResponse, name: str) -> str:
    """Give a field to be sent back; none that is too long, or has characters that fields have not."""
    value = answer.headers.get(name, "")
    return value if len(value) <= 200 and value.isascii() and value.isprintable() else ""


def _objects(found: list[Component]) -> tuple[dict[str, tuple[bytes, ResourceFacts]], set[str]]:
    """Give what can be kept by UID, and the UIDs of what cannot."""
    objects: dict[str, tuple[bytes, ResourceFacts]] = {}
    unreadable_uids: set[str] = set()
    for calendar in found:
        for part in calendar.components:
            # Alarms of others are not rung, and their programs and mails not started (attack row 85).
            part.components[:] = [each for each in part.components if each.name != "VALARM"]
        try:
            octets = write(calendar)
            parsed = calendar_object(octets)
            objects[parsed.uid] = (octets, facts(parsed))
        except BadObject:
            unreadable_uids |= {each.value("UID").strip() for each in calendar.components}
    return objects, unreadable_uids


def _without_stamps(octets: bytes) -> bytes:
    return _STAMP.sub(b"", octets)
