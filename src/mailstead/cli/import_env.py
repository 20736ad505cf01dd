"""`mailstead import-env`: the settings of a self-hosted Forward Email."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mailstead.cli.terminal import terminal_of


def import_env(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The .env of a self-hosted Forward Email.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would follow from each name.")] = False,
) -> None:
    """Tell what follows from each name of a Forward Email's .env, and write it into the settings file, if one is named.

    Domains, aliases and mail are taken over by other commands: `domain add`, `alias import`, `import`.
    """
    from mailstead.cli.adoption import settle
    from mailstead.cli.containers import ini_text
    from mailstead.config.edit import with_settings
    from mailstead.policy.forward_email_env import read_env

    terminal = terminal_of(context)
    with terminal.clear_errors():
        adopted = read_env(ini_text(file))
        with_settings("", adopted.settings, f"file {file}")  # what is wrong is told before anything is done
    rows = [(fate.key, fate.value, fate.text) for fate in adopted.fates]
    names = ("name", "value", "follows")
    terminal.say_table(("Name", "Value", "What follows"), rows, [dict(zip(names, row, strict=True)) for row in rows])
    settle(terminal, adopted.settings, f"file {file}", changes=not dry_run)
