"""`mailstead token`: add, list, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.errors import USAGE
from mailstead.cli.moments import as_json, coming_moment, shown
from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from mailstead.model.people import ApiToken
    from mailstead.usecases.tokens import NewToken
    from mailstead.wiring.house import House

app = typer.Typer(help="Tokens with which programs act for a user over the API.", no_args_is_help=True)

_User = Annotated[str, typer.Argument(metavar="USER", help="Address of the user.")]


@app.command()
def add(
    context: typer.Context,
    user: _User,
    label: Annotated[str, typer.Argument(help="What it is for, such as 'backup script'.")],
    network: Annotated[
        list[str] | None,
        typer.Option(help="Where it may be used from, such as 192.0.2.0/24; several times; else anywhere."),
    ] = None,
    expires: Annotated[str | None, typer.Option(help="Until when: 90d, or 2030-12-31; else for ever.")] = None,
) -> None:
    """Make a token and show it, this once."""
    terminal = terminal_of(context)
    expires_at = None if expires is None else coming_moment(terminal, expires, "--expires")

    async def work(house: House) -> NewToken:
        from mailstead.wiring.house import ADMINISTRATOR

        whose = await house.users.get(ADMINISTRATOR, user)
        return await house.users.tokens.create(
            ADMINISTRATOR, label, user=whose, expires_at=expires_at, networks=network or ()
        )

    made = terminal.run(work)
    terminal.say(
        f"Token {made.token.token_id} ({made.token.label}): {made.secret.reveal()}\nIt is not shown again.",
        {**_as_json(made.token), "secret": made.secret.reveal()},
    )


@app.command("list")
def list_(context: typer.Context, user: _User) -> None:
    """Show a user's tokens, without their texts."""
    terminal = terminal_of(context)

    async def work(house: House) -> list[ApiToken]:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.users.tokens.list(ADMINISTRATOR, await house.users.get(ADMINISTRATOR, user))

    found = terminal.run(work)
    terminal.say_table(
        ("Token", "Label", "Networks", "Made at", "Until", "Last used on"),
        [
            (
                one.token_id,
                one.label,
                ", ".join(one.networks) or "all",
                shown(one.created_at),
                shown(one.expires_at),
                one.last_used_on or "never",
            )
            for one in found
        ],
        [_as_json(one) for one in found],
    )


@app.command()
def remove(
    context: typer.Context,
    user: _User,
    token: Annotated[str, typer.Argument(help="As `list` shows it.")] = "",
    is_all: Annotated[bool, typer.Option("--all", help="All of the user's.")] = False,
) -> None:
    """End a token, or all of a user; it is good no more at once."""
    terminal = terminal_of(context)
    if bool(token) == is_all:
        terminal.fail(USAGE, "Name one token, or say --all", "`mailstead token list` shows them.", "NothingToDo")

    async def work(house: House) -> int:
        from mailstead.wiring.house import ADMINISTRATOR

        whose = await house.users.get(ADMINISTRATOR, user)
        if is_all:
            return await house.users.tokens.remove_all(ADMINISTRATOR, whose)
        await house.users.tokens.remove(ADMINISTRATOR, token, whose)
        return 1

    count = terminal.run(work)
    terminal.say(f"{count} of {user}'s tokens ended", {"user": user, "count": count})


def _as_json(one: ApiToken) -> dict[str, object]:
    return {
        "token": one.token_id,
        "label": one.label,
        "networks": list(one.networks),
        "created_at": one.created_at.isoformat(),
        "expires_at": as_json(one.expires_at),
        "last_used_on": one.last_used_on or None,
    }
