"""The page behind a one-time link, over real loopback."""

import asyncio
import re
from urllib.parse import urlencode

import pytest

from mailstead.config.settings import Server, Settings, Store
from mailstead.config.settings import Web as WebSettings
from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.secret import Secret
from mailstead.net.certificates import open_certificates
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.web import make_web_service
from services.web.test_web import LIMIT_S, Web

HOST = "mail.example.test"
ALICE = Address.parse("alice@example.test")
PASSWORD = "pw-never-in-a-log-of-the-page"


class House(Web):
    """A web service made by the wiring, and the house behind it."""

    async def form(self, path, fields, host=HOST):
        body = urlencode(fields)
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return await self.ask((head + body).encode(), tls=self.tls())


@pytest.fixture
async def web(tmp_path):
    settings = Settings(
        server=Server(hostname=HOST, data_dir=tmp_path / "data"),
        store=Store(master_key=Secret("00" * 32)),
        web=WebSettings(listen=("127.0.0.1:0",), listen_tls=("127.0.0.1:0",)),
    )
    async with open_house(settings) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        await house.accounts.create(ADMINISTRATOR, ALICE, Secret("pw-never-in-a-log-first"))
        web = House(tmp_path / "data")
        web.house = house
        web.service = make_web_service(house, open_certificates("", "", tmp_path / "data", "localhost", 5.0))
        web.service.bind()
        web.port, web.tls_port = (endpoint.port for endpoint in web.service.bound)
        stop = asyncio.Event()
        running = asyncio.create_task(web.service.run(stop))
        web.path = f"/log-in/{await house.log_in_links.make(ADMINISTRATOR, ALICE)}"
        yield web
        stop.set()
        await asyncio.wait_for(running, LIMIT_S)


async def test_the_form_sets_the_password_and_the_link_is_used_up(web):
    shown = await web.get(HOST, web.path, tls=web.tls())
    assert shown.status == 200
    assert b"alice@example.test" in shown.body
    assert b'<label for="password">' in shown.body
    done = await web.form(web.path, {"password": PASSWORD, "again": PASSWORD})
    assert done.status == 200
    assert HOST.encode() in done.body
    actor = await web.house.accounts.log_in(str(ALICE), Secret(PASSWORD), Peer("192.0.2.1", 1, 993, "TLSv1.3"), "imap")
    assert actor.address == ALICE
    assert (await web.get(HOST, web.path, tls=web.tls())).status == 404
    assert (await web.form(web.path, {"password": "x" * 20, "again": "x" * 20})).status == 404


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"password": PASSWORD, "again": "else"}, b"not the same"),
        ({"password": "", "again": ""}, b"empty"),
        ({}, b"empty"),
    ],
)
async def test_what_is_wrong_is_told_and_the_link_stays_good(web, fields, told):
    answer = await web.form(web.path, fields)
    assert answer.status == 400
    assert told in answer.body
    assert PASSWORD.encode() not in answer.body
    assert (await web.get(HOST, web.path, tls=web.tls())).status == 200


async def test_the_link_is_good_over_tls_and_under_the_mail_host_only(web):
    assert (await web.get(HOST, web.path)).status == 404
    assert (await web.get("autoconfig.example.test", web.path, tls=web.tls())).status == 404
    assert (await web.get(HOST, "/log-in/AAAA", tls=web.tls())).status == 404
    assert (await web.form(web.path, {"password": "x" * 10_000, "again": ""})).status == 400


async def test_browsers_load_what_is_ours_alone(web):
    answer = await web.get(HOST, web.path, tls=web.tls())
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "form-action 'self'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    addresses = re.findall(rb'(?:src|href|action)="([^"]*)"', answer.body)
    assert addresses
    assert [each for each in addresses if not re.match(rb"/(?!/)|#", each)] == []
