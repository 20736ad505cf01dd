from datetime import UTC, date, datetime

import pytest

from mailstead.mime.facts import REFERENCES_MAX, message_facts, message_ids_in


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"<a@b> <c@d>", ["a@b", "c@d"]),
        (b"<a\r\n @b>", ["a@b"]),
        # RFC 5256 §3: these two are the same.
        (b"<01KF8JCEOCBS0045PS@xxx.yyy.com>", ["01KF8JCEOCBS0045PS@xxx.yyy.com"]),
        (b'<"01KF8JCEOCBS0045PS"@xxx.yyy.com>', ["01KF8JCEOCBS0045PS@xxx.yyy.com"]),
        (b'<"a\\"b c"@d>', ['a"b c@d']),
        (b"a@b", ["a@b"]),
        (b"Your message of today, a@b wrote", []),
        (b"<>", []),
        (b"", []),
    ],
)
def test_message_ids(value, expected):
    assert message_ids_in(value) == expected


def test_references_else_in_reply_to():
    assert message_facts(b"References: <a@b>\r\nIn-Reply-To: <c@d>\r\n\r\n").references == ("a@b",)
    assert message_facts(b"References: none\r\nIn-Reply-To: <c@d> <e@f>\r\n\r\n").references == ("c@d",)
    assert message_facts(b"A: b\r\n\r\n").references == ()


def test_long_references_keep_the_root_and_the_nearest():
    references = message_facts(b"References: " + b" ".join(b"<%d@x>" % n for n in range(1000)) + b"\r\n\r\n").references
    assert len(references) == REFERENCES_MAX
    assert (references[0], references[1], references[-1]) == ("0@x", f"{1001 - REFERENCES_MAX}@x", "999@x")


def test_the_day_is_the_senders():
    facts = message_facts(b"Date: Sat, 21 Nov 2026 00:30:00 +0100\r\n\r\n")
    assert facts.sent_at == datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    assert facts.sent_on == date(2026, 11, 21).toordinal()


def test_dates_at_the_edge_of_time():
    facts = message_facts(b"Date: 1 Jan 0001 00:00:00 +0100\r\n\r\n")
    assert facts.sent_at is None
    assert facts.sent_on is None
