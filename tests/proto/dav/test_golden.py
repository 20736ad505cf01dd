"""Bodies in the manner of the clients, written from what is known of them: each is read, and means what the client means.

They are no recordings: their shapes (prefixes, spaces, which properties) are those of the client, their data are ours.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailstead.pim.filters import AddressData, CalendarData, CompFilter, PropFilter, TextMatch, TimeRange
from mailstead.proto.dav import parse, types
from mailstead.proto.dav.names import apple, caldav, calendarserver, carddav, dav, push
from mailstead.proto.dav.types import Expansion, PropFindKind

GOLDEN = Path(__file__).parents[2] / "golden" / "dav"
MARCH = TimeRange(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))


def golden(name):
    return (GOLDEN / f"{name}.xml").read_bytes()


def within(name, **conditions):
    """The filter for components of one name."""
    return CompFilter("VCALENDAR", comps=(CompFilter(name, **conditions),))


PROPFINDS = {
    "ios-principal-propfind": (3, dav("current-user-principal")),
    "ios-home-propfind": (37, calendarserver("pushkey")),
    "thunderbird-collection-propfind": (7, calendarserver("getctag")),
    "davx5-home-propfind": (13, push("topic")),
    "evolution-home-propfind": (10, apple("calendar-order")),
    "vdirsyncer-home-propfind": (1, dav("resourcetype")),
}


@pytest.mark.parametrize("name", PROPFINDS)
def test_propfinds(name):
    count, one = PROPFINDS[name]
    found = parse.propfind(golden(name))
    assert (found.kind, len(found.props)) == (PropFindKind.PROP, count)
    assert one in found.props


QUERIES = {
    "ios-calendar-query": within("VEVENT", time_range=TimeRange(datetime(2026, 2, 28, tzinfo=UTC), None)),
    "thunderbird-calendar-query": within("VTODO"),
    "davx5-calendar-query": within("VEVENT", time_range=TimeRange(datetime(2025, 11, 28, 8, 30, tzinfo=UTC), None)),
    "evolution-calendar-query": within(
        "VEVENT", props=(PropFilter("UID", text_matches=(TextMatch("20260301T120000Z-1@host"),)),)
    ),
    "tasks-org-calendar-query": within("VTODO"),
    "fantastical-calendar-query": within("VEVENT", time_range=MARCH),
    "tsdav-calendar-query": within("VEVENT", time_range=MARCH),
    "vdirsyncer-calendar-query": within("VJOURNAL"),
    "outlook-caldav-synchronizer-calendar-query": within(
        "VEVENT", time_range=TimeRange(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC))
    ),
}


@pytest.mark.parametrize("name", QUERIES)
def test_calendar_queries(name):
    found = parse.report(golden(name))
    assert isinstance(found, types.CalendarQuery)
    assert found.filter == QUERIES[name]
    assert dav("getetag") in found.wanted.props


def test_what_of_objects_is_wanted():
    assert parse.report(golden("tsdav-calendar-query")).wanted.calendar_data == CalendarData(expand=MARCH)
    assert parse.report(golden("fantastical-calendar-query")).wanted.calendar_data == CalendarData()
    assert parse.report(golden("ios-calendar-query")).wanted.calendar_data is None


MULTIGETS = {
    "ios-calendar-multiget": (types.CalendarMultiget, "/dav/alice%40example.test/default/with%20space.ics"),
    "davx5-calendar-multiget": (types.CalendarMultiget, "/dav/alice%40example.test/default/a.ics"),
    "outlook-caldav-synchronizer-calendar-multiget": (types.CalendarMultiget, "/dav/alice@example.test/default/a%26b.ics"),
    "thunderbird-addressbook-multiget": (types.AddressbookMultiget, "/dav/alice%40example.test/addressbooks/default/1.vcf"),
    "davx5-addressbook-multiget": (types.AddressbookMultiget, "/dav/alice%40example.test/addressbooks/default/a.vcf"),
}  # fmt: skip


@pytest.mark.parametrize("name", MULTIGETS)
def test_multigets(name):
    kind, last = MULTIGETS[name]
    found = parse.report(golden(name))
    assert isinstance(found, kind)
    assert found.hrefs[-1] == last
    wanted = found.wanted.calendar_data or found.wanted.address_data
    assert wanted in {CalendarData(), AddressData(), AddressData(version="4.0")}


@pytest.mark.parametrize(
    ("name", "token", "limit"),
    [
        ("ios-sync-collection", "https://mail.example.test/ns/sync-token/41", None),
        ("thunderbird-sync-collection", "", None),
        ("davx5-sync-collection", "https://mail.example.test/ns/sync-token/7", 100),
    ],
)
def test_sync(name, token, limit):
    found = parse.report(golden(name))
    assert (found.token, found.limit, found.is_deep) == (token, limit, False)
    assert dav("getetag") in found.wanted.props


def test_addressbook_queries():
    found = parse.report(golden("macos-addressbook-query"))
    assert [each.name for each in found.filter.props] == ["FN", "EMAIL"]
    assert found.filter.props[1].text_matches == (TextMatch("änn", "i;unicode-casemap", "starts-with"),)
    assert (found.filter.is_any, found.limit) == (True, 50)
    assert [each.name for each in found.wanted.address_data.props] == ["VERSION", "UID", "FN", "EMAIL"]
    assert parse.report(golden("tsdav-addressbook-query")).filter.props == (PropFilter("FN", is_any=True),)


MADE = {
    "ios-mkcalendar": (set(), [apple("calendar-color"), apple("calendar-order"), caldav("supported-calendar-component-set"), dav("displayname")]),
    "davx5-mkcol": ({dav("collection"), caldav("calendar")}, [dav("displayname"), apple("calendar-color"), caldav("calendar-timezone-id"), caldav("supported-calendar-component-set")]),
    "tasks-org-mkcol": ({dav("collection"), caldav("calendar")}, [dav("displayname"), apple("calendar-color"), caldav("supported-calendar-component-set")]),
    "vdirsyncer-mkcol": ({dav("collection"), carddav("addressbook")}, []),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_collections_are_made(name):
    kinds, props = MADE[name]
    found = parse.make_collection(golden(name))
    assert found.resource_types == kinds
    assert [each.name for each in found.changes] == props


def test_properties_of_a_new_collection():
    changes = {each.name: each.element for each in parse.make_collection(golden("ios-mkcalendar")).changes}
    assert changes[dav("displayname")].text == "Einkäufe & mehr"
    assert changes[apple("calendar-color")].attributes == {"symbolic-color": "orange"}
    (comp,) = changes[caldav("supported-calendar-component-set")].children
    assert comp.attributes == {"name": "VTODO"}


def test_properties_are_changed():
    changes = parse.propertyupdate(golden("evolution-proppatch")).changes
    assert [(each.name, each.element.text if each.element is not None else None) for each in changes] == [
        (dav("displayname"), "Work"),
        (apple("calendar-color"), "#3465a4"),
        (apple("calendar-order"), None),
    ]


def test_principals():
    found = parse.report(golden("macos-expand-property"))
    inner = tuple(
        map(Expansion, (dav("displayname"), caldav("calendar-user-address-set"), calendarserver("email-address-set")))
    )
    assert found.properties == (
        Expansion(calendarserver("calendar-proxy-read-for"), inner),
        Expansion(calendarserver("calendar-proxy-write-for"), inner),
    )
    found = parse.report(golden("macos-principal-property-search"))
    assert (found.is_any, found.is_everywhere) == (True, True)
    assert found.searches == (((dav("displayname"),), "bob"), ((calendarserver("email-address-set"),), "bob"))


def test_sharing_and_push():
    assert parse.share(golden("macos-share")).changes == (
        types.ShareChange("mailto:bob@example.test", "read-write", "Team", "Bob"),
        types.ShareChange("mailto:eve@example.test", ""),
    )
    found = parse.push_register(golden("davx5-push-register"))
    assert found.push_url == "https://push.example.test/up/abc"
    assert (found.watches_content, found.watches_properties) == (True, True)
    assert len(found.public_key) == 87


def test_every_body_has_its_test():
    text = Path(__file__).read_text()
    assert [each.stem for each in GOLDEN.glob("*.xml") if f'"{each.stem}"' not in text] == []
