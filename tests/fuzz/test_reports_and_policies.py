"""What strangers send us as reports, policies, certificates and records is read or refused, and nothing else."""

import gzip
import json
import zipfile
from datetime import UTC, datetime
from io import BytesIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailauth import test_aggregate, test_dane, test_tlsrpt
from mailstead.mailauth import aggregate, aggregate_xml, dane, mta_sts, tlsrpt
from mailstead.mailauth.report_parts import BadReport, harmless
from mailstead.ports.resolver import Tlsa

NOW = datetime(2026, 11, 27, tzinfo=UTC)
XML = test_aggregate.xml(test_aggregate.record())
JSON = json.dumps(test_tlsrpt.report()).encode()
WRAPPED = [
    XML,
    gzip.compress(XML),
    test_aggregate.zipped(XML),
    test_aggregate.zipped(XML, method=zipfile.ZIP_STORED),
    test_aggregate.mail(gzip.compress(XML)),
    test_aggregate.mail(test_aggregate.zipped(XML), "application/zip", "x.zip"),
    JSON,
    gzip.compress(JSON),
    test_aggregate.mail(gzip.compress(JSON), "application/tlsrpt+gzip", "x.json.gz"),
]


def damaged(octets, changes, cut):
    octets = bytearray(octets)
    for position, value in changes:
        octets[position % len(octets)] = value
    return bytes(octets[: len(octets) - cut])


changes = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=6)


@pytest.mark.parametrize("parse", [aggregate_xml.parse_report, tlsrpt.parse_report])
@given(st.sampled_from(WRAPPED), changes, st.integers(0, 60))
def test_attack_038_damaged_reports_are_read_or_refused(parse, octets, changes, cut):
    try:
        report = parse(damaged(octets, changes, cut), NOW)
    except BadReport:
        return
    assert report.reporter.isprintable()


@pytest.mark.parametrize("parse", [aggregate_xml.parse_report, tlsrpt.parse_report])
@given(st.sampled_from([b"", b"\x1f\x8b\x08", b"PK\x03\x04", b"<feedback>", b'{"policies":[']), st.binary(max_size=500))
def test_attack_038_rubbish_is_refused(parse, start, rest):
    with pytest.raises(BadReport):
        parse(start + rest, NOW)


@pytest.mark.parametrize("parse", [aggregate_xml.parse_report, tlsrpt.parse_report])
@given(changes, st.integers(0, 60))
@example([(1001, 0)], 0)  # a member without a name
def test_attack_038_damaged_archives_are_read_or_refused(parse, changes, cut):
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/", b"")
        archive.writestr("b.xml", XML)
        archive.comment = b"x" * 20
    try:
        parse(damaged(file.getvalue(), changes, cut), NOW)
    except BadReport:
        return


@given(st.text(max_size=400))
def test_attack_038_harmless_texts_are_one_line_that_is_no_formula(text):
    result = harmless(text)
    assert all(letter == " " or not letter.isspace() for letter in result)
    assert len(result) <= 200
    assert not result.startswith(("=", "+", "-", "@", " "))
    assert harmless(result) == result.rstrip()


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.text(st.characters(codec="utf-8"), max_size=60))
def test_attack_038_what_we_write_we_read_back(selector, envelope_from):
    judged = aggregate_xml.Judged(
        "192.0.2.1",
        "none",
        "",
        True,
        False,
        "example.com",
        envelope_from,
        (("a.test", selector, "pass"),),
        ("b.test", "fail"),
    )
    published = aggregate_xml.Published("example.com", aggregate.dmarc_record.Record("none"))
    text = aggregate_xml.written(published, NOW.date(), [(judged, 7)], test_aggregate.REPORTER, "1")
    (row,) = aggregate_xml.parse_report(text.encode(), NOW).rows
    assert (row.count, row.detail) == (7, "spf=fail dkim=pass header_from=example.com")


POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mx.example.test\r\nmax_age: 86400\r\n"


@given(changes, st.integers(0, 60))
def test_attack_036_damaged_policies_are_read_or_refused(changes, cut):
    try:
        policy = mta_sts.parse_policy(damaged(POLICY, changes, cut), "1")
    except mta_sts.BadPolicy:
        return
    assert policy.max_age_s <= mta_sts.MAX_AGE_MAX_S


@given(
    st.lists(st.binary(max_size=100), max_size=3),
    st.sampled_from([b"v=STSv1;", b"v=TLSRPTv1;rua="]),
    st.binary(max_size=60),
)
def test_records_of_strangers_are_read_without_trouble(others, start, rest):
    texts = (*others, start + rest)
    assert isinstance(mta_sts.published_id(texts), str)
    assert all("\r" not in each and "\n" not in each for each in tlsrpt.targets(texts))


@given(changes, st.integers(0, 60), st.sampled_from([(3, 0), (3, 1), (2, 0), (2, 1)]))
def test_attack_035_damaged_certificates_match_or_not(changes, cut, kind):
    chain = [damaged(der, changes, cut if number == 0 else 0) for number, der in enumerate(test_dane.CHAIN)]
    usage, selector = kind
    anchor = test_dane.ROOT if usage == dane.DANE_TA else test_dane.LEAF
    records = dane.DaneRecords((anchor.tlsa(usage, selector, 1), Tlsa(2, 0, 0, chain[1])), ("mx.test",), is_usable=True)
    if dane.matches(records, chain, test_dane.NOW):
        assert chain[0] == test_dane.LEAF.der or selector == dane.PUBLIC_KEY
