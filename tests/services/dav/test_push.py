"""WebDAV-Push as DAVx5 does it."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind
from mailstead.usecases.web_push import base64url, public_octets, unbase64url
from services.dav.asking import asking

P, D = "{https://bitfire.at/webdav-push}", "{DAV:}"
CALENDAR = "/dav/alice%40example.test/default/"
EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nBEGIN:VEVENT\r\nUID:u\r\nDTSTAMP:20260101T000000Z\r\n"
    "DTSTART:20260101T100000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
KEY = base64url(public_octets(ec.generate_private_key(ec.SECP256R1())))


@pytest.fixture
async def dav(tmp_path):
    async with asking(tmp_path) as found:
        yield found


def register(url="https://push.test/x", key=KEY, trigger="<content-update><D:depth>1</D:depth></content-update>"):
    return (
        '<push-register xmlns="https://bitfire.at/webdav-push" xmlns:D="DAV:"><subscription><web-push-subscription>'
        f"<push-resource>{url}</push-resource><content-encoding>aes128gcm</content-encoding>"
        f'<subscription-public-key type="p256dh">{key}</subscription-public-key>'
        f"<auth-secret>{base64url(b'0123456789abcdef')}</auth-secret></web-push-subscription></subscription>"
        f"<trigger>{trigger}</trigger><expires>Wed, 20 Dec 2023 10:03:31 GMT</expires></push-register>"
    )


async def test_what_clients_look_for(dav):
    found = await dav.prop(CALENDAR, f"{P}transports", f"{P}topic", f"{P}supported-triggers")
    key = found[f"{P}transports"].find(f"{P}web-push").find(f"{P}vapid-public-key")
    assert (key.get("type"), len(unbase64url(key.text))) == ("p256ecdsa", 65)
    assert 0 < len(found[f"{P}topic"].text) <= 32
    assert found[f"{P}supported-triggers"].find(f"{P}content-update").findtext(f"{D}depth") == "1"
    home = await dav.prop("/dav/alice%40example.test/", f"{P}topic")
    assert home == {}
    assert "webdav-push" in (await dav.ask("OPTIONS", CALENDAR, b"", "")).headers["dav"]


async def test_registered_renewed_and_removed(dav):
    first = await dav.ask("POST", CALENDAR, register(), content_type="application/xml")
    assert first.status == 201
    assert first.headers["expires"].endswith("GMT")
    again = await dav.ask("POST", CALENDAR, register())
    assert (again.status, again.headers["location"]) == (204, first.headers["location"])
    path = first.headers["location"].removeprefix(dav.house.calendar_objects.terms.base_url)
    assert (await dav.ask("DELETE", path, b"", "bob@example.test")).status == 404
    assert (await dav.ask("DELETE", path, b"", "")).status == 401
    assert (await dav.ask("GET", path)).status == 405
    assert (await dav.ask("DELETE", path)).status == 204
    assert (await dav.ask("DELETE", path)).status == 404


@pytest.mark.parametrize(
    ("body", "condition"),
    [
        (register(url="http://push.test/x"), b"invalid-subscription"),
        (register(key="AAAA"), b"invalid-subscription"),
        (register(trigger="<property-update/>"), b"no-supported-trigger"),
        ('<push-register xmlns="https://bitfire.at/webdav-push"/>', b"invalid-subscription"),
    ],
)
async def test_what_is_refused(dav, body, condition):
    answer = await dav.ask("POST", CALENDAR, body)
    assert answer.status == 403
    assert condition in answer.body


async def test_others_calendars_are_not_watched(dav):
    assert (await dav.ask("POST", CALENDAR, register(), "bob@example.test")).status == 404


@pytest.mark.parametrize("value", ["*", '"{0}"', '"https://elsewhere.test/x", "{0}"'])
async def test_a_device_does_not_hear_of_itself(dav, value):
    """As DAVx5 puts and deletes."""
    registered = (await dav.ask("POST", CALENDAR, register())).headers["location"]
    push_id = registered.rpartition("/")[2]
    account = await dav.house.storage.directory.find(Address.parse("alice@example.test"))
    store = dav.house.storage.accounts.of(account.account_id).dav

    async def is_told_of_all():
        collection = await store.collection(CollectionKind.CALENDAR, "default")
        found = await dav.house.storage.memory.recall("dav push", [push_id], dav.house.clock.now())
        return int(found[push_id]) == collection.modseq

    spared = {"push_dont_notify": value.format(registered), "content_type": "text/calendar"}
    assert (await dav.ask("PUT", f"{CALENDAR}u.ics", EVENT, **spared)).status == 201
    assert await is_told_of_all()
    assert (await dav.ask("DELETE", f"{CALENDAR}u.ics", b"", **spared)).status == 204
    assert await is_told_of_all()
    assert (await dav.ask("PUT", f"{CALENDAR}u.ics", EVENT, content_type="text/calendar")).status == 201
    assert not await is_told_of_all()
