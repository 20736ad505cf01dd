"""Restoring: a whole data folder, one account's mail, calendars and contacts, or a drill in a folder of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from mailstead.config.settings import Settings
from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import AccountLocked, BadBackup, BadSettings, StoreDamaged
from mailstead.model.queue import QueueQuery
from mailstead.model.secret import Secret
from mailstead.ports.backup import SCRATCH_FOLDER
from mailstead.telemetry import log, metrics
from mailstead.usecases.backup_vault import Snapshot
from mailstead.usecases.exports import Exports
from mailstead.usecases.imports import ImportReport, Imports
from mailstead.usecases.outgoing import Outgoing
from mailstead.usecases.restores import Progress, Restores
from mailstead.usecases.returning_objects import bring_back
from mailstead.wiring.backup import (
    CERTIFICATE,
    CERTIFICATE_KEY,
    ENVIRONMENT,
    MASTER_KEY,
    SETTINGS_FILE,
    backup_key,
    make_vault,
    write_secret,
)
from mailstead.wiring.house import ADMINISTRATOR, House, open_house
from mailstead.wiring.master_key import master_key_file

LEFT_S: Final = 2 * 86400.0
"""A folder of a restore that is so old is nobody's."""

_log = log.get("backup")


@dataclass(frozen=True, slots=True)
class Restored:
    """What is there now."""

    snapshot: str
    file_count: int
    account_count: int
    message_count: int
    findings: tuple[str, ...]
    """What `mailstead check` says; nothing, as a rule."""
    held_count: int = 0
    """Recipients of mail that was waiting to go out, and is held now."""


async def restore_house(
    settings: Settings,
    restores: Restores,
    snapshot: Snapshot,
    progress: Progress | None = None,
    *,
    sends_queue: bool = False,
) -> Restored:
    """Bring back the data folder, its keys and certificates; the server must not run.

    Mail that was waiting to go out is held, as it may have gone out since; `sends_queue`: it goes out (again).
    Errors: BadBackup, BackupFailed, BadSettings (another master key is in the place of the right one).
    """
    master = snapshot.secrets[MASTER_KEY]
    place = master_key_file(settings)
    kept = settings.store.master_key.reveal() if place is None else ""
    if place is not None and place.exists():
        kept = place.read_text("ascii", "replace")
    if kept and master.hex() != kept.strip().lower() and kept.encode() != master:
        where = place or "the setting store.master_key"
        raise BadSettings(f"{where} holds another master key than the backup: move it away first, it may be needed")
    file_count = await restores.run(ADMINISTRATOR, snapshot, settings.server.data_dir, progress=progress)
    if place is not None:
        write_secret(place, f"{master.hex()}\n".encode())
    for name, path in ((CERTIFICATE, settings.tls.certificate_file), (CERTIFICATE_KEY, settings.tls.key_file)):
        if path and name in snapshot.secrets:
            write_secret(Path(path), snapshot.secrets[name])
    data_dir = settings.server.data_dir.absolute()
    for name in (SETTINGS_FILE, ENVIRONMENT):
        if name in snapshot.secrets:
            beside = data_dir.with_name(f"{data_dir.name}.{name}")
            # A service's user may write nothing beside its folder.
            copy = beside if os.access(data_dir.parent, os.W_OK) else data_dir / name
            write_secret(copy, snapshot.secrets[name])
    return await _looked_at(settings, snapshot, file_count, holds_queue=not sends_queue)


async def drill(
    settings: Settings, restores: Restores, snapshot: Snapshot, progress: Progress | None = None
) -> Restored:
    """Restore into a folder that is removed again, open everything and look it over. Errors: as `restore_house`."""
    async with _scratch(settings, snapshot) as scratch:
        folder = scratch.server.data_dir
        file_count = await restores.run(ADMINISTRATOR, snapshot, folder, progress=progress)
        return await _looked_at(scratch, snapshot, file_count)


async def monthly_drill(house: House, now: datetime) -> Restored | None:
    """Make the drill of the month, if there is a backup and nobody has; tell log and metrics how it went.

    Errors: BadBackup, BackupFailed, also in the metrics; of the store.
    """
    settings = house.settings
    restores = Restores(make_vault(settings, backup_key(settings, makes=True)))
    try:
        snapshot = await restores.pick(ADMINISTRATOR)
    except BadBackup:
        return None  # there is none yet
    month, until = f"{now:%Y-%m}", now + timedelta(days=40)
    if await house.storage.memory.remember_first("restore drill", month, b"", now, until) is not None:
        return None
    metrics.RESTORE_DRILL_FINDINGS.set(-1)
    restored = await drill(settings, restores, snapshot)
    metrics.RESTORE_DRILL_FINDINGS.set(len(restored.findings))
    facts = {"snapshot": restored.snapshot, "accounts": restored.account_count, "messages": restored.message_count}
    if restored.findings:
        _log.error("restore drill", findings=restored.findings[:10], **facts)
    else:
        _log.info("restore drill", **facts)
    return restored


@dataclass(frozen=True, slots=True)
class Landing:
    """Where what an account had comes back to, if not to its own mailboxes."""

    below: str = ""
    """A mailbox below which mail comes, and nothing else comes back."""
    beside: Account | None = None
    """Another account, which gets everything."""


async def restore_account(
    settings: Settings,
    restores: Restores,
    snapshot: Snapshot,
    address: Address,
    house: House,
    *,
    passwords: Sequence[Secret] = (),
    landing: Landing | None = None,
    progress: Progress = lambda _done, _total: None,
) -> ImportReport:
    """Bring back what an account had and has no more; what it has stays. An account that has gone is made again.

    `passwords`: of a sealed account, the one it had then and, if that is another one, the one it has.
    `progress` is told hundredths of the whole.

    Errors: BadBackup (the snapshot has no such account), BackupFailed; AccountLocked, AuthenticationFailed, of a sealed
    one; of the store.
    """
    landing = landing or Landing()
    async with _scratch(settings, snapshot) as scratch:
        folder = scratch.server.data_dir
        await restores.run(ADMINISTRATOR, snapshot, folder, wants=_is_of_house)
        async with open_house(scratch) as then:
            found = await then.storage.directory.find(address)
            credentials = await then.storage.directory.credentials(address)
        if not isinstance(found, Account):
            raise BadBackup(f"The snapshot {snapshot.name} has no account {address}")
        shutil.rmtree(folder)
        await restores.run(ADMINISTRATOR, snapshot, folder, wants=_of(found), progress=_part(progress, 0, 40))
        mail = folder.with_name("mail")
        async with open_house(scratch) as then:
            await _open(then, found, passwords[:1])
            owner = Actor(found.account_id, address, is_admin=True)
            await Exports(then.mailboxes).run(owner, mail, "maildir", progress=_part(progress, 40, 60))
        now = landing.beside or await house.storage.directory.find(address)
        if now is None:
            if credentials is None or credentials.password is None:
                raise BadBackup(f"The account {address} had no password; make it with `mailstead account add` first")
            now = await house.accounts.bring_back(ADMINISTRATOR, credentials)
        if not isinstance(now, Account):
            raise BadBackup(f"{address} is an alias now; remove it first")
        await _open(house, now, passwords[-1:])
        owner = Actor(now.account_id, now.address, is_admin=True)
        imports = Imports(house.mailboxes, message_octets_max=house.settings.smtp.message_octets_max)
        report = await imports.run(
            owner,
            mail,
            foreign_format="maildir",
            skips_duplicates=True,
            below=landing.below,
            progress=_part(progress, 60, 100),
        )
        if landing.below:
            return report
        async with open_house(scratch) as then:
            await _open(then, found, passwords[:1])
            report.object_count = await bring_back(
                then.storage.accounts.of(found.account_id).dav, house.storage.accounts.of(now.account_id).dav
            )
        return report


async def accounts_inside(settings: Settings, restores: Restores, snapshot: Snapshot) -> list[tuple[Account, int]]:
    """Give the accounts that a snapshot has, each with the octets of its files. Errors: as `restore_house`."""
    sizes: Counter[str] = Counter()
    for file in snapshot.files:
        if not _is_of_house(file.name):
            sizes[Path(file.name).stem] += sum(part.size_octets for part in file.parts)
    async with _scratch(settings, snapshot) as scratch:
        await restores.run(ADMINISTRATOR, snapshot, scratch.server.data_dir, wants=_is_of_house)
        async with open_house(scratch) as then:
            return [(each, sizes[each.account_id]) for each in await then.storage.directory.accounts()]


async def _open(house: House, account: Account, passwords: Sequence[Secret]) -> None:
    """Open a sealed account, and take in what waits for it. Errors: AccountLocked, AuthenticationFailed."""
    if not account.is_sealed:
        return
    if not passwords:
        raise AccountLocked("This account is sealed: its password brings it back, see --password-stdin")
    await house.accounts.log_in(str(account.address), passwords[0], Peer("127.0.0.1", 0), "web")
    await house.sealed_merging.merge(account)


def _of(account: Account) -> Callable[[str], bool]:
    """Tell the files that one account needs."""
    return lambda name: _is_of_house(name) or Path(name).stem == account.account_id


def _is_of_house(name: str) -> bool:
    """Whether a file is none of an account's."""
    return "/" not in name or "mark" in name


def _part(progress: Progress, begin: int, end: int) -> Progress:
    """Give what is told the progress of a part of the whole, which goes from `begin` to `end` hundredths."""
    return lambda done, total: progress(begin + (end - begin) * done // max(total, 1), 100)


@asynccontextmanager
async def _scratch(settings: Settings, snapshot: Snapshot) -> AsyncIterator[Settings]:
    """Give settings of a house in a folder that goes again; it lies where there is room for as much as there is."""
    place = settings.server.data_dir / SCRATCH_FOLDER
    place.mkdir(mode=0o700, exist_ok=True)
    for left in place.iterdir():  # by a process that died
        if left.stat().st_mtime < time.time() - LEFT_S:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield replace(
            settings,
            server=replace(settings.server, data_dir=Path(folder) / "data"),
            store=replace(
                settings.store, master_key=Secret(snapshot.secrets[MASTER_KEY].hex()), master_key_file=""
            ),
        )  # fmt: skip


async def _looked_at(settings: Settings, snapshot: Snapshot, file_count: int, *, holds_queue: bool = False) -> Restored:
    held_count = 0
    async with open_house(settings) as house:
        if holds_queue:
            held_count = await Outgoing(house.storage, house.clock).hold(ADMINISTRATOR, [QueueQuery()])
        accounts = await house.storage.directory.accounts()
        message_count = 0
        for account in accounts:
            # what is wrong with one is among the findings, and in a sealed one nobody can look; the others are there
            with suppress(StoreDamaged, AccountLocked):
                mailboxes = await house.storage.accounts.of(account.account_id).mailboxes()
                message_count += sum(mailbox.message_count for mailbox in mailboxes)
        findings = tuple([f"{each.account_id or 'house'}: {each.text}" async for each in house.storage.check()])
    return Restored(snapshot.name, file_count, len(accounts), message_count, findings, held_count)
