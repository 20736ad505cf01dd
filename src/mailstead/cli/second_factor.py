"""`mailstead second-factor`: list, remove: the way back in for whoever has lost telephone and recovery codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.errors import USAGE
from mailstead.cli.moments import as_json, shown
from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailstead.model.people import Factor
    from mailstead.wiring.house import House

app = typer.Typer(help="Second factors of accounts and users.", no_args_is_help=True)

_AddressText = Annotated[str, typer.Argument(metavar="ADDRESS")]


@app.command("list")
def list_(context: typer.Context, address: _AddressText) -> None:
    """Show the second factors of an account or user; of recovery codes only how many are left."""
    terminal = terminal_of(context)
    owner = terminal.address(address)

    async def work(house: House) -> Sequence[Factor]:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.factor_settings.list_of(ADMINISTRATOR, owner)

    found = terminal.run(work)
    devices = [one for one in found if one.kind.value != "recovery"]
    recovery_count = len(found) - len(devices)
    terminal.say_table(
        ("Kind", "Label", "Made at", "Last used at"),
        [
            *(
                (
                    one.kind.value + ("" if one.is_confirmed else " (not confirmed)"),
                    one.label,
                    shown(one.created_at),
                    shown(one.last_used_at),
                )
                for one in devices
            ),
            *([("recovery codes", f"{recovery_count} left", "", "")] if recovery_count else []),
        ],
        {
            "factors": [
                {
                    "kind": one.kind.value,
                    "label": one.label,
                    "is_confirmed": one.is_confirmed,
                    "created_at": as_json(one.created_at),
                    "last_used_at": as_json(one.last_used_at),
                }
                for one in devices
            ],
            "recovery_codes_left": recovery_count,
        },
    )


@app.command()
def remove(
    context: typer.Context,
    address: _AddressText,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove all second factors of an account or user: the password alone logs in again. Sessions on the web end.

    Be sure who asks for it: with it, whoever knows the password is in.
    """
    terminal = terminal_of(context)
    owner = terminal.address(address)
    if not yes:
        import sys

        if terminal.is_json or not sys.stdin.isatty():
            terminal.fail(USAGE, "This lets the password alone log in", "Add --yes if that is meant.", "NotConfirmed")
        typer.confirm(f"Let the password of {owner} alone log in?", abort=True, err=True)

    async def work(house: House) -> int:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.factor_settings.remove_all(ADMINISTRATOR, owner)

    count = terminal.run(work)
    text = f"{owner} has no second factor any more" if count else f"{owner} had no second factor"
    terminal.say(text, {"address": str(owner), "removed_count": count})
