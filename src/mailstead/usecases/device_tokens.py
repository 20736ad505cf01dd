"""Devices of programs that use the API: where to wake them, kept in the account's own store.

Each is a preference of its own, so that two clients that register at once do not lose each other's. An id names the
account and the device within it, so no table is needed; who may use it, the rules of `AccountEvents.listened` say.

Web Push and UnifiedPush devices are woken (`usecases.device_push`). Tokens of Apple's and Google's services are kept
and given back: to wake these takes the credentials of whoever has published the program.

Spec: reference forwardemail 4.5 (push tokens), 4.10 (PushToken).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

import msgspec

from mailstead.model.envelope import Actor
from mailstead.model.errors import LimitReached, NoSuchAccount, NoSuchAlias, NoSuchPushToken, PolicyRefused
from mailstead.model.ids import AccountId
from mailstead.model.people import Listing, ObjectId
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases import web_push
from mailstead.usecases.account_events import AccountEvents, Listened

LIFE: Final = timedelta(days=90)
"""After the last use: its registration, or a message that was taken."""
FAILURES_MAX: Final = 3
DEVICES_MAX: Final = 32
"""Of one account; beyond that the one used longest ago goes."""
TOKEN_OCTETS_MAX: Final = 4096
NAME_CHARACTERS_MAX: Final = 255
URL_CHARACTERS_MAX: Final = 2000
ADDRESSES_MAX: Final = 100
"""Mailboxes of a user that are looked through at once, where no one is named."""
TOLD: Final = "device-told"
"""Preference that keeps up to which key of octets devices were told."""
_PREFIX: Final = "device."


class Platform(StrEnum):
    """Who wakes it."""

    APNS = "apns"
    FCM = "fcm"
    UNIFIED_PUSH = "unified-push"
    WEB_PUSH = "web-push"


WOKEN: Final = frozenset({Platform.UNIFIED_PUSH, Platform.WEB_PUSH})
"""Those that this house can wake."""


class Kept(msgspec.Struct, frozen=True):
    """A device as it is kept. Moments are Unix time."""

    platform: Platform
    token: str
    device_name: str
    created_s: int
    used_s: int
    failure_count: int = 0


@dataclass(frozen=True, slots=True)
class Subscription:
    """How a device is reached by Web Push. Spec: RFC 8030, RFC 8291."""

    url: str
    public_key: bytes
    auth_secret: bytes


@dataclass(frozen=True, slots=True)
class Device:
    """A device of an account."""

    object_id: ObjectId
    listened: Listened
    kept: Kept

    @property
    def expires_at_s(self) -> int:
        """When it is forgotten, unless it is used again."""
        return self.kept.used_s + int(LIFE.total_seconds())


class DeviceTokens:
    """Errors of all verbs: those of `AccountEvents.listened`, and of the store."""

    def __init__(self, storage: Storage, clock: Clock, events: AccountEvents, public_key: str = "") -> None:
        """`public_key`: of the house, which browsers want to know when they subscribe (RFC 8292 §3.2)."""
        self.public_key: Final = public_key
        self._accounts = storage.accounts
        self._people = storage.people
        self._clock = clock
        self._events = events

    async def add(self, actor: Actor, platform: Platform, token: str, device_name: str, alias_id: str = "") -> Device:
        """Keep a device, or make one that is there young again.

        Errors: LimitReached, PolicyRefused. Effects: devices that have run out go.
        """
        listened = await self._events.listened(actor, alias_id)
        token = checked(platform, token)
        if len(device_name) > NAME_CHARACTERS_MAX:
            raise LimitReached(f"A device's name has at most {NAME_CHARACTERS_MAX} characters")
        store, now_s = self._accounts.of(listened.account.account_id), self._now_s()
        preferences = await store.preferences()
        devices, key = kept_devices(preferences), _key(platform, token)
        known = devices.get(key)
        kept = Kept(platform, token, device_name, known.created_s if known is not None else now_s, now_s)
        others = {name: each for name, each in devices.items() if name != key and not _is_over(each, now_s)}
        lasting = sorted(others, key=lambda name: others[name].used_s)[max(len(others) - DEVICES_MAX + 1, 0) :]
        changed: dict[str, bytes | None] = dict.fromkeys(devices.keys() - set(lasting) - {key})
        if not lasting:  # nobody was told of what has come so far, and it is nothing new
            changed[TOLD] = str(await store.last_blob_id()).encode()
        await store.set_preferences({**changed, key: msgspec.json.encode(kept)})
        return _device(listened, key, kept)

    async def find(self, actor: Actor, platform: Platform | None = None, alias_id: str = "") -> list[Device]:
        """Devices of one mailbox; by a token without `alias_id`, of all mailboxes that are the user's own."""
        found: list[Device] = []
        for listened in await self._mailboxes(actor, alias_id):
            found += [each for each in await self._devices(listened) if platform in {None, each.kept.platform}]
        return sorted(found, key=lambda each: (each.kept.created_s, each.object_id))

    async def remove(self, actor: Actor, object_id: str) -> None:
        """Forget one device. Errors: NoSuchPushToken, also for one of others."""
        account_id = AccountId(object_id[:16])
        try:
            listened = await self._listened_by_account(actor, account_id)
            devices = await self._devices(listened)
        except (NoSuchAlias, NoSuchAccount):
            raise NoSuchPushToken from None
        for each in devices:
            if each.object_id == object_id:
                key = _key(each.kept.platform, each.kept.token)
                await self._accounts.of(account_id).set_preferences({key: None})
                return
        raise NoSuchPushToken

    async def remove_all(self, actor: Actor, alias_id: str = "") -> int:
        """Forget all devices that `find` shows; gives how many."""
        count = 0
        for listened in await self._mailboxes(actor, alias_id):
            store = self._accounts.of(listened.account.account_id)
            keys = list(kept_devices(await store.preferences()))
            if keys:
                await store.set_preferences(dict.fromkeys(keys))
            count += len(keys)
        return count

    async def _mailboxes(self, actor: Actor, alias_id: str) -> list[Listened]:
        if actor.token_id is None or alias_id:
            return [await self._events.listened(actor, alias_id)]
        found: list[Listened] = []
        for domain in actor.groups:
            listing = Listing(limit=ADDRESSES_MAX - len(found))
            page = await self._people.address_entries(domain, listing, user_id=actor.user_id)
            for entry in page.items:
                try:
                    found.append(await self._events.listened(actor, entry.profile.object_id))
                except NoSuchAlias:
                    continue  # it has no mailbox
            if len(found) >= ADDRESSES_MAX:
                break
        return found

    async def _listened_by_account(self, actor: Actor, account_id: AccountId) -> Listened:
        entry = await self._people.address_entry_of_account(account_id)
        if entry is None:
            raise NoSuchPushToken
        return await self._events.listened(actor, entry.profile.object_id)

    async def _devices(self, listened: Listened) -> list[Device]:
        kept = kept_devices(await self._accounts.of(listened.account.account_id).preferences())
        now_s = self._now_s()
        return [_device(listened, key, each) for key, each in kept.items() if not _is_over(each, now_s)]

    def _now_s(self) -> int:
        return int(self._clock.now().timestamp())


def kept_devices(preferences: Mapping[str, bytes]) -> dict[str, Kept]:
    """Give the devices among an account's preferences, by key."""
    return {key: msgspec.json.decode(value, type=Kept) for key, value in preferences.items() if key.startswith(_PREFIX)}


def is_good(kept: Kept, now: datetime) -> bool:
    """Whether a device is still to be woken, and can be."""
    return kept.platform in WOKEN and not _is_over(kept, int(now.timestamp()))


def checked(platform: Platform, token: str) -> str:
    """Give a token as it is kept. Errors: LimitReached, PolicyRefused."""
    if len(token.encode("utf-8", "replace")) > TOKEN_OCTETS_MAX:
        raise LimitReached(f"A token has at most {TOKEN_OCTETS_MAX} octets")
    if platform in WOKEN:
        subscription_of(token)
        return json.dumps(json.loads(token), separators=(",", ":"), sort_keys=True)
    if not token or not token.isascii() or any(ord(each) <= 32 or ord(each) == 127 for each in token):
        raise PolicyRefused("A token has no spaces and no control characters")
    return token


def subscription_of(token: str) -> Subscription:
    """Read what a browser or a UnifiedPush distributor gives: a PushSubscription as JSON. Errors: PolicyRefused.

    Spec: W3C Push API §8 (toJSON): endpoint, keys with p256dh and auth.
    """
    try:
        read = json.loads(token)
        url, keys = read["endpoint"], read["keys"]
        parts = urlsplit(url)
        is_web = parts.scheme == "https" and bool(parts.hostname) and len(url) <= URL_CHARACTERS_MAX
        found = Subscription(url, web_push.device_key(keys["p256dh"]), web_push.auth_secret(keys["auth"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        is_web = False
    if not is_web or parts.username or parts.password:
        raise PolicyRefused("The token is a push subscription as JSON: endpoint with https, and keys p256dh and auth")
    return found


def _is_over(kept: Kept, now_s: int) -> bool:
    return kept.failure_count >= FAILURES_MAX or now_s >= kept.used_s + LIFE.total_seconds()


def _device(listened: Listened, key: str, kept: Kept) -> Device:
    digits = key.removeprefix(_PREFIX)[:8]
    return Device(ObjectId(f"{listened.account.account_id}{digits}"), listened, kept)


def _key(platform: Platform, token: str) -> str:
    return _PREFIX + sha256(f"{platform}\0{token}".encode()).hexdigest()[:32]
