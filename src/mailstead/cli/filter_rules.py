"""`mailstead filter`: list, add, on, off, move, delete, dry-run: an account's filters as rules, without Sieve."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from mailstead.cli.terminal import Terminal, owner, terminal_of

if TYPE_CHECKING:
    from mailstead.model.envelope import Actor
    from mailstead.sieve.rules.rule import Action, Condition
    from mailstead.usecases.filter_rules import FilterList, FilterRules
    from mailstead.wiring.house import House

T = TypeVar("T")

app = typer.Typer(help="Filters of an account as rules.", no_args_is_help=True)

_AddressText = Annotated[str, typer.Argument(metavar="ADDRESS")]
_Number = Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="As `list` shows it.")]
_Texts = list[str] | None


@app.command("list")
def list_(context: typer.Context, address: _AddressText) -> None:
    """Show the filters of an account, in their order."""
    terminal = terminal_of(context)

    async def work(rules: FilterRules, actor: Actor) -> FilterList:
        return await rules.list(actor)

    _show(terminal, _run(terminal, address, work))


@app.command()
def add(
    context: typer.Context,
    address: _AddressText,
    name: Annotated[str, typer.Option(help="Of the rule.")] = "",
    sender: Annotated[_Texts, typer.Option("--from", help="The address in From is this.")] = None,
    recipient: Annotated[_Texts, typer.Option("--to", help="An address in To or Cc is this.")] = None,
    subject: Annotated[_Texts, typer.Option(help="Subject contains this.")] = None,
    list_id: Annotated[_Texts, typer.Option("--list", help="List-Id contains this.")] = None,
    body: Annotated[_Texts, typer.Option(help="The text contains this.")] = None,
    header: Annotated[_Texts, typer.Option(help="Such as 'X-Mailer: robot': the field contains this.")] = None,
    larger_than: Annotated[int, typer.Option(min=0, help="Octets; 0: any size.")] = 0,
    with_attachment: Annotated[bool, typer.Option("--with-attachment", help="It has an attachment.")] = False,
    any_: Annotated[bool, typer.Option("--any", help="One of these will do, not all are needed.")] = False,
    into: Annotated[str, typer.Option(metavar="MAILBOX", help="File it there; made if need be.")] = "",
    copy_into: Annotated[str, typer.Option(metavar="MAILBOX", help="File a copy there; made if need be.")] = "",
    label: Annotated[_Texts, typer.Option(help="Add this label.")] = None,
    read: Annotated[bool, typer.Option("--read", help="Mark it as read.")] = False,
    flag: Annotated[bool, typer.Option("--flag", help="Mark it as flagged.")] = False,
    redirect: Annotated[str, typer.Option(metavar="ADDRESS", help="Send it on.")] = "",
    reject: Annotated[str, typer.Option(metavar="TEXT", help="Reject it with these words.")] = "",
    discard: Annotated[bool, typer.Option("--discard", help="Throw it away.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Go no further.")] = False,
    at: Annotated[int | None, typer.Option(min=1, help="Its number; else it is the last.")] = None,
) -> None:
    """Add a rule; without conditions it holds for every message."""
    from mailstead.model.flags import FLAGGED, SEEN
    from mailstead.sieve.rules.rule import Action, Condition, Field, Kind, Match, Part, Rule

    terminal = terminal_of(context)
    conditions: list[Condition] = []
    for field, values in ((Field.FROM, sender), (Field.RECIPIENT, recipient)):
        if values:
            conditions.append(Condition(field, Match.IS, tuple(values), part=Part.ADDRESS))
    for field, values in ((Field.SUBJECT, subject), (Field.LIST_ID, list_id), (Field.BODY, body)):
        if values:
            conditions.append(Condition(field, Match.CONTAINS, tuple(values)))
    for each in header or ():
        field_name, _, value = each.partition(":")
        conditions.append(Condition(Field.HEADER, Match.CONTAINS, (value.strip(),), names=(field_name.strip(),)))
    if larger_than:
        conditions.append(Condition(Field.SIZE, Match.OVER, size_octets=larger_than))
    if with_attachment:
        conditions.append(Condition(Field.ATTACHMENT))
    flags = (*([SEEN] if read else []), *([FLAGGED] if flag else []), *(label or ()))
    actions: list[Action] = [Action(Kind.FLAG, flags=flags)] if flags else []
    for mailbox, is_copy in ((copy_into, True), (into, False)):
        if mailbox:
            actions.append(Action(Kind.FILE, mailbox, is_copy=is_copy, creates=True))
    for kind, text in ((Kind.REDIRECT, redirect), (Kind.REJECT, reject)):
        if text:
            actions.append(Action(kind, text))
    if discard:
        actions.append(Action(Kind.DISCARD))
    rule = Rule(name, tuple(conditions), tuple(actions), is_any=any_, stops=stop)

    async def work(rules: FilterRules, actor: Actor) -> FilterList:
        return await rules.add(actor, (await rules.list(actor)).version, rule, at)

    _show(terminal, _run(terminal, address, work))


@app.command("on")
def on(context: typer.Context, address: _AddressText, number: _Number) -> None:
    """Switch a rule on."""
    _switch(terminal_of(context), address, number, is_on=True)


@app.command("off")
def off(context: typer.Context, address: _AddressText, number: _Number) -> None:
    """Switch a rule off; it stays in the list."""
    _switch(terminal_of(context), address, number, is_on=False)


@app.command()
def move(
    context: typer.Context, address: _AddressText, number: _Number, to: Annotated[int, typer.Argument(min=1)]
) -> None:
    """Move a filter, so that it has another number."""
    terminal = terminal_of(context)

    async def work(rules: FilterRules, actor: Actor) -> FilterList:
        return await rules.move(actor, (await rules.list(actor)).version, number, to)

    _show(terminal, _run(terminal, address, work))


@app.command()
def delete(context: typer.Context, address: _AddressText, number: _Number) -> None:
    """Delete a filter, also one that is no simple rule."""
    terminal = terminal_of(context)

    async def work(rules: FilterRules, actor: Actor) -> FilterList:
        return await rules.delete(actor, (await rules.list(actor)).version, number)

    _show(terminal, _run(terminal, address, work))


@app.command("dry-run")
def dry_run(
    context: typer.Context,
    address: _AddressText,
    mailbox: Annotated[str, typer.Option(help="Whose last messages are looked at.")] = "INBOX",
    limit: Annotated[int, typer.Option(min=1, max=500)] = 25,
) -> None:
    """Show what the filters would do with mail that is there, and why; nothing is changed or sent."""
    terminal = terminal_of(context)

    async def in_house(house: House) -> None:
        actor = await owner(house, terminal.address(address))
        trials = await house.filter_rules.try_on_mailbox(actor, mailbox, limit)
        terminal.say_table(
            ("UID", "Subject", "Would be", "Why"),
            [
                (
                    str(trial.uid),
                    trial.subject[:40],
                    ", ".join((*trial.does, *trial.problems)),
                    "; ".join(reason.text for reason in trial.reasons) or "no rule holds",
                )
                for trial in trials
            ],
            [
                {
                    "uid": trial.uid,
                    "subject": trial.subject,
                    "mailboxes": list(trial.mailboxes),
                    "does": list(trial.does),
                    "reasons": [reason.text for reason in trial.reasons],
                    "problems": list(trial.problems),
                }
                for trial in trials
            ],
        )

    terminal.run(in_house)


def _switch(terminal: Terminal, address: str, number: int, *, is_on: bool) -> None:
    async def work(rules: FilterRules, actor: Actor) -> FilterList:
        return await rules.switch(actor, (await rules.list(actor)).version, number, is_on=is_on)

    _show(terminal, _run(terminal, address, work))


def _show(terminal: Terminal, found: FilterList) -> None:
    terminal.say_table(
        ("No.", "Name", "", "Does"),
        [
            (
                str(entry.number),
                entry.name,
                "" if entry.rule is None or entry.rule.is_on else "off",
                entry.words or "(no simple rule: `mailstead sieve show`)",
            )
            for entry in found.entries
        ],
        [
            {
                "number": entry.number,
                "name": entry.name,
                "is_rule": entry.rule is not None,
                "is_on": entry.rule is None or entry.rule.is_on,
                "text": entry.words or entry.text,
            }
            for entry in found.entries
        ],
    )


def _run(terminal: Terminal, address: str, work: Callable[[FilterRules, Actor], Awaitable[T]]) -> T:
    """Do something for the owner of an account."""
    account_address = terminal.address(address)

    async def in_house(house: House) -> T:
        return await work(house.filter_rules, await owner(house, account_address))

    return terminal.run(in_house)
