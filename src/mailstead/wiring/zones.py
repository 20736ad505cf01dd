"""Who changes the records that a DNS provider publishes for us."""

from __future__ import annotations

from dataclasses import fields
from hashlib import sha256
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mailstead.config.settings import DnsProvider
from mailstead.model.errors import BadSettings
from mailstead.model.secret import Secret
from mailstead.net.dns_exchange import NameServer, name_servers
from mailstead.ports.zones import ZoneEditor

if TYPE_CHECKING:
    from mailstead.wiring.house import House

_NEEDED = {
    "cloudflare": ("api_token",),
    "digitalocean": ("api_token",),
    "route53": ("aws_access_key_id", "aws_secret_access_key"),
    "rfc2136": ("rfc2136_server", "rfc2136_key_name", "rfc2136_key"),
}


def make_zone_editor(house: House) -> ZoneEditor | None:
    """Give who changes records; None where no provider is set. Errors: BadSettings."""
    provider = house.settings.dns_provider
    if not provider.kind:
        return None
    missing = [f"dns_provider.{name}" for name in _NEEDED[provider.kind] if not getattr(provider, name)]
    if missing:
        raise BadSettings(f'dns_provider.kind = "{provider.kind}" needs {" and ".join(missing)}, too')
    if provider.kind == "rfc2136":
        from mailstead.net.zones.rfc2136 import Rfc2136Zones, tsig_key

        key = tsig_key(provider.rfc2136_key_name, provider.rfc2136_key)
        return Rfc2136Zones(update_server(provider), key, house.clock)
    return _by_api(house, provider)


def update_server(provider: DnsProvider) -> NameServer:
    """Give the name server that takes updates. Errors: BadSettings."""
    try:
        (server,) = name_servers((provider.rfc2136_server,))
    except BadSettings:
        raise BadSettings("dns_provider.rfc2136_server is not an IP address, nor one with a port") from None
    return server


def provider_mark(provider: DnsProvider) -> str:
    """Give what is another with other settings, and shows none of the secrets."""
    values = (getattr(provider, each.name) for each in fields(provider))
    texts = (value.reveal() if isinstance(value, Secret) else value for value in values)
    return f"{provider.kind} {sha256(chr(0).join(texts).encode()).hexdigest()[:16]}"


def _by_api(house: House, provider: DnsProvider) -> ZoneEditor:
    """Errors: BadSettings."""
    from mailstead.net.web import SafeWebClient
    from mailstead.net.zones import cloudflare, digitalocean, route53
    from mailstead.net.zones.held import HeldZones

    settings = house.settings
    if provider.endpoint and not _is_safe(provider.endpoint):
        raise BadSettings("dns_provider.endpoint does not begin with https://: who listens would get the credentials")
    web = SafeWebClient(
        house.resolver,
        # An API of one's own may have a private address, and was chosen by who has written the settings.
        allows_private=settings.relay.allows_private_addresses or bool(provider.endpoint),
        ca_file=settings.relay.ca_file,
        hostname=settings.server.hostname,
    )
    if provider.kind == "route53":
        url = provider.endpoint or route53.URL
        key_id, secret = provider.aws_access_key_id, provider.aws_secret_access_key
        return route53.Route53Zones(web, house.clock, key_id, secret, url)
    if provider.kind == "digitalocean":
        url = provider.endpoint or digitalocean.URL
        return HeldZones(digitalocean.DigitalOceanApi(web, provider.api_token, url))
    return HeldZones(cloudflare.CloudflareApi(web, provider.api_token, provider.endpoint or cloudflare.URL))


def _is_safe(url: str) -> bool:
    """Whether nobody can listen on the way."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" or (parts.scheme == "http" and ip_address(parts.hostname or "").is_loopback)
    except ValueError:
        return False
