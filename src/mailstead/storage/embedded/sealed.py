"""`ports.sealed.Sealed` on key files, one file of waiting mail, and the accounts' own files."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import apsw
from cryptography.exceptions import InvalidTag

from mailstead.model.directory import Verifier
from mailstead.model.errors import AccountLocked, NoSuchAccount
from mailstead.model.ids import AccountId
from mailstead.model.message import Octets
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.sealed import Filed, NewWrapping, Waiting, WaitingMail, Wrapping, sealed_topic
from mailstead.storage.embedded import directory_writes, sealed_mail
from mailstead.storage.embedded.account_files import AccountFiles
from mailstead.storage.embedded.directory import EmbeddedDirectory
from mailstead.storage.embedded.keys import FileAccountKeys
from mailstead.storage.embedded.sealed_keys import mail_key
from mailstead.storage.embedded.side_file import FileKind, SideFiles
from mailstead.telemetry import log

FILE_NAME: Final = "sealed"
INLINE_OCTETS_MAX: Final = 16 * 1024
"""Smaller messages are sealed on the event loop: a hop to a thread would cost more."""

_log = log.get("storage.embedded")


class EmbeddedSealed:
    """Keys, the file of waiting mail, and who writes into the accounts."""

    def __init__(
        self,
        keys: FileAccountKeys,
        files: AccountFiles,
        side_files: SideFiles,
        directory: EmbeddedDirectory,
        bus: ChangeBus,
    ) -> None:
        """Open the file of waiting mail, made if it is not there. Errors: as `encrypted_file.connect`."""
        self._keys = keys
        self._files = files
        self._directory = directory
        self._bus = bus
        self._file = side_files.open(FileKind(FILE_NAME, sealed_mail.MIGRATIONS))

    # keys

    async def is_sealed(self, account_id: AccountId) -> bool:
        """See `Sealed.is_sealed`."""
        return await self._directory.recall(("sealed", account_id), _is_sealed, account_id)

    async def wrappings(self, account_id: AccountId) -> tuple[Wrapping, ...]:
        """See `Sealed.wrappings`."""
        sealed = await asyncio.to_thread(self._keys.sealed_key, account_id)
        return () if sealed is None else tuple(each.as_wrapping() for each in sealed.wraps)

    def is_open(self, account_id: AccountId) -> bool:
        """See `Sealed.is_open`."""
        return self._keys.is_open(account_id)

    async def seal(self, account_id: AccountId, password: Verifier, wrappings: Sequence[NewWrapping]) -> None:
        """See `Sealed.seal`. The directory says so first: for what it calls sealed the key file is asked, too."""
        await asyncio.to_thread(self._keys.account_key, account_id)
        await self._directory.change(_set_sealed, account_id, password, True)  # passed on by position
        await asyncio.to_thread(self._keys.seal, account_id, wrappings)

    async def unseal(self, account_id: AccountId, password: Verifier) -> None:
        """See `Sealed.unseal`."""
        await asyncio.to_thread(self._keys.unseal, account_id)
        await self._directory.change(_set_sealed, account_id, password, False)

    async def open(self, account_id: AccountId, wrapping: Wrapping, key: bytes) -> bool:
        """See `Sealed.open`."""
        return await asyncio.to_thread(self._keys.open, account_id, wrapping, key)

    async def lock(self, account_id: AccountId) -> None:
        """See `Sealed.lock`."""
        self._keys.lock(account_id)
        await asyncio.to_thread(self._files.open_accounts.drop, account_id)

    async def add_wrappings(self, account_id: AccountId, wrappings: Sequence[NewWrapping]) -> None:
        """See `Sealed.add_wrappings`."""
        await asyncio.to_thread(self._keys.add_wrappings, account_id, wrappings)

    async def remove_wrappings(self, account_id: AccountId, wrappings: Sequence[Wrapping]) -> None:
        """See `Sealed.remove_wrappings`."""
        await asyncio.to_thread(self._keys.remove_wrappings, account_id, wrappings)

    # mail that waits

    async def put(self, account_id: AccountId, facts: bytes, octets: Octets, quota_octets: int | None) -> None:
        """See `Sealed.put`."""
        sealed_key = await asyncio.to_thread(self._keys.sealed_key, account_id)
        if sealed_key is None:  # unsealed just now
            raise AccountLocked("The account is being unsealed; please try again", account_id=account_id)
        record_id = secrets.token_hex(16)
        size = len(octets)
        what = (sealed_key.public_key, account_id, record_id, facts, octets)
        is_small = size <= INLINE_OCTETS_MAX
        sealed = sealed_mail.sealed(*what) if is_small else await asyncio.to_thread(sealed_mail.sealed, *what)
        await self._file.write(
            lambda transaction: sealed_mail.put(transaction, account_id, record_id, size, sealed, quota_octets),
            grows=True,
        )
        self._bus.publish(sealed_topic(account_id))

    async def check_room(self, account_id: AccountId, size_octets: int, quota_octets: int | None) -> None:
        """See `Sealed.check_room`."""
        await self._file.read(lambda db: sealed_mail.check_room(db, account_id, size_octets, quota_octets))

    async def note_usage(self, account_id: AccountId, size_octets: int) -> None:
        """See `Sealed.note_usage`."""
        await self._file.write(lambda transaction: sealed_mail.note_usage(transaction, account_id, size_octets))

    async def waiting(self, account_id: AccountId, octets_max: int) -> list[WaitingMail]:
        """See `Sealed.waiting`."""
        data_key = await asyncio.to_thread(self._keys.account_key, account_id)
        private_key, after = mail_key(data_key), 0

        def read(db: apsw.Connection) -> tuple[int, list[WaitingMail]]:
            last, found = after, []
            for number, record_id, octets in sealed_mail.some(db, account_id, after, octets_max):
                last = number
                try:
                    facts, plain = sealed_mail.unsealed(private_key, account_id, record_id, octets)
                    found.append(WaitingMail(record_id, facts, plain))
                except InvalidTag:
                    _log.error("a message cannot be unsealed", account_id=account_id, record_id=record_id)
            return last, found

        while True:
            last, found = await self._file.read(read)
            if found or last == after:
                return found
            after = last  # what cannot be unsealed must not hold up the rest

    async def waiting_counts(self) -> dict[AccountId, Waiting]:
        """See `Sealed.waiting_counts`."""
        return await self._file.read(sealed_mail.counts)

    async def take_in(self, account_id: AccountId, record_id: str, filed: Sequence[Filed], now: datetime) -> bool:
        """See `Sealed.take_in`."""
        return await self._files.take_in(
            account_id, lambda transaction: sealed_mail.take_in(transaction, record_id, filed, now)
        )

    async def finished(self, account_id: AccountId, record_ids: Sequence[str]) -> None:
        """See `Sealed.finished`."""
        await self._file.write(lambda transaction: sealed_mail.remove(transaction, account_id, record_ids))

    async def forget(self, account_id: AccountId) -> None:
        """See `Sealed.forget`."""
        await self._file.write(lambda transaction: sealed_mail.forget(transaction, account_id))

    # consistency

    async def findings(self) -> list[tuple[AccountId, str]]:
        """What does not fit together between directory, key files and waiting mail."""
        sealed = set(await self._directory.look_up(_sealed_ids))
        found: list[tuple[AccountId, str]] = []
        for account_id in await self._files.accounts.ids():
            try:
                is_sealed = await asyncio.to_thread(self._keys.sealed_key, account_id) is not None
            except NoSuchAccount:
                continue
            if is_sealed and account_id not in sealed:
                found.append(
                    (account_id, "its key is sealed, and the directory does not say so: unseal or seal it again")
                )
            if account_id in sealed and not is_sealed:
                text = "sealing or unsealing was cut short; the server can read it: seal it again, or unseal it"
                found.append((account_id, text))
        for account_id in await self.waiting_counts():
            try:
                await asyncio.to_thread(self._keys.sealed_key, account_id)
            except NoSuchAccount:
                found.append((account_id, "sealed mail waits, and the account is gone"))
        return found


def _is_sealed(db: apsw.Connection, account_id: AccountId) -> bool:
    row = db.execute("SELECT is_sealed FROM account WHERE account_id = ?", (account_id,)).fetchone()
    return bool(row and row[0])


def _sealed_ids(db: apsw.Connection) -> list[AccountId]:
    rows: Any = db.execute("SELECT account_id FROM account WHERE is_sealed = 1").fetchall()
    return [AccountId(account_id) for (account_id,) in rows]


def _set_sealed(db: apsw.Connection, account_id: AccountId, password: Verifier, is_sealed: bool) -> None:
    """Say whether it is sealed, and give it the main password's verifier, at one moment. Errors: NoSuchAccount."""
    row: Any = db.execute(
        "SELECT scram_salt, scram_iteration_count FROM account WHERE account_id = ?", (account_id,)
    ).fetchone()
    if row is None:
        raise NoSuchAccount(account_id=account_id)
    directory_writes.set_password(db, account_id, row[0], row[1], password)
    db.execute("UPDATE account SET is_sealed = ? WHERE account_id = ?", (int(is_sealed), account_id))
