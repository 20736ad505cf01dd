"""`mailstead domain`: add, list, remove, catch-all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from mailstead.model.directory import Domain
    from mailstead.wiring import House

app = typer.Typer(help="Domains that we serve.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(metavar="DOMAIN")]


@app.command()
def add(context: typer.Context, name: _Name) -> None:
    """Serve a further domain."""
    terminal = terminal_of(context)

    async def work(house: House) -> Domain:
        from mailstead.wiring import ADMINISTRATOR

        return await house.domains.add(ADMINISTRATOR, name)

    made = terminal.run(work)
    terminal.say(f"{made.name} is served now", {"domain": made.name})


@app.command("list")
def list_(context: typer.Context) -> None:
    """Show all domains."""
    terminal = terminal_of(context)

    async def work(house: House) -> list[Domain]:
        from mailstead.wiring import ADMINISTRATOR

        return await house.domains.list(ADMINISTRATOR)

    found = terminal.run(work)
    terminal.say_table(
        ("Domain", "Catch-all"),
        [(one.name, str(one.catch_all or "")) for one in found],
        [{"domain": one.name, "catch_all": str(one.catch_all) if one.catch_all else None} for one in found],
    )


@app.command()
def remove(context: typer.Context, name: _Name) -> None:
    """Serve a domain no longer; its accounts and aliases have to be removed first."""
    terminal = terminal_of(context)

    async def work(house: House) -> None:
        from mailstead.wiring import ADMINISTRATOR

        await house.domains.remove(ADMINISTRATOR, name)

    terminal.run(work)
    terminal.say(f"{name} is no longer served", {"domain": name})


@app.command("catch-all")
def catch_all(
    context: typer.Context,
    name: _Name,
    target: Annotated[str, typer.Argument(help="An address, or none to refuse unknown addresses.")],
) -> None:
    """Say where mail for unknown addresses of a domain goes."""
    terminal = terminal_of(context)
    address = None if target == "none" else terminal.address(target)

    async def work(house: House) -> None:
        from mailstead.wiring import ADMINISTRATOR

        await house.domains.set_catch_all(ADMINISTRATOR, name, address)

    terminal.run(work)
    text = f"goes to {address}" if address else "is refused"
    terminal.say(
        f"Mail for unknown addresses of {name} {text}",
        {"domain": name, "catch_all": str(address) if address else None},
    )
