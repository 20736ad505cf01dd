"""Every template in a language that is written from right to left, on a telephone: nothing stands beside the window."""

import re
from urllib.parse import urlsplit

from mailstead.services.web.site import assets
from services.web.test_languages import rendered
from system.browser import IN_ONE_BROWSER, SIZES

pytestmark = IN_ONE_BROWSER

HERE = "https://pages.test"
LETTERS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "אבגדהוזחטיכלמנסעפצקרשתאבגד")
IS_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
BESIDE = """() => [...document.body.querySelectorAll('*')].filter(each => {
  const box = each.getBoundingClientRect();
  return box.width && (box.left < -1 || box.right > innerWidth + 1) && !each.closest('.scroll, .skip, .unseen, pre');
}).slice(0, 5).map(each => each.outerHTML.slice(0, 120))"""


def hebrew(text, *_more):
    """Say a text in letters that are written from right to left; places of values stay."""
    parts = re.split(r"(%\(\w+\)s|\{\w+\})", text)
    return "".join(part if at % 2 else part.lower().translate(LETTERS) for at, part in enumerate(parts))


def pages():
    """All templates that are whole pages, all branches of them at once."""
    found = rendered(hebrew, lambda _singular, plural, *_more: hebrew(plural))
    return {
        name: re.sub(r'<html lang="[^"]*" dir="[^"]*"', '<html lang="he" dir="rtl"', text)
        for name, text in found.items()
        if "<html" in text
    }


async def test_no_template_is_wider_than_a_telephone_from_right_to_left(browser):
    texts = pages()
    assert len(texts) > 40
    context = await browser.new_context(viewport=SIZES["phone"], reduced_motion="reduce", java_script_enabled=True)
    try:
        page = await context.new_page()

        async def answer(route):
            path = urlsplit(route.request.url).path
            if (text := texts.get(path.removeprefix("/page/"))) is not None:
                await route.fulfill(body=text, content_type="text/html; charset=utf-8")
                return
            found = assets.asset(*path.split("/")[2:4]) if path.startswith(assets.PATH) else None
            if found is None or found[1].startswith("text/javascript"):  # scripts only add
                await route.fulfill(status=404)
                return
            await route.fulfill(body=found[0], content_type=found[1])

        await page.route("**/*", answer)
        wide, starts = {}, set()
        for name in texts:
            await page.goto(f"{HERE}/page/{name}")
            starts.add(await page.evaluate("getComputedStyle(document.body).direction"))
            if await page.evaluate(IS_WIDE):
                wide[name] = await page.evaluate(BESIDE)
        await page.evaluate("document.querySelector('main').style.width = '500px'")
        assert await page.evaluate(IS_WIDE)  # what is too wide is seen
        assert starts == {"rtl"}
        assert wide == {}
    finally:
        await context.close()
