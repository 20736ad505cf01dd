"""TLS reports: made from what was noted, and read back."""

import gzip
import json
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest

from mailauth.zones import UNAVAILABLE, Zones
from mailstead.mailauth.report_mail import Reporter
from mailstead.mailauth.report_parts import BadReport
from mailstead.mailauth.tlsrpt import TlsOutcome, TlsOutcomes, parse_report, targets
from mailstead.model.errors import StorageFull
from mailstead.model.reports import ReportRow

REPORTER = Reporter("Example Mail", "tls-reports@us.test", "mx.us.test")
LINES = ("version: STSv1", "mode: enforce", "mx: mx.example.test", "max_age: 86400")
RECEIVED_AT = datetime(2026, 11, 29, tzinfo=UTC)


def outcome(result_type="success", *, domain="example.test", policy_type="sts", detail="", mx_host="mx.example.test"):
    lines = LINES if policy_type == "sts" else ()
    return TlsOutcome(domain, policy_type, lines, mx_host, "192.0.2.1", "192.0.2.99", result_type, detail)


@pytest.fixture
def outcomes(memory, clock):
    return TlsOutcomes(memory, clock)


@pytest.fixture
def zones():
    return Zones(
        {
            "_smtp._tls.example.test": {
                "TXT": ["v=TLSRPTv1; rua=mailto:tls@example.test,https://reports.example.test/tls"]
            }
        }
    )


async def day_over(outcomes, clock):
    await outcomes.flush()
    clock.pass_time(hours=20)


async def test_a_day_becomes_a_report(outcomes, clock, zones):
    for _ in range(3):
        outcomes.note(outcome())
    outcomes.note(outcome("certificate-expired", detail="expired on Monday\r\nBcc: x"))
    outcomes.note(outcome("validation-failure", policy_type="tlsa"))
    await outcomes.flush()
    outcomes.note(outcome())
    assert await outcomes.reports_due(zones, REPORTER) == []
    await day_over(outcomes, clock)
    by_mail, by_web = await outcomes.reports_due(zones, REPORTER)
    assert (by_web.mail_to, by_web.url, by_web.media_type) == (
        "",
        "https://reports.example.test/tls",
        "application/tlsrpt+gzip",
    )
    told = json.loads(gzip.decompress(by_web.octets))
    assert told["organization-name"] == "Example Mail"
    assert told["contact-info"] == "tls-reports@us.test"
    assert told["date-range"] == {"start-datetime": "2026-11-27T00:00:00Z", "end-datetime": "2026-11-27T23:59:59Z"}
    sts, tlsa = sorted(told["policies"], key=lambda each: each["policy"]["policy-type"])
    assert sts == {
        "policy": {
            "policy-type": "sts",
            "policy-domain": "example.test",
            "policy-string": list(LINES),
            "mx-host": ["mx.example.test"],
        },
        "summary": {"total-successful-session-count": 4, "total-failure-session-count": 1},
        "failure-details": [
            {
                "result-type": "certificate-expired",
                "sending-mta-ip": "192.0.2.99",
                "receiving-mx-hostname": "mx.example.test",
                "receiving-ip": "192.0.2.1",
                "failure-reason-code": "expired on Monday Bcc: x",
                "failed-session-count": 1,
            }
        ],
    }
    assert tlsa["policy"] == {"policy-type": "tlsa", "policy-domain": "example.test"}
    assert by_mail.mail_to == "tls@example.test"
    mail = message_from_bytes(by_mail.octets, policy=default)
    assert (mail["From"], mail["To"]) == ("tls-reports@us.test", "tls@example.test")
    assert mail["Subject"] == f"Report Domain: example.test Submitter: mx.us.test Report-ID: <{told['report-id']}>"
    assert (mail["TLS-Report-Domain"], mail["TLS-Report-Submitter"], mail["TLS-Required"]) == (
        "example.test",
        "mx.us.test",
        "No",
    )
    assert mail.get_content_type() == "multipart/report"
    assert mail["Content-Type"].params["report-type"] == "tlsrpt"
    text, attachment = mail.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert attachment.get_content_type() == "application/tlsrpt+gzip"
    assert attachment.get_filename() == "mx.us.test!example.test!1795737600!1795823999.json.gz"
    assert attachment.get_content() == by_web.octets
    assert b"\n" not in by_mail.octets.replace(b"\r\n", b"")


async def test_what_we_write_we_read(outcomes, clock, zones):
    outcomes.note(outcome())
    outcomes.note(outcome("starttls-not-supported", detail="none offered"))
    await day_over(outcomes, clock)
    by_mail, by_web = await outcomes.reports_due(zones, REPORTER)
    report = parse_report(by_mail.octets, RECEIVED_AT)
    assert (
        report == parse_report(by_web.octets, RECEIVED_AT) == parse_report(gzip.decompress(by_web.octets), RECEIVED_AT)
    )
    assert (report.kind, report.domain, report.reporter) == ("tls", "example.test", "Example Mail")
    assert (report.begin, report.end) == (
        datetime(2026, 11, 27, tzinfo=UTC),
        datetime(2026, 11, 27, 23, 59, 59, tzinfo=UTC),
    )
    assert report.rows == (
        ReportRow(1, "", "success", "sts"),
        ReportRow(1, "mx.example.test", "starttls-not-supported", "sts none offered"),
    )


async def test_each_report_is_given_once_to_one_of_all_processes(outcomes, clock, zones, memory):
    outcomes.note(outcome())
    await day_over(outcomes, clock)
    assert len(await TlsOutcomes(memory, clock).reports_due(zones, REPORTER)) == 2
    assert await outcomes.reports_due(zones, REPORTER) == []


async def test_reports_fall_due_over_four_hours_after_midnight(outcomes, clock):
    names = {f"d{number}.test": None for number in range(40)}
    zones = Zones({f"_smtp._tls.{name}": {"TXT": [f"v=TLSRPTv1;rua=mailto:x@{name}"]} for name in names})
    for name in names:
        outcomes.note(outcome(domain=name))
    await outcomes.flush()
    clock.pass_time(hours=12)
    counts = []
    for _ in range(5):
        counts.append(len(await outcomes.reports_due(zones, REPORTER)))
        clock.pass_time(hours=1)
    assert sum(counts) == 40
    assert counts[0] < 5
    assert all(count for count in counts[1:])


async def test_a_domain_that_cannot_be_asked_now_is_asked_later(outcomes, clock, zones):
    record = zones.names["_smtp._tls.example.test"]
    outcomes.note(outcome())
    await day_over(outcomes, clock)
    zones.names["_smtp._tls.example.test"] = UNAVAILABLE
    assert await outcomes.reports_due(zones, REPORTER) == []
    zones.names["_smtp._tls.example.test"] = record
    assert len(await outcomes.reports_due(zones, REPORTER)) == 2


async def test_who_wants_none_gets_none(outcomes, clock):
    outcomes.note(outcome())
    await day_over(outcomes, clock)
    assert await outcomes.reports_due(Zones(), REPORTER) == []


async def test_what_is_too_old_is_forgotten(outcomes, clock, zones):
    outcomes.note(outcome())
    await day_over(outcomes, clock)
    clock.pass_time(days=3)
    assert await outcomes.reports_due(zones, REPORTER) == []


async def test_what_cannot_be_written_is_kept_for_the_next_time(outcomes, clock, zones, memory, monkeypatch):
    async def full(*_):
        raise StorageFull

    outcomes.note(outcome())
    with monkeypatch.context() as patch:
        patch.setattr(memory, "count", full)
        with pytest.raises(StorageFull):
            await outcomes.flush()
    outcomes.note(outcome())
    await day_over(outcomes, clock)
    _, by_web = await outcomes.reports_due(zones, REPORTER)
    (policy,) = json.loads(gzip.decompress(by_web.octets))["policies"]
    assert policy["summary"]["total-successful-session-count"] == 2
    assert policy["policy"]["policy-string"] == list(LINES)


async def test_attack_038_what_waits_to_be_written_is_bounded(outcomes):
    for number in range(10_100):
        outcomes.note(outcome("validation-failure", detail=str(number)))
    outcomes.note(outcome("validation-failure", detail="0"))
    (pending,) = outcomes._daily._pending.values()
    assert len(pending) == 10_000
    assert pending.total() == 10_001


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((b"v=TLSRPTv1;rua=mailto:a@b.test",), ["a@b.test"]),
        (
            (b"v=TLSRPTv1 ; rua = mailto:a%2Bx@b.test , https://b.test/x ; future=1",),
            ["a+x@b.test", "https://b.test/x"],
        ),
        ((b"v=TLSRPTv1;rua=HTTPS://b.test/x,MAILTO:a@b.test?subject=x",), ["https://b.test/x", "a@b.test"]),
        ((b"v=spf1 -all", b"v=TLSRPTv1;rua=mailto:a@b.test"), ["a@b.test"]),
        ((b"v=TLSRPTv1;rua=mailto:a@b.test", b"v=TLSRPTv1;rua=mailto:a@b.test"), []),
        (
            (b"v=TLSRPTv1;rua=http://b.test/x,ftp://b.test/,mailto:,mailto:a,mailto:a%0d%0a@b.test,mailto:%ff@b.test",),
            [],
        ),
        ((b"v=TLSRPTv2;rua=mailto:a@b.test",), []),
        ((b"v=TLSRPTv1;",), []),
        (
            (b"v=TLSRPTv1;rua=" + b",".join(b"mailto:a%d@b.test" % number for number in range(9)),),
            [f"a{number}@b.test" for number in range(5)],
        ),
        ((), []),
    ],
)
def test_who_wants_reports(texts, expected):
    assert targets(texts) == expected


# --- reading


def report(**changes):
    """The report of RFC 8460, appendix B."""
    told = {
        "organization-name": "Company-X",
        "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
        "contact-info": "sts-reporting@company-x.example",
        "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
        "policies": [
            {
                "policy": {"policy-type": "sts", "policy-string": ["version: STSv1"], "policy-domain": "company-y.example", "mx-host": ["*.mail.company-y.example"]},
                "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
                "failure-details": [
                    {"result-type": "certificate-expired", "sending-mta-ip": "2001:db8:abcd:0012::1", "receiving-mx-hostname": "mx1.mail.company-y.example", "failed-session-count": 100},
                    {"result-type": "starttls-not-supported", "sending-mta-ip": "2001:db8:abcd:0013::1", "receiving-mx-hostname": "mx2.mail.company-y.example", "receiving-ip": "203.0.113.56", "failed-session-count": 200, "additional-information": "https://reports.company-x.example/report_info?id=5065427c-23d3#StarttlsNotSupported"},
                    {"result-type": "validation-failure", "sending-mta-ip": "198.51.100.62", "receiving-ip": "203.0.113.58", "receiving-mx-hostname": "mx-backup.mail.company-y.example", "failed-session-count": 3, "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"},
                ],
            }
        ],
    }  # fmt: skip
    return told | changes


def read(told):
    return parse_report(json.dumps(told).encode(), RECEIVED_AT)


def test_the_report_of_the_rfc():
    found = read(report())
    assert (found.domain, found.reporter, found.report_id) == (
        "company-y.example",
        "Company-X",
        "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
    )
    assert found.rows == (
        ReportRow(5326, "", "success", "sts"),
        ReportRow(100, "mx1.mail.company-y.example", "certificate-expired", "sts"),
        ReportRow(200, "mx2.mail.company-y.example", "starttls-not-supported", "sts"),
        ReportRow(
            3, "mx-backup.mail.company-y.example", "validation-failure", "sts X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"
        ),
    )


def test_failures_without_details_are_counted_too():
    told = report()
    told["policies"][0]["failure-details"] = None
    assert read(told).rows[-1] == ReportRow(303, "", "failure", "sts")


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"{}",
        b"[]",
        b"{" * 100_000,
        b'{"policies":' * 100_000,
        json.dumps(report(policies=[])).encode(),
        json.dumps(report(**{"date-range": {"start-datetime": "yesterday", "end-datetime": "today"}})).encode(),
        json.dumps(report(**{"date-range": {"start-datetime": "0001-01-01T00:00:00+23:59", "end-datetime": "x"}})).encode(),
        json.dumps(report(policies=[{"policy": {"policy-domain": "not a domain"}}])).encode(),
        json.dumps(report(policies=[{"policy": {"policy-domain": "a.test"}, "summary": {"total-successful-session-count": -1}}])).encode(),
        json.dumps(report(policies=[{"policy": {"policy-domain": "a.test"}, "summary": {"total-successful-session-count": 1e300}}])).encode(),
        gzip.compress(b"rubbish", mtime=0),
        gzip.compress(json.dumps(report()).encode(), mtime=0)[:-20],
        b"\x1f\x8b",
        b"PK\x03\x04rubbish",
        b"Subject: no report\r\n\r\nHello",
        b"\xff" * 1000,
    ],
)  # fmt: skip
def test_attack_038_what_is_no_report_is_refused(octets):
    with pytest.raises(BadReport):
        parse_report(octets, RECEIVED_AT)


def test_attack_038_policies_of_other_domains_are_left_out():
    told = report()
    told["policies"].append(
        {
            "policy": {"policy-type": "sts", "policy-domain": "victim.example"},
            "summary": {"total-failure-session-count": 9},
        }
    )
    assert read(told) == read(report())


def test_attack_038_texts_are_harmless():
    told = report(
        **{"organization-name": "=cmd|' /C calc'!A0\r\n\x00\x1b[31m\u202e" + "x" * 1000, "report-id": "@SUM(A1)\nX"}
    )
    told["policies"][0]["failure-details"] = [
        {"result-type": "+1\t2", "receiving-mx-hostname": "-a\r\nb", "failure-reason-code": "\x7f=x" * 100}
    ]
    found = read(told)
    assert found.reporter.startswith("cmd|' /C calc'!A0 [31mxxx")
    assert len(found.reporter) <= 200
    assert found.report_id == "SUM(A1) X"
    texts = [text for row in found.rows for text in (row.source, row.outcome, row.detail)]
    texts += [found.reporter, found.report_id]
    assert all(text.isprintable() and len(text) <= 230 and not text.startswith(("=", "+", "-", "@")) for text in texts)


def test_attack_038_rows_are_bounded():
    told = report()
    told["policies"][0]["failure-details"] = [
        {"result-type": f"r{number}", "failed-session-count": 1} for number in range(20_000)
    ]
    told["policies"] *= 2
    assert len(read(told).rows) == 10_000


def test_attack_038_a_bomb_is_not_unfolded():
    bomb = gzip.compress(b"{" + b" " * 200_000_000)
    with pytest.raises(BadReport, match="more than"):
        parse_report(bomb, RECEIVED_AT)
