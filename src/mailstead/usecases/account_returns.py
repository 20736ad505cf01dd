"""What an account had in a backup comes back into the house that lives: looked at first, and nothing is written over.

A whole server is brought back by a command, as nothing may run meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import AccountLocked, Conflict, NoSuchAccount
from mailstead.model.secret import Secret
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.backup_vault import moment_of
from mailstead.usecases.house_jobs import HouseJob, HouseJobs, Progress

RETURN: Final = "restore"
TRIAL: Final = "drill"
"""Kinds of jobs."""
FOLDER: Final = "Restored"
TRIES_MAX: Final = 100


class Way(StrEnum):
    """Where it comes back to."""

    FOLDER = "folder"
    """Mail that is no longer in its mailbox, below a new mailbox ``Restored …``."""
    PLACE = "place"
    """What is no longer there, to its own mailboxes, calendars and address books."""
    BESIDE = "beside"
    """All of it, into a new account beside the present one."""


@dataclass(frozen=True, slots=True)
class Inside:
    """An account as a snapshot has it."""

    address: Address
    size_octets: int
    """Of its files: mail, calendars, contacts, index."""
    is_sealed: bool
    is_here: bool
    """The house has an account of that address now."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a snapshot."""

    name: str
    made_at: datetime
    release: str
    """Of Mailstead."""
    size_octets: int
    accounts: tuple[Inside, ...]


class SnapshotPlace(Protocol):
    """Where backups are. Errors of all: BadSettings, BadBackup, BackupFailed, saying what to do."""

    async def look(self, name: str) -> tuple[str, str, int, list[tuple[Account, int]]]:
        """Give name, release and size of a snapshot (the newest for an empty name), and its accounts with theirs."""

    async def bring_back(
        self, name: str, address: Address, below: str, beside: Account | None, progress: Progress
    ) -> Mapping[str, Any]:
        """Do it; `below`: a mailbox below which mail comes; `beside`: another account, which gets everything."""

    async def try_out(self, name: str, progress: Progress) -> Mapping[str, Any]:
        """Restore a snapshot aside, look it over, and remove it again."""


class AccountReturns:
    """All verbs are for administrators of the server (NotAllowed)."""

    def __init__(
        self, place: SnapshotPlace, storage: Storage, accounts: Accounts, jobs: HouseJobs, clock: Clock
    ) -> None:
        self._place = place
        self._storage = storage
        self._accounts = accounts
        self._jobs = jobs
        self._clock = clock

    async def look(self, actor: Actor, name: str = "") -> Contents:
        """Tell what is in a snapshot, the newest for an empty name; nothing is changed.

        Errors: BadSettings, BadBackup, BackupFailed.
        """
        actor.must_be_admin()
        found, release, size_octets, accounts = await self._place.look(name)
        here = {each.address.key for each in await self._storage.directory.accounts()}
        inside = tuple(
            Inside(each.address, octets, each.is_sealed, each.address.key in here) for each, octets in accounts
        )
        return Contents(found, moment_of(found), release, size_octets, inside)

    async def begin(
        self,
        actor: Actor,
        name: str,
        address: Address,
        way: Way,
        beside: tuple[Address, Secret] | None = None,
    ) -> HouseJob:
        """Begin to bring an account back. `beside`: address and password of the new account, for that way.

        Errors: BadBackup, BackupFailed, BadSettings; NoSuchAccount (not in the snapshot, or none here for a folder);
        AccountLocked (sealed: only its password opens it); of `Accounts.create` for the new account; Conflict.
        """
        contents = await self.look(actor, name)
        inside = next((each for each in contents.accounts if each.address.key == address.key), None)
        if inside is None or (way is Way.FOLDER and not inside.is_here):
            raise NoSuchAccount("There is no such account in this backup" if inside is None else None)
        if inside.is_sealed:
            raise AccountLocked("This account is sealed: only its password opens what is in the backup")
        if await self._jobs.is_under_way(actor):
            raise Conflict("Other work of this kind is under way; ask again when it is over")
        made: Account | None = None
        if way is Way.BESIDE:
            if beside is None:
                raise NoSuchAccount("Say which address the new account gets")
            made = await self._accounts.create(actor, *beside)
        below = await self._free_name(address, contents) if way is Way.FOLDER else ""

        async def work(progress: Progress) -> Mapping[str, Any]:
            found = await self._place.bring_back(contents.name, address, below, made, progress)
            return {**found, "folder": below, "beside": str(made.address) if made else ""}

        return await self._jobs.start(actor, RETURN, str(address), work)

    async def try_out(self, actor: Actor, name: str) -> HouseJob:
        """Begin to restore a snapshot aside, to see that it can be. Errors: Conflict."""
        actor.must_be_admin()

        async def work(progress: Progress) -> Mapping[str, Any]:
            return await self._place.try_out(name, progress)

        return await self._jobs.start(actor, TRIAL, name, work)

    async def last(self, actor: Actor) -> tuple[HouseJob | None, HouseJob | None]:
        """Give how the last return and the last trial went."""
        return await self._jobs.last(actor, RETURN), await self._jobs.last(actor, TRIAL)

    async def _free_name(self, address: Address, contents: Contents) -> str:
        """Give a name that no mailbox of the account has: what was brought back before is not mixed with this."""
        account = await self._storage.directory.find(address)
        if not isinstance(account, Account):
            raise NoSuchAccount
        there = {each.name for each in await self._storage.accounts.of(account.account_id).mailboxes()}
        first = f"{FOLDER} {contents.made_at:%Y-%m-%d %H.%M}"
        names = [first, *(f"{first} ({number})" for number in range(2, TRIES_MAX))]
        return next(
            (name for name in names if not any(each == name or each.startswith(f"{name}/") for each in there)), first
        )
