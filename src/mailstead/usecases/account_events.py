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
from dataclasses import dataclass
from typing import Final

from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import MailsteadError, NoSuchAccount, NoSuchAlias, PolicyRefused
from mailstead.model.ids import AccountId
from mailstead.model.people import AddressEntry, ObjectId
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


@dataclass(frozen=True, slots=True)
class Listened:
    """Which account somebody may listen to, and how much is told."""

    account: Account
    object_id: ObjectId
    """Of its address: what the API calls alias id."""
    hears_content: bool
    """False: that something happened, and where, but no subjects, senders, texts. A user who looks after an address
    does not read its mail (docs/adr/0033)."""


class AccountEvents:
    """Who listens to which account. `close` ends all tasks."""

    def __init__(self, storage: Storage, bus: ChangeBus) -> None:
        self._storage = storage
        self._directory = storage.directory
        self._people = storage.people
        self._bus = bus
        self._feeds: dict[AccountId, _Feed] = {}

    async def listened(self, actor: Actor, object_id: str = "") -> Listened:
        """Give what the actor may listen to: the own account, or by a token an address that the user looks after.

        `object_id` names the address; an owner need not say it. Errors: NoSuchAlias, one and the same for an address
        that is not there, has no mailbox, or is others' (attack row 92); PolicyRefused, where a user names none.
        """
        if actor.token_id is None and actor.account_id is not None:
            account = await self._directory.account(actor.account_id)
            entry = await self._people.address_entry_of_account(actor.account_id)
            if account is not None and entry is not None and object_id in {"", entry.profile.object_id}:
                return Listened(account, entry.profile.object_id, hears_content=True)
        elif actor.token_id is not None:
            if not object_id:
                raise PolicyRefused("With an API token, alias_id says which mailbox is meant")
            domains = [each.name for each in await self._directory.domains()] if actor.is_admin else list(actor.groups)
            for domain in domains:
                entry = await self._people.address_entry(domain, object_id)
                if entry is not None and entry.profile.object_id == object_id:
                    return _looked_after(actor, domain, entry)
        raise NoSuchAlias("There is no such mailbox, or it is not yours to listen to")

    def watch(self, listened: Listened, deliver: Deliver) -> AbstractAsyncContextManager[None]:
        """Call `deliver`, on the event loop, with what happens in an account while the context is open.

        `deliver` must be quick, and keep from whoever does not hear it what is content. Errors, on entering: those of
        the store.
        """
        return self._watched(listened.account, deliver)

    async def close(self) -> None:
        """End all tasks."""
        for feed in tuple(self._feeds.values()):
            await feed.close()
        self._feeds.clear()

    @contextlib.asynccontextmanager
    async def _watched(self, account: Account, deliver: Deliver) -> AsyncIterator[None]:
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


def _looked_after(actor: Actor, domain: str, entry: AddressEntry) -> Listened:
    """Errors: NoSuchAlias."""
    is_own = entry.profile.user_id is not None and entry.profile.user_id == actor.user_id
    if isinstance(entry.owner, Account) and (actor.administers(domain) or is_own):
        return Listened(entry.owner, entry.profile.object_id, hears_content=False)
    raise NoSuchAlias("There is no such mailbox, or it is not yours to listen to")


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
            except NoSuchAccount:
                return  # removed: nothing happens in it any more
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
