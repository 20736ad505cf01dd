"""`mailstead account device`: add, profile."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.moments import as_json, shown
from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from mailstead.usecases.client_profiles import ClientProfile, Prepared
    from mailstead.wiring.house import House

app = typer.Typer(help="Devices set up in one go.", no_args_is_help=True)

_AddressText = Annotated[str, typer.Argument(metavar="ADDRESS")]
_Name = Annotated[str, typer.Option("--name", help="Of the person, for what he sends.")]


@app.command()
def add(
    context: typer.Context,
    address: _AddressText,
    label: Annotated[str, typer.Argument(help="What it is, such as 'phone'.")],
    name: _Name = "",
    with_password: Annotated[
        bool, typer.Option("--with-password", help="Show the main password, as a sealed account needs it.")
    ] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read it from the first line of standard input.")
    ] = False,
) -> None:
    """Make an app password for a device, and show what it can be set up with, this once.

    A link for iPhone, iPad and Mac, which works once; texts of QR codes for Thunderbird and Delta Chat.
    """
    terminal = terminal_of(context)
    account_address = terminal.address(address)
    is_asked = with_password or password_stdin
    password = terminal.secret("Main password", is_from_stdin=password_stdin) if is_asked else None

    async def work(house: House) -> Prepared:
        from mailstead.wiring.client_profiles import make_client_profiles
        from mailstead.wiring.house import ADMINISTRATOR

        profiles = make_client_profiles(house)
        return await profiles.prepare(ADMINISTRATOR, account_address, label, name=name, password=password)

    made = terminal.run(work)
    number, secret = made.app_password.app_password.app_password_id, made.app_password.secret.reveal()
    lines = [f"App password {number} ({label}): {secret}", "It is not shown again.", ""]
    lines += [f"{code.kind}: {code.text.reveal()}" for code in made.codes]
    lines += ["", f"The link for Apple's devices works once, until {shown(made.ends_at)} UTC."]
    if sys.stdout.isatty():
        lines += ["", _drawn(made.link.reveal())]
    terminal.say(
        "\n".join(lines),
        {
            "app_password": number,
            "label": label,
            "password": secret,
            "link": made.link.reveal(),
            "link_ends_at": as_json(made.ends_at),
            "codes": {code.kind: code.text.reveal() for code in made.codes},
        },
    )


@app.command()
def profile(
    context: typer.Context,
    address: _AddressText,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where it is written, such as mail.mobileconfig.")],
    name: _Name = "",
) -> None:
    """Write the profile for iPhone, iPad and Mac without a password: the device asks for one."""
    terminal = terminal_of(context)
    account_address = terminal.address(address)

    async def work(house: House) -> ClientProfile:
        from mailstead.wiring.client_profiles import make_client_profiles
        from mailstead.wiring.house import ADMINISTRATOR

        return await make_client_profiles(house).apple(ADMINISTRATOR, account_address, name=name)

    made = terminal.run(work)
    with terminal.clear_errors():
        file.write_bytes(made.octets)
    signed = "signed" if made.is_signed else "not signed, as no authority has given the house a certificate"
    terminal.say(f"The profile is in {file}, {signed}.", {"file": str(file), "is_signed": made.is_signed})


def _drawn(text: str) -> str:
    from io import StringIO

    import segno

    drawn = StringIO()
    segno.make(text, error="l", micro=False).terminal(drawn, compact=True)
    return drawn.getvalue()
