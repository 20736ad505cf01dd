"""Answers and notices: what they say, and whom an answer may go to."""

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest

from mailstead.mime.compose import Heading
from mailstead.model.address import Address
from mailstead.model.authentication import ArcResult, Authentication, DmarcResult, IprevResult, Result, SpfResult
from mailstead.usecases import answers

HEADING = Heading(
    "alice@example.test", ("bob@x.test",), "Auto: Grüße", datetime(2026, 7, 1, tzinfo=UTC), "<1@example.test>"
)


def authentication(author="x.test", *, spf=Result.NONE, spf_domain="x.test", from_all=False, scope="mfrom", dkim=False,
                   policy_domain=""):  # fmt: skip
    return Authentication(
        SpfResult(spf, spf_domain, scope, is_from_all=from_all),
        None,
        (),
        ArcResult(Result.NONE),
        DmarcResult(
            Result.PASS,
            author,
            policy_domain,
            is_spf_aligned=spf is Result.PASS and spf_domain == author,
            is_dkim_aligned=dkim,
        ),
        IprevResult(Result.NONE),
    )


@pytest.mark.parametrize(
    ("found", "sender", "is_answered"),
    [
        (None, "bob@x.test", False),
        (authentication(), "bob@x.test", False),
        (authentication(spf=Result.PASS), "bob@x.test", True),
        (authentication(dkim=True), "bob@x.test", True),
        (authentication(dkim=True, policy_domain="x.test"), "bob@bounces.x.test", True),
        # an honest From, and MAIL FROM of a victim
        (authentication(dkim=True), "victim@y.test", False),
        (authentication(dkim=True), "victim@evilx.test", False),
        (authentication(dkim=True, spf=Result.SOFTFAIL, spf_domain="y.test"), "victim@y.test", False),
        (authentication(dkim=True, spf=Result.PASS, spf_domain="y.test"), "sender@y.test", True),
        (authentication(dkim=True, spf=Result.PASS, spf_domain="y.test", from_all=True), "sender@y.test", False),
        (authentication(dkim=True, spf=Result.PASS, spf_domain="y.test", scope="helo"), "sender@y.test", False),
        # SPF of MAIL FROM alone says nothing of the author
        (authentication(spf=Result.PASS, spf_domain="y.test"), "sender@y.test", False),
    ],
)
def test_attack_019_an_answer_goes_only_to_who_has_sent(found, sender, is_answered):
    assert answers.is_sender_vouched_for(found, Address.parse(sender)) is is_answered


def test_an_answer_refers_to_its_question():
    original = b"Message-ID: <q@x.test>\r\nReferences: <r1@x.test>\r\n <r2@x.test> junk\r\nSubject: hi\r\n\r\nhi\r\n"
    octets = answers.vacation_answer(HEADING, "Bin weg.\nGrüße", original, is_mime=False)
    message = message_from_bytes(octets, policy=default)
    assert message["Auto-Submitted"] == "auto-replied (vacation)"
    assert message["In-Reply-To"] == "<q@x.test>"
    assert message["References"].split() == ["<r1@x.test>", "<r2@x.test>", "<q@x.test>"]
    assert (message["From"], message["To"], message["Subject"]) == ("alice@example.test", "bob@x.test", "Auto: Grüße")
    assert message.get_content() == "Bin weg.\r\nGrüße\r\n"
    assert b"\n" not in octets.replace(b"\r\n", b"")


def test_a_long_thread_is_cut():
    references = b" ".join(b"<%d@x.test>" % number for number in range(100))
    original = b"Message-ID: <q@x.test>\r\nReferences: " + references + b"\r\n\r\n"
    message = message_from_bytes(answers.vacation_answer(HEADING, "x", original, is_mime=False), policy=default)
    found = message["References"].split()
    assert (found[0], found[-2:], len(found)) == ("<0@x.test>", ["<99@x.test>", "<q@x.test>"], answers.REFERENCES_MAX)


@pytest.mark.parametrize("message_id", [b"", b"no brackets", b"<a\x01b@x>", b"<\xff@x>", b"<" + b"x" * 300 + b">"])
def test_without_a_good_message_id_there_is_no_reference(message_id):
    octets = answers.vacation_answer(HEADING, "x", b"Message-ID: " + message_id + b"\r\n\r\n", is_mime=False)
    assert b"In-Reply-To" not in octets


def test_a_mime_answer_keeps_its_parts_and_no_other_field():
    text = (
        "From: evil@x.test\nBcc: evil@x.test\nContent-Type: multipart/alternative; boundary=b\n\n"
        "--b\nContent-Type: text/plain; charset=utf-8\n\nGrüße\n--b\nContent-Type: text/html\n\n<p>x</p>\n--b--\n"
    )
    octets = answers.vacation_answer(HEADING, text, b"Subject: hi\r\n\r\n", is_mime=True)
    message = message_from_bytes(octets, policy=default)
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert message.get_all("From") == ["alice@example.test"]
    assert message["Bcc"] is None
    assert message["Subject"] == "Auto: Grüße"
    assert message.get_body(("plain",)).get_content() == "Grüße"
    assert b"\n" not in octets.replace(b"\r\n", b"")


def test_a_notice_is_marked():
    octets = answers.notice(HEADING, "You have mail", 1, (("X-Topic", "Grüße"),))
    message = message_from_bytes(octets, policy=default)
    assert (message["Auto-Submitted"], message["Importance"], message["X-Topic"]) == ("auto-notified", "high", "Grüße")
    assert message_from_bytes(answers.notice(HEADING, "x", 2, ()), policy=default)["Importance"] is None


def test_only_own_addresses_speak():
    own = frozenset({"alice@example.test"})
    otherwise = Address.parse("a@example.test")
    assert answers.own_sender("Alice <Alice@example.test>", own, otherwise) == "Alice <Alice@example.test>"
    assert answers.own_sender("Boss <boss@example.test>", own, otherwise) == "a@example.test"
    assert answers.own_sender("", own, otherwise) == "a@example.test"
    assert answers.own_sender("boss@example.test, alice@example.test", own, otherwise) == "a@example.test"
