"""Our resolver before Debian's Unbound, which validates what Knot has signed; and DANE upon it."""

from hashlib import sha256

import pytest

from mailstead.config.settings import Dns
from mailstead.mailauth import dane
from mailstead.model.errors import DnsUnavailable
from mailstead.net.dns import DnsResolver
from mailstead.ports.clock import SystemClock
from mailstead.ports.resolver import Mx, Tlsa
from system.dns import DnsServers

pytestmark = pytest.mark.full

DIGEST = sha256(b"a key").digest()
TLSA = f"TLSA 3 1 1 {DIGEST.hex()}"
ZONES = {
    "signed.test": ["@ MX 10 mx", "mx A 192.0.2.1", f"_25._tcp.mx {TLSA}", 'long TXT "' + '" "'.join(["x" * 250] * 10) + '"', "www CNAME mx"],
    "unsigned.test": ["@ MX 10 mx", "mx A 192.0.2.2", f"_25._tcp.mx {TLSA}", "www CNAME mx.signed.test."],
    "127.in-addr.arpa": ["1.0.0 PTR mx.signed.test."],
    "bogus.test": ["@ MX 10 mx", "mx A 192.0.2.3", f"_25._tcp.mx {TLSA}"],
}  # fmt: skip


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with DnsServers(tmp_path_factory.mktemp("names"), ZONES, signed=["signed.test"], bogus=["bogus.test"]) as started:
        yield started


@pytest.fixture
def resolver(servers):
    return DnsResolver(Dns(servers=(servers.resolver,)), SystemClock())


async def test_signed_answers_are_authentic(resolver):
    answer = await resolver.mx("signed.test")
    assert (answer.records, answer.is_authentic) == ((Mx(10, "mx.signed.test"),), True)
    assert (await resolver.a("mx.signed.test")).is_authentic
    assert (await resolver.tlsa("_25._tcp.mx.signed.test")).records == (Tlsa(3, 1, 1, DIGEST),)


async def test_signed_absence_is_authentic(resolver):
    nothing, nobody = await resolver.aaaa("mx.signed.test"), await resolver.a("none.signed.test")
    assert (nothing.exists, nothing.is_authentic) == (True, True)
    assert (nobody.exists, nobody.is_authentic) == (False, True)


async def test_unsigned_answers_are_not(resolver):
    answer = await resolver.mx("unsigned.test")
    assert (answer.records, answer.is_authentic) == ((Mx(10, "mx.unsigned.test"),), False)


async def test_an_alias_is_as_authentic_as_its_weakest_link(resolver):
    assert (await resolver.a("www.signed.test")).is_authentic
    answer = await resolver.a("www.unsigned.test")
    assert (answer.records, answer.canonical_name, answer.is_authentic) == (("192.0.2.1",), "mx.signed.test", False)


async def test_names_of_addresses_and_of_nobody(resolver):
    assert (await resolver.ptr("127.0.0.1")).records == ("mx.signed.test",)
    assert not (await resolver.a("elsewhere.example")).exists


async def test_attack_034_what_does_not_validate_is_no_answer(resolver):
    for ask in (resolver.mx, resolver.a, resolver.txt):
        with pytest.raises(DnsUnavailable):
            await ask("bogus.test")


async def test_large_signed_answers_come_whole(resolver):
    answer = await resolver.txt("long.signed.test")
    assert (answer.records, answer.is_authentic) == ((b"x" * 2500,), True)


async def test_dane_applies_where_all_is_signed(resolver):
    found = await dane.records_for(resolver, "mx.signed.test", 25, is_mx_authentic=True, next_hop="signed.test")
    assert found == dane.DaneRecords((Tlsa(3, 1, 1, DIGEST),), ("mx.signed.test", "signed.test"), is_usable=True)
    unsigned = await dane.records_for(resolver, "mx.unsigned.test", 25, is_mx_authentic=True, next_hop="unsigned.test")
    assert unsigned is None
    with pytest.raises(DnsUnavailable):
        await dane.records_for(resolver, "mx.bogus.test", 25, is_mx_authentic=True, next_hop="bogus.test")


async def test_a_replaced_zone_shows_at_once(servers, resolver):
    servers.replace("signed.test", [*ZONES["signed.test"], "new A 192.0.2.9"])
    answer = await resolver.a("new.signed.test")
    assert (answer.records, answer.is_authentic) == (("192.0.2.9",), True)
