"""`mailstead account app-password`: add, list, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.moments import as_json, coming_moment, shown
from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from mailstead.model.directory import AppPassword
    from mailstead.usecases.accounts import NewAppPassword
    from mailstead.wiring.house import House

app = typer.Typer(help="Further passwords of an account, one for each client.", no_args_is_help=True)

_AddressText = Annotated[str, typer.Argument(metavar="ADDRESS")]


@app.command()
def add(
    context: typer.Context,
    address: _AddressText,
    label: Annotated[str, typer.Argument(help="What it is for, such as 'phone'.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="imap, smtp, pop3, sieve, dav or api; several times; else all.")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(help="Where it may be used from, such as 192.0.2.0/24; several times; else anywhere."),
    ] = None,
    expires: Annotated[str | None, typer.Option(help="Until when: 90d, or 2030-12-31; else for ever.")] = None,
    with_password: Annotated[
        bool, typer.Option("--with-password", help="Show the main password, as a sealed account needs it.")
    ] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read it from the first line of standard input.")
    ] = False,
) -> None:
    """Make an app password and show it, this once."""
    terminal = terminal_of(context)
    account_address = terminal.address(address)
    expires_at = None if expires is None else coming_moment(terminal, expires, "--expires")

    is_asked = with_password or password_stdin
    password = terminal.secret("Main password", is_from_stdin=password_stdin) if is_asked else None

    async def work(house: House) -> NewAppPassword:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.accounts.add_app_password(
            ADMINISTRATOR,
            account_address,
            label,
            frozenset(scope or ()),
            networks=network or (),
            expires_at=expires_at,
            password=password,
        )

    made = terminal.run(work)
    terminal.say(
        f"App password {made.app_password.app_password_id} ({label}): {made.secret.reveal()}\nIt is not shown again.",
        {**_as_json(made.app_password), "password": made.secret.reveal()},
    )


@app.command("list")
def list_(context: typer.Context, address: _AddressText) -> None:
    """Show the app passwords of an account, without the passwords."""
    terminal = terminal_of(context)
    account_address = terminal.address(address)

    async def work(house: House) -> tuple[AppPassword, ...]:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.accounts.list_app_passwords(ADMINISTRATOR, account_address)

    found = terminal.run(work)
    terminal.say_table(
        ("Number", "Label", "Scopes", "Networks", "Made at", "Until", "Last used on"),
        [
            (
                str(one.app_password_id),
                one.label,
                ", ".join(sorted(one.scopes)) or "all",
                ", ".join(one.networks) or "all",
                f"{one.created_at:%Y-%m-%d}",
                shown(one.expires_at),
                one.last_used_on or "never",
            )
            for one in found
        ],
        [_as_json(one) for one in found],
    )


@app.command()
def remove(
    context: typer.Context, address: _AddressText, number: Annotated[int, typer.Argument(help="As `list` shows it.")]
) -> None:
    """Remove an app password; whoever is logged in with it is logged out."""
    terminal = terminal_of(context)
    account_address = terminal.address(address)

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.accounts.remove_app_password(ADMINISTRATOR, account_address, number)

    terminal.run(work)
    terminal.say(f"App password {number} is removed", {"app_password": number})


def _as_json(one: AppPassword) -> dict[str, object]:
    return {
        "app_password": one.app_password_id,
        "label": one.label,
        "scopes": sorted(one.scopes),
        "networks": list(one.networks),
        "created_at": one.created_at.isoformat(),
        "expires_at": as_json(one.expires_at),
        "last_used_on": one.last_used_on or None,
    }
