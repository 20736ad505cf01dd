"""What TLS must be, decided without a network."""

import pytest

from mailstead.model.secret import Secret
from mailstead.net.outbound.security import (
    OPPORTUNISTIC,
    Manner,
    TlsRefused,
    protection_of_host,
    protection_of_smarthost,
    result_type_of,
)
from mailstead.net.tls import TlsFailed
from mailstead.ports.relay import RelayTerms, Smarthost


async def protection(world, host="mx.there.test", is_authentic=False, **terms):
    policy = (await world.policies.policy_for("there.test")).policy
    world.names.authentic = ("test",) if is_authentic else ()
    world.names.add(host, a=["192.0.2.1"])
    return await protection_of_host(
        host,
        25,
        world.names,
        RelayTerms(**terms),
        next_hop="there.test",
        is_authentic=is_authentic,
        policy=policy,
    )


async def test_without_any_policy_encryption_is_tried_and_clear_text_is_possible(world):
    found = await protection(world)
    assert (found.manners, found.policy_type) == (OPPORTUNISTIC, "no-policy-found")


async def test_enforce_allows_verified_tls_only(world):
    world.policies.add("there.test", "enforce", "mx.there.test")
    found = await protection(world)
    assert (found.manners, found.policy_type) == ((Manner.VERIFIED,), "sts")
    assert found.word(Manner.VERIFIED) == "mta-sts"


async def test_enforce_shuts_out_hosts_that_the_policy_does_not_name(world):
    world.policies.add("there.test", "enforce", "other.there.test")
    with pytest.raises(TlsRefused) as refused:
        await protection(world)
    assert (refused.value.result_type, refused.value.reply.is_permanent) == ("validation-failure", False)


async def test_testing_verifies_and_goes_on(world):
    world.policies.add("there.test", "testing", "mx.there.test")
    assert (await protection(world)).manners == (Manner.VERIFIED, *OPPORTUNISTIC)


async def test_none_is_no_policy(world):
    world.policies.add("there.test", "none", "mx.there.test")
    assert (await protection(world)).manners == OPPORTUNISTIC


async def test_dane_stands_ahead_of_mta_sts(world):
    world.policies.add("there.test", "enforce", "other.there.test")
    world.port = 25
    world.tlsa("mx.there.test", b"x" * 32)
    found = await protection(world, is_authentic=True)
    assert (found.manners, found.policy_type) == ((Manner.DANE,), "tlsa")
    assert found.policy_lines == (f"_25._tcp.mx.there.test. IN TLSA 3 1 1 {'78' * 32}",)


async def test_tlsa_records_that_nobody_understands_still_require_encryption(world):
    world.port = 25
    world.tlsa("mx.there.test", b"x" * 32, usage=255)
    assert (await protection(world, is_authentic=True)).manners == (Manner.ENCRYPTED,)


async def test_tlsa_of_a_host_that_dns_does_not_vouch_for_says_nothing(world):
    world.port = 25
    world.tlsa("mx.there.test", b"x" * 32)
    assert (await protection(world, is_authentic=False)).manners == OPPORTUNISTIC


async def test_a_host_whose_tlsa_cannot_be_had_is_not_used_now(world):
    world.names.add("_25._tcp.mx.there.test", tlsa=None)
    with pytest.raises(TlsRefused) as refused:
        await protection(world, is_authentic=True)
    assert (refused.value.result_type, refused.value.reply.is_permanent) == ("dnssec-invalid", False)


async def test_tls_required_no_disregards_policies(world):
    world.policies.add("there.test", "enforce", "other.there.test")
    world.port = 25
    world.tlsa("mx.there.test", b"x" * 32)
    assert (await protection(world, is_authentic=True, tls_optional=True)).manners == OPPORTUNISTIC


async def test_requiretls_needs_a_host_that_dnssec_or_mta_sts_vouches_for(world):
    with pytest.raises(TlsRefused) as refused:
        await protection(world, require_tls=True)
    assert (refused.value.reply.enhanced, refused.value.reply.is_permanent) == ("5.7.30", True)
    found = await protection(world, is_authentic=True, require_tls=True)
    assert (found.manners, found.requires_tls) == ((Manner.VERIFIED,), True)
    world.policies.add("there.test", "testing", "mx.there.test")
    found = await protection(world, require_tls=True, tls_optional=True)
    assert (found.manners, found.requires_tls, found.policy_type) == ((Manner.VERIFIED,), True, "sts")


def test_a_smarthost_is_verified_unless_its_security_is_none():
    def manners(security, **terms):
        return protection_of_smarthost(Smarthost("relay.test", 587, "u", Secret("p"), security), RelayTerms(**terms))

    assert manners("starttls").manners == (Manner.VERIFIED,)
    assert not manners("starttls").is_tls_implicit
    assert manners("tls").is_tls_implicit
    assert manners("none").manners == (Manner.CLEAR,)
    assert manners("none", require_tls=True).manners == (Manner.VERIFIED,)


@pytest.mark.parametrize(
    ("verify_code", "result_type"),
    [
        (0, "validation-failure"),
        (10, "certificate-expired"),
        (62, "certificate-host-mismatch"),
        (64, "certificate-host-mismatch"),
        (18, "certificate-not-trusted"),
        (20, "certificate-not-trusted"),
    ],
)
def test_failures_have_the_words_of_tls_reports(verify_code, result_type):
    assert result_type_of(TlsFailed("x", verify_code)) == result_type
