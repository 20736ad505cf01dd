"""Row 76: the disk fills at each step of each verb. Temporary refusal, nothing half-written, recovery without hands."""

import os
from functools import partial

import pytest

from attacks.full_disk import small_disk
from attacks.home import DOMAIN, PASSWORD, open_home
from mailstead.model.address import Address
from mailstead.model.errors import StorageFull, TryAgainLater
from mailstead.model.queue import QueueQuery
from mailstead.model.secret import Secret
from mailstead.storage.embedded import writer
from mailstead.wiring.house import ADMINISTRATOR

OCTETS = b"Subject: room\r\n\r\n" + b"".join(b"%d " % number for number in range(8000)) + b"\r\n"


@pytest.fixture
async def home(tmp_path):
    with small_disk() as disk:
        async with open_home(tmp_path / "data") as opened:
            opened.disk = disk
            yield opened


async def test_attack_076_deliveries_at_each_step(home):
    """A message is refused with 452 4.3.1 or kept whole; when there is room again the next one goes through."""
    alice = await home.account("carol")
    client = await home.mx()
    kept = refused = 0
    for pages in range(40):
        home.disk.pages_left = pages
        answer = await home.deliver(client, "carol", OCTETS)
        home.disk.pages_left = None
        assert answer.startswith(("250 2.0.0", "452 4.3.1")), answer
        kept, refused = kept + answer.startswith("250"), refused + answer.startswith("452")
        stored = await home.stored(alice)
        assert len(stored) == kept
        assert all(octets.endswith(OCTETS + b"\r\n") for octets in stored)
    assert refused, "the disk was never full"
    assert kept, "there was never room"
    assert home.disk.refusals
    assert await home.findings() == []
    assert (await home.deliver(client, "carol", OCTETS)).startswith("250 2.0.0")
    assert home.house.staging.octets == 0


async def test_attack_076_mail_for_others_at_each_step(home):
    """The queue takes a message whole, or the sender keeps it: 452, and nothing of it is there."""
    await home.house.aliases.create(ADMINISTRATOR, Address("away", DOMAIN), [Address("them", "elsewhere.test")])
    client = await home.mx()
    kept = refused = 0
    for pages in range(40):
        home.disk.pages_left = pages
        answer = await home.deliver(client, "away", OCTETS)
        home.disk.pages_left = None
        assert answer.startswith(("250 2.0.0", "452 4.3.1")), answer
        kept, refused = kept + answer.startswith("250"), refused + answer.startswith("452")
        items = await home.house.storage.queue.items(QueueQuery(limit=100))
        assert len(items) == kept
    for item in items:
        assert (await home.house.storage.queue.octets(item.item_id)).endswith(OCTETS + b"\r\n")
    assert refused, "the disk was never full"
    assert kept, "there was never room"
    assert await home.findings() == []


async def test_attack_076_imap_commands_at_each_step(home):
    client = await home.imap("alice", select=True)
    assert "OK" in await client.append(OCTETS)
    commands = ["CREATE Box%d", "COPY 1 Box", "STORE 1 +FLAGS (word%d)", "RENAME Box%d New%d", "SUBSCRIBE Other%d"]
    assert "OK" in (await client.imap("CREATE Box"))[-1]
    failures = 0
    for pages in range(12):
        for number, command in enumerate(commands):
            home.disk.pages_left = pages
            [*_, answer] = await client.imap(command.replace("%d", str(pages)))
            home.disk.pages_left = None
            assert any(f" {word}" in answer for word in ("OK", "NO [UNAVAILABLE]", "NO [NONEXISTENT]")), (
                number,
                answer,
            )
            failures += " NO [UNAVAILABLE]" in answer
        home.disk.pages_left = pages
        answer = await client.append(OCTETS)
        home.disk.pages_left = None
        assert " OK" in answer or " NO [UNAVAILABLE]" in answer, answer
        failures += " NO [" in answer
    assert failures
    assert await home.findings() == []
    assert "OK" in await client.append(OCTETS)
    assert "OK" in (await client.imap("NOOP"))[-1]


async def test_attack_076_accounts_and_aliases_at_each_step(home):
    """An account is there with its store and its password, or not at all and can be made later."""
    alice = Address("alice", DOMAIN)
    failures = 0
    for pages in (0, 1, 2, 3, 5, 8, 12, 16, 24, 32):
        address, alias = Address(f"new{pages}", DOMAIN), Address(f"alias{pages}", DOMAIN)
        account = partial(home.house.accounts.create, ADMINISTRATOR, address, Secret(PASSWORD))
        for verb in (account, partial(home.house.aliases.create, ADMINISTRATOR, alias, [alice])):
            home.disk.pages_left = pages
            try:
                await verb()
            except StorageFull:
                failures += 1
                home.disk.pages_left = None
                await verb()
            home.disk.pages_left = None
        client = await home.imap(address.local_part)
        assert "OK" in await client.append(OCTETS)
        assert (await home.deliver(await home.mx(), alias.local_part, OCTETS)).startswith("250")
    assert failures
    assert await home.findings() == []


async def test_attack_076_the_reserve_is_kept_and_deleting_still_works(home, monkeypatch):
    """Below the reserve mail waits at the sender; what makes room goes on; when there is room it comes in by itself."""
    client = await home.imap("alice", select=True)
    assert "OK" in await client.append(OCTETS)
    mx = await home.mx()
    real = os.statvfs

    def nearly_full(path):
        found = list(real(path))
        found[4] = 10  # f_bavail
        return os.statvfs_result(found)

    monkeypatch.setattr(writer, "DISK_LOOK_S", 0.0)
    monkeypatch.setattr(os, "statvfs", nearly_full)
    assert (await home.deliver(mx, "alice", OCTETS)).startswith("452 4.3.1")
    assert " NO [UNAVAILABLE]" in await client.append(OCTETS)
    assert "OK" in (await client.imap("STORE 1 +FLAGS.SILENT (\\Deleted)"))[-1]
    assert "OK" in (await client.imap("EXPUNGE"))[-1]
    with pytest.raises(TryAgainLater):
        await home.house.accounts.create(ADMINISTRATOR, Address("late", DOMAIN), Secret(PASSWORD))
    monkeypatch.setattr(os, "statvfs", real)
    assert (await home.deliver(mx, "alice", OCTETS)).startswith("250 2.0.0")
    assert "OK" in await client.append(OCTETS)
    await home.house.accounts.create(ADMINISTRATOR, Address("late", DOMAIN), Secret(PASSWORD))
