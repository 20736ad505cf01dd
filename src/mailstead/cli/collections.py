"""What `mailstead calendar` and `mailstead addressbook` have in common."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mailstead.cli.errors import DATA, USAGE
from mailstead.cli.terminal import Terminal, owner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta
    from typing import TypeVar

    from mailstead.model.dav import Access, CollectionKind
    from mailstead.model.directory import Account
    from mailstead.model.envelope import Actor
    from mailstead.usecases.collections import Opened
    from mailstead.wiring.house import House

    T = TypeVar("T")

AddressText = Annotated[str, typer.Argument(metavar="ADDRESS", help="Whose.")]
NameText = Annotated[str, typer.Argument(metavar="NAME", help="As `list` shows it, by either name.")]
WithText = Annotated[str, typer.Argument(metavar="WITH", help="The address of another account.")]
Title = Annotated[str, typer.Option(help="How it is shown; else its name.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Color = Annotated[str, typer.Option(help="Such as #3366CC.")]

_WORDS: Final = {"read": "may read", "write": "may read and write"}
_COLOR: Final = re.compile(r"#[0-9A-Fa-f]{6}(?:[0-9A-Fa-f]{2})?")
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def for_owner(terminal: Terminal, address: str, work: Callable[[House, Actor, Account], Awaitable[T]]) -> T:
    """Do something for the owner of an account."""
    account_address = terminal.address(address)

    async def in_house(house: House) -> T:
        from mailstead.model.errors import NoSuchAccount

        actor = await owner(house, account_address)
        assert actor.account_id is not None
        account = await house.storage.directory.account(actor.account_id)
        if account is None:
            raise NoSuchAccount
        return await work(house, actor, account)

    return terminal.run(in_house)


def with_collection(
    terminal: Terminal,
    address: str,
    kind: CollectionKind,
    name: str,
    work: Callable[[House, Actor, Opened], Awaitable[T]],
) -> T:
    """Do something with one of an account's collections."""

    async def opened(house: House, actor: Actor, account: Account) -> T:
        from mailstead.model.errors import NoSuchCollection
        from mailstead.usecases.calendar_files import named

        found = named(await house.collections.home(actor, account, kind), name)
        if found is None:
            raise NoSuchCollection(f"{account.address} has no {kind.value} {name!r}, or several that are shown so")
        return await work(house, actor, found)

    return for_owner(terminal, address, opened)


def show_all(terminal: Terminal, address: str, kind: CollectionKind) -> None:
    """Show an account's collections, its own and others' that it may see."""

    async def work(house: House, actor: Actor, account: Account) -> list[tuple[Opened, list[str], str]]:
        shared: list[tuple[Opened, list[str], str]] = []
        failures = {each.collection_id: each.failure for each in await house.subscriptions.of(actor, account)}
        for opened in await house.collections.home(actor, account, kind):
            given = [] if opened.share else await house.sharings.given(actor, opened)
            failure = "" if opened.share else failures.get(opened.collection.collection_id, "")
            shared.append((opened, [str(each.sharee.address) for each in given], failure))
        return shared

    found = for_owner(terminal, address, work)
    rows = []
    for opened, sharees, failure in found:
        note = f"of {opened.owner.address}" if opened.share else f"shared with {', '.join(sharees)}" if sharees else ""
        if opened.collection.source_url:
            note = f"from {opened.collection.source_url}" + (f"; failed: {failure}" if failure else "")
        rows.append(
            (
                opened.name,
                opened.traits.display_name,
                str(opened.collection.resource_count),
                "reads" if opened.access.value == "read" else "",
                note,
            )
        )
    terminal.say_table(
        ("Name", "Shown as", "Objects", "Access", "Note"),
        rows,
        [{**as_json(opened), "shared_with": sharees, "failure": failure} for opened, sharees, failure in found],
    )


def add(terminal: Terminal, address: str, kind: CollectionKind, name: str, title: str, color: str) -> None:
    """Make a collection."""
    check_color(terminal, color)

    async def work(house: House, actor: Actor, account: Account) -> Opened:
        from mailstead.model.dav import CollectionTraits
        from mailstead.model.errors import CollectionExists
        from mailstead.usecases.calendar_files import named

        if named(await house.collections.home(actor, account, kind), name) is not None:
            raise CollectionExists(name=name)
        traits = CollectionTraits(display_name=title or name, color=color)
        return await house.collections.create(actor, account, kind, name, traits)

    opened = for_owner(terminal, address, work)
    terminal.say(f"{address} has a new {kind.value} {opened.name}", as_json(opened))


def remove(terminal: Terminal, address: str, kind: CollectionKind, name: str, *, asks: bool) -> None:
    """Remove a collection; a shared one is only left."""
    if asks:
        if not sys.stdin.isatty():
            terminal.fail(
                USAGE, f"This removes all that is in the {kind.value}", "Add --yes if that is meant.", "NotConfirmed"
            )
        typer.confirm(f"Remove the {kind.value} {name} with all that is in it?", abort=True, err=True)

    async def work(house: House, actor: Actor, opened: Opened) -> Opened:
        await house.collections.delete(actor, opened)
        return opened

    opened = with_collection(terminal, address, kind, name, work)
    said = "is left" if opened.share else f"is removed with {opened.collection.resource_count} objects"
    terminal.say(f"The {kind.value} {opened.name} {said}", as_json(opened))


def rename(terminal: Terminal, address: str, kind: CollectionKind, name: str, title: str, color: str) -> None:
    """Change how a collection is shown."""
    check_color(terminal, color)

    async def work(house: House, actor: Actor, opened: Opened) -> Opened:
        from dataclasses import replace

        traits = replace(
            opened.traits, display_name=title or opened.traits.display_name, color=color or opened.traits.color
        )
        return await house.collections.set_traits(actor, opened, traits)

    opened = with_collection(terminal, address, kind, name, work)
    terminal.say(f"The {kind.value} {opened.name} is shown as {opened.traits.display_name}", as_json(opened))


def share(terminal: Terminal, address: str, kind: CollectionKind, name: str, sharee: str, *, may_write: bool) -> None:
    """Share a collection with another account."""
    sharee_address = terminal.address(sharee)

    async def work(house: House, actor: Actor, opened: Opened) -> tuple[str, Access]:
        from mailstead.model.dav import Access

        given = await house.sharings.share(actor, opened, sharee_address, Access.WRITE if may_write else Access.READ)
        return given.name, given.access

    shown, access = with_collection(terminal, address, kind, name, work)
    terminal.say(
        f"{sharee_address} {_WORDS[access.value]}; it is there as {shown}",
        {"with": str(sharee_address), "access": access.value, "name": shown},
    )


def unshare(terminal: Terminal, address: str, kind: CollectionKind, name: str, sharee: str) -> None:
    """Take a share back."""
    sharee_address = terminal.address(sharee)

    async def work(house: House, actor: Actor, opened: Opened) -> None:
        await house.sharings.unshare(actor, opened, sharee_address)

    with_collection(terminal, address, kind, name, work)
    terminal.say(f"{sharee_address} sees it no more", {"with": str(sharee_address)})


def show_shares(terminal: Terminal, address: str, kind: CollectionKind) -> None:
    """Show what an account shares, and with whom."""

    async def work(house: House, actor: Actor, account: Account) -> list[tuple[str, str, str]]:
        return [
            (opened.name, str(each.sharee.address), each.share.access.value)
            for opened in await house.collections.home(actor, account, kind)
            if opened.share is None
            for each in await house.sharings.given(actor, opened)
        ]

    found = for_owner(terminal, address, work)
    terminal.say_table(
        ("Name", "With", "Access"),
        found,
        [{"name": name, "with": sharee, "access": access} for name, sharee, access in found],
    )


def as_json(opened: Opened) -> dict[str, object]:
    """Give a collection for machines."""
    return {
        "name": opened.name,
        "shown_as": opened.traits.display_name,
        "color": opened.traits.color,
        "object_count": opened.collection.resource_count,
        "size_octets": opened.collection.size_octets,
        "access": opened.access.value,
        "owner": str(opened.owner.address),
        "source_url": opened.collection.source_url,
    }


def check_color(terminal: Terminal, color: str) -> None:
    """End with the text that helps, where a colour is none."""
    if color and not _COLOR.fullmatch(color):
        terminal.fail(DATA, f"--color is written as #3366CC; not {color!r}", kind="BadColor")


def life(terminal: Terminal, text: str, option: str) -> timedelta:
    """Read how long something lasts: ``30d``, ``12h``."""
    from datetime import timedelta

    found = re.fullmatch(r"([1-9]\d{0,4})([mhdw])", text)
    if found is None:
        terminal.fail(DATA, f"{option} is written as 30m, 12h, 30d or 8w; not {text!r}", kind="BadDuration")
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])
