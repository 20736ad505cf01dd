"""`mailstead systemd`: the service of a machine without Docker."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.errors import UNAVAILABLE
from mailstead.cli.terminal import Terminal, terminal_of

if TYPE_CHECKING:
    from mailstead.wiring.systemd import Systemd

app = typer.Typer(help="Run as a service of this machine, by systemd: units, user, folders.", no_args_is_help=True)


@contextmanager
def machine_errors(terminal: Terminal) -> Iterator[None]:
    """Turn what the machine refuses into exit code and text, as `Terminal.clear_errors` does for the house."""
    from mailstead.ports.versions import MachineFailed

    with terminal.clear_errors():
        try:
            yield
        except MachineFailed as error:
            terminal.fail(UNAVAILABLE, str(error), kind="MachineFailed")


def machine_of(terminal: Terminal) -> Systemd:
    """Give the machine, with the settings file of the command line or its usual one."""
    import os

    from mailstead.config.load import file_of
    from mailstead.wiring.systemd import SETTINGS_FILE, Systemd

    return Systemd(settings_file=(file_of(terminal.config, os.environ) or SETTINGS_FILE).absolute())


@app.command()
def show(context: typer.Context) -> None:
    """Print the units as `install` would write them."""
    from mailstead.config.load import load
    from mailstead.wiring.systemd import unit_files

    terminal = terminal_of(context)
    with machine_errors(terminal):
        machine = machine_of(terminal)
        # As the service will read it, which hears nothing of this shell's environment.
        settings = load(machine.settings_file if machine.settings_file.exists() else None, {}).settings
        units = unit_files(settings, machine.place, machine.settings_file)
    terminal.say("\n".join(f"# {name}\n{text}" for name, text in units.items()), units)


@app.command()
def install(
    context: typer.Context,
    hostname: Annotated[
        str, typer.Option(help="Name of the machine for a new settings file; else what it calls itself.")
    ] = "",
    starts: Annotated[bool, typer.Option("--start", help="Start the service, now and at each boot.")] = False,
    updates: Annotated[bool, typer.Option("--updates", help="Look for a newer version each night.")] = False,
) -> None:
    """Make user, folders, a first settings file and the units. Run again after a change of the settings' folders."""
    terminal = terminal_of(context)
    with machine_errors(terminal):
        machine = machine_of(terminal)
        made_settings = machine.prepare(hostname or socket.getfqdn())
        changed = machine.install_units()
        if starts:
            machine.start_service()
        if updates:
            machine.enable_updates()
    lines = [f"Settings: {machine.settings_file}" + (" (made)" if made_settings else "")]
    lines += [f"Written: {path}" for path in changed] or ["The units are as they should be"]
    lines += [] if starts else ["Next: see to the settings, then `mailstead systemd install --start`"]
    terminal.say("\n".join(lines), {"settings_file": str(machine.settings_file), "written": _texts(changed)})


@app.command()
def remove(context: typer.Context) -> None:
    """Stop the service and take its units away. Data, keys, settings and the user stay."""
    terminal = terminal_of(context)
    with machine_errors(terminal):
        removed = machine_of(terminal).remove_units()
    lines = [f"Removed: {path}" for path in removed] or ["There was nothing to remove"]
    terminal.say("\n".join(lines), {"removed": _texts(removed)})


def _texts(paths: list[Path]) -> list[str]:
    return [str(path) for path in paths]
