"""A provider that others wrote (npm's oidc-provider, certified), and our web log-in and access tokens with it."""

import asyncio
import base64
import json
import os
import re
import subprocess
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, ProxyHandler, build_opener

import pytest

from mailstead.config.settings import Oidc, Server, Settings, Store
from mailstead.config.settings import Web as WebSettings
from mailstead.model.errors import AuthenticationFailed
from mailstead.model.secret import Secret
from mailstead.net.certificates import open_certificates
from mailstead.wiring.house import ADMINISTRATOR
from mailstead.wiring.oidc import make_links, make_tokens
from mailstead.wiring.web import make_web_service
from services.web.test_oidc import ALICE, HOST, PASSWORD, PATH, PEER, Browser, House, cheap_house, here
from services.web.test_web import LIMIT_S
from system.server import free_ports

pytestmark = pytest.mark.full

TOOLS = Path(__file__).resolve().parents[2] / ".test-tools"
CLIENT_ID, CLIENT_SECRET = "mailstead", "cs:never+in/a log%"
REDIRECT_URL = f"https://{HOST}/log-in/oidc/callback"
AUDIENCE = "https://mail.example.test"


@pytest.fixture(scope="module")
def issuer():
    """Start it; give its name."""
    node = TOOLS / "node_modules" / "oidc-provider"
    if not node.exists():
        pytest.skip("oidc-provider is not installed: run `make setup-tools`")
    (port,) = free_ports(1)
    script = str(Path(__file__).with_name("oidc_provider.mjs"))
    process = subprocess.Popen(
        ["node", script, str(port), CLIENT_ID, CLIENT_SECRET, REDIRECT_URL],
        env={**os.environ, "TEST_TOOLS": str(TOOLS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        yield f"http://127.0.0.1:{port}"
        process.kill()


@pytest.fixture
async def web(issuer, tmp_path):
    settings = Settings(
        server=Server(hostname=HOST, data_dir=tmp_path / "data"),
        store=Store(master_key=Secret("00" * 32)),
        web=WebSettings(listen=("127.0.0.1:0",), listen_tls=("127.0.0.1:0",)),
        oidc=Oidc(
            issuer=issuer,
            client_id=CLIENT_ID,
            client_secret=Secret(CLIENT_SECRET),
            redirect_url=REDIRECT_URL,
            audiences=(AUDIENCE,),
            allows_private_addresses=True,
        ),
    )
    async with cheap_house(settings) as house:
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


class Stay(HTTPRedirectHandler):
    """Redirects are given back as what they are."""

    def redirect_request(self, *_):
        return None


class AtProvider:
    """A browser's cookies at the provider."""

    def __init__(self):
        self._opener = build_opener(ProxyHandler({}), HTTPCookieProcessor(), Stay())

    async def ask(self, url, fields=None):
        """Give status, where it leads, and the text."""

        def ask():
            try:
                answer = self._opener.open(url, None if fields is None else urlencode(fields).encode(), LIMIT_S)
            except HTTPError as error:
                answer = error
            with answer:
                return answer.status, urljoin(url, answer.headers.get("location", "")), answer.read().decode()

        return await asyncio.to_thread(ask)

    async def consent(self, url, name):
        """Log in and say yes; give where the browser is sent back."""
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        for _ in range(10):
            status, to, text = await self.ask(url)
            if status == 200:  # its form, for the name or for the consent
                action = re.search(r'action="([^"]+)"', text)[1]
                prompt = re.search(r'name="prompt" value="(\w+)"', text)[1]
                fields = {"login": name, "password": "any"} if prompt == "login" else {}
                status, to, text = await self.ask(urljoin(url, action), {"prompt": prompt, **fields})
            assert status in {302, 303}, text
            url = to
            if not url.startswith(origin):
                return url
        raise AssertionError("it goes in circles")


@pytest.fixture
def at_provider():
    return AtProvider()


async def test_the_log_in_on_the_web(web, at_provider):
    browser = Browser(web)
    back = await at_provider.consent(await browser.start(), "alice")
    answer = await browser.get(here(back))
    assert answer.status == 200
    assert f'value="{ALICE}"'.encode() in answer.body  # the ID token was read
    assert (await browser.post(PATH + "/link", {"address": str(ALICE), "password": PASSWORD})).status == 303
    assert await browser.is_in_as() == str(ALICE)
    assert await web.subject_of(ALICE) == ["alice"]
    again = Browser(web)
    assert (await again.get(here(await at_provider.consent(await again.start(), "alice")))).status == 303
    assert await again.is_in_as() == str(ALICE)


async def test_attack_094_it_takes_no_code_that_was_used_and_none_of_another_log_in(web, at_provider):
    browser, other = Browser(web), Browser(web)
    back = await at_provider.consent(await browser.start(), "alice")
    await other.start()
    assert (await other.get(here(back))).status == 400
    code = parse_qs(urlsplit(back).query)["code"][0]
    mine = await at_provider.consent(await other.start(), "alice")
    assert (await other.get(here(mine, code=code))).status == 403


async def access_token(client, issuer, name, **more):
    """Get a token as a mail program does, with PKCE and without a secret."""
    verifier = "v" * 43
    challenge = base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "response_type": "code",
        "client_id": "program",
        "redirect_uri": "http://127.0.0.1/callback",
        "scope": "openid mail",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **more,
    }
    back = await client.consent(f"{issuer}/auth?{urlencode(query)}", name)
    fields = {
        "grant_type": "authorization_code",
        "code": parse_qs(urlsplit(back).query)["code"][0],
        "redirect_uri": "http://127.0.0.1/callback",
        "client_id": "program",
        "code_verifier": verifier,
        **more,
    }
    told = json.loads((await client.ask(f"{issuer}/token", fields))[2])
    return told["access_token"], told["id_token"]


async def linked(web):
    await make_links(web.house).link(ADMINISTRATOR, ALICE, "alice")


async def test_access_tokens(web, at_provider, issuer):
    await linked(web)
    tokens = make_tokens(web.house)
    token, id_token = await access_token(at_provider, issuer, "alice", resource=AUDIENCE)
    assert token.count(".") == 2
    assert (await tokens.log_in(str(ALICE), Secret(token), PEER, "imap")).address == ALICE
    for wrong in (id_token, token[:-8] + "AAAAAAAA"):
        with pytest.raises(AuthenticationFailed):
            await tokens.log_in(str(ALICE), Secret(wrong), PEER, "imap")
    elsewhere, _ = await access_token(at_provider, issuer, "alice", resource="https://other.example.test")
    with pytest.raises(AuthenticationFailed):
        await tokens.log_in(str(ALICE), Secret(elsewhere), PEER, "imap")


async def test_introspection(web, at_provider, issuer):
    await linked(web)
    asking = replace(web.house.settings.oidc, introspects=True, audiences=())
    tokens = make_tokens(replace(web.house, settings=replace(web.house.settings, oidc=asking)))
    token, _ = await access_token(at_provider, issuer, "alice")
    assert "." not in token
    assert (await tokens.log_in(str(ALICE), Secret(token), PEER, "imap")).address == ALICE
    with pytest.raises(AuthenticationFailed):
        await tokens.log_in(str(ALICE), Secret(token[:-1] + "x"), PEER, "imap")
