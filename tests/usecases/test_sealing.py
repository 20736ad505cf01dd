"""What we vouch for: signatures, seals, rewritten senders."""

import re

import pytest

from mailauth.zones import Zones
from mailstead.mailauth import arc, dkim
from mailstead.mailauth.dkim import public_record
from mailstead.model.address import Address
from mailstead.model.authentication import ArcResult, Result
from mailstead.policy.srs import Srs, is_handle
from mailstead.usecases.sealing import Sealing

OCTETS = b"From: a@example.test\r\nTo: b@x.test\r\nSubject: x\r\nDate: x\r\nMessage-ID: <x@y>\r\n\r\nHello\r\n"
RESULTS = "spf=pass smtp.mailfrom=friend.test"
ANN = Address("ann", "friend.test")


@pytest.fixture
async def sealing(storage, domains, keys, clock, admin):
    await keys.create(admin, "example.test")
    return Sealing(storage, keys, Srs((b"k" * 32,)), clock, authserv_id="mx.example.test")


async def dns(storage):
    keys = await storage.directory.dkim_keys("example.test")
    return Zones({f"{key.selector}._domainkey.example.test": {"TXT": [public_record(key)]} for key in keys})


@pytest.mark.parametrize("size", [0, 200_000], ids=["small", "large"])
async def test_both_keys_sign(sealing, storage, clock, size):
    octets = OCTETS + b"x" * 70 * (size // 70) + b"\r\n" if size else OCTETS
    signed = await sealing.sign(octets, "example.test")
    assert signed.endswith(octets)
    results = await dkim.verify(signed, await dns(storage), clock.now())
    assert {(each.result, each.algorithm) for each in results} == {("pass", "rsa-sha256"), ("pass", "ed25519-sha256")}


@pytest.mark.parametrize("size", [0, 200_000], ids=["small", "large"])
async def test_a_seal_is_made_with_the_key_that_all_know(sealing, storage, clock, size):
    octets = OCTETS + b"x\r\n" * (size // 3)
    sealed = await sealing.seal(octets, "example.test", RESULTS, None) + octets
    assert re.match(rb"ARC-Seal: i=1; cv=none;\s+a=rsa-sha256; d=example\.test;", sealed)
    result = await arc.verify(sealed, await dns(storage), clock.now())
    assert (result.result, result.sealers, result.newest_results) == (
        Result.PASS,
        ("example.test",),
        f"mx.example.test; {RESULTS}",
    )


async def test_a_chain_is_gone_on_with_unless_it_is_broken(sealing, storage, clock):
    first = await sealing.seal(OCTETS, "example.test", RESULTS, None) + OCTETS
    chain = await arc.verify(first, await dns(storage), clock.now())
    second = await sealing.seal(first, "example.test", RESULTS, chain) + first
    assert (await arc.verify(second, await dns(storage), clock.now())).sealers == ("example.test",) * 2
    broken = first.replace(b"Hello", b"Hullo")
    chain = await arc.verify(broken, await dns(storage), clock.now())
    assert chain.result is Result.FAIL
    further = await sealing.seal(broken, "example.test", RESULTS, chain) + broken
    assert (await arc.verify(further, await dns(storage), clock.now())).result is Result.FAIL


async def test_without_keys_nothing_is_claimed(sealing):
    assert await sealing.sign(OCTETS, "elsewhere.test") == OCTETS
    assert await sealing.signature(OCTETS, "elsewhere.test") == b""
    assert await sealing.seal(OCTETS, "elsewhere.test", RESULTS, ArcResult(Result.NONE)) == b""


async def test_senders_are_rewritten_so_that_bounces_come_to_us(sealing, clock):
    rewritten = await sealing.rewritten(ANN, "example.test")
    assert rewritten.domain == "example.test"
    assert Srs((b"k" * 32,)).reverse(rewritten, clock.now().date()) == ANN
    assert await sealing.rewritten(None, "example.test") is None
    ours = Address("alice", "example.test")
    assert await sealing.rewritten(ours, "example.test") == ours
    assert await sealing.rewritten(ours, "example.test", is_vouched_for=False) != ours


async def test_a_sender_that_does_not_fit_gets_a_handle(sealing):
    handles = {await sealing.rewritten(Address("a" * 64, "friend.test"), "example.test") for _ in range(2)}
    assert len(handles) == 2
    assert all(map(is_handle, handles))
