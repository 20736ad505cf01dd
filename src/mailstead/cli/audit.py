"""`mailstead audit`: list, export."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.moments import shown
from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from mailstead.model.people import AuditEntry, Page
    from mailstead.wiring.house import House

app = typer.Typer(help="The log of who did what.", no_args_is_help=True)

_Domain = Annotated[str, typer.Option("--domain", help="Only what concerns this domain.")]
_Verb = Annotated[str, typer.Option("--verb", help="Only what begins so: alias, log-in.failed, …")]


@app.command("list")
def list_(
    context: typer.Context,
    domain: _Domain = "",
    verb: _Verb = "",
    text: Annotated[str, typer.Option("--text", help="Only where this occurs, in actor, verb or object.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many entries.")] = 100,
    page: Annotated[int, typer.Option("--page", min=1, help="Which part of the list, from 1.")] = 1,
) -> None:
    """Show the latest entries, newest first."""
    terminal = terminal_of(context)

    async def work(house: House) -> Page[AuditEntry]:
        from mailstead.model.people import Listing
        from mailstead.wiring.house import ADMINISTRATOR

        if domain:
            await house.domains.get(ADMINISTRATOR, domain)
        listing = Listing(page=page, limit=limit, text=text)
        return await house.audit.list(ADMINISTRATOR, listing, domain=domain, verb=verb)

    found = terminal.run(work)
    terminal.say_table(
        ("At", "Actor", "From", "Verb", "Object", "Details"),
        [
            (
                shown(entry.at),
                entry.actor,
                entry.peer,
                entry.verb,
                entry.object,
                " ".join(f"{name}={value}" for name, value in entry.details.items()),
            )
            for entry in found.items
        ],
        {"count": found.item_count, "entries": [_as_json(entry) for entry in found.items]},
    )


@app.command()
def export(context: typer.Context, domain: _Domain = "", verb: _Verb = "") -> None:
    """Write all entries as comma-separated values, which a spreadsheet opens without running anything in them."""
    terminal = terminal_of(context)

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        if domain:
            await house.domains.get(ADMINISTRATOR, domain)
        async for rows in house.audit.export(ADMINISTRATOR, domain=domain, verb=verb):
            sys.stdout.write(rows)

    terminal.run(work)


def _as_json(entry: AuditEntry) -> dict[str, object]:
    return {
        "id": entry.entry_id,
        "at": entry.at.isoformat(),
        "actor": entry.actor,
        "peer": entry.peer,
        "verb": entry.verb,
        "object": entry.object,
        "domain": entry.domain,
        "details": dict(entry.details),
    }
