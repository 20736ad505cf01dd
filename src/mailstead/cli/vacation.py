"""`mailstead vacation`: show, set, off."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from mailstead.cli.errors import DATA
from mailstead.cli.terminal import Terminal, owner, terminal_of

if TYPE_CHECKING:
    from mailstead.model.envelope import Actor
    from mailstead.usecases.vacations import Vacation, Vacations
    from mailstead.wiring.house import House

T = TypeVar("T")

app = typer.Typer(help="Answers while somebody is away, without a script.", no_args_is_help=True)

_AddressText = Annotated[str, typer.Argument(metavar="ADDRESS")]
_OCTETS_MAX = 1_048_576


@app.command()
def show(context: typer.Context, address: _AddressText) -> None:
    """Show the vacation that is switched on."""
    terminal = terminal_of(context)

    async def work(vacations: Vacations, actor: Actor) -> Vacation | None:
        return await vacations.get(actor)

    found = _run(terminal, address, work)
    if found is None:
        terminal.say("Off", {"is_enabled": False})
        return
    lines = [
        f"From:    {found.start:%Y-%m-%d %H:%M} UTC" if found.start else "From:    now",
        f"Until:   {found.end:%Y-%m-%d %H:%M} UTC" if found.end else "Until:   switched off",
        f"Subject: {found.subject or '(Auto: and that of the message)'}",
        "",
        found.message,
    ]
    terminal.say("\n".join(lines), _as_json(found))


@app.command("set")
def set_(
    context: typer.Context,
    address: _AddressText,
    message: Annotated[str, typer.Option(help="What senders are told.")] = "",
    message_file: Annotated[str, typer.Option(help="A file that says it; - is standard input.")] = "",
    subject: Annotated[str, typer.Option(help="Of the answer; else 'Auto: ' and that of the message.")] = "",
    start: Annotated[str | None, typer.Option(help="Day or moment such as 2026-12-24 or 2026-12-24T12:00Z.")] = None,
    end: Annotated[str | None, typer.Option(help="The first moment at which it is over.")] = None,
) -> None:
    """Answer each sender once in seven days; times without a zone are UTC."""
    terminal = terminal_of(context)
    text = message or (_read(terminal, message_file) if message_file else "")
    start_at, end_at = _moment(terminal, start, "--start"), _moment(terminal, end, "--end")

    async def work(vacations: Vacations, actor: Actor) -> Vacation:
        from mailstead.usecases.vacations import Vacation

        vacation = Vacation(text, subject, start_at, end_at)
        await vacations.set(actor, vacation)
        return vacation

    terminal.say(f"Vacation of {address} is on", _as_json(_run(terminal, address, work)))


@app.command()
def off(context: typer.Context, address: _AddressText) -> None:
    """Answer nobody any more."""
    terminal = terminal_of(context)

    async def work(vacations: Vacations, actor: Actor) -> None:
        await vacations.switch_off(actor)

    _run(terminal, address, work)
    terminal.say(f"Vacation of {address} is off", {"is_enabled": False})


def _run(terminal: Terminal, address: str, work: Callable[[Vacations, Actor], Awaitable[T]]) -> T:
    """Do something for the owner of an account."""
    account_address = terminal.address(address)

    async def in_house(house: House) -> T:
        from mailstead.usecases.vacations import Vacations

        return await work(Vacations(house.storage), await owner(house, account_address))

    return terminal.run(in_house)


def _read(terminal: Terminal, file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read(_OCTETS_MAX)
        with Path(file).open(encoding="utf-8") as opened:
            return opened.read(_OCTETS_MAX)
    except (OSError, UnicodeDecodeError) as error:
        terminal.fail(DATA, f"{file} cannot be read: {error}", kind="BadFile")


def _moment(terminal: Terminal, text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        terminal.fail(DATA, f"{option} is a day or moment such as 2026-12-24; not {text!r}", kind="BadMoment")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _as_json(vacation: Vacation) -> dict[str, object]:
    return {
        "is_enabled": True,
        "start": vacation.start.isoformat() if vacation.start else None,
        "end": vacation.end.isoformat() if vacation.end else None,
        "subject": vacation.subject,
        "message": vacation.message,
    }
