"""`mailstead trial`: a message in through submission and out through IMAP, by an account that goes again."""

from __future__ import annotations

import imaplib
import secrets
import smtplib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mailstead.cli.answers import Port, ports_of, tls_context
from mailstead.cli.errors import FOUND
from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from mailstead.model.address import Address
    from mailstead.wiring.house import House

STEP_LIMIT_S: Final = 20.0
"""How long a server may take for one answer."""
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
    with terminal.clear_errors():
        ports = ports_of(terminal.load().settings)
    submission, imap = _chosen(ports, "submission"), _chosen(ports, "imap")
    if submission is None or imap is None:
        terminal.say(
            "Nothing was sent: submission and IMAP are not both here", {"is_well": None, "found": "no service"}
        )
        return
    password = secrets.token_urlsafe(18)

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
        is_well, found = _tried(submission, imap, str(address), password, limit_s)
    finally:
        terminal.run(remove)
    seconds = round(time.monotonic() - begin, 2)
    told = f"A message came through in {seconds} s" if is_well else f"No message came through: {found}"
    terminal.say(told, {"is_well": is_well, "found": found, "seconds": seconds})
    if not is_well:
        raise typer.Exit(FOUND)


def _chosen(ports: Sequence[Port], service: str) -> Port | None:
    """Give the port to be tried, TLS from the first octet before others; those for proxies are not for us."""
    fitting = [port for port in ports if port.service == service and not port.is_behind_proxy]
    return min(fitting, key=lambda port: not port.is_tls, default=None)


def _tried(submission: Port, imap: Port, address: str, password: str, limit_s: float) -> tuple[bool, str]:
    """Send and read; gives whether it arrived, and else what went wrong."""
    subject = f"Trial {secrets.token_hex(8)}"
    try:
        _send(submission, address, password, subject)
        end = time.monotonic() + limit_s
        while not _has(imap, address, password, subject):
            if time.monotonic() > end:
                return False, f"it was accepted, and did not arrive within {limit_s:.0f} s"
            time.sleep(LOOK_AGAIN_S)  # another process delivers it, and tells nobody here
    except (OSError, smtplib.SMTPException, imaplib.IMAP4.error) as error:
        return False, str(error) or type(error).__name__
    return True, ""


def _send(port: Port, address: str, password: str, subject: str) -> None:
    context = tls_context(port.alpn)
    client: smtplib.SMTP
    if port.is_tls:
        client = smtplib.SMTP_SSL(port.host, port.number, timeout=STEP_LIMIT_S, context=context)
    else:
        client = smtplib.SMTP(port.host, port.number, timeout=STEP_LIMIT_S)
    with client:
        if not port.is_tls:
            client.starttls(context=context)
        client.login(address, password)
        text = (
            f"From: <{address}>\r\nTo: <{address}>\r\nSubject: {subject}\r\n\r\nThis message tries the server out.\r\n"
        )
        client.sendmail(address, [address], text)


def _has(port: Port, address: str, password: str, subject: str) -> bool:
    context = tls_context(port.alpn)
    client: imaplib.IMAP4
    if port.is_tls:
        client = imaplib.IMAP4_SSL(port.host, port.number, ssl_context=context, timeout=STEP_LIMIT_S)
    else:
        client = imaplib.IMAP4(port.host, port.number, timeout=STEP_LIMIT_S)
    with client:
        if not port.is_tls:
            client.starttls(ssl_context=context)
        client.login(address, password)
        for mailbox in ("INBOX", "Junk"):
            client.select(mailbox, readonly=True)
            if client.search(None, "SUBJECT", f'"{subject}"')[1][0]:
                return True
    return False
