"""`mailstead sieve`: list, show, put, check, activate, deactivate, delete, rename, dry-run."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from mailstead.cli.errors import DATA
from mailstead.cli.terminal import Terminal, owner, terminal_of

if TYPE_CHECKING:
    from mailstead.model.envelope import Actor
    from mailstead.model.filtering import SieveScript
    from mailstead.usecases.dryruns import Foreseen
    from mailstead.usecases.filters import Filters
    from mailstead.wiring.house import House

T = TypeVar("T")

app = typer.Typer(help="Sieve scripts of an account.", no_args_is_help=True)

_AddressText = Annotated[str, typer.Argument(metavar="ADDRESS")]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the script.")]
_File = Annotated[str, typer.Argument(metavar="FILE", help="A file with a script; - is standard input.")]

_OCTETS_MAX = 1_048_576
"""Of a file that is read at all; how long a script may be is decided behind it."""


@app.command("list")
def list_(context: typer.Context, address: _AddressText) -> None:
    """Show the scripts of an account."""
    terminal = terminal_of(context)

    async def work(filters: Filters, actor: Actor) -> list[SieveScript]:
        return await filters.scripts.list(actor)

    found = _run(terminal, address, work)
    terminal.say_table(
        ("Script", "Octets", ""),
        [(one.name, str(one.octets_count), "active" if one.is_active else "") for one in found],
        [{"script": one.name, "octets": one.octets_count, "is_active": one.is_active} for one in found],
    )


@app.command()
def show(context: typer.Context, address: _AddressText, name: _Name) -> None:
    """Print a script."""
    terminal = terminal_of(context)

    async def work(filters: Filters, actor: Actor) -> bytes:
        return await filters.scripts.get(actor, name)

    text = _run(terminal, address, work).decode()
    terminal.say(text.replace("\r\n", "\n").rstrip("\n"), {"script": name, "text": text})


@app.command()
def put(
    context: typer.Context,
    address: _AddressText,
    name: _Name,
    file: _File,
    activate: Annotated[bool, typer.Option("--activate", help="Make it the active one.")] = False,
) -> None:
    """Check a script and keep it; a script of that name is replaced."""
    terminal = terminal_of(context)
    octets = _read(terminal, file)

    async def work(filters: Filters, actor: Actor) -> None:
        await filters.scripts.put(actor, name, octets)
        if activate:
            await filters.scripts.activate(actor, name)

    _run(terminal, address, work)
    terminal.say(
        f"Script {name} is kept" + (" and active" if activate else ""), {"script": name, "is_activated": activate}
    )


@app.command()
def check(context: typer.Context, address: _AddressText, file: _File) -> None:
    """Check a script without keeping it."""
    terminal = terminal_of(context)
    octets = _read(terminal, file)

    async def work(filters: Filters, actor: Actor) -> None:
        del actor
        await filters.scripts.check(octets)

    _run(terminal, address, work)
    terminal.say("The script is good", {"is_good": True})


@app.command()
def activate(context: typer.Context, address: _AddressText, name: _Name) -> None:
    """Let incoming mail be filed by this script."""
    terminal = terminal_of(context)

    async def work(filters: Filters, actor: Actor) -> None:
        await filters.scripts.activate(actor, name)

    _run(terminal, address, work)
    terminal.say(f"Script {name} is active", {"script": name, "is_active": True})


@app.command()
def deactivate(context: typer.Context, address: _AddressText) -> None:
    """Let incoming mail be filed by no script."""
    terminal = terminal_of(context)

    async def work(filters: Filters, actor: Actor) -> None:
        await filters.scripts.activate(actor, None)

    _run(terminal, address, work)
    terminal.say("No script is active", {"script": None})


@app.command()
def delete(context: typer.Context, address: _AddressText, name: _Name) -> None:
    """Delete a script that is not active."""
    terminal = terminal_of(context)

    async def work(filters: Filters, actor: Actor) -> None:
        await filters.scripts.delete(actor, name)

    _run(terminal, address, work)
    terminal.say(f"Script {name} is deleted", {"script": name})


@app.command()
def rename(
    context: typer.Context, address: _AddressText, name: _Name, new_name: Annotated[str, typer.Argument(metavar="NEW")]
) -> None:
    """Give a script another name; if it is active it stays so."""
    terminal = terminal_of(context)

    async def work(filters: Filters, actor: Actor) -> None:
        await filters.scripts.rename(actor, name, new_name)

    _run(terminal, address, work)
    terminal.say(f"Script {name} is now {new_name}", {"script": new_name})


@app.command("dry-run")
def dry_run(
    context: typer.Context,
    address: _AddressText,
    file: _File,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Try it on so many messages of INBOX.")] = 1000,
    everything: Annotated[bool, typer.Option("--all", help="Show also what would stay as it is.")] = False,
) -> None:
    """Show what a script would do with the last messages of INBOX; nothing is changed or sent."""
    terminal = terminal_of(context)
    octets = _read(terminal, file)

    async def work(filters: Filters, actor: Actor) -> list[Foreseen]:
        return await filters.dry_run(actor, octets, limit)

    found = _run(terminal, address, work)
    shown = [each for each in found if everything or each.does != "keep"]
    terminal.say_table(
        ("UID", "Would be in", "Subject", "Does"),
        [(str(each.uid), each.mailbox or "-", each.subject[:50], each.does) for each in shown],
        [{"uid": each.uid, "mailbox": each.mailbox, "subject": each.subject, "does": each.does} for each in shown],
    )
    if not terminal.is_json:
        stays_count = sum(each.does == "keep" for each in found)
        print(f"{len(found)} messages tried; {stays_count} would stay in INBOX as they are")


def _run(terminal: Terminal, address: str, work: Callable[[Filters, Actor], Awaitable[T]]) -> T:
    """Do something for the owner of an account."""
    account_address = terminal.address(address)

    async def in_house(house: House) -> T:
        return await work(house.filters, await owner(house, account_address))

    return terminal.run(in_house)


def _read(terminal: Terminal, file: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read(_OCTETS_MAX)
        with Path(file).open("rb") as opened:
            return opened.read(_OCTETS_MAX)
    except OSError as error:
        terminal.fail(DATA, f"{file} cannot be read: {error.strerror}", kind="BadFile")
