"""Tells whoever listens what happens in an account: one task for each account that somebody here listens to.

Woken by the change bus after each commit of any process, or after a while in case the wake-up was lost, it compares the
account with what it knew, and hands what happened to all who listen. What happens after `watch` was entered is told;
several changes between two looks may be told as one.

Spec: reference forwardemail 4.5.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from mailstead.model.envelope import Actor
from mailstead.model.errors import MailsteadError, NotAllowed
from mailstead.model.ids import AccountId
from mailstead.ports.changebus import ChangeBus, dav_topic
from mailstead.ports.storage import Storage
from mailstead.telemetry import log, metrics
from mailstead.usecases.dav_changes import DavChanges
from mailstead.usecases.happenings import Happening
from mailstead.usecases.mail_changes import MailChanges

LOOK_S: Final = 60.0
"""How often we look when nothing wakes us."""
RETRY_S: Final = 5.0
"""… after a look that failed."""

_log = log.get("api")

Deliver = Callable[[Sequence[Happening]], None]


class AccountEvents:
    """Who listens to which account. `close` ends all tasks."""

    def __init__(self, storage: Storage, bus: ChangeBus) -> None:
        self._storage = storage
        self._bus = bus
        self._feeds: dict[AccountId, _Feed] = {}

    def watch(self, actor: Actor, deliver: Deliver) -> AbstractAsyncContextManager[None]:
        """Call `deliver`, on the event loop, with what happens in the actor's account while the context is open.

        `deliver` must be quick. Errors, on entering: NotAllowed, without an account; those of the store.
        """
        return self._watched(actor, deliver)

    async def close(self) -> None:
        """End all tasks."""
        for feed in tuple(self._feeds.values()):
            await feed.close()
        self._feeds.clear()

    @contextlib.asynccontextmanager
    async def _watched(self, actor: Actor, deliver: Deliver) -> AsyncIterator[None]:
        account = None if actor.account_id is None else await self._storage.directory.account(actor.account_id)
        if account is None:
            raise NotAllowed("Only accounts have mail, calendars and contacts")
        account_id, token = account.account_id, object()
        feed = self._feeds.get(account_id)
        if feed is None:
            store = self._storage.accounts.of(account_id)
            changes = (MailChanges(account_id, store), DavChanges(account, store.dav))
            feed = self._feeds[account_id] = _Feed(account_id, self._bus, *changes)
        feed.listeners[token] = deliver
        try:
            await feed.begun()
            yield
        finally:
            del feed.listeners[token]
            if not feed.listeners:
                if self._feeds.get(account_id) is feed:
                    del self._feeds[account_id]
                await feed.close()


class _Feed:
    """One account that somebody listens to."""

    def __init__(self, account_id: AccountId, bus: ChangeBus, mail: MailChanges, dav: DavChanges) -> None:
        self.listeners: dict[object, Deliver] = {}
        self._account_id = account_id
        self._bus = bus
        self._mail = mail
        self._dav = dav
        self._mail_woken, self._dav_woken = asyncio.Event(), asyncio.Event()
        self._begin: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._watches = contextlib.ExitStack()

    async def begun(self) -> None:
        """Wait until everything is noted as it is. Errors: those of the store."""
        if self._begin is None:
            # Watched first: what is committed while we look wakes us for the next look.
            self._watches.enter_context(self._bus.watch(self._account_id, self._mail_woken.set))
            self._watches.enter_context(self._bus.watch(dav_topic(self._account_id), self._dav_woken.set))
            self._begin = asyncio.create_task(self._note())
        await asyncio.shield(self._begin)

    async def close(self) -> None:
        """End its tasks."""
        self._watches.close()
        tasks = [*self._tasks, *([self._begin] if self._begin is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _note(self) -> None:
        await self._mail.begin()
        await self._dav.begin()
        self._tasks = [
            asyncio.create_task(self._run(self._mail, self._mail_woken)),
            asyncio.create_task(self._run(self._dav, self._dav_woken)),
        ]

    async def _run(self, changes: MailChanges | DavChanges, woken: asyncio.Event) -> None:
        wait_s = LOOK_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await woken.wait()
            woken.clear()
            wait_s = LOOK_S
            try:
                told = await changes.look()
            except MailsteadError as error:
                # Put off: locked, or the store is not available just now.
                wait_s = RETRY_S
                _log.info("what happened is told later", error=error.public_text, account_id=self._account_id)
                continue
            except Exception:  # noqa: BLE001  logged with its stack, and counted
                metrics.BUGS.labels("account events").inc()
                _log.exception("what happened is not told", account_id=self._account_id)
                wait_s = RETRY_S
                continue
            if told:
                for deliver in tuple(self.listeners.values()):
                    deliver(told)
