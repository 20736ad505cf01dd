"""Debian's Chromium at a web service of ours: what it complains about, where it goes, whether everybody can use it.

One Chromium serves all tests of a process: its fixture `browser` lives in the session's event loop, so tests that take it
carry the mark `IN_ONE_BROWSER`, and their async fixtures are made with `pytest_asyncio.fixture(loop_scope="session")`.
"""

import asyncio
import contextlib
import functools
import json
import shutil
from pathlib import Path

import pytest
from playwright.async_api import Error as BrowserError
from playwright.async_api import async_playwright

from mailstead.config.settings import Dns, Limits, Server, Settings, Store
from mailstead.config.settings import Web as WebSettings
from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.secret import Secret
from mailstead.net.certificates import open_certificates
from mailstead.services.web.site.pages import SESSION
from mailstead.telemetry import metrics
from mailstead.usecases.web_sessions import Begun
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.web import make_web_service
from system.server import free_ports

HOST = "mail.example.test"
ADMIN, ALICE = Address.parse("admin@example.test"), Address.parse("alice@example.test")
PASSWORD = "pw-never-in-a-log-of-pages"
LIMIT_MS = 15_000
GO_TRIES = 3
AXE = Path(__file__).resolve().parents[2] / ".test-tools" / "node_modules" / "axe-core" / "axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
BY_LAYOUT = ["target-size", "scrollable-region-focusable", "meta-viewport"]
"""Rules of axe whose answer depends on the size of the window …"""
BY_COLOUR = ["color-contrast", "link-in-text-block"]
"""… and those that look at colours."""
NETWORK_CHANGED = "ERR_NETWORK_CHANGED"
"""What Chromium ends requests with when the machine gets or loses an address, as with each container that tests beside
these start: nothing of ours."""
SIZES = {"phone": {"width": 390, "height": 844}, "desk": {"width": 1280, "height": 800}}
IN_ONE_BROWSER = [pytest.mark.full, pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
"""What tests with the fixture `browser` are marked with."""


def chromium():
    """Give where it is; without it the test is skipped, which CI counts as a failure.

    The shell is the same browser without a window's frame around each page, and costs a third of the processor's time.
    """
    found = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if found is None or not AXE.exists():
        pytest.skip("chromium or axe-core is not installed: run `make setup-tools`")
    return found


@functools.cache
def axe():
    """Give its script."""
    return AXE.read_text()


class Pages:
    """A browser's window, and all that went wrong in it."""

    def __init__(self, page, url, house):
        self.page = page
        self.url = url
        self._house = house
        self.complaints = []
        page.set_default_timeout(LIMIT_MS)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("request", self._request)

    def _console(self, message):
        # A status that a test asks for is told as an error, too.
        beside = ("the server responded with a status of", NETWORK_CHANGED)
        if message.type in {"error", "warning"} and not any(each in message.text for each in beside):
            self.complaints.append(f"console: {message.text}")

    def _request(self, request):
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.complaints.append(f"foreign: {request.url}")

    async def go(self, path):
        for _ in range(GO_TRIES):
            try:
                return await self.page.goto(self.url + path)
            except BrowserError as error:
                if NETWORK_CHANGED not in str(error):
                    raise
        return await self.page.goto(self.url + path)

    async def log_in(self, address=ADMIN, password=PASSWORD, *, by_form=False):
        """Begin a session, and go where a log-in leads; by the form in tests that are about it, else beside it."""
        if by_form:
            await self.go("/log-in")
            await self.page.get_by_label("Address").fill(str(address))
            await self.page.get_by_label("Password").fill(password)
            await self.page.get_by_role("button", name="Log in", exact=True).click()
        else:
            peer = Peer("127.0.0.1", 1, tls_version="TLSv1.3")
            begun = await self._house.web_sessions.start(str(address), Secret(password), peer, "tests")
            assert isinstance(begun, Begun), "a second factor is asked for: log in by the form"
            cookie = {"name": SESSION, "value": begun.token.reveal(), "url": self.url, "secure": True, "httpOnly": True}
            await self.page.context.add_cookies([{**cookie, "sameSite": "Lax"}])
            await self.go("/")
        await self.page.get_by_role("button", name="Log out").wait_for()

    async def faults(self):
        """Give what axe finds on the page that is open, and whether it is wider than the window."""
        return await self._axe({"runOnly": {"type": "tag", "values": WCAG}}) + await self._overflow()

    async def faults_everywhere(self):
        """Give the faults of the page that is open in both sizes and both themes.

        What is in the page is the same in all: all rules are asked of the small light one, those of colours of the dark
        one, those of layout of the large one.
        """
        before, faults = self.page.viewport_size, []
        for size, theme, rules in (
            ("phone", "light", None),
            ("phone", "dark", BY_COLOUR),
            ("desk", "light", BY_LAYOUT),
        ):
            await self.page.set_viewport_size(SIZES[size])
            await self.page.emulate_media(color_scheme=theme)
            chosen = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": WCAG}
            found = await self._axe({"runOnly": chosen}) + await self._overflow()
            faults += [f"{size}, {theme}: {each}" for each in found]
        await self.page.set_viewport_size(before)
        return faults

    async def _axe(self, options):
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(axe())
        # Only what fails is told in full, as the rest costs more than looking for it; a frame holds what strangers wrote.
        options = json.dumps({**options, "resultTypes": ["violations"], "iframes": False})
        found = await self.page.evaluate(f"axe.run(document, {options})")
        return [
            f"{each['id']} ({each['impact']}): {each['help']}: {[node['html'] for node in each['nodes']]}"
            for each in found["violations"]
        ]

    async def _overflow(self):
        is_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        return ["wider than the window"] if await self.page.evaluate(is_wide) else []


class Site:
    """A web service, and browsers for it."""

    def __init__(self, house, url, browser):
        self.house = house
        self.url = url
        self._browser = browser
        self._contexts = []
        self._pages = []
        self._reported = self.policy_reports()
        self.provoked = 0
        """Reports about the policy that a test has made on purpose."""

    @staticmethod
    def policy_reports():
        """Give how often a browser has said that a page did what its policy forbids, in this process."""
        (family,) = metrics.CSP_REPORTS.collect()
        return int(sum(each.value for each in family.samples if each.name.endswith("_total")))

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
        self._contexts.append(context)
        self._pages.append(Pages(await context.new_page(), self.url, self.house))
        return self._pages[-1]

    async def close(self):
        """Close all windows."""
        for context in self._contexts:
            await context.close()

    @property
    def complaints(self):
        told = [each for pages in self._pages for each in pages.complaints]
        count = self.policy_reports() - self._reported - self.provoked
        return [*told, f"reports about the policy: {count}"] if count else told


@contextlib.asynccontextmanager
async def open_browser():
    """Start one."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]
        )
        yield browser
        await browser.close()


@contextlib.asynccontextmanager
async def open_site(folder, browser=None, *, is_new=False, **further):
    """Start a web service with an administrator and Alice, who have mailboxes, for a browser; complaints fail.

    `browser`: the fixture's, else one is started; `is_new`: nobody is there yet; `further`: sections of the settings.
    """
    chromium()
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
        site = Site(house, f"https://{HOST}:{port}", browser or await stack.enter_async_context(open_browser()))
        stack.push_async_callback(site.close)
        yield site
        assert not site.complaints, site.complaints
