"""What a set-up does besides: backups, updates, certificate, restore, and the end."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from mailstead.cli.errors import FOUND, USAGE
from mailstead.cli.setup.configure import Configured, ask_backup, settings_before, write_settings
from mailstead.cli.setup.options import Options
from mailstead.cli.setup.questions import Questions
from mailstead.cli.setup.start import as_service
from mailstead.cli.systemd import machine_errors
from mailstead.cli.terminal import Terminal

if TYPE_CHECKING:
    from mailstead.wiring.systemd import Systemd

SETTINGS_COPY: Final = "settings.toml"
"""In the data folder, where a restore could put it nowhere else."""


def as_json(done: Configured) -> dict[str, object]:
    """Give for machines what came of the questions; secrets are left out."""
    from mailstead.config.schema import entries

    secret = {entry.key for entry in entries() if entry.is_secret}
    return {
        "findings": [
            {"name": each.name, "status": each.status, "found": each.found, "advice": each.advice}
            for each in done.findings
        ],
        "settings": {key: text for key, text in done.settings.items() if key not in secret},
        "written_to": str(done.file),
    }


def backups(terminal: Terminal, questions: Questions, options: Options, file: Path) -> None:
    """Ask where backups go, and write it."""
    with terminal.clear_errors():
        settings = ask_backup(terminal, questions, options, settings_before(terminal, options, file))
        write_settings(settings, options.env_file, file)
    destination = options.env_file or file
    how = (
        "docker compose up -d --wait; then docker compose exec mailstead mailstead backup"
        if options.env_file
        else "systemctl restart mailstead; then mailstead backup"
    )
    terminal.say(
        f"Written to {destination}. Next: {how}. Then print the key (`mailstead backup key`) and put the paper away.",
        {"written_to": str(destination), "target": settings["backup.target"]},
    )


def auto_update(terminal: Terminal, questions: Questions, file: Path) -> None:
    """Look for a newer version each night, or no more."""
    machine = _machine(terminal, file)
    is_wanted = questions.confirm("Look for a newer version each night, and go back by itself if it is not well?")
    with machine_errors(terminal):
        if is_wanted:
            machine.enable_updates()
        else:
            machine.disable_updates()
    said = "A newer version is looked for each night, from 01:00" if is_wanted else "No newer version is looked for"
    terminal.say(said, {"is_daily": is_wanted})


def renew(terminal: Terminal, file: Path) -> None:
    """Order a new certificate now."""
    _machine(terminal, file)
    _go_on(as_service(file, ["certificate", "renew"]))


def restore(terminal: Terminal, questions: Questions, options: Options, file: Path) -> None:
    """Bring a lost machine back onto this one, which has no data yet: asked is where backups are, and their key."""
    machine = _machine(terminal, file)
    with terminal.clear_errors():
        before = settings_before(terminal, options, file)
        where = ask_backup(terminal, questions, options, before)
        if not where["backup.target"]:
            questions.refuse("--bucket", "without a place of backups nothing can come back")
        key = questions.secret(
            "MAILSTEAD_BACKUP_KEY", "Key of the backups, from the paper", os.environ.get("MAILSTEAD_BACKUP_KEY", "")
        )
    with machine_errors(terminal):
        machine.prepare(options.hostname or socket.getfqdn())
        write_settings(where, None, file)
        machine.install_units()
        machine.stop_service()
    _go_on(as_service(file, ["restore", "--key-stdin"], key))
    for copy in (
        before.server.data_dir.with_name(f"{before.server.data_dir.name}.settings.toml"),
        before.server.data_dir / SETTINGS_COPY,
    ):
        if copy.exists():
            shutil.copy2(file, file.with_name(f"{file.name}.before-restore"))
            shutil.copyfile(copy, file)
            copy.unlink()
    with machine_errors(terminal):
        machine.install_units()
        machine.start_service()
    terminal.say(
        "Everything is back, and the service runs. Records with the old address must change: see mailstead doctor",
        {"settings_file": str(file)},
    )


def _go_on(code: int) -> None:
    if code:
        raise typer.Exit(code)


def uninstall(terminal: Terminal, questions: Questions, file: Path) -> None:
    """Stop the service and take it away; data, keys and settings stay, as nobody could bring them back."""
    if not questions.assumes_yes and not questions.confirm(
        "Stop the mail server and take its service away?", proposal=False
    ):
        terminal.fail(FOUND, "Nothing was changed", "With --yes nobody is asked.", "NotConfirmed")
    machine = _machine(terminal, file)
    with machine_errors(terminal):
        removed = machine.remove_units()
    terminal.say(
        "\n".join(
            [f"Removed: {path}" for path in removed]
            + [f"Kept: {file}, /var/lib/mailstead, /var/lib/mailstead-keys. Remove them by hand, if you are sure."]
        ),
        {"removed": [str(path) for path in removed]},
    )


def _machine(terminal: Terminal, file: Path) -> Systemd:
    from mailstead.wiring.systemd import Systemd

    if not Path("/run/systemd/system").is_dir():
        terminal.fail(USAGE, "systemd does not run here", "With Docker, use self-hosting/setup.sh.", "NoSystemd")
    return Systemd(settings_file=file)
