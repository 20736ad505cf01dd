"""`mailstead serve`: start the services, and for a first look (`--demo`) a whole house on localhost."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from mailstead.cli.terminal import Terminal
    from mailstead.config.settings import Settings

DEMO_DOMAIN: Final = "example.test"
DEMO_NAMES: Final = ("alice", "bob")

DEMO_SETTINGS: Final = {
    "MAILSTEAD_SERVER_HOSTNAME": "localhost",
    "MAILSTEAD_MX_LISTEN": "127.0.0.1:2525",
    "MAILSTEAD_SUBMISSION_LISTEN": "127.0.0.1:2587",
    "MAILSTEAD_SUBMISSION_LISTEN_TLS": "127.0.0.1:2465",
    "MAILSTEAD_IMAP_LISTEN": "127.0.0.1:2143",
    "MAILSTEAD_IMAP_LISTEN_TLS": "127.0.0.1:2993",
    "MAILSTEAD_POP3_LISTEN": "127.0.0.1:2110",
    "MAILSTEAD_POP3_LISTEN_TLS": "127.0.0.1:2995",
    "MAILSTEAD_SIEVE_LISTEN": "127.0.0.1:2190",
    "MAILSTEAD_WEB_LISTEN_TLS": "127.0.0.1:2443",
    "MAILSTEAD_CALDAV_LISTEN": "127.0.0.1:2080",
    "MAILSTEAD_API_LISTEN": "127.0.0.1:2081",
    # Nothing of a demo goes to the Internet: senders are not looked up, and with a resolver that is not there
    # mail to others waits in the queue.
    "MAILSTEAD_AUTHENTICATION_IS_ENABLED": "false",
    "MAILSTEAD_DNS_SERVERS": "127.0.0.1:9",
    "MAILSTEAD_SERVER_LOG_LEVEL": "warning",
}
"""Unprivileged ports of localhost; the environment may change each of them."""


@dataclass(frozen=True, slots=True)
class Demo:
    """A throw-away house: where it lies and how to log in."""

    state: Path
    passwords: dict[str, str]


def demo_environment(state: Path, environ: dict[str, str]) -> dict[str, str]:
    """Give the environment with the demo's settings below it."""
    given = {**DEMO_SETTINGS, "MAILSTEAD_SERVER_DATA_DIR": str((state / "data").absolute()), **environ}
    urls = {
        f"MAILSTEAD_{section}_BASE_URL": f"http://{given[f'MAILSTEAD_{service}_LISTEN'].partition(',')[0]}"
        for section, service in (("DAV", "CALDAV"), ("API", "API"))
    }
    return urls | given


def open_demo(state: Path, *, is_fresh: bool) -> Demo:
    """Read the demo's passwords, or make new ones; `is_fresh` removes what was there.

    Errors: BadSettings where the folder is not ours to write, or another demo runs on it.
    """
    from mailstead.model.errors import BadSettings

    notes = state / "demo.json"
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        _take(state / "demo.lock")
        if is_fresh and notes.exists():  # only ever a folder that a demo has made
            for each in state.iterdir():
                if each.name != "demo.lock":
                    shutil.rmtree(each) if each.is_dir() else each.unlink()
        if not notes.exists():
            passwords = {f"{name}@{DEMO_DOMAIN}": secrets.token_urlsafe(9) for name in DEMO_NAMES}
            handle = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w") as file:
                json.dump(passwords, file)
        return Demo(state, json.loads(notes.read_text()))
    except BlockingIOError:
        raise BadSettings(
            f"Mailstead is running on {state} already; use that one, stop it with Ctrl-C, or take another state folder"
        ) from None
    except OSError as error:
        raise BadSettings(f"The state folder {state} cannot be written: {error.strerror}; is it yours?") from None
    except ValueError:
        raise BadSettings(f"{notes} is damaged; start anew with --fresh (make serve FRESH=1)") from None


def _take(path: Path) -> None:
    """Lock a file until this process ends, so that nobody removes the state under a running demo."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise


async def fill_demo(settings: Settings, demo: Demo) -> str:
    """Make domain and accounts of the demo where they are not there yet; the first one is its administrator.

    Gives a token for the API, made anew.
    """
    from mailstead.model.address import Address
    from mailstead.model.errors import AddressTaken, DomainExists, UserExists
    from mailstead.model.secret import Secret
    from mailstead.wiring.house import ADMINISTRATOR, open_house

    async with open_house(settings) as house:
        with suppress(DomainExists):
            await house.domains.add(ADMINISTRATOR, DEMO_DOMAIN)
        for address, password in demo.passwords.items():
            with suppress(AddressTaken):
                await house.accounts.create(ADMINISTRATOR, Address.parse(address), Secret(password))
        first = next(iter(demo.passwords))
        with suppress(UserExists):
            await house.users.create(ADMINISTRATOR, Address.parse(first), is_admin=True)
        user = await house.users.get(ADMINISTRATOR, first)
        return (await house.users.tokens.reset(ADMINISTRATOR, "demo", user)).secret.reveal()


def print_demo(settings: Settings, demo: Demo, token: str) -> None:
    """Print the one table: services, log-ins, a line that sends and a line that reads."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    table = Table(title=f"Mailstead on localhost (state in {demo.state})")
    for column in ("Service", "Address", "TLS"):
        table.add_column(column)
    for service, section in (
        ("mx", settings.mx),
        ("submission", settings.submission),
        ("imap", settings.imap),
        ("pop3", settings.pop3),
        ("sieve", settings.sieve),
    ):
        if service not in settings.server.services:
            continue
        for address in section.listen:
            table.add_row(service, address, "STLS" if service == "pop3" else "STARTTLS")
        for address in section.listen_tls:
            table.add_row(service, address, "from the first octet")
    has_web = "web" in settings.server.services and bool(settings.web.listen_tls)
    if has_web:
        for address in settings.web.listen_tls:
            table.add_row("web", f"https://{address}", "from the first octet")
    has_dates = "caldav" in settings.server.services and bool(settings.caldav.listen)
    if has_dates:
        both = "caldav, carddav" if "carddav" in settings.server.services else "caldav"
        table.add_row(both, f"http://{settings.caldav.listen[0]}", "none: this machine only")
    if "api" in settings.server.services:
        for address in settings.api.listen:
            table.add_row("api", f"http://{address}", "none: this machine only")
    console.print(table)
    (alice, alice_password), (bob, bob_password) = demo.passwords.items()
    console.print(f"Log-in: {alice} with password {alice_password}")
    console.print(f"        {bob} with password {bob_password}")
    if has_web:
        _, port = _host_and_port(settings.web.listen_tls[0])
        console.print(
            f"Web:    https://{settings.server.hostname}:{port}/ (the browser warns once: nobody vouches for this)"
        )
    # Lines of Python, as it is the one client that is surely there; curl is not, on a fresh Debian.
    if "mx" in settings.server.services and settings.mx.listen:
        host, port = _host_and_port(settings.mx.listen[0])
        console.print(
            f"""Send:   python3 -c "import smtplib; smtplib.SMTP('{host}', {port}).sendmail('me@elsewhere.test', """
            f"""'{alice}', 'From: me@elsewhere.test\\nTo: {alice}\\nSubject: Hello\\n\\nIt works.')\"""",
            markup=False,
        )
    if "imap" in settings.server.services and settings.imap.listen_tls:
        host, port = _host_and_port(settings.imap.listen_tls[0])
        console.print(
            f"""Read:   python3 -c "import imaplib; m = imaplib.IMAP4_SSL('{host}', {port}); """
            f"""m.login('{alice}', '{alice_password}'); m.select(); """
            """print(m.fetch('*', 'BODY[]')[1][0][1].decode())\"""",
            markup=False,
        )
    if has_dates:
        host, port = _host_and_port(settings.caldav.listen[0])
        console.print(
            f"""Dates:  python3 -c "import base64, urllib.request as u; """
            f"""log_in = base64.b64encode(b'{alice}:{alice_password}').decode(); """
            f"""ask = u.Request('http://{host}:{port}/dav/{alice}/default/', """
            """headers={'Authorization': 'Basic ' + log_in}); """
            """print(u.urlopen(ask).read().decode())\"""",
            markup=False,
        )
    if "api" in settings.server.services and settings.api.listen:
        host, port = _host_and_port(settings.api.listen[0])
        console.print(f"Token:  {token}", markup=False)
        console.print(
            f"""API:    python3 -c "import urllib.request as u; """
            f"""ask = u.Request('http://{host}:{port}/v1/account', """
            f"""headers={{'Authorization': 'Bearer {token}'}}); print(u.urlopen(ask).read().decode())\"""",
            markup=False,
        )
    console.print("Mail to other domains goes nowhere: it waits in the queue, as the demo asks no name server.")
    console.print("Ctrl-C stops it; the state survives; make serve FRESH=1 starts anew.")
    sys.stdout.flush()


def _host_and_port(listen: str) -> tuple[str, int]:
    """Give where a client on this machine reaches what listens there."""
    from mailstead.net.endpoint import Endpoint

    endpoint = Endpoint.parse(listen)
    return endpoint.host or "127.0.0.1", endpoint.port


def serve(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SERVICE]...",
            help="Services to run, else those of server.services: web, mx, submission, imap, pop3, sieve, caldav, "
            "carddav, queue, api; smtp means mx and submission, worker the queue.",
        ),
    ] = None,
    services: Annotated[str, typer.Option(metavar="A,B", help="The same, in one word.")] = "",
    workers: Annotated[int, typer.Option(metavar="N", help="Processes that share the ports.", min=0, max=64)] = 0,
    demo: Annotated[bool, typer.Option("--demo", help="A throw-away house on localhost, with two accounts.")] = False,
    state: Annotated[Path, typer.Option(metavar="DIR", help="Where the demo keeps its state.")] = Path(".state"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove the demo's state first.")] = False,
    init: Annotated[
        bool, typer.Option("--init", help="Make the data folder, as `init` does, if there is none.")
    ] = False,
) -> None:
    """Start the services and run until SIGTERM or Ctrl-C."""
    from mailstead.cli.containers import further_settings, told_by_variables
    from mailstead.config.load import load
    from mailstead.model.errors import BadSettings
    from mailstead.telemetry import log
    from mailstead.wiring.services import named_services, with_services

    terminal: Terminal = context.find_root().obj
    with terminal.clear_errors():
        house = open_demo(state, is_fresh=fresh) if demo else None
        environ = demo_environment(state, dict(os.environ)) if demo else os.environ
        if terminal.config is not None:
            os.environ["MAILSTEAD_CONFIG"] = str(terminal.config)  # backups take the file along
        further = {} if demo else further_settings(environ)
        settings = load(terminal.config, environ, further).settings
        asked = named_services([*(names or ()), services])
        settings = with_services(settings, asked or settings.server.services)
        server = replace(settings.server, workers=workers or settings.server.workers or 1)
        settings = replace(settings, server=server)
        if house is None and not init and not server.data_dir.is_dir():
            raise BadSettings(
                f"There is no data folder {server.data_dir}; run `mailstead init`, or try `mailstead serve --demo`"
            )
        log.configure(server.log_level, server.log_format)
        if told := told_by_variables(environ):
            log.get("cli").info("variables of a relay's container", **told)
        if house is None and init:
            _make_data_folder(settings)
        when_ready = None
        if house is None:
            asyncio.run(_adopt_environment(settings, os.environ))
        if house is not None:
            token = asyncio.run(fill_demo(settings, house))
            demo_house = house

            def when_ready() -> None:
                print_demo(settings, demo_house, token)

        status = _run(settings, when_ready)
    if status:
        raise typer.Exit(status)


def _make_data_folder(settings: Settings) -> None:
    """Make the data folder if there is none, and say once where the key of the new house is. Errors: BadSettings."""
    from mailstead.cli.init import make_data_folder
    from mailstead.telemetry import log
    from mailstead.wiring.master_key import master_key_place

    folder = settings.server.data_dir
    make_data_folder(folder)
    with suppress(OSError):  # who may not look into it is told so when the stores are opened
        if not any(folder.iterdir()):  # a container's volume is there before its first start, and empty
            log.get("cli").warning(
                "a new house: keep a copy of the master key elsewhere, whoever loses it loses all mail",
                data_dir=str(folder),
                key_place=master_key_place(settings),
            )


async def _adopt_environment(settings: Settings, environ: Mapping[str, str]) -> None:
    """Make or update the domain that a relay's container variables describe, if there are any. Errors: BadSettings."""
    from mailstead.cli.containers import relay_of

    relay = relay_of(environ)
    if relay is None:
        return
    from mailstead.usecases.relay_settings import adopt
    from mailstead.wiring.house import ADMINISTRATOR, open_house

    async with open_house(settings) as house:
        await adopt(house.domains, ADMINISTRATOR, relay)


def _run(settings: Settings, when_ready: Callable[[], None] | None) -> int:
    """Serve in this process, or in as many as the settings say; give the exit status."""
    from mailstead.wiring.serve import serve as serve_house  # before the fork: workers share the memory of code

    def work(index: int, *, is_port_shared: bool = True) -> int:
        running = serve_house(
            settings, worker=index, is_port_shared=is_port_shared, when_ready=when_ready if index == 0 else None
        )
        if settings.server.use_uvloop:
            import uvloop

            uvloop.run(running)
        else:
            asyncio.run(running)
        return 0

    if settings.server.workers == 1:
        return work(0, is_port_shared=False)
    from mailstead.net.workers import supervise

    server = settings.server
    return supervise(server.workers, work, stop_limit_s=server.stop_limit_s + 5, has_cpu_affinity=server.cpu_affinity)
