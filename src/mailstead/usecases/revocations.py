"""Ending sessions whose password was changed or removed (attack row 64), in this process and in all others.

Every change of a password is noted in the directory under an ascending number, and each commit there wakes us. Woken,
or after some seconds in case the wake-up was lost, we read whose passwords changed since, and compare for these
accounts only what each session logged in with against what the account has now.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final

from mailstead.model.directory import Credentials
from mailstead.model.envelope import Actor
from mailstead.model.errors import MailsteadError
from mailstead.model.ids import AccountId
from mailstead.ports.changebus import DIRECTORY, ChangeBus
from mailstead.ports.storage import Directory
from mailstead.telemetry import log
from mailstead.usecases.passwords import fingerprint

LOOK_S: Final = 5.0
"""How long a lost wake-up can keep a revoked session alive."""

_log = log.get("accounts")

Watchers = dict[object, tuple[Actor, Callable[[], None]]]


class Revocations:
    """Who watches whose passwords. Runs one task while anybody does."""

    def __init__(self, directory: Directory, bus: ChangeBus) -> None:
        self._directory = directory
        self._bus = bus
        self._watchers: dict[AccountId, Watchers] = {}
        self._fresh: set[AccountId] = set()
        """Accounts whose newest watcher was not compared yet: the password may have changed during its log-in."""
        self._seen = 0
        self._has_changed = True
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def watch(self, actor: Actor, callback: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `callback` once, on the event loop, when the actor's password is no longer valid."""
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
        if actor.account_id is None:  # an administrator on the command line has no password
            yield
            return
        token = object()
        self._watchers.setdefault(actor.account_id, {})[token] = (actor, callback)
        self._fresh.add(actor.account_id)
        self._woken.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())
        try:
            yield
        finally:
            watchers = self._watchers.get(actor.account_id)
            if watchers is not None:
                watchers.pop(token, None)
                if not watchers:
                    del self._watchers[actor.account_id]
            if not self._watchers:
                self._woken.set()  # lets the task end

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
        asked: set[AccountId] = set()
        if self._has_changed:
            self._has_changed = False
            changes = await self._directory.credential_changes(self._seen)
            self._seen = changes.latest
            asked |= changes.account_ids & self._watchers.keys()
        self._fresh, fresh = set(), self._fresh
        for account_id in asked | (fresh & self._watchers.keys()):
            await self._compare_account(account_id)

    async def _compare_account(self, account_id: AccountId) -> None:
        try:
            account = await self._directory.account(account_id)
            credentials = await self._directory.credentials(account.address) if account else None
        except MailsteadError:
            self._fresh.add(account_id)
            raise
        left = _fingerprints(credentials)
        for token, (actor, callback) in tuple(self._watchers.get(account_id, {}).items()):
            watchers = self._watchers.get(account_id, {})
            if actor.fingerprint not in left and token in watchers:  # a callback may have ended others
                del watchers[token]
                callback()


def _fingerprints(credentials: Credentials | None) -> set[bytes]:
    if credentials is None:
        return set()
    verifiers = [app_password.verifier for app_password in credentials.app_passwords]
    if credentials.password:
        verifiers.append(credentials.password)
    return {fingerprint(verifier) for verifier in verifiers}
