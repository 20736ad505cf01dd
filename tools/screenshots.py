"""Make the pictures of docs/pictures: key pages of a house with people and mail that nobody has, in Debian's Chromium.

`make screenshots`; not part of CI, as fonts and browsers differ. Each picture is a WebP below `OCTETS_MAX`.
"""

from __future__ import annotations

import asyncio
import base64
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from mailstead.config.settings import Backup  # noqa: E402 - the tests' browser is found from here on
from mailstead.mime.facts import message_facts  # noqa: E402
from mailstead.model.address import Address  # noqa: E402
from mailstead.model.envelope import Actor, Recipient  # noqa: E402
from mailstead.model.flags import FLAGGED, SEEN  # noqa: E402
from mailstead.model.message import NewMessage  # noqa: E402
from mailstead.model.people import Group  # noqa: E402
from mailstead.model.queue import (  # noqa: E402
    Destination,
    DestinationKind,
    ItemKind,
    NewItem,
    NewRecipient,
    Outcome,
    RecipientState,
    RemoteReply,
)
from mailstead.model.reports import Report, ReportRow  # noqa: E402
from mailstead.model.secret import Secret  # noqa: E402
from mailstead.model.statistics import Amounts  # noqa: E402
from mailstead.model.trace import TraceEvent  # noqa: E402
from mailstead.pim.event_form import EventForm  # noqa: E402
from mailstead.usecases.calendars import CalendarWish  # noqa: E402
from mailstead.usecases.collections import DEFAULT  # noqa: E402
from mailstead.wiring.diary import make_diary  # noqa: E402
from mailstead.wiring.house import ADMINISTRATOR  # noqa: E402
from mailstead.wiring.site import first_run_url  # noqa: E402
from system.browser import ADMIN, ALICE, open_browser, open_site  # noqa: E402

OUT: Final = ROOT / "docs" / "pictures"
OCTETS_MAX: Final = 120_000
QUALITIES: Final = (90, 75, 60, 45)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ORDER: Final = "7b1e94c2d05f3a68"
LONG_LETTER: Final = """Hello everybody,

the garden party is on Saturday, from four until it gets dark. We have
two tables and a roof in case of rain. Could each of you bring

- something to sit on,
- a salad or a cake,
- a lamp, if you have one?

The key to the gate hangs in the kitchen, as always.

See you there
Dora
"""
MAIL: Final = (
    # hours ago, who, subject, text, is read, is flagged, answers
    (0.4, "Dora Gardenia", "Garden party on Saturday", LONG_LETTER, False, True, ""),
    (0.2, "Emil Lamplight", "Re: Garden party on Saturday", "I bring the big lamp and a plum cake.", False, False, "0"),
    (
        2,
        "Library of Example",
        "Two books are due on Friday",
        "You may keep them for another three weeks.",
        True,
        False,
        "",
    ),
    (
        5,
        "Fay Meadow",
        "Minutes of the parents' evening",
        "Here is what we said, and who does what by when.",
        True,
        False,
        "",
    ),
    (7, "Hillside Bakery", "Your order is ready", "It waits for you until six. Bring a bag!", True, False, ""),
    (9, "Emil Lamplight", "Bicycle shed", "The lock is mended. The new code hangs in the kitchen.", False, False, ""),
    (26, "Choir Office", "Rehearsal moved to Thursday", "Same hour, but in the small hall upstairs.", True, False, ""),
    (28, "Noor Lakeside", "Photographs from the lake", "I have put the best ones into one file.", True, True, ""),
    (31, "Train Tickets", "Your journey on 14 December", "Coach 7, seats 41 and 42, by the window.", True, False, ""),
    (49, "Fay Meadow", "School run next week", "Could you take Monday and Tuesday?", True, False, ""),
    (52, "Water Works", "Your meter reading", "Please tell us the number by the end of the month.", True, False, ""),
    (
        75,
        "Dora Gardenia",
        "Recipe for the soup",
        "Roast the pumpkin first, that is the whole secret.",
        True,
        False,
        "",
    ),
    (98, "Allotment Society", "Frost is coming", "Water is turned off on the first of the month.", True, False, ""),
)
EVENTS: Final = (
    # days since Monday, hour, hours, what, where, which calendar
    (0, 8, 1, "School run", "", "family"),
    (0, 13, 2, "Plans for spring", "Room 4", DEFAULT),
    (1, 8, 1, "School run", "", "family"),
    (1, 18, 2, "Choir", "Small hall", DEFAULT),
    (2, 12, 2, "Lunch with Noor", "By the river", DEFAULT),
    (3, 9, 3, "Workshop", "Library", DEFAULT),
    (3, 16, 1, "Dentist", "", "family"),
    (4, 10, 1, "Call the bank", "", DEFAULT),
    (5, 16, 5, "Garden party", "At Dora's", "family"),
    (6, 11, 2, "Swimming", "", "family"),
)


async def fill(house: Any) -> None:
    """Put people, mail, events, and the traces of some days into a house."""
    now = house.clock.now()
    account = await house.storage.directory.find(ALICE)
    alice = Actor(account.account_id, ALICE)
    store = house.storage.accounts.of(account.account_id)
    messages = [_message(number, now, *each) for number, each in enumerate(MAIL)]
    await store.append("INBOX", sorted(messages, key=lambda each: each.internaldate))
    for name in ("Family", "Choir", "House"):
        await store.create_mailbox(name)
    diary = make_diary(house)
    await diary.calendars.create(alice, CalendarWish("Family", color="#b3261e"), "family")
    monday = datetime(now.year, now.month, now.day, tzinfo=UTC).replace(tzinfo=None) - now.weekday() * DAY
    for day, hour, length, title, place, calendar in EVENTS:
        start = monday + day * DAY + hour * HOUR
        form = EventForm(start, start + length * HOUR, zone="UTC", summary=title, location=place)
        await diary.editing.create(alice, calendar, form)
    await _administration(house, now)


def _message(number: int, now: datetime, hours: float, who: str, subject: str, text: str, *more: Any) -> NewMessage:
    is_read, is_flagged, answers = more
    address = f"{who.split(maxsplit=1)[0].lower()}@{'family' if number in {0, 1, 3, 5, 7} else 'elsewhere'}.test"
    at = now - timedelta(hours=hours)
    fields = [f"From: {who} <{address}>", f"To: Alice Applegarth <{ALICE}>", f"Subject: {subject}", "MIME-Version: 1.0"]
    fields += [f"Date: {at:%a, %d %b %Y %H:%M:%S} +0000", f"Message-ID: <{number}@family.test>"]
    fields += [f"In-Reply-To: <{answers}@family.test>"] if answers else []
    octets = "\r\n".join([*fields, "Content-Type: text/plain; charset=utf-8", "", *text.split("\n"), ""]).encode()
    flags = frozenset([SEEN] * is_read + [FLAGGED] * is_flagged)
    return NewMessage(octets, message_facts(octets), at, flags)


async def _administration(house: Any, now: datetime) -> None:
    for queue_id, sender, subject, *domains in (
        (ORDER, "alice", "garden", "slow.test"),
        ("7b1e94c2d05f3a69", "choir", "rehearsal", "family.test", "busy.test", "far.test"),
        ("7b1e94c2d05f3a6a", "shop", "receipt", "far.test"),
    ):
        recipients = tuple(
            NewRecipient(Recipient(Address(name, domain)), Destination(DestinationKind.DOMAIN, domain))
            for name, domain in zip(("noor", "emil", "fay"), domains, strict=False)
        )
        letter = f"From: {sender}@example.test\r\nSubject: {subject}\r\n\r\nHello\r\n".encode()
        item = NewItem(
            queue_id, ItemKind.SUBMISSION, Address(sender, "example.test"), recipients, letter, now - HOUR,
            now + 5 * DAY, domain="example.test", message_id=f"<{subject}@example.test>",
        )  # fmt: skip
        await house.storage.queue.put([item])
    for delivery in await house.storage.queue.lease(now, now + HOUR, 9, 9):
        reply = RemoteReply(
            451, "4.7.1", "Greylisted, please come again in ten minutes", "mx.slow.test", "192.0.2.7", "verified"
        )
        outcomes = [
            Outcome(each.recipient_id, RecipientState.WAITING, reply, now + timedelta(minutes=12))
            for each in delivery.item.recipients
        ]
        await house.storage.queue.settle(delivery, outcomes)
    for minutes, step, decision, reason, reply_text in (
        (30, "received", "", "2,104 octets by ESMTPSA from alice@example.test", ""),
        (30, "dkim", "pass", "example.test, key s1", ""),
        (30, "queued", "", "to slow.test", ""),
        (
            29,
            "attempt",
            "deferred",
            "to slow.test (verified)",
            "451 4.7.1 Greylisted, please come again in ten minutes",
        ),
        (12, "attempt", "delivered", "to slow.test (verified)", "250 2.0.0 Ok: queued as 4F2c"),
    ):
        recipient = "noor@slow.test" if step in {"queued", "attempt"} else ""
        house.storage.trace.record(
            TraceEvent(
                now - timedelta(minutes=minutes), ORDER, "out", step, decision, reason, str(ALICE), recipient,
                "<garden@example.test>", "192.0.2.7", reply_text, "example.test",
            )
        )  # fmt: skip
    for days, receiver, good, bad in (
        (1, "Bigmail", 412, 3),
        (1, "Postbox", 96, 0),
        (2, "Bigmail", 388, 41),
        (3, "Letters", 57, 2),
    ):
        rows = [ReportRow(good, "192.0.2.1", "none", "spf=pass dkim=pass header_from=example.test")]
        if bad:
            rows.append(ReportRow(bad, "198.51.100.9", "reject", "spf=fail dkim=fail header_from=example.test"))
        report = Report(
            "dmarc",
            "example.test",
            receiver,
            f"{receiver}-{days}",
            now - (days + 1) * DAY,
            now - days * DAY,
            now,
            tuple(rows),
        )
        await house.storage.reports.add(report)
    rows_of_tls = (ReportRow(612, "mail.example.test", "success", "sts"), ReportRow(2, "", "certificate-expired"))
    await house.storage.reports.add(
        Report("tls", "example.test", "Bigmail", "tls-1", now - 2 * DAY, now - DAY, now, rows_of_tls)
    )
    for hours in range(7 * 24):
        at = now - hours * HOUR
        is_day = 7 <= at.hour <= 21
        added = {
            "mail_in": (9 + hours * 7 % 11) * (2 if is_day else 1),
            "mail_out": hours * 5 % 9 if is_day else hours % 2,
        }
        added |= {"refused unknown": hours * 3 % 4, "junk": hours * 2 % 3}
        amounts = Amounts(
            added, highest={"queue_length": hours % 5}, latest={"storage_octets": 41 * 10**8 - hours * 10**6}
        )
        await house.storage.statistics.record(at, amounts)
    for local_part, given_name in (("dora", "Dora"), ("emil", "Emil")):
        user = await house.users.create(
            ADMINISTRATOR, Address(local_part, "family.test"), Secret("words of their own"), given_name=given_name
        )
        await house.members.add(ADMINISTRATOR, "example.test", user, Group.USER)


@dataclass(frozen=True)
class Picture:
    """One of them."""

    name: str
    path: str
    size: str = "desk"
    theme: str = "light"
    address: Address = ADMIN
    before: Callable[[Any], Awaitable[None]] | None = None
    """What is done on the page first."""


async def _open_letter(page: Any) -> None:
    await page.locator(".conversations a", has_text="Garden party").first.click()
    await page.frame_locator("iframe").last.get_by_text("plum cake").wait_for()
    await page.mouse.move(0, 0)


async def _write(page: Any) -> None:
    await page.get_by_label("To", exact=True).fill("Dora Gardenia <dora@family.test>")
    await page.get_by_label("Subject").fill("Re: Garden party on Saturday")
    await page.locator("#text").fill(
        "Dear Dora,\n\nwe come, all four of us. I bring the long bench and a bean salad;\n"
        "Emil has the lamp, so there will be light.\n\nUntil Saturday\nAlice"
    )
    await page.locator("h1").click()


PICTURES: Final = (
    Picture("dashboard", "/admin", theme="dark"),
    Picture("domain", "/admin/domains/example.test"),
    Picture("queue", "/admin/queue", theme="dark"),
    Picture("trace", f"/admin/trace?q={ORDER}", size="phone"),
    Picture("reports", "/admin/reports", theme="dark"),
    Picture("inbox", "/mail", address=ALICE),
    Picture("conversation", "/mail", size="phone", address=ALICE, before=_open_letter),
    Picture("compose", "/mail/write", theme="dark", address=ALICE, before=_write),
    Picture("security", "/me/security", size="phone", address=ALICE),
    Picture("calendar", "/calendar?view=week", address=ALICE),
)


async def _take(page: Any, name: str) -> None:
    session = await page.context.new_cdp_session(page)
    for quality in QUALITIES:
        asked = {"format": "webp", "quality": quality}
        octets = base64.b64decode((await session.send("Page.captureScreenshot", asked))["data"])
        if len(octets) < OCTETS_MAX:
            break
    else:
        raise SystemExit(f"{name}: {len(octets)} octets are too many")
    (OUT / f"{name}.webp").write_bytes(octets)
    print(f"{name}.webp: {len(octets)} octets, quality {quality}")


async def make(names: set[str]) -> None:
    """Make those that are named; all, if none is."""
    OUT.mkdir(exist_ok=True)
    wanted = [each for each in PICTURES if not names or each.name in names]
    with tempfile.TemporaryDirectory() as place:
        async with open_browser() as browser:
            if not names or "first-run" in names:
                async with open_site(Path(place, "new"), browser, is_new=True) as site:
                    window = await site.window(size="phone")
                    await window.page.goto(await first_run_url(site.house))
                    await _take(window.page, "first-run")
            async with open_site(
                Path(place, "filled"), browser, backup=Backup(target=str(Path(place, "backups")))
            ) as site:
                await fill(site.house)
                for picture in wanted:
                    window = await site.window(size=picture.size, theme=picture.theme)
                    await window.log_in(picture.address)
                    await window.go(picture.path)
                    if picture.before is not None:
                        await picture.before(window.page)
                    await window.page.evaluate("document.fonts.ready.then(() => scrollTo(0, 0))")
                    assert not re.search("wrong|not found", await window.page.title(), re.IGNORECASE), picture.name
                    await _take(window.page, picture.name)


if __name__ == "__main__":
    asyncio.run(make(set(sys.argv[1:])))
