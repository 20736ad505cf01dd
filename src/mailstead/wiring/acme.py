"""Certificates that are ordered: whether, by whom, for which names, and how they are proven."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mailstead.config.settings import Settings
from mailstead.model.address import normal_domain
from mailstead.model.errors import BadAddress, BadSettings, DnsUnavailable
from mailstead.net.acme.challenges import ChallengeFiles
from mailstead.net.certificates import certificate_place
from mailstead.telemetry import log

if TYPE_CHECKING:  # only who orders loads the client: its code is memory
    from mailstead.net.acme.client import Prover
    from mailstead.net.acme.ordering import Ordering
    from mailstead.wiring.house import House

_log = log.get("wiring")

_LABELS: Final = ("mta-sts.", "autoconfig.", "autodiscover.", "openpgpkey.")
_HOST_LABELS: Final = ("", "www.", *_LABELS)
"""Of domains whose own name is asked over HTTPS, too: relays, and those that take mail so. See `services.web.app`."""
NAMES_MAX: Final = 100
"""In one certificate, as public authorities have it."""


def orders_certificates(settings: Settings) -> bool:
    """Whether the house orders its certificate from an authority."""
    return bool(settings.acme.directory_url) and not settings.tls.certificate_file


def acme_folder(settings: Settings) -> Path:
    """Give where the ordered pair and the account's key lie."""
    return certificate_place("", settings.server.data_dir, is_ordered=True).parent


def challenge_files(settings: Settings) -> ChallengeFiles:
    """Give the proofs that are up."""
    return ChallengeFiles(acme_folder(settings) / "challenges")


def make_ordering(house: House) -> Ordering:
    """Give who orders and renews. Errors: BadSettings, where a proof could never be seen."""
    from mailstead.net.acme.client import AcmeClient
    from mailstead.net.acme.jws import AccountKey
    from mailstead.net.acme.ordering import Ordering
    from mailstead.net.web import SafeWebClient
    from mailstead.wiring.zones import provider_mark

    settings, acme = house.settings, house.settings.acme
    if not acme.directory_url.startswith("https://"):
        raise BadSettings("acme.directory_url does not begin with https://")
    if acme.ca_file and not Path(acme.ca_file).is_file():
        raise BadSettings(f"acme.ca_file: there is no file {acme.ca_file}")
    names = tuple(_certificate_name(name) for name in acme.names)
    if acme.challenge != "dns-01" and any(name.startswith("*.") for name in names):
        raise BadSettings('acme.names: only acme.challenge = "dns-01" can prove names that begin with *')
    web = SafeWebClient(
        house.resolver,
        # An authority with a certificate of its own is a private one, and chosen by who has written the settings.
        allows_private=settings.relay.allows_private_addresses or bool(acme.ca_file),
        ca_file=acme.ca_file or settings.relay.ca_file,
        hostname=settings.server.hostname,
    )

    def client(key: AccountKey) -> AcmeClient:
        return AcmeClient(web, key, house.clock, directory_url=acme.directory_url, email=acme.email)

    async def wanted(present: frozenset[str]) -> tuple[str, ...]:
        return names or await _names_served(house, present)

    return Ordering(
        acme_folder(settings),
        client,
        _prover(house),
        wanted,
        house.clock,
        mark=f"{acme.directory_url} {acme.challenge} {provider_mark(house.settings.dns_provider)}",
        chance=random.random(),  # noqa: S311  # no secret: it spreads the load of an authority
    )


def _prover(house: House) -> Prover:
    """Errors: BadSettings."""
    from mailstead.net.acme.challenges import AlpnProver, HttpProver

    settings, acme = house.settings, house.settings.acme
    files = challenge_files(settings)
    if acme.challenge == "http-01":
        if not settings.web.listen:
            raise BadSettings('acme.challenge http-01 needs the web service in clear text: set web.listen = [":80"]')
        return HttpProver(files)
    if acme.challenge == "tls-alpn-01":
        if not settings.web.listen_shared:
            raise BadSettings('acme.challenge tls-alpn-01 needs the shared port: set web.listen_shared = [":443"]')
        return AlpnProver(files)
    from mailstead.net.acme.dns import DnsProver
    from mailstead.net.acme.secondaries import Secondaries
    from mailstead.net.dns_exchange import name_servers
    from mailstead.wiring.zones import make_zone_editor, update_server

    zones, provider = make_zone_editor(house), settings.dns_provider
    if zones is None:
        raise BadSettings(
            "acme.challenge dns-01 needs who publishes the zone: set dns_provider.kind, and its credentials"
        )
    # The server that takes updates may be the only one to know the zone as it is meant, and who serves it.
    server = update_server(provider) if provider.kind == "rfc2136" else name_servers(settings.dns.servers)[0]
    return DnsProver(zones, Secondaries(house.resolver, server).wait)


def _certificate_name(name: str) -> str:
    """Give a name of the settings as certificates have it. Errors: BadSettings."""
    wildcard = "*." if name.startswith("*.") else ""
    try:
        return wildcard + normal_domain(name.removeprefix("*.").removesuffix("."))
    except BadAddress:
        raise BadSettings(f"acme.names: {name} is no host name") from None


async def _names_served(house: House, present: frozenset[str]) -> tuple[str, ...]:
    """Give our hostname and the hosts of our domains that have an address; one without would spoil the whole order.

    What cannot be looked up now is wanted if the `present` certificate has it. Errors: StorageUnavailable.
    """
    from mailstead.wiring.house import ADMINISTRATOR

    names = [house.settings.server.hostname]
    server, web = house.settings.server, house.settings.web
    if "web" in (server.offered_services or server.services) and (web.listen_tls or web.listen_shared):
        for domain in await house.domains.list(ADMINISTRATOR):
            if domain.name.startswith("["):
                continue  # an IP address: no name to prove
            is_host = domain.terms.is_chatmail or domain.terms.uses_mxdeliv
            for label in _HOST_LABELS if is_host else _LABELS:
                name = f"{label}{domain.name}"
                if len(names) == NAMES_MAX:
                    _log.warning("a certificate has no room for all hosts; see acme.names", first_left_out=name)
                    return tuple(names)
                if name not in names and await _has_address(house, name, is_present=name in present):
                    names.append(name)
    return tuple(names)


async def _has_address(house: House, name: str, *, is_present: bool) -> bool:
    try:
        return bool((await house.resolver.a(name)).records or (await house.resolver.aaaa(name)).records)
    except DnsUnavailable:
        return is_present
