"""`mailstead setup` and `mailstead firewall`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mailstead.cli.errors import USAGE
from mailstead.cli.setup.options import Options
from mailstead.cli.setup.questions import Questions
from mailstead.cli.terminal import Terminal, terminal_of

if TYPE_CHECKING:
    from collections.abc import Callable

STAGES: Final = ("configure", "start", "finish")
ACTIONS: Final = ("initial-setup", "backups", "auto-update", "renew", "restore", "uninstall")


def setup(
    context: typer.Context,
    domain: Annotated[str | None, typer.Option("--domain", "-d", help="Domain of the mail addresses.")] = None,
    hostname: Annotated[str | None, typer.Option(help="Name of this machine; else mail.DOMAIN.")] = None,
    kind: Annotated[str | None, typer.Option(help="mail, or chatmail (for Delta Chat).")] = None,
    email: Annotated[
        str | None, typer.Option(help="Your address elsewhere: for the certificate authority, and for the trial.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="The first account; else admin@DOMAIN.")] = None,
    cert_method: Annotated[
        str | None,
        typer.Option(help="http, alpn, cloudflare, digitalocean, route53, rfc2136, files or self-signed."),
    ] = None,
    cloudflare_ini: Annotated[
        Path | None,
        typer.Option(help="The provider's token as certbot has it in a file; means --cert-method cloudflare."),
    ] = None,
    acme_directory: Annotated[str | None, typer.Option(help="Another authority than Let's Encrypt.")] = None,
    acme_ca_file: Annotated[str | None, typer.Option(help="Whom to believe there, if it is a private one.")] = None,
    certificate_file: Annotated[str | None, typer.Option(help="For --cert-method files.")] = None,
    key_file: Annotated[str | None, typer.Option(help="For --cert-method files.")] = None,
    bucket: Annotated[
        str | None,
        typer.Option(
            help="For backups: a bucket (name or s3://name/prefix), a folder, or none. Keys: AWS_ACCESS_KEY_ID …"
        ),
    ] = None,
    s3_endpoint: Annotated[str | None, typer.Option(help="Address of the S3 provider; else Amazon.")] = None,
    address: Annotated[
        list[str] | None, typer.Option("--address", help="Public IP address of this machine, if it is behind NAT.")
    ] = None,
    port_25_target: Annotated[
        str | None, typer.Option(help="Mail exchanger at which port 25 outward is tried, or none.")
    ] = None,
    blocklists: Annotated[str | None, typer.Option(help="Block lists asked about this machine, or none.")] = None,
    ssh_port: Annotated[int, typer.Option(help="Port that the firewall leaves open for you.", min=1, max=65535)] = 22,
    action: Annotated[str, typer.Option(help="initial-setup, backups, auto-update, renew, restore or uninstall.")] = "",
    stage: Annotated[str, typer.Option(help="Only configure, start or finish: setup.sh calls them one by one.")] = "",
    env_file: Annotated[
        Path | None, typer.Option(help="Write settings into this .env of Docker Compose, not into --config.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing: all is confirmed, proposals are taken.")
    ] = False,
    wait_dns: Annotated[bool, typer.Option("--wait-dns", help="Wait up to ten minutes for the records.")] = False,
    wait_reply: Annotated[
        float, typer.Option(metavar="SECONDS", help="Wait so long for an answer to the trial message.", min=0)
    ] = 0.0,
) -> None:
    """Lead from a bare machine to real mail, by questions or by options; running it again does no harm.

    Looks whether the machine is fit, asks for what it must know, writes the settings, starts the service, makes domain
    and account, shows the DNS records, tries mail both ways and prints a link to set the password.

    With --yes, port 25 outward is tried at a large provider and two block lists are asked, unless --port-25-target none
    and --blocklists none are said.
    """
    terminal = terminal_of(context)
    questions = Questions(terminal, assumes_yes=yes)
    if action and action not in ACTIONS:
        questions.refuse("--action", f"{action!r} is none of {', '.join(ACTIONS)}")
    if stage and stage not in STAGES:
        questions.refuse("--stage", f"{stage!r} is none of {', '.join(STAGES)}")
    options = Options(
        domain=domain,
        hostname=hostname,
        kind=kind,
        email=email,
        certificate=cert_method,
        provider_ini=cloudflare_ini,
        acme_directory=acme_directory,
        acme_ca_file=acme_ca_file,
        certificate_file=certificate_file,
        key_file=key_file,
        bucket=bucket,
        s3_endpoint=s3_endpoint,
        addresses=tuple(address or ()),
        port_25_target=port_25_target,
        blocklists=blocklists,
        account=account,
        ssh_port=ssh_port,
        env_file=env_file,
        wait_dns=wait_dns,
        wait_reply_s=wait_reply,
    )
    _choose(terminal, questions, options, action, stage)


def _choose(terminal: Terminal, questions: Questions, options: Options, action: str, stage: str) -> None:
    from mailstead.cli.setup import actions
    from mailstead.cli.setup.configure import configure
    from mailstead.cli.setup.finish import finish
    from mailstead.cli.setup.start import as_service, start

    file = _settings_file(terminal)
    if action not in {"", "initial-setup"}:
        verbs: dict[str, Callable[[], None]] = {
            "backups": lambda: actions.backups(terminal, questions, options, file),
            "auto-update": lambda: actions.auto_update(terminal, questions, file),
            "renew": lambda: actions.renew(terminal, file),
            "restore": lambda: actions.restore(terminal, questions, options, file),
            "uninstall": lambda: actions.uninstall(terminal, questions, file),
        }
        verbs[action]()
    elif stage == "configure":
        with terminal.clear_errors():
            done = configure(terminal, questions, options, file)
        terminal.say(f"Next: {_next(options)}", actions.as_json(done))
    elif stage == "start":
        start(terminal, questions, options, file)
    elif stage == "finish":
        finish(terminal, questions, options)
    else:
        if options.env_file is not None:
            questions.refuse("--env-file", "in containers the stages are called one by one: see self-hosting/setup.sh")
        if os.geteuid() != 0:
            terminal.fail(USAGE, "Only root may set up a machine", "Try with sudo, or --stage configure.", "NotRoot")
        with terminal.clear_errors():
            configure(terminal, questions, options, file)
        start(terminal, questions, options, file)
        code = as_service(
            file, ["setup", "--stage", "finish", *_words_for_finish(terminal, options, yes=questions.assumes_yes)]
        )
        if code:
            raise typer.Exit(code)


def _settings_file(terminal: Terminal) -> Path:
    from mailstead.config.load import file_of
    from mailstead.wiring.systemd import SETTINGS_FILE

    return (file_of(terminal.config, os.environ) or SETTINGS_FILE).absolute()


def _next(options: Options) -> str:
    return "docker compose up -d --wait" if options.env_file else "mailstead setup --stage start"


def _words_for_finish(terminal: Terminal, options: Options, *, yes: bool) -> list[str]:
    given = {"--email": options.email, "--account": options.account}
    words = [word for option, text in given.items() if text is not None for word in (option, text)]
    words += ["--wait-dns"] if options.wait_dns else []
    words += ["--wait-reply", str(options.wait_reply_s)] if options.wait_reply_s else []
    return words + (["--yes"] if yes else []) + (["--json"] if terminal.is_json else [])


def firewall(
    context: typer.Context,
    kind: Annotated[str, typer.Option("--for", help="ufw or nftables.")],
    ssh_port: Annotated[int, typer.Option(help="Port that stays open for you.", min=1, max=65535)] = 22,
) -> None:
    """Print the lines that let a firewall refuse all but ssh and the ports of the services; root may run them by sh."""
    from mailstead.policy.firewall import KINDS, lines
    from mailstead.wiring.machine_checks import served_ports

    terminal = terminal_of(context)
    if kind not in KINDS:
        terminal.fail(USAGE, f"--for: {kind!r} is none of {', '.join(KINDS)}", kind="BadOption")
    with terminal.clear_errors():
        ports = served_ports(terminal.load().settings)
    found = lines(kind, ports, ssh_port)
    terminal.say("\n".join(found), {"ports": list(ports), "lines": found})
