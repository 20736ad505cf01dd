"""`mailstead user`: add, list, show, set, password, remove."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailstead.cli.errors import USAGE
from mailstead.cli.moments import as_json, shown
from mailstead.cli.terminal import Terminal, terminal_of

if TYPE_CHECKING:
    from mailstead.model.people import Group, Page, User
    from mailstead.wiring.house import House

app = typer.Typer(help="Users: who administers the server, or domains.", no_args_is_help=True)

_AddressText = Annotated[str, typer.Argument(metavar="ADDRESS")]
_FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
]


@app.command()
def add(
    context: typer.Context,
    address: _AddressText,
    is_admin: Annotated[bool, typer.Option("--admin", help="Administrator of the whole server.")] = False,
    given_name: Annotated[str, typer.Option("--given-name")] = "",
    family_name: Annotated[str, typer.Option("--family-name")] = "",
    password_stdin: _FromStdin = False,
) -> None:
    """Make a user. Whose address is an account here logs in with its password; others get one."""
    terminal = terminal_of(context)
    user_address = terminal.address(address)

    async def is_account(house: House) -> bool:
        from mailstead.model.directory import Account

        return isinstance(await house.storage.directory.find(user_address), Account)

    password = None if terminal.run(is_account) else terminal.password(is_from_stdin=password_stdin)

    async def work(house: House) -> User:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.users.create(
            ADMINISTRATOR,
            user_address,
            password,
            is_admin=is_admin,
            given_name=given_name,
            family_name=family_name,
        )

    made = terminal.run(work)
    terminal.say(f"{made.address} is a user now", _as_json(made))


@app.command("list")
def list_(
    context: typer.Context,
    text: Annotated[str, typer.Option("--text", help="Only those in whose address this occurs.")] = "",
) -> None:
    """Show all users."""
    terminal = terminal_of(context)

    async def work(house: House) -> list[User]:
        from mailstead.model.people import Listing
        from mailstead.wiring.house import ADMINISTRATOR

        found: list[User] = []
        listing = Listing(limit=1000, text=text)
        while True:
            page: Page[User] = await house.users.list(ADMINISTRATOR, listing)
            found += page.items
            if len(found) >= page.item_count or not page.items:
                return found
            listing = replace(listing, page=listing.page + 1)

    found = terminal.run(work)
    terminal.say_table(
        ("User", "Rights", "Logs in", "Made at"),
        [
            (
                one.address,
                "server" if one.is_admin else "domains",
                _log_in(one),
                shown(one.created_at),
            )
            for one in found
        ],
        [_as_json(one) for one in found],
    )


@app.command()
def show(context: typer.Context, address: _AddressText) -> None:
    """Show a user, and his part in domains. ADDRESS may be an id."""
    terminal = terminal_of(context)

    async def work(house: House) -> tuple[User, dict[str, Group]]:
        from mailstead.wiring.house import ADMINISTRATOR

        user = await house.users.get(ADMINISTRATOR, address)
        return user, await house.storage.people.memberships(user.user_id)

    user, groups = terminal.run(work)
    name = " ".join(word for word in (user.given_name, user.family_name) if word)
    lines = [
        f"{user.address}{f' ({name})' if name else ''}",
        f"  id:      {user.user_id}",
        f"  rights:  {'the whole server' if user.is_admin else 'domains'}",
        f"  logs in: {_log_in(user)}",
        *(f"  {group} of {domain}" for domain, group in groups.items()),
    ]
    terminal.say("\n".join(lines), {**_as_json(user), "domains": {name: str(group) for name, group in groups.items()}})


@app.command("set")
def set_(
    context: typer.Context,
    address: _AddressText,
    is_admin: Annotated[bool | None, typer.Option("--admin/--no-admin", help="Administrator of the server.")] = None,
    is_enabled: Annotated[bool | None, typer.Option("--enabled/--disabled", help="Whether he may log in.")] = None,
    new_address: Annotated[str | None, typer.Option("--address", help="Another address.")] = None,
    given_name: Annotated[str | None, typer.Option("--given-name")] = None,
    family_name: Annotated[str | None, typer.Option("--family-name")] = None,
) -> None:
    """Change a user."""
    terminal = terminal_of(context)
    key = None if new_address is None else terminal.address(new_address).key
    wishes: dict[str, Any] = {
        "is_admin": is_admin,
        "is_enabled": is_enabled,
        "address": key,
        "given_name": given_name,
        "family_name": family_name,
    }
    changes = {name: value for name, value in wishes.items() if value is not None}
    if not changes:
        terminal.fail(
            USAGE, "Nothing is to be changed", "`mailstead user set --help` lists the options.", "NothingToDo"
        )

    async def work(house: House) -> User:
        from mailstead.wiring.house import ADMINISTRATOR

        before = await house.users.get(ADMINISTRATOR, address)
        return await house.users.change(ADMINISTRATOR, replace(before, **changes))

    changed = terminal.run(work)
    terminal.say(f"{changed.address} is changed", _as_json(changed))


@app.command()
def password(context: typer.Context, address: _AddressText, password_stdin: _FromStdin = False) -> None:
    """Set a user's password; of one who is an account here, the account's."""
    terminal = terminal_of(context)
    secret = terminal.password(is_from_stdin=password_stdin)

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.users.set_password(ADMINISTRATOR, address, secret)

    terminal.run(work)
    terminal.say(f"{address} has a new password", {"user": address})


@app.command()
def remove(
    context: typer.Context,
    address: _AddressText,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a user, with tokens and memberships; an account of that address stays."""
    terminal = terminal_of(context)
    must_confirm(terminal, f"Remove the user {address}?", is_confirmed=yes)

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.users.remove(ADMINISTRATOR, address)

    terminal.run(work)
    terminal.say(f"{address} is no user any more", {"user": address})


def must_confirm(terminal: Terminal, question: str, *, is_confirmed: bool) -> None:
    """Ask on a terminal; where there is none, end with the text that helps."""
    import sys

    if is_confirmed:
        return
    if terminal.is_json or not sys.stdin.isatty():
        terminal.fail(USAGE, question, "Add --yes if that is meant.", "NotConfirmed")
    typer.confirm(question, abort=True, err=True)


def _log_in(user: User) -> str:
    if not user.is_enabled:
        return "disabled"
    return "as the account" if user.account_id is not None else "with a password of his own"


def _as_json(user: User) -> dict[str, object]:
    return {
        "user": user.address,
        "id": user.user_id,
        "is_admin": user.is_admin,
        "is_enabled": user.is_enabled,
        "is_account": user.account_id is not None,
        "given_name": user.given_name,
        "family_name": user.family_name,
        "created_at": as_json(user.created_at),
    }
