"""`mailstead addressbook`: list, add, remove, rename, share, unshare, shares."""

from __future__ import annotations

from typing import Annotated

import typer

from mailstead.cli import collections
from mailstead.cli.collections import AddressText, NameText, Title, WithText, Yes
from mailstead.cli.terminal import terminal_of
from mailstead.model.dav import CollectionKind

app = typer.Typer(help="Address books of accounts: what there is, and with whom they are shared.", no_args_is_help=True)
_KIND = CollectionKind.ADDRESSBOOK


@app.command("list")
def list_(context: typer.Context, address: AddressText) -> None:
    """Show the address books that an account has, and those that others share with it."""
    collections.show_all(terminal_of(context), address, _KIND)


@app.command()
def add(context: typer.Context, address: AddressText, name: NameText, title: Title = "") -> None:
    """Make an address book."""
    collections.add(terminal_of(context), address, _KIND, name, title, "")


@app.command()
def remove(context: typer.Context, address: AddressText, name: NameText, yes: Yes = False) -> None:
    """Remove an address book with all that is in it; one that others share is only left."""
    collections.remove(terminal_of(context), address, _KIND, name, asks=not yes)


@app.command()
def rename(context: typer.Context, address: AddressText, name: NameText, title: Title = "") -> None:
    """Change how an address book is shown; a shared one only for this account."""
    collections.rename(terminal_of(context), address, _KIND, name, title, "")


@app.command()
def share(
    context: typer.Context,
    address: AddressText,
    name: NameText,
    sharee: WithText,
    write: Annotated[bool, typer.Option("--write", help="Let it change contacts as well.")] = False,
) -> None:
    """Let another account see an address book; it is in its programs at once."""
    collections.share(terminal_of(context), address, _KIND, name, sharee, may_write=write)


@app.command()
def unshare(context: typer.Context, address: AddressText, name: NameText, sharee: WithText) -> None:
    """Let another account see an address book no more."""
    collections.unshare(terminal_of(context), address, _KIND, name, sharee)


@app.command()
def shares(context: typer.Context, address: AddressText) -> None:
    """Show with whom an account shares its address books."""
    collections.show_shares(terminal_of(context), address, _KIND)
