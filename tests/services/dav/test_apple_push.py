"""Apple's push as its calendars and contacts ask for it."""

import pytest

from mailstead.config.settings import Dav
from net.outbound.remote import Authority
from services.dav.asking import asking

S, D = "{http://calendarserver.org/ns/}", "{DAV:}"
HOME = "/dav/alice%40example.test/"
CALENDAR, BOOKS = f"{HOME}default/", f"{HOME}addressbooks/"
TRANSPORTS, KEY = f"{S}push-transports", f"{S}pushkey"
APNS = "/dav-push/apns"
TOKEN = "0f" * 32


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("apple"))
    caldav, carddav = authority.client("com.apple.calendar.XServer.1"), authority.client("com.apple.contact.XServer.2")
    return {
        "apns_caldav_certificate_file": str(caldav[0]),
        "apns_caldav_key_file": str(caldav[1]),
        "apns_carddav_certificate_file": str(carddav[0]),
        "apns_carddav_key_file": str(carddav[1]),
    }


@pytest.fixture
async def dav(tmp_path, files):
    async with asking(tmp_path, dav=Dav(**files)) as found:
        yield found


async def key_of(dav, path, by="alice@example.test"):
    return (await dav.prop(path, KEY, by=by))[KEY].text


async def pushes(dav):
    return await dav.house.storage.sharing.pushes()


def form(**fields):
    return "&".join(f"{name}={value}" for name, value in fields.items())


@pytest.mark.parametrize(
    ("path", "topic"), [(HOME, "com.apple.calendar.XServer.1"), (BOOKS, "com.apple.contact.XServer.2")]
)
async def test_what_clients_look_for(dav, path, topic):
    found = await dav.prop(path, TRANSPORTS, KEY)
    (transport,) = found[TRANSPORTS]
    assert (transport.tag, transport.get("type")) == (f"{S}transport", "APSD")
    assert transport.find(f"{S}subscription-url").findtext(f"{D}href") == f"https://mail.example.test{APNS}"
    assert transport.findtext(f"{S}apsbundleid") == topic
    assert transport.findtext(f"{S}env") == "PRODUCTION"
    assert transport.findtext(f"{S}refresh-interval") == "172800"
    inside = await dav.prop(f"{path}default/", TRANSPORTS, KEY)
    assert TRANSPORTS not in inside
    assert inside[KEY].text == found[KEY].text


async def test_each_home_has_its_key_and_what_is_neither_has_none(dav):
    assert await key_of(dav, HOME) != await key_of(dav, BOOKS)
    assert await key_of(dav, f"{HOME}inbox/") == await key_of(dav, HOME)
    assert await key_of(dav, "/calendars/alice%40example.test/") == await key_of(dav, HOME)
    for path in ("/principals/alice%40example.test/", "/", f"{HOME}outbox/"):
        assert await dav.prop(path, TRANSPORTS, KEY) == {}


async def test_it_stands_in_no_allprop(dav):
    answer = await dav.ask("PROPFIND", HOME, b"", depth="0")
    assert answer.status == 207
    assert b"push-transports" not in answer.body
    assert b"pushkey" not in answer.body


@pytest.mark.parametrize("way", ["GET", "POST with a form", "POST with a query"])
async def test_a_device_registers(dav, way):
    fields = form(token=TOKEN.upper(), key=await key_of(dav, HOME))
    if way == "POST with a form":
        answer = await dav.ask("POST", APNS, fields, content_type="application/x-www-form-urlencoded")
    else:
        answer = await dav.ask(way.partition(" ")[0], f"{APNS}?{fields}")
    assert (answer.status, answer.body) == (200, b"")
    (push,) = await pushes(dav)
    assert push.apple_token == TOKEN


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ("", b"token"),
        ("token={token}", b"key"),
        ("key={key}", b"token"),
        ("token=zz&key={key}", b"token"),
        ("token={token}&key=x", b"key"),
        ("token={token}&key=0123456789abcdef-calendars", b"no such key"),
        ("&".join("a=b" for _ in range(100)), b"token"),
        ("\xff\x00", b"token"),
    ],
)
async def test_what_is_refused(dav, fields, word):
    body = fields.format(token=TOKEN, key=await key_of(dav, HOME))
    answer = await dav.ask("POST", APNS, body)
    assert answer.status == 400
    assert word in answer.body
    assert await pushes(dav) == []


async def test_attack_084_others_keys_are_refused_as_if_they_were_not_there(dav):
    refused = [
        await dav.ask("POST", APNS, form(token=TOKEN, key=key), "bob@example.test")
        for key in (await key_of(dav, HOME), await key_of(dav, BOOKS), "0123456789abcdef-calendars")
    ]
    assert {(each.status, each.body) for each in refused} == {(400, b"There is no such key\n")}
    assert (await dav.ask("POST", APNS, form(token=TOKEN, key=await key_of(dav, HOME)), "")).status == 401
    assert (await dav.ask("GET", f"{APNS}?{form(token=TOKEN, key=await key_of(dav, HOME))}", by="")).status == 401
    assert await pushes(dav) == []


async def test_attack_089_no_page_of_others_registers_a_device(dav):
    """A picture in a page is a GET with the log-in that a browser remembers."""
    fields = form(token=TOKEN, key=await key_of(dav, HOME))
    for site in ("cross-site", "same-site"):
        assert (await dav.ask("GET", f"{APNS}?{fields}", sec_fetch_site=site)).status == 403
        assert (await dav.ask("POST", APNS, fields, sec_fetch_site=site)).status == 403
    assert (await dav.ask("GET", f"{APNS}?{fields}", origin="https://elsewhere.test")).status == 403
    assert await pushes(dav) == []
    assert (await dav.ask("GET", CALENDAR, sec_fetch_site="cross-site")).status != 403


async def test_a_large_body_is_not_read(dav):
    assert (await dav.ask("POST", APNS, "token=" + "a" * 10_000)).status == 413


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PROPFIND", "REPORT", "HEAD", "MKCOL"])
async def test_other_methods_are_not_for_it(dav, method):
    assert (await dav.ask(method, APNS)).status == 405


async def test_nothing_is_there_without_certificates(tmp_path):
    async with asking(tmp_path) as plain:
        for path in (HOME, BOOKS, CALENDAR):
            assert await plain.prop(path, TRANSPORTS, KEY) == {}
        for method in ("GET", "POST"):
            assert (await plain.ask(method, f"{APNS}?{form(token=TOKEN, key='0-calendars')}")).status == 404
        assert plain.house.dav_push.apple is None


async def test_one_certificate_offers_its_own_alone(tmp_path, files):
    only = {name: value for name, value in files.items() if "carddav" in name}
    async with asking(tmp_path, dav=Dav(**only, apns_host="api.sandbox.push.apple.test")) as dav:
        assert await dav.prop(HOME, TRANSPORTS, KEY) == {}
        assert await dav.prop(CALENDAR, KEY) == {}
        found = await dav.prop(BOOKS, TRANSPORTS, KEY)
        assert found[TRANSPORTS].find(f"{S}transport").findtext(f"{S}env") == "SANDBOX"


async def test_the_people_of_the_domain_are_not_told_of(tmp_path, files):
    async with asking(tmp_path, dav=Dav(**files, shows_directory=True)) as dav:
        assert await dav.prop(f"{BOOKS}default/", KEY)
        people = await dav.prop(f"{BOOKS}directory/", f"{D}displayname", KEY)
        assert list(people) == [f"{D}displayname"]
