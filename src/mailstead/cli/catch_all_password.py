"""`mailstead domain catch-all-password`: add, list, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailstead.model.people import CatchAllPassword
    from mailstead.usecases.catch_all_passwords import NewCatchAllPassword
    from mailstead.wiring.house import House

app = typer.Typer(
    help="Passwords with which *@DOMAIN logs in for submission, and sends with any address of the domain.",
    no_args_is_help=True,
)

_Name = Annotated[str, typer.Argument(metavar="DOMAIN")]


@app.command()
def add(
    context: typer.Context,
    name: _Name,
    description: Annotated[str, typer.Option(help="What it is for, such as 'shop'.")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read it from the first line of standard input; else one is made.")
    ] = False,
) -> None:
    """Make a password, and show it, this once."""
    terminal = terminal_of(context)
    chosen = terminal.password(is_from_stdin=True) if password_stdin else None

    async def work(house: House) -> NewCatchAllPassword:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.catch_all_passwords.add(ADMINISTRATOR, name, description, chosen)

    made = terminal.run(work)
    terminal.say(
        f"Password of {made.username} ({made.password.password_id}): {made.secret.reveal()}\nIt is not shown again.",
        {**_as_json(made.password), "username": made.username, "password": made.secret.reveal()},
    )


@app.command("list")
def list_(context: typer.Context, name: _Name) -> None:
    """Show the passwords of a catch-all, without the passwords."""
    terminal = terminal_of(context)

    async def work(house: House) -> Sequence[CatchAllPassword]:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.catch_all_passwords.list(ADMINISTRATOR, name)

    found = terminal.run(work)
    terminal.say_table(
        ("Id", "Description", "Made at"),
        [(one.password_id, one.description, f"{one.created_at:%Y-%m-%d}") for one in found],
        [_as_json(one) for one in found],
    )


@app.command()
def remove(
    context: typer.Context,
    name: _Name,
    password_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
) -> None:
    """Remove a password; whoever is logged in with it is logged out."""
    terminal = terminal_of(context)

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.catch_all_passwords.remove(ADMINISTRATOR, name, password_id)

    terminal.run(work)
    terminal.say(f"Password {password_id} is removed", {"id": password_id})


def _as_json(one: CatchAllPassword) -> dict[str, object]:
    return {
        "id": one.password_id,
        "domain": one.domain,
        "description": one.description,
        "created_at": one.created_at.isoformat(),
    }
