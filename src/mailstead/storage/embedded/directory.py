"""The directory: domains, accounts, addresses, aliases and credentials in one encrypted SQLite file.

Two threads, each with a connection: one commits, one reads, so that a log-in does not wait for another's sync. Each
call is one hop. What is asked often (who has this address, what may log in, our domains, what they sign with) is
remembered; the memory is forgotten at each commit of this process, at each wake-up from another one, and, should that
be lost, when ``PRAGMA data_version`` tells of a foreign commit, which is looked at once a second at most.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw

from mailstead.model.address import Address
from mailstead.model.directory import (
    Account,
    Alias,
    AppPassword,
    Credentials,
    DkimKey,
    Domain,
    DomainTerms,
    KeyState,
    Target,
    Verifier,
)
from mailstead.model.ids import AccountId
from mailstead.model.people import CatchAllPassword, ObjectId
from mailstead.ports.changebus import DIRECTORY, ChangeBus
from mailstead.ports.clock import Clock, SystemClock
from mailstead.ports.storage import CredentialChanges
from mailstead.storage.embedded import directory_file, directory_reads, directory_turns, directory_writes
from mailstead.storage.embedded.account_file import translated

ResultT = TypeVar("ResultT")

REMEMBERED_MAX: Final = 50_000
"""Answers kept; beyond that the oldest go. Wrong addresses are remembered too, so strangers could fill it."""
LOOK_S: Final = 1.0
"""How old the last look for commits of other processes may be."""


class EmbeddedDirectory:
    """Implements `ports.storage.Directory`. Make it on the event loop; `close` it at the end.

    Errors of the constructor: StoreDamaged (also for a wrong master key), StorageUnavailable, StorageFull.
    """

    def __init__(self, data_dir: Path, master: bytes, bus: ChangeBus, clock: Clock | None = None) -> None:
        path = data_dir / "directory.db"
        self._writer = directory_file.connect(path, master)
        self._reader = directory_file.connect(path, master)
        self._bus = bus
        self._clock = clock or SystemClock()
        self._write_thread = ThreadPoolExecutor(1, "directory-writer")
        self._read_thread = ThreadPoolExecutor(1, "directory-reader")
        self._remembered: dict[Hashable, Any] = {}
        self._generation = 0
        """Counts the times all was forgotten: an answer read before that is not remembered after it."""
        self._looked_s = float("-inf")
        self._data_version = -1
        self._look: asyncio.Future[None] | None = None
        self._watch: AbstractContextManager[None] = bus.watch(DIRECTORY, self._forget)
        self._watch.__enter__()

    async def close(self) -> None:
        """Finish what is under way and close the file."""
        self._watch.__exit__(None, None, None)
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        self._write_thread.shutdown()
        self._read_thread.shutdown()
        self._reader.close()
        self._writer.close()

    # reading

    async def domains(self) -> list[Domain]:
        """All domains by name."""
        found = await self.recall(("domains",), directory_reads.domains)
        return list(found)

    async def domain(self, name: str) -> Domain | None:
        """One domain."""
        return await self.recall(("domain", name), directory_reads.domain, name)

    async def accounts(self, domain: str | None = None) -> list[Account]:
        """All accounts, or those of one domain, by address."""
        return await self.look_up(directory_reads.accounts, domain)

    async def account(self, account_id: AccountId) -> Account | None:
        """One account by its key."""
        return await self.recall(("account", account_id), directory_reads.account, account_id)

    async def find(self, address: Address) -> Account | Alias | None:
        """Who has exactly this address; patterns and the catch-all are found by `patterns`."""
        return await self.recall(("find", address.key), directory_reads.find, address.key)

    async def patterns(self, domain: str) -> list[Alias]:
        """The aliases of a domain that are patterns, in the order of their creation, then its catch-all."""
        found = await self.recall(("patterns", domain), directory_reads.patterns, domain)
        return list(found)

    async def set_enabled(self, account_id: AccountId, *, is_enabled: bool, disabled_code: int | None) -> None:
        """Errors: NoSuchAccount."""
        await self.change(directory_turns.set_enabled, account_id, is_enabled, disabled_code)

    async def turn_into_account(
        self, account: Account, scram_salt: bytes, scram_iteration_count: int, password: Verifier
    ) -> None:
        """Errors: NoSuchAlias."""
        await self.change(directory_turns.turn_into_account, account, scram_salt, scram_iteration_count, password)

    async def turn_into_alias(self, account_id: AccountId, alias: Alias) -> None:
        """Errors: NoSuchAccount, NotAllowed."""
        await self.change(directory_turns.turn_into_alias, account_id, alias)

    async def rename_alias(self, address: Address, alias: Alias) -> None:
        """Errors: NoSuchAlias, AddressTaken."""
        await self.change(directory_turns.rename_alias, address, alias)

    async def catch_all_passwords(self, domain: str) -> list[CatchAllPassword]:
        """By creation."""
        return await self.look_up(directory_turns.catch_all_passwords, domain)

    async def add_catch_all_password(
        self, password: CatchAllPassword, scram_salt: bytes, scram_iteration_count: int, verifier: Verifier
    ) -> None:
        """Errors: NoSuchDomain, LimitReached, TryAgainLater."""
        await self.change(directory_turns.add_catch_all_password, password, scram_salt, scram_iteration_count, verifier)

    async def remove_catch_all_password(self, domain: str, password_id: ObjectId) -> None:
        """Errors: NoSuchKey."""
        await self.change(directory_turns.remove_catch_all_password, domain, password_id)

    async def addresses_of(self, account_id: AccountId) -> list[Address]:
        """The main address and every alias that leads only to this account."""
        found = await self.recall(("addresses", account_id), directory_reads.addresses_of, account_id)
        return list(found)

    async def aliases(self, domain: str | None = None) -> list[Alias]:
        """All aliases, or those of one domain, by address."""
        return await self.look_up(directory_reads.aliases, domain)

    async def credentials(self, address: Address) -> Credentials | None:
        """All verifiers of the enabled account whose main address this is."""
        return await self.recall(("credentials", address.key), directory_reads.credentials, address.key)

    async def credential_changes(self, since: int) -> CredentialChanges:
        """Whose credentials changed after `since`."""
        return await self.look_up(directory_reads.credential_changes, since)

    async def dkim_keys(self, domain: str) -> list[DkimKey]:
        """All signing keys of a domain, oldest first."""
        found = await self.recall(("dkim", domain), directory_reads.dkim_keys, domain)
        return list(found)

    # writing

    async def add_domain(self, domain: Domain) -> None:
        """Errors: DomainExists."""
        await self.change(directory_writes.add_domain, domain)

    async def remove_domain(self, name: str) -> None:
        """Errors: NoSuchDomain; DomainInUse while accounts or aliases have addresses in it."""
        await self.change(directory_writes.remove_domain, name)

    async def set_terms(self, name: str, terms: DomainTerms) -> None:
        """Errors: NoSuchDomain."""
        await self.change(directory_writes.set_terms, name, terms)

    async def add_account(
        self, account: Account, scram_salt: bytes, scram_iteration_count: int, password: Verifier
    ) -> None:
        """Insert if absent. Errors: AddressTaken, NoSuchDomain."""
        await self.change(directory_writes.add_account, account, scram_salt, scram_iteration_count, password)

    async def remove_account(self, account_id: AccountId) -> None:
        """Errors: NoSuchAccount."""
        await self.change(directory_writes.remove_account, account_id)

    async def set_quota(self, account_id: AccountId, quota_octets: int | None) -> None:
        """Errors: NoSuchAccount."""
        await self.change(directory_writes.set_quota, account_id, quota_octets)

    async def set_forwarding(self, account_id: AccountId, forward_to: Sequence[Target], *, keeps_copy: bool) -> None:
        """Errors: NoSuchAccount."""
        await self.change(directory_writes.set_forwarding, account_id, forward_to, keeps_copy)

    async def set_sending_limit(self, account_id: AccountId, sending_limit: int | None) -> None:
        """Errors: NoSuchAccount."""
        await self.change(directory_writes.set_sending_limit, account_id, sending_limit)

    async def add_alias(self, alias: Alias) -> None:
        """Insert if absent. Errors: AddressTaken, NoSuchDomain."""
        await self.change(directory_writes.add_alias, alias)

    async def replace_alias(self, alias: Alias) -> None:
        """Errors: NoSuchAlias."""
        await self.change(directory_writes.replace_alias, alias)

    async def remove_alias(self, address: Address) -> None:
        """Errors: NoSuchAlias."""
        await self.change(directory_writes.remove_alias, address.key)

    async def set_password(
        self, account_id: AccountId, scram_salt: bytes, scram_iteration_count: int, password: Verifier
    ) -> None:
        """Errors: NoSuchAccount, AccountLocked."""
        await self.change(
            directory_writes.set_unsealed_password, account_id, scram_salt, scram_iteration_count, password
        )

    async def replace_password(self, account_id: AccountId, old: Verifier, new: Verifier) -> bool:
        """See `Directory.replace_password`."""
        return await self.change(directory_writes.replace_password, account_id, old, new)

    async def add_app_password(
        self,
        account_id: AccountId,
        label: str,
        scopes: frozenset[str],
        verifier: Verifier,
        *,
        networks: tuple[str, ...] = (),
        expires_at: datetime | None = None,
    ) -> AppPassword:
        """Errors: NoSuchAccount, LimitReached."""
        created_at = self._clock.now().replace(microsecond=0)
        unnumbered = AppPassword(0, label, scopes, created_at, verifier, networks=networks, expires_at=expires_at)
        number = await self.change(directory_writes.add_app_password, account_id, unnumbered)
        return replace(unnumbered, app_password_id=number)

    async def remove_app_password(self, account_id: AccountId, app_password_id: int) -> None:
        """Errors: NoSuchAccount."""
        await self.change(directory_writes.remove_app_password, account_id, app_password_id)

    async def note_app_password_use(self, app_password_ids: Sequence[int], day: str) -> None:
        """See `Directory.note_app_password_use`. A look first: nearly every use is not the first of its day."""
        if unnoted := await self.look_up(directory_reads.unnoted_app_passwords, app_password_ids, day):
            await self.change(directory_writes.note_app_password_use, unnoted, day)

    async def add_dkim_keys(self, keys: Sequence[DkimKey]) -> None:
        """Add all or none. Errors: NoSuchDomain; AddressTaken, when the domain has such a selector."""
        await self.change(directory_writes.add_dkim_keys, keys)

    async def set_dkim_states(self, domain: str, states: Mapping[str, KeyState]) -> None:
        """Errors: NoSuchKey."""
        await self.change(directory_writes.set_dkim_states, domain, states)

    async def remove_dkim_key(self, domain: str, selector: str) -> None:
        """Errors: NoSuchKey."""
        await self.change(directory_writes.remove_dkim_key, domain, selector)

    # the hops

    def now(self) -> datetime:
        """Give the moment by the store's clock."""
        return self._clock.now()

    async def change(self, write: Callable[..., ResultT], *arguments: Any) -> ResultT:
        """Do one unit of work on the file; all that is remembered is forgotten after it."""
        loop = asyncio.get_running_loop()
        hop = loop.run_in_executor(self._write_thread, _transaction, self._writer, write, arguments)
        # Whoever asked may be cancelled; what was committed is to be told all the same.
        hop.add_done_callback(self._written)
        return await asyncio.shield(hop)

    async def change_aside(self, write: Callable[..., ResultT], *arguments: Any) -> ResultT:
        """Do one unit of work on tables of which nothing is ever remembered, and forget nothing."""
        loop = asyncio.get_running_loop()
        return await asyncio.shield(
            loop.run_in_executor(self._write_thread, _transaction, self._writer, write, arguments)
        )

    def _written(self, hop: asyncio.Future[Any]) -> None:
        if not hop.cancelled() and hop.exception() is None:
            self._forget()
            self._bus.publish(DIRECTORY)

    async def look_up(self, read: Callable[..., ResultT], *arguments: Any) -> ResultT:
        """Read the file at one moment."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._read_thread, _snapshot, self._reader, read, arguments)

    async def recall(self, key: Hashable, read: Callable[..., ResultT], *arguments: Any) -> ResultT:
        """Give the remembered answer, or read and remember it."""
        if time.monotonic() - self._looked_s > LOOK_S:
            await self._look_for_others()
        if key in self._remembered:
            remembered: ResultT = self._remembered[key]
            return remembered
        generation = self._generation
        answer = await self.look_up(read, *arguments)
        if generation == self._generation:
            if len(self._remembered) >= REMEMBERED_MAX:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[key] = answer
        return answer

    async def _look_for_others(self) -> None:
        """Forget all if another process, or our own writer, has committed since the last look."""
        if self._look is None:  # one look serves all who wait for it
            self._look = asyncio.ensure_future(self._compare_data_version())
        await asyncio.shield(self._look)

    async def _compare_data_version(self) -> None:
        try:
            started_s = time.monotonic()
            version = await self.look_up(directory_reads.data_version)
            if version != self._data_version:
                self._data_version = version
                self._forget()
            self._looked_s = started_s
        finally:
            self._look = None

    def _forget(self) -> None:
        self._generation += 1
        self._remembered.clear()


def _snapshot(db: apsw.Connection, read: Callable[..., ResultT], arguments: tuple[Any, ...]) -> ResultT:
    """Run in the reading thread: one moment for all statements of a verb (promise 6)."""
    try:
        db.execute("BEGIN")
        try:
            return read(db, *arguments)
        finally:
            db.execute("ROLLBACK")
    except (apsw.Error, OSError) as error:
        raise translated(error) from error


def _transaction(db: apsw.Connection, write: Callable[..., ResultT], arguments: tuple[Any, ...]) -> ResultT:
    """Run in the writing thread: one unit of work, synced when this returns (promise 4)."""
    try:
        db.execute("BEGIN IMMEDIATE")
        try:
            result = write(db, *arguments)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
    except (apsw.Error, OSError) as error:
        raise translated(error) from error
    return result
