"""`mailstead trial`: a message in through submission and out through IMAP, by an account that goes again."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from email.utils import make_msgid
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mailstead.cli.errors import FOUND
from mailstead.cli.terminal import terminal_of
from mailstead.cli.trial_mail import TRIAL_ERRORS, TrialProgram

if TYPE_CHECKING:
    from mailstead.model.address import Address
    from mailstead.wiring.house import House

LOOK_AGAIN_S: Final = 0.2


def trial(
    context: typer.Context,
    limit_s: Annotated[float, typer.Option("--limit", help="Seconds that the message may take.", min=1)] = 30.0,
) -> None:
    """Send a message through this machine's submission to an account made for it, read it over IMAP, remove both.

    Ends with 1 if it does not arrive. Needs a running server and a domain that takes unencrypted mail; without one,
    nothing is sent, and that is said.
    """
    terminal = terminal_of(context)
    password = secrets.token_urlsafe(18)
    with terminal.clear_errors():
        program = TrialProgram.of(terminal.load().settings, "", password)
    if program is None:
        terminal.say(
            "Nothing was sent: submission and IMAP are not both here", {"is_well": None, "found": "no service"}
        )
        return

    async def make(house: House) -> Address | None:
        from mailstead.model.address import Address
        from mailstead.model.secret import Secret
        from mailstead.wiring.house import ADMINISTRATOR

        for domain in await house.domains.list(ADMINISTRATOR):
            if not domain.terms.requires_encryption:
                address = Address(f"trial-{secrets.token_hex(6)}", domain.name)
                await house.accounts.create(ADMINISTRATOR, address, Secret(password))
                return address
        return None

    address = terminal.run(make)
    if address is None:
        terminal.say("Nothing was sent: no domain takes unencrypted mail", {"is_well": None, "found": "no domain"})
        return

    async def remove(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.accounts.remove(ADMINISTRATOR, address)

    begin = time.monotonic()
    try:
        is_well, found = _tried(replace(program, address=str(address)), limit_s)
    finally:
        terminal.run(remove)
    seconds = round(time.monotonic() - begin, 2)
    told = f"A message came through in {seconds} s" if is_well else f"No message came through: {found}"
    terminal.say(told, {"is_well": is_well, "found": found, "seconds": seconds})
    if not is_well:
        raise typer.Exit(FOUND)


def _tried(program: TrialProgram, limit_s: float) -> tuple[bool, str]:
    """Send and read; gives whether it arrived, and else what went wrong."""
    subject = f"Trial {secrets.token_hex(8)}"
    domain = program.address.rpartition("@")[2]
    try:
        program.send(program.address, subject, "This message tries the server out.", make_msgid(domain=domain))
        end = time.monotonic() + limit_s
        while not program.found_in("SUBJECT", f'"{subject}"'):
            if time.monotonic() > end:
                return False, f"it was accepted, and did not arrive within {limit_s:.0f} s"
            time.sleep(LOOK_AGAIN_S)  # another process delivers it, and tells nobody here
    except TRIAL_ERRORS as error:
        return False, str(error) or type(error).__name__
    return True, ""
