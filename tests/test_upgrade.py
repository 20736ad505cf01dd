"""A data folder of the first release, opened by this one: everything is there, and mail flows."""

from pathlib import Path

import apsw
import pytest

from mailstead.config.settings import Authentication, Dns, Server, Settings, Store
from mailstead.model.address import Address
from mailstead.model.envelope import Envelope, Peer, Recipient
from mailstead.model.ids import AccountId
from mailstead.model.queue import QueueQuery
from mailstead.model.secret import Secret
from mailstead.storage.embedded import account_file, directory_file, directory_schema
from mailstead.storage.embedded.keys import FileAccountKeys, master_key
from mailstead.wiring.house import ADMINISTRATOR, open_house

ALICE = AccountId("00112233aabbccdd")
MESSAGE = b"From: carol@far.test\r\nSubject: new\r\n\r\nHello\r\n"
OLD_ACCOUNT = Path(__file__).parent / "storage" / "embedded" / "versions" / "account_1.sql"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Of a house that asks no DNS, on a folder as the first release wrote it."""
    settings = Settings(
        server=Server(hostname="mx.example.test", data_dir=tmp_path / "data"),
        store=Store(master_key=Secret("42" * 32)),
        authentication=Authentication(is_enabled=False),
        dns=Dns(servers=("127.0.0.1:9",)),
    )
    folder = settings.server.data_dir
    folder.mkdir()
    master = master_key(folder, settings.store.master_key, "")
    with monkeypatch.context() as before:
        before.setattr(directory_schema, "MIGRATIONS", directory_schema.MIGRATIONS[:1])
        db = directory_file.connect(folder / "directory.db", master)
    db.execute(f"""
        INSERT INTO domain VALUES ('example.test', 'alice@example.test');
        INSERT INTO account VALUES ('{ALICE}', NULL, 1, x'00', 4096, '$argon2id', x'01', x'02');
        INSERT INTO address VALUES ('alice@example.test', 'example.test', 'alice@example.test', '{ALICE}'),
            ('info@example.test', 'example.test', 'Info@example.test', NULL),
            ('out@example.test', 'example.test', 'out@example.test', NULL);
        INSERT INTO alias_target VALUES ('info@example.test', 0, 'alice@example.test', 'alice@example.test'),
            ('out@example.test', 0, 'dave@far.test', 'dave@far.test');
        """)
    db.close()
    path = account_file.account_path(folder, ALICE)
    path.parent.mkdir(parents=True)
    db = apsw.Connection(str(path))
    account_file._set_up(db, "chacha20", FileAccountKeys(folder, master).new_account_key(ALICE), 512)
    db.execute(OLD_ACCOUNT.read_text(encoding="utf-8"))
    db.close()
    return settings


async def receive(house, *names):
    reception = house.receptions.begin(Peer("192.0.2.1", 4711), "far.test", Envelope(Address("carol", "far.test")))
    for name in names:
        more = reception.add_recipient(Recipient(Address(name, "example.test")))
        if more is not None:
            await more
    reception.write(MESSAGE)
    await reception.accept()


async def test_a_folder_of_the_first_release_goes_on(settings):
    admin = ADMINISTRATOR
    async with open_house(settings) as house:
        aliases = {str(alias.address): alias.targets for alias in await house.aliases.list(admin)}
        assert aliases == {
            "*@example.test": (Address("alice", "example.test"),),
            "Info@example.test": (Address("alice", "example.test"),),
            "out@example.test": (Address("dave", "far.test"),),
        }
        store = house.storage.accounts.of(ALICE)
        assert (await store.snapshot("INBOX")).mailbox.message_count == 1
        for names in (("alice",), ("info",), ("nobody-knows",)):
            await receive(house, *names)
        assert (await store.snapshot("INBOX")).mailbox.message_count == 4
        await receive(house, "out")
        [item] = await house.storage.queue.items(QueueQuery())
        assert str(item.recipients[0].recipient.address) == "dave@far.test"
        # what belongs to the new release can be made at once
        await house.keys.create(admin, "example.test")
        await receive(house, "out")
        sealed = (await house.storage.queue.items(QueueQuery()))[-1]
        assert b"ARC-Seal:" in await house.storage.queue.octets(sealed.item_id)
        assert [finding async for finding in house.storage.check()] == []
    async with open_house(settings) as house:
        assert (await house.storage.accounts.of(ALICE).snapshot("INBOX")).mailbox.message_count == 4
