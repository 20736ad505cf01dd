"""`mailstead certificate`: show, renew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from mailstead.cli.terminal import terminal_of
from mailstead.model.errors import BadSettings

if TYPE_CHECKING:
    from pathlib import Path

    from mailstead.config.settings import Settings
    from mailstead.net.acme.renewal import Held
    from mailstead.wiring.house import House

app = typer.Typer(help="The certificate that the services show.", no_args_is_help=True)

_MOMENT: Final = "%Y-%m-%d %H:%M UTC"


@app.command()
def show(context: typer.Context) -> None:
    """Show the certificate in place: its names, who has signed it, until when it is good, how it is renewed."""
    from mailstead.net.certificates import certificate_place
    from mailstead.wiring.acme import orders_certificates

    terminal = terminal_of(context)
    with terminal.clear_errors():
        settings = terminal.load().settings
        file = certificate_place(
            settings.tls.certificate_file, settings.server.data_dir, is_ordered=orders_certificates(settings)
        )
        held, issuer = _read(file)
    how, facts = _renewal(settings, held)
    rows = [
        ("File", str(file)),
        ("Names", ", ".join(sorted(held.names)) or "none"),
        ("Issuer", f"{issuer} (self-signed)" if held.is_self_signed else issuer),
        ("Good from", f"{held.not_before:{_MOMENT}}"),
        ("Good until", f"{held.not_after:{_MOMENT}}"),
        ("Renewed", how),
    ]
    if "failure" in facts:
        rows.append(("Last order", f"failed: {facts['failure']}"))
    width = max(len(head) for head, _ in rows)
    terminal.say(
        "\n".join(f"{head.ljust(width)}  {value}" for head, value in rows),
        {
            "file": str(file),
            "names": sorted(held.names),
            "issuer": issuer,
            "is_self_signed": held.is_self_signed,
            "not_before": held.not_before.isoformat(),
            "not_after": held.not_after.isoformat(),
            "renewal": facts,
        },
    )


@app.command()
def renew(context: typer.Context) -> None:
    """Order a new certificate now, due or not; a server that runs takes it over by itself."""
    terminal = terminal_of(context)

    async def work(house: House) -> Held:
        from mailstead.wiring.acme import make_ordering, orders_certificates

        if not orders_certificates(house.settings):
            raise BadSettings(
                "No certificate is ordered here: acme.directory_url is empty, or tls.certificate_file is set"
            )
        return await make_ordering(house).order()

    held = terminal.run(work)
    terminal.say(
        f"New certificate for {', '.join(sorted(held.names))}, good until {held.not_after:{_MOMENT}}",
        {"names": sorted(held.names), "not_after": held.not_after.isoformat()},
    )


def _read(file: Path) -> tuple[Held, str]:
    """Give what is asked of a certificate, and its issuer. Errors: BadSettings."""
    from cryptography import x509

    from mailstead.net.acme.ordering import read_held

    held = read_held(file)
    if held is None:
        raise BadSettings(
            f"There is no certificate in {file} that can be read; `mailstead init` makes one; see tls.certificate_file"
        )
    return held, x509.load_pem_x509_certificates(file.read_bytes())[0].issuer.rfc4514_string()


def _renewal(settings: Settings, held: Held) -> tuple[str, dict[str, str]]:
    """Say how the certificate is renewed, for people and for machines."""
    from mailstead.net.acme.ordering import read_failure
    from mailstead.net.acme.renewal import due_at
    from mailstead.ports.clock import SystemClock
    from mailstead.wiring.acme import acme_folder, orders_certificates

    if not orders_certificates(settings):
        if settings.tls.certificate_file:
            return "by whoever writes the file; the server takes a new one over by itself", {"by": "file"}
        return "by itself when the server starts (self-signed); see acme.directory_url", {"by": "self-signed"}
    acme = settings.acme
    due = due_at(held, acme.names, SystemClock().now(), 0.0)
    facts = {"by": "acme", "directory_url": acme.directory_url, "challenge": acme.challenge, "due_at": due.isoformat()}
    when = "now" if due <= SystemClock().now() else f"from {due:{_MOMENT}} on"
    failed = read_failure(acme_folder(settings))
    if failed is not None:
        facts |= {"failure": failed.reason, "again_at": failed.again_at.isoformat()}
        when += f", next try {failed.again_at:{_MOMENT}}"
    return f"by the server, {when}, from {acme.directory_url} ({acme.challenge})", facts
