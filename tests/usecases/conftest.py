"""A fresh embedded store with cheap hashes, and a clock that the test moves."""

from datetime import UTC, datetime, timedelta

import pytest

from mailstead.config.settings import Store
from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Peer
from mailstead.model.secret import Secret
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.storage import EmbeddedStorage
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.addresses import Addresses
from mailstead.usecases.aliases import Aliases
from mailstead.usecases.audit import Audit
from mailstead.usecases.collections import Collections
from mailstead.usecases.domains import Domains
from mailstead.usecases.keys import Keys
from mailstead.usecases.passwords import HashCost, Passwords
from mailstead.usecases.people import Users

ROOT_PASSWORD = Secret("pw-never-in-a-log-root")


class HandClock:
    def __init__(self):
        self.passed_s = 1000.0

    def now(self):
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.passed_s)

    def monotonic_s(self):
        return self.passed_s


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
async def bus():
    return LocalBus()


@pytest.fixture
async def storage(tmp_path, bus, clock):
    storage = await EmbeddedStorage.open(Store(master_key=Secret("00" * 32)), tmp_path / "data", bus, clock)
    yield storage
    findings = [finding async for finding in storage.check()]
    await storage.close()
    assert findings == []


@pytest.fixture
def admin():
    return Actor(None, None, is_admin=True)


@pytest.fixture
def peer():
    return Peer("192.0.2.1", 4711, tls_version="TLSv1.3")


@pytest.fixture
async def domains(storage, admin):
    domains = Domains(storage)
    await domains.add(admin, "example.test")
    return domains


@pytest.fixture
def slept():
    """How long slowed log-ins were made to wait."""
    return []


@pytest.fixture
async def accounts(storage, bus, clock, domains, slept):
    async def sleep(seconds):
        slept.append(seconds)

    accounts = Accounts(
        storage,
        bus,
        clock,
        passwords=Passwords(clock, HashCost(1, 8)),
        decoy_key=b"decoy",
        scram_iteration_count=4096,
        sleep=sleep,
    )
    yield accounts
    await accounts.close()


@pytest.fixture
async def addresses(storage, bus, clock, domains):
    addresses = Addresses(storage, bus, clock)
    yield addresses
    addresses.close()


@pytest.fixture
async def aliases(storage, domains):
    return Aliases(storage)


@pytest.fixture
async def keys(storage, bus, clock):
    keys = Keys(storage, bus, clock)
    yield keys
    keys.close()


@pytest.fixture
async def alice(accounts, admin):
    return await accounts.create(admin, Address.parse("alice@example.test"), Secret("pw-never-in-a-log-alice"))


@pytest.fixture
async def bob(accounts, admin):
    return await accounts.create(admin, Address.parse("bob@example.test"), Secret("pw-never-in-a-log-bob"))


@pytest.fixture
async def collections(storage):
    return Collections(storage)


@pytest.fixture
def actor_of():
    """The actor that logs in as an account."""
    return lambda account: Actor(account.account_id, account.address)


@pytest.fixture
async def audit(storage, clock):
    audit = Audit(storage, clock)
    yield audit
    await audit.close()


@pytest.fixture
async def users(storage, accounts, clock, audit):
    users = Users(storage, accounts, Passwords(clock, HashCost(1, 8)), clock, audit)
    yield users
    await users.close()


@pytest.fixture
async def root(users, admin):
    """A user who administers the server."""
    return await users.create(admin, Address.parse("root@elsewhere.test"), ROOT_PASSWORD, is_admin=True)
