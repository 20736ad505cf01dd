"""An exchange asks the users what only they know, and gives an actor in the end."""

from dataclasses import dataclass

import pytest

from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import AuthenticationFailed
from mailstead.model.secret import Secret
from mailstead.proto.connection import LocalProtocolError
from mailstead.proto.sasl import Challenge, Exchange, ProofGiven, SaslSyntaxError, mechanism
from mailstead.proto.sasl.client import ScramSha256Client

PEER = Peer("192.0.2.1", 4711)
ALICE = Actor(None, None)


@dataclass
class Lookup:
    salt: bytes = b"salt-of-16-octet"
    iteration_count: int = 4096
    verifiers: tuple = ()


class Users:
    def __init__(self):
        self.asked = []

    async def log_in(self, username, secret, peer, service):
        self.asked.append((username, secret.reveal(), peer, service))
        return ALICE

    async def scram_start(self, username, peer, service):
        self.asked.append((username, peer, service))
        return Lookup()

    async def scram_finish(self, lookup, verifier, client_key=b""):
        assert isinstance(lookup, Lookup)
        if verifier is None:
            raise AuthenticationFailed
        return ALICE


def begin(name, users):
    return Exchange(mechanism(name, nonce="n" * 24), users, PEER, "imap")


async def test_plain_asks_once():
    users = Users()
    exchange = begin("PLAIN", users)
    assert await exchange.take(None) == Challenge(b"")
    assert await exchange.take(b"\0alice\0pw-never-in-a-log") is ALICE
    assert users.asked == [("alice", "pw-never-in-a-log", PEER, "imap")]


async def test_scram_asks_for_verifiers_and_for_the_verdict():
    users = Users()
    exchange = begin("SCRAM-SHA-256", users)
    client = ScramSha256Client("alice", Secret("pw-never-in-a-log"), nonce="c" * 24)
    offered = await exchange.take(client.first())
    assert isinstance(offered, Challenge)
    assert users.asked == [("alice", PEER, "imap")]
    with pytest.raises(AuthenticationFailed):
        await exchange.take(client.final(offered.octets))


async def test_bad_grammar_is_the_clients():
    with pytest.raises(SaslSyntaxError):
        await begin("PLAIN", Users()).take(b"no NULs")


async def test_a_proof_nobody_asked_for_is_our_bug():
    class Broken:
        def step(self, response):
            return ProofGiven(None)

    with pytest.raises(LocalProtocolError):
        await Exchange(Broken(), Users(), PEER, "imap").take(b"")
