"""Debian's Chromium at a web service of ours: what it complains about, where it goes, whether everybody can use it."""

import asyncio
import contextlib
import json
import shutil
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from mailstead.config.settings import Dns, Limits, Server, Settings, Store
from mailstead.config.settings import Web as WebSettings
from mailstead.model.address import Address
from mailstead.model.secret import Secret
from mailstead.net.certificates import open_certificates
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.web import make_web_service
from system.server import free_ports

HOST = "mail.example.test"
ADMIN, ALICE = Address.parse("admin@example.test"), Address.parse("alice@example.test")
PASSWORD = "pw-never-in-a-log-of-pages"
LIMIT_MS = 15_000
AXE = Path(__file__).resolve().parents[2] / ".test-tools" / "node_modules" / "axe-core" / "axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIZES = {"phone": {"width": 390, "height": 844}, "desk": {"width": 1280, "height": 800}}


def chromium():
    """Give where it is; without it the test is skipped, which CI counts as a failure."""
    found = shutil.which("chromium")
    if found is None or not AXE.exists():
        pytest.skip("chromium or axe-core is not installed: run `make setup-tools`")
    return found


class Pages:
    """A browser's window, and all that went wrong in it."""

    def __init__(self, page, url):
        self.page = page
        self.url = url
        self.complaints = []
        page.set_default_timeout(LIMIT_MS)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("request", self._request)

    def _console(self, message):
        # A status that a test asks for is told as an error, too.
        if message.type in {"error", "warning"} and "the server responded with a status of" not in message.text:
            self.complaints.append(f"console: {message.text}")

    def _request(self, request):
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.complaints.append(f"foreign: {request.url}")

    async def go(self, path):
        return await self.page.goto(self.url + path)

    async def log_in(self, address=ADMIN, password=PASSWORD):
        await self.go("/log-in")
        await self.page.get_by_label("Address").fill(str(address))
        await self.page.get_by_label("Password").fill(password)
        await self.page.get_by_role("button", name="Log in", exact=True).click()
        await self.page.get_by_role("button", name="Log out").wait_for()

    async def faults(self):
        """Give what axe finds on the page that is open, and whether it is wider than the window."""
        await self.page.evaluate(AXE.read_text())
        options = json.dumps({"runOnly": {"type": "tag", "values": WCAG}})
        found = await self.page.evaluate(f"axe.run(document, {options})")
        faults = [
            f"{each['id']} ({each['impact']}): {each['help']}: {[node['html'] for node in each['nodes']]}"
            for each in found["violations"]
        ]
        if await self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            faults.append("wider than the window")
        return faults


class Site:
    """A web service, and browsers for it."""

    def __init__(self, house, url, browser):
        self.house = house
        self.url = url
        self._browser = browser
        self._pages = []

    async def window(self, *, size="desk", theme="light", language="en-GB", has_scripts=True):
        """Give a window of a browser of its own."""
        context = await self._browser.new_context(
            ignore_https_errors=True,
            viewport=SIZES[size],
            color_scheme=theme,
            locale=language,
            java_script_enabled=has_scripts,
            reduced_motion="reduce",
        )
        self._pages.append(Pages(await context.new_page(), self.url))
        return self._pages[-1]

    @property
    def complaints(self):
        return [each for pages in self._pages for each in pages.complaints]


@contextlib.asynccontextmanager
async def open_site(folder, *, is_new=False, **further):
    """Start a web service with an administrator and Alice, who have mailboxes, and a browser; complaints fail.

    `is_new`: nobody is there yet; `further`: sections of the settings.
    """
    executable = chromium()
    port, nowhere = free_ports(2)
    settings = Settings(
        dns=Dns(servers=(f"127.0.0.1:{nowhere}",)),
        limits=Limits(password_hash_iterations=1, password_hash_memory_mib=1),
        server=Server(hostname=HOST, data_dir=folder / "data"),
        store=Store(master_key=Secret("00" * 32)),
        web=WebSettings(listen_tls=(f"127.0.0.1:{port}",)),
        **further,
    )
    async with contextlib.AsyncExitStack() as stack:
        house = await stack.enter_async_context(open_house(settings))
        if not is_new:
            await house.domains.add(ADMINISTRATOR, "example.test")
            await house.accounts.create(ADMINISTRATOR, ADMIN, Secret(PASSWORD))
            await house.accounts.create(ADMINISTRATOR, ALICE, Secret(PASSWORD))
            await house.users.create(ADMINISTRATOR, ADMIN, None, is_admin=True)
        service = make_web_service(house, open_certificates("", "", folder / "data", HOST, 5.0))
        service.bind()
        stop = asyncio.Event()
        running = asyncio.create_task(service.run(stop))

        async def end():
            stop.set()
            await asyncio.wait_for(running, 10)

        stack.push_async_callback(end)
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]
        )
        stack.push_async_callback(browser.close)
        site = Site(house, f"https://{HOST}:{port}", browser)
        yield site
        assert site.complaints == []
