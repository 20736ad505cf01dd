"""`mailstead invite`: add, list, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.member import IsAdmin
from mailstead.cli.moments import shown
from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailstead.model.people import Invite
    from mailstead.usecases.members import Invited
    from mailstead.wiring.house import House

app = typer.Typer(help="Invitations to have a part in a domain.", no_args_is_help=True)

_Domain = Annotated[str, typer.Argument(metavar="DOMAIN")]
_AddressText = Annotated[str, typer.Argument(metavar="ADDRESS")]


@app.command()
def add(context: typer.Context, domain: _Domain, address: _AddressText, is_admin: IsAdmin = False) -> None:
    """Invite somebody, by mail where the server has pages; the link is shown, too. An earlier one is no good then."""
    terminal = terminal_of(context)
    invited_address = terminal.address(address)

    async def work(house: House) -> tuple[Invited, str]:
        from mailstead.model.people import Group
        from mailstead.wiring.house import ADMINISTRATOR

        group = Group.ADMIN if is_admin else Group.USER
        invited = await house.members.invite(ADMINISTRATOR, domain, invited_address, group)
        return invited, house.members.link(invited)

    invited, link = terminal.run(work)
    told = "was sent a mail" if invited.is_mailed else "has not been told: this server has no pages"
    until = shown(invited.invite.expires_at)
    lines = [f"{address} is invited to {invited.invite.domain} until {until}, and {told}", *([link] if link else [])]
    terminal.say("\n".join(lines), {**_as_json(invited.invite), "is_mailed": invited.is_mailed, "link": link or None})


@app.command("list")
def list_(context: typer.Context, domain: _Domain) -> None:
    """Show the invitations that wait."""
    terminal = terminal_of(context)

    async def work(house: House) -> Sequence[Invite]:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.domains.get(ADMINISTRATOR, domain)
        return await house.members.invites(ADMINISTRATOR, domain)

    found = terminal.run(work)
    terminal.say_table(
        ("Address", "Group", "Until"),
        [(one.address, one.group, shown(one.expires_at)) for one in found],
        [_as_json(one) for one in found],
    )


@app.command()
def remove(context: typer.Context, domain: _Domain, address: _AddressText) -> None:
    """Take an invitation back."""
    terminal = terminal_of(context)
    invited_address = terminal.address(address)

    async def work(house: House) -> Invite:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.members.withdraw(ADMINISTRATOR, domain, invited_address)

    gone = terminal.run(work)
    terminal.say(f"{gone.address} is invited no more", _as_json(gone))


def _as_json(one: Invite) -> dict[str, object]:
    return {
        "domain": one.domain,
        "address": one.address,
        "group": str(one.group),
        "expires_at": one.expires_at.isoformat(),
    }
