"""What all editors of zones promise, and what is special at providers with an API; against doubles of these."""

import pytest

from mailauth.zones import Zones
from mailstead.model.secret import Secret
from mailstead.net.web import SafeWebClient
from mailstead.net.zones.cloudflare import CloudflareApi
from mailstead.net.zones.digitalocean import DigitalOceanApi
from mailstead.net.zones.held import HeldZones, candidates
from mailstead.ports.zones import NoZone, ZoneRefused
from net.zones.providers import Cloudflare, DigitalOcean

CLOUDFLARE, DIGITALOCEAN = (Cloudflare, CloudflareApi), (DigitalOcean, DigitalOceanApi)
VALUES = {
    "A": ("192.0.2.1", "192.0.2.2"),
    "AAAA": ("2001:db8::1", "2001:db8::2"),
    "CAA": ('0 issue "letsencrypt.org"', '0 iodef "mailto:a@example.test"'),
    "MX": ("10 mail.example.test.", "20 example.test."),
    "SRV": ("0 1 993 mail.example.test.", "0 0 0 ."),
    "TLSA": ("3 1 1 " + "ab" * 32, "3 1 1 " + "cd" * 32),
    "TXT": ("v=DKIM1; p=" + "x" * 400, "v=spf1 mx -all"),
}
ZONES = ("example.test", "sub.example.test", "other.test")


@pytest.fixture(params=[CLOUDFLARE, DIGITALOCEAN], ids=["cloudflare", "digitalocean"])
def pair(request):
    return request.param


@pytest.fixture
def provider(pair):
    with pair[0]({zone: [] for zone in ZONES}) as provider:
        yield provider


def editor(pair, provider, token=None):
    web = SafeWebClient(Zones({}), allows_private=True, ca_file="", hostname="mail.example.test")
    return HeldZones(pair[1](web, Secret(token or provider.token), provider.endpoint))


@pytest.fixture
def zones(pair, provider):
    return editor(pair, provider)


@pytest.mark.parametrize("kind", VALUES)
async def test_values_stand_side_by_side_and_go_one_by_one(zones, provider, kind):
    if kind == "TLSA" and isinstance(provider, DigitalOcean):
        assert await zones.values("_25._tcp.example.test", kind) == ()
        with pytest.raises(ZoneRefused, match="no records of type TLSA"):
            await zones.add("_25._tcp.example.test", kind, VALUES[kind][0], 3600)
        return
    first, second = VALUES[kind]
    for name in ("_a.b.example.test", "example.test"):
        assert list(await zones.values(name, kind)) == []
        await zones.add(name, kind, first, 3600)
        await zones.add(name, kind, second, 3600)
        await zones.add(name, kind, second, 3600)
        assert await zones.values(name, kind) == [first, second]
        await zones.remove(name, kind, first)
        await zones.remove(name, kind, first)
        assert await zones.values(name, kind) == [second]


async def test_an_alias_is_made(zones):
    await zones.add("mta-sts.example.test", "CNAME", "Mail.other.test", 3600)
    assert await zones.values("mta-sts.example.test", "CNAME") == ["mail.other.test."]


async def test_a_record_takes_the_place_of_others_and_of_no_more(zones):
    for value in ("v=spf1 -all", "verification=1", "v=spf1 a -all"):
        await zones.add("example.test", "TXT", value, 3600)
    await zones.replace("example.test", "TXT", ["v=spf1 -all", "v=spf1 a -all"], "v=spf1 mx -all", 3600)
    assert sorted(await zones.values("example.test", "TXT")) == ["v=spf1 mx -all", "verification=1"]
    await zones.replace("example.test", "TXT", ["v=spf1 mx -all", "verification=1"], "v=spf1 mx -all", 3600)
    assert await zones.values("example.test", "TXT") == ["v=spf1 mx -all"]
    await zones.replace("example.test", "TXT", ["gone"], "new", 3600)
    assert sorted(await zones.values("example.test", "TXT")) == ["new", "v=spf1 mx -all"]


async def test_what_comes_after_the_first_page_is_seen(zones, provider):
    for number in range(7):
        await zones.add("a.example.test", "TXT", f"v{number}", 3600)
    assert await zones.values("a.example.test", "TXT") == [f"v{number}" for number in range(7)]
    await zones.remove("a.example.test", "TXT", "v6")
    assert len(provider.zones["example.test"]) == 6


async def test_the_longest_zone_is_the_one(zones, provider):
    await zones.add("_acme-challenge.a.sub.example.test", "TXT", "x", 0)
    await zones.add("sub.example.test", "TXT", "y", 0)
    await zones.add("xsub.example.test", "TXT", "z", 0)
    assert [len(provider.zones[zone]) for zone in ZONES] == [1, 2, 0]


async def test_a_ttl_below_the_providers_minimum_is_the_minimum(zones, provider):
    await zones.add("a.example.test", "TXT", "x", 0)
    await zones.add("a.example.test", "TXT", "y", 3600)
    ttls = [record["ttl"] for record in provider.zones["example.test"]]
    assert ttls == [60 if isinstance(provider, Cloudflare) else 30, 3600]


async def test_a_zone_that_is_not_there_is_told(zones):
    with pytest.raises(NoZone, match=r"no zone for mail.elsewhere.test"):
        await zones.add("mail.elsewhere.test", "TXT", "x", 3600)


async def test_which_zone_it_is_is_asked_once_in_a_round(zones, provider):
    await zones.add("a.example.test", "TXT", "x", 3600)
    before = len(provider.requests)
    await zones.values("a.example.test", "TXT")
    assert len(provider.requests) == before + 1
    await zones.settle()
    await zones.values("a.example.test", "TXT")
    assert len(provider.requests) > before + 2


async def test_a_wrong_token_is_told_with_what_it_needs_and_not_shown(pair, provider):
    with pytest.raises(ZoneRefused, match=r"dns_provider.api_token needs the (permissions|scopes)") as raised:
        await editor(pair, provider, "a-wrong-one").values("example.test", "TXT")
    assert "a-wrong-one" not in raised.value.public_text


@pytest.mark.parametrize(
    ("status", "octets", "said"),
    [
        (429, b"", "fewer requests"),
        (503, b"<html>", "a fault of its own"),
        (200, b"<html>", "something else than JSON"),
        (200, b"[]", "something else than JSON"),
        (400, b"{}", "refuses: status 400"),
        (400, b'{"errors": [1, {"code": "x"}], "message": 5}', "refuses"),
    ],
)
async def test_answers_of_any_shape_are_told(zones, provider, status, octets, said):
    provider.answers.append((status, octets))
    with pytest.raises(ZoneRefused, match=said):
        await zones.values("example.test", "TXT")


async def test_a_provider_that_cannot_be_reached_is_told(pair, provider):
    zones = editor(pair, provider)
    endpoint = provider.endpoint
    provider.__exit__()
    with pytest.raises(ZoneRefused, match="cannot be asked"):
        await zones.values("example.test", "TXT")
    provider.__enter__()
    assert provider.endpoint != endpoint


@pytest.mark.parametrize("content", ['"v=spf1 " "mx -all"', "v=spf1 mx -all"])
async def test_cloudflare_gives_texts_as_they_were_written(content):
    held = {"id": "1", "name": "example.test", "type": "TXT", "content": content, "ttl": 1}
    with Cloudflare({"example.test": [held]}) as provider:
        zones = editor(CLOUDFLARE, provider)
        assert await zones.values("example.test", "TXT") == ["v=spf1 mx -all"]
        await zones.remove("example.test", "TXT", "v=spf1 mx -all")
        assert provider.zones["example.test"] == []


async def test_cloudflare_says_that_an_alias_stands_alone():
    with Cloudflare({"example.test": []}) as provider:
        zones = editor(CLOUDFLARE, provider)
        await zones.add("a.example.test", "A", "192.0.2.1", 3600)
        with pytest.raises(ZoneRefused, match=r"already exists.*remove the other records"):
            await zones.add("a.example.test", "CNAME", "mail.example.test.", 3600)


async def test_an_address_behind_cloudflares_proxy_is_another_one():
    held = {"id": "1", "name": "mail.example.test", "type": "A", "content": "192.0.2.1", "ttl": 1, "proxied": True}
    with Cloudflare({"example.test": [held]}) as provider:
        zones = editor(CLOUDFLARE, provider)
        [found] = await zones.values("mail.example.test", "A")
        assert found == "192.0.2.1 (hidden behind Cloudflare's proxy)"
        await zones.replace("mail.example.test", "A", [found], "192.0.2.1", 3600)
        assert await zones.values("mail.example.test", "A") == ["192.0.2.1"]
        [record] = provider.zones["example.test"]
        assert record["proxied"] is False


async def test_of_two_zones_of_one_name_the_active_one_counts():
    with Cloudflare({"example.test": []}) as provider:
        both = b'{"success": true, "result": [{"id": "old", "name": "example.test", "status": "moved"}, {"id": "new", '
        provider.answers.append((200, both + b'"name": "example.test", "status": "active"}]}'))
        with pytest.raises(ZoneRefused):
            await editor(CLOUDFLARE, provider).values("example.test", "TXT")
        assert "/zones/new/" in provider.requests[-1][1]


def test_a_top_level_domain_is_nobodys_zone():
    assert list(candidates("a.b.example.test")) == ["a.b.example.test", "b.example.test", "example.test"]
    assert list(candidates("localhost")) == ["localhost"]
