"""`mailstead member`: add, list, set, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailstead.model.people import Member
    from mailstead.wiring.house import House

app = typer.Typer(help="Who has a part in a domain.", no_args_is_help=True)

_Domain = Annotated[str, typer.Argument(metavar="DOMAIN")]
_User = Annotated[str, typer.Argument(metavar="USER", help="Address of the user.")]
IsAdmin = Annotated[
    bool, typer.Option("--admin/--no-admin", help="Administrator of the domain, or with addresses of his own only.")
]


@app.command()
def add(context: typer.Context, domain: _Domain, user: _User, is_admin: IsAdmin = False) -> None:
    """Make a user a member of a domain, without asking him; `invite add` asks."""
    terminal = terminal_of(context)

    async def work(house: House) -> Member:
        from mailstead.model.people import Group
        from mailstead.wiring.house import ADMINISTRATOR

        whom = await house.users.get(ADMINISTRATOR, user)
        return await house.members.add(ADMINISTRATOR, domain, whom, Group.ADMIN if is_admin else Group.USER)

    made = terminal.run(work)
    terminal.say(f"{made.user.address} is {made.group} of {made.domain} now", _as_json(made))


@app.command("list")
def list_(context: typer.Context, domain: _Domain) -> None:
    """Show the members of a domain."""
    terminal = terminal_of(context)

    async def work(house: House) -> Sequence[Member]:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.domains.get(ADMINISTRATOR, domain)
        return await house.members.list(ADMINISTRATOR, domain)

    found = terminal.run(work)
    terminal.say_table(
        ("Member", "Group"), [(one.user.address, one.group) for one in found], [_as_json(one) for one in found]
    )


@app.command("set")
def set_(context: typer.Context, domain: _Domain, user: _User, is_admin: IsAdmin) -> None:
    """Make a member an administrator of the domain, or the reverse."""
    terminal = terminal_of(context)

    async def work(house: House) -> Member:
        from mailstead.model.people import Group
        from mailstead.wiring.house import ADMINISTRATOR

        whom = await house.users.get(ADMINISTRATOR, user)
        group = Group.ADMIN if is_admin else Group.USER
        return await house.members.change(ADMINISTRATOR, domain, whom.user_id, group)

    changed = terminal.run(work)
    terminal.say(f"{changed.user.address} is {changed.group} of {changed.domain} now", _as_json(changed))


@app.command()
def remove(context: typer.Context, domain: _Domain, user: _User) -> None:
    """End a membership; his addresses become the domain's."""
    terminal = terminal_of(context)

    async def work(house: House) -> Member:
        from mailstead.wiring.house import ADMINISTRATOR

        whom = await house.users.get(ADMINISTRATOR, user)
        return await house.members.remove(ADMINISTRATOR, domain, whom.user_id)

    gone = terminal.run(work)
    terminal.say(f"{gone.user.address} has no part in {gone.domain} any more", _as_json(gone))


def _as_json(one: Member) -> dict[str, object]:
    return {"domain": one.domain, "user": one.user.address, "id": one.user.user_id, "group": str(one.group)}
