"""Versions beside each other, each in an environment of its own, and the one that systemd runs.

::

    /opt/mailstead/versions/1.0.0      an environment (venv)
    /opt/mailstead/current             a link to the version that runs
    /opt/mailstead/update.log          what updates have done
    /opt/mailstead/update.json         while one is under way (ports.versions.Underway)

Implements `ports.versions.VersionHost`. Whatever touches the data runs as the service's user.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from email.parser import HeaderParser
from pathlib import Path
from typing import Final

from mailstead.model.errors import TryAgainLater
from mailstead.ports.backup import SCRATCH_FOLDER
from mailstead.ports.versions import MachineFailed, Underway
from mailstead.usecases.updates import order_of
from mailstead.wiring.systemd import JOURNAL_NAME, SERVICE, UNITS, USER, shipped

TRIAL: Final = "mailstead-trial.service"
PINS: Final = "mailstead/constraints.txt"
"""In the wheel: what it needs, by version and hash."""

_FOR_ONE_BOOT: Final = Path("/run/systemd/system")
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WHEEL: Final = re.compile(r"mailstead-([^-]+)-py3-none-any\.whl")
_ASIDE: Final = "failed-"
_LOOK_AGAIN_S: Final = 1.0
_LAST_CHARACTERS: Final = 1000


class VersionFolders:
    """The host of versions in `home`.

    `source`: a wheel, or a folder with all wheels that are needed; None: what pip is set up to ask.
    """

    def __init__(self, home: Path, settings_file: Path, data_dir: Path, source: Path | None = None) -> None:
        self._home = home
        self._settings_file = settings_file
        self._data_dir = data_dir
        self._source = source
        self._fetched = home / "fetched"
        self._wheel: Path | None = None
        self._journal = home / JOURNAL_NAME
        self._log = home / "update.log"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other updates out. Errors: TryAgainLater."""
        with (self._home / "update.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TryAgainLater("Another update is running on this machine") from None
            yield

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Let no signal end this process; programs that it runs do not hear of them either (`_run`)."""
        before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, action in before.items():
                signal.signal(number, action)

    def say(self, text: str) -> None:
        """Tell people and the log."""
        line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}\n"
        with suppress(OSError):  # the terminal may be gone, and the work has to go on
            sys.stderr.write(line)
            sys.stderr.flush()
        self._note_down(line)

    def current(self) -> str:
        """Give the version behind the link. Errors: MachineFailed."""
        try:
            return (self._home / "current").readlink().name
        except OSError as error:
            raise MachineFailed(f"{self._home / 'current'} is no link to a version: {error.strerror}") from None

    def is_serving(self) -> bool:
        """Whether systemd says that the service runs."""
        try:
            self._run("systemctl", "is-active", "--quiet", SERVICE)
        except MachineFailed:
            return False
        return True

    def obtain(self, wanted: str) -> str:
        """Fetch the wheel of a version, or of the newest. Errors: MachineFailed."""
        if self._source is None:
            shutil.rmtree(self._fetched, ignore_errors=True)
            name = f"mailstead=={wanted.removeprefix('v')}" if wanted else "mailstead"
            self._pip(self._program(self.current(), "python"), "download", "--no-deps", "--dest", self._fetched, name)
        wheel = self._newest_wheel(self._source or self._fetched, wanted)
        self._wheel = wheel
        return _version_of(wheel)

    def install(self, version: str) -> None:
        """Make an environment, with what the wheel's pins say, hashes checked. Errors: MachineFailed."""
        assert self._wheel is not None, "obtain comes first"
        folder = self._folder(version)
        pins = self._pins(self._wheel)
        shutil.rmtree(folder, ignore_errors=True)  # of an update that failed
        from_where: list[str | Path] = []
        if self._source is not None and self._source.is_dir():
            from_where = ["--no-index", "--find-links", self._source]
        python = self._program(version, "python")
        try:
            # Of the base, not of the environment that runs, which may be removed one day.
            base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
            self._run(base if base.exists() else sys.executable, "-m", "venv", folder)
            self._pip(python, "install", "--require-hashes", *from_where, "--requirement", pins)
            self._pip(python, "install", "--no-index", "--no-deps", self._wheel)
            self._pip(python, "check")
            told = self._run(self._program(version), "--version").strip()
            if told != f"mailstead {version}":
                raise MachineFailed(f"{self._wheel.name} calls itself {told}")
        except MachineFailed:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def back_up(self, version: str) -> str:
        """Let a version make a backup; gives the snapshot. Errors: MachineFailed."""
        told = self._mailstead(version, "--json", "backup")
        try:
            return str(json.loads(told)["snapshot"])
        except (ValueError, KeyError, TypeError):
            raise MachineFailed(f"`mailstead backup` of {version} did not say which snapshot it made") from None

    def drill(self, version: str) -> None:
        """Let a version take over a copy of the newest backup, and look it over. Errors: MachineFailed."""
        self._mailstead(version, "backup", "drill")

    def stop_service(self) -> None:
        """Stop it. Errors: MachineFailed."""
        self._run("systemctl", "stop", SERVICE)

    def start_service(self) -> None:
        """Start it, and wait until it is ready. Errors: MachineFailed."""
        self._forget_failure(SERVICE)
        try:
            self._run("systemctl", "start", SERVICE)
        except MachineFailed as error:
            raise MachineFailed(f"{error}\n{self._last_words(SERVICE)}") from None

    def note(self, underway: Underway | None) -> None:
        """Keep on the disk that an update is under way, or that it no longer is. Errors: MachineFailed."""
        try:
            if underway is None:
                self._journal.unlink(missing_ok=True)
            else:
                beside = self._journal.with_name(f".{JOURNAL_NAME}.new")
                with beside.open("w") as file:
                    json.dump(asdict(underway), file)
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(self._journal)
            _sync_folder(self._home)
        except OSError as error:
            raise MachineFailed(f"{self._journal} cannot be written: {error.strerror}") from None

    def noted(self) -> Underway | None:
        """Give what was noted. Errors: MachineFailed."""
        try:
            return Underway(**json.loads(self._journal.read_text()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise MachineFailed(
                f"{self._journal} cannot be understood ({error}): see update.log for the version and the snapshot"
            ) from None

    def note_failed(self, version: str) -> None:
        """Remember a version that was not well."""
        with suppress(OSError):
            (self._home / "update.failed").write_text(f"{version}\n")

    def failed(self) -> str:
        """Give the last version that was not well."""
        try:
            return (self._home / "update.failed").read_text().strip()
        except OSError:
            return ""

    def start_trial(self, version: str, limit_s: float) -> None:
        """Start a version as its own unit would, in a network of its own. Errors: MachineFailed."""
        # The words between versions: `--json systemd show` gives name → text, for the program that is asked.
        shown = self._run(self._program(version), "--json", "systemd", "show", environment=self._environment)
        try:
            unit = str(json.loads(shown)[SERVICE])
            folder = _FOR_ONE_BOOT / f"{TRIAL}.d"
            folder.mkdir(parents=True, exist_ok=True)
            (_FOR_ONE_BOOT / TRIAL).write_text(unit)
            for own in sorted((UNITS / f"{SERVICE}.d").glob("*.conf")):  # by `systemctl edit`
                shutil.copy(own, folder / f"10-{own.name}")
            (folder / "90-trial.conf").write_text(shipped("trial.conf").replace("@limit_s@", str(int(limit_s))))
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise MachineFailed(f"the unit of {version} cannot be made: {error}") from None
        self._run("systemctl", "daemon-reload")
        try:
            self._run("systemctl", "start", TRIAL)
        except MachineFailed as error:
            raise MachineFailed(f"{error}\n{self._last_words(TRIAL)}") from None

    def try_out(self, version: str, limit_s: float) -> None:
        """Ask all ports, then send a message through. Errors: MachineFailed."""
        number = self._run("systemctl", "show", "--property=MainPID", "--value", TRIAL).strip()
        inside = ("nsenter", f"--net=/proc/{number}/ns/net")
        end_s = time.monotonic() + limit_s
        while True:
            try:
                self._mailstead(version, "health", within=inside)
                break
            except MachineFailed:
                if time.monotonic() > end_s:
                    raise
            time.sleep(_LOOK_AGAIN_S)  # with workers, the first may be ready before the last; nobody tells
        self._mailstead(version, "trial", within=inside)

    def end_trial(self) -> None:
        """Stop the trial and remove its unit. Errors: MachineFailed, if it goes on."""
        if not (_FOR_ONE_BOOT / TRIAL).exists():
            return
        self._run("systemctl", "stop", TRIAL)
        self._forget_failure(TRIAL)
        shutil.rmtree(_FOR_ONE_BOOT / f"{TRIAL}.d", ignore_errors=True)
        (_FOR_ONE_BOOT / TRIAL).unlink()
        self._run("systemctl", "daemon-reload")

    def switch(self, version: str) -> None:
        """Let the link lead to a version, and write its units. Errors: MachineFailed."""
        try:
            beside = self._home / ".current.new"
            beside.unlink(missing_ok=True)
            beside.symlink_to(Path("versions") / version)
            beside.replace(self._home / "current")
            _sync_folder(self._home)
        except OSError as error:
            raise MachineFailed(f"{self._home / 'current'} cannot be changed: {error.strerror}") from None
        self._run(self._home / "current" / "bin" / "mailstead", "systemd", "install", environment=self._environment)

    def put_aside(self) -> None:
        """Move the data into a folder of `scratch`, of the same owner. Errors: MachineFailed."""
        try:
            owner = self._data_dir.stat()
            scratch = self._data_dir / SCRATCH_FOLDER
            number = 1 + max((int(each.name.removeprefix(_ASIDE)) for each in self._aside()), default=0)
            for folder in (scratch, scratch / f"{_ASIDE}{number}"):
                folder.mkdir(mode=0o700, exist_ok=True)
                os.chown(folder, owner.st_uid, owner.st_gid)
            for each in self._data_dir.iterdir():
                if each != scratch:
                    each.rename(scratch / f"{_ASIDE}{number}" / each.name)
        except OSError as error:
            raise MachineFailed(f"the data cannot be put aside: {error}") from None

    def restore(self, version: str, snapshot: str) -> None:
        """Let a version bring a snapshot back. Errors: MachineFailed."""
        self._mailstead(version, "restore", snapshot, "--send-queue")  # nothing was sent since

    def remove_aside(self) -> None:
        """Remove what was put aside."""
        for each in self._aside():
            shutil.rmtree(each, ignore_errors=True)

    def prune(self, kept: frozenset[str]) -> None:
        """Remove all other versions, and what was fetched."""
        for each in (self._home / "versions").iterdir():
            if each.name not in kept:
                shutil.rmtree(each, ignore_errors=True)
        shutil.rmtree(self._fetched, ignore_errors=True)

    @property
    def _environment(self) -> dict[str, str]:
        return {"MAILSTEAD_CONFIG": str(self._settings_file)}

    def _folder(self, version: str) -> Path:
        return self._home / "versions" / version

    def _program(self, version: str, name: str = "mailstead") -> Path:
        return self._folder(version) / "bin" / name

    def _aside(self) -> list[Path]:
        places = (self._data_dir / SCRATCH_FOLDER).glob(f"{_ASIDE}*")
        return [each for each in places if each.name.removeprefix(_ASIDE).isdigit()]

    @staticmethod
    def _newest_wheel(source: Path, wanted: str) -> Path:
        """Give the wheel of that version, or the newest. Errors: MachineFailed; BadSettings for a strange version."""
        found = sorted(source.iterdir()) if source.is_dir() else [source]
        wheels = [each for each in found if _WHEEL.fullmatch(each.name) and each.is_file()]
        fitting = [each for each in wheels if not wanted or order_of(_version_of(each)) == order_of(wanted)]
        if not fitting:
            there = ", ".join(each.name for each in wheels) or "no wheel of Mailstead"
            raise MachineFailed(f"{source} has no mailstead {wanted or ''}: there is {there}".replace(" :", ":"))
        return max(fitting, key=lambda each: order_of(_version_of(each)))

    def _pins(self, wheel: Path) -> Path:
        """Take the pins out of a wheel that is what its name says. Errors: MachineFailed."""
        self._fetched.mkdir(mode=0o700, exist_ok=True)
        pins = self._fetched / "constraints.txt"
        version = _version_of(wheel)
        try:
            with zipfile.ZipFile(wheel) as archive:
                about = HeaderParser().parsestr(archive.read(f"mailstead-{version}.dist-info/METADATA").decode())
                pins.write_bytes(archive.read(PINS))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise MachineFailed(f"{wheel.name} is no release of Mailstead: {error}") from None
        if (about["Name"], about["Version"]) != ("mailstead", version):
            raise MachineFailed(f"{wheel.name} calls itself {about['Name']} {about['Version']} inside")
        return pins

    def _mailstead(self, version: str, *words: str, within: Sequence[str] = ()) -> str:
        """Run a command of a version as the service's user, and give what it printed. Errors: MachineFailed."""
        as_user = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", "--")
        return self._run(*within, *as_user, self._program(version), *words, environment=self._environment)

    def _pip(self, python: Path, *words: str | Path) -> None:
        self._run(python, "-m", "pip", "--no-input", "--disable-pip-version-check", *words)

    def _run(self, *words: str | Path, environment: Mapping[str, str] | None = None) -> str:
        """Run a program, note down what it said, and give what it printed. Errors: MachineFailed."""
        # Settings come from the file alone, as for the service.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAILSTEAD_")}
        try:
            done = subprocess.run(  # noqa: S603  # the words are ours
                [str(word) for word in words],
                env={**inherited, **(environment or {})},
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                start_new_session=True,  # or Ctrl-C would reach it
                umask=0o022,
            )
        except OSError as error:
            raise MachineFailed(f"{words[0]} cannot be run: {error.strerror}") from None
        if done.returncode:
            line = " ".join(str(word) for word in words)
            self._note_down(f"$ {line}\n{done.stdout}{done.stderr}")
            said = (done.stderr.strip() or done.stdout.strip())[-_LAST_CHARACTERS:]
            raise MachineFailed(f"`{line}` ended with {done.returncode}: {said}")
        return done.stdout

    def _forget_failure(self, unit: str) -> None:
        """Let systemd start a unit anew that had failed often."""
        if self._run("systemctl", "show", "--property=ActiveState", "--value", unit).strip() == "failed":
            self._run("systemctl", "reset-failed", unit)

    def _last_words(self, unit: str) -> str:
        with suppress(MachineFailed):
            told = self._run("journalctl", "--no-pager", "--output=cat", "--lines=20", "--unit", unit)
            self._note_down(told)
            return told[-_LAST_CHARACTERS:]
        return ""

    def _note_down(self, text: str) -> None:
        with suppress(OSError), self._log.open("a") as log:
            log.write(text if text.endswith("\n") else f"{text}\n")


def _version_of(wheel: Path) -> str:
    found = _WHEEL.fullmatch(wheel.name)
    assert found is not None, wheel
    return found[1]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
