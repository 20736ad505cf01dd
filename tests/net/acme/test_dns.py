"""Proofs by TXT records, whoever publishes them."""

import pytest

from mailstead.net.acme.challenges import dns_value
from mailstead.net.acme.dns import DnsProver
from mailstead.net.acme.problems import AcmeFailed
from mailstead.net.acme.secondaries import Shown
from mailstead.net.dns_wire import name_of
from mailstead.ports.zones import ZoneRefused

TOKEN, AUTHORIZATION = "token", "token.thumbprint"


class Zones:
    """Notes what is done, in order."""

    def __init__(self):
        self.texts = []
        self.order = []
        self.refusal = None

    def _refuse(self):
        if self.refusal:
            raise ZoneRefused(self.refusal)

    async def add(self, name, kind, value, ttl_s):
        self._refuse()
        assert (kind, ttl_s) == ("TXT", 0)
        self.texts.append((name, value))

    async def remove(self, name, kind, value):
        self._refuse()
        assert kind == "TXT"
        self.texts.remove((name, value))

    async def settle(self):
        self._refuse()
        self.order.append("settled")


@pytest.fixture
def zones():
    return Zones()


@pytest.fixture
def prover(zones):
    async def seen(records):
        zones.order.append(list(records))

    return DnsProver(zones, seen)


async def test_a_name_and_its_wildcard_are_proven_side_by_side(prover, zones):
    await prover.prove("mail.test", TOKEN, AUTHORIZATION)
    await prover.prove("*.mail.test", TOKEN, "another")
    owner = "_acme-challenge.mail.test"
    assert zones.texts == [(owner, dns_value(AUTHORIZATION)), (owner, dns_value("another"))]
    await prover.clear("mail.test", TOKEN, AUTHORIZATION)
    assert zones.texts == [(owner, dns_value("another"))]


async def test_what_is_up_is_waited_for_once_after_the_provider_is_done(prover, zones):
    await prover.prove("a.mail.test", TOKEN, AUTHORIZATION)
    await prover.settle()
    await prover.settle()
    shown = Shown(name_of("_acme-challenge.a.mail.test"), dns_value(AUTHORIZATION).encode())
    assert zones.order == ["settled", [shown], "settled", []]


async def test_a_refusal_is_told_as_why_there_is_no_certificate(prover, zones):
    await prover.prove("mail.test", TOKEN, AUTHORIZATION)
    zones.refusal = "the token may not"
    for refused in (
        prover.prove("mail.test", TOKEN, AUTHORIZATION),
        prover.settle(),
        prover.clear("mail.test", TOKEN, AUTHORIZATION),
    ):
        with pytest.raises(AcmeFailed, match="the token may not"):
            await refused


async def test_a_name_that_can_be_none_is_told(prover):
    with pytest.raises(AcmeFailed, match=r"see acme.names"):
        await prover.prove("a..test", TOKEN, AUTHORIZATION)
