"""Refusals become texts that say what to do."""

import json
from datetime import UTC, datetime

import pytest

from mailstead.net.acme.problems import failure, problem, retry_after_s
from mailstead.ports.web import WebResponse

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
PREFIX = "urn:ietf:params:acme:error:"


def document(kind, **more):
    return {"detail": "Because.", **more, "type": PREFIX + kind}


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("caa", "CAA records"),
        ("rateLimited", "wait"),
        ("dns", "publish an A or AAAA record"),
        ("connection", "port 80"),
        ("unauthorized", "must lead here"),
        ("rejectedIdentifier", "acme.names"),
        ("externalAccountRequired", "choose another acme.directory_url"),
        ("tls", "web.listen_shared"),
    ],
)
def test_each_kind_says_what_to_do(kind, advice):
    said = problem(document(kind), "mail.example.test")
    assert said.kind == kind
    assert said.public_text.startswith(f"The certificate authority refuses for mail.example.test ({kind}): Because. ")
    assert advice in said.public_text


def test_unknown_kinds_are_told_as_they_are():
    assert problem(document("newest")).public_text == "The certificate authority refuses (newest): Because"
    assert problem({}).public_text == "The certificate authority refuses (no reason)"


def test_the_names_that_are_refused_are_named():
    inner = [
        document("caa", identifier={"type": "dns", "value": "one.test"}),
        document("dns", identifier={"type": "dns", "value": "two.test"}),
        "nonsense",
    ]
    text = problem(document("compound", subproblems=inner)).public_text
    assert "for one.test (caa)" in text
    assert "for two.test (dns)" in text
    assert "CAA records" in text
    assert "publish an A" in text


@pytest.mark.parametrize("octets", [b"", b"<html>", b"[]", b'"x"', b"{}", b'{"type": 5}', b"[" * 100_000])
def test_what_is_no_problem_document_is_told_by_its_status(octets):
    said = failure(WebResponse(502, {"retry-after": "90"}, octets), NOW)
    assert "status 502" in said.public_text
    assert said.retry_after_s == 90


def test_the_wait_that_is_asked_for_is_kept():
    octets = json.dumps(document("rateLimited")).encode()
    assert failure(WebResponse(429, {"retry-after": "7200"}, octets), NOW).retry_after_s == 7200


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("", None),
        ("0", 0),
        ("120", 120),
        ("-5", None),
        ("soon", None),
        ("9" * 40, None),
        ("Mon, 01 Mar 2027 13:00:00 GMT", 3600),
        ("Mon, 01 Mar 2027 13:00:00 -0000", 3600),
        ("Mon, 01 Mar 2027 11:00:00 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text, wait_s):
    assert retry_after_s({"retry-after": text} if text else {}, NOW) == wait_s


def test_long_words_of_others_are_cut():
    assert len(problem(document("caa", detail="x" * 100_000)).public_text) < 1500
