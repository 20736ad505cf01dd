"""Log-in by a provider, with a browser of ours, over real loopback (attack rows 89, 90, 94, 95)."""

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import replace
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import pyotp
import pytest

from mailstead.config.settings import Oidc, Server, Settings, Store
from mailstead.config.settings import Web as WebSettings
from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.errors import BadSettings
from mailstead.model.people import owner_of
from mailstead.model.secret import Secret
from mailstead.net.certificates import open_certificates
from mailstead.ports.clock import SystemClock
from mailstead.services.web.site.oidc import FACTOR, LIFE_S, LINK, PATH, THEN, UNDER_WAY
from mailstead.services.web.site.pages import SESSION
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.storage import EmbeddedStorage
from mailstead.usecases.factor_settings import MailPrograms
from mailstead.usecases.oidc_log_ins import LIFE
from mailstead.usecases.passwords import HashCost, Passwords
from mailstead.wiring.house import ADMINISTRATOR, make_house
from mailstead.wiring.oidc import make_links, make_log_ins
from mailstead.wiring.web import make_web_service
from services.web.test_web import LIMIT_S, Web
from usecases.provider import CLIENT_ID, CLIENT_SECRET, run_provider

HOST = "mail.example.test"
ALICE, BOB = Address.parse("alice@example.test"), Address.parse("bob@example.test")
PASSWORD = "pw-never-in-a-log-of-oidc"
PEER = Peer("127.0.0.1", 1, tls_version="TLSv1.3")


class House(Web):
    """A web service made by the wiring, the house behind it, and its provider."""

    def browser(self):
        return Browser(self)

    async def subject_of(self, address):
        account = await self.house.storage.directory.find(address)
        links = await self.house.storage.factors.oidc_links(owner_of(None, account.account_id))
        return [link.subject for link in links]


class Browser:
    """Keeps cookies as browsers do: those of ``__Host-`` only if they are what that promises."""

    def __init__(self, web):
        self.web = web
        self.cookies = {}
        self.attributes = {}

    async def ask(self, method, path, fields=None, *, host=HOST, headers=(), tls=True):
        body = urlencode(fields).encode() if fields is not None else b""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
        lines += [f"Cookie: {cookies}"] if cookies else []
        lines += [f"Content-Length: {len(body)}"] if fields is not None else []
        head = "\r\n".join(lines) + "\r\n\r\n"
        answer = await self.web.ask(head.encode() + body, tls=self.web.tls() if tls else None)
        for line in answer.lines:
            if line.lower().startswith("set-cookie:"):
                self._take(line.partition(":")[2].strip())
        return answer

    def _take(self, text):
        ((name, morsel),) = SimpleCookie(text).items()
        assert name.startswith("__Host-")
        assert (morsel["secure"], morsel["httponly"], morsel["path"], morsel["domain"]) == (True, True, "/", "")
        assert morsel["samesite"] in {"Lax", "Strict"}
        if morsel["max-age"] == "0":
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = morsel.value
            self.attributes[name] = morsel

    async def get(self, path, **more):
        return await self.ask("GET", path, **more)

    async def post(self, path, fields, **more):
        return await self.ask("POST", path, fields, **more)

    async def start(self, then=None):
        """Begin; give where the browser is sent."""
        answer = await self.get(PATH + "/start" + (f"?{urlencode({'then': then})}" if then is not None else ""))
        assert answer.status == 303
        return answer.headers["location"]

    async def come_back(self, subject="alice-1", **claims):
        """Begin, say yes at the provider, and come back."""
        return await self.get(here(self.web.provider.consent(await self.start(), subject, **claims)))

    async def is_in_as(self):
        shown = (await self.get("/me")).body.decode()
        found = re.search(r"<span>(.*?)</span>\s*<button class=\"plain\">Log out", shown)
        return found[1] if found else None


def here(url, **changes):
    """Give the path of a URL of ours; with other parameters. None takes one out."""
    assert url.startswith(f"https://{HOST}/log-in/oidc/callback?")
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query)), **changes}
    return f"{parts.path}?{urlencode({name: value for name, value in query.items() if value is not None})}"


@pytest.fixture
async def provider():
    async with run_provider(SystemClock()) as provider:
        yield provider


@pytest.fixture
def oidc(provider):
    return {
        "issuer": provider.issuer,
        "name": "Example <Id>",
        "client_id": CLIENT_ID,
        "client_secret": Secret(CLIENT_SECRET),
        "redirect_url": f"https://{HOST}/log-in/oidc/callback",
        "allows_private_addresses": True,
    }


@pytest.fixture
def proxy_from():
    return ()


@pytest.fixture
def settings(tmp_path, oidc, proxy_from):
    return Settings(
        server=Server(hostname=HOST, data_dir=tmp_path / "data"),
        store=Store(master_key=Secret("00" * 32)),
        web=WebSettings(listen=("127.0.0.1:0",), listen_tls=("127.0.0.1:0",), proxy_from=proxy_from),
        oidc=Oidc(**oidc),
    )


@asynccontextmanager
async def cheap_house(settings):
    """A house whose passwords cost little; all else as it is served."""
    clock, bus = SystemClock(), LocalBus()
    storage = await EmbeddedStorage.open(settings.store, settings.server.data_dir, bus, clock)
    passwords = Passwords(clock, HashCost(1, 8))
    try:
        async with make_house(settings, storage, bus, clock, None, None, bytes(32), passwords=passwords) as house:
            yield house
    finally:
        await storage.close()


@pytest.fixture
async def web(settings, provider, tmp_path):
    async with cheap_house(settings) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        for address in (ALICE, BOB):
            await house.accounts.create(ADMINISTRATOR, address, Secret(PASSWORD))
        web = House(tmp_path / "data")
        web.house, web.provider = house, provider
        web.service = make_web_service(house, open_certificates("", "", tmp_path / "data", "localhost", 5.0))
        web.service.bind()
        web.port, web.tls_port = (endpoint.port for endpoint in web.service.bound)
        stop = asyncio.Event()
        running = asyncio.create_task(web.service.run(stop))
        yield web
        stop.set()
        await asyncio.wait_for(running, LIMIT_S)


@pytest.fixture
async def linked(web):
    """Alice is linked."""
    account = await web.house.storage.directory.find(ALICE)
    owner = owner_of(None, account.account_id)
    await web.house.storage.factors.link_oidc(web.provider.issuer, "alice-1", owner, web.house.clock.now())
    return web


@pytest.fixture
def browser(web):
    return web.browser()


async def test_who_is_linked_comes_in_and_goes_out(linked, browser):
    assert (await browser.get(PATH)).headers["location"] == "/log-in"
    offer = await browser.get("/log-in?then=/me")
    assert b"Log in with Example &lt;Id&gt;" in offer.body
    assert b'href="/log-in/oidc/start?then=/me"' in offer.body
    answer = await browser.come_back()
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert set(browser.cookies) == {SESSION}
    assert browser.attributes[SESSION]["samesite"] == "Lax"
    assert await browser.is_in_as() == str(ALICE)
    token = browser.cookies[SESSION]
    assert (await browser.post("/log-out", {})).status == 303
    assert browser.cookies == {}
    browser.cookies[SESSION] = token
    assert await browser.is_in_as() is None


async def test_the_log_in_ends_where_it_was_wanted(linked, browser):
    then = "/mail/write?to=bob%40example.test&subject=%C3%A9%3B"
    answer = await browser.get(here(linked.provider.consent(await browser.start(then), "alice-1")))
    assert (answer.status, answer.headers["location"]) == (303, then)
    assert set(browser.cookies) == {SESSION}
    assert LIFE.total_seconds() == LIFE_S


@pytest.mark.parametrize(
    "then", ["https://evil.example/", "//evil.example", "/\\evil.example", "/a\nb", "evil", "/" + "a" * 2000]
)
async def test_attack_099_the_log_in_ends_nowhere_else(linked, browser, then):
    url = linked.provider.consent(await browser.start(then), "alice-1")
    assert (await browser.get(here(url))).headers["location"] == "/"
    url = linked.provider.consent(await browser.start(), "alice-1")
    browser.cookies[THEN] = quote(then)
    assert (await browser.get(here(url))).headers["location"] == ("/" if "aaa" not in then else then)


PROXIED = ("X-Forwarded-For: 203.0.113.9, 192.0.2.7", "X-Forwarded-Proto: https")


@pytest.mark.parametrize("proxy_from", [("127.0.0.1",)])
async def test_a_proxy_that_ends_tls_brings_people_in(linked, browser):
    begun = await browser.get(PATH + "/start", tls=False, headers=PROXIED)
    consent = linked.provider.consent(begun.headers["location"], "alice-1")
    answer = await browser.get(here(consent), tls=False, headers=PROXIED)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    account = await linked.house.storage.directory.find(ALICE)
    (session,) = await linked.house.storage.factors.sessions(owner_of(None, account.account_id))
    assert session.peer == "192.0.2.7"
    shown = await browser.get("/me", tls=False, headers=PROXIED)
    assert str(ALICE).encode() in shown.body


@pytest.mark.parametrize("proxy_from", [("127.0.0.1",)])
async def test_what_came_to_the_proxy_in_clear_text_is_not_answered(web, browser):
    for headers in ((), PROXIED[:1], PROXIED[1:], (PROXIED[0], "X-Forwarded-Proto: http")):
        assert (await browser.get(PATH, tls=False, headers=headers)).status == 404


@pytest.mark.parametrize("proxy_from", [(), ("10.0.0.0/8",)])
async def test_who_is_no_proxy_of_ours_does_not_say_that_there_is_tls(web, browser):
    assert (await browser.get(PATH, tls=False, headers=PROXIED)).status == 404
    assert (await browser.get(PATH)).status == 303


@pytest.mark.parametrize("proxy_from", [("traefik",)])
async def test_a_proxy_that_is_no_network_is_told(settings, tmp_path):
    async with cheap_house(settings) as house:
        with pytest.raises(BadSettings, match=r"web\.proxy_from"):
            make_web_service(house, open_certificates("", "", tmp_path / "data", "localhost", 5.0))


async def test_the_provider_is_asked_as_it_should_be(web, browser):
    query = parse_qs(urlsplit(await browser.start()).query, strict_parsing=True)
    assert query["redirect_uri"] == [f"https://{HOST}/log-in/oidc/callback"]
    assert query["scope"] == ["openid email"]
    assert query["code_challenge_method"] == ["S256"]
    secret = browser.cookies[UNDER_WAY]
    for name in ("state", "nonce", "code_challenge"):
        assert len(query[name][0]) == 43
        assert query[name][0] not in secret
    other = parse_qs(urlsplit(await web.browser().start()).query)
    assert not {query[name][0] for name in ("state", "nonce", "code_challenge")} & {
        other[name][0] for name in ("state", "nonce", "code_challenge")
    }
    assert PASSWORD not in str(query)


async def test_the_first_time_a_password_links(web, browser):
    answer = await browser.come_back("alice-1", email=str(ALICE), email_verified=True)
    assert answer.status == 200
    assert b"Example &lt;Id&gt; knows you" in answer.body
    assert f'value="{ALICE}"'.encode() in answer.body
    assert await web.subject_of(ALICE) == []
    wrong = await browser.post(PATH + "/link", {"address": str(ALICE), "password": "wrong"})
    assert wrong.status == 403
    assert SESSION not in browser.cookies
    assert await web.subject_of(ALICE) == []
    answer = await browser.post(PATH + "/link", {"address": str(ALICE), "password": PASSWORD})
    assert answer.status == 303
    assert set(browser.cookies) == {SESSION}
    assert await browser.is_in_as() == str(ALICE)
    assert await web.subject_of(ALICE) == ["alice-1"]
    again = web.browser()
    assert (await again.come_back("alice-1")).status == 303
    assert await again.is_in_as() == str(ALICE)


async def refused(browser, path, status=400):
    """Ask; nobody may be in, and the provider's code may not have been used."""
    answer = await browser.get(path)
    assert answer.status == status
    assert SESSION not in browser.cookies
    return answer


CHANGES = {
    "no state": {"state": None},
    "no value of the state": {"state": ""},
    "another state": {"state": "A" * 43},
    "no text as state": {"state": "\u20ac"},
    "no code": {"code": None},
    "another provider (mix-up, RFC 9207)": {"iss": "https://evil.example"},
    "another case of the provider": {"iss": "HTTP://127.0.0.1"},
    "no provider, though it always names itself": {"iss": None},
    "an error": {"error": "access_denied"},
}


@pytest.mark.parametrize("change", CHANGES)
async def test_attack_094_an_answer_that_is_not_as_it_should_be(linked, browser, change):
    path = here(linked.provider.consent(await browser.start()), **CHANGES[change])
    await refused(browser, path)
    assert "/token" not in linked.provider.asked  # its code went nowhere


async def test_attack_094_an_answer_that_says_something_twice(linked, browser):
    path = here(linked.provider.consent(await browser.start()))
    await refused(browser, path + "&code=another")
    await refused(browser, path + "&state=another")
    await refused(browser, path + "&a=1" * 20)


async def test_attack_094_the_answer_of_another_browsers_log_in(linked, browser):
    """Somebody sends a link with his own code, so that others are logged in as him (log-in CSRF)."""
    url = linked.provider.consent(await browser.start())
    other = linked.browser()
    await refused(other, here(url))
    await other.start()
    await refused(other, here(url))
    assert "/token" not in linked.provider.asked


async def test_attack_094_a_code_of_another_log_in_with_ones_own_state(linked, browser):
    """A stolen code is put into one's own log-in: PKCE and nonce are not those it was given for."""
    stolen = linked.browser()
    code = dict(parse_qsl(urlsplit(linked.provider.consent(await stolen.start())).query))["code"]
    path = here(linked.provider.consent(await browser.start(), "mallory-1"), code=code)
    await refused(browser, path, 403)


async def test_attack_094_pkce_is_not_left_out(linked, browser):
    """A provider that does not look at PKCE would still be told the challenge; without it there is no code."""
    url = await browser.start()
    without = url.replace("&code_challenge_method=S256", "").replace("code_challenge=", "ignored=")
    await refused(browser, here(linked.provider.consent(without)), 403)


async def test_attack_094_an_answer_is_good_once(linked, browser):
    url = linked.provider.consent(await browser.start())
    secret = browser.cookies[UNDER_WAY]
    assert (await browser.get(here(url))).status == 303
    again = linked.browser()
    again.cookies[UNDER_WAY] = secret
    await refused(again, here(url))
    assert linked.provider.asked.count("/token") == 1


@pytest.mark.parametrize("secret", ["", "x", "A" * 48, "A" * 49, "é", "A" * 5000, "AAAA.AAAA"])
async def test_attack_094_cookies_that_cannot_be(linked, browser, secret):
    path = here(linked.provider.consent(await browser.start()))
    browser.cookies[UNDER_WAY] = secret
    await refused(browser, path)


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"aud": [CLIENT_ID, "another"]},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"sub": None},
    ],
)
async def test_attack_094_an_id_token_that_is_not_good(linked, browser, claims):
    linked.provider.id_claims = claims
    await refused(browser, here(linked.provider.consent(await browser.start())), 403)


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
async def test_other_signatures(linked, browser, algorithm):
    linked.provider.algorithm = algorithm
    assert (await browser.come_back()).status == 303


@pytest.mark.parametrize("is_verified", [True, False, None])
async def test_attack_094_an_address_alone_takes_nothing_over(linked, browser, is_verified):
    """Whoever may write an address at the provider does not come in as its owner, linked or not."""
    for address in (ALICE, BOB):
        answer = await browser.come_back("mallory-1", email=str(address), email_verified=is_verified)
        assert answer.status == 200
        assert SESSION not in browser.cookies
    assert await linked.subject_of(ALICE) == ["alice-1"]
    assert await linked.subject_of(BOB) == []


async def test_attack_094_an_account_that_is_linked_is_not_linked_otherwise_even_with_its_password(linked, browser):
    await browser.come_back("mallory-1")
    answer = await browser.post(PATH + "/link", {"address": str(ALICE), "password": PASSWORD})
    assert answer.status == 409
    assert SESSION not in browser.cookies
    account = await linked.house.storage.directory.find(ALICE)
    assert await linked.house.storage.factors.sessions(owner_of(None, account.account_id)) == []
    assert await linked.subject_of(ALICE) == ["alice-1"]


async def test_attack_094_what_waits_for_a_password_is_bound_to_the_browser(web, browser):
    """Somebody gives others his own half of a link, so that their password links their account with him."""
    await browser.come_back("mallory-1")
    victim = web.browser()
    victim.cookies[LINK] = browser.cookies[LINK]
    fields = {"address": str(ALICE), "password": PASSWORD}
    assert (await victim.post(PATH + "/link", fields)).status == 400
    await victim.start()
    victim.cookies[LINK] = browser.cookies[LINK]
    assert (await victim.post(PATH + "/link", fields)).status == 400
    for changed in ("", "x", browser.cookies[LINK][:-1], "A" * 200, "é"):
        victim.cookies[LINK] = changed
        assert (await victim.post(PATH + "/link", fields)).status == 400
    assert await web.subject_of(ALICE) == []
    assert browser.attributes[LINK]["samesite"] == "Strict"


@pytest.mark.parametrize(
    "headers",
    [
        ["Sec-Fetch-Site: cross-site"],
        ["Sec-Fetch-Site: same-site"],
        ["Origin: https://evil.example"],
        ["Origin: null"],
    ],
)
async def test_attack_089_forms_of_other_pages(linked, browser, headers):
    await browser.come_back()
    for path in ("/log-out", PATH + "/link", PATH + "/factor"):
        answer = await browser.post(path, {}, headers=headers)
        assert answer.status == 403
    assert await browser.is_in_as() == str(ALICE)
    assert (await browser.get("/log-out")).status in {404, 405}
    assert await browser.is_in_as() == str(ALICE)


async def test_attack_090_each_log_in_has_a_session_of_its_own(linked, browser):
    browser.cookies[SESSION] = "msw_" + "A" * 43  # set by somebody else
    await browser.come_back()
    first = browser.cookies[SESSION]
    assert first != "msw_" + "A" * 43
    await browser.come_back()
    assert browser.cookies[SESSION] != first


@pytest.fixture
async def recovery_codes(web):
    """Alice and Bob have a device with codes; give a recovery code of each."""
    return {address: await add_device(web.house, address) for address in (ALICE, BOB)}


async def add_device(house, address):
    actor = await house.users.check_password(str(address), Secret(PASSWORD), PEER, "web")
    enrolled = await house.factor_settings.enrol_totp(actor, Secret(PASSWORD))
    code = Secret(pyotp.TOTP(enrolled.secret.reveal()).now())
    return (await house.factor_settings.confirm_totp(actor, enrolled.factor_id, code, MailPrograms.NONE))[0].reveal()


async def test_attack_095_a_second_factor_is_asked_for_though_the_provider_vouches(linked, browser, recovery_codes):
    answer = await browser.come_back()
    assert answer.status == 200
    assert b"Second factor" in answer.body
    assert SESSION not in browser.cookies
    assert browser.attributes[FACTOR]["samesite"] == "Strict"
    assert (await browser.post(PATH + "/factor", {"code": "000000"})).status == 403
    assert SESSION not in browser.cookies
    assert (await browser.post(PATH + "/factor", {"code": recovery_codes[ALICE]})).status == 303
    assert await browser.is_in_as() == str(ALICE)


async def test_attack_095_nothing_is_linked_before_the_second_factor(web, browser, recovery_codes):
    await browser.come_back("bob-1")
    answer = await browser.post(PATH + "/link", {"address": str(BOB), "password": PASSWORD})
    assert answer.status == 200
    assert await web.subject_of(BOB) == []
    assert (await browser.post(PATH + "/factor", {"code": recovery_codes[BOB]})).status == 303
    assert await web.subject_of(BOB) == ["bob-1"]
    assert await browser.is_in_as() == str(BOB)


async def test_a_disabled_account_stays_out(linked, browser):
    await linked.house.accounts.set_enabled(ADMINISTRATOR, ALICE, is_enabled=False)
    await refused(browser, here(linked.provider.consent(await browser.start())), 403)


async def test_attack_064_the_end_of_the_link_ends_the_session(linked, browser):
    await browser.come_back()
    await make_links(linked.house).unlink(ADMINISTRATOR, ALICE)
    assert await browser.is_in_as() is None


async def test_a_provider_that_does_not_answer(web, browser):
    web.provider.status = 500
    answer = await browser.get(PATH + "/start")
    assert answer.status == 503
    assert b"does not answer" in answer.body


async def test_pages_are_there_over_tls_and_under_the_mail_host_only(web, browser):
    for path in ("", "/start", "/callback"):
        assert (await browser.get(PATH + path, tls=False)).status == 404
        assert (await browser.get(PATH + path, host="autoconfig.example.test")).status == 404


async def test_browsers_load_what_is_ours_alone(web, browser):
    for path in ("/log-in", PATH + "/callback"):
        answer = await browser.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        scripts = re.findall(rb'<script[^>]*src="([^"]*)"', answer.body)
        assert len(scripts) == answer.body.count(b"<script")
        assert [each for each in scripts if not each.startswith(b"/assets/")] == []
    start = await browser.get(PATH + "/start")
    assert start.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "url",
    [
        "http://mail.example.test/log-in/oidc/callback",
        "https://mail.example.test/log-in/oidc/callback?a=1",
        "https://mail.example.test/log-in/oidc/callback/",
        "https://mail.example.test/",
    ],
)
async def test_attack_094_a_redirect_url_that_cannot_be_is_told_at_once(web, settings, tmp_path, url):
    changed = replace(settings, oidc=replace(settings.oidc, redirect_url=url))
    with pytest.raises(BadSettings):
        make_log_ins(replace(web.house, settings=changed))
    assert make_log_ins(replace(web.house, settings=replace(settings, oidc=Oidc()))) is None
