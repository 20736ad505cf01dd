"""The client against small real servers on loopback, with and without TLS."""

import asyncio
import subprocess
import sys

import pytest

from mailauth.zones import UNAVAILABLE, Zones
from mailstead.model.errors import WebFailed, WebRefused
from mailstead.net.web import SafeWebClient
from net.outbound.remote import Authority
from net.web_server import WebServer

LIMIT_S = 10


@pytest.fixture
async def server():
    started = await WebServer().start()
    yield started
    await started.stop()


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


ZONES = Zones(
    {
        "web.test": {"A": ["127.0.0.1"]},
        "rebound.test": {"A": ["169.254.169.254", "127.0.0.1"], "AAAA": ["::ffff:10.0.0.1", "::1"]},
        "down.test": UNAVAILABLE,
        "bare.test": {"TXT": [b"x"]},
    }
)


def client(*, allows_private=True, resolver=ZONES, ca_file=""):
    return SafeWebClient(resolver, allows_private=allows_private, ca_file=str(ca_file), hostname="mail.example.test")


async def test_get(server):
    answer = await client().get(f"http://web.test:{server.port}/a/b?c=d#e")
    assert (answer.status, answer.octets, answer.headers) == (200, b"ok", {"content-length": "2"})
    (request,) = server.requests
    assert request.startswith(b"GET /a/b?c=d HTTP/1.1\r\n")
    assert f"\r\nHost: web.test:{server.port}\r\n".encode() in request
    assert b"\r\nUser-Agent: Mailstead (mail.example.test)\r\n" in request
    assert b"\r\nAccept-Encoding: identity\r\n" in request


async def test_any_method_with_or_without_a_body(server):
    await client().send("DELETE", f"http://web.test:{server.port}/a", None, {"Authorization": "Bearer x"})
    await client().send("PUT", f"http://web.test:{server.port}/a", b"{}", {})
    first, second = server.requests
    assert first.startswith(b"DELETE /a HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer x\r\n" in first
    assert b"Content-Length" not in first
    assert second.startswith(b"PUT /a HTTP/1.1\r\n")
    assert b"\r\nContent-Length: 2\r\n" in second
    assert second.endswith(b"\r\n\r\n{}")
    with pytest.raises(WebFailed, match="more than we take"):
        await client().send("PUT", f"http://web.test:{server.port}/a", b"{}", {}, octets_max=1)


async def test_post(server):
    server.answer = b"HTTP/1.1 429 Slow down\r\nRetry-After: 5\r\nContent-Length: 10\r\n\r\n0123456789"
    answer = await client().post(
        f"http://web.test:{server.port}/hook",
        b"{}",
        {"Content-Type": "application/json", "user-agent": "Other"},
        octets_max=4,
    )
    assert (answer.status, answer.headers["retry-after"], answer.octets) == (429, "5", b"0123")
    (request,) = server.requests
    assert request.startswith(b"POST /hook HTTP/1.1\r\n")
    assert request.endswith(b"\r\n\r\n{}")
    assert b"Mailstead" not in request
    assert b"\r\nContent-Length: 2\r\n" in request


async def test_certificates_are_verified_for_the_name(authority):
    tls, _ = authority.server("web.test")
    server = await WebServer().start(tls)
    url = f"https://web.test:{server.port}/"
    assert (await client(ca_file=authority.file).get(url)).octets == b"ok"
    with pytest.raises(WebFailed) as caught:
        await client().get(url)
    assert "certificate" in caught.value.log_fields
    await server.stop()


@pytest.mark.parametrize(("names", "days"), [(("other.test",), 30), (("web.test",), -1)])
async def test_wrong_names_and_old_certificates_are_not_believed(authority, names, days):
    tls, _ = authority.server(*names, days=days)
    server = await WebServer().start(tls)
    with pytest.raises(WebFailed) as caught:
        await client(ca_file=authority.file).get(f"https://web.test:{server.port}/")
    assert "certificate" in caught.value.log_fields
    assert server.requests == []
    await server.stop()


async def test_what_is_no_http_fails_for_a_while(server):
    for answer in (b"220 mail.example ESMTP\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"):
        server.answer = answer
        with pytest.raises(WebFailed) as caught:
            await client().get(f"http://web.test:{server.port}/")
        assert "certificate" not in caught.value.log_fields


async def test_the_next_address_is_tried(server):
    zones = Zones({"web.test": {"A": ["127.0.0.2", "127.0.0.1"]}})
    assert (await client(resolver=zones).get(f"http://web.test:{server.port}/")).status == 200


@pytest.mark.parametrize("host", ["down.test", "bare.test", "none.test"])
async def test_a_host_that_cannot_be_found_fails_for_a_while(host):
    with pytest.raises(WebFailed):
        await client().get(f"http://{host}/")


async def test_nobody_listening_fails_for_a_while(server):
    await server.stop()
    with pytest.raises(WebFailed):
        await client().get(f"http://web.test:{server.port}/")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:10.0.0.1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://[64:ff9b::7f00:1]:{port}/",
        "http://[fe80::1%25lo]:{port}/",
        "http://169.254.169.254:{port}/latest/meta-data/",
        "http://10.0.0.1:{port}/",
        "http://0.0.0.0:{port}/",
        "http://0:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f000001:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://127.1:{port}/",
        "http://１２７.0.0.1:{port}/",
        "http://127。0。0。1:{port}/",
        "http://rebound.test:{port}/",
        "http://web.test:{port}/",
    ],
)
async def test_attack_037_no_way_leads_to_what_is_not_public(server, url):
    zones = Zones({**ZONES.names, "localhost": {"A": ["127.0.0.1"]}})
    with pytest.raises(WebRefused):
        await client(allows_private=False, resolver=zones).get(url.format(port=server.port))
    assert server.connection_count == 0


@pytest.mark.parametrize(
    "url",
    [
        "ftp://web.test:{port}/",
        "file:///etc/passwd",
        "gopher://web.test:{port}/",
        "//web.test:{port}/",
        "http:///x",
        "",
        "http://public.test@web.test:{port}/",
        "http://web.test:{port}@public.test/",
        "http://user:pw@web.test:{port}/",
        "http://web.test:{port}\\@public.test/",
        "http://web.test:{port}/a b",
        "http://web.test:{port}/\r\nX: y",
        "http://web.test:{port}/\x00",
        "http://web.test:{port}/ü",
        "http://web.test:99999/",
        "http://web.test:x/",
        "http://web.test:0/",
        "http://web.test:25/",
        "http://web..test:{port}/",
        "http://[::1/",
        "http://web.test:{port}/" + "x" * 5000,
        "http://2130706433:{port}/",
        "http://0x7f.1:{port}/",
        "http://0:{port}/",
    ],
)
async def test_attack_037_strange_urls_are_refused_even_where_private_addresses_are_allowed(server, url):
    with pytest.raises(WebRefused):
        await client().get(url.format(port=server.port))
    assert server.connection_count == 0


async def test_attack_037_a_name_is_looked_up_once_and_goes_where_it_was_checked(server):
    class Rebinding(Zones):
        async def a(self, name):
            first = not any(question == (name, "A") for question in self.questions)
            self.names["web.test"] = {"A": ["127.0.0.1" if first else "169.254.169.254"]}
            return await super().a(name)

    zones = Rebinding()
    assert (await client(resolver=zones).get(f"http://web.test:{server.port}/")).status == 200
    assert zones.questions.count(("web.test", "A")) == 1


async def test_attack_037_private_addresses_fall_away_beside_public_ones():
    zones = Zones({"mixed.test": {"A": ["127.0.0.1", "8.8.8.8"], "AAAA": ["::1", "2606:4700::1"]}})
    usable = await client(allows_private=False, resolver=zones)._addresses("mixed.test")
    assert usable == ("2606:4700::1", "8.8.8.8")


async def test_attack_037_redirects_are_not_followed(server):
    server.answer = (
        f"HTTP/1.1 302 Found\r\nLocation: http://web.test:{server.port}/other\r\nContent-Length: 0\r\n\r\n".encode()
    )
    answer = await client().get(f"http://web.test:{server.port}/")
    assert answer.status == 302
    assert len(server.requests) == 1


async def test_attack_037_no_cookies_are_kept_and_no_proxy_is_used(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9/")
    server.answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    same = client()
    for _ in range(2):
        await same.get(f"http://web.test:{server.port}/")
    assert len(server.requests) == 2
    assert all(b"cookie" not in request.lower() for request in server.requests)


async def test_attack_037_large_answers_are_cut_off(server):
    server.answer = b"HTTP/1.1 200 OK\r\n\r\n"

    async def pour(writer):
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    server.then = pour
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(WebFailed):
            await client().get(f"http://web.test:{server.port}/", octets_max=100_000)
        await server.closed.wait()
        server.closed.clear()
        assert len((await client().post(f"http://web.test:{server.port}/", b"", {}, octets_max=1000)).octets) == 1000
        await server.closed.wait()


async def test_attack_037_a_header_without_end_is_cut_off(server):
    server.answer = b"HTTP/1.1 200 OK\r\n"

    async def pour(writer):
        while True:
            writer.write(b"X: " + b"x" * 1000 + b"\r\n")
            await writer.drain()

    server.then = pour
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(WebFailed):
            await client().get(f"http://web.test:{server.port}/")
        await server.closed.wait()


async def test_attack_037_slow_answers_end_at_the_time_limit(server):
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"

    async def drip(writer):
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)  # the slowness is what is tested

    server.then = drip
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(WebFailed, match="in time"):
            await client().get(f"http://web.test:{server.port}/", limit_s=0.3)
        await server.closed.wait()


async def test_attack_037_packed_answers_are_not_unpacked(server):
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
    assert (await client().get(f"http://web.test:{server.port}/")).octets == b"\x1f\x8b\x08\x00"


async def test_attack_037_header_fields_cannot_be_smuggled(server):
    for value in ("a\r\nX: y", "ü"):
        with pytest.raises((WebFailed, WebRefused)):
            await client().post(f"http://web.test:{server.port}/", b"", {"X-Header": value})
    assert server.requests == []


def test_what_talks_http_is_imported_at_its_first_use():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, mailstead.net.web; sys.exit('httpcore2' in sys.modules)"], timeout=60
    )
    assert done.returncode == 0
