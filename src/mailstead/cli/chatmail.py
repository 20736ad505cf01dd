"""`mailstead chatmail`: what a chatmail relay's administrator brings along."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.errors import USAGE
from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from mailstead.model.directory import Domain
    from mailstead.wiring.house import House

app = typer.Typer(help="Chatmail relays: take over the configuration of one.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep the commands below their noun, however few they are."""


@app.command("import-ini")
def import_ini(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A relay's chatmail.ini.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would follow from each key.")] = False,
) -> None:
    """Make the domain of a chatmail.ini, or bring its terms up to date, and tell what follows from each key."""
    from mailstead.policy.chatmail_ini import read_ini

    terminal = terminal_of(context)
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        terminal.fail(USAGE, f"{file} cannot be read: {error}", "Give the path of a chatmail.ini.", "BadFile")
    with terminal.clear_errors():
        relay = read_ini(text)

    async def work(house: House) -> Domain:
        from mailstead.usecases.relay_settings import adopt
        from mailstead.wiring.house import ADMINISTRATOR

        return await adopt(house.domains, ADMINISTRATOR, relay, changes=not dry_run)

    domain = terminal.run(work)
    rows = [(fate.key, fate.value, f"{fate.term} = {fate.text}" if fate.term else fate.text) for fate in relay.fates]
    names = ("key", "value", "follows")
    terminal.say_table(
        ("Key", "Value", f"What follows for {domain.name}{' (nothing was changed)' if dry_run else ''}"),
        rows,
        [dict(zip(names, row, strict=True)) for row in rows],
    )
