"""Signing keys."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from mailauth.keyzone import ED25519, NOW, RSA
from mailstead.mailauth.dkim_keys import imported_key, load_key, public_record
from mailstead.mailauth.dkim_record import parsed
from mailstead.model.directory import KeyState
from mailstead.model.errors import BadImport


def pem(key, encryption=None):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def test_new_keys_are_a_pair():
    assert (RSA.selector, RSA.algorithm, RSA.state) == ("s-rsa", "rsa-sha256", KeyState.ACTIVE)
    assert (ED25519.selector, ED25519.algorithm) == ("s-ed25519", "ed25519-sha256")
    assert load_key(RSA).private_key.key_size == 2048
    assert RSA.created_at == NOW


def test_a_public_record_can_be_read():
    assert public_record(RSA).startswith("v=DKIM1; k=rsa; p=MIIB")
    assert parsed(public_record(RSA).encode()).rsa_bits == 2048
    assert len(public_record(ED25519)) == len("v=DKIM1; k=ed25519; p=") + 44
    assert parsed(public_record(ED25519).encode()).rsa_bits == 0


def test_keys_in_use_are_loaded_once():
    assert load_key(RSA) is load_key(RSA)


def test_no_key_is_shown():
    assert "private_key" not in repr(load_key(RSA))


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
def test_a_key_made_elsewhere_is_taken_over(key):
    private = load_key(key).private_key
    for octets in (pem(private), key.private_key):
        taken = imported_key("example.test", "old", octets, NOW)
        assert taken.algorithm == key.algorithm
        assert public_record(taken) == public_record(key)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "not a private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not a private key"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "neither"),
        (pem(rsa.generate_private_key(65537, 1024), BestAvailableEncryption(b"x")), "encrypted"),
    ],
)
def test_what_is_no_key_for_us_is_refused(octets, reason):
    with pytest.raises(BadImport, match=reason):
        imported_key("example.test", "old", octets, NOW)


def test_a_broken_key_is_not_taken_over():
    """What is taken over is checked, as loading does so no more."""
    numbers = load_key(RSA).private_key.private_numbers()
    broken = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, numbers.d + 2, numbers.dmp1, numbers.dmq1, numbers.iqmp, numbers.public_numbers
    ).private_key(unsafe_skip_rsa_key_validation=True)
    with pytest.raises(BadImport, match="broken"):
        imported_key("example.test", "old", pem(broken), NOW)
