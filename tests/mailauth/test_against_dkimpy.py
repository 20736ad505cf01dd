"""dkimpy as the other side: what it signs and seals we verify, and what we sign and seal it verifies."""

from base64 import b64encode
from datetime import UTC, datetime

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mailauth.keyzone import ED25519, MESSAGE, RSA, KeyZone, published
from mailstead.mailauth import arc, dkim
from mailstead.model.authentication import ArcResult, Result

ZONE = published(RSA, ED25519)
NOW = datetime.now(UTC)
"""dkimpy signs with the time of the machine."""
RECEIVED = b"Authentication-Results: %b; arc=%b; spf=pass smtp.mailfrom=example.test\r\n"


def txt(name, timeout=5):
    return ZONE.get(name.decode().rstrip("."), [None])[0]


def private(key):
    """As dkimpy wants it: PKCS#1 in PEM, or the seed in base64."""
    loaded = dkim.load_key(key).private_key
    if key is RSA:
        return loaded.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return b64encode(loaded.private_bytes_raw())


def needs(key):
    if key is ED25519:
        pytest.importorskip("nacl", reason="dkimpy verifies and signs Ed25519 with PyNaCl, which is not installed")


MESSAGES = {
    "plain": MESSAGE,
    "empty body": MESSAGE[: MESSAGE.index(b"\r\n\r\n") + 4],
    "eight bits": MESSAGE.replace(b"Hello", "Grüße".encode()),
    "folds": MESSAGE.replace(b"To: ", b"To: Carol\r\n\t<carol@example.org>,\r\n  "),
    "two received": b"Received: a\r\nReceived:  b \r\n\tc\r\n" + MESSAGE,
    "no last line end": MESSAGE.rstrip(),
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
def test_dkimpy_verifies_what_we_sign(key, message):
    needs(key)
    octets = dkim.sign(message, [dkim.load_key(key)], NOW) + message
    assert dkimpy.verify(octets, dnsfunc=txt)
    assert not dkimpy.verify(octets + b"x\r\n", dnsfunc=txt)


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
@pytest.mark.parametrize("header", [b"simple", b"relaxed"])
@pytest.mark.parametrize("body", [b"simple", b"relaxed"])
@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
async def test_we_verify_what_dkimpy_signs(key, header, body, message):
    needs(key)
    field = dkimpy.sign(
        message,
        key.selector.encode(),
        key.domain.encode(),
        private(key),
        canonicalize=(header, body),
        signature_algorithm=key.algorithm.encode(),
    )
    [result] = await dkim.verify(field + message, KeyZone(), NOW)
    assert (result.result, result.reason) == (Result.PASS, "")
    [result] = await dkim.verify(field + message + b"x\r\n", KeyZone(), NOW)
    assert result.result is Result.FAIL


@pytest.mark.parametrize("count", [1, 2, 4])
async def test_dkimpy_verifies_what_we_seal(count):
    octets, chain = MESSAGE, ArcResult(Result.NONE)
    for number in range(count):
        octets = arc.seal(octets, dkim.load_key(RSA), f"mx{number}.test", "spf=pass", chain, NOW) + octets
        chain = await arc.verify(octets, KeyZone(), NOW)
    assert dkimpy.arc_verify(octets, dnsfunc=txt)[0] == dkimpy.CV_Pass
    assert dkimpy.arc_verify(octets + b"x\r\n", dnsfunc=txt)[0] == dkimpy.CV_Fail


def sealed_by_dkimpy(octets, cv, host=b"mx.test"):
    pytest.importorskip("authres", reason="dkimpy seals with authres, which is not installed")
    octets = RECEIVED % (host, cv) + octets
    lines = dkimpy.arc_sign(octets, b"s-rsa", b"example.test", private(RSA), host)
    return b"".join(lines) + octets


async def test_we_verify_what_dkimpy_seals():
    once = sealed_by_dkimpy(MESSAGE, b"none")
    result = await arc.verify(once, KeyZone(), NOW)
    assert (result.result, result.sealers) == (Result.PASS, ("example.test",))
    assert result.newest_results.startswith("mx.test;")
    assert (await arc.verify(once + b"x\r\n", KeyZone(), NOW)).result is Result.FAIL


async def test_chains_may_be_mixed():
    octets = sealed_by_dkimpy(MESSAGE, b"none")
    chain = await arc.verify(octets, KeyZone(), NOW)
    octets = arc.seal(octets, dkim.load_key(RSA), "mx2.test", "spf=pass", chain, NOW) + octets
    octets = sealed_by_dkimpy(octets, b"pass", b"mx3.test")
    assert dkimpy.arc_verify(octets, dnsfunc=txt)[0] == dkimpy.CV_Pass
    assert (await arc.verify(octets, KeyZone(), NOW)).result is Result.PASS
