"""`mailstead account link-oidc` and `unlink-oidc`: whose account a person of the OpenID Connect provider is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from mailstead.wiring.house import House

_AddressText = Annotated[str, typer.Argument(metavar="ADDRESS")]


def link(
    context: typer.Context,
    address: _AddressText,
    subject: Annotated[str, typer.Argument(help="Who it is at the provider: the claim sub, not an address.")],
) -> None:
    """Let a person of the OpenID Connect provider (oidc.issuer) in as an account."""
    terminal = terminal_of(context)
    account_address = terminal.address(address)

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR
        from mailstead.wiring.oidc import make_links

        await make_links(house).link(ADMINISTRATOR, account_address, subject)

    terminal.run(work)
    terminal.say(f"{account_address} is {subject} of the provider", {"address": address, "subject": subject})


def unlink(context: typer.Context, address: _AddressText) -> None:
    """End the link; whoever came in by the provider is logged out."""
    terminal = terminal_of(context)
    account_address = terminal.address(address)

    async def work(house: House) -> bool:
        from mailstead.wiring.house import ADMINISTRATOR
        from mailstead.wiring.oidc import make_links

        return await make_links(house).unlink(ADMINISTRATOR, account_address)

    was_linked = terminal.run(work)
    text = f"{account_address} is nobody of the provider any more" if was_linked else f"{account_address} had no link"
    terminal.say(text, {"address": address, "was_linked": was_linked})
