"""Key records."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from mailauth.keyzone import ED25519, RSA, KeyZone
from mailstead.mailauth.dkim_keys import public_record
from mailstead.mailauth.dkim_record import RECORD_OCTETS_MAX, fetch, parsed
from mailstead.mailauth.dkim_tags import Refused, octets_of, tags_of
from mailstead.model.authentication import Result
from mailstead.model.errors import DnsUnavailable

RECORD = public_record(RSA).encode()
P = tags_of(RECORD)[b"p"]


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        b"p=" + P,
        b"k=rsa; p=" + P,
        b"v=DKIM1; g=nobody; n=a note; h=sha1 : sha256; s=tlsrpt:email; x_new=1; p=" + P + b";",
        b"v=DKIM1; s=*; p=" + P[:50] + b" " + P[50:],
    ],
)
def test_a_record_is_read(record):
    key = parsed(record)
    assert key.rsa_bits == 2048
    assert not key.is_testing
    assert not key.is_strict


def test_both_forms_of_an_rsa_key_are_read():
    key = load_der_public_key(octets_of(P))
    pkcs1 = b64encode(key.public_bytes(Encoding.DER, PublicFormat.PKCS1))
    assert parsed(b"p=" + pkcs1).key == key


def test_flags_are_read():
    key = parsed(b"v=DKIM1; t=y:s:unknown; p=" + P)
    assert key.is_testing
    assert key.is_strict


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"v=DKIM2; p=" + P, "version"),
        (b"k=rsa; v=DKIM1; p=" + P, "version"),
        (b"v=DKIM1; k=rsa", "no key"),
        (b"v=DKIM1; p=", "revoked"),
        (b"v=DKIM1; h=sha1; p=" + P, "SHA-256"),
        (b"v=DKIM1; s=tlsrpt; p=" + P, "not for mail"),
        (b"v=DKIM1; k=dsa; p=" + P, "unknown type"),
        (b"v=DKIM1; p=!!", "base64"),
        (b"v=DKIM1; p=QUJD", "cannot be read"),
        (b"v=DKIM1; k=ed25519; p=QUJD", "cannot be read"),
        (b"v=DKIM1; k=ed25519; p=" + P, "cannot be read"),
        (b"v=spf1 -all", "version"),
        (b"some text", "not well formed"),
    ],
)
def test_what_is_no_key_is_refused(record, reason):
    with pytest.raises(Refused, match=reason) as caught:
        parsed(record)
    assert caught.value.result is Result.PERMERROR


def test_a_key_of_another_kind_is_refused():
    edwards = tags_of(public_record(ED25519).encode())[b"p"]
    spki = b"MCowBQYDK2VwAyEA"  # SubjectPublicKeyInfo of an Ed25519 key, under k=rsa
    with pytest.raises(Refused, match="not of its type"):
        parsed(b"k=rsa; p=" + spki + edwards)


def test_keys_in_use_are_parsed_once():
    assert parsed(RECORD) is parsed(bytes(bytearray(RECORD)))


async def test_the_first_record_that_is_a_key_counts():
    zone = KeyZone({"s._domainkey.example.test": ["v=spf1 -all", RECORD, b"p="]})
    assert (await fetch(zone, "s._domainkey.example.test")).rsa_bits == 2048
    with pytest.raises(Refused, match="no key is published"):
        await fetch(zone, "t._domainkey.example.test")


async def test_dns_trouble_is_not_an_answer():
    with pytest.raises(DnsUnavailable):
        await fetch(KeyZone(failing=("s._domainkey.example.test",)), "s._domainkey.example.test")


async def test_attack_029_huge_records_are_not_parsed():
    zone = KeyZone({"s": [b"v=DKIM1; n=" + b"x" * RECORD_OCTETS_MAX + b"; p=" + P]})
    with pytest.raises(Refused, match="too large") as caught:
        await fetch(zone, "s")
    assert caught.value.result is Result.POLICY


async def test_attack_029_many_records_are_not_all_looked_at():
    with pytest.raises(Refused):
        await fetch(KeyZone({"s": ["v=spf1 -all"] * 3 + [RECORD]}), "s")


def test_attack_029_an_exponent_that_makes_verifying_slow():
    numbers = load_der_public_key(octets_of(P)).public_numbers()
    slow = RSAPublicNumbers((1 << 2000) + 1, numbers.n).public_key()
    spki = b64encode(slow.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(Refused, match="exponent") as caught:
        parsed(b"p=" + spki)
    assert caught.value.result is Result.POLICY
