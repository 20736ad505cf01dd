"""`check` looks at the queue as well."""

from datetime import UTC, datetime, timedelta

import apsw
import pytest

from mailstead.config.settings import Store
from mailstead.model.address import Address
from mailstead.model.envelope import Recipient
from mailstead.model.queue import Destination, DestinationKind, ItemKind, NewItem, NewRecipient
from mailstead.model.secret import Secret
from mailstead.ports.clock import SystemClock
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.keys import derived_key
from mailstead.storage.embedded.storage import EmbeddedStorage

NOW = datetime(2026, 11, 27, tzinfo=UTC)
MASTER = "00" * 32


def item():
    to = NewRecipient(Recipient(Address.parse("x@y.example")), Destination(DestinationKind.DOMAIN, "y.example"))
    return NewItem("q1", ItemKind.SUBMISSION, None, (to,), b"octets", NOW, NOW + timedelta(days=5))


async def findings(folder):
    storage = await EmbeddedStorage.open(Store(master_key=Secret(MASTER)), folder, LocalBus(), SystemClock())
    try:
        return [finding.text async for finding in storage.check()]
    finally:
        await storage.close()


@pytest.fixture
async def folder(tmp_path):
    storage = await EmbeddedStorage.open(Store(master_key=Secret(MASTER)), tmp_path, LocalBus(), SystemClock())
    await storage.queue.put([item()])
    await storage.close()
    assert await findings(tmp_path) == []
    return tmp_path


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        ("DELETE FROM recipient", "none of its recipients waits"),
        ("DELETE FROM chunk", "its octets are not there"),
        ("UPDATE item SET finished_at = 1", "is finished, and one of its recipients waits"),
        ("DELETE FROM item", "belongs to no item"),
        ("DELETE FROM lane", "its lane is not there"),
        ("UPDATE lane SET ready_at = ready_at + 1000000000000", "its lane is not there or ready later"),
    ],
)
async def test_what_does_not_fit_together_is_found(folder, harm, found):
    db = apsw.Connection(str(folder / "queue.db"))
    db.pragma("cipher", "chacha20")
    db.execute(f"PRAGMA key = 'raw:{derived_key(bytes.fromhex(MASTER), 'queue').hex()}'")
    db.execute(harm)
    db.close()
    assert any(found in text for text in await findings(folder))
