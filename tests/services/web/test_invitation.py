"""The page behind the link of an invitation, over real loopback."""

import asyncio
import re

import pytest

from mailstead.config.settings import Server, Settings, Store
from mailstead.config.settings import Web as WebSettings
from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.people import Group
from mailstead.model.queue import QueueQuery
from mailstead.model.secret import Secret
from mailstead.net.certificates import open_certificates
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.web import make_web_service
from services.web.test_log_in import ALICE, HOST, House
from services.web.test_web import LIMIT_S

CAROL = Address.parse("carol@elsewhere.test")
PASSWORD = "pw-never-in-a-log-of-the-page"
PEER = Peer("192.0.2.1", 1, 443, "TLSv1.3")


@pytest.fixture
async def web(tmp_path):
    settings = Settings(
        server=Server(hostname=HOST, data_dir=tmp_path / "data"),
        store=Store(master_key=Secret("00" * 32)),
        web=WebSettings(listen=("127.0.0.1:0",), listen_tls=("127.0.0.1:0",)),
    )
    async with open_house(settings) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        await house.accounts.create(ADMINISTRATOR, ALICE, Secret(PASSWORD))
        web = House(tmp_path / "data")
        web.house = house
        web.service = make_web_service(house, open_certificates("", "", tmp_path / "data", "localhost", 5.0))
        web.service.bind()
        web.port, web.tls_port = (endpoint.port for endpoint in web.service.bound)
        stop = asyncio.Event()
        running = asyncio.create_task(web.service.run(stop))
        yield web
        stop.set()
        await asyncio.wait_for(running, LIMIT_S)


async def invited(web, address=CAROL, group=Group.ADMIN):
    made = await web.house.members.invite(ADMINISTRATOR, "example.test", address, group)
    return f"/invitation/{made.token.reveal()}"


async def test_the_mail_leads_to_the_page_and_the_page_makes_a_user(web):
    path = await invited(web)
    (item,) = await web.house.storage.queue.items(QueueQuery())
    text = (await web.house.storage.queue.octets(item.item_id)).decode().replace("=\r\n", "")
    assert re.search(rf"https://{re.escape(HOST)}(:\d+)?{re.escape(path)}", text)
    shown = await web.get(HOST, path, tls=web.tls())
    assert shown.status == 200
    assert b"carol@elsewhere.test" in shown.body
    assert b'<label for="password">' in shown.body
    assert (await web.get(HOST, path, tls=web.tls())).status == 200  # who only looks takes nothing
    done = await web.form(path, {"password": PASSWORD, "again": PASSWORD})
    assert done.status == 200
    actor = await web.house.users.log_in(CAROL.key, Secret(PASSWORD), PEER)
    assert actor.administers("example.test")
    assert (await web.form(path, {"password": "x" * 20, "again": "x" * 20})).status == 404


async def test_who_has_an_account_or_is_a_user_only_accepts(web):
    for group in (Group.USER, Group.ADMIN):
        path = await invited(web, ALICE, group)
        assert b"password" not in (await web.get(HOST, path, tls=web.tls())).body
        assert (await web.form(path, {"password": "another one", "again": "x"})).status == 200
        actor = await web.house.users.log_in(ALICE.key, Secret(PASSWORD), PEER)
        assert actor.groups == {"example.test": group}
        await web.house.members.remove(ADMINISTRATOR, "example.test", actor.user_id) if group is Group.USER else None


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"password": PASSWORD, "again": "else"}, b"not the same"),
        ({"password": "", "again": ""}, b"empty"),
        ({"password": "short", "again": "short"}, b"fewer than"),
    ],
)
async def test_what_is_wrong_is_told_and_the_link_stays_good(web, fields, told):
    path = await invited(web)
    answer = await web.form(path, fields)
    assert answer.status == 400
    assert told in answer.body
    assert PASSWORD.encode() not in answer.body
    assert (await web.get(HOST, path, tls=web.tls())).status == 200


async def test_links_that_are_no_good(web):
    path = await invited(web)
    assert (await web.get(HOST, path)).status == 404  # in clear text
    assert (await web.get("autoconfig.example.test", path, tls=web.tls())).status == 404
    assert (await web.get(HOST, "/invitation/AAAA", tls=web.tls())).status == 404
    assert (await web.form(path, {"password": "x" * 10_000, "again": ""})).status == 400
    await web.house.members.withdraw(ADMINISTRATOR, "example.test", CAROL)
    assert (await web.get(HOST, path, tls=web.tls())).status == 404


async def test_a_disabled_user_takes_nothing(web):
    user = await web.house.users.create(ADMINISTRATOR, CAROL, Secret(PASSWORD))
    path = await invited(web)
    await web.house.users.enable(ADMINISTRATOR, user.user_id, is_enabled=False)
    assert (await web.form(path, {})).status == 404
    assert await web.house.members.list(ADMINISTRATOR, "example.test") == []
