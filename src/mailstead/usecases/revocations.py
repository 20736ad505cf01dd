"""Ending what goes on by a right that is no more (attack row 64), in this process and in all others.

Conversations of all protocols, sockets of browsers and of programs: each was let in by a password, perhaps also by a
session or a token, and by what its user may do. Every change of these is noted in the directory under an ascending
number, and each commit there wakes us. Woken, or after some seconds in case the wake-up was lost, we read whose rights
changed since, and compare for these only what each came in with against what is there now.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailstead.model.directory import Credentials
from mailstead.model.envelope import Actor
from mailstead.model.errors import MailsteadError
from mailstead.model.ids import AccountId
from mailstead.model.people import UserId, owner_of
from mailstead.policy.oidc import link_fingerprint
from mailstead.ports.changebus import DIRECTORY, ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.people import Factors, People
from mailstead.ports.storage import Directory, Storage
from mailstead.telemetry import log
from mailstead.usecases.factors import kinds_of
from mailstead.usecases.passwords import fingerprint

LOOK_S: Final = 5.0
"""How long a lost wake-up can keep a revoked session alive."""

_log = log.get("accounts")


@dataclass(slots=True)
class _Watcher:
    actor: Actor
    callback: Callable[[], None]
    ends_at: datetime | None = None
    """When the app password, the token or the session runs out; known after the first comparison."""


class Revocations:
    """Who watches whose rights. Runs one task while anybody does."""

    def __init__(self, storage: Storage, bus: ChangeBus, clock: Clock) -> None:
        self._directory = storage.directory
        self._people = storage.people
        self._factors = storage.factors
        self._bus = bus
        self._clock = clock
        self._watchers: dict[str, dict[object, _Watcher]] = {}
        """By `_keys`."""
        self._ending: dict[object, _Watcher] = {}
        """Those that end at a moment known beforehand."""
        self._fresh: set[str] = set()
        """Whose newest watcher was not compared yet: the password may have changed during its log-in."""
        self._seen = 0
        self._has_changed = True
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def watch(self, actor: Actor, callback: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `callback` once, on the event loop, when what the actor came in with is no longer valid."""
        return self._watched(actor, callback)

    async def close(self) -> None:
        """End the task."""
        self._watchers.clear()
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @contextlib.contextmanager
    def _watched(self, actor: Actor, callback: Callable[[], None]) -> Iterator[None]:
        keys = _keys(actor)
        if not keys:  # an administrator on the command line has no password
            yield
            return
        token, watcher = object(), _Watcher(actor, callback)
        for key in keys:
            self._watchers.setdefault(key, {})[token] = watcher
        self._fresh.add(keys[0])
        self._woken.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())
        try:
            yield
        finally:
            self._forget(token, watcher)
            if not self._watchers:
                self._woken.set()  # lets the task end

    def _forget(self, token: object, watcher: _Watcher) -> bool:
        """Give whether it was there still."""
        was_there = False
        self._ending.pop(token, None)
        for key in _keys(watcher.actor):
            watchers = self._watchers.get(key)
            if watchers is not None:
                was_there = watchers.pop(token, None) is not None or was_there
                if not watchers:
                    del self._watchers[key]
        return was_there

    def _wake(self) -> None:
        self._has_changed = True
        self._woken.set()

    async def _run(self) -> None:
        with self._bus.watch(DIRECTORY, self._wake):
            self._has_changed = True
            while self._watchers:
                try:
                    async with asyncio.timeout(LOOK_S):
                        await self._woken.wait()
                except TimeoutError:
                    self._has_changed = True
                self._woken.clear()
                try:
                    await self._compare()
                except MailsteadError as error:
                    # the store is not available just now: the next look makes up for it
                    self._has_changed = True
                    _log.warning("revocations not read", error=error.public_text, **error.log_fields)

    async def _compare(self) -> None:
        asked: set[str] = set()
        if self._has_changed:
            self._has_changed = False
            changes = await self._directory.credential_changes(self._seen)
            self._seen = changes.latest
            asked |= changes.account_ids & self._watchers.keys()
        self._fresh, fresh = set(), self._fresh
        waiting = asked | (fresh & self._watchers.keys())
        while waiting:
            key = waiting.pop()
            try:
                await self._compare_all(key)
            except MailsteadError:
                self._fresh |= waiting | {key}
                raise
        now = self._clock.now()
        for token, watcher in tuple(self._ending.items()):
            if watcher.ends_at is not None and watcher.ends_at <= now and self._forget(token, watcher):
                watcher.callback()

    async def _compare_all(self, key: str) -> None:
        comparison = _Comparison(self._directory, self._people, self._factors)
        for token, watcher in tuple(self._watchers.get(key, {}).items()):
            is_good, watcher.ends_at = await comparison.compare(watcher.actor)
            if is_good and watcher.ends_at is not None and token in self._watchers.get(key, {}):
                self._ending[token] = watcher
            if not is_good and self._forget(token, watcher):  # a callback, or a wait, may have ended others
                watcher.callback()


class _Comparison:
    """Compares those of one key; what several have in common is read once."""

    def __init__(self, directory: Directory, people: People, factors: Factors) -> None:
        self._directory = directory
        self._people = people
        self._factors = factors
        self._marks: dict[AccountId, dict[bytes, datetime | None]] = {}
        self._mains: dict[AccountId, bytes] = {}
        """Of main passwords."""

    async def compare(self, actor: Actor) -> tuple[bool, datetime | None]:
        """Whether all is there still that the actor came in with; and until when that is so, if that is known."""
        ends: list[datetime | None] = []
        if actor.account_id is not None:
            marks = await self._marks_of(actor.account_id)
            if actor.fingerprint not in marks:
                return False, None
            ends.append(marks[actor.fingerprint])
            is_program_by_main = actor.session_id is None and actor.fingerprint == self._mains.get(actor.account_id)
            if is_program_by_main and kinds_of(await self._factors.factors(owner_of(None, actor.account_id))):
                return False, None  # since a second factor is on, the main password is for people only (attack row 95)
        if actor.user_id is not None and not await self._has_rights(actor, actor.user_id):
            return False, None
        if actor.token_id is not None and actor.user_id is not None:
            tokens = {each.token_id: each for each in await self._people.tokens(actor.user_id)}
            if actor.token_id not in tokens:
                return False, None
            ends.append(tokens[actor.token_id].expires_at)
        if actor.session_id is not None:
            there = await self._factors.sessions(owner_of(actor.user_id, actor.account_id))
            sessions = {each.session_id: each for each in there}
            if actor.session_id not in sessions:
                return False, None
            ends.append(sessions[actor.session_id].expires_at)
        return True, min((end for end in ends if end is not None), default=None)

    async def _has_rights(self, actor: Actor, user_id: UserId) -> bool:
        user = await self._people.user(user_id)
        if user is None or not user.is_enabled or user.is_admin != actor.is_admin:
            return False
        if dict(actor.groups) != await self._people.memberships(user_id):
            return False
        if user.account_id is not None:
            # A token acts for the user only, but not when the account that the user is has been switched off.
            return actor.account_id == user.account_id or bool(await self._marks_of(user.account_id))
        if actor.token_id is not None:
            return actor.account_id is None
        verifier = await self._people.verifier(user_id)
        return actor.account_id is None and actor.fingerprint == (fingerprint(verifier) if verifier else b"")

    async def _marks_of(self, account_id: AccountId) -> dict[bytes, datetime | None]:
        """Give the fingerprints of what logs in to an account, and until when each does."""
        if account_id not in self._marks:
            account = await self._directory.account(account_id)
            credentials = await self._directory.credentials(account.address) if account else None
            self._marks[account_id] = _marks(credentials)
            if credentials is not None:  # whom a provider lets in, for as long as he is linked
                if credentials.password:
                    self._mains[account_id] = fingerprint(credentials.password)
                links = await self._factors.oidc_links(owner_of(None, account_id))
                self._marks[account_id] |= {link_fingerprint(each.issuer, each.subject): None for each in links}
        return self._marks[account_id]


def _keys(actor: Actor) -> list[str]:
    """Give under what changes are noted that concern an actor."""
    keys = [] if actor.account_id is None else [str(actor.account_id)]
    return keys if actor.user_id is None else [*keys, owner_of(actor.user_id, None)]


def _marks(credentials: Credentials | None) -> dict[bytes, datetime | None]:
    if credentials is None:
        return {}
    marks = {fingerprint(each.verifier): each.expires_at for each in credentials.app_passwords}
    if credentials.password:
        marks[fingerprint(credentials.password)] = None
    return marks
