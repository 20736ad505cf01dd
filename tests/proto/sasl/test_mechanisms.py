"""The three mechanisms as exchanges, with the example of RFC 7677 §3 word for word."""

from base64 import b64decode
from hashlib import pbkdf2_hmac, sha256
from hmac import digest

import pytest

from mailstead.model.directory import Verifier
from mailstead.model.errors import AuthenticationFailed
from mailstead.model.secret import Secret
from mailstead.proto.connection import LocalProtocolError
from mailstead.proto.sasl import (
    MECHANISMS,
    Challenge,
    NeedsVerifier,
    PasswordGiven,
    Plain,
    ProofGiven,
    SaslSyntaxError,
    ScramSha256,
    UnknownMechanism,
    mechanism,
)
from mailstead.proto.sasl.client import ScramSha256Client, plain_response

SALT = b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")


def verifier_of(password: str, salt: bytes = SALT, iteration_count: int = 4096) -> Verifier:
    salted = pbkdf2_hmac("sha256", password.encode(), salt, iteration_count)
    stored_key = sha256(digest(salted, b"Client Key", "sha256")).digest()
    return Verifier("", stored_key, digest(salted, b"Server Key", "sha256"))


def given(step):
    assert isinstance(step, PasswordGiven)
    return step.username, step.secret.reveal()


def test_plain_in_one_response():
    assert given(Plain().step(b"\0tim@example.test\0tanstaaftanstaaf")) == ("tim@example.test", "tanstaaftanstaaf")


def test_plain_without_initial_response_asks_for_it():
    exchange = Plain()
    assert exchange.step(None) == Challenge(b"")
    assert given(exchange.step("\0ursel@example.test\0xipj3plmqé".encode())) == ("ursel@example.test", "xipj3plmqé")


def test_plain_takes_what_our_client_writes():
    assert given(Plain().step(plain_response("a@b.test", Secret("p w")))) == ("a@b.test", "p w")


@pytest.mark.parametrize(
    "response",
    [b"", b"a", b"\0a", b"a\0b", b"\0\0p", b"\0a\0", b"\0a\0b\0c", b"\0\xff\0p", b"\0" + b"a" * 1025 + b"\0p"],
)
def test_plain_refuses_what_is_not_its_message(response):
    with pytest.raises(SaslSyntaxError):
        Plain().step(response)


def test_plain_own_name_as_authorization_identity_is_fine():
    assert given(Plain().step(b"Tim@example.test\0tim@example.test\0secret"))[0] == "tim@example.test"


def test_nobody_acts_as_somebody_else():
    with pytest.raises(AuthenticationFailed):
        Plain().step(b"admin@example.test\0tim@example.test\0secret")
    with pytest.raises(AuthenticationFailed):
        ScramSha256("n").step(b"n,a=admin,n=tim,r=abc")


def test_login_asks_for_both():
    exchange = mechanism("login", "n")
    assert exchange.step(None) == Challenge(b"Username:")
    assert exchange.step(b"tim@example.test") == Challenge(b"Password:")
    assert given(exchange.step(b"secret")) == ("tim@example.test", "secret")


def test_login_with_user_name_as_initial_response():
    exchange = mechanism("LOGIN", "n")
    assert exchange.step(b"tim@example.test") == Challenge(b"Password:")
    with pytest.raises(SaslSyntaxError):
        exchange.step(b"")


def test_scram_example_of_rfc_7677():
    exchange = ScramSha256("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    assert exchange.step(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") == NeedsVerifier("user")
    mine = verifier_of("pencil")
    assert exchange.offer(SALT, 4096, [mine]) == Challenge(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    final = (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert exchange.step(final) == Challenge(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    proven = exchange.step(b"")
    assert isinstance(proven, ProofGiven)
    assert proven.verifier == mine
    assert sha256(proven.client_key).digest() == mine.scram_stored_key


def run_scram(password: str, verifiers, username: str = "u,s=er@example.test"):
    client, server = ScramSha256Client(username, Secret(password), "abc"), ScramSha256("XYZ")
    assert server.step(None) == Challenge(b"")
    assert server.step(client.first()) == NeedsVerifier(username)
    step = server.step(client.final(server.offer(SALT, 4096, verifiers).octets))
    if isinstance(step, Challenge):
        assert client.check(step.octets)
        step = server.step(b"")
    assert isinstance(step, ProofGiven)
    return step.verifier


def test_scram_proof_may_fit_any_verifier_of_the_account():
    main, app = verifier_of("main"), verifier_of("app")
    assert run_scram("app", [main, app]) is app
    assert run_scram("main", [main, app]) is main
    assert run_scram("other", [main, app]) is None
    assert run_scram("main", []) is None


def test_scram_client_notices_a_server_that_does_not_know_the_password():
    client, server = ScramSha256Client("u", Secret("right"), "abc"), ScramSha256("XYZ")
    server.step(client.first())
    server.step(client.final(server.offer(SALT, 4096, [verifier_of("right")]).octets))
    assert not client.check(b"v=AAAA")


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"n,,n=u",
        b"n,,n=,r=a",
        b"n,,n=u,r=",
        b"p=tls-unique,,n=u,r=a",
        b"n,,m=x,n=u,r=a",
        b"n,,n=u=2Dx,r=a",
        b"n,,n=u\0,r=a",
        b"n,,n=\xff,r=a",
        b"n,,n=\xc2\x80,r=a",
        b"n,,n=u,r=" + b"a" * 5000,
        b"x,,n=u,r=a",
    ],
)
def test_scram_refuses_bad_first_messages(first):
    with pytest.raises(SaslSyntaxError):
        ScramSha256("n").step(first)


def test_scram_notices_a_changed_binding_flag_or_nonce():
    for change in ((b"c=biws", b"c=eSws"), (b"r=abcXYZ", b"r=abcXYz")):
        client, server = ScramSha256Client("u", Secret("pw"), "abc"), ScramSha256("XYZ")
        server.step(client.first())
        final = client.final(server.offer(SALT, 4096, [verifier_of("pw")]).octets)
        assert server.step(final.replace(*change)) == ProofGiven(None)


def test_scram_refuses_bad_final_messages_and_calls_out_of_turn():
    server = ScramSha256("XYZ")
    with pytest.raises(LocalProtocolError):
        server.offer(SALT, 4096, [])
    server.step(b"y,,n=u,r=abc")
    with pytest.raises(LocalProtocolError):
        server.step(b"c=biws")
    server.offer(SALT, 4096, [])
    for final in (b"", b"c=biws,r=abcXYZ", b"c=biws,r=abcXYZ,p=%%%", b"c=biws,r=abcXYZ,p=AAA"):
        with pytest.raises(SaslSyntaxError):
            server.step(final)
    with pytest.raises(LocalProtocolError):
        Plain().offer(SALT, 4096, [])


def test_mechanisms_by_name():
    assert [type(mechanism(name.lower(), "n")).__name__ for name in MECHANISMS] == ["ScramSha256", "Plain", "Login"]
    for name in ("CRAM-MD5", "", "SCRAM-SHA-256-PLUS"):
        with pytest.raises(UnknownMechanism):
            mechanism(name, "n")


def test_no_secret_in_any_representation():
    assert "geheim" not in repr(Plain().step(b"\0tim\0geheim"))
