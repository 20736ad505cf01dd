"""DKIM keys of our domains: made, published, put to use, retired.

A change of keys overlaps, as records take time to be seen and messages time to arrive: `rotate` makes a pair that signs
nothing yet; once its records are published, `activate` lets it sign and retires the old pair; the old records stay
published until mail signed with them has arrived, and then `remove` ends them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import Final

from mailstead.mailauth.dkim import imported_key, new_keys, public_record
from mailstead.model.address import normal_domain
from mailstead.model.directory import DkimKey, KeyState
from mailstead.model.envelope import Actor
from mailstead.model.errors import AddressTaken, BadAddress, LimitReached, NoSuchDomain, NoSuchKey, NotAllowed
from mailstead.ports.changebus import DIRECTORY, ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.audit import Notes, Unnoted

KEYS_MAX: Final = 20
"""Per domain: whoever has more forgets to remove old ones."""
SELECTOR_CHARACTERS_MAX: Final = 63
REMEMBERED_MAX: Final = 5000
REMEMBERED_S: Final = 2.0
"""How long an answer holds if another process changes the keys and its wake-up is lost."""


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A key with what stands in the DNS for it."""

    key: DkimKey
    name: str
    """Of the TXT record, without final dot."""
    record: str


class Keys:
    """All verbs with an actor are for administrators of the domain: NoSuchDomain, NotAllowed (its other members)."""

    def __init__(self, storage: Storage, bus: ChangeBus, clock: Clock, audit: Notes | None = None) -> None:
        self._directory = storage.directory
        self._audit: Final = audit or Unnoted()
        self._clock = clock
        self._remembered: dict[str, tuple[float, tuple[DkimKey, ...]]] = {}
        self._generation = 0
        self._watch: AbstractContextManager[None] = bus.watch(DIRECTORY, self._forget)
        self._watch.__enter__()

    def close(self) -> None:
        """Watch the directory no longer."""
        self._watch.__exit__(None, None, None)

    async def signing_keys(self, domain: str) -> tuple[DkimKey, ...]:
        """Give the keys that sign for a domain; none if it has none, or is not ours."""
        remembered = self._remembered.get(domain)
        if remembered and remembered[0] >= self._clock.monotonic_s():
            return remembered[1]
        generation = self._generation
        keys = tuple(key for key in await self._directory.dkim_keys(domain) if key.state is KeyState.ACTIVE)
        if generation == self._generation:
            if len(self._remembered) >= REMEMBERED_MAX:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[domain] = (self._clock.monotonic_s() + REMEMBERED_S, keys)
        return keys

    async def list(self, actor: Actor, domain: str) -> Sequence[PublishedKey]:
        """All keys of a domain with their records, oldest first. Errors: BadAddress, NoSuchDomain."""
        actor.must_administer(normal_domain(domain))
        return [published(key) for key in await self._keys(domain)]

    async def create(self, actor: Actor, domain: str) -> Sequence[PublishedKey]:
        """Make the first pair of a domain, which signs at once.

        Errors: BadAddress, NoSuchDomain; AddressTaken, when the domain has keys already.
        """
        actor.must_administer(normal_domain(domain))
        if await self._keys(domain):
            raise AddressTaken("That domain has keys already; `rotate` makes the next ones")
        return await self._add_pair(actor, normal_domain(domain), KeyState.ACTIVE)

    async def rotate(self, actor: Actor, domain: str) -> Sequence[PublishedKey]:
        """Make the next pair; it signs once it is activated.

        Errors: BadAddress, NoSuchDomain; LimitReached, when a pair waits already or there are too many old ones.
        """
        actor.must_administer(normal_domain(domain))
        keys = await self._keys(domain)
        if any(key.state is KeyState.PENDING for key in keys):
            raise LimitReached("New keys wait to be activated already; activate or remove them first")
        if len(keys) >= KEYS_MAX:
            raise LimitReached(f"A domain has at most {KEYS_MAX} keys; remove retired ones first")
        return await self._add_pair(actor, normal_domain(domain), KeyState.PENDING)

    async def import_key(self, actor: Actor, domain: str, selector: str, octets: bytes) -> PublishedKey:
        """Take over a key made elsewhere, whose record is published already: it signs at once.

        Errors: BadAddress (domain or selector), NoSuchDomain, BadImport (no usable key), AddressTaken, LimitReached.
        """
        actor.must_administer(normal_domain(domain))
        if len(await self._keys(domain)) >= KEYS_MAX:
            raise LimitReached(f"A domain has at most {KEYS_MAX} keys; remove retired ones first")
        if len(selector) > SELECTOR_CHARACTERS_MAX:
            raise BadAddress(f"A selector has at most {SELECTOR_CHARACTERS_MAX} characters")
        now = self._clock.now().replace(microsecond=0)
        key = imported_key(normal_domain(domain), normal_domain(selector), octets, now)
        await self._directory.add_dkim_keys([key])
        self._audit.note(actor, "key.import", key.selector, key.domain)
        return published(key)

    async def activate(self, actor: Actor, domain: str) -> Sequence[PublishedKey]:
        """Let the waiting keys sign and retire those that did. Errors: BadAddress, NoSuchDomain, NoSuchKey."""
        actor.must_administer(normal_domain(domain))
        keys = await self._keys(domain)
        if not any(key.state is KeyState.PENDING for key in keys):
            raise NoSuchKey("No new keys wait to be activated; `rotate` makes some")
        states = {
            key.selector: KeyState.ACTIVE if key.state is KeyState.PENDING else KeyState.RETIRED
            for key in keys
            if key.state is not KeyState.RETIRED
        }
        name = normal_domain(domain)
        await self._directory.set_dkim_states(name, states)
        for selector, state in states.items():
            verb = "key.activate" if state is KeyState.ACTIVE else "key.retire"
            self._audit.note(actor, verb, selector, name)
        return await self.list(actor, domain)

    async def retire(self, actor: Actor, domain: str, selector: str) -> None:
        """Let a key sign no more; its record stays published. Errors: BadAddress, NoSuchDomain, NoSuchKey."""
        actor.must_administer(normal_domain(domain))
        key = await self._key(domain, selector)
        await self._directory.set_dkim_states(key.domain, {key.selector: KeyState.RETIRED})
        self._audit.note(actor, "key.retire", key.selector, key.domain)

    async def remove(self, actor: Actor, domain: str, selector: str) -> None:
        """Remove a key that does not sign.

        Errors: BadAddress, NoSuchDomain, NoSuchKey; NotAllowed, when it still signs.
        """
        actor.must_administer(normal_domain(domain))
        key = await self._key(domain, selector)
        if key.state is KeyState.ACTIVE:
            raise NotAllowed("That key still signs; activate others or retire it first")
        await self._directory.remove_dkim_key(key.domain, key.selector)
        self._audit.note(actor, "key.remove", key.selector, key.domain)

    async def _keys(self, domain: str) -> Sequence[DkimKey]:
        name = normal_domain(domain)
        if await self._directory.domain(name) is None:
            raise NoSuchDomain(domain=name)
        return await self._directory.dkim_keys(name)

    async def _key(self, domain: str, selector: str) -> DkimKey:
        for key in await self._keys(domain):
            if key.selector == selector.lower():
                return key
        raise NoSuchKey(f"The domain has no key {selector}", domain=domain, selector=selector)

    async def _add_pair(self, actor: Actor, domain: str, state: KeyState) -> Sequence[PublishedKey]:
        now = self._clock.now().replace(microsecond=0)
        made = await asyncio.to_thread(new_keys, domain, now, f"m{now:%Y%m%d}")
        taken = {key.selector for key in await self._directory.dkim_keys(domain)}
        for letter in ("", *ascii_lowercase):  # a second pair of one day has a letter behind the date
            keys = [replace(key, selector=_lettered(key.selector, letter), state=state) for key in made]
            if taken.isdisjoint(key.selector for key in keys):
                break
        await self._directory.add_dkim_keys(keys)
        for key in keys:
            self._audit.note(actor, "key.add", key.selector, domain, algorithm=key.algorithm)
        return [published(key) for key in keys]

    def _forget(self) -> None:
        self._generation += 1
        self._remembered.clear()


def published(key: DkimKey) -> PublishedKey:
    """Give a key with its record. Spec: RFC 6376 §3.6.2.1."""
    return PublishedKey(key, f"{key.selector}._domainkey.{key.domain}", public_record(key))


def _lettered(selector: str, letter: str) -> str:
    stem, _, algorithm = selector.rpartition("-")
    return f"{stem}{letter}-{algorithm}"
