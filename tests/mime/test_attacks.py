"""Rows of the attack table that touch parsing; the numbers are the table's."""

import time

import pytest

from mailstead.mime.ambiguity import ambiguities
from mailstead.mime.facts import message_facts
from mailstead.mime.header import text_of
from mailstead.mime.parameters import SEGMENTS_MAX, valued
from mailstead.mime.text import search_text
from mailstead.mime.tree import DEPTH_MAX, OPAQUE, PARTS_MAX
from mailstead.proto.imap.write.body import basic_body


def timed(octets):
    started = time.process_time()
    facts = message_facts(octets)
    basic_body(facts.body_structure)
    search_text(octets, facts.parts)
    return facts, time.process_time() - started


def test_attack_006_nul_is_the_same_to_filter_store_and_client():
    octets = b'Subject: a\0b\r\nContent-Type: multipart/mixed; boundary="x\0y"\r\n\r\n--x\0y\r\nContent-Disposition: attachment; filename="e\0vil.exe"\r\n\r\nbody\r\n--x\r\n--x\0y--\r\n'
    facts = message_facts(octets)
    assert len(facts.parts) == 2
    assert facts.parts[1].disposition_params == (("filename", "e\ufffdvil.exe"),)
    assert facts.subject == "a\ufffdb"
    assert search_text(octets, facts.parts).subject == facts.subject
    assert b"\0" not in facts.header_summary + facts.body_structure
    assert b"a?b" in facts.header_summary
    assert ambiguities(octets, facts.parts) == ["a NUL in a header"]


@pytest.mark.parametrize(
    "octets",
    [
        b"".join(b"X-%d: y\r\n" % number for number in range(100_000)) + b"\r\nbody",
        b"X: " + b"y" * 50_000_000 + b"\r\n\r\nbody",
        b"To: " + b", ".join(b"Name %d <a%d@example.test>" % (n, n) for n in range(10_000)) + b"\r\n\r\nbody",
        b"Received: from x by y; Mon, 1 Jan 2026 00:00:00 +0000\r\n" * 10_000 + b"\r\nbody",
    ],
    ids=["100,000 fields", "one of 50 MB", "10,000 addresses", "10,000 Received"],
)
def test_attack_008_header_bomb(octets):
    facts, seconds = timed(octets)
    assert facts.size_octets == len(octets)
    assert octets[facts.header_octets :] == b"body"
    assert len(facts.parts) == 1
    assert len(facts.header_summary) < 2 << 20
    assert seconds < 3


def test_attack_065_nesting_and_part_bombs():
    def multiparts(level):
        return b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)

    facts, seconds = timed(b"".join(map(multiparts, range(10_000))))
    assert len(facts.parts) == DEPTH_MAX
    assert facts.parts[-1].media_type == OPAQUE
    assert seconds < 3

    facts, seconds = timed(b"Content-Type: message/rfc822\r\n\r\n" * 1000 + b"Subject: x\r\n\r\nx")
    assert len(facts.parts) == DEPTH_MAX
    assert seconds < 3

    facts, seconds = timed(b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n" * 100_000)
    assert len(facts.parts) == PARTS_MAX
    assert seconds < 3

    # The same boundary at each level, as if the structure went in a circle.
    facts, seconds = timed(b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" * 10_000 + b"--a--\r\n" * 10_000)
    assert len(facts.parts) <= PARTS_MAX
    assert seconds < 3

    # Digests nest two deep for each level written.
    digests = b"".join(
        b"Content-Type: multipart/digest; boundary=b%d\r\n\r\n--b%d\r\n\r\n" % (n, n) for n in range(1000)
    )
    facts, seconds = timed(digests)
    assert len(facts.parts) == DEPTH_MAX
    assert seconds < 3


def test_attack_066_parameters_and_encoded_words():
    started = time.process_time()
    pieces = b"".join(b"; a*%d=x" % number for number in range(100_000))
    assert valued(b"x/y" + pieces).params == (("a", "x" * SEGMENTS_MAX),)
    words = b"=?utf-8?q?x?= " * 70_000
    assert text_of(words) == "x" * 70_000
    assert text_of(b"=?utf-8?b?" * 100_000)
    assert text_of(b"=?utf-7?q?" + b"+AAAA" * 100_000 + b"?=")
    facts, _ = timed(b"Subject: " + words + b"\r\nContent-Type: x/y" + pieces + b"\r\n\r\nbody")
    assert facts.parts[0].params in {(), (("a", "x" * SEGMENTS_MAX),)}
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("octets", "media_types", "reasons"),
    [
        (
            b"Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n",
            ["text/plain"],
            ["content-type stands twice"],
        ),
        (
            b"Content-Transfer-Encoding: 7bit\r\ncontent-transfer-encoding : base64\r\n\r\nx",
            ["text/plain"],
            ["content-transfer-encoding stands twice"],
        ),
        (
            b"Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n--a\r\n\r\n--b\r\n\r\n",
            ["multipart/mixed", "text/plain"],
            ["a multipart has two boundaries"],
        ),
        (
            b"Content-Type: multipart/mixed; boundary=a; boundary*=b\r\n\r\n--b\r\n\r\n",
            ["multipart/mixed", "text/plain"],
            ["a multipart has two boundaries"],
        ),
        (b"Content-Type: multipart/mixed\r\n\r\n--a\r\n\r\n", ["text/plain"], ["a multipart has no boundary"]),
        (
            b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\n',
            ["text/plain"],
            ["a multipart has no boundary"],
        ),
        (
            b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n\r\nx\r\n--ab--\r\n--a--\r\n",
            ["multipart/mixed", "multipart/mixed", "text/plain"],
            ["a boundary begins another one"],
        ),
        (
            b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n--a--\r\n",
            ["multipart/mixed", "multipart/mixed", "text/plain"],
            ["two multiparts have one boundary"],
        ),
        (b"From: a@b\r\nFrom: c@d\r\n\r\n", ["text/plain"], ["from stands twice"]),
        (
            b"Content-Type: multipart/mixed; boundary=a\r\nContent-Transfer-Encoding: base64\r\n\r\n--a\r\n\r\nx\r\n--a--",
            ["multipart/mixed", "text/plain"],
            [],
        ),
        (b"From: a@b\r\nContent-Type: text/plain\r\n\r\nx", ["text/plain"], []),
    ],
)
def test_attack_067_one_reading_and_ambiguous_messages_are_told(octets, media_types, reasons):
    facts = message_facts(octets)
    assert [part.media_type for part in facts.parts] == media_types
    assert ambiguities(octets, facts.parts) == reasons


def test_attack_067_broken_base64_is_read_alike_by_search_preview_and_binary():
    from mailstead.mime.binary import decoded_part

    octets = b"Content-Transfer-Encoding: base64\r\n\r\naGVs*bG8=\r\nIHdvcmxk\r\nIQ"
    facts = message_facts(octets)
    assert facts.preview == "hello world!"
    assert search_text(octets, facts.parts).body == "hello world!"
    assert decoded_part(octets[facts.header_octets :], "base64") == b"hello world!"


@pytest.mark.parametrize(
    "name", ["../../etc/x", "..\\..\\x", "CON", "/etc/passwd", "a\u202egpj.exe", "x" * 5000, "a\r\nb", "~root", "-rf"]
)
def test_attack_071_file_names_are_data(name):
    from urllib.parse import quote

    octets = f"Content-Disposition: attachment; filename*=utf-8''{quote(name, safe='')}\r\n\r\nx".encode()
    facts = message_facts(octets)
    assert facts.parts[0].disposition_params == (("filename", name),)
    assert b"\r" not in facts.body_structure
    assert b"\n" not in facts.body_structure
    assert search_text(octets, facts.parts).body.startswith(name[:10])
