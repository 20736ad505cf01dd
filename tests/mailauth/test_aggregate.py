"""DMARC aggregate reports: made from what was noted, and read, friendly and hostile ones."""

import gzip
import zipfile
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from io import BytesIO
from xml.etree import ElementTree as ET

import pytest

from mailauth.zones import UNAVAILABLE, Zones
from mailstead.mailauth.aggregate import DmarcOutcomes, Target, parse_report, targets
from mailstead.mailauth.report_mail import Reporter
from mailstead.mailauth.report_parts import BadReport, unpacked
from mailstead.model.authentication import (
    ArcResult,
    Authentication,
    DkimResult,
    DmarcResult,
    IprevResult,
    Result,
    SpfResult,
)
from mailstead.model.reports import ReportRow

REPORTER = Reporter("Example Mail", "dmarc-reports@us.test", "mx.us.test")
RECEIVED_AT = datetime(2026, 11, 29, tzinfo=UTC)
NAMESPACE = "{urn:ietf:params:xml:ns:dmarc-2.0}"


def found(
    *, spf=Result.PASS, dkim=Result.PASS, domain="example.test", selector="s1", aggregate_to=("mailto:d@example.test",)
):
    return Authentication(
        spf=SpfResult(spf, "bounces.example.test"),
        helo_spf=None,
        dkim=(DkimResult(dkim, domain, selector),),
        arc=ArcResult(Result.NONE),
        dmarc=DmarcResult(
            Result.PASS if Result.PASS in {spf, dkim} else Result.FAIL,
            f"news.{domain}",
            domain,
            "reject",
            spf is Result.PASS,
            dkim is Result.PASS,
            "",
            aggregate_to,
        ),
        iprev=IprevResult(Result.NONE),
    )


@pytest.fixture
def outcomes(memory, clock):
    return DmarcOutcomes(memory, clock)


@pytest.fixture
def zones():
    return Zones({"_dmarc.example.test": {"TXT": ["v=DMARC1; p=reject; sp=none; adkim=s; rua=mailto:d@example.test"]}})


async def day_over(outcomes, clock):
    await outcomes.flush()
    clock.pass_time(hours=20)


async def test_a_day_becomes_a_report(outcomes, clock, zones):
    for _ in range(3):
        outcomes.note(found(), "192.0.2.1", "bounces.example.test", "none")
    outcomes.note(
        found(spf=Result.FAIL, dkim=Result.FAIL), "2001:db8::1", "evil.test", "quarantine", override="local_policy"
    )
    await outcomes.flush()
    assert await outcomes.reports_due(zones, REPORTER) == []
    await day_over(outcomes, clock)
    (report,) = await outcomes.reports_due(zones, REPORTER)
    assert (report.domain, report.mail_to, report.url) == ("example.test", "d@example.test", "")
    mail = message_from_bytes(report.octets, policy=default)
    assert (mail["From"], mail["To"]) == ("dmarc-reports@us.test", "d@example.test")
    assert mail["Subject"].startswith("Report Domain: example.test Submitter: mx.us.test Report-ID: <2026-11-27.")
    _, attachment = mail.iter_parts()
    assert attachment.get_content_type() == "application/gzip"
    assert attachment.get_filename() == "mx.us.test!example.test!1795737600!1795823999.xml.gz"
    tree = ET.fromstring(gzip.decompress(attachment.get_content()))

    def text(path, start=tree):
        return start.findtext("/".join(NAMESPACE + name for name in path.split("/")))

    assert text("report_metadata/org_name") == "Example Mail"
    assert text("report_metadata/date_range/begin") == "1795737600"
    assert [text(f"policy_published/{name}") for name in ("domain", "p", "sp", "np", "adkim", "aspf", "testing")] == [
        "example.test", "reject", "none", "none", "s", "r", "n"
    ]  # fmt: skip
    first, second = tree.findall(f"{NAMESPACE}record")
    assert (text("row/source_ip", first), text("row/count", first)) == ("192.0.2.1", "3")
    assert [text(f"row/policy_evaluated/{name}", first) for name in ("disposition", "dkim", "spf")] == [
        "pass",
        "pass",
        "pass",
    ]
    assert text("identifiers/header_from", first) == "news.example.test"
    assert text("auth_results/dkim/selector", first) == "s1"
    assert text("auth_results/spf/result", first) == "pass"
    assert [text(f"row/policy_evaluated/{name}", second) for name in ("disposition", "dkim", "spf", "reason/type")] == [
        "quarantine", "fail", "fail", "local_policy"
    ]  # fmt: skip
    read = parse_report(report.octets, RECEIVED_AT)
    assert (read.kind, read.domain, read.reporter) == ("dmarc", "example.test", "Example Mail")
    assert read.begin == datetime(2026, 11, 27, tzinfo=UTC)
    assert read.rows == (
        ReportRow(3, "192.0.2.1", "pass", "spf=pass dkim=pass header_from=news.example.test"),
        ReportRow(1, "2001:db8::1", "quarantine", "spf=fail dkim=fail header_from=news.example.test"),
    )
    assert await outcomes.reports_due(zones, REPORTER) == []


async def test_who_wants_none_is_not_counted(outcomes, memory, clock):
    outcomes.note(found(aggregate_to=()), "192.0.2.1", "example.test", "none")
    await outcomes.flush()
    assert await memory.counts("dmarc-reports counts 2026-11-27", clock.now()) == {}


async def test_who_wants_none_any_more_gets_none(outcomes, clock):
    outcomes.note(found(), "192.0.2.1", "example.test", "none")
    await day_over(outcomes, clock)
    assert await outcomes.reports_due(Zones({"_dmarc.example.test": {"TXT": ["v=DMARC1; p=none"]}}), REPORTER) == []


async def test_a_domain_that_cannot_be_asked_now_is_asked_later(outcomes, clock, zones):
    outcomes.note(found(), "192.0.2.1", "example.test", "none")
    await day_over(outcomes, clock)
    assert await outcomes.reports_due(Zones({"_dmarc.example.test": UNAVAILABLE}), REPORTER) == []
    assert len(await outcomes.reports_due(zones, REPORTER)) == 1


async def test_reports_above_the_size_that_is_wanted_are_not_sent(outcomes, clock, zones):
    outcomes.note(found(), "192.0.2.1", "example.test", "none")
    await day_over(outcomes, clock)
    zones.names["_dmarc.example.test"] = {
        "TXT": ["v=DMARC1; p=none; rua=mailto:a@example.test!1k,mailto:b@example.test!10m"]
    }
    assert [report.mail_to for report in await outcomes.reports_due(zones, REPORTER)] == ["b@example.test"]


async def test_attack_038_what_strangers_write_does_not_break_the_report(outcomes, clock, zones):
    outcomes.note(found(selector="</selector><evil>&x;\x00\x1b\u202e\ufffe"), "192.0.2.1", "</a>\r\n\x01]]>", "none")
    await day_over(outcomes, clock)
    (report,) = await outcomes.reports_due(zones, REPORTER)
    _, attachment = message_from_bytes(report.octets, policy=default).iter_parts()
    tree = ET.fromstring(gzip.decompress(attachment.get_content()))
    assert tree.find(f".//{NAMESPACE}evil") is None
    assert tree.findtext(f".//{NAMESPACE}selector") == "</selector><evil>&x;"
    assert tree.findtext(f".//{NAMESPACE}envelope_from") == "</a> ]]>"


MINE = "_dmarc.example.test"


@pytest.mark.parametrize(
    ("uris", "names", "expected"),
    [
        (["mailto:a@example.test"], {}, [Target("a@example.test", 0)]),
        (["mailto:a@example.test!10m"], {}, [Target("a@example.test", 10 * 2**20)]),
        (["MAILTO:a@example.test!5"], {}, [Target("a@example.test", 5)]),
        (["mailto:a@reports.example.test"], {}, [Target("a@reports.example.test", 0)]),
        (["mailto:a@other.test"], {}, []),
        (["mailto:a@notexample.test"], {}, []),
        (["mailto:a@other.test"], {"example.test._report._dmarc.other.test": {"TXT": ["v=DMARC1"]}}, [Target("a@other.test", 0)]),
        (["mailto:a@other.test"], {"example.test._report._dmarc.other.test": {"TXT": ["v=spf1 -all"]}}, []),
        (["mailto:a@other.test"], {"elsewhere.test._report._dmarc.other.test": {"TXT": ["v=DMARC1"]}}, []),
        (
            ["mailto:a@other.test"],
            {"example.test._report._dmarc.other.test": {"TXT": ["v=DMARC1; rua=mailto:b@other.test"]}},
            [Target("b@other.test", 0)],
        ),
        (
            ["mailto:a@other.test"],
            {"example.test._report._dmarc.other.test": {"TXT": ["v=DMARC1; rua=mailto:victim@third.test"]}},
            [],
        ),
        (["https://example.test/x", "mailto:", "mailto:x", "mailto:a@example.test!x"], {}, []),
        ([f"mailto:a{number}@example.test" for number in range(9)], {}, [Target(f"a{number}@example.test", 0) for number in range(5)]),
    ],
)  # fmt: skip
async def test_attack_038_outsiders_get_reports_only_if_they_agree(uris, names, expected):
    zones = Zones({MINE: {"TXT": ["v=DMARC1; p=none"]}, **names})
    assert await targets(zones, "example.test", uris) == expected


# --- reading

RECORD = """<record><row><source_ip>{ip}</source_ip><count>{count}</count><policy_evaluated><disposition>none</disposition>
<dkim>fail</dkim><spf>pass</spf></policy_evaluated></row><identifiers><header_from>{header_from}</header_from></identifiers>
<auth_results><dkim><domain>example.com</domain><result>fail</result></dkim><spf><domain>example.com</domain><result>pass</result>
</spf></auth_results></record>"""


def xml(
    *records,
    org_name="acme.com",
    domain="example.com",
    head='<?xml version="1.0" encoding="UTF-8" ?>',
    begin="1335571200",
    root="feedback",
):
    """The shape of RFC 7489, appendix C."""
    return f"""{head}<{root}><report_metadata><org_name>{org_name}</org_name><email>noreply-dmarc-support@acme.com</email>
<extra_contact_info>http://acme.com/dmarc/support</extra_contact_info><report_id>9391651994964116463</report_id>
<date_range><begin>{begin}</begin><end>1335657599</end></date_range></report_metadata><policy_published>
<domain>{domain}</domain><adkim>r</adkim><aspf>r</aspf><p>none</p><sp>none</sp><pct>100</pct></policy_published>
{"".join(records)}</{root.split()[0]}>""".encode()


def record(ip="72.150.241.94", count=2, header_from="example.com"):
    return RECORD.format(ip=ip, count=count, header_from=header_from)


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    file = BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for number, octets in enumerate(members):
            archive.writestr(f"acme.com!example.com!{number}.xml", octets)
    return file.getvalue()


def mail(attachment, media_type="application/gzip", name="acme.com!example.com!1!2.xml.gz"):
    message = EmailMessage()
    message["Subject"] = "Report domain: example.com"
    message.set_content("A report.")
    message.add_attachment(attachment, *media_type.split("/"), filename=name)
    return message.as_bytes()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda octets: octets,
        gzip.compress,
        zipped,
        lambda octets: mail(gzip.compress(octets)),
        lambda octets: mail(zipped(octets), "application/zip", "x.zip"),
        lambda octets: mail(zipped(octets), "application/octet-stream", "X.ZIP"),
        lambda octets: mail(octets, "text/xml", "x.xml"),
        lambda octets: mail(gzip.compress(octets), "application/octet-stream"),
    ],
)
def test_a_report_in_every_wrapping(wrap):
    report = parse_report(wrap(xml(record())), RECEIVED_AT)
    assert (report.kind, report.domain, report.reporter, report.report_id) == (
        "dmarc",
        "example.com",
        "acme.com",
        "9391651994964116463",
    )
    assert report.begin == datetime(2012, 4, 28, tzinfo=UTC)
    assert report.received_at == RECEIVED_AT
    assert report.rows == (ReportRow(2, "72.150.241.94", "none", "spf=pass dkim=fail header_from=example.com"),)


def test_a_namespace_and_other_encodings_are_read():
    octets = xml(record(), root='feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0"')
    assert len(parse_report(octets, RECEIVED_AT).rows) == 1
    octets = (
        xml(record(), org_name="B\u00fccher", head='<?xml version="1.0" encoding="ISO-8859-1"?>')
        .decode()
        .encode("latin-1")
    )
    assert parse_report(octets, RECEIVED_AT).reporter == "B\u00fccher"


@pytest.mark.parametrize(
    "wrong",
    [
        record(ip="x"),
        record(count=0),
        record(count=-5),
        record(count="1e9"),
        record(count="9" * 14),
        record(count="٣"),
        "<record/>",
    ],
)
def test_rows_that_say_nothing_are_left_out(wrong):
    assert len(parse_report(xml(wrong, record()), RECEIVED_AT).rows) == 1


def test_attack_038_entities_are_refused():
    bomb = '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;">]>'
    for head in (bomb, '<!DOCTYPE feedback SYSTEM "http://127.0.0.1:1/x.dtd">', "<!DOCTYPE feedback>"):
        with pytest.raises(BadReport, match="document type"):
            parse_report(xml(record(), head=head), RECEIVED_AT)


def test_attack_038_external_entities_are_refused(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    head = f'<?xml version="1.0"?><!DOCTYPE feedback [<!ENTITY x SYSTEM "file://{secret}">]>'
    with pytest.raises(BadReport):
        parse_report(xml(record(), org_name="&x;", head=head), RECEIVED_AT)
    with pytest.raises(BadReport):
        parse_report(xml(record(), org_name="&x;"), RECEIVED_AT)


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        zipped,
        lambda octets: mail(gzip.compress(octets)),
        lambda octets: mail(zipped(octets), "application/zip", "x.zip"),
    ],
)
def test_attack_038_bombs_are_not_unfolded(pack):
    with pytest.raises(BadReport, match="more than"):
        parse_report(pack(b"<feedback>" + b" " * 120_000_000), RECEIVED_AT)


def test_attack_038_twenty_five_megabytes_at_most_and_a_hundred_times_at_most():
    assert len(unpacked(gzip.compress(b" " * 1024 * 1024))) == 1024 * 1024
    with pytest.raises(BadReport):
        unpacked(gzip.compress(b" " * (1024 * 1024 + 1)))
    import random

    noise = random.Random(1).randbytes(300_000)
    packs_well = noise + b" " * 20_000_000
    assert unpacked(gzip.compress(packs_well)) == packs_well
    with pytest.raises(BadReport):
        unpacked(gzip.compress(noise + b" " * 25 * 1024 * 1024))
    with pytest.raises(BadReport):
        unpacked(b"<" * (25 * 1024 * 1024 + 1))


@pytest.mark.parametrize(
    "archive",
    [zipped(), zipped(*[b"x"] * 11), zipped(xml(record()), method=zipfile.ZIP_BZIP2), zipped(xml(record()), method=zipfile.ZIP_LZMA), zipped(xml(record()))[:-30], zipped(gzip.compress(xml(record())))],
)  # fmt: skip
def test_attack_038_odd_archives_are_refused(archive):
    with pytest.raises(BadReport):
        parse_report(archive, RECEIVED_AT)


def test_attack_038_rows_are_bounded_and_their_sum_is_kept():
    report = parse_report(xml(*(record(count=1) for _ in range(12_000))), RECEIVED_AT)
    assert len(report.rows) == 10_000
    assert report.rows[-1] == ReportRow(2001, "", "", "all further rows")


def test_attack_038_depth_and_length_of_values_are_bounded():
    with pytest.raises(BadReport):
        parse_report(b"<feedback>" + b"<a>" * 100_000, RECEIVED_AT)
    report = parse_report(xml(record(header_from="x" * 1_000_000), org_name="y" * 1_000_000), RECEIVED_AT)
    assert len(report.reporter) == 200
    assert len(report.rows[0].detail) < 300


def test_attack_038_texts_are_harmless():
    report = parse_report(
        xml(record(header_from="=cmd\u202e&#x9;x&#10;\u200b"), org_name="@SUM(1+1)*cmd|' /C calc'!A0&#13;"), RECEIVED_AT
    )
    assert report.reporter == "SUM(1+1)*cmd|' /C calc'!A0"
    assert report.rows[0].detail.endswith("header_from=cmd x")


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"<",
        b"<feedback/>",
        b"<html><body/></html>",
        xml(record())[:-20],
        xml(record(), domain=""),
        xml(record(), domain="not a domain"),
        xml(record(), begin="yesterday"),
        xml(record(), begin="999999999999999"),
        xml(record(), head='<?xml version="1.0" encoding="nonsense"?>'),
        b"Subject: no report\r\n\r\nHello",
        mail(b"%PDF", "application/pdf", "x.pdf"),
        b"\x00" * 100,
    ],
)
def test_attack_038_what_is_no_report_is_refused(octets):
    with pytest.raises(BadReport):
        parse_report(octets, RECEIVED_AT)
