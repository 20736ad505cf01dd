"""`mailstead export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.errors import DATA
from mailstead.cli.terminal import owner, terminal_of

if TYPE_CHECKING:
    from mailstead.usecases.exports import ExportReport
    from mailstead.wiring.house import House

_FORMATS = ("maildir", "mbox")


def export(
    context: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS")],
    target: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    foreign_format: Annotated[
        str, typer.Option("--format", help="maildir, or mbox (one file per mailbox).")
    ] = "maildir",
    mailbox: Annotated[list[str] | None, typer.Option(help="Only this one; several times for several.")] = None,
) -> None:
    """Write an account's mail as Maildir or mbox, readable by other programs and by `mailstead import`."""
    terminal = terminal_of(context)
    account_address = terminal.address(address)
    if foreign_format not in _FORMATS:
        terminal.fail(DATA, f"--format is one of {', '.join(_FORMATS)}", kind="BadFormat")

    async def work(house: House) -> ExportReport:
        from mailstead.usecases.exports import Exports

        actor = await owner(house, account_address)
        with terminal.progress("Exporting") as progress:
            return await Exports(house.mailboxes).run(
                actor, target, foreign_format, only=tuple(mailbox or ()), progress=progress
            )

    report = terminal.run(work)
    lines = [f"{report.exported_count} messages exported to {target}"]
    lines += [f"  {name}: {count}" for name, count in report.mailboxes.items()]
    terminal.say(
        "\n".join(lines),
        {"exported_count": report.exported_count, "mailboxes": report.mailboxes, "target": str(target)},
    )
