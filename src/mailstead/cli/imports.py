"""`mailstead import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli import collections
from mailstead.cli.errors import DATA
from mailstead.cli.terminal import Terminal, owner, terminal_of
from mailstead.model.dav import CollectionKind
from mailstead.model.mailbox import INBOX

if TYPE_CHECKING:
    from mailstead.model.directory import Account
    from mailstead.model.envelope import Actor
    from mailstead.usecases.collections import Opened
    from mailstead.usecases.imports import ImportReport
    from mailstead.usecases.object_imports import ObjectImport
    from mailstead.wiring.house import House

_FORMATS = ("auto", "maildir", "mbox", "eml", "ics", "vcf")
_REFUSED_SHOWN_MAX = 100


def import_(
    context: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS")],
    source: Annotated[
        Path, typer.Argument(help="A Maildir, an mbox file, an .eml file or a folder of them; an .ics or .vcf file.")
    ],
    mailbox: Annotated[str, typer.Option(help="Where to; folders of a Maildir go below, or beside INBOX.")] = INBOX,
    foreign_format: Annotated[str, typer.Option("--format", help="auto, maildir, mbox, eml, ics or vcf.")] = "auto",
    skip_duplicates: Annotated[
        bool, typer.Option("--skip-duplicates", help="Leave out what the mailbox holds already, octet for octet.")
    ] = False,
    calendar: Annotated[str, typer.Option(help="Where events go to; made where it is missing.")] = "",
    addressbook: Annotated[str, typer.Option(help="Where contacts go to; made where it is missing.")] = "",
) -> None:
    """Bring mail, events or contacts into an account.

    Flags and dates are kept; run again with --skip-duplicates after an interruption. An event or contact that is there
    already is replaced, so nothing comes twice.
    """
    terminal = terminal_of(context)
    account_address = terminal.address(address)
    if foreign_format not in _FORMATS:
        terminal.fail(DATA, f"--format is one of {', '.join(_FORMATS)}", kind="BadFormat")
    kind = _kind(terminal, source, foreign_format)
    if (calendar and kind is not CollectionKind.CALENDAR) or (addressbook and kind is not CollectionKind.ADDRESSBOOK):
        terminal.fail(DATA, "--calendar goes with events, --addressbook with contacts", kind="BadFormat")
    if kind is not None:
        _import_objects(terminal, address, source, kind, calendar or addressbook)
        return

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


def _kind(terminal: Terminal, source: Path, foreign_format: str) -> CollectionKind | None:
    """Tell whether a source is a file of events or of contacts: by --format, its suffix, its beginning."""
    by_word = {"ics": CollectionKind.CALENDAR, "vcf": CollectionKind.ADDRESSBOOK}
    if foreign_format != "auto":
        return by_word.get(foreign_format)
    by_suffix = by_word.get(source.suffix.lower().lstrip("."))
    if by_suffix is not None or not source.is_file():
        return by_suffix
    from mailstead.usecases.calendar_files import kind_of, read_start

    with terminal.clear_errors():
        return kind_of(read_start(source))


def _import_objects(terminal: Terminal, address: str, source: Path, kind: CollectionKind, name: str) -> None:
    from mailstead.usecases.calendar_files import read_file

    with terminal.clear_errors():
        octets = read_file(source)

    async def work(house: House, actor: Actor, account: Account) -> tuple[Opened, ObjectImport]:
        with terminal.progress("Importing") as progress:
            return await house.calendar_files.import_file(actor, account, octets, kind, name, progress)

    opened, report = collections.for_owner(terminal, address, work)
    what = "contacts" if kind is CollectionKind.ADDRESSBOOK else "events and tasks"
    lines = [
        f"{report.new_count} {what} imported into {opened.name}, {report.replaced_count} that were there are replaced"
    ]
    if report.refused:
        lines.append(f"{len(report.refused)} could not be imported:")
        lines += [f"  {each}" for each in report.refused[:_REFUSED_SHOWN_MAX]]
    terminal.say(
        "\n".join(lines),
        {
            kind.value: opened.name,
            "new_count": report.new_count,
            "replaced_count": report.replaced_count,
            "refused_count": len(report.refused),
            "refused": report.refused[:_REFUSED_SHOWN_MAX],
        },
    )
    if report.refused:
        raise typer.Exit(DATA)
