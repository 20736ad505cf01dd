"""One account on files, with access to what lies below."""

import asyncio
from datetime import UTC, datetime

import pytest

from mailstead.config.settings import Store
from mailstead.mime.facts import message_facts
from mailstead.model.ids import AccountId
from mailstead.model.message import NewMessage
from mailstead.ports.clock import SystemClock
from mailstead.storage.embedded import account_file
from mailstead.storage.embedded.account_files import AccountFiles
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.keys import FileAccountKeys


def new_message(body: str = "Hello\r\n", subject: str = "a subject") -> NewMessage:
    octets = f"From: alice@example.test\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x>\r\n\r\n{body}".encode()
    return NewMessage(octets, message_facts(octets), datetime(2026, 11, 3, tzinfo=UTC))


@pytest.fixture
def make():
    return new_message


@pytest.fixture
def account_id():
    return AccountId("00112233aabbccdd")


class Files:
    """The account files of one folder, opened as often and with whatever settings a test wants."""

    def __init__(self, folder):
        self.folder = folder
        self.keys = FileAccountKeys(folder, b"m" * 32)
        self.opened = []
        self.bus = LocalBus()

    def open(self, *, clock=None, vfs=None, **settings):
        given = {"index_pause_s": 3600.0, "disk_reserve_octets": 0} | settings
        files = AccountFiles(Store(**given), self.folder, self.keys, self.bus, clock or SystemClock(), vfs=vfs)
        self.opened.append(files)
        return files

    def path(self, account_id):
        return account_file.account_path(self.folder, account_id)

    def connect(self, account_id):
        return account_file.connect(self.path(account_id), self.keys.account_key(account_id))

    async def close(self):
        for files in self.opened:
            await files.close()
        self.opened.clear()


@pytest.fixture
async def files(tmp_path):
    files = Files(tmp_path)
    yield files
    async with asyncio.timeout(20):
        await files.close()


@pytest.fixture
async def account(files, account_id):
    opened = files.open()
    await opened.accounts.create(account_id, [("INBOX", None), ("Trash", "\\Trash")])
    return opened.accounts.of(account_id)
