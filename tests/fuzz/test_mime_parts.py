"""Properties of the MIME engine over garbage and over almost-messages."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from mailstead.mime.address import addresses_of
from mailstead.mime.ambiguity import ambiguities
from mailstead.mime.binary import decoded_part, decoded_size
from mailstead.mime.date import date_of
from mailstead.mime.facts import message_facts
from mailstead.mime.header import text_of
from mailstead.mime.parameters import valued
from mailstead.mime.section import fields_picker, section_range
from mailstead.mime.subject import base_subject
from mailstead.mime.text import fold, search_text
from mailstead.proto.imap.write.body import basic_body

LINES = [
    b"Content-Type: multipart/mixed; boundary=a", b"Content-Type: multipart/digest; boundary=ab", b"Content-Type: message/rfc822",
    b"Content-Type: text/html; charset=x", b"Content-Transfer-Encoding: base64", b"Content-Type: multipart/alternative; boundary=a",
    b"Content-Disposition: attachment; filename*0*=utf-8''%ff", b"From: a <a@b>, \xff", b"Subject: =?utf-8?q?=ff\0?= [a] re: \xc3",
    b"Date: 1 Jan 2020 00:00 +0100", b"References: <a@b> <", b" fold", b"--a", b"--ab", b"--a--", b"--ab--", b"--", b"", b"", b"", b"text", b"\0\r",
]  # fmt: skip
garbage = st.binary(max_size=300)
almost = st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from([b"\r\n", b"\n", b"\r\n", b""])), max_size=60).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


def is_balanced(rendered: bytes) -> bool:
    """Read one parenthesised list with its literals, to the very end."""
    token = re.compile(rb'"(?:[^"\\\r\n\x00-\x1f\x7f-\xff]|\\["\\])*"|\{(\d+)\}\r\n|[()]|NIL|\d+| ')
    depth, position = 0, 0
    while position < len(rendered):
        found = token.match(rendered, position)
        if not found:
            return False
        position = found.end()
        if found[1]:
            if b"\0" in rendered[position : position + int(found[1])]:
                return False
            position += int(found[1])
        depth += {b"(": 1, b")": -1}.get(found[0], 0)
        if depth == 0 and position < len(rendered):
            return False
    return depth == 0 and position == len(rendered)


@settings(deadline=None)
@given(garbage | almost)
def test_facts_hold_for_any_octets(octets):
    facts = message_facts(octets)
    parts = facts.parts
    assert facts.size_octets == len(octets)
    assert parts[0].number == ""
    assert parts[0].parent == -1
    assert parts[0].header_start == 0
    assert parts[0].body_end == len(octets)
    for index, part in enumerate(parts):
        assert 0 <= part.header_start <= part.body_start <= part.body_end <= len(octets)
        if index:
            above = parts[part.parent]
            assert part.parent < index
            assert above.is_message or above.media_type.startswith("multipart/")
            assert above.body_start <= part.header_start
            assert part.body_end <= above.body_end
        if part.is_message:
            assert parts[index + 1].parent == index
            assert parts[index + 1].header_start == part.body_start
        if part.number and not part.number.endswith("TEXT"):
            assert section_range(parts, part.number, "") == (part.body_start, part.body_end)
    numbers = [part.number for part in parts]
    assert len(set(numbers)) == len(numbers)
    for rendered in (facts.header_summary, facts.body_structure, basic_body(facts.body_structure)):
        assert is_balanced(rendered)
    assert len(facts.preview) <= 200
    for text in (facts.subject, facts.preview, facts.display_from, *search_text(octets, parts)):
        text.encode()  # no lone surrogates
        assert "\0" not in text
    assert message_facts(memoryview(b"\n" + octets + b"\n")[1:-1]) == facts
    assert isinstance(ambiguities(octets, parts), list)


@given(st.binary(max_size=200))
def test_values_of_any_octets(octets):
    text_of(octets).encode()
    addresses_of(octets)
    date_of(octets)
    valued(octets)
    for encoding in ("base64", "quoted-printable", "8bit"):
        assert decoded_size(octets, encoding) == len(decoded_part(octets, encoding))


@given(st.text(max_size=100))
def test_folding_is_done_at_once(text):
    assert fold(fold(text)) == fold(text)
    base, _ = base_subject(text)
    assert base in " ".join(text.split())


@given(
    st.lists(st.sampled_from([b"From: a\r\n", b"To : b\r\n", b"x: c\r\n d\r\n", b"junk\r\n", b"TO:\r\n"]), max_size=8)
)
def test_picked_and_not_picked_fields_are_all_fields(lines):
    header = b"".join(lines) + b"\r\n"
    chosen, others = (fields_picker(frozenset({"to"}), negate=negate)(header) for negate in (False, True))
    fields = [line for line in lines if line != b"junk\r\n"]
    assert chosen == b"".join(line for line in fields if line.lower().startswith(b"to")) + b"\r\n"
    assert others == b"".join(line for line in fields if not line.lower().startswith(b"to")) + b"\r\n"
