"""Answers: whatever we write another parser reads back, each value escaped once."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.proto.dav import write
from mailstead.proto.dav.names import PREFIXES, caldav, dav

TEXTS = st.text(
    st.characters(
        codec="utf-8",
        exclude_characters="".join(map(chr, [*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF])),
        exclude_categories=["Cs"],
    )
)


def tree(*pieces: str):
    return ET.fromstring(write.start() + "".join(pieces) + write.end("token<&>"))


def test_a_multistatus():
    found = tree(
        write.response("/a%20b.ics", {dav("getetag"): write.text(dav("getetag"), '"x"')}, {404: [caldav("x"), "{urn:o}y"], 403: []}),
        write.bare_response("/gone", 404),
        write.bare_response("/", 507, dav("number-of-matches-within-limits"), "more"),
    )  # fmt: skip
    first, second, third = found.findall("{DAV:}response")
    assert [each.findtext("{DAV:}status") for each in first.findall("{DAV:}propstat")] == [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 404 Not Found",
    ]
    assert [each.tag for each in first.findall("{DAV:}propstat")[1].find("{DAV:}prop")] == [caldav("x"), "{urn:o}y"]
    assert second.findtext("{DAV:}status") == "HTTP/1.1 404 Not Found"
    assert third.find("{DAV:}error/{DAV:}number-of-matches-within-limits") is not None
    assert found.findtext("{DAV:}sync-token") == "token<&>"


def test_a_response_has_a_propstat_whatever_happens():
    assert tree(write.response("/a", {}, {404: []})).find("{DAV:}response/{DAV:}propstat/{DAV:}prop") is not None


@given(TEXTS, TEXTS)
def test_values_come_back_as_they_were(value, href):
    """Reference 8.8, #573: `&`, `<`, `>` were escaped twice, which corrupted contacts."""
    found = tree(write.response(href, {caldav("calendar-data"): write.text(caldav("calendar-data"), value)}))
    response = found.find("{DAV:}response")
    assert response.findtext(f"{{DAV:}}propstat/{{DAV:}}prop/{caldav('calendar-data')}") == (value or "")
    assert response.findtext("{DAV:}href") == href


@given(st.text(st.characters()))
def test_what_cannot_stand_in_xml_spoils_no_answer(value):
    """An object with U+FFFF in it came by mail, say: all others of its calendar are still to be had."""
    found = tree(write.response("/a", {"x": write.text(caldav("calendar-data"), value)}))
    text = found.findtext(f".//{caldav('calendar-data')}")
    assert len(text) == len(value)
    assert all(ours in {theirs, "\ufffd"} for ours, theirs in zip(text, value, strict=True))


@pytest.mark.parametrize("name", ["{urn:\"x'<&>}a", "{http://www.w3.org/XML/1998/namespace}a", "plain", "{DAV:}x"])
def test_names_that_clients_ask_for_come_back_as_they_are(name):
    """RFC 4918 §9.1: what is not there stands in the answer under its own name, whatever its namespace."""
    found = tree(write.response("/a", {}, {404: [name]}))
    assert [each.tag for each in found.find(".//{DAV:}prop")] == [name]


def test_a_language_stays_within_its_quotes():
    found = tree(write.response("/a", {"x": write.text(dav("displayname"), "x", 'd"e')}))
    assert found.find(".//{DAV:}displayname").attrib == {"{http://www.w3.org/XML/1998/namespace}lang": 'd"e'}


def test_errors_and_documents():
    found = ET.fromstring(write.error(caldav("no-uid-conflict"), write.href("/a"), "It's <there>"))
    assert found.findtext(f"{caldav('no-uid-conflict')}/{{DAV:}}href") == "/a"
    assert found.findtext("{DAV:}responsedescription") == "It's <there>"
    assert ET.fromstring(write.error("")).tag == "{DAV:}error"
    assert ET.fromstring(write.document(caldav("mkcalendar-response"), "")).tag == caldav("mkcalendar-response")
    assert len(set(PREFIXES.values())) == len(PREFIXES)
    parts = tree(
        write.propstat_response(
            "/a", [(403, [dav("getetag")], dav("cannot-modify-protected-property")), (424, ["{urn:x}a"], "")]
        )
    )
    assert [each.text for each in parts.iter("{DAV:}status")] == [
        "HTTP/1.1 403 Forbidden",
        "HTTP/1.1 424 Failed Dependency",
    ]
