"""The commands `dns`, `doctor` and `reports`, on a house whose resolver does not answer."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from mailstead.cli.app import app
from mailstead.config.settings import Store
from mailstead.model.diagnosis import Diagnosis, Health
from mailstead.model.reports import Report, ReportRow
from mailstead.ports.clock import SystemClock
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.storage import EmbeddedStorage
from mailstead.usecases.doctor import Doctor


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("MAILSTEAD_SERVER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MAILSTEAD_SERVER_HOSTNAME", "mx.example.test")
    monkeypatch.setenv("MAILSTEAD_DNS_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("MAILSTEAD_DNS_QUERY_LIMIT_S", "0.2")
    monkeypatch.setenv("MAILSTEAD_MX_LISTEN", "127.0.0.1:1")
    monkeypatch.setenv("MAILSTEAD_IMAP_LISTEN_TLS", "127.0.0.1:993")
    monkeypatch.setenv("MAILSTEAD_SERVER_SERVICES", "mx")
    monkeypatch.delenv("MAILSTEAD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*words, code=0):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        assert "Traceback" not in result.output
        return json.loads(result.stdout) if "--json" in words and result.stdout else result

    call("init", "--domain", "example.test")
    return call


def test_dns_prints_lines_of_a_zone_with_comments(run):
    lines = run("dns", "example.test").stdout.splitlines()
    assert "example.test. 3600 IN MX 10 mx.example.test." in lines
    assert all(line.startswith(";") or " 3600 IN " in line for line in lines if line)
    for number, line in enumerate(lines):
        if " 3600 IN " in line:
            assert lines[number - 1].startswith("; "), line
    assert lines[-1] == "; Then see whether all is well: mailstead doctor example.test"


def test_dns_for_machines(run):
    records = run("--json", "dns", "example.test")
    assert {record["purpose"] for record in records} >= {"mx", "spf", "dkim", "dmarc", "mta-sts", "tls-rpt", "tlsa"}
    assert {"name", "type", "ttl_s", "value", "why", "is_optional"} <= set(records[0])
    keys = run("--json", "dkim", "list", "example.test")
    assert [(r["name"], r["value"]) for r in records if r["purpose"] == "dkim"] == [
        (each["name"], each["record"]) for each in keys
    ]


def test_services_that_are_not_chosen_are_not_offered(run, monkeypatch):
    def imaps():
        [value] = [each["value"] for each in run("--json", "dns", "example.test") if each["name"].startswith("_imaps.")]
        return value

    assert imaps() == "0 0 0 ."
    monkeypatch.setenv("MAILSTEAD_SERVER_SERVICES", "imap")
    assert imaps() == "0 1 993 mx.example.test."


def test_dns_of_a_domain_that_is_not_ours(run):
    assert "domain list" in run("dns", "other.test", code=67).stderr


def test_doctor_says_what_is_wrong_and_ends_with_1(run):
    said = run("doctor", code=1).stdout
    assert "error    resolver: it does not answer" in said
    assert "to do:    Set dns.servers" in said
    assert "error    service mx 127.0.0.1:1: Connection refused" in said
    assert "example.test" in said


def test_doctor_for_machines(run):
    found = run("--json", "doctor", "example.test")
    assert {each["domain"] for each in found} == {"example.test"}
    assert {each["status"] for each in found} == {"warning"}
    assert {"name", "found", "expected", "advice"} <= set(found[0])
    by_name = {each["name"]: each for each in run("doctor", "--json", code=1)}
    assert by_name["master key"]["status"] == "ok"
    assert by_name["disk"]["status"] in {"ok", "warning"}
    assert by_name["open relay"]["status"] == "skipped"


def test_doctor_of_a_domain_that_is_not_ours(run):
    run("doctor", "other.test", code=67)


def test_daily_is_about_everything(run):
    assert "Leave the domain out" in run("doctor", "example.test", "--daily", code=2).stderr


def test_daily_tells_only_what_differs_twice(run, monkeypatch):
    found = [Diagnosis("disk", Health.ERROR, "full", "room", "make room")]

    async def examine(self, actor, domain=None, progress=None):
        return found

    monkeypatch.setattr(Doctor, "examine", examine)
    assert "Nothing differs" in run("doctor", "--daily").stdout
    said = run("doctor", "--daily", code=1).stdout
    assert "disk: was ok, is error" in said
    assert "make room" in said
    assert run("doctor", "--daily", "--json") == []
    found[0] = Diagnosis("disk", Health.OK, "room again")
    run("doctor", "--daily")
    [difference] = run("doctor", "--daily", "--json")
    assert (difference["before"], difference["status"]) == ("error", "ok")


def test_all_well_ends_with_0(run, monkeypatch):
    async def examine(self, actor, domain=None, progress=None):
        return [
            Diagnosis("disk", Health.WARNING, "x", "y", "z"),
            Diagnosis("mx", Health.OK, "x", domain="example.test"),
        ]

    monkeypatch.setattr(Doctor, "examine", examine)
    assert run("doctor").stdout.endswith("1 ok, 1 warning, 0 error, 0 skipped\n")


@pytest.fixture
def reported(run, tmp_path):
    """A report of each kind."""
    now = datetime(2026, 11, 27, 12, tzinfo=UTC)

    async def fill():
        storage = await EmbeddedStorage.open(Store(), tmp_path / "data", LocalBus(), SystemClock())
        for kind, domain, rows in (
            ("dmarc", "example.test", (ReportRow(7, "192.0.2.66", "none", "spf=fail dkim=fail"),)),
            ("tls", "other.test", (ReportRow(5, "", "success", "sts"), ReportRow(0, "", "x", ""))),
        ):
            report = Report(kind, domain, "Reporter", "1", now - timedelta(days=1), now, now, rows)
            assert await storage.reports.add(report)
        await storage.close()

    asyncio.run(fill())
    return run


def test_reports_are_shown(reported):
    said = reported("reports").stdout
    assert "example.test  since 2026-11-26  DMARC by Reporter: 7 messages" in said
    assert "192.0.2.66  spf=fail dkim=fail" in said
    assert "other.test  since 2026-11-26  TLS by Reporter: 5 sessions" in said
    assert [each["kind"] for each in reported("reports", "--kind", "tls", "--json")] == ["tls"]
    [report] = reported("--json", "reports", "Example.test")
    assert report["rows"] == [{"count": 7, "source": "192.0.2.66", "outcome": "none", "detail": "spf=fail dkim=fail"}]


def test_reports_that_are_not_there(run):
    assert run("reports").stdout == "(none)\n"
    assert run("--json", "reports") == []
    assert "dmarc or tls" in run("reports", "--kind", "spf", code=65).stderr
    run("reports", "not a domain", code=65)
