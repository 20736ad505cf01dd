"""Web Push: the RFC's own example, and what a device reads."""

import base64
import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from mailstead.usecases import web_push
from mailstead.usecases.web_push import Vapid, base64url, public_octets, unbase64url

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def private(text):
    return ec.derive_private_key(int.from_bytes(unbase64url(text), "big"), ec.SECP256R1())


def test_the_example_of_the_rfc():
    """Spec: RFC 8291 §5."""
    own = private("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
    device = private("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")
    found = web_push.encrypted(
        b"When I grow up, I want to be a watermelon",
        public_octets(device),
        unbase64url("BTBZMqHH6r4Tts7J_aSIgg"),
        own,
        unbase64url("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert base64url(found) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PB"
        "ru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_the_token_says_who_sends_and_to_whom():
    """Spec: RFC 8292 §2."""
    vapid = Vapid(b"s" * 32, "https://mail.example.test")
    scheme, _, rest = vapid.authorization("https://push.test:8443/a/b?c", NOW).partition(" ")
    fields = dict(each.strip().split("=", 1) for each in rest.split(","))
    assert scheme == "vapid"
    assert fields["k"] == vapid.public_key
    head, claims, signature = fields["t"].split(".")
    assert json.loads(unbase64url(head)) == {"typ": "JWT", "alg": "ES256"}
    assert json.loads(unbase64url(claims)) == {
        "aud": "https://push.test:8443",
        "exp": int(NOW.timestamp()) + 12 * 3600,
        "sub": "https://mail.example.test",
    }
    raw = unbase64url(signature)
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unbase64url(fields["k"]))
    both = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.verify(both, f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))


@pytest.mark.parametrize("seed", [b"\x00" * 32, b"\xff" * 32, b"s" * 32])
def test_any_seed_makes_a_key_and_always_the_same(seed):
    assert Vapid(seed, "x").public_key == Vapid(seed, "x").public_key


@pytest.mark.parametrize("text", ["", "x", "B" * 87, "////", base64.b64encode(bytes(range(65))).decode()])
def test_what_is_no_key(text):
    with pytest.raises(ValueError):
        web_push.device_key(text)


@pytest.mark.parametrize("text", ["", "AAAA", "A" * 23, "é" * 22])
def test_what_is_no_secret(text):
    with pytest.raises(ValueError):
        web_push.auth_secret(text)
