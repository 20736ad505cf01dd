"""Request bodies, as clients send them."""

from datetime import UTC, datetime

import pytest

from mailstead.pim.filters import (
    AddressData,
    CalendarData,
    CardFilter,
    CompChoice,
    CompFilter,
    ParamFilter,
    PropChoice,
    PropFilter,
    TextMatch,
    TimeRange,
)
from mailstead.proto.dav import parse, types
from mailstead.proto.dav.names import apple, caldav, calendarserver, carddav, dav
from mailstead.proto.dav.types import PropFind, PropFindKind
from mailstead.proto.dav.xml import BadRequest

NS = 'xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:A="urn:ietf:params:xml:ns:carddav" xmlns:S="http://calendarserver.org/ns/" xmlns:I="http://apple.com/ns/ical/" xmlns:P="https://bitfire.at/webdav-push"'
MARCH = TimeRange(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))


def body(root: str, inner: str = "", more: str = "") -> bytes:
    return f'<?xml version="1.0" encoding="utf-8"?>\n<{root} {NS} {more}>{inner}</{root.split(maxsplit=1)[0]}>'.encode()


def test_propfind():
    assert parse.propfind(b"") == parse.propfind(b" \r\n") == PropFind(PropFindKind.ALLPROP)
    assert parse.propfind(body("propfind", "<propname/>")) == PropFind(PropFindKind.PROPNAME)
    found = parse.propfind(body("propfind", "<prop><getetag/><S:getctag/><getetag/><I:calendar-color/></prop>"))
    assert found == PropFind(PropFindKind.PROP, (dav("getetag"), calendarserver("getctag"), apple("calendar-color")))
    found = parse.propfind(body("propfind", "<allprop/><include><sync-token/></include>"))
    assert found == PropFind(PropFindKind.ALLPROP, (dav("sync-token"),))
    for octets in (body("propfind"), body("prop", "<getetag/>"), b"<x"):
        with pytest.raises(BadRequest):
            parse.propfind(octets)


def test_changes_stand_in_the_order_of_the_document():
    inner = "<set><prop><displayname>A</displayname></prop></set><remove><prop><I:calendar-order/></prop></remove><set xml:lang='fr'><prop><displayname>B</displayname><C:x xml:lang='de'/></prop></set>"
    changes = parse.propertyupdate(body("propertyupdate", inner, "xml:lang='en'")).changes
    assert [(each.name, each.element is None, each.language) for each in changes] == [
        (dav("displayname"), False, "en"),
        (apple("calendar-order"), True, "en"),
        (dav("displayname"), False, "fr"),
        (caldav("x"), False, "de"),
    ]
    with pytest.raises(BadRequest):
        parse.propertyupdate(body("propertyupdate"))


def test_collections_are_made_by_either_body():
    assert parse.make_collection(b"") == types.MakeCollection()
    inner = (
        "<set><prop><resourcetype><collection/><A:addressbook/></resourcetype><displayname>X</displayname></prop></set>"
    )
    made = parse.make_collection(body("mkcol", inner))
    assert made.resource_types == {dav("collection"), carddav("addressbook")}
    assert [each.name for each in made.changes] == [dav("displayname")]
    assert parse.make_collection(body("C:mkcalendar")) == types.MakeCollection()
    with pytest.raises(BadRequest) as told:
        parse.make_collection(body("propfind"))
    assert told.value.status == 415


def test_a_calendar_query_with_everything():
    inner = """<prop><getetag/><C:calendar-data><C:comp name="VCALENDAR"><C:allprop/><C:comp name="vevent"><C:prop name="summary"/>
      <C:prop name="UID" novalue="yes"/></C:comp></C:comp><C:expand start="20260301T000000Z" end="20260401T000000Z"/></C:calendar-data></prop>
      <C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT"><C:time-range start="20260301T000000Z" end="20260401T000000Z"/>
      <C:prop-filter name="SUMMARY"><C:text-match collation="i;octet" negate-condition="yes">x</C:text-match></C:prop-filter>
      <C:prop-filter name="ATTENDEE"><C:param-filter name="PARTSTAT"><C:is-not-defined/></C:param-filter></C:prop-filter>
      <C:comp-filter name="VALARM"><C:is-not-defined/></C:comp-filter></C:comp-filter></C:comp-filter></C:filter><C:timezone-id>Europe/Berlin</C:timezone-id>"""
    found = parse.report(body("C:calendar-query", inner))
    event = CompFilter(
        "VEVENT", time_range=MARCH,
        props=(
            PropFilter("SUMMARY", text_matches=(TextMatch("x", "i;octet", negates=True),)),
            PropFilter("ATTENDEE", params=(ParamFilter("PARTSTAT", is_not_defined=True),)),
        ),
        comps=(CompFilter("VALARM", is_not_defined=True),),
    )  # fmt: skip
    choice = CompChoice(
        "VCALENDAR", None, (CompChoice("VEVENT", (PropChoice("SUMMARY"), PropChoice("UID", no_value=True)), ()),)
    )
    wanted = PropFind(PropFindKind.PROP, (dav("getetag"), caldav("calendar-data")), CalendarData(choice, MARCH))
    assert found == types.CalendarQuery(wanted, CompFilter("VCALENDAR", comps=(event,)), timezone_id="Europe/Berlin")


def test_a_filter_may_begin_with_the_event():
    """Fantastical, older tsdav: quirk_bare_comp_filter."""
    found = parse.report(body("C:calendar-query", '<C:filter><C:comp-filter name="VEVENT"/></C:filter>'))
    assert found.filter == CompFilter("VCALENDAR", comps=(CompFilter("VEVENT"),))


@pytest.mark.parametrize("start", ["20260301", "20260301T000000", " 20260301T000000Z "])
def test_moments_may_lack_what_goes_without_saying(start):
    """quirk_moment_without_zone."""
    span = f'<C:time-range start="{start}" end="20260401T000000Z"/>'
    assert parse.report(body("C:free-busy-query", span)).range == MARCH


def test_an_addressbook_query():
    inner = """<prop><A:address-data version="4.0"><A:prop name="FN"/></A:address-data></prop><A:filter test="allof"><A:prop-filter name="email" test="allof">
      <A:text-match match-type="starts-with">a</A:text-match><A:text-match match-type="ends-with">z</A:text-match></A:prop-filter></A:filter><A:limit><A:nresults>5</A:nresults></A:limit>"""
    found = parse.report(body("A:addressbook-query", inner))
    matches = (TextMatch("a", match_type="starts-with"), TextMatch("z", match_type="ends-with"))
    assert found.filter == CardFilter((PropFilter("EMAIL", text_matches=matches),), is_any=False)
    assert found.limit == 5
    assert found.wanted.address_data == AddressData((PropChoice("FN"),), version="4.0")
    with pytest.raises(BadRequest) as told:
        parse.report(body("A:addressbook-query", '<prop><A:address-data version="2.1"/></prop><A:filter/>'))
    assert told.value.condition == carddav("supported-address-data")


def test_multiget_sync_and_free_busy():
    found = parse.report(
        body("C:calendar-multiget", "<prop><C:calendar-data/></prop><href> /a%20b.ics </href><href>/c</href>")
    )
    assert (found.hrefs, found.wanted.calendar_data) == (("/a%20b.ics", "/c"), CalendarData())
    found = parse.report(
        body(
            "sync-collection",
            "<sync-token>t</sync-token><sync-level>1</sync-level><limit><nresults>10</nresults></limit><prop><getetag/></prop>",
        )
    )
    assert (found.token, found.limit, found.is_deep) == ("t", 10, False)
    assert parse.report(body("sync-collection", "<sync-token/><prop/>")).token == ""
    assert (
        parse.report(body("C:free-busy-query", '<C:time-range start="20260301T000000Z" end="20260401T000000Z"/>')).range
        == MARCH
    )
    found = parse.report(
        body("expand-property", '<property name="a"><property name="b" namespace="urn:x"/></property>')
    )
    assert found.properties == (types.Expansion("{DAV:}a", (types.Expansion("{urn:x}b"),)),)


@pytest.mark.parametrize(
    ("root", "inner", "status"),
    [
        ("C:calendar-query", "", 403),
        ("C:calendar-query", "<C:filter/>", 403),
        ("C:calendar-query", '<C:filter><C:comp-filter name="VEVENT"><C:time-range/></C:comp-filter></C:filter>', 403),
        ("C:calendar-query", '<C:filter><C:comp-filter name="VEVENT"><C:time-range start="yesterday"/></C:comp-filter></C:filter>', 403),
        ("C:calendar-query", '<C:filter><C:comp-filter name="VEVENT"><C:time-range start="20260301T000000Z" end="20260201T000000Z"/></C:comp-filter></C:filter>', 403),
        ("C:calendar-query", '<C:filter><C:comp-filter name="VEVENT"><C:prop-filter name="A"><C:text-match collation="i;klingon">x</C:text-match></C:prop-filter></C:comp-filter></C:filter>', 403),
        ("C:calendar-query", '<C:filter><C:comp-filter name="VEVENT">' + '<C:prop-filter name="A"/>' * 300 + "</C:comp-filter></C:filter>", 403),
        ("C:free-busy-query", "", 400),
        ("C:free-busy-query", '<C:time-range start="20260301T000000Z"/>', 400),
        ("sync-collection", "<prop/>", 400),
        ("sync-collection", "<sync-token/><sync-level>2</sync-level>", 400),
        ("sync-collection", "<sync-token/><limit><nresults>-1</nresults></limit>", 400),
        ("expand-property", "<property/>", 400),
        ("version-tree", "", 403),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_told(root, inner, status):
    with pytest.raises(BadRequest) as told:
        parse.report(body(root, inner))
    assert told.value.status == status


def test_sharing():
    inner = "<S:set><href>mailto:bob@x.test</href><S:common-name>Bob</S:common-name><S:read-write/></S:set><S:set><href>mailto:eve@x.test</href><S:read/></S:set><S:remove><href>mailto:tom@x.test</href></S:remove>"
    found = parse.share(body("S:share", inner))
    assert [(each.href, each.access) for each in found.changes] == [
        ("mailto:bob@x.test", "read-write"),
        ("mailto:eve@x.test", "read"),
        ("mailto:tom@x.test", ""),
    ]
    inner = "<sharee><href>mailto:bob@x.test</href><share-access><read-write/></share-access></sharee><sharee><href>mailto:e@x.test</href><share-access><no-access/></share-access></sharee>"
    assert [each.access for each in parse.share(body("share-resource", inner)).changes] == ["read-write", ""]
    reply = parse.share(
        body(
            "S:invite-reply",
            "<S:invite-accepted/><S:hosturl><href>/a</href></S:hosturl><S:in-reply-to>1</S:in-reply-to>",
        )
    )
    assert reply == types.InviteReply("/a", True, "1")
    assert parse.share(body("propfind")) is None
    unknown = parse.share(body("S:share", "<S:colour/><S:set><href>mailto:bob@x.test</href><S:read/></S:set>"))
    assert [each.access for each in unknown.changes] == ["read"]  # RFC 4918 §17


def test_push():
    inner = "<P:subscription><P:web-push-subscription><P:push-resource>https://push.test/1</P:push-resource><P:subscription-public-key type='p256dh'>K</P:subscription-public-key><P:auth-secret>S</P:auth-secret></P:web-push-subscription></P:subscription><P:trigger><P:content-update><depth>1</depth></P:content-update></P:trigger><P:expires>Wed, 20 Dec 2028 10:03:31 GMT</P:expires>"
    assert parse.push_register(body("P:push-register", inner)) == types.PushRegister(
        "https://push.test/1", "K", "S", True, False, "Wed, 20 Dec 2028 10:03:31 GMT"
    )
    with pytest.raises(BadRequest):
        parse.push_register(body("P:push-register"))
    assert parse.push_register(body("propfind")) is None
