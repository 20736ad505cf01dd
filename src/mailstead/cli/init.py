"""`mailstead init`: data folder, keys, certificate, first domain."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.terminal import terminal_of
from mailstead.model.errors import BadSettings, DomainExists

if TYPE_CHECKING:
    from mailstead.wiring import House


def init(
    context: typer.Context,
    domain: Annotated[str | None, typer.Option(help="A first domain to serve.")] = None,
) -> None:
    """Make the data folder with its keys and a certificate. Harmless where they are there already."""
    terminal = terminal_of(context)
    with terminal.clear_errors():
        settings = terminal.load().settings
        folder = settings.server.data_dir
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BadSettings(
                f"The data folder {folder} cannot be made: {error.strerror}; is server.data_dir right?"
            ) from None

        from mailstead.net.certificates import open_certificates

        tls = settings.tls
        open_certificates(tls.certificate_file, tls.key_file, folder, settings.server.hostname)

    async def work(house: House) -> list[str]:
        from mailstead.wiring import ADMINISTRATOR

        if domain is not None:
            with suppress(DomainExists):  # init may be run again
                await house.domains.add(ADMINISTRATOR, domain)
        return [one.name for one in await house.domains.list(ADMINISTRATOR)]

    domains = terminal.run(work, makes_folder=True)
    certificate = tls.certificate_file or str(folder / "tls" / "certificate.pem")
    next_step = "mailstead account add name@" + domains[0] if domains else "mailstead domain add example.org"
    terminal.say(
        f"The house is ready in {folder}\nCertificate: {certificate}\nDomains: {', '.join(domains) or 'none yet'}\n"
        f"Back up the master key; without it nobody can read the mail.\nNext: {next_step}",
        {"data_dir": str(folder), "certificate_file": certificate, "domains": domains},
    )
