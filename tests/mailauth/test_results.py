"""Authentication-Results and Received-SPF: read by another reader, nothing of a stranger's gets out of its place."""

import re

import pytest

from mailstead.mailauth.results import authentication_results, received_spf, results_text, told_result, without_forged
from mailstead.model.address import Address
from mailstead.model.authentication import (
    ArcResult,
    Authentication,
    DkimResult,
    DmarcResult,
    IprevResult,
    Result,
    SpfResult,
)
from mailstead.model.envelope import Peer

ALICE = Address("alice", "example.com")
PEER = Peer("192.0.2.1", 45678)
OUR = "mx.example.org"
FOUND = Authentication(
    SpfResult(Result.PASS, "example.com", "mfrom", "ip4:192.0.2.0/24"),
    SpfResult(Result.NONE, "mx.example.com", "helo"),
    (
        DkimResult(Result.PASS, "example.com", "s1", "@example.com", "ed25519-sha256", "Ab/C+d=="),
        DkimResult(Result.FAIL, "list.example", "k", "", "rsa-sha256", "xyzxyzxy", "the body has been changed"),
    ),
    ArcResult(Result.PASS, ("a.example", "b.example")),
    DmarcResult(Result.PASS, "example.com", "example.com", "reject", is_spf_aligned=True),
    IprevResult(Result.PASS, "mx.example.com", "192.0.2.1"),
)
NOTHING = Authentication(
    SpfResult(Result.NONE, ""), None, (), ArcResult(Result.NONE), DmarcResult(Result.NONE), IprevResult(Result.NONE)
)

# A reader of our own for what RFC 8601 §2.2 allows: results, each with comments, reason and properties.
QUOTED = r'"(?:[^"\\\r\n]|\\[^\r\n])*"'
COMMENT = re.compile(r"\((?:[^()\\\r\n]|\\[^\r\n])*\)")
TOKEN = r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+"
ADDRESS = rf"(?:(?:[!#$%&'*+./0-9=?A-Z^_`a-z{{|}}~-]+|{QUOTED})?@)?[\w.-]+"
INFO = re.compile(
    rf"\s*(?P<method>[a-z]+)=(?P<result>[a-z]+)(?:\s+reason=(?:{TOKEN}|{QUOTED}))?"
    rf"(?P<properties>(?:\s+(?:smtp|header|policy)\.[a-z]+=(?:{QUOTED}@[\w.-]+|{QUOTED}|{ADDRESS}|{TOKEN}))*)\s*"
)


def read(field):
    """Take a field apart, or fail; give the id and (method, result) of each."""
    assert field.endswith("\r\n")
    lines = field[:-2].split("\r\n")
    assert all(line[0] in "\t " and line.strip() for line in lines[1:])
    assert max(map(len, lines)) < 998
    assert "\r" not in "".join(lines)
    assert "\n" not in "".join(lines)
    name, _, value = field.replace("\r\n", "").partition(":")
    assert name == "Authentication-Results"
    # Comments are taken out where no quotes are open.
    value = re.sub(rf"{QUOTED}|{COMMENT.pattern}", lambda found: "" if found[0][0] == "(" else found[0], value)
    parts = re.findall(rf"(?:{QUOTED}|[^;\"])+", value)
    assert ";".join(parts) == value
    infos = [INFO.fullmatch(part) for part in parts[1:]]
    assert all(infos), value
    return parts[0].strip(), [(info["method"], info["result"]) for info in infos]


def test_all_results_are_told():
    assert authentication_results(FOUND, OUR, ALICE, "mx.example.com") == (
        "Authentication-Results: mx.example.org;\r\n"
        "\tspf=pass (by ip4:192.0.2.0/24) smtp.mailfrom=alice@example.com;\r\n"
        "\tdkim=pass header.d=example.com header.i=@example.com header.s=s1\r\n"
        '\t header.a=ed25519-sha256 header.b="Ab/C+d==";\r\n'
        '\tdkim=fail reason="the body has been changed" header.d=list.example header.s=k\r\n'
        "\t header.a=rsa-sha256 header.b=xyzxyzxy;\r\n"
        "\tarc=pass (sealed by a.example, b.example);\r\n"
        "\tdmarc=pass (policy reject of example.com) header.from=example.com;\r\n"
        "\tiprev=pass (mx.example.com) policy.iprev=192.0.2.1\r\n"
    )


def test_the_text_for_arc_is_what_stands_behind_the_id():
    text = results_text(FOUND, ALICE, "mx.example.com")
    assert (
        authentication_results(FOUND, OUR, ALICE, "mx.example.com") == f"Authentication-Results: {OUR};\r\n\t{text}\r\n"
    )


def test_nothing_found_is_told_too():
    field = authentication_results(NOTHING, OUR, None, "")
    assert read(field) == (OUR, [("spf", "none"), ("dkim", "none"), ("dmarc", "none")])


def test_of_the_null_sender_helo_is_told():
    found = Authentication(
        SpfResult(Result.PASS, "mx.example.com", "helo", "a"), None, (), FOUND.arc, FOUND.dmarc, FOUND.iprev
    )
    assert "spf=pass (by a) smtp.helo=mx.example.com;" in authentication_results(found, OUR, None, "mx.example.com")


def test_an_address_beyond_ascii_is_told_in_utf8():
    assert 'smtp.mailfrom="jürgen@example.com"' in results_text(FOUND, Address("jürgen", "example.com"), "h")


NASTY = [
    "a; dmarc=pass header.from=bank.example", 'a"; dmarc=pass; x="', "a\r\nX-Injected: yes", "a\n\tdkim=pass", "a)(b", "a(((",
    "\\", 'a\\"', "a\\\r\n", "\x00\x1b[2J", "\u202e\u2028\u0085", "é" * 400, "x" * 5000, "=?utf-8?q?a?=", "\udcff", "a b\tc",
]  # fmt: skip


@pytest.mark.parametrize("text", NASTY)
def test_nothing_of_a_stranger_s_gets_out_of_its_place(text):
    found = Authentication(
        SpfResult(Result.PASS, text, "mfrom", text, text),
        SpfResult(Result.FAIL, text, "helo", text, text),
        (DkimResult(Result.FAIL, text, text, text, text, text, text),),
        ArcResult(Result.FAIL, (text, text), text, text),
        DmarcResult(Result.FAIL, text, text, text, reason=text, aggregate_to=(text,)),
        IprevResult(Result.PASS, text, text),
    )
    results = [
        ("spf", "pass"),
        ("spf", "fail"),
        ("dkim", "fail"),
        ("arc", "fail"),
        ("dmarc", "fail"),
        ("iprev", "pass"),
    ]
    field = authentication_results(found, OUR, Address(text, "example.com"), text)
    assert read(field) == (OUR, results)
    field.encode()
    field = received_spf(found, Peer(text, 1), Address(text, "example.com"), text, OUR)
    assert re.fullmatch(r"Received-SPF: pass(?: [^\r\n]+)?(?:\r\n\t [^\r\n]+)*\r\n", field)
    field.encode()


@pytest.mark.parametrize(
    ("spf", "start"),
    [
        (SpfResult(Result.PASS, "example.com", "mfrom", "mx"), "pass (mx.example.org: example.com lets 192.0.2.1 send"),
        (SpfResult(Result.FAIL, "example.com", "mfrom", "-all"), "fail (mx.example.org: example.com does not let"),
        (
            SpfResult(Result.SOFTFAIL, "example.com", "mfrom", "~all"),
            "softfail (mx.example.org: example.com would rather",
        ),
        (SpfResult(Result.NEUTRAL, "example.com"), "neutral (mx.example.org: example.com does not say"),
        (SpfResult(Result.NONE, "example.com"), "none (mx.example.org: example.com has no SPF record"),
        (SpfResult(Result.TEMPERROR, "example.com"), "temperror (mx.example.org: example.com cannot be checked"),
    ],
)
def test_received_spf_says_what_each_result_means(spf, start):
    found = Authentication(spf, None, (), FOUND.arc, FOUND.dmarc, FOUND.iprev)
    field = received_spf(found, PEER, ALICE, "mx.example.com", OUR).replace("\r\n\t", "")
    assert field.startswith(f"Received-SPF: {start}")


def test_received_spf_names_all_that_was_checked():
    assert received_spf(FOUND, PEER, ALICE, "mx.example.com", OUR) == (
        "Received-SPF: pass (mx.example.org: example.com lets 192.0.2.1 send its mail)\r\n"
        '\t identity=mailfrom; client-ip=192.0.2.1; envelope-from="alice@example.com";\r\n'
        '\t helo=mx.example.com; receiver=mx.example.org; mechanism="ip4:192.0.2.0/24"\r\n'
    )


def test_received_spf_of_the_null_sender_and_of_problems():
    spf = SpfResult(Result.PERMERROR, "mx.example.com", "helo", explanation="'a:' is not a domain")
    found = Authentication(spf, None, (), FOUND.arc, FOUND.dmarc, FOUND.iprev)
    field = received_spf(found, Peer("2001:db8::1", 1), None, "mx.example.com", OUR).replace("\r\n\t", "")
    assert 'identity=helo; client-ip="2001:db8::1"; envelope-from="";' in field
    assert field.endswith("problem=\"'a:' is not a domain\"\r\n")


# results that claim to be ours


@pytest.mark.parametrize(
    "field",
    [
        b"Authentication-Results: mx.example.org; dmarc=pass\r\n",
        b"AUTHENTICATION-RESULTS:mx.EXAMPLE.org;dmarc=pass\r\n",
        b"Authentication-Results : mx.example.org 1; dmarc=pass\r\n",
        b"Authentication-Results: mx.example.org\r\n",
        b"Authentication-Results: mx.example.org.; dmarc=pass\r\n",
        b"Authentication-Results:\r\n\tmx.example.org;\r\n\tdmarc=pass\r\n",
        b'Authentication-Results: "mx.example.org"; dmarc=pass\r\n',
        b'Authentication-Results: "mx.\\example.org"; dmarc=pass\r\n',
        b"Authentication-Results: (not (really)) mx.example.org; dmarc=pass\r\n",
        b"Authentication-Results: (a \\) b) mx.example.org; dmarc=pass\r\n",
        b"Authentication-Results: (open mx.example.org; dmarc=pass\r\n",
        b"Authentication-Results: ;mx.example.org; dmarc=pass\r\n",
        b'Authentication-Results: "mx.example.org; dmarc=pass\r\n',
        b"Authentication-Results: mx.example.org(x); dmarc=pass\r\n",
        b"Authentication-Results: mx.example.org; dmarc=pass\n",
        b"Authentication-Results: mx.example.org; dmarc=pass",
    ],
)
def test_forged_results_are_removed(field):
    before, after = b"Received: by x\r\n", b"From: a@b.example\r\n\r\n"
    assert without_forged(field, OUR) == b""
    assert without_forged(before + field, OUR) == before
    if field.endswith(b"\n"):
        assert without_forged(before + field + field + after, OUR) == before + after


@pytest.mark.parametrize(
    "field",
    [
        b"Authentication-Results: other.example.org; dmarc=pass\r\n",
        b"Authentication-Results: amx.example.org; dmarc=pass\r\n",
        b"Authentication-Results: mx.example.org.evil.example; dmarc=pass\r\n",
        b"Authentication-Results: other.example; spf=pass smtp.helo=mx.example.org\r\n",
        b"ARC-Authentication-Results: i=1; mx.example.org; dmarc=pass\r\n",
        b"X-Authentication-Results: mx.example.org; dmarc=pass\r\n",
        b"Subject: Authentication-Results: mx.example.org; dmarc=pass\r\n",
    ],
)
def test_results_of_others_stay(field):
    header = field + b"From: a@b.example\r\n\r\n"
    assert without_forged(header, OUR) == header


def test_our_own_field_is_recognised():
    field = authentication_results(FOUND, OUR, ALICE, "mx.example.com").encode()
    assert without_forged(field + b"\r\n", OUR) == b"\r\n"


# results of others


@pytest.mark.parametrize(
    "payload",
    [
        "mx.example; dmarc=pass",
        "mx.example; spf=fail smtp.mailfrom=a@b; dmarc=pass (p=none) header.from=b",
        "mx.example 1; DMARC / 1 = Pass header.from=b",
        "(x) mx.example (y); (z) dmarc (a) = (b (c)) pass",
    ],
)
def test_results_of_others_are_read(payload):
    assert told_result(payload, "dmarc") == "pass"


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "dmarc=pass",
        "mx.example; none",
        "mx.example; dmarc=fail; dmarc=pass",
        "mx.example; xdmarc=pass",
        "mx.example; dmarc=passed",
        "mx.example; dmarc=pass/fail",
        'mx.example; dkim=fail reason="; dmarc=pass"',
        'mx.example; dkim=fail reason="\\"; dmarc=pass"',
        "mx.example; dkim=fail (; dmarc=pass)",
        "mx.example; dkim=fail (\\); dmarc=pass)",
        'mx.example; dkim=fail reason="; dmarc=pass',
        "mx.example; spf=fail smtp.mailfrom=dmarc=pass",
    ],
)
def test_attack_030_what_strangers_have_put_into_results_tells_nothing(payload):
    assert told_result(payload, "dmarc") != "pass"


def test_our_own_results_are_read():
    assert told_result(f"{OUR}; {results_text(FOUND, ALICE, 'mx.example.com')}", "dmarc") == "pass"
