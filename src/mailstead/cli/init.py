"""`mailstead init`: data folder, keys, certificate, first domain."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.terminal import terminal_of
from mailstead.model.errors import BadSettings, DomainExists

if TYPE_CHECKING:
    from mailstead.wiring.house import House


def make_data_folder(folder: Path) -> None:
    """Make the data folder where it is not there yet. Errors: BadSettings."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadSettings(
            f"The data folder {folder} cannot be made: {error.strerror}; is server.data_dir right?"
        ) from None


def init(
    context: typer.Context,
    domain: Annotated[str | None, typer.Option(help="A first domain to serve.")] = None,
) -> None:
    """Make the data folder, its master key and a certificate. Harmless where they are there already."""
    from mailstead.wiring.master_key import master_key_place

    terminal = terminal_of(context)
    with terminal.clear_errors():
        settings = terminal.load().settings
        folder = settings.server.data_dir
        make_data_folder(folder)

        from mailstead.net.certificates import certificate_place, open_certificates
        from mailstead.wiring.acme import orders_certificates

        tls = settings.tls
        is_ordered = orders_certificates(settings)
        open_certificates(tls.certificate_file, tls.key_file, folder, settings.server.hostname, is_ordered=is_ordered)

    async def work(house: House) -> list[str]:
        from mailstead.wiring.house import ADMINISTRATOR

        if domain is not None:
            with suppress(DomainExists):  # init may be run again
                await house.domains.add(ADMINISTRATOR, domain)
        return [one.name for one in await house.domains.list(ADMINISTRATOR)]

    domains = terminal.run(work, makes_folder=True)
    certificate = str(certificate_place(tls.certificate_file, folder, is_ordered=is_ordered))
    key_place = master_key_place(settings)
    next_step = "mailstead account add name@" + domains[0] if domains else "mailstead domain add example.org"
    terminal.say(
        f"The house is ready in {folder}\nMaster key: {key_place}\n"
        "Keep a copy of the master key elsewhere: whoever loses it loses all mail, and no backup of the data folder "
        f"has it.\nCertificate: {certificate}\nDomains: {', '.join(domains) or 'none yet'}\nNext: {next_step}",
        {"data_dir": str(folder), "master_key": key_place, "certificate_file": certificate, "domains": domains},
    )
