"""ARC: chains of our making in the shape of the public ARC test suite, each rule broken once, attacks."""

from dataclasses import replace
from hashlib import sha256

import pytest

from mailauth.keyzone import ED25519, MESSAGE, NOW, RSA, KeyZone, published
from mailstead.mailauth import arc
from mailstead.mailauth.canonical import CanonicalMessage, Form
from mailstead.mailauth.dkim import load_key, sign
from mailstead.mailauth.dkim_record import RSA_BITS_MIN
from mailstead.model.authentication import ArcResult, Result

RESULTS = "dkim=pass header.d=example.test;\r\n\tspf=pass smtp.mailfrom=example.test"
KEY = load_key(ED25519)
NONE = ArcResult(Result.NONE)
PASS = ArcResult(Result.PASS)
FAIL = ArcResult(Result.FAIL)


def chained(count, message=MESSAGE, keys=(KEY,)):
    """Seal a message so many times."""
    for number in range(count):
        fields = arc.seal(
            message, keys[number % len(keys)], f"mx{number + 1}.test", RESULTS, PASS if number else NONE, NOW
        )
        assert fields
        message = fields + message
    return message


async def verified(octets, zone=None):
    return await arc.verify(octets, zone or KeyZone(), NOW)


def resealed(octets, change):
    """Change the tags of the newest seal and sign it again, so that only the rule in question is broken."""
    message = CanonicalMessage(octets)
    name, value = message.fields(b"arc-seal")[0]
    rest = octets[octets.index(b"ARC-Message-Signature") :]
    tags = change(value.partition(b"b=")[0].strip()) + b"b="
    covered = sha256()
    sets = len(message.fields(b"arc-seal"))
    for at in range(sets - 1, -1, -1):
        for each in (b"arc-authentication-results", b"arc-message-signature"):
            covered.update(message.canonical_field(message.fields(each)[at], Form.RELAXED))
        if at:
            covered.update(message.canonical_field(message.fields(b"arc-seal")[at], Form.RELAXED))
    return KEY.signed_field(name, tags, covered) + rest


# Chains that pass


@pytest.mark.parametrize("message", [b"", b"\r\n", MESSAGE, sign(MESSAGE, [KEY], NOW) + MESSAGE])
async def test_no_chain_is_none(message):
    assert await verified(message) == NONE


@pytest.mark.parametrize("count", [1, 2, 3, 5])
async def test_a_chain_passes(count):
    result = await verified(chained(count, keys=(KEY, load_key(RSA))))
    assert result == ArcResult(
        Result.PASS,
        ("example.test",) * count,
        f"mx{count}.test; dkim=pass header.d=example.test; spf=pass smtp.mailfrom=example.test",
    )


async def test_a_resealed_chain_passes():
    """What the tests below rest on: only the change that they make breaks the chain."""
    for count in (1, 2):
        assert (await verified(resealed(chained(count), lambda tags: tags))).result is Result.PASS


async def test_older_message_signatures_need_not_fit():
    changed = MESSAGE.replace(b"Subject: a", b"Subject: [list] a") + b"-- \r\nfooter\r\n"
    first = chained(1)
    second = first[: -len(MESSAGE)] + changed
    octets = arc.seal(second, KEY, "mx2.test", RESULTS, PASS, NOW) + second
    assert (await verified(octets)).result is Result.PASS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"ARC-Seal: i=2;", b"arc-seal:\r\n  i=2 ;"),
        (b"ARC-Authentication-Results: i=1;", b"ARC-Authentication-Results:  i=1;"),
        (b"Subject: a  subject", b"Subject:  a subject"),
        (b"\r\n\r\n\r\n", b"\r\n \r\n\t\r\n"),
    ],
)
async def test_white_space_and_case_break_nothing(old, new):
    octets = chained(2)
    changed = octets.replace(old, new)
    assert changed != octets
    expected = Result.FAIL if new.endswith(b"i=2 ;") else Result.PASS  # a space that was none changes what is sealed
    assert (await verified(changed)).result is expected


async def test_fields_may_stand_in_any_order():
    message = CanonicalMessage(chained(2))
    names = (b"arc-authentication-results", b"arc-seal", b"arc-message-signature")
    fields = [b"%b:%b\n" % field for name in names for field in reversed(message.fields(name))]
    assert (await verified(b"".join(fields) + MESSAGE)).result is Result.PASS


async def test_a_seal_with_a_service_unknown_tag_passes():
    assert (await verified(resealed(chained(1), lambda tags: tags + b" q=dns/txt; "))).result is Result.PASS


# Structure


def without(octets, start):
    """Remove the first field that starts so."""
    at = octets.index(start)
    stop = at + next(
        index
        for index in range(len(octets))
        if octets[at + index : at + index + 2] == b"\r\n" and octets[at + index + 2] not in b" \t"
    )
    return octets[:at] + octets[stop + 2 :]


@pytest.mark.parametrize("name", [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"])
@pytest.mark.parametrize("instance", [1, 2, 3])
async def test_a_set_without_one_of_its_fields_fails(name, instance):
    result = await verified(without(chained(3), b"%b: i=%d;" % (name, instance)))
    assert (result.result, result.reason) == (Result.FAIL, "the sets are not complete")


@pytest.mark.parametrize("name", [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"])
async def test_a_field_that_stands_twice_fails(name):
    octets = chained(2)
    start = octets.index(name + b": i=1;")
    result = await verified(octets[start : octets.index(b"\r\n", start)] + b"\r\n" + octets)
    assert (result.result, result.reason) == (Result.FAIL, "instance 1 stands twice")


async def test_a_missing_set_fails():
    octets = chained(3)
    for name in (b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"):
        octets = without(octets, name + b": i=2;")
    assert (await verified(octets)).reason == "the sets are not complete"


@pytest.mark.parametrize("name", [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"])
@pytest.mark.parametrize("instance", [b"", b"i=;", b"i=0;", b"i=x;", b"i=-1;", b"i=100;", b"I=1;"])
async def test_a_field_without_an_instance_fails(name, instance):
    octets = chained(1)
    changed = octets.replace(name + b": i=1;", name + b": " + instance)
    assert changed != octets
    assert (await verified(changed)).result is Result.FAIL


@pytest.mark.parametrize(
    ("count", "cv"),
    [(1, b"pass"), (1, b""), (1, b"maybe"), (2, b"none"), (2, b""), (2, b"maybe"), (1, b"fail"), (2, b"fail")],
)
async def test_cv_must_be_none_first_and_pass_then(count, cv):
    octets = resealed(chained(count), lambda tags: tags.replace(b"cv=none" if count == 1 else b"cv=pass", b"cv=" + cv))
    assert (await verified(octets)).result is Result.FAIL


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tags: tags + b" h=from; ", "has h="),
        (lambda tags: tags + b" t=1; ", "stands twice"),
        (lambda tags: tags.replace(b"a=ed25519-sha256;", b""), "algorithm"),
        (lambda tags: tags.replace(b"a=ed25519-sha256;", b"a=rsa-sha1;"), "rsa-sha1"),
        (lambda tags: tags.replace(b"a=ed25519-sha256;", b"a=rsa-sha256;"), "another algorithm"),
        (lambda tags: tags.replace(b"d=example.test;", b""), "d= or s="),
        (lambda tags: tags.replace(b"s=s-ed25519;", b""), "d= or s="),
        (lambda tags: tags.replace(b"s=s-ed25519;", b"s=other;"), "no key"),
        (lambda tags: tags.replace(b"d=example.test;", b"d=example.org;"), "no key"),
        (lambda tags: tags + b"nonsense; ", "not well formed"),
    ],
)
async def test_a_seal_that_breaks_a_rule_fails(change, reason):
    result = await verified(resealed(chained(1), change))
    assert (result.result, reason in result.reason) == (Result.FAIL, True), result


async def test_a_changed_message_or_signature_fails():
    octets = chained(2)
    for old, new, reason in (
        (b"Hello", b"Hallo", "the body was changed"),
        (b"To: Bob", b"To: Rob", "the signature does not fit the header"),
        (b"mx1.test; dkim", b"mx1.test; dkim", ""),
        (b"mx1.test;\r\n\tdkim=pass", b"mx1.test;\r\n\tdkim=fail", "the seal of instance 2 does not fit"),
    ):
        result = await verified(octets.replace(old, new))
        assert result.reason == reason, old
        assert (result.result is Result.PASS) == (not reason)


async def test_message_signature_must_not_cover_seals():
    octets = chained(1).replace(b"h=From:", b"h=ARC-Seal:From:")
    assert (await verified(octets)).reason == "the message signature covers seals"


async def test_dns_trouble_is_temporary_but_a_changed_body_is_not():
    zone = KeyZone(failing=("s-ed25519._domainkey.example.test",))
    octets = chained(2)
    assert (await verified(octets, zone)).result is Result.TEMPERROR
    assert (await verified(octets.replace(b"Hello", b"Hallo"), zone)).result is Result.FAIL


async def test_each_key_is_asked_for_once():
    zone = KeyZone()
    await verified(chained(6, keys=(KEY, load_key(RSA))), zone)
    assert sorted(zone.asked) == sorted(published(RSA, ED25519))


# Sealing


async def test_a_broken_chain_is_sealed_alone_and_has_ended():
    """RFC 8617 §5.1.1: the seal covers only its own set, as if it were the only one."""
    broken = chained(2).replace(b"mx1.test", b"mx0.test")
    found = await verified(broken)
    fields = arc.seal(broken, KEY, "mx3.test", RESULTS, found, NOW)
    assert b"ARC-Seal: i=3; cv=fail;" in fields
    alone = CanonicalMessage(fields + b"\r\n")
    covered = sha256()
    for name in (b"arc-authentication-results", b"arc-message-signature"):
        covered.update(alone.canonical_field(alone.fields(name)[0], Form.RELAXED))
    name, value = alone.fields(b"arc-seal")[0]
    assert (
        KEY.signed_field(name, value.partition(b"b=")[0].lstrip() + b"b=", covered)
        == fields[: fields.index(b"ARC-Mess")]
    )
    after = await verified(fields + broken)
    assert (after.result, after.reason) == (Result.FAIL, "the chain was found broken before")
    assert arc.seal(fields + broken, KEY, "mx4.test", RESULTS, after, NOW) == b""


async def test_a_chain_without_any_instance_is_sealed_as_failed():
    broken = b"ARC-Seal: nonsense\r\n" + MESSAGE
    fields = arc.seal(broken, KEY, "mx.test", RESULTS, await verified(broken), NOW)
    assert fields.startswith(b"ARC-Seal: i=1; cv=fail;")
    assert (await verified(fields + broken)).result is Result.FAIL


@pytest.mark.parametrize(
    ("octets", "chain"),
    [
        (chained(1), ArcResult(Result.TEMPERROR)),
        (chained(1), NONE),
        (MESSAGE, PASS),
        (without(chained(1), b"ARC-Seal"), PASS),
    ],
)
def test_what_was_not_validated_is_not_sealed(octets, chain):
    assert arc.seal(octets, KEY, "mx.test", RESULTS, chain, NOW) == b""


async def test_existing_signatures_are_covered():
    signed = sign(MESSAGE, [KEY], NOW) + MESSAGE
    octets = arc.seal(signed, KEY, "mx.test", RESULTS, NONE, NOW) + signed
    assert (await verified(octets)).result is Result.PASS
    assert (await verified(octets.replace(b"DKIM-Signature: v=1;", b"DKIM-Signature: v=2;"))).result is Result.FAIL


# Attacks


async def test_attack_030_at_most_fifty_sets():
    octets = chained(arc.SETS_MAX)
    found = await verified(octets)
    assert (found.result, len(found.sealers)) == (Result.PASS, 50)
    assert arc.seal(octets, KEY, "mx.test", RESULTS, found, NOW) == b""
    more = octets.replace(b"ARC-Seal: i=50;", b"ARC-Seal: i=51; x=" + b"ARC-Seal: i=50;"[10:], 1)
    assert (await verified(more)).result is Result.FAIL
    too_many = b"ARC-Seal: i=1; cv=none\r\n" + octets
    zone = KeyZone()
    found = await verified(too_many, zone)
    assert (found.reason, zone.asked) == ("the chain has more than 50 sets", [])


async def test_attack_030_a_forged_set_does_not_pass():
    """A stranger's results in the name of a sealer that is trusted."""
    forged = chained(1).replace(b"dkim=pass header.d=example.test", b"dkim=pass header.d=bank.example")
    assert (await verified(forged)).result is Result.FAIL
    other = KeyZone(
        {"s-ed25519._domainkey.example.test": ["v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="]}
    )
    assert (await verified(chained(1), other)).result is Result.FAIL


async def test_attack_030_a_chain_cannot_be_moved_to_another_message():
    octets = chained(1)
    other = MESSAGE.replace(b"Hello", b"Buy now")
    assert (await verified(octets[: -len(MESSAGE)] + other)).result is Result.FAIL


async def test_attack_030_the_end_of_a_chain_cannot_be_cut_off_and_hidden():
    """Without its newest sets the chain is one of the message as it was then."""
    changed = MESSAGE.replace(b"Hello", b"Hullo")
    first = chained(1)[: -len(MESSAGE)] + changed
    assert (await verified(arc.seal(first, KEY, "mx2.test", RESULTS, PASS, NOW) + first)).result is Result.PASS
    assert (await verified(first)).result is Result.FAIL


async def test_attack_030_sealers_are_told_whatever_they_claim():
    """Who believes them is for policy to say; nothing here does."""
    key = replace(KEY, domain="evil.example")
    octets = arc.seal(MESSAGE, key, "mx.bank.example", RESULTS, NONE, NOW) + MESSAGE
    record = published(ED25519)["s-ed25519._domainkey.example.test"]
    found = await verified(octets, KeyZone({"s-ed25519._domainkey.evil.example": record}))
    assert (found.result, found.sealers) == (Result.PASS, ("evil.example",))


async def test_attack_029_weak_keys_seal_nothing():
    assert RSA_BITS_MIN == 1024
    weak = (
        "v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBANmBe10IgY+u7h3enWTukkqtUD5PR52T"
        "b/mPfjC0QJTocVBq6Za/PlzfV+Py92VaCak19F4WrbVTK5Gg5tW220MCAwEAAQ=="
    )
    octets = chained(1, keys=(load_key(RSA),))
    found = await verified(octets, KeyZone({"s-rsa._domainkey.example.test": [weak]}))
    assert (found.result, found.reason) == (Result.FAIL, "a key of 512 bits is not accepted")
