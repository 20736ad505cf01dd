"""Properties of the checks of senders over garbage and over almost-records."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from mailauth.zones import UNAVAILABLE, Zones
from mailstead.mailauth import dmarc, iprev, spf
from mailstead.mailauth.dmarc_record import parsed as dmarc_parsed
from mailstead.mailauth.results import authentication_results, received_spf, without_forged
from mailstead.mailauth.spf_macro import BadRecord, domain_spec, macro_string, shortened
from mailstead.mailauth.spf_record import parsed as spf_parsed
from mailstead.mime.address import addresses_of
from mailstead.model.address import Address, normal_domain
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
from mailstead.model.errors import BadMessage

NOW = datetime(2026, 11, 27, tzinfo=UTC)
NAMES = ["a.example", "b.example", "c.example", "d.a.example", "mx.example", "gone.example", "example"]
MACROS = ["%{l}", "%{d}", "%{o1}", "%{ir}", "%{p}", "%{h}", "%{s2r-}", "%{L}", "%%", "%_", "%-", "%{v}", "%"]
TERMS = [
    "+all", "-all", "?all", "a", "mx", "ptr", "a/8", "mx//64", "ip4:192.0.2.0/24", "ip6:::/0", "ip4:x", "exp=b.example",
    *(f"{kind}:{name}" for kind in ("include", "a", "mx", "ptr", "exists") for name in NAMES),
    *(f"redirect={name}" for name in NAMES),
    *(f"exists:{macro}.example" for macro in MACROS),
    *(f"include:{macro}" for macro in MACROS), "",
]  # fmt: skip
almost_spf = st.lists(st.sampled_from(TERMS), max_size=14).map(lambda terms: " ".join(["v=spf1", *terms]).encode())
addresses = st.lists(st.sampled_from(["192.0.2.1", "192.0.2.77", "198.51.100.1"]), max_size=3)
addresses6 = st.lists(st.sampled_from(["2001:db8::1", "2001:db8:1::"]), max_size=3)
exchanges = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([*NAMES, ""])), max_size=12)
entries = st.just(UNAVAILABLE) | st.fixed_dictionaries(
    {},
    optional={
        "TXT": st.just(UNAVAILABLE) | st.lists(almost_spf | st.binary(max_size=40), max_size=2),
        "A": st.just(UNAVAILABLE) | addresses,
        "AAAA": addresses6,
        "MX": st.just(UNAVAILABLE) | exchanges,
    },
)
reverse = st.fixed_dictionaries({"PTR": st.lists(st.sampled_from([*NAMES, "..", "x" * 70]), max_size=14)})
zones = st.fixed_dictionaries(
    {"a.example": st.fixed_dictionaries({"TXT": st.lists(almost_spf, min_size=1, max_size=1)})},
    optional=dict.fromkeys(NAMES[1:], entries) | {"1.2.0.192.in-addr.arpa": reverse},
)
almost_dmarc = st.lists(
    st.sampled_from(
        ["p=reject", "p=none", "psd=y", "psd=n", "adkim=s", "aspf=s", "t=y", "np=none", "sp=x", "rua=mailto:a@b"]
    ),
    max_size=4,
).map(lambda tags: "; ".join(["v=DMARC1", *tags]).encode())
policies = st.dictionaries(
    st.sampled_from(NAMES),
    st.just(UNAVAILABLE) | st.fixed_dictionaries({"TXT": st.lists(almost_dmarc | st.binary(max_size=20), max_size=2)}),
)
texts = st.text(max_size=60)


@settings(deadline=None)
@given(st.binary(max_size=200) | almost_spf | st.text(max_size=100).map(str.encode))
def test_records_are_read_or_refused(octets):
    with suppress(BadRecord):
        spf_parsed(b"v=spf1 " + octets)
    dmarc_parsed(octets)
    dmarc_parsed(b"v=DMARC1;" + octets)


@settings(deadline=None)
@given(st.text(alphabet="%{}slodiphcrtv0129r.-+,/_= aZ", max_size=60))
def test_macros_are_read_or_refused(text):
    for read in (macro_string, domain_spec):
        try:
            pieces = read(text)
        except BadRecord:
            continue
        assert pieces or not text


@settings(deadline=None)
@given(st.text(alphabet="ab.", max_size=600))
def test_shortened_names_are_the_right_end(name):
    short = shortened(name)
    assert len(short) <= 253
    assert name.removesuffix(".").endswith(short)


@settings(deadline=None)
@given(zones, st.sampled_from(["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "x"]), texts, texts)
def test_spf_never_raises_and_never_passes_its_limits(names, client, helo, local_part):
    asked = Zones(names)
    mail_from = Address(local_part, "a.example")
    counts, _ = asyncio.run(spf.check(asked, client, helo, mail_from, receiver="mx.example.org", now=NOW))
    assert counts.result in Result
    assert counts.explanation.isascii()
    assert counts.explanation.isprintable()
    # One record, ten terms; a term has at most one question and ten names of the client or mail exchangers.
    # The explanation asks for one text, and for the client's names if nobody has yet.
    assert len(asked.questions) <= 2 * (1 + 10 * 11 + 1 + 11)
    if counts.is_from_all:
        assert counts.result is Result.PASS
    asyncio.run(iprev.check(asked, client))


@settings(deadline=None)
@given(
    policies,
    st.sampled_from(NAMES),
    st.lists(st.tuples(st.sampled_from(list(Result)), st.sampled_from(NAMES)), max_size=12),
)
def test_dmarc_never_raises_and_passes_only_with_a_pass(names, domain, signers):
    published = {f"_dmarc.{name}": entry for name, entry in names.items()}
    dkim = [DkimResult(result, signer) for result, signer in signers]
    asked = Zones(published)
    found = asyncio.run(dmarc.check(asked, domain, SpfResult(Result.NONE, ""), dkim))
    assert len(set(asked.questions)) == len(asked.questions)
    if found.is_dkim_aligned:
        assert any(each.result is Result.PASS for each in dkim)
    assert not found.is_spf_aligned


PIECES = [
    b"alice@example.com", b"<", b">", b"(", b")", b'"', b"\\", b",", b";", b":", b"@", b" ", b"\r\n ", b"\0", b"=?utf-8?q?",
    b"?=", b"=00", b"Bank", b"bank@bank.example", b"\xc3\xa9", b"\xff", b".", b"[192.0.2.1]", b"Group",
]  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=10).map(b"".join) | st.binary(max_size=60))
def test_attack_031_an_author_is_what_is_shown_or_nobody(value):
    try:
        author = dmarc.author(b"From: " + value + b"\r\n\r\n")
    except BadMessage:
        return
    (shown,) = addresses_of(value.partition(b"\r\n\r\n")[0])
    assert normal_domain(shown.domain.decode()) == author.domain
    assert b"\0" not in value


results = st.sampled_from(list(Result))


@settings(deadline=None)
@given(
    st.builds(
        Authentication,
        st.builds(SpfResult, results, texts, st.sampled_from(["mfrom", "helo"]), texts, texts),
        st.none() | st.builds(SpfResult, results, texts, st.just("helo"), texts, texts),
        st.lists(st.builds(DkimResult, results, texts, texts, texts, texts, texts, texts), max_size=3).map(tuple),
        st.builds(ArcResult, results, st.lists(texts, max_size=2).map(tuple), texts, texts),
        st.builds(DmarcResult, results, texts, texts, texts, reason=texts),
        st.builds(IprevResult, results, texts, texts),
    ),
    texts,
    texts,
)
def test_fields_stay_one_field_each(found, helo, local_part):
    mail_from = Address(local_part, "example.com")
    ours = authentication_results(found, "mx.example.org", mail_from, helo).encode()
    written = ours + received_spf(found, Peer("192.0.2.1", 1), mail_from, helo, "mx.example.org").encode()
    lines = written.split(b"\r\n")
    assert lines.pop() == b""
    assert [line for line in lines if line[:1] not in {b"\t", b" "}] == [
        line for line in lines if line.startswith((b"Authentication-Results: ", b"Received-SPF: "))
    ]
    assert sum(line[:1] not in {b"\t", b" "} for line in lines) == 2
    assert not set(written.replace(b"\r\n", b"").replace(b"\t", b"")) & {*range(32), 127}
    assert without_forged(written, "mx.example.org") == written[len(ours) :]


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_removing_forged_fields_only_removes(value):
    header = b"A: b\r\nAuthentication-Results:" + value + b"\r\nC: d\r\n\r\n"
    clean = without_forged(header, "mx.example.org")
    assert len(clean) <= len(header)
    assert clean.startswith(b"A: b\r\n")
    assert without_forged(clean, "mx.example.org") == clean
