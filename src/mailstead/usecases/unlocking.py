"""Opening sealed accounts by their log-ins, and forgetting their keys again some minutes after the last session.

Each process opens by log-ins of its own. While it has an account open it watches for mail that other processes have
sealed to it, and takes it in.

What opens an account: its main password, by argon2id; an app password, by its 130 bits of chance, said as it is or
proven by SCRAM, which shows its ClientKey to the server (RFC 5802 §3). The main password of a sealed account has no
SCRAM keys: 60,000 rounds of PBKDF2 are cheaper to guess at than argon2id, for whoever has both store and master key.

An app password that is older than the sealing opens nothing until it was used once while the account was open: then
its text is known, and it gets a way of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Final

from mailstead.model.directory import Account, Credentials, Verifier
from mailstead.model.envelope import Actor
from mailstead.model.errors import AccountLocked, MailsteadError, NotAllowed, TryAgainLater
from mailstead.model.ids import AccountId
from mailstead.model.secret import Secret
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.sealed import NewWrapping, WrapKind, Wrapping, sealed_topic
from mailstead.ports.storage import Storage
from mailstead.telemetry import log, metrics
from mailstead.usecases.passwords import HashCost, Passwords, fingerprint

IDLE_S: Final = 600.0
"""How long a key is held after the last session, or the last request of who has none, has ended."""
LOOK_S: Final = 60.0
"""How often each open account is looked at: should a wake-up be lost, and for the time above."""
MERGE_WAITED_S: Final = 5.0
"""How long a log-in waits for mail that has waited; the rest follows behind it."""
SALT_OCTETS: Final = 16
NOT_WRAPPED: Final = (
    "This account is sealed, and this app password is older than that: log in with the main password first, or make a "
    "new app password"
)

_log = log.get("sealed")


@dataclass(slots=True)
class _Opened:
    """An account that this process has open."""

    account: Account
    used_s: float
    opened_at: datetime
    hold_count: int = 0
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    merged: asyncio.Event = field(default_factory=asyncio.Event)
    watch: ExitStack = field(default_factory=ExitStack)
    task: asyncio.Task[None] | None = None


class Unlocking:
    """Which sealed accounts are open in this process. `close` locks them all."""

    def __init__(
        self, storage: Storage, bus: ChangeBus, clock: Clock, passwords: Passwords, *, idle_s: float = IDLE_S
    ) -> None:
        self._storage = storage
        self._sealed = storage.sealed
        self._bus = bus
        self._clock = clock
        self._passwords = passwords
        self._idle_s = idle_s
        self._open: dict[AccountId, _Opened] = {}
        self._merge: Callable[[Account], Awaitable[object]] | None = None

    def merge_by(self, merge: Callable[[Account], Awaitable[object]]) -> None:
        """Say who takes in what has waited, once an account is open."""
        self._merge = merge

    async def close(self) -> None:
        """Lock what is open."""
        for account_id in tuple(self._open):
            await self._lock(account_id)

    # coming in

    async def come_in(
        self, credentials: Credentials, verifier: Verifier, secret: Secret | None = None, client_key: bytes = b""
    ) -> None:
        """Open the account of who has just come in, by what it was; nothing happens for one that is not sealed.

        Errors: AccountLocked; TryAgainLater; of the store.
        """
        account = credentials.account
        if not account.is_sealed:
            return
        account_id = account.account_id
        is_main = credentials.password is not None and fingerprint(credentials.password) == fingerprint(verifier)
        if self._sealed.is_open(account_id):
            await self.attend(account)
            if not is_main:
                await self._wrap_if_new(credentials, verifier, secret, client_key)
            return
        wrappings = await self._sealed.wrappings(account_id)
        if not wrappings:  # sealing or unsealing was cut short: the server has the key
            return
        mark = mark_of(verifier)
        for wrapping in wrappings:
            if wrapping.mark != mark:
                continue
            key = await self._key(wrapping, secret, client_key)
            if key is not None and await self._sealed.open(account_id, wrapping, key):
                if is_main:
                    await self._forget_older(account, verifier)  # which a crash has left
                await self._opened(account)
                return
        raise AccountLocked(NOT_WRAPPED if not is_main else None, account_id=account_id)

    async def prove(self, account: Account, secret: Secret, kind: WrapKind) -> bool:
        """Open an account by a secret of that kind, whoever it is of; whether one was found."""
        for wrapping in await self._sealed.wrappings(account.account_id):
            if wrapping.kind is kind:
                key = await self._key(wrapping, secret, b"")
                if key is not None and await self._sealed.open(account.account_id, wrapping, key):
                    await self._opened(account)
                    return True
        return False

    def opened_at(self, account_id: AccountId) -> datetime | None:
        """Since when this process has an account open; None: it has not."""
        opened = self._open.get(account_id)
        return None if opened is None else opened.opened_at

    def holding(self, account_id: AccountId) -> AbstractContextManager[None]:
        """Keep an account open that is, until the context is left; for sessions."""
        return self._held(account_id)

    @contextlib.contextmanager
    def _held(self, account_id: AccountId) -> Iterator[None]:
        opened = self._open.get(account_id)
        if opened is None:
            yield
            return
        opened.hold_count += 1
        try:
            yield
        finally:
            opened.hold_count -= 1
            opened.used_s = self._clock.monotonic_s()

    async def attend(self, account: Account) -> None:
        """Begin or go on to look after an account whose key this process has."""
        opened = self._open.get(account.account_id)
        if opened is None:
            await self._opened(account)
        else:
            opened.used_s, opened.account = self._clock.monotonic_s(), account

    # ways to open

    async def password_wrapping(self, verifier: Verifier, secret: Secret) -> NewWrapping:
        """Make the way that a main password opens by. Errors: TryAgainLater."""
        cost = self._passwords.cost
        salt = fresh_salt()
        key = await self._passwords.derived_key(secret, salt, cost)
        now = self._clock.now()
        wrapping = Wrapping(WrapKind.PASSWORD, mark_of(verifier), salt, now, cost.iterations, cost.memory_kib)
        return NewWrapping(wrapping, key)

    async def app_wrappings(
        self, credentials: Credentials, verifier: Verifier, secret: Secret | None, client_key: bytes
    ) -> list[NewWrapping]:
        """Make the ways that an app password opens by: of its text both, of what SCRAM proves that one alone."""
        mark, now = mark_of(verifier), self._clock.now()
        made: list[NewWrapping] = []
        if secret is not None:
            salt = fresh_salt()
            made.append(NewWrapping(Wrapping(WrapKind.APP, mark, salt, now), _by_chance(secret, salt)))
            client_key = await self._passwords.client_key(
                secret, credentials.scram_salt, credentials.scram_iteration_count
            )
        if client_key and sha256(client_key).digest() == verifier.scram_stored_key:
            made.append(NewWrapping(Wrapping(WrapKind.APP_SCRAM, mark, b"", now), client_key))
        return made

    def recovery_wrapping(self, recovery_key: Secret) -> NewWrapping:
        """Make the way that a recovery key opens by."""
        salt = fresh_salt()
        wrapping = Wrapping(WrapKind.RECOVERY, WrapKind.RECOVERY.value, salt, self._clock.now())
        return NewWrapping(wrapping, _by_chance(recovery_key, salt))

    async def as_owner(self, actor: Actor, credentials: Credentials | None, password: Secret | None) -> Credentials:
        """Check that the actor has come in by the main password of a sealed account, or shows it; then it opens it.

        Whoever looks after the account does not give himself a key, not even while it is open.
        Errors: NotAllowed, AccountLocked.
        """
        if credentials is None or credentials.password is None:
            raise AccountLocked
        main = credentials.password
        if password is not None and await self._passwords.matching(password, credentials) is main:
            await self.come_in(credentials, main, password)
        elif actor.account_id != credentials.account.account_id or actor.fingerprint != fingerprint(main):
            raise NotAllowed("This account is sealed: log in with its password or show it; a recovery key sets another")
        return credentials

    async def set_password(
        self, actor: Actor, credentials: Credentials | None, password: Secret, old: Secret | None
    ) -> None:
        """Wrap the key anew, 32 octets, for who has come in with the main password, or shows it (`old`).

        Errors: NotAllowed, AccountLocked, PolicyRefused, TryAgainLater.
        """
        owned = await self.as_owner(actor, credentials, old)
        verifier = await self._passwords.make_sealed_verifier(password, owned.scram_salt, owned.scram_iteration_count)
        await self.change_password(owned, verifier, password)

    async def change_password(self, credentials: Credentials, verifier: Verifier, password: Secret) -> None:
        """Let another main password open an open account, and count.

        Its way is there before it counts, the old one until then: a crash between locks nobody out. Of several changes
        at once one wins; the others take nothing away but their own ways.

        Errors: AccountLocked; TryAgainLater, also where somebody else was quicker.
        """
        account, old = credentials.account, credentials.password
        assert old is not None
        await self._sealed.add_wrappings(account.account_id, [await self.password_wrapping(verifier, password)])
        if not await self._storage.directory.replace_password(account.account_id, old, verifier):
            await self.forget(account, [verifier])
            raise TryAgainLater("The password was changed by somebody else just now; please try again")
        await self._forget_older(account, verifier)

    async def add_app(self, credentials: Credentials, verifier: Verifier, secret: Secret) -> None:
        """Add the ways of a new app password. Errors: AccountLocked, TryAgainLater."""
        made = await self.app_wrappings(credentials, verifier, secret, b"")
        await self._sealed.add_wrappings(credentials.account.account_id, made)

    async def forget(self, account: Account, verifiers: Sequence[Verifier]) -> None:
        """Remove the ways of passwords that are gone."""
        marks = {mark_of(each) for each in verifiers}
        found = await self._sealed.wrappings(account.account_id)
        await self._sealed.remove_wrappings(account.account_id, [each for each in found if each.mark in marks])

    async def _forget_older(self, account: Account, verifier: Verifier) -> None:
        """Remove the ways of main passwords that were before this one, which counts.

        Newer ones are of changes that are just being made.
        """
        mark = mark_of(verifier)
        found = [each for each in await self._sealed.wrappings(account.account_id) if each.kind is WrapKind.PASSWORD]
        marks = [each.mark for each in found]
        if mark in marks and marks.index(mark):
            await self._sealed.remove_wrappings(account.account_id, found[: marks.index(mark)])

    async def _key(self, wrapping: Wrapping, secret: Secret | None, client_key: bytes) -> bytes | None:
        match wrapping.kind:
            case WrapKind.PASSWORD if secret is not None:
                cost = HashCost(wrapping.iterations, wrapping.memory_kib)
                return await self._passwords.derived_key(secret, wrapping.salt, cost)
            case WrapKind.APP | WrapKind.RECOVERY if secret is not None:
                return _by_chance(secret, wrapping.salt)
            case WrapKind.APP_SCRAM if client_key:
                return client_key
            case _:
                return None

    async def _wrap_if_new(
        self, credentials: Credentials, verifier: Verifier, secret: Secret | None, client_key: bytes
    ) -> None:
        """Give an app password its ways, at its first use while the account is open. Fails never."""
        account_id, mark = credentials.account.account_id, mark_of(verifier)
        kinds = {each.kind for each in await self._sealed.wrappings(account_id) if each.mark == mark}
        if WrapKind.APP in kinds or (secret is None and WrapKind.APP_SCRAM in kinds):
            return
        try:
            await self._sealed.add_wrappings(
                account_id, await self.app_wrappings(credentials, verifier, secret, client_key)
            )
        except MailsteadError as error:  # the next log-in tries again
            _log.warning("an app password opens nothing yet", account_id=account_id, error=error.public_text)

    # what is open

    async def _opened(self, account: Account) -> None:
        """Look after an account that was opened just now; waits some time for its waiting mail."""
        account_id = account.account_id
        opened = self._open.get(account_id)
        if opened is None:
            opened = self._open[account_id] = _Opened(account, self._clock.monotonic_s(), self._clock.now())
            # Watched before the first look: what comes in between is not missed.
            opened.watch.enter_context(self._bus.watch(sealed_topic(account_id), opened.woken.set))
            opened.task = asyncio.create_task(self._look_after(opened))
        opened.used_s = self._clock.monotonic_s()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MERGE_WAITED_S):
                await opened.merged.wait()

    async def _look_after(self, opened: _Opened) -> None:
        account_id = opened.account.account_id
        with contextlib.suppress(MailsteadError):  # a quota that was changed while nobody could
            await self._storage.accounts.set_quota(account_id, opened.account.quota_octets)
        is_first = True
        while True:
            opened.woken.clear()
            await self._merged(opened)
            opened.merged.set()
            if is_first:  # and not only when it is locked: a process may die before that
                await self._note_usage(account_id)
                is_first = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_S, self._idle_s)):
                    await opened.woken.wait()
            if self._is_idle(opened):
                # a task of its own: this one is ended by it
                locking = asyncio.create_task(self._lock(account_id, only_idle=True))
                await asyncio.shield(locking)

    async def _merged(self, opened: _Opened) -> None:
        if self._merge is None:
            return
        try:
            await self._merge(opened.account)
        except MailsteadError as error:
            _log.warning(
                "waiting mail is not taken in yet", account_id=opened.account.account_id, error=error.public_text
            )
        except Exception as error:  # noqa: BLE001  # the frontier: the mail waits on
            metrics.BUGS.labels("sealed").inc()
            _log.exception("waiting mail is not taken in yet", account_id=opened.account.account_id, exc_info=error)

    def _is_idle(self, opened: _Opened) -> bool:
        return not opened.hold_count and self._clock.monotonic_s() - opened.used_s >= self._idle_s

    async def _note_usage(self, account_id: AccountId) -> None:
        """Note what quota is measured by while it is locked. Fails never."""
        with contextlib.suppress(MailsteadError):
            usage = await self._storage.accounts.of(account_id).usage()
            await self._sealed.note_usage(account_id, usage.size_octets)

    async def lock_idle(self) -> None:
        """Lock what nobody has used for long."""
        for account_id in tuple(self._open):
            await self._lock(account_id, only_idle=True)

    async def lock(self, account_id: AccountId) -> None:
        """Lock an account in this process, whoever uses it."""
        await self._lock(account_id)

    async def _lock(self, account_id: AccountId, *, only_idle: bool = False) -> None:
        opened = self._open.get(account_id)
        if opened is None:
            return
        await self._note_usage(account_id)
        if (only_idle and not self._is_idle(opened)) or self._open.get(account_id) is not opened:
            return  # somebody has come in meanwhile
        del self._open[account_id]
        opened.watch.close()
        if opened.task is not None:
            opened.task.cancel()
        await self._sealed.lock(account_id)
        if opened.task is not None:
            await asyncio.gather(opened.task, return_exceptions=True)


def mark_of(verifier: Verifier) -> str:
    """Give by what a wrapping is known to be of this password: nothing that tells anything about it."""
    return fingerprint(verifier).hex()


def fresh_salt() -> bytes:
    """Make a salt."""
    return secrets.token_bytes(SALT_OCTETS)


def plain_letters(secret: Secret) -> str:
    """Give a key or app password without what people put between its letters."""
    return "".join(secret.reveal().replace("-", "").split()).lower()


def _by_chance(secret: Secret, salt: bytes) -> bytes:
    """Derive a key from a secret that nobody can guess: a slow hash would protect nothing."""
    return sha256(salt + plain_letters(secret).encode("utf-8", "replace")).digest()
