"""`mailstead dkim`: list, create, import, rotate, activate, retire, remove."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.terminal import Terminal, terminal_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailstead.usecases.keys import PublishedKey
    from mailstead.wiring.house import House

app = typer.Typer(
    help="Keys that sign the mail of our domains. To change them: rotate, publish the records, activate; weeks later "
    "remove the retired ones.",
    no_args_is_help=True,
)

_Name = Annotated[str, typer.Argument(metavar="DOMAIN")]
_Selector = Annotated[str, typer.Argument(metavar="SELECTOR", help="As `list` shows it.")]


@app.command("list")
def list_(context: typer.Context, name: _Name) -> None:
    """Show the keys of a domain and the records to publish; those of retired keys stay until they are removed."""
    terminal = terminal_of(context)

    async def work(house: House) -> Sequence[PublishedKey]:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.keys.list(ADMINISTRATOR, name)

    _say(terminal, terminal.run(work), "")


@app.command()
def create(context: typer.Context, name: _Name) -> None:
    """Make the first keys of a domain that has none; new domains have theirs already."""
    terminal = terminal_of(context)

    async def work(house: House) -> Sequence[PublishedKey]:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.keys.create(ADMINISTRATOR, name)

    _say(terminal, terminal.run(work), "These keys sign from now on; publish their records:")


@app.command("import")
def import_(
    context: typer.Context,
    name: _Name,
    selector: Annotated[str, typer.Argument(metavar="SELECTOR", help="Under which the record is published.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The private key, PEM or DER, not encrypted.")],
) -> None:
    """Take over a key from another server; its record need not change."""
    terminal = terminal_of(context)
    from mailstead.model.errors import BadImport

    with terminal.clear_errors():
        try:
            octets = file.read_bytes()
        except OSError as error:
            raise BadImport(f"{file} cannot be read: {error.strerror}") from None

    async def work(house: House) -> PublishedKey:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.keys.import_key(ADMINISTRATOR, name, selector, octets)

    _say(terminal, [terminal.run(work)], "This key signs from now on; its record should be:")


@app.command()
def rotate(context: typer.Context, name: _Name) -> None:
    """Make the next keys, which sign nothing yet, and print the records to publish."""
    terminal = terminal_of(context)

    async def work(house: House) -> Sequence[PublishedKey]:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.keys.rotate(ADMINISTRATOR, name)

    _say(terminal, terminal.run(work), f"Publish these records, wait a day, then `mailstead dkim activate {name}`:")


@app.command()
def activate(context: typer.Context, name: _Name) -> None:
    """Let the keys that `rotate` made sign, and the present ones no more."""
    terminal = terminal_of(context)

    async def work(house: House) -> Sequence[PublishedKey]:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.keys.activate(ADMINISTRATOR, name)

    _say(terminal, terminal.run(work), "Leave the records of retired keys for two weeks, as mail may be on its way:")


@app.command()
def retire(context: typer.Context, name: _Name, selector: _Selector) -> None:
    """Let one key sign no more; its record stays."""
    terminal = terminal_of(context)

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.keys.retire(ADMINISTRATOR, name, selector)

    terminal.run(work)
    terminal.say(f"{selector} signs no longer for {name}", {"domain": name, "selector": selector, "state": "retired"})


@app.command()
def remove(context: typer.Context, name: _Name, selector: _Selector) -> None:
    """Remove a key that does not sign; its record can be taken out of the DNS."""
    terminal = terminal_of(context)

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.keys.remove(ADMINISTRATOR, name, selector)

    terminal.run(work)
    terminal.say(f"{selector} of {name} is removed", {"domain": name, "selector": selector})


def _say(terminal: Terminal, found: Sequence[PublishedKey], title: str) -> None:
    lines = [title] if title else []
    for one in found:
        lines.append(f"{one.key.selector} ({one.key.algorithm}, {one.key.state.value}, {one.key.created_at:%Y-%m-%d})")
        lines.append(f"    {one.name}. TXT {one.record}")
    terminal.say(
        "\n".join(lines) or "(none)",
        [
            {
                "domain": one.key.domain,
                "selector": one.key.selector,
                "algorithm": one.key.algorithm,
                "state": one.key.state.value,
                "created_at": one.key.created_at.isoformat(),
                "name": one.name,
                "record": one.record,
            }
            for one in found
        ],
    )
