"""Delivery status notifications: golden ones of ours, those of others read.

`MAILSTEAD_UPDATE_GOLDEN=1 pytest tests/mime/test_dsn.py` writes the golden ones anew; review the difference.
"""

import email
import email.policy
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.mime import dsn
from mailstead.mime.dsn import (
    Action,
    ParsedReport,
    RecipientReport,
    ReportedRecipient,
    StatusReport,
    compose,
    parse_dsn,
)
from mailstead.mime.dsn_words import SUBJECTS, advice_on_failure
from mailstead.mime.facts import message_facts
from mailstead.model.address import Address

FOLDER = Path(__file__).parent.parent / "golden" / "dsn"
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
BOB = Address("bob", "example.org")
ORIGINAL = (
    b"Received: from client by mx.example.test\r\n\twith ESMTPSA; Fri, 27 Nov 2026 11:00:00 +0000\r\n"
    b"From: Alice <alice@example.test>\r\nTo: Bob <bob@example.org>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Date: Fri, 27 Nov 2026 12:00:00 +0100\r\nMessage-ID: <1@example.test>\r\n\r\nHello Bob\r\n"
)
FAILED = RecipientReport(
    BOB, Action.FAILED, "5.1.1", "No such user here", 550, "mx.example.org", "rfc822;bob@example.org", AT
)
REPORT = StatusReport(
    reporting_mta="mx.example.test",
    to=Address("alice", "example.test"),
    sender=Address("mailer-daemon", "example.test"),
    message_id="n1@mx.example.test",
    boundary="=_boundary",
    at=AT,
    arrived_at=AT - timedelta(hours=1),
    envid="QQ314159",
    recipients=(FAILED,),
    original=ORIGINAL,
)
DELAYED = replace(
    FAILED,
    action=Action.DELAYED,
    status="4.4.1",
    diagnostic="connection timed out",
    code=0,
    orcpt=None,
    retried_until=AT + timedelta(days=5),
)
MIXED = (
    FAILED,
    replace(FAILED, address=Address("carol", "example.org"), status="5.2.2", code=552, diagnostic="Mailbox full"),
    replace(FAILED, address=Address("a b", "example.org"), status="5.4.7", code=0, diagnostic="", remote_mta=""),
    DELAYED,
    replace(FAILED, action=Action.RELAYED, status="2.0.0", code=250, diagnostic="OK queued"),
)
JOERG = Address("jörg", "xn--bcher-kva.example")
CASES = {
    "failed": REPORT,
    "failed-full": replace(REPORT, returns_full=True, envid=None),
    "delayed": replace(REPORT, recipients=(DELAYED,)),
    "relayed": replace(REPORT, recipients=(MIXED[4],)),
    "delivered": replace(
        REPORT, recipients=(replace(FAILED, action=Action.DELIVERED, status="2.0.0", code=0, diagnostic=""),)
    ),
    "expanded": replace(
        REPORT, recipients=(replace(FAILED, action=Action.EXPANDED, status="2.0.0", code=0, diagnostic=""),)
    ),
    "mixed": replace(REPORT, recipients=MIXED),
    "internationalised": replace(
        REPORT,
        to=Address("ålice", "example.test"),
        is_smtputf8=True,
        recipients=(replace(FAILED, address=JOERG, orcpt="utf-8;jörg@bücher.example", diagnostic="Unbekannt: jörg"),),
        original="From: <ålice@example.test>\r\nTo: <jörg@bücher.example>\r\nSubject: Grüße\r\n\r\nHallo\r\n".encode(),
    ),
    "internationalised-full": replace(
        REPORT, is_smtputf8=True, returns_full=True, original="Subject: Grüße\r\n\r\nHallo Jörg\r\n".encode()
    ),
    "eight-bits": replace(
        REPORT,
        recipients=(replace(FAILED, address=JOERG, orcpt=None, diagnostic="Unbekannt: jörg"),),
        original=b"From: Alice <alice@example.test>\r\nSubject: Gr\xfc\xdfe\r\n\r\nHallo\r\n",
    ),
    "nothing-to-give-back": replace(REPORT, original=b""),
}


@pytest.mark.parametrize("name", CASES)
def test_golden_notification(name):
    expected = FOLDER / f"{name}.eml"
    found = compose(CASES[name])
    if os.environ.get("MAILSTEAD_UPDATE_GOLDEN"):
        expected.write_bytes(found)
    assert found == expected.read_bytes()


@pytest.mark.parametrize("name", CASES)
def test_what_we_write_we_read(name):
    report = CASES[name]
    found = parse_dsn(compose(report))
    assert found.reporting_mta == "mx.example.test"
    assert found.envid == (report.envid or "")
    assert [(each.action, each.status) for each in found.recipients] == [
        (each.action, each.status) for each in report.recipients
    ]
    if name != "eight-bits":
        assert [each.address for each in found.recipients] == [str(each.address) for each in report.recipients]
    assert found.returned_header.rstrip() == report.original.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize("name", CASES)
def test_others_understand_it(name):
    """The standard library reads the same structure, and finds no defects."""
    message = email.message_from_bytes(compose(CASES[name]), policy=email.policy.default)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    words, status, returned = message.iter_parts()
    assert words.get_content_type() == "text/plain"
    assert "Your message" in words.get_content()
    assert status.get_content_type() in {"message/delivery-status", "message/global-delivery-status"}
    assert returned.get_content_type() in {
        "text/rfc822-headers",
        "message/rfc822",
        "message/global-headers",
        "message/global",
    }
    assert [part.defects for part in message.walk()] == [[] for _ in message.walk()]
    assert message_facts(compose(CASES[name])).message_id == "n1@mx.example.test"


@pytest.mark.parametrize("name", CASES)
def test_lines_are_short_and_end_well(name):
    octets = compose(CASES[name])
    assert b"\n" not in octets.replace(b"\r\n", b"")
    assert max(map(len, octets.split(b"\r\n"))) <= 120
    assert octets.isascii() == (not name.startswith("internationalised"))


def test_a_notification_never_causes_another():
    """Spec: RFC 3834 §2, RFC 3464 §2: marked as automatic, and in the thread of the message."""
    octets = compose(REPORT)
    assert b"\r\nAuto-Submitted: auto-replied\r\n" in octets
    assert b"\r\nIn-Reply-To: <1@example.test>\r\n" in octets


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("5.1.1", "no such address"),
        ("5.1.10", "takes no mail"),
        ("5.1.99", "spelt"),
        ("5.2.2", "full"),
        ("5.4.7", "as long as we may"),
        ("5.6.1", "plain text"),
        ("5.7.26", "policy"),
        ("5.7.30", "encryption"),
        ("5.0.0", "administrator"),
        ("", "administrator"),
    ],
)
def test_people_are_told_what_to_do(status, words):
    assert words in advice_on_failure(status)


def test_every_action_has_a_subject():
    assert SUBJECTS.keys() == set(Action)


def test_many_recipients_are_named_by_machines_only():
    report = replace(REPORT, recipients=tuple(replace(FAILED, address=Address(f"r{n}", "x.test")) for n in range(100)))
    octets = compose(report)
    words = octets.partition(b"--=_boundary")[2].partition(b"--=_boundary")[0]
    assert b"and 80 more" in words
    assert b"r20@" not in words
    assert len(parse_dsn(octets).recipients) == 100


@given(
    st.text(max_size=80),
    st.text(max_size=80),
    st.text(max_size=80),
    st.text(max_size=80),
    st.binary(max_size=200),
    st.booleans(),
    st.booleans(),
)
def test_nothing_from_outside_breaks_a_notification(diagnostic, host, envid, orcpt, original, full, utf8):
    recipient = replace(FAILED, diagnostic=diagnostic, remote_mta=host, orcpt=f"rfc822;{orcpt}")
    report = replace(
        REPORT, recipients=(recipient,), envid=envid, original=original, returns_full=full, is_smtputf8=utf8
    )
    octets = compose(report)
    parts = message_facts(octets).parts
    assert len([part for part in parts if part.parent == 0]) == 3
    found = parse_dsn(octets)
    assert [(each.address, each.status, each.action) for each in found.recipients] == [
        ("bob@example.org", "5.1.1", Action.FAILED)
    ]


def test_attack_022_nothing_large_comes_back():
    huge = b"Subject: x\r\nX-Fill: " + b"y" * 2_000_000 + b"\r\n\r\n" + b"z" * 2_000_000
    octets = compose(replace(REPORT, original=huge, returns_full=True))
    assert len(octets) < 5000
    assert b"Subject: x\r\n" in octets
    many = b"".join(b"X-%d: y\r\n z\r\n" % number for number in range(10_000)) + b"\r\n"
    octets = compose(replace(REPORT, original=many))
    returned = parse_dsn(octets).returned_header
    assert dsn.HEADER_OCTETS_MAX - 100 < len(returned) <= dsn.HEADER_OCTETS_MAX + 10
    assert returned.rstrip().endswith(b"y\r\n z")


def test_attack_022_huge_parameters_and_answers_are_cut():
    recipient = replace(FAILED, diagnostic="word " * 100_000, orcpt="rfc822;" + "x" * 100_000, remote_mta="h" * 100_000)
    octets = compose(replace(REPORT, recipients=(recipient,), envid="e" * 100_000))
    assert len(octets) < 8000
    assert max(map(len, octets.split(b"\r\n"))) < 998


# Reports of others

POSTFIX = b"""\
Return-Path: <>
From: MAILER-DAEMON@mail.example.org (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: alice@example.test
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="C3F2.1/mail.example.org"

This is a MIME-encapsulated message.

--C3F2.1/mail.example.org
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mail.example.org.

--C3F2.1/mail.example.org
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.org
X-Postfix-Queue-ID: C3F2
X-Postfix-Sender: rfc822; alice@example.test
Arrival-Date: Fri, 27 Nov 2026 12:00:00 +0000 (UTC)

Final-Recipient: rfc822; bob@example.org
Original-Recipient: rfc822;bob@alias.test
Action: failed
Status: 5.1.1
Diagnostic-Code: X-Postfix; unknown user:
    "bob"

Final-Recipient: rfc822; carol@example.org
Action: delayed (first warning)
Status: 4.4.1 (no answer)
Remote-MTA: dns; mx.example.net

--C3F2.1/mail.example.org
Content-Description: Undelivered Message
Content-Type: message/rfc822

Received: by x
Delivered-To: alias@test
Subject: hello

text

--C3F2.1/mail.example.org--
""".replace(b"\n", b"\r\n")
EXPECTED = ParsedReport(
    "mail.example.org",
    "",
    (
        ReportedRecipient("bob@example.org", "bob@alias.test", Action.FAILED, "5.1.1", 'unknown user: "bob"', ""),
        ReportedRecipient("carol@example.org", "", Action.DELAYED, "4.4.1", "", "mx.example.net"),
    ),
    b"Received: by x\r\nDelivered-To: alias@test\r\nSubject: hello\r\n\r\n",
)


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
def test_a_report_in_the_manner_of_postfix(form):
    assert parse_dsn(form(POSTFIX)) == EXPECTED


def test_a_report_with_bare_line_feeds():
    assert parse_dsn(POSTFIX.replace(b"\r\n", b"\n")).recipients == EXPECTED.recipients


def test_a_status_part_in_base64():
    import base64

    before, status, after = POSTFIX.partition(b"Reporting-MTA")
    inner, _, rest = (status + after).partition(b"\r\n--C3F2")
    octets = (
        before.replace(
            b"message/delivery-status\r\n", b"message/delivery-status\r\nContent-Transfer-Encoding: base64\r\n"
        )
        + base64.encodebytes(inner).replace(b"\n", b"\r\n")
        + b"\r\n--C3F2"
        + rest
    )
    assert parse_dsn(octets).recipients == EXPECTED.recipients


def test_a_report_without_fields_of_the_message():
    cut = POSTFIX[: POSTFIX.index(b"Reporting-MTA")] + POSTFIX[POSTFIX.index(b"Final-Recipient") :]
    assert parse_dsn(cut).recipients == EXPECTED.recipients


@pytest.mark.parametrize("octets", [b"", ORIGINAL, POSTFIX.replace(b"message/delivery-status", b"text/plain")])
def test_what_is_no_report(octets):
    assert parse_dsn(octets) is None


def test_a_report_that_says_nothing_useful():
    empty = POSTFIX.replace(b"Action: failed", b"Action: thrown away").replace(
        b"Action: delayed (first warning)\r\n", b""
    )
    assert parse_dsn(empty).recipients == ()


@given(st.integers(0, len(POSTFIX)), st.binary(max_size=20))
def test_any_report_is_read_without_failing(at, garbage):
    parse_dsn(POSTFIX[:at] + garbage + POSTFIX[at + len(garbage) :])


def test_attack_022_a_report_with_a_hundred_thousand_recipients():
    octets = POSTFIX.replace(
        b"Final-Recipient: rfc822; carol",
        b"Final-Recipient: rfc822; x@y.test\r\nAction: failed\r\n\r\n" * 100_000 + b"Final-Recipient: rfc822; carol",
    )
    assert len(parse_dsn(octets).recipients) <= 1001
