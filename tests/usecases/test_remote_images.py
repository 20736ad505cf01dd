"""Pictures from the web: signed addresses, fetched over the guarded client, passed on only if they are pictures."""

import asyncio
import base64

import pytest

from mailauth.zones import Zones
from mailstead.model.envelope import Actor
from mailstead.model.errors import NotAllowed, PolicyRefused, TryAgainLater, WebFailed, WebRefused
from mailstead.net.web import SafeWebClient
from mailstead.ports.web import WebResponse
from mailstead.usecases import remote_images as module
from mailstead.usecases.remote_images import LIFE, OCTETS_MAX, PATH, PER_HOUR_MAX, STEP_S, RemoteImages
from mime.showing.test_message import png
from net.web_server import WebServer

URL = "https://pictures.test/a.png?x=1"
KEY = b"k" * 32


class Web:
    """Answers by URL; notes what is asked, and with which fields."""

    def __init__(self, **answers):
        self.answers = {URL: WebResponse(200, {}, png())}
        self.asked = []

    async def send(self, method, url, octets, headers, **how):
        self.asked.append((method, url, octets, dict(headers), how))
        answer = self.answers[url]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def web():
    return Web()


@pytest.fixture
def images(storage, web, clock):
    return RemoteImages(storage, web, clock, KEY)


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


def token(images, actor, url=URL):
    address = images.addresses(actor)(url)
    assert address.startswith(PATH)
    return address.removeprefix(PATH)


async def test_a_picture_is_fetched_by_its_address(images, actor, web):
    found = await images.fetch(token(images, actor))
    assert (found.media_type, found.octets) == ("image/png", png())
    [(method, url, octets, _, how)] = web.asked
    assert (method, url, octets) == ("GET", URL, None)
    assert how == {"octets_max": OCTETS_MAX, "limit_s": module.LIMIT_S}


async def test_addresses_are_characters_that_fit_anywhere_and_the_same_for_a_while(images, actor, clock):
    clock.passed_s = STEP_S * 4 + 1
    first = images.addresses(actor)(URL)
    assert set(first) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/")
    clock.passed_s += STEP_S - 2
    assert images.addresses(actor)(URL) == first
    clock.passed_s += 3
    assert images.addresses(actor)(URL) != first


async def test_attack_087_nothing_of_the_reader_is_told(images, actor, web):
    await images.fetch(token(images, actor))
    [(_, _, _, fields, _)] = web.asked
    assert set(fields) == {"Accept", "User-Agent"}
    assert "alice" not in str(fields)
    assert "example.test" not in str(fields)


async def test_attack_087_over_the_wire_there_is_no_cookie_referrer_or_host_of_ours(storage, clock, actor):
    server = await WebServer().start()
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nSet-Cookie: a=b\r\nContent-Length: %d\r\n\r\n%s" % (
        len(png()),
        png(),
    )
    client = SafeWebClient(
        Zones({"web.test": {"A": ["127.0.0.1"]}}), allows_private=True, ca_file="", hostname="mail.example.test"
    )
    images = RemoteImages(storage, client, clock, KEY)
    try:
        for _ in range(2):
            found = await images.fetch(token(images, actor, f"http://web.test:{server.port}/p"))
    finally:
        await server.stop()
    assert found.media_type == "image/png"
    assert len(server.requests) == 2
    for request in server.requests:
        head = request.lower()
        assert not any(
            word in head for word in (b"cookie", b"referer", b"mailstead", b"mail.example.test", b"forwarded", b"alice")
        )


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:192.168.0.1", "0.0.0.0"]
)
async def test_attack_037_pictures_are_not_fetched_from_where_only_we_can_go(storage, clock, actor, address):
    kind = "AAAA" if ":" in address else "A"
    client = SafeWebClient(
        Zones({"web.test": {kind: [address]}}), allows_private=False, ca_file="", hostname="mail.example.test"
    )
    images = RemoteImages(storage, client, clock, KEY)
    for url in ("https://web.test/a.png", f"https://[{address}]/" if ":" in address else f"https://{address}/"):
        with pytest.raises(WebRefused):
            await images.fetch(token(images, actor, url))


@pytest.mark.parametrize(
    "target",
    ["http://pictures.test/a.png", "file:///etc/passwd", "javascript:alert(1)", "", "data:image/png;base64,AA", "ftp://pictures.test/", "//"],
)  # fmt: skip
async def test_attack_037_redirects_lead_to_https_alone(images, actor, web, target):
    web.answers[URL] = WebResponse(302, {"location": target})
    with pytest.raises(WebRefused):
        await images.fetch(token(images, actor))


async def test_redirects_are_followed_a_few_times(images, actor, web):
    web.answers |= {
        URL: WebResponse(301, {"location": "/b"}),
        "https://pictures.test/b": WebResponse(307, {"location": "https://other.test/\u00e9 c"}),
        "https://other.test/%C3%A9%20c": WebResponse(200, {}, png(2, 3)),
    }
    assert (await images.fetch(token(images, actor))).octets == png(2, 3)
    assert [asked[1] for asked in web.asked] == [URL, "https://pictures.test/b", "https://other.test/%C3%A9%20c"]


async def test_attack_037_a_redirect_to_itself_ends(images, actor, web):
    web.answers[URL] = WebResponse(302, {"location": URL})
    with pytest.raises(WebRefused):
        await images.fetch(token(images, actor))
    assert len(web.asked) == module.REDIRECTS_MAX + 1


@pytest.mark.parametrize(
    "octets",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<script>alert(1)</script>",
        b"",
        b"%PDF-1.7",
        png(60_000, 60_000),
        b"GIF89a\0\0\0\0",
    ],
)
async def test_attack_086_what_is_no_picture_is_not_passed_on(images, actor, web, octets):
    web.answers[URL] = WebResponse(200, {"content-type": "image/png"}, octets)
    with pytest.raises(PolicyRefused):
        await images.fetch(token(images, actor))


async def test_attack_086_headers_let_nothing_run(images, actor, web):
    web.answers[URL] = WebResponse(
        200, {"content-type": "text/html", "set-cookie": "a=b", "x": "y"}, png() + b"<script>alert(1)</script>"
    )
    headers = (await images.fetch(token(images, actor))).headers()
    assert headers["Content-Type"] == "image/png"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["Content-Disposition"] == 'inline; filename="picture.png"'
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize("status", [204, 206, 304, 403, 404, 500])
async def test_other_answers_are_failures(images, actor, web, status):
    web.answers[URL] = WebResponse(status, {}, png())
    with pytest.raises(WebFailed):
        await images.fetch(token(images, actor))


async def test_attack_087_an_address_cannot_be_made_or_changed(images, actor, storage, web, clock, bob, actor_of):
    good = token(images, actor)
    octets = base64.urlsafe_b64decode(good + "=" * (-len(good) % 4))
    others = RemoteImages(storage, web, clock, b"o" * 32)
    bad = [
        "", "x", "=", "%", good[:-1], good + "A", good + "====", "A" * 9000, "\u00e9", good[:50], token(others, actor),
        token(images, actor_of(bob))[:60] + good[60:],
        *(base64.urlsafe_b64encode(octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]).decode().rstrip("=") for at in range(len(octets))),
    ]  # fmt: skip
    for each in bad:
        with pytest.raises(PolicyRefused) as refused:
            await images.fetch(each)
        assert refused.value.public_text == module._REFUSED
    assert web.asked == []


async def test_attack_087_an_address_ends(images, actor, clock):
    good = token(images, actor)
    clock.passed_s += LIFE.total_seconds() - 1
    await images.fetch(good)
    clock.passed_s += STEP_S + 2
    with pytest.raises(PolicyRefused):
        await images.fetch(good)


async def test_attack_087_an_address_is_for_its_account(images, actor, bob, actor_of, accounts, admin, alice):
    good = token(images, actor)
    await images.fetch(good, actor)
    with pytest.raises(PolicyRefused):
        await images.fetch(good, actor_of(bob))
    await accounts.set_enabled(admin, alice.address, is_enabled=False)
    with pytest.raises(PolicyRefused):
        await images.fetch(good)


async def test_an_actor_without_an_account_has_no_addresses(images):
    with pytest.raises(NotAllowed):
        images.addresses(Actor(None, None, is_admin=True))


@pytest.mark.parametrize("url", ["", "https://x.test/" + "a" * 4000, "https://" + "\u00fc" * 300 + ".test/"])
async def test_what_is_too_long_has_no_address(images, actor, url):
    assert images.addresses(actor)(url) is None


async def test_names_and_paths_outside_ascii_are_escaped(images, actor, web):
    web.answers["https://xn--bcher-kva.test/%C3%BC?a=%C3%9F"] = WebResponse(200, {}, png())
    await images.fetch(token(images, actor, "https://b\u00fccher.test/\u00fc?a=\u00df"))


async def test_attack_087_an_account_has_a_measure(images, actor, web):
    good = token(images, actor)
    for _ in range(PER_HOUR_MAX):
        images._count(actor.account_id)
    with pytest.raises(TryAgainLater):
        await images.fetch(good)
    assert web.asked == []


async def test_attack_087_only_a_few_are_fetched_at_once(images, actor, web, monkeypatch):
    """And of those that wait, there are only so many."""
    monkeypatch.setattr(module, "WAITING_PER_ACCOUNT_MAX", 8)
    begun, gate, under_way, most = 0, asyncio.Event(), 0, 0

    async def send(*_, **__):
        nonlocal begun, under_way, most
        begun += 1
        under_way += 1
        most = max(most, under_way)
        await gate.wait()
        under_way -= 1
        return WebResponse(200, {}, png())

    web.send = send
    good = token(images, actor)
    fetches = [asyncio.create_task(images.fetch(good)) for _ in range(9)]
    while sum(task.done() for task in fetches) < 1:
        await asyncio.sleep(0)  # not a wait: the turn of the fetches
    gate.set()
    results = await asyncio.gather(*fetches, return_exceptions=True)
    assert most <= module.AT_ONCE_PER_ACCOUNT_MAX
    assert begun == 8
    assert [type(result) for result in results].count(TryAgainLater) == 1


async def test_attack_087_a_server_that_never_answers_is_left(images, actor, web, monkeypatch):
    monkeypatch.setattr(module, "LIMIT_S", 0.01)

    async def send(*_, **__):
        await asyncio.Event().wait()

    web.send = send
    with pytest.raises(WebFailed):
        await images.fetch(token(images, actor))


def test_a_picture_is_not_in_logs():
    assert "PNG" not in repr(module.RemoteImage("image/png", "png", png()))
