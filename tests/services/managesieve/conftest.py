"""A fresh store with one account for each test."""

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailstead.config.settings import Sieve, Store
from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.secret import Secret
from mailstead.ports.clock import SystemClock
from mailstead.services.managesieve.session import ManageSieveService
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.storage import EmbeddedStorage
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.domains import Domains
from mailstead.usecases.filters import Filters, FilterTerms
from mailstead.usecases.passwords import HashCost, Passwords

sys.path.insert(0, str(Path(__file__).parents[2] / "dialogues"))  # the player, which all wires share

ADMINISTRATOR = Actor(None, None, is_admin=True)
ALICE = "alice@example.test"
PASSWORD = "pw-never-in-a-log"


@dataclass
class SieveHouse:
    filters: Filters
    accounts: Accounts
    actor: Actor
    settings: Sieve = Sieve()

    @property
    def service(self):
        return ManageSieveService(self.filters, self.accounts, self.settings, "mx.example")

    async def scripts(self):
        return [(script.name, script.is_active) for script in await self.filters.scripts.list(self.actor)]

    async def set_password(self, text):
        await self.accounts.set_password(ADMINISTRATOR, self.actor.address, Secret(text))


@contextlib.asynccontextmanager
async def open_sieve_house(folder):
    bus, clock = LocalBus(), SystemClock()
    storage = await EmbeddedStorage.open(Store(master_key=Secret("00" * 32)), folder, bus, clock)
    accounts = Accounts(
        storage, bus, clock, passwords=Passwords(clock, HashCost(1, 8)), decoy_key=b"decoy", scram_iteration_count=4096
    )
    filters = Filters(storage, bus, clock, FilterTerms())
    try:
        await Domains(storage).add(ADMINISTRATOR, "example.test")
        made = await accounts.create(ADMINISTRATOR, Address.parse(ALICE), Secret(PASSWORD))
        yield SieveHouse(filters, accounts, Actor(made.account_id, made.address))
        assert [finding async for finding in storage.check()] == []
    finally:
        filters.close()
        await accounts.close()
        await storage.close()


@pytest.fixture
def open_sieve():
    return open_sieve_house


@pytest.fixture
async def sieve(tmp_path):
    async with open_sieve_house(tmp_path / "data") as opened:
        yield opened
