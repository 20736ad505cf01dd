from datetime import UTC, datetime

from mailstead.mime.compose import Heading, composed
from mailstead.mime.facts import message_facts

HEADING = Heading(
    "Mail <postmaster@example.test>",
    ["alice@example.test", "Bob <bob@example.test>"],
    "Grüße",
    datetime(2026, 11, 21, tzinfo=UTC),
    "<1@example.test>",
)


def test_composed_text():
    octets = composed(HEADING, "Hallo\nÄ\n")
    facts = message_facts(octets)
    assert facts.subject == "Grüße"
    assert facts.message_id == "1@example.test"
    assert facts.sent_at == HEADING.sent_at
    assert facts.preview == "Hallo Ä"
    assert b"\n" not in octets.replace(b"\r\n", b"")


def test_composed_alternative_is_the_same_each_time():
    octets = composed(HEADING, "x\n", html="<p>x</p>")
    assert octets == composed(HEADING, "x\n", html="<p>x</p>")
    assert [part.media_type for part in message_facts(octets).parts] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]


def test_utf8_addresses_stay_utf8():
    octets = composed(HEADING._replace(recipients=["jörg@example.test"]), "x\n")
    assert "jörg@example.test".encode() in octets
