"""Sharing and delegation as clients do them."""

import pytest

from services.dav.asking import asking

D, S = "{DAV:}", "{http://calendarserver.org/ns/}"
ALICE, BOB = "/dav/alice%40example.test/", "/dav/bob%40example.test/"
EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nBEGIN:VEVENT\r\nUID:u\r\nDTSTAMP:20260101T000000Z\r\n"
    "DTSTART:20260101T100000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


@pytest.fixture
async def dav(tmp_path):
    async with asking(tmp_path, ("alice", "bob", "carol")) as found:
        yield found


def apples(*changes):
    """What Apple Calendar posts."""
    pieces = "".join(
        f"<CS:set><D:href>{href}</D:href><CS:summary>My calendar</CS:summary><CS:{access}/></CS:set>"
        if access
        else f"<CS:remove><D:href>{href}</D:href></CS:remove>"
        for href, access in changes
    )
    return f'<CS:share xmlns:D="DAV:" xmlns:CS="http://calendarserver.org/ns/">{pieces}</CS:share>'


def drafts(href, access):
    """What the draft's clients post."""
    return (
        f'<D:share-resource xmlns:D="DAV:"><D:sharee><D:href>{href}</D:href><D:share-access><D:{access}/>'
        "</D:share-access></D:sharee></D:share-resource>"
    )


async def share(dav, *changes, status=200, path=f"{ALICE}default/", by="alice@example.test"):
    answer = await dav.ask("POST", path, apples(*changes), by, content_type="application/xml")
    assert answer.status == status, answer
    return answer


async def names(dav, home, by):
    answer = await dav.ask("PROPFIND", home, b"", by, depth="1")
    return {each.text for each in answer.xml().iter(f"{D}href")}


async def test_apple_shares_and_the_sharee_has_it(dav):
    await share(dav, ("mailto:bob@example.test", "read-write"))
    assert f"{BOB}default-alice/" in await names(dav, BOB, "bob@example.test")
    put = await dav.ask("PUT", f"{BOB}default-alice/u.ics", EVENT, "bob@example.test", content_type="text/calendar")
    assert put.status == 201
    assert (await dav.ask("GET", f"{ALICE}default/u.ics")).body == EVENT.encode()


async def test_both_sides_see_what_is_shared(dav):
    await share(dav, ("mailto:bob@example.test", "read"), ("/principals/carol%40example.test/", "read-write"))
    owners = await dav.prop(f"{ALICE}default/", f"{D}resourcetype", f"{S}invite", f"{D}share-access", f"{D}invite")
    assert owners[f"{D}resourcetype"].find(f"{S}shared-owner") is not None
    users = {
        each.findtext(f"{D}href"): [word.tag for word in each.find(f"{S}access")]
        for each in owners[f"{S}invite"].iter(f"{S}user")
    }
    assert users == {"mailto:bob@example.test": [f"{S}read"], "mailto:carol@example.test": [f"{S}read-write"]}
    assert owners[f"{D}share-access"].find(f"{D}shared-owner") is not None
    assert len(owners[f"{D}invite"].findall(f"{D}sharee")) == 2
    sharees = await dav.prop(
        f"{BOB}default-alice/",
        f"{D}resourcetype",
        f"{S}invite",
        f"{S}shared-url",
        f"{D}share-access",
        f"{D}current-user-privilege-set",
        f"{D}invite",
        f"{S}allowed-sharing-modes",
        by="bob@example.test",
    )
    assert sharees[f"{D}resourcetype"].find(f"{S}shared") is not None
    assert sharees[f"{S}shared-url"].findtext(f"{D}href") == f"{ALICE}default/"
    assert sharees[f"{D}share-access"].find(f"{D}read") is not None
    assert sharees[f"{S}invite"].find(f"{S}organizer").findtext(f"{D}href") == "/principals/alice%40example.test/"
    assert [each.findtext(f"{D}href") for each in sharees[f"{S}invite"].iter(f"{S}user")] == ["mailto:bob@example.test"]
    assert f"{D}invite" not in sharees
    assert f"{S}allowed-sharing-modes" not in sharees
    assert not [each for each in sharees[f"{D}current-user-privilege-set"].iter() if each.tag == f"{D}write"]


async def test_a_calendar_of_one_s_own(dav):
    found = await dav.prop(f"{ALICE}default/", f"{D}resourcetype", f"{D}share-access", f"{S}allowed-sharing-modes")
    assert found[f"{D}resourcetype"].find(f"{S}shared-owner") is None
    assert found[f"{D}share-access"].find(f"{D}not-shared") is not None
    assert found[f"{S}allowed-sharing-modes"].find(f"{S}can-be-shared") is not None


async def test_a_sharee_who_may_read_does_not_write(dav):
    await share(dav, ("mailto:bob@example.test", "read"))
    put = await dav.ask("PUT", f"{BOB}default-alice/u.ics", EVENT, "bob@example.test", content_type="text/calendar")
    assert put.status == 403


async def test_taken_back_and_taken_off(dav):
    await share(dav, ("mailto:bob@example.test", "read"), ("mailto:carol@example.test", "read"))
    await share(dav, ("mailto:bob@example.test", ""), ("mailto:nobody@example.test", ""))
    assert (await dav.ask("PROPFIND", f"{BOB}default-alice/", b"", "bob@example.test")).status == 404
    carols = "/dav/carol%40example.test/default-alice/"
    assert (await dav.ask("DELETE", carols, b"", "carol@example.test")).status == 204
    assert (await dav.ask("PROPFIND", f"{ALICE}default/")).status == 207
    found = await dav.prop(f"{ALICE}default/", f"{S}invite")
    assert found[f"{S}invite"].findall(f"{S}user") == []


@pytest.mark.parametrize(("access", "status"), [("read", 200), ("read-write", 200), ("no-access", 200)])
async def test_the_draft_s_words(dav, access, status):
    answer = await dav.ask("POST", f"{ALICE}default/", drafts("mailto:bob@example.test", access))
    assert answer.status == status
    home = await names(dav, BOB, "bob@example.test")
    assert (f"{BOB}default-alice/" in home) == (access != "no-access")


@pytest.mark.parametrize(
    "href", ["mailto:nobody@example.test", "mailto:x@elsewhere.test", "mailto:", "/dav/x/", "mailto:alice@example.test"]
)
async def test_who_is_none_here_gets_nothing(dav, href):
    await share(dav, (href, "read"), status=403)


async def test_others_calendars_are_not_to_be_shared(dav):
    await share(dav, ("mailto:bob@example.test", "read-write"))
    await share(
        dav, ("mailto:carol@example.test", "read"), status=403, path=f"{BOB}default-alice/", by="bob@example.test"
    )
    await share(dav, ("mailto:carol@example.test", "read"), status=404, by="carol@example.test")


async def test_the_sharee_s_own_name_and_colour(dav):
    await share(dav, ("mailto:bob@example.test", "read"))
    body = '<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><D:displayname>Hers</D:displayname></D:prop></D:set></D:propertyupdate>'
    assert (await dav.ask("PROPPATCH", f"{BOB}default-alice/", body, "bob@example.test")).status == 207
    assert (await dav.prop(f"{BOB}default-alice/", f"{D}displayname", by="bob@example.test"))[
        f"{D}displayname"
    ].text == "Hers"
    assert (await dav.prop(f"{ALICE}default/", f"{D}displayname"))[f"{D}displayname"].text == "Calendar"


# delegates


def members(*hrefs):
    inner = "".join(f"<D:href>{each}</D:href>" for each in hrefs)
    return (
        '<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><D:group-member-set>'
        f"{inner}</D:group-member-set></D:prop></D:set></D:propertyupdate>"
    )


PROXY = "/principals/alice%40example.test/calendar-proxy-write/"


async def test_apple_s_delegates(dav):
    answer = await dav.ask("PROPPATCH", PROXY, members("/principals/bob%40example.test/"))
    assert answer.status == 207
    assert b"200 OK" in answer.body
    found = await dav.prop(PROXY, f"{D}group-member-set", f"{D}resourcetype")
    assert found[f"{D}group-member-set"].findtext(f"{D}href") == "/principals/bob%40example.test/"
    assert found[f"{D}resourcetype"].find(f"{S}calendar-proxy-write") is not None
    bobs = await dav.prop(
        "/principals/bob%40example.test/",
        f"{D}group-membership",
        f"{S}calendar-proxy-write-for",
        f"{S}calendar-proxy-read-for",
        by="bob@example.test",
    )
    assert bobs[f"{D}group-membership"].findtext(f"{D}href") == PROXY
    assert bobs[f"{S}calendar-proxy-write-for"].findtext(f"{D}href") == "/principals/alice%40example.test/"
    assert list(bobs[f"{S}calendar-proxy-read-for"]) == []
    put = await dav.ask("PUT", f"{ALICE}default/u.ics", EVENT, "bob@example.test", content_type="text/calendar")
    assert put.status == 201
    await dav.ask("PROPPATCH", PROXY, members())
    assert (await dav.ask("GET", f"{ALICE}default/u.ics", b"", "bob@example.test")).status == 404


async def test_apple_finds_the_calendars_of_whom_it_acts_for(dav):
    """In one question about the delegate's own principal, and then in the other's home."""
    await dav.ask("PROPPATCH", PROXY, members("/principals/bob%40example.test/"))
    question = (
        '<A:expand-property xmlns:A="DAV:"><A:property name="calendar-proxy-write-for" '
        'namespace="http://calendarserver.org/ns/"><A:property name="displayname" namespace="DAV:"/>'
        '<A:property name="calendar-home-set" namespace="urn:ietf:params:xml:ns:caldav"/></A:property></A:expand-property>'
    )
    answer = await dav.ask("REPORT", "/principals/bob%40example.test/", question, "bob@example.test", depth="0")
    (inner,) = answer.xml().iter(f"{S}calendar-proxy-write-for")
    assert inner.findtext(f".//{D}displayname") == "alice@example.test"
    home = inner.find(".//{urn:ietf:params:xml:ns:caldav}calendar-home-set").findtext(f"{D}href")
    assert home == ALICE
    assert f"{ALICE}default/" in await names(dav, home, "bob@example.test")
    assert await names(dav, BOB, "alice@example.test") == set()


async def test_only_the_owner_says_who_acts(dav):
    await dav.ask("PROPPATCH", PROXY, members("/principals/bob%40example.test/"))
    answer = await dav.ask("PROPPATCH", PROXY, members("/principals/carol%40example.test/"), "bob@example.test")
    assert b"403" in answer.body
    assert (await dav.ask("PROPPATCH", PROXY, members(), "carol@example.test")).status == 404
    bad = await dav.ask("PROPPATCH", PROXY, members("/principals/nobody/"))
    assert b"403" in bad.body
    found = await dav.prop(PROXY, f"{D}group-member-set")
    assert found[f"{D}group-member-set"].findtext(f"{D}href") == "/principals/bob%40example.test/"
