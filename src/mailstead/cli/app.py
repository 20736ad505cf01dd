"""The command line: one file per noun, global options, and no heavy import before it is known what is asked.

Exit codes: see `errors`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mailstead import __version__
from mailstead.cli import (
    account,
    addressbook,
    alias,
    api,
    audit,
    backup,
    calendar,
    certificate,
    chatmail,
    check,
    config,
    dkim,
    dns,
    doctor,
    domain,
    exports,
    filter_rules,
    health,
    import_env,
    init,
    invite,
    junk,
    member,
    password_cost,
    queue,
    remote_imports,
    reports,
    restore,
    second_factor,
    serve,
    session,
    sieve,
    statistics,
    suppression,
    systemd,
    token,
    trace,
    trial,
    update,
    user,
    vacation,
)
from mailstead.cli.setup import command as setup
from mailstead.cli.terminal import Terminal


class _AnywhereGroup(TyperGroup):
    """Takes `--json` and `--config FILE` at any place of the line, as nobody remembers where global options belong."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        first: list[str] = []
        rest: list[str] = []
        words = iter(args)
        for word in words:
            if word == "--":
                rest += [word, *words]
            elif word == "--json" or word.startswith("--config="):
                first.append(word)
            elif word == "--config":
                first += [word, *([value] if (value := next(words, None)) is not None else [])]
            else:
                rest.append(word)
        return super().parse_args(ctx, first + rest)


app = typer.Typer(
    cls=_AnywhereGroup,
    name="mailstead",
    help="A self-hosted mail platform. --config and --json may stand at any place of the line.",
    epilog=(
        "Exit codes: 0 done; 1 check, doctor or health has found something; 2 wrong command line; 65 bad input; "
        "67 no such domain, account, alias, mailbox or calendar; 69 store not available; 73 exists already; "
        "75 try again later; 77 not allowed; 78 wrong settings."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(is_asked: bool) -> None:
    if is_asked:
        print(f"mailstead {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config_file: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Settings file; else MAILSTEAD_CONFIG.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")] = False,
    _: Annotated[
        bool, typer.Option("--version", help="Say the version and end.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Keep the global options."""
    context.find_root().obj = Terminal(config_file, as_json)


app.command("serve")(serve.serve)
app.command("init")(init.init)
app.command("api")(api.api)
app.add_typer(domain.app, name="domain")
app.add_typer(chatmail.app, name="chatmail")
app.add_typer(dkim.app, name="dkim")
app.command("dns")(dns.dns)
app.add_typer(certificate.app, name="certificate")
app.command("doctor")(doctor.doctor)
app.command("health")(health.health)
app.command("trial")(trial.trial)
app.command("setup")(setup.setup)
app.command("firewall")(setup.firewall)
app.add_typer(systemd.app, name="systemd")
app.command("update")(update.update)
app.add_typer(account.app, name="account")
app.add_typer(second_factor.app, name="second-factor")
app.add_typer(session.app, name="session")
app.command("password-cost")(password_cost.password_cost)
app.add_typer(alias.app, name="alias")
app.add_typer(user.app, name="user")
app.add_typer(token.app, name="token")
app.add_typer(member.app, name="member")
app.add_typer(invite.app, name="invite")
app.add_typer(audit.app, name="audit")
app.add_typer(sieve.app, name="sieve")
app.add_typer(filter_rules.app, name="filter")
app.add_typer(vacation.app, name="vacation")
app.add_typer(calendar.app, name="calendar")
app.add_typer(addressbook.app, name="addressbook")
app.add_typer(queue.app, name="queue")
app.add_typer(junk.app, name="junk")
app.add_typer(suppression.app, name="suppression")
app.command("trace")(trace.trace)
app.command("reports")(reports.reports)
app.command("statistics")(statistics.statistics)
app.add_typer(config.app, name="config")
app.add_typer(remote_imports.app, name="import")
app.command("import-env")(import_env.import_env)
app.command("export")(exports.export)
app.add_typer(backup.app, name="backup")
app.command("restore")(restore.restore)
app.command("check")(check.check)
