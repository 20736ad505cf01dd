"""Golden messages: what is expected of each stands beside it and was reviewed by thinking, not only by running.

`MAILSTEAD_UPDATE_GOLDEN=1 pytest tests/mime/test_golden.py` writes the expectations anew; review the difference.
"""

import os
from pathlib import Path

import pytest

from mailstead.mime.facts import message_facts
from mailstead.mime.section import section_range
from mailstead.mime.text import search_text
from mailstead.proto.imap.write.body import basic_body

FOLDER = Path(__file__).parent.parent / "golden" / "mime"
MESSAGES = sorted(FOLDER.glob("*.eml"))


def described(octets: bytes) -> str:
    facts = message_facts(octets)
    lines = [
        f"size {facts.size_octets} header {facts.header_octets}",
        "summary " + _shown(facts.header_summary),
        "structure " + _shown(facts.body_structure),
        "body " + _shown(basic_body(facts.body_structure)),
        f"message-id {facts.message_id!a} references {facts.references!a}",
        f"sent {facts.sent_at} day {facts.sent_on}",
        f"subject {facts.subject!a} base {facts.base_subject!a} reply {facts.is_reply}",
        f"sort {facts.sort_from!a} {facts.sort_to!a} {facts.sort_cc!a} display {facts.display_from!a} {facts.display_to!a}",
        f"preview {facts.preview!a}",
    ]
    for part in facts.parts:
        lines.append(f"part {part.number or '-'} {part.media_type} {part.encoding} parent {part.parent}")
        lines.append("  header " + repr(octets[part.header_start : part.body_start]))
        lines.append("  body   " + repr(octets[part.body_start : part.body_end]))
        if part.is_message:
            for what in ("HEADER", "TEXT"):
                start, stop = section_range(facts.parts, part.number or "1", what)
                lines.append(f"  {what} {octets[start:stop]!r}")
    lines.append(f"listed {facts.listed_header!r}")
    found = search_text(octets, facts.parts)
    lines += [f"search.{name} {text!a}" for name, text in found._asdict().items()]
    return "\n".join(lines) + "\n"


def _shown(octets: bytes) -> str:
    return octets.decode("latin-1").encode("unicode_escape").decode().replace("\\\\", "\\")


def test_there_are_enough_golden_messages():
    assert len(MESSAGES) >= 25


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_golden_message(path):
    expected = path.with_suffix(".txt")
    found = described(path.read_bytes())
    if os.environ.get("MAILSTEAD_UPDATE_GOLDEN"):
        expected.write_text(found, encoding="ascii")
    assert found == expected.read_text(encoding="ascii")


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_every_form_of_octets_gives_the_same_facts(path):
    octets = path.read_bytes()
    facts = message_facts(octets)
    assert message_facts(bytearray(octets)) == facts
    assert message_facts(memoryview(octets)) == facts
    # A view of a part of something larger has no `find` behind it.
    assert message_facts(memoryview(b"xx" + octets + b"yy")[2:-2]) == facts
