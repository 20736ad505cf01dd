"""`mailstead update`: another version of the program on a machine without Docker, and back if it is not well."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from mailstead.cli.errors import FOUND, NOT_ALLOWED, USAGE
from mailstead.cli.systemd import machine_errors
from mailstead.cli.terminal import Terminal, terminal_of

_IN_A_CONTAINER: Final = (Path("/.dockerenv"), Path("/run/.containerenv"))

_BY_IMAGE: Final = "In a container the program is part of the image: on the machine itself, run self-hosting/update.sh."
_BY_PIPX: Final = (
    "This one was installed by pipx, which keeps one version at a time. Make a backup (`mailstead backup`), stop the "
    "service, then `pipx upgrade mailstead`. The way back: `pipx install --force mailstead==VERSION`, an empty data "
    "folder, `mailstead restore`. To have it done for you, install as in docs/without-docker.md."
)
_BY_HAND: Final = (
    "Versions are updated where they lie beside each other, as /opt/mailstead/versions/VERSION with a link "
    "/opt/mailstead/current: docs/without-docker.md says how to install like that."
)


def update(
    context: typer.Context,
    version: Annotated[str, typer.Argument(metavar="[VERSION]", help="Such as 1.2.0.")] = "",
    newest: Annotated[bool, typer.Option("--newest", help="The newest that there is.")] = False,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="WHEEL|DIR", help="From a file, or from a folder with all wheels and without a network."
        ),
    ] = None,
    limit_s: Annotated[float, typer.Option("--limit", help="Seconds for the new version to be well.", min=1)] = 60.0,
    wanted: Annotated[bool, typer.Option("--wanted", help="What was wished for on the page, if anything.")] = False,
    recover: Annotated[bool, typer.Option("--recover", help="Go back where an update was cut off.")] = False,
) -> None:
    """Update to another version; if it is not well, code and data go back by themselves.

    A backup is made, and the new version takes over a copy of it. Then the old one stops, and the new one is tried on
    the real data where nobody reaches it. Only when a message has come through it, it serves. An older version is
    refused.
    """
    terminal = terminal_of(context)
    if not (version or newest or source or recover or wanted):
        terminal.fail(USAGE, "Which version?", "Give one as 1.2.0, or --newest, or --from WHEEL.", "NoVersion")
    if version and newest:
        terminal.fail(USAGE, "A version and --newest contradict each other", kind="TwoVersions")
    if wanted and (version or newest or source or recover):
        terminal.fail(USAGE, "--wanted stands alone", kind="TwoVersions")
    from mailstead.ports.versions import MachineFailed
    from mailstead.usecases.update_wishes import run_wanted
    from mailstead.usecases.updates import UpdateFailed, Updates
    from mailstead.wiring.house import ADMINISTRATOR
    from mailstead.wiring.updates import make_updates, make_wish_taker

    with machine_errors(terminal):
        home = _home(terminal)
        if source is not None and not source.exists():
            raise MachineFailed(f"There is no {source}")

        def made() -> Updates:
            return make_updates(home, terminal.config, source.absolute() if source else None)

        try:
            if recover:
                was_cut_off = made().recover(ADMINISTRATOR)
                told = "The old version is back" if was_cut_off else "No update was cut off"
                terminal.say(told, {"was_cut_off": was_cut_off})
                return
            if wanted:
                done = run_wanted(ADMINISTRATOR, make_wish_taker(home, terminal.config), made, limit_s)
                if done is None:
                    terminal.say("Nothing was wished for", {"was_wished_for": False})
                    return
                outcome = done
            else:
                outcome = made().run(ADMINISTRATOR, version, limit_s)
        except UpdateFailed as error:
            terminal.fail(FOUND, str(error), f"{home / 'update.log'} has it all.", "UpdateFailed")
    told = f"{outcome.new} is the version that runs" if outcome.old == outcome.new else f"{outcome.new} runs"
    terminal.say(told, {"old": outcome.old, "new": outcome.new})


def _home(terminal: Terminal) -> Path:
    """Give the folder of versions, or end with what to do instead."""
    from mailstead.wiring.systemd import this_place

    home = this_place().home
    if home is None:
        if (Path(sys.prefix) / "pipx_metadata.json").exists():
            way = _BY_PIPX
        elif any(each.exists() for each in _IN_A_CONTAINER):
            way = _BY_IMAGE
        else:
            way = _BY_HAND
        terminal.fail(NOT_ALLOWED, "This installation cannot be updated by itself", way, "NotUpdatable")
    if os.geteuid() != 0:
        terminal.fail(NOT_ALLOWED, "Only root may update the program; try with sudo", kind="NotAllowed")
    return home
