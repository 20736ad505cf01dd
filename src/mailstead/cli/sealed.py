"""`mailstead account`: seal, unseal, recovery-key, recover, sealed. What it means: docs/sealed-accounts.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.errors import USAGE
from mailstead.cli.terminal import Terminal, terminal_of

if TYPE_CHECKING:
    from mailstead.model.address import Address
    from mailstead.model.envelope import Peer
    from mailstead.model.secret import Secret
    from mailstead.usecases.sealed_accounts import Sealing
    from mailstead.wiring.house import House

_AddressText = Annotated[str, typer.Argument(metavar="ADDRESS")]
_PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the present password from the first line of standard input.")
]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; the recovery key is in the output.")]

_MEANS = """\
A sealed account opens by its password, by app passwords, and by a recovery key. By nothing else: not by the server's
administrator, not by a backup, not by us. Who has lost the password and the recovery key has lost the mail, for good.

- Mail that comes while nobody is logged in waits, encrypted, for the next log-in; then filters sort it.
- Mail programs use the password itself (PLAIN or LOGIN, within TLS); SCRAM takes app passwords only.
- App passwords made before now open it after they were used once while it was open; or make new ones.
- Sessions end now, and log in anew.
"""
_LOST = "Write it down now. It is not shown again. Without password and recovery key all mail is lost."


def seal(
    context: typer.Context, address: _AddressText, password_stdin: _PasswordStdin = False, yes: _Yes = False
) -> None:
    """Let only the owner's passwords and a recovery key open an account."""
    terminal = terminal_of(context)
    account_address = terminal.address(address)
    if not yes and not terminal.is_json:
        typer.echo(_MEANS, err=True)
    recovery_key, password = _new_key(terminal, is_from_stdin=password_stdin, is_sure=yes)

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.sealed_accounts.seal(ADMINISTRATOR, account_address, password, recovery_key, _peer())

    terminal.run(work)
    _say_key(terminal, account_address, recovery_key, f"{account_address} is sealed", is_shown=yes)


def recovery_key(
    context: typer.Context, address: _AddressText, password_stdin: _PasswordStdin = False, yes: _Yes = False
) -> None:
    """Make a new recovery key for a sealed account; the one before is worth nothing then."""
    terminal = terminal_of(context)
    account_address = terminal.address(address)
    key, password = _new_key(terminal, is_from_stdin=password_stdin, is_sure=yes)

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.sealed_accounts.replace_recovery_key(ADMINISTRATOR, account_address, password, key, _peer())

    terminal.run(work)
    _say_key(terminal, account_address, key, f"{account_address} has a new recovery key", is_shown=yes)


def unseal(context: typer.Context, address: _AddressText, password_stdin: _PasswordStdin = False) -> None:
    """Let the server open an account again; mail that has waited is taken in."""
    terminal = terminal_of(context)
    account_address = terminal.address(address)
    password = terminal.secret("Present password", is_from_stdin=password_stdin)

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.sealed_accounts.unseal(ADMINISTRATOR, account_address, password, _peer())

    terminal.run(work)
    terminal.say(f"{account_address} is not sealed any more", {"account": str(account_address), "is_sealed": False})


def recover(
    context: typer.Context,
    address: _AddressText,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read the recovery key and the new password, a line each.")
    ] = False,
) -> None:
    """Set a new password for a sealed account with its recovery key."""
    terminal = terminal_of(context)
    account_address = terminal.address(address)
    key = terminal.secret("Recovery key", is_from_stdin=stdin)
    password = terminal.password(is_from_stdin=stdin)

    async def work(house: House) -> None:
        await house.sealed_accounts.recover(account_address, key, password, _peer())

    terminal.run(work)
    terminal.say(f"{account_address} has a new password; the recovery key stays", {"account": str(account_address)})


def sealed(context: typer.Context, address: _AddressText) -> None:
    """Say whether an account is sealed, by what it opens, and what waits for it."""
    terminal = terminal_of(context)
    account_address = terminal.address(address)

    async def work(house: House) -> Sealing:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.sealed_accounts.get(ADMINISTRATOR, account_address)

    found = terminal.run(work)
    text = f"{account_address} is not sealed"
    if found.is_sealed:
        text = (
            f"{account_address} is sealed; it opens by its password, "
            f"{found.app_password_count} app passwords{' and a recovery key' if found.has_recovery_key else ''}. "
            f"{found.waiting_count} messages ({found.waiting_octets} octets) wait for the next log-in."
        )
    terminal.say(
        text,
        {
            "account": str(account_address),
            "is_sealed": found.is_sealed,
            "has_recovery_key": found.has_recovery_key,
            "app_password_count": found.app_password_count,
            "waiting_count": found.waiting_count,
            "waiting_octets": found.waiting_octets,
        },
    )


def register(app: typer.Typer) -> None:
    """Add the commands to those of accounts."""
    app.command()(seal)
    app.command()(unseal)
    app.command("recovery-key")(recovery_key)
    app.command()(recover)
    app.command()(sealed)


def _new_key(terminal: Terminal, *, is_from_stdin: bool, is_sure: bool) -> tuple[Secret, Secret]:
    """Make a recovery key, have it written down, and read the present password."""
    import sys

    from mailstead.usecases.sealed_accounts import SealedAccounts

    key = SealedAccounts.new_recovery_key()
    if not is_sure:
        if terminal.is_json or not sys.stdin.isatty():
            terminal.fail(
                USAGE, "The recovery key has to be written down first", "Add --yes if it will.", "NotConfirmed"
            )
        typer.echo(f"Recovery key: {key.reveal()}\n{_LOST}", err=True)
        last = key.reveal().rpartition("-")[2]
        if typer.prompt("Type its last five letters", err=True).strip().lower() != last:
            terminal.fail(USAGE, "These are not its last five letters; nothing was changed", kind="NotConfirmed")
    return key, terminal.secret("Present password", is_from_stdin=is_from_stdin)


def _say_key(terminal: Terminal, address: Address, key: Secret, text: str, *, is_shown: bool) -> None:
    shown = f"\nRecovery key: {key.reveal()}\n{_LOST}" if is_shown else ""
    terminal.say(text + shown, {"account": str(address), "is_sealed": True, "recovery_key": key.reveal()})


def _peer() -> Peer:
    from mailstead.model.envelope import Peer

    return Peer("127.0.0.1", 0)
