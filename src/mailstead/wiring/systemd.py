"""The machine without Docker: its user, folders, systemd units and the command in its path.

The verbs are for `mailstead systemd` and `mailstead setup --stage start`; all of them may be called again. Units stand
as files in the package (`mailstead/systemd`), so installing the package is enough to have them.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from mailstead.config.edit import change_file
from mailstead.config.load import load
from mailstead.config.settings import Settings
from mailstead.model.errors import NotAllowed
from mailstead.ports.versions import MachineFailed
from mailstead.wiring.master_key import master_key_file

USER: Final = "mailstead"
SETTINGS_FILE: Final = Path("/etc/mailstead/mailstead.toml")
HOME: Final = Path("/opt/mailstead")
COMMAND: Final = Path("/usr/local/bin/mailstead")
UNITS: Final = Path("/etc/systemd/system")
SERVICE: Final = "mailstead.service"
RECOVER: Final = "mailstead-recover.service"
UPDATE: Final = "mailstead-update.service"
TIMER: Final = "mailstead-update.timer"
WANTED: Final = "mailstead-update-wanted.service"
WANTED_PATH: Final = "mailstead-update-wanted.path"
WISH_NAME: Final = "update-wanted"
"""In the data folder: an update that was wished for on the page."""
JOURNAL_NAME: Final = "update.json"
"""In the home of versions: where an update stands whose end is not reached."""

DEFAULTS: Final = {
    "server.data_dir": "/var/lib/mailstead",
    "store.master_key_file": "/var/lib/mailstead-keys/master.key",
    "backup.key_file": "/var/lib/mailstead-keys/backup.key",
    "mx.listen": ":25",
    "submission.listen": ":587",
    "submission.listen_tls": ":465",
    "imap.listen": ":143",
    "imap.listen_tls": ":993",
    "pop3.listen": ":110",
    "pop3.listen_tls": ":995",
    "sieve.listen": ":4190",
    "web.listen": ":80",
    "web.listen_tls": ":443",
}
"""What a settings file says at first, ``section.name`` → text: places and ports, as in the image."""

STOP_RESERVE_S: Final = 20
"""How much longer than server.stop_limit_s systemd waits before it kills."""
_OURS: Final = "Made by `mailstead systemd install`"
_STATE_FOLDERS: Final = (Path("/var/lib/mailstead"), Path("/var/lib/mailstead-keys"))
"""Made by systemd for the service (StateDirectory)."""
_S3: Final = "s3://"


Run = Callable[[Sequence[str]], str]
"""Runs a program of the machine and gives what it printed. Errors: MachineFailed, with its own words."""


def run_program(words: Sequence[str]) -> str:
    """Run a program and give what it printed. Errors: MachineFailed."""
    try:
        done = subprocess.run(  # noqa: S603  # the words are ours
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        raise MachineFailed(f"{words[0]} cannot be run: {error.strerror}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise MachineFailed(f"`{' '.join(words)}` ended with {done.returncode}: {said}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Place:
    """Where the running Mailstead is installed."""

    program: Path
    """The command that units run."""
    home: Path | None
    """The folder of `versions` and `current`; None for other kinds of installation, which `update` cannot change."""


def place_of(prefix: Path) -> Place:
    """Give the place of the environment (venv) in `prefix`: a version of a home, or something else."""
    real = prefix.resolve()
    home = real.parent.parent
    if real.parent.name == "versions" and (home / "current").resolve() == real:
        return Place(home / "current" / "bin" / "mailstead", home)
    return Place(prefix / "bin" / "mailstead", None)


def this_place() -> Place:
    """Give the place of this very process."""
    return place_of(Path(sys.prefix))


def shipped(name: str) -> str:
    """Give a file of the package's folder of units."""
    return (resources.files("mailstead") / "systemd" / name).read_text("utf-8")


def unit_files(settings: Settings, place: Place, settings_file: Path = SETTINGS_FILE) -> dict[str, str]:
    """Give the units for these settings: name → text. Folders of the settings that the service writes are writable."""
    journal = (place.home or HOME) / JOURNAL_NAME
    folders = [folder for folder in written_folders(settings) if not _is_in_state(folder)]
    values = {
        "@program@": str(place.program),
        "@settings@": str(settings_file),
        "@journal@": str(journal),
        "@wish@": str(settings.server.data_dir / WISH_NAME),
        "@stop_s@": str(int(settings.server.stop_limit_s) + STOP_RESERVE_S),
        "@writable@\n": "".join(f'ReadWritePaths="{folder}"\n' for folder in folders) + "\n",
    }
    if place.home:
        return {name: _filled(shipped(name), values) for name in (SERVICE, RECOVER, UPDATE, TIMER, WANTED, WANTED_PATH)}
    lines = _filled(shipped(SERVICE), values).splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith(("AssertPathExists=", "# An update ", "# An update")))
    return {SERVICE: text.replace(f" {RECOVER}", "")}  # nothing that updates, so nothing to go back from


def command_file(place: Place, settings_file: Path = SETTINGS_FILE) -> str:
    """Give the command for the path, which runs as the service's user."""
    return _filled(shipped("command.sh"), {"@program@": str(place.program), "@settings@": str(settings_file)})


def _filled(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def written_folders(settings: Settings) -> list[Path]:
    """Give the folders that the service writes: data, keys, and where backups go, unless it is a bucket."""
    key_file = master_key_file(settings)
    backup = settings.backup
    folders = [
        settings.server.data_dir,
        *([key_file.parent] if key_file and settings.store.master_key_file else []),
        *([Path(backup.key_file).parent] if backup.key_file else []),
        *([Path(backup.target)] if backup.target and not backup.target.startswith(_S3) else []),
    ]
    return list(dict.fromkeys(folders))


def _is_in_state(folder: Path) -> bool:
    return any(folder == state or state in folder.parents for state in _STATE_FOLDERS)


class Systemd:
    """The verbs on this machine; only for root (NotAllowed)."""

    def __init__(
        self, place: Place | None = None, settings_file: Path = SETTINGS_FILE, *, run: Run = run_program
    ) -> None:
        self.place = place or this_place()
        self.settings_file = settings_file
        self._run = run

    def prepare(self, hostname: str) -> bool:
        """Make the user, and a settings file with `DEFAULTS` unless there is one; whether the file was made.

        Errors: NotAllowed, MachineFailed, BadSettings.
        """
        self._must_be_able()
        self._make_user()
        if self.settings_file.exists():
            return False
        self.settings_file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        change_file(self.settings_file, {"server.hostname": hostname, **DEFAULTS}, str(self.settings_file))
        return True

    def install_units(self) -> list[Path]:
        """Write units and the command as the settings file asks, with the folders they need; gives what has changed.

        Call it again when the settings name other folders. A running service goes on as it is until it is started anew.
        Errors: NotAllowed, MachineFailed, BadSettings.
        """
        self._must_be_able()
        self._make_user()
        settings = load(self.settings_file, {}).settings
        self._must_be_open_to_user()
        owner = pwd.getpwnam(USER)
        os.chown(self.settings_file, 0, owner.pw_gid)  # secrets may stand in it
        self.settings_file.chmod(0o640)
        if self.settings_file.parent == SETTINGS_FILE.parent:
            self.settings_file.parent.chmod(0o755)  # whatever root's umask made of it
        for folder in (*_STATE_FOLDERS, *written_folders(settings)):
            _make_folder(folder, owner.pw_uid, owner.pw_gid)
        files = {
            UNITS / name: text for name, text in unit_files(settings, self.place, self.settings_file).items()
        }  # fmt: skip
        changed = [path for path, text in files.items() if _write(path, text, 0o644)]
        command = command_file(self.place, self.settings_file)
        if (not COMMAND.exists() or _is_ours(COMMAND)) and _write(COMMAND, command, 0o755):
            changed.append(COMMAND)
        if changed:
            self._run(["systemctl", "daemon-reload"])
        if self.place.home:
            self._run(["systemctl", "enable", "--now", WANTED_PATH])
        if UNITS / WANTED_PATH in changed:
            self._run(["systemctl", "restart", WANTED_PATH])  # it may have watched another folder
        return changed

    def start_service(self) -> None:
        """Start the service, or start it anew, and at each boot from now on; it is ready when this ends.

        Errors: NotAllowed; MachineFailed, with the last lines of its log.
        """
        self._must_be_able()
        self._run(["systemctl", "enable", SERVICE])
        try:
            self._run(["systemctl", "restart", SERVICE])
        except MachineFailed as error:
            raise MachineFailed(f"{error}\n{self._log_of(SERVICE)}") from None

    def stop_service(self) -> None:
        """Stop the service; its conversations end in order. Errors: NotAllowed, MachineFailed."""
        self._must_be_able()
        self._run(["systemctl", "stop", SERVICE])

    def enable_updates(self) -> None:
        """Look for a newer version each night from now on. Errors: NotAllowed, MachineFailed."""
        self._must_be_able()
        if self.place.home is None:
            raise MachineFailed(f"{self.place.program} cannot be updated by itself: see `mailstead update --help`")
        self._run(["systemctl", "enable", "--now", TIMER])

    def disable_updates(self) -> None:
        """Look no more. Errors: NotAllowed, MachineFailed."""
        self._must_be_able()
        if (UNITS / TIMER).exists():
            self._run(["systemctl", "disable", "--now", TIMER])

    def remove_units(self) -> list[Path]:
        """Stop everything and take units and command away; gives what was there. Data, settings and user stay.

        Errors: NotAllowed, MachineFailed.
        """
        self._must_be_able()
        units = (WANTED_PATH, WANTED, TIMER, UPDATE, SERVICE, RECOVER)
        here = [UNITS / name for name in units if (UNITS / name).exists()]
        for path in here:
            if path.name in {WANTED_PATH, TIMER, SERVICE}:
                self._run(["systemctl", "disable", "--now", path.name])
        if _is_ours(COMMAND):
            here.append(COMMAND)
        for path in here:
            path.unlink()
        if here:
            self._run(["systemctl", "daemon-reload"])
        return here

    def _must_be_able(self) -> None:
        if os.geteuid() != 0:
            raise NotAllowed("Only root may change the services of this machine; try with sudo")
        if not Path("/run/systemd/system").is_dir():
            raise MachineFailed(
                "systemd does not run here. In a container, use compose.yaml; elsewhere, let your supervisor run "
                "`mailstead serve --init`"
            )
        program = self.place.program
        if any(program.is_relative_to(closed) for closed in ("/root", "/home", "/run/user")):
            raise MachineFailed(
                f"{program} lies in a home, which the service may not see: install Mailstead for the whole machine, "
                f"in {HOME}/versions (docs/without-docker.md)"
            )

    def _must_be_open_to_user(self) -> None:
        words = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--"]
        try:
            self._run([*words, str(self.place.program), "--version"])
        except MachineFailed as error:
            raise MachineFailed(
                f"The user {USER} cannot run {self.place.program}: see to it that others may read and enter its "
                f"folders (`chmod -R go+rX`). {error}"
            ) from None

    def _make_user(self) -> None:
        try:
            pwd.getpwnam(USER)
            grp.getgrnam(USER)
        except KeyError:
            words = ["--system", "--user-group", "--no-create-home", "--home-dir", "/var/lib/mailstead"]
            self._run(["useradd", *words, "--shell", "/usr/sbin/nologin", USER])

    def _log_of(self, unit: str) -> str:
        if shutil.which("journalctl") is None:
            return ""
        return self._run(["journalctl", "--no-pager", "--output=cat", "--lines=20", "--unit", unit])


def _make_folder(folder: Path, uid: int, gid: int) -> None:
    """Make a folder for the service's user; one that is there stays as it is."""
    try:
        if not folder.is_dir():
            folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
            os.chown(folder, uid, gid)
    except OSError as error:
        raise MachineFailed(f"The folder {folder} cannot be made: {error.strerror}") from None


def _write(path: Path, text: str, mode: int) -> bool:
    """Write a file at once, if it does not say that already; whether it was written. Errors: MachineFailed."""
    try:
        if path.exists() and path.read_text("utf-8") == text:
            return False
        beside = path.with_name(f".{path.name}.new")
        beside.write_text(text, "utf-8")
        beside.chmod(mode)
        beside.replace(path)
    except OSError as error:
        raise MachineFailed(f"{path} cannot be written: {error.strerror}") from None
    return True


def _is_ours(path: Path) -> bool:
    """Whether a command in the path is the one that we have made."""
    return path.is_file() and not path.is_symlink() and _OURS.encode() in path.read_bytes()[:200]
