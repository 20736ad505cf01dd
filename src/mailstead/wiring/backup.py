"""Backups: the files of this data folder, the place that the settings name, and the key."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from mailstead import __version__
from mailstead.config.schema import entries
from mailstead.config.settings import Settings
from mailstead.model.errors import BadSettings, TryAgainLater
from mailstead.policy.retention import Retention
from mailstead.ports.backup import Objects
from mailstead.ports.clock import SystemClock
from mailstead.storage.embedded.keys import FileAccountKeys, master_key
from mailstead.storage.embedded.snapshots import FileStores
from mailstead.usecases.backup_vault import KEY_OCTETS, Vault, key_of, key_text
from mailstead.usecases.backups import Backups
from mailstead.wiring.house import ADMINISTRATOR, House

MASTER_KEY: Final = "master.key"
SETTINGS_FILE: Final = "settings.toml"
ENVIRONMENT: Final = "settings.env"
CERTIFICATE: Final = "certificate.pem"
CERTIFICATE_KEY: Final = "certificate.key"
"""Names of what lies outside of the data folder, in a snapshot."""

_LOCK: Final = "backup.lock"
_S3: Final = "s3://"


def make_backups(settings: Settings, settings_file: Path | None = None) -> Backups:
    """Give what makes backups of the data folder; the server may run or not. Errors: BadSettings, of the store."""
    data_dir = settings.server.data_dir
    master = master_key(data_dir, settings.store.master_key, settings.store.master_key_file)
    clock = SystemClock()
    outside = {MASTER_KEY: master, **_outside(settings, settings_file)}
    stores = FileStores(data_dir, master, FileAccountKeys(data_dir, master), clock, outside)
    return Backups(stores, make_vault(settings, backup_key(settings, makes=True)), clock, __version__)


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """See to it that one backup runs at a time on this machine. Errors: TryAgainLater, BadSettings."""
    folder = settings.server.data_dir
    try:
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadSettings(f"There is no data folder {folder}, or it is not yours: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise TryAgainLater("Another backup is running on this machine") from None
    finally:
        os.close(handle)


async def daily_backup(house: House, settings_file: Path | None, now: datetime) -> None:
    """Make the backup of the day, from its hour on, if there is none yet; at most one try an hour.

    Errors: BadSettings, BadBackup, BackupFailed; of the store.
    """
    settings = house.settings
    if now.hour < settings.backup.hour:
        return
    attempt, until = f"{now:%Y-%m-%dT%H}", now + timedelta(days=1)
    if await house.storage.memory.remember_first("backup", attempt, b"", now, until) is not None:
        return
    backups = make_backups(settings, settings_file)
    last = await backups.last_made_at(ADMINISTRATOR)
    if last is not None and last.date() == now.date():
        return
    with alone(settings):
        await backups.run(ADMINISTRATOR)
        await backups.prune(ADMINISTRATOR, retention(settings))


def make_vault(settings: Settings, key: bytes) -> Vault:
    """Give the vault at `backup.target`. Errors: BadSettings, if there is none."""
    return Vault(_objects(settings), key)


def retention(settings: Settings) -> Retention:
    """Give how long backups are kept."""
    backup = settings.backup
    return Retention(backup.daily_count, backup.weekly_count, backup.monthly_count)


def backup_key_file(settings: Settings) -> Path:
    """Give the place of the backup key."""
    data_dir = settings.server.data_dir.absolute()
    return Path(settings.backup.key_file or data_dir.with_name(f"{data_dir.name}.backup.key"))


def backup_key(settings: Settings, *, makes: bool = False) -> bytes:
    """Give the key, from the setting or its file; `makes`: a new one where there is none. Errors: BadSettings."""
    if settings.backup.key:
        return key_of(settings.backup.key.reveal())
    path = backup_key_file(settings)
    try:
        return key_of(path.read_text("ascii"))
    except FileNotFoundError:
        if not makes:
            raise BadSettings(
                f"There is no backup key in {path}: give the one that was printed, by --key-stdin or backup.key"
            ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"The backup key file {path} cannot be read: {error}") from None
    return keep_backup_key(settings, secrets.token_bytes(KEY_OCTETS))


def keep_backup_key(settings: Settings, key: bytes) -> bytes:
    """Write a key into its file, unless one is there, and give that which is there now. Errors: BadSettings."""
    path = backup_key_file(settings)
    write_secret(path, f"{key_text(key)}\n".encode())
    return key_of(path.read_text("ascii"))


def note_key_shown(settings: Settings, key: bytes) -> None:
    """Remember that a person has had the key before them, so that nobody need be reminded.

    Where nothing can be written beside the key (a secret that is mounted), nothing is remembered.
    """
    if settings.backup.key or is_key_shown(settings):
        return
    note = _shown_note(settings)
    with suppress(OSError, BadSettings):
        note.unlink(missing_ok=True)  # of another key
        write_secret(note, _key_mark(key))


def is_key_shown(settings: Settings) -> bool:
    """Whether somebody has had the key that is used now before them; without a key there is nothing to show."""
    if settings.backup.key or not backup_key_file(settings).exists():
        return True
    try:
        return _shown_note(settings).read_bytes() == _key_mark(backup_key(settings))
    except OSError:
        return False


def _shown_note(settings: Settings) -> Path:
    path = backup_key_file(settings)
    return path.with_name(f"{path.name}.shown")


def _key_mark(key: bytes) -> bytes:
    """Tell keys apart without telling them."""
    return f"{hashlib.sha256(b'shown ' + key).hexdigest()[:16]}\n".encode()


def write_secret(path: Path, octets: bytes) -> None:
    """Write a file for its owner only, whole or not at all; one that is there stays. Errors: BadSettings."""
    if path.exists():  # perhaps where only others may write
        return
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(handle)
        try:
            os.link(beside, path)  # fails if another process was first, where a rename would not
        except FileExistsError:
            return
        finally:
            beside.unlink()
    except OSError as error:
        raise BadSettings(f"{path} cannot be written: {error.strerror}") from None


def _outside(settings: Settings, settings_file: Path | None) -> Mapping[str, bytes]:
    places = {SETTINGS_FILE: settings_file, CERTIFICATE: None, CERTIFICATE_KEY: None}
    if settings.tls.certificate_file:
        places |= {CERTIFICATE: Path(settings.tls.certificate_file), CERTIFICATE_KEY: Path(settings.tls.key_file)}
    found: dict[str, bytes] = {ENVIRONMENT: variables} if (variables := _variables()) else {}
    for name, path in places.items():
        if path is not None:
            try:
                found[name] = path.read_bytes()
            except OSError as error:
                raise BadSettings(f"{path} cannot be read, so it cannot be backed up: {error.strerror}") from None
    return found


def _variables() -> bytes:
    """Give the settings that stand in the environment, a line each: containers have them nowhere else."""
    known = {entry.variable for entry in entries() if entry.key != "backup.key"}  # without which this is not read
    lines = [f"{name}={text}\n" for name, text in sorted(os.environ.items()) if name in known and "\n" not in text]
    return "".join(lines).encode()


def _objects(settings: Settings) -> Objects:
    backup = settings.backup
    if not backup.target:
        raise BadSettings("No place for backups is set: set backup.target to a folder, or to s3://bucket/prefix")
    if backup.target.startswith(_S3):
        from mailstead.storage.objects.s3 import S3Objects  # only who backs up to a bucket loads its client

        bucket, _, prefix = backup.target.removeprefix(_S3).partition("/")
        if not bucket:
            raise BadSettings(f"backup.target = {backup.target}: write s3://bucket or s3://bucket/prefix")
        return S3Objects(
            bucket,
            prefix.strip("/"),
            endpoint=backup.s3_endpoint,
            region=backup.s3_region,
            access_key_id=backup.s3_access_key_id,
            secret_access_key=backup.s3_secret_access_key,
        )
    from mailstead.storage.objects.folder import FolderObjects

    folder = Path(backup.target)
    if not folder.is_absolute():
        raise BadSettings(f"backup.target = {backup.target}: write the whole path of a folder, or s3://bucket/prefix")
    if folder.is_relative_to(settings.server.data_dir.absolute()):
        raise BadSettings(
            f"backup.target lies in the data folder {settings.server.data_dir}: name a place outside of it"
        )
    return FolderObjects(folder)
