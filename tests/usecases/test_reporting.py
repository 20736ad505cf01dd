"""Reports that come in by a real reception, and those that go out by the chores of the house."""

import asyncio
import gzip
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "services" / "smtp"))
from smtp_house import ADMIN, HOSTNAME, open_smtp_house

from mailauth.zones import Zones
from mailstead.config.settings import Settings
from mailstead.mailauth import aggregate, dkim, tlsrpt
from mailstead.mailauth.aggregate import DmarcOutcomes
from mailstead.mailauth.tlsrpt import TlsOutcome, TlsOutcomes
from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Envelope, Peer, Recipient
from mailstead.model.errors import NoSuchAddress, NotAllowed, PolicyRefused, WebFailed
from mailstead.model.queue import DestinationKind, ItemKind
from mailstead.model.reports import ReportQuery, ReportRow
from mailstead.model.secret import Secret
from mailstead.model.trace import TraceQuery
from mailstead.ports.web import WebResponse
from mailstead.usecases import reporting
from mailstead.wiring.queue import make_chores

PEER = Peer("192.0.2.1", 50000, 2525)
REPORTER = Address("noreply", "reporter.test")
ZONES = {
    "reporter.test": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"], "MX": [(10, "mx.reporter.test")]},
    "_dmarc.reporter.test": {"TXT": ["v=DMARC1; p=reject; rua=mailto:reports@reporter.test"]},
    "mx.reporter.test": {"A": ["192.0.2.1"]},
    "1.2.0.192.in-addr.arpa": {"PTR": ["mx.reporter.test"]},
    "_smtp._tls.reporter.test": {"TXT": ["v=TLSRPTv1; rua=mailto:tls@reporter.test,https://reporter.test/tls"]},
}


class Clock:
    """Half past noon, moved by the test."""

    def __init__(self):
        self.at = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)

    def now(self):
        return self.at

    def monotonic_s(self):
        return self.at.timestamp()


class Web:
    def __init__(self):
        self.posted = []
        self.error = None

    async def get(self, url, **_):
        raise WebFailed

    async def post(self, url, octets, headers, **_):
        if self.error:
            raise self.error
        self.posted.append((url, octets, headers))
        return WebResponse(201)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def web():
    return Web()


@pytest.fixture
async def house(tmp_path, clock, web):
    settings = Settings()
    settings = replace(settings, relay=replace(settings.relay, sends_dmarc_reports=True))
    async with open_smtp_house(tmp_path, zones=Zones(ZONES), clock=clock, web=web, settings=settings) as opened:
        yield opened


def dmarc_xml(domain="example.test", report_id="1", count=2):
    return f"""<feedback><report_metadata><org_name>Reporter</org_name><email>x@reporter.test</email>
<report_id>{report_id}</report_id><date_range><begin>1795651200</begin><end>1795737599</end></date_range></report_metadata>
<policy_published><domain>{domain}</domain><p>none</p></policy_published>
<record><row><source_ip>192.0.2.66</source_ip><count>{count}</count><policy_evaluated><disposition>none</disposition>
<dkim>fail</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>{domain}</header_from></identifiers>
<auth_results/></record></feedback>""".encode()


def tls_json(domain="example.test", report_id="1"):
    return json.dumps(
        {
            "organization-name": "Reporter",
            "date-range": {"start-datetime": "2026-11-26T00:00:00Z", "end-datetime": "2026-11-26T23:59:59Z"},
            "contact-info": "x@reporter.test",
            "report-id": report_id,
            "policies": [
                {
                    "policy": {"policy-type": "sts", "policy-domain": domain},
                    "summary": {"total-successful-session-count": 5, "total-failure-session-count": 0},
                }
            ],
        }
    ).encode()


def mail(octets, kind, author="noreply@reporter.test", packs=gzip.compress):
    message = EmailMessage(policy=SMTP)
    message["From"] = author
    message["To"] = f"{kind}-reports@example.test"
    message["Subject"] = "Report Domain: example.test"
    message["Date"] = "Fri, 27 Nov 2026 12:00:00 +0000"
    message["Message-ID"] = "<1@reporter.test>"
    message.set_content("A report.\n")
    subtype, name = ("gzip", "r.xml.gz") if kind == "dmarc" else ("tlsrpt+gzip", "r.json.gz")
    message.add_attachment(packs(octets), maintype="application", subtype=subtype, filename=name)
    return message.as_bytes()


async def receive(house, octets, *recipients, mail_from=REPORTER, peer=PEER):
    reception = house.receptions.begin(peer, "mx.reporter.test", Envelope(mail_from))
    try:
        for each in recipients:
            if (more := reception.add_recipient(Recipient(Address.parse(each)))) is not None:
                await more
        reception.write(octets)
        await reception.accept()
    finally:
        reception.abandon()


async def kept(house, **query):
    return await house.house.reporting.list(ADMIN, ReportQuery(**query))


async def steps(house, step):
    return [event for event in await house.storage.trace.search(TraceQuery()) if event.step == step]


async def test_a_dmarc_report_is_kept_and_not_delivered(house, clock):
    await receive(house, mail(dmarc_xml(), "dmarc"), "dmarc-reports@example.test")
    [report] = await kept(house)
    assert (report.kind, report.domain, report.reporter) == ("dmarc", "example.test", "Reporter")
    assert report.received_at == clock.now()
    assert [(row.count, row.source, row.outcome) for row in report.rows] == [(2, "192.0.2.66", "none")]
    assert await house.messages("alice") == []
    assert await house.queued() == []
    [event] = await steps(house, "report")
    assert event.decision == "kept"


async def test_a_tls_report_is_kept(house):
    await receive(house, mail(tls_json(), "tls"), "TLS-Reports@Example.test")
    [report] = await kept(house, kind="tls", domain="EXAMPLE.test")
    assert report.rows == (ReportRow(5, "", "success", "sts"),)
    assert await kept(house, kind="dmarc") == []


async def test_a_report_that_comes_twice_is_kept_once(house):
    for _ in range(2):
        await receive(house, mail(dmarc_xml(), "dmarc"), "dmarc-reports@example.test")
    assert len(await kept(house)) == 1


async def test_others_get_the_same_mail_as_well(house):
    await receive(house, mail(dmarc_xml(), "dmarc"), "dmarc-reports@example.test", "alice@example.test")
    assert len(await kept(house)) == 1
    assert len(await house.messages("alice")) == 1


async def test_a_catch_all_does_not_take_them(house):
    await house.aliases.create(ADMIN, Address("*", "example.test"), [Address("alice", "example.test")])
    await receive(house, mail(dmarc_xml(), "dmarc"), "dmarc-reports@example.test")
    assert len(await kept(house)) == 1
    assert await house.messages("alice") == []


async def test_nobody_can_have_these_addresses(house):
    with pytest.raises(PolicyRefused):
        await house.accounts.create(ADMIN, Address("tls-reports", "example.test"), Secret("pw-never-in-a-log-x"))
    with pytest.raises(PolicyRefused):
        await house.aliases.create(ADMIN, Address("dmarc-reports", "example.test"), [Address("alice", "example.test")])


async def test_attack_038_reports_for_foreign_domains_are_not_kept(house):
    for domain in ("elsewhere.test", "notexample.test", "test"):
        await receive(house, mail(dmarc_xml(domain), "dmarc"), "dmarc-reports@example.test")
        await receive(house, mail(tls_json(domain), "tls"), "tls-reports@example.test")
    assert await kept(house) == []
    assert {event.decision for event in await steps(house, "report")} == {"absorbed"}


async def test_reports_about_a_subdomain_or_another_domain_of_ours_are_kept(house):
    await house.house.domains.add(ADMIN, "second.test")
    for number, domain in enumerate(("sub.example.test", "second.test")):
        await receive(house, mail(dmarc_xml(domain, str(number)), "dmarc"), "dmarc-reports@example.test")
    assert {report.domain for report in await kept(house)} == {"sub.example.test", "second.test"}


async def test_attack_038_a_report_that_nobody_stands_behind_is_not_kept(house):
    octets = mail(dmarc_xml(), "dmarc", author="x@unknown.test")
    await receive(house, octets, "dmarc-reports@example.test", mail_from=Address("x", "unknown.test"))
    assert await kept(house) == []
    [event] = await steps(house, "report")
    assert event.decision == "absorbed"


async def test_attack_038_a_forged_reporter_is_refused_like_any_forgery(house):
    with pytest.raises(PolicyRefused):
        await receive(house, mail(dmarc_xml(), "dmarc"), "dmarc-reports@example.test", peer=Peer("198.51.100.1", 5, 25))
    assert await kept(house) == []


async def test_attack_038_bombs_and_rubbish_are_absorbed(house):
    for octets in (b" " * 5_000_000, b"rubbish", b"<!DOCTYPE a [<!ENTITY b 'c'>]><feedback>&b;</feedback>"):
        await receive(house, mail(octets, "dmarc"), "dmarc-reports@example.test")
    await receive(house, mail(b"x", "tls", packs=bytes), "tls-reports@example.test")
    await receive(house, b"From: noreply@reporter.test\r\nSubject: hello\r\n\r\nhello\r\n", "tls-reports@example.test")
    assert await kept(house) == []
    assert await house.messages("alice") == []


async def test_attack_038_a_day_takes_so_many_and_no_more(house, monkeypatch, clock):
    monkeypatch.setattr(reporting, "TAKEN_PER_DAY_MAX", 2)
    for number in range(4):
        await receive(house, mail(dmarc_xml(report_id=str(number)), "dmarc"), "dmarc-reports@example.test")
    assert len(await kept(house)) == 2
    clock.at += timedelta(days=1)
    await receive(house, mail(dmarc_xml(report_id="9"), "dmarc"), "dmarc-reports@example.test")
    assert len(await kept(house)) == 3


async def test_other_domains_have_no_such_address(house):
    reception = house.receptions.begin(PEER, "x", Envelope(REPORTER))
    with pytest.raises(Exception, match="not served here"):
        await reception.add_recipient(Recipient(Address("dmarc-reports", "elsewhere.test")))
    with pytest.raises(NoSuchAddress):
        await reception.add_recipient(Recipient(Address("dmarc-report", "example.test")))
    reception.abandon()


async def test_our_own_people_cannot_write_there(house):
    account = await house.account("alice")
    actor = Actor(account.account_id, account.address)
    submission = await house.submissions.begin(actor, PEER, "x", Envelope(account.address))
    with pytest.raises(NotAllowed):
        await submission.add_recipient(Recipient(Address("dmarc-reports", "example.test")))
    submission.abandon()


async def test_only_administrators_see_reports(house):
    with pytest.raises(NotAllowed):
        await house.house.reporting.list(Actor(None, None), ReportQuery())


# going out


async def chore(house, name, outcomes=None):
    outcomes = outcomes or TlsOutcomes(house.storage.memory, house.house.clock)
    await make_chores(house.house, outcomes)[name](house.house.clock.now())


def message(author="someone@reporter.test"):
    return f"From: {author}\r\nSubject: x\r\nMessage-ID: <2@reporter.test>\r\n\r\nbody\r\n".encode()


async def test_what_dmarc_meant_is_reported_on_the_next_day(house, clock):
    await receive(house, message(), "alice@example.test")
    for _ in range(2):
        with pytest.raises(PolicyRefused):
            await receive(house, message(), "alice@example.test", peer=Peer("198.51.100.1", 5, 25))
    await chore(house, "dmarc reports")
    assert await house.queued() == []
    clock.at += timedelta(hours=20)
    await chore(house, "dmarc reports")
    [item] = await house.queued()
    assert item.kind is ItemKind.REPORT
    assert item.mail_from == Address("dmarc-reports", "example.test")
    assert item.notify_to is None
    [recipient] = item.recipients
    assert str(recipient.recipient.address) == "reports@reporter.test"
    assert recipient.destination.kind is DestinationKind.DOMAIN
    octets = await house.storage.queue.octets(item.item_id)
    report = aggregate.parse_report(octets, clock.now())
    assert report.domain == "reporter.test"
    assert sorted((row.count, row.source, row.outcome) for row in report.rows) == [
        (1, "192.0.2.1", "pass"),
        (2, "198.51.100.1", "reject"),
    ]
    await chore(house, "dmarc reports")
    assert len(await house.queued()) == 1


async def test_reports_are_signed_by_the_domain_they_come_from(house, clock):
    await receive(house, message(), "alice@example.test")
    clock.at += timedelta(hours=20)
    await chore(house, "dmarc reports")
    [item] = await house.queued()
    octets = await house.storage.queue.octets(item.item_id)
    for key in await house.house.keys.list(ADMIN, "example.test"):
        house.zones.names[key.name] = {"TXT": [key.record]}
    results = await dkim.verify(bytearray(octets), house.zones, clock.now())
    assert [(each.result.value, each.domain) for each in results] == [("pass", "example.test")] * 2
    assert b"From: postmaster@example.test\r\n" in octets


async def test_a_policy_that_was_not_followed_is_told_so(house, clock):
    """The house is told not to refuse: it was quarantined by local policy."""
    house.receptions.screening._terms = replace(house.receptions.screening._terms, refuses_by_policy=False)
    await receive(house, message(), "alice@example.test", peer=Peer("198.51.100.1", 5, 25))
    clock.at += timedelta(hours=20)
    await chore(house, "dmarc reports")
    [item] = await house.queued()
    octets = await house.storage.queue.octets(item.item_id)
    [row] = aggregate.parse_report(octets, clock.now()).rows
    assert (row.count, row.outcome) == (1, "quarantine")
    [found] = [part for part in _parts(octets) if b"<feedback" in part]
    assert b"<type>local_policy</type>" in found


def _parts(octets):
    import email
    from email.policy import default

    for part in email.message_from_bytes(octets, policy=default).walk():
        content = part.get_payload(decode=True)
        if content:
            yield gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


async def test_reports_about_ourselves_are_kept_at_once(house, clock):
    house.zones.names["_dmarc.example.test"] = {"TXT": ["v=DMARC1; p=none; rua=mailto:dmarc-reports@example.test"]}
    house.zones.names["example.test"] = {"TXT": ["v=spf1 ip4:192.0.2.1 -all"], "MX": [(1, HOSTNAME)]}
    await receive(house, message("alice@example.test"), "bob@example.test", mail_from=Address("alice", "example.test"))
    clock.at += timedelta(hours=20)
    await chore(house, "dmarc reports")
    assert await house.queued() == []
    [report] = await kept(house, kind="dmarc")
    assert (report.domain, report.reporter) == ("example.test", HOSTNAME)


def outcome(result_type="success"):
    return TlsOutcome(
        "reporter.test", "no-policy-found", (), "mx.reporter.test", "192.0.2.1", "192.0.2.9", result_type, ""
    )


async def test_tls_reports_go_by_mail_and_over_the_web(house, clock, web):
    outcomes = TlsOutcomes(house.storage.memory, clock)
    outcomes.note(outcome())
    outcomes.note(outcome("certificate-expired"))
    await chore(house, "tls reports", outcomes)
    assert await house.queued() == []
    clock.at += timedelta(hours=20)
    await chore(house, "tls reports", outcomes)
    [item] = await house.queued()
    assert item.mail_from == Address("tls-reports", "example.test")
    assert item.tls_optional
    octets = await house.storage.queue.octets(item.item_id)
    report = tlsrpt.parse_report(octets, clock.now())
    assert sum(row.count for row in report.rows) == 2
    [(url, posted, headers)] = web.posted
    assert url == "https://reporter.test/tls"
    assert headers == {"Content-Type": "application/tlsrpt+gzip"}
    assert tlsrpt.parse_report(posted, clock.now()).rows == report.rows


async def test_a_web_address_that_fails_keeps_no_other_report(house, clock, web):
    web.error = WebFailed("no")
    outcomes = TlsOutcomes(house.storage.memory, clock)
    outcomes.note(outcome())
    await outcomes.flush()
    clock.at += timedelta(hours=20)
    await chore(house, "tls reports", outcomes)
    assert len(await house.queued()) == 1


@pytest.mark.parametrize("is_on", [True, False])
async def test_reports_are_sent_if_the_settings_say_so(tmp_path, is_on):
    settings = Settings()
    relay = replace(settings.relay, sends_dmarc_reports=is_on, sends_tls_reports=is_on)
    settings = replace(settings, relay=relay, doctor=replace(settings.doctor, is_daily=is_on))
    async with open_smtp_house(tmp_path, settings=settings) as house:
        chores = make_chores(house.house, TlsOutcomes(house.storage.memory, house.house.clock))
        always = {"expiry", "idle accounts", "relay report", "errands", "public links", "push registrations"}
        always |= {"scheduling messages", "emails", "sealed mail", "imports", "statistics"}
        assert set(chores) == always | ({"tls reports", "dmarc reports", "doctor"} if is_on else set())


async def test_counts_are_written_at_the_end(house, clock):
    counted = DmarcOutcomes(house.storage.memory, clock)
    before = await counted._daily.counts(clock.now().date())
    await receive(house, message(), "alice@example.test")
    assert await counted._daily.counts(clock.now().date()) == before == {}
    stop = asyncio.Event()
    running = asyncio.create_task(reporting.Counting(house.house.dmarc_outcomes).run(stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(running, 10)
    assert list((await counted._daily.counts(clock.now().date())).values()) == [1]
