"""`mailstead session`: list, end: who is logged in on the web, and ending it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.moments import as_json, shown
from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailstead.model.people import WebSession
    from mailstead.wiring.house import House

app = typer.Typer(help="Sessions of browsers, of accounts and users.", no_args_is_help=True)

_AddressText = Annotated[str, typer.Argument(metavar="ADDRESS")]


@app.command("list")
def list_(context: typer.Context, address: _AddressText) -> None:
    """Show the sessions of an account or user."""
    terminal = terminal_of(context)
    owner = terminal.address(address)

    async def work(house: House) -> Sequence[WebSession]:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.web_sessions.list_of(ADMINISTRATOR, owner)

    found = terminal.run(work)
    terminal.say_table(
        ("Begun at", "Last seen at", "From", "Program", "Second factor shown at"),
        [
            (shown(one.created_at), shown(one.last_seen_at), one.peer, one.program, shown(one.strong_at))
            for one in found
        ],
        [
            {
                "id": one.session_id,
                "created_at": as_json(one.created_at),
                "expires_at": as_json(one.expires_at),
                "last_seen_at": as_json(one.last_seen_at),
                "peer": one.peer,
                "program": one.program,
                "strong_at": as_json(one.strong_at),
            }
            for one in found
        ],
    )


@app.command()
def end(context: typer.Context, address: _AddressText) -> None:
    """End all sessions of an account or user; mail programs stay logged in."""
    terminal = terminal_of(context)
    owner = terminal.address(address)

    async def work(house: House) -> int:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.web_sessions.revoke_of(ADMINISTRATOR, owner)

    count = terminal.run(work)
    terminal.say(f"{count} sessions of {owner} ended", {"address": str(owner), "ended_count": count})
