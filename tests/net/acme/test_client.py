"""The client against an authority in memory that checks what RFC 8555 asks of clients."""

import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailstead.net.acme.client import POLL_LIMIT_S, POLL_MAX_S, AcmeClient
from mailstead.net.acme.jws import AccountKey
from mailstead.net.acme.problems import AcmeFailed
from mailstead.ports.web import WebResponse
from net.acme.authority import BASE, FakeAuthority, StillClock, problem

NAMES = ("mail.test", "mta-sts.test")


class Prover:
    def __init__(self, kind="http-01"):
        self.kind = kind
        self.up = {}
        self.history = []

    async def prove(self, name, token, authorization):
        self.up[name, token] = authorization
        self.history.append(("prove", name))

    async def settle(self):
        self.history.append(("settle", ""))

    async def clear(self, name, token, authorization):
        assert self.up.pop((name, token)) == authorization
        self.history.append(("clear", name))

    def looks(self, name, token):
        return self.up.get((name, token))


class Pauses(list):
    async def __call__(self, seconds):
        self.append(seconds)


@pytest.fixture
def prover():
    return Prover()


@pytest.fixture
def authority(prover):
    return FakeAuthority(prover.looks)


@pytest.fixture
def pauses():
    return Pauses()


@pytest.fixture
def account(tmp_path):
    return AccountKey.open(tmp_path / "account-key.pem")


@pytest.fixture
def client(authority, account, pauses):
    return client_of(authority, account, pauses, "postmaster@mail.test")


def client_of(authority, account, pauses, email=""):
    url = f"{BASE}/directory"
    return AcmeClient(authority, account, StillClock(), directory_url=url, email=email, pause=pauses)


KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize("key", [KEY, rsa.generate_private_key(65537, 2048)], ids=["EC", "RSA"])
async def test_a_certificate_is_had(client, authority, prover, key):
    chain = await client.obtain(NAMES, key, prover)
    assert x509.load_pem_x509_certificate(chain).public_key() == key.public_key()
    assert authority.contacts == ["mailto:postmaster@mail.test"]
    assert prover.up == {}, "proofs are taken away"
    assert [verb for verb, _ in prover.history] == ["prove", "prove", "settle", "clear", "clear"]


async def test_nonces_may_be_refused_all_the_time(client, authority, prover):
    refused = authority.answer
    turns = iter(range(1000))

    def sometimes(path, url, body):
        if next(turns) % 2:
            authority.bad_nonces = 1
        return refused(path, url, body)

    authority.answer = sometimes
    assert await client.obtain(NAMES, KEY, prover)


async def test_an_account_that_is_there_is_used_and_learns_a_new_address(authority, account, pauses, prover):
    for email in ("old@mail.test", "new@mail.test", "new@mail.test"):
        await client_of(authority, account, pauses, email).obtain(NAMES, KEY, prover)
        assert authority.contacts == [f"mailto:{email}"]
    assert len(authority.accounts) == 1
    assert authority.asked.count("/account-of/1") == 1


async def test_names_that_the_authority_remembers_are_not_proven_again(client, authority, prover):
    order = authority.at_order

    def remembered(payload):
        answer = order(payload)
        authority.statuses[0] = "valid"
        return answer

    authority.at_order = remembered
    await client.obtain(NAMES, KEY, prover)
    assert prover.history == [("prove", NAMES[1]), ("settle", ""), ("clear", NAMES[1])]


async def test_a_wildcard_and_its_name_are_proven_together(client, authority, prover):
    await client.obtain(("*.mail.test", "mail.test"), KEY, prover)
    assert prover.history[:2] == [("prove", "mail.test"), ("prove", "mail.test")]


async def test_a_name_that_is_not_proven_is_told_with_reason_and_advice(client, authority, prover):
    authority.looks = lambda name, token: None
    with pytest.raises(AcmeFailed, match=r"mail.test.*Connection refused.*port 80"):
        await client.obtain(NAMES, KEY, prover)
    assert prover.up == {}, "proofs are taken away"


async def test_a_challenge_that_is_not_offered_is_told(client, authority, prover):
    authority.offered = ("dns-01",)
    with pytest.raises(AcmeFailed, match=r"does not take http-01 for mail.test; set acme.challenge to one of: dns-01"):
        await client.obtain(NAMES, KEY, prover)


async def test_a_proof_that_stays_behind_does_not_hide_how_the_order_went(client, prover):
    async def clear(*_):
        raise AcmeFailed("the name server is down")

    prover.clear = clear
    assert await client.obtain(NAMES, KEY, prover)


async def test_looks_are_at_the_pace_of_the_authority_and_not_for_ever(client, authority, prover, pauses):
    authority.at_challenge = lambda *_: WebResponse(200, {}, b"{}")
    authority.retry_after = "5"
    with pytest.raises(AcmeFailed, match=r"does not get on with mail.test in time"):
        await client.obtain(NAMES, KEY, prover)
    assert set(pauses) == {5.0}
    assert sum(pauses) == POLL_LIMIT_S


@pytest.mark.parametrize(("asked", "first_s"), [("0", 1.0), ("86400", POLL_MAX_S), (None, 1.0)])
async def test_neither_without_pause_nor_by_the_day(client, authority, prover, pauses, asked, first_s):
    authority.at_challenge = lambda *_: WebResponse(200, {}, b"{}")
    authority.retry_after = asked
    with pytest.raises(AcmeFailed):
        await client.obtain(NAMES, KEY, prover)
    assert pauses[0] == first_s
    assert max(pauses) <= POLL_MAX_S


async def test_a_rate_limit_is_told_with_the_time_to_wait(client, authority, prover):
    limited = problem("rateLimited", "too many certificates already issued", 429)
    authority.answers["/order"] = WebResponse(429, {"retry-after": "7200"}, limited.octets)
    with pytest.raises(AcmeFailed, match="rateLimited") as caught:
        await client.obtain(NAMES, KEY, prover)
    assert caught.value.retry_after_s == 7200


async def test_an_order_that_becomes_invalid_is_told(client, authority, prover):
    refused = {"type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids"}
    authority.answers["/order-of/1"] = authority.ok({"status": "invalid", "error": refused})
    with pytest.raises(AcmeFailed, match=r"CAA forbids.*CAA records"):
        await client.obtain(NAMES, KEY, prover)


@pytest.mark.parametrize(
    "octets", [b"", b"<html>", b"[]", b"{}", b'{"newNonce": 5}', b"null", b"\xff\xfe", b"[" * 100_000]
)
async def test_what_is_no_directory_is_told(client, authority, prover, octets):
    authority.answers["/directory"] = WebResponse(200, {}, octets)
    with pytest.raises(AcmeFailed, match=r"is acme.directory_url right"):
        await client.obtain(NAMES, KEY, prover)


@pytest.mark.parametrize("path", ["/account", "/order", "/authorization/0", "/order-of/1", "/challenge/1"])
@pytest.mark.parametrize("document", [None, [], {}, {"status": 5}, {"status": "odd"}, "text"])
async def test_answers_of_any_shape_are_an_answer_or_are_told(client, authority, prover, path, document):
    authority.answers[path] = WebResponse(200, {}, json.dumps(document).encode())
    try:
        await client.obtain(NAMES, KEY, prover)
    except AcmeFailed:
        pass
    else:
        assert path == "/challenge/1", "that answer says nothing that is needed"
    assert prover.up == {}
