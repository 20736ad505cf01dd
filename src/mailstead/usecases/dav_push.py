"""Push for calendars and address books: devices that have registered are told that a collection has changed.

Theory of operation. A registration is kept beside the shares. One task per process of the queue service (`run`) watches
the accounts whose collections somebody has registered for. What is remembered of each registration is the modseq that
it was last told; when its collection is beyond that, and a moment has passed in which more changes may come, one
message goes out for all of them. So a restart forgets nothing, and several processes tell each change once: whoever
sends first claims it. Apple's devices are told in the same way (`usecases.apple_push`), only the message is another.

A message says that something has changed, not what, and only the device can read even that. Addresses of push services
are never logged: who knows one can wake the device.

Spec: WebDAV-Push draft (bitfire); RFC 8030 §5; RFC 8291; RFC 8292.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from functools import partial
from hmac import digest
from typing import Final
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from cryptography.hazmat.primitives.asymmetric import ec

from mailstead.model.dav import Collection, PushRegistration
from mailstead.model.envelope import Actor
from mailstead.model.errors import AccountLocked, MailsteadError, NoSuchShare, PolicyRefused, WebFailed, WebRefused
from mailstead.model.ids import AccountId
from mailstead.ports.apple_push import PushOutcome
from mailstead.ports.changebus import DIRECTORY, ChangeBus, dav_topic
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.ports.web import WebClient
from mailstead.telemetry import log, metrics
from mailstead.usecases import web_push
from mailstead.usecases.apple_push import AppleDevices
from mailstead.usecases.collections import Opened
from mailstead.usecases.push_registrations import LIFE_MAX, PushRegistrations, PushState
from mailstead.usecases.web_push import Vapid

LIFE: Final = LIFE_MAX
LIFE_MIN: Final = timedelta(days=3)
"""Of a registration, whatever a client asks for."""
MERGED_S: Final = 2.0
"""Changes within this time make one message."""
LOOK_S: Final = 600.0
"""How often we look at all collections, should a wake-up have been lost."""
LIMIT_S: Final = 30.0
TOGETHER: Final = 8
TTL_S: Final = 86_400
"""How long a push service keeps a message for a device that is off."""
RETRY_BASE_S: Final = 8
TRIES_MAX: Final = 4
URL_CHARACTERS_MAX: Final = 2000
TOPIC_OCTETS: Final = 16

_CLAIM: Final = "dav push claim"
_CLAIMED: Final = timedelta(minutes=2)
_GONE: Final = frozenset({404, 410})
_TAKEN: Final = frozenset({200, 201, 202, 204})
_NAMESPACE: Final = "https://bitfire.at/webdav-push"

_log = log.get("dav")


class DavPush:
    """Registers devices and tells them."""

    def __init__(
        self,
        storage: Storage,
        bus: ChangeBus,
        clock: Clock,
        web: WebClient,
        vapid: Vapid,
        key: bytes,
        *,
        token_of: Callable[[AccountId, Collection], str],
        apple: AppleDevices | None = None,
        merged_s: float = MERGED_S,
    ) -> None:
        """`key` makes topics; `token_of` gives the sync token of a collection; `apple` None: its devices sleep on."""
        self.apple: Final = apple
        self._registrations = PushRegistrations(storage, clock)
        self._sharing = storage.sharing
        self._memory = storage.memory
        self._bus = bus
        self._clock = clock
        self._web = web
        self._vapid = vapid
        self._key = key
        self._token_of = token_of
        self._merged_s = merged_s
        self._changed: set[AccountId] = set()
        self._woken = asyncio.Event()
        self._tries: dict[str, tuple[int, datetime]] = {}
        """How often a message was tried in vain, and when it is worth trying again."""

    @property
    def public_key(self) -> str:
        """What push services are told of us. Spec: RFC 8292 §4."""
        return self._vapid.public_key

    def topic(self, opened: Opened) -> str:
        """Give the name of a collection in messages; it tells nothing of what it is."""
        return self._topic(opened.owner.account_id, opened.collection)

    async def register(
        self, actor: Actor, opened: Opened, url: str, public_key: str, auth_secret: str, until: datetime | None
    ) -> tuple[PushRegistration, bool]:
        """Register a device for a collection, or renew it; gives whether it is new.

        Errors: PolicyRefused (no web address of a push service, no key), LimitReached.
        """
        assert actor.account_id is not None
        try:
            parts = urlsplit(url)
            is_good = parts.scheme == "https" and bool(parts.hostname) and len(url) <= URL_CHARACTERS_MAX
            device_key, secret = web_push.device_key(public_key), web_push.auth_secret(auth_secret)
        except ValueError:
            is_good = False
        if not is_good:
            raise PolicyRefused("That is no subscription to a push service, with https and keys")
        now = self._clock.now().replace(microsecond=0)
        expires_at = min(max(until or now + LIFE, now + LIFE_MIN), now + LIFE)
        owner_id, collection_id = opened.owner.account_id, opened.collection.collection_id
        push = PushRegistration("", actor.account_id, owner_id, collection_id, url, device_key, secret, expires_at)
        collection = opened.collection
        return await self._registrations.keep(push, PushState(collection.kind, str(collection.modseq), collection))

    async def unregister(self, actor: Actor, push_id: str) -> None:
        """Tell a device no more. Errors: NoSuchShare, also for others' registrations."""
        push = await self._sharing.push(push_id)
        if push is None or push.watcher_id != actor.account_id:
            raise NoSuchShare
        await self._sharing.remove_push(push_id)

    async def spare(self, actor: Actor, opened: Opened, name: str, push_ids: frozenset[str] | None) -> None:
        """Do not tell these devices (None: all) of the actor what one of them has just done to an object.

        `opened` is from before that. Who has yet to learn of more than this change is told nevertheless.
        Spec: WebDAV-Push draft, "Suppressing notifications" (Push-Dont-Notify).
        """
        collection_id, before = opened.collection.collection_id, opened.collection.modseq
        place = (actor.account_id, opened.owner.account_id, collection_id)
        pushes = [
            each.push_id
            for each in await self._sharing.pushes()
            if (each.watcher_id, each.owner_id, each.collection_id) == place
            and (push_ids is None or each.push_id in push_ids)
        ]
        if not pushes:
            return
        changes = await opened.store.changes_since(collection_id, before, 2)
        if {*(each.name for each in changes.changed), *changes.deleted} != {name}:
            return
        for push_id, modseq in (await self._registrations.told(pushes)).items():
            if int(modseq) >= before:
                await self._registrations.remember(push_id, str(changes.modseq))

    # the worker

    async def run(self, stop: asyncio.Event) -> None:
        """Tell devices until told to stop."""
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: self._woken.set())
        watched = _Watched(self._bus, self._noted)
        looked_s = float("-inf")
        try:
            with self._bus.watch(DIRECTORY, self._woken.set):
                while not stop.is_set():
                    self._woken.clear()
                    if self._clock.monotonic_s() - looked_s >= LOOK_S:
                        looked_s = self._clock.monotonic_s()
                        self._changed.update(await self._watch(watched))
                    else:
                        await self._watch(watched)
                    await self.tell_changes()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._woken.wait(), self._pause_s())
                    if self._changed and not stop.is_set():
                        with suppress(TimeoutError):
                            await asyncio.wait_for(stop.wait(), self._merged_s)
        finally:
            stopping.cancel()
            watched.close()

    async def tell_changes(self) -> int:
        """Tell what has changed in the accounts that were noted; gives how many messages were taken."""
        now = self._clock.now()
        changed, self._changed = self._changed, set()
        due = {push_id for push_id, (_, at) in self._tries.items() if at <= now}
        try:
            pushes = [each for each in await self._sharing.pushes() if each.expires_at > now]
            wanted = [each for each in pushes if each.owner_id in changed or each.push_id in due]
            gate = asyncio.Semaphore(TOGETHER)
            outcomes = await asyncio.gather(*(self._tell(gate, each, now) for each in wanted), return_exceptions=True)
        except MailsteadError as error:
            self._changed |= changed
            _log.warning("devices cannot be told now", error=error.public_text)
            return 0
        count = 0
        for outcome in outcomes:
            if isinstance(outcome, AccountLocked):
                continue  # nothing changes in it
            if isinstance(outcome, MailsteadError):
                _log.warning("a device is not told", error=outcome.public_text)
            elif isinstance(outcome, Exception):
                metrics.BUGS.labels("dav push").inc()
                _log.error("a device is not told", error=type(outcome).__name__)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                count += outcome
        return count

    async def forget_old(self, now: datetime) -> int:
        """Remove registrations that have run out; gives how many."""
        return await self._sharing.expire_pushes(now)

    def _noted(self, owner_id: AccountId) -> None:
        self._changed.add(owner_id)
        self._woken.set()

    def _pause_s(self) -> float:
        at = min((at for _, at in self._tries.values()), default=None)
        in_s = LOOK_S if at is None else (at - self._clock.now()).total_seconds()
        return min(max(in_s, 0.1), LOOK_S)

    async def _watch(self, watched: _Watched) -> set[AccountId]:
        try:
            owners = {each.owner_id for each in await self._sharing.pushes()}
        except MailsteadError as error:
            _log.warning("registrations cannot be read now", error=error.public_text)
            return set()
        # What happened before we watched is not to be missed.
        self._changed |= watched.set(owners)
        return owners

    async def _tell(self, gate: asyncio.Semaphore, push: PushRegistration, now: datetime) -> bool:
        """Tell one device, if its collection has changed; whether the message was taken."""
        async with gate:
            state = await self._registrations.state(push.watcher_id, push.owner_id, push.collection_id)
            if state is None:
                await self._drop(push)
                return False
            tries = self._tries.get(push.push_id, (0, now))[0]
            key = push.push_id
            told = (await self._registrations.told([key])).get(key)
            if state.is_known_from(told):
                self._tries.pop(key, None)
                return False
            # A home may come back to a state that it was told of: when what was made in it is removed.
            claim = f"{key} {told} {state.text} {tries}"
            if await self._memory.remember_first(_CLAIM, claim, b"", now, now + _CLAIMED) is not None:
                return False
            outcome = await self._send(push, state, now)
            if outcome is PushOutcome.GONE:
                await self._drop(push)
            elif outcome is PushOutcome.LATER and tries + 1 < TRIES_MAX:
                self._tries[key] = (tries + 1, now + timedelta(seconds=RETRY_BASE_S ** (tries + 1)))
            else:
                self._tries.pop(key, None)
                await self._registrations.remember(key, state.text)
            return outcome is PushOutcome.TAKEN

    async def _send(self, push: PushRegistration, state: PushState, now: datetime) -> PushOutcome:
        """Send once."""
        if push.apple_token:
            return PushOutcome.REFUSED if self.apple is None else await self.apple.tell(push, state, now)
        if state.collection is None:
            return PushOutcome.GONE
        return await self._post(push, state.collection, now)

    async def _post(self, push: PushRegistration, collection: Collection, now: datetime) -> PushOutcome:
        """Post once."""
        topic = self._topic(push.owner_id, collection)
        text = _message(topic, self._token_of(push.owner_id, collection))
        own_key = ec.generate_private_key(ec.SECP256R1())
        salt = secrets.token_bytes(web_push.SALT_OCTETS)
        octets = web_push.encrypted(text.encode(), push.public_key, push.auth_secret, own_key, salt)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Encoding": "aes128gcm",
            "TTL": str(TTL_S),
            "Urgency": "normal",
            "Topic": topic,
            "Authorization": self._vapid.authorization(push.url, now),
        }
        try:
            answer = await self._web.post(push.url, octets, headers, octets_max=1024, limit_s=LIMIT_S)
        except WebRefused as error:
            _log.info("a device is told no more", error=error.public_text)
            return PushOutcome.GONE
        except WebFailed as error:
            _log.info("a device was not told", error=error.public_text)
            return PushOutcome.LATER
        if answer.status in _TAKEN:
            return PushOutcome.TAKEN
        if answer.status in _GONE:
            return PushOutcome.GONE
        _log.info("a push service refuses", status=answer.status, host=urlsplit(push.url).hostname)
        return PushOutcome.LATER if _is_temporary(answer.status) else PushOutcome.REFUSED

    async def _drop(self, push: PushRegistration) -> None:
        self._tries.pop(push.push_id, None)
        await self._sharing.remove_push(push.push_id)

    def _topic(self, owner_id: AccountId, collection: Collection) -> str:
        name = f"{owner_id} {collection.collection_id}".encode()
        return web_push.base64url(digest(self._key, name, "sha256")[:TOPIC_OCTETS])


class _Watched:
    """The topics that are watched."""

    def __init__(self, bus: ChangeBus, wake: Callable[[AccountId], None]) -> None:
        self._bus = bus
        self._wake = wake
        self._open: dict[AccountId, AbstractContextManager[None]] = {}

    def set(self, owner_ids: Iterable[AccountId]) -> set[AccountId]:
        """Watch these accounts and no others; gives those that are new."""
        wanted = set(owner_ids)
        for owner_id in self._open.keys() - wanted:
            self._open.pop(owner_id).__exit__(None, None, None)
        added = wanted - self._open.keys()
        for owner_id in added:
            watch = self._bus.watch(dav_topic(owner_id), partial(self._wake, owner_id))
            watch.__enter__()
            self._open[owner_id] = watch
        return added

    def close(self) -> None:
        """Watch nothing more."""
        self.set(())


def _is_temporary(status: int) -> bool:
    return status in {408, 425, 429} or status >= 500


def _message(topic: str, sync_token: str) -> str:
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<P:push-message xmlns:P="{_NAMESPACE}" xmlns:D="DAV:">'
        f"<P:topic>{escape(topic)}</P:topic><P:content-update><D:sync-token>{escape(sync_token)}</D:sync-token>"
        "</P:content-update></P:push-message>"
    )
