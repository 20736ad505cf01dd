"""What the pages of a mailbox ask: in this process, on the embedded store, through the use cases; no wire, no HTML.

`--store FOLDER` keeps the filled store there, so that two releases can be measured on copies of one store.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import shutil
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bench.messages import message
from bench.report import record
from mailstead.config.settings import Store
from mailstead.mime.facts import message_facts
from mailstead.model.envelope import Actor
from mailstead.model.flags import ANSWERED, FLAGGED, SEEN
from mailstead.model.ids import AccountId
from mailstead.model.mailbox import DEFAULT_MAILBOXES
from mailstead.model.message import NewMessage
from mailstead.model.people import Listing
from mailstead.model.search import Contains, Everything, HasFlag, Not, SearchKey, TextField
from mailstead.model.secret import Secret
from mailstead.ports.clock import SystemClock
from mailstead.ports.storage import AccountStore
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.storage import EmbeddedStorage
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.message_views import MessageQuery
from mailstead.usecases.messages import Messages
from mailstead.usecases.staging import Staging

MESSAGES: Final = 100_000
ACCOUNT: Final = AccountId("ab" * 8)
BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
RARE, SOMETIMES, COMMON = "zzqxjword", "sometimes", "meeting"
"""In 5, in 1,000 and in nearly all of 100,000 messages."""
SEARCHES: Final[tuple[tuple[str, SearchKey], ...]] = (
    ("all", Everything()),
    ("flagged (1 in 500)", HasFlag(FLAGGED)),
    ("unread (1 in 20)", Not(HasFlag(SEEN))),
    ("rare word", Contains(TextField.TEXT, RARE)),
    ("word in 1 of 100", Contains(TextField.TEXT, SOMETIMES)),
    ("common word", Contains(TextField.TEXT, COMMON)),
    ("from: 1 of 6 people", Contains(TextField.FROM, "alice")),
    ("subject: a common word", Contains(TextField.SUBJECT, "meeting")),
)


def message_of(number: int, total: int) -> NewMessage:
    """Give one of so many. Every third one answers an earlier one, so that conversations have some messages each."""
    octets = message(2048, number).decode()
    chance = random.Random(number)
    if number % 3 == 2:
        octets = f"In-Reply-To: <{number - chance.randint(1, 2)}.thread@sender.test>\r\n{octets}"
    octets = octets.replace("Message-ID: ", f"Message-ID: <{number}.thread@sender.test>\r\nX-Id: ", 1)
    if number % max(1, total // 5) == 7:
        octets += f"{RARE}\r\n"
    if number % 100 == 3:
        octets += f"{SOMETIMES}\r\n"
    flags = set() if number % 20 == 0 else {SEEN}
    if number % 500 == 1:
        flags.add(FLAGGED)
    if number % 7 == 0:
        flags.add(ANSWERED)
    raw = octets.encode()
    return NewMessage(raw, message_facts(raw), BEGAN + timedelta(minutes=4 * number), frozenset(flags))


async def _open(folder: Path, pause_s: float = 3600.0) -> EmbeddedStorage:
    settings = Store(index_pause_s=pause_s, disk_reserve_octets=0, master_key=Secret("42" * 32))
    return await EmbeddedStorage.open(settings, folder, LocalBus(), SystemClock())


async def _fill(folder: Path, total: int) -> None:
    storage = await _open(folder)
    await storage.accounts.create(ACCOUNT, DEFAULT_MAILBOXES)
    await fill(storage.accounts.of(ACCOUNT), total)
    await storage.close()


async def fill(store: AccountStore, total: int) -> None:
    """Fill INBOX with so many, Archive and Sent with some, and index them."""
    began = time.perf_counter()
    for first in range(0, total, 500):
        await store.append("INBOX", [message_of(number, total) for number in range(first, min(first + 500, total))])
        mailbox = "Archive" if first // 500 % 4 == 0 else "Sent"
        if first // 500 % 2 == 0:
            await store.append(mailbox, [message_of(total + first + n, total) for n in range(50)])
    print(f"  filled with {total} in {time.perf_counter() - began:.0f} s")
    began = time.perf_counter()
    while await store.index_some(500):
        pass
    print(f"  indexed in {time.perf_counter() - began:.0f} s", flush=True)


async def _timed(name: str, system: str, rounds: int, ask: Callable[[], Awaitable[Any]]) -> None:
    await ask()
    times: list[float] = []
    busy: list[float] = []
    began = time.perf_counter()
    while len(times) < rounds and (len(times) < 5 or time.perf_counter() - began < 8):
        started, worked = time.perf_counter(), time.process_time()
        await ask()
        times.append((time.perf_counter() - started) * 1000)
        busy.append((time.process_time() - worked) * 1000)
    times.sort()
    record(f"webmail: {name}", system, "median", [statistics.median(times)], "ms")
    record(f"webmail: {name}", system, "processor", [statistics.median(busy)], "ms")
    record(f"webmail: {name}", system, "99th percentile", [times[min(len(times) - 1, len(times) * 99 // 100)]], "ms")


async def _measure(folder: Path, system: str, rounds: int, total: int) -> None:
    storage = await _open(folder)
    actor = Actor(ACCOUNT, None)
    clock = SystemClock()
    mailboxes = Mailboxes(storage, LocalBus(), clock, Staging(1 << 30))
    messages = Messages(mailboxes)
    for name, key in SEARCHES:
        for where, folder_name in (("INBOX", "INBOX"), ("all folders", "")):
            query = MessageQuery(key, folder_name, is_searchable=None if folder_name else True)

            async def page(query: MessageQuery = query, number: int = 1) -> None:
                found = await messages.find(actor, query, Listing(page=number, limit=50))
                assert found.items, query

            await _timed(f"50 messages of {where}: {name}", system, rounds, page)
            if name == "all":
                last = total // 100
                await _timed(f"50 messages of {where}: page {last}", system, rounds, lambda n=last, p=page: p(number=n))  # type: ignore[misc]
    octets = message_of(total, total).octets

    async def post() -> None:
        await messages.append(actor, "INBOX", octets, [])

    await _timed("the same message appended again", system, rounds, post)
    await _conversations(mailboxes, actor, system, rounds)
    await storage.close()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    record("webmail: after all that", system, "memory", [memory], "MB")


async def _conversations(mailboxes: Mailboxes, actor: Actor, system: str, rounds: int) -> None:
    try:
        from mailstead.usecases.conversations import ConversationQuery, Conversations
    except ImportError:  # a release before them
        return
    conversations = Conversations(mailboxes)
    for name, key in SEARCHES:
        for where, folder in (("INBOX", "INBOX"), ("all folders", "")):
            query = ConversationQuery(key, folder)

            async def page(query: ConversationQuery = query, before: str = "") -> Any:
                found = await conversations.page(actor, query, before, 50)
                assert found.conversations, query
                return found

            await _timed(f"50 conversations of {where}: {name}", system, rounds, page)
            if name == "all":
                before = (await page()).next
                for _ in range(200):
                    before = (await page(before=before)).next
                await _timed(
                    f"50 conversations of {where}: page 202",
                    system,
                    rounds,
                    lambda b=before, p=page: p(before=b),  # type: ignore[misc]
                )
    found = await conversations.page(actor, ConversationQuery(folder="INBOX"), "", 50)

    async def show() -> None:
        await conversations.show(actor, found.conversations[25].conversation_id)

    await _timed("one conversation whole", system, rounds, show)


async def _arrivals(folder: Path, system: str, count: int) -> None:
    """Messages that arrive without a pause: what each waits, and how far the text index is behind when they end."""
    for number, (name, pause_s) in enumerate((("index off", 3600.0), ("index on", 0.3))):
        storage = await _open(folder, pause_s)
        account_id = AccountId(f"{number}c" * 8)
        await storage.accounts.create(account_id, DEFAULT_MAILBOXES)
        store, times = storage.accounts.of(account_id), []
        for at in range(count):
            arrived = message_of(at, count)
            started = time.perf_counter()
            await store.append("INBOX", [arrived])
            times.append((time.perf_counter() - started) * 1000)
            await asyncio.sleep(0.005)  # others' turn: a sender, not a loop
        times.sort()
        record(f"webmail: arrival, {name}", system, "median", [statistics.median(times)], "ms")
        record(f"webmail: arrival, {name}", system, "99th percentile", [times[len(times) * 99 // 100]], "ms")
        record(f"webmail: arrival, {name}", system, "not indexed", [await store.index_backlog()], "messages")
        await storage.close()


def measure(folder: Path, options: argparse.Namespace) -> None:
    total = 3000 if options.quick else MESSAGES
    place = Path(options.store) if options.store else folder / "store"
    if not place.exists():
        place.mkdir(parents=True)
        asyncio.run(_fill(place, total))
    copy = folder / "copy"
    shutil.copytree(place, copy)
    asyncio.run(_measure(copy, options.system, 20 if options.quick else 100, total))
    asyncio.run(_arrivals(folder / "arrivals", options.system, 200 if options.quick else 2000))
    print("  target: first page < 50 ms, search < 150 ms of server time")
