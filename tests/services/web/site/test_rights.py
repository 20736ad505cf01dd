"""Who sees which page: all pages, asked by everybody, without a browser."""

import asyncio
import re
from contextlib import asynccontextmanager
from urllib.parse import quote, urlencode

import pytest
from starlette.applications import Starlette

from mailstead.config.settings import Limits, Server, Settings, Store
from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.people import Group
from mailstead.model.queue import QueueQuery, RecipientState
from mailstead.model.secret import Secret
from mailstead.services.web.site.live import PATH as EVENTS
from mailstead.services.web.site.pages import SESSION, Who
from mailstead.services.web.site.table import all_pages
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.site import make_site
from system.site_data import CAROL, HELD_ID, QUEUE_ID, fill
from system.site_data import PLACES as FILLED

MANY_PAGES = 20
PUBLIC = {"/assets/{name}", "/site.webmanifest"}
HOST = "mail.example.test"
PASSWORD = "pw-never-in-a-log-of-rights"
PEER = Peer("127.0.0.1", 4711, tls_version="TLSv1.3")
PLACES = {"domain": "example.test", "local_part": "alice", **FILLED}
"""What stands for path parameters; for others a 1."""
OWNER, MEMBER, STRANGER, ADMIN = "alice@example.test", "member@people.test", "stranger@people.test", "admin@people.test"
ALL = [(method, page) for page in all_pages() for method in page.methods if page.who is not Who.ANYBODY]
OF_ADMINISTRATORS = [each for each in ALL if each[1].who in {Who.DOMAIN_ADMIN, Who.SERVER_ADMIN}]


class Asking:
    """Requests to the pages as the wiring makes them, without a socket."""

    def __init__(self, house):
        self.house = house
        self.site = make_site(house)
        self._app = Starlette(routes=self.site.routes())
        self._tokens = {}

    async def _cookie(self, by):
        if by not in self._tokens:
            begun = await self.house.web_sessions.start(by, Secret(PASSWORD), PEER, "test")
            self._tokens[by] = begun.token.reveal()
        return f"{SESSION}={self._tokens[by]}"

    async def ask(self, method, path, by=None, fields=None, cookies=None, told=None, octets=None, **head):
        """Give status, where it leads, and the text; `by` None: nobody; `head`: further fields of the head.

        `octets` are sent as they are, in the place of `fields`. `cookies` gets those that are set, `told` all fields of the answer's head.
        """
        body = urlencode(fields or {}).encode() if octets is None else octets
        headers = {"host": HOST, "origin": f"https://{HOST}", "content-type": "application/x-www-form-urlencoded"}
        headers["content-length"] = str(len(body))
        headers |= {name.replace("_", "-"): value for name, value in head.items()}
        if by is not None:
            headers["cookie"] = await self._cookie(by)
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 4711),
            "server": (HOST, 443),
            "scheme": "https",
            "http_version": "1.1",
        }
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        sent = []

        async def receive():
            if not messages:
                await asyncio.Event().wait()
            return messages.pop(0)

        async def send(message):
            sent.append(message)

        await self._app(scope, receive, send)
        location = dict(sent[0]["headers"]).get(b"location", b"").decode()
        if told is not None:
            told.update({name.decode(): value.decode() for name, value in sent[0]["headers"]})
        if cookies is not None:
            cookies += [value.decode() for name, value in sent[0]["headers"] if name == b"set-cookie"]
        return (
            sent[0]["status"],
            location,
            b"".join(each.get("body", b"") for each in sent[1:]).decode("utf-8", "replace"),
        )


@asynccontextmanager
async def asking(folder, **further):
    """Give a house with people; `further`: sections of the settings."""
    settings = Settings(
        limits=Limits(password_hash_iterations=1, password_hash_memory_mib=1),
        server=Server(hostname=HOST, data_dir=folder / "data"),
        store=Store(master_key=Secret("00" * 32)),
        **further,
    )
    async with open_house(settings) as house:
        for name in ("example.test", "other.test"):
            await house.domains.add(ADMINISTRATOR, name)
        await house.accounts.create(ADMINISTRATOR, Address.parse(OWNER), Secret(PASSWORD))
        await fill(house)
        for address, is_admin, domain, group in (
            (MEMBER, False, "example.test", Group.USER),
            (STRANGER, False, "other.test", Group.ADMIN),
            (ADMIN, True, None, None),
        ):
            user = await house.users.create(ADMINISTRATOR, Address.parse(address), Secret(PASSWORD), is_admin=is_admin)
            if domain is not None:
                await house.members.add(ADMINISTRATOR, domain, user, group)
        yield Asking(house)


@pytest.fixture
async def site(tmp_path):
    async with asking(tmp_path) as made:
        yield made


def path_of(page):
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda found: PLACES.get(found[1], "1"), page.path)


async def asked(site, pages, by):
    """Give status and where it leads of each page."""
    return {f"{method} {page.path}": (await site.ask(method, path_of(page), by))[:2] for method, page in pages}


async def test_attack_092_nobody_is_led_to_the_log_in(site):
    for page, (status, location) in (await asked(site, ALL, None)).items():
        assert (status, location.partition("?")[0]) == (303, "/log-in"), page


@pytest.mark.parametrize("by", [OWNER, ADMIN])
async def test_attack_099_no_page_is_kept_by_caches_or_shown_in_frames_of_others(site, by):
    shown = 0
    for page in all_pages():
        if "GET" not in page.methods or page.path == EVENTS:
            continue
        told = {}
        status, _, _ = await site.ask("GET", path_of(page), by, told=told)
        policy = told.get("content-security-policy", "")
        assert "no-store" in told.get("cache-control", "") or page.path in PUBLIC, page.path
        if status == 200 and told["content-type"].startswith("text/html"):
            shown += 1
            assert re.search(r"frame-ancestors '(none|self)'", policy), page.path
            assert "'unsafe-" not in policy, page.path
    assert shown > MANY_PAGES


@pytest.mark.parametrize("by", [OWNER, MEMBER])
async def test_attack_092_who_looks_after_nothing_sees_no_page_of_administration(site, by):
    found = await asked(site, OF_ADMINISTRATORS, by)
    assert {page: status for page, (status, _) in found.items() if status not in {403, 404}} == {}


async def test_attack_092_who_looks_after_another_domain_sees_nothing_of_this_one(site):
    pages = [(method, page) for method, page in OF_ADMINISTRATORS if page.who is Who.SERVER_ADMIN or "{" in page.path]
    assert len(pages) > len(OF_ADMINISTRATORS) // 2
    found = await asked(site, pages, STRANGER)
    assert {page: status for page, (status, _) in found.items() if status not in {403, 404}} == {}


async def test_attack_092_a_member_has_addresses_of_his_own_and_sees_no_others(site):
    path = "/admin/domains/example.test/addresses"
    form = {"name": "mine", "recipients": "far@elsewhere.test", "kind": "mailbox", "password": "not his to set 1"}
    assert [(await site.ask("GET", path, by))[0] for by in (MEMBER, STRANGER, OWNER, None)] == [200, 404, 403, 303]
    assert [(await site.ask("POST", path, by, form))[0] for by in (STRANGER, OWNER)] == [404, 403]
    status, location, _ = await site.ask("POST", path, MEMBER, form | {"kind": "alias"})
    assert (status, location) == (303, f"{path}/mine?told=made")
    text = (await site.ask("GET", f"{path}?explain=alice", MEMBER))[2]
    assert "mine@example.test" in text
    assert OWNER not in text
    for method, further in (("GET", ""), ("POST", ""), ("POST", "/remove")):
        assert (await site.ask(method, f"{path}/alice{further}", MEMBER, {"address": OWNER}))[0] == 404
    assert (await site.ask("POST", f"{path}/mine", MEMBER, {"recipients": "near@elsewhere.test", "is_enabled": "yes"}))[
        0
    ] == 303
    assert "near@elsewhere.test" in (await site.ask("GET", path, MEMBER))[2]
    assert (await site.ask("GET", "/me", MEMBER))[2].count(path) == 1
    assert (await site.ask("POST", f"{path}/mine/remove", MEMBER))[0] == 303
    assert "mine@" not in (await site.ask("GET", path, MEMBER))[2]


async def test_attack_092_without_a_mailbox_there_are_no_pages_of_one(site):
    found = await asked(site, [each for each in ALL if each[1].who is Who.OWNER], STRANGER)
    assert {page: status for page, (status, _) in found.items() if status not in {403, 404}} == {}


async def test_attack_092_pages_that_show_what_one_may_see_show_nothing_of_others(site):
    for path in ("/admin/queue", "/admin/trace", "/admin/audit", "/admin/reports", "/admin/audit.csv"):
        status, _, text = await site.ask("GET", path, STRANGER)
        assert status == 200, path
        for secret in ("alice@", "far.test", QUEUE_ID, "192.0.2.", "carol@", "example.test<"):
            assert secret not in text, (path, secret)
    for query in ("audit?domain=example.test", "audit.csv?domain=example.test", "reports?domain=example.test"):
        assert (await site.ask("GET", f"/admin/{query}", STRANGER))[0] == 404


async def test_attack_092_nothing_of_anothers_can_be_changed(site):
    house = site.house
    carol = await house.users.get(ADMINISTRATOR, str(CAROL))
    members = "/admin/domains/example.test/members"
    for path, fields in (
        ("/admin/queue/change", {"verb": "cancel", "queue_id": HELD_ID, "sure": "yes"}),
        ("/admin/queue/change", {"verb": "cancel", "destination": "far.test", "sure": "yes"}),
        ("/admin/queue/change", {"verb": "release", "all": "yes", "sure": "yes"}),
        (members, {"address": "eve@people.test", "group": "admin"}),
        (f"{members}/change", {"verb": "remove", "user": carol.user_id}),
        (f"{members}/change", {"verb": "part", "user": carol.user_id, "group": "user"}),
        (f"{members}/change", {"verb": "withdraw", "address": "dave@elsewhere.test"}),
        (f"/admin/people/{carol.user_id}", {"verb": "factors"}),
        ("/admin/suppressions", {"address": "bob@far.test"}),
        ("/admin/backups", {"kind": "backup"}),
    ):
        for by in (STRANGER, MEMBER, OWNER):
            status, location, _ = await site.ask("POST", path, by, fields)
            assert status in {403, 404} or location == "/admin/queue?changed=0", (path, by)
    items = await house.storage.queue.items(QueueQuery())
    assert {each.state for item in items for each in item.recipients} == {RecipientState.WAITING, RecipientState.HELD}
    assert len(await house.members.invites(ADMINISTRATOR, "example.test")) == 1
    there = {each.user.address: each.group for each in await house.members.list(ADMINISTRATOR, "example.test")}
    assert there == {str(CAROL): Group.ADMIN, MEMBER: Group.USER}


async def test_who_looks_after_the_server_sees_all(site):
    pages = [each for each in OF_ADMINISTRATORS if each[0] == "GET" and "first-run" not in each[1].path]
    found = await asked(site, pages, ADMIN)
    assert {page: status for page, (status, _) in found.items() if status != 200} == {}


async def test_attack_086_what_others_wrote_is_escaped_in_every_page(site):
    for path in ("/admin/queue", f"/admin/queue/{QUEUE_ID}", "/admin/trace", "/admin/reports"):
        text = (await site.ask("GET", path, ADMIN))[2]
        assert "&lt;" in text, path
        assert "<again>" not in text
        assert "<Ltd>" not in text
    for path in ("/admin/queue/<b>%s%(x)s", "/admin/trace?q=%3Cb%3E", "/admin/queue?address=%3Cb%3E%25s@x..y"):
        status, _, text = await site.ask("GET", path, ADMIN)
        assert status in {200, 400, 404}, path
        assert "<b>" not in text
