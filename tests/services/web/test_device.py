"""The link that sets up a device, over real loopback: the page, the profile once, and nothing else."""

import plistlib

import pytest

from mailstead.config.settings import Imap, MailListeners, Server, Settings, Store
from mailstead.config.settings import Web as WebSettings
from mailstead.model.address import Address
from mailstead.model.secret import Secret
from mailstead.services.web.codes import svg_code
from mailstead.wiring.client_profiles import make_client_profiles
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.web import make_web_service
from services.web.serving import serving

HOST = "mail.example.test"
ALICE = Address.parse("alice@example.test")


@pytest.fixture
async def web(tmp_path):
    settings = Settings(
        server=Server(hostname=HOST, data_dir=tmp_path / "data"),
        store=Store(master_key=Secret("00" * 32)),
        imap=Imap(listen_tls=(":993",)),
        submission=MailListeners(listen_tls=(":465",)),
        web=WebSettings(listen_tls=("127.0.0.1:0",)),
    )
    async with open_house(settings) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        await house.accounts.create(ADMINISTRATOR, ALICE, Secret("pw-never-in-a-log"))
        async with serving(tmp_path / "data", lambda certificates: make_web_service(house, certificates)) as web:
            prepared = await make_client_profiles(house).prepare(ADMINISTRATOR, ALICE, "Phone <1>")
            web.secret = prepared.app_password.secret.reveal()
            web.path = "/" + prepared.link.reveal().split("/", 3)[3]
            yield web


async def ask(web, path, host=HOST, **more):
    return await web.get(host, path, tls=web.tls(), **more)


async def test_the_page_leads_to_the_profile_which_is_given_once(web):
    page = await ask(web, web.path)
    file = f"{web.path}/mail.mobileconfig"
    assert page.status == 200
    assert f'href="{file}"'.encode() in page.body
    assert b"alice@example.test" in page.body
    assert web.secret.encode() not in page.body
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")
    head = await ask(web, file, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    profile = await ask(web, file)
    assert profile.headers["content-type"] == "application/x-apple-aspen-config"
    assert profile.headers["content-disposition"] == 'attachment; filename="example.test.mobileconfig"'
    assert profile.headers["cache-control"] == "no-store"
    # The house's certificate is its own, which no device trusts: it is not signed.
    mail, *_ = plistlib.loads(profile.body)["PayloadContent"]
    assert (mail["EmailAddress"], mail["IncomingPassword"]) == ("alice@example.test", web.secret)
    for path in (web.path, file):
        assert (await ask(web, path)).status == 404


async def test_it_is_there_under_the_hosts_name_and_over_tls_only(web):
    for path in (web.path, f"{web.path}/mail.mobileconfig"):
        assert (await ask(web, path, host="example.test")).status == 404
        assert (await ask(web, path, host="autoconfig.example.test")).status == 404
        assert (await ask(web, path, method="POST")).status == 405
    assert (await ask(web, f"{web.path}/mail.mobileconfig")).status == 200


@pytest.mark.parametrize("path", ["/set-up/x", "/set-up/x/mail.mobileconfig", "/set-up/%00", "/set-up/", "/set-up"])
async def test_what_is_no_link_leads_nowhere(web, path):
    answer = await ask(web, path)
    assert answer.status == 404
    assert b"alice" not in answer.body


def test_codes_inside_pages_need_no_style_and_run_nothing():
    drawn = str(svg_code("dclogin:<script>", 'Scan "this" <now>'))
    assert drawn.startswith("<svg ")
    assert "style" not in drawn
    assert "<script" not in drawn
    assert "&lt;now&gt;" in drawn
