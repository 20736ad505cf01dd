"""Pictures of the web for the frame of a message, over real loopback: the house made by the wiring, and a web server elsewhere."""

import re

import pytest

from mailstead.config.settings import Relay, Server, Settings, Store
from mailstead.config.settings import Web as WebSettings
from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.secret import Secret
from mailstead.usecases.messages import Messages
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.web import make_web_service
from mime.showing.test_message import png
from net.web_server import WebServer
from services.web.serving import serving

HOST = "mail.example.test"
ALICE = Address.parse("alice@example.test")


@pytest.fixture
async def elsewhere():
    server = await WebServer().start()
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(png()), png())
    yield server
    await server.stop()


@pytest.fixture
async def web(tmp_path):
    settings = Settings(
        server=Server(hostname=HOST, data_dir=tmp_path / "data"),
        store=Store(master_key=Secret("00" * 32)),
        web=WebSettings(listen=(), listen_tls=("127.0.0.1:0",)),
        relay=Relay(allows_private_addresses=True),
    )
    async with open_house(settings) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        account = await house.accounts.create(ADMINISTRATOR, ALICE, Secret("pw-never-in-a-log"))
        async with serving(tmp_path / "data", lambda certificates: make_web_service(house, certificates)) as web:
            web.house = house
            web.actor = Actor(account.account_id, ALICE)
            yield web


async def shown(web, url):
    """The path of a picture in a message that is shown with remote content."""
    octets = f"From: a@b.test\r\nContent-Type: text/html\r\n\r\n<img src='{url}'>".encode()
    view = await Messages(web.house.mailboxes).append(web.actor, "INBOX", octets, [])
    page = await web.house.shown_messages.show(web.actor, view.place.object_id, loads_remote=True)
    return re.search(r'src="([^"]+)"', page.message.document())[1]


async def test_a_picture_of_a_message_is_shown_by_the_house(web, elsewhere):
    path = await shown(web, f"http://127.0.0.1:{elsewhere.port}/a.png?who=alice")
    answer = await web.get(
        HOST,
        path,
        tls=web.tls(),
        more="Cookie: session=pw-never-in-a-log\r\nReferer: https://mail.example.test/\r\nUser-Agent: Reader\r\n",
    )
    assert answer.status == 200
    assert answer.body == png()
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    [request] = elsewhere.requests
    assert request.startswith(b"GET /a.png?who=alice HTTP/1.1\r\n")
    for told in (b"pw-never", b"Reader", b"Referer", b"Cookie", HOST.encode()):
        assert told not in request


async def test_attack_087_only_what_shows_pictures_gets_them(web, elsewhere):
    path = await shown(web, f"http://127.0.0.1:{elsewhere.port}/a.png")
    for dest in ("document", "iframe", "script", "style", "empty"):
        assert (await web.get(HOST, path, tls=web.tls(), more=f"Sec-Fetch-Dest: {dest}\r\n")).status == 404
    for host in ("other.test", "autoconfig.example.test"):
        assert (await web.get(host, path, tls=web.tls())).status in {404, 421}
    assert elsewhere.requests == []
    assert (await web.get(HOST, path, tls=web.tls(), more="Sec-Fetch-Dest: image\r\n")).status == 200


async def test_attack_087_what_is_no_picture_or_no_address_is_told_by_a_status(web, elsewhere):
    path = await shown(web, f"http://127.0.0.1:{elsewhere.port}/a.png")
    elsewhere.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 27\r\n\r\n<svg onload='alert(1)'></svg"
    )
    for each in (path, path[:-1], path + "A", "/remote-image/x", "/remote-image/" + "A" * 9000):
        answer = await web.get(HOST, each, tls=web.tls())
        assert answer.status == 400
        assert b"svg" not in answer.body
        assert answer.headers["cache-control"] == "no-store"


async def test_a_long_address_fits(web, elsewhere):
    path = await shown(web, f"http://127.0.0.1:{elsewhere.port}/{'a' * 2900}")
    assert (await web.get(HOST, path, tls=web.tls())).status == 200
