"""`mailstead import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.errors import DATA
from mailstead.cli.terminal import owner, terminal_of
from mailstead.model.mailbox import INBOX

if TYPE_CHECKING:
    from mailstead.usecases.imports import ImportReport
    from mailstead.wiring.house import House

_FORMATS = ("auto", "maildir", "mbox", "eml")


def import_(
    context: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS")],
    source: Annotated[Path, typer.Argument(help="A Maildir, an mbox file, an .eml file or a folder of them.")],
    mailbox: Annotated[str, typer.Option(help="Where to; folders of a Maildir go below, or beside INBOX.")] = INBOX,
    foreign_format: Annotated[str, typer.Option("--format", help="auto, maildir, mbox or eml.")] = "auto",
    skip_duplicates: Annotated[
        bool, typer.Option("--skip-duplicates", help="Leave out what the mailbox holds already, octet for octet.")
    ] = False,
) -> None:
    """Bring mail into an account; flags and dates are kept. Run again with --skip-duplicates after an interruption."""
    terminal = terminal_of(context)
    account_address = terminal.address(address)
    if foreign_format not in _FORMATS:
        terminal.fail(DATA, f"--format is one of {', '.join(_FORMATS)}", kind="BadFormat")

    async def work(house: House) -> ImportReport:
        from mailstead.usecases.imports import Imports

        imports = Imports(house.mailboxes, message_octets_max=house.settings.smtp.message_octets_max)
        actor = await owner(house, account_address)
        with terminal.progress("Importing") as progress:
            return await imports.run(
                actor,
                source,
                mailbox,
                foreign_format=None if foreign_format == "auto" else foreign_format,
                skips_duplicates=skip_duplicates,
                progress=progress,
            )

    report = terminal.run(work)
    lines = [f"{report.imported_count} messages imported, {report.duplicate_count} duplicates left out"]
    lines += [f"  {name}: {count}" for name, count in report.mailboxes.items()]
    if report.skipped_count:
        lines.append(f"{report.skipped_count} messages could not be imported:")
        lines += [f"  {name}: {reason}" for name, reason in report.skipped]
    terminal.say(
        "\n".join(lines),
        {
            "imported_count": report.imported_count,
            "duplicate_count": report.duplicate_count,
            "skipped_count": report.skipped_count,
            "skipped": [{"name": name, "reason": reason} for name, reason in report.skipped],
            "mailboxes": report.mailboxes,
        },
    )
    if report.skipped_count:
        raise typer.Exit(DATA)
