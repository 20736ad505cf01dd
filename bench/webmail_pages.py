"""The pages of a mailbox of 100,000 in a browser: a started server of ours, and Roundcube on Dovecot beside it.

Both have the same messages and are looked at by the same Chromium. The server's time is that of a request on a
connection that is open already, and of what the page asks for by itself before there is a list. Paint: from the
beginning of the navigation until the page is loaded, its largest part is painted and a row of the list is there.

`--store FOLDER` keeps the filled mailboxes there, or takes them from there.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import os
import re
import shutil
import ssl
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bench import roundcube, webmail
from bench.imap_client import ImapClient
from bench.peers import PASSWORD, System, account, client_context, free_ports, start_mailstead, start_postfix_dovecot
from bench.report import ratio, record
from mailstead.model.flags import SEEN

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

    from mailstead.wiring.house import House

READER: Final = account(0)
WORDS: Final = {
    "a rare word": webmail.RARE,
    "a word in 1 of 100": webmail.SOMETIMES,
    "a common word": webmail.COMMON,
    "a word that is nowhere": "qqxyzzyqq",
}
LIMIT_MS: Final = 60_000
WATCH: Final = """
window.seen = { rows: 0, largest: 0 };
new PerformanceObserver(list => { for (const one of list.getEntries()) window.seen.largest = one.startTime; })
  .observe({ type: "largest-contentful-paint", buffered: true });
const look = () => {
  if (document.querySelector(SELECTOR)) window.seen.rows = performance.now(); else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
"""Runs in each page before anything of it: when there was a row, and what was the largest thing painted."""
SEEN_SO_FAR: Final = """() => ({ ...window.seen,
  first: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0,
  load: performance.getEntriesByType("navigation")[0].loadEventEnd })"""


@dataclass
class Site:
    """Somebody's webmail."""

    name: str
    url: str
    row: str
    """Selector of a row of the list."""
    roots: list[int] = field(default_factory=list)
    """Processes that answer, by those that have begun the others."""
    headers: dict[str, str] = field(default_factory=dict)
    """What a request of a browser that is logged in has."""

    def processor_s(self) -> float:
        """Give how long the processor has worked for it so far: the figure that other work beside changes least."""
        by_parent: dict[int, list[int]] = {}
        ticks: dict[int, int] = {}
        for each in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = each.read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            number = int(each.parent.name)
            by_parent.setdefault(int(fields[1]), []).append(number)
            ticks[number] = sum(map(int, fields[11:15]))  # of its own, and of those that it has waited for
        found, waiting = 0, list(self.roots)
        while waiting:
            number = waiting.pop()
            found += ticks.get(number, 0)
            waiting += by_parent.get(number, [])
        return found / os.sysconf("SC_CLK_TCK")

    def list_paths(self) -> list[str]:
        """What is asked for before the newest messages are shown."""
        raise NotImplementedError

    def search_path(self, word: str) -> str:
        """What finds a word in the whole messages of the inbox."""
        raise NotImplementedError

    def log_in(self, page: Page) -> None:
        """Log in; the list is open afterwards."""
        raise NotImplementedError

    def reading_paths(self, number: int) -> list[str]:
        """What is asked for to read one of the newest."""
        raise NotImplementedError

    def connect(self) -> http.client.HTTPConnection:
        """Connect anew."""
        place = urlsplit(self.url)
        if place.scheme == "https":
            context: ssl.SSLContext = client_context()
            return http.client.HTTPSConnection(place.hostname or "", place.port, timeout=300, context=context)
        return http.client.HTTPConnection(place.hostname or "", place.port, timeout=300)

    def get(self, connection: http.client.HTTPConnection, path: str) -> str:
        """Ask for something."""
        connection.request("GET", path, headers=self.headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        if answer.status != 200:
            raise RuntimeError(f"{self.name}: {path}: {answer.status}")
        return text


class Mailstead(Site):
    """Ours."""

    def list_paths(self) -> list[str]:
        return ["/mail"]

    def search_path(self, word: str) -> str:
        return f"/mail?folder=INBOX&q={word}"

    def log_in(self, page: Page) -> None:
        page.goto(f"{self.url}/log-in")
        page.get_by_label("Address").fill(READER)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in", exact=True).click()
        page.locator(self.row).first.wait_for()

    def reading_paths(self, number: int) -> list[str]:
        connection = self.connect()
        conversations = re.findall(r'href="(/mail/c/[^"?]+)', self.get(connection, "/mail"))
        path = list(dict.fromkeys(conversations))[number]
        frames = re.findall(r'<iframe[^>]* src="([^"]+)"', self.get(connection, path))
        return [path, *frames[-1:]]  # others are loaded when somebody scrolls to them


class Roundcube(Site):
    """Debian's."""

    def list_paths(self) -> list[str]:
        return ["/?_task=mail&_mbox=INBOX", "/?_task=mail&_action=list&_mbox=INBOX&_page=1&_remote=1"]

    def search_path(self, word: str) -> str:
        return f"/?_task=mail&_action=search&_mbox=INBOX&_q={word}&_headers=text&_scope=base&_remote=1"

    def log_in(self, page: Page) -> None:
        page.goto(self.url)
        page.locator("[name=_user]").fill(READER)
        page.locator("[name=_pass]").fill(PASSWORD)
        page.locator("button[type=submit]").click()
        page.locator(self.row).first.wait_for()
        self.headers["X-Roundcube-Request"] = page.evaluate("rcmail.env.request_token")

    def reading_paths(self, number: int) -> list[str]:
        shown = self.get(self.connect(), self.list_paths()[1])
        uids = re.findall(r"add_message_row\((\d+)", json.loads(shown)["exec"])
        return [f"/?_task=mail&_mbox=INBOX&_uid={uids[number]}&_action=show"]


def _timed(work: str, site: Site, rounds: int, ask: Callable[[int], Any], limit_s: float = 60.0) -> None:
    times: list[float] = []
    began, worked_s = time.perf_counter(), site.processor_s()
    while len(times) < rounds and (len(times) < 3 or time.perf_counter() - began < limit_s):
        started = time.perf_counter()
        ask(len(times))
        times.append((time.perf_counter() - started) * 1000)
    worked_ms = (site.processor_s() - worked_s) * 1000 / len(times)
    times.sort()
    record(f"web: {work}", site.name, "processor", [worked_ms], "ms")
    record(f"web: {work}", site.name, "median", [statistics.median(times)], "ms")
    record(f"web: {work}", site.name, "99th percentile", [times[min(len(times) - 1, len(times) * 99 // 100)]], "ms")


def _requests(site: Site, rounds: int) -> None:
    connection = site.connect()

    def ask(paths: list[str]) -> None:
        for path in paths:
            site.get(connection, path)

    ask(site.list_paths())
    _timed("first page, server", site, rounds, lambda _: ask(site.list_paths()))
    for name, word in WORDS.items():
        path = site.search_path(word)
        _timed(f"search, {name}", site, max(5, rounds // 2), lambda _, path=path: ask([path]), 30)  # type: ignore[misc]
    reading = [site.reading_paths(number) for number in range(20)]
    _timed("a conversation opened, server", site, rounds, lambda number: ask(reading[number % len(reading)]))


def _paints(site: Site, browser: Browser, rounds: int) -> None:
    with _window(browser, site) as page:
        sizes: dict[str, int] = {}
        page.on(
            "response",
            lambda answer: (
                sizes.__setitem__(answer.url, len(gzip.compress(answer.body(), 9)))
                if answer.request.resource_type in {"script", "stylesheet"}
                else None
            ),
        )
        site.log_in(page)
        page.wait_for_load_state("load")
        site.headers["Cookie"] = "; ".join(f"{one['name']}={one['value']}" for one in page.context.cookies())
        record("web: scripts and styles", site.name, "gzip", [sum(sizes.values()) / 1000], "KB")
        found: dict[str, list[float]] = {"first contentful paint": [], "full paint": []}
        for _ in range(rounds):
            page.goto(site.url + site.list_paths()[0], wait_until="load")
            page.wait_for_function("window.seen.rows > 0")
            seen = page.evaluate(SEEN_SO_FAR)
            found["first contentful paint"].append(seen["first"])
            found["full paint"].append(max(seen["load"], seen["largest"], seen["rows"]))
        for name, values in found.items():
            values.sort()
            record(f"web: {name}", site.name, "median", [statistics.median(values)], "ms")
            slow = values[min(len(values) - 1, len(values) * 99 // 100)]
            record(f"web: {name}", site.name, "99th percentile", [slow], "ms")
        opened = [site.reading_paths(number)[0] for number in range(min(rounds, 20))]
        _timed(
            "a conversation opened, in the browser",
            site,
            len(opened),
            lambda number: page.goto(site.url + opened[number], wait_until="load"),
        )


@contextmanager
def _window(browser: Browser, site: Site) -> Iterator[Page]:
    context: BrowserContext = browser.new_context(
        ignore_https_errors=True, viewport={"width": 1280, "height": 800}, locale="en-GB"
    )
    context.add_init_script(WATCH.replace("SELECTOR", json.dumps(site.row)))
    page = context.new_page()
    page.set_default_timeout(LIMIT_MS)
    yield page
    context.close()


def _start_mailstead(folder: Path, kept: Path | None, total: int) -> tuple[System, Mailstead]:
    (port,) = free_ports(1)

    async def fill(house: House) -> None:
        from mailstead.model.address import Address

        found = await house.storage.directory.find(Address.parse(READER))
        assert found is not None
        await webmail.fill(house.storage.accounts.of(found.account_id), total)

    system = start_mailstead(
        folder,
        [READER],
        prepare=fill,
        kept=kept / "mailstead" if kept is not None else None,
        MAILSTEAD_SERVER_SERVICES="mx,imap,pop3,web",
        MAILSTEAD_STORE_MASTER_KEY="42" * 32,
        MAILSTEAD_WEB_LISTEN_TLS=f"127.0.0.1:{port}",
    )
    return system, Mailstead("mailstead", f"https://localhost:{port}", ".conversations li", list(system.pids))


def _start_roundcube(folder: Path, kept: Path | None, total: int) -> tuple[System, Roundcube]:
    dovecot = start_postfix_dovecot(folder / "dovecot", "mdbox", [READER])
    mail = folder / "dovecot" / "mail"
    before = kept / "dovecot" if kept is not None else None
    if before is not None and before.exists():
        shutil.copytree(before, mail, dirs_exist_ok=True)
        for each in mail.rglob("*"):
            shutil.chown(each, "mail", "mail")
    else:
        client = ImapClient(dovecot, READER)
        for first in range(0, total, 100):
            _append(client, [webmail.message_of(number, total) for number in range(first, min(first + 100, total))])
        client.close()
        if before is not None:
            shutil.copytree(mail, before)
    url = roundcube.start(folder / "roundcube", dovecot)
    master = int((folder / "dovecot" / "run" / "master.pid").read_text())
    roots = [master, *(each.pid for each in dovecot.processes)]
    return dovecot, Roundcube("roundcube+dovecot", url, "#messagelist tbody tr", roots)


def _append(client: ImapClient, messages: list[Any]) -> None:
    client.count += 1
    tag = b"f%d" % client.count
    pieces = b" ".join(
        b'(%s) "%s" {%d+}\r\n%s'
        % (
            b"\\Seen" if SEEN in each.flags else b"",
            each.internaldate.strftime("%d-%b-%Y %H:%M:%S +0000").encode(),
            len(each.octets),
            each.octets,
        )
        for each in messages
    )
    client.socket.sendall(tag + b" APPEND INBOX " + pieces + b"\r\n")
    client.until_tagged(tag)


def measure(folder: Path, options: argparse.Namespace) -> None:
    """Start both, one after the other, and look."""
    from playwright.sync_api import sync_playwright

    total, rounds = (2000, 5) if options.quick else (webmail.MESSAGES, 40)
    kept = Path(options.store) if options.store else None
    starts: list[Callable[[Path, Path | None, int], tuple[System, Site]]] = [_start_mailstead]
    if not options.without_peers:
        if not roundcube.is_there():
            raise SystemExit("Roundcube is not installed: run `make setup-tools` as root")
        starts.append(_start_roundcube)
    executable = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    for start in starts:
        system, site = start(folder / start.__name__, kept, total)
        try:
            # A Chromium for each: Playwright's loop and the one that fills a store do not share a thread's turn.
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
                _paints(site, browser, rounds)
                browser.close()
            _requests(site, rounds)
        finally:
            system.stop()
    for work in ("first contentful paint", "full paint", "a conversation opened, in the browser"):
        ratio(f"web: {work}", "median", "< 1", more_is_better=False)
    for work in ("first page, server", "a conversation opened, server", *(f"search, {name}" for name in WORDS)):
        for figure in ("processor", "median"):
            ratio(f"web: {work}", figure, "< 1", more_is_better=False)
    print("  targets: first page 50 ms, full paint 500 ms, scripts and styles 150 KB, search 150 ms")
