"""The plan gathers what the records are made of; the records themselves: tests/policy/test_dns_records.py."""

from datetime import timedelta

import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchDomain, NotAllowed
from mailstead.policy.client_setup import Offer
from mailstead.ports.probes import CertificateFacts, ProbeFailed
from mailstead.usecases.dnsplan import DnsPlan
from mailstead.usecases.publications import HouseOffers
from mailstead.usecases.routes import HouseRelayTerms, Routes


class Machine:
    def __init__(self, clock, *, is_self_signed=False):
        moment = clock.now() + timedelta(days=60)
        self.facts = CertificateFacts(("mx.example.test",), moment, moment, "ZeroSSL", is_self_signed, "ab" * 32)

    async def own_addresses(self):
        return ("192.0.2.7", "2001:db8::7")

    async def certificate(self):
        if self.facts is None:
            raise ProbeFailed("none")
        return self.facts


@pytest.fixture
def make_plan(storage, clock, domains):
    def make(machine=None, smarthost="", sources=("192.0.2.9", "")):
        routes = Routes(storage, HouseRelayTerms(smarthost=smarthost))
        offers = HouseOffers("mx.example.test", (Offer("imap", 993, is_tls=True),))
        return DnsPlan(storage, routes, machine or Machine(clock), offers, sources)

    return make


def values(records, purpose):
    return [record.value for record in records if record.purpose == purpose]


async def test_addresses_are_those_of_the_settings_and_of_the_machine(make_plan, admin):
    records = await make_plan().of_host(admin)
    assert values(records, "host") == ["192.0.2.9", "192.0.2.7", "2001:db8::7"]
    assert values(records, "tlsa") == ["3 1 1 " + "ab" * 32]
    assert values(records, "caa") == ['0 issue "sectigo.com"']


async def test_a_self_signed_certificate_has_no_authority(make_plan, clock, admin):
    [caa] = [
        record
        for record in await make_plan(Machine(clock, is_self_signed=True)).of_host(admin)
        if record.purpose == "caa"
    ]
    assert caa.is_template


async def test_without_a_certificate_there_is_no_tlsa(make_plan, clock, admin):
    machine = Machine(clock)
    machine.facts = None
    assert values(await make_plan(machine).of_host(admin), "tlsa") == []


async def test_keys_in_all_states_are_in_the_plan(make_plan, keys, admin):
    await keys.create(admin, "example.test")
    await keys.rotate(admin, "example.test")
    found = await keys.list(admin, "example.test")
    records = [record for record in await make_plan().of_domain(admin, "EXAMPLE.test") if record.purpose == "dkim"]
    assert [(record.name, record.value) for record in records] == [(each.name, each.record) for each in found]
    assert len(records) == 4


async def test_the_relay_of_the_domain_is_named(make_plan, domains, admin):
    assert values(await make_plan(smarthost="all.test:25").of_domain(admin, "example.test"), "spf") == [
        "v=spf1 mx a:all.test ~all"
    ]
    await domains.set_terms(admin, "example.test", {"smarthost": "own.test:587"})
    assert values(await make_plan(smarthost="all.test:25").of_domain(admin, "example.test"), "spf") == [
        "v=spf1 mx a:own.test ~all"
    ]


async def test_who_may_ask_for_what(make_plan, admin):
    with pytest.raises(NoSuchDomain):
        await make_plan().of_domain(admin, "other.test")
    with pytest.raises(NoSuchDomain):
        await make_plan().of_domain(Actor(None, None), "example.test")
    with pytest.raises(NotAllowed):
        await make_plan().of_host(Actor(None, None))
