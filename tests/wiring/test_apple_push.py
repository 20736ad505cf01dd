"""Apple's push through the whole house: off by default; with certificates, from a PUT to a notice at the service."""

import asyncio

import pytest

from mailstead.config.settings import Dav, Server, Settings, Store
from mailstead.model.errors import BadSettings
from mailstead.model.secret import Secret
from mailstead.wiring.apple_push import make_apple_push
from mailstead.wiring.house import open_house
from net.apns_server import ApnsServer
from net.outbound.remote import Authority
from services.dav.asking import asking

LIMIT_S = 30
TOKEN = "0f" * 32
KEY = "{http://calendarserver.org/ns/}pushkey"
HOME, BOOKS = "/dav/alice%40example.test/", "/dav/alice%40example.test/addressbooks/"
EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nBEGIN:VEVENT\r\nUID:u\r\nDTSTAMP:20260101T000000Z\r\n"
    "DTSTART:20260101T100000Z\r\nSUMMARY:Secret meeting\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
CARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:c\r\nFN:Max Stone\r\nN:Stone;Max;;;\r\nEND:VCARD\r\n"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def test_nothing_is_asked_of_apple_by_default():
    assert make_apple_push(Settings(), None) is None


async def test_from_a_put_to_the_device(tmp_path, authority, capfd):
    server = await ApnsServer().start(authority.server("127.0.0.1")[0], authority.file)
    caldav, carddav = authority.client("calendars.1"), authority.client("contacts.2")
    settings = Dav(
        apns_caldav_certificate_file=str(caldav[0]),
        apns_caldav_key_file=str(caldav[1]),
        apns_carddav_certificate_file=str(carddav[0]),
        apns_carddav_key_file=str(carddav[1]),
        apns_host="127.0.0.1",
        apns_port=server.port,
        apns_ca_file=str(authority.file),
    )
    async with asking(tmp_path, dav=settings) as dav:
        keys = {path: (await dav.prop(path, KEY))[KEY].text for path in (HOME, BOOKS)}
        for key in keys.values():
            assert (await dav.ask("POST", "/dav-push/apns", f"token={TOKEN}&key={key}")).status == 200
        stop = asyncio.Event()
        running = asyncio.create_task(dav.house.dav_push.run(stop))
        put = await dav.ask("PUT", f"{HOME}default/u.ics", EVENT, content_type="text/calendar")
        assert put.status == 201
        assert (await dav.ask("PUT", f"{BOOKS}default/c.vcf", CARD, content_type="text/vcard")).status == 201
        async with asyncio.timeout(LIMIT_S):
            while len(server.notices) < 2:
                await asyncio.sleep(0.01)  # the server is another's, and tells nobody
        stop.set()
        await running
    await server.stop()
    told = {each.topic: each for each in server.notices}
    assert told.keys() == {"calendars.1", "contacts.2"}
    assert told["calendars.1"].json["key"] == keys[HOME]
    assert told["contacts.2"].json["key"] == keys[BOOKS]
    assert {each.path for each in server.notices} == {f"/3/device/{TOKEN}"}
    sent = b"".join(each.body for each in server.notices)
    assert b"Secret" not in sent
    assert b"alice" not in sent
    assert TOKEN not in "".join(capfd.readouterr())


@pytest.mark.parametrize("broken", [{"apns_caldav_certificate_file": "/nowhere.pem"}, {"apns_carddav_key_file": "x"}])
async def test_certificates_that_cannot_be_used_are_said_at_once(tmp_path, broken):
    settings = Settings(
        server=Server(hostname="mail.example.test", data_dir=tmp_path / "data"),
        store=Store(master_key=Secret("00" * 32)),
        dav=Dav(**broken),
    )
    with pytest.raises(BadSettings, match=r"Apple's push|apns_"):
        async with open_house(settings):
            pass
