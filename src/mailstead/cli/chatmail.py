"""`mailstead chatmail`: what a chatmail relay's administrator brings along."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.errors import DATA, USAGE
from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from mailstead.model.address import Address
    from mailstead.model.directory import Domain
    from mailstead.usecases.expiry import Expired
    from mailstead.usecases.relay_report import RelayReport
    from mailstead.usecases.vmail_imports import VmailReport
    from mailstead.wiring.house import House

app = typer.Typer(help="Chatmail relays: take over the configuration and the people of one.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep the commands below their noun, however few they are."""


@app.command("import-ini")
def import_ini(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A relay's chatmail.ini.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would follow from each key.")] = False,
) -> None:
    """Make the domain of a chatmail.ini, or bring its terms up to date, and tell what follows from each key.

    What a relay has for its whole server goes into the settings file, if one is named (--config, MAILSTEAD_CONFIG).
    """
    from mailstead.cli.adoption import settle
    from mailstead.cli.containers import ini_text
    from mailstead.config.edit import with_settings
    from mailstead.policy.chatmail_ini import read_ini

    terminal = terminal_of(context)
    with terminal.clear_errors():
        relay = read_ini(ini_text(file))
        with_settings("", relay.settings, f"file {file}")  # what is wrong is told before anything is done

    async def work(house: House) -> Domain:
        from mailstead.usecases.relay_settings import adopt
        from mailstead.wiring.house import ADMINISTRATOR

        return await adopt(house.domains, ADMINISTRATOR, relay, changes=not dry_run)

    domain = terminal.run(work)
    rows = [(fate.key, fate.value, f"{fate.term} = {fate.text}" if fate.term else fate.text) for fate in relay.fates]
    names = ("key", "value", "follows")
    terminal.say_table(
        ("Key", "Value", f"What follows for {domain.name}{' (nothing was changed)' if dry_run else ''}"),
        rows,
        [dict(zip(names, row, strict=True)) for row in rows],
    )
    settle(terminal, relay.settings, f"file {file}", changes=not dry_run)


@app.command()
def invite(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="DOMAIN")],
    token: Annotated[str, typer.Option("--token", help="One of the domain's invite_tokens, if it has any.")] = "",
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Also write the QR code there.")] = None,
) -> None:
    """Show what to give to people who are to join: a link, and as QR code."""
    terminal = terminal_of(context)

    async def work(house: House) -> Domain:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.domains.get(ADMINISTRATOR, name)

    domain = terminal.run(work)
    terms = domain.terms
    if not terms.opens_accounts or (terms.invite_tokens and token not in terms.invite_tokens):
        why = "None of its invite_tokens is given" if terms.opens_accounts else "The domain opens no accounts"
        terminal.fail(USAGE, why, "See `mailstead domain show --secrets`.", "NoInvitation")
    import segno

    from mailstead.usecases.invitations import invitation_uri

    uri = invitation_uri(domain.name, token)
    code = segno.make(uri, error="m")
    if png is not None:
        code.save(str(png), scale=8, border=3)
    drawn = StringIO()
    code.terminal(out=drawn, compact=True, border=2)
    terminal.say(f"{uri}\n{drawn.getvalue()}", {"uri": uri})


@app.command("import")
def import_(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="FOLDER", help="A relay's /home/vmail/mail/DOMAIN.")],
    domain_name: Annotated[
        str, typer.Option("--domain", metavar="DOMAIN", help="Whose addresses they are; else the folder's name.")
    ] = "",
    dkim_key: Annotated[
        Path | None, typer.Option("--dkim-key", metavar="FILE", help="Its key, /etc/dkimkeys/opendkim.private.")
    ] = None,
    dkim_selector: Annotated[str, typer.Option("--dkim-selector", metavar="NAME", help="Where it is published.")] = (
        "opendkim"
    ),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would move in.")] = False,
) -> None:
    """Take over addresses, password hashes, mail, device tokens and last log-ins. May be run again at any time."""
    terminal = terminal_of(context)

    async def work(house: House) -> VmailReport:
        from mailstead.usecases.imports import Imports
        from mailstead.usecases.vmail_imports import VmailImports
        from mailstead.wiring.house import ADMINISTRATOR

        domain = await house.domains.get(ADMINISTRATOR, domain_name or source.resolve().name)
        known = {each.key.selector for each in await house.keys.list(ADMINISTRATOR, domain.name)}
        if dkim_key is not None and not dry_run and dkim_selector not in known:
            await house.keys.import_key(ADMINISTRATOR, domain.name, dkim_selector, dkim_key.read_bytes())
        imports = Imports(house.mailboxes, message_octets_max=house.settings.smtp.message_octets_max)
        vmail = VmailImports(
            house.storage, house.domains, house.accounts, imports, house.push_tokens, house.last_log_ins
        )
        with terminal.progress("Importing") as progress:
            return await vmail.run(ADMINISTRATOR, source, domain, changes=not dry_run, progress=progress)

    report = terminal.run(work)
    verb = "would be made" if dry_run else "made"
    lines = [f"{report.account_count} accounts {verb}, {report.known_count} were there"]
    lines.append(f"{report.imported_count} messages taken over, {report.duplicate_count} were there")
    lines.append(f"{report.token_count} device tokens taken over")
    if report.clear_text_count:
        verb = "would be added to" if dry_run else "are in"
        lines.append(f"{report.clear_text_count} addresses that took clear text {verb} the domain's cleartext_accounts")
    if report.skipped_count:
        lines.append(f"{report.skipped_count} things stay out:")
        lines += [f"  {name}: {reason}" for name, reason in report.skipped]
    counts = {name: getattr(report, name) for name in report.__slots__ if name.endswith("_count")}
    skipped = [{"name": name, "reason": reason} for name, reason in report.skipped]
    terminal.say("\n".join(lines), {**counts, "skipped": skipped})
    if report.skipped_count:
        raise typer.Exit(DATA)


@app.command()
def report(
    context: typer.Context,
    textfile: Annotated[
        Path | None, typer.Option("--textfile", metavar="FOLDER", help="Also write chatmail.prom for node_exporter.")
    ] = None,
) -> None:
    """Count accounts, those in use, and messages by size, of all relays of this server."""
    terminal = terminal_of(context)

    async def work(house: House) -> RelayReport:
        return await house.relay_reports.count(house.clock.now())

    found = terminal.run(work)
    values = found.values()
    rows = [(name, label, str(value)) for name, of in values.items() for label, value in of.items()]
    if textfile is not None:
        _write(textfile / "chatmail.prom", values)
    terminal.say_table(("Number", "Of", "Value"), rows, [{**values, "failed_count": found.failed_count}])


def _write(file: Path, values: Mapping[str, Mapping[str, int]]) -> None:
    """Write metrics as text, at once or not at all: node_exporter may read at any moment."""
    labels = {"chatmail_messages_bytes": "min_size", "chatmail_messages_count": "min_size"}
    labels["chatmail_accounts_active"] = "days"
    lines = []
    for name, of in values.items():
        lines.append(f"# TYPE {name} gauge")
        lines += [f'{name}{{{labels.get(name, "kind")}="{label}"}} {value}' for label, value in of.items()]
    new = file.with_suffix(".new")
    new.write_text("\n".join(lines) + "\n", "ascii")
    new.replace(file)


@app.command()
def expire(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
) -> None:
    """Remove mails that have run out and accounts that nobody uses, as the daily round does by itself."""
    terminal = terminal_of(context)

    async def work(house: House) -> tuple[list[Address], Expired]:
        from mailstead.wiring.house import ADMINISTRATOR

        now = house.clock.now()
        gone = await house.idle_accounts.once(ADMINISTRATOR, now, removes=not dry_run)
        return gone, await house.expiry.once(now, removes=not dry_run)

    gone, expired = terminal.run(work)
    verb = "would go" if dry_run else "removed"
    terminal.say(
        f"{len(gone)} idle accounts {verb}, {expired.mail_count} mails ({expired.octets} octets) of "
        f"{expired.account_count} accounts {verb}; {expired.failed_count} accounts could not be looked at",
        {
            "idle_accounts": [str(address) for address in gone],
            "mail_count": expired.mail_count,
            "octets": expired.octets,
            "account_count": expired.account_count,
            "failed_count": expired.failed_count,
        },
    )
