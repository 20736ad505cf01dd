"""Who changes zones follows from the settings."""

from types import SimpleNamespace

import pytest

from mailauth.zones import Zones
from mailstead.config.settings import DnsProvider, Settings
from mailstead.model.errors import BadSettings
from mailstead.model.secret import Secret
from mailstead.ports.clock import SystemClock
from mailstead.ports.zones import ZoneRefused
from mailstead.wiring.zones import make_zone_editor, provider_mark
from net.zones.providers import Cloudflare, DigitalOcean

UPDATES = {"rfc2136_server": "192.0.2.1", "rfc2136_key_name": "key", "rfc2136_key": Secret("a2V5")}
KEY = {"aws_access_key_id": "A", "aws_secret_access_key": Secret("s")}


def house(resolver=None, **provider):
    settings = Settings(dns_provider=DnsProvider(**provider))
    return SimpleNamespace(settings=settings, resolver=resolver or Zones({}), clock=SystemClock())


def test_without_a_kind_there_is_nobody():
    assert make_zone_editor(house(api_token=Secret("t"))) is None


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ({"kind": "cloudflare"}, "needs dns_provider.api_token, too"),
        ({"kind": "digitalocean"}, "needs dns_provider.api_token, too"),
        ({"kind": "route53"}, "needs dns_provider.aws_access_key_id and dns_provider.aws_secret_access_key, too"),
        ({"kind": "rfc2136", **UPDATES, "rfc2136_key": Secret("")}, "needs dns_provider.rfc2136_key, too"),
        ({"kind": "rfc2136", **UPDATES, "rfc2136_server": "ns.test"}, "rfc2136_server is not an IP address"),
        ({"kind": "route53", **KEY, "endpoint": "http://192.0.2.1"}, "dns_provider.endpoint"),
        ({"kind": "route53", **KEY, "endpoint": "http://localhost.test:4"}, "dns_provider.endpoint"),
        ({"kind": "route53", **KEY, "endpoint": "nonsense"}, "dns_provider.endpoint"),
    ],
)
def test_what_is_missing_or_wrong_is_named(provider, said):
    with pytest.raises(BadSettings, match=said):
        make_zone_editor(house(**provider))


@pytest.mark.parametrize("double", [Cloudflare, DigitalOcean])
async def test_each_kind_speaks_its_own_language(double):
    with double({"example.test": []}) as provider:
        kind, token = double.__name__.lower(), Secret(provider.token)
        zones = make_zone_editor(house(kind=kind, api_token=token, endpoint=provider.endpoint))
        await zones.add("a.example.test", "TXT", "x", 60)
        assert len(provider.zones["example.test"]) == 1


@pytest.mark.parametrize("provider", [{"kind": "route53", **KEY}, {"kind": "rfc2136", **UPDATES}])
def test_the_others_are_made(provider):
    assert type(make_zone_editor(house(**provider))).__name__.lower() == f"{provider['kind']}zones"


@pytest.mark.parametrize(
    ("kind", "host"), [("cloudflare", "api.cloudflare.com"), ("digitalocean", "api.digitalocean.com")]
)
async def test_without_an_endpoint_of_ones_own_credentials_go_to_no_private_address(kind, host):
    resolver = Zones({host: {"A": ["127.0.0.1"]}})
    zones = make_zone_editor(house(resolver, kind=kind, api_token=Secret("t")))
    with pytest.raises(ZoneRefused, match="not on the public Internet"):
        await zones.values("example.test", "TXT")


def test_the_mark_of_a_provider_changes_with_its_secrets_and_shows_none():
    marks = {provider_mark(DnsProvider(kind="cloudflare", api_token=Secret(token))) for token in ("one-token", "other")}
    assert len(marks) == 2
    assert "one-token" not in str(marks)
