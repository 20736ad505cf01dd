"""`mailstead check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mailstead.cli.errors import FOUND
from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from mailstead.ports.storage import Finding
    from mailstead.wiring.house import House


def check(context: typer.Context) -> None:
    """Look whether all stores are consistent; changes nothing. Exit code 1 if something is wrong."""
    terminal = terminal_of(context)

    async def work(house: House) -> list[Finding]:
        from mailstead.usecases.checks import Checks
        from mailstead.wiring.house import ADMINISTRATOR

        return [finding async for finding in Checks(house.storage).findings(ADMINISTRATOR)]

    found = terminal.run(work)
    lines = [f"{one.account_id or 'directory'}: {one.text}" for one in found]
    terminal.say(
        "\n".join(lines) if lines else "All stores are consistent",
        [{"account_id": one.account_id, "text": one.text} for one in found],
    )
    if found:
        raise typer.Exit(FOUND)
