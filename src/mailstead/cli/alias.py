"""`mailstead alias`: add, list, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from mailstead.model.directory import Alias
    from mailstead.wiring import House

app = typer.Typer(help="Addresses that stand for others.", no_args_is_help=True)

_AddressText = Annotated[str, typer.Argument(metavar="ADDRESS")]


@app.command()
def add(
    context: typer.Context, address: _AddressText, targets: Annotated[list[str], typer.Argument(metavar="TARGET...")]
) -> None:
    """Let an address stand for one or more others."""
    terminal = terminal_of(context)
    alias_address, target_addresses = terminal.address(address), [terminal.address(target) for target in targets]

    async def work(house: House) -> Alias:
        from mailstead.wiring import ADMINISTRATOR

        return await house.aliases.create(ADMINISTRATOR, alias_address, target_addresses)

    made = terminal.run(work)
    terminal.say(f"{made.address} stands for {', '.join(map(str, made.targets))}", _as_json(made))


@app.command("list")
def list_(
    context: typer.Context, domain: Annotated[str | None, typer.Option(help="Only of this domain.")] = None
) -> None:
    """Show all aliases."""
    terminal = terminal_of(context)

    async def work(house: House) -> list[Alias]:
        from mailstead.wiring import ADMINISTRATOR

        return await house.aliases.list(ADMINISTRATOR, domain)

    found = terminal.run(work)
    terminal.say_table(
        ("Alias", "Targets"),
        [(str(one.address), ", ".join(map(str, one.targets))) for one in found],
        [_as_json(one) for one in found],
    )


@app.command()
def remove(context: typer.Context, address: _AddressText) -> None:
    """Remove an alias."""
    terminal = terminal_of(context)
    alias_address = terminal.address(address)

    async def work(house: House) -> None:
        from mailstead.wiring import ADMINISTRATOR

        await house.aliases.remove(ADMINISTRATOR, alias_address)

    terminal.run(work)
    terminal.say(f"{alias_address} is removed", {"alias": str(alias_address)})


def _as_json(alias: Alias) -> dict[str, object]:
    return {"alias": str(alias.address), "targets": [str(target) for target in alias.targets]}
