"""`mailstead suppression`: list, add, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.moments import as_json, shown
from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from mailstead.model.envelope import Actor
    from mailstead.model.queue import Suppression
    from mailstead.usecases.outgoing import Outgoing
    from mailstead.wiring.house import House

app = typer.Typer(
    help="Addresses elsewhere that nothing is sent to, as they have failed for good.", no_args_is_help=True
)

_AddressText = Annotated[str, typer.Argument(metavar="ADDRESS")]


@app.command("list")
def list_(context: typer.Context) -> None:
    """Show all, newest first."""
    terminal = terminal_of(context)

    async def work(house: House) -> list[Suppression]:
        outgoing, administrator = _outgoing(house)
        return await outgoing.suppressions(administrator)

    found = terminal.run(work)
    terminal.say_table(
        ("Address", "Since", "Reason"),
        [(str(one.address), shown(one.at), one.reason) for one in found],
        [_as_json(one) for one in found],
    )


@app.command()
def add(
    context: typer.Context,
    address: _AddressText,
    reason: Annotated[str, typer.Option(help="Shown to those who write to it.")] = "suppressed by the administrator",
) -> None:
    """Send nothing to an address any more."""
    terminal = terminal_of(context)
    suppressed = terminal.address(address)

    async def work(house: House) -> Suppression:
        outgoing, administrator = _outgoing(house)
        return await outgoing.suppress(administrator, suppressed, reason)

    made = terminal.run(work)
    terminal.say(f"Nothing is sent to {made.address} any more", _as_json(made))


@app.command()
def remove(context: typer.Context, address: _AddressText) -> None:
    """Send mail to an address again."""
    terminal = terminal_of(context)
    suppressed = terminal.address(address)

    async def work(house: House) -> None:
        outgoing, administrator = _outgoing(house)
        await outgoing.unsuppress(administrator, suppressed)

    terminal.run(work)
    terminal.say(f"Mail is sent to {suppressed} again", {"address": str(suppressed)})


def _outgoing(house: House) -> tuple[Outgoing, Actor]:
    from mailstead.usecases.outgoing import Outgoing
    from mailstead.wiring.house import ADMINISTRATOR

    return Outgoing(house.storage, house.clock, house.audit), ADMINISTRATOR


def _as_json(one: Suppression) -> dict[str, object]:
    return {"address": str(one.address), "reason": one.reason, "at": as_json(one.at)}
