"""The API on real ports: beside the pages of the web, and on its own; secrets over TLS only."""

import subprocess
import sys

import pytest

from mailstead.config.settings import Api, Web
from mailstead.net import http_requests
from mailstead.wiring.api import make_api_service
from mailstead.wiring.web import make_web_service
from wiring.test_dav import AT, served


@pytest.fixture
def from_afar(monkeypatch):
    """Loopback counts as any other address."""
    monkeypatch.setattr(http_requests, "is_loopback", lambda _address: False)


@pytest.mark.usefixtures("from_afar")
@pytest.mark.parametrize("services", [("web", "api"), ("web", "caldav", "api")])
async def test_where_the_web_answers(tmp_path, services):
    async with served(tmp_path, services, make_web_service, web=Web(listen=AT, listen_tls=AT)) as (web,):
        status, head, body = await web.ask("GET", "/v1", is_tls=True)
        assert (status, b"Mailstead" in body) == (200, True)
        assert "x-content-type-options: nosniff\r\n" in head
        assert (await web.ask("GET", "/v1", is_tls=False))[0] == 403
        assert (await web.ask("GET", "/v1/ws", is_tls=True))[0] in {403, 404, 426}
        assert (await web.ask("GET", "/nothing", is_tls=True))[0] in {404, 421}  # the pages are there, too
        is_dav = (await web.ask("PROPFIND", "/dav/", is_tls=True, Depth="0"))[0] == 207
        assert is_dav == ("caldav" in services)


async def test_without_the_service_the_web_has_no_api(tmp_path):
    async with served(tmp_path, ("web",), make_web_service, web=Web(listen=AT, listen_tls=AT)) as (web,):
        assert (await web.ask("GET", "/v1", is_tls=True))[0] in {404, 421}


@pytest.mark.usefixtures("from_afar")
async def test_on_ports_of_its_own(tmp_path):
    async with served(tmp_path, ("api",), make_api_service, api=Api(listen=AT, listen_tls=AT)) as (found,):
        assert (await found.ask("GET", "/v1", is_tls=True))[0] == 200
        assert (await found.ask("GET", "/v1", is_tls=False))[0] == 403
        assert (await found.ask("GET", "/", is_tls=True))[0] == 404


async def test_attack_061_who_comes_through_a_proxy_of_ours_is_whom_it_names(tmp_path):
    """And the proxy's word that it was over TLS is taken; a stranger's word is not."""
    for proxies, status in ((("127.0.0.1",), 403), ((), 200)):
        api = Api(listen=AT, proxy_from=proxies)
        async with served(tmp_path / str(status), ("api",), make_api_service, api=api) as (found,):
            headers = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "http"}
            assert (await found.ask("GET", "/v1", is_tls=False, **headers))[0] == status
            headers["X-Forwarded-Proto"] = "https"
            assert (await found.ask("GET", "/v1", is_tls=False, **headers))[0] == 200


def test_who_does_not_run_it_does_not_load_it():
    """Pydantic and the models are memory that an mx does not need."""
    program = (
        "import sys, mailstead.wiring.serve, mailstead.wiring.house, mailstead.wiring.web, mailstead.wiring.listeners, "
        "mailstead.wiring.queue, mailstead.wiring.dav, mailstead.cli.app\n"
        "print([name for name in ('pydantic', 'websockets', 'mailstead.services.api') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True, timeout=60)
    assert done.stdout.strip() == "[]", (done.stdout, done.stderr)
