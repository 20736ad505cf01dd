"""What mail programs are told; how it goes over the web: tests/services/web."""

from xml.etree import ElementTree as ET

from mailstead.policy.client_setup import (
    RESPONSE_SCHEMA,
    Offer,
    autoconfig,
    autodiscover,
    autodiscover_place,
    autodiscover_refusal,
    preferred,
)

TLS, CLEAR = Offer("imap", 993, is_tls=True), Offer("imap", 143, is_tls=False)
DAV = [Offer("caldav", 443, is_tls=True), Offer("carddav", 8443, is_tls=True)]


def test_tls_from_the_first_octet_goes_first():
    assert preferred([CLEAR, TLS]) == [TLS, CLEAR]


def test_what_no_program_can_find_is_left_out():
    assert preferred([Offer("sieve", 5190, is_tls=True), Offer("mx", 25, is_tls=False), TLS]) == [TLS]


def test_names_are_escaped():
    for text in (
        autoconfig('a&b<c>"', "h&h", [TLS]),
        autodiscover("o'<x>&@e.test", "h&h", [TLS]),
        autodiscover_refusal(500, "<&>"),
    ):
        ET.fromstring(text)


def test_nothing_offered_is_still_a_whole_answer():
    assert ET.fromstring(autoconfig("e.test", "h", [])).find("emailProvider/incomingServer") is None
    assert "Protocol" not in autodiscover("a@e.test", "h", [])


def test_programs_for_calendars_and_contacts_are_led_too():
    text = autoconfig(
        "example.test", "mx.example.test", [Offer("caldav", 443, is_tls=True), Offer("carddav", 8443, is_tls=True), TLS]
    )
    root = ET.fromstring(text)
    assert root.findtext("calendar/serverURL") == "https://mx.example.test/dav/"
    assert root.findtext("addressBook/serverURL") == "https://mx.example.test:8443/dav/"
    assert [each.get("type") for each in root.iter("incomingServer")] == ["imap"]


def test_calendars_and_contacts_are_told_in_the_words_of_the_draft_too():
    text = autoconfig("example.test", "mx.example.test", DAV)
    root = ET.fromstring(text)
    told = {(each.tag, each.get("type")): each for each in root if each.find("url") is not None}
    assert set(told) == {("calendar", "caldav"), ("addressbook", "carddav")}
    for each in told.values():
        assert each.findtext("username") == "%EMAILADDRESS%"
        assert each.findtext("authentication") == "basic"
    assert told["addressbook", "carddav"].findtext("url") == "https://mx.example.test:8443/dav/"


def test_programs_that_ask_as_outlook_does_find_calendars_and_contacts():
    root = ET.fromstring(autodiscover("a@e.test", "mx.e.test", [*DAV, TLS]))
    space = f"{{{RESPONSE_SCHEMA}}}"
    told = {each.findtext(f"{space}Type"): each.findtext(f"{space}Server") for each in root.iter(f"{space}Protocol")}
    assert told == {
        "IMAP": "mx.e.test",
        "CalDAV": "https://mx.e.test/dav/",
        "CardDAV": "https://mx.e.test:8443/dav/",
    }


def test_the_way_in_json_leads_to_that_in_xml():
    found = autodiscover_place("autodiscoverV1", "mx.e.test")
    assert found == {"Protocol": "AutodiscoverV1", "Url": "https://mx.e.test/autodiscover/autodiscover.xml"}
    assert autodiscover_place("ActiveSync", "mx.e.test") is None
    assert autodiscover_place("", "mx.e.test") is None
