"""DKIM verified and signed: vectors of the RFCs, each rule broken once, attacks."""

import asyncio
from base64 import b64decode, b64encode
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mailauth.keyzone import ED25519, MESSAGE, NOW, NOW_S, RSA, KeyZone, published, signed_by_hand
from mailstead.mailauth import dkim
from mailstead.mailauth.canonical import CanonicalMessage, Form
from mailstead.mailauth.dkim_keys import _pkcs8
from mailstead.mailauth.dkim_signature import EXPIRY_GRACE_S, FUTURE_MAX_S, THREAD_OCTETS
from mailstead.model.authentication import DkimResult, Result
from mailstead.model.directory import DkimKey, KeyState

LETTER = b"""\
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
"""
RFC_6376_A = (
    b"""\
DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
      4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
"""
    + LETTER.replace(b".  Are", b". Are")  # as the erratum says
).replace(b"\n", b"\r\n")
RFC_6376_KEY = (
    "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkM"
    "oGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/R"
    "tdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
)
RFC_8463_A = (
    b"""\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
"""
    + LETTER
).replace(b"\n", b"\r\n")
RFC_8463_KEYS = {
    "brisbane._domainkey.football.example.com": ["v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="],
    "test._domainkey.football.example.com": [
        (
            "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR"
            "iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC"
            "DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3"
            "Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
        )
    ],
}

SMALL_KEY = b64decode(
    b"MIIB5AIBADANBgkqhkiG9w0BAQEFAASCAc4wggHKAgEAAmEAvI+dekz7Vf+5RpMkFm7o1fJ2W6Z1EdKimSCUVRdL5RDOoA1mfHgW"
    b"qBlWKaZLhddgvTkNIV4R1hGHPM9MOFLFetyp/6DSrujJ0TGp/TfqoE0G+T9j0LRd7W3Gw/F0KIbrAgMBAAECYG3NJ4O3XkhW8Hnj"
    b"ZwlVLmqflUKLbPKi+KI4sYfXWA+cuOXEx+BFQdRDZMQ+HQ5kOuYiLEyx9qLEOvX0tBcHScyIgJ1+tYF64GQgnBs9WjmZDTzdrsUH"
    b"VAf2loeWOpYaqQIxAODbSN5J9YTHhEivwxe8hGSXnrvu4oKvuvOIUUGwlWrpeFwRuB0a7a4rNoEzQZgXrwIxANatZuSwBG6SGt+S"
    b"aTgEA0exVoraIgadaWC3jzdquEYMxOqVVTrTn7RpinGS15SXhQIwD14NQdvuIq/8E3enrrScm79dAt0Vr/bQoRo8629lFtRz/F7d"
    b"pWeUvOWJKRVWs01TAjAZkQso/yF3/aR/rdMkHa46Uo9o9/OHcCXFo/bFdcs+ZHTrLx+4Ys2pUcxwHDnac3UCMQCw6h0+g3RXBH3+"
    b"A2j+Td8a7v1gZz7XXHxhHSfRuEaIzZzPFaP3LEEA2PX/hagtXG8="
)
"""An RSA key of 768 bits, as the library makes none so small."""


async def verified(octets, zone=None, now=NOW) -> DkimResult:
    [result] = await dkim.verify(octets, zone or KeyZone(), now)
    return result


# Vectors


async def test_the_example_of_rfc_6376_passes():
    result = await verified(RFC_6376_A, KeyZone({"brisbane._domainkey.example.com": [RFC_6376_KEY]}))
    assert result == DkimResult(
        Result.PASS, "example.com", "brisbane", "joe@football.example.com", "rsa-sha256", "AuUoFEfD"
    )


async def test_the_example_of_rfc_8463_passes():
    results = await dkim.verify(RFC_8463_A, KeyZone(RFC_8463_KEYS), NOW)
    assert [(each.result, each.algorithm, each.signature_start) for each in results] == [
        (Result.PASS, "ed25519-sha256", "/gCrinpc"),
        (Result.PASS, "rsa-sha256", "F45dVWDf"),
    ]


@pytest.mark.parametrize("at", range(0, len(RFC_8463_A), 37))
async def test_no_changed_octet_passes(at):
    """Wherever a letter of the vector is changed, a signature fails; the other one too, if it is in what both cover."""
    changed = bytearray(RFC_8463_A)
    if not changed[at : at + 1].isalnum():
        return
    changed[at] = ord("Q") if changed[at] != ord("Q") else ord("R")
    results = await dkim.verify(changed, KeyZone(RFC_8463_KEYS), NOW)
    passed = sum(each.result is Result.PASS for each in results)
    signatures_stop = RFC_8463_A.index(b"From:")
    assert passed <= 1 if at < signatures_stop else passed == 0


# Signing


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
async def test_what_we_sign_passes(form):
    fields = dkim.sign(form(MESSAGE), [dkim.load_key(RSA), dkim.load_key(ED25519)], NOW)
    results = await dkim.verify(form(fields + MESSAGE), KeyZone(), NOW)
    assert [(each.result, each.domain, each.selector) for each in results] == [
        (Result.PASS, "example.test", "s-rsa"),
        (Result.PASS, "example.test", "s-ed25519"),
    ]


def test_a_signature_is_written_well():
    fields = dkim.sign(MESSAGE, [dkim.load_key(RSA), dkim.load_key(ED25519)], NOW)
    assert fields.endswith(b"\r\n")
    assert max(map(len, fields.split(b"\r\n"))) <= 78
    assert b"\n" not in fields.replace(b"\r\n", b"")
    first, second = fields.split(b"DKIM-Signature:")[1:]
    assert b"l=" not in first.replace(b"\tbh=", b"").partition(b"\tb=")[0]
    assert f"t={NOW_S}; x={NOW_S + 7 * 86400};".encode() in first
    assert first.partition(b"bh=")[2][:44] == second.partition(b"bh=")[2][:44]


def test_without_keys_there_is_no_signature():
    assert dkim.sign(MESSAGE, [], NOW) == b""


async def test_a_field_of_a_list_may_be_added_but_not_a_second_one():
    listed = b"List-Id: <a.example.test>\r\n" + MESSAGE
    key = [dkim.load_key(ED25519)]
    assert (await verified(b"List-Id: x\r\n" + dkim.sign(MESSAGE, key, NOW) + MESSAGE)).result is Result.PASS
    assert (await verified(b"List-Id: x\r\n" + dkim.sign(listed, key, NOW) + listed)).result is Result.FAIL


async def test_folding_again_and_trailing_space_break_nothing():
    signed = dkim.sign(MESSAGE, [dkim.load_key(RSA)], NOW) + MESSAGE
    changed = signed.replace(b"Subject: a  subject\r\n that", b"SUBJECT:a subject that").replace(b"Bob,", b"Bob, ")
    assert changed != signed
    assert (await verified(changed)).result is Result.PASS


# Rules


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
@pytest.mark.parametrize("form", Form)
async def test_all_forms_and_algorithms_pass(key, form):
    assert (await verified(signed_by_hand(key=key, form=form))).result is Result.PASS


@pytest.mark.parametrize("c", [b"relaxed", b"simple", None, b"Relaxed/Simple", b"simple/relaxed"], ids=str)
async def test_what_c_does_not_say_is_simple(c):
    header, _, body = (c or b"simple").lower().partition(b"/")
    hashed = b64encode(CanonicalMessage(MESSAGE).body_hash(Form(body or b"simple")).digest)
    octets = signed_by_hand(tags={"c": c}, form=Form(header), body_hash=hashed)
    assert (await verified(octets)).result is Result.PASS


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"v": None}, "version"),
        ({"v": b"2"}, "version"),
        ({"a": None}, "algorithm"),
        ({"a": b"rsa-sha512"}, "algorithm"),
        ({"bh": None}, "bh= is missing"),
        ({"h": None}, "h= is missing"),
        ({"h": b"to:subject"}, "From is not signed"),
        ({"d": None}, "d= or s="),
        ({"s": None}, "d= or s="),
        ({"d": b"exa mple.test"}, "not a domain"),
        ({"d": b"[192.0.2.1]"}, "not a domain"),
        ({"d": b"x" * 300}, "too long"),
        ({"s": b"a/b"}, "not a domain"),
        ({"c": b"relaxed/nowsp"}, "canonicalization"),
        ({"q": b"dns/other"}, "unknown method"),
        ({"i": b"alice@example.org"}, "i= is not in"),
        ({"i": b"alice@notexample.test"}, "i= is not in"),
        ({"i": b"alice"}, "i= is not in"),
        ({"l": b"-1"}, "l= is not a number"),
        ({"l": b"100000"}, "l= is larger"),
        ({"t": b"soon"}, "t= is not a time"),
        ({"t": b"100", "x": b"100"}, "x= is not behind"),
        ({"s": b"unknown"}, "no key"),
        ({"a": b"ed25519-sha256"}, "another algorithm"),
        ({"x_y": b"1;"}, "not well formed"),
        ({"z": b"1; z=2"}, "stands twice"),
    ],
)
async def test_a_broken_rule_is_a_permanent_error(tags, reason):
    result = await verified(signed_by_hand(tags=tags))
    assert (result.result, reason in result.reason) == (Result.PERMERROR, True), result


@pytest.mark.parametrize(
    "tags",
    [
        {"i": b"@example.test"},
        {"i": b"alice@sub.EXAMPLE.test"},
        {"d": b"EXAMPLE.test"},
        {"q": b"dns/other:dns/txt"},
        {"t": str(NOW_S).encode(), "x": str(NOW_S + 10).encode()},
        {"x": str(NOW_S - EXPIRY_GRACE_S).encode()},
        {"t": str(NOW_S + FUTURE_MAX_S).encode()},
        {"unknown": b"tag"},
        {"a": b"RSA-SHA256"},
    ],
)
async def test_what_the_rules_allow_passes(tags):
    assert (await verified(signed_by_hand(tags=tags))).result is Result.PASS


async def test_times_are_looked_at():
    old = signed_by_hand(tags={"x": str(NOW_S - EXPIRY_GRACE_S - 1).encode()})
    early = signed_by_hand(tags={"t": str(NOW_S + FUTURE_MAX_S + 1).encode()})
    assert ((await verified(old)).result, (await verified(early)).result) == (Result.POLICY, Result.POLICY)


async def test_a_changed_body_and_a_changed_header_fail_and_say_so():
    octets = signed_by_hand()
    assert (await verified(octets.replace(b"Hello", b"Hallo"))).reason == "the body was changed"
    header = await verified(octets.replace(b"To: Bob", b"To: Rob"))
    assert (header.result, header.reason) == (Result.FAIL, "the signature does not fit the header")


async def test_dns_trouble_is_temporary():
    result = await verified(signed_by_hand(), KeyZone(failing=("s-rsa._domainkey.example.test",)))
    assert (result.result, result.domain) == (Result.TEMPERROR, "example.test")


async def test_a_body_that_was_changed_costs_no_dns():
    zone = KeyZone()
    await verified(signed_by_hand().replace(b"Hello", b"Hallo"), zone)
    assert zone.asked == []


async def test_flags_of_the_key():
    record = published(RSA)["s-rsa._domainkey.example.test"][0]
    zone = KeyZone({"s-rsa._domainkey.example.test": [record + "; t=y:s"]})
    assert (await verified(signed_by_hand(), zone)) == DkimResult(
        Result.PASS,
        "example.test",
        "s-rsa",
        "",
        "rsa-sha256",
        (await verified(signed_by_hand())).signature_start,
        "",
        True,
    )
    below = await verified(signed_by_hand(tags={"i": b"@sub.example.test"}), zone)
    assert (below.result, below.is_testing) == (Result.PERMERROR, True)


async def test_an_internationalised_domain():
    key = DkimKey("xn--bcher-kva.example", "s", RSA.algorithm, RSA.private_key, NOW, KeyState.ACTIVE)
    octets = signed_by_hand(key=key, tags={"d": "bücher.example".encode()})
    result = await verified(octets, KeyZone(published(key)))
    assert (result.result, result.domain) == (Result.PASS, "xn--bcher-kva.example")


async def test_no_signature_gives_no_result():
    assert await dkim.verify(MESSAGE, KeyZone(), NOW) == ()
    assert await dkim.verify(b"", KeyZone(), NOW) == ()


async def test_signatures_are_verified_at_the_same_time():
    """Each waits for its key while the others are asked for."""
    all_asked = asyncio.Event()

    class Waiting(KeyZone):
        async def txt(self, name):
            answer = await super().txt(name)
            if len(self.asked) == 2:
                all_asked.set()
            await all_asked.wait()
            return answer

    octets = signed_by_hand(signed_by_hand(), ED25519)
    results = await asyncio.wait_for(dkim.verify(octets, Waiting(), NOW), 10)
    assert [each.result for each in results] == [Result.PASS, Result.PASS]


async def test_a_large_body_passes_too():
    message = MESSAGE + b"many  words \r\n" * (THREAD_OCTETS // 10)
    octets = dkim.sign(message, [dkim.load_key(ED25519)], NOW) + message
    assert (await verified(octets)).result is Result.PASS
    assert (await verified(octets + b"x\r\n")).result is Result.FAIL


async def test_work_is_shared_with_the_caller():
    octets = signed_by_hand()
    message = CanonicalMessage(octets)
    [result] = await dkim.verify(octets, KeyZone(), NOW, message=message)
    assert result.result is Result.PASS


# Attacks


async def test_attack_027_a_replay_passes_for_a_week_only():
    octets = dkim.sign(MESSAGE, [dkim.load_key(RSA)], NOW) + MESSAGE
    assert (await verified(octets, now=NOW + timedelta(days=6, hours=23))).result is Result.PASS
    late = await verified(octets, now=NOW + timedelta(days=7, hours=1))
    assert (late.result, late.reason) == (Result.POLICY, "the signature has expired")


@pytest.mark.parametrize(
    "field", [b"To: everybody@example.org", b"Cc: everybody@example.org", b"Reply-To: eve@example.org"]
)
async def test_attack_027_a_replay_cannot_be_addressed_anew(field):
    octets = dkim.sign(MESSAGE, [dkim.load_key(RSA)], NOW) + MESSAGE
    assert (await verified(field + b"\r\n" + octets)).result is Result.FAIL


@pytest.mark.parametrize("name", dkim.OVERSIGNED)
@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
async def test_attack_028_no_signed_field_can_be_added(name, key):
    octets = dkim.sign(MESSAGE, [dkim.load_key(key)], NOW) + MESSAGE
    for changed in (name + b": x\r\n" + octets, octets.replace(b"\r\n\r\n", b"\r\n" + name + b": x\r\n\r\n", 1)):
        assert (await verified(changed)).result is Result.FAIL


@pytest.mark.parametrize("form", Form)
async def test_attack_028_an_unsigned_tail_does_not_pass(form):
    size = CanonicalMessage(MESSAGE).body_hash(form).size
    octets = signed_by_hand(form=form, tags={"l": str(size).encode()})
    assert (await verified(octets)).result is Result.PASS
    tail = await verified(octets.rstrip() + b"\r\n--x\r\nContent-Type: text/html\r\n\r\nBuy now\r\n")
    assert (tail.result, tail.reason) == (Result.POLICY, "the signature does not cover the whole body (l=)")
    nothing = signed_by_hand(form=form, tags={"l": b"0", "bh": b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="})
    assert (await verified(nothing)).result is Result.POLICY


@pytest.mark.parametrize(("bits", "result"), [(768, "policy"), (1024, "pass"), (4096, "pass"), (4104, "policy")])
async def test_attack_029_sizes_of_keys(bits, result):
    private = SMALL_KEY if bits == 768 else _pkcs8(rsa.generate_private_key(65537, bits))
    key = DkimKey("example.test", "k", "rsa-sha256", private, NOW, KeyState.ACTIVE)
    found = await verified(signed_by_hand(key=key), KeyZone(published(key)))
    assert (found.result, f"{bits} bits" in found.reason) == (result, result == "policy")


async def test_attack_029_sha1_proves_nothing():
    zone = KeyZone()
    found = await verified(signed_by_hand(tags={"a": b"rsa-sha1"}), zone)
    assert (found.result, found.reason, zone.asked) == (Result.POLICY, "rsa-sha1 is not accepted", [])


async def test_attack_029_a_thousand_signatures():
    names = [f"s{number}" for number in range(900)]
    bogus = b"".join(signed_by_hand(tags={"s": name.encode()}).partition(b"From:")[0] for name in names[:20])
    zone = KeyZone()
    results = await dkim.verify(bogus * 45 + MESSAGE, zone, NOW)
    assert len(results) == len(zone.asked) == dkim.SIGNATURES_MAX


async def test_attack_029_a_test_key_is_told():
    record = published(ED25519)["s-ed25519._domainkey.example.test"][0] + "; t=y"
    zone = KeyZone({"s-ed25519._domainkey.example.test": [record]})
    assert (await verified(signed_by_hand(key=ED25519), zone)).is_testing
