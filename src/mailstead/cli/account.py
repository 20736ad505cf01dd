"""`mailstead account`: make, show, switch off, limit, forward, seal and remove accounts, and set their passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli import app_password, device, oidc_link, sealed
from mailstead.cli.errors import DATA, USAGE
from mailstead.cli.targets import read_targets
from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from datetime import date

    from mailstead.model.directory import Account
    from mailstead.wiring.house import House

app = typer.Typer(help="Accounts, each the owner of a mail store.", no_args_is_help=True)
app.add_typer(app_password.app, name="app-password")
app.add_typer(device.app, name="device")
app.command("link-oidc")(oidc_link.link)
app.command("unlink-oidc")(oidc_link.unlink)
sealed.register(app)

_AddressText = Annotated[str, typer.Argument(metavar="ADDRESS")]
_PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
]


@app.command()
def add(
    context: typer.Context,
    address: _AddressText,
    quota: Annotated[str | None, typer.Option(help="Such as 5GiB, or none; else store.account_quota_octets.")] = None,
    password_stdin: _PasswordStdin = False,
) -> None:
    """Make an account with the usual mailboxes."""
    terminal = terminal_of(context)
    account_address, quota_octets = terminal.address(address), terminal.octets(quota, "--quota")
    with terminal.clear_errors():
        if quota is None:
            quota_octets = terminal.load().settings.store.account_quota_octets or None
    password = terminal.password(is_from_stdin=password_stdin)

    async def work(house: House) -> Account:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.accounts.create(ADMINISTRATOR, account_address, password, quota_octets)

    made = terminal.run(work)
    terminal.say(f"{made.address} is ready", _as_json(made))


@app.command("list")
def list_(
    context: typer.Context, domain: Annotated[str | None, typer.Option(help="Only of this domain.")] = None
) -> None:
    """Show all accounts."""
    terminal = terminal_of(context)

    async def work(house: House) -> list[tuple[Account, date | None]]:
        from mailstead.wiring.house import ADMINISTRATOR

        accounts = await house.accounts.list(ADMINISTRATOR, domain)
        days = await house.last_log_ins.days(house.clock.now())
        return [(one, days.get(one.account_id)) for one in accounts]

    found = terminal.run(work)
    terminal.say_table(
        ("Account", "Quota (octets)", "State", "Last log-in", "Forwards to"),
        [
            (
                str(one.address),
                str(one.quota_octets or "none"),
                ", ".join(("disabled",) * (not one.is_enabled) + ("sealed",) * one.is_sealed),
                str(day or ""),
                ", ".join(map(str, one.forward_to)) + ("" if one.keeps_copy else " (without a copy)"),
            )
            for one, day in found
        ],
        [{**_as_json(one), "last_log_in": str(day) if day else None} for one, day in found],
    )


@app.command()
def remove(
    context: typer.Context,
    address: _AddressText,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove an account with all its mail, for good."""
    terminal = terminal_of(context)
    account_address = terminal.address(address)
    if not yes:
        import sys

        if terminal.is_json or not sys.stdin.isatty():
            terminal.fail(USAGE, "This removes all mail of the account", "Add --yes if that is meant.", "NotConfirmed")
        typer.confirm(f"Remove {account_address} with all its mail?", abort=True, err=True)

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.accounts.remove(ADMINISTRATOR, account_address)

    terminal.run(work)
    terminal.say(f"{account_address} is removed", {"account": str(account_address)})


@app.command("into-alias")
def into_alias(
    context: typer.Context,
    address: _AddressText,
    targets: Annotated[
        list[str] | None, typer.Argument(metavar="[TARGET...]", help="As of an alias; else those it forwards to.")
    ] = None,
    removes_mail: Annotated[
        bool, typer.Option("--remove-mail", help="Also if the mailbox is not empty: what is in it goes for good.")
    ] = False,
) -> None:
    """Let an address be an alias: the mailbox goes, and no mail is refused meanwhile."""
    terminal = terminal_of(context)
    account_address = terminal.address(address)

    async def work(house: House) -> None:
        from mailstead.policy.address_rules import AddressWishes
        from mailstead.wiring.house import ADMINISTRATOR

        wishes = AddressWishes(has_imap=False, recipients=tuple(targets) if targets else None, is_override=removes_mail)
        name, domain = account_address.local_part, account_address.domain
        await house.address_book.change(ADMINISTRATOR, domain, name, wishes)

    terminal.run(work)
    terminal.say(f"{account_address} is an alias now", {"alias": str(account_address)})


@app.command()
def disable(context: typer.Context, address: _AddressText) -> None:
    """Let an account neither log in nor receive; what it has open ends."""
    _set_enabled(context, address, is_enabled=False)


@app.command()
def enable(context: typer.Context, address: _AddressText) -> None:
    """Let an account log in and receive again."""
    _set_enabled(context, address, is_enabled=True)


def _set_enabled(context: typer.Context, address: str, *, is_enabled: bool) -> None:
    terminal = terminal_of(context)
    account_address = terminal.address(address)

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.accounts.set_enabled(ADMINISTRATOR, account_address, is_enabled=is_enabled)

    terminal.run(work)
    state = "enabled" if is_enabled else "disabled"
    terminal.say(f"{account_address} is {state}", {"account": str(account_address), "is_enabled": is_enabled})


@app.command()
def password(
    context: typer.Context,
    address: _AddressText,
    password_stdin: _PasswordStdin = False,
    with_old: Annotated[
        bool, typer.Option("--with-old", help="Show the present password first, as a sealed account needs it.")
    ] = False,
) -> None:
    """Set a new password; whoever is logged in with the old one is logged out."""
    terminal = terminal_of(context)
    account_address = terminal.address(address)
    old = terminal.secret("Present password", is_from_stdin=password_stdin) if with_old else None
    secret = terminal.password(is_from_stdin=password_stdin)

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.accounts.set_password(ADMINISTRATOR, account_address, secret, old)

    terminal.run(work)
    terminal.say(f"{account_address} has a new password", {"account": str(account_address)})


@app.command()
def quota(
    context: typer.Context, address: _AddressText, size: Annotated[str, typer.Argument(help="Such as 5GiB, or none.")]
) -> None:
    """Set or lift the limit of an account."""
    terminal = terminal_of(context)
    account_address, octets = terminal.address(address), terminal.octets(size, "SIZE")

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.accounts.set_quota(ADMINISTRATOR, account_address, octets)

    terminal.run(work)
    text = f"{octets} octets" if octets else "no limit"
    terminal.say(f"{account_address}: {text}", {"account": str(account_address), "quota_octets": octets})


@app.command()
def forward(
    context: typer.Context,
    address: _AddressText,
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TARGET...]", help="Addresses, domains, host:port or web addresses, as of an alias."),
    ] = None,
    no_copy: Annotated[bool, typer.Option("--no-copy", help="Nothing is kept in the mailbox.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Forward no longer.")] = False,
) -> None:
    """Send on what comes for an account, with a copy kept in its mailbox."""
    terminal = terminal_of(context)
    account_address, read = terminal.address(address), read_targets(terminal, targets or ())
    if off == bool(read):
        terminal.fail(USAGE, "Name one or more targets, or --off", kind="BadForwarding")

    async def work(house: House) -> Account:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.accounts.set_forwarding(ADMINISTRATOR, account_address, read, keeps_copy=off or not no_copy)

    changed = terminal.run(work)
    shown = ", ".join(map(str, changed.forward_to))
    copy = "" if changed.keeps_copy else ", without a copy"
    terminal.say(
        f"{account_address} forwards to {shown}{copy}" if shown else f"{account_address} forwards no longer",
        _as_json(changed),
    )


@app.command("sending-limit")
def sending_limit(
    context: typer.Context,
    address: _AddressText,
    count: Annotated[str, typer.Argument(help="Recipients per day; 0: none at all; default: the server's setting.")],
) -> None:
    """Limit how many recipients an account may write to in a day."""
    terminal = terminal_of(context)
    account_address = terminal.address(address)
    if count != "default" and not (count.isascii() and count.isdigit() and len(count) <= 9):
        terminal.fail(DATA, f"COUNT is a number, or default; not {count!r}", kind="BadCount")
    limit = None if count == "default" else int(count)

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.accounts.set_sending_limit(ADMINISTRATOR, account_address, limit)

    terminal.run(work)
    text = "the server's setting" if limit is None else f"{limit} recipients per day"
    terminal.say(f"{account_address}: {text}", {"account": str(account_address), "sending_limit": limit})


def _as_json(account: Account) -> dict[str, object]:
    return {
        "account": str(account.address),
        "account_id": account.account_id,
        "quota_octets": account.quota_octets,
        "is_enabled": account.is_enabled,
        "forward_to": [str(target) for target in account.forward_to],
        "keeps_copy": account.keeps_copy,
        "sending_limit": account.sending_limit,
    }


@app.command()
def link(
    context: typer.Context,
    address: _AddressText,
    days: Annotated[int, typer.Option(min=1, max=30, help="How long it is good.")] = 3,
) -> None:
    """Print a link with which the owner of an account sets the password, once; the web service must run."""
    from datetime import timedelta

    terminal = terminal_of(context)
    account_address = terminal.address(address)

    async def work(house: House) -> str:
        from mailstead.wiring.house import ADMINISTRATOR, log_in_url

        return await log_in_url(house, ADMINISTRATOR, account_address, timedelta(days=days))

    url = terminal.run(work)
    terminal.say(f"{url}\nGood for {days} days, or until the password is set.", {"url": url, "days": days})
