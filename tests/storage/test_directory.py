"""What is particular to the embedded directory: encryption, memory, other processes, migrations."""

import asyncio

import apsw
import pytest

from mailstead.model.address import Address
from mailstead.model.directory import Account, Alias, AliasKind, Domain, DomainTerms, Verifier
from mailstead.model.errors import NoSuchAccount, StoreDamaged
from mailstead.model.ids import AccountId
from mailstead.ports.changebus import DIRECTORY
from mailstead.storage.embedded import directory as module
from mailstead.storage.embedded import directory_file, directory_schema, schema
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.directory import EmbeddedDirectory

MASTER = bytes(range(32))
VERIFIER = Verifier("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA", b"stored" * 5, b"server" * 5)
ALICE = Account(AccountId("a" * 16), Address.parse("alice@example.test"))


@pytest.fixture
async def bus():
    return LocalBus()


@pytest.fixture
async def directory(tmp_path, bus):
    directory = EmbeddedDirectory(tmp_path, MASTER, bus)
    await directory.add_domain(Domain("example.test"))
    await directory.add_account(ALICE, b"salt", 4096, VERIFIER)
    yield directory
    await directory.close()


async def test_nothing_readable_on_the_disk(directory, tmp_path):
    for file in tmp_path.glob("directory.db*"):
        assert b"alice" not in file.read_bytes()
        assert b"CREATE TABLE" not in file.read_bytes()
        assert file.stat().st_mode & 0o077 == 0


async def test_another_master_key_is_refused(directory, tmp_path, bus):
    with pytest.raises(StoreDamaged):
        EmbeddedDirectory(tmp_path, bytes(32), bus)


async def test_each_commit_is_told_and_failed_units_are_not(directory, bus):
    woken = asyncio.Event()
    with bus.watch(DIRECTORY, woken.set):
        await directory.set_quota(ALICE.account_id, 5)
        await asyncio.wait_for(woken.wait(), 5)
        woken.clear()
        with pytest.raises(NoSuchAccount):
            await directory.set_quota(AccountId("b" * 16), 5)
        await asyncio.sleep(0)
        assert not woken.is_set()


async def test_answers_are_remembered_until_a_commit(directory):
    assert await directory.find(ALICE.address) == ALICE
    hops = []
    read = directory.look_up

    async def counted(*arguments):
        hops.append(arguments)
        return await read(*arguments)

    directory.look_up = counted
    for _ in range(100):
        assert await directory.find(ALICE.address) == ALICE
        assert await directory.credentials(ALICE.address) is not None
    assert len(hops) <= 3
    await directory.set_quota(ALICE.account_id, 7)
    assert (await directory.find(ALICE.address)).quota_octets == 7


async def test_what_nobody_has_is_remembered_too_and_forgotten_when_given(directory):
    bob = Address.parse("bob@example.test")
    assert await directory.find(bob) is None
    await directory.add_alias(Alias(bob, (ALICE.address,)))
    assert await directory.find(bob) == Alias(bob, (ALICE.address,))


async def test_memory_is_bounded(directory, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED_MAX", 10)
    for number in range(50):
        await directory.find(Address(f"user{number}", "example.test"))
    assert len(directory._remembered) <= 10


async def test_a_commit_of_another_process_is_seen_without_any_wake_up(directory, tmp_path, monkeypatch):
    """The other one has its own bus, so nothing but PRAGMA data_version can tell."""
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    other = EmbeddedDirectory(tmp_path, MASTER, LocalBus())
    assert await directory.find(ALICE.address) == ALICE
    assert await other.find(ALICE.address) == ALICE
    await other.set_quota(ALICE.account_id, 9)
    assert (await directory.find(ALICE.address)).quota_octets == 9
    await directory.remove_account(ALICE.account_id)
    assert await other.find(ALICE.address) is None
    await other.close()


async def test_an_answer_read_before_a_change_is_not_remembered_after_it(directory):
    read = directory.look_up

    async def slow(*arguments):
        answer = await read(*arguments)
        directory._forget()  # the wake-up of a foreign commit comes while the answer is on its way
        return answer

    directory._looked_s = float("inf")
    directory.look_up = slow
    await directory.find(ALICE.address)
    assert directory._remembered == {}


async def test_many_at_once_and_a_cancelled_writer(directory):
    await asyncio.gather(*(directory.find(Address(f"user{number}", "example.test")) for number in range(200)))
    task = asyncio.ensure_future(directory.set_quota(ALICE.account_id, 11))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await directory.set_quota(ALICE.account_id, 12)
    assert (await directory.account(ALICE.account_id)).quota_octets == 12


async def test_state_survives_and_a_newer_release_is_refused(tmp_path, bus):
    directory = EmbeddedDirectory(tmp_path, MASTER, bus)
    await directory.add_domain(Domain("example.test"))
    directory._writer.pragma("user_version", 99)
    await directory.close()
    with pytest.raises(StoreDamaged, match="newer"):
        EmbeddedDirectory(tmp_path, MASTER, bus)


def test_migrations_run_forward_from_each_version():
    for version in range(len(directory_schema.MIGRATIONS) + 1):
        db = apsw.Connection(":memory:")
        schema.migrate(db, directory_schema.MIGRATIONS[:version])
        schema.migrate(db, directory_schema.MIGRATIONS)
        assert schema.version_of(db) == len(directory_schema.MIGRATIONS)


@pytest.fixture
def version_1(tmp_path, monkeypatch):
    """A file as the first release wrote it."""
    with monkeypatch.context() as before:
        before.setattr(directory_schema, "MIGRATIONS", directory_schema.MIGRATIONS[:1])
        db = directory_file.connect(tmp_path / "directory.db", MASTER)
    db.execute("""
        INSERT INTO domain VALUES ('a.test', NULL), ('b.test', 'Who@elsewhere.test'), ('c.test', '"x y"@c.test'),
            ('d.test', NULL);
        INSERT INTO account VALUES ('aaaaaaaaaaaaaaaa', 5, 1, x'00', 4096, '$argon2id', x'01', x'02');
        INSERT INTO address VALUES ('alice@a.test', 'a.test', 'Alice@a.test', 'aaaaaaaaaaaaaaaa'),
            ('info@a.test', 'a.test', 'Info@a.test', NULL), ('*@b.test', 'b.test', '*@b.test', NULL),
            ('*@d.test', 'd.test', '*@d.test', NULL), ('/x/@d.test', 'd.test', '/x/@d.test', NULL),
            ('//@d.test', 'd.test', '//@d.test', NULL), ('q r@d.test', 'd.test', '"q r"@d.test', NULL);
        INSERT INTO alias_target VALUES ('info@a.test', 0, 'alice@a.test', 'alice@a.test'),
            ('info@a.test', 1, 'x y@a.test', '"x y"@a.test'), ('*@b.test', 0, 'old@a.test', 'old@a.test'),
            ('*@d.test', 0, 'alice@a.test', 'alice@a.test'), ('q r@d.test', 0, 'alice@a.test', 'alice@a.test');
        """)
    db.close()


async def test_a_file_of_version_1_becomes_one_of_version_2(version_1, tmp_path, bus):
    directory = EmbeddedDirectory(tmp_path, MASTER, bus)
    alice = Account(AccountId("a" * 16), Address("Alice", "a.test"), 5)
    assert await directory.find(alice.address) == alice
    assert await directory.find(Address("info", "a.test")) == Alias(
        Address("Info", "a.test"), (Address("alice", "a.test"), Address("x y", "a.test"))
    )
    assert await directory.patterns("a.test") == []
    # The catch-all of the domain is an alias, in the place of one that was named * before.
    assert await directory.patterns("b.test") == [Alias(Address("*", "b.test"), (Address("Who", "elsewhere.test"),))]
    assert await directory.patterns("c.test") == [Alias(Address("*", "c.test"), (Address("x y", "c.test"),))]
    assert [alias.kind for alias in await directory.patterns("d.test")] == [AliasKind.PATTERN, AliasKind.CATCH_ALL]
    assert await directory.find(Address("//", "d.test")) == Alias(Address("//", "d.test"), ())
    assert await directory.addresses_of(alice.account_id) == [alice.address, Address("q r", "d.test")]
    domains = await directory.domains()
    assert [domain.name for domain in domains] == ["a.test", "b.test", "c.test", "d.test"]
    assert len({domain.terms.webhook_key for domain in domains}) == 4
    assert all(len(domain.terms.webhook_key) == 64 for domain in domains)
    await directory.close()


async def test_terms_of_a_newer_release_are_read_and_broken_ones_are_told(directory):
    directory._writer.execute("""UPDATE domain SET terms = '{"new": [1], "keeps_trace": false}'""")
    assert await directory.domain("example.test") == Domain("example.test", DomainTerms(keeps_trace=False))
    directory._writer.execute("""UPDATE domain SET terms = '{"keeps_trace": 7}'""")
    directory._forget()
    with pytest.raises(StoreDamaged):
        await directory.domain("example.test")
