"""Stores for the contract suite: the same tests for every adapter, chosen by MAILSTEAD_TEST_STORAGE."""

import asyncio
import importlib.util
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailstead.config.settings import Store
from mailstead.mime.facts import message_facts
from mailstead.model.ids import AccountId
from mailstead.model.mailbox import DEFAULT_MAILBOXES
from mailstead.model.message import NewMessage
from mailstead.model.secret import Secret
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.storage import AccountStore, Storage
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.storage import EmbeddedStorage

ADAPTERS = os.environ.get("MAILSTEAD_TEST_STORAGE", "embedded").split(",")
ACCOUNT = AccountId("0123456789abcdef")


class SetClock:
    """A clock that tests move by hand; time limits run by the machine's."""

    def __init__(self) -> None:
        self.present = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.present

    def monotonic_s(self) -> float:
        return time.monotonic()

    def move(self, seconds: float) -> None:
        self.present += timedelta(seconds=seconds)


@dataclass
class House:
    """A folder in which stores are opened, as often as a test wants: each is like another process."""

    adapter: str
    folder: Path
    clock: SetClock
    bus: ChangeBus
    settings: Store = field(
        default_factory=lambda: Store(index_pause_s=3600.0, disk_reserve_octets=0, master_key=Secret("42" * 32))
    )
    opened: list[Storage] = field(default_factory=list)

    async def open(self, *, vfs: str | None = None, folder: Path | None = None, **settings: object) -> Storage:
        assert self.adapter == "embedded", f"no adapter {self.adapter} yet"
        storage = await EmbeddedStorage.open(
            replace(self.settings, **settings), folder or self.folder, self.bus, self.clock, vfs=vfs
        )
        self.opened.append(storage)
        return storage

    async def close(self) -> None:
        for storage in self.opened:
            await storage.close()
        self.opened.clear()


@pytest.fixture(params=ADAPTERS)
async def house(request, tmp_path) -> AsyncIterator[House]:
    house = House(request.param, tmp_path, SetClock(), LocalBus())
    yield house
    await house.close()


@pytest.fixture
async def storage(house) -> AsyncIterator[Storage]:
    """An open store; whatever a test does, it is consistent afterwards."""
    storage = await house.open()
    yield storage
    if storage in house.opened:
        assert [finding async for finding in storage.check()] == []


@pytest.fixture
async def account(storage) -> AccountStore:
    await storage.accounts.create(ACCOUNT, DEFAULT_MAILBOXES)
    return storage.accounts.of(ACCOUNT)


def octets_of(number: int, body: str = "Hello\r\n", header: str = "") -> bytes:
    return (
        f"From: Alice <alice@example.test>\r\nTo: bob@example.test\r\nSubject: message {number}\r\n"
        f"Date: Tue, 3 Nov 2026 10:00:00 +0100\r\nMessage-ID: <{number}@example.test>\r\n{header}\r\n{body}"
    ).encode()


def new_message(
    number: int = 1, body: str = "Hello\r\n", header: str = "", flags: tuple[str, ...] = (), at: datetime | None = None
) -> NewMessage:
    octets = octets_of(number, body, header)
    internaldate = at or datetime(2026, 11, 3, 10, 0, tzinfo=UTC)
    return NewMessage(octets, message_facts(octets), internaldate, frozenset(flags))


@pytest.fixture
def make() -> Callable[..., NewMessage]:
    return new_message


@pytest.fixture
def fill(account) -> Callable[..., Awaitable[object]]:
    """Append so many messages to a mailbox; gives the mailbox."""

    async def fill(count: int, name: str = "INBOX", flags: tuple[str, ...] = ()):
        await account.append(name, [new_message(number, flags=flags) for number in range(1, count + 1)])
        return (await account.snapshot(name)).mailbox

    return fill


@pytest.fixture
def wake(house):
    """An event that tells when a watcher of the account was woken."""
    event = asyncio.Event()
    with house.bus.watch(ACCOUNT, event.set):
        yield event


@pytest.fixture(scope="session")
def lossy_vfs():
    """The module `lossy_vfs` beside this file."""
    spec = importlib.util.spec_from_file_location("lossy_vfs", Path(__file__).with_name("lossy_vfs.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
