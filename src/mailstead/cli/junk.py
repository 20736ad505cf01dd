"""`mailstead junk`: why is this in Junk, what has the filter learned, whose mail is always or never taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.terminal import owner, terminal_of

if TYPE_CHECKING:
    from mailstead.policy.junk import JunkScore
    from mailstead.wiring.house import House

app = typer.Typer(help="The junk filter of an account, and its own lists of senders.", no_args_is_help=True)

_AddressText = Annotated[str, typer.Argument(metavar="ADDRESS", help="The account.")]
_Entries = Annotated[
    list[str] | None, typer.Argument(metavar="[ENTRY...]", help="Addresses, domains, IP addresses or networks.")
]
_Remove = Annotated[bool, typer.Option("--remove", help="Take the entries off the list instead.")]


@app.command()
def explain(
    context: typer.Context,
    address: _AddressText,
    uid: Annotated[int, typer.Option(help="UID of the message, as mail clients and `export` show it.")],
    mailbox: Annotated[str, typer.Option(help="Where it is.")] = "Junk",
) -> None:
    """Say how likely junk a message is, and by which words."""
    from mailstead.model.ids import Uid

    terminal = terminal_of(context)
    account = terminal.address(address)

    async def work(house: House) -> JunkScore | None:
        return await house.junk_filter.explain(await owner(house, account), mailbox, Uid(uid))

    found = terminal.run(work)
    if found is None:
        terminal.say("The filter has learned too little to say anything yet.", {"probability": None, "words": []})
        return
    words = [
        {"word": each.word, "probability": round(each.probability, 3), "good": each.good_count, "junk": each.junk_count}
        for each in found.telling
    ]
    value = {"probability": round(found.probability, 4), "words": words}
    if not terminal.is_json:
        terminal.say(f"{found.probability:.1%} like what its owner calls junk. The words that told most:", value)
    rows = [[str(cell) for cell in word.values()] for word in words]
    terminal.say_table(["WORD", "JUNK", "IN GOOD", "IN JUNK"], rows, value)


@app.command()
def status(context: typer.Context, address: _AddressText) -> None:
    """Say from how many messages the filter has learned."""
    terminal = terminal_of(context)
    account = terminal.address(address)

    async def work(house: House) -> tuple[int, int]:
        return await house.junk_filter.learned(await owner(house, account))

    good, junk = terminal.run(work)
    terminal.say(f"Learned from {good} good and {junk} junk messages.", {"good": good, "junk": junk})


@app.command()
def allow(context: typer.Context, address: _AddressText, entries: _Entries = None, remove: _Remove = False) -> None:
    """Show or change whose mail is always taken."""
    from mailstead.usecases.sender_lists import ALLOWED

    _list(context, address, ALLOWED, entries or [], remove=remove)


@app.command()
def deny(context: typer.Context, address: _AddressText, entries: _Entries = None, remove: _Remove = False) -> None:
    """Show or change whose mail is never taken."""
    from mailstead.usecases.sender_lists import DENIED

    _list(context, address, DENIED, entries or [], remove=remove)


def _list(context: typer.Context, address: str, which: str, entries: list[str], *, remove: bool) -> None:
    terminal = terminal_of(context)
    account = terminal.address(address)

    async def work(house: House) -> list[str]:
        actor = await owner(house, account)
        if not entries:
            return await house.sender_lists.entries(actor, which)
        change = house.sender_lists.remove if remove else house.sender_lists.add
        return await change(actor, which, entries)

    found = terminal.run(work)
    terminal.say("\n".join(found) or "(none)", found)
