"""The OpenPGP keys of an account: one's own, with what unlocks them, and those of correspondents.

A secret key is kept under a passphrase that is asked for and not kept. What it unlocks stays in this process' memory,
for the session that gave it, until that has not used it for an hour. See docs/adr/0040 for what the server could read
then.

Spec: RFC 9580; draft-koch-openpgp-webkey-service-19 §3.1; attack row 103 (a key that came by itself is never used
unasked, and never in place of one that is there).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from mailstead.mime.openpgp import Flaw
from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchAddress, NotAllowed, PolicyRefused, RateLimited, WebFailed, WebRefused
from mailstead.model.openpgp import KeySource, OpenpgpKey
from mailstead.model.people import ObjectId
from mailstead.model.secret import Secret
from mailstead.policy.web_key import HOST_LABEL, key_digest
from mailstead.ports.openpgp import OpenpgpKeyring
from mailstead.ports.storage import Storage
from mailstead.ports.web import WebClient
from mailstead.usecases import openpgp_engine as engine
from mailstead.usecases.call_limits import CallLimits
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.openpgp_engine import PublicKey, SecretKey
from mailstead.usecases.openpgp_locking import for_export, locked, opened
from mailstead.usecases.passwords import HashCost
from mailstead.usecases.web_keys import WebKeys

T = TypeVar("T")

PASSPHRASE_CHARACTERS_MIN: Final = 10
UNLOCKED_S: Final = 3600.0
"""Without use."""
SESSIONS_MAX: Final = 10_000
OWN_MAX: Final = 10
PASSPHRASES_PER_DAY_MAX: Final = 100
"""Tried by one account, right or wrong: for its owner in some browsers enough, and nothing for who guesses."""
DIRECTORY_OCTETS_MAX: Final = 256 * 1024
_AT_ONCE_MAX: Final = 2
"""Passphrases that are tried at the same time in one process."""


@dataclass(slots=True)
class _Unlocked:
    used_s: float
    keys: dict[str, SecretKey]
    """By fingerprint."""


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """What the owner sees."""

    own: Sequence[OpenpgpKey]
    others: Sequence[OpenpgpKey]
    unlocked: frozenset[str]
    """Fingerprints of those that this session has unlocked."""
    published: str
    """Fingerprint of the one that the web shows for the account's address; empty: none."""
    unusable: frozenset[str]
    """Fingerprints of those that are revoked or expired."""
    doubled: frozenset[str]
    """Addresses of correspondents for which there are several keys."""


class OpenpgpKeys:
    """Every verb begins with an actor, whose own account alone is reached (NotAllowed without one)."""

    def __init__(
        self, storage: Storage, mailboxes: Mailboxes, web: WebClient | None, web_keys: WebKeys, cost: HashCost
    ) -> None:
        self._storage = storage
        self._mailboxes = mailboxes
        self._clock = mailboxes.clock
        self._web = web
        self._web_keys = web_keys
        self._cost = cost
        self._sessions: dict[tuple[object, ObjectId | None], _Unlocked] = {}
        self._at_once = asyncio.Semaphore(_AT_ONCE_MAX)
        self._limits = CallLimits(storage, mailboxes.clock)

    # looking

    async def find(self, actor: Actor) -> OwnKeys:
        """All keys, and what can be done with them."""
        keys = await self._ring(actor).keys()
        now = self._clock.now()
        usable = {each.fingerprint for each in await asyncio.to_thread(_read, keys) if each.can_be_used(now)}
        others = [each for each in keys if not each.is_own]
        named = [each.address for each in others]
        return OwnKeys(
            own=[each for each in keys if each.is_own],
            others=others,
            unlocked=frozenset(self._unlocked(actor)),
            published=await self._published(actor),
            unusable=frozenset(each.fingerprint for each in keys if each.fingerprint not in usable),
            doubled=frozenset(each for each in named if named.count(each) > 1),
        )

    async def all(self, actor: Actor) -> list[OpenpgpKey]:
        """All keys, own ones first."""
        return await self._ring(actor).keys()

    async def usable_for(self, actor: Actor, addresses: Sequence[str]) -> dict[str, OpenpgpKey]:
        """Give the key that mail to each address is encrypted for; those that have none are left out.

        One that was verified goes before all others, then that which came first.
        """
        keys = await self._ring(actor).keys()
        now = self._clock.now()
        good = {each.fingerprint for each in await asyncio.to_thread(_read, keys) if each.can_be_used(now)}
        found: dict[str, OpenpgpKey] = {}
        for wanted in {each.lower() for each in addresses}:
            fitting = [
                each for each in keys if each.fingerprint in good and wanted in engine.addresses_of(each.user_ids)
            ]
            if fitting:
                found[wanted] = min(
                    fitting, key=lambda each: (not each.is_own, not each.is_verified, each.added_at, each.fingerprint)
                )
        return found

    async def own(self, actor: Actor, address: str = "") -> OpenpgpKey | None:
        """The key that the account writes with: that of an address, else the first that can be used."""
        keys = [each for each in await self._ring(actor).keys() if each.is_own]
        now = self._clock.now()
        good = {each.fingerprint for each in await asyncio.to_thread(_read, keys) if each.can_be_used(now)}
        usable = [each for each in keys if each.fingerprint in good]
        fitting = [each for each in usable if address.lower() in engine.addresses_of(each.user_ids)]
        return next(iter([*fitting, *usable]), None)

    def unlocked(self, actor: Actor) -> list[SecretKey]:
        """The secret keys that this session has unlocked."""
        return list(self._unlocked(actor).values())

    # one's own

    async def make(self, actor: Actor, display_name: str, address: Address, passphrase: Secret) -> OpenpgpKey:
        """Make a key for an address of the account's. Errors: PolicyRefused, LimitReached."""
        _check_passphrase(passphrase)
        await self._must_have_room(actor)
        name = " ".join(display_name.replace("<", "").replace(">", "").split())[:100]
        octets = await asyncio.to_thread(engine.make_secret, f"{name} <{address}>".strip())
        return await self._keep_secret(actor, octets, passphrase, KeySource.MADE, str(address))

    async def take_secret(self, actor: Actor, text: str, passphrase: Secret) -> OpenpgpKey:
        """Take over a secret key, armored, with its passphrase; one without gets this one.

        Errors: PolicyRefused, in words for the owner.
        """
        _check_passphrase(passphrase, is_new=False)
        await self._must_have_room(actor)
        octets = await _said(asyncio.to_thread(engine.secret_octets, text))
        return await self._keep_secret(actor, octets, passphrase, KeySource.BY_HAND, "")

    async def unlock(self, actor: Actor, passphrase: Secret) -> int:
        """Unlock all own keys that a passphrase opens, for this session; gives how many.

        Errors: PolicyRefused, where it opens none; RateLimited, after too many tries.
        """
        await self._count_try(actor)
        opened_count, reason = 0, "There is no key of yours yet"
        for each in await self._ring(actor).keys():
            if each.secret is None:
                continue
            try:
                secret = await self._opened(each, passphrase)
                key = await asyncio.to_thread(engine.unlocked, secret, passphrase.reveal())
            except Flaw as flaw:
                reason = _sentence(flaw)
                continue
            self._remember(actor, key)
            opened_count += 1
        if not opened_count:
            raise PolicyRefused(reason)
        return opened_count

    def lock(self, actor: Actor) -> None:
        """Forget what this session has unlocked."""
        self._sessions.pop(_session(actor), None)

    async def secret_text(self, actor: Actor, fingerprint: str, passphrase: Secret) -> str:
        """Give a secret key to be taken along: armored, under the passphrase.

        Errors: NoSuchAddress; PolicyRefused, RateLimited, as `unlock`.
        """
        await self._count_try(actor)
        key = await self._named(actor, fingerprint)
        if key.secret is None:
            raise PolicyRefused("Of this key there is only the public part")
        try:
            secret = await self._opened(key, passphrase)
            return engine.armored_secret(await asyncio.to_thread(for_export, secret, passphrase))
        except Flaw as flaw:
            raise PolicyRefused(_sentence(flaw)) from None

    async def public_text(self, actor: Actor, fingerprint: str) -> str:
        """Give a public key, armored. Errors: NoSuchAddress."""
        return engine.armored((await self._named(actor, fingerprint)).public)

    async def publish(self, actor: Actor, fingerprint: str, *, is_published: bool = True) -> None:
        """Let the web show a key for the account's address (WKD), or none. Errors: NoSuchAddress, PolicyRefused."""
        if actor.account_id is None:
            raise NotAllowed
        entry = await self._storage.people.address_entry_of_account(actor.account_id)
        if entry is None:
            raise NotAllowed
        address, text = entry.owner.address, ""
        if is_published:
            key = await self._named(actor, fingerprint)
            if not key.is_own:
                raise PolicyRefused("Only a key of yours can be published for your address")
            if str(address).lower() not in engine.addresses_of(key.user_ids):
                raise PolicyRefused(f"The key does not name {address}")
            text = engine.armored(key.public)
        profile = replace(
            entry.profile,
            public_key=text,
            has_wkd_disabled=entry.profile.has_wkd_disabled and not is_published,
            updated_at=self._clock.now(),
        )
        await self._storage.people.set_address_profile(address.domain, address.local_part, profile)

    async def revoke(self, actor: Actor, fingerprint: str) -> OpenpgpKey:
        """Say in a key that nobody is to use it any more; it still reads old mail. It must be unlocked.

        Errors: NoSuchAddress, PolicyRefused.
        """
        key = await self._named(actor, fingerprint)
        secret = self._unlocked(actor).get(fingerprint)
        if secret is None:
            raise PolicyRefused("Unlock the key first")
        public = engine.merged(key.public, await asyncio.to_thread(secret.revoked))
        changed = replace(key, public=public)
        await self._ring(actor).put(changed)
        if await self._published(actor) == fingerprint:
            await self.publish(actor, fingerprint)
        return changed

    async def remove(self, actor: Actor, fingerprint: str) -> None:
        """Forget a key. Mail that was encrypted for it cannot be read here any more. Errors: NoSuchAddress."""
        key = await self._named(actor, fingerprint)
        if key.is_own and await self._published(actor) == fingerprint:
            await self.publish(actor, fingerprint, is_published=False)
        await self._ring(actor).remove(fingerprint)
        self._unlocked(actor).pop(fingerprint, None)

    # of others

    async def take(self, actor: Actor, octets: bytes, source: KeySource, address: str = "") -> list[OpenpgpKey]:
        """Take public keys of correspondents. A copy of one that is there adds to it, and changes nothing else.

        `address`: only keys that name it are taken. Errors: PolicyRefused, in words for the owner; LimitReached.
        """
        found = await _said(asyncio.to_thread(engine.public_keys, octets))
        there = {each.fingerprint: each for each in await self._ring(actor).keys()}
        taken: list[OpenpgpKey] = []
        for each in found:
            if not each.addresses or (address and address.lower() not in each.addresses):
                continue
            before = there.get(each.fingerprint)
            if before is not None:
                public = await asyncio.to_thread(engine.merged, before.public, each.octets)
                key = replace(before, public=public)
            else:
                named = address.lower() or each.addresses[0]
                key = OpenpgpKey(each.fingerprint, named, each.user_ids, each.octets, self._clock.now(), source)
            await self._ring(actor).put(key)
            taken.append(key)
        if not taken:
            raise PolicyRefused(f"No key among them names {address}" if address else "The key names no address")
        return taken

    async def verify(self, actor: Actor, fingerprint: str, *, is_verified: bool = True) -> None:
        """Note that the owner has compared a fingerprint, or not. Errors: NoSuchAddress."""
        key = await self._named(actor, fingerprint)
        await self._ring(actor).put(replace(key, is_verified=is_verified or key.is_own))

    async def look_up(self, actor: Actor, text: str) -> list[OpenpgpKey]:
        """Ask the domain of a correspondent for his key. Errors: PolicyRefused, where there is none; BadAddress.

        Spec: draft-koch-openpgp-webkey-service-19 §3.1: the host that is named for it, else the domain itself.
        """
        self._ring(actor)
        address = Address.parse(text.strip())
        digest = key_digest(address.local_part)
        ours = await self._web_keys.find(address.domain, digest, address.local_part)
        octets = ours or await self._asked(address, digest)
        if octets is None:
            raise PolicyRefused(f"Nothing is published for {address}")
        return await self.take(actor, octets, KeySource.DIRECTORY, str(address))

    async def _asked(self, address: Address, digest: str) -> bytes | None:
        if self._web is None:
            return None
        query = f"/hu/{digest}?l={address.local_part}"
        places = (
            f"https://{HOST_LABEL}.{address.domain}/.well-known/openpgpkey/{address.domain}{query}",
            f"https://{address.domain}/.well-known/openpgpkey{query}",
        )
        for place in places:
            try:
                answer = await self._web.get(place, octets_max=DIRECTORY_OCTETS_MAX, limit_s=10.0)
            except (WebFailed, WebRefused):
                continue
            if answer.status == 200 and answer.octets:
                return answer.octets
        return None

    # within

    def _ring(self, actor: Actor) -> OpenpgpKeyring:
        return self._mailboxes.of(actor).openpgp

    async def _count_try(self, actor: Actor) -> None:
        """Count before the passphrase is looked at: whoever holds a session is not to guess on. Errors: RateLimited."""
        if (await self._limits.count("openpgp passphrase", actor, PASSPHRASES_PER_DAY_MAX)).is_passed:
            raise RateLimited("Too many passphrases were tried today; go on after midnight UTC")

    async def _named(self, actor: Actor, fingerprint: str) -> OpenpgpKey:
        for each in await self._ring(actor).keys():
            if each.fingerprint == fingerprint:
                return each
        raise NoSuchAddress("That key is no longer there")

    async def _must_have_room(self, actor: Actor) -> None:
        if sum(each.is_own for each in await self._ring(actor).keys()) >= OWN_MAX:
            raise PolicyRefused(f"An account has at most {OWN_MAX} keys of its own")

    async def _keep_secret(
        self, actor: Actor, octets: bytes, passphrase: Secret, source: KeySource, address: str
    ) -> OpenpgpKey:
        unlocked = await _said(asyncio.to_thread(engine.unlocked, octets, passphrase.reveal()))
        (public,) = await _said(asyncio.to_thread(engine.public_keys, unlocked.public))
        if not public.addresses:
            raise PolicyRefused("The key names no address")
        async with self._at_once:
            secret = await asyncio.to_thread(locked, octets, passphrase, self._cost)
        key = OpenpgpKey(
            public.fingerprint,
            address.lower() or public.addresses[0],
            public.user_ids,
            public.octets,
            self._clock.now(),
            source,
            is_verified=True,
            secret=secret,
        )
        await self._ring(actor).put(key)
        self._remember(actor, unlocked)
        return key

    async def _opened(self, key: OpenpgpKey, passphrase: Secret) -> bytes:
        assert key.secret is not None
        async with self._at_once:
            return await asyncio.to_thread(opened, key.secret, passphrase)

    async def _published(self, actor: Actor) -> str:
        if actor.account_id is None:
            raise NotAllowed
        entry = await self._storage.people.address_entry_of_account(actor.account_id)
        if entry is None or not entry.profile.public_key.strip() or entry.profile.has_wkd_disabled:
            return ""
        try:
            found = await asyncio.to_thread(engine.public_keys, entry.profile.public_key.encode())
        except Flaw:
            return ""
        return found[0].fingerprint

    def _remember(self, actor: Actor, key: SecretKey) -> None:
        now_s = self._clock.monotonic_s()
        for session, unlocked in tuple(self._sessions.items()):
            if now_s - unlocked.used_s >= UNLOCKED_S:
                del self._sessions[session]
        while len(self._sessions) >= SESSIONS_MAX:
            del self._sessions[min(self._sessions, key=lambda each: self._sessions[each].used_s)]
        self._sessions.setdefault(_session(actor), _Unlocked(now_s, {})).keys[key.fingerprint] = key

    def _unlocked(self, actor: Actor) -> dict[str, SecretKey]:
        found, now_s = self._sessions.get(_session(actor)), self._clock.monotonic_s()
        if found is None:
            return {}
        if now_s - found.used_s >= UNLOCKED_S:
            del self._sessions[_session(actor)]
            return {}
        found.used_s = now_s
        return found.keys


def _session(actor: Actor) -> tuple[object, ObjectId | None]:
    return actor.account_id, actor.session_id


def _read(keys: Sequence[OpenpgpKey]) -> list[PublicKey]:
    """Read keys that were read before; one that cannot be any more is left out."""
    found: list[PublicKey] = []
    for each in keys:
        try:
            found += engine.public_keys(each.public)
        except Flaw:
            continue
    return found


def _check_passphrase(passphrase: Secret, *, is_new: bool = True) -> None:
    """Errors: PolicyRefused."""
    if len(passphrase.reveal()) < (PASSPHRASE_CHARACTERS_MIN if is_new else 1):
        raise PolicyRefused(f"A passphrase has at least {PASSPHRASE_CHARACTERS_MIN} characters")


def _sentence(flaw: Flaw) -> str:
    text = str(flaw)
    return f"{text[:1].upper()}{text[1:]}"


async def _said(reading: Awaitable[T]) -> T:
    """Tell a flaw as a refusal. Errors: PolicyRefused."""
    try:
        return await reading
    except Flaw as flaw:
        raise PolicyRefused(_sentence(flaw)) from None
