"""What each method answers: discovery, properties, objects, collections, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse

from mailstead.config.settings import Dav
from mailstead.model.address import Address
from mailstead.model.dav import Access, CollectionKind, CollectionTraits
from mailstead.wiring.dav import make_app
from mailstead.wiring.house import ADMINISTRATOR
from services.dav.asking import Asking, asking

D, C, A, S, I = (
    "{DAV:}",
    "{urn:ietf:params:xml:ns:caldav}",
    "{urn:ietf:params:xml:ns:carddav}",
    "{http://calendarserver.org/ns/}",
    "{http://apple.com/ns/ical/}",
)
HOME = "/dav/alice%40example.test/"
CALENDAR, BOOK = f"{HOME}default/", f"{HOME}addressbooks/default/"
CORPUS = Path(__file__).parents[2] / "golden" / "pim"


def event(uid: str = "u", summary: str = "Lunch", more: str = "") -> str:
    return (
        f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20260101T000000Z\r\n"
        f"DTSTART:20260110T100000Z\r\nDTEND:20260110T110000Z\r\nSUMMARY:{summary}\r\n{more}END:VEVENT\r\nEND:VCALENDAR\r\n"
    )


CARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:c\r\nFN:Anna Bell\r\nN:Bell;Anna;;;\r\nEND:VCARD\r\n"


@pytest.fixture
async def dav(tmp_path):
    async with asking(tmp_path) as found:
        yield found


async def put(dav, path, text, status=201, **headers):
    answer = await dav.ask("PUT", path, text, **headers)
    assert answer.status == status, answer
    return answer


def hrefs(answer):
    return [each.text for each in answer.xml().findall(f"{D}response/{D}href")]


def told(answer):
    """The precondition in an error."""
    return next(each.tag for each in answer.xml())


# discovery


@pytest.mark.parametrize("service", ["caldav", "carddav"])
@pytest.mark.parametrize("method", ["GET", "PROPFIND", "OPTIONS"])
async def test_well_known_leads_to_the_root_without_log_in(dav, service, method):
    answer = await dav.ask(method, f"/.well-known/{service}", by="")
    assert (answer.status, answer.headers["location"]) == (301, "/")


async def test_a_program_finds_everything_from_the_root(dav):
    for path in ("/", "/dav/", "/principals/", HOME, CALENDAR):
        found = await dav.prop(path, f"{D}current-user-principal")
        assert found[f"{D}current-user-principal"].findtext(f"{D}href") == "/principals/alice%40example.test/"
    principal = await dav.prop(
        "/principals/alice%40example.test/",
        f"{C}calendar-home-set", f"{A}addressbook-home-set", f"{C}schedule-inbox-URL", f"{C}schedule-outbox-URL",
        f"{C}calendar-user-address-set", f"{D}displayname", f"{D}principal-URL", f"{D}resourcetype",
    )  # fmt: skip
    assert principal[f"{C}calendar-home-set"].findtext(f"{D}href") == HOME
    assert principal[f"{A}addressbook-home-set"].findtext(f"{D}href") == f"{HOME}addressbooks/"
    assert principal[f"{C}schedule-inbox-URL"].findtext(f"{D}href") == f"{HOME}inbox/"
    assert "mailto:alice@example.test" in [each.text for each in principal[f"{C}calendar-user-address-set"]]
    assert principal[f"{D}resourcetype"].find(f"{D}principal") is not None
    assert set(hrefs(await dav.ask("PROPFIND", HOME, depth="1"))) == {HOME, CALENDAR, f"{HOME}inbox/", f"{HOME}outbox/"}
    assert set(hrefs(await dav.ask("PROPFIND", f"{HOME}addressbooks/", depth="1"))) == {f"{HOME}addressbooks/", BOOK}


@pytest.mark.parametrize(
    ("home", "calendar"),
    [
        ("/dav/alice/", "/dav/alice/default/"),
        ("/calendars/alice%40example.test/", "/calendars/alice%40example.test/default/"),
        ("/calendars/alice/", "/calendars/alice/default/"),
        ("/cal/alice%40example.test/", "/cal/alice%40example.test/default/"),
        ("/dav/ALICE%40EXAMPLE.TEST/", "/dav/ALICE%40EXAMPLE.TEST/default/"),
    ],
)
async def test_other_forms_of_paths_are_answered_as_they_were_asked(dav, home, calendar):
    assert calendar in hrefs(await dav.ask("PROPFIND", home, depth="1"))
    await put(dav, f"{calendar}a.ics", event())
    assert (await dav.ask("GET", f"{CALENDAR}a.ics")).body == event().encode()
    assert hrefs(await dav.ask("PROPFIND", calendar, depth="1")) == [calendar, f"{calendar}a.ics"]
    assert hrefs(await dav.ask("PROPFIND", f"/addressbooks/{home.split('/')[2]}/", depth="1"))[1].startswith(
        "/addressbooks/"
    )


async def test_an_at_sign_is_taken_both_ways_and_written_one_way(dav):
    assert hrefs(await dav.ask("PROPFIND", "/dav/alice@example.test/default/")) == [CALENDAR]


async def test_beside_the_pages_of_the_web_only_what_is_ours_is_taken(dav):
    async def pages(scope, receive, send):
        await PlainTextResponse("a page", 404)(scope, receive, send)

    beside = Asking(dav.house, make_app(dav.house, pages))
    for method, path in (("GET", "/"), ("GET", "/index.html"), ("POST", "/new"), ("PROPFIND", "/elsewhere/")):
        assert (await beside.ask(method, path)).body == b"a page"
    assert hrefs(await beside.ask("PROPFIND", "/")) == ["/"]
    assert "calendar-access" in (await beside.ask("OPTIONS", "/", by="")).headers["dav"]
    led = await beside.ask("PROPFIND", "/.well-known/carddav", by="")
    assert (led.status, led.headers["location"]) == (301, "/dav/")
    found = await beside.prop("/dav/", f"{D}current-user-principal")
    assert found[f"{D}current-user-principal"].findtext(f"{D}href") == "/principals/alice%40example.test/"


async def test_options_tell_what_there_is_without_log_in(dav):
    answer = await dav.ask("OPTIONS", CALENDAR, by="")
    assert answer.status == 200
    assert {"calendar-access", "addressbook", "1", "3", "extended-mkcol"} <= set(answer.headers["dav"].split(", "))
    assert "2" not in answer.headers["dav"].split(", ")  # no locks
    assert {"PROPFIND", "REPORT", "PUT", "MKCALENDAR"} <= set(answer.headers["allow"].split(", "))


# log-in


async def test_who_does_not_log_in_gets_nothing(dav):
    for answer in (
        await dav.ask("PROPFIND", "/", by=""),
        await dav.ask("PROPFIND", "/", by="nobody@example.test"),
        await dav.ask("GET", CALENDAR, by="", authorization="Basic !!!"),
        await dav.ask("GET", CALENDAR, by="", authorization="Bearer x"),
    ):
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic realm=")


async def test_no_password_over_clear_text_from_elsewhere(dav):
    dav.address = "192.0.2.7"
    answer = await dav.ask("PROPFIND", "/")
    assert answer.status == 403
    assert "https://" in answer.body.decode()


async def test_others_are_not_there(dav):
    for path in (
        "/dav/bob%40example.test/",
        "/dav/bob%40example.test/default/",
        "/principals/bob%40example.test/",
        "/dav/nobody%40example.test/",
        "/dav/bob%40example.test/default/a.ics",
    ):
        assert (await dav.ask("PROPFIND", path)).status == 404
    assert (await dav.ask("PUT", "/dav/bob%40example.test/default/a.ics", event())).status == 404


# objects


async def test_an_object_from_put_to_delete(dav):
    made = await put(dav, f"{CALENDAR}a.ics", event(), if_none_match="*", content_type="text/calendar; charset=utf-8")
    etag = made.headers["etag"]
    assert made.headers["location"] == f"https://mail.example.test{CALENDAR}a.ics"
    read = await dav.ask("GET", f"{CALENDAR}a.ics")
    assert (read.body, read.headers["etag"], read.headers["content-type"]) == (
        event().encode(),
        etag,
        "text/calendar; charset=utf-8; component=vevent",
    )
    assert (await dav.ask("GET", f"{CALENDAR}a.ics", if_none_match=etag)).status == 304
    assert (await dav.ask("PUT", f"{CALENDAR}a.ics", event(), if_none_match="*")).status == 412
    assert (await dav.ask("PUT", f"{CALENDAR}a.ics", event(), if_match='"other"')).status == 412
    changed = await put(dav, f"{CALENDAR}a.ics", event(summary="Dinner"), 204, if_match=etag)
    assert changed.headers["etag"] != etag
    assert (await dav.ask("DELETE", f"{CALENDAR}a.ics", if_match=etag)).status == 412
    assert (await dav.ask("DELETE", f"{CALENDAR}a.ics")).status == 204
    assert (await dav.ask("GET", f"{CALENDAR}a.ics")).status == 404
    assert (await dav.ask("DELETE", f"{CALENDAR}a.ics")).status == 404


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*.vcf")), ids=lambda path: path.name)
async def test_contacts_of_the_corpus_come_back_octet_by_octet(dav, file):
    answer = await dav.ask("PUT", f"{BOOK}x.vcf", file.read_bytes())
    assert answer.status == 201, answer
    assert (await dav.ask("GET", f"{BOOK}x.vcf")).body == file.read_bytes()


@pytest.mark.parametrize(
    ("path", "text", "media_type", "status", "condition"),
    [
        (CALENDAR, CARD, "text/calendar", 403, f"{C}valid-calendar-data"),
        (CALENDAR, event(), "text/plain", 415, f"{C}supported-calendar-data"),
        (CALENDAR, event().replace("UID:u", "UID:u\r\nMETHOD:X").replace("VERSION:2.0", "VERSION:2.0\r\nMETHOD:REQUEST"), "text/calendar", 403, f"{C}valid-calendar-object-resource"),
        (CALENDAR, event().replace("VEVENT", "VJOURNAL"), "text/calendar", 403, f"{C}supported-calendar-component"),
        (CALENDAR, "", "text/calendar", 403, f"{C}valid-calendar-data"),
        (BOOK, event(), "text/vcard", 403, f"{A}valid-address-data"),
        (BOOK, CARD, "text/calendar", 415, f"{A}supported-address-data"),
        (BOOK, CARD.replace("3.0", "2.1"), "text/vcard", 403, f"{A}supported-address-data"),
    ],
)  # fmt: skip
async def test_what_cannot_be_kept_is_told(dav, path, text, media_type, status, condition):
    answer = await dav.ask("PUT", f"{path}a", text, content_type=media_type)
    assert (answer.status, told(answer)) == (status, condition)


async def test_a_uid_is_once_in_a_calendar(dav):
    await put(dav, f"{CALENDAR}a.ics", event())
    answer = await dav.ask("PUT", f"{CALENDAR}b.ics", event())
    assert (answer.status, told(answer)) == (409, f"{C}no-uid-conflict")
    assert answer.xml().findtext(f"{C}no-uid-conflict/{D}href") == f"{CALENDAR}a.ics"


async def test_attack_085_what_is_too_large_is_refused(tmp_path):
    async with asking(tmp_path, dav=replace(Dav(), resource_octets_max=2000)) as dav:
        answer = await dav.ask("PUT", f"{BOOK}a.vcf", CARD.replace("FN:", "PHOTO:" + "A" * 3000 + "\r\nFN:"))
        assert answer.status == 413
        assert (await dav.ask("PUT", f"{BOOK}a.vcf", CARD, content_length="3000")).status == 413  # before it is read


@pytest.mark.parametrize("method", ["PUT", "MKCOL", "MKCALENDAR"])
async def test_nothing_is_made_where_there_is_no_parent(dav, method):
    """Spec: RFC 4918 §9.3.1, §9.7.1."""
    assert (await dav.ask(method, f"{HOME}nowhere/a/b.ics", event() if method == "PUT" else b"")).status == 409
    if method == "PUT":
        assert (await dav.ask(method, f"{HOME}nowhere/a.ics", event())).status == 409


async def test_who_puts_may_see_what_is_there(dav):
    """Spec: RFC 8144 §3."""
    made = await put(dav, f"{CALENDAR}a.ics", event(), prefer="return=representation")
    assert (made.body, made.headers["preference-applied"]) == (event().encode(), "return=representation")
    assert (await dav.ask("GET", f"{CALENDAR}a.ics")).headers["etag"] == made.headers["etag"]
    changed = await put(dav, f"{CALENDAR}a.ics", event(summary="Dinner"), 200, prefer="return=representation")
    assert changed.body == event(summary="Dinner").encode()
    old = {"if_match": made.headers["etag"]}
    refused = await put(dav, f"{CALENDAR}a.ics", event(), 412, prefer="return=representation", **old)
    assert (refused.body, refused.headers["etag"]) == (changed.body, changed.headers["etag"])
    assert b"Dinner" not in (await put(dav, f"{CALENDAR}a.ics", event(), 412, **old)).body
    gone = await put(dav, f"{CALENDAR}none.ics", event("x"), 412, prefer="return=representation", **old)
    assert "etag" not in gone.headers


async def test_copy_and_move(dav):
    await put(dav, f"{CALENDAR}a.ics", event())
    assert (await dav.ask("MKCALENDAR", f"{HOME}other/")).status == 201
    there = f"https://mail.example.test{HOME}other/b.ics"
    assert (await dav.ask("COPY", f"{CALENDAR}a.ics", destination=there)).status == 201
    assert (await dav.ask("COPY", f"{CALENDAR}a.ics", destination=there, overwrite="F")).status == 412
    assert (await dav.ask("MOVE", f"{CALENDAR}a.ics", destination=there)).status == 204
    assert (await dav.ask("GET", f"{CALENDAR}a.ics")).status == 404
    assert (await dav.ask("GET", f"{HOME}other/b.ics")).body == event().encode()
    assert (await dav.ask("MOVE", f"{HOME}other/b.ics", destination=f"{HOME}nowhere/b.ics")).status == 409
    assert (await dav.ask("MOVE", f"{HOME}other/b.ics", destination="https://evil.test/b.ics")).status == 502
    assert (await dav.ask("MOVE", f"{HOME}other/b.ics", destination=f"{BOOK}b.vcf")).status in {403, 409}
    assert (await dav.ask("MOVE", f"{HOME}other/", destination=f"{HOME}new/")).status == 403


async def test_a_name_of_the_servers_choice(dav):
    found = await dav.prop(CALENDAR, f"{D}add-member")
    answer = await dav.ask("POST", found[f"{D}add-member"].findtext(f"{D}href"), event(), content_type="text/calendar")
    assert answer.status == 201
    path = answer.headers["location"].removeprefix("https://mail.example.test")
    assert (await dav.ask("GET", path)).body == event().encode()


async def test_a_whole_file_is_put_and_got(dav):
    """Thunderbird publishes so; reference 8.3."""
    whole = event("one").replace("END:VCALENDAR\r\n", "") + event("two").partition("BEGIN:VEVENT")[2].join(
        ["BEGIN:VEVENT", ""]
    )
    answer = await dav.ask("PUT", f"{HOME}published/", whole, content_type="text/calendar")
    assert (answer.status, answer.body.decode().splitlines()[0]) == (201, "2 new, 0 replaced, 0 refused")
    answer = await dav.ask("PUT", f"{HOME}published/", whole, content_type="text/calendar")
    assert answer.body.decode().splitlines()[0] == "0 new, 2 replaced, 0 refused"
    read = await dav.ask("GET", f"{HOME}published/")
    assert read.headers["content-type"].startswith("text/calendar")
    assert read.body.count(b"BEGIN:VEVENT") == 2
    await put(dav, f"{BOOK}c.vcf", CARD)
    assert (await dav.ask("GET", BOOK)).body == CARD.encode()


async def test_zones_by_reference(dav):
    text = (
        event()
        .replace("DTSTART:20260110T100000Z", "DTSTART;TZID=Europe/Berlin:20260110T100000")
        .replace("DTEND:20260110T110000Z", "DTEND;TZID=Europe/Berlin:20260110T110000")
    )
    await put(dav, f"{CALENDAR}a.ics", text)
    assert (await dav.ask("GET", f"{CALENDAR}a.ics")).body == text.encode()
    assert b"BEGIN:VTIMEZONE" in (await dav.ask("GET", f"{CALENDAR}a.ics", caldav_timezones="T")).body


# collections and properties


async def test_a_calendar_with_all_that_clients_say_of_it(dav):
    body = """<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:I="http://apple.com/ns/ical/"><D:set><D:prop>
      <D:displayname xml:lang="de">Familie &amp; Freunde</D:displayname><C:calendar-description>x</C:calendar-description><I:calendar-color>#FF0000FF</I:calendar-color>
      <I:calendar-order>3</I:calendar-order><C:supported-calendar-component-set><C:comp name="VTODO"/></C:supported-calendar-component-set>
      <C:calendar-timezone-id>Europe/Berlin</C:calendar-timezone-id><z xmlns="urn:z"><q a="1">kept</q></z></D:prop></D:set></C:mkcalendar>"""
    answer = await dav.ask("MKCALENDAR", f"{HOME}family/", body)
    assert answer.status == 201
    found = await dav.prop(
        f"{HOME}family/",
        f"{D}displayname",
        f"{I}calendar-color",
        f"{I}calendar-order",
        f"{C}supported-calendar-component-set",
        f"{C}calendar-timezone-id",
        "{urn:z}z",
        f"{D}resourcetype",
        f"{D}sync-token",
        f"{S}getctag",
    )
    assert found[f"{D}displayname"].text == "Familie & Freunde"
    assert found[f"{D}displayname"].get("{http://www.w3.org/XML/1998/namespace}lang") == "de"
    assert found["{urn:z}z"].find("{urn:z}q").attrib == {"a": "1"}
    assert [each.get("name") for each in found[f"{C}supported-calendar-component-set"]] == ["VTODO"]
    assert found[f"{I}calendar-color"].text == "#FF0000FF"
    assert f'"{found[f"{D}sync-token"].text}"' == found[f"{S}getctag"].text
    assert (await dav.ask("PUT", f"{HOME}family/a.ics", event())).status == 403  # no events in here
    assert (await dav.ask("MKCALENDAR", f"{HOME}family/", body)).status == 405
    assert (await dav.ask("DELETE", f"{HOME}family/")).status == 204
    assert (await dav.ask("PROPFIND", f"{HOME}family/")).status == 404


async def test_mkcol_makes_what_the_body_or_the_home_says(dav):
    """tasks.org, DAVx5, Evolution: MKCOL with a body; older ones without."""
    typed = '<D:mkcol xmlns:D="DAV:"><D:set><D:prop><D:resourcetype><D:collection/><x:{0} xmlns:x="urn:ietf:params:xml:ns:{1}"/></D:resourcetype></D:prop></D:set></D:mkcol>'
    assert (await dav.ask("MKCOL", f"{HOME}tasks/", typed.format("calendar", "caldav"))).status == 201
    assert (await dav.ask("MKCOL", f"{HOME}addressbooks/work/", typed.format("addressbook", "carddav"))).status == 201
    assert (await dav.ask("MKCOL", f"{HOME}plain/")).status == 201
    assert (await dav.ask("MKCOL", f"{HOME}wrong/", typed.format("addressbook", "carddav"))).status == 403
    assert (await dav.ask("MKCOL", f"{HOME}inbox/")).status in {403, 405}
    assert (await dav.ask("MKCALENDAR", HOME)).status in {403, 405}
    assert (await dav.ask("MKCOL", f"{HOME}x/", "<a/>")).status == 415


async def test_properties_are_set_all_or_none(dav):
    body = '<D:propertyupdate xmlns:D="DAV:" xmlns:I="http://apple.com/ns/ical/"><D:set><D:prop><D:displayname>New</D:displayname><D:getetag>x</D:getetag></D:prop></D:set></D:propertyupdate>'
    answer = await dav.ask("PROPPATCH", CALENDAR, body)
    statuses = {each.find(f"{D}prop")[0].tag: each.findtext(f"{D}status") for each in answer.xml().iter(f"{D}propstat")}
    assert statuses == {f"{D}getetag": "HTTP/1.1 403 Forbidden", f"{D}displayname": "HTTP/1.1 424 Failed Dependency"}
    assert (await dav.prop(CALENDAR, f"{D}displayname"))[f"{D}displayname"].text == "Calendar"
    body = body.replace("<D:getetag>x</D:getetag>", "<I:calendar-order>7</I:calendar-order>").replace(
        "</D:set>", "</D:set><D:remove><D:prop><I:calendar-color/></D:prop></D:remove>"
    )
    answer = await dav.ask("PROPPATCH", CALENDAR, body, prefer="return=minimal")
    assert (answer.status, answer.body) == (200, b"")
    found = await dav.prop(CALENDAR, f"{D}displayname", f"{I}calendar-order", f"{I}calendar-color")
    assert {name: each.text for name, each in found.items()} == {f"{D}displayname": "New", f"{I}calendar-order": "7"}
    assert (
        b"valid-timezone"
        in (
            await dav.ask(
                "PROPPATCH",
                CALENDAR,
                '<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><C:calendar-timezone-id xmlns:C="urn:ietf:params:xml:ns:caldav">Mars/Base</C:calendar-timezone-id></D:prop></D:set></D:propertyupdate>',
            )
        ).body
    )


def setting(inner, kind="propertyupdate"):
    namespaces = 'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:I="http://apple.com/ns/ical/"'
    prefix = "C" if kind == "mkcalendar" else "D"
    return f"<{prefix}:{kind} {namespaces}><D:set><D:prop>{inner}</D:prop></D:set></{prefix}:{kind}>"


ZONE = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VTIMEZONE\nTZID:Europe/Berlin\nBEGIN:STANDARD\nDTSTART:19701025T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nEND:STANDARD\nEND:VTIMEZONE\nEND:VCALENDAR\n"


@pytest.mark.parametrize(
    ("inner", "name", "told"),
    [
        ("<I:calendar-color/>", f"{I}calendar-color", "#0066ff"),
        ("<I:calendar-color>#123456</I:calendar-color>", f"{I}calendar-color", "#123456"),
        ("<I:calendar-order/>", f"{I}calendar-order", "0"),
        ("<D:displayname/>", f"{D}displayname", "Calendar"),
        ("<D:displayname>A &lt;b&gt; &amp; c</D:displayname>", f"{D}displayname", "A <b> & c"),
        ("<C:calendar-description>Ours</C:calendar-description>", f"{C}calendar-description", "Ours"),
        (f"<C:calendar-timezone>{ZONE}</C:calendar-timezone>", f"{C}calendar-timezone", ZONE.strip()),
        (f"<C:calendar-timezone><![CDATA[{ZONE}]]></C:calendar-timezone>", f"{C}calendar-timezone", ZONE.strip()),
        ("<C:calendar-timezone-id>Europe/Berlin</C:calendar-timezone-id>", f"{C}calendar-timezone-id", "Europe/Berlin"),
        ("<C:schedule-calendar-transp><C:transparent/></C:schedule-calendar-transp>", f"{C}schedule-calendar-transp", None),
        ('<x xmlns="urn:x">kept</x>', "{urn:x}x", "kept"),
    ],
)  # fmt: skip
async def test_what_clients_set_is_told_again(dav, inner, name, told):
    """Empty values as the reference takes them (8.2)."""
    assert b"200 OK" in (await dav.ask("PROPPATCH", CALENDAR, setting(inner))).body
    assert (await dav.prop(CALENDAR, name))[name].text == told


@pytest.mark.parametrize(
    ("inner", "condition"),
    [
        ("<C:default-alarm-vevent-date>x</C:default-alarm-vevent-date>", None),
        ("<D:sync-token>x</D:sync-token>", "cannot-modify-protected-property"),
        ("<D:resourcetype/>", "cannot-modify-protected-property"),
        ('<C:supported-calendar-component-set><C:comp name="VTODO"/></C:supported-calendar-component-set>', "cannot-modify-protected-property"),
        ("<C:calendar-timezone>nonsense</C:calendar-timezone>", "valid-calendar-data"),
        ("<C:calendar-timezone-id>Mars/Base</C:calendar-timezone-id>", "valid-timezone"),
    ],
)  # fmt: skip
async def test_what_cannot_be_set_leaves_all_as_it_was(dav, inner, condition):
    answer = await dav.ask("PROPPATCH", CALENDAR, setting(f"{inner}<D:displayname>New</D:displayname>"))
    assert (answer.status, b"403 Forbidden" in answer.body, b"424 Failed" in answer.body) == (207, True, True)
    assert condition is None or condition.encode() in answer.body
    assert (await dav.prop(CALENDAR, f"{D}displayname"))[f"{D}displayname"].text == "Calendar"


async def test_a_calendar_with_a_property_that_cannot_be_is_not_made(dav):
    bad = "<C:calendar-timezone-id>Mars/Base</C:calendar-timezone-id><D:displayname>New</D:displayname>"
    answer = await dav.ask("MKCALENDAR", f"{HOME}new/", setting(bad, "mkcalendar"))
    assert (answer.status, answer.xml().tag) == (424, f"{C}mkcalendar-response")
    assert (await dav.ask("PROPFIND", f"{HOME}new/")).status == 404


async def test_properties_of_objects_are_what_they_are(dav):
    await put(dav, f"{CALENDAR}a.ics", event())
    answer = await dav.ask("PROPPATCH", f"{CALENDAR}a.ics", setting("<D:displayname>New</D:displayname>"))
    assert b"cannot-modify-protected-property" in answer.body
    assert (
        await dav.ask("PROPPATCH", f"{CALENDAR}none.ics", setting("<D:displayname>x</D:displayname>"))
    ).status == 404


async def test_quota(dav):
    await put(dav, f"{CALENDAR}a.ics", event())
    found = await dav.prop(HOME, f"{D}quota-used-bytes", f"{D}quota-available-bytes")
    assert found[f"{D}quota-used-bytes"].text == str(len(event()))
    assert f"{D}quota-available-bytes" not in found
    await dav.house.accounts.set_quota(ADMINISTRATOR, Address.parse("alice@example.test"), 300)
    assert (await dav.prop(HOME, f"{D}quota-available-bytes"))[f"{D}quota-available-bytes"].text == str(
        300 - len(event())
    )
    answer = await dav.ask("PUT", f"{CALENDAR}b.ics", event("b"))
    assert (answer.status, told(answer)) == (507, f"{D}quota-not-exceeded")


async def test_allprop_propname_and_minimal(dav):
    await put(dav, f"{CALENDAR}a.ics", event())
    answer = await dav.ask("PROPFIND", f"{CALENDAR}a.ics")
    assert {each.tag for each in answer.xml().find(f"{D}response/{D}propstat/{D}prop")} >= {
        f"{D}getetag",
        f"{D}getcontentlength",
        f"{D}resourcetype",
    }
    answer = await dav.ask("PROPFIND", CALENDAR, '<D:propfind xmlns:D="DAV:"><D:propname/></D:propfind>')
    assert f"{C}supported-calendar-component-set" in {
        each.tag for each in answer.xml().find(f"{D}response/{D}propstat/{D}prop")
    }
    body = '<D:propfind xmlns:D="DAV:"><D:prop><D:getetag/><x xmlns="urn:x"/></D:prop></D:propfind>'
    assert b"404" in (await dav.ask("PROPFIND", f"{CALENDAR}a.ics", body)).body
    assert b"404" not in (await dav.ask("PROPFIND", f"{CALENDAR}a.ics", body, prefer="return=minimal")).body


@pytest.mark.parametrize("path", ["/", HOME, CALENDAR, f"{HOME}addressbooks/"])
async def test_attack_081_infinity_is_refused(dav, path):
    answer = await dav.ask("PROPFIND", path, depth="infinity")
    assert (answer.status, told(answer)) == (403, f"{D}propfind-finite-depth")


async def test_attack_081_without_a_depth_only_the_place_itself_is_told(dav):
    await put(dav, f"{CALENDAR}a.ics", event())
    assert hrefs(await dav.ask("PROPFIND", CALENDAR)) == [CALENDAR]


@pytest.mark.parametrize(
    "path",
    [
        "/dav/alice%40example.test/default/..%2f..%2fbob",
        "/dav/%2e%2e/bob/",
        "/dav/alice/default/%00.ics",
        "/dav/alice/default/a%5cb.ics",
        "/dav/alice/default/a/b/c",
    ],
)
async def test_attack_082_paths_that_lead_elsewhere(dav, path):
    for method in ("GET", "PUT", "PROPFIND", "DELETE"):
        assert (await dav.ask(method, path, event() if method == "PUT" else b"")).status in {400, 403, 404, 409}


async def test_attack_082_headers_out_of_measure(dav):
    await put(dav, f"{CALENDAR}a.ics", event())
    assert (await dav.ask("GET", f"{CALENDAR}a.ics", **{"if": "(" * 100_000})).status == 431
    assert (await dav.ask("LOCK", f"{CALENDAR}a.ics", "<x/>")).status == 405  # no locks, so no flood of them
    assert (await dav.ask("PROPFIND", CALENDAR, depth="1" * 1000)).status == 400


async def test_attack_078_a_bomb_in_a_body_is_refused(dav):
    bomb = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><propfind xmlns="DAV:">&x;</propfind>'
    for method, path in (
        ("PROPFIND", CALENDAR),
        ("REPORT", CALENDAR),
        ("PROPPATCH", CALENDAR),
        ("MKCALENDAR", f"{HOME}n/"),
    ):
        assert (await dav.ask(method, path, bomb)).status == 400


async def test_what_is_not_known_is_told(dav):
    assert (await dav.ask("PROPFIND", "/elsewhere/")).status == 404
    answer = await dav.ask("BREW", CALENDAR)
    assert (answer.status, "PROPFIND" in answer.headers["allow"]) == (405, True)
    answer = await dav.ask("REPORT", CALENDAR, '<D:version-tree xmlns:D="DAV:"/>')
    assert (answer.status, told(answer)) == (403, f"{D}supported-report")


async def test_who_may_do_what_is_told(dav):
    """Spec: RFC 3744 §5."""
    names = [
        f"{D}{name}" for name in ("current-user-privilege-set", "supported-privilege-set", "acl", "inherited-acl-set")
    ]
    await put(dav, f"{CALENDAR}a.ics", event())
    for path, has, has_not in (
        (CALENDAR, f"{D}write-content", f"{C}schedule-send"),
        (f"{HOME}outbox/", f"{C}schedule-send-freebusy", f"{D}bind"),
        (f"{HOME}inbox/", f"{C}schedule-deliver", f"{D}bind"),
    ):
        found = await dav.prop(path, *names)
        current = {each[0].tag for each in found[names[0]]}
        supported = {each.find(f"{D}privilege")[0].tag for each in found[names[1]].iter(f"{D}supported-privilege")}
        assert has in current <= supported
        assert has_not not in current
        assert [each.text for each in found[names[2]].iter(f"{D}href")] == ["/principals/alice%40example.test/"]
    found = await dav.prop(f"{CALENDAR}a.ics", *names)
    assert [each.text for each in found[names[3]]] == [CALENDAR]
    alice, bob = (Address.parse(f"{name}@example.test") for name in ("alice", "bob"))
    owner = await dav.house.collections.account(ADMINISTRATOR, str(alice))
    actor = replace(ADMINISTRATOR, account_id=owner.account_id, address=alice, is_admin=False)
    opened = await dav.house.collections.open(actor, owner, CollectionKind.CALENDAR, "default")
    await dav.house.sharings.share(actor, opened, bob, Access.READ)
    await dav.house.sharings.set_delegate(actor, owner, bob, Access.WRITE)
    found = await dav.prop(CALENDAR, *names)
    assert [
        (each.findtext(f"{D}principal/{D}href"), [one[0].tag for one in each.find(f"{D}grant")])
        for each in found[names[2]]
    ] == [
        ("/principals/alice%40example.test/", [f"{D}all"]),
        ("/principals/bob%40example.test/", [f"{D}read"]),
        ("/principals/alice%40example.test/calendar-proxy-write/", [f"{D}read", f"{D}write"]),
    ]
    assert names[2] not in await dav.prop(CALENDAR, *names, by="bob@example.test")


async def test_a_subscription_is_called_and_coloured_by_its_owner(dav):
    owner = await dav.house.collections.account(ADMINISTRATOR, "alice@example.test")
    await dav.house.collections.create(
        ADMINISTRATOR, owner, CollectionKind.CALENDAR, "moon", CollectionTraits("Moon"), source_url="https://moon.test/"
    )
    body = '<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><D:displayname>Phases</D:displayname></D:prop></D:set></D:propertyupdate>'
    assert b"200 OK" in (await dav.ask("PROPPATCH", f"{HOME}moon/", body)).body
    found = await dav.prop(f"{HOME}moon/", f"{D}displayname", f"{D}current-user-privilege-set")
    assert found[f"{D}displayname"].text == "Phases"
    privileges = {each[0].tag for each in found[f"{D}current-user-privilege-set"]}
    assert f"{D}write-properties" in privileges
    assert f"{D}write-content" not in privileges
    assert (await dav.ask("PUT", f"{HOME}moon/a.ics", event())).status == 403


@pytest.mark.parametrize(("service", "there", "absent"), [("caldav", HOME, BOOK), ("carddav", BOOK, HOME)])
async def test_a_process_for_one_of_the_two_has_principals_too(tmp_path, service, there, absent):
    async with asking(tmp_path, services=(service,)) as dav:
        for path in ("/", "/principals/"):
            assert f"{D}current-user-principal" in await dav.prop(path, f"{D}current-user-principal")
        found = await dav.prop("/principals/alice%40example.test/", f"{C}calendar-home-set", f"{A}addressbook-home-set")
        assert set(found) == {f"{C}calendar-home-set" if service == "caldav" else f"{A}addressbook-home-set"}
        assert (await dav.ask("PROPFIND", there)).status == 207
        assert (await dav.ask("PROPFIND", absent)).status == 404


async def test_principals_find_only_themselves(dav):
    """Attack row 84."""
    search = '<D:principal-property-search xmlns:D="DAV:"><D:property-search><D:prop><D:displayname/></D:prop><D:match>{}</D:match></D:property-search><D:prop><D:displayname/></D:prop></D:principal-property-search>'
    assert hrefs(await dav.ask("REPORT", "/principals/", search.format("alice"))) == [
        "/principals/alice%40example.test/"
    ]
    assert hrefs(await dav.ask("REPORT", "/principals/", search.format("bob"))) == []
    match = '<D:principal-match xmlns:D="DAV:"><D:self/></D:principal-match>'
    assert hrefs(await dav.ask("REPORT", "/principals/", match)) == ["/principals/alice%40example.test/"]
    assert (
        b"displayname"
        in (await dav.ask("REPORT", "/principals/", '<D:principal-search-property-set xmlns:D="DAV:"/>')).body
    )
