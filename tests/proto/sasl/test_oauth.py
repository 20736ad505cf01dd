"""OAUTHBEARER and XOAUTH2: what is read, what is refused, and how a refusal goes on."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import AuthenticationFailed, TooManyFailures
from mailstead.model.secret import Secret
from mailstead.proto.connection import LocalProtocolError
from mailstead.proto.sasl import (
    TOKEN_MECHANISMS,
    Challenge,
    Exchange,
    SaslSyntaxError,
    TokenGiven,
    UnknownMechanism,
    mechanism,
)
from mailstead.proto.sasl.client import oauthbearer_response, xoauth2_response

PEER = Peer("192.0.2.1", 4711)
ALICE = Actor(None, None)
TOKEN = "abc.DEF-123_~+/=="


class Provider:
    scope = "openid email"
    configuration_url = "https://id.example.org/.well-known/openid-configuration"

    def __init__(self, error=None):
        self.asked = []
        self.error = error

    async def log_in(self, username, token, peer, service):
        self.asked.append((username, token.reveal(), peer, service))
        if self.error is not None:
            raise self.error
        return ALICE


def begin(name, tokens):
    return Exchange(mechanism(name, "n" * 24, takes_tokens=True), SimpleNamespace(), PEER, "imap", tokens)


@pytest.mark.parametrize("name", TOKEN_MECHANISMS)
def test_is_unknown_where_no_provider_is_set_up(name):
    with pytest.raises(UnknownMechanism):
        mechanism(name, "n" * 24)


@pytest.mark.parametrize(
    ("message", "username", "token"),
    [
        # RFC 7628 §4.1, §4.2
        (
            b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmT\x01\x01",
            "user@example.com",
            "vF9dft4qmT",
        ),
        (b"n,,\x01auth=Bearer vF9dft4qmT\x01\x01", "", "vF9dft4qmT"),
        (b"y,a=a=2Cb=3Dc,\x01auth=bearer   vF9dft4qmT\x01\x01", "a,b=c", "vF9dft4qmT"),
        (b"n,,\x01AUTH=BEARER x=\x01path=/a\r\nb\x01\x01", "", "x="),
        # RFC 7628 §4.3: where are tokens had?
        (b"n,a=user@example.com,\x01auth=\x01\x01", "user@example.com", ""),
    ],
)
def test_reads_oauthbearer(message, username, token):
    step = mechanism("oauthbearer", "n", takes_tokens=True).step(message)
    assert step == TokenGiven(username, Secret(token))
    assert "vF9dft4qmT" not in repr(step)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x01",
        b"n,,",
        b"n,,\x01",
        b"n,,\x01\x01",
        b"p=tls-exporter,,\x01auth=Bearer a\x01\x01",
        b"x,,\x01auth=Bearer a\x01\x01",
        b"n,b=a,\x01auth=Bearer a\x01\x01",
        b"n,a=a=2c,\x01auth=Bearer a\x01\x01",
        b"n,,\x01auth=Bearer a\x01",
        b"n,,\x01auth=Bearer a",
        b"n,,\x01host=a\x01\x01",
        b"n,,\x01auth=Basic a\x01\x01",
        b"n,,\x01auth=Bearer a b\x01\x01",
        b"n,,\x01auth=Bearer a\x00b\x01\x01",
        b"n,,\x01auth=Bearer \xff\x01\x01",
        b"n,,\x01auth=Bearer a\r\n\x01\x01",
        # attack row 63: two tokens, and each reader takes another one
        b"n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01",
        b"n,,\x01auth=Bearer a\x01Auth=Bearer b\x01\x01",
    ],
)
def test_attack_063_refuses_what_is_no_oauthbearer(message):
    with pytest.raises(SaslSyntaxError):
        mechanism("OAUTHBEARER", "n", takes_tokens=True).step(message)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"user=a",
        b"user=a\x01",
        b"user=a\x01\x01",
        b"usr=a\x01auth=Bearer a\x01\x01",
        b"user=a\x01auth=Bearer a\x01",
        b"user=a\x01auth=Bearer a\x01auth=Bearer b\x01\x01",
        b"user=\xff\x01auth=Bearer a\x01\x01",
    ],
)
def test_attack_063_refuses_what_is_no_xoauth2(message):
    with pytest.raises(SaslSyntaxError):
        mechanism("XOAUTH2", "n", takes_tokens=True).step(message)


@given(st.sampled_from(TOKEN_MECHANISMS), st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(name, message):
    try:
        step = mechanism(name, "n", takes_tokens=True).step(message)
    except SaslSyntaxError:
        return
    assert isinstance(step, TokenGiven)


@pytest.mark.parametrize(("name", "write"), [("OAUTHBEARER", oauthbearer_response), ("XOAUTH2", xoauth2_response)])
async def test_a_token_lets_in(name, write):
    provider = Provider()
    exchange = begin(name, provider)
    assert await exchange.take(None) == Challenge(b"")
    assert await exchange.take(write("alice@example.org", Secret(TOKEN))) is ALICE
    assert provider.asked == [("alice@example.org", TOKEN, PEER, "imap")]


@pytest.mark.parametrize(
    ("name", "write", "dummy"), [("OAUTHBEARER", oauthbearer_response, b"\x01"), ("XOAUTH2", xoauth2_response, b"")]
)
async def test_a_wrong_token_is_told_in_json_and_then_refused(name, write, dummy):
    """Spec: RFC 7628 §3.2.3: the error comes only after the client's dummy answer."""
    exchange = begin(name, Provider(AuthenticationFailed()))
    answer = await exchange.take(write("alice@example.org", Secret(TOKEN)))
    assert isinstance(answer, Challenge)
    told = json.loads(answer.octets)
    assert told["scope"] == "openid email"
    assert ("openid-configuration" in told) == (name == "OAUTHBEARER")
    with pytest.raises(AuthenticationFailed):
        await exchange.take(dummy)


async def test_attack_061_there_is_no_second_try_in_an_exchange():
    provider = Provider(AuthenticationFailed())
    exchange = begin("OAUTHBEARER", provider)
    await exchange.take(oauthbearer_response("", Secret("wrong")))
    provider.error = None
    for _ in range(2):
        with pytest.raises(AuthenticationFailed):
            await exchange.take(oauthbearer_response("", Secret("right")))
    assert [token for _, token, _, _ in provider.asked] == ["wrong"]


async def test_attack_061_who_has_to_wait_is_told_at_once():
    with pytest.raises(TooManyFailures):
        await begin("XOAUTH2", Provider(TooManyFailures())).take(xoauth2_response("a@example.org", Secret(TOKEN)))


async def test_without_anybody_who_knows_tokens_it_is_our_mistake():
    with pytest.raises(LocalProtocolError):
        await begin("XOAUTH2", None).take(xoauth2_response("a@example.org", Secret(TOKEN)))
