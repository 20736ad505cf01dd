from pathlib import Path

import pytest

from mailstead.mime.facts import message_facts
from mailstead.mime.section import LISTED_FIELDS, fields_picker, header_fields, section_range

NESTED = (Path(__file__).parent.parent / "golden/mime/rfc3501-section-numbers.eml").read_bytes()
HEADER = b"From: a\r\nSubject: b\r\n c\r\nX-To: d\r\nTO : e\r\nno field\r\nDate:\r\n\r\n"


def section(number, what):
    found = section_range(message_facts(NESTED).parts, number, what)
    return None if found is None else NESTED[slice(*found)]


def test_sections_of_the_rfc_example():
    assert section("", "") == NESTED
    assert section("", "HEADER") + section("", "TEXT") == NESTED
    for number in ("1", "2", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2"):
        assert section(number, "").decode() == number
    assert section("3", "HEADER").startswith(b"Subject: three\r\n")
    assert section("3", "HEADER") + section("3", "TEXT") == section("3", "")
    assert section("4.2", "MIME") == b"Content-Type: message/rfc822\r\n\r\n"
    assert section("4.2.2", "MIME") == b"Content-Type: multipart/alternative; boundary=E\r\n\r\n"
    assert section("4", "").startswith(b"--C\r\n")


@pytest.mark.parametrize(
    ("number", "what"),
    [("5", ""), ("1.1", ""), ("1", "HEADER"), ("4", "TEXT"), ("", "MIME"), ("0", ""), ("4.2.0", ""), ("3.TEXTX", "")],
)
def test_sections_that_are_not_there(number, what):
    assert section(number, what) is None


def test_one_is_the_body_of_a_message_without_parts():
    octets = b"Subject: x\r\n\r\nbody"
    parts = message_facts(octets).parts
    assert octets[slice(*section_range(parts, "1", ""))] == b"body"
    assert octets[slice(*section_range(parts, "1", "MIME"))] == b"Subject: x\r\n\r\n"
    assert section_range(parts, "1", "TEXT") is None
    assert section_range(parts, "1.1", "") is None


def test_picking_fields():
    assert header_fields(HEADER, ["subject", "To"]) == b"Subject: b\r\n c\r\nTO : e\r\n\r\n"
    assert header_fields(HEADER, ["subject", "TO"], negate=True) == b"From: a\r\nX-To: d\r\nDate:\r\n\r\n"
    assert header_fields(HEADER, ["nothing"]) == b"\r\n"
    assert header_fields(HEADER, []) == b"\r\n"
    assert header_fields(HEADER, [], negate=True) == HEADER.replace(b"no field\r\n", b"")
    assert header_fields(b"", ["from"]) == b"\r\n"
    assert header_fields(b"From: a", ["from"]) == b"From: a\n\r\n"
    assert header_fields(b"From: a\r\n", ["f.om"]) == b"\r\n"


def test_picker_is_made_once():
    assert fields_picker(frozenset({"From"})) is fields_picker(frozenset({"From"}))


def test_listed_header_serves_what_it_promises():
    octets = (
        b"X-Other: 1\r\n"
        + b"".join(b"%b: v\r\n" % name.encode() for name in sorted(LISTED_FIELDS))
        + b"Subject : folded\r\n\tx\r\nTo: last\r\n\r\n"
    )
    facts = message_facts(octets)
    assert b"X-Other" not in facts.listed_header
    for names in (LISTED_FIELDS, frozenset({"subject", "to"})):
        pick = fields_picker(names)
        assert pick(facts.listed_header) == pick(octets)
