"""`mailstead alias`: make, show, change, switch, import and export aliases; make one up; give one a mailbox."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mailstead.cli.errors import DATA, FOUND, exit_for
from mailstead.cli.targets import read_alias_address, read_targets
from mailstead.cli.terminal import Terminal, terminal_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mailstead.model.directory import Alias
    from mailstead.model.errors import MailsteadError
    from mailstead.usecases.addresses import Explanation
    from mailstead.usecases.bounces import Bounce
    from mailstead.wiring.house import House

app = typer.Typer(
    help="Addresses that stand for others: name@domain, /expression/@domain, or *@domain for all that nobody has.",
    no_args_is_help=True,
)

_AddressText = Annotated[str, typer.Argument(metavar="ADDRESS", help="name@domain, /expression/@domain, or *@domain.")]
_TARGETS: Final = (
    "An address, a domain (same name there), host:port, an IP address, or a web address. "
    "With an expression, $1 to $9 and $& stand for what it matched."
)
_TargetTexts = Annotated[list[str], typer.Argument(metavar="TARGET...", help=_TARGETS)]
_SomeTargetTexts = Annotated[list[str] | None, typer.Argument(metavar="[TARGET...]", help=_TARGETS)]
_Expires = Annotated[str | None, typer.Option(help="When it runs out: 30d, 12h, or a date such as 2030-12-31; never.")]
_Description = Annotated[str | None, typer.Option(help="A note, of 150 characters at most.")]
_HOURS: Final = {"h": 1, "d": 24, "w": 7 * 24, "y": 365 * 24}

_Domain = Annotated[str | None, typer.Option(help="Only of this domain.")]


@app.command("add", hidden=True)
@app.command()
def create(
    context: typer.Context,
    address: _AddressText,
    targets: _SomeTargetTexts = None,
    disabled: Annotated[
        int | None, typer.Option(metavar="CODE", help="Switched off: 250 (taken and dropped), 421 or 550.")
    ] = None,
    expires: _Expires = None,
    description: _Description = None,
) -> None:
    """Let an address stand for one or more others."""
    terminal = terminal_of(context)
    alias_address, read = read_alias_address(terminal, address), read_targets(terminal, targets or ())
    expires_at = _moment(terminal, expires)

    async def work(house: House) -> Alias:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.aliases.create(
            ADMINISTRATOR,
            alias_address,
            read,
            disabled_code=disabled,
            expires_at=expires_at,
            description=description or "",
        )

    _say(terminal, terminal.run(work))


@app.command("set")
def set_(
    context: typer.Context,
    address: _AddressText,
    targets: _SomeTargetTexts = None,
    expires: _Expires = None,
    description: _Description = None,
) -> None:
    """Change targets, end or description of an alias; what is not named stays."""
    terminal = terminal_of(context)
    alias_address, read = read_alias_address(terminal, address), read_targets(terminal, targets or ())
    expires_at = _moment(terminal, expires)

    async def work(house: House) -> Alias:
        from mailstead.wiring.house import ADMINISTRATOR

        alias = await house.aliases.get(ADMINISTRATOR, alias_address)
        if read:
            alias = replace(alias, targets=read)
        if expires is not None:
            alias = replace(alias, expires_at=expires_at)
        if description is not None:
            alias = replace(alias, description=description)
        return await house.aliases.replace(ADMINISTRATOR, alias)

    _say(terminal, terminal.run(work))


@app.command()
def enable(context: typer.Context, address: _AddressText) -> None:
    """Switch an alias on again."""
    terminal = terminal_of(context)
    alias_address = read_alias_address(terminal, address)

    async def work(house: House) -> Alias:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.aliases.enable(ADMINISTRATOR, alias_address)

    _say(terminal, terminal.run(work))


@app.command()
def disable(
    context: typer.Context,
    address: _AddressText,
    code: Annotated[int, typer.Option(help="What senders are told: 250 (taken and dropped), 421 or 550.")] = 550,
) -> None:
    """Switch an alias off; it still keeps its name from the catch-all."""
    terminal = terminal_of(context)
    alias_address = read_alias_address(terminal, address)

    async def work(house: House) -> Alias:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.aliases.disable(ADMINISTRATOR, alias_address, code)

    _say(terminal, terminal.run(work))


@app.command()
def mask(
    context: typer.Context,
    domain: Annotated[str, typer.Argument(metavar="DOMAIN")],
    targets: _TargetTexts,
    expires: _Expires = None,
    description: _Description = None,
) -> None:
    """Make up an address to be given to one correspondent, and removed when it is abused."""
    terminal = terminal_of(context)
    read = read_targets(terminal, targets)
    expires_at = _moment(terminal, expires)

    async def work(house: House) -> Alias:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.aliases.mask(
            ADMINISTRATOR, domain, read, expires_at=expires_at, description=description or ""
        )

    _say(terminal, terminal.run(work))


@app.command("into-account")
def into_account(context: typer.Context, address: _AddressText) -> None:
    """Give an alias a mailbox: what comes is kept there, and goes on to its targets; no mail is refused meanwhile."""
    terminal = terminal_of(context)
    alias_address = terminal.address(address)

    async def work(house: House) -> None:
        from mailstead.policy.address_rules import AddressWishes
        from mailstead.wiring.house import ADMINISTRATOR

        name, domain = alias_address.local_part, alias_address.domain
        await house.address_book.change(ADMINISTRATOR, domain, name, AddressWishes(has_imap=True))

    terminal.run(work)
    terminal.say(
        f"{alias_address} has a mailbox now; `mailstead account password` or `account link` gives it a password",
        {"account": str(alias_address)},
    )


@app.command("list")
def list_(context: typer.Context, domain: _Domain = None) -> None:
    """Show all aliases."""
    terminal = terminal_of(context)
    found, now = _all(terminal, domain)
    terminal.say_table(
        ("Alias", "Targets", "State", "Description"),
        [(_name(one), ", ".join(map(str, one.targets)), _state(one, now), one.description) for one in found],
        [_as_json(one) for one in found],
    )


@app.command()
def explain(context: typer.Context, address: Annotated[str, typer.Argument(metavar="ADDRESS")]) -> None:
    """Tell step by step where mail for an address goes, and what a sender would be told."""
    terminal = terminal_of(context)
    asked = terminal.address(address)

    async def work(house: House) -> Explanation:
        return await house.addresses.explain(asked)

    found = terminal.run(work)
    lines, value = [f"  {step}" for step in found.steps], {"address": str(asked), "steps": list(found.steps)}
    if found.refusal:
        verb = "deferred" if found.refusal.is_temporary else "refused"
        terminal.say(
            "\n".join([*lines, f"Mail for {asked} is {verb}: {found.refusal.public_text}"]),
            {**value, "refusal": type(found.refusal).__name__, "text": found.refusal.public_text},
        )
        raise typer.Exit(exit_for(found.refusal).code)
    resolution = found.resolution
    assert resolution is not None
    ends = [f"mailbox {account.address}" for account in resolution.accounts]
    ends += [f"{forward.target} (as {forward.recipient})" for forward in resolution.forwards]
    terminal.say(
        "\n".join([*lines, f"Mail for {asked} goes to {', '.join(ends) or 'nobody, and the sender is not told'}"]),
        {
            **value,
            "accounts": [str(account.address) for account in resolution.accounts],
            "forwards": [
                {"via": str(one.via), "target": str(one.target), "recipient": str(one.recipient)}
                for one in resolution.forwards
            ],
            "is_silent": resolution.is_silent,
        },
    )


@app.command()
def bounces(context: typer.Context, address: _AddressText) -> None:
    """Show what could not be delivered behind an alias in the last 30 days: the newest failure of each target."""
    terminal = terminal_of(context)
    asked = read_alias_address(terminal, address)

    async def work(house: House) -> list[Bounce]:
        return await house.bounces.of(asked)

    found = terminal.run(work)
    terminal.say_table(
        ["WHEN", "TARGET", "STATUS", "ANSWER"],
        [[f"{one.at:%Y-%m-%d %H:%M}", one.recipient, one.status, one.text] for one in found],
        [{"at": one.at.isoformat(), "target": one.recipient, "status": one.status, "text": one.text} for one in found],
    )


@app.command()
def export(context: typer.Context, domain: _Domain = None) -> None:
    """Print all aliases as comma-separated values."""
    terminal = terminal_of(context)
    found, _ = _all(terminal, domain)
    if terminal.is_json:
        terminal.say("", [_as_json(one) for one in found])
        return
    from mailstead.usecases.alias_tables import write_table

    print(write_table(found), end="")


@app.command("import")
def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Comma-separated values, as `export` prints them.")],
    replaces: Annotated[bool, typer.Option("--replace", help="Change aliases that are there already.")] = False,
) -> None:
    """Add the aliases of a table; those that cannot be added are told at the end."""
    terminal = terminal_of(context)
    from mailstead.model.errors import BadImport
    from mailstead.usecases.alias_tables import read_table

    with terminal.clear_errors():
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadImport(f"{file} cannot be read: {error}") from None
        aliases = read_table(text)

    async def work(house: House) -> Sequence[tuple[Alias, MailsteadError | None]]:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.aliases.import_table(ADMINISTRATOR, aliases, replaces=replaces)

    outcomes = terminal.run(work)
    failed = [(_name(alias), error.public_text) for alias, error in outcomes if error]
    count = len(outcomes) - len(failed)
    terminal.say(
        "\n".join([f"{count} aliases are in", *(f"{name}: {text}" for name, text in failed)]),
        {"imported_count": count, "failed": [{"alias": name, "text": text} for name, text in failed]},
    )
    if failed:
        raise typer.Exit(FOUND)


@app.command()
def remove(context: typer.Context, address: _AddressText) -> None:
    """Remove an alias."""
    terminal = terminal_of(context)
    alias_address = read_alias_address(terminal, address)

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.aliases.remove(ADMINISTRATOR, alias_address)

    terminal.run(work)
    text = f"{alias_address.local_part}@{alias_address.domain}"
    terminal.say(f"{text} is removed", {"alias": text})


def _moment(terminal: Terminal, text: str | None) -> datetime | None:
    """Read when an alias runs out: a duration from now, or the end of a day in UTC; ``never`` is None."""
    from datetime import UTC, date, datetime, timedelta

    from mailstead.ports.clock import SystemClock

    if text is None or text == "never":
        return None
    try:
        if match := re.fullmatch(r"(\d{1,5})([hdwy])", text):
            return SystemClock().now().replace(microsecond=0) + int(match[1]) * timedelta(hours=_HOURS[match[2]])
        return datetime.combine(date.fromisoformat(text) + timedelta(days=1), datetime.min.time(), UTC)
    except (ValueError, OverflowError):
        terminal.fail(
            DATA, f"--expires is 30d, 12h, a date such as 2030-12-31, or never; not {text!r}", kind="BadMoment"
        )


def _all(terminal: Terminal, domain: str | None) -> tuple[list[Alias], datetime]:
    async def work(house: House) -> tuple[list[Alias], datetime]:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.aliases.list(ADMINISTRATOR, domain), house.clock.now()

    return terminal.run(work)


def _say(terminal: Terminal, alias: Alias) -> None:
    targets = ", ".join(map(str, alias.targets)) or "nobody"
    state = "" if alias.is_enabled else f"; it is switched off and answers {alias.disabled_code}"
    if alias.expires_at:
        state += f"; it runs out at {alias.expires_at:%Y-%m-%d %H:%M} UTC"
    terminal.say(f"{_name(alias)} stands for {targets}{state}", _as_json(alias))


def _name(alias: Alias) -> str:
    from mailstead.model.directory import AliasKind

    address = alias.address
    return str(address) if alias.kind is AliasKind.EXACT else f"{address.local_part}@{address.domain}"


def _state(alias: Alias, now: datetime) -> str:
    if not alias.is_enabled:
        return f"off ({alias.disabled_code})"
    if alias.expires_at is None:
        return "masked" if alias.is_masked else ""
    return f"{'until' if now < alias.expires_at else 'over since'} {alias.expires_at:%Y-%m-%d}"


def _as_json(alias: Alias) -> dict[str, object]:
    return {
        "alias": _name(alias),
        "targets": [str(target) for target in alias.targets],
        "is_enabled": alias.is_enabled,
        "disabled_code": alias.disabled_code,
        "expires_at": alias.expires_at.isoformat() if alias.expires_at else None,
        "description": alias.description,
        "is_masked": alias.is_masked,
    }
