"""Messages that were made safe, in Debian's Chromium with scripts on and no policy: the first lock has to hold alone."""

from html import escape

import pytest
import pytest_asyncio

from mailstead.mime.showing.document import SANDBOX, document, frame_policy
from mailstead.mime.showing.safe_html import safe_html
from mime.showing import vectors
from system.browser import IN_ONE_BROWSER

pytestmark = [*IN_ONE_BROWSER, pytest.mark.timeout(600)]

ORIGIN = "http://frame.test"
"""Answered by the test itself: no packet leaves."""
URL = "http://t.example/px"
BATCH = 20
NOTED = "window.ran = 0; for (const word of ['alert', 'msgbox', 'confirm', 'prompt']) window[word] = () => { window.ran += 1 }"


class Frame:
    """A tab that shows what it is given, and knows what was asked for."""

    def __init__(self, page):
        self.page = page
        self.asked = []
        self.answer = ""
        self.policy = ""

    async def route(self, route):
        url = route.request.url
        if url == f"{ORIGIN}/":
            headers = {"Content-Type": "text/html; charset=utf-8"} | (
                {"Content-Security-Policy": self.policy} if self.policy else {}
            )
            await route.fulfill(status=200, headers=headers, body=self.answer)
            return
        self.asked.append(url)
        await route.fulfill(status=204)

    async def show(self, html, *, has_scripts=True):
        """Show a document; give what was asked for, and how often something ran."""
        self.asked, self.answer = [], html
        await self.page.goto(f"{ORIGIN}/", wait_until="load")
        if not has_scripts:  # nothing of ours would run there either
            return self.asked, 0
        # Pointers and keys set off what waits for them; a turn of rendering sets off what has its time.
        await self.page.mouse.move(30, 30)
        await self.page.mouse.move(60, 12)
        await self.page.keyboard.press("Tab")
        ran = await self.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => setTimeout(() => done(window.ran), 0)))"
        )
        return self.asked, ran

    async def failed(self, messages):
        """Make messages safe and show them, several in a page; give those that ran or loaded something."""
        if not messages:
            return []
        safe = [safe_html(each) for each in messages]
        asked, ran = await self.show(
            document("".join(each.html for each in safe), "\n".join(each.css for each in safe))
        )
        if not ran and not asked:
            return []
        if len(messages) == 1:
            return [(messages[0], asked, ran)]
        half = len(messages) // 2
        return await self.failed(messages[:half]) + await self.failed(messages[half:])

    async def all_failed(self, messages):
        """The same in batches."""
        found = []
        for start in range(0, len(messages), BATCH):
            found += await self.failed(messages[start : start + BATCH])
        return found


@pytest_asyncio.fixture(loop_scope="session")
async def frame(browser):
    context = await browser.new_context()
    page = await context.new_page()
    await page.add_init_script(NOTED)
    frame = Frame(page)
    await page.route("**/*", frame.route)
    yield frame
    await context.close()


async def test_the_browser_runs_and_loads_what_is_not_made_safe(frame):
    """Without this the other tests could not fail."""
    asked, ran = await frame.show(
        f"<img src=x onerror=alert(1)><script>alert(1)</script><img src='{URL}'><p onmousemove=alert(1) style='height:99px'>x"
    )
    assert ran >= 2
    assert URL in asked
    for html in vectors.REMOTE[:2]:
        assert (await frame.show(html.format(u=URL, r=URL[5:])))[0]


async def test_attack_086_nothing_runs_in_a_browser(frame):
    assert await frame.all_failed(vectors.PLAIN + vectors.MUTATING) == []


async def test_attack_086_styles_run_and_load_nothing_in_a_browser(frame):
    ways = [f'<p style="{escape(each)}">x</p>' for each in vectors.DECLARATIONS]
    ways += [f"<style>{each}</style><p class=x>x <a href='https://x.example/'>y</a>" for each in vectors.SHEETS]
    assert await frame.all_failed(ways) == []


async def test_attack_087_nothing_is_loaded_in_a_browser(frame):
    assert await frame.all_failed([html.format(u=URL, r=URL[5:]) for html in vectors.REMOTE]) == []


async def test_attack_087_the_frames_policy_holds_alone(frame):
    """The third lock without the others: messages as they are, under the policy of the frame."""
    frame.policy = frame_policy()
    failed = []
    for html in [each.format(u=URL, r=URL[5:]) for each in vectors.REMOTE if "<meta" not in each]:
        asked, _ = await frame.show(f"<!DOCTYPE html>{html}", has_scripts=False)
        if asked:
            failed.append((html, asked))
    assert failed == []


async def test_attack_087_the_frame_loads_pictures_of_the_house_without_cookies_and_nothing_else(frame):
    """With the policy for remote content, in the sandbox of a page: what is asked for, and that no log-in goes with it."""
    await frame.page.context.add_cookies([{"name": "session", "value": "x", "url": ORIGIN, "sameSite": "Lax"}])
    result = safe_html(
        f"<style>p{{color:red}}</style><p>x<img src='{URL}'><script>parent.ran = 1</script>",
        remote=lambda _: "/remote-image/token",
    )
    frame.policy = frame_policy(has_remote=True)
    message = document(result.html + f"<img src='{URL}'><script>window.ran = 9</script>", result.css)
    pages = {f"{ORIGIN}/": f'<iframe sandbox="{SANDBOX}" src="/frame"></iframe>', f"{ORIGIN}/frame": message}
    sent = []

    async def route(route):
        url = route.request.url
        sent.append((url, await route.request.all_headers()))
        policy = {"Content-Security-Policy": frame.policy} if url.endswith("/frame") else {}
        await route.fulfill(status=200, headers={"Content-Type": "text/html"} | policy, body=pages.get(url, ""))

    await frame.page.route("**/*", route)
    await frame.page.goto(f"{ORIGIN}/", wait_until="networkidle")
    assert [url for url, _ in sent] == [f"{ORIGIN}/", f"{ORIGIN}/frame", f"{ORIGIN}/remote-image/token"]
    assert await frame.page.evaluate("window.ran") == 0
    assert "cookie" in sent[0][1]
    assert "cookie" not in sent[2][1]
    [inner] = frame.page.frames[1:]
    assert await inner.evaluate("getComputedStyle(document.querySelector('p')).color") == "rgb(255, 0, 0)"
