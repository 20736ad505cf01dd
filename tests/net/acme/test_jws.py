"""Signed requests: the key, the nonces, what an authority refuses."""

import stat

import pytest

from mailstead.model.errors import BadSettings
from mailstead.net.acme.jws import TRIES_MAX, AccountKey, SignedRequests, base64url
from mailstead.net.acme.problems import AcmeFailed
from mailstead.ports.web import WebResponse
from net.acme.authority import BASE, FakeAuthority, StillClock, problem

ACCOUNT = {"termsOfServiceAgreed": True, "contact": []}


@pytest.fixture
def key(tmp_path):
    return AccountKey.open(tmp_path / "account-key.pem")


@pytest.fixture
def authority():
    return FakeAuthority()


@pytest.fixture
def requests(authority, key):
    requests = SignedRequests(authority, key, StillClock())
    requests.new_nonce_url = f"{BASE}/nonce"
    return requests


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path, key):
    file = tmp_path / "account-key.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert AccountKey.open(file).jwk == key.jwk


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_holds_no_key_is_told(tmp_path, content):
    (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(BadSettings, match="cannot be read as a P-256 key"):
        AccountKey.open(tmp_path / "key.pem")


def test_octets_are_written_without_padding():
    assert [base64url(octets) for octets in (b"", b"\xff", b"\xfb\xff", b"abc")] == ["", "_w", "-_8", "YWJj"]


def test_coordinates_have_their_full_length(key):
    assert {len(key.jwk[name]) for name in "xy"} == {43}
    assert len(key.thumbprint) == 43


async def test_the_first_request_fetches_a_nonce_and_the_next_uses_that_of_the_answer(authority, requests):
    await requests.post(f"{BASE}/account", ACCOUNT)
    await requests.post(f"{BASE}/account", ACCOUNT)
    assert authority.asked == ["/nonce", "/account", "/account"]


async def test_a_nonce_that_is_refused_is_replaced(authority, requests):
    authority.bad_nonces = 3
    answer = await requests.post(f"{BASE}/account", ACCOUNT)
    assert answer.status == 201


async def test_there_are_not_tries_without_end(authority, requests):
    authority.bad_nonces = 100
    with pytest.raises(AcmeFailed, match="badNonce"):
        await requests.post(f"{BASE}/account", ACCOUNT)
    assert authority.asked.count("/account") == TRIES_MAX


async def test_who_gives_no_nonce_is_told(authority, requests):
    authority.answers["/nonce"] = WebResponse(204)
    with pytest.raises(AcmeFailed, match="gives no nonce"):
        await requests.post(f"{BASE}/account", ACCOUNT)


async def test_a_refusal_is_no_answer_and_is_not_tried_again(authority, requests):
    authority.answers["/account"] = problem("invalidContact", "not that address", 400)
    with pytest.raises(AcmeFailed, match=r"acme.email") as caught:
        await requests.post(f"{BASE}/account", ACCOUNT)
    assert caught.value.kind == "invalidContact"
    assert authority.asked.count("/account") == 1


async def test_an_authority_that_is_down_is_told(authority, requests):
    authority.is_down = True
    with pytest.raises(AcmeFailed, match=r"does not answer in time; see acme.directory_url"):
        await requests.get(f"{BASE}/directory")
