"""`mailstead export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mailstead.cli.collections import for_owner
from mailstead.cli.errors import DATA
from mailstead.cli.terminal import terminal_of
from mailstead.model.dav import CollectionKind

if TYPE_CHECKING:
    from mailstead.model.directory import Account
    from mailstead.model.envelope import Actor
    from mailstead.usecases.calendar_files import FilesReport
    from mailstead.usecases.exports import ExportReport
    from mailstead.wiring.house import House

_KINDS: Final = {"ics": (CollectionKind.CALENDAR,), "vcf": (CollectionKind.ADDRESSBOOK,)}
_FORMATS: Final = ("maildir", "mbox", *_KINDS)


def export(
    context: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS")],
    target: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    foreign_format: Annotated[
        str,
        typer.Option(
            "--format",
            help="maildir, or mbox (one file per mailbox), each with calendars and contacts; or only ics, vcf.",
        ),
    ] = "maildir",
    mailbox: Annotated[
        list[str] | None, typer.Option(help="Only this one, and no calendars; several times for several.")
    ] = None,
) -> None:
    """Write an account's mail, calendars and contacts, readable by other programs and by `mailstead import`.

    Each calendar becomes an .ics file in the folder calendars, each address book a .vcf file in contacts.
    """
    terminal = terminal_of(context)
    if foreign_format not in _FORMATS:
        terminal.fail(DATA, f"--format is one of {', '.join(_FORMATS)}", kind="BadFormat")
    kinds = _KINDS.get(foreign_format, () if mailbox else tuple(each for one in _KINDS.values() for each in one))
    if mailbox and foreign_format in _KINDS:
        terminal.fail(DATA, "--mailbox goes with maildir and mbox", kind="BadFormat")

    async def work(house: House, actor: Actor, account: Account) -> tuple[ExportReport, FilesReport]:
        from mailstead.usecases.exports import ExportReport, Exports

        mail = ExportReport()
        with terminal.progress("Exporting") as progress:
            if foreign_format not in _KINDS:
                mail = await Exports(house.mailboxes).run(
                    actor, target, foreign_format, only=tuple(mailbox or ()), progress=progress
                )
            return mail, await house.calendar_files.export(actor, account, target, kinds=kinds)

    mail, files = for_owner(terminal, address, work)
    lines = [] if foreign_format in _KINDS else [f"{mail.exported_count} messages exported to {target}"]
    lines += [f"  {name}: {count}" for name, count in mail.mailboxes.items()]
    if files.files:
        lines.append(f"{sum(files.files.values())} events, tasks and contacts exported to {target}")
        lines += [f"  {name}: {count}" for name, count in files.files.items()]
    terminal.say(
        "\n".join(lines),
        {
            "exported_count": mail.exported_count,
            "mailboxes": mail.mailboxes,
            "files": files.files,
            "target": str(target),
        },
    )
