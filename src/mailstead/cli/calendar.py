"""`mailstead calendar`: list, add, remove, rename, share, link, subscribe, delegate, and what ends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli import collections
from mailstead.cli.collections import AddressText, Color, NameText, Title, WithText, Yes
from mailstead.cli.errors import LATER
from mailstead.cli.moments import as_json as moment_as_json
from mailstead.cli.moments import shown
from mailstead.cli.terminal import terminal_of
from mailstead.model.dav import CollectionKind

if TYPE_CHECKING:
    from mailstead.model.dav import Access, PublicLink
    from mailstead.model.directory import Account
    from mailstead.model.envelope import Actor
    from mailstead.usecases.collections import Opened
    from mailstead.usecases.sharings import NewLink
    from mailstead.usecases.subscriptions import Refreshed
    from mailstead.wiring.house import House

app = typer.Typer(
    help="Calendars of accounts: what there is, with whom they are shared, and where they come from.",
    no_args_is_help=True,
)
_KIND = CollectionKind.CALENDAR


@app.command("list")
def list_(context: typer.Context, address: AddressText) -> None:
    """Show the calendars that an account has, and those that others share with it."""
    collections.show_all(terminal_of(context), address, _KIND)


@app.command()
def add(context: typer.Context, address: AddressText, name: NameText, title: Title = "", color: Color = "") -> None:
    """Make a calendar."""
    collections.add(terminal_of(context), address, _KIND, name, title, color)


@app.command()
def remove(context: typer.Context, address: AddressText, name: NameText, yes: Yes = False) -> None:
    """Remove a calendar with all that is in it; one that others share is only left."""
    collections.remove(terminal_of(context), address, _KIND, name, asks=not yes)


@app.command()
def rename(context: typer.Context, address: AddressText, name: NameText, title: Title = "", color: Color = "") -> None:
    """Change how a calendar is shown; a shared one only for this account."""
    collections.rename(terminal_of(context), address, _KIND, name, title, color)


@app.command()
def share(
    context: typer.Context,
    address: AddressText,
    name: NameText,
    sharee: WithText,
    write: Annotated[bool, typer.Option("--write", help="Let it change events as well.")] = False,
) -> None:
    """Let another account see a calendar; it is in its calendar programs at once."""
    collections.share(terminal_of(context), address, _KIND, name, sharee, may_write=write)


@app.command()
def unshare(context: typer.Context, address: AddressText, name: NameText, sharee: WithText) -> None:
    """Let another account see a calendar no more."""
    collections.unshare(terminal_of(context), address, _KIND, name, sharee)


@app.command()
def shares(context: typer.Context, address: AddressText) -> None:
    """Show with whom an account shares its calendars."""
    collections.show_shares(terminal_of(context), address, _KIND)


# public links


@app.command()
def link(
    context: typer.Context,
    address: AddressText,
    name: NameText,
    expires: Annotated[str, typer.Option(help="After how long it ends: 12h, 30d, 8w; else never.")] = "",
    busy_only: Annotated[bool, typer.Option("--busy-only", help="Tell only when, not what.")] = False,
) -> None:
    """Make a secret web address under which everybody who has it reads a calendar. It is shown this once."""
    terminal = terminal_of(context)
    lasts = collections.life(terminal, expires, "--expires") if expires else None

    async def work(house: House, actor: Actor, opened: Opened) -> tuple[NewLink, str]:
        from mailstead.wiring.house import dav_base_url

        made = await house.sharings.link(actor, opened, life=lasts, hides_details=busy_only)
        return made, f"{dav_base_url(house.settings)}/public/calendars/{made.token}.ics"

    made, url = collections.with_collection(terminal, address, _KIND, name, work)
    terminal.say(url, {**_link_as_json(made.link, name), "url": url})


@app.command()
def links(context: typer.Context, address: AddressText) -> None:
    """Show an account's public links; the addresses themselves are not kept."""
    terminal = terminal_of(context)

    async def work(house: House, actor: Actor, account: Account) -> list[tuple[PublicLink, str]]:
        names = {
            each.collection.collection_id: each.name
            for each in await house.collections.home(actor, account, _KIND)
            if each.share is None
        }
        return [(each, names.get(each.collection_id, "")) for each in await house.sharings.links(actor, account)]

    from mailstead.usecases.sharings import link_id

    found = collections.for_owner(terminal, address, work)
    terminal.say_table(
        ("Link", "Calendar", "Made at", "Ends at", "Shows"),
        [
            (
                link_id(each),
                name,
                shown(each.created_at),
                shown(each.expires_at),
                "busy times" if each.hides_details else "events",
            )
            for each, name in found
        ],
        [_link_as_json(each, name) for each, name in found],
    )


@app.command()
def unlink(
    context: typer.Context,
    address: AddressText,
    link: Annotated[str, typer.Argument(metavar="LINK", help="As `links` shows it.")],
) -> None:
    """End a public link."""
    terminal = terminal_of(context)

    async def work(house: House, actor: Actor, account: Account) -> PublicLink:
        return await house.sharings.unlink(actor, account, link.rpartition("/")[2].removesuffix(".ics"))

    from mailstead.usecases.sharings import link_id

    ended = collections.for_owner(terminal, address, work)
    terminal.say(f"The link {link_id(ended)} has ended", {"link": link_id(ended)})


# subscriptions


@app.command()
def subscribe(
    context: typer.Context,
    address: AddressText,
    url: Annotated[str, typer.Argument(metavar="URL", help="https:// or webcal://")],
    name: Annotated[str, typer.Option(help="Of the new calendar.")],
    title: Title = "",
    color: Color = "",
    every: Annotated[str, typer.Option(help="How often it is fetched: 15m to 7d.")] = "1h",
) -> None:
    """Make a calendar whose events come from a web address, and fetch them."""
    terminal = terminal_of(context)
    interval = collections.life(terminal, every, "--every")
    collections.check_color(terminal, color)

    async def work(house: House, actor: Actor, account: Account) -> Refreshed:
        from mailstead.model.dav import CollectionTraits

        traits = CollectionTraits(display_name=title or name, color=color)
        opened = await house.subscriptions.subscribe(
            actor, account, url, name, traits=traits, interval=interval, is_refreshed=True
        )
        return await house.subscriptions.refresh(opened)

    _say_refreshed(context, name, collections.for_owner(terminal, address, work))


@app.command()
def refresh(context: typer.Context, address: AddressText, name: NameText) -> None:
    """Fetch a calendar that comes from elsewhere now."""

    async def work(house: House, _actor: Actor, opened: Opened) -> Refreshed:
        return await house.subscriptions.refresh(opened)

    found = collections.with_collection(terminal_of(context), address, _KIND, name, work)
    _say_refreshed(context, name, found)


# delegates


@app.command()
def delegate(
    context: typer.Context,
    address: AddressText,
    delegate: WithText,
    read: Annotated[bool, typer.Option("--read", help="Only let it read.")] = False,
    off: Annotated[bool, typer.Option("--off", help="No more.")] = False,
) -> None:
    """Let another account act for this one in all its calendars."""
    terminal = terminal_of(context)
    delegate_address = terminal.address(delegate)

    async def work(house: House, actor: Actor, account: Account) -> Access | None:
        from mailstead.model.dav import Access

        access = None if off else Access.READ if read else Access.WRITE
        await house.sharings.set_delegate(actor, account, delegate_address, access)
        return access

    access = collections.for_owner(terminal, address, work)
    said = {"read": "reads all its calendars", "write": "acts for it in all its calendars"}
    terminal.say(
        f"{delegate_address} {said[access.value] if access else 'acts for it no more'}",
        {"delegate": str(delegate_address), "access": access.value if access else None},
    )


@app.command()
def delegates(context: typer.Context, address: AddressText) -> None:
    """Show who acts for an account in its calendars."""
    terminal = terminal_of(context)

    async def work(house: House, actor: Actor, account: Account) -> list[tuple[str, str]]:
        found = await house.sharings.delegates(actor, account)
        return [(str(each.address), access.value) for each, access in found]

    found = collections.for_owner(terminal, address, work)
    terminal.say_table(("Delegate", "Access"), found, [{"delegate": each, "access": access} for each, access in found])


def _say_refreshed(context: typer.Context, name: str, found: Refreshed) -> None:
    terminal = terminal_of(context)
    value = {
        "name": name,
        "changed_count": found.changed_count,
        "removed_count": found.removed_count,
        "failure": found.failure,
    }
    if found.failure:
        terminal.say(f"{name} cannot be fetched: {found.failure}\nIt will be tried again by the queue service.", value)
        raise typer.Exit(LATER)
    terminal.say(f"{name}: {found.changed_count} events came or changed, {found.removed_count} are gone", value)


def _link_as_json(link: PublicLink, name: str) -> dict[str, object]:
    from mailstead.usecases.sharings import link_id

    return {
        "link": link_id(link),
        "calendar": name,
        "created_at": moment_as_json(link.created_at),
        "expires_at": moment_as_json(link.expires_at),
        "hides_details": link.hides_details,
    }
