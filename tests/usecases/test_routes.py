"""Which way mail leaves, and on whose terms."""

from dataclasses import replace

import pytest

from mailstead.model.address import Address
from mailstead.model.directory import DomainTerms, HostTarget, WebhookTarget
from mailstead.model.envelope import Recipient
from mailstead.model.errors import BadSettings
from mailstead.model.queue import LOCAL, Destination, DestinationKind
from mailstead.model.secret import Secret
from mailstead.ports.relay import Smarthost
from mailstead.usecases.routes import HouseRelayTerms, Routes, read_smarthost

OUT = Recipient(Address("x", "elsewhere.test"))
ALIAS = Address("a", "example.test")
HOUSE = HouseRelayTerms("relay.house.test:587", "house", Secret("pw-never-in-a-log"), source_ipv4="192.0.2.1")


@pytest.fixture
def routes(storage, domains):
    return Routes(storage, HouseRelayTerms())


async def set_terms(storage, **terms):
    await storage.directory.set_terms("example.test", replace(DomainTerms(), **terms))


async def test_an_address_is_ours_or_goes_by_its_domain(routes):
    found = await routes.to_address(OUT, "example.test")
    assert found.destination == Destination(DestinationKind.DOMAIN, "elsewhere.test")
    found = await routes.to_address(Recipient(ALIAS), "example.test", ALIAS)
    assert (found.destination, found.via) == (LOCAL, ALIAS)


async def test_a_domain_s_own_smarthost_comes_before_the_house_s(storage, domains):
    routes = Routes(storage, HOUSE)
    assert (await routes.to_address(OUT, "example.test")).destination.key == "smarthost:relay.house.test:587"
    terms = await routes.terms("example.test")
    assert terms.smarthost == Smarthost("relay.house.test", 587, "house", Secret("pw-never-in-a-log"))
    await set_terms(storage, smarthost="own.test:465", smarthost_security="tls", smarthost_username="own")
    assert (await routes.to_address(OUT, "example.test")).destination.key == "smarthost:own.test:465"
    terms = await routes.terms("example.test")
    assert (terms.smarthost.username, terms.smarthost.security) == ("own", "tls")
    assert terms.smarthost.password.reveal() == ""  # the house's log-in is not told to others


async def test_a_host_and_a_web_address_need_no_mx(routes):
    found = await routes.to_target(HostTarget("mail.test", 2525), OUT, ALIAS)
    assert (found.destination.key, found.url, found.via) == ("host:mail.test:2525", "", ALIAS)
    for url, key in [
        ("https://Hooks.test/In", "webhook:hooks.test:443"),
        ("http://hooks.test/", "webhook:hooks.test:80"),
        ("https://hooks.test:8443/", "webhook:hooks.test:8443"),
    ]:
        found = await routes.to_target(WebhookTarget(url), OUT, ALIAS)
        assert (found.destination.key, found.url) == (key, url)
    assert (await routes.to_target(OUT.address, OUT, ALIAS)).destination.kind is DestinationKind.DOMAIN


async def test_a_domain_s_own_address_comes_before_the_house_s(storage, domains):
    routes = Routes(storage, HOUSE)
    assert (await routes.terms("example.test")).source_ipv4 == "192.0.2.1"
    await set_terms(storage, source_ipv4="192.0.2.2", source_ipv6="2001:db8::2", ip_version="6")
    terms = await routes.terms("example.test")
    assert (terms.source_ipv4, terms.source_ipv6, terms.ip_version) == ("192.0.2.2", "2001:db8::2", "6")
    assert (await routes.terms("elsewhere.test")).source_ipv4 == "192.0.2.1"


@pytest.mark.parametrize("text", ["relay.test", "relay.test:", "relay.test:0", "relay.test:65536", "relay.test:x"])
def test_a_smarthost_has_a_port(text):
    with pytest.raises(BadSettings, match="host:port"):
        read_smarthost(text, "", Secret(""), "starttls")


def test_a_smarthost_may_be_an_ipv6_address():
    assert read_smarthost("[2001:db8::1]:587", "", Secret(""), "starttls").host == "2001:db8::1"
    assert read_smarthost("", "", Secret(""), "starttls") is None
