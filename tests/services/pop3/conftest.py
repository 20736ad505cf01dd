"""A fresh house with one account and some messages for each test."""

import contextlib
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailstead.config.settings import Pop3, Settings
from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.secret import Secret
from mailstead.services.pop3.session import Pop3Service
from mailstead.usecases.mailboxes import Draft
from mailstead.wiring.house import ADMINISTRATOR, House, open_house

sys.path.insert(0, str(Path(__file__).parents[2] / "dialogues"))  # the player, which all wires share

ALICE = "alice@example.test"
PASSWORD = "pw-never-in-a-log"


@dataclass
class Pop3House:
    house: House
    actor: Actor
    pop3: Pop3 = Pop3()

    @property
    def service(self):
        return Pop3Service(self.house.mailboxes, self.house.accounts, self.pop3, "mx.example")

    async def fill(self, *messages):
        drafts = [Draft(octets, internaldate=datetime(2026, 1, 1, tzinfo=UTC)) for octets in messages]
        return await self.house.mailboxes.append(self.actor, "INBOX", drafts)

    async def count(self):
        return len((await self.house.mailboxes.of(self.actor).snapshot("INBOX")).uids)


@contextlib.asynccontextmanager
async def open_pop3_house(folder):
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings()
    async with open_house(replace(settings, server=replace(settings.server, data_dir=folder))) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        made = await house.accounts.create(ADMINISTRATOR, Address.parse(ALICE), Secret(PASSWORD))
        yield Pop3House(house, Actor(made.account_id, made.address))
        assert [finding async for finding in house.storage.check()] == []


@pytest.fixture
def open_pop3():
    return open_pop3_house


@pytest.fixture
async def pop3(tmp_path):
    async with open_pop3_house(tmp_path / "data") as opened:
        yield opened
