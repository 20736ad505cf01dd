"""All checks of a sender together: one budget, no exception for want of DNS."""

import asyncio
from datetime import UTC, datetime

import pytest

from mailauth.zones import UNAVAILABLE, Zones
from mailstead.mailauth import arc
from mailstead.mailauth.dkim import load_key, new_keys, public_record, sign
from mailstead.mailauth.verify import SenderVerifier
from mailstead.model.address import Address
from mailstead.model.authentication import ArcResult, Result
from mailstead.model.envelope import Peer
from mailstead.ports.clock import SystemClock

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
ALICE = Address("alice", "example.com")
PEER = Peer("192.0.2.1", 45678)
HELO = "mx.example.com"
_, KEY = new_keys("example.com", NOW, "s")
_, SEALER = new_keys("list.example", NOW, "s")
MESSAGE = (
    b"From: Alice <alice@example.com>\r\nTo: bob@example.org\r\nSubject: x\r\n"
    b"Date: Fri, 27 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n"
)
ZONES = {
    "example.com": {"TXT": ["v=spf1 mx -all"], "MX": [(10, HELO)]},
    HELO: {"TXT": ["v=spf1 a -all"], "A": ["192.0.2.1"]},
    "1.2.0.192.in-addr.arpa": {"PTR": [HELO]},
    "_dmarc.example.com": {"TXT": ["v=DMARC1; p=reject; adkim=s"]},
    f"{KEY.selector}._domainkey.example.com": {"TXT": [public_record(KEY)]},
    f"{SEALER.selector}._domainkey.list.example": {"TXT": [public_record(SEALER)]},
}


class HandClock(SystemClock):
    def now(self):
        return NOW


def signed(message=MESSAGE, key=KEY):
    return sign(message, [load_key(key)], NOW) + message


def sealed(message):
    text = "mx.list.example; dmarc=pass header.from=example.com"
    return arc.seal(message, load_key(SEALER), "mx.list.example", text, ArcResult(Result.NONE), NOW) + message


async def verified(message, zones=ZONES, *, peer=PEER, mail_from=ALICE, sealers=(), queries_max=100, limit_s=20.0):
    verifier = SenderVerifier(
        zones if isinstance(zones, Zones) else Zones(zones),
        HandClock(),
        authserv_id="mx.example.org",
        trusted_sealers=sealers,
        queries_max=queries_max,
        limit_s=limit_s,
    )
    header = message[: message.index(b"\r\n\r\n") + 4]
    return await verifier.verify(bytearray(message), header, peer, HELO, mail_from)


async def test_a_good_message_passes_everything():
    found = await verified(signed())
    assert (found.spf.result, found.spf.domain, found.spf.mechanism) == (Result.PASS, "example.com", "mx")
    assert found.helo_spf.result is Result.PASS
    assert [each.result for each in found.dkim] == [Result.PASS]
    assert found.arc.result is Result.NONE
    assert (found.dmarc.result, found.dmarc.policy) == (Result.PASS, "reject")
    assert (found.dmarc.is_spf_aligned, found.dmarc.is_dkim_aligned) == (True, True)
    assert (found.iprev.result, found.iprev.name) == (Result.PASS, HELO)
    assert found.is_author_authenticated
    assert not found.has_temporary_error


async def test_a_stranger_fails():
    found = await verified(MESSAGE, peer=Peer("198.51.100.1", 1))
    assert found.spf.result is Result.FAIL
    assert found.dkim == ()
    assert found.dmarc.result is Result.FAIL
    assert found.iprev.result is Result.PERMERROR
    assert not found.is_author_authenticated


async def test_of_a_bounce_helo_is_aligned():
    message = MESSAGE.replace(b"alice@example.com", b"mailer-daemon@mx.example.com")
    found = await verified(message, mail_from=None)
    assert (found.spf.scope, found.spf.result) == ("helo", Result.PASS)
    assert found.helo_spf is None
    assert found.dmarc.is_spf_aligned


async def test_without_exactly_one_author_nothing_is_aligned():
    message = MESSAGE.replace(b"To:", b"From: bank@bank.example\r\nTo:")
    found = await verified(message)
    assert found.dmarc.result is Result.PERMERROR
    assert found.dmarc.reason == "The message must have exactly one From field"
    assert not found.is_author_authenticated


async def test_attack_030_results_of_a_sealer_who_is_not_listed_are_not_even_shown():
    message = sealed(MESSAGE)
    found = await verified(message, peer=Peer("198.51.100.1", 1))
    assert (found.arc.result, found.arc.is_trusted, found.arc.newest_results) == (Result.PASS, False, "")
    found = await verified(message, sealers=["example.net"])
    assert not found.arc.is_trusted
    found = await verified(message, sealers=["LIST.example."])
    assert found.arc.is_trusted
    assert "dmarc=pass" in found.arc.newest_results


async def test_attack_030_a_broken_chain_of_a_listed_sealer_is_not_believed():
    found = await verified(sealed(MESSAGE).replace(b"Hello", b"Hullo"), sealers=["list.example"])
    assert (found.arc.result, found.arc.is_trusted) == (Result.FAIL, False)


# trouble with the DNS


async def test_attack_034_a_dns_that_answers_nothing_makes_temperrors():
    class Silent(Zones):
        async def _ask(self, name, kind, make):
            await asyncio.Event().wait()

    async with asyncio.timeout(30):
        found = await verified(sealed(signed()), Silent(), limit_s=0.05)
    assert found.spf.result is Result.TEMPERROR
    assert found.helo_spf.result is Result.TEMPERROR
    assert [each.result for each in found.dkim] == [Result.TEMPERROR]
    assert found.arc.result is Result.TEMPERROR
    assert found.dmarc.result is Result.TEMPERROR
    assert found.iprev.result is Result.TEMPERROR
    assert found.has_temporary_error


@pytest.mark.parametrize("name", sorted(ZONES))
async def test_one_name_that_cannot_be_asked_for_never_makes_a_fail(name):
    found = await verified(signed(), ZONES | {name: UNAVAILABLE})
    results = [found.spf.result, found.dmarc.result, found.iprev.result, *(each.result for each in found.dkim)]
    assert set(results) <= {Result.PASS, Result.TEMPERROR}


@pytest.mark.parametrize("queries_max", range(12))
async def test_attack_034_the_budget_is_for_all_checks_together(queries_max):
    zones = Zones(ZONES)
    found = await verified(signed(), zones, queries_max=queries_max)
    assert len(zones.questions) <= queries_max
    assert found.dmarc.result in {Result.PASS, Result.TEMPERROR}
    assert found.has_temporary_error or found.dmarc.result is Result.PASS


async def test_attack_034_signatures_and_chains_cannot_spend_more_than_the_budget():
    message = MESSAGE
    for number in range(30):
        field = sign(MESSAGE, [load_key(KEY)], NOW).replace(b"d=example.com", b"d=%d.victim.example" % number)
        message = field + message
    zones = Zones(ZONES)
    await verified(message, zones, queries_max=40)
    assert len(zones.questions) <= 40
    assert len([name for name, _ in zones.questions if "victim" in name]) <= 10
