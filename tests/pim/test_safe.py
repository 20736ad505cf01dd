"""What may be shown to others, or sent on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.pim.component import parse
from mailstead.pim.safe import safe_url, without_alarms

TODO = b"""BEGIN:VCALENDAR
BEGIN:VTODO
UID:a
BEGIN:VALARM
ACTION:PROCEDURE
ATTACH:file:///bin/sh
TRIGGER:-PT5M
END:VALARM
BEGIN:VALARM
ACTION:DISPLAY
BEGIN:X-INNER
END:X-INNER
END:VALARM
BEGIN:X-VENDOR
BEGIN:VALARM
ACTION:AUDIO
END:VALARM
END:X-VENDOR
END:VTODO
END:VCALENDAR
"""


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a?b=c#d",
        "HTTP://example.org",
        "mailto:jane@example.org",
        "tel:+491234",
        "sip:jane@example.org",
        "xmpp:jane@example.org",
        "geo:52.5,13.4",
    ],
)
def test_links_that_lead_somewhere(url):
    assert safe_url(f" {url} ") == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "//example.org",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\tscript:alert(1)",
        "\x01javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://example.org/x",
        'https://example.org/"onclick=x',
        "https://example.org/<script>",
        "https://example.org/a b",
        "https://example.org/\nX: y",
        "https://example.org\\@else.example",
    ],
)
def test_attack_085_links_that_do_more_are_none(url):
    assert safe_url(url) is None


@given(st.text())
def test_attack_085_what_is_safe_stays_within_an_attribute(text):
    for url in (safe_url(text), safe_url(f"https:{text}")):
        assert url is None or not set(url) & set("\r\n\t <>\"'`")


def test_attack_085_alarms_that_start_programs_are_kept_as_data_and_not_sent_on():
    (calendar,) = parse(TODO)
    assert [each.value("ACTION") for each in calendar.components[0].children("VALARM")] == ["PROCEDURE", "DISPLAY"]
    (todo,) = without_alarms(calendar).components
    assert todo.value("UID") == "a"
    assert [each.name for each in todo.components] == ["X-VENDOR"]
    assert not todo.components[0].components
    assert len(list(calendar.components[0].children("VALARM"))) == 2
