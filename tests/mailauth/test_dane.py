"""TLSA records looked up, and certificates held against them."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256, sha512
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailauth.zones import UNAVAILABLE, Zones
from mailstead.mailauth.dane import DaneRecords, matches, records_for
from mailstead.model.errors import DnsUnavailable
from mailstead.ports.resolver import Tlsa

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
EE = (3, 1, 1, b"e" * 32)
TA = (2, 0, 1, b"t" * 32)


async def found(names, *, authentic=("test",), host="mx.test", is_mx_authentic=True, next_hop="example.test"):
    return await records_for(
        Zones(names, authentic=authentic), host, 25, is_mx_authentic=is_mx_authentic, next_hop=next_hop
    )


async def test_records_of_a_secure_host():
    records = await found({"mx.test": {"A": ["192.0.2.1"]}, "_25._tcp.mx.test": {"TLSA": [EE]}}, host="MX.test.")
    assert records == DaneRecords((Tlsa(*EE),), ("mx.test", "example.test"), is_usable=True)


async def test_an_insecure_mx_leads_to_no_dane():
    zones = {"mx.test": {"A": ["192.0.2.1"]}, "_25._tcp.mx.test": {"TLSA": [EE]}}
    assert await found(zones, is_mx_authentic=False) is None


async def test_in_insecure_zones_nobody_asks_for_tlsa():
    zones = Zones({"mx.test": {"A": ["192.0.2.1"]}, "_25._tcp.mx.test": {"TLSA": UNAVAILABLE}})
    assert await records_for(zones, "mx.test", 25, is_mx_authentic=True, next_hop="example.test") is None
    assert ("_25._tcp.mx.test", "TLSA") not in zones.questions


async def test_insecure_records_in_a_secure_zone_are_not_believed():
    class Mixed(Zones):
        async def tlsa(self, name):
            answer = await super().tlsa(name)
            return type(answer)(answer.records, answer.exists, is_authentic=False)

    zones = Mixed({"mx.test": {"A": ["192.0.2.1"]}, "_25._tcp.mx.test": {"TLSA": [EE]}}, authentic=["test"])
    assert await records_for(zones, "mx.test", 25, is_mx_authentic=True, next_hop="example.test") is None


@pytest.mark.parametrize("addresses", [{"A": ["192.0.2.1"]}, {"AAAA": ["2001:db8::1"]}, {}])
async def test_no_records_no_dane(addresses):
    assert await found({"mx.test": addresses}) is None


async def test_what_cannot_be_looked_up_is_not_taken_for_absence():
    with pytest.raises(DnsUnavailable):
        await found({"mx.test": {"A": ["192.0.2.1"]}, "_25._tcp.mx.test": {"TLSA": UNAVAILABLE}})
    with pytest.raises(DnsUnavailable):
        await found({"mx.test": UNAVAILABLE})
    with pytest.raises(DnsUnavailable):
        await found({"mx.test": {"AAAA": UNAVAILABLE}})


async def test_one_kind_of_address_is_enough():
    zones = {"mx.test": {"A": ["192.0.2.1"], "AAAA": UNAVAILABLE}, "_25._tcp.mx.test": {"TLSA": [EE]}}
    assert (await found(zones)).is_usable


async def test_an_alias_is_followed_if_all_of_it_is_secure():
    zones = {
        "mx.test": {"CNAME": "real.host.test"},
        "real.host.test": {"A": ["192.0.2.1"]},
        "_25._tcp.real.host.test": {"TLSA": [EE]},
        "_25._tcp.mx.test": {"TLSA": [TA]},
    }
    assert await found(zones) == DaneRecords((Tlsa(*EE),), ("real.host.test", "example.test"), is_usable=True)
    del zones["_25._tcp.real.host.test"]
    assert await found(zones) == DaneRecords((Tlsa(*TA),), ("mx.test", "example.test"), is_usable=True)


async def test_an_alias_to_an_insecure_place_has_only_its_own_records():
    zones = {
        "mx.test": {"CNAME": "real.insecure"},
        "real.insecure": {"A": ["192.0.2.1"]},
        "_25._tcp.real.insecure": {"TLSA": [EE]},
        "_25._tcp.mx.test": {"TLSA": [TA]},
    }
    assert (await found(zones)).records == (Tlsa(*TA),)


@pytest.mark.parametrize(
    "record",
    [
        (0, 1, 1, b"x" * 32),
        (1, 1, 1, b"x" * 32),
        (4, 1, 1, b"x" * 32),
        (3, 2, 1, b"x" * 32),
        (3, 1, 3, b"x" * 32),
        (3, 1, 1, b"x" * 31),
        (3, 1, 2, b"x" * 32),
        (3, 1, 0, b""),
    ],
)
async def test_records_that_say_nothing_still_demand_tls(record):
    zones = {"mx.test": {"A": ["192.0.2.1"]}, "_25._tcp.mx.test": {"TLSA": [record]}}
    records = await found(zones)
    assert not records.is_usable
    assert not matches(records, [b"anything"])
    zones["_25._tcp.mx.test"]["TLSA"].append(EE)
    assert (await found(zones)).is_usable


# --- certificates


class Issued:
    """A certificate with its key; `issuer` None is self-signed."""

    def __init__(
        self,
        name,
        issuer=None,
        *,
        names=(),
        is_ca=False,
        before=NOW - timedelta(days=1),
        after=NOW + timedelta(days=30),
        key=None,
        path_length=None,
    ):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(issuer.name if issuer else self.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(before)
            .not_valid_after(after)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=path_length), critical=True)
        )
        if names:
            told = [x509.IPAddress(ip_address(each)) if each[0].isdigit() else x509.DNSName(each) for each in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(told), critical=False)
        certificate = builder.sign(issuer.key if issuer else self.key, hashes.SHA256())
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        self.spki = self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def tlsa(self, usage, selector, matching_type):
        octets = self.spki if selector else self.der
        data = (octets, sha256(octets).digest(), sha512(octets).digest())[matching_type]
        return Tlsa(usage, selector, matching_type, data)


ROOT = Issued("root", is_ca=True)
MIDDLE = Issued("middle", ROOT, is_ca=True)
LEAF = Issued("mx", MIDDLE, names=["mx.test"])
CHAIN = [LEAF.der, MIDDLE.der, ROOT.der]
OTHER = Issued("other", names=["mx.test"])


def do_match(chain, *records, names=("mx.test", "example.test"), now=NOW):
    return matches(DaneRecords(records, names, is_usable=True), chain, now)


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching_type", [0, 1, 2])
def test_the_certificate_itself(selector, matching_type):
    assert do_match(CHAIN, LEAF.tlsa(3, selector, matching_type))
    assert not do_match(CHAIN, OTHER.tlsa(3, selector, matching_type))
    assert not do_match(CHAIN, ROOT.tlsa(3, selector, matching_type))


def test_names_and_dates_of_the_certificate_itself_say_nothing():
    old = Issued("x", names=["elsewhere.test"], before=NOW - timedelta(days=20), after=NOW - timedelta(days=10))
    assert do_match([old.der], old.tlsa(3, 1, 1))
    bare = Issued("x")
    assert do_match([bare.der], bare.tlsa(3, 0, 1), names=())


def test_one_record_of_several_is_enough():
    assert do_match(CHAIN, OTHER.tlsa(3, 1, 1), LEAF.tlsa(3, 1, 1))
    assert do_match(CHAIN, OTHER.tlsa(2, 1, 1), LEAF.tlsa(3, 1, 1))
    assert do_match(CHAIN, OTHER.tlsa(3, 1, 1), ROOT.tlsa(2, 1, 1))


@pytest.mark.parametrize("anchor", [ROOT, MIDDLE])
@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching_type", [0, 1, 2])
def test_an_authority_of_the_chain(anchor, selector, matching_type):
    assert do_match(CHAIN, anchor.tlsa(2, selector, matching_type))
    assert not do_match(CHAIN, OTHER.tlsa(2, selector, matching_type))


def test_order_and_strangers_in_the_chain_do_not_matter():
    assert do_match([LEAF.der, OTHER.der, ROOT.der, MIDDLE.der], ROOT.tlsa(2, 0, 1))


def test_a_whole_certificate_in_dns_need_not_be_shown():
    assert do_match([LEAF.der, MIDDLE.der], ROOT.tlsa(2, 0, 0))
    assert do_match([LEAF.der], MIDDLE.tlsa(2, 0, 0))


@pytest.mark.parametrize(
    ("name", "is_match"),
    [("mx.test", True), ("example.test", True), ("*.test", True), ("other.test", False), ("*.mx.test", False)],
)
def test_under_an_authority_the_name_counts(name, is_match):
    leaf = Issued("mx.test", ROOT, names=[name])
    assert do_match([leaf.der, ROOT.der], ROOT.tlsa(2, 0, 1)) is is_match


def test_under_an_authority_dates_count():
    old = Issued("mx", ROOT, names=["mx.test"], before=NOW - timedelta(days=20), after=NOW - timedelta(days=10))
    assert not do_match([old.der, ROOT.der], ROOT.tlsa(2, 0, 1))
    assert not do_match(CHAIN, ROOT.tlsa(2, 0, 1), now=NOW + timedelta(days=60))


def test_attack_035_a_certificate_merely_shown_beside_the_authority_is_none_of_its_own():
    forged = Issued("mx", names=["mx.test"])
    assert not do_match([forged.der, MIDDLE.der, ROOT.der], ROOT.tlsa(2, 0, 1))
    named_alike = Issued("middle", is_ca=True)
    forged = Issued("mx", named_alike, names=["mx.test"])
    assert not do_match([forged.der, MIDDLE.der, ROOT.der], ROOT.tlsa(2, 0, 1))
    assert not do_match([forged.der, named_alike.der, MIDDLE.der, ROOT.der], ROOT.tlsa(2, 0, 1))


def test_attack_035_who_has_a_certificate_of_the_authority_is_no_authority():
    other = Issued("other", MIDDLE, names=["other.test"])
    forged = Issued("mx", other, names=["mx.test"])
    assert not do_match([forged.der, other.der, MIDDLE.der, ROOT.der], ROOT.tlsa(2, 0, 1))


def test_attack_035_an_authority_for_leaves_only_has_no_authority_below():
    short = Issued("short", ROOT, is_ca=True, path_length=0)
    below = Issued("below", short, is_ca=True)
    leaf = Issued("mx", below, names=["mx.test"])
    assert not do_match([leaf.der, below.der, short.der, ROOT.der], ROOT.tlsa(2, 0, 1))


def test_of_several_digests_the_strongest_counts():
    assert not do_match(CHAIN, LEAF.tlsa(3, 1, 1), OTHER.tlsa(3, 1, 2))
    assert do_match(CHAIN, LEAF.tlsa(3, 1, 1), OTHER.tlsa(3, 0, 2))
    assert do_match(CHAIN, OTHER.tlsa(3, 1, 1), LEAF.tlsa(3, 1, 2))


@pytest.mark.parametrize("chain", [[], [b""], [b"rubbish"], [b"\x30\x82\xff\xff"]])
def test_what_is_no_certificate_matches_nothing(chain):
    assert not do_match(chain, LEAF.tlsa(3, 1, 1), ROOT.tlsa(2, 0, 0), Tlsa(2, 0, 0, b"rubbish"))
